#!/usr/bin/env python3
# For each mode of a topic, its owner, group and others may read and write its files as the bits
# say, root may all, and only owner and root configure, remove and chmod it.
from t import *

USERS = {"owner": (2001, 3001), "group": (2002, 3001), "other": (2003, 3003), "root": (0, 0)}
SHIFT = {"owner": 6, "group": 3, "other": 0}
READS = ["0", "0@0", "0@0..1", "all", "0.json", "1"]
WRITES = ["0", "all", "0.json", "by-key/k"]


def outcome(call, *args):
    try:
        result = call(*args)
        if isinstance(result, int):
            os.close(result)
    except OSError as e:
        return errno.errorcode[e.errno]
    return "ok"


def as_user(uid, gid, mode):
    os.setgroups([])
    os.setresgid(gid, gid, gid)
    os.setresuid(uid, uid, uid)
    done = {}
    for name in READS:
        done["read " + name] = outcome(os.open, topic("t/" + name), os.O_RDONLY)
    for name in WRITES:
        done["write " + name] = outcome(os.open, topic("t/" + name), os.O_WRONLY)
    done["list"] = outcome(os.listdir, topic("t"))
    done["config"] = outcome(configure, "t", "retention.bytes=-1")
    done["chmod"] = outcome(os.chmod, topic("t"), mode)
    done["mkdir 0"] = outcome(os.mkdir, topic("t/x"))
    done["rmdir"] = outcome(os.rmdir, topic("keep")) if uid else "EPERM"
    return done


def wanted(user, mode):
    bits = 7 if user == "root" else mode >> SHIFT[user] & 7
    enter = bool(bits & 1)
    want = {}
    for name in READS:
        want["read " + name] = "ok" if enter and bits & 4 else "EACCES"
    for name in WRITES:
        # Below by-key/, a directory with the same bits, too.
        want["write " + name] = "ok" if enter and bits & 2 else "EACCES"
    want["list"] = "ok" if bits & 4 else "EACCES"
    owns = user in ("owner", "root")
    want["config"] = "ok" if enter and owns and (user == "root" or bits & 2) else "EACCES"
    want["chmod"] = "ok" if owns else "EPERM"
    want["mkdir 0"] = "EPERM" if enter and bits & 2 else "EACCES"
    want["rmdir"] = "EPERM"  # By the kernel: topics/ is sticky.
    return want


if os.geteuid():
    skip("not root")
with Broker() as broker:
    os.chmod(CASE_DIR, 0o755)
    make_topic("t", 2)
    make_topic("keep")
    append("t/0", b"one\n")
    faults = []
    for mode in (0o777, 0o755, 0o750, 0o700, 0o770, 0o111, 0o333, 0o555, 0o666, 0o644, 0o000,
                 0o711):
        os.chmod(topic("t"), mode)
        os.chown(topic("t"), 2001, 3001)
        for user, (uid, gid) in USERS.items():
            with Child(as_user, uid, gid, mode) as child:
                got = child.result()
            for what, want in wanted(user, mode).items():
                if got[what] != want:
                    faults.append(f"{mode:o} {user} {what}: wanted {want}, got {got[what]}")
    print("\n".join(faults[:60]))
    assert_eq(0, len(faults), "faults")

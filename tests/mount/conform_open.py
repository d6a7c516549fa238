#!/usr/bin/env python3
# Every combination of open flags on every kind of file gives what the table says, and leaves all
# as it was.
import itertools
from t import *

ACCESS = {"r": os.O_RDONLY, "w": os.O_WRONLY, "rw": os.O_RDWR}
FLAGS = {"append": os.O_APPEND, "trunc": os.O_TRUNC, "creat": os.O_CREAT, "excl": os.O_EXCL,
         "nonblock": os.O_NONBLOCK, "sync": os.O_SYNC, "direct": os.O_DIRECT,
         "directory": os.O_DIRECTORY, "nofollow": os.O_NOFOLLOW}
# kind: what may be done, and its names.
KINDS = {
    "both": ["topics/t/0", "topics/t/all", "topics/t/0.json", "topics/t/0.msg",
             "topics/t/config", "cluster/control"],
    "read": ["topics/t/0@0", "topics/t/0@0..1", "topics/t/all@latest.json", "topics/t/status",
             "README", "metrics", "errors", "cluster/brokers"],
    "write": ["topics/t/by-key/k"],
    "directory": ["", "topics", "topics/t", "topics/t/by-key", "cluster"],
    "absent": ["topics/t/9", "topics/t/x", "topics/nope", "nope", "cluster/nope"],
}


def wanted(kind, access, flags):
    """The errno, or None where it opens."""
    writes = access != "r"
    if kind == "absent":
        if "creat" in flags:
            return "EINVAL" if "directory" in flags else "EPERM"
        return "ENOENT"
    if "creat" in flags and "directory" in flags:
        return "EINVAL"
    if "creat" in flags and "excl" in flags:
        return "EEXIST"
    if kind == "directory":
        if "creat" in flags or writes or "trunc" in flags:
            return "EISDIR"
        return "EINVAL" if "direct" in flags else None
    if "directory" in flags:
        return "ENOTDIR"
    if kind == "read" and writes:
        return "EPERM"
    if kind == "write" and access == "r":
        return "EPERM"
    return None


def given(path, how):
    try:
        os.close(os.open(f"{MNT}/{path}".rstrip("/"), how))
    except OSError as e:
        return errno.errorcode[e.errno]
    return None


with Broker() as broker:
    make_topic("t", 2)
    append("t/0", b"one\n")
    append("t/1", b"two\n")
    faults, cnt = {}, 0
    for kind, paths in KINDS.items():
        for access, bits in itertools.product(ACCESS, itertools.product([0, 1], repeat=len(FLAGS))):
            flags = [f for f, bit in zip(FLAGS, bits) if bit]
            how = ACCESS[access] | sum(FLAGS[f] for f in flags)
            for path in paths:
                cnt += 1
                want, got = wanted(kind, access, flags), given(path, how)
                if want != got:
                    faults.setdefault((kind, path, access, want, got), flags)
    for fault, flags in list(faults.items())[:40]:
        print("kind %s, %s, %s: wanted %s, got %s" % fault, "with", flags)
    assert_eq(0, len(faults), "kinds of faults")
    assert_eq(3 * 512 * sum(map(len, KINDS.values())), cnt)
    assert_eq(b"one\n", read("t/0"))
    assert_eq(b"two\n", read("t/1"))
    assert_eq(["0", "1", "all", "by-key", "config", "status"], sorted(os.listdir(topic("t"))))

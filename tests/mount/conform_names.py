#!/usr/bin/env python3
# What makes, moves and removes names gives the errno of the table in every place of the mount, and
# leaves all as it was.
import socket
import stat
from t import *

DIRS = ["", "topics", "topics/t", "topics/t/by-key", "cluster"]
FILES = ["README", "metrics", "errors", "topics/t/0", "topics/t/all", "topics/t/config",
         "topics/t/status", "topics/t/0@0", "topics/t/0.json", "topics/t/by-key/k",
         "cluster/control", "cluster/brokers"]
faults = []


def path(name):
    return f"{MNT}/{name}" if name else MNT


def see(wanted, call, *args):
    try:
        call(*args)
        got = None
    except OSError as e:
        got = errno.errorcode[e.errno]
    if got not in (wanted if isinstance(wanted, tuple) else (wanted,)):
        faults.append(f"{call.__name__}{args}: wanted {wanted}, got {got}".replace(MNT, ""))


def bind(name):
    os.chdir(os.path.dirname(name))  # A socket's name must be short.
    with socket.socket(socket.AF_UNIX) as s:
        s.bind(os.path.basename(name))


def snapshot():
    return [(top[len(MNT):], sorted(dirs), sorted(files)) for top, dirs, files in os.walk(MNT)]


def new_names():
    """Calls that make a name: in every directory, where it is free and where it is taken."""
    for d in DIRS:
        new = path(d) + "/new1"
        # In by-key/ every name is there.
        free = "EEXIST" if d.endswith("by-key") else "EPERM"
        see(free, os.symlink, "target", new)
        see(free, os.link, path("topics/t/0"), new)
        see(free, os.mknod, new, stat.S_IFREG | 0o644)
        see(free, os.mkfifo, new)
        see(free, os.mknod, new, stat.S_IFCHR | 0o644, os.makedev(1, 3))
        see("EADDRINUSE" if free == "EEXIST" else free, bind, new)
        if d != "topics":
            see(free, os.mkdir, new)
    for f in FILES + [d for d in DIRS if d]:
        see("EEXIST", os.symlink, "target", path(f))
        see("EEXIST", os.mknod, path(f), stat.S_IFREG | 0o644)
        see("EEXIST", os.mkdir, path(f))
        see("EEXIST", os.link, path("topics/t/1"), path(f))
    for f in FILES:
        for call in (os.mkdir, os.mkfifo, os.unlink, os.rmdir, os.stat, os.listdir):
            see("ENOTDIR", call, path(f) + "/below")
        see("EXDEV", os.link, path(f), CASE_DIR + "/outside")
        see("EXDEV", os.rename, path(f), CASE_DIR + "/outside")
        see("EXDEV", os.rename, CASE_DIR + "/file", path(f))
        see("EINVAL", os.readlink, path(f))
        see("ENOTDIR", os.listdir, path(f))


def old_names():
    for f in FILES:
        see("EPERM", os.unlink, path(f))
        see("ENOTDIR", os.rmdir, path(f))
    for d in DIRS[1:]:
        see("EISDIR", os.unlink, path(d))
        if d != "topics/t":
            see("EPERM", os.rmdir, path(d))
    see("EBUSY", os.rmdir, MNT)
    for call in (os.unlink, os.rmdir, os.stat, os.readlink, os.listdir):
        for name in ("nope", "topics/nope", "topics/nope/0", "cluster/nope", "topics/t/9"):
            see("ENOENT", call, path(name))
    for old in FILES + DIRS[1:]:
        for new in ("nope", "topics/new1", "topics/t/x", "cluster/x"):
            # A directory below itself is the kernel's to refuse.
            below = path(new).startswith(path(old) + "/")
            see("EINVAL" if below else "EPERM", os.rename, path(old), path(new))
    see("ENOENT", os.rename, path("topics/nope"), path("topics/new1"))


def topic_names():
    for name in ("a" * 250, "sp ace", "colon:", "ü", "new\nline", "st*r"):
        see(("EINVAL", "ENAMETOOLONG"), os.mkdir, path("topics/" + name))
    for name in ("__cluster_metadata", "__consumer_offsets", "__transaction_state"):
        see("EPERM", os.mkdir, path("topics/" + name))
    see("ENAMETOOLONG", os.mkdir, path("topics/" + "a" * 256))
    for f in ("topics/t/0", "topics/t/config", "README"):
        for size in (1, 7, 1 << 40):
            see("EPERM", os.truncate, path(f), size)
        see("ENOTSUP", os.setxattr, path(f), "user.x", b"1")
        see("ENOTSUP", os.getxattr, path(f), "user.x")
        see("ENOTSUP", os.listxattr, path(f))
        see(None, os.utime, path(f))


with Broker() as broker:
    make_topic("t", 2)
    append("t/0", b"one\n")
    open(CASE_DIR + "/file", "w").close()
    before = snapshot()
    for part in (new_names, old_names, topic_names):
        part()
    os.chdir("/")
    print("\n".join(faults[:60]))
    assert_eq(0, len(faults), "faults")
    assert_eq(before, snapshot())
    assert_eq(b"one\n", read("t/0"))
    os.unlink(CASE_DIR + "/file")

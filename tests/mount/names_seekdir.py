#!/usr/bin/env python3
# A directory may be read from any position, and rewinding it shows what has been made since.
import ctypes
from t import *

SYS_GETDENTS64 = {"x86_64": 217, "aarch64": 61}.get(os.uname().machine)
libc = ctypes.CDLL(None, use_errno=True)


def names(fd, pos):
    """What getdents64 gives at a position, to the end."""
    os.lseek(fd, pos, os.SEEK_SET)
    room = ctypes.create_string_buffer(4096)
    found = []
    while True:
        n = libc.syscall(SYS_GETDENTS64, fd, room, len(room))
        if n < 0:
            fail(f"getdents64 at {pos}: {os.strerror(ctypes.get_errno())}")
        if not n:
            return found
        at = 0
        while at < n:
            length = int.from_bytes(room.raw[at + 16:at + 18], sys.byteorder)
            found.append(room.raw[at + 19:at + length].split(b"\0")[0].decode())
            at += length


if not SYS_GETDENTS64:
    skip("the number of getdents64 is not known here")
with Broker() as broker:
    # Taken for a position, the end of such a name is its own position.
    for name in ("P", "Q", "zz", "a" * 249):
        os.mkdir(topic(name))
    with opened(MNT + "/topics", os.O_RDONLY | os.O_DIRECTORY) as fd:
        everything = names(fd, 0)
        assert_eq([".", "..", "P", "Q", "a" * 249, "zz"], sorted(everything))
        for pos in range(1, 600):
            some = names(fd, pos)
            assert_eq(everything[len(everything) - len(some):], some, f"from {pos} on")
        assert_eq([], names(fd, 1 << 40))
        assert_eq([], names(fd, (1 << 63) - 1))
        os.mkdir(topic("new"))
        assert_eq(sorted([*everything, "new"]), sorted(names(fd, 0)))

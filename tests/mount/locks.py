#!/usr/bin/env python3
# flock and fcntl locks hold across processes and across every open of a file, wait, can be
# interrupted, and end with their holder.
import fcntl
import struct
from t import *

F_OFD_SETLK = 37
SH, EX, NB, UN = fcntl.LOCK_SH, fcntl.LOCK_EX, fcntl.LOCK_NB, fcntl.LOCK_UN


def take(how, path, kind, *args):
    with opened(path, os.O_RDWR) as fd:
        try:
            how(fd, kind, *args)
            return 0
        except OSError as e:
            return e.errno


def hold(path, how, kind, ready, end):
    with opened(path, os.O_RDWR) as fd:
        how(fd, kind)
        os.write(ready, b"x")
        os.read(end, 1)


with Broker():
    make_topic("t", 2)
    path = topic("t/0")
    for how in (fcntl.flock, fcntl.lockf):
        ready_r, ready_w = os.pipe()
        end_r, end_w = os.pipe()
        holder = Child(hold, path, how, EX, ready_w, end_r)
        os.read(ready_r, 1)
        assert_eq(errno.EAGAIN, Child(take, how, path, EX | NB).result())
        if how is fcntl.flock:
            assert_eq(errno.EAGAIN, Child(take, how, path, SH | NB).result())
        assert_eq(0, Child(take, how, topic("t/1"), EX | NB).result(), "another file")
        waiter = Child(take, how, path, EX)
        wait_until(waiter.is_waiting)
        victim = Child(take, how, path, EX)
        wait_until(victim.is_waiting)
        victim.kill()
        victim.wait()
        os.write(end_w, b"x")
        holder.result()
        assert_eq(0, waiter.result())
        # Killed with the lock: it is free again.
        holder = Child(hold, path, how, EX, ready_w, end_r)
        os.read(ready_r, 1)
        holder.kill()
        holder.wait()
        assert_eq(0, Child(take, how, path, EX).result())
        # Shared ones share.
        holder = Child(hold, path, fcntl.flock, SH, ready_w, end_r)
        os.read(ready_r, 1)
        assert_eq(0, Child(take, fcntl.flock, path, SH | NB).result())
        assert_eq(errno.EAGAIN, Child(take, fcntl.flock, path, EX | NB).result())
        os.write(end_w, b"x")
        holder.result()

    # Ranges of fcntl, and who holds them.
    with opened(path, os.O_RDWR) as fd:
        fcntl.lockf(fd, EX, 10, 0)
        fcntl.lockf(fd, EX, 10, 100)
        assert_eq(errno.EAGAIN, Child(take, fcntl.lockf, path, EX | NB, 5, 5).result())
        assert_eq(0, Child(take, fcntl.lockf, path, EX | NB, 90, 10).result())
        assert_eq(errno.EAGAIN, Child(take, fcntl.lockf, path, EX | NB, 0, 50).result())

        def ask():
            with opened(path, os.O_RDWR) as mine:
                lock = fcntl.fcntl(mine, fcntl.F_GETLK,
                                   struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0))
                return struct.unpack("hhqqi4x", lock)

        kind, _, start, length, pid = Child(ask).result()
        assert_eq((fcntl.F_WRLCK, 0, 10, os.getpid()), (kind, start, length, pid))
        fcntl.lockf(fd, UN, 10, 0)
        assert_eq(0, Child(take, fcntl.lockf, path, EX | NB, 10, 0).result())
    assert_eq(0, Child(take, fcntl.lockf, path, EX | NB).result())
    # Locks of the open file (OFD): they outlive closes of duplicates, and end with the last.
    whole = struct.pack("hhqqi4x", fcntl.F_WRLCK, 0, 0, 0, 0)

    def set_ofd(fd):
        try:
            return fcntl.fcntl(fd, F_OFD_SETLK, whole) and 0
        except OSError as e:
            return e.errno

    with opened(path, os.O_RDWR) as fd, opened(path, os.O_RDWR) as other:
        twin = os.dup(fd)
        assert_eq(0, set_ofd(fd))
        assert_eq(errno.EAGAIN, set_ofd(other))
        os.close(twin)
        os.close(os.open(path, os.O_RDWR))
        assert_eq(0, Child(lambda: 0).result())
        assert_eq(errno.EAGAIN, set_ofd(other))
    for _ in range(2):
        with opened(path, os.O_RDWR) as fd:
            assert_eq(0, set_ofd(fd), "its holder is gone")
    # The shell's way: a counter under a lock.
    run("""for i in 1 2 3 4; do
        flock t/1 bash -c 'n=$(wc -l <t/1); echo "$n" >>t/1' & done; wait""")
    assert_eq(b"0\n1\n2\n3\n", read("t/1"))

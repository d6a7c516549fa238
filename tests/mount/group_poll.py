#!/usr/bin/env python3
# poll and epoll tell when a group's stream has something, O_NONBLOCK gives EAGAIN, a signal ends a
# wait with EINTR, and max.poll.records bounds what one read gives.
import fcntl
from t import *


def polled(fd, timeout_ms=0):
    p = select.poll()
    p.register(fd, select.POLLIN)
    return [e for _, e in p.poll(timeout_ms)]


def interrupted(fd):
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.siginterrupt(signal.SIGUSR1, True)
    try:
        libc_read(fd)
    except InterruptedError:
        return "EINTR"
    return "data"


def libc_read(fd):
    import ctypes
    libc = ctypes.CDLL(None, use_errno=True)
    buf = ctypes.create_string_buffer(100)
    if libc.read(fd, buf, 100) < 0:
        raise OSError(ctypes.get_errno(), "read")


with Broker():
    make_topic("t", 2)
    for name in ("t", "t.json", "t.msg"):
        make_group("g")
        with opened(group("g/topics/" + name), os.O_RDONLY | os.O_NONBLOCK) as fd:
            assert_errno("EAGAIN", os.read, fd, 1000)
            assert_eq([], polled(fd), name)
            with Child(polled, fd, 10000) as poller, \
                    Child(lambda fd=fd: select.select([fd], [], [], 10)[0]) as selecter:
                append("t/0", b"one\n")
                assert_eq([select.POLLIN], poller.result(), name)
                assert_eq([fd], selecter.result(), name)
            assert os.read(fd, 1000)
            assert_errno("EAGAIN", os.read, fd, 1000)
            epoll = select.epoll()
            epoll.register(fd, select.EPOLLIN | select.EPOLLET)
            epoll.poll(0)
            for _ in range(3):
                append("t/1", b"edge\n")
                assert_eq([(fd, select.EPOLLIN)], epoll.poll(10), name)
                assert os.read(fd, 1000)
                assert_errno("EAGAIN", os.read, fd, 1000)
            epoll.close()
            # Another process may seek back.
            assert_eq([], polled(fd))
            assert_eq([select.POLLIN], Child(polled, fd).result())
        os.rmdir(group("g"))
        os.rmdir(topic("t"))
        make_topic("t", 2)

    make_group("g")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        with Child(interrupted, fd) as child:
            wait_until(child.is_waiting)
            child.kill(signal.SIGUSR1)
            assert_eq("EINTR", child.result())
        with Child(os.read, fd, 100) as child:
            wait_until(child.is_waiting)
        # Two at one descriptor.
        with Child(os.read, fd, 100) as one, Child(os.pread, fd, 100, 0) as two:
            wait_until(one.is_waiting)
            wait_until(two.is_waiting)
            append("t/0", b"x\n")
            assert_eq([b"x\n", b"x\n"], [one.result(), two.result()])

    append("t/1", b"".join(b"%d\n" % i for i in range(10)))
    put("g/config", "max.poll.records=3\n")
    for name, lengths in (("t", 3), ("t.json", 3), ("t.msg", 1)):
        put("g/seek", "t 0 latest\nt 1 0\n")
        with opened(group("g/topics/" + name), os.O_RDONLY) as fd:
            got = os.read(fd, 10000)
            assert_eq(lengths, max(got.count(b"\n"), 1), name)
            assert_errno("ESPIPE", os.pread, fd, 1, len(got) + 1)
    with opened(group("g/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        put("g/seek", "t 1 0\n")
        assert_eq([b"0\n1\n2\n", b"3\n4\n5\n", b"6\n7\n8\n", b"9\n"],
                  [os.read(fd, 1000) for _ in range(4)])
        assert_eq([], polled(fd))

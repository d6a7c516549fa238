#!/usr/bin/env python3
# poll, select and epoll tell when a stream has more; O_NONBLOCK, set at open or later by fcntl,
# gives EAGAIN at its end.
import fcntl
import threading
from t import *


def polled(fd, timeout_ms=0, events=select.POLLIN):
    p = select.poll()
    p.register(fd, events)
    return [e for _, e in p.poll(timeout_ms)]


with Broker():
    make_topic("t", 2)
    for view in ("0@latest", "0@latest.json", "0@latest.msg", "all@latest", "all@latest.json"):
        with opened(topic("t/" + view), os.O_RDONLY | os.O_NONBLOCK) as fd:
            assert_errno("EAGAIN", os.read, fd, 100)
            assert_eq([], polled(fd), view)
            with Child(polled, fd, 10000) as poller, \
                    Child(lambda fd=fd: select.select([fd], [], [], 10)[0]) as selecter:
                append("t/0", b"one\n")
                assert_eq([select.POLLIN], poller.result(), view)
                assert_eq([fd], selecter.result(), view)
            assert_eq([select.POLLIN], polled(fd), view)
            assert os.read(fd, 1000)
            assert_errno("EAGAIN", os.read, fd, 100)
            assert_eq([], polled(fd), f"{view}, all is read")

            epoll = select.epoll()
            epoll.register(fd, select.EPOLLIN)
            assert_eq([], epoll.poll(0))
            append("t/0", b"two\n")
            assert_eq([(fd, select.EPOLLIN)], epoll.poll(10), view)
            assert os.read(fd, 1000)
            epoll.modify(fd, select.EPOLLIN | select.EPOLLET)
            epoll.poll(0)
            for _ in range(3):
                append("t/0", b"edge\n")
                assert_eq([(fd, select.EPOLLIN)], epoll.poll(10), f"{view}, edge")
                assert os.read(fd, 1000)
                assert_errno("EAGAIN", os.read, fd, 100)
            epoll.close()

    # O_NONBLOCK as it stands at each read.
    with opened(topic("t/1@0"), os.O_RDONLY) as fd:
        flags = fcntl.fcntl(fd, fcntl.F_GETFL)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags | os.O_NONBLOCK)
        assert_errno("EAGAIN", os.read, fd, 100)
        fcntl.fcntl(fd, fcntl.F_SETFL, flags)
        with Child(os.read, fd, 100) as child:
            wait_until(child.is_waiting)
            append("t/1", b"x\n")
            assert_eq(b"x\n", child.result())

    # A topic that has grown has more when somebody has written to a new partition.
    with opened(topic("t/all@latest"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        configure("t", "num.partitions=4")
        assert_eq([], polled(fd), "new partitions that are empty")
        append("t/3", b"new\n")
        assert_eq([select.POLLIN], polled(fd), "a new partition")
        assert_eq(b"new\n", os.read(fd, 100))
        assert_eq([], polled(fd), "all of the new ones is read")
    for since, events in (("2026-01-01T00:00:00Z", [select.POLLIN]), ("2100-01-01T00:00:00Z", [])):
        with opened(topic("t/all@" + since), os.O_RDONLY) as fd:
            assert_eq(events, polled(fd), since)

    # Another process than the last reader may seek back and read what the window holds; threads of
    # one process are one.
    with opened(topic("t/0@-1"), os.O_RDONLY) as fd:
        assert os.read(fd, 100)
        assert_eq([], polled(fd))
        assert_eq([select.POLLIN], Child(polled, fd).result())
        got = []
        thread = threading.Thread(target=lambda: got.append(polled(fd)))
        thread.start()
        thread.join()
        assert_eq([[]], got, "another thread")

    # What never waits is always ready; a range, too, and it ends in EOF with O_NONBLOCK as without.
    for view in ("0", "1", "0@0..", "0.json", "all", "config", "status"):
        with opened(topic("t/" + view), os.O_RDONLY | os.O_NONBLOCK) as fd:
            assert_eq([select.POLLIN], polled(fd), view)
            while os.read(fd, 100000):
                pass
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        assert_eq([select.POLLOUT], polled(fd, 0, select.POLLOUT))

    # Thirty streams on one epoll, one of which has something at a time.
    make_topic("many", 30)
    fds = {os.open(topic(f"many/{p}@latest"), os.O_RDONLY | os.O_NONBLOCK): p for p in range(30)}
    epoll = select.epoll()
    for fd in fds:
        epoll.register(fd, select.EPOLLIN)
    assert_eq([], epoll.poll(0))
    for p in (7, 29, 0, 7, 3):
        append(f"many/{p}", b"%d\n" % p)
        (fd, event), = epoll.poll(10)
        assert_eq((p, select.EPOLLIN), (fds[fd], event))
        assert_eq(b"%d\n" % p, os.read(fd, 100))
    # Readiness is the next read's: gone when another descriptor of the same open file took it.
    twin = os.dup(next(iter(fds)))
    append("many/0", b"t\n")
    assert polled(twin, 10000)
    assert_eq(b"t\n", os.read(twin, 100))
    assert_errno("EAGAIN", os.read, next(iter(fds)), 100)

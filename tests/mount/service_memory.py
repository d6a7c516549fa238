#!/usr/bin/env python3
# The broker's memory stays flat, whatever is opened, polled, asked and refused, and so do its
# descriptors.
from t import *


def fds():
    return len(os.listdir(f"/proc/{broker.pid}/fd"))


def opens():
    for i in range(2000):
        with opened(topic("t/" + ("0", "0@0", "0.json", "all@-3", "config")[i % 5]),
                    os.O_RDONLY) as fd:
            os.read(fd, 4096)


def answers_behind():
    """One write is always under way: its answer is read after the next write."""
    for _ in range(10000):
        os.write(both, b"a\n")
        while b"\n" not in os.read(both, 16):
            pass


def refusals():
    """tail -f of errors."""
    for _ in range(3000):
        assert_errno("EINVAL", os.write, config, b"x" * 400 + b"=1\n")
        while os.read(errors, 65536):
            pass


def polls():
    with opened(topic("t/0@latest"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        waiter = select.epoll()
        waiter.register(fd, select.EPOLLIN | select.EPOLLET)
        for _ in range(1000):
            append("t/0", b"p\n")
            assert waiter.poll(10)
            while True:
                try:
                    os.read(fd, 4096)
                except BlockingIOError:
                    break
        waiter.close()


def locks():
    import fcntl
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        for i in range(1000):
            fcntl.lockf(fd, fcntl.LOCK_EX, 1, i * 2)
            fcntl.flock(fd, fcntl.LOCK_EX)


def topics():
    for i in range(100):
        os.mkdir(topic(f"new{i}"))
        append(f"new{i}/0", b"x\n")
        os.rmdir(topic(f"new{i}"))


with Broker() as broker:
    make_topic("t")
    append("t/0", b"x\n")
    both = os.open(topic("t/0"), os.O_RDWR)
    os.write(both, b"a\n")
    config = os.open(topic("t/config"), os.O_WRONLY)
    errors = os.open(MNT + "/errors", os.O_RDONLY)
    for work in (opens, polls, locks, topics, answers_behind, refusals):
        work()
        if work is refusals:
            for _ in range(5):
                work()  # the ring of lines and what a handle keeps of it are full
        kib, cnt = broker.rss_kib(), fds()
        for _ in range(3):
            work()
        grown = broker.rss_kib() - kib
        assert grown < 1024 or broker.keeps_what_is_freed(), f"{work.__name__}: grew by {grown} KiB"
        wait_until(lambda: fds() <= cnt + 4,
                   what=f"{work.__name__}: {fds()} descriptors, were {cnt}")

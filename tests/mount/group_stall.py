#!/usr/bin/env python3
# A member that is stopped loses its partitions: in a waiting read after session.timeout.ms, at work
# after max.poll.interval.ms, with a hand-over owed after rebalance.timeout.ms. Its late commits are
# fenced; its next read is ESTALE once, and then it has joined anew.
from t import *


def wait_forever(fd):
    while True:
        try:
            os.read(fd, 1000)
        except OSError as e:
            with open(CASE_DIR + "/errnos", "a") as f:
                print(errno.errorcode[e.errno], file=f)


def errnos():
    try:
        with open(CASE_DIR + "/errnos") as f:
            return f.read().split()
    except FileNotFoundError:
        return []


def line(join):
    """The next line that is no ESTALE."""
    while True:
        try:
            return json.loads(os.read(join, 1000))
        except OSError as e:
            assert_eq(errno.ESTALE, e.errno)


def member_ids():
    return [m["member_id"] for m in state("g")["members"]]


with Broker():
    make_topic("t", 2)
    # Stopped while it waits.
    make_group("g", "session.timeout.ms=300")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd, Child(wait_forever, fd) as stopped:
        wait_until(stopped.is_waiting)
        before = member_ids()
        stopped.kill(signal.SIGSTOP)
        wait_until(lambda: not shares("g"))
        assert_eq([], errnos())
        stopped.kill(signal.SIGCONT)
        wait_until(lambda: "ESTALE" in errnos())
        wait_until(stopped.is_waiting)
        assert_eq(1, errnos().count("ESTALE"))
        assert_eq([{"t": [0, 1]}], list(shares("g").values()))
        assert member_ids() != before
        append("t/0", b"a\n")
        wait_until(lambda: committed("g", "t") == 1)
    # One that goes on in time keeps what it had.
    put("g/config", "session.timeout.ms=\n")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd, Child(wait_forever, fd) as stopped:
        wait_until(stopped.is_waiting)
        before = member_ids()
        stopped.kill(signal.SIGSTOP)
        wait_until(lambda: not stopped.is_waiting())
        stopped.kill(signal.SIGCONT)
        wait_until(stopped.is_waiting)
        assert_eq(before, member_ids())

    # At work for too long. The limit is there while it is waited for: this process may be slow.
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        append("t/0", b"b\nc\n")
        assert_eq(b"b\nc\n", os.read(fd, 100))
        put("g/config", "max.poll.interval.ms=300\n")
        wait_until(lambda: not shares("g"))
        put("g/config", "max.poll.interval.ms=\n")
        with opened(group("g/commit"), os.O_WRONLY) as commit:
            assert_errno("ESTALE", os.write, commit, b"t 0 3\n")
        assert_eq(1, committed("g", "t"))
        assert_errno("ESTALE", os.read, fd, 100)
        assert_errors_line(r" ESTALE .*groups/g/topics/t: ")
        assert_eq(b"b\nc\n", os.read(fd, 100), "it was not dealt with")
        assert_eq(b"b\n", os.pread(fd, 2, 0), "what it has given stands where it stood")
    # `join` has the same limits; one of its own may run out between any two calls.
    with opened(group("g/join"), os.O_RDWR) as join:
        os.write(join, b"topics=t max.poll.interval.ms=100\n")
        line(join)
        wait_until(lambda: not shares("g"))
        p = select.poll()
        p.register(join, select.POLLIN)
        assert p.poll(10000), "there is an errno to read"
        assert_errno("ESTALE", os.read, join, 1000)
        assert_eq([{"topic": "t", "partitions": [0, 1]}], line(join)["assignment"])

    # A hand-over that is owed.
    put("g/config", "rebalance.timeout.ms=300\n")
    append("t/1", b"d\n")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq([b"b\nc\n", b"d\n"], [os.read(fd, 100) for _ in range(2)])
        with opened(group("g/topics/t"), os.O_RDONLY) as other, \
                Child(os.read, other, 100) as second:
            assert_eq(b"d\n", second.result(), "what was not dealt with is the other's")
        assert_errno("ESTALE", os.read, fd, 100)

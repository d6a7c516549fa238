#!/usr/bin/env python3
# What a group does with partitions in which nothing was ever stored does not make their logs: a
# commit, lag, a seek, a member's reads; records that come are given, from where they must be.
from t import *

CNT = 3000


def logs():
    return sum(name.startswith("t-") for name in os.listdir(DATA))


with Broker():
    # The broker makes logs bit by bit; no more than that are there when the group has looked.
    make_topic("t", CNT)
    make_group("g")
    make_group("late", "auto.offset.reset=latest")
    make_group("none", "auto.offset.reset=none")
    put("g/commit", "".join(f"t {i} 0\n" for i in range(CNT)))
    put("g/seek", "t -5\n")
    for what in (b"t 2999 1\n", b"t 2998 3\n"):
        with opened(group("g/commit"), os.O_WRONLY) as fd:
            assert_errno("EINVAL", os.write, fd, what)
    assert_errno("EINVAL", put, "g/seek", "t 2999 1\n")
    assert_errno("EINVAL", put, "g/reject", "t 2999 0\n")
    assert_eq(CNT + 1, len(get("g/lag").splitlines()))
    assert_eq("t 2999 0 0 0 -", get("g/lag").splitlines()[-1])
    with opened(group("g/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as one, \
            opened(group("late/topics/t.json"), os.O_RDONLY | os.O_NONBLOCK) as two, \
            opened(group("none/topics/t.msg"), os.O_RDONLY | os.O_NONBLOCK) as three:
        for fd in one, two:
            assert_errno("EAGAIN", os.read, fd, 1000)
            assert_eq([], select.select([fd], [], [], 0)[0])
        put("g/seek", "t 2999 earliest\n")
        assert_errno("EAGAIN", os.read, one, 1000)
        assert logs() < CNT, "all logs were made"
        append("t/2999", b"one\n")
        for fd in one, two:
            assert_eq([fd], select.select([fd], [], [], 10)[0])
        assert_eq(b"one\n", os.read(one, 1000))
        assert_eq("one", json.loads(os.read(two, 1000))["value"])
        assert_errno("EAGAIN", os.read, one, 1000)
        assert_eq(1, committed("g", "t", 2999))
        # Whose position is asked for is told, as ever.
        assert_errno("ESTALE", os.read, three, 1000)

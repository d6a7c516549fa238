#!/usr/bin/env python3
# What a group asks of partitions that nobody has used since the start is right, however the broker
# stopped, and with many of them: lag, state, commits, seeks, where members begin, what they are
# given, when they are readable.
from t import *

CNT = 200


def reads(fd):
    """What is given until nothing is."""
    got = b""
    while True:
        try:
            got += os.read(fd, 100000)
        except BlockingIOError:
            return got


def is_readable(fd):
    return bool(select.select([fd], [], [], 0)[0])


broker = Broker()
make_topic("t", CNT)
for name, setting in (("all", ()), ("none", ("auto.offset.reset=none",)), ("sought", ()),
                      ("late0", ("auto.offset.reset=latest",)),
                      ("late1", ("auto.offset.reset=latest",)),
                      ("late2", ("auto.offset.reset=latest",))):
    make_group(name, *setting)
for i in range(CNT):
    append(f"t/{i}", b"one\ntwo\n")
put("all/commit", "".join(f"t {i} 2\n" for i in range(CNT)))
end = 2
# First nothing is synced, then all is, by a clean stop, and at last by one that a kill follows.
for turn, stop in enumerate((broker.kill, broker.stop, broker.kill)):
    stop()
    broker.start()
    late = os.open(group(f"late{turn}/topics/t"), os.O_RDONLY | os.O_NONBLOCK)
    every = os.open(group("all/topics/t"), os.O_RDONLY | os.O_NONBLOCK)
    assert_eq(b"", reads(late))
    assert_eq(b"", reads(every))
    wait_until(lambda: not is_readable(every) and not is_readable(late))
    append(f"t/{CNT - 1}", b"new\n")
    for fd in late, every:
        wait_until(lambda: is_readable(fd))
        assert_eq(b"new\n", reads(fd))
        os.close(fd)
    for i in range(CNT):
        assert_eq(end if i < CNT - 1 else end + turn + 1, committed(f"late{turn}", "t", i))
    lag = get("all/lag").splitlines()
    assert_eq(CNT + 1, len(lag))
    assert_eq("t 0 2 2 0 -", lag[1])
    assert_eq(f"t {CNT - 1} {end + turn + 1} {end + turn + 1} 0 -", lag[-1])
    stop()
    broker.start()
    with opened(group("sought/commit"), os.O_WRONLY) as fd:
        assert_errno("EINVAL", os.write, fd, b"t 0 1\nt 1 3\n")
    put("sought/commit", "".join(f"t {i} 1\n" for i in range(CNT)))
    assert_eq("t 5 1 2 1 -", get("sought/lag").splitlines()[6])
    for position, want in (("earliest", 0), ("latest", 2), ("-1", 1), ("1", 1)):
        put("sought/seek", f"t {position}\n")
        assert_eq(want, committed("sought", "t", 7))
        assert_eq(want, state("sought")["offsets"]["t"]["7"]["offset"])
    with opened(group("none/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        assert_errno("ESTALE", os.read, fd, 1000)
broker.stop()

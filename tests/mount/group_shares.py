#!/usr/bin/env python3
# Opening a group's stream joins, and closing it leaves: two that have it open share the partitions,
# and what one leaves the other goes on with, SIGKILL included. Each record is given once, in order.
from t import *

CNT = 300


def collect(pipe, name):
    """Copies each line of the stream into the pipe; a worker that never ends."""
    with open(group(name), "rb", buffering=0) as f:
        while True:
            os.write(pipe, f.read(1000))


def worker(name):
    ours, theirs = os.pipe()
    child = Child(collect, theirs, name)
    os.close(theirs)
    os.set_blocking(ours, False)
    return child, ours


def drain(pipes, want, limit_s=10):
    """Everything that comes through the pipes until there are so many lines."""
    got = [b""] * len(pipes)

    def enough():
        for i, pipe in enumerate(pipes):
            try:
                got[i] += os.read(pipe, 1 << 20)
            except BlockingIOError:
                pass
        return sum(g.count(b"\n") for g in got) >= want

    wait_until(enough, limit_s, f"{want} lines")
    return got


with Broker():
    make_topic("t", 4)
    make_group("g")
    assert_eq("Empty", state("g")["state"])
    one, one_pipe = worker("g/topics/t")
    with one:
        wait_until(lambda: shares("g"))
        assert_eq([{"t": [0, 1, 2, 3]}], list(shares("g").values()))
        wait_until(one.is_waiting)
        two, two_pipe = worker("g/topics/t")
        with two:
            wait_until(lambda: len(shares("g")) == 2 and state("g")["state"] == "Stable")
            assert_eq([[0, 1], [2, 3]], sorted(m["t"] for m in shares("g").values()))
            for i in range(CNT):
                for p in range(4):
                    append(f"t/{p}", b"%d %d\n" % (p, i))
            got = drain([one_pipe, two_pipe], 4 * CNT)
            for p in range(4):
                want = b"".join(b"%d %d\n" % (p, i) for i in range(CNT))
                for lines in got:
                    mine = b"".join(l for l in lines.splitlines(True) if l.startswith(b"%d " % p))
                    assert mine in (want, b""), f"partition {p} is not one member's, in order"
            # A read that is under way may not have come to the broker yet.
            wait_until(lambda: [committed("g", "t", p) for p in range(4)] == [CNT] * 4)
            two.kill()
            two.wait()
            for p in range(4):
                append(f"t/{p}", b"after %d\n" % p)
            assert_eq([b"after %d" % p for p in range(4)],
                      sorted(drain([one_pipe], 4)[0].splitlines()))
        wait_until(one.is_waiting)
        assert_eq([CNT + 1] * 4, [committed("g", "t", p) for p in range(4)])
    # Nobody is left, and who comes next goes on where the last one was.
    assert_eq({}, shares("g"))
    append("t/0", b"next\n")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"next\n", os.read(fd, 100))

    # A stream belongs to whoever inherited it: the group loses the member with the last of them.
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"next\n", os.read(fd, 100))
        with Child(os.read, fd, 100) as heir:
            wait_until(heir.is_waiting)
            os.close(os.dup(fd))
            assert_eq(1, len(shares("g")))
    assert_eq({}, shares("g"))

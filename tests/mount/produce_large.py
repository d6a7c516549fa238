#!/usr/bin/env python3
# One write of up to 1,044,480 bytes is atomic: its lines are consecutive records of one batch. The
# kernel splits longer ones: each piece is atomic, and a line cut by a split is still one record.
from t import *

ATOMIC = 1044480
WRITERS, ROUNDS = 4, 3


def block(number, turn, length):
    line = b"%d %d %s\n" % (number, turn, b"abcdefghij" * 9)
    what = line * (length // len(line))
    return what + b"y" * (length - len(what) - 1) + b"\n"


def write_blocks(number):
    with opened(topic("t/0"), os.O_WRONLY | os.O_APPEND) as fd:
        for turn in range(ROUNDS):
            assert_eq(ATOMIC, os.write(fd, block(number, turn, ATOMIC)))


def check_atomic():
    with open(topic("t/0"), "rb") as f:
        left = {(n, r) for n in range(WRITERS) for r in range(ROUNDS)}
        while piece := f.read(ATOMIC):
            number, turn = map(int, piece.split(b" ")[:2])
            assert piece == block(number, turn, ATOMIC), "a write was interleaved"
            left.remove((number, turn))
        assert_eq(set(), left)


with Broker() as broker:
    make_topic("t")
    children = [Child(write_blocks, n) for n in range(WRITERS)]
    with opened(topic("t/0@0"), os.O_RDONLY) as fd:
        seen = 0
        while seen < WRITERS * ROUNDS * ATOMIC:
            got = os.read(fd, 1 << 20)
            assert 0 < len(got) <= ATOMIC, len(got)
            seen += len(got)
            # Whoever looks sees whole writes only.
            assert_eq(0, os.stat(topic("t/0")).st_size % ATOMIC, "a part of a write is seen")
    for child in children:
        child.result(30)
    check_atomic()

    # A line that a split cuts, and a line as long as messages may be.
    make_topic("u")
    what = b"".join(b"%d %s\n" % (i, b"z" * (i * 7 % 5000)) for i in range(2500))
    assert len(what) > 5 * ATOMIC
    append("u/0", what)
    longest = b"m" * 1048588 + b"\n"
    append("u/0", longest)
    got = read("u/0")
    assert_eq(len(what) + len(longest), len(got))
    assert got == what + longest
    assert_eq(2501, len(read("u/0.json").splitlines()))
    with opened(topic("u/0"), os.O_WRONLY) as fd:
        assert_eq(len(what), os.writev(fd, [what[:1000], what[1000:]]), "writev")
    assert_eq(5001, len(read("u/0.json").splitlines()))
    broker.restart()
    check_atomic()
    assert read("u/0") == what + longest + what
    broker.stop()
    assert stored("u") == what + longest + what

#!/usr/bin/env python3
# 64 writers at once: no line is torn, all are there once, and each writer's stand in its order.
from t import *

WRITERS, LINES = 64, 150


def write_lines(number):
    kind = number % 4
    what = [b"%d %d %s\n" % (number, i, b"x" * (i * 37 % 900)) for i in range(LINES)]
    if kind == 0:  # One write a line, one open for all.
        with opened(topic("t/0"), os.O_WRONLY | os.O_APPEND) as fd:
            for line in what:
                assert_eq(len(line), os.write(fd, line))
    elif kind == 1:  # One open for each.
        for line in what:
            append("t/0", line)
    elif kind == 2:  # A line in two writes.
        with opened(topic("t/0"), os.O_WRONLY) as fd:
            for line in what:
                os.write(fd, line[:3])
                os.write(fd, line[3:])
    else:  # Blocks that end anywhere, as buffered stdio writes them.
        with open(topic("t/0"), "ab", buffering=4096) as f:
            for line in what:
                f.write(line)
    return number


with Broker() as broker:
    make_topic("t")
    children = [Child(write_lines, n) for n in range(WRITERS)]
    for child in children:
        child.result(30)
    lines = read("t/0").splitlines()
    assert_eq(WRITERS * LINES, len(lines))
    seen = [0] * WRITERS
    for line in lines:
        number, i, filler = line.split(b" ")
        assert_eq(seen[int(number)], int(i), f"order of writer {int(number)}")
        assert_eq(b"x" * (int(i) * 37 % 900), filler, "a torn line")
        seen[int(number)] += 1
    assert_eq([LINES] * WRITERS, seen)
    broker.stop()
    assert_eq(b"".join(line + b"\n" for line in lines), stored("t"))
    broker.start()
    assert_eq(b"".join(line + b"\n" for line in lines), read("t/0"))

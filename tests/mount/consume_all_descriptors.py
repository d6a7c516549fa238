#!/usr/bin/env python3
# However many partitions one request is about, it takes no more descriptors than there are: of a
# topic that has more partitions than the broker has descriptors, all is written, made stable, read
# and sought in.
from t import *

LIMIT, PARTS, TIME = 160, 300, 1770028200000


def line(part, k):
    return b'{"partition":%d,"timestamp":%d,"value":"%d"}\n' % (part, TIME + k, k)


def read_all(name):
    got = read(name).splitlines()
    return len(got), set(got)


def lines_of(name):
    with open(topic(name), "rb", buffering=0) as f:
        got = []
        while len(got) < PARTS:
            got += f.read(1 << 20).splitlines()
        return got


with Broker(under=("prlimit", f"--nofile={LIMIT}:{LIMIT}")) as broker:
    make_topic("t", PARTS)
    for k in range(2):
        with opened(topic("t/all.json"), os.O_WRONLY) as fd:
            what = b"".join(line(part, k) for part in range(PARTS))
            assert_eq(len(what), os.write(fd, what))
            os.fsync(fd)
    for _ in range(2):
        assert_eq((2 * PARTS, {b"0", b"1"}), read_all("t/all"))
        assert_eq((PARTS, {b"1"}), read_all(f"t/all@-{PARTS}.."))
        assert_eq((PARTS, {b"1"}), read_all(f"t/all@t{TIME + 1}.."))
        assert_eq((PARTS, {b"0"}), read_all(f"t/all@earliest..t{TIME + 1}"))
        assert_eq([b"1"] * PARTS, lines_of(f"t/all@t{TIME + 1}"))
        broker.restart()
    make_group("g")
    put("g/seek", "t -1\n")
    assert_eq(1, committed("g", "t", PARTS - 1))
    put("g/seek", f"t t{TIME}\n")
    assert_eq(0, committed("g", "t", PARTS - 1))

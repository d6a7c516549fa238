#!/usr/bin/env python3
# status has one line a partition: leader, epoch, replicas, in-sync set, offsets, sizes; and
# cluster/partitions the same lines of every topic.
from t import *

LINE = re.compile(r"partition=(\d+) leader=(\d+) epoch=(\d+) replicas=(\d+) isr=(\d+) elr= "
                  r"start=(\d+) end=(\d+) hw=(\d+) size=(\d+)")

with Broker("--node", "7"):
    make_topic("t", 3)
    append("t/1", b"one\ntwo\n")
    append("t/1", b"three\n")
    lines = read("t/status").decode().splitlines()
    assert_eq(3, len(lines))
    got = [LINE.fullmatch(line) for line in lines]
    assert all(got), lines
    assert_eq(["0", "1", "2"], [m[1] for m in got])
    for m in got:
        assert_eq(["7", "7", "7"], [m[2], m[4], m[5]], "leader, replicas, isr")
    assert_eq([("0", "0", "0"), ("0", "3", "3"), ("0", "0", "0")], [m.group(6, 7, 8) for m in got])
    size = sum(os.stat(f"{DATA}/t-1/{f}").st_size for f in os.listdir(DATA + "/t-1")
               if f.endswith(".data"))
    assert_eq(14, size)
    assert int(got[1][9]) >= size, "size counts .data and .meta"
    with open(MNT + "/cluster/partitions") as f:
        assert_eq(["topic=t " + line for line in lines], f.read().splitlines())
    assert_errno("EPERM", os.open, topic("t/status"), os.O_WRONLY)

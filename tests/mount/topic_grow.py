#!/usr/bin/env python3
# num.partitions only grows; new partitions are there at once, old ones keep what they hold, and a
# stream of `all` follows the new ones.
from t import *

with Broker("--set", "num.partitions=2") as broker:
    os.mkdir(topic("t"))
    assert_eq(["0", "1", "all", "by-key", "config", "status"], sorted(os.listdir(topic("t"))))
    append("t/1", b"one\n")
    assert_errno("ENOENT", os.stat, topic("t/2"))
    with opened(topic("t/all@latest"), os.O_RDONLY) as fd, Child(os.read, fd, 100) as reader:
        wait_until(reader.is_waiting)
        configure("t", "num.partitions=5")
        append("t/4", b"new\n")
        assert_eq(b"new\n", reader.result())
    assert_eq(["0", "1", "2", "3", "4"], sorted(os.listdir(topic("t")))[:5])
    for what in ("num.partitions=4", "num.partitions=1", "num.partitions="):
        assert_errno("EPERM", configure, "t", what)
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/config: .*partitions")
    configure("t", "num.partitions=5")
    configure("t", "num.partitions=40")
    assert_eq(40 + 4, len(os.listdir(topic("t"))))
    broker.restart()
    assert_eq(b"one\n", read("t/1"))
    assert_eq(b"new\n", read("t/4"))
    append("t/39", b"x\n")
    assert_errno("ENOENT", os.stat, topic("t/40"))
    assert_eq({"one", "new", "x"}, {r["value"] for r in records("t/all.json")})

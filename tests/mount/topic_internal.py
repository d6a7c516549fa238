#!/usr/bin/env python3
# Nobody writes to the topic in which the broker keeps its own state, by whatever name, and a start
# finds there what the broker wrote.
from t import *

STATE = "__consumer_offsets"

with Broker("--set", "offsets.topic.num.partitions=2") as broker:
    make_topic("t")
    append("t/0", b"x\n" * 10)
    make_group("g")
    put("g/commit", "t 0 5")
    before = sorted(read(f"{STATE}/all.json").splitlines())
    assert before
    for name in ("0", "1", "0.lines", "0.json", "0.msg", "all", "all.json", "all.msg",
                 "by-key/k"):
        for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND):
            assert_errno("EPERM", os.open, topic(f"{STATE}/{name}"), how)
    assert_errors_line(rf" EPERM uid=\d+ pid=\d+ topics/{STATE}/0\.json: .*nobody else writes")
    assert_errno("EPERM", append, STATE + "/config", b"retention.ms=1\n")
    assert_errno("EPERM", os.rmdir, topic(STATE))
    status, _ = run("for t in *; do echo careless >> $t/all; done", status=None)
    assert_eq(1, status)
    assert_eq(before, sorted(read(f"{STATE}/all.json").splitlines()))
    broker.restart()
    assert_eq(5, committed("g", "t"))
    assert_eq(before, sorted(read(f"{STATE}/all.json").splitlines()))

#!/usr/bin/env python3
# Who reads a little of each of many partitions does not hold the broker's descriptors: others write
# and read on, and the reader finds what it was given, also what retention has removed since.
import resource
from t import *

PARTS = 150


def limit(pid, count):
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, most))


def again(fd, line, at):
    return os.pread(fd, len(line), at)


allow_log("descriptor")
with Broker("--set", "log.retention.check.interval.ms=20",
            "--set", "offsets.topic.num.partitions=1") as broker:
    make_topic("t", PARTS)
    limit(broker.pid, 120)
    for part in range(PARTS):
        append(f"t/{part}", b"one of %d\ntwo of %d\n" % (part, part))
    make_group("g")
    with opened(group("g/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        given = b"".join(os.read(fd, 100) for _ in range(PARTS))
        lines = given.splitlines(True)
        assert_eq(2 * PARTS, len(lines))
        streams = [os.open(topic(f"t/{part}@0"), os.O_RDONLY) for part in range(PARTS)]
        for stream in streams:
            assert_eq(b"one of ", os.read(stream, 7))
        for part in range(PARTS):
            append(f"t/{part}", b"three\n")
        for line in lines:
            assert_eq(line, again(fd, line, given.index(line)))
        limit(broker.pid, 4096)
        configure("t", "retention.ms=1")
        wait_until(lambda: not read("t/7"), what="retention removes all of it")
        for line in lines:
            assert_eq(line, again(fd, line, given.index(line)), "what is gone")
        for stream in streams:
            assert_eq(b"one of ", again(stream, b"one of ", 0))
            os.close(stream)
    broker.restart()
    configure("t", "retention.ms=")
    append("t/7", b"again\n")
    assert_eq(b"again\n", read("t/7"))

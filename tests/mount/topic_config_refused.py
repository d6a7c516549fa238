#!/usr/bin/env python3
# A write to config is applied whole or not at all: one unknown name or bad value is EINVAL,
# changes nothing, and stands in errors as a sentence.
from t import *

REFUSED = [
    ("retention.m=5", r'unknown setting "retention.m"; settings are listed by cat config'),
    ("segment.bytes=ten", "segment.bytes"),
    ("segment.bytes=-5", "segment.bytes"),
    ("segment.bytes=99999999999", "segment.bytes"),
    ("retention.ms=5ms", "retention.ms"),
    ("retention.ms=99999999999999999999", "retention.ms"),
    ("acks=2", "acks"),
    ("acks=ALL ", "acks"),
    ("cleanup.policy=shred", "cleanup.policy"),
    ("cleanup.policy=compact", "cleanup.policy"),
    ("compression.type=zstd", "compression.type"),
    ("message.timestamp.type=Now", "message.timestamp.type"),
    ("num.partitions=0", "num.partitions"),
    ("num.partitions=70000", "num.partitions"),
    ("replication.factor=3", "replication.factor"),
    ("retention.ms", "."),
    ("=5", "."),
    ("just words", "."),
    ("retention.ms=5\0", "."),
]

with Broker():
    os.mkdir(topic("t"))
    before = read("t/config")
    for line, said in REFUSED:
        for text in (line, f"segment.bytes=5000\n{line}\nacks=0\n"):
            assert_errno("EINVAL", append, "t/config", text.encode())
            assert_eq(before, read("t/config"), f"config after {text!r}")
        assert_errors_line(rf" EINVAL uid=\d+ pid=\d+ topics/t/config: .*{said}")
    # Two writes are two changes.
    with opened(topic("t/config"), os.O_WRONLY) as fd:
        os.write(fd, b"segment.bytes=5000")
        assert_errno("EINVAL", os.write, fd, b"segment.bites=6000")
        os.write(fd, b"retention.ms=6000")
    assert b"segment.bytes=5000\n" in read("t/config"), read("t/config")
    assert b"retention.ms=6000\n" in read("t/config"), read("t/config")
    # A cp of a file with a bad line says so.
    status, _ = run("echo nonsense=1 | tee t/config", status=None)
    assert status, "tee saw the refusal"

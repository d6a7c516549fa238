#!/usr/bin/env python3
# Segments roll by size and by time, and retention removes by size and by time; defaults come from
# the broker's settings, and the last records are never removed by size.
from t import *


def segments(name, partition=0):
    return sorted(f for f in os.listdir(f"{DATA}/{name}-{partition}") if f.endswith(".data"))


def field(name, what):
    return int(re.search(rf"\b{what}=(\d+)", read(name + "/status").decode())[1])


with Broker("--set", "log.retention.check.interval.ms=20", "--set", "log.segment.bytes=4096",
            "--set", "log.retention.bytes=20000") as broker:
    os.mkdir(topic("size"))
    for i in range(600):
        append("size/0", b"%06d %s\n" % (i, b"s" * 100))
    wait_until(lambda: field("size", "size") < 20000 + 4096)
    names = segments("size")
    assert len(names) >= 3, names
    for name in names:
        assert re.fullmatch(r"\d{20}\.data", name), name
        base = name[:-5]
        size = sum(os.stat(f"{DATA}/size-0/{base}.{end}").st_size for end in ("data", "meta"))
        assert size <= 4096, f"{name} has {size} bytes"
    assert_eq(field("size", "start"), int(names[0][:20]))
    assert_eq(600, field("size", "end"))
    assert_eq(stored("size"), read("size/0"))
    assert_eq(b"%06d" % field("size", "start"), read("size/0")[:6])

    # By age: segment.ms rolls without a write too, and records of the past go first.
    make_topic("time", 1, "segment.ms=50", "retention.bytes=-1")
    append("time/0", b"one\n")
    append("time/0", b"two\n")

    def rolled():
        append("time/0", b"more\n")
        return len(segments("time")) >= 3

    wait_until(rolled)
    make_topic("old", 1, "retention.bytes=-1", "retention.ms=3600000")
    now = int(time.time() * 1000)
    append("old/0.json", b"".join(b'{"value":"%d","timestamp":%d}\n' % (i, now - 7200000 + i)
                                  for i in range(5)))
    wait_until(lambda: field("old", "start") == 5, what="expired records of the active segment go")
    append("old/0", b"young\n")
    assert_eq(b"young\n", read("old/0"))
    assert_eq(5, records("old/0.json")[0]["offset"])
    # An append larger than a segment has one of its own.
    make_topic("big", 1, "segment.bytes=1024", "retention.bytes=-1")
    for i in range(5):
        append("big/0", b"%s\n" % (b"%d" % i * 5000))
    assert_eq(5, len(segments("big")))
    assert_eq(stored("big"), read("big/0"))
    broker.restart()
    assert_eq(5, len(read("big/0").splitlines()))
    assert_eq(b"young\n", read("old/0"))

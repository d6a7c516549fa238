#!/usr/bin/env python3
# A seek by time in a topic of many partitions looks into each of them once, however many turns it
# takes to open their logs; and so does a write of many such lines. One that asks for more than a
# turn has time for is refused, whether it is prepared or not.
from t import *

PARTS, READS_EACH = 400, 25
LINES_MAX = (1 << 18) // PARTS


def reads(broker):
    with open(f"/proc/{broker.pid}/io") as f:
        return int(re.search(r"^syscr: (\d+)", f.read(), re.M)[1])


if os.geteuid():
    skip("only root is told what the broker reads")
with Broker() as broker:
    make_topic("t", PARTS, "retention.ms=-1")
    for k in (1, 2):
        append("t/all.json", b"".join(
            b'{"partition":%d,"timestamp":"2026-0%d-01T00:00:00Z","value":"x"}\n' % (p, k)
            for p in range(PARTS)))
    make_group("g")
    for what, offset in (("t 2026-01-15T00:00:00Z\n", 1), ("t -2\n", 0),
                         ("".join(f"t {p} 2026-01-15T00:00:00Z\n" for p in range(PARTS)), 1)):
        broker.restart()
        before = reads(broker)
        put("g/seek", what)
        read_cnt = reads(broker) - before
        assert_eq(PARTS * [offset], [committed("g", "t", p) for p in range(PARTS)])
        assert read_cnt < PARTS * READS_EACH, f"{read_cnt} reads for {PARTS} partitions"
    for what, offset in (("latest", 2), ("-2", 0)):
        put("g/seek", f"t {what}\n" * LINES_MAX)
        assert_eq(offset, committed("g", "t", PARTS - 1))
        assert_errno("EINVAL", put, "g/seek", "t 0 1\n" + f"t {what}\n" * (LINES_MAX + 1))
        assert_errors_line(" EINVAL .*seeks in at most 262144 partitions")
        assert_eq(offset, committed("g", "t", 0))

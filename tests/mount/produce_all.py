#!/usr/bin/env python3
# What is appended to `all` without keys spreads over the partitions, the lines of one write stay
# together and in order; JSON lines choose their partition, and a write is checked whole before
# any.
from t import *

with Broker():
    make_topic("t", 4)
    want = set()
    with opened(topic("t/all"), os.O_WRONLY) as fd:
        for i in range(200):
            lines = [b"%d-%d %s" % (i, j, b"x" * 200) for j in range(3)]
            os.write(fd, b"\n".join(lines) + b"\n")
            want.update(lines)
    parts = [read(f"t/{p}").splitlines() for p in range(4)]
    assert_eq(want, set(sum(parts, [])))
    assert_eq(600, sum(map(len, parts)))
    counts = [len(p) for p in parts]
    assert min(counts) >= 75 and max(counts) <= 225, f"not spread: {counts}"
    for part in parts:
        assert_eq(0, len(part) % 3, "one write went to two partitions")
        for i in range(0, len(part), 3):
            number = part[i].split(b"-")[0]
            assert_eq([b"%s-%d" % (number, j) for j in range(3)],
                      [line.split(b" ")[0] for line in part[i:i + 3]])
        order = [int(line.split(b"-")[0]) for line in part]
        assert_eq(sorted(order), order, "order within a partition")

    make_topic("u", 3)
    append("u/all.json", b"".join(b'{"partition":%d,"value":"%d"}\n' % (i % 3, i)
                                  for i in range(9)))
    assert_eq([b"0\n3\n6\n", b"1\n4\n7\n", b"2\n5\n8\n"], [read(f"u/{p}") for p in range(3)])
    for bad in (b'{"partition":3,"value":"x"}\n', b'{"value":5,"valeu":6}\n', b"\n", b"{\n"):
        good = b"".join(b'{"partition":%d,"value":"y"}\n' % p for p in range(3))
        assert_errno("EINVAL", append, "u/all.json", good + bad)
    configure("u", "max.message.bytes=10")
    assert_errno("EMSGSIZE", append, "u/all.json",
                 b'{"partition":0,"value":"y"}\n{"partition":1,"value":"%s"}\n' % (b"l" * 11))
    assert_eq([b"0\n3\n6\n", b"1\n4\n7\n", b"2\n5\n8\n"], [read(f"u/{p}") for p in range(3)])
    # One write of msg is one record, wherever it goes.
    with opened(topic("u/all.msg"), os.O_WRONLY) as fd:
        os.write(fd, b"a\nb\n")
    assert "a\nb\n" in [r["value"] for r in records("u/all.json")]

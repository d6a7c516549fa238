#!/usr/bin/env python3
# Streams and ranges begin, and ranges end, at every kind of position, in lines, json and msg
# alike; both ends of a range are fixed at open.
from t import *

with Broker():
    make_topic("t")
    # Records 0..9, one a second from 10:00:00 on.
    append("t/0.json", b"".join(b'{"value":"v%d","timestamp":"2026-02-02T10:00:%02dZ"}\n' % (i, i)
                                for i in range(10)))
    base_ms = json.loads(read("t/0.json").splitlines()[0])["timestamp"]
    assert_eq(1770026400000, base_ms)
    STARTS = {"earliest": 0, "latest": 10, "0": 0, "4": 4, "10": 10, "-1": 9, "-4": 6, "-10": 0,
              "-99": 0, "-0": 10, "2026-02-02T10:00:05Z": 5, "2026-02-02T10:00:04.001Z": 5,
              "2026-02-02T12:00:05+02:00": 5, "2026-02-02T09:00:00Z": 0,
              f"t{base_ms + 3000}": 3, f"t{base_ms + 2999}": 3, "t0": 0, f"t{base_ms + 60000}": 10,
              "2027-01-01T00:00:00Z": 10}
    ENDS = {"": 10, "latest": 10, "earliest": 0, "7": 7, "10": 10, "500": 10, "-2": 8, "-99": 0,
            "2026-02-02T10:00:06Z": 6, f"t{base_ms + 1}": 1, "2030-01-01T00:00:00Z": 10}

    def lines(first, end):
        return b"".join(b"v%d\n" % i for i in range(first, end))

    for start, first in STARTS.items():
        for stop, end in ENDS.items():
            assert_eq(lines(first, end), read(f"t/0@{start}..{stop}"), f"{start}..{stop}")
            assert_eq(lines(first, end), read(f"t/0@{start}..{stop}.lines"))
        got = [r["offset"] for r in records(f"t/0@{start}...json")]
        assert_eq(list(range(first, 10)), got, f"json from {start}")
        with opened(topic(f"t/0@{start}..8.msg"), os.O_RDONLY) as fd:
            got = list(iter(lambda fd=fd: os.read(fd, 100), b""))
        assert_eq([b"v%d" % i for i in range(first, 8)], got, f"msg from {start}")
        for suffix, cut in (("", 1), (".json", 1), (".msg", 0)):
            with opened(topic(f"t/0@{start}{suffix}"), os.O_RDONLY | os.O_NONBLOCK) as fd:
                assert_eq(0, os.fstat(fd).st_size, "st_size of a stream")
                if first == 10:
                    assert_errno("EAGAIN", os.read, fd, 1000)
                    continue
                got = os.read(fd, 10000)
                if suffix == ".json":
                    got = json.loads(got.splitlines()[0])["value"].encode()
                assert_eq(b"v%d" % first, got.split(b"\n")[0], f"stream at {start}{suffix}")

    with opened(topic("t/0@8.."), os.O_RDONLY) as lines_fd, \
            opened(topic("t/0@-1...json"), os.O_RDONLY) as json_fd, \
            opened(topic("t/all"), os.O_RDONLY) as all_fd:
        append("t/0", b"later\n")
        assert_eq(lines(8, 10), os.read(lines_fd, 1000), "fixed at open")
        assert_eq(b"", os.read(lines_fd, 1000), "ends in EOF")
        assert_eq("v9", json.loads(os.read(json_fd, 1000))["value"])
        assert_eq(b"", os.read(json_fd, 1000))
        assert_eq(lines(0, 10), os.read(all_fd, 1000))
        assert_eq(b"", os.read(all_fd, 1000))
    with opened(topic("t/0@latest"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        append("t/0", b"newest\n")
        assert_eq(b"newest\n", os.read(fd, 1000), "latest is fixed at open")

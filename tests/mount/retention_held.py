#!/usr/bin/env python3
# Segments that retention removed while several readers held one each are still given, also where
# one answer spans them and its reader lets the first go.
from t import *

LINE = b"record %05d " + b"." * 80 + b"\n"


def start():
    return int(re.search(r"\bstart=(\d+)", read("t/status").decode())[1])


with Broker("--set", "log.retention.check.interval.ms=20"):
    make_topic("t", 1, "segment.bytes=16384")
    append("t/0", b"first\n")  # a segment's batches are single lines, so that it rolls in time
    for i in range(1, 1000):
        append("t/0", LINE % i)
    bases = sorted(int(name[:20]) for name in os.listdir(f"{DATA}/t-0") if name.endswith(".data"))
    fds = [os.open(topic(f"t/0@{base}"), os.O_RDONLY) for base in bases[1:4]]
    for fd in fds:
        assert os.read(fd, 10)
    configure("t", "retention.bytes=20000")
    wait_until(lambda: start() > bases[4])
    got = os.read(fds[0], 40000)
    want = b"".join(LINE % i for i in range(bases[1], 1000))[10:]
    assert len(got) > 20000, len(got)
    assert_eq(want[:len(got)], got)

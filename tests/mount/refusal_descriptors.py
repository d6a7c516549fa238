#!/usr/bin/env python3
# With far fewer descriptors than partitions every partition is written and read all the same; with
# none left a request is EMFILE, nothing of it is stored, and it works again when there are some.
import resource
from t import *

PARTS = 300


def limit(pid, count):
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, most))


allow_log("descriptor|EMFILE|open files")
with Broker() as broker:
    make_topic("t", PARTS)
    limit(broker.pid, 160)
    for turn in range(2):
        for part in range(PARTS):
            append(f"t/{part}", b"%d %d\n" % (turn, part))
    for part in range(PARTS):
        assert_eq(b"0 %d\n1 %d\n" % (part, part), read(f"t/{part}"))
    # As many as are open now, and no more.
    append("t/0", b"open\n")
    used = len(os.listdir(f"/proc/{broker.pid}/fd"))
    refused, stored = 0, {}
    limit(broker.pid, 3)
    for part in range(1, PARTS):
        try:
            append(f"t/{part}", b"more\n")
            stored[part] = 1
        except OSError as e:
            assert e.errno in (errno.EMFILE, errno.ENFILE), e
            refused += 1
    assert refused, f"{used} descriptors were open, and all went on with 3"
    limit(broker.pid, 4096)
    for part in range(1, PARTS):
        wanted = b"0 %d\n1 %d\n" % (part, part) + b"more\n" * stored.get(part, 0)
        assert_eq(wanted, read(f"t/{part}"), f"partition {part}")
    append("t/7", b"again\n")
    assert read("t/7").endswith(b"again\n")
    broker.restart()
    assert read("t/7").endswith(b"again\n")

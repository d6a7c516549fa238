#!/usr/bin/env python3
# However few descriptors a broker is started with, some are left for the directories that are
# synced: it goes on, and each partition is written, made stable and read.
from t import *

LIMIT, PARTS, LEFT = 160, 200, 32

with Broker("--set", "journal.bytes=0", under=("prlimit", f"--nofile={LIMIT}:{LIMIT}")) as broker:
    make_topic("t", PARTS)
    most = 0
    for part in range(PARTS):
        append(f"t/{part}", b"%d\n" % part)
        most = max(most, len(os.listdir(f"/proc/{broker.pid}/fd")))
    assert LIMIT // 2 < most <= LIMIT - LEFT, f"{most} of {LIMIT} descriptors were taken"
    for part in range(PARTS):
        with opened(topic(f"t/{part}"), os.O_WRONLY) as fd:
            os.write(fd, b"stable\n")
            os.fsync(fd)
    for part in range(PARTS):
        assert_eq(b"%d\nstable\n" % part, read(f"t/{part}"))

#!/usr/bin/env python3
# A FUSE connection that is aborted ends the broker in order: what was accepted is there at the next
# start, which replaces the mount, and the stop counts as clean.
from t import *

expect_log("somebody unmounted it")
with Broker() as broker:
    make_topic("t")
    append("t/0", b"one\n")
    kept = os.open(topic("t/0"), os.O_WRONLY | os.O_APPEND)
    os.write(kept, b"two\ntail")
    reader = Child(os.read, os.open(topic("t/0@latest"), os.O_RDONLY), 10)
    wait_until(reader.is_waiting)
    if not os.listdir("/sys/fs/fuse/connections"):
        run("mount", "-t", "fusectl", "fusectl", "/sys/fs/fuse/connections")
    number = os.minor(os.stat(MNT).st_dev)
    with open(f"/sys/fs/fuse/connections/{number}/abort", "w") as f:
        f.write("1")
    assert_errno("ECONNABORTED", reader.result)
    assert_eq(0, broker.process.wait(10), "exit status of the broker")
    broker.process = None
    with contextlib.suppress(OSError):
        os.close(kept)
    assert os.path.exists(DATA + "/clean-shutdown")
    broker.start()
    assert_eq(b"one\ntwo\ntail\n", read("t/0"))
    append("t/0", b"three\n")
    assert_eq(b"one\ntwo\ntail\nthree\n", read("t/0"))

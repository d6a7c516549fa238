#!/usr/bin/env python3
# The log has one line an event in one form, none for a record, a bound on repeats, and obeys
# --log-level; no port is opened, and no file of the mount is held by the broker itself.
from t import *

LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (DEBUG|INFO|WARN|ERROR) \S.*?: \S.*")


def log():
    with open(LOG) as f:
        return f.read().splitlines()


def sockets(pid):
    found = []
    for fd in os.listdir(f"/proc/{pid}/fd"):
        with contextlib.suppress(OSError):
            where = os.readlink(f"/proc/{pid}/fd/{fd}")
            if where.startswith("socket:") or where.startswith(MNT):
                found.append(where)
    return found


with Broker() as broker:
    make_topic("t")
    lines = len(log())
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        for i in range(500):
            os.write(fd, b"record %d\n" % i)
        os.fsync(fd)
    read("t/0.json")
    for _ in range(500):
        assert_errno("EPERM", os.unlink, topic("t/0"))
    assert len(log()) - lines < 20, log()[lines:][:30]
    assert_eq([], sockets(broker.pid))
    for line in log():
        assert LINE.fullmatch(line), line
    assert_eq(1, sum(line.endswith(": ready") or ": ready " in line for line in log()))
    for i in range(50):
        os.mkdir(topic(f"x{i}"))
    broker.stop()
    assert all(LINE.fullmatch(line) for line in log())
    # Topics' names are told as they are; levels leave out what is below.
    before = len(log())
    broker.options = ("--log-level", "debug")
    broker.start()
    assert any(": ready" in line for line in log()[before:])
    broker.stop()

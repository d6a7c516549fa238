#!/usr/bin/env python3
# A record that a group's reader has begun is read to its end, whatever retention does meanwhile;
# only then the reader is told that it was overtaken.
from t import *

LINES = [b"%06d " % i + b"z" * (60 + i % 57) + b"\n" for i in range(4000)]
TEXT = b"".join(LINES)
LONG = 128 << 10


def fill(name, keyed):
    with opened(topic(name + ("/0.json" if keyed else "/0")), os.O_WRONLY) as fd:
        for at in range(0, len(LINES), 100):
            lines = LINES[at:at + 100]
            if keyed:
                lines = [b'{"key":"k","value":"%s"}\n' % line[:-1] for line in lines]
            os.write(fd, b"".join(lines))


def start(name):
    return int(re.search(r"start=(\d+)", read(name + "/status").decode())[1])


with Broker("--set", "log.retention.check.interval.ms=20"):
    for name, keyed in (("plain", False), ("keyed", True)):
        make_topic(name, 1, "segment.bytes=100000")
        fill(name, keyed)
        make_group(name)
        with opened(group(f"{name}/topics/{name}"), os.O_RDONLY | os.O_NONBLOCK) as fd:
            given = b""
            while not given or given.endswith(b"\n"):
                given += os.read(fd, LONG)
            assert_eq(TEXT[:len(given)], given)
            begun = given.count(b"\n")
            configure(name, "retention.bytes=1000")
            wait_until(lambda n=name, b=begun: start(n) > b + 1, what="what was begun is removed")
            # By pieces, too; and once more.
            at = len(given)
            given += os.read(fd, 7)
            while not given.endswith(b"\n"):
                given += os.read(fd, LONG)
            assert_eq(b"".join(LINES[:begun + 1]), given, "what was begun is finished")
            assert_eq(given[at:], os.pread(fd, LONG, at))
            assert_errno("ESTALE", os.read, fd, LONG)
            first = start(name)
            assert_eq(LINES[first], os.read(fd, LONG).splitlines(True)[0])

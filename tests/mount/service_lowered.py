#!/usr/bin/env python3
# A limit of descriptors that is lowered under a running broker, below what it has open, does not
# end it: it closes what is idle; where none is left at all, whoever needs one gets EMFILE, and
# nothing that was answered is lost.
import resource
from t import *

PARTS = 100


def set_limit(cnt):
    resource.prlimit(broker.pid, resource.RLIMIT_NOFILE, (cnt, limit[1]))


def write_all(what, may_fail):
    for part in range(PARTS):
        try:
            with opened(topic(f"t/{part}"), os.O_WRONLY) as fd:
                os.write(fd, what)
                written[part] += what
                os.fsync(fd)
        except OSError as e:
            assert may_fail and e.errno == errno.EMFILE, e


# A partition that the broker opens by itself then is opened by who uses it first.
allow_log("ERROR .*cannot be opened: EMFILE")
for journal in (0, 1 << 20):
    written = [b""] * PARTS
    with Broker("--set", f"journal.bytes={journal}") as broker:
        name = f"new{journal}"
        limit = resource.prlimit(broker.pid, resource.RLIMIT_NOFILE)
        make_topic("t", PARTS)
        write_all(b"first\n", False)
        set_limit(40)
        write_all(b"second\n", False)
        make_topic(name, 3)
        set_limit(3)
        write_all(b"third\n", True)
        # The first line makes the files of a segment.
        assert_errno("EMFILE", append, name + "/0", b"line\n")
        set_limit(limit[0])
        write_all(b"fourth\n", False)
        append(name + "/1", b"line\n")
        broker.restart()
        for number in range(PARTS):
            assert_eq(written[number], read(f"t/{number}"))
        os.rmdir(topic("t"))

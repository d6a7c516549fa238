#!/usr/bin/env python3
# A letter is an append like another where the disk's reserve or the in-sync set is concerned: it is
# refused, nothing is committed, and it goes on when the reason is gone.
from t import *

FULL = ("--set", "disk.reserve.bytes=9223372036854775807")


def poison(name):
    """What a worker meets that reads one record and dies."""
    with opened(group(name + "/topics/t"), os.O_RDONLY) as fd:
        return os.read(fd, 100)


def refuse(name, file, what):
    with opened(group(file), os.O_WRONLY) as fd:
        assert_errno(name, os.write, fd, what.encode())


with Broker() as broker:
    make_topic("t")
    append("t/0", b"one\ntwo\n")
    make_topic("letters")
    for name in ("g", "m"):
        make_group(name, "max.deliveries=1", "dlq=letters")
    assert_eq(b"one\n", poison("m"))

    configure("letters", "min.insync.replicas=2")
    refuse("EROFS", "g/reject", "t 0 0 bad\n")
    assert_errno("EROFS", poison, "m")
    assert_errors_line(r" EROFS .*groups/m/topics/t: .*min\.insync\.replicas")
    configure("letters", "min.insync.replicas=")

    broker.stop()
    broker.options = FULL
    broker.start()
    assert_errno("ENOSPC", append, "t/0", b"three\n")
    refuse("ENOSPC", "g/reject", "t 0 0 bad\n")
    assert_errno("ENOSPC", poison, "m")
    assert_errors_line(r" ENOSPC .*groups/g/reject: the disk reserve is reached")
    assert_eq(b"", read("letters/0"))
    assert_eq((None, None), (committed("g", "t"), committed("m", "t")))
    # The reserve is for this.
    put("g/commit", "t 0 1\n")
    put("g/seek", "t 0 0\n")

    broker.stop()
    broker.options = ()
    broker.start()
    put("g/reject", "t 0 0 bad\n")
    assert_eq(b"two\n", poison("m"))
    assert_eq(["bad", "delivered 1 times without a commit"],
              [r["headers"]["dlq.reason"] for r in records("letters/0.json")])
    assert_eq((1, 1), (committed("g", "t"), committed("m", "t")))

#!/usr/bin/env python3
# The begin of a line whose rest was refused waits for a repetition; where none comes, the last
# close or the end of the broker drops it and says so, though it could be stored by then: half a
# line is no record.
from t import *

OUT_OF_SYNC, IN_SYNC = "min.insync.replicas=2", "min.insync.replicas="
REST = {"t/0": (b"half", b" a line\n"), "t/0.json": (b'{"value":1}', b"\n"),
        "t/by-key/k": (b"half", b" a line\n"), "t/all": (b"half", b" a line\n")}


def refused(name, flags):
    """An open file that keeps the begin of a line, and was refused its rest."""
    begin, rest = REST[name]
    fd = os.open(topic(name), os.O_WRONLY | flags)
    assert_eq(len(begin), os.write(fd, begin))
    configure("t", OUT_OF_SYNC)
    assert_errno("EROFS", os.write, fd, rest)
    configure("t", IN_SYNC)
    return fd


with Broker() as broker:
    make_topic("t")
    append("t/0", b"one\n")
    for name in REST:
        for flags in (0, os.O_SYNC):
            fd = refused(name, flags)
            dropped = len(errors_lines(" EROFS .* dropped"))
            assert_errno("EROFS", os.close, fd)
            assert_eq(b"one\n", read("t/0"), name)
            assert_eq(dropped + 1, len(errors_lines(" EROFS .* dropped")), name)
    # Repeated, it is one record; what is written then ends as ever.
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        os.write(fd, b"ha")
        configure("t", OUT_OF_SYNC)
        assert_errno("EROFS", os.write, fd, b"lf\ntail")
        configure("t", IN_SYNC)
        os.write(fd, b"lf\ntail")
    assert_eq(b"one\nhalf\ntail\n", read("t/0"))
    # fsync asks for what was accepted.
    fd = refused("t/0", 0)
    os.fsync(fd)
    os.close(fd)
    assert_eq(b"one\nhalf\ntail\nhalf\n", read("t/0"))
    fd = refused("t/0", 0)
    broker.stop()
    assert_errno("ENOTCONN", os.close, fd)
    broker.start()
    assert_eq(b"one\nhalf\ntail\nhalf\n", read("t/0"))

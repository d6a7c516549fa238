#!/usr/bin/env python3
# A stream that retention overtook, or that asks for an offset it removed, gets ESTALE once, at a
# read, and goes on at the oldest record; a record half read is read to its end.
from t import *


def fill(count, first=0):
    for i in range(first, first + count):
        append("t/0", b"record %05d %s\n" % (i, b"." * 80))


def start():
    return int(re.search(r"\bstart=(\d+)", read("t/status").decode())[1])


with Broker("--set", "log.retention.check.interval.ms=20") as broker:
    make_topic("t", 1, "segment.bytes=2048")
    fill(300)
    views = ["0@0", "0@5.json", "0@0.msg", "all@earliest", "0@earliest.json", "0@7..",
             "0@0..9.json"]
    fds = {v: os.open(topic("t/" + v), os.O_RDONLY) for v in views}
    for view in ("0@0", "0@earliest.json", "0@7.."):
        assert os.read(fds[view], 50)
    plain = os.open(topic("t/0"), os.O_RDONLY)
    first = os.read(plain, 5)
    assert_eq(b"recor", first)
    configure("t", "retention.bytes=10000")
    wait_until(lambda: start() > 150)
    configure("t", "retention.bytes=-1")
    oldest = start()
    want = b"record %05d " % oldest

    # Half a record was given by the plain file and the lines streams: its end is still there.
    assert_eq(b"d 00000 " + b"." * 80 + b"\n", os.read(plain, 89))
    assert_eq(b"", os.pread(plain, 0, 0))
    rest = os.read(fds["0@0"], 44)
    assert_eq(b"." * 43 + b"\n", rest, "the rest of a record half read")
    assert_eq(b"." * 43 + b"\n", os.read(fds["0@7.."], 44))
    for view, fd in fds.items():
        got = b""
        stale = 0
        for _ in range(4000):
            try:
                got = os.read(fd, 100000)
            except OSError as e:
                assert_eq(errno.ESTALE, e.errno, view)
                stale += 1
                continue
            if not got or want in got or b'"offset":%d' % oldest in got:
                break
        assert_eq(1, stale, f"{view}: ESTALE once")
        if view != "0@0..9.json":
            assert want in got, (view, got[:100])
        os.close(fd)
    os.close(plain)
    assert_errors_line(r" ESTALE uid=\d+ pid=\d+ topics/t/0@0: .*retention")

    # An offset that is gone: at the read, never at the open.
    for view in ("0@0", "0@3.json", "0@1.msg", "0@2.."):
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            assert_errno("ESTALE", os.read, fd, 100000)
            got = os.read(fd, 100000)
            assert want in got, (view, got[:100])
    # What is relative to now is never stale.
    for view in ("0@earliest", "0@-1000", "all@earliest", "0@t0", "0", "0.json", "all"):
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            assert want in os.read(fd, 100000), view
    # A waiting reader is not disturbed when all before it goes.
    configure("t", "retention.ms=1")
    with opened(topic("t/0@latest"), os.O_RDONLY) as fd, Child(os.read, fd, 100) as child:
        wait_until(child.is_waiting)
        wait_until(lambda: start() == 300)
        configure("t", "retention.ms=-1")
        append("t/0", b"new\n")
        assert_eq(b"new\n", child.result())
    assert_eq(b"new\n", read("t/0"))
    assert_eq([300], [r["offset"] for r in records("t/0.json")])

#!/usr/bin/env python3
# A stream waits at its end, and for an offset or a time that is not written yet, in every format.
from t import *

with Broker():
    make_topic("t", 2)
    append("t/0", b"zero\n")
    waiting = {}
    ahead = int(time.time() * 1000) + 3_600_000
    for view, want in (("0@latest", b"one\n"), ("0@1", b"one\n"), ("0@3", b"three\n"),
                       ("0@3.msg", b"three"), ("all@latest", b"one\n"), ("0@latest.msg", b"one"),
                       (f"0@t{ahead}", b"three\n"), (f"0@t{ahead}.msg", b"three"),
                       (f"all@t{ahead}", b"three\n"), ("0@-0", b"one\n")):
        fd = os.open(topic("t/" + view), os.O_RDONLY)
        waiting[view] = (want, fd, Child(os.read, fd, 100))
    for _, _, child in waiting.values():
        wait_until(child.is_waiting)
    append("t/0", b"one\n")
    for view in ("0@latest", "0@1", "all@latest", "0@latest.msg", "0@-0"):
        want, fd, child = waiting.pop(view)
        assert_eq(want, child.result(), view)
        os.close(fd)
    append("t/0", b"two\n")
    for _, _, child in waiting.values():
        assert child.is_waiting(), "woken too early"
    append("t/0.json", b'{"value":"three","timestamp":%d}\n' % (ahead + 5))
    for view, (want, fd, child) in waiting.items():
        assert_eq(want, child.result(), view)
        os.close(fd)
    # One wait after the other on one descriptor.
    with opened(topic("t/1@0"), os.O_RDONLY) as fd:
        for i in range(20):
            with Child(os.read, fd, 100) as child:
                wait_until(child.is_waiting)
                append("t/1", b"%d\n" % i)
                assert_eq(b"%d\n" % i, child.result())
    # Many lines that come at once are one read; a stream gives at most 1,044,480 bytes.
    with opened(topic("t/1@latest"), os.O_RDONLY) as fd:
        append("t/1", b"a\nb\nc\n")
        assert_eq(b"a\nb\nc\n", os.read(fd, 100))
        with opened(topic("t/1"), os.O_WRONLY) as out:
            os.write(out, b"%s\n" % (b"x" * 999999))
            os.write(out, b"%s\n" % (b"y" * 999999))
        got = os.readv(fd, [bytearray(4 << 20)])
        assert 0 < got <= 1044480, got

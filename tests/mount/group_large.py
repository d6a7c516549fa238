#!/usr/bin/env python3
# A record that is longer than an answer is given in parts, and is finished whatever happens to its
# partition meanwhile; what an answer gives is whole records, but where `cat` reads one partition.
from t import *

BIG = b"<" + b"b" * 700000 + b">\n"

with Broker("--set", "log.retention.check.interval.ms=20"):
    make_topic("t", 2, "max.message.bytes=10000000")
    append("t/0", b"first\n" + BIG + b"last\n")
    make_group("g")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"first\n", os.read(fd, 1000))
        part = os.read(fd, 1000)
        assert_eq(BIG[:1000], part)
        assert_eq(1, committed("g", "t"))
        # Others' records wait until it is done.
        append("t/1", b"other\n")
        with opened(group("g/topics/t"), os.O_RDONLY) as second:
            # Now one of the two goes to the second; the record that was begun is not its own yet.
            with Child(os.read, second, 1000) as child:
                part += os.read(fd, 100000)
                while len(part) < len(BIG):
                    part += os.read(fd, 100000)
                assert_eq(BIG, part)
                assert_eq(1, committed("g", "t"))
                os.set_blocking(fd, False)
                got = []
                while True:
                    try:
                        got.append(os.read(fd, 1000))
                    except BlockingIOError:
                        break
                got.append(child.result())
                assert_eq([b"last\n", b"other\n"], sorted(got))
        assert committed("g", "t") >= 2
        # It can be read again from anywhere.
        assert_eq(BIG[500:600], os.pread(fd, 100, 506))
    # A topic of large batches, read by pieces of all sizes.
    make_topic("many")
    lines = [b"%d " % i + b"x" * (i * 37 % 300) + b"\n" for i in range(20000)]
    text = b"".join(lines)
    with opened(topic("many/0"), os.O_WRONLY) as fd:
        for at in range(0, len(text), 900000):
            os.write(fd, text[at:at + 900000])
    for size in (1, 77, 4096, 65536, 131072, 1 << 20):
        make_group(f"m{size}")
        got = b""
        with opened(group(f"m{size}/topics/many"), os.O_RDONLY) as fd:
            while len(got) < (len(text) - 300 if size > 77 else 20000):
                more = os.read(fd, size)
                if size >= 4096 and size != 131072:
                    assert more.endswith(b"\n"), f"{size}: {more[-20:]}"
                got += more
        assert_eq(text[:len(got)], got, str(size))

    # Retention is faster than the reader: ESTALE once, and on at the oldest record.
    make_topic("old", 1, "segment.bytes=4096", "retention.bytes=8192")
    make_group("old")
    with opened(group("old/topics/old"), os.O_RDONLY) as fd:
        append("old/0", b"begin\n")
        assert_eq(b"begin\n", os.read(fd, 100))
        for i in range(400):
            append("old/0", b"%04d" % i + b"." * 95 + b"\n")
        wait_until(lambda: int(re.search(r"start=(\d+)", read("old/status").decode())[1]) > 1, 30)
        configure("old", "retention.bytes=-1")
        assert_errno("ESTALE", os.read, fd, 1000)
        start = int(re.search(r"start=(\d+)", read("old/status").decode())[1])
        assert int(os.read(fd, 1000)[:4]) >= start - 1
        assert_eq(b"begin\n", os.pread(fd, 6, 0), "what was given can be read again")

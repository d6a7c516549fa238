#!/usr/bin/env python3
# commit=next-read commits what ends at or before the position that is read at, to the record;
# on-read commits what a read gives with it; manual commits nothing.
from t import *

with Broker():
    make_topic("t")
    append("t/0", b"".join(b"%02d\n" % i for i in range(20)))
    make_group("next")
    with opened(group("next/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"00\n01\n02\n", os.read(fd, 9))
        assert_eq(None, committed("next", "t"))
        assert_eq(b"03\n", os.read(fd, 5), "whole records only")
        assert_eq(3, committed("next", "t"))
        assert_eq(b"04\n05\n06\n", os.read(fd, 9))
        # A position inside of what was given: the records before it are dealt with, and no more.
        for pos, want in ((13, 4), (14, 4), (15, 5), (17, 5), (18, 6), (6, 6), (21, 7)):
            os.pread(fd, 3, pos)
            assert_eq(want, committed("next", "t"), f"read at {pos}")
    # Closing is not reading.
    assert_eq(7, committed("next", "t"))
    with opened(group("next/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"07\n", os.read(fd, 3))
    assert_eq(7, committed("next", "t"))

    make_group("on-read", "commit=on-read")
    with opened(group("on-read/topics/t"), os.O_RDONLY) as fd:
        os.read(fd, 9)
        assert_eq(3, committed("on-read", "t"))
    with opened(group("on-read/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"03\n", os.read(fd, 3))
        assert_eq(4, committed("on-read", "t"))
        assert_eq(b"03\n", os.pread(fd, 3, 0))
        assert_eq(4, committed("on-read", "t"))

    make_group("manual", "commit=manual")
    with opened(group("manual/topics/t"), os.O_RDONLY) as fd:
        os.read(fd, 9)
        os.read(fd, 9)
        assert_eq(None, committed("manual", "t"))
        put("manual/commit", "t 0 2\n")
        assert_eq(2, committed("manual", "t"))
    with opened(group("manual/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"02\n", os.read(fd, 3))

    # A mode that is set while members read holds from their next read on.
    put("manual/config", "commit=next-read\n")
    with opened(group("manual/topics/t"), os.O_RDONLY) as fd:
        os.read(fd, 3)
        os.read(fd, 3)
        assert_eq(3, committed("manual", "t"))

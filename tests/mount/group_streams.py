#!/usr/bin/env python3
# A process with several streams of a group is several members: a line of it counts as that of the
# one that holds the partition.
from t import *


def refuse(name, file, what):
    with opened(group(file), os.O_WRONLY) as fd:
        assert_errno(name, os.write, fd, what.encode())


with Broker() as broker:
    make_topic("t", 2)
    make_topic("u")
    for name in ("t/0", "t/1", "u/0"):
        append(name, b"x\n" * 10)
    make_group("g", "commit=manual")
    with opened(group("g/topics/t"), os.O_RDONLY) as first, \
            opened(group("g/topics/u"), os.O_RDONLY) as other, \
            opened(group("g/topics/t"), os.O_RDONLY) as second:
        for fd in (first, other, second):
            assert_eq(b"x\n", os.read(fd, 2))
        assert_eq([{"t": [0]}, {"t": [1]}, {"u": [0]}],
                  sorted(shares("g").values(), key=str), "each has something")
        # All of them in one write, and each alone; back, too.
        put("g/commit", "t 0 7\nt 1 8\nu 0 9\n")
        assert_eq([7, 8, 9], [committed("g", "t", 0), committed("g", "t", 1), committed("g", "u")])
        for line in ("t 0 1", "u 0 1", "t 1 1"):
            put("g/commit", line)
        assert_eq([1, 1, 1], [committed("g", "t", 0), committed("g", "t", 1), committed("g", "u")])

        put("g/seek", "t 4\nu 0 5")
        assert_eq(b"x\n" * 6, os.read(first, 100))
        assert_eq(b"x\n" * 6, os.read(second, 100))
        assert_eq(b"x\n" * 5, os.read(other, 100))

        for line in ("t 0 6", "u 0 6", "t 1 6"):
            put("g/reject", line)
        assert_eq(3, len(records("g.dlq/all.json")))
        assert_eq([7, 7, 7], [committed("g", "t", 0), committed("g", "t", 1), committed("g", "u")])

        # Others stay others.
        with Child(put, "g/commit", "t 0 2\n") as child:
            assert_errno("ESTALE", child.result)
        with Child(put, "g/seek", "u 0 0\n") as child:
            assert_errno("EBUSY", child.result)
    with opened(group("g/topics/t"), os.O_RDONLY), opened(group("g/join"), os.O_RDWR) as join:
        os.write(join, b"topics=u")
        # join has its partition by words, or as anybody; in seek it is a member as others.
        refuse("ESTALE", "g/commit", "u 0 3")
        put("g/seek", "u 0 3")
        put("g/seek", "t 0")
        assert_eq([0, 0, 3], [committed("g", "t", 0), committed("g", "t", 1), committed("g", "u")])

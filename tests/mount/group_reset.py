#!/usr/bin/env python3
# Where nothing is committed, auto.offset.reset says where a member begins: at the oldest record, at
# the end (which is committed at once), or with ESTALE.
from t import *

with Broker():
    make_topic("t")
    append("t/0", b"old\n")
    make_group("earliest")
    with opened(group("earliest/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"old\n", os.read(fd, 100))

    make_group("latest", "auto.offset.reset=latest")
    with opened(group("latest/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        assert_errno("EAGAIN", os.read, fd, 100)
        assert_eq(1, committed("latest", "t"))
    append("t/0", b"new\n")
    with opened(group("latest/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        assert_eq(b"new\n", os.read(fd, 100), "it was resolved once, and before the record")

    # The end is that of the moment when the member was given the partition, not of its first read:
    # what is written while it is busy with another partition is not passed over in silence.
    make_topic("u")
    make_group("begin", "auto.offset.reset=latest", "max.poll.records=1")
    with opened(group("begin/topics/u"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        append("u/0", b"1\n2\n3\n")
        assert_eq(b"1\n", os.read(fd, 100), "written behind the open")
        configure("u", "num.partitions=2")
        append("u/1", b"new partition\n")
        assert_eq([b"2\n", b"3\n", b"new partition\n"],
                  sorted(os.read(fd, 100) for _ in range(3)))
    with opened(group("begin/topics/later"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        make_topic("later")
        append("later/0", b"new topic\n")
        assert_eq(b"new topic\n", os.read(fd, 100))
    with opened(group("begin/join"), os.O_RDWR) as fd:
        make_topic("joined")
        append("joined/0", b"old\n")
        os.write(fd, b"topics=joined\n")
        os.read(fd, 1000)
        append("joined/0", b"new\n")
        assert_eq(1, committed("begin", "joined"))

    make_group("none", "auto.offset.reset=none")
    with opened(group("none/topics/t"), os.O_RDONLY) as fd:
        assert_errno("ESTALE", os.read, fd, 100)
        assert_eq(b"old\nnew\n", os.read(fd, 100))
    put("none/commit", "t 0 1\n")
    with opened(group("none/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"new\n", os.read(fd, 100), "a commit is a position")

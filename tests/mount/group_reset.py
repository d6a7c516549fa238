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

    make_group("none", "auto.offset.reset=none")
    with opened(group("none/topics/t"), os.O_RDONLY) as fd:
        assert_errno("ESTALE", os.read, fd, 100)
        assert_eq(b"old\nnew\n", os.read(fd, 100))
    put("none/commit", "t 0 1\n")
    with opened(group("none/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"new\n", os.read(fd, 100), "a commit is a position")

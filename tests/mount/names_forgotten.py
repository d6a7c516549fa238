#!/usr/bin/env python3
# The kernel keeps names that nobody has open, also those below a directory that was deleted, until
# it is short of memory: the broker does not wait for that.
from t import *

IDLE_MAX = 16384  # IDLE_NODES_MAX


def look_up(first, cnt):
    for i in range(first, first + cnt):
        os.stat(topic(f"t/0@{i}.."))


def delete_open(cnt):
    """What is open when its topic is deleted."""
    for _ in range(cnt):
        make_topic("gone", 200)
        with opened(topic("gone/7"), os.O_RDONLY) as fd:
            os.rmdir(topic("gone"))
            assert_errno("ESTALE", os.read, fd, 100)


def assert_flat(call, *args, most_kib):
    before = broker.rss_kib()
    call(*args)
    grown = broker.rss_kib() - before
    assert grown < most_kib or broker.keeps_what_is_freed(), f"{call.__name__} takes {grown} KiB"


with Broker() as broker:
    make_topic("t")
    append("t/0", b"one\ntwo\n")
    with opened(topic("t/0@1.."), os.O_RDONLY) as fd, opened(topic("t/0"), os.O_RDONLY) as plain:
        by_path = os.open(topic("t/0@0.."), os.O_PATH)
        look_up(2, IDLE_MAX)
        assert_flat(look_up, 2 + IDLE_MAX, 2 * IDLE_MAX, most_kib=1024)
        # What is open is not forgotten.
        os.fstat(fd), os.fstat(plain)
        assert_eq(b"two\n", os.read(fd, 100))
        assert_eq(b"one\ntwo\n", os.read(plain, 100))
        # What is not is looked up again, by who has its name.
        assert_errno("ESTALE", os.fstat, by_path)
        os.close(by_path)
        assert_eq(b"one\ntwo\n", read("t/0@0.."))
    delete_open(50)
    assert_flat(delete_open, 100, most_kib=1024)

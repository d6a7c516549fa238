#!/usr/bin/env python3
# A read of `all` that has much to look for gives way to others, and still gives exactly the last N
# of all together by timestamp, and merges what lies in more partitions than are decoded at a time.
from t import *

MANY = 60000


def first_bytes():
    with opened(topic(f"t/all@-{MANY}"), os.O_RDONLY) as fd:
        return os.read(fd, 10)


def turns_beside():
    """How many requests of ours were answered while another's long one was under way."""
    turns = 0
    with Child(first_bytes) as child:
        while not select.select([child.pipe], [], [], 0)[0]:
            turns += child.is_waiting()
        got = child.result()
    assert got.strip().isdigit(), got
    return turns


with Broker():
    # One record a batch, which is what costs most to walk over.
    make_topic("t", 3)
    files = [os.open(topic(f"t/{p}.msg"), os.O_WRONLY) for p in range(3)]
    for i in range(MANY + 1000):
        os.write(files[i * i % 3], b"%09d" % i)
    # Others may have the processor meanwhile; one look of many is enough.
    wait_until(lambda: turns_beside() > 10, 20, "requests are answered beside a long one")
    # The same N by what the records say. Of equal times the higher partition is later.
    everything = sorted((r["timestamp"], r["partition"], r["offset"], r["value"])
                        for r in records("t/all.json"))
    assert_eq(MANY + 1000, len(everything))
    for n in (1, 2, 777, MANY):
        got = sorted((r["timestamp"], r["partition"], r["offset"], r["value"])
                     for r in records(f"t/all@-{n}...json"))
        assert_eq(everything[-n:], got, f"the last {n}")
        rest = read(f"t/all@earliest..-{n}").splitlines()
        assert_eq(MANY + 1000 - n, len(rest), f"all but the last {n}")
    assert_eq(5, len(read("t/all@-12..-7").splitlines()))

    # Times that take turns over 50 partitions, each written in one batch.
    make_topic("turns", 50)
    now = int(time.time() * 1000)
    for p in range(50):
        append(f"turns/{p}.json", b"".join(
            b'{"timestamp":%d,"value":"%d"}\n' % (now - 20000 + i * 50 + p, i * 50 + p)
            for i in range(200)))
    assert_eq(b"".join(b"%d\n" % i for i in range(10000)), read("turns/all"))
    assert_eq(b"".join(b"%d\n" % i for i in range(10000 - 777, 10000)), read("turns/all@-777.."))

#!/usr/bin/env python3
# A stream may be opened before its topic exists; topics that come, grow and go rebalance who
# subscribes to them, by name and by pattern.
from t import *


def held(fd):
    return {a["topic"]: a["partitions"] for a in json.loads(os.read(fd, 10000))["assignment"]}


with Broker():
    make_group("g")
    with opened(group("g/topics/later"), os.O_RDONLY) as fd:
        with Child(os.read, fd, 100) as reader:
            wait_until(reader.is_waiting)
            assert_eq([{}], list(shares("g").values()))
            make_topic("later", 1)
            append("later/0", b"one\n")
            assert_eq(b"one\n", reader.result())
        # Growth.
        with Child(os.read, fd, 100) as reader:
            wait_until(reader.is_waiting)
            configure("later", "num.partitions=3")
            append("later/2", b"two\n")
            assert_eq(b"two\n", reader.result())
        assert_eq([{"later": [0, 1, 2]}], list(shares("g").values()))
        assert_eq(1, committed("g", "later", 0))
        # Deletion: ESTALE once, then it waits for a topic of that name, which is another one.
        with Child(os.read, fd, 100) as reader:
            wait_until(reader.is_waiting)
            os.rmdir(topic("later"))
            assert_errno("ESTALE", reader.result)
        assert_eq({}, state("g")["offsets"], "committed offsets die with their topic")
        with Child(os.read, fd, 100) as reader:
            wait_until(reader.is_waiting)
            make_topic("later", 1)
            append("later/0", b"anew\n")
            assert_eq(b"anew\n", reader.result())
        # In the middle of a record: still once.
        append("later/0", b"cut in two\n")
        assert_eq(b"cut", os.read(fd, 3))
        os.rmdir(topic("later"))
        assert_errno("ESTALE", os.read, fd, 100)
        make_topic("later", 1)
        append("later/0", b"whole\n")
        assert_eq(b"whole\n", os.read(fd, 100))

    # Old bytes of it too, in each format, and an open file of its offsets is not the new topic's.
    for name in ("gone", "gone.json", "gone.msg"):
        make_topic("gone")
        append("gone/0", b"one\ntwo\n")
        with opened(group("g/topics/" + name), os.O_RDONLY) as fd, \
                opened(group("g/offsets/gone/0"), os.O_WRONLY) as offsets:
            got = os.read(fd, 1000)
            assert_eq(got, os.pread(fd, 1000, 0))
            os.rmdir(topic("gone"))
            assert_errno("ESTALE", os.pread, fd, 1000, 0)
            assert_errno("ESTALE", os.pread, fd, 1000, 0)
            make_topic("gone")
            append("gone/0", b"one\ntwo\n")
            assert_errno("ESTALE", os.pread, fd, 1000, 0)
            assert_errno("ESTALE", os.write, offsets, b"1\n")
            assert_eq(None, committed("g", "gone"))
            assert_errno("ESTALE", os.read, fd, 1000)
            assert b"one" in os.read(fd, 1000)
        os.rmdir(topic("gone"))

    make_topic("logs.a")
    make_topic("other")
    with opened(group("g/join"), os.O_RDWR) as fd:
        os.write(fd, b"pattern=^logs[.].*\n")
        assert_eq({"logs.a": [0]}, held(fd))
        make_topic("logs.b", 1)
        assert_eq({"logs.a": [0], "logs.b": [0]}, held(fd))
        configure("logs.b", "num.partitions=2")
        assert_eq({"logs.a": [0], "logs.b": [0, 1]}, held(fd))
        os.rmdir(topic("logs.a"))
        assert_eq({"logs.b": [0, 1]}, held(fd))
        p = select.poll()
        p.register(fd, select.POLLIN)
        os.rmdir(topic("other"))
        assert_eq([], p.poll(0))
    assert_eq(["logs.b"], [n for n in os.listdir(topic("")) if n.startswith("logs")])

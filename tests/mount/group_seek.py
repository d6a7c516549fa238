#!/usr/bin/env python3
# `seek` takes every position; a group with members refuses it, but to the member that owns the
# partition, whose next read gives records from there.
from t import *


def refuse(name, what, file="g/seek"):
    with opened(group(file), os.O_WRONLY) as fd:
        assert_errno(name, os.write, fd, what.encode())


def write(path, what):
    with opened(path, os.O_WRONLY) as fd:
        return os.write(fd, what)


with Broker():
    make_topic("t", 2)
    now = int(time.time() * 1000)
    for p in range(2):
        append(f"t/{p}.json", b"".join(b'{"timestamp":%d,"value":"%02d"}\n' %
                                       (now - 20000 + i * 1000, i)
                                       for i in range(20)))
    make_group("g")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime((now - 10000) // 1000)) + \
        ".%03dZ" % ((now - 10000) % 1000)
    for position, want in (("latest", 20), ("earliest", 0), ("7", 7), ("-3", 17), ("-100", 0),
                           (f"t{now - 15000}", 5), (stamp, 10), (f"t{now + 100000}", 20)):
        put("g/seek", f"t {position}\n")
        assert_eq([want, want], [committed("g", "t", p) for p in range(2)], position)
    put("g/seek", "t 1 3\nt 0 4\n")
    assert_eq([4, 3], [committed("g", "t", p) for p in range(2)])
    for name, what in (("EINVAL", "t 0 sometime"), ("EINVAL", "t"), ("ENOENT", "t 2 latest"),
                       ("ENOENT", "none earliest"), ("EINVAL", "t 0 7 8"), ("EINVAL", "t 21")):
        refuse(name, what)
    assert_eq([4, 3], [committed("g", "t", p) for p in range(2)])

    # Its owner, in the middle of its stream.
    put("g/seek", "t earliest\n")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        with Child(write, group("g/seek"), b"t latest\n") as other:
            assert_errno("EBUSY", other.result)
        first = os.read(fd, 9)
        assert_eq(b"00\n01\n02\n", first)
        second = os.read(fd, 9)
        assert_eq(b"00\n01\n02\n", second)
        # What was read of partition 0 or 1 before the seek commits nothing afterwards.
        put("g/seek", "t 1 15\n")
        got = b""
        os.set_blocking(fd, False)
        while True:
            try:
                got += os.read(fd, 1000)
            except BlockingIOError:
                break
        assert_eq(sorted(b"%02d" % i for i in [*range(3, 20), *range(15, 20)]),
                  sorted(got.split()))
        assert_eq([20, 20], [committed("g", "t", p) for p in range(2)])
        # Backwards, with unread bytes of the window: they are void; other partitions' come again.
        put("g/seek", "t 0 18\n")
        assert_eq(b"18\n19\n", os.read(fd, 1000))
        assert_errno("EAGAIN", os.read, fd, 1000)
    make_group("one")
    with opened(group("one/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"00\n01\n02\n03\n", os.read(fd, 12))
        put("one/seek", "t 0 10\nt 1 12\n")
        assert_eq(3, len(os.pread(fd, 3, 6)))
        os.lseek(fd, 9, os.SEEK_SET)
        got = sorted(os.read(fd, 3) for _ in range(2))
        assert got[0][:2] in (b"10", b"11", b"12", b"13"), got
        assert_errno("ESPIPE", os.pread, fd, 3, 100)
    # What was given before commits nothing: who stops after the next read has dealt with nothing.
    make_topic("single")
    append("single/0", b"".join(b"%02d\n" % i for i in range(20)))
    for format_name in ("", ".json", ".msg"):
        make_group("void")
        with opened(group("void/topics/single" + format_name), os.O_RDONLY) as fd:
            os.read(fd, 300)
            put("void/seek", "single 0 1\n")
            assert b"01" in os.read(fd, 300), format_name
            assert_eq(1, committed("void", "single"), format_name)
        os.rmdir(group("void"))
    # By timestamp or count relative to a group that reads json.
    make_group("json")
    with opened(group("json/topics/t.json"), os.O_RDONLY) as fd:
        os.read(fd, 200)
        put("json/seek", "t -1\n")
        got = [json.loads(os.read(fd, 150)) for _ in range(2)]
        assert_eq([(0, 19), (1, 19)], sorted((r["partition"], r["offset"]) for r in got))

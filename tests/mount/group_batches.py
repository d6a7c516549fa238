#!/usr/bin/env python3
# Within a batch of many lines, too, what was dealt with is known to the line: whoever looks at the
# group sees it, and who comes next begins there, whether the reader closed, was killed, or owed a
# hand-over.
from t import *

LINES = [b"%d " % i + b"x" * (i * 37 % 200) + b"\n" for i in range(8000)]
TEXT = b"".join(LINES)
ENDS = []
for line in LINES:
    ENDS.append((ENDS[-1] if ENDS else 0) + len(line))


def behind(pos):
    """How many records end at or before that position."""
    return sum(end <= pos for end in ENDS)


def reads(name, sizes):
    """Reads these sizes one after the other, and dies."""
    fd = os.open(group(name), os.O_RDONLY)
    for size in sizes:
        got = os.read(fd, size)
        with open(CASE_DIR + "/given", "a") as f:
            print(len(got), file=f)
    os.kill(os.getpid(), signal.SIGKILL)


with Broker() as broker:
    assert len(TEXT) < 1000000
    make_topic("t", 2)
    append("t/0", TEXT)
    for size in (3000, 20000, 65536, 131072):
        make_group("g")
        with opened(group("g/topics/t"), os.O_RDONLY) as fd:
            pos = 0
            while pos < len(TEXT):
                got = os.read(fd, size)
                assert_eq(TEXT[pos:pos + len(got)], got)
                assert pos == 0 or committed("g", "t") == behind(pos), (size, pos)
                pos += len(got)
        os.rmdir(group("g"))
    # The middle of an answer.
    make_group("g")
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        len1, len2 = len(os.read(fd, 131072)), len(os.read(fd, 131072))
        assert_eq(behind(len1), int(get("g/lag").splitlines()[1].split()[2]))
        os.pread(fd, 10, len1 + len2 // 2)
        assert_eq(behind(len1 + len2 // 2), committed("g", "t"))
        os.lseek(fd, len1 + len2, os.SEEK_SET)
        third = os.read(fd, 131072)
        assert_eq(TEXT[len1 + len2:len1 + len2 + len(third)], third)
        # A seek of the owner to the same partition's past, in the middle of it all.
        put("g/seek", "t 0 5\n")
        assert_eq(LINES[5], os.read(fd, len(LINES[5])))
    # Closed, killed.
    put("g/seek", "t 0 0\n")
    pos = 0
    for sizes in ([100000], [65536, 131072], [131072, 65536, 65536], [65536]):
        with Child(reads, "g/topics/t", sizes) as child:
            child.wait()
        with open(CASE_DIR + "/given") as f:
            given = [int(n) for n in f.read().split()]
        os.unlink(CASE_DIR + "/given")
        pos += sum(given[:-1])
        assert_eq(behind(pos), committed("g", "t") or 0, str(sizes))
    # The broker dies: what it knew for sure is there, and it is not beyond.
    fd = os.open(group("g/topics/t"), os.O_RDONLY)
    for _ in range(3):
        pos += len(os.read(fd, 65536))
    broker.kill()
    assert_errno("ENOTCONN", os.close, fd)
    broker.start()
    assert 0 <= (committed("g", "t") or 0) <= behind(pos)

    # A hand-over in the middle: the partition goes on at the line where its first owner stopped.
    make_group("h", "assignment.strategy=range")
    make_topic("u", 2)
    append("u/1", TEXT)
    with opened(group("h/topics/u"), os.O_RDONLY) as fd:
        pos = len(os.read(fd, 100000))
        with opened(group("h/topics/u"), os.O_RDONLY) as other, \
                Child(os.read, other, 100000) as second:
            wait_until(second.is_waiting)
            assert_eq("CompletingRebalance", state("h")["state"])
            with Child(os.read, fd, 100000) as first:
                wait_until(first.is_waiting)
                got = second.result()
                assert_eq(TEXT[pos:pos + len(got)], got)
            assert_eq(behind(pos), committed("h", "u", 1))
    # on-read commits with the answer, to the line.
    make_group("o", "commit=on-read")
    with opened(group("o/topics/t"), os.O_RDONLY) as fd:
        pos = 0
        for size in (65536, 131072, 4096, 65536):
            pos += len(os.read(fd, size))
            assert_eq(behind(pos), committed("o", "t"))

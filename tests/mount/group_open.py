#!/usr/bin/env python3
# What `cat` reads of a member's only partition ends anywhere, within a record too. What was begun
# is finished, whatever comes in between: the rest of the log, another partition, a hand-over, a
# seek, a death.
from t import *

LINES = [b"%d " % i + b"x" * (i * 37 % 200) + b"\n" for i in range(12000)]
TEXT = b"".join(LINES)
ENDS = []
for line in LINES:
    ENDS.append((ENDS[-1] if ENDS else 0) + len(line))
LONG = 128 << 10


def behind(pos):
    """How many records end at or before that position."""
    return sum(end <= pos for end in ENDS)


def rest(pos):
    """What is still to come of the record at pos."""
    end = next(end for end in ENDS if end >= pos)
    return TEXT[pos:end]


def fill(name, number=0, keyed=False):
    """The same bytes, by writes of many lines, of one line, or as records with keys."""
    path = topic("%s/%d" % (name, number))
    with opened(path + (".json" if keyed else ""), os.O_WRONLY | os.O_APPEND) as fd:
        for at in range(0, len(LINES), 400):
            lines = LINES[at:at + 400]
            if keyed:
                lines = [b'{"key":"k","value":"%s"}\n' % line[:-1] for line in lines]
            for piece in [b"".join(lines)] if at % 800 else lines:
                os.write(fd, piece)


def begun(fd):
    """Reads until an answer ends within a record; the position."""
    pos = 0
    while pos in [0] + ENDS:
        got = os.read(fd, LONG)
        assert_eq(TEXT[pos:pos + len(got)], got)
        pos += len(got)
    return pos


def reads(name, count):
    """Reads so many long answers, and dies."""
    fd = os.open(group(name), os.O_RDONLY)
    for _ in range(count):
        assert_eq(LONG, len(os.read(fd, LONG)))
    os.kill(os.getpid(), signal.SIGKILL)


def whole(lines):
    assert lines.endswith(b"\n"), lines[-100:]
    return lines.splitlines(keepends=True)


with Broker() as broker:
    make_topic("t")
    make_topic("k")
    fill("t")
    fill("k", keyed=True)
    for name in ("t", "k"):
        # All of it, long and short reads in turn, seen from outside and not.
        for looks in (False, True):
            make_group("g")
            with opened(group("g/topics/" + name), os.O_RDONLY) as fd:
                pos, sizes = 0, [LONG, LONG, 3000, LONG, 65536, 1 << 20, LONG + 77]
                while pos < len(TEXT):
                    got = os.read(fd, sizes[0])
                    sizes = sizes[1:] + sizes[:1]
                    assert_eq(TEXT[pos:pos + len(got)], got)
                    assert not looks or (committed("g", name) or 0) == behind(pos), pos
                    pos += len(got)
            assert_eq(behind(pos - len(got)), committed("g", name))
            os.rmdir(group("g"))

        # A death in the middle of a record: who comes next has all of it.
        make_group("g")
        with Child(reads, "g/topics/" + name, 3) as child:
            child.wait()
        n = behind(2 * LONG)
        assert_eq(n, committed("g", name))
        with opened(group("g/topics/" + name), os.O_RDONLY) as fd:
            assert_eq(b"".join(LINES[n:])[:LONG], os.read(fd, LONG))
            # Old bytes, then on from where it was, in the middle too.
            assert_eq(b"".join(LINES[n:])[1000:1100], os.pread(fd, 100, 1000))
            got = os.read(fd, 4000) + os.read(fd, 1000)
            assert_eq(b"".join(LINES[n:])[LONG:LONG + len(got)], got)
        os.rmdir(group("g"))

        # A seek of the owner in the middle of a record, to elsewhere and to the same.
        make_group("g")
        with opened(group("g/topics/" + name), os.O_RDONLY) as fd:
            pos = begun(fd)
            put("g/seek", "%s 0 7\n" % name)
            assert_eq(LINES[7], os.read(fd, len(LINES[7])))
            assert_eq(LINES[8], os.read(fd, len(LINES[8])))
            assert_eq(8, committed("g", name))
        os.rmdir(group("g"))

        # A limit of records that comes in the middle.
        make_group("g")
        with opened(group("g/topics/" + name), os.O_RDONLY) as fd:
            pos = begun(fd)
            put("g/config", "max.poll.records=2\n")
            got = os.read(fd, LONG)
            assert_eq(TEXT[pos:ENDS[behind(pos) + 1]], got)
            pos += len(got)
            assert_eq(LINES[behind(pos)] + LINES[behind(pos) + 1], os.read(fd, LONG))
            assert_eq(behind(pos), committed("g", name))
        os.rmdir(group("g"))

    # Another partition comes: the record is finished, then each has its turn.
    make_topic("u")
    fill("u")
    make_group("g")
    with opened(group("g/topics/u"), os.O_RDONLY) as fd:
        pos = begun(fd)
        configure("u", "num.partitions=2")
        append("u/1", b"other\n")
        wait_until(lambda: len(state("g")["members"][0]["assignment"]["u"]) == 2)
        assert_eq(rest(pos), os.read(fd, LONG))
        pos += len(rest(pos))
        got = [os.read(fd, LONG), os.read(fd, LONG)]
        assert b"other\n" in got, [len(part) for part in got]
        part = got[1 - got.index(b"other\n")]
        assert_eq(TEXT[pos:pos + len(part)], part)
        whole(part)
    os.rmdir(group("g"))

    # It goes to another member: finished here, and the next record is the other's first.
    make_group("h", "assignment.strategy=range")
    make_topic("w")
    fill("w")
    with opened(group("h/topics/w"), os.O_RDONLY) as fd:
        pos = begun(fd)
        with opened(group("h/join"), os.O_RDWR) as other:
            # Members are ordered by their names: `a` is before m-1, and takes the only partition.
            os.write(other, b"topics=w member=a\n")
            wait_until(lambda: state("h")["state"] == "CompletingRebalance")
            got = os.read(fd, LONG)
            assert_eq(rest(pos), got)
            pos += len(got)
            with Child(os.read, fd, LONG) as first:
                wait_until(first.is_waiting)
                assert_eq(behind(pos), committed("h", "w"))
                wait_until(lambda: state("h")["state"] == "Stable")

    # The broker dies: what was committed is not beyond, and nothing is passed over.
    make_group("g")
    fd = os.open(group("g/topics/t"), os.O_RDONLY)
    pos = begun(fd)
    broker.kill()
    assert_errno("ENOTCONN", os.close, fd)
    broker.start()
    n = committed("g", "t") or 0
    assert n <= behind(pos), (n, pos)
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"".join(LINES[n:])[:LONG], os.read(fd, LONG))

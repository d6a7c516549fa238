#!/usr/bin/env python3
# 20 kill -9 (TOPICFS_KILLS) under 8 writers lose no record whose fsync returned: none is torn,
# none is there twice, each writer's stand in its order, offsets have no gap, and what each kill
# leaves is no fault to verify.
import random
from t import *

KILLS, WRITERS = int(os.environ.get("TOPICFS_KILLS", "20")), 8
# A ring that wraps and fills, none, and the usual one.
OPTIONS = [(), ("--set", "journal.bytes=1048576"), ("--set", "journal.bytes=0"), ()]


def line_of(writer, number):
    return b"writer %d number %06d %s" % (writer, number, b"#" * (number * 31 % 300))


def write_lines(writer, first, out):
    """Appends until the mount is gone. Tells the number behind each line: 's' synced, 'w' may be
    there."""
    number = first
    try:
        with opened(topic(f"t/{writer % 2}"), os.O_WRONLY | os.O_APPEND) as fd:
            while True:
                os.write(out, b"w%d\n" % number)
                what = line_of(writer, number) + b"\n"
                if number % 5 == 0:  # In two writes.
                    os.write(fd, what[:10])
                    what = what[10:]
                os.write(fd, what)
                if number % 3 == 0:
                    os.fsync(fd)
                    os.write(out, b"s%d\n" % number)
                number += 1
    except OSError as e:
        return e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.EINTR)


def progress(path):
    with open(path, "rb") as f:
        words = f.read().split()
    synced = [int(w[1:]) for w in words if w[:1] == b"s"]
    tried = [int(w[1:]) for w in words if w[:1] == b"w"]
    return max(synced, default=-1), max(tried, default=-1)


def check(outs):
    for part in range(2):
        seen = {w: [] for w in range(WRITERS)}
        for line in read(f"t/{part}").splitlines():
            match = re.match(rb"writer (\d+) number (\d+) ", line)
            if not match or line != line_of(int(match[1]), int(match[2])):
                fail(f"torn: {line!r}")
            seen[int(match[1])].append(int(match[2]))
        for w in range(part, WRITERS, 2):
            synced, tried = progress(outs[w])
            numbers = seen[w]
            assert numbers == sorted(set(numbers)), f"writer {w}: twice, or out of order"
            lost = set(range(synced + 1)) - set(numbers) - skipped[w]
            assert not lost, f"writer {w}: lost {sorted(lost)[:5]} though {synced} was synced"
            assert all(n <= tried for n in numbers)


def verify():
    """What the last stop has left is sound; a killed process may still be held by writes."""
    done = None

    def is_free():
        nonlocal done
        done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
        return done.returncode != 2

    wait_until(is_free)
    assert_eq(0, done.returncode, done.stdout)


def check_offsets():
    for part in range(2):
        offsets = [r["offset"] for r in records(f"t/{part}.json")]
        assert_eq(list(range(len(read(f"t/{part}").splitlines()))), offsets)


def start_writers(outs):
    children = []
    for w in range(WRITERS):
        _, tried = progress(outs[w])
        fd = os.open(outs[w], os.O_WRONLY | os.O_APPEND)
        children.append(Child(write_lines, w, tried + 1, fd))
        os.close(fd)
    return children


random.seed(int(os.environ.get("TOPICFS_SEED", "5")))
skipped = {w: set() for w in range(WRITERS)}
with Broker() as broker:
    make_topic("t", 2, "segment.bytes=200000")
    outs = [f"{CASE_DIR}/out{w}" for w in range(WRITERS)]
    for out in outs:
        open(out, "wb").close()
    for turn in range(KILLS):
        writers = start_writers(outs)
        goal = [progress(out)[0] + random.randrange(1, 120) for out in outs]
        wait_until(lambda: progress(outs[turn % WRITERS])[0] >= goal[turn % WRITERS], 20)
        broker.kill()
        for child in writers:
            assert child.result(), "a writer ended otherwise"
        # What was under way at the kill may be there or not; the writer goes on behind it.
        for w in range(WRITERS):
            synced, tried = progress(outs[w])
            skipped[w].update(range(synced + 1, tried + 1))
        verify()
        broker.options = OPTIONS[turn % len(OPTIONS)]
        broker.start()
        check(outs)
    check_offsets()
    broker.stop()
    verify()

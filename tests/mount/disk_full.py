#!/usr/bin/env python3
# On a file system that is really full (and on one at its reserve) writers, commits and mkdir get
# ENOSPC, readers and groups go on, retention frees space and a writer that tries again goes on by
# itself; kill, start without a free byte and stop lose nothing that was acknowledged.
import t as lib
from t import *

DISK = CASE_DIR + "/disk"
lib.DATA = DISK + "/data"
OPTIONS = ("--set", "journal.bytes=1048576", "--set", "offsets.topic.num.partitions=1",
           "--set", "log.retention.check.interval.ms=50", "--set", "disk.reserve.percent=0")
PIECE = 200


def piece(number):
    return b"".join(b"%06d %03d %s\n" % (number, i, b"x" * 488) for i in range(PIECE))


def write_until_full(name, done):
    """Whole pieces, fsynced each, until ENOSPC; counts those acknowledged in done."""
    with opened(topic(name), os.O_WRONLY | os.O_APPEND) as fd:
        while True:
            try:
                assert_eq(PIECE * 500, os.write(fd, piece(len(done))), "bytes written")
                os.fsync(fd)
            except OSError as e:
                assert_eq(errno.ENOSPC, e.errno)
                return
            done.append(len(done))


def eat(left=0):
    """Whoever else fills the disk: to the last byte, or until so many are left."""
    with open(DISK + "/eaten", "ab", buffering=0) as f:
        for size in (1 << 20, 1 << 12, 1):
            try:
                while os.statvfs(DISK).f_bavail * 4096 > left or not left:
                    f.write(b"\0" * size)
            except OSError as e:
                assert_eq(errno.ENOSPC, e.errno)
    assert left or not os.statvfs(DISK).f_bavail


def check_read(done):
    """Every acknowledged line is there, once, in order; what was written besides is whole."""
    lines = read("t/0").splitlines(True)
    wanted = b"".join(piece(i) for i in done).splitlines(True)
    assert_eq(len(wanted), len(lines[:len(wanted)]))
    assert lines[:len(wanted)] == wanted
    assert_eq(b"".join(lines[-3:]), read("t/0@-3.."))


def write_lines(name):
    """Single lines, without fsync, until ENOSPC."""
    cnt = 0
    with opened(topic(name), os.O_WRONLY | os.O_APPEND) as fd:
        while True:
            try:
                os.write(fd, b"%07d %s\n" % (cnt, b"-" * 9000))
            except OSError as e:
                assert_eq(errno.ENOSPC, e.errno)
                return cnt
            cnt += 1


def accepts(name, what):
    try:
        append(name, what)
    except OSError as e:
        assert_eq(errno.ENOSPC, e.errno)
        return False
    return True


def at_full(done, reserve):
    """Everything that can be done on a full disk. What is small may have room in a block that is
    there already; at the reserve nothing has."""
    check_read(done)
    for name, what in (("t/0", b"more\n"), ("t/0.json", b'{"value":"more"}\n'),
                       ("small/0", b"s\n")):
        before = read(name)
        try:
            append(name, what)
        except OSError as e:
            assert_eq(errno.ENOSPC, e.errno, name)
            assert_eq(before, read(name), "nothing of what was refused is stored")
        else:
            assert not reserve and len(read(name)) > len(before), name
    assert_errno("ENOSPC", append, "small/0", b"more\n" * 100000)
    with opened(group("g/topics/t"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        assert re.match(rb"000000 00[07] x", os.read(fd, 5000))
        assert os.read(fd, 5000)
    for call, *args in ((put, "g/commit", "t 0 7\n"),
                        (os.mkdir, topic(f"new{len(os.listdir(topic('')))}")),
                        (configure, "t", "retention.ms=100000000")):
        try:
            call(*args)
        except OSError as e:
            assert_eq(errno.ENOSPC, e.errno, call.__name__)
    assert read("t/status")


# Without O_DIRECT every fsync goes in place.
HAS_RING = "o_direct" not in os.environ.get("TOPICFS_REFUSE", "")


def one(reserve, ring):
    options = (*OPTIONS, "--set", f"disk.reserve.bytes={reserve}")
    broker = Broker(*options)
    if ring and HAS_RING:
        wait_until(lambda: os.path.getsize(lib.DATA + "/journal"))
        eat(24 << 20)
    make_topic("t", 1, "segment.bytes=2097152")
    make_topic("small")
    make_group("g", "commit=manual")
    append("small/0", b"first\n")
    put("g/commit", "t 0 0\n")
    make_topic("lines")
    append("lines/0", b"begin\n")
    done = []
    write_until_full("t/0", done)
    assert len(done) > 20, done
    cnt = write_lines("lines/0")
    # At the reserve too somebody else takes more: sealing a segment gives back what was allocated
    # ahead for it, which else may be enough for writing to go on.
    eat(reserve // 2)
    wait_until(lambda: not accepts("small/0", b"s\n" * 5000), 20, "writes are refused")
    at_full(done, reserve)
    broker.kill()
    eat(reserve // 2)
    broker.start()
    wanted = [b"begin", *(b"%07d" % i for i in range(cnt))]
    assert_eq(wanted, [line[:7].strip() for line in read("lines/0").splitlines()])
    at_full(done, reserve)
    broker.restart()
    at_full(done, reserve)

    # Retention frees space, and who tries again goes on.
    many = b"again\n" * 100000
    assert not accepts("t/0", many)
    configure("t", "retention.bytes=4194304")
    wait_until(lambda: accepts("t/0", many), 20, "a writer goes on")
    with opened(topic("t/0"), os.O_WRONLY | os.O_APPEND) as fd:
        os.fsync(fd)
    os.mkdir(topic("after"))
    # What could be made of a topic's directory on the full disk is made whole now.
    for name in (name for name in os.listdir(topic("")) if not name.startswith("__")):
        append(name + "/0", b"usable\n")
        assert_eq(b"usable\n", read(name + "/0@-1.."), name)
    append("t/0", b"again\n")
    put("g/commit", "t 0 9\n")
    assert_eq(b"again\n", read("t/0@-1.."))
    assert_eq(b"first\n", read("small/0")[:6])
    broker.kill()
    broker.start()
    assert_eq(b"again\n", read("t/0@-1.."))
    assert_eq(9, committed("g", "t"))
    assert_eq(b"usable\n", read("after/0"))
    broker.stop()
    run(TOPICFS, "verify", lib.DATA, cwd="/")


if os.geteuid():
    skip("needs root")
allow_log("ENOSPC")
os.mkdir(DISK)
for reserve_bytes, image in ((0, "112M"), (0, "48M"), (8 << 20, "48M")):
    run(f"truncate -s {image} image && mkfs.ext4 -q -b 4096 -m 0 image && "
        f"mount -o loop image '{DISK}'", cwd=CASE_DIR)
    try:
        one(reserve_bytes, image == "112M")
    finally:
        if is_mounted():
            run("umount", "-l", MNT, cwd="/")
        run("umount", "-l", DISK, cwd="/")
        os.unlink(CASE_DIR + "/image")

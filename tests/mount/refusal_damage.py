#!/usr/bin/env python3
# Stored bytes that do not match their checksum are EIO with file and position, never served, and
# not skipped in silence; what is good is served, and verify names the fault.
from t import *

expect_log(r"damage|checksum|does not match|do not match")
allow_log(r"ERROR")

with Broker() as broker:
    make_topic("t", 2, "segment.bytes=4096")
    lines = [b"line %04d %s\n" % (i, b"-" * 80) for i in range(300)]
    for i in range(0, 300, 5):
        append("t/0", b"".join(lines[i:i + 5]))
    append("t/1", b"good\n")
    broker.stop()
    files = sorted(f for f in os.listdir(DATA + "/t-0") if f.endswith(".data"))
    assert len(files) > 4
    hurt = f"{DATA}/t-0/{files[2]}"
    base = int(files[2][:20])
    with open(hurt, "r+b") as f:
        f.seek(1000)
        byte = f.read(1)
        f.seek(1000)
        f.write(bytes([byte[0] ^ 1]))
    done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
    assert_eq(1, done.returncode, "verify")
    assert files[2].encode() in done.stdout, done.stdout
    broker.start()

    def read_until_error(view):
        got = b""
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            try:
                while piece := os.read(fd, 1000):
                    got += piece
            except OSError as e:
                assert_eq(errno.EIO, e.errno, view)
                return got
        return fail(f"{view} was read to its end")

    for view in ("0", "0@0..", "0.json", "0@0", "all", "0@0.."):
        got = read_until_error(view)
        assert b"line %04d" % (base - 1) in got, f"{view}: what is before is served"
        assert b"line %04d" % (base + 20) not in got, view
    assert_errors_line(rf" EIO uid=\d+ pid=\d+ topics/t/0: .*{files[2]}.*\d+")
    # Behind it, and beside it, all is well.
    assert_eq(lines[-3:], read("t/0@-3..").splitlines(True))
    assert_eq(b"good\n", read("t/1"))
    append("t/0", b"after\n")
    assert_eq(b"after\n", read("t/0@-1.."))

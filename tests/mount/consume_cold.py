#!/usr/bin/env python3
# Bytes that are not in the page cache are read in and given, by every way of reading: nobody
# sees EAGAIN.
import subprocess

from t import *


def chill():
    """Everything of the partition out of the page cache."""
    for name in os.listdir(f"{DATA}/t-0"):
        fd = os.open(f"{DATA}/t-0/{name}", os.O_RDWR)
        os.fsync(fd)
        os.posix_fadvise(fd, 0, 0, os.POSIX_FADV_DONTNEED)
        os.close(fd)


with Broker():
    make_topic("t")
    lines = [b"%08d %s" % (i, b"x" * (i % 190)) for i in range(200000)]
    all_lines = b"\n".join(lines) + b"\n"
    for at in range(0, len(lines), 5000):
        append("t/0", b"\n".join(lines[at:at + 5000]) + b"\n")
    for name in ("0", "0@0..", "0@100000..", "all"):
        chill()
        want = all_lines if "100000" not in name else b"\n".join(lines[100000:]) + b"\n"
        assert read("t/" + name) == want, name
    chill()
    assert_eq(lines[-1] + b"\n", subprocess.check_output(["tail", "-n", "1", topic("t/0")]))
    chill()
    assert_eq(lines[150000] + b"\n",
              subprocess.check_output(["head", "-n", "1", topic("t/0@150000")]))
    chill()
    assert_eq(3, read("t/0@199997...json").count(b"\n"))
    chill()
    with open(topic("t/0"), "rb", buffering=0) as f:
        for at in (5000000, 10, 15000000, len(all_lines) - 5):
            assert_eq(all_lines[at:at + 100], os.pread(f.fileno(), 100, at))

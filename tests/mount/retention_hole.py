#!/usr/bin/env python3
# A prefix that retention removed is a hole: positions stay, it reads as NUL bytes at true
# positions, SEEK_DATA steps over it, SEEK_HOLE answers the end, st_blocks counts what is retained;
# and who reads from the start begins at the first retained record.
from t import *

LINES = 2000
lines = [b"record %06d %s\n" % (i, b"." * (i % 60)) for i in range(LINES)]
text = b"".join(lines)

with Broker("--set", "log.retention.check.interval.ms=50") as broker:
    make_topic("t", 1, "segment.bytes=8192")
    for i in range(0, LINES, 10):
        append("t/0", b"".join(lines[i:i + 10]))
    assert read("t/0") == text
    configure("t", "retention.bytes=30000")

    def status():
        return {k: int(v) for k, v in re.findall(r"\b(start|end|size)=(\d+)",
                                                 read("t/status").decode())}

    wait_until(lambda: status()["start"] > 0 and status()["size"] < 30000 + 8192)
    configure("t", "retention.bytes=-1")
    start, hole = status()["start"], len(b"".join(lines[:status()["start"]]))
    assert 0 < start < LINES and status()["end"] == LINES, status()

    def check():
        assert_eq(text[hole:], read("t/0"), "cat begins at the first retained record")
        st = os.stat(topic("t/0"))
        assert_eq(len(text), st.st_size, "positions stay")
        data = stored("t")
        assert_eq(len(text) - hole, len(data))
        assert data == text[hole:], ".data files"
        assert_eq((len(data) + 511) // 512, st.st_blocks)
        with opened(topic("t/0"), os.O_RDONLY) as fd:
            assert_eq(hole, os.lseek(fd, 0, os.SEEK_DATA))
            assert_eq(hole, os.lseek(fd, hole - 1, os.SEEK_DATA))
            assert_eq(hole + 5, os.lseek(fd, hole + 5, os.SEEK_DATA))
            assert_eq(len(text), os.lseek(fd, 0, os.SEEK_HOLE))
            assert_eq(len(text), os.lseek(fd, hole, os.SEEK_HOLE))
            assert_errno("ENXIO", os.lseek, fd, len(text), os.SEEK_DATA)
            assert_eq(b"\0" * 100, os.pread(fd, 100, 1), "a true position in the hole")
            assert_eq(b"\0" * 10 + text[hole:hole + 20], os.pread(fd, 30, hole - 10))
            assert_eq(text[hole:hole + 20], os.pread(fd, 20, hole))
            assert_eq(text[-30:], os.pread(fd, 100, len(text) - 30))
        for where in (hole, len(text) - 77, hole + 1):
            with opened(topic("t/0"), os.O_RDONLY) as fd:
                assert_eq(text[where:where + 50], os.pread(fd, 50, where))
        # What reads at 0 first keeps its positions for that handle.
        with opened(topic("t/0"), os.O_RDONLY) as fd:
            assert_eq(text[hole:hole + 1000], os.read(fd, 1000))
            assert_eq(text[hole + 10:hole + 20], os.pread(fd, 10, 10))
        assert_eq(start, records("t/0.json")[0]["offset"])
        assert_eq(lines[start:], read("t/0@earliest..").splitlines(True))
        assert_eq(lines[-3:], read("t/0@-3..").splitlines(True))

    check()
    # Programs that seek, or look for holes.
    want = text[hole:].splitlines()
    assert_eq(want[:2], run("(read -r a; echo $a; head -n 1) <t/0").splitlines())
    assert_eq(want[-5:], run("tail -n 5 t/0").splitlines())
    assert_eq(want[::-1], [w.lstrip(b"\0") for w in run("tac t/0").splitlines()])
    assert_eq([w for w in want if b"99 " in w], run("grep '99 ' t/0").splitlines())
    assert_eq(b"%d\n" % len(want), run("wc -l <t/0"))
    assert_eq(want, run("cat <t/0").splitlines())
    assert_eq(want, run("python3", "-c", "import sys\nfor line in open('t/0'): print(line, end='')"
                        ).splitlines())
    assert_eq(text[len(text) - 40:], run(f"dd if=t/0 bs=1 skip={len(text) - 40} status=none"))
    assert_eq(want[:7], run("sed 7q t/0").splitlines())
    run("cp", "t/0", CASE_DIR + "/copy")
    with open(CASE_DIR + "/copy", "rb") as f:
        assert f.read().lstrip(b"\0") == text[hole:], "cp"
    broker.restart()
    check()
    broker.kill()
    broker.start()
    check()
    append("t/0", b"last\n")
    lines.append(b"last\n")
    text += b"last\n"
    check()

#!/usr/bin/env python3
# Names with a position and a format resolve when they are looked up, are not listed, and one that
# does not parse is ENOENT.
from t import *

GOOD = ["0", "1", "0.lines", "0.json", "0.msg", "all", "all.lines", "all.json", "all.msg",
        "0@earliest", "0@latest", "0@0", "0@9223372036854775807", "0@-1", "0@-0", "0@t0",
        "0@2026-02-02T10:00:00Z", "0@2026-02-02T10:00:00.5Z", "0@2026-02-02T10:00:00+01:00",
        "0@1..2", "0@1..", "0@-10..", "0@-10..-5", "0@earliest..latest.json", "0@5.msg",
        "0@t5..t6.msg", "all@latest", "all@earliest..", "all@-5.json", "all@t5",
        "all@2026-02-02T10:00:00Z..2026-02-02T11:00:00Z.json", "0@9..3"]
BAD = ["2", "00", "01", "-1", "+0", "0x0", "", " 0", "0 ", "0@", "0@@1", "0@x", "0@01", "0@-01",
       "0@--1", "0@+1", "0@1.", "0@1...", "0@..", "0@..5", "0@1..x", "0@1..2..3", "0@latest.txt",
       "0.txt", "0.", ".json", "0.json.lines", "0.JSON", "0.lines.json", "All", "all@5", "all@0..",
       "all@earliest..5", "0@t", "0@t-5", "0@t05", "0@2026-02-02", "0@2026-02-02T10:00:00",
       "0@2026-13-02T10:00:00Z", "0@9223372036854775808", "0@Latest", "@latest", "0@99999999999999"
       "9999999", "4294967296", "99999999999999999999", "x", "config.json", "status@latest",
       "by-key@0"]

with Broker():
    make_topic("t", 2)
    append("t/0", b"x\n")
    for name in GOOD:
        assert os.stat(topic("t/" + name)).st_nlink == 1, name
        os.close(os.open(topic("t/" + name), os.O_RDONLY))
    for name in BAD:
        if name:
            assert_errno("ENOENT", os.stat, topic("t/" + name))
            assert_errno("ENOENT", os.open, topic("t/" + name), os.O_RDONLY)
    assert_eq(["0", "1", "all", "by-key", "config", "status"], sorted(os.listdir(topic("t"))))
    assert_eq([], [line for line in errors_lines() if "ENOENT" in line], "look-ups apart")
    for name in ("nope", "README", "groups/nope", "topics/nope/0", "cluster/nope"):
        if name != "README":
            assert_errno("ENOENT", os.stat, f"{MNT}/{name}")
    # The same file has one inode number, other files others.
    numbers = [os.stat(topic("t/" + n)).st_ino
               for n in ("0", "1", "all", "config", "0@0", "0.json")]
    assert_eq(len(numbers), len(set(numbers)))
    assert_eq(numbers[0], os.stat(topic("t/0")).st_ino)
    assert_eq(numbers[0], [e.inode() for e in os.scandir(topic("t")) if e.name == "0"][0])
    for view in ("0@latest", "0@0..", "all", "0.json"):
        st = os.stat(topic("t/" + view))
        assert_eq((0, 0), (st.st_size, st.st_blocks), view)

#!/usr/bin/env python3
# The kernel splits a write of more than 1,044,480 bytes, perhaps within a number. To a control file
# such a write is refused whole.
from t import *

MOST = 1044480


def padded(cnt, line):
    """Blank lines in front: the kernel's cut falls into the line, or behind blank lines."""
    return b"\n" * (cnt - len(line)) + line


with Broker():
    make_topic("t")
    append("t/0", b"x\n" * 2000)
    make_group("g")
    put("g/commit", "t 0 7 before\n")
    config, topic_config = get("g/config"), read("t/config")
    for name, line in (("g/commit", b"t 0 1234"), ("g/offsets/t/0", b"1234"),
                       ("g/seek", b"t 0 1234"), ("g/reject", b"t 0 1234"),
                       ("g/config", b"session.timeout.ms=123456"),
                       ("../topics/t/config", b"retention.ms=123456")):
        path = group(name)
        for cnt in (MOST + 1, 1 << 20, (1 << 20) + 4, 3 << 20):
            with opened(path, os.O_WRONLY) as fd:
                assert_errno("EMSGSIZE", os.write, fd, padded(cnt, line))
                assert_errno("EMSGSIZE", os.write, fd, line + b"\n" * (cnt - len(line)))
        assert_eq("7 before\n", get("g/offsets/t/0"), name)
        assert_eq((config, topic_config), (get("g/config"), read("t/config")), name)
        assert_errors_line(rf" EMSGSIZE .*{name.split('/')[-2]}/{name.split('/')[-1]}: .*splits")
    with opened(group("g/join"), os.O_RDWR) as fd:
        assert_errno("EMSGSIZE", os.write, fd, padded(2 << 20, b"topics=t"))
        assert_errno("EINVAL", os.read, fd, 100)
        assert_eq(MOST, os.write(fd, padded(MOST, b"topics=t")))
        assert_eq([{"t": [0]}], list(shares("g").values()))
    with opened(group("g/commit"), os.O_WRONLY) as fd:
        assert_eq(MOST, os.write(fd, padded(MOST, b"t 0 1234")))
    assert_eq(1234, committed("g", "t"))
    with opened(topic("t/config"), os.O_WRONLY) as fd:
        assert_eq(MOST, os.write(fd, padded(MOST, b"retention.ms=123456")))
    assert b"retention.ms=123456\n" in read("t/config")

#!/usr/bin/env python3
# A group's stream has the formats lines, json and msg, by its last suffix; each gives back what it
# gave, at the positions that it had.
from t import *

with Broker():
    make_topic("t")
    make_topic("app.json")
    append("t/0.json", b'{"key":"k","value":"one"}\n{"value":"two","headers":{"h":"x"}}\n'
                       b'{"value":null}\n{"value":""}\n{"value":"five"}\n')
    append("app.json/0", b"dotted\n")

    make_group("lines")
    with opened(group("lines/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"one\ntwo\n\n\nfive\n", os.read(fd, 1000))
        os.lseek(fd, 4, os.SEEK_SET)
        assert_eq(b"two\n\n\nfive\n", os.read(fd, 1000))
        assert_eq(b"ne", os.pread(fd, 2, 1))
        assert_errno("ESPIPE", os.pread, fd, 10, 16)
        assert_eq(0, os.fstat(fd).st_size)
    make_group("suffix")
    with opened(group("suffix/topics/t.lines"), os.O_RDONLY) as fd:
        assert_eq(b"one\ntwo\n\n\nfive\n", os.read(fd, 1000))
    with opened(group("suffix/topics/app.json.lines"), os.O_RDONLY) as fd:
        assert_eq(b"dotted\n", os.read(fd, 1000))

    make_group("json")
    with opened(group("json/topics/t.json"), os.O_RDONLY) as fd:
        whole = os.read(fd, 10000)
        assert_eq(records("t/0.json"), [json.loads(line) for line in whole.splitlines()])
        assert_eq(read("t/0.json"), whole)
        assert_eq(whole[7:100], os.pread(fd, 93, 7))
    # A record that is longer than the buffer is given in parts; no answer holds a half of another.
    make_group("parts")
    with opened(group("parts/topics/t.json"), os.O_RDONLY) as fd:
        first = whole.splitlines(True)[0]
        assert_eq(first[:20], os.read(fd, 20))
        assert_eq(None, committed("parts", "t"))
        assert_eq(first[20:], os.read(fd, 200))
        assert_eq(None, committed("parts", "t"))
        assert_eq(whole.splitlines(True)[1], os.read(fd, 150))
        assert_eq(1, committed("parts", "t"))

    make_group("msg")
    with opened(group("msg/topics/t.msg"), os.O_RDONLY) as fd:
        assert_errno("EMSGSIZE", os.read, fd, 2)
        assert_eq(b"one", os.read(fd, 3))
        assert_eq(b"two", os.read(fd, 100))
        assert_errno("ENODATA", os.read, fd, 100)
        assert_errno("ENODATA", os.read, fd, 100)
        assert_eq(3, committed("msg", "t"))
        assert_errno("EMSGSIZE", os.read, fd, 3)
        assert_eq(4, committed("msg", "t"))
        assert_eq(b"five", os.read(fd, 100))
        os.lseek(fd, 3, os.SEEK_SET)
        assert_eq(b"two", os.read(fd, 100))
        assert_errno("ESPIPE", os.pread, fd, 100, 1)
        os.lseek(fd, 0, os.SEEK_END)
        os.lseek(fd, 10, os.SEEK_SET)
        with Child(os.read, fd, 100) as child:
            wait_until(child.is_waiting)
            assert_eq(5, committed("msg", "t"))
            append("t/0.msg", b"\x00binary\n")
            assert_eq(b"\x00binary\n", child.result())

    # A stream is for reading.
    for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND):
        assert_errno("EPERM", os.open, group("msg/topics/t"), how)
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ groups/msg/topics/t: "
                       "a group's stream is for reading")
    assert_errno("ENOENT", os.open, group("nobody/topics/t"), os.O_RDONLY)
    for name in ("a b", "über", "t@latest", ".", ".json", "x" * 250):
        assert_errno("ENOENT" if name != "." else "EISDIR", os.open,
                     group("msg/topics/" + name), os.O_RDWR)

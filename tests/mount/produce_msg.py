#!/usr/bin/env python3
# In msg one write is one record of any bytes, newlines, NULs and none at all included, up to
# 1,044,480 bytes and max.message.bytes; a longer one is EMSGSIZE and not stored.
from t import *

with Broker():
    make_topic("t")
    what = [b"plain", b"", b"a\nb\n\nc", bytes(range(256)), b"\n", b"\0", b"x" * 1044480, b"end\n"]
    with opened(topic("t/0.msg"), os.O_WRONLY | os.O_APPEND) as fd:
        for record in what:
            assert_eq(len(record), os.write(fd, record) if record else 0)
        assert_errno("EMSGSIZE", os.write, fd, b"y" * 1044481)
        assert_errno("EMSGSIZE", os.write, fd, b"y" * 1048576)
        os.writev(fd, [b"one", b"record"])
    what = [w for w in what if w] + [b"onerecord"]
    assert_errors_line(r" EMSGSIZE uid=\d+ pid=\d+ topics/t/0\.msg: ")
    got = []
    with opened(topic("t/0@earliest..latest.msg"), os.O_RDONLY) as fd:
        while record := os.read(fd, 1 << 20):
            got.append(record)
    assert_eq(what, got)
    assert_eq(b"".join(w + b"\n" for w in what), read("t/0"))
    configure("t", "max.message.bytes=10")
    append("t/0.msg", b"0123456789")
    assert_errno("EMSGSIZE", append, "t/0.msg", b"0123456789a")
    run("printf '0123456789' >> t/0.msg; /usr/bin/printf 'a\nb' >> t/all.msg")
    assert_eq([10, 10, 3], [len(r["value"]) for r in records("t/0@-3...json")])

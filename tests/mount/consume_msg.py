#!/usr/bin/env python3
# In msg one read is one whole record: a buffer too small is EMSGSIZE and consumes nothing, an
# empty record or a tombstone is ENODATA once; seeks go to starts of records.
from t import *

with Broker():
    make_topic("t")
    append("t/0", b"first\n\nthird\n")
    append("t/0.json", b'{"key":"k","value":null}\n')
    append("t/0.msg", b"with\nnew\n\0lines\n")
    append("t/0.msg", b"L" * 300000)
    for view in ("0.msg", "0@0.msg", "all.msg", "all@earliest.msg", "0@0..100.msg"):
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            assert_errno("EMSGSIZE", os.read, fd, 4)
            assert_eq(b"first", os.read(fd, 5), view)
            assert_errno("ENODATA", os.read, fd, 100)
            assert_errno("EMSGSIZE", os.read, fd, 1)
            assert_eq(b"third", os.read(fd, 100))
            assert_errno("ENODATA", os.read, fd, 100)
            assert_eq(b"with\nnew\n\0lines\n", os.read(fd, 1000))
            assert_errno("EMSGSIZE", os.read, fd, 299999)
            assert_errno("EMSGSIZE", os.read, fd, 4096)
            assert_eq(300000, len(os.read(fd, 300000)))
            if "0@0.m" not in view and "earliest" not in view:
                assert_eq(b"", os.read(fd, 100), view)
            # Positions count the bytes given.
            assert_eq(5 + 5 + 16 + 300000, os.lseek(fd, 0, os.SEEK_CUR))
            assert_eq(b"third", os.pread(fd, 100, 5))
            assert_eq(b"first", os.pread(fd, 100, 0))
            assert_errno("ESPIPE", os.pread, fd, 100, 3)
            os.lseek(fd, 10, os.SEEK_SET)
            assert_eq(b"with\nnew\n\0lines\n", os.read(fd, 1000))
    assert_errors_line(r" EMSGSIZE uid=\d+ pid=\d+ topics/t/0\.msg: .*smaller")
    assert_errors_line(r" ENODATA uid=\d+ pid=\d+ topics/t/0@0\.msg: ")

#!/usr/bin/env python3
# fallocate is EPERM and leaves no trace: of EOPNOTSUPP the C library's posix_fallocate makes
# writes of NUL bytes, which would be records.
from t import *

with Broker():
    make_topic("t")
    append("t/0", b"one\n")
    for how in (os.O_WRONLY, os.O_RDWR):
        with opened(topic("t/0"), how) as fd:
            assert_errno("EPERM", os.posix_fallocate, fd, 0, 8192)
    assert_eq(b"one\n", read("t/0"))
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/0: .*allocated")

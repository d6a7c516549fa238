#!/usr/bin/env python3
# truncate to 0 or the present size, utimens, and chmod or chown that change nothing succeed and do
# nothing; any other size is EPERM. O_TRUNC destroys nothing.
from t import *

with Broker():
    make_topic("t")
    append("t/0", b"one\ntwo\n")
    path = topic("t/0")
    with opened(path, os.O_RDWR | os.O_TRUNC) as fd:
        for size in (0, 8):
            os.truncate(path, size)
            os.ftruncate(fd, size)
        for size in (1, 7, 9, 1 << 40):
            assert_errno("EPERM", os.truncate, path, size)
            assert_errno("EPERM", os.ftruncate, fd, size)
        os.utime(path)
        os.utime(fd, (1, 1))
        os.fchmod(fd, os.stat(path).st_mode & 0o7777)
        os.fchown(fd, os.getuid(), os.getgid())
        os.fchown(fd, -1, -1)
        assert_errno("EPERM", os.fchmod, fd, 0o600)
        try:
            os.posix_fallocate(fd, 0, 100)
            fail("fallocate succeeded")
        except OSError as e:
            assert e.errno in (errno.EOPNOTSUPP, errno.EPERM, errno.ENOSYS, errno.ESPIPE), e
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/0: .*truncate")
    assert os.stat(path).st_mtime > 1000, "utimens did nothing"
    for view in ("0@latest", "all", "0.json", "config"):
        os.truncate(topic("t/" + view), 0)
    run("truncate -s 0 t/0; touch t/0; : > t/0; cp /dev/null t/0; chmod 755 t || :")
    assert_eq(b"one\ntwo\n", read("t/0"))
    assert_errno("ENOTSUP", os.setxattr, path, "user.x", b"1")
    # pwrite anywhere appends, as O_APPEND does.
    with opened(path, os.O_WRONLY) as fd:
        os.pwrite(fd, b"three\n", 0)
        os.pwrite(fd, b"four\n", 1 << 30)
    assert_eq(b"one\ntwo\nthree\nfour\n", read("t/0"))

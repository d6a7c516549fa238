#!/usr/bin/env python3
# What does not exist here is EPERM with a sentence: other names, links, renames, removals, writing
# to a position; and everything stays as it was.
from t import *

CREAT = os.O_WRONLY | os.O_CREAT

with Broker():
    make_topic("t", 2)
    make_topic("u")
    append("t/0", b"one\n")
    for name in ("t/2", "t/x", "t/00", "t/0.txt", "t/0@x", "t/.0.swp", "t/all@5", "x",
                 "t/status.bak"):
        assert_errno("EPERM", os.open, topic(name), CREAT)
        assert_errno("ENOENT", os.open, topic(name), os.O_WRONLY)
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/2: .*partitions 0 to 1")
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/x: .*mkdir")
    for name in ("t/0@latest", "t/0@0", "t/all@latest", "t/0@0..5", "t/0@-3.json", "t/0@0.msg"):
        for how in (os.O_WRONLY, os.O_RDWR, os.O_WRONLY | os.O_APPEND, CREAT):
            assert_errno("EPERM", os.open, topic(name), how)
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/0@latest: .*without @")
    status, _ = run("echo x >> t/0@latest", status=None)
    assert status
    assert_errno("EPERM", os.open, MNT + "/file", CREAT)
    assert_errno("EPERM", os.open, MNT + "/README", os.O_WRONLY)
    assert_errno("EPERM", os.open, MNT + "/metrics", os.O_WRONLY)
    assert_errno("EPERM", os.open, MNT + "/errors", os.O_WRONLY)

    for old, new in (("t/0", "t/1"), ("t/0", "t/x"), ("t", "v"), ("t", "u"), ("t/0", "u/0"),
                     ("t/config", "t/x")):
        assert_errno("EPERM", os.rename, topic(old), topic(new))
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t: .*rename")
    assert_errno("EPERM", os.link, topic("t/0"), topic("t/x"))
    assert_errno("EPERM", os.symlink, "0", topic("t/x"))
    assert_errno("EPERM", os.symlink, "t", topic("link"))
    assert_errno("EPERM", os.mknod, topic("t/x"))
    assert_errno("EPERM", os.mkfifo, topic("fifo"))
    assert_errno("EPERM", os.unlink, topic("t/0"))
    assert_errno("EPERM", os.unlink, MNT + "/README")
    assert_errno("EPERM", os.rmdir, topic(""))
    assert_errno("EPERM", os.rmdir, MNT + "/cluster")
    assert_errno("EXDEV", os.rename, topic("t/0"), CASE_DIR + "/x")
    run("sed -i s/one/two/ t/0", status=4)
    assert_eq(["t", "u"], sorted(os.listdir(topic(""))))
    assert_eq(["0", "1", "all", "by-key", "config", "status"], sorted(os.listdir(topic("t"))))
    assert_eq(b"one\n", read("t/0"))

#!/usr/bin/env python3
# Topic names are Kafka's: what is none is EINVAL or ENAMETOOLONG, and names that differ only in
# "." and "_" clash.
from t import *

with Broker() as broker:
    for name in ("a", "A.b_c-9", "x" * 249, "...", "0", "all", "-"):
        os.mkdir(topic(name))
        append(name + "/0", b"x\n")
        assert_eq(b"x\n", read(name + "/0"), name)
    for name in ("a b", "a:b", "a@b", "ä", "a\\b", "a\n", "a,b", "#", "a+b"):
        assert_errno("EINVAL", os.mkdir, topic(name))
    assert_errno("ENAMETOOLONG", os.mkdir, topic("y" * 250))
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ topics/a b: ")
    assert_errors_line(r" ENAMETOOLONG uid=\d+ pid=\d+ topics/y{250}: ")

    os.mkdir(topic("b.c_d"))
    for name in ("b.c.d", "b_c_d", "b_c.d"):
        assert_errno("EEXIST", os.mkdir, topic(name))
    assert_errors_line(r" EEXIST uid=\d+ pid=\d+ topics/b_c\.d: .*b\.c_d")
    os.rmdir(topic("b.c_d"))
    os.mkdir(topic("b_c.d"))
    assert_errno("EEXIST", os.mkdir, topic("b_c.d"))

    # Only topics/ takes directories.
    assert_errno("EPERM", os.mkdir, MNT + "/topic")
    assert_errno("EPERM", os.mkdir, topic("a/sub"))
    assert_errno("EEXIST", os.mkdir, topic("a/by-key/sub"))  # Every key is there.
    broker.restart()
    assert_eq(sorted(["a", "A.b_c-9", "x" * 249, "...", "0", "all", "-", "b_c.d"]),
              sorted(os.listdir(topic(""))))

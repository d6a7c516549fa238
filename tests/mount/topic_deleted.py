#!/usr/bin/env python3
# When a topic is deleted its waiting readers are woken with ESTALE, and so is every later use of
# its open files; a new topic of the same name has nothing of it.
from t import *

VIEWS = ("0@latest", "0@0.json", "1@earliest.msg", "0@t99999999999999", "all@latest", "all@-3.json")

with Broker():
    make_topic("t", 2)
    old = [os.open(topic("t/" + v), os.O_RDONLY) for v in VIEWS]
    plain = os.open(topic("t/0"), os.O_RDONLY)
    sink = os.open(topic("t/0"), os.O_WRONLY | os.O_APPEND)
    answers = os.open(topic("t/all.json"), os.O_RDWR)
    texts = [os.open(topic("t/" + f), os.O_RDONLY) for f in ("config", "status")]
    half = os.open(topic("t/1"), os.O_WRONLY)
    os.write(half, b"half a line")
    poll = select.poll()
    poll.register(old[0], select.POLLIN)
    assert_eq([], poll.poll(0))
    readers = [Child(os.read, fd, 100) for fd in old]
    for reader in readers:
        wait_until(reader.is_waiting)
    os.rmdir(topic("t"))
    for reader, view in zip(readers, VIEWS):
        assert_errno("ESTALE", reader.result)
    assert poll.poll(10000), "poll was told"
    for fd in (*old, plain):
        assert_errno("ESTALE", os.read, fd, 100)
        assert_errno("ESTALE", os.fstat, fd)
    for fd in (*texts, answers):
        assert_errno("ESTALE", os.read, fd, 100)
    assert_errno("ESTALE", os.write, sink, b"x\n")
    assert_errno("ESTALE", os.fsync, sink)
    assert_errno("ESTALE", os.write, answers, b'{"value":"x"}\n')
    assert_errno("ESTALE", os.lseek, plain, 0, os.SEEK_DATA)
    assert_errors_line(r" ESTALE uid=\d+ pid=\d+ topics/t/0: the topic was deleted")
    assert_errno("ENOENT", os.open, topic("t/0"), os.O_RDONLY)

    make_topic("t", 2)
    append("t/0", b"new\n")
    assert_errno("ESTALE", os.write, sink, b"x\n")
    assert_errno("ESTALE", os.read, old[0], 100)
    assert_errno("ESTALE", os.close, half)
    for fd in (*old, *texts, plain, sink, answers):
        try:
            os.close(fd)
        except OSError as e:
            assert_eq(errno.ESTALE, e.errno)
    assert_eq(b"new\n", read("t/0"))
    assert_eq(b"", read("t/1"))
    assert_errors_line(r" ESTALE uid=\d+ pid=\d+ topics/t/1: .*without newline")

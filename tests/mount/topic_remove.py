#!/usr/bin/env python3
# rm -r, find -delete and Python's rmtree destroy nothing: a process that was refused an unlink
# below a topic gets ENOTEMPTY from rmdir of it, another one does not.
import shutil
from t import *

with Broker():
    make_topic("t", 2)
    append("t/0", b"one\n")
    append("t/1", b"two\n")
    for command in ("rm -r t", "rm -rf t", "rm -rf t/*", "find t -delete", "find t -depth -delete",
                    "find t -type f -delete -o -type d -delete",
                    "find t -depth -exec rm -d '{}' +"):
        status, _ = run(command + " ", status=None)
        assert status, command
        assert_eq(b"one\n", read("t/0"), command)
        assert_eq(b"two\n", read("t/1"), command)

    def rmtree():
        shutil.rmtree(topic("t"), ignore_errors=True)
        assert_errno("ENOTEMPTY", os.rmdir, topic("t"))
        os.mkdir(topic("u"))
        os.rmdir(topic("u"))  # Another topic is none of it.
        return True

    assert Child(rmtree).result()
    # Nor does anything that begins higher up. What is empty has nothing to lose: it is asked alone.
    for command in (f"rm -r '{MNT}/topics'", f"rm -rf '{MNT}'", "rm -rf *", "find . -delete",
                    "find . -mindepth 1 -depth -exec rm -d '{}' +",
                    "python3 -c 'import shutil; shutil.rmtree(\".\")'",
                    "python3 -c 'import shutil; shutil.rmtree(\".\", True)'; false"):
        status, _ = run(command + " ", status=None)
        assert status, command
        assert_eq(["t"], os.listdir(topic("")), command)
        assert_eq((b"one\n", b"two\n"), (read("t/0"), read("t/1")), command)
    assert_errors_line(r" ENOTEMPTY uid=\d+ pid=\d+ topics/t: ")
    assert_eq(b"one\n", read("t/0"))
    for name in ("t/0", "t/all", "t/config", "t/status", "t/0@0.json", "t/by-key/k"):
        assert_errno("EPERM", os.unlink, topic(name))
    assert_errno("EPERM", os.rmdir, topic("t/by-key"))
    assert_errno("ENOTEMPTY", os.rmdir, topic("t"))
    run("rmdir", "t")
    assert_eq([], os.listdir(topic("")))

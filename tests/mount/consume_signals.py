#!/usr/bin/env python3
# Ctrl-C and SIGKILL end a reader that waits, and so does any handled signal with EINTR; one that
# was stopped gets EINTR when it goes on. Nothing that is given later is lost by it.
import ctypes
from t import *


def read_raw(fd):
    """read(2) without Python's own repetition: bytes, or the name of the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    buf = ctypes.create_string_buffer(100)
    n = libc.read(fd, buf, 100)
    return errno.errorcode[ctypes.get_errno()] if n < 0 else buf.raw[:n]


def read_with_handler(fd):
    signal.signal(signal.SIGUSR1, lambda *_: None)
    signal.siginterrupt(signal.SIGUSR1, True)
    return read_raw(fd)


def read_default(fd):
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    return os.read(fd, 100)


with Broker():
    make_topic("t", 2)
    for view in ("0@latest", "0@latest.json", "all@latest", "0@latest.msg", "0@500"):
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            for number in (signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
                child = Child(read_default, fd)
                wait_until(child.is_waiting)
                child.kill(number)
                assert_eq(number, os.WTERMSIG(child.wait()), f"{view}: ended by {number}")
            child = Child(read_with_handler, fd)
            wait_until(child.is_waiting)
            child.kill(signal.SIGUSR1)
            assert_eq("EINTR", child.result(), view)
    with opened(topic("t/1@latest"), os.O_RDONLY) as fd:
        child = Child(read_raw, fd)
        wait_until(child.is_waiting)
        child.kill(signal.SIGSTOP)
        assert os.WIFSTOPPED(os.waitpid(child.pid, os.WUNTRACED)[1])
        child.kill(signal.SIGCONT)
        assert_eq("EINTR", child.result())
        # Of several that wait on one descriptor each can be killed, and the rest go on.
        children = [Child(read_raw, fd) for _ in range(3)]
        wait_until(lambda: any(c.is_waiting() for c in children))
        append("t/1", b"a\n")
        got = []
        wait_until(lambda: [c for c in children if select.select([c.pipe], [], [], 0)[0]])
        first = [c for c in children if select.select([c.pipe], [], [], 0)[0]][0]
        assert_eq(b"a\n", first.result())
        rest = [c for c in children if c is not first]
        wait_until(lambda: any(c.is_waiting() for c in rest))
        for c in rest:
            c.kill()
        for c in rest:
            c.wait()
        append("t/1", b"b\n")
        assert_eq(b"b\n", os.read(fd, 100))
    # A pipeline that is ended by Ctrl-C, as in a terminal: the whole group gets it.
    pipeline = subprocess.Popen(["bash", "-c", "cat 0@latest | tee copy >&2"], cwd=topic("t"),
                                stderr=subprocess.PIPE, start_new_session=True)
    pipeline.stderr.readline()
    os.killpg(pipeline.pid, signal.SIGINT)
    pipeline.wait(10)
    pipeline.stderr.close()
    append("t/0", b"alive\n")
    assert_eq(b"alive\n", read("t/0"))

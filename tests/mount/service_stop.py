#!/usr/bin/env python3
# SIGTERM ends the broker with 0, whatever is open: waiting readers are answered, shells
# inside do not delay it, tails become records, and the mount is gone.
from t import *

with Broker() as broker:
    make_topic("t", 2)
    append("t/0", b"one\n")
    readers = []
    for view in ("0@latest", "0@latest.json", "all@latest", "0@5.msg"):
        with opened(topic("t/" + view), os.O_RDONLY) as fd:
            readers.append(Child(os.read, fd, 100))
    for reader in readers:
        wait_until(reader.is_waiting)
    shell = subprocess.Popen(["bash", "-c", "exec 3>>t/1; printf half >&3; echo; read -r x"],
                             cwd=topic(""), stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    assert_eq(b"\n", shell.stdout.readline())
    plain = os.open(topic("t/0"), os.O_RDONLY)
    poll = select.epoll()
    stream = os.open(topic("t/0@latest"), os.O_RDONLY)
    poll.register(stream, select.EPOLLIN)
    assert_eq([], poll.poll(0))
    broker.stop()
    for reader in readers:
        try:
            assert_eq(b"", reader.result())
        except OSError as e:
            assert e.errno in (errno.ENOTCONN, errno.EINTR, errno.ECONNABORTED, errno.EIO), e
    assert_errno("ENOTCONN", os.read, plain, 10)
    poll.close()
    shell.communicate(b"\n", timeout=10)
    for fd in (plain, stream):
        with contextlib.suppress(OSError):
            os.close(fd)
    broker.start()
    assert_eq(b"half\n", read("t/1"))
    # With the working directory of a process inside, and a file open for writing.
    inside = Child(lambda: (os.chdir(topic("t")), signal.sigwait([signal.SIGUSR1]))[1])
    sink = os.open(topic("t/0"), os.O_WRONLY)
    os.write(sink, b"two\nrest")
    broker.stop(signal.SIGINT)
    assert_errno("ENOTCONN", os.write, sink, b"three\n")
    with contextlib.suppress(OSError):
        os.close(sink)
    inside.kill()
    inside.wait()
    broker.start()
    assert_eq(b"one\ntwo\nrest\n", read("t/0"))
    # A terminal that is closed ends it as well; under nohup it does not.
    signal.signal(signal.SIGHUP, signal.SIG_DFL)
    broker.restart()
    append("t/1", b"kept")
    broker.stop(signal.SIGHUP)
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    broker.start()
    os.kill(broker.pid, signal.SIGHUP)
    assert_eq(b"half\nkept\n", read("t/1"))

#!/usr/bin/env python3
# Topics that are made, grown, cut by retention and deleted under their readers and writers give
# ESTALE, ENOENT and EEXIST, and nothing else; the broker goes on.
import random
from t import *

ALLOWED = {errno.ESTALE, errno.ENOENT, errno.EEXIST, errno.EAGAIN, errno.ENODATA,
           errno.EINTR}
NAMES = ["a", "b", "c"]
VIEWS = ["0", "0@0", "0@latest.json", "all", "all@latest", "0@-5..", "0.msg", "all@-3.json",
         "config", "status", "0@earliest.msg", "1", "0.json"]
END = time.monotonic() + 2


def churn(seed, act):
    rnd = random.Random(seed)
    done = 0
    while time.monotonic() < END:
        try:
            done += 1
            act(rnd, rnd.choice(NAMES))
        except OSError as e:
            signal.setitimer(signal.ITIMER_REAL, 0)
            if e.errno not in ALLOWED:
                raise
    return done


def write(rnd, name):
    view = rnd.choice(["0", "all", "1", "by-key/k", "0.msg", "all.json"])
    with opened(topic(f"{name}/{view}"), os.O_RDWR | rnd.choice([0, 0, os.O_SYNC])) as fd:
        for _ in range(rnd.randrange(10)):
            os.write(fd, b'{"value":"%s"}\n' % (b"x" * rnd.randrange(500)))
            if rnd.random() < 0.2:
                os.fsync(fd)
        os.write(fd, b'{"value":"tail"}')
        if rnd.random() < 0.5:
            os.read(fd, 100)


def look(rnd, name):
    with opened(topic(f"{name}/{rnd.choice(VIEWS)}"), os.O_RDONLY | os.O_NONBLOCK) as fd:
        for _ in range(rnd.randrange(6)):
            os.read(fd, rnd.choice([600, 5000, 100000]))
            os.fstat(fd)
        p = select.poll()
        p.register(fd, select.POLLIN)
        p.poll(rnd.randrange(3))


def follow(rnd, name):
    with opened(topic(f"{name}/{rnd.choice(['0@0', 'all@earliest.json', '0@latest'])}"),
                os.O_RDONLY) as fd:
        signal.setitimer(signal.ITIMER_REAL, 0.02)
        try:
            while True:
                os.read(fd, 10000)
        finally:  # It must not come to something else.
            signal.setitimer(signal.ITIMER_REAL, 0)


def interrupt(*_):
    raise InterruptedError(errno.EINTR, "the time is over")


def change(rnd, name):
    what = rnd.randrange(8)
    if what < 2:
        os.mkdir(topic(name))
    elif what == 2:
        os.rmdir(topic(name))
    elif what == 3:
        configure(name, "num.partitions=%d" % rnd.randrange(2, 4))
    elif what == 4:
        configure(name, "segment.bytes=1024", "retention.bytes=%d" % rnd.randrange(1000, 5000))
    elif what == 5:
        os.chmod(topic(name), 0o755 if rnd.random() < 0.5 else 0o777)
    else:
        os.listdir(topic(name))


def change_all(rnd, name):
    with contextlib.suppress(PermissionError):  # A topic that would shrink.
        change(rnd, name)


with Broker("--set", "log.retention.check.interval.ms=10") as broker:
    signal.signal(signal.SIGALRM, interrupt)
    for name in NAMES:
        make_topic(name, 2)
    children = [Child(churn, seed, act) for seed, act in
                enumerate([write, write, write, look, look, follow, follow, change_all])]
    counts = [child.result(20) for child in children]
    assert min(counts) > 0, counts
    assert broker.process.poll() is None, "the broker ended"
    for name in NAMES:
        with contextlib.suppress(FileNotFoundError):
            os.rmdir(topic(name))
    make_topic("after")
    append("after/0", b"x\n")
    assert_eq(b"x\n", read("after/0"))
    broker.restart()
    assert_eq(b"x\n", read("after/0"))
    broker.stop()
    run(TOPICFS, "verify", DATA, cwd="/")

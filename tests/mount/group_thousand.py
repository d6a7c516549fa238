#!/usr/bin/env python3
# A thousand groups of ten members each live on one broker: all are shared out, all are served, and
# the death of a process with a member of each is over in little time.
from t import *

GROUPS, MEMBERS = 1000, 10


def hold(ready):
    """One member of each group."""
    import resource
    resource.setrlimit(resource.RLIMIT_NOFILE, (GROUPS + 100, GROUPS + 100))
    fds = [os.open(group(f"g{i}/topics/t"), os.O_RDONLY | os.O_NONBLOCK) for i in range(GROUPS)]
    os.write(ready, b"x")
    poller = select.epoll()
    for fd in fds:
        poller.register(fd, select.EPOLLIN)
    while True:
        for fd, _ in poller.poll():
            try:
                while True:
                    os.read(fd, 10000)
            except BlockingIOError:
                pass
            except OSError as e:
                if e.errno != errno.ESTALE:
                    raise


def all_committed(want):
    return all(sum(committed(f"g{i}", "t", p) or 0 for p in range(MEMBERS)) >= want
               for i in range(0, GROUPS, 37))


with Broker():
    make_topic("t", MEMBERS)
    for i in range(GROUPS):
        make_group(f"g{i}")
    ready, theirs = os.pipe()
    children = [Child(hold, theirs) for _ in range(MEMBERS)]
    try:
        got = 0
        while got < MEMBERS:
            assert select.select([ready], [], [], 60)[0], "they do not get ready"
            got += len(os.read(ready, 100))
        wait_until(lambda: all(state(f"g{i}")["state"] == "Stable"
                               for i in range(0, GROUPS, 37)), 60)
        for i in range(0, GROUPS, 37):
            assert_eq([[p] for p in range(MEMBERS)],
                      sorted(m["t"] for m in shares(f"g{i}").values()))
        for p in range(MEMBERS):
            append(f"t/{p}", b"one\ntwo\n")
        children[0].kill()
        children[0].wait()
        for p in range(MEMBERS):
            append(f"t/{p}", b"three\n")
        wait_until(lambda: all(len(shares(f"g{i}")) == MEMBERS - 1
                               for i in range(0, GROUPS, 37)), 60)
        wait_until(lambda: all_committed(3 * MEMBERS), 60)
    finally:
        for child in children:
            if child.status is None:
                child.kill()
                child.wait()
    wait_until(lambda: all(state(f"g{i}")["state"] == "Empty" for i in range(0, GROUPS, 37)), 30)

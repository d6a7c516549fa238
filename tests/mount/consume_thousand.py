#!/usr/bin/env python3
# 1,000 readers wait on one partition without a thread for each, and one append wakes them all.
import threading
from t import *

PROCESSES, EACH = 10, 100


def read_all(ready):
    """EACH threads of this process wait at the end; each gives what it read."""
    threading.stack_size(65536)
    got = [None] * EACH
    fds = [os.open(topic(f"t/0@latest{('', '.json')[i % 2]}"), os.O_RDONLY) for i in range(EACH)]

    def one(i):
        got[i] = os.read(fds[i], 1000)

    threads = [threading.Thread(target=one, args=(i,)) for i in range(EACH)]
    for thread in threads:
        thread.start()
    os.write(ready, b"x")
    for thread in threads:
        thread.join()
    return got


def waiting(pid):
    count = 0
    for task in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(OSError), open(f"/proc/{pid}/task/{task}/stack") as f:
            count += "fuse" in f.read()
    return count


def parked():
    with open(MNT + "/metrics") as f:
        match = re.search(r"^topicfs_requests_parked (\d+)", f.read(), re.M)
    return int(match[1]) if match else None


def threads_of(pid):
    return len(os.listdir(f"/proc/{pid}/task"))


with Broker() as broker:
    make_topic("t")
    append("t/0", b"before\n")
    ready_read, ready_write = os.pipe()
    children = [Child(read_all, ready_write) for _ in range(PROCESSES)]
    for _ in range(PROCESSES):
        os.read(ready_read, 1)
    if parked() is not None:
        wait_until(lambda: parked() >= PROCESSES * EACH, 20, "1,000 requests are parked")
    else:
        wait_until(lambda: sum(waiting(c.pid) for c in children) == PROCESSES * EACH, 20)
    assert threads_of(broker.pid) < 50, f"{threads_of(broker.pid)} threads"
    # The broker serves others meanwhile.
    make_topic("u")
    append("u/0", b"x\n")
    assert_eq(b"x\n", read("u/0"))
    append("t/0", b"all\n")
    for child in children:
        for i, got in enumerate(child.result(20)):
            assert_eq("all", json.loads(got)["value"] if i % 2 else got.decode().strip())

    # Opening one name at once costs look-ups in proportion, not in the square: each open must not
    # undo the look-ups of the others (it took seconds).
    def lookups():
        with open(MNT + "/metrics") as f:
            what = r'^topicfs_requests_total{kind="lookup"} (\d+)'
            return int(re.search(what, f.read(), re.M)[1])

    def open_one(gate):
        gate.wait()
        os.close(os.open(topic("t/0@latest"), os.O_RDONLY))

    before, gate = lookups(), threading.Barrier(500)
    threading.stack_size(65536)
    threads = [threading.Thread(target=open_one, args=(gate,)) for _ in range(500)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert lookups() - before < 500 * 10, f"{lookups() - before} look-ups for 500 opens"

#!/usr/bin/env python3
# Committed offsets survive the broker's death and its clean end, and go neither back nor beyond the
# log; members are gone, and waiting readers are answered.
from t import *


def consume(name):
    """Reads until the mount goes; what it has dealt with is in its file."""
    fd = os.open(group(name), os.O_RDONLY)
    with open(CASE_DIR + "/done", "ab", buffering=0) as done:
        while True:
            try:
                done.write(os.read(fd, 4096))
            except OSError as e:
                return errno.errorcode[e.errno]


with Broker("--set", "offsets.topic.num.partitions=3") as broker:
    make_topic("t", 3)
    make_group("g")
    make_group("h", "commit=manual", "max.poll.records=7")
    total = 0
    for life in range(4):
        with Child(consume, "g/topics/t") as child:
            for _ in range(50):
                for p in range(3):
                    append(f"t/{p}", b"%d %06d\n" % (p, total))
                total += 1
            wait_until(lambda: sum(committed("g", "t", p) or 0 for p in range(3)) > 3 * total - 100)
            before = [committed("g", "t", p) or 0 for p in range(3)]
            config = get("h/config")
            if life % 2:
                broker.stop()
            else:
                broker.kill()
            assert child.result() in ("ENOTCONN", "ECONNABORTED"), life
        broker.start()
        after = [committed("g", "t", p) or 0 for p in range(3)]
        for p in range(3):
            assert before[p] <= after[p] <= total, (before, after, total)
        assert_eq({}, shares("g"))
        assert_eq("Empty", state("g")["state"])
        assert_eq(config, get("h/config"))
        assert state("g")["generation"] >= 1
    with Child(consume, "g/topics/t") as child:
        wait_until(lambda: [committed("g", "t", p) for p in range(3)] == [total] * 3)
    with open(CASE_DIR + "/done", "rb") as f:
        done = f.read().splitlines()
    assert_eq(3 * total, len(set(done)), "every record")
    for p in range(3):
        mine = [line for line in dict.fromkeys(done) if line.startswith(b"%d " % p)]
        assert_eq(sorted(mine), mine, f"order of partition {p}")

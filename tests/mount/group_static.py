#!/usr/bin/env python3
# Static members (instance=): closing leaves nothing within the session timeout, who comes back has
# its partitions without a rebalance, a second holder fences the first; also over a restart.
from t import *


def join(what):
    fd = os.open(group("g/join"), os.O_RDWR)
    os.write(fd, what)
    return fd, json.loads(os.read(fd, 10000))


with Broker() as broker:
    make_topic("t", 4)
    make_group("g")
    one, got = join(b"topics=t instance=i1\n")
    two, _ = join(b"topics=t instance=i2\n")
    assert_eq([{"topic": "t", "partitions": [0, 1]}],
              json.loads(os.read(one, 10000))["assignment"])
    # The next read hands over, and gives the generation in which that is done.
    os.read(one, 10000)
    with Child(os.read, one, 10000) as reader:
        wait_until(reader.is_waiting)
        assert_eq("Stable", state("g")["state"])
        reader.kill()
    before = state("g")
    os.close(one)
    assert_eq(2, len(state("g")["members"]))
    assert_eq(before["generation"], state("g")["generation"])
    one, got = join(b"topics=t instance=i1\n")
    assert_eq(before["generation"], state("g")["generation"], "it came back without a rebalance")

    # Fenced.
    with Child(os.read, one, 10000) as reader:
        wait_until(reader.is_waiting)
        thief, _ = join(b"topics=t instance=i1\n")
        assert_errno("ESTALE", reader.result)
    assert_errno("ESTALE", os.read, one, 1000)
    assert_errno("ESTALE", os.write, one, b"\n")
    assert_eq(2, len(state("g")["members"]))
    os.close(one)
    assert_eq(2, len(state("g")["members"]), "who was fenced takes nothing with it")

    # Over a restart of the broker it is there still; then its time runs out.
    os.close(thief)
    os.close(two)
    generation = state("g")["generation"]
    broker.kill()
    broker.start()
    assert_eq(2, len(state("g")["members"]))
    one, got = join(b"topics=t instance=i1 session.timeout.ms=100\n")
    assert_eq(2, len(state("g")["members"]))
    assert got["generation"] >= generation
    os.close(one)
    wait_until(lambda: len(state("g")["members"]) == 1)

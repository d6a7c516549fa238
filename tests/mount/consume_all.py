#!/usr/bin/env python3
# `all` merges the partitions by timestamp, each in its order; all@-N is the last N of all
# together; `all` has no offsets.
from t import *

with Broker():
    make_topic("t", 3)
    # 30 records whose times are spread over the partitions, and one partition's clock going back.
    times = {0: [1000 + 30 * i for i in range(10)], 1: [1010 + 30 * i for i in range(10)],
             2: [1020, 1050, 1049, 1110, 1140, 1170, 1200, 1230, 1260, 1290]}
    for p, stamps in times.items():
        append(f"t/{p}.json", b"".join(b'{"value":"%d-%d","timestamp":%d}\n' % (p, i, ts)
                                       for i, ts in enumerate(stamps)))

    def merged():
        heads = {p: 0 for p in times}
        while True:
            ready = [(times[p][i], p) for p, i in heads.items() if i < len(times[p])]
            if not ready:
                return
            ts, p = min(ready)
            yield p, heads[p], ts
            heads[p] += 1

    want = [f"{p}-{i}" for p, i, _ in merged()]
    assert_eq(want, read("t/all").decode().splitlines())
    assert_eq(want, [r["value"] for r in records("t/all.json")])
    assert_eq([ts for _, _, ts in merged()], [r["timestamp"] for r in records("t/all.json")])
    with opened(topic("t/all@earliest"), os.O_RDONLY) as fd:
        assert_eq(want, os.read(fd, 100000).decode().splitlines())
    with opened(topic("t/all@earliest.msg"), os.O_RDONLY) as fd:
        assert_eq([w.encode() for w in want], [os.read(fd, 100) for _ in want])

    for n in (0, 1, 2, 5, 17, 30, 99):
        assert_eq(want[30 - min(n, 30):], read(f"t/all@-{n}..").decode().splitlines(), f"-{n}")
    with opened(topic("t/all@-4"), os.O_RDONLY) as fd:
        assert_eq(want[-4:], os.read(fd, 1000).decode().splitlines())
    assert_eq(want[:-3], read("t/all@earliest..-3").decode().splitlines())
    assert_eq(want[-6:-3], read("t/all@-6..-3").decode().splitlines())
    after = [f"{p}-{i}" for p in times for i, ts in enumerate(times[p])
             if any(t >= 1200 for t in times[p][:i + 1])]
    assert_eq(sorted(after), sorted(read("t/all@t1200..").decode().splitlines()))
    some = read("t/all@t1100..t1200").decode().splitlines()
    assert_eq([f"{p}-{i}" for p, i, ts in merged() if 1100 <= ts < 1200], some)
    assert_eq([], read("t/all@latest..").splitlines())
    for name in ("all@0", "all@5", "all@0..", "all@5..7", "all@earliest..5"):
        assert_errno("ENOENT", os.open, topic("t/" + name), os.O_RDONLY)

    # A stream goes on with what is at hand; equal times do not lose or double anything.
    with opened(topic("t/all@latest"), os.O_RDONLY) as fd:
        for i in range(30):
            append(f"t/{i % 3}.json", b'{"value":"n%d","timestamp":5000}\n' % i)
        got = os.read(fd, 10000).decode().splitlines()
        assert_eq(sorted(f"n{i}" for i in range(30)), sorted(got))
        for p in range(3):
            mine = [int(v[1:]) for v in got if int(v[1:]) % 3 == p]
            assert_eq(sorted(mine), mine)
        with Child(os.read, fd, 100) as child:
            wait_until(child.is_waiting)
            append("t/2", b"wake\n")
            assert_eq(b"wake\n", child.result())

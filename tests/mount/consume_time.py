#!/usr/bin/env python3
# Timestamps may run backwards: @TIME is the first record with that timestamp or a later one, in
# every form and over many segments, and the same after a restart.
import random
from t import *

random.seed(7)
times = [1_000_000 + i * 10 + random.randrange(-400, 400) for i in range(600)]
times[100] = 5
times[200] = 1_009_999  # A clock that was far ahead for a moment.


def first(ts):
    return next((i for i, t in enumerate(times) if t >= ts), len(times))


with Broker() as broker:
    make_topic("t", 1, "segment.bytes=3000", "index.interval.bytes=100")
    for i in range(0, 600, 4):
        append("t/0.json", b"".join(b'{"value":"%d","timestamp":%d}\n' % (j, times[j])
                                    for j in range(i, i + 4)))

    def check():
        asked = [0, 5, 6, 999_000, 1_000_000, 1_009_999, 1_010_000, 2_000_000]
        asked += random.sample(times, 60) + [t + 1 for t in random.sample(times, 30)]
        for ts in asked:
            got = read(f"t/0@t{ts}..").split(b"\n", 1)[0]
            want = first(ts)
            assert_eq(b"%d" % want if want < 600 else b"", got, f"the first at {ts} or later")
            if want < 600:
                with opened(topic(f"t/0@t{ts}.json"), os.O_RDONLY) as fd:
                    record = json.loads(os.read(fd, 100000).split(b"\n", 1)[0])
                assert_eq((want, times[want]), (record["offset"], record["timestamp"]))
        assert_eq(times, [r["timestamp"] for r in records("t/0.json")])

    check()
    broker.restart()
    check()
    broker.kill()
    broker.start()
    check()

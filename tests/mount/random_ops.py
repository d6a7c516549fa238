#!/usr/bin/env python3
# Random calls, in lives of the broker that end by kill -9, under writers or not, or by a stop,
# leave what a model of topics as lists says: what was answered is there, what was not is there
# whole or not at all, and nothing else. The seed is printed; TOPICFS_SEED repeats it.
import random
from t import *

LIVES = int(os.environ.get("TOPICFS_LIVES", "60"))
SEED = int(os.environ.get("TOPICFS_SEED") or os.getpid())
GONE = {errno.ENOTCONN, errno.ECONNABORTED, errno.EIO, errno.EINTR}
KEYS = ["k", "key 2", "é"]
rnd = random.Random(SEED)
topics = {}  # By name, a list for each partition of (value, key).
handles = []
count = 0


class Handle:
    """An open file for writing. `tail` is the line that was begun."""

    def __init__(self, name):
        self.topic, self.tail, self.key = name, b"", None
        self.kind = rnd.choice(["N", "N", "all", "key", "json"])
        self.part = rnd.randrange(len(topics[name])) if self.kind == "N" else None
        file = {"N": self.part, "all": "all", "key": "by-key/key 2", "json": "all.json"}[self.kind]
        self.key = "key 2" if self.kind == "key" else None
        self.fd = os.open(topic(f"{name}/{file}"),
                          os.O_WRONLY | rnd.choice([0, os.O_APPEND, os.O_SYNC]))
        handles.append(self)

    def close(self):
        handles.remove(self)
        os.close(self.fd)


def value(largest=5000):
    """Like no other; its number orders those of one write."""
    global count
    count += 1
    size = rnd.choice([0, 10, 100, 1000, rnd.randrange(largest)])
    return b"%08d %s" % (count, bytes(rnd.choices(b"abc ", k=min(size, 50))) * (size // 50 + 1))


def read_new(name, part):
    """[(value, key)] behind what the model holds."""
    have = topics[name][part]
    new = records(f"{name}/{part}@{len(have)}...json")
    for i, r in enumerate(new):
        assert_eq((name, part, len(have) + i), (r["topic"], r["partition"], r["offset"]), "place")
    return [(r["value"].encode(), r["key"]) for r in new]


def settle(name, wanted, part=None, ordered=True):
    """Takes what is new in a topic over into the model: of `wanted` alone, in its order, and in one
    partition if it is told. Gives what is not there yet."""
    wanted = list(wanted)
    for p, have in enumerate(topics[name]):
        last = -1
        for record in read_new(name, p):
            if record not in wanted or part not in (None, p):
                fail(f"{name}/{p} has {record!r:.200}, which nobody wrote there")
            number = int(record[0][:8])
            assert not ordered or number > last, f"{name}/{p}: out of order"
            last = number
            wanted.remove(record)
            have.append(record)
    return wanted


def expect(h, values, keys=None):
    keys = keys or [h.key] * len(values)
    left = settle(h.topic, zip(values, keys), h.part)
    assert not left, f"answered, and not there: {left!r:.200}"


def do_write(h):
    values = [value() for _ in range(rnd.choice([1, 1, 1, 2, 5, 40]))]
    if rnd.random() < 0.03:
        values = [value(300000)]
    if h.kind == "json":
        keys = [rnd.choice(KEYS + [None]) for _ in values]
        what = b"".join(json.dumps({"value": v.decode(), "key": k}).encode() + b"\n"
                        for v, k in zip(values, keys))
        assert_eq(len(what), os.write(h.fd, what))
        expect(h, values, keys)
        return
    what = b"\n".join(values)
    ends = len(h.tail) > 100000 or rnd.random() < 0.7
    assert_eq(len(what) + ends, os.write(h.fd, what + b"\n" * ends))
    values[0] = h.tail + values[0]
    h.tail = b"" if ends else values.pop()
    expect(h, values)


def do_fsync(h):
    os.fsync(h.fd)
    expect(h, [h.tail] if h.tail else [])
    h.tail = b""


def do_close(h):
    """The end of the open file is told to the broker when close() has returned."""
    h.close()
    wanted = [(h.tail, h.key)] if h.tail else []

    def is_there():
        nonlocal wanted
        wanted = settle(h.topic, wanted, h.part)
        return not wanted
    wait_until(is_there, what="the last line is stored")


def do_topic():
    name = rnd.choice("abcd")
    if name not in topics:
        topics[name] = [[] for _ in range(rnd.randrange(1, 5))]
        make_topic(name, len(topics[name]))
    elif rnd.random() < 0.4:
        configure(name, f"segment.bytes={rnd.choice([1024, 5000, 100000, 1 << 30])}")
    elif rnd.random() < 0.5 and len(topics[name]) < 6:
        configure(name, f"num.partitions={len(topics[name]) + 1}")
        topics[name].append([])
    elif len(topics) > 1:
        os.rmdir(topic(name))
        del topics[name]
        for h in [h for h in handles if h.topic == name]:
            assert_errno("ESTALE", os.write, h.fd, b'{"value":"late"}\n')
            with contextlib.suppress(OSError):
                h.close()


def joined(have):
    return b"".join(v + b"\n" for v, _ in have)


def do_read():
    name = rnd.choice(list(topics))
    part = rnd.randrange(len(topics[name]))
    have, at = topics[name][part], f"{name}/{part}"
    a, b = sorted(rnd.randrange(len(have) + 2) for _ in range(2))
    if a <= len(have):
        assert_eq(joined(have[a:b]), read(f"{at}@{a}..{b}"), f"{at}@{a}..{b}")
    n = rnd.randrange(1, 20)
    assert_eq(joined(have[-n:]), read(f"{at}@-{n}.."), f"{at}@-{n}..")
    whole = joined(have)
    assert_eq(len(whole), os.stat(topic(at)).st_size, f"size of {at}")
    with opened(topic(at), os.O_RDONLY) as fd:
        pos = rnd.randrange(1, len(whole) + 2)
        assert_eq(whole[pos:pos + 5000], os.pread(fd, 5000, pos), f"{at} at {pos}")


def check_all():
    assert_eq(sorted(topics), sorted(n for n in os.listdir(f"{MNT}/topics") if n[0] != "_"))
    for name, parts in topics.items():
        assert_eq(len(parts), sum(n.isdigit() for n in os.listdir(topic(name))), name)
        for part, have in enumerate(parts):
            assert_eq(joined(have), read(f"{name}/{part}"), f"{name}/{part}")
            got = [(r["value"].encode(), r["key"]) for r in records(f"{name}/{part}.json")]
            assert got == have, f"{name}/{part}.json differs from the model"


def write_until_gone(seed, number, names, out):
    """A process: says what it is about to write, and that it was answered."""
    mine, n = random.Random(seed), 0
    try:
        with opened(topic(mine.choice(names)), os.O_WRONLY | mine.choice([0, os.O_SYNC])) as fd:
            while True:
                n += 1
                lines = [b"%08d by %d line %d%s" % (n, number, i, b"#" * mine.choice([0, 9, 999]))
                         for i in range(mine.choice([1, 1, 3, 20]))]
                os.write(out, json.dumps([v.decode() for v in lines]).encode() + b"\n")
                os.write(fd, b"".join(v + b"\n" for v in lines))
                os.write(out, b"answered\n")
                if mine.random() < 0.2:
                    os.fsync(fd)
    except OSError as e:
        return e.errno in GONE


def take_over(outs):
    """What the processes wrote, of the topic's new records."""
    new = {r: p for p in range(len(topics["burst"])) for r, _ in read_new("burst", p)}
    for p, have in enumerate(topics["burst"]):
        got = read_new("burst", p)
        assert_eq(len(got), sum(q == p for q in new.values()), "each record is there once")
        have += got
    for out in outs:
        with open(out, "rb") as f:
            said = f.read().splitlines()
        order = {p: [] for p in range(len(topics["burst"]))}
        for i, line in enumerate(said):
            if line == b"answered":
                continue
            lines = [v.encode() for v in json.loads(line)]
            there = [v for v in lines if v in new]
            answered = said[i + 1:i + 2] == [b"answered"]
            assert there == lines or not (there or answered), \
                f"{len(there)} of {len(lines)} are there, answered: {answered}"
            for v in there:
                order[new.pop(v)].append(v)
        for p, values in order.items():
            both = [v for v, _ in topics["burst"][p] if v in set(values)]
            assert both == values, "a writer's lines are out of order"
    assert not new, f"nobody wrote {list(new)[:3]!r:.200}"


def burst(broker):
    """Kills the broker under writers."""
    topics["burst"] = [[], []]
    make_topic("burst", 2)
    outs, children = [f"{CASE_DIR}/out{i}" for i in range(rnd.randrange(1, 5))], []
    for i, out in enumerate(outs):
        fd = os.open(out, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_APPEND)
        children.append(Child(write_until_gone, rnd.random(), i,
                              ["burst/0", "burst/1"], fd))
        os.close(fd)
    goal = rnd.randrange(20000)
    wait_until(lambda: sum(os.stat(out).st_size for out in outs) > goal, 60)
    broker.kill()
    for child in children:
        assert child.result(), "a writer ended otherwise"
    return outs


def live():
    for _ in range(rnd.randrange(10, 80)):
        what = rnd.random()
        if what < 0.15 and len(handles) < 10:
            Handle(rnd.choice(list(topics)))
        elif what < 0.22:
            do_topic()
        elif what < 0.32:
            do_read()
        elif handles:
            rnd.choice([do_write, do_write, do_write, do_fsync, do_close])(rnd.choice(handles))


def end(broker):
    """Ends a life; gives what is to be compared when there is another."""
    how = rnd.choice(["kill", "stop", "burst"])
    outs = []
    if how == "stop":
        broker.stop()
    elif how == "kill":
        broker.kill()
    else:
        outs = burst(broker)
    tails = [(h.topic, (h.tail, h.key)) for h in handles if h.tail]
    for h in list(handles):
        with contextlib.suppress(OSError):
            h.close()
    return outs, tails if how == "stop" else []


def options():
    return ("--set", f"journal.bytes={rnd.choice([0, 1 << 20, 1 << 26])}",
            "--set", f"log.index.interval.bytes={rnd.choice([0, 64, 4096])}",
            "--set", f"log.segment.bytes={rnd.choice([2048, 65536, 1 << 30])}")


print(f"TOPICFS_SEED={SEED}", flush=True)
with Broker(*options()) as broker:
    topics["a"] = [[], []]
    make_topic("a", 2)
    for _ in range(LIVES):
        live()
        check_all()
        outs, tails = end(broker)
        if rnd.random() < 0.5:
            run(TOPICFS, "verify", DATA, cwd="/")
        broker.options = options()
        broker.start()
        # Of a topic's tails the order at the stop is the broker's.
        for name in set(topics) - {"burst"}:
            left = settle(name, [t[1] for t in tails if t[0] == name], ordered=False)
            assert not left, f"a stop has lost {left!r:.200}"
        if outs:
            take_over(outs)
            check_all()
            os.rmdir(topic("burst"))
            del topics["burst"]
        check_all()
    broker.stop()
    run(TOPICFS, "verify", DATA, cwd="/")

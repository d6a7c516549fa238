#!/usr/bin/env python3
# A kill within any step (making the journal, rolls, retention, topics made, grown and deleted,
# shutdown, recovery and its cuts) loses nothing that was answered. strace makes the n-th system
# call of a kind the last one: TOPICFS_MOMENTS of them, chosen by TOPICFS_SEED.
import random
from t import *

MOMENTS = int(os.environ.get("TOPICFS_MOMENTS", "60"))
SEED = int(os.environ.get("TOPICFS_SEED", "11"))
GONE = (errno.ENOTCONN, errno.ECONNABORTED, errno.EINTR)
# What is hit, and how far into a life of the broker.
CALLS = [("pwrite64", 60), ("fdatasync", 12), ("fsync", 10), ("ftruncate", 8),
         ("unlink,unlinkat", 10), ("rename,renameat,renameat2", 8), ("mkdir,mkdirat", 6),
         ("openat", 60), ("fallocate", 8), ("io_uring_enter", 30), ("close", 60),
         ("sync_file_range", 3), ("preadv2,pread64", 40)]
OPTIONS = [(), ("--set", "journal.bytes=1048576"), ("--set", "journal.bytes=0")]
SETS = ("--set", "log.retention.check.interval.ms=20", "--set", "disk.reserve.bytes=1048576",
        "--set", "disk.reserve.percent=0")


class Told:
    """What was answered, and what was asked last without an answer."""

    def __init__(self):
        self.lines, self.asked = [], None
        self.topics, self.asked_topic = {}, None
        self.churned = 0


def a_life(told, life):
    """Appends, rolls, retention, topics that come, grow and go. Ends with the broker."""
    for turn in range(6):
        for i in range(4):
            line = b"life %d turn %d line %d %s\n" % (life, turn, i, b"." * (i * 400))
            told.asked = line
            with opened(topic("keep/0"), os.O_WRONLY | os.O_APPEND) as fd:
                assert_eq(len(line), os.write(fd, line))
                told.lines.append(line)
                told.asked = None
                if i % 2:
                    os.fsync(fd)
        append("churn/0", b"%06d %s\n" % (told.churned, b"x" * 900))
        told.churned += 1
        name = f"t{life}-{turn}"
        told.asked_topic = name
        os.mkdir(topic(name))
        told.topics[name] = 1
        append(name + "/0", b"x\n")
        if turn % 2:
            configure(name, "num.partitions=3")
            told.topics[name] = 3
        old = sorted(told.topics)[0]
        if len(told.topics) > 3:
            told.asked_topic = old
            del told.topics[old]
            os.rmdir(topic(old))
        told.asked_topic = None


def check(told):
    """What was asked last may be there or not; it is settled now."""
    held = read("keep/0")
    wanted = b"".join(told.lines)
    if told.asked and held == wanted + told.asked:
        told.lines.append(told.asked)
    else:
        assert_eq(wanted, held, "topics/keep/0")
    told.asked = None
    offsets = [r["offset"] for r in records("keep/0.json")]
    assert_eq(list(range(len(told.lines))), offsets, "offsets of topics/keep/0")
    churned = [int(line[:6]) for line in read("churn/0").splitlines()]
    if churned:
        assert churned[-1] >= told.churned - 1, f"{churned[-1]} is the last of {told.churned}"
        assert_eq(list(range(churned[0], churned[-1] + 1)), churned, "topics/churn/0")
        told.churned = churned[-1] + 1
    found = {n: sum(f.isdigit() for f in os.listdir(topic(n)))
             for n in os.listdir(topic("")) if n.startswith("t")}
    if told.asked_topic:
        told.topics.pop(told.asked_topic, None)
        if told.asked_topic in found:
            told.topics[told.asked_topic] = found[told.asked_topic]
    assert_eq(sorted(told.topics), sorted(found))
    for name, count in told.topics.items():
        assert found[name] >= count, f"{name}: {found[name]} partitions, {count} were told"
        told.topics[name] = found[name]
    told.asked_topic = None



def live(told, life, calls, n, options):
    """One life that ends within a call. How it ended."""
    how = "strace -f -qq -o /dev/null".split()
    how += ["-e", f"trace={calls}", "-e", f"inject={calls}:signal=KILL:when={n}"]
    broker = Broker.__new__(Broker)
    broker.options, broker.env, broker.under, broker.process = options, {}, how, None
    try:
        broker.start()
    except AssertionError:
        assert broker.process.poll() is not None, "neither ready nor ended"
        return "start"
    try:
        if told:
            a_life(told, life)
        # Nothing hit it so far: the stop may.
        stop_it(broker)
        ended = "stop"
    except OSError as e:
        assert e.errno in GONE, e
        ended = "life"
    with contextlib.suppress(subprocess.TimeoutExpired):
        broker.process.wait(10)
    assert broker.process.poll() is not None, f"{calls} {n}: it did not end"
    return ended


def stop_it(broker):
    """SIGTERM to what strace runs."""
    path = f"/proc/{broker.pid}/task/{broker.pid}/children"
    with contextlib.suppress(OSError), open(path) as f:
        for pid in f.read().split():
            os.kill(int(pid), signal.SIGTERM)


rng = random.Random(SEED)
print("seed", SEED)
allow_log(".")
told = Told()
with Broker(*SETS) as broker:
    make_topic("keep", 1, "segment.bytes=4096")
    make_topic("churn", 1, "segment.bytes=2048", "retention.bytes=6000")
    broker.stop()
ends = {"start": 0, "life": 0, "stop": 0}
for life in range(MOMENTS):
    calls, most = CALLS[life % len(CALLS)]
    n = rng.randrange(1, most + 1)
    options = SETS + OPTIONS[rng.randrange(len(OPTIONS))]
    end = live(told, life, calls, n, options)
    ends[end] += 1
    # The next start may be killed too, within its recovery.
    if rng.randrange(2):
        calls = rng.choice(["ftruncate", "pwrite64", "fsync", "unlinkat", "fdatasync"])
        n = rng.randrange(1, 12)
        live(None, life, calls, n, options)
    broker = Broker(*options)
    check(told)
    broker.stop()
    done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
    assert_eq(0, done.returncode, f"after {calls} {n}: {done.stdout!r}")
print(ends)
assert ends["life"] and (ends["start"] or ends["stop"]), ends

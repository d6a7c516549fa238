#!/usr/bin/env python3
# __consumer_offsets is cleaned around what is damaged in it: verify finds that and nothing else,
# dump shows the rest, and a start tells of no more than was lost.
from t import *

OPTIONS = ("--set", "offsets.topic.num.partitions=1", "--set", "offsets.topic.segment.bytes=2048")
LOG_DIR = "__consumer_offsets-0"


def commit(first, last):
    for n in range(first, last):
        for p in range(8):
            put("g/commit", f"t {p} {n}\n")


def bases():
    """Of the segments, in order."""
    return sorted(name[:20] for name in os.listdir(f"{DATA}/{LOG_DIR}") if name.endswith(".meta"))


def offline(command):
    done = subprocess.run([TOPICFS, command, DATA], stdout=subprocess.PIPE, check=False)
    assert_eq(1, done.returncode, done.stdout[-300:])
    return done.stdout.decode().splitlines()


def check_offline():
    faults = [line for line in offline("verify") if line.startswith("fault: ")]
    assert len(faults) == 1 and f"{LOG_DIR}/{damaged}.data: position 0" in faults[0], faults
    faults = [f for f in map(json.loads, offline("dump")) if f["type"] == "fault"]
    assert_eq([f"{LOG_DIR}/{damaged}.data"], [f["file"] for f in faults])


def lost():
    """What the errors of this life say of damage: which offsets."""
    return [re.search(r"offset (\d+) to (\d+) are passed over", line).groups()
            for line in errors_lines("are passed over")]


allow_log("ERROR")
broker = Broker(*OPTIONS)
make_topic("t", 8)
for part in range(8):
    append(f"t/{part}", b"x\n" * 100)
make_group("g")
commit(0, 20)
broker.stop()
before = bases()
damaged = before[len(before) // 2]
with open(f"{DATA}/{LOG_DIR}/{damaged}.data", "r+b") as f:
    f.write(b"!")
check_offline()
want = [(str(int(damaged)),) * 2]
for stop in (broker.kill, broker.stop):
    broker.start()
    assert_eq(want, lost())
    wait_until(lambda: len(bases()) < len(before) // 2, what="it is cleaned")
    assert damaged in bases()
    assert_eq([19] * 8, [committed("g", "t", p) for p in range(8)])
    stop()
    check_offline()
broker.start()
assert_eq(want, lost())
commit(20, 22)
broker.stop()
broker.start()
assert_eq([21] * 8, [committed("g", "t", p) for p in range(8)])
broker.stop()

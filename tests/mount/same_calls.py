#!/usr/bin/env python3
# The broker asks a real disk, under a real mount, for the same as it asks the simulated disk under
# the same script: what each file and directory is written, cut, synced and renamed, in which order.
# So what the sweeps prove on the one holds for the other.
from t import *

TRACED, SIMULATED = (f"{os.environ['BUILD']}/tests/mount/{p}" for p in ("traced", "simulated"))
SETTINGS = ("log.segment.bytes=20000", "journal.bytes=1048576", "disk.reserve.percent=0")
# Many lines, single ones that are synced before 5 ms have passed or not, kept lines, fsyncs that
# are too large for the journal, rolls, another topic that grows and goes, a clean stop, a kill.
# Every partition is used: which ones the broker opens by itself before a stop is chance.
SCRIPT = f"""\
start {' '.join(SETTINGS)}
ring
mkdir orders
open 1 orders 0
open 2 orders 0!
open 3 orders 0.json
write 1 3 20
fsync 1
write 1 1 10
fsync 1
write 1 5 3000
fsync 1
part 1 7
fsync 1
write 2 1 30
write 2 4 4000
part 2 9
close 2
fsync 1
mkdir other
config other num.partitions=3 segment.bytes=9000
open 4 other 2
open 5 other 1
open 6 other 0
write 5 2 90
write 6 2 90
fsync 6
fsync 5
write 4 9 900
fsync 4
write 4 9 900
fsync 4
close 4
close 5
close 6
write 1 12 1500
fsync 1
rmdir other
gone
close 1
stop
start {' '.join(SETTINGS)}
ring
open 1 orders 0
write 1 2 50
fsync 1
write 1 6 3000
write 1 6 3000
fsync 1
config orders num.partitions=2
open 2 orders 1
write 2 2 40
fsync 2
kill
start {' '.join(SETTINGS)}
ring
open 1 orders 0
open 2 orders 1
write 1 2 60
write 2 3 60
fsync 1
fsync 2
close 1
stop
"""


def has_direct():
    try:
        os.close(os.open(CASE_DIR + "/probe", os.O_RDWR | os.O_CREAT | os.O_DIRECT))
    except OSError:
        return False
    return "o_direct" not in os.environ.get("TOPICFS_REFUSE", "")


def has_ring():
    with open(MNT + "/metrics", encoding="utf-8") as f:
        return re.search(r"^topicfs_journal_bytes [1-9]", f.read(), re.M)


def play(lines, trace):
    """The script on the mount."""
    fds, broker = {}, None
    for line in lines:
        step, *words = line.split()
        if step == "start":
            broker = Broker.__new__(Broker)
            broker.options = [w for s in words for w in ("--set", s)]
            broker.env, broker.under, broker.process = {"TOPICFS_TRACE": trace}, (), None
            broker.binary = TRACED
            broker.start()
        elif step == "ring":
            wait_until(has_ring)
        elif step == "gone":
            wait_until(lambda: not any(n.endswith(".gone") for n in os.listdir(DATA)))
        elif step == "mkdir":
            os.mkdir(topic(words[0]))
        elif step == "rmdir":
            os.rmdir(topic(words[0]))
        elif step == "config":
            configure(words[0], *words[1:])
        elif step == "open":
            how = os.O_WRONLY | (os.O_DSYNC if words[2][-1] == "!" else 0)
            fds[words[0]] = os.open(topic(f"{words[1]}/{words[2].rstrip('!')}"), how)
        elif step == "write":
            os.write(fds[words[0]], (b"x" * int(words[2]) + b"\n") * int(words[1]))
        elif step == "part":
            os.write(fds[words[0]], b"x" * int(words[1]))
        elif step == "fsync":
            os.fsync(fds[words[0]])
        elif step == "close":
            os.close(fds.pop(words[0]))
        elif step in ("stop", "kill"):
            (broker.stop if step == "stop" else broker.kill)()
            for fd in fds.values():
                with contextlib.suppress(OSError):
                    os.close(fd)
            fds = {}
        else:
            fail(line)


def calls(trace):
    """For each file what was done with it."""
    found = {}
    with open(trace, encoding="utf-8") as f:
        for line in f:
            # Commands hold ids and times: whether one of their bytes is a newline decides how they
            # are described.
            if line.startswith("__cluster_metadata"):
                line = re.sub(r"( [0-9]+)* = [0-9]+$", "", line)
            # A part of the topic's id.
            path, call = re.sub(r"\b[0-9a-f]{8}-", "ID-", line).rstrip("\n").split(" ", 1)
            # The simulated process is told so when it was killed.
            if not call.endswith("= -5"):
                found.setdefault(path, []).append(call)
    return found


lines = SCRIPT.splitlines()
env = {}
if not has_direct():
    lines = [line for line in lines if line != "ring"]
    env["TOPICFS_REFUSE"] = "o_direct"
with open("script", "w", encoding="utf-8") as script:
    script.write("".join(line + "\n" for line in lines))
run(SIMULATED, "script", "simulated", cwd=CASE_DIR, env=env)
play(lines, CASE_DIR + "/real")
simulated, real = calls("simulated"), calls("real")
for path in sorted(simulated.keys() | real.keys()):
    was, wanted = real.get(path, []), simulated.get(path, [])
    if was != wanted:
        at = next((i for i, (a, b) in enumerate(zip(was, wanted)) if a != b),
                  min(len(was), len(wanted)))
        print(path, "call", at, "simulated", wanted[max(at - 3, 0):at + 4], "real",
              was[max(at - 3, 0):at + 4], sep="\n  ")
assert_eq(simulated, real)
assert len(simulated) > 20 and sum(map(len, simulated.values())) > 200, simulated

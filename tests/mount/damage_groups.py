#!/usr/bin/env python3
# Damage in __consumer_offsets: the broker starts, told with file and position to root and to the
# owners; the newest commits that hold count, none is one that nobody made, and committing goes on.
import shutil
from t import *

OPTIONS = ("--set", "offsets.topic.num.partitions=1")
LOG_DIR = "__consumer_offsets-0"
FIRST = LOG_DIR + "/" + "0" * 20
PATH = r"topics/__consumer_offsets/0"
HEAD, BATCH = 256, 120
ALL = set(range(10, 100, 10)) | {None}
OWNER = 1000


def batches():
    """Position in .meta and .data, and length in .data, of each batch."""
    with open(f"{CASE_DIR}/base/{FIRST}.meta", "rb") as f:
        meta = f.read()
    at, found = HEAD, []
    while at < len(meta):
        number = lambda pos, size: int.from_bytes(meta[at + pos:at + pos + size], "little")
        found.append((at, number(64, 8), number(76, 4)))
        at += number(16, 4)
    return found


def prepare():
    with Broker(*OPTIONS) as broker:
        make_topic("t", 2)
        for p in range(2):
            append(f"t/{p}", b"x\n" * 100)
        make_group("g")
        make_group("h")
        os.chown(group("h"), OWNER, OWNER)
        for n in range(10, 100, 10):
            for name in "gh":
                put(f"{name}/commit", f"t 0 {n}\n")
                put(f"{name}/commit", f"t 1 {n}\n")
        # A generation, and a member that is gone.
        for _ in range(3):
            with opened(group("g/topics/t"), os.O_RDONLY):
                pass
        broker.stop()
        shutil.copytree(DATA, CASE_DIR + "/base")
        broker.start()


def flip(file, at):
    with open(f"{DATA}/{file}", "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def offsets():
    return {name + str(p): committed(name, "t", p) for name in "gh" for p in range(2)}


def go_on(broker, wanted):
    """What counts stays what it is, and what is committed now comes back."""
    broker.restart()
    assert_eq(wanted, offsets())
    put("g/commit", "t 0 95\n")
    put("h/commit", "t 1 96\n")
    wanted = wanted | {"g0": 95, "h1": 96}
    broker.kill()
    broker.start()
    assert_eq(wanted, offsets())
    assert read("t/0@-1..") == b"x\n"
    broker.restart()
    assert_eq(wanted, offsets())


def verify_says(regex):
    done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
    assert_eq(1, done.returncode, done.stdout)
    assert re.search(regex, done.stdout.decode()), done.stdout


def damaged(what, hurt, told, wanted=None):
    """wanted: what is committed then; None: any that was."""
    print(what)
    shutil.rmtree(DATA)
    shutil.copytree(CASE_DIR + "/base", DATA)
    hurt()
    verify_says(r"fault: " + LOG_DIR)
    with Broker(*OPTIONS) as broker:
        assert_errors_line(rf" EIO uid=0 pid=0 {PATH}: {told}.* are passed over")
        got = offsets()
        if wanted:
            assert_eq(wanted, got, what)
        assert ALL >= set(got.values()), got
        with opened(group("g/topics/t"), os.O_RDONLY):
            assert state("g")["generation"] > generation, what
        # The stream has read nothing, and so committed nothing.
        assert_eq(got, offsets(), what)
        lines = errors_lines(r"groups/[gh]/state: __consumer_offsets 0 is damaged from offset \d+")
        go_on(broker, got)
    verify_says(r"fault: " + LOG_DIR)
    return lines


prepare()
with Broker(*OPTIONS) as b:
    generation = state("g")["generation"]
    last = {name + str(p): 90 for name in "gh" for p in range(2)}
    assert_eq(last, offsets())
    b.stop()
allow_log("ERROR")
# g's and h's commits of 10 to 90 by turns: t 0 and t 1 of g, t 0 and t 1 of h.
meta_at, data_at, _ = batches()[4 * 8]
TELLS = rf"{FIRST}\.data at {data_at}: the values do not match"
lines = damaged("values of a newest commit", lambda: flip(FIRST + ".data", data_at), TELLS,
                last | {"g0": 80})
assert len(lines) == 1 and re.search(
    r" EIO uid=0 pid=0 groups/g/state: .* an older one counts, t 0 is committed up to 80$",
    lines[0]), lines
meta_at, data_at, _ = batches()[4 * 8 + 3]
lines = damaged("values of another one's", lambda: flip(FIRST + ".data", data_at),
                rf"{FIRST}\.data at {data_at}: ", last | {"h1": 80})
assert len(lines) == 1 and re.search(rf" EIO uid={OWNER} pid=0 groups/h/state: ", lines[0]), lines
meta_at, data_at, _ = batches()[4 * 4]
lines = damaged("values of a commit before others", lambda: flip(FIRST + ".data", data_at),
                rf"{FIRST}\.data at {data_at}: ", last)
assert_eq([], lines)
meta_at, data_at, _ = batches()[4 * 8]
lines = damaged("a description", lambda: flip(FIRST + ".meta", meta_at + 40),
                rf"{FIRST}\.meta at \d+: ", last | {"g0": 80})
assert_eq(2, len(lines), lines)
damaged("the head", lambda: flip(FIRST + ".meta", 20), rf"{FIRST}\.meta at 0: ",
        dict.fromkeys(last))
for suffix in (".meta", ".data"):
    size = os.path.getsize(f"{CASE_DIR}/base/{FIRST}{suffix}")
    for left in (size // 2, 0):
        damaged(f"{suffix} cut to {left}", lambda: os.truncate(f"{DATA}/{FIRST}{suffix}", left),
                rf"{FIRST}\.(meta|data) at \d+: ")
    damaged(f"{suffix} gone", lambda: os.unlink(f"{DATA}/{FIRST}{suffix}"),
            rf"{LOG_DIR}/\d+\.(meta|data) at 0: ", dict.fromkeys(last))
damaged("the directory gone", lambda: shutil.rmtree(f"{DATA}/{LOG_DIR}"), rf"{LOG_DIR}/",
        dict.fromkeys(last))

#!/usr/bin/env python3
# One damaged file of each kind: the start tells it or refuses, naming file and position; what is
# served is right or EIO, appends elsewhere go on, and verify finds what was not healed.
import shutil
from t import *

OPTIONS = ("--set", "journal.bytes=1048576", "--set", "offsets.topic.num.partitions=1")
RING = 8192
BLOCK = 4096
LINES = {
    "t/0": [b"line %04d %s\n" % (i, b"-" * 80) for i in range(200)],
    "t/1": [b"beside %04d\n" % i for i in range(200)],
    "k/0": [b"value %03d\n" % i for i in range(60)],
    "j/0": [b"journaled\n"] * 4,
}
LATE = [b"late %04d\n" % i for i in range(20)]
FIRST = "0" * 20


def fill():
    make_topic("t", 2, "segment.bytes=4096", "index.interval.bytes=512")
    make_topic("j")
    make_topic("empty")
    make_topic("k")
    make_group("g")
    for name in ("t/0", "t/1"):
        for i in range(0, 200, 5):
            append(name, b"".join(LINES[name][i:i + 5]))
    append("j/0", b"".join(LINES["j/0"]))
    for value in LINES["k/0"]:
        append("k/0.json", json.dumps({"key": "k", "value": value.decode()[:-1]}).encode() + b"\n")
    assert_eq(b"", read("empty/0"))
    wait_until(lambda: os.path.getsize(DATA + "/empty-0/partition.metadata"))
    put("g/commit", "t 0 7\nt 1 9\n")


def fsynced(name, lines=()):
    with opened(topic(name), os.O_WRONLY) as fd:
        for line in lines:
            os.write(fd, line)
            os.fsync(fd)
        os.fsync(fd)


def pieces(name):
    """What a reader is given up to its end or an EIO."""
    got = b""
    with opened(topic(name), os.O_RDONLY) as fd:
        while True:
            try:
                piece = os.read(fd, 4096)
            except OSError as e:
                assert_eq(errno.EIO, e.errno, name)
                return got, True
            if not piece:
                return got, False
            got += piece


def look_at(name, lines, first):
    """One partition in every way from one record on; whether something of it was EIO."""
    failed = False
    for view in (name, f"{name}@{first}..", f"{name}@{first}...json"):
        if view == name and first:
            continue
        try:
            got, bad = pieces(view)
        except OSError as e:
            assert_eq(errno.EIO, e.errno, view)
            got, bad = b"", True
        wanted = b"".join(lines[first:])
        if view.endswith("json"):
            whole = got[:got.rfind(b"\n") + 1].splitlines()
            got = b"".join(json.loads(line)["value"].encode() + b"\n" for line in whole)
        assert wanted.startswith(got), f"{view}: {got[:200]}"
        assert bad or got == wanted, f"{view}: {got[-200:]}"
        failed |= bad
    return failed


def look(late):
    """Reads everything, and by a group; the partitions of which something was EIO."""
    good = set(LATE)
    failed = set()
    for name, lines in LINES.items():
        lines = lines + LATE if late and name == "j/0" else lines
        good |= set(lines)
        for first in {0, len(lines) // 2, len(lines) - 3}:
            if look_at(name, lines, first):
                failed.add(name)
    for name in ("t", "k", "j"):
        got = b""
        with opened(group(f"g/topics/{name}"), os.O_RDONLY | os.O_NONBLOCK) as fd:
            try:
                while True:
                    got += os.read(fd, 4096)
            except OSError as e:
                assert e.errno in (errno.EAGAIN, errno.EIO), e
        for line in got.splitlines(True):
            assert line in good, f"group: {line}"
    return failed


def hurt(path, how):
    """A flipped bit at a position, or the end or all of it gone."""
    if how == "gone":
        os.unlink(path)
    elif how == "cut":
        os.truncate(path, os.path.getsize(path) // 2)
    elif how == "empty":
        os.truncate(path, 0)
    elif how in ("older", "foreign") and path.endswith("/journal"):
        shutil.copy(f"{CASE_DIR}/{how}", path)
    elif how == "foreign":
        with open(path, "xb") as f:
            f.write(b"not of topicfs\n")
    else:
        for at in how if isinstance(how, tuple) else (how,):
            flip(path, at)


def flip(path, at):
    with open(path, "r+b") as f:
        f.seek(at)
        byte = f.read(1)
        assert byte, f"{path} has no byte {at}"
        f.seek(at)
        f.write(bytes([byte[0] ^ 1]))


def verify():
    done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
    return done.returncode, done.stdout.decode()


def log_since(begin):
    with open(LOG, "rb") as f:
        f.seek(begin)
        return f.read().decode(errors="replace")


problems = []


def collected(check):
    """Every damage is tried; what went wrong is told by its name."""
    def call(base, file, how, *args):
        try:
            check(base, file, how, *args)
        except Exception as e:  # pylint: disable=broad-except
            problems.append(f"{base} {file} {how}: {e}")
            print(problems[-1])
    return call


@collected
def case(base, file, how, told, eio=(), faults=None, mended=True, errors=None):
    """told: what the log says of it by the time all was read, or None. eio: partitions of which
    something may be EIO. faults: what verify says before. mended: verify finds none after it.
    errors: a line of the mount's file."""
    shutil.rmtree(DATA)
    shutil.copytree(f"{CASE_DIR}/{base}", DATA)
    hurt(f"{DATA}/{file}", how)
    if faults:
        status, said = verify()
        assert_eq(1, status, said)
        assert re.search(faults, said), said
    begin = os.path.getsize(LOG)
    broker = Broker(*OPTIONS)
    try:
        failed = look(base == "killed")
        assert_eq(set(eio), failed, "EIO of")
        for name in eio:
            # Of one that is gone the place is named where it ought to follow.
            there = re.escape(file.split("/")[-1])
            if (file[-4:], how) == ("meta", "gone"):
                there = r"\d+\.meta"
            assert_errors_line(rf" EIO uid=.* topics/{name}.*{there} at \d+: ")
        if errors:
            assert_errors_line(errors)
        # Appends go on, and what is made is kept.
        append("j/0", b"on\n")
        assert_eq(b"on\n", read("j/0@-1.."))
        make_topic("new")
        append("new/0", b"new\n")
        broker.restart()
        assert_eq(b"new\n", read("new/0"))
        assert_eq(b"on\n", read("j/0@-1.."))
        append("empty/0", b"first\n")
        assert_eq(b"first\n", read("empty/0"))
        os.rmdir(topic("new"))
    finally:
        broker.stop()
    if told:
        assert re.search(told, log_since(begin), re.M), f"{told}: {log_since(begin)}"
    status, said = verify()
    assert_eq(0 if mended else 1, status, said)


@collected
def refused(base, file, how, told, faults=None):
    shutil.rmtree(DATA)
    shutil.copytree(f"{CASE_DIR}/{base}", DATA)
    hurt(f"{DATA}/{file}", how)
    status, said = verify()
    assert_eq(1, status, said)
    assert re.search(faults or told, said), said
    with open(LOG, "ab") as log:
        begin = log.tell()
        done = subprocess.run([TOPICFS, "broker", "--mount", MNT, "--data", DATA, *OPTIONS],
                              stdout=log, stderr=log, timeout=READY_S, check=False)
    assert_eq(1, done.returncode)
    assert re.search(told, log_since(begin)), f"{told}: {log_since(begin)}"


# Without O_DIRECT every fsync goes in place, and there is no ring to be damaged.
HAS_RING = "o_direct" not in os.environ.get("TOPICFS_REFUSE", "")


def prepare():
    """Two directories: after a clean stop, and after a kill with fsyncs in the ring."""
    broker = Broker(*OPTIONS)
    fill()
    for name in LINES:
        fsynced(name)
    if HAS_RING:
        wait_until(lambda: os.path.getsize(DATA + "/journal") >= 1 << 20)
    broker.stop()
    shutil.copytree(DATA, CASE_DIR + "/clean")
    broker.start()
    fsynced("j/0", LATE)
    broker.kill()
    shutil.copytree(DATA, CASE_DIR + "/killed")


def segments(base):
    names = os.listdir(f"{CASE_DIR}/{base}/t-0")
    s = "t-0/" + sorted(f[:20] for f in names if f.endswith(".data"))[2]
    for how in (100, "cut", "gone"):
        case(base, s + ".data", how, None, ["t/0"], rf"fault: {s}.data: position \d+", False)
    for how in (20, 300, "cut", "empty"):
        case(base, s + ".meta", how, None, ["t/0"], rf"fault: {s}.meta: position \d+", False)
    case(base, s + ".meta", "gone", rf"ERROR t-0: {s}\.meta at 0: ", ["t/0"], f"fault: {s}", False)
    for how in (3, 20, "cut", "empty", "gone"):
        for index in (".index", ".timeindex"):
            case(base, s + index, how, None, (), None)
    k = "k-0/" + FIRST
    for file, how in ((".data", 100), (".meta", 300), (".meta", 20), (".meta", "empty"),
                      (".data", "cut"), (".meta", "cut")):
        case(base, k + file, how, None, ["k/0"], rf"fault: {k}{file}: position \d+", False)
    for file in ("hello", "t-0/hello", "t-0/" + "9" * 19 + "0.index"):
        case(base, file, "foreign", "foreign" if file == "hello" else None)


def others(base):
    clean = base == "clean"
    for how in (1, 20, "cut", "empty"):
        for p in ("t-0", "empty-0"):
            case(base, p + "/partition.metadata", how, rf"WARN {p}[:/].*position 0")
    slots = os.path.getsize(f"{CASE_DIR}/{base}/checkpoint") // 2
    for slot in (0, slots):
        case(base, "checkpoint", slot + 20, rf"WARN checkpoint: the slot at position {slot} ")
    lost = r"ERROR checkpoint: .*recovered from their begin"
    case(base, "checkpoint", (20, slots + 20), lost, (), "fault: checkpoint: position 0")
    case(base, "checkpoint", "empty", lost, (), "fault: checkpoint: ")
    case(base, "checkpoint", "gone", lost, (), "fault: checkpoint: ")
    case(base, "debts", 20, "WARN debts: .*position 0 " if clean else None)
    for how in ("cut", "empty", "gone"):
        case(base, "debts", how, r"WARN debts: ends at position \d+")
    for how in (3, 15, "cut", "empty"):
        refused(base, "meta.properties", how, r"meta\.properties")
    if HAS_RING:
        ring_itself(base)
    for file, how in ((".data", 3), (".meta", 20), (".meta", 300), (".meta", "cut"),
                      (".data", "cut"), (".meta", "empty")):
        log = f"__cluster_metadata-0/{FIRST}"
        refused(base, log + file, how, rf"ERROR metadata: .*{log}\{file} at \d+: ",
                rf"fault: {log}\{file}: pos")
        # Groups go on from the records around it.
        log = f"__consumer_offsets-0/{FIRST}"
        case(base, log + file, how,
             rf"ERROR topics/__consumer_offsets/0: {log}\.\w+ at \d+: .* passed over", (),
             rf"fault: {log}\{file}: pos", False)


def ring_itself(base):
    case(base, "journal", 24, r"WARN journal: .*head at positions 0 and 4096")
    case(base, "journal", (24, BLOCK + 24), "ERROR journal: its head", (), "fault: journal: pos")
    case(base, "journal", "cut", r"ERROR journal: ends at position \d+", (), "fault: journal: pos")


def journals():
    """After a kill a journal that is gone, or is not the one that was in use, is told and missed;
    after a clean stop nobody needs it."""
    file = "journal"
    shutil.copy(f"{CASE_DIR}/clean/{file}", CASE_DIR + "/older")
    with open(CASE_DIR + "/foreign", "wb") as f:
        f.write(b"not of topicfs\n" * (1 << 17))
    for how, told in (("gone", "is missing or empty"), ("empty", "is missing or empty"),
                      ("older", "is not the one that was in use"),
                      ("foreign", "its head at position 0 is damaged")):
        case("killed", file, how, rf"ERROR journal: {told}.* is lost; it is begun anew", (),
             "fault: journal: position", True, rf" EIO uid=0 pid=0 journal: {told}")
    case("clean", file, "gone", None)
    case("clean", file, "empty", None)


def ring_block(number, lost):
    """A block in the middle of the ring, of a machine that lost power after the last fsync: told
    with its position, and what stands behind it is put back."""
    shutil.rmtree(DATA)
    shutil.copytree(CASE_DIR + "/killed", DATA)
    for file in (FIRST + ".data", FIRST + ".meta"):
        os.truncate(f"{DATA}/j-0/{file}", os.path.getsize(f"{CASE_DIR}/clean/j-0/{file}"))
    at = RING + number * BLOCK
    if lost:
        flip(DATA + "/journal", at + 100)
        status, said = verify()
        assert_eq(1, status)
        assert re.search(rf"fault: journal: position {at}: ", said), said
    begin = os.path.getsize(LOG)
    with Broker(*OPTIONS) as broker:
        wanted = LINES["j/0"] + LATE
        if lost:
            assert re.search(rf"ERROR journal: damaged at position {at}; .*put back",
                             log_since(begin)), log_since(begin)
            got, bad = pieces("j/0")
            assert bad and wanted[:len(got.splitlines())] == got.splitlines(True), got
            assert len(got.splitlines()) >= len(LINES["j/0"]), got
            assert_errors_line(rf" EIO uid=.* topics/j/0: j-0/{FIRST}\.(meta|data) at \d+: ")
        else:
            assert_eq(b"".join(wanted), read("j/0"))
        assert_eq(b"".join(wanted[-10:]), read("j/0@-10.."))
        for name in ("t/0", "t/1", "k/0"):
            assert not look_at(name, LINES[name], 0), name
        append("j/0", b"on\n")
        broker.restart()
        assert_eq(b"".join(wanted[-9:]) + b"on\n", read("j/0@-10.."))
    status, said = verify()
    assert_eq(1 if lost else 0, status, said)


def snapshots():
    """A damaged snapshot is made up for by the one before it, or by the log."""
    shutil.rmtree(DATA)
    shutil.copytree(CASE_DIR + "/clean", DATA)
    with Broker(*OPTIONS):
        for i in range(5100):
            os.chmod(topic("k"), 0o755 if i % 2 else 0o700)
    names = [f for f in os.listdir(DATA + "/__cluster_metadata-0") if f.endswith(".checkpoint")]
    assert names, "no snapshot was taken"
    shutil.rmtree(CASE_DIR + "/clean")
    shutil.copytree(DATA, CASE_DIR + "/clean")
    file = "__cluster_metadata-0/" + names[0]
    for how in (3, 40, "cut", "empty"):
        case("clean", file, how, f"ERROR {file}: the snapshot is damaged", (), "fault: " + file,
             False, rf" EIO uid=0 pid=0 __cluster_metadata: {file} is damaged")


allow_log("ERROR")
prepare()
if HAS_RING:
    ring_block(0, False)
    ring_block(6, True)
    journals()
for made in ("clean", "killed"):
    segments(made)
    others(made)
for at in (3, 14, "cut", "empty"):
    case("clean", "clean-shutdown", at, "WARN clean-shutdown: ")
snapshots()
assert_eq([], problems)

#!/usr/bin/env python3
# Every place of the data directory, in every state that it ought not to be in: the broker serves
# what is right, or EIO that names file and position; or refuses to start and names the file. What
# is no file of ours stays, and nothing else suffers.
import concurrent.futures
import fcntl
import shutil
import struct
from t import *

OPTIONS = ("--set", "journal.bytes=1048576", "--set", "offsets.topic.num.partitions=1",
           "--set", "log.segment.bytes=4096", "--set", "log.index.interval.bytes=256")
# Without O_DIRECT every fsync goes in place, and there is no ring to be damaged.
HAS_RING = "o_direct" not in os.environ.get("TOPICFS_REFUSE", "")
FIRST = "0" * 20
LINES = [b"%06d %s\n" % (i, b"-" * 100) for i in range(60)]
WHOLE = b"".join(LINES)
LATE = b"late\n" * 4
ELSEWHERE = b"elsewhere\n" * 1000
COMMITS = 20

# What a place can be like. Of names that mean something only while they are there, the first row
# has nothing to do.
DAMAGED = ("gone", "empty", "bit", "cut")
ODD = ("directory", "filled", "fifo", "itself", "dangling", "elsewhere")
HOWS = (*DAMAGED, *ODD, "immutable", "foreign")
# Each start has its price: of directories and of links one kind is tried where one place needs one.
ODD_FILE = ("filled", "fifo", "elsewhere")

# What becomes of each: "whole": all is served; "told": the same but for what an error names;
# "refused": the start.
SMALL = {
    "meta.properties": {"whole": ("immutable",), "refused": (*DAMAGED, *ODD_FILE)},
    "meta.properties.new": {"whole": ODD_FILE},
    "journal": {"told": DAMAGED if HAS_RING else (), "refused": (*ODD_FILE, "immutable")},
    "journal.new": {"whole": ODD_FILE},
    "checkpoint": {"whole": ("bit", "cut"), "told": ("gone", "empty"),
                   "refused": (*ODD_FILE, "immutable")},
    "checkpoint.new": {"whole": ODD_FILE},
    "debts": {"whole": (*DAMAGED, *ODD_FILE), "refused": ("immutable",)},
    "clean-shutdown": {"whole": (*DAMAGED, *ODD_FILE), "refused": ("immutable",)},
    "clean-shutdown.new": {"whole": (*DAMAGED, *ODD_FILE), "refused": ("immutable",)},
    "x-0.x.gone": {"whole": ODD_FILE},
    "__cluster_metadata-0/SNAPSHOT": {"whole": ("gone", "immutable"),
                                      "told": ("empty", "bit", "cut", *ODD_FILE)},
    "__cluster_metadata-0/SNAPSHOT.new": {"whole": ODD_FILE},
    f"__cluster_metadata-0/{FIRST}.meta": {"refused": (*DAMAGED, *ODD_FILE, "immutable")},
    # Its middle lies below the snapshot.
    f"__cluster_metadata-0/{FIRST}.data": {
        "whole": ("bit",), "refused": ("gone", "empty", "cut", *ODD_FILE, "immutable")},
    "__cluster_metadata-0": {"refused": ("gone", "empty", *ODD[1:], "immutable")},
    f"__consumer_offsets-0/{FIRST}.meta": {"told": (*DAMAGED, *ODD_FILE),
                                           "refused": ("immutable",)},
    f"__consumer_offsets-0/{FIRST}.data": {"told": (*DAMAGED, *ODD_FILE),
                                           "refused": ("immutable",)},
    "__consumer_offsets-0": {"told": ("gone", "empty", *ODD[1:]), "refused": ("immutable",)},
}
for log in ("__cluster_metadata-0", "__consumer_offsets-0"):
    SMALL[log + "/partition.metadata"] = {"whole": (*DAMAGED, *ODD_FILE, "immutable")}
    for index in ("index", "timeindex"):
        SMALL[f"{log}/{FIRST}.{index}"] = {"whole": ("gone", "bit", *ODD_FILE),
                                           "refused": ("immutable",)}

# The same for one partition: a topic for each pair. What is not named is whole.
PARTS = ("first.meta", "first.data", "first.index", "first.timeindex", "last.meta", "last.data",
         "last.index", "last.timeindex", "partition.metadata", "dir")
HURTS = ("first.meta", "first.data", "last.meta", "last.data", "dir")

frozen = []


def set_immutable(path, on):
    """chattr. Whether the file system, and what this process may do, allow it."""
    with opened(path, os.O_RDONLY) as fd:
        try:
            was = struct.unpack("i", fcntl.ioctl(fd, 0x80086601, b"\0" * 8)[:4])[0]
            fcntl.ioctl(fd, 0x40086602, struct.pack("q", was | 16 if on else was & ~16))
        except OSError:
            return False
    return True


def thaw():
    while frozen:
        set_immutable(frozen.pop(), False)


def remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)


def damage(path, how):
    """One of DAMAGED, of a file or a directory that is there. Whether it could be done."""
    if not os.path.exists(path) or not (os.path.isdir(path) or os.path.getsize(path)):
        return how == "gone" and os.path.exists(path) and not os.path.isdir(path)
    if how == "gone":
        remove(path)
    elif os.path.isdir(path):
        for name in os.listdir(path):
            os.unlink(f"{path}/{name}")
        return how == "empty"
    elif how == "bit":
        size = os.path.getsize(path)
        at = 8192 + 100 if path.endswith("/journal") else size // 2 if path.endswith(".data") \
            else min(20, size - 1)
        with open(path, "r+b") as f:
            f.seek(at)
            byte = f.read(1)
            f.seek(at)
            f.write(bytes([byte[0] ^ 1]))
    else:
        os.truncate(path, 0 if how == "empty" else os.path.getsize(path) // 2)
    return True


def hurt(path, how):
    """Whether there was something to do."""
    if how in DAMAGED:
        return damage(path, how)
    if how == "immutable":
        if not set_immutable(path, True):
            return False
        frozen.append(path)
        return True
    if how == "foreign":
        with open(path + "/foreign" if os.path.isdir(path) else path + ".other", "xb") as f:
            f.write(b"precious")
        return True
    remove(path)
    if how in ("directory", "filled"):
        os.mkdir(path)
    if how == "filled":
        with open(path + "/precious", "xb") as f:
            f.write(b"precious")
    if how == "fifo":
        os.mkfifo(path)
    if how in ("itself", "dangling", "elsewhere"):
        os.symlink({"itself": os.path.basename(path), "dangling": CASE_DIR + "/nowhere",
                    "elsewhere": CASE_DIR + "/elsewhere"}[how], path)
    return True


def copy_file(there, here):
    """Journal and debts are zeros for the most part, which are no work where they are holes."""
    if not there.endswith(("/journal", "/debts")):
        return shutil.copyfile(there, here)
    with open(there, "rb") as f, open(here, "wb") as g:
        what = f.read()
        for at in range(0, len(what), 65536):
            piece = what[at:at + 65536]
            if piece.strip(b"\0"):
                os.pwrite(g.fileno(), piece, at)
        g.truncate(len(what))
    return here


def copy(base):
    shutil.rmtree(DATA, ignore_errors=True)
    shutil.copytree(f"{CASE_DIR}/{base}", DATA, copy_function=copy_file)


def log_since(begin):
    with open(LOG, "rb") as f:
        f.seek(begin)
        return f.read().decode(errors="replace")


def end_of(*argv):
    """A program's exit status; it must end by itself."""
    with open(LOG, "ab") as log:
        return subprocess.run([TOPICFS, *argv], stdout=log, stderr=log, timeout=READY_S,
                              check=False).returncode


def fsynced(name, what):
    with opened(topic(name), os.O_WRONLY) as fd:
        os.write(fd, what)
        os.fsync(fd)


def got(name):
    """What a reader is given, and whether it came to the end."""
    what = b""
    try:
        with opened(topic(name), os.O_RDONLY) as fd:
            while piece := os.read(fd, 8192):
                what += piece
    except OSError as e:
        assert_eq(errno.EIO, e.errno, name)
        return what, False
    return what, True


problems = []


def collected(check):
    """Every cell is tried; what went wrong is told by its name."""
    def call(*cell):
        try:
            check(*cell)
        except Exception as e:  # pylint: disable=broad-except
            problems.append(f"{' '.join(cell)}: {e}")
            print(problems[-1])
    return call


# ---- Partitions: all cells at once, a topic each ----

def topic_of(part, how):
    return f"{part.replace('.', '_')}-{how}"


def cells():
    return [(part, how) for part in PARTS for how in HOWS]


def prepare_parts():
    with Broker(*OPTIONS) as broker:
        for part, how in cells():
            name = topic_of(part, how)
            os.mkdir(topic(name))
            with opened(topic(name + "/0"), os.O_WRONLY) as fd:
                for i in range(0, len(LINES), 10):
                    os.write(fd, b"".join(LINES[i:i + 10]))
        broker.stop()
        os.rename(DATA, CASE_DIR + "/parts clean")
        copy("parts clean")
        broker.start()
        for part, how in cells():
            fsynced(topic_of(part, how) + "/0", LATE)
        broker.kill()
        os.rename(DATA, CASE_DIR + "/parts killed")


def hurt_part(part, how):
    directory = f"{DATA}/{topic_of(part, how)}-0"
    if part == "dir":
        return hurt(directory, how)
    if part == "partition.metadata":
        return hurt(f"{directory}/{part}", how)
    which, suffix = part.split(".")
    bases = sorted(f[:20] for f in os.listdir(directory) if f.endswith(".meta"))
    assert len(bases) > 1, bases
    return hurt(f"{directory}/{bases[0 if which == 'first' else -1]}.{suffix}", how)


@collected
def look_at_part(base, part, how, life):
    name = topic_of(part, how)
    wanted = WHOLE + (LATE if "killed" in base else b"")
    is_hurt = part in HURTS and how != "foreign" and (part, how) != ("dir", "immutable")
    is_shut = how == "immutable" and part in ("last.meta", "last.data")
    if life == "first":
        what, ended = got(name + "/0")
        assert_eq(wanted if ended else wanted[:len(what)], what)
        assert_eq(not is_hurt, ended, "read to its end")
        if is_shut:
            assert_errno("EIO", append, name + "/0", b"more\n")
        else:
            fsynced(name + "/0", b"more\n")
    if not is_shut:
        assert_eq((b"more\n", True), got(name + "/0@-1.."))
    what, ended = got(name + "/0")
    assert_eq((wanted + b"more\n")[:len(what)], what)
    assert_eq(not is_hurt, ended, "read to its end afterwards")
    if is_hurt:
        suffix = part.split(".")[1] if how == "immutable" else "(meta|data)"
        place = rf"{name}-0/\d+\.{suffix} at \d+: "
        assert errors_lines(rf" EIO uid=0 pid=\d+ topics/{name}/0: {place}"), errors_lines(name)


def parts(base):
    copy(base)
    # Behind a kill an immutable file is put back into, which refuses the start: below.
    tried = [(part, how) for part, how in cells()
             if not ("killed" in base and how == "immutable") and hurt_part(part, how)]
    begin = os.path.getsize(LOG)
    assert_eq(1, end_of("verify", DATA))
    assert end_of("dump", DATA) in (0, 1)
    assert "cannot go on" not in log_since(begin), log_since(begin)
    with Broker(*OPTIONS) as broker:
        for part, how in tried:
            look_at_part(base, part, how, "first")
        broker.restart()
        for part, how in tried:
            look_at_part(base, part, how, "second")
    thaw()


# ---- All other places: a start each ----

def prepare_small():
    with Broker(*OPTIONS) as broker:
        make_topic("beside")
        make_topic("t")
        make_group("g")
        for i in range(0, len(LINES), 4):
            append("t/0", b"".join(LINES[i:i + 4]))
        append("beside/0", LINES[0])
        for i in range(COMMITS):
            put("g/commit", f"t 0 {i}\n")
        # Commands enough for a snapshot; several at a time share an fsync.
        with concurrent.futures.ThreadPoolExecutor(16) as pool:
            for _ in pool.map(lambda i: os.chmod(topic("t"), 0o700 + i % 64), range(5100)):
                pass
        broker.stop()
        os.rename(DATA, CASE_DIR + "/clean")
        copy("clean")
        broker.start()
        for _ in range(4):
            fsynced("t/0", LATE[:5])
        broker.kill()
        os.rename(DATA, CASE_DIR + "/killed")


def look_around(wanted, may_lack):
    assert_eq((wanted, True), got("t/0"))
    assert_eq((LINES[0], True), got("beside/0"))
    offset = committed("g", "t")
    assert offset == COMMITS - 1 or may_lack and (offset is None or offset < COMMITS), offset


def serves(base, file, how, verdict):
    wanted = WHOLE + (LATE if base == "killed" else b"")
    with Broker(*OPTIONS) as broker:
        look_around(wanted, verdict == "told" and "offsets" in file)
        if verdict == "told":
            place = {"journal": "journal: ", "checkpoint": "checkpoint: "}.get(
                file, file if file.endswith(".checkpoint") else r"__consumer_offsets-0/\d+.* at ")
            assert errors_lines(f" EIO uid=0 pid=0 .*{place}"), errors_lines()
        fsynced("t/0", b"more\n")
        put("g/commit", f"t 0 {COMMITS - 1}\n")
        if verdict == "whole" and how != "filled":
            return
        broker.restart()
        look_around(wanted + b"more\n", False)


def refuses(base, file):
    """And when what was there is put back nothing is lost."""
    begin = os.path.getsize(LOG)
    assert_eq(1, end_of("broker", "--mount", MNT, "--data", DATA, *OPTIONS))
    said = log_since(begin)
    assert re.search(rf"ERROR .*{re.escape(file.split('/')[-1])}", said), said
    thaw()
    remove(f"{DATA}/{file}")
    there = f"{CASE_DIR}/{base}/{file}"
    (shutil.copytree if os.path.isdir(there) else shutil.copy)(there, f"{DATA}/{file}")
    with Broker(*OPTIONS):
        look_around(WHOLE + (LATE if base == "killed" else b""), False)


def verifies(file, how, verdict):
    """What a reader is told of, or what keeps the broker from starting, verify finds; and it comes
    to its end whatever is there."""
    begin = os.path.getsize(LOG)
    status = end_of("verify", DATA)
    said = log_since(begin)
    assert "cannot go on" not in said and status in (0, 1), f"verify: {status} {said}"
    if verdict != "whole" and how != "immutable":
        place = re.escape(file.removesuffix(".meta"))
        assert re.search(f"(?m)^fault: .*{place}", said), f"verify: {said}"


def is_kept():
    """What somebody else had put there is there still."""
    return any(file in ("precious", "foreign") or file.endswith(".other")
               for _, _, files in os.walk(DATA) for file in files)


@collected
def cell(base, file, how, verdict):
    copy(base)
    if "SNAPSHOT" in file:
        names = [f for f in os.listdir(DATA + "/__cluster_metadata-0") if f.endswith(".checkpoint")]
        file = file.replace("SNAPSHOT", names[0])
    if not hurt(f"{DATA}/{file}", how):
        return
    verifies(file, how, verdict)
    try:
        look_at_cell(base, file, how, verdict)
    finally:
        thaw()


def look_at_cell(base, file, how, verdict):
    if verdict == "refused":
        refuses(base, file)
    else:
        serves(base, file, how, verdict)
        assert how not in ("filled", "foreign") or file.endswith(".gone") or is_kept(), "it is gone"


allow_log("ERROR")
with open(CASE_DIR + "/elsewhere", "xb") as other:
    other.write(ELSEWHERE)
try:
    prepare_parts()
    parts("parts clean")
    parts("parts killed")
    shutil.rmtree(DATA)
    prepare_small()
    for place, verdicts in SMALL.items():
        for verdict_of, which in {**verdicts, "whole": (*verdicts.get("whole", ()),
                                                        "foreign")}.items():
            for h in which:
                cell("clean" if place == "clean-shutdown" else "killed", place, h, verdict_of)
finally:
    thaw()
with open(CASE_DIR + "/elsewhere", "rb") as other:
    assert_eq(ELSEWHERE, other.read())
assert not os.path.lexists(CASE_DIR + "/nowhere")
assert_eq([], problems)

#!/usr/bin/env python3
# A fifo, a link or a directory where a file of the data directory ought to be: nobody waits for it
# or follows it, and the start names it. Of one partition it keeps nobody from the others.
import shutil
from t import *

OPTIONS = ("--set", "journal.bytes=1048576")
FIRST = "0" * 20
# The start is refused, or what becomes of the topic t: all of it, or nothing.
FILES = {
    "meta.properties": "refused",
    "journal": "refused",
    "checkpoint": "refused",
    "clean-shutdown": "refused",
    f"__cluster_metadata-0/{FIRST}.meta": "refused",
    "debts": "whole",
    "checkpoint.new": "whole",
    "journal.new": "whole",
    "t-0/partition.metadata": "whole",
    f"t-0/{FIRST}.meta": "none",
    f"t-0/{FIRST}.data": "none",
    "t-0": "none",
}
LINES = b"line\n" * 20


def put(path, kind):
    if os.path.isdir(path):
        shutil.rmtree(path)
    elif os.path.lexists(path):
        os.unlink(path)
    if kind == "fifo":
        os.mkfifo(path)
    elif kind == "link":
        os.symlink("/dev/zero", path)
    else:
        os.mkdir(path)


def log_since(begin):
    with open(LOG, "rb") as f:
        f.seek(begin)
        return f.read().decode(errors="replace")


def end_of(*argv):
    """A program's exit status; it must end by itself."""
    with open(LOG, "ab") as log:
        return subprocess.run([TOPICFS, *argv], stdout=log, stderr=log, timeout=READY_S,
                              check=False).returncode


def look(base, file, kind):
    what = f"{base} {file} {kind}"
    print(what)
    shutil.rmtree(DATA)
    shutil.copytree(f"{CASE_DIR}/{base}", DATA)
    put(f"{DATA}/{file}", kind)
    assert end_of("verify", DATA) in (0, 1, 2), what
    assert end_of("dump", DATA) in (0, 1, 2), what
    begin = os.path.getsize(LOG)
    if FILES[file] == "refused":
        assert_eq(1, end_of("broker", "--mount", MNT, "--data", DATA, *OPTIONS), what)
    else:
        with Broker(*OPTIONS):
            assert_eq(LINES, read("beside/0"), what)
            append("beside/0", b"more\n")
            assert_eq(LINES + b"more\n", read("beside/0"), what)
            if FILES[file] == "whole":
                assert_eq(LINES, read("t/0"), what)
            else:
                try:
                    fail(f"{what}: {read('t/0')[:50]}")
                except OSError as e:
                    assert e.errno in (errno.EIO, errno.ENXIO, errno.EISDIR, errno.ELOOP,
                                       errno.ENOTDIR), e
                assert_errors_line(r" topics/t/0: .*t-0")
    if FILES[file] != "whole":
        assert re.search(rf"ERROR ({re.escape(file)}|t|t-0): ", log_since(begin)), what


allow_log("ERROR")
with Broker(*OPTIONS) as b:
    for name in ("t", "beside"):
        make_topic(name)
        append(name + "/0", LINES)
        with opened(topic(name + "/0"), os.O_WRONLY) as fd:
            os.fsync(fd)
    b.stop()
    shutil.copytree(DATA, CASE_DIR + "/clean")
    b.start()
    b.kill()
    shutil.copytree(DATA, CASE_DIR + "/killed")
for f in FILES:
    for k in ("fifo", "link", "directory"):
        if not (f == "t-0" and k == "directory"):
            look("clean" if k == "link" else "killed", f, k)

#!/usr/bin/env python3
# cp -a, rsync -a and tar take the whole mount and come to their end with every record; a program
# that reads every file at once gets all of them; writers that append check each other.
from t import *

PROGRAMS = ("cp", "rsync", "tar")


def read_every_file():
    """All files of the mount are open and read in turns, piece by piece, until all have ended."""
    fds = {}
    for top, _, files in os.walk(MNT):
        for name in files:
            fds[os.path.join(top, name)] = os.open(os.path.join(top, name),
                                                   os.O_RDONLY | os.O_NONBLOCK)
    got, left = dict.fromkeys(fds, b""), dict(fds)
    while left:
        for name, fd in list(left.items()):
            what = os.read(fd, 1000)
            got[name] += what
            if not what:
                os.close(left.pop(name))
    return {name[len(MNT) + 1:]: len(what) for name, what in got.items()}


def write_and_check(me):
    """After each append the own line is there, once, behind the last one of its own; and of every
    other writer the numbers rise by one."""
    seen, pos = {}, 0
    with opened(topic("check/0"), os.O_WRONLY | os.O_APPEND) as out, \
            opened(topic("check/0"), os.O_RDONLY) as back:
        for number in range(100):
            os.write(out, b"%d %d\n" % (me, number))
            what = os.pread(back, 1 << 20, pos)
            assert what.endswith(b"\n"), "a torn line"
            pos += len(what)
            for line in what.splitlines():
                writer, n = map(int, line.split())
                assert_eq(seen.get(writer, -1) + 1, n, f"{me} sees of {writer}")
                seen[writer] = n
            assert_eq(number, seen[me], "the own line")
    return True


with Broker() as broker:
    for name in ("a", "b", "check"):
        make_topic(name, 2)
    text = b"".join(b"record %d\n" % i for i in range(20000))
    append("a/0", text)
    append("a/1", b"one\n")
    append("b/by-key/k", b"two\n")
    children = [Child(write_and_check, me) for me in range(8)]
    assert all(c.result(30) for c in children)
    run(f'cp -a "{MNT}" "{CASE_DIR}/cp"', limit_s=30)
    run(f'rsync -a --exclude=/errors --exclude=/metrics "{MNT}/" "{CASE_DIR}/rsync/"', limit_s=30)
    run(f'mkdir "{CASE_DIR}/tar"; tar -C "{MNT}" -cf - . | tar -C "{CASE_DIR}/tar" -xf -',
        limit_s=30)
    for program in PROGRAMS:
        for name in ("a/0", "a/1", "b/0", "b/1", "check/0"):
            with open(f"{CASE_DIR}/{program}/topics/{name}", "rb") as f:
                assert_eq(read(name), f.read(), f"{name} by {program}")
    with Child(read_every_file) as child:
        lengths = child.result(30)
    assert_eq(len(text), lengths["topics/a/0"])
    assert_eq(len(text) + 4, lengths["topics/a/all"])
    assert lengths["README"] and lengths["metrics"] and lengths["topics/b/status"], lengths
    assert_eq(len(text), len(read("a/0")))

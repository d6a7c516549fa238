#!/usr/bin/env python3
# Names below groups/: what is listed, what resolves, what is refused; looking at everything joins
# nothing and does not wait; rmdir and rm -r.
import stat
from t import *

FILES = ["commit", "config", "join", "lag", "members", "offsets", "reject", "seek", "state",
         "topics"]

NAMES = ["plain", "a.b_c-D", "x" * 249, "MiXed.9", "-", "...", " a  b ", "grüße", "*", "$(id)",
         "a=b", "ü" * 124, "日本", "topics"]

with Broker():
    assert "groups" in os.listdir(MNT)
    assert_eq(0o41777, os.stat(group("")).st_mode)
    make_topic("t", 2)
    append("t/0", b"one\n")
    for name in NAMES:
        os.mkdir(group(name))
        assert_eq(FILES, sorted(os.listdir(group(name))), name)
        with opened(group(name + "/topics/t"), os.O_RDONLY) as fd:
            assert_eq(b"one\n", os.read(fd, 100))
        put(name + "/commit", "t 0 1\n")
        assert_eq(1, committed(name, "t"), name)
        assert_eq(name, state(name)["group_id"])
    assert_eq(sorted(NAMES), sorted(os.listdir(group(""))))
    for name, why in (("x" * 250, "ENAMETOOLONG"), ("plain", "EEXIST"), ("a\nb", "EINVAL"),
                      (b"\xff", "EINVAL"), ("\x1b[31m", "EINVAL"), ("ü" * 125, "ENAMETOOLONG")):
        name = name.decode(errors="surrogateescape") if isinstance(name, bytes) else name
        assert_errno(why, os.mkdir, group(name))
    assert_errors_line(r" EINVAL .*groups/a\\x0ab: ")
    make_group("g")
    # The same numbers, listed and asked for.
    for entry in os.scandir(group("g")):
        assert_eq(entry.inode(), os.stat(entry.path).st_ino, entry.name)
        assert_eq(entry.is_dir(), stat.S_ISDIR(os.stat(entry.path).st_mode))
    put("g/commit", "t 1 0\n")
    assert_eq([], os.listdir(group("g/topics")))
    assert_eq(["t"], os.listdir(group("g/offsets")))
    assert_eq(["1"], os.listdir(group("g/offsets/t")))
    here = os.getcwd()
    os.chdir(group("g/offsets/t"))
    assert_eq(group("g/offsets/t"), os.getcwd())
    os.chdir(here)
    for name in ("config", "lag", "state", "offsets/t/1"):
        assert_eq(os.stat(group("g/" + name)).st_size, len(get("g/" + name)), name)
    for name in ("commit", "join", "seek", "reject", "offsets/t/0"):
        assert_eq("", get("g/" + name), name)
    assert_errno("ENOENT", os.stat, group("g/members/self"))

    # Programs that read everything wait for nothing, and nobody joins.
    for _ in range(2):
        run("timeout", "20", "find", MNT, "-ls")
        run("timeout", "20", "grep", "-rs", "nothing like this", MNT, status=None)
        run("timeout", "20", "cp", "-r", group("g"), CASE_DIR + "/copy")
        run("rm", "-rf", CASE_DIR + "/copy")
    assert_eq(0, sum(len(state(n)["members"]) for n in os.listdir(group(""))))

    # Nothing can be made, renamed or removed in a group.
    for call, args in ((os.mkdir, ["g/x"]), (os.rmdir, ["g/topics"]),
                       (os.unlink, ["g/config"]), (os.mkdir, ["g/offsets/x"]),
                       (os.rename, ["g/config", "g/x"]), (os.rename, ["g", "h"]),
                       (os.link, ["g/config", "g/x"]), (os.chmod, ["g/config"])):
        child = Child(call, *[group(a) for a in args], *([0o600] if call is os.chmod else []))
        assert_errno("EPERM", child.result)
    for name in ("g/x", "g/members/x", "x"):
        assert_errno("EPERM", os.open, group(name), os.O_WRONLY | os.O_CREAT)
    assert_errno("ENOENT", os.open, group("g/offsets/t/2"), os.O_WRONLY | os.O_CREAT)
    for name in ("state", "lag"):
        assert_errno("EPERM", os.open, group("g/" + name), os.O_WRONLY)
    run(f"! rm -r '{group('g')}'")
    assert_eq(FILES, sorted(os.listdir(group("g"))))
    run(f"! find '{group('g')}' -delete")
    assert_eq(FILES, sorted(os.listdir(group("g"))))
    for what in ("nonsense\n", "commit=never\n", "max.poll.records=-1\n"):
        with opened(group("g/config"), os.O_WRONLY) as fd:
            assert_errno("EINVAL", os.write, fd, what.encode())
    put("g/config", get("g/config"))

    # A group with members stays, an empty one goes, and what is open of it says so.
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_errno("EBUSY", os.rmdir, group("g"))
        assert_errors_line(r" EBUSY .*groups/g: ")
    with opened(group("g/commit"), os.O_WRONLY) as fd, opened(group("g/join"), os.O_RDWR) as join:
        os.rmdir(group("g"))
        assert_errno("ESTALE", os.write, fd, b"t 0 1\n")
        assert_errno("ESTALE", os.write, join, b"topics=t\n")
        assert_errno("ESTALE", os.read, join, 10)
    assert_errno("ENOENT", os.stat, group("g"))
    make_group("g")
    assert_eq({}, state("g")["offsets"], "a group made again inherits nothing")

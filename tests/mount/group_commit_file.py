#!/usr/bin/env python3
# Writes to `commit` and to offsets/T/P: many lines are one step, metadata are kept, and who may
# move an offset is fenced.
from t import *


def refuse(name, file, what):
    with opened(group(file), os.O_WRONLY) as fd:
        assert_errno(name, os.write, fd, what.encode())


def write(path, what):
    with opened(path, os.O_WRONLY) as fd:
        return os.write(fd, what)


with Broker() as broker:
    make_topic("t", 3)
    for p in range(3):
        append(f"t/{p}", b"x\n" * 100)
    make_group("g")
    assert_eq("", get("g/commit"))
    assert_eq([], os.listdir(group("g/offsets")))
    put("g/commit", "t 0 10\nt 1 20 with metadata, and blanks\nt 2 30")
    assert_eq(["10", "20 with metadata, and blanks", "30"],
              [get(f"g/offsets/t/{p}").rstrip("\n") for p in range(3)])
    assert_eq(["t"], os.listdir(group("g/offsets")))
    assert_eq(["0", "1", "2"], sorted(os.listdir(group("g/offsets/t"))))
    offsets = state("g")["offsets"]["t"]
    assert_eq((20, "with metadata, and blanks"), (offsets["1"]["offset"], offsets["1"]["metadata"]))

    # All or nothing.
    for name, lines in (("ENOENT", "t 0 11\nt 3 5\n"), ("ENOENT", "t 0 11\nnone 0 5\n"),
                        ("EINVAL", "t 0 11\nt 1 101\n"), ("EINVAL", "t 0 11\nt 1\n"),
                        ("EINVAL", "t 0 11\n\x00\xff garbage\n"), ("EINVAL", "t 0 -1\n"),
                        ("EINVAL", "t 0 011\n"), ("EINVAL", "t 0 99999999999999999999\n")):
        refuse(name, "g/commit", lines)
        assert_eq(10, committed("g", "t"), lines)
    assert_errors_line(r" ENOENT .*groups/g/commit: .*")
    put("g/commit", "t 0 100\n")

    # An empty group: anything, backwards too.
    put("g/commit", "t 0 5\n")
    put("g/offsets/t/1", "6 new words\n")
    assert_eq("6 new words", get("g/offsets/t/1").rstrip("\n"))
    refuse("EINVAL", "g/offsets/t/1", "101\n")
    refuse("EINVAL", "g/offsets/t/1", "x\n")
    assert_errno("ENOENT", os.stat, group("g/offsets/t/3"))
    assert_errno("ENOENT", os.stat, group("g/offsets/t/00"))
    assert_errno("ENOENT", os.stat, group("g/offsets/none"))
    for name in ("g/offsets/t/3", "g/offsets/none"):  # As the shell's > opens it.
        assert_errno("ENOENT", os.open, group(name), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
    put("g/offsets/t/1", "6")

    # While there are members, others only move an offset forward; a member of the group its own.
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        os.read(fd, 2)
        with Child(write, group("g/commit"), b"t 0 4\n") as other:
            assert_errno("ESTALE", other.result)
        with Child(write, group("g/offsets/t/0"), b"4") as other:
            assert_errno("ESTALE", other.result)
        assert_eq(5, committed("g", "t"))
        with Child(write, group("g/commit"), b"t 0 7\n") as other:
            assert_eq(6, other.result())
        refuse("ESTALE", "g/offsets/t/0", "6")
        put("g/commit", "t 0 4\n")
        assert_eq(4, committed("g", "t"))

        # The words name a member and its generation.
        me = json.loads(get("g/members/self"))
        words = f"member={me['member_id']} generation={me['generation']}"
        with Child(write, group("g/commit"), f"{words} t 0 3 m\n".encode()) as other:
            other.result()
        assert_eq("3 m", get("g/offsets/t/0").rstrip("\n"))
        refuse("ESTALE", "g/commit",
               f"member={me['member_id']} generation={me['generation'] + 1} t 0 9")
        refuse("ESTALE", "g/commit", f"member=nobody generation={me['generation']} t 0 9")
        refuse("EINVAL", "g/commit", f"member={me['member_id']} t 0 9")
        # Another member's partition is not this one's.
        with opened(group("g/join"), os.O_RDWR) as join:
            os.write(join, b"topics=t member=second\n")
            second = json.loads(os.read(join, 1000))
            assert_errno("ENOENT", os.stat, group("g/members/third"))
            os.lseek(fd, 0, os.SEEK_CUR)
            os.set_blocking(fd, False)
            while True:
                try:
                    os.read(fd, 1000)
                except BlockingIOError:
                    break
            os.write(join, b"\n")
            refuse("ESTALE", "g/commit", f"{words} t 0 9")
            theirs = [p for a in json.loads(get("g/members/second"))["assignment"].values()
                      for p in a]
            if theirs:
                refuse("ESTALE", "g/commit", f"t {theirs[0]} 9\n")

    # Stable before the write or the fsync returns: as good as the log.
    with opened(group("g/commit"), os.O_WRONLY | os.O_DSYNC) as fd:
        os.write(fd, b"t 2 44\n")
    with opened(group("g/offsets/t/1"), os.O_WRONLY) as fd:
        os.write(fd, b"55")
        os.fsync(fd)
    broker.kill()
    broker.start()
    assert_eq([44, 55], [committed("g", "t", 2), committed("g", "t", 1)])
    # Read-write it is one text, and then its end.
    with opened(group("g/offsets/t/1"), os.O_RDWR) as fd:
        assert_eq(b"55", os.read(fd, 10).rstrip(b"\n"))
        assert_eq(b"", os.read(fd, 10))

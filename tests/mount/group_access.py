#!/usr/bin/env python3
# A member is assigned what it may read, and nothing else: whatever a pattern matches, whatever was
# made or closed after it joined; all of its supplementary groups count.
from t import *

if os.geteuid():
    skip("only root has other users")
os.chmod(CASE_DIR, 0o755)
OTHER = 1002
GROUPS = list(range(20000, 20600))


def as_user(uid, call, *args, groups=()):
    """The call in a process of that user."""
    def become():
        os.setgroups(groups)
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        return call(*args)
    return Child(become)


def follow(name, out, request=None):
    """Reads a stream and writes down what it gets."""
    fd = os.open(group(name), os.O_RDWR if request else os.O_RDONLY)
    if request:
        os.write(fd, request)
    while True:
        try:
            os.write(out, os.read(fd, 10000) + b"\0")
        except OSError as e:
            os.write(out, errno.errorcode[e.errno].encode() + b"\0")
            if e.errno not in (errno.ESTALE, errno.EINTR):
                return


def held_by(uid):
    """What the member by that user holds; the other one's is that of root."""
    for m in state("g")["members"]:
        if m["member_id"] == uid:
            return m["assignment"]
    return None


with Broker():
    make_group("g")
    os.chmod(group("g"), 0o777)
    make_topic("open", 2)
    make_topic("shut", 2)
    os.chmod(topic("shut"), 0o700)

    # A pattern: only what may be read; later ones, and ones that are closed later, likewise.
    r, w = os.pipe()
    with as_user(OTHER, follow, "g/join", w, b"pattern=.* member=other") as other:
        wait_until(lambda: held_by("other") == {"open": [0, 1]})
        make_topic("late")
        wait_until(lambda: held_by("other") == {"late": [0], "open": [0, 1]})
        os.chmod(topic("late"), 0o750)
        wait_until(lambda: held_by("other") == {"open": [0, 1]})
        os.mkdir(topic("hidden"), 0o700)
        os.chmod(topic("shut"), 0o744)
        wait_until(lambda: held_by("other") == {"open": [0, 1], "shut": [0, 1]})
        os.chown(topic("late"), OTHER, 0)
        wait_until(lambda: held_by("other") == {"late": [0], "open": [0, 1], "shut": [0, 1]})
        # Root may read all of it: what the other may not goes to root, and nothing waits.
        with opened(group("g/join"), os.O_RDWR) as fd:
            os.write(fd, b"pattern=.* member=root")
            os.read(fd, 10000)
            os.chown(topic("late"), 0, 0)
            os.chmod(topic("shut"), 0o700)
            os.set_blocking(fd, False)

            def is_root_s():
                # It hands over what it owes with its reads, as the other does.
                with contextlib.suppress(BlockingIOError):
                    os.read(fd, 10000)
                return set(held_by("other")) == {"open"} and \
                    set(held_by("root")) >= {"hidden", "late", "shut"}
            wait_until(is_root_s)
        other.kill()
    os.close(r)
    os.close(w)

    # A stream that was there before its topic, which it may not read: it is told, holds nothing.
    r, w = os.pipe()
    with as_user(OTHER, follow, "g/topics/new", w) as other:
        wait_until(other.is_waiting)
        os.mkdir(topic("new"), 0o700)
        assert_eq(b"EACCES\0", os.read(r, 100))
        other.result()
    assert_errors_line(" EACCES uid=1002 .*groups/g/topics/new: the topic new may not be read")
    # One that may be read, then not, and then it is gone and made again.
    os.chmod(topic("new"), 0o755)
    append("new/0", b"one\n")
    with opened(group("g/topics/new"), os.O_RDONLY | os.O_NONBLOCK) as fd, \
            as_user(OTHER, follow, "g/topics/new", w) as other:
        wait_until(lambda: len(state("g")["members"]) == 2)
        assert_eq(b"one\n", os.read(fd, 100))
        wait_until(other.is_waiting)
        os.chmod(topic("new"), 0o700)
        assert_eq(b"EACCES\0", os.read(r, 100))
        other.result()
        append("new/0", b"two\n")
        assert_eq(b"two\n", os.read(fd, 100))
    os.close(r)
    os.close(w)

    # Who was expelled joins anew by a request as by a read: only where the group lets it.
    def ask_twice(out, end):
        fd = os.open(group("shy/join"), os.O_RDWR)
        os.write(fd, b"topics=open max.poll.interval.ms=100")
        os.write(out, b"x")
        os.read(end, 1)
        os.write(fd, b"topics=open")

    make_group("shy")
    os.chmod(group("shy"), 0o777)
    r, w = os.pipe()
    end_r, end_w = os.pipe()
    with as_user(OTHER, ask_twice, w, end_r) as other:
        os.read(r, 1)
        os.chmod(group("shy"), 0o700)
        wait_until(lambda: not state("shy")["members"])
        os.write(end_w, b"x")
        assert_errno("EACCES", other.result)
    assert_errors_line(" EACCES uid=1002 .*groups/shy/join: joining a group needs to read and")
    for fd in (r, w, end_r, end_w):
        os.close(fd)

    # The 600th supplementary group.
    os.chmod(topic("shut"), 0o740)
    os.chown(topic("shut"), 0, GROUPS[-1])
    append("shut/0", b"deep\n")

    def first(name):
        with opened(group(name), os.O_RDONLY) as fd:
            return os.read(fd, 100)

    with as_user(OTHER, first, "g/topics/shut") as other:
        assert_errno("EACCES", other.result)
    with as_user(OTHER, first, "g/topics/shut", groups=GROUPS) as other:
        assert_eq(b"deep\n", other.result())
    with as_user(OTHER, put, "g/reject", "shut 0 0\n", groups=GROUPS) as other:
        other.result()

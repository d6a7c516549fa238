#!/usr/bin/env python3
# A line without its newline is kept for its open file until a later write completes it, fsync ends
# it, or the last close does; closes of duplicates and exits of children end nothing.
from t import *

with Broker() as broker:
    make_topic("t")
    run("exec 3>>t/0; printf a >&3; ls >/dev/null; /bin/true; printf 'b\n' >&3")
    assert_eq(b"ab\n", read("t/0"))
    run("printf c >>t/0")
    assert_eq(b"ab\nc\n", read("t/0"), "the last close ends it, and who looks sees it")
    for i in range(20):  # A stat right behind the close.
        run(f"printf {i:02} >>t/0; [ $(stat -c %s t/0) = {5 + (i + 1) * 3} ]")
    base = read("t/0")

    with opened(topic("t/0"), os.O_WRONLY | os.O_APPEND) as fd, \
            opened(topic("t/0"), os.O_WRONLY | os.O_APPEND) as other:
        os.write(fd, b"one")
        os.write(other, b"two")
        assert_eq(base, read("t/0"), "kept for the open file, not for the partition")
        os.close(os.dup(fd))
        assert_eq(0, Child(lambda: 0).result())
        assert_eq(base, read("t/0"), "a duplicate's close ended it")
        os.write(other, b"2\nrest")
        assert_eq(base + b"two2\n", read("t/0"))
        os.write(fd, b"1")
        os.fsync(fd)
        assert_eq(base + b"two2\none1\n", read("t/0"), "fsync ends it")
        os.fsync(fd)
        os.fdatasync(fd)
        assert_eq(base + b"two2\none1\n", read("t/0"), "and only once")
        os.fdatasync(other)
        assert_eq(base + b"two2\none1\nrest\n", read("t/0"))
        os.write(fd, b"\n")
        os.write(fd, b"")
        assert_eq(base + b"two2\none1\nrest\n\n", read("t/0"), "an empty line is a record")
        os.write(fd, b"x" * 5000)
        os.write(fd, b"y" * 5000)
        os.write(fd, b"z\nlast")
    base += b"two2\none1\nrest\n\n" + b"x" * 5000 + b"y" * 5000 + b"z\nlast\n"
    assert_eq(base, read("t/0"))

    # Other forms keep a tail too; a tail in `all` goes to one partition, one by key to its own.
    run("""exec 3>>t/0.json; printf '{"val' >&3; printf 'ue":"j"}' >&3""")
    run("exec 3>>t/by-key/k; printf k1 >&3; printf '2\nk3' >&3")
    run("exec 4>>t/all; printf all >&4")
    assert_eq(["j", "k12", "k3", "all"], [r["value"] for r in records("t/0@-4...json")])
    base = read("t/0")
    with opened(topic("t/0"), os.O_WRONLY | os.O_SYNC) as fd:
        os.write(fd, b"sync")
        assert_eq(base, read("t/0"), "O_SYNC speaks of complete lines")
    assert_eq(base + b"sync\n", read("t/0"))
    # However many tails a death leaves at once, who looks next sees all of them.
    make_topic("many")

    def die_with_tails():
        for i in range(300):
            os.write(os.open(topic("many/0"), os.O_WRONLY), b"tail %d" % i)
        os.kill(os.getpid(), signal.SIGKILL)

    Child(die_with_tails).wait()
    assert_eq({b"tail %d" % i for i in range(300)}, set(read("many/0").splitlines()))
    # A clean stop makes waiting tails records; so does a writer's death.
    with contextlib.suppress(OSError), opened(topic("t/0"), os.O_WRONLY) as fd:
        def write_half():
            with opened(topic("t/0"), os.O_WRONLY) as mine:
                os.write(mine, b"killed")
                os.kill(os.getpid(), signal.SIGKILL)
        Child(write_half).wait()
        assert_eq(base + b"sync\nkilled\n", read("t/0"))
        os.write(fd, b"stopped")
        broker.stop()
    broker.start()
    assert_eq(base + b"sync\nkilled\nstopped\n", read("t/0"))

#!/usr/bin/env python3
# `join`: a request is written, each read gives the line of one generation and waits for it; poll
# wakes; a second request changes the subscription; what a member owes it hands over with its next
# read.
from t import *


def line(fd):
    return json.loads(os.read(fd, 100000))


def held(answer):
    return {a["topic"]: a["partitions"] for a in answer["assignment"]}


def is_readable(fd, timeout_ms=0):
    p = select.poll()
    p.register(fd, select.POLLIN)
    return bool(p.poll(timeout_ms))


with Broker():
    make_topic("a", 2)
    make_topic("b", 4)
    make_group("g", "assignment.strategy=range")
    with opened(group("g/join"), os.O_RDONLY) as fd:
        assert_eq(b"", os.read(fd, 100))
    with opened(group("g/join"), os.O_RDWR) as one, opened(group("g/join"), os.O_RDWR) as two:
        assert not is_readable(one)
        assert_errno("EINVAL", os.read, one, 100)
        for what in (b"", b"\n", b"topics=\n", b"topics=a pattern=b\n", b"topics=a,,b",
                     b"pattern=[",
                     b"topics=a strategy=best\n", b"topics=a x=y", b"topics=a\ntopics=b\n",
                     b"topics=a session.timeout.ms=5", b"topics=a/b", b"\xff\x00"):
            if what:
                assert_errno("EINVAL", os.write, one, what)
        assert_eq({}, shares("g"))
        os.write(one, b"topics=a,b member=first")
        assert is_readable(one, 10000)
        got = line(one)
        assert_eq({"group": "g", "member": "first", "strategy": "range"},
                  {k: got[k] for k in ("group", "member", "strategy")})
        assert_eq({"a": [0, 1], "b": [0, 1, 2, 3]}, held(got))
        generation = got["generation"]
        assert not is_readable(one)
        os.set_blocking(one, False)
        assert_errno("EAGAIN", os.read, one, 100)
        os.set_blocking(one, True)
        assert_errno("ESPIPE", os.lseek, one, 0, os.SEEK_CUR)

        # The second is given nothing that the first still owns.
        assert_errno("EEXIST", os.write, two, b"topics=b member=first\n")
        with Child(os.read, one, 100000) as reader:
            wait_until(reader.is_waiting)
            os.write(two, b"topics=a,b member=second\n")
            got = json.loads(reader.result())
        assert got["generation"] > generation
        assert_eq({"a": [0], "b": [0, 1]}, held(got))
        assert_eq({}, held(line(two)))
        assert_eq("CompletingRebalance", state("g")["state"])
        # In pieces, where the buffer is small; a read behind the last byte says it is dealt with.
        with Child(os.read, two, 100000) as reader:
            wait_until(reader.is_waiting)
            os.write(one, b"\n")
            assert reader.is_waiting()
            with Child(os.read, one, 7) as again:
                got = json.loads(reader.result())
                assert_eq({"a": [1], "b": [2, 3]}, held(got))
                rest = again.result()
        assert_eq(b'{"group', rest)
        rest += os.read(one, 10) + os.read(one, 100000)
        assert_eq(got["generation"], json.loads(rest)["generation"])
        assert_eq("Stable", state("g")["state"])
        assert_eq(sorted(["first", "second"]), sorted(os.listdir(group("g/members"))))
        assert_eq(json.loads(get("g/members/second"))["assignment"], {"a": [1], "b": [2, 3]})

        # Another subscription.
        assert_errno("EINVAL", os.write, two, b"nonsense\n")
        os.write(two, b"pattern=^b$\n")
        got = line(two)
        assert set(held(got)) <= {"b"}, got
        with Child(os.read, one, 100000) as reader, Child(os.read, two, 100000) as again:
            wait_until(lambda: shares("g")["first"].get("a") == [0, 1])
            assert json.loads(reader.result())["generation"] >= got["generation"]
            again.kill()
        # A strategy that the others did not ask for.
        with opened(group("g/join"), os.O_RDWR) as three:
            os.write(two, b"topics=b strategy=range\n")
            assert_errno("EINVAL", os.write, three, b"topics=b strategy=sticky\n")
            os.write(three, b"topics=none.yet session.timeout.ms=1000\n")
            assert_eq({}, held(line(three)))
        assert_errno("EBUSY", os.rmdir, group("g"))
    assert_eq("Empty", state("g")["state"])
    # Who a member is stays: a request that says something else is refused, and changes nothing.
    with opened(group("g/join"), os.O_RDWR) as fd:
        os.write(fd, b"topics=a\n")
        first = line(fd)["member"]
        for what in (b"topics=b member=other\n", b"topics=b instance=i\n"):
            assert_errno("EINVAL", os.write, fd, what)
        assert_errors_line(f" EINVAL .*groups/g/join: this file.s member is {first}, not other")
        assert_errors_line(" EINVAL .*groups/g/join: .* is of no instance, not of instance i")
        assert_eq({first: {"a": [0, 1]}}, shares("g"))
        os.write(fd, b"topics=b member=%s\n" % first.encode())
        assert_eq({"b": [0, 1, 2, 3]}, held(line(fd)))
    with opened(group("g/join"), os.O_RDWR) as fd:
        os.write(fd, b"topics=a member=me instance=i session.timeout.ms=100\n")
        for what in (b"topics=b member=m-1\n", b"topics=b member=me instance=j\n"):
            assert_errno("EINVAL", os.write, fd, what)
        # What is not said again stays, also where it has to join anew. The limit is there while it
        # is waited for: this process may be slow.
        os.write(fd, b"topics=b\n")
        assert_eq({"b": [0, 1, 2, 3]}, held(line(fd)))
        put("g/config", "max.poll.interval.ms=100\n")
        wait_until(lambda: not state("g")["members"])
        put("g/config", "max.poll.interval.ms=\n")
        assert_errno("ESTALE", os.read, fd, 1000)
        assert_eq({"me": {"b": [0, 1, 2, 3]}}, shares("g"))
        assert_eq("i", state("g")["members"][0]["group_instance_id"])
        os.write(fd, b"topics=b session.timeout.ms=100\n")
    wait_until(lambda: not state("g")["members"])
    # Write only: it is a member until the file is closed.
    with opened(group("g/join"), os.O_WRONLY) as fd:
        os.write(fd, b"topics=a\n")
        assert_eq([{"a": [0, 1]}], list(shares("g").values()))
    assert_eq({}, shares("g"))
    os.rmdir(group("g"))

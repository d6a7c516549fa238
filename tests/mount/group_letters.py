#!/usr/bin/env python3
# A record that a worker dies of is delivered max.deliveries times and then set aside, alone, as a
# dead letter; `reject` sets one aside at once. The count survives the broker.
from t import *


def die_of(poison):
    """A worker that dies of one record."""
    with open(group("g/topics/t.msg"), "rb", buffering=0) as f:
        while True:
            what = f.read(1000)
            with open(CASE_DIR + "/done", "ab", buffering=0) as done:
                done.write(what + b"\n")
            if what == poison:
                os.kill(os.getpid(), signal.SIGKILL)


def done():
    with open(CASE_DIR + "/done", "rb") as f:
        return f.read().split()


def headers(record):
    return {k: record["headers"][k] for k in sorted(record["headers"]) if k != "dlq.timestamp"}


with Broker() as broker:
    make_topic("t", 1)
    append("t/0.json", b"".join(b'{"key":"k%d","value":"v%d","headers":{"h":"%d"}}\n' % (i, i, i)
                                for i in range(6)))
    make_group("g", "max.deliveries=3")
    for life in range(3):
        with Child(die_of, b"v2") as worker:
            assert_eq(signal.SIGKILL, worker.wait())
        # Between two lives the broker dies, too.
        broker.kill()
        broker.start()
    assert "g.dlq" not in os.listdir(topic(""))
    with Child(die_of, b"v2") as worker:
        wait_until(lambda: b"v5" in done())
        # A read that is under way may not have come to the broker yet.
        wait_until(lambda: committed("g", "t") == 6)
    assert_eq(b"v0 v1 v2 v2 v2 v3 v4 v5".split(), done())
    letter, = records("g.dlq/all.json")
    assert_eq(("k2", "v2"), (letter["key"], letter["value"]))
    assert_eq({"dlq.deliveries": "3", "dlq.offset": "2", "dlq.partition": "0", "dlq.topic": "t",
               "h": "2"}, {k: v for k, v in headers(letter).items() if k != "dlq.reason"})
    assert_eq(str(records("t/0.json")[2]["timestamp"]), letter["headers"]["dlq.timestamp"])
    assert_eq(6, committed("g", "t"))

    # A line is one record, too; every end without a commit counts, a plain close as well.
    append("t/0", b"six\nseven\n")
    for _ in range(3):
        with opened(group("g/topics/t"), os.O_RDONLY) as fd:
            assert_eq(b"six\n", os.read(fd, 1000))
    with opened(group("g/topics/t"), os.O_RDONLY) as fd:
        assert_eq(b"seven\n", os.read(fd, 1000))
        assert_eq(b"seven\n", os.pread(fd, 1000, 0), "old bytes are no delivery")
    assert_eq(["v2", "six"], [r["value"] for r in records("g.dlq/all.json")])

    # Who commits by hand reads on before he does: each record is counted by itself, and a seek back
    # to one that was set aside gives it again.
    make_topic("m")
    append("m/0", b"0\n1\n2\n3\n")
    make_group("m", "max.deliveries=2", "commit=manual")
    for life in range(2):
        with opened(group("m/topics/m"), os.O_RDONLY) as fd:
            assert_eq([b"0\n", b"1\n", b"2\n"][:3 - life],
                      [os.read(fd, 1000) for _ in range(3 - life)])
        broker.kill()
        broker.start()
    with opened(group("m/topics/m"), os.O_RDONLY) as fd:
        assert_eq([b"2\n", b"3\n"], [os.read(fd, 1000) for _ in range(2)])
    assert_eq(["0", "1"], [r["value"] for r in records("m.dlq/all.json")])
    for how in ("seek", "commit"):
        put("m/" + how, "m 0 1\n")
        with opened(group("m/topics/m"), os.O_RDONLY) as fd:
            assert_eq(b"1\n", os.read(fd, 1000), how)

    # What is delivered and not committed says nothing of what a commit moves back to.
    make_topic("back")
    append("back/0", b"1\n2\n3\n")
    make_group("back", "max.deliveries=1")
    with opened(group("back/topics/back"), os.O_RDONLY) as fd:
        for what in (b"1\n", b"2\n", b"3\n"):
            assert_eq(what, os.read(fd, 1000))
    assert_eq(2, committed("back", "back"))
    put("back/commit", "back 0 0\n")
    with opened(group("back/topics/back"), os.O_RDONLY) as fd:
        assert_eq(b"1\n", os.read(fd, 1000))

    # reject, with its own topic for letters.
    make_topic("aside")
    make_group("r", "dlq=aside", "commit=manual")
    put("r/reject", "t 0 0 does not parse, \"really\"\n")
    assert_eq(1, committed("r", "t"))
    letter, = records("aside/all.json")
    assert_eq("does not parse, \"really\"", letter["headers"]["dlq.reason"])
    assert_eq("v0", letter["value"])
    # However long the reason is.
    append("t/0", b"long\n")
    make_group("long", "dlq=long")
    reason = "no such customer " * 5000
    put("long/reject", f"t 0 0 {reason}\n")
    assert_eq(reason, records("long/all.json")[0]["headers"]["dlq.reason"])
    for name, what in (("ESTALE", "t 0 0\n"), ("ENOENT", "t 1 0\n"),
                       ("ENOENT", "t 4294967297 0\n"), ("ENOENT", "none 0 0\n"),
                       ("EINVAL", "t 0 100\n"), ("EINVAL", "t 0\n"), ("EINVAL", "t 0 x\n")):
        with opened(group("r/reject"), os.O_WRONLY) as fd:
            assert_errno(name, os.write, fd, what.encode())
    with opened(group("r/topics/t.msg"), os.O_RDONLY) as fd:
        assert_eq(b"v1", os.read(fd, 100))
        put("r/reject", "t 0 1\n")
        assert_eq(2, committed("r", "t"))
    assert_eq(2, len(records("aside/all.json")))
    # Redrive: letters are records, with their keys.
    run("cat aside/all.json >> t/all.json")
    assert_eq("v1", records("t/0.json")[-1]["value"])

#!/usr/bin/env python3
# After kill -9 the stale mount is replaced, and everything that was written is there, in every
# form, whether or not it was synced.
from t import *

with Broker() as broker:
    make_topic("t", 3)
    os.mkdir(topic("late"))
    for turn in range(3):
        for i in range(100):
            append(f"t/{i % 3}", b"turn %d line %d\n" % (turn, i))
        append("t/by-key/key", b"keyed\n")
        append("t/all.json", b'{"key":"j","value":"json","headers":{"a":"b"}}\n')
        append("t/0.msg", b"two\nlines")
        os.mkdir(topic(f"new{turn}"))
        configure("late", f"retention.ms={turn + 5}")
        before = {f: read(f) for f in ("t/0", "t/1", "t/2", "t/0.json", "t/1.json", "t/2.json")}
        # Single lines whose description is still owed.
        for i in range(50):
            append("t/0", b"%d\n" % i)
            before["t/0"] += b"%d\n" % i
        if turn:
            with opened(topic("t/0"), os.O_WRONLY) as fd:
                os.fsync(fd)
        broker.kill()
        assert is_mounted()
        assert_errno("ENOTCONN", os.listdir, MNT)
        broker.start()
        assert_eq(before["t/0"], read("t/0"))
        assert read("t/0.json").startswith(before["t/0.json"])
        assert_eq(before["t/1"], read("t/1"))
        assert_eq(before["t/2.json"], read("t/2.json"))
        offsets = [r["offset"] for r in records("t/0.json")]
        assert_eq(list(range(len(offsets))), offsets)
        assert_eq([f"new{i}" for i in range(turn + 1)],
                  [n for n in sorted(os.listdir(topic(""))) if n.startswith("new")])
        assert f"retention.ms={turn + 5}\n".encode() in read("late/config")
    broker.stop()
    done = subprocess.run([TOPICFS, "verify", DATA], stdout=subprocess.PIPE, check=False)
    assert_eq(0, done.returncode, done.stdout)

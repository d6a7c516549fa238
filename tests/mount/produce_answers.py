#!/usr/bin/env python3
# A produce file opened read-write answers: reading it gives a line of JSON for each record written
# through it. None due is EOF; it is a stream; answers that nobody reads are dropped with ESTALE
# once.
from t import *


def answers(fd, length=65536):
    got = os.read(fd, length)
    return [json.loads(line) for line in got.splitlines()]


with Broker():
    make_topic("t", 3)
    with opened(topic("t/1"), os.O_RDWR) as fd:
        assert_eq(b"", os.read(fd, 100), "none due")
        before = int(time.time() * 1000)
        os.write(fd, b"one\ntwo\nhalf")
        got = os.read(fd, 65536)
        first = json.loads(got.splitlines()[0])
        assert_eq(b'{"topic":"t","partition":1,"offset":0,"timestamp":%d}\n' % first["timestamp"],
                  got.splitlines(True)[0])
        after = int(time.time() * 1000)
        assert before <= first["timestamp"] <= after, (before, first["timestamp"], after)
        assert_eq([0, 1], [json.loads(line)["offset"] for line in got.splitlines()])
        assert_eq(b"", os.read(fd, 100))
        append("t/1", b"another's\n")
        os.write(fd, b" done\n")
        assert_eq([3], [a["offset"] for a in answers(fd)])
        os.write(fd, b"tail")
        os.fsync(fd)
        assert_eq([4], [a["offset"] for a in answers(fd)])
        assert_errno("ESPIPE", os.lseek, fd, 0, os.SEEK_SET)
        assert_errno("ESPIPE", os.pread, fd, 10, 0)
        # Small reads go on where the last one ended.
        os.write(fd, b"x\n")
        text = b""
        while piece := os.read(fd, 7):
            text += piece
        assert_eq(5, json.loads(text)["offset"])

    with opened(topic("t/all.json"), os.O_RDWR) as fd:
        os.write(fd, b'{"partition":2,"value":"a","timestamp":77}\n{"partition":0,"value":"b"}\n'
                     b'{"partition":2,"value":"c"}\n')
        got = answers(fd)
        assert_eq({(2, 0), (0, 0), (2, 1)}, {(a["partition"], a["offset"]) for a in got})
        assert_eq(77, [a for a in got if (a["partition"], a["offset"]) == (2, 0)][0]["timestamp"])
    with opened(topic("t/0.msg"), os.O_RDWR) as fd:
        os.write(fd, b"a\nb")
        assert_eq([1], [a["offset"] for a in answers(fd)])
    run("exec 3<>t/0; echo shell >&3; read -r -t 5 line <&3; [[ $line == *'\"offset\":2'* ]]")

    # A thread that reads and one that writes do not wait for each other.
    with opened(topic("t/0"), os.O_RDWR) as fd:
        for i in range(3, 50):
            os.write(fd, b"x\n")
            assert_eq([i], [a["offset"] for a in answers(fd)])
        p = select.poll()
        p.register(fd, select.POLLIN)
        assert_eq([], p.poll(0), "no answer is due")
        os.write(fd, b"x\n")
        assert p.poll(5000), "an answer is due"
        # Dropped beyond a bound: told once.
        for i in range(8):
            os.write(fd, b"y\n" * 20000)
        assert_errno("ESTALE", os.read, fd, 65536)
        os.write(fd, b"z\n")
        last = answers(fd, 1 << 20)
        while more := answers(fd, 1 << 20):
            last = more
        assert_eq(51 + 160000, last[-1]["offset"])

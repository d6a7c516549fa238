#!/usr/bin/env python3
# cat of the .data files is cat of the partition, for every way of producing, over many segments
# and restarts; the directory holds segments named by base offset and nothing strange.
from t import *


def produce(turn):
    run("echo shell >> t/0; printf half >> t/0; seq 1 500 >> t/0; echo x | tee -a t/0 >/dev/null")
    append("t/0", b"".join(b"many %d\n" % i for i in range(300)))
    append("t/0", b"\n\n\n")
    append("t/0", b"bytes \0 \xff \r\n")
    append("t/by-key/k%d" % turn, b"keyed\nkeyed too\n")
    append("t/0.json", b'{"value":"j","headers":{"h":"1"}}\n{"value":null,"key":"gone"}\n'
                       b'{"value":"in\\nside","timestamp":5}\n')
    append("t/all.json", b'{"value":{"a":[1,2]}}\n')
    append("t/0.msg", b"msg\nwith\nnewlines\n")
    append("t/0.msg", bytes(range(256)) * 20)
    append("t/all", b"all\n")
    with opened(topic("t/0"), os.O_WRONLY | os.O_SYNC) as fd:
        for i in range(30):
            os.write(fd, b"sync %d\n" % i)
    with open(topic("t/0"), "a") as f:
        for i in range(3000):
            print("buffered", i, file=f)


with Broker() as broker:
    make_topic("t", 1, "segment.bytes=20000")
    for turn in range(4):
        produce(turn)
        before = read("t/0")
        count = len(read("t/0.json").splitlines())
        assert_eq(before, stored("t"), f"while it runs, turn {turn}")
        if turn == 2:
            broker.kill()
        else:
            broker.stop()
        assert stored("t") == before, "after the stop"
        broker.start()
        assert read("t/0") == before, f"after restart {turn}"
        assert_eq(count, len(read("t/0.json").splitlines()))
    files = os.listdir(DATA + "/t-0")
    assert all(re.fullmatch(r"\d{20}\.(data|meta|index|timeindex)|partition.metadata", f)
               for f in files), files
    bases = sorted(f[:20] for f in files if f.endswith(".data"))
    assert len(bases) > 4, bases
    assert_eq(bases, sorted(f[:20] for f in files if f.endswith(".meta")))
    offsets = {r["offset"]: r["value"] for r in records("t/0.json") if "value" in r}
    for base in bases[1:]:
        with open(f"{DATA}/t-0/{base}.data", "rb") as f:
            first = f.read(2000)
        value = offsets.get(int(base))
        if value:
            assert first.startswith(value.encode()), (base, value, first[:30])

#!/usr/bin/env python3
# by-key/KEY appends records with that key, to the partition where Kafka's murmur2 puts it; the key
# is the name literally, and write only.
import base64
from t import *

# Of Kafka's UtilsTest.
VECTORS = {b"21": -973932308, b"foobar": -790332482, b"a-little-bit-long-string": -985981536,
           b"a-little-bit-longer-string": -1486304829,
           b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8": -58897971, b"abc": 479470107}
ODD = ["0", "0@1.json", "all", "config", "..x", " ", "a b", "*", "-", "\\n", "ä€😀", "k" * 255,
       b"\xff\xfe\x80", b"\x01\x7f", b"a\nb", b"\xc3"]


def murmur2(data):
    m, mask = 0x5bd1e995, 0xffffffff
    h = (0x9747b28c ^ len(data)) & mask
    for i in range(0, len(data) - 3, 4):
        k = int.from_bytes(data[i:i + 4], "little") * m & mask
        k = (k ^ k >> 24) * m & mask
        h = (h * m & mask) ^ k
    tail = data[len(data) & ~3:]
    if tail:
        h = (h ^ int.from_bytes(tail, "little")) * m & mask
    h = (h ^ h >> 13) * m & mask
    return h ^ h >> 15


for key, value in VECTORS.items():
    assert_eq(value & 0xffffffff, murmur2(key))

with Broker():
    make_topic("t", 7)
    by_key = os.fsencode(topic("t/by-key/"))
    want = []
    for key in [*VECTORS, *map(os.fsencode, ODD)]:
        with opened(by_key + key, os.O_WRONLY | os.O_APPEND) as fd:
            os.write(fd, b"1 " + key.replace(b"\n", b"") + b"\n2\n")
        partition = (murmur2(key) & 0x7fffffff) % 7
        want += [(partition, key), (partition, key)]
    got = []
    for r in records("t/all.json"):
        key = r["key"].encode() if "key" in r else base64.b64decode(r["key_base64"])
        got.append((r["partition"], key))
    assert_eq(sorted(want), sorted(got))
    run("echo v > t/by-key/k; echo v >> t/by-key/k")
    assert_eq(2, sum(r.get("key") == "k" for r in records("t/all.json")))

    # JSON goes to the same place; there an empty key is possible, too.
    for key in (b"foobar", b"21", b""):
        before = len(records(f"t/{(murmur2(key) & 0x7fffffff) % 7}.json"))
        append("t/all.json", b'{"key":"%s","value":"x"}\n' % key)
        assert_eq(before + 1, len(records(f"t/{(murmur2(key) & 0x7fffffff) % 7}.json")), key)

    assert_eq([], os.listdir(by_key))
    assert_errno("EPERM", os.open, by_key + b"k", os.O_RDONLY)
    assert_errors_line(r" EPERM uid=\d+ pid=\d+ topics/t/by-key/k: .*write only")
    assert_errno("ENAMETOOLONG", os.open, by_key + b"l" * 256, os.O_WRONLY)
    # A key with a slash is no file name.
    assert_errno("ENOTDIR", os.open, by_key + b"a/b", os.O_WRONLY)
    with opened(by_key + b"k", os.O_RDWR) as fd:
        os.write(fd, b"v\n")
        answer = json.loads(os.read(fd, 1000))
        assert_eq((murmur2(b"k") & 0x7fffffff) % 7, answer["partition"])
    # A topic of one partition needs no hash.
    make_topic("one")
    append("one/by-key/x", b"v\n")
    assert_eq([("x", "v")], [(r["key"], r["value"]) for r in records("one/0.json")])

#!/usr/bin/env python3
# hot.keys spreads a key's records over the partitions by their values, says so in status, and
# leaves other keys where Kafka puts them.
from t import *

with Broker():
    make_topic("t", 8)
    for key in ("hot", "cold", "warm,er", "ho", "hot,other"):
        append(f"t/by-key/{key}", b"".join(b"%d\n" % i for i in range(100)))
    home = {r["key"]: r["partition"] for r in records("t/all.json")}
    for key in home:
        assert_eq({home[key]}, {r["partition"] for r in records("t/all.json") if r["key"] == key})
    configure("t", "hot.keys=hot,other")
    assert b"unordered=" in read("t/status") and b"hot" in read("t/status"), read("t/status")
    assert b"hot.keys=hot,other\n" in read("t/config")
    append("t/by-key/hot", b"".join(b"%d\n" % i for i in range(100, 300)))
    append("t/all.json", b"".join(b'{"key":"cold","value":"%d"}\n' % i for i in range(100, 120)))
    for key in ("ho", "hot,other"):  # a key is in the list as a whole, or not
        append(f"t/by-key/{key}", b"".join(b"%d\n" % i for i in range(100, 120)))
    got = [r for r in records("t/all.json") if int(r["value"]) >= 100]
    assert_eq(8, len({r["partition"] for r in got if r["key"] == "hot"}), "not spread")
    for key in ("cold", "ho", "hot,other"):
        assert_eq({home[key]}, {r["partition"] for r in got if r["key"] == key})
    # The same value goes to the same partition.
    before = {r["value"]: r["partition"] for r in got if r["key"] == "hot"}
    append("t/by-key/hot", b"".join(b"%d\n" % i for i in range(100, 300)))
    for r in records("t/all.json"):
        if r["key"] == "hot" and int(r["value"]) >= 100:
            assert_eq(before[r["value"]], r["partition"])
    configure("t", "hot.keys=")
    assert b"unordered" not in read("t/status")
    append("t/by-key/hot", b"1000\n1001\n1002\n")
    assert_eq({home["hot"]}, {r["partition"] for r in records("t/all.json")
                              if int(r["value"]) >= 1000})

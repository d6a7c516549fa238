#!/usr/bin/env python3
# .json takes one object a line: key, value, headers, timestamp, each with a base64 form; a value
# that is no string is stored as its JSON text, byte for byte; what is printed is taken back.
from t import *

LINES = [
    (rb'{"value":"hello"}', b"hello"),
    (rb'{"key":"k","value":"v","headers":{"a":"1","b":null},"timestamp":1770028200123}', b"v"),
    (rb'{"timestamp":"2026-02-02T10:30:00.123Z","value":"time"}', b"time"),
    (rb'{"timestamp":"2026-02-02T12:30:00+02:00","value":"zone"}', b"zone"),
    (rb'{"value":12.50}', b"12.50"),
    (rb'{"value":123456789012345678901234567890.10e5}', b"123456789012345678901234567890.10e5"),
    (rb'{"value": {"a" :  [1, 2.0,"\u00e4"] } }', rb'{"a" :  [1, 2.0,"\u00e4"] }'),
    (rb'{"value":true}', b"true"),
    (rb'{"value":[]}', b"[]"),
    (rb'{"value":""}', b""),
    (rb'{"value":null,"key":"gone"}', b""),
    (rb'{"value_base64":"/w==","key_base64":"gAE="}', b"\xff"),
    (rb'{"value":"\u00e4\ud83d\ude00\t\"\\\/"}', "ä😀\t\"\\/".encode()),
    (rb'{"value":"h","headers":[{"name":"a","value":"1"},{"name":"a","value_base64":"gA=="}]}',
     b"h"),
    (rb'{"headers":{},"offset":77,"topic":"another","partition":0,"value":"ignored"}', b"ignored"),
    (rb'  { "value" : "blanks" }  ', b"blanks"),
]

with Broker():
    os.mkdir(topic("t"))
    append("t/0.json", b"".join(line + b"\n" for line, _ in LINES))
    assert_eq(b"".join(value + b"\n" for _, value in LINES), read("t/0"))
    got = records("t/0.json")
    assert_eq(list(range(len(LINES))), [r["offset"] for r in got])
    assert_eq(["topic", "partition", "offset", "timestamp", "key", "value", "headers"],
              list(got[0]))
    assert_eq(("k", "v", {"a": "1", "b": None}, 1770028200123),
              tuple(got[1][m] for m in ("key", "value", "headers", "timestamp")))
    assert_eq(1770028200123, got[2]["timestamp"])
    assert_eq(1770028200000, got[3]["timestamp"])
    assert_eq((None, "gone", {}), (got[10]["value"], got[10]["key"], got[10]["headers"]))
    assert_eq(("/w==", "gAE="), (got[11]["value_base64"], got[11]["key_base64"]))
    assert_eq([{"name": "a", "value": "1"}, {"name": "a", "value_base64": "gA=="}],
              got[13]["headers"])

    # What it prints it takes back.
    os.mkdir(topic("u"))
    text = read("t/0.json")
    append("u/0.json", text)
    assert_eq(text.replace(b'"topic":"t"', b'"topic":"u"'), read("u/0.json"))

    # The last line needs its newline only to be complete at once.
    with opened(topic("u/all.json"), os.O_WRONLY) as fd:
        os.write(fd, b'{"value":"last"}')
    assert_eq("last", records("u/0.json")[-1]["value"])
    # A value with newlines inside is one record.
    append("u/0.json", rb'{"value":"two\nlines"}' b"\n")
    assert_eq("two\nlines", records("u/0.json")[-1]["value"])
    assert_eq(b"two\nlines\n", read("u/0@-1.."))
    # LogAppendTime takes the broker's clock.
    configure("u", "message.timestamp.type=LogAppendTime")
    append("u/0.json", b'{"value":"now","timestamp":5}\n')
    assert abs(records("u/0.json")[-1]["timestamp"] / 1000 - time.time()) < 60

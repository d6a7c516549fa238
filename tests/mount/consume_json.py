#!/usr/bin/env python3
# json is exact: members, their order, their spelling, what is not UTF-8, and nothing else.
from t import *

HEAD = b'{"topic":"t.x","partition":1,"offset":%d,"timestamp":%d,'
CASES = [
    (b'"value":"plain"', b'"key":null,"value":"plain","headers":{}'),
    (b'"key":"k","value":""', b'"key":"k","value":"","headers":{}'),
    (b'"key":"","value":null', b'"key":"","value":null,"headers":{}'),
    (b'"value":"q\\" b\\\\ s/ t\\t n\\n c\\u0001 \\u007f"',
     b'"key":null,"value":"q\\" b\\\\ s/ t\\t n\\n c\\u0001 \x7f","headers":{}'),
    ('"value":"ä€😀"'.encode(), '"key":null,"value":"ä€😀","headers":{}'.encode()),
    (b'"value_base64":"gIE=","key_base64":"/w=="',
     b'"key_base64":"/w==","value_base64":"gIE=","headers":{}'),
    (b'"value":"h","headers":{"b":"2","a":"1"}',
     b'"key":null,"value":"h","headers":{"b":"2","a":"1"}'),
    (b'"value":"h","headers":[{"name":"a","value":"1"},{"name":"a","value":"2"}]',
     b'"key":null,"value":"h","headers":[{"name":"a","value":"1"},{"name":"a","value":"2"}]'),
    (b'"value":"h","headers":[{"name":"a","value_base64":"gA=="}]',
     b'"key":null,"value":"h","headers":[{"name":"a","value_base64":"gA=="}]'),
]

with Broker():
    make_topic("t.x", 2)
    now = 1770028200123
    append("t.x/1.json", b"".join(b"{%s,\"timestamp\":%d}\n" % (given, now + i)
                                  for i, (given, _) in enumerate(CASES)))
    want = [HEAD % (i, now + i) + rest + b"}\n" for i, (_, rest) in enumerate(CASES)]
    assert_eq(want, read("t.x/1.json").splitlines(True))
    assert_eq(want, read("t.x/all.json").splitlines(True))
    assert_eq(want[3:5], read("t.x/1@3..5.json").splitlines(True))
    with opened(topic("t.x/1@2.json"), os.O_RDONLY) as fd:
        assert_eq(b"".join(want[2:]), os.read(fd, 100000))
    # However small the reads are.
    with open(topic("t.x/1.json"), "rb", buffering=0) as f:
        assert_eq(b"".join(want), b"".join(iter(lambda: f.read(7), b"")))
    # Bytes that came as plain lines: NUL, invalid UTF-8, CR.
    append("t.x/0", b"a\0b\n\xc3\n\r\n")
    got = [line.split(b'"key"')[1] for line in read("t.x/0.json").splitlines()]
    assert_eq([b':null,"value":"a\\u0000b","headers":{}}',
               b':null,"value_base64":"ww==","headers":{}}',
               b':null,"value":"\\r","headers":{}}'], got)
    for record in records("t.x/all.json"):
        assert_eq(["topic", "partition", "offset", "timestamp"], list(record)[:4])

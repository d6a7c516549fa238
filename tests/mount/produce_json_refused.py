#!/usr/bin/env python3
# A line that is no record is EINVAL with a sentence, and nothing of its write is stored.
from t import *

BAD = [
    rb"",
    rb"hello",
    rb"[]",
    rb"{}",
    rb'{"key":"k"}',
    rb'{"value":"x"',
    rb'{"value":"x"} x',
    rb'{"value":"x"}{"value":"y"}',
    rb'{"value":"x","valeu":"y"}',
    rb'{"value":"x","value":"y"}',
    rb'{"value":"x","value_base64":"eA=="}',
    rb'{"key":"a","key_base64":"eA==","value":"x"}',
    rb'{"value_base64":"not base64"}',
    rb'{"value_base64":"eA"}',
    rb'{"value_base64":7}',
    rb'{"key":5,"value":"x"}',
    rb'{"value":"x","headers":"h"}',
    rb'{"value":"x","headers":{"a":5}}',
    rb'{"value":"x","headers":[{"value":"no name"}]}',
    rb'{"value":"x","timestamp":"yesterday"}',
    rb'{"value":"x","timestamp":-5}',
    rb'{"value":"x","timestamp":1.5}',
    rb'{"value":"x","partition":1}',
    rb'{"value":"x","partition":-1}',
    rb'{"value":"x","partition":"0"}',
    b'{"value":"\xff"}',
    rb'{"value":"\ud800"}',
    b'{"value":"a\tb"}',
    b'{"value":"x"\0}',
    b'{"value":' + b"[" * 1000 + b"]" * 1000 + b"}",
]

with Broker():
    make_topic("t", 2)
    for line in BAD:
        assert_errno("EINVAL", append, "t/0.json", line + b"\n")
        assert_errno("EINVAL", append, "t/0.json", b'{"value":"before"}\n' + line + b"\n")
    assert_eq(b"", read("t/0"))
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ topics/t/0\.json: .*valeu")
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ topics/t/0\.json: .*line 2 .*valeu")
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ topics/t/0\.json: .*partition")
    configure("t", "message.timestamp.after.max.ms=1000", "message.timestamp.before.max.ms=1000")
    assert_errno("EINVAL", append, "t/0.json", b'{"value":"x","timestamp":5}\n')
    assert_errno("EINVAL", append, "t/0.json", b'{"value":"x","timestamp":99999999999999}\n')
    assert_eq(b"", read("t/0"))

    # What is refused at fsync or at the last close is told there. Each close tells what the tail
    # would meet now, and ends nothing.
    fd = os.open(topic("t/0.json"), os.O_WRONLY)
    os.write(fd, b'{"value":')
    assert_errno("EINVAL", os.fsync, fd)
    os.write(fd, b'"kept"}\n')
    assert_eq(b"kept\n", read("t/0"), "after a refusal the kept tail stays")
    os.write(fd, b'{"value":"bet')
    assert_errno("EINVAL", os.close, os.dup(fd))
    os.write(fd, b'ter"}')
    os.close(os.dup(fd))
    os.write(fd, b"\n")
    os.close(os.dup(fd))
    os.write(fd, b"never complete")
    assert_errno("EINVAL", os.close, fd)
    assert_eq(b"kept\nbetter\n", read("t/0"))
    status, _ = run("""printf '{"valeu":"x"}' | tee -a t/0.json""", status=None)
    assert_eq((1, b"kept\nbetter\n"), (status, read("t/0")), "a program notices")
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ topics/t/0\.json: .")

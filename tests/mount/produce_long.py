#!/usr/bin/env python3
# A line that becomes too long is EMSGSIZE: what was kept of it is dropped, and its rest is refused
# too, up to and with the write that holds its newline, and so is a repetition of that write.
from t import *

with Broker():
    make_topic("t", 1, "max.message.bytes=100")
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        os.write(fd, b"a" * 100 + b"\n")
        assert_errno("EMSGSIZE", os.write, fd, b"b" * 101 + b"\n")
        assert_errno("EMSGSIZE", os.write, fd, b"ok\n" + b"b" * 101 + b"\nok\n")
        assert_eq(b"a" * 100 + b"\n", read("t/0"), "all or none")
        # A whole line was refused, and nothing is left of it.
        os.write(fd, b"next\n")

        # It grows too long over several writes.
        os.write(fd, b"c" * 60)
        assert_errno("EMSGSIZE", os.write, fd, b"d" * 60)
        assert_errno("EMSGSIZE", os.write, fd, b"d" * 60)  # Repeated, as stdio does.
        assert_errno("EMSGSIZE", os.write, fd, b"e")
        assert_errno("EMSGSIZE", os.write, fd, b"f\nnot this either\n")
        assert_errno("EMSGSIZE", os.write, fd, b"f\nnot this either\n")
        assert_errno("EMSGSIZE", os.write, fd, b"f\nnot this either\nand more\n")
        os.write(fd, b"after\n")
        assert_eq(b"a" * 100 + b"\nnext\nafter\n", read("t/0"))

        # The newline comes with the write that makes it too long.
        os.write(fd, b"g" * 60)
        assert_errno("EMSGSIZE", os.write, fd, b"h" * 60 + b"\nin the same write\n")
        assert_errno("EMSGSIZE", os.write, fd, b"h" * 60 + b"\nin the same write\n")
        os.write(fd, b"again\n")
        # A kept tail that still fits is kept over other refusals of the line.
        os.write(fd, b"i" * 50)
        os.write(fd, b"i" * 50)
        os.write(fd, b"\n")
    assert_eq(b"a" * 100 + b"\nnext\nafter\nagain\n" + b"i" * 100 + b"\n", read("t/0"))
    assert_errors_line(r" EMSGSIZE uid=\d+ pid=\d+ topics/t/0: .*max\.message\.bytes")

    # A buffered writer does not break its neighbours: all that comes out is whole lines.
    before = len(read("t/0").splitlines())
    lines = ["x" * n for n in (10, 90, 5000, 20, 101, 100, 30)]
    status, _ = run("sh", "-c", "while read -r l; do printf '%s\n' \"$l\"; done >>t/0", status=None,
                    stdin="".join(line + "\n" for line in lines).encode())
    got = read("t/0").decode().splitlines()[before:]
    assert_eq([line for line in lines if len(line) <= 100], got)

    # The same bound by key and as JSON; key and headers count there.
    assert_errno("EMSGSIZE", append, "t/by-key/" + "k" * 50, b"v" * 60 + b"\n")
    assert_errno("EMSGSIZE", append, "t/0.json", b'{"key":"%s","value":"%s"}\n' % (b"k" * 50,
                                                                                  b"v" * 60))
    append("t/0.json", b'{"headers":{},      "key":null,     "value":"%s"}\n' % (b"v" * 100))

    # max.message.bytes may also be large: 4 MiB in pieces of the kernel's.
    configure("t", "max.message.bytes=5000000")
    append("t/0", b"L" * 4194304 + b"\n")
    assert_eq(b"L" * 4194304 + b"\n", read("t/0@-1.."))
    with opened(topic("t/0"), os.O_WRONLY) as fd:
        assert_errno("EMSGSIZE", lambda: [os.write(fd, b"M" * 1000000) for _ in range(6)])
    assert_eq(b"L" * 4194304 + b"\n", read("t/0@-1.."))

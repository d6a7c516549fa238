#!/usr/bin/env python3
# A stop ends the lines that are half written, and takes none of their second halves for a line of
# its own.
from t import *

WRITERS, STOPS = 4, 6


def write_halves(writer):
    """Lines in two writes each, until the mount is gone."""
    number = 0
    try:
        with opened(topic(f"t/{writer % 2}"), os.O_WRONLY | os.O_APPEND) as fd:
            while True:
                os.write(fd, b"begin %d " % writer)
                os.write(fd, b"number %d end\n" % number)
                number += 1
    except OSError as e:
        return e.errno in (errno.ENOTCONN, errno.ECONNABORTED, errno.ENOENT)


with Broker() as broker:
    make_topic("t", 2)
    for turn in range(STOPS):
        size = os.stat(topic("t/0")).st_size
        writers = [Child(write_halves, w) for w in range(WRITERS)]
        wait_until(lambda: os.stat(topic("t/0")).st_size > size + 5000)
        broker.stop()
        for child in writers:
            assert child.result(), "a writer ended otherwise"
        broker.start()
    for part in range(2):
        for line in read(f"t/{part}").splitlines():
            assert re.fullmatch(rb"begin \d (number \d+ end)?", line), line

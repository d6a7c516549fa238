#!/usr/bin/env python3
"""A consumer of all partitions of a topic, with poll(2): one process, no threads, no busy waiting.

    examples/consume.py mnt/topics/dpkg                      new records, until Ctrl-C
    examples/consume.py mnt/topics/dpkg --from earliest      all of them, then new ones
    examples/consume.py mnt/topics/dpkg --from -10 --count 5 the last ten of each; ends after 5

Each line of output is partition, offset, key and value. Needs: Python's standard library.
"""

import argparse
import errno
import json
import os
import select
import sys


def open_partitions(topic, position):
    """One non-blocking stream for each partition: {descriptor: [name, bytes of a cut line]}."""
    streams = {}
    for name in sorted((n for n in os.listdir(topic) if n.isdigit()), key=int):
        path = os.path.join(topic, f"{name}@{position}.json")
        streams[os.open(path, os.O_RDONLY | os.O_NONBLOCK)] = [name, b""]
    return streams


def read_records(fd, stream):
    """What is there now, as decoded objects; none where the stream has nothing yet."""
    try:
        data = os.read(fd, 1 << 20)
    except BlockingIOError:
        return
    except OSError as e:
        if e.errno != errno.ESTALE:
            raise
        # Told once: retention was faster than we are. The next read goes on at the oldest record.
        print(f"partition {stream[0]}: records were removed before they were read",
              file=sys.stderr)
        return
    *lines, stream[1] = (stream[1] + data).split(b"\n")
    for line in lines:
        yield json.loads(line)


def main():
    p = argparse.ArgumentParser()
    p.add_argument("topic")
    p.add_argument("--from", dest="position", default="latest", metavar="POSITION",
                   help="earliest, latest (default), an offset, -N, or an RFC 3339 time")
    p.add_argument("--count", type=int, default=-1, help="end after so many records")
    args = p.parse_args()
    left = args.count
    streams = open_partitions(args.topic, args.position)
    poller = select.poll()
    for fd in streams:
        poller.register(fd, select.POLLIN)
    while left:
        for fd, _ in poller.poll():
            for r in read_records(fd, streams[fd]):
                print(r["partition"], r["offset"], r["key"], r["value"], flush=True)
                left -= 1
                if not left:
                    return


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        sys.exit(130)

#!/usr/bin/env python3
# Who waits for the next commit in __consumer_offsets is woken by the read that commits, and changes
# nothing of what that read gives.
import contextlib
from t import *

STATE = "__consumer_offsets"
ROUNDS, LEN = 4, 3000


def drain(fd):
    os.set_blocking(fd, False)
    try:
        while os.read(fd, 1 << 16):
            pass
    except BlockingIOError:
        os.set_blocking(fd, True)


with Broker("--set", "offsets.topic.num.partitions=1") as broker, contextlib.ExitStack() as stack:
    make_topic("t")
    lines = [b"%d" % i * (LEN - 1) + b"\n" for i in range(ROUNDS)]
    append("t/0", b"".join(lines))
    groups = 0
    for settings in (("commit=on-read",), ("commit=manual", "max.deliveries=3")):
        for watched in (STATE + "/0@latest", STATE + "/0@latest.json", STATE + "/all@latest"):
            groups += 1
            name = f"g{groups}"
            make_group(name, *settings)
            # No member leaves before the end: that would be written too, and be read.
            fd = stack.enter_context(opened(group(f"{name}/topics/t"), os.O_RDONLY))
            state_fd = stack.enter_context(opened(topic(watched), os.O_RDONLY))
            assert_eq("Stable", state(name)["state"])
            for line in lines:
                drain(state_fd)
                with Child(os.read, state_fd, 1 << 16) as watcher:
                    wait_until(watcher.is_waiting)
                    assert_eq(line, os.read(fd, LEN), f"{settings} {watched}")
                    assert watcher.result()

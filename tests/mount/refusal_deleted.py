#!/usr/bin/env python3
# A topic that is deleted while there is no descriptor left is gone, though its directories cannot
# be looked at then; one that is made again under its name is as good as any, and has nothing of it.
import resource
from t import *


def limit(pid, count):
    _, most = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (count, most))


allow_log("EMFILE")
with Broker() as broker:
    for name, parts in (("written", 1), ("unopened", 2), ("again", 3)):
        make_topic(name, parts)
        for part in range(parts):
            append(f"{name}/{part}", b"old\n")
    broker.restart()
    append("written/0", b"more\n")
    for turn in (b"one\n", b"two\n"):
        limit(broker.pid, 3)
        for name in ("written", "unopened", "again"):
            os.rmdir(topic(name))
            assert name not in os.listdir(topic(""))
        limit(broker.pid, 4096)
        for name, parts in (("written", 2), ("unopened", 1), ("again", 3)):
            make_topic(name, parts)
            for part in range(parts):
                assert_eq(b"", read(f"{name}/{part}"))
                append(f"{name}/{part}", turn)
    broker.restart()
    for name, parts in (("written", 2), ("unopened", 1), ("again", 3)):
        for part in range(parts):
            assert_eq(b"two\n", read(f"{name}/{part}"))

    # What nobody takes the place of, the next start removes.
    limit(broker.pid, 3)
    os.rmdir(topic("again"))
    limit(broker.pid, 4096)
    broker.restart()
    wait_until(lambda: not [d for d in os.listdir(DATA) if d.startswith("again")])
    run(TOPICFS, "verify", DATA, status=2)
run(TOPICFS, "verify", DATA, cwd="/")

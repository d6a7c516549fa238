#!/usr/bin/env python3
# config lists every setting in force, set ones first; what it prints it takes back, it is changed
# by name=value lines, `name=` returns to the default, and all of it holds after a restart.
from t import *


def config(name):
    lines = read(name + "/config").decode().splitlines()
    assert all(re.fullmatch(r"[a-z.]+=.*", line) for line in lines), lines
    return lines


with Broker("--set", "log.retention.hours=48") as broker:
    os.mkdir(topic("t"))
    fresh = config("t")
    for line in ("num.partitions=1", "retention.ms=172800000", "segment.bytes=1073741824",
                 "max.message.bytes=1048588", "acks=all", "min.insync.replicas=1",
                 "cleanup.policy=delete", "compression.type=uncompressed", "retention.bytes=-1",
                 "message.timestamp.type=CreateTime", "segment.ms=604800000",
                 "replication.factor=1"):
        assert line in fresh, (line, fresh)
    assert_eq(len(read("t/config")), os.stat(topic("t/config")).st_size, "size of config")

    configure("t", "segment.bytes=4096", " retention.ms = 1000 ", "", "# a comment")
    assert_eq(["retention.ms=1000", "segment.bytes=4096"], sorted(config("t")[:2]), "set first")
    assert_eq(len(fresh), len(config("t")))

    # The shell's ways to write it: >, >>, tee, a last line without newline.
    run("echo acks=1 > t/config; echo retention.bytes=5000 >> t/config")
    run("printf max.message.bytes=100 | tee t/config")
    for line in ("acks=1", "retention.bytes=5000", "max.message.bytes=100", "retention.ms=1000"):
        assert line in config("t"), (line, config("t"))

    # What it prints it takes back, in another topic too.
    os.mkdir(topic("u"))
    append("u/config", read("t/config"))
    assert_eq(sorted(config("t")), sorted(config("u")))
    append("t/config", read("t/config"))
    assert_eq(sorted(config("u")), sorted(config("t")))

    configure("t", *[line.split("=")[0] + "=" for line in fresh if "num.part" not in line])
    assert_eq(sorted(fresh), sorted(config("t")), "all defaults again")
    configure("u", "retention.ms=5", "retention.ms=6")
    broker.restart()
    assert_eq(sorted(fresh), sorted(config("t")), "defaults after a restart")
    assert "retention.ms=6" in config("u") and "segment.bytes=4096" in config("u"), config("u")

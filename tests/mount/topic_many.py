#!/usr/bin/env python3
# What needs the logs of all partitions opens them bit by bit: status, all and cluster/partitions
# are whole with a thousand partitions that nobody has used, appends are answered meanwhile, and a
# topic that is deleted meanwhile ends such an open.
from t import *

PARTITIONS = 1000


def lines(path):
    with open(path) as f:
        return f.read().splitlines()


with Broker():
    make_topic("many", PARTITIONS)
    append("many/7", b"one\n")
    make_topic("other")

with Broker():
    status = subprocess.Popen(["cat", topic("many/status")], stdout=subprocess.PIPE)
    everything = subprocess.Popen(["cat", topic("many/all@earliest..")], stdout=subprocess.PIPE)
    append("other/0", b"meanwhile\n")
    assert_eq(b"one\n", everything.communicate()[0])
    got = status.communicate()[0].decode().splitlines()
    assert_eq(PARTITIONS, len(got))
    assert " end=1 " in got[7], got[7]
    assert_eq(PARTITIONS + 1, len(lines(MNT + "/cluster/partitions")))
    assert_eq(b"meanwhile\n", read("other/0"))

with Broker():
    assert_eq(PARTITIONS + 1, len(lines(MNT + "/cluster/partitions")))

with Broker():
    status = subprocess.Popen(["cat", topic("many/status")], stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
    os.rmdir(topic("many"))
    text, err = status.communicate()
    assert len(text.splitlines()) == PARTITIONS or err, "neither the status nor an error"

#!/usr/bin/env python3
# cluster/ shows the one broker; its control file takes what can be done with one, refuses the
# rest, and is root's to write.
from t import *


def cluster(name):
    with open(f"{MNT}/cluster/{name}") as f:
        return f.read().splitlines()


def control(text):
    with opened(MNT + "/cluster/control", os.O_WRONLY) as fd:
        os.write(fd, text)


with Broker("--node", "42", "--rack", "r1"):
    make_topic("t", 2)
    assert_eq(["brokers", "control", "controller", "partitions"],
              sorted(os.listdir(MNT + "/cluster")))
    line, = cluster("brokers")
    assert re.fullmatch(r"id=42 address=\S* state=up rack=r1", line), line
    line, = cluster("controller")
    assert re.fullmatch(r"id=42 term=\d+", line), line
    assert_eq(2, len(cluster("partitions")))
    assert_eq([], cluster("control"), "nothing runs")
    control(b"elect all\n")
    control(b"elect t")
    control(b"reassign t 1 42\n")
    control(b"elect t\n\n reassign t 0 42\r\nelect all")
    for text, name in ((b"elect nope", "ENOENT"), (b"reassign t 9 42", "ENOENT"),
                       (b"reassign t 0 7,8", "EINVAL"), (b"dance", "EINVAL"),
                       (b"reassign t 4294967296 42", "ENOENT"), (b"reassign t -1 42", "EINVAL"),
                       (b"reassign t 0 42 more", "EINVAL"), (b"elect all t", "EINVAL"),
                       (b"elect t\nremove 42\n", "EINVAL"), (b"elect t\nelect nope", "ENOENT"),
                       (b"elect t\0", "EINVAL"), (b"elect " + b" " * 600 + b"t", "EINVAL"),
                       (b"remove 42", "EINVAL"), (b"drain 42 please", "EINVAL")):
        assert_errno(name, control, text)
    assert_errors_line(r" EINVAL uid=\d+ pid=\d+ cluster/control: ")
    assert_eq("0o644", oct(os.stat(MNT + "/cluster/control").st_mode & 0o7777))

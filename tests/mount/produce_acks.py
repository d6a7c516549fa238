#!/usr/bin/env python3
# acks=0, 1 and all, fsync, O_SYNC and O_DSYNC all produce, and what they acknowledged is there
# after a kill.
from t import *

with Broker() as broker:
    want = {}
    for acks in ("0", "1", "all"):
        make_topic("t" + acks, 1, "acks=" + acks)
        name = f"t{acks}/0"
        want[name] = b""
        for how in (0, os.O_SYNC, os.O_DSYNC, os.O_APPEND | os.O_SYNC, os.O_TRUNC | os.O_DSYNC):
            with opened(topic(name), os.O_WRONLY | how) as fd:
                for i in range(20):
                    line = b"%d %d\n" % (how, i)
                    assert_eq(len(line), os.write(fd, line))
                    want[name] += line
                os.fsync(fd)
                os.fdatasync(fd)
        for view in ("0", "0.json", "0.msg", "all", "by-key/k"):
            with opened(topic(f"t{acks}/{view}"), os.O_WRONLY | os.O_SYNC) as fd:
                os.write(fd, b'{"value":"x"}\n')
                os.fsync(fd)
            want[name] += b"x\n" if "json" in view else b'{"value":"x"}\n' + \
                (b"\n" if "msg" in view else b"")
        assert_eq(want[name], read(name))
    # fsync with nothing to sync, of a file opened to read, and of a directory.
    for path, how in (("tall/0", os.O_RDONLY), ("tall/0@0", os.O_RDONLY), ("tall", os.O_RDONLY),
                      ("tall/config", os.O_RDONLY), ("tall/all", os.O_RDWR)):
        with opened(topic(path), how) as fd:
            os.fsync(fd)
    run("sync -f tall/0; sync tall/0")
    broker.kill()
    broker.start()
    for name, what in want.items():
        assert_eq(what, read(name))

#!/usr/bin/env python3
# What is lost is told: a partition whose directory is gone, the metadata log, and meta.properties.
# The rest stays, and is served or left alone.
import shutil
from t import *

with Broker() as broker:
    make_topic("t", 2)
    append("t/0", b"zero\n" * 100)
    append("t/1", b"one\n")
    broker.stop()
    shutil.rmtree(DATA + "/t-0")
    expect_log(r"ERROR t-0: .*missing")
    broker.start()
    assert_errno("EIO", read, "t/0")
    assert_errno("EIO", read, "t/0@earliest..")
    assert_eq(b"one\n", read("t/1"))
    append("t/0", b"more\n")
    assert_eq(b"more\n", read("t/0@-1.."))
    assert_errno("EIO", read, "t/0@0..")
    broker.stop()

    def refused(what):
        allow_log(r"ERROR ")
        with open(LOG, "ab") as log:
            begin = log.tell()
            done = subprocess.run([TOPICFS, "broker", "--mount", MNT, "--data", DATA],
                                  stdout=log, stderr=log, timeout=READY_S, check=False)
        assert_eq(1, done.returncode)
        with open(LOG, "rb") as f:
            f.seek(begin)
            said = f.read().decode()
        assert re.search(what, said), said

    os.rename(DATA + "/meta.properties", CASE_DIR + "/properties")
    refused("meta.properties is missing")
    os.rename(CASE_DIR + "/properties", DATA + "/meta.properties")
    os.rename(DATA + "/__cluster_metadata-0", CASE_DIR + "/metadata")
    refused("__cluster_metadata-0")
    shutil.rmtree(DATA + "/__cluster_metadata-0", ignore_errors=True)
    for name in ("checkpoint", "clean-shutdown", "journal"):
        if os.path.exists(f"{DATA}/{name}"):
            os.unlink(f"{DATA}/{name}")
    refused("metadata log is empty")
    assert os.path.exists(DATA + "/t-1/" + "0" * 20 + ".data")
    shutil.rmtree(DATA + "/__cluster_metadata-0")
    os.rename(CASE_DIR + "/metadata", DATA + "/__cluster_metadata-0")
    broker.start()
    assert_eq(b"one\n", read("t/1"))

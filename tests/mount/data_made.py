#!/usr/bin/env python3
# A data directory that the broker makes is called so on the disk, too, before it serves: a power
# loss would take the whole of it else.
from t import *

CALLS = CASE_DIR + "/calls"


def calls():
    with open(CALLS) as f:
        return f.read()


with Broker(under=("strace", "-D", "-f", "-qq", "-y", "-o", CALLS, "-e", "trace=mkdir,fsync")):
    made = calls().find(f'mkdir("{DATA}", 0750) = 0')
    assert made >= 0, calls()
    synced = re.search(rf"fsync\(\d+<{re.escape(CASE_DIR)}>\) += 0", calls()[made:])
    assert synced, calls()

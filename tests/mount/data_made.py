#!/usr/bin/env python3
# A data directory that the broker makes is called so on the disk, too, before it serves: a power
# loss would take the whole of it else. So is one that is there: the start that made it may have
# ended before that.
from t import *

CALLS = CASE_DIR + "/calls"


def check_synced(answer):
    with open(CALLS) as f:
        calls = f.read()
    made = calls.find(f'mkdir("{DATA}", 0750) = {answer}')
    assert made >= 0, calls
    assert re.search(rf"fsync\(\d+<{re.escape(CASE_DIR)}>\) += 0", calls[made:]), calls


STRACE = ("strace", "-D", "-f", "-qq", "-y", "-o", CALLS, "-e", "trace=mkdir,fsync")
# The search for leaks takes ptrace, which one at a time can have.
ENV = {"ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":detect_leaks=0"}

with Broker(env=ENV, under=STRACE) as broker:
    check_synced("0")
    broker.restart()
    check_synced("-1 EEXIST")

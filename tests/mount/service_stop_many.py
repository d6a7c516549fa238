#!/usr/bin/env python3
# A stop is clean with far fewer descriptors than partitions that were written and are not synced.
from t import *

PARTS = 300

with Broker(under=("sh", "-c", 'ulimit -n 300; exec "$@"', "sh")):
    make_topic("t", PARTS)
    for part in range(PARTS):
        append(f"t/{part}", b"%d\n" % part)

assert os.path.exists(DATA + "/clean-shutdown"), "no marker of a clean stop"
with Broker():
    for part in range(PARTS):
        assert_eq(b"%d\n" % part, read(f"t/{part}"))

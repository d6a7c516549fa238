#!/bin/bash
# A directory of format version 1 after a clean shutdown: sound to verify, and dump and a reader
# written from docs/disk-format.md see the same in it.
. "$LIB/lib.sh"

need python3 xz tar
tar -xJf "$SOURCE/tests/golden/v1.tar.xz"
find clean -type f -exec sha256sum {} + >before
assert_ok "$TOPICFS" verify clean
"$TOPICFS" dump clean >dump
python3 -B "$SOURCE/tests/golden/lib/reader.py" clean >reader
assert_ok python3 -B "$SOURCE/tests/golden/lib/same.py" dump reader
assert_ok sha256sum --quiet -c before

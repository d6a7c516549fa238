#!/bin/bash
# A directory of format version 1 that was not shut down: what only the journal and the debts hold
# is there, a torn tail is a note, and a second reader sees the same.
. "$LIB/lib.sh"

need python3 xz tar
tar -xJf "$SOURCE/tests/golden/v1.tar.xz"
find killed -type f -exec sha256sum {} + >before
"$TOPICFS" verify killed >verify
grep -q '^note: torn-0: .* cuts 126 bytes' verify || fail "$(cat verify)"
grep -q '^note: owed-0: .* 2 records' verify || fail "$(cat verify)"
"$TOPICFS" dump killed >dump
python3 -B "$SOURCE/tests/golden/lib/reader.py" killed >reader
assert_ok python3 -B "$SOURCE/tests/golden/lib/same.py" dump reader
assert_ok sha256sum --quiet -c before

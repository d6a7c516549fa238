#!/bin/bash
# A directory of format version 1 with a cleaned log, after a clean shutdown and stopped between the
# two renames of a segment: sound to verify, and a second reader sees the same in both.
. "$LIB/lib.sh"

need python3 xz tar
tar -xJf "$SOURCE/tests/golden/v1_cleaned.tar.xz"
for dir in cleaned cleaning; do
	find $dir -type f -exec sha256sum {} + >before
	assert_ok "$TOPICFS" verify $dir
	"$TOPICFS" verify $dir >verify
	"$TOPICFS" dump $dir >dump
	python3 -B "$SOURCE/tests/golden/lib/reader.py" $dir >reader
	assert_ok python3 -B "$SOURCE/tests/golden/lib/same.py" dump reader
	grep '"type":"record"' dump >records.$dir
	assert_ok sha256sum --quiet -c before
done
assert_ok cmp records.cleaned records.cleaning
assert_eq 3 "$(grep -c '^note: .* is left of a cleaning' verify)"

#!/bin/bash
# A broker serves a directory with a cleaned log that was stopped between the two renames of a
# segment: gaps are passed by streams and are holes of the plain file, and nothing else is missing.
. "$LIB/lib.sh"

need xz tar python3
tar -xJf "$SOURCE/tests/golden/v1_cleaned.tar.xz"
rm -rf "$DATA"
cp -r cleaning "$DATA"
start_broker
assert_eq 0 "$(find "$DATA/__keys-0" -name '*.data.*' -o -name '*.new' | wc -l)"
printf 'two\nlines\none\ntwo\n\n\n\377\0z\n\nseven\neight\nnine\na line\n' >values
assert_ok cmp values <(cat "$T/__keys/0")
assert_ok cmp values <(cat "$T/__keys/0@earliest..")
assert_eq '1 2 3 4 5 10 11 12 13 14' \
	"$(python3 -c 'import json, sys; print(*(json.loads(i)["offset"] for i in sys.stdin))' \
		<"$T/__keys/0.json")"
# An offset that is gone is the next one; the last N are those that are there.
assert_eq 'seven' "$(sed -n 2p "$T/__keys/0@6..12")"
assert_eq 'seven eight nine a line' "$(paste -sd ' ' "$T/__keys/0@-4..")"
assert_eq 10 "$(wc -l <"$T/__keys/0@-10...json")"
assert_eq 6 "$(wc -l <"$T/__keys/all@-6...json")"
python3 - "$T/__keys/0" <<'EOF'
import os, sys
fd = os.open(sys.argv[1], os.O_RDONLY)
data = lambda pos: os.lseek(fd, pos, os.SEEK_DATA)
assert os.fstat(fd).st_size == 73, os.fstat(fd)
assert os.fstat(fd).st_blocks == 1, os.fstat(fd)
assert [data(i) for i in (0, 3, 4, 27, 28, 40, 48, 60)] == [4, 4, 4, 27, 48, 48, 48, 60]
whole = b"".join(os.pread(fd, 10, i) for i in range(1, 80, 10))
assert whole == b"\0" * 3 + b"two\nlines\none\ntwo\n\n\n\xff\0z\n" + b"\0" * 20 + \
    b"\nseven\neight\nnine\na line\n", whole
EOF
stop_broker
assert_ok "$TOPICFS" verify "$DATA"

#!/bin/bash
# verify checks a data directory that is not in use: sound is 0, a fault 1 with a line, one that is
# in use or absent 2; a torn tail after a kill is a note. Nothing is changed by it.
. "$LIB/lib.sh"

sums() {
	(cd "$DATA" && find . -type f ! -name journal -print0 | sort -z | xargs -0 md5sum)
}
# verify STATUS [DIR]: its output is in $CASE_DIR/said.
verify() {
	local status=0
	"$TOPICFS" verify "${2:-$DATA}" >"$CASE_DIR/said" 2>&1 || status=$?
	assert_eq "$1" "$status" "verify: $(cat "$CASE_DIR/said")"
}
start_broker
make_topic t 2 segment.bytes=4096
seq 1 2000 | while read -r i; do echo "line $i"; done >>"$T/t/0"
echo '{"key":"k","value":"v","headers":{"a":"b"}}' >>"$T/t/1.json"
verify 2
grep -qi 'use' "$CASE_DIR/said" || fail "no sentence: $(cat "$CASE_DIR/said")"
assert_eq 2000 "$(wc -l <"$T/t/0")" "the broker goes on"
verify 2 "$CASE_DIR/absent"
[ ! -e "$CASE_DIR/absent" ] || fail "verify made a directory"
stop_broker
before=$(sums)
verify 0
assert_eq "$before" "$(sums)"
start_broker
for i in 1 2 3; do echo "owed $i" >>"$T/t/0"; done
kill_broker
before=$(sums)
verify 0
assert_eq "$before" "$(sums)"
start_broker
stop_broker

# A byte changed in a value, in a description; a file that is missing.
first=$DATA/t-0/00000000000000000000
cp -a "$DATA" "$CASE_DIR/sound"
flip() {
	python3 -c '
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(int(sys.argv[2]))
    b = f.read(1)
    f.seek(int(sys.argv[2]))
    f.write(bytes([b[0] ^ 0x40]))' "$1" "$2"
}
restore() {
	rm -rf "$DATA"
	cp -a "$CASE_DIR/sound" "$DATA"
}
flip "$first.data" 50
verify 1
assert_match '0{20}\.data' "$(cat "$CASE_DIR/said")" "the fault names the file"
restore
flip "$first.meta" 300
verify 1
assert_match '0{20}' "$(cat "$CASE_DIR/said")"
restore
rm "$first.meta"
verify 1
restore
flip "$DATA/t-1/00000000000000000000.meta" 400
verify 1
assert_match 't-1' "$(cat "$CASE_DIR/said")"
restore
verify 0

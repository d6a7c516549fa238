#!/bin/bash
# dump shows batches and records of a directory, or of one .meta file, as lines of JSON, what a
# killed broker left as recovery would leave it; it changes nothing, and a directory in use is
# refused.
. "$LIB/lib.sh"

need jq
start_broker
make_topic t 2
printf 'one\ntwo\n' >>"$T/t/0"
echo '{"key":"k","value":"v","headers":{"a":"b"},"timestamp":77}' >>"$T/t/1.json"
echo '{"value_base64":"/w=="}' >>"$T/t/1.json"
status=0
"$TOPICFS" dump "$DATA" >"$CASE_DIR/said" 2>&1 || status=$?
assert_eq 2 "$status" "of a directory in use"
echo three >>"$T/t/0"
python3 "$LIB/sys" open "$T/t/0" wronly , fsync
kill_broker
sums() {
	(cd "$DATA" && find . -type f -print0 | sort -z | xargs -0 md5sum)
}
before=$(sums)
"$TOPICFS" dump "$DATA" >"$CASE_DIR/dump"
assert_eq "$before" "$(sums)"
jq -es . <"$CASE_DIR/dump" >/dev/null || fail "not JSON: $(head -c 500 "$CASE_DIR/dump")"
for value in one two three v; do
	grep -q "\"value\":\"$value\"" "$CASE_DIR/dump" || fail "no $value: $(cat "$CASE_DIR/dump")"
done
grep -q '"key":"k"' "$CASE_DIR/dump"
grep -q '"timestamp":77' "$CASE_DIR/dump"
grep -q '"value_base64":"/w=="' "$CASE_DIR/dump"
"$TOPICFS" dump "$DATA/t-1/00000000000000000000.meta" >"$CASE_DIR/one"
jq -es . <"$CASE_DIR/one" >/dev/null || fail "not JSON: $(cat "$CASE_DIR/one")"
grep -q '"key":"k"' "$CASE_DIR/one"
! grep -q '"value":"one"' "$CASE_DIR/one" || fail "another partition's record"
assert_fails "$TOPICFS" dump "$CASE_DIR/absent"
umount -l "$MNT"

#!/bin/bash
# `cat STREAM > file` keeps every record at least once, whatever is killed, and what it has given
# before its last read is not given again.
. "$LIB/lib.sh"

start_broker
make_topic t 3
mkdir "$MNT/groups/g"
for p in 0 1 2; do
	seq -f "record %g of partition $p, which is a little longer than a word" 1 20000 >>"$T/t/$p"
done
# The limit of a file's size kills it in the middle of a write.
for n in 1 2 3; do
	job bash -c 'ulimit -c 0 -f 700; exec cat "$1" >"$2"' - \
		"$MNT/groups/g/topics/t" "$CASE_DIR/out.$n"
	end_job "$JOB"
	[ "$STATUS" != 0 ] || fail "cat $n ended by itself"
done
job cat "$MNT/groups/g/topics/t" >"$CASE_DIR/out.4"
has_all() {
	[ "$(cat "$CASE_DIR"/out.* | grep 'a word$' | sort -u | wc -l)" = 60000 ]
}
wait_until has_all
wait_until is_waiting "$JOB"
end_job "$JOB" KILL
for p in 0 1 2; do
	assert_eq 20000 "$(cat "$MNT/groups/g/offsets/t/$p")" "committed of partition $p"
done
# One answer of each that was killed may come twice: 128 KiB is what cat asks for.
twice=$(cat "$CASE_DIR"/out.* | sort | uniq -d | wc -c)
[ "$twice" -le $((3 * 128 * 1024)) ] || fail "$twice bytes came twice"
stop_broker

#!/bin/bash
# topicfs bench prints a line for each workload, and leaves nothing, also when it is interrupted.
. "$LIB/lib.sh"

mkdir work
"$TOPICFS" bench --help >help
assert_match '^  fsync ' "$(cat help)"
"$TOPICFS" bench --dir "$CASE_DIR/work" --pairs 1 --seconds 0.05 >out
assert_match '^append +[0-9]+ +[0-9]+ appends/s +[0-9.]+' "$(cat out)"
assert_match '^fsync +[0-9]+ +[0-9]+ fsyncs/s +[0-9.]+' "$(cat out)"
assert_eq '' "$(ls work)"

job "$TOPICFS" bench append --dir "$CASE_DIR/work" --seconds 60
is_running_workload() {
	[ -s "$(find work -name native)" ]
}
wait_until -t 30 is_running_workload
kill -INT "$JOB"
status=0
wait "$JOB" || status=$?
assert_eq 130 "$status"
assert_eq '' "$(ls work)"
assert_fails "$TOPICFS" bench nonsense
# None of them is taken for 1: the last two are one more than what 32 and 64 bits hold.
for pairs in 0 -1 100 4294967297 18446744073709551617; do
	assert_fails "$TOPICFS" bench --dir "$CASE_DIR/work" --pairs "$pairs" --seconds 0.05
done

#!/bin/bash
# top prints plain lines into a pipe, names the topics that flow, ends after --count pictures, and
# says a sentence where nothing is mounted.
. "$LIB/lib.sh"

start_broker
make_topic orders
seq 1 100 >>"$T/orders/0"
"$TOPICFS" top --count 2 --interval 1 "$MNT" >"$CASE_DIR/top"
grep -q orders "$CASE_DIR/top" || fail "$(cat "$CASE_DIR/top")"
! grep -q $'\033' "$CASE_DIR/top" || fail "escape sequences into a pipe"
"$TOPICFS" top --count 1 --mount "$MNT" | grep -q orders
# It ends with its pipe, and by Ctrl-C.
{ "$TOPICFS" top "$MNT" || [ $? = 141 ]; } | head -n 1 >/dev/null
job "$TOPICFS" top "$MNT" >"$CASE_DIR/live"
wait_until test -s "$CASE_DIR/live"
end_job "$JOB" INT
stop_broker
assert_fails "$TOPICFS" top "$MNT"
[ "$(wc -l <"$CASE_DIR/stderr")" = 1 ] || fail "no sentence: $(cat "$CASE_DIR/stderr")"

#!/bin/bash
# top prints plain lines into a pipe, names the topics that flow, ends after --count pictures, and
# says a sentence where nothing is mounted, and where what it prints finds no room.
. "$LIB/lib.sh"

start_broker
make_topic orders
seq 1 100 >>"$T/orders/0"
job "$TOPICFS" top --count 2 --interval 1 "$MNT" >"$CASE_DIR/top"
two=$JOB
job "$TOPICFS" top --mount "$MNT" >"$CASE_DIR/live"
live=$JOB
# It ends with its pipe, and by Ctrl-C.
status=0
"$TOPICFS" top "$MNT" | head -n 1 >/dev/null || status=$?
[ "$status" = 0 ] || [ "$status" = 141 ] || fail "exit status $status when its pipe is closed"
end_job "$two"
assert_eq 0 "$STATUS" "top --count 2"
status=0
"$TOPICFS" top "$MNT" >/dev/full 2>full || status=$?
assert_eq 1 "$status" "top to a full disk"
assert_eq 1 "$(wc -l <full)" "sentences of top"
grep -q orders "$CASE_DIR/top" || fail "$(cat "$CASE_DIR/top")"
! grep -q $'\033' "$CASE_DIR/top" || fail "escape sequences into a pipe"
wait_until test -s "$CASE_DIR/live"
end_job "$live" INT
stop_broker
assert_fails "$TOPICFS" top "$MNT"
[ "$(wc -l <"$CASE_DIR/stderr")" = 1 ] || fail "no sentence: $(cat "$CASE_DIR/stderr")"

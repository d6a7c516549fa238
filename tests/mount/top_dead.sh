#!/bin/bash
# top shows what flows, in plain lines where it writes to a pipe; it ends with 0 when it is
# interrupted, and with 1 and one sentence on a mount that is none, or dead.
. "$LIB/lib.sh"

start_broker
make_topic orders
make_topic idle
seq 1000 >>"$T/orders/0"
"$TOPICFS" top --count 1 --mount "$MNT" >out
assert_match '^orders +1 .* 1.0k ' "$(cat out)"
assert_match '^idle +1 ' "$(cat out)"
if grep -q $'\033' out; then
	fail 'escape sequences into a pipe'
fi

job "$TOPICFS" top --mount "$MNT" >out
wait_until grep -q orders out
kill -INT "$JOB"
status=0
wait "$JOB" || status=$?
assert_eq 0 "$status" 'top after SIGINT'

status=0
"$TOPICFS" top --mount "$CASE_DIR" 2>err || status=$?
assert_eq 1 "$status"
assert_eq 1 "$(wc -l <err)"
kill_broker
status=0
"$TOPICFS" top --mount "$MNT" 2>err || status=$?
assert_eq 1 "$status"
assert_match 'dead|no mount' "$(cat err)"

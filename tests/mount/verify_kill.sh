#!/bin/bash
# After a kill verify finds no fault, tells a torn tail as a note, shows with dump what recovery
# then leaves, and changes nothing.
. "$LIB/lib.sh"

need python3
start_broker
make_topic orders
seq 500 >>"$T/orders/0"
for i in {1..50}; do
	echo "single $i" >>"$T/orders/0"
done
sys open "$T/orders/0" wronly,append , fsync
echo torn >>"$T/orders/0"
assert_eq 551 "$(wc -l <"$T/orders/0")"
kill_broker
# What a stop in the middle of an append leaves: bytes that nothing vouches for.
printf 'half a li' >>"$DATA/orders-0/00000000000000000000.data"
find "$DATA" -type f -exec sha256sum {} + >before
"$TOPICFS" verify "$DATA" >out || fail "$(cat out)"
assert_match '^note: orders-0: a torn tail: recovery cuts 9 bytes' "$(cat out)"
"$TOPICFS" dump "$DATA" >dump
assert_ok sha256sum --quiet -c before
python3 - dump >values <<'END'
import json, sys
for line in open(sys.argv[1]):
    r = json.loads(line)
    if r["type"] == "record" and r["topic"] == "orders":
        print(r["value"])
END
allow_log 'recovery cut 9 bytes'
start_broker
assert_same values "$T/orders/0"
stop_broker
assert_match ': no fault$' "$("$TOPICFS" verify "$DATA")"

#!/bin/bash
# The records of dump are those of the mount's json form; those of a single .meta are the same;
# the commands of the metadata are readable; values that do not match are not printed. What finds no
# room where it is printed to is not lost in silence; nor is it in verify.
. "$LIB/lib.sh"

need python3
start_broker
make_topic orders
printf '%s\n' '{"key":"k","value":"a\nb","headers":{"h":"x"}}' '{"value":null}' \
	'{"value_base64":"/wA="}' >>"$T/orders/0.json"
seq 100 >>"$T/orders/0"
cat "$T/orders/0.json" >wanted
stop_broker
"$TOPICFS" dump "$DATA" >dump
sed -n 's/^{"type":"record",\("topic":"orders"\)/{\1/p' dump >got
assert_same wanted got
"$TOPICFS" dump "$DATA/orders-0/00000000000000000000.meta" | grep -c '"type":"record"' >count
assert_eq 103 "$(cat count)"
assert_match '"type":"command",.*"kind":"create",.*"name":"orders"' "$(cat dump)"
python3 -c 'import json; [json.loads(line) for line in open("dump")]'
for command in dump verify; do
	status=0
	"$TOPICFS" $command "$DATA" >/dev/full 2>err || status=$?
	assert_eq 1 "$status" "$command to a full disk"
	assert_eq 1 "$(wc -l <err)" "sentences of $command"
done

printf X | dd of="$DATA/orders-0/00000000000000000000.data" bs=1 seek=30 conv=notrunc status=none
"$TOPICFS" dump "$DATA" >dump && fail 'dump of damaged values succeeded'
assert_match '"type":"batch",.*"crc_ok":false' "$(cat dump)"
assert_match '"type":"fault","file":"orders-0/.*\.data"' "$(cat dump)"

#!/bin/bash
# cat a/0.json >> b/0.json copies a partition with keys, headers, timestamps and bytes of any kind.
. "$LIB/lib.sh"

need jq cmp
start_broker
make_topic a
make_topic b
seq 1 3000 >>"$T/a/0"
for i in 1 2 3; do
	echo "{\"key\":\"k$i\",\"value\":{\"n\":$i},\"headers\":{\"h\":\"$i\"},\"timestamp\":$i}"
done >>"$T/a/0.json"
head -c 100000 /dev/urandom >"$CASE_DIR/random"
cat "$CASE_DIR/random" >>"$T/a/0.msg"
echo v >>"$T/a/by-key/some key"
cat "$T/a/0.json" >>"$T/b/0.json"
cat "$T/a/0.json" >"$CASE_DIR/a"
cat "$T/b/0.json" >"$CASE_DIR/b"
assert_eq 3005 "$(wc -l <"$CASE_DIR/a")"
sed -i 's/^{"topic":"a"/{"topic":"b"/' "$CASE_DIR/a"
assert_same "$CASE_DIR/a" "$CASE_DIR/b"
assert_same "$T/a/0" "$T/b/0"
# cp of a partition gives its lines, and their order, to another one.
make_topic c
cp "$T/a/0" "$T/c/0"
assert_same "$T/a/0" "$T/c/0"
make_topic d
dd if="$T/a/0" of="$T/d/0" bs=1000 iflag=direct status=none
assert_same "$T/a/0" "$T/d/0"
# Through a program that knows JSON, a part of it.
jq -c 'select(.key) | {key, value: .value}' "$T/a/all.json" >>"$T/b/all.json"
assert_eq "k1 k2 k3 some key" "$(echo $(jq -r .key "$T/b/0@-4...json"))"
stop_broker
cat "$DATA"/b-0/*.data >"$CASE_DIR/stored"
assert_eq "$(cat "$DATA"/a-0/*.data | wc -c)" \
	"$(($(stat -c %s "$CASE_DIR/stored") - $(printf 'v\n{"n":1}\n{"n":2}\n{"n":3}\n' | wc -c)))"

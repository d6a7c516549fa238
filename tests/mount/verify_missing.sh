#!/bin/bash
# Files that are missing, too short, or foreign: the first two are faults, the last is a note.
. "$LIB/lib.sh"

start_broker
make_topic orders
seq 100 >>"$T/orders/0"
seq 10000 >>"$T/orders/0" # a second granule: there is an index
stop_broker
cp -a "$DATA" whole

# told REGEX STATUS: what verify says; then the directory is as it was.
told() {
	local status=0 out
	out=$("$TOPICFS" verify "$DATA") || status=$?
	assert_eq "$2" "$status" "$out"
	assert_match "$1" "$out"
	rm -rf "$DATA"
	cp -a whole "$DATA"
}

s=orders-0/00000000000000000000
rm "$DATA/$s.meta"
told "^fault: $s.data: .*\.meta is missing|^fault: orders-0: " 1
rm "$DATA/$s.data"
told "^fault: $s.data: " 1
truncate -s -1 "$DATA/$s.data"
told "^fault: $s.data: " 1
echo more >>"$DATA/$s.data"
told "^fault: orders-0: .*clean shutdown" 1
rm -r "$DATA/orders-0"
told '^fault: orders-0: .*the directory is missing' 1
rm "$DATA/checkpoint"
told '^fault: checkpoint: ' 1
rm "$DATA/$s.index" "$DATA/$s.timeindex"
told ': no fault$' 0
echo hello >"$DATA/hello"
echo hello >"$DATA/orders-0/hello"
told '^note: hello: .*foreign' 0
mv "$DATA/orders-0" "$DATA/orders-0.x.gone"
told '^note: orders-0.x.gone: ' 1

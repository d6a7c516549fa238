#!/bin/bash
# One bit that changed, in whatever file of the data directory, is found, with file and position.
. "$LIB/lib.sh"

need python3
start_broker
make_topic orders
printf '{"key":"k%d","value":"v","headers":{"h":"x"}}\n' {1..300} >>"$T/orders/0.json"
seq 2000 >>"$T/orders/0"
# Without O_DIRECT there is no ring in the journal.
ring=1
[[ ${TOPICFS_REFUSE:-} != *o_direct* ]] || ring=
[ -z "$ring" ] || wait_until test -s "$DATA/journal"
sys open "$T/orders/0" wronly,append , write 'last\n' , fsync >/dev/null
stop_broker
assert_match ': no fault$' "$("$TOPICFS" verify "$DATA")"

# flip FILE POSITION: changes the lowest bit there; again: back.
flip() {
	python3 - "$1" "$2" <<-'END'
		import sys
		with open(sys.argv[1], "r+b") as f:
		    f.seek(int(sys.argv[2]))
		    byte = f.read(1)[0]
		    f.seek(int(sys.argv[2]))
		    f.write(bytes([byte ^ 1]))
	END
}

# found FILE FLIPPED TOLD
found() {
	local status=0 out
	flip "$DATA/$1" "$2"
	out=$("$TOPICFS" verify "$DATA") || status=$?
	assert_eq 1 "$status" "verify with byte $2 of $1 flipped"
	assert_match "^fault: $1: position $3: " "$out" "byte $2"
	flip "$DATA/$1" "$2"
}

s=orders-0/00000000000000000000
found meta.properties 0 0
found clean-shutdown 3 0
found checkpoint 20 0
[ -z "$ring" ] || found journal 24 0
[ -z "$ring" ] || found journal 4120 4096
found $s.meta 20 0
found $s.meta 300 256
found $s.data 1 0
found $s.index 3 0
found $s.index 20 16
found $s.timeindex 20 16
found orders-0/partition.metadata 1 0
found __cluster_metadata-0/00000000000000000000.meta 300 256
found __cluster_metadata-0/00000000000000000000.data 3 0
assert_match ': no fault$' "$("$TOPICFS" verify "$DATA")"

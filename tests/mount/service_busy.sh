#!/bin/bash
# Two brokers share neither a data directory nor a mount point, and a mount of another kind is left
# alone: each is one sentence, and the first broker goes on.
. "$LIB/lib.sh"

start_broker
make_topic t
echo one >>"$T/t/0"
first=$MNT
MNT=$CASE_DIR/second
mkdir "$MNT"
assert_refuses 'in use'
! is_mounted || fail "the second mounted"
MNT=$first
first=$DATA
DATA=$CASE_DIR/other
assert_refuses 'mounted there already|mounted already'
DATA=$first
assert_eq one "$(cat "$T/t/0")"
echo two >>"$T/t/0"
stop_broker

# A file as mount point or as data directory.
first=$MNT
MNT=$CASE_DIR/file
echo x >"$MNT"
assert_refuses 'cannot be mounted on|[Nn]ot a directory'
MNT=$first
first=$DATA
DATA=$CASE_DIR/file
assert_refuses 'file'
assert_eq x "$(cat "$CASE_DIR/file")"
# A data directory that would lie below the mount, by whatever path.
ln -s "$MNT" "$CASE_DIR/link"
for DATA in "$MNT" "$MNT/data" "$CASE_DIR/link/data" "$MNT/../${MNT##*/}"; do
	assert_refuses 'would hide the data directory'
done
assert_eq "" "$(ls -A "$MNT")" "nothing was made"
DATA=$first
if [ "$(id -u)" = 0 ]; then
	mount -t tmpfs tmpfs "$MNT"
	assert_refuses 'tmpfs'
	umount "$MNT"
fi
start_broker
assert_eq "one two" "$(echo $(cat "$T/t/0"))"
stop_broker

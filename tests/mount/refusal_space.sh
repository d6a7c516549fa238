#!/bin/bash
# At the disk reserve writes are ENOSPC, before anything is stored; reading and deleting go on, the
# log says it once, and a broker starts with no byte free at all.
. "$LIB/lib.sh"

need_root
mkdir "$CASE_DIR/disk"
mount -t tmpfs -o size=24m tmpfs "$CASE_DIR/disk"
trap 'umount -l "$CASE_DIR/disk"; cleanup_' EXIT
DATA=$CASE_DIR/disk/data
options=(--set disk.reserve.bytes=12582912 --set disk.reserve.percent=0 --set journal.bytes=1048576
	--set log.retention.check.interval.ms=50)
allow_log 'O_DIRECT'
start_broker "${options[@]}"
make_topic t
echo one >>"$T/t/0"
fill() {
	head -c 16000000 /dev/zero | tr '\0' x | fold -w 999 >>"$T/t/0"
}
assert_fails fill
grep -q 'No space left' "$CASE_DIR/stderr" || fail "$(cat "$CASE_DIR/stderr")"
assert_errno ENOSPC open "$T/t/0" wronly , write 'more\n'
assert_errno ENOSPC open "$T/t/0" wronly , write half , fsync
assert_errno ENOSPC open "$T/t/0.msg" wronly , write more
assert_errors_line ' ENOSPC uid=0 pid=[0-9]+ topics/t/0: '
assert_log 'reserve'
before=$(stat -c %s "$T/t/0")
[ "$before" -gt 3000000 ] || fail "refused at $before bytes"
assert_eq one "$(head -n 1 "$T/t/0")"
assert_eq "$before" "$(cat "$DATA"/t-0/*.data | wc -c)" "nothing of what was refused is stored"

# Full to the last byte: it stops cleanly, starts, serves, and takes writes when there is room.
head -c 24m /dev/zero >"$CASE_DIR/disk/filler" 2>/dev/null || :
stop_broker
[ -s "$DATA/clean-shutdown" ] || fail "the stop left no marker"
head -c 24m /dev/zero >"$CASE_DIR/disk/filler2" 2>/dev/null || :
start_broker "${options[@]}"
assert_eq "$before" "$(stat -c %s "$T/t/0")"
assert_eq one "$(head -n 1 "$T/t/0")"
assert_errno ENOSPC open "$T/t/0" wronly , write 'more\n'
rm "$CASE_DIR/disk/filler" "$CASE_DIR/disk/filler2"
rmdir "$T/t"
takes() {
	[ -d "$T/u" ] || mkdir "$T/u"
	echo again >>"$T/u/0"
}
wait_until takes
assert_eq again "$(tail -n 1 "$T/u/0")"
stop_broker

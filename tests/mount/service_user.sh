#!/bin/bash
# An ordinary user runs a broker through fusermount3, with a mount of its own, and starts it again
# after a stop and after a kill. It is nobody: fusermount3 wants a user who has a name.
. "$LIB/lib.sh"

need_root
need unshare fusermount3 setpriv
chmod 755 "$CASE_DIR"
mkdir "$CASE_DIR/home"
rmdir "$MNT"
MNT=$CASE_DIR/home/mnt
mkdir "$MNT"
T=$MNT/topics
DATA=$CASE_DIR/home/data
LOG=$CASE_DIR/home/log
touch "$LOG"
mknod "$CASE_DIR/fuse" c 10 229
chmod 666 "$CASE_DIR/fuse"
chown -R "$(id -u nobody):$(id -g nobody)" "$CASE_DIR/home"
cat >"$CASE_DIR/inside" <<'END'
set -eu
mount --make-rprivate /
mount --bind "$1/fuse" /dev/fuse
export CASE_DIR=$1/home
exec setpriv --reuid="$(id -u nobody)" --regid="$(id -g nobody)" --clear-groups \
	bash -euc '. "$LIB/lib.sh"
'"$2"
END
unshare -m bash "$CASE_DIR/inside" "$CASE_DIR" '
start_broker
make_topic t 2
echo one >>"$T/t/0"
assert_eq one "$(cat "$T/t/0")"
assert_eq "$(id -u nobody)" "$(stat -c %u "$T")"
assert_eq fuse.topicfs "$(findmnt -no FSTYPE "$MNT")"
python3 "$LIB/sys" open "$T/t/0" wronly , write "two\n" , fsync
job cat "$T/t/0@latest" >"$CASE_DIR/cat"
wait_until is_waiting "$JOB"
stop_broker
start_broker
assert_eq "one two" "$(echo $(cat "$T/t/0"))"
kill_broker
start_broker
assert_eq "one two" "$(echo $(cat "$T/t/0"))"
stop_broker
'

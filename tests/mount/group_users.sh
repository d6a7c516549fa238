#!/bin/bash
# Owner and mode bits of a group's directory are its ACL: joining takes read on the topic, read and
# write on the group; committing takes write; configuring and deleting are the owner's.
. "$LIB/lib.sh"

need_root
chmod 755 "$CASE_DIR"
G=$MNT/groups
start_broker
make_topic t
echo one >>"$T/t/0"
as_user 1001 mkdir "$G/mine"
assert_eq 1001:1001 "$(stat -c %u:%g "$G/mine/config")"
user2() {
	as_user 1002 python3 "$LIB/sys" --errno "$@"
}
as_user 1001 chmod 755 "$G/mine"
assert_eq "755 755 644 444" \
	"$(echo $(stat -c %a "$G/mine" "$G/mine/offsets" "$G/mine/commit" "$G/mine/state"))"
assert_eq one "$(as_user 1001 head -n 1 "$G/mine/topics/t")"
# Read alone is not enough to join, but to look.
assert_eq EACCES "$(user2 open "$G/mine/topics/t" rdonly)" "join"
assert_errors_line ' EACCES uid=1002 pid=[0-9]+ groups/mine/topics/t: '
assert_eq EACCES "$(user2 open "$G/mine/join" rdwr)" "join"
assert_eq EACCES "$(user2 open "$G/mine/commit" wronly)" "commit"
assert_eq EACCES "$(user2 open "$G/mine/offsets/t/0" wronly)" "commit"
assert_eq 0 "$(user2 open "$G/mine/state" rdonly)" "look"
assert_eq EACCES "$(user2 open "$G/mine/config" wronly)" "configure"
case $(user2 rmdir "$G/mine") in
EPERM | EACCES) ;;
*) fail "another's group was deleted" ;;
esac
case $(user2 chmod "$G/mine" 777) in
EPERM | EACCES) ;;
*) fail "another's group was opened up" ;;
esac
# By group, supplementary ones too.
chgrp 4444 "$G/mine"
as_user 1001 chmod 770 "$G/mine"
assert_eq EACCES "$(user2 open "$G/mine/topics/t" rdonly)" "not of the group"
assert_eq one "$(setpriv --reuid=1002 --regid=1002 --groups=4444 -- head -n 1 "$G/mine/topics/t")"
as_user 1001 chmod 777 "$G/mine"
assert_eq one "$(as_user 1002 head -n 1 "$G/mine/topics/t")"
as_user 1002 bash -c 'echo t 0 1 >"$1/mine/commit"' - "$G"
assert_eq 1 "$(cat "$G/mine/offsets/t/0")"
assert_eq EACCES "$(user2 open "$G/mine/config" wronly)" "write is not to configure"

# The topic may not be read.
chmod 700 "$T/t"
assert_eq EACCES "$(user2 open "$G/mine/topics/t" rdonly)" "a topic that may not be read"
assert_eq EACCES "$(user2 open "$G/mine/join" rdwr , write 'topics=t\n')" "nor by join"
# Nor copied: a letter can be read by whoever may read the topic of letters.
echo two >>"$T/t/0"
assert_eq EACCES "$(user2 open "$G/mine/reject" wronly , write 't 0 1\n')" "rejected unread"
assert_errors_line ' EACCES uid=1002 pid=[0-9]+ groups/mine/reject: the topic t may not be read'
# Letters are written in the name of the group's owner.
chmod 755 "$T/t"
make_topic closed
as_user 1001 bash -c 'echo dlq=closed >"$1/mine/config"' - "$G"
assert_eq EACCES "$(user2 open "$G/mine/reject" wronly , write 't 0 1\n')" "a letter to a topic"
assert_errors_line ' EACCES uid=1002 pid=[0-9]+ groups/mine/reject: .* may not write to closed'
assert_eq "" "$(cat "$T/closed/0")"
chgrp 4444 "$T/closed"
chmod 775 "$T/closed"
as_user 1002 bash -c 'echo t 0 1 bad >"$1/mine/reject"' - "$G"
assert_eq two "$(cat "$T/closed/0")"
as_user 1001 bash -c 'echo max.poll.records=1 >"$1/mine/config"' - "$G"
as_user 1001 rmdir "$G/mine"
as_user 1002 mkdir "$G/other"
rmdir "$G/other"
stop_broker

#!/bin/bash
# chmod and chown work on a topic's directory, show on its files, and hold after a restart and a
# kill; on a file only what changes nothing succeeds.
. "$LIB/lib.sh"

need_root
start_broker
make_topic t 2
chmod 640 "$T/t"
chown 1234:4321 "$T/t"
check() {
	assert_eq "1234:4321 640" "$(stat -c '%u:%g %a' "$T/t")" "$1: the directory"
	assert_eq "1234:4321 640" "$(stat -c '%u:%g %a' "$T/t/0")" "$1: a partition"
	assert_eq "1234:4321 640" "$(stat -c '%u:%g %a' "$T/t/all@latest.json")" "$1: a stream"
	assert_eq "1234:4321 440" "$(stat -c '%u:%g %a' "$T/t/status")" "$1: status"
	assert_eq "1234:4321 640" "$(stat -c '%u:%g %a' "$T/t/config")" "$1: config"
}
check "at once"
restart_broker
check "after a restart"
chmod u=rw,g=r,o= "$T/t"
chmod 640 "$T/t/0"
chown 1234 "$T/t/0"
chown 1234:4321 "$T/t/1.json"
assert_errno EPERM chmod "$T/t/0" 600
assert_errno EPERM chmod "$T/t/config" 666
assert_errno EPERM chown "$T/t/1" 0 0
assert_errors_line ' EPERM uid=0 pid=[0-9]+ topics/t/1: '
check "after refusals"
chgrp 99 "$T/t"
kill_broker
start_broker
assert_eq "1234:99 640" "$(stat -c '%u:%g %a' "$T/t")" "after a kill"
assert_errno EPERM chmod "$T" 700
assert_errno EPERM chown "$MNT" 1 1
stop_broker

#!/bin/bash
# Fewer in-sync replicas than min.insync.replicas is EROFS, whatever the acks, before anything is
# stored; for waiting tails at close and fsync, too.
. "$LIB/lib.sh"

start_broker
for acks in 0 1 all; do
	make_topic "t$acks" 2 acks=$acks
	echo one >>"$T/t$acks/0"
	exec 3>>"$T/t$acks/0"
	printf kept >&3
	echo min.insync.replicas=2 >"$T/t$acks/config"
	assert_errno EROFS open "$T/t$acks/0" wronly , write 'two\n'
	assert_errno EROFS open "$T/t$acks/all" wronly , write 'two\n'
	assert_errno EROFS open "$T/t$acks/0.msg" wronly , write two
	assert_errno EROFS open "$T/t$acks/by-key/k" wronly , write 'two\n'
	assert_errno EROFS open "$T/t$acks/all.json" rdwr , write '{"value":1}\n'
	assert_errno EROFS open "$T/t$acks/1" wronly , write half , fsync
	assert_errno EROFS open "$T/t$acks/1" wronly , write half , close
	assert_errors_line " EROFS uid=$(id -u) pid=[0-9]+ topics/t$acks/0: .*min.insync.replicas"
	assert_eq one "$(cat "$T/t$acks/0")"
	assert_eq one "$(cat "$T/t$acks/all")"
	echo min.insync.replicas= >"$T/t$acks/config"
	echo " and done" >&3
	exec 3>&-
	assert_eq "one kept and done" "$(echo $(cat "$T/t$acks/0"))"
done
stop_broker

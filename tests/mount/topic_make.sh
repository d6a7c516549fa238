#!/bin/bash
# mkdir makes a topic with one empty partition, ls shows its files and only them, rmdir deletes it
# with its data.
. "$LIB/lib.sh"

start_broker
assert_eq "README cluster errors groups metrics topics" "$(echo $(ls "$MNT"))"
assert_eq "" "$(ls "$T")"
(umask 027 && mkdir "$T/orders")
assert_eq orders "$(ls "$T")"
assert_eq "0 all by-key config status" "$(echo $(ls -A "$T/orders"))"
assert_eq "" "$(ls -A "$T/orders/by-key")"
assert_eq 750 "$(stat -c %a "$T/orders")" "mode of the topic"
assert_eq "$(id -u):$(id -g)" "$(stat -c %u:%g "$T/orders")" "owner of the topic"
assert_eq 0 "$(stat -c %s "$T/orders/0")" "size of an empty partition"
assert_eq "" "$(cat "$T/orders/0")"
assert_errno EEXIST mkdir "$T/orders"

echo one >>"$T/orders/0"
(cd "$T/orders/by-key/.." && assert_eq "$T/orders" "$(pwd -P)")
[ -d "$DATA/orders-0" ] || fail "no directory for the partition's data"
rmdir "$T/orders"
assert_eq "" "$(ls "$T")"
assert_errno ENOENT stat "$T/orders"
assert_errno ENOENT rmdir "$T/orders"
data_is_gone() {
	! compgen -G "$DATA/orders-0*" >/dev/null
}
wait_until data_is_gone

mkdir "$T/orders"
assert_eq "" "$(cat "$T/orders/0")" "a new topic of the old name"
stop_broker

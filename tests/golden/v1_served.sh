#!/bin/bash
# A broker serves a directory of format version 1 after a kill: what was fsynced and what was owed
# is there, and what was torn is not.
. "$LIB/lib.sh"

need xz tar
tar -xJf "$SOURCE/tests/golden/v1.tar.xz"
rm -rf "$DATA"
cp -r killed "$DATA"
allow_log 'recovery cut 126 bytes of a torn tail'
start_broker
assert_eq "$(printf 'described\nowed 1\nowed 2')" "$(cat "$T/owed/0")"
assert_eq whole "$(cat "$T/torn/0")"
assert_eq 'in the journal' "$(sed -n '/^in the/p' "$T/orders/0")"
assert_eq 25 "$(wc -l <"$T/orders/0.json")"
stop_broker
assert_ok "$TOPICFS" verify "$DATA"

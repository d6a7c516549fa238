#!/bin/bash
# The guided tour runs to its end on a mount of its own: every example in it does what it says.
. "$LIB/lib.sh"

need awk
TOPICFS=$TOPICFS TMPDIR=$CASE_DIR "$SOURCE/examples/demo" >tour 2>&1 || fail "$(tail -n 20 tour)"
grep -q 'That was the tour' tour

# A shipper finishes a log that was rotated before it goes on with the new one, and ships no half
# line.
start_broker
make_topic log
printf 'a\nb\n' >sys.log
"$SOURCE/examples/ship-log.sh" sys.log "$T/log"
printf 'c\nhalf' >>sys.log
"$SOURCE/examples/ship-log.sh" sys.log "$T/log"
assert_eq $'a\nb\nc' "$(cat "$T/log/0")"
printf ' line\nd\n' >>sys.log
mv sys.log sys.log.1
printf 'e "\\" \t\n' >sys.log
"$SOURCE/examples/ship-log.sh" sys.log "$T/log"
assert_eq $'a\nb\nc\nhalf line\nd\ne "\\" \t' "$(cat "$T/log/0")"
stop_broker

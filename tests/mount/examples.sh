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

# Two workers of a group do every record; a letter goes back to where it came from, as it was.
make_topic jobs 2
mkdir "$MNT/groups/w"
seq -f 'a%g' 20 >>"$T/jobs/0"
seq -f 'b%g' 20 >>"$T/jobs/1"
for n in 1 2; do
	job "$SOURCE/examples/group.sh" "$MNT" w jobs sh -c 'echo "$1" >>"$0"' "$CASE_DIR/did"
done
wait_until sh -c '[ "$(sort -u "$1" | wc -l)" = 40 ]' - "$CASE_DIR/did"
make_topic back
echo '{"key":"k\"","value":"x,\"dlq.topic\":\"y\"","headers":{"shop":"north"}}' >>"$T/back/all.json"
mkdir "$MNT/groups/r"
echo 'back 0 0 no such customer' >"$MNT/groups/r/reject"
job "$SOURCE/examples/redrive.sh" "$MNT" r.dlq
wait_until sh -c '[ "$(wc -l <"$1")" = 2 ]' - "$T/back/0"
assert_eq 1 "$(sed 's/"offset":[0-9]*,"timestamp":[0-9]*,//' "$T/back/0.json" | uniq | wc -l)" \
	"$(cat "$T/back/0.json")"
stop_broker

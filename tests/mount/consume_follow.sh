#!/bin/bash
# tail -f and tail -F print what is appended, to a partition, to errors, and by cat from a stream.
. "$LIB/lib.sh"

start_broker
make_topic t
echo one >>"$T/t/0"
job tail -n +1 -f -s 0.05 "$T/t/0" >"$CASE_DIR/f"
f=$JOB
job tail -n 1 -F -s 0.05 "$T/t/0" >"$CASE_DIR/F"
F=$JOB
job cat "$T/t/0@0" >"$CASE_DIR/cat"
c=$JOB
job cat "$T/t/0@latest.json" >"$CASE_DIR/json"
j=$JOB
job tail -n 0 -f -s 0.05 "$MNT/errors" >"$CASE_DIR/errors"
e=$JOB
# Programs that take line by line what a stream gives.
job bash -c 'while read -r l; do echo "$l"; done <"$1"' - "$T/t/0@0" >"$CASE_DIR/loop"
loop=$JOB
job python3 -u -c '
import sys
with open(sys.argv[1]) as f:
    for line in f:
        print(line, end="")' "$T/t/0@0" >"$CASE_DIR/python"
py=$JOB
job grep --line-buffered . "$T/t/0@0" >"$CASE_DIR/grep"
g=$JOB
job sed -u -n p "$T/t/0@0" >"$CASE_DIR/sed"
s=$JOB
wait_until is_waiting "$c"
wait_until is_waiting "$j"
has() {
	[ "$(cat "$1")" = "$2" ]
}
wait_until has "$CASE_DIR/f" one
wait_until has "$CASE_DIR/F" one
for i in two three; do
	echo $i >>"$T/t/0"
	wait_until grep -q $i "$CASE_DIR/f"
	wait_until grep -q $i "$CASE_DIR/F"
	for file in cat loop python grep sed; do
		wait_until grep -q $i "$CASE_DIR/$file"
	done
	wait_until grep -q "\"value\":\"$i\"" "$CASE_DIR/json"
done
printf half >>"$T/t/0"
for file in f F cat loop python grep sed; do
	wait_until has "$CASE_DIR/$file" "$(printf 'one\ntwo\nthree\nhalf')"
done
assert_errno EPERM unlink "$T/t/0"
wait_until grep -q ' EPERM .*topics/t/0: ' "$CASE_DIR/errors"
for pid in $f $F $c $j $e $loop $py $g $s; do
	end_job "$pid" INT
done
stop_broker

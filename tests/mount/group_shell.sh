#!/bin/bash
# A shell loop is a consumer, exact to the line: killed in the middle of a line's work, it leaves
# that line and all behind it to the next one; nothing is lost, and at most that line is done twice.
. "$LIB/lib.sh"

start_broker
make_topic t 2
mkdir "$MNT/groups/g"
for p in 0 1; do
	seq -f "$p-%g" 1 300 >>"$T/t/$p"
done

# Each worker does its lines one by one, and writes down what it has done.
cat >"$CASE_DIR/worker" <<'W'
#!/bin/bash
done=$2
while read -r line; do
	echo "$line" >>"$done"
	if [ -n "${3:-}" ] && [ "$(wc -l <"$done")" -ge "$3" ]; then
		kill -KILL $$
	fi
done <"$1"
W
chmod +x "$CASE_DIR/worker"

for n in 1 2 3 4 5; do
	job "$CASE_DIR/worker" "$MNT/groups/g/topics/t" "$CASE_DIR/done.$n" 37
	end_job "$JOB"
	assert_eq 37 "$(wc -l <"$CASE_DIR/done.$n")" "lines of worker $n"
done
job "$CASE_DIR/worker" "$MNT/groups/g/topics/t" "$CASE_DIR/done.6"
all_done() {
	[ "$(cat "$CASE_DIR"/done.* | sort -u | wc -l)" = 600 ]
}
wait_until all_done
end_job "$JOB" KILL
# Five were killed after they had written a line down: each of these is done again, and no other.
assert_eq 605 "$(cat "$CASE_DIR"/done.* | wc -l)" "lines done"
for n in 1 2 3 4 5; do
	last=$(tail -n 1 "$CASE_DIR/done.$n")
	assert_eq 2 "$(cat "$CASE_DIR"/done.* | grep -cxF -e "$last")" "the last line of worker $n"
done
# In each partition the lines came in order.
for p in 0 1; do
	assert_same <(seq -f "$p-%g" 1 300) \
		<(cat "$CASE_DIR"/done.* | grep "^$p-" | awk '!seen[$0]++')
done

# Several programs take turns on one descriptor, each with its own lines.
mkdir "$MNT/groups/turns"
assert_eq "0-1|0-2|0-3 0-4|0-5|" "$( (
	read -r a
	read -r b
	printf '%s|%s|' "$a" "$b"
	head -n 2 | tr '\n' ' ' | sed 's/ $/|/'
	head -n 1 | tr '\n' '|'
) <"$MNT/groups/turns/topics/t")"
stop_broker

#!/bin/bash
# What appends to a file produces: the programs of every day, each line a record, in order, and the
# .data files hold the same bytes as the partition.
. "$LIB/lib.sh"

need awk dd tee cp sed perl
start_broker
make_topic t
p=$T/t/0
want=$CASE_DIR/want
: >"$want"
lines() {
	local i
	for i in $(seq "$2"); do
		echo "$1 $i"
	done
}
# did NAME COUNT: COUNT lines "NAME I" must have been added.
did() {
	lines "$1" "$2" >>"$want"
	assert_same "$want" "$p"
}

for i in 1 2 3; do echo "echo $i" >>"$p"; done
did echo 3
for i in 1 2; do echo "over $i" >"$p"; done
did over 2
printf 'printf %d\n' 1 2 3 >>"$p"
did printf 3
lines cat 1000 >"$CASE_DIR/some"
cat "$CASE_DIR/some" >>"$p"
did cat 1000
lines dd 100 | dd of="$p" bs=7 conv=notrunc status=none
did dd 100
lines ddappend 100 | dd of="$p" bs=100 oflag=append conv=notrunc status=none
did ddappend 100
lines ddtrunc 10 | dd of="$p" status=none
did ddtrunc 10
lines ddsync 10 | dd of="$p" oflag=sync,append conv=notrunc,fsync status=none
did ddsync 10
lines tee 10 | tee -a "$p" >"$CASE_DIR/teed"
did tee 10
lines teeover 5 | tee "$p" >/dev/null
did teeover 5
lines cp 500 >"$CASE_DIR/some"
cp "$CASE_DIR/some" "$p"
did cp 500
lines install 2 >"$CASE_DIR/some"
cat "$CASE_DIR/some" - </dev/null >>"$p"
did install 2
awk -v f="$p" 'BEGIN { for (i = 1; i <= 50; i++) print "awk " i >>f }'
did awk 50
lines sed 5 | sed -n "w $p"
did sed 5
perl -e 'open(F, ">>", $ARGV[0]); printf F "perl %d\n", $_ for 1..2000' "$p"
did perl 2000
lines sort 5 | sort -k2n -o "$p"
did sort 5
# A loop that logs, one open for all, and one open for each.
while read -r line; do echo "$line"; done < <(lines loop 200) >>"$p"
did loop 200
lines each 20 | while read -r line; do echo "$line" >>"$p"; done
did each 20
exec 3>>"$p"
for i in 1 2 3; do echo "exec $i" >&3; done
did exec 3
exec 3>&-
python3 -c '
import sys
with open(sys.argv[1], "a") as f:
    for i in range(1, 3001):
        print("pybuf", i, file=f)
with open(sys.argv[1], "ab", buffering=0) as f:
    for i in range(3001, 3011):
        f.write(b"pybuf %d\n" % i)' "$p"
did pybuf 3010
busy=$(command -v busybox || :)
[ -z "$busy" ] || { lines bb 3 | "$busy" tee -a "$p" >/dev/null; }
[ -z "$busy" ] || did bb 3

assert_eq "$(stat -c %s "$want")" "$(stat -c %s "$p")" "size"
assert_eq "$(wc -l <"$want")" "$(wc -l <"$T/t/0.json")" "records"
stop_broker
cat "$DATA"/t-0/*.data | assert_same "$want" -

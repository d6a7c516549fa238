#!/bin/bash
# Programs that read a file read a partition as they would read a file of the same bytes.
. "$LIB/lib.sh"

need awk sed sort md5sum od tac nl split diff cmp
start_broker
make_topic t
seq -f 'line %.0f of the log' 1 3000 >"$CASE_DIR/f"
cat "$CASE_DIR/f" >>"$T/t/0"
# same COMMAND...: FILE in it is the partition, and then the file.
same() {
	local file=$CASE_DIR/f got want
	want=$("${@//FILE/"$file"}")
	got=$("${@//FILE/"$T/t/0"}") || fail "exit status $?: $*"
	assert_eq "$want" "$got" "$*"
}
same cat FILE
same head -n 5 FILE
same head -c 1000 FILE
same tail -n 7 FILE
same tail -n +2990 FILE
same tail -c 100 FILE
same grep -n 'line 29[0-9]* ' FILE
same grep -c log FILE
same grep -m 3 7 FILE
same tac FILE
same sort -r FILE
same sed -n '10,12p;12q' FILE
same awk '/99/ { n++ } END { print n, NR }' FILE
same dd if=FILE skip=3 bs=100 count=4 status=none
same dd if=FILE iflag=skip_bytes skip=33333 status=none
same od -c -j 500 -N 64 FILE
same cut -d' ' -f2 FILE
same nl FILE
same diff "$CASE_DIR/f" FILE
same cmp "$CASE_DIR/f" FILE
same bash -c 'wc <"$1"; md5sum <"$1"' - FILE
same bash -c 'mapfile -t a <"$1"; echo ${#a[@]} "${a[2999]}"' - FILE
same bash -c 'while read -r l; do n=$((n + ${#l})); done <"$1"; echo $n' - FILE
same bash -c 'split -l 1000 --filter "md5sum" "$1"' - FILE
same dash -c 'while read -r a b c; do [ $b != 20 ] || break; done <"$1"; echo $a $b $c' - FILE
same perl -ne 'print if /500/' FILE
same python3 -c '
import sys
with open(sys.argv[1]) as f:
    print(sum(1 for line in f))
with open(sys.argv[1]) as f:
    print(f.readlines()[-1])
with open(sys.argv[1], "rb") as f:
    f.seek(-10, 2)
    print(f.read())
    f.seek(1000)
    print(f.readline(), f.tell())
with open(sys.argv[1], "rb", buffering=0) as f:
    print(f.read(10), len(f.readall()))' FILE
busy=$(command -v busybox || :)
[ -z "$busy" ] || same "$busy" grep -c line FILE
cp "$T/t/0" "$CASE_DIR/copy"
assert_same "$CASE_DIR/f" "$CASE_DIR/copy"
tar -C "$T/t" -cf - 0 | tar -xOf - >"$CASE_DIR/copy"
assert_same "$CASE_DIR/f" "$CASE_DIR/copy"
assert_same "$T/t/0" "$T/t/0.lines"

# A stream and a range are good for them, too: everything up to where they stop.
assert_eq "$(head -n 20 "$CASE_DIR/f")" "$(head -n 20 "$T/t/0@0")" "head of a stream"
assert_eq "$(sed 20q "$CASE_DIR/f")" "$(sed 20q "$T/t/0@earliest")" "sed q of a stream"
assert_eq "$(grep -m 1 ' 2000 ' "$CASE_DIR/f")" "$(grep -m 1 ' 2000 ' "$T/t/0@0")" "grep -m"
for view in 0@0.. all all@earliest.. 0@0..3000 all.lines 0@-3000..; do
	assert_same "$CASE_DIR/f" "$T/t/$view"
	assert_eq "$(sort "$CASE_DIR/f" | md5sum)" "$(sort "$T/t/$view" | md5sum)" "sort $view"
	assert_eq "$(tail -n 5 "$CASE_DIR/f")" "$(tail -n 5 "$T/t/$view")" "tail $view"
	assert_eq 3000 "$(wc -l <"$T/t/$view")" "wc $view"
done
stop_broker

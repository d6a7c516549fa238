#!/bin/bash
# Programs that walk a tree (find, du, ls -lR, grep -r, tar, df) come to their end in the mount,
# wait for nothing, see every file once and change nothing.
. "$LIB/lib.sh"

need find du grep df tar
start_broker
make_topic a 3
make_topic b.c 2
echo needle >>"$T/a/1"
echo hay >>"$T/b.c/0"
echo needle >>"$T/a/by-key/k"
mkdir "$MNT/groups/g"
echo 'a 1 1' >"$MNT/groups/g/commit"
total=$(cat "$T"/[ab]*/all | wc -l)
bounded() {
	timeout -s KILL 20 "$@" || fail "exit status $?: $*"
}
bounded find "$MNT" >"$CASE_DIR/found"
assert_eq "" "$(sort "$CASE_DIR/found" | uniq -d)"
assert_eq 94 "$(wc -l <"$CASE_DIR/found")" "$(cat "$CASE_DIR/found")"
assert_eq 15 "$(bounded find "$MNT" -type d | wc -l)"
bounded find "$MNT" -type f -exec cat {} + >/dev/null
bounded ls -lR "$MNT" >/dev/null
bounded ls -laiZ "$T/a" >/dev/null
bounded du -a "$MNT" >/dev/null
bounded grep -r needle "$MNT" >"$CASE_DIR/grep" || :
assert_eq "a/1" "$(grep -o 'a/1:needle' "$CASE_DIR/grep" | cut -d: -f1)"
assert_eq 2 "$(grep -c '/all:needle' "$CASE_DIR/grep")"
bounded tar -C "$T" -cf "$CASE_DIR/tar" a b.c
bounded cp -r "$T" "$CASE_DIR/copy"
assert_same "$T/a/1" "$CASE_DIR/copy/a/1"
assert_eq 0 "$(find "$CASE_DIR/copy/a/by-key" -type f | wc -l)"
bounded df "$MNT" >"$CASE_DIR/df"
assert_match "topicfs .* $MNT\$" "$(tail -n 1 "$CASE_DIR/df")"
assert_eq "$(stat -f -c %S "$MNT")" 4096
assert_eq 255 "$(stat -f -c %l "$MNT")"
free=$(stat -f -c %a "$MNT")
[ "$free" -gt 0 ] && [ "$free" -le "$(stat -f -c %b "$MNT")" ] || fail "statfs: $free blocks free"
! command -v updatedb >/dev/null || bounded updatedb -l 0 -U "$MNT" -o "$CASE_DIR/db"
bounded bash -O globstar -c 'for f in "$1"/**; do [ -e "$f" ] || exit 1; done' - "$MNT"
bounded python3 -c '
import os, sys
for top, dirs, files in os.walk(sys.argv[1]):
    for name in files:
        with open(os.path.join(top, name), "rb") as f:
            f.read()' "$MNT"
assert_eq "$total" "$(cat "$T"/[ab]*/all | wc -l)"
assert_eq "" "$(cat "$MNT/errors")" "nothing was refused"
stop_broker

#!/bin/bash
# --set and --config take the same names; an unknown one is refused at the start with the nearest
# known one, a bad value with its bounds, and nothing is made.
. "$LIB/lib.sh"

assert_refuses 'log.segment.bites.*log.segment.bytes' --set log.segment.bites=5000
assert_refuses 'num.partitions' --set num.partitions=0
assert_refuses 'num.partitions' --set num.partitions=many
assert_refuses 'no.*=|NAME=VALUE' --set no
assert_refuses 'unknown|option' --frobnicate
assert_refuses 'log-level' --log-level loud
assert_refuses 'cannot read .*absent' --config "$CASE_DIR/absent"
printf '# comment\n\nnum.partitions=3\nlog.rentention.ms=5\n' >"$CASE_DIR/config"
assert_refuses 'log.rentention.ms.*log.retention.ms' --config "$CASE_DIR/config"
[ ! -e "$DATA" ] || fail "a refused start made a data directory"

printf '# comment\n\nnum.partitions=3\n log.segment.bytes = 5000\n' >"$CASE_DIR/config"
start_broker --config "$CASE_DIR/config" --set log.segment.bytes=6000
mkdir "$T/t"
[ -e "$T/t/2" ] && [ ! -e "$T/t/3" ] || fail "num.partitions of the file does not count"
assert_match '^segment.bytes=6000$' "$(cat "$T/t/config")" "--set is stronger"
restart_broker
assert_match '^segment.bytes=1073741824$' "$(cat "$T/t/config")" "a default of the broker"
[ -e "$T/t/2" ] || fail "num.partitions is the topic's own"
stop_broker

for command in "" broker verify dump bench top mount cert rescue; do
	"$TOPICFS" $command --help >"$CASE_DIR/help" 2>&1 || fail "$command --help: exit status $?"
	grep -q '^Usage: topicfs' "$CASE_DIR/help" || fail "$(cat "$CASE_DIR/help")"
done
"$TOPICFS" broker --help | grep -q 'log.segment.bytes'
# The pages have every setting, with its default and its bounds as the program has them.
"$TOPICFS" broker --help |
	sed -En 's/^  ([a-z.]+)=([^ ]*)  \[(.*)\]$/\1\t\2\t\3/; T; s/ \| /, /g; p' |
	sort >"$CASE_DIR/told"
[ "$(wc -l <"$CASE_DIR/told")" -gt 20 ] || fail "no settings: $(cat "$CASE_DIR/told")"
sed -En '/^## A topic/q; s/^\| `([a-z.]+)` \| ([^|]*) \| ([^|]*) \|.*/\1\t\2\t\3/p' \
	"$SOURCE/docs/configuration.md" | sed 's/\t \t/\t\t/' | sort >"$CASE_DIR/page"
assert_same "$CASE_DIR/told" "$CASE_DIR/page"
sed -n '/^name\tdefault/,/^\.TE/p' "$SOURCE/docs/topicfs.1" | sed '1d; $d; s/\\-/-/g' |
	sed 's/2^63-1/9223372036854775807/g; s/\t-\t/\t\t/' | sort >"$CASE_DIR/page"
sed -i 's/a list of io_uring, o_direct, splice/a list/' "$CASE_DIR/told"
assert_same "$CASE_DIR/told" "$CASE_DIR/page"
"$TOPICFS" --version | grep -q '[0-9]'
assert_fails "$TOPICFS" nonsense
assert_fails "$TOPICFS"
assert_fails "$TOPICFS" broker --mount "$MNT"

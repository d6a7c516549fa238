#!/bin/bash
# verify and dump refuse a directory that is in use, absent, none, or of a newer version: status 2,
# one sentence, and nothing is changed.
. "$LIB/lib.sh"

# refused PATH REGEX
refused() {
	local command status
	for command in verify dump; do
		status=0
		"$TOPICFS" "$command" "$1" >out 2>err || status=$?
		assert_eq 2 "$status" "$command $1"
		assert_eq 0 "$(wc -c <out)" "what $command $1 prints"
		assert_eq 1 "$(wc -l <err)" "sentences of $command $1"
		assert_match "$2" "$(cat err)"
	done
}

mkdir nothing
start_broker
make_topic orders
echo one >>"$T/orders/0"
refused "$DATA" 'in use'
meta=$DATA/orders-0/00000000000000000000.meta
"$TOPICFS" dump "$meta" >out 2>err && fail 'dump of a .meta in use'
assert_match 'in use' "$(cat err)"
refused "$CASE_DIR/absent" 'No such file'
refused nothing 'no data directory'
stop_broker
sed -i s/version=1/version=2/ "$DATA/meta.properties"
find "$DATA" -type f -exec sha256sum {} + >before
refused "$DATA" 'version 2'
sha256sum --quiet -c before

#!/bin/sh
# A consumer in the shell: waits for the records of one partition, handles each, and keeps its
# offset over restarts.
#
#   examples/consume.sh mnt/topics/dpkg/0 dpkg.offset              until Ctrl-C
#   examples/consume.sh mnt/topics/dpkg/0 dpkg.offset 100          the next hundred
#
# The offset file holds the offset of the next record. It is written after the record was handled:
# a consumer that is killed handles its last record again (at least once).
#
# Needs: sh. The JSON form is read for the offsets, since retention and compaction leave gaps; an
# object begins with {"topic":…,"partition":…,"offset":…, in this order, and no topic's name holds
# a quote, so the offset can be cut out without a JSON parser.
set -eu

if [ $# -lt 2 ] || [ $# -gt 3 ]; then
	echo "usage: consume.sh TOPIC_DIR/PARTITION OFFSET_FILE [COUNT]" >&2
	exit 2
fi
partition=$1 offset_file=$2 left=${3:--1}

# What is to be done with a record. Change this.
handle() {
	printf '%s %s\n' "$1" "$2"
}

next=earliest
[ ! -s "$offset_file" ] || read -r next <"$offset_file"

while [ "$left" -ne 0 ] && IFS= read -r record; do
	offset=${record#*\"offset\":}
	offset=${offset%%,*}
	handle "$offset" "$record"
	echo $((offset + 1)) >"$offset_file"
	left=$((left - 1))
done <"$partition@$next.json"

# A stream never ends, so read failed: interrupted, or retention removed what it asked for.
if [ "$left" -ne 0 ]; then
	echo "consume.sh: the stream broke off; the mount's file errors says why" >&2
	exit 1
fi

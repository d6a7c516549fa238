#!/bin/sh
# A worker of a consumer group: does something with each record of a topic, at least once. Start it
# as often as there is work: the partitions are shared. Kill it: the others go on where it was.
#
#     group.sh MOUNT GROUP TOPIC COMMAND...      the record is the command's last argument
#
# The shell reads a block and seeks back to the end of each line, so a record counts as dealt with
# when the next one is read: when COMMAND has ended well.
set -eu
mount=$1 group=$2 topic=$3
shift 3

[ -d "$mount/groups/$group" ] || mkdir "$mount/groups/$group"
while read -r record; do
	"$@" "$record" </dev/null || exit # the record stays with the group
done <"$mount/groups/$group/topics/$topic"

#!/bin/sh
# Sends the dead letters of a group back to the topics that they came from, as a group of its own,
# so that a second run goes on where the first ended.
#
#     redrive.sh MOUNT LETTERS        e.g. redrive.sh /mnt billing.dlq
#
# It ends with Ctrl-C; the letters' headers say why each of them is there. The one line that does it
# takes a letter's key and value, and its headers without those that begin with "dlq.".
set -eu
mount=$1 letters=$2

mkdir -p "$mount/groups/$letters.redrive"
while read -r letter; do
	topic=$(printf '%s\n' "$letter" | sed -n 's/.*"dlq\.topic":"\([A-Za-z0-9._-]*\)".*/\1/p')
	printf '%s\n' "$letter" | sed 's/,*"dlq\.[a-z]*":"[^"]*"//g; s/"headers":{,/"headers":{/
		s/"partition":[0-9]*,//' >>"$mount/topics/$topic/all.json"
done <"$mount/groups/$letters.redrive/topics/$letters.json"

#!/bin/sh
# Sends the dead letters of a group back to the topics that they came from, as a group of its own,
# so that a second run goes on where the first ended.
#
#     redrive.sh MOUNT LETTERS        e.g. redrive.sh /mnt billing.dlq; Ctrl-C ends it
#
# A letter keeps its key, value and headers; those that say why it is one ("dlq.topic" and what
# follows it) are cut off. The one line of it, for a single topic:
#
#     sed 's/"partition":[0-9]*,//; s/,*"dlq\.topic":.*/}}/' topics/billing.dlq/all.json \
#         >>topics/orders/all.json
set -eu
mount=$1 letters=$2

[ -d "$mount/groups/$letters.redrive" ] || mkdir "$mount/groups/$letters.redrive"
while read -r letter; do
	topic=$(printf '%s\n' "$letter" | sed -n 's/.*"dlq\.topic":"\([^"]*\)".*/\1/p')
	printf '%s\n' "$letter" | sed 's/"partition":[0-9]*,//; s/,*"dlq\.topic":.*/}}/' \
		>>"$mount/topics/$topic/all.json"
done <"$mount/groups/$letters.redrive/topics/$letters.json"

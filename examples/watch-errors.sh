#!/bin/sh
# Watches the refusals of a mount: an errno carries no text, the file errors has a sentence for
# each. Prints every new line, and runs a command for those of one errno.
#
#   examples/watch-errors.sh mnt
#   examples/watch-errors.sh mnt ENOSPC 'mail -s "the log is full" root'
#
# The command gets the line on its standard input. Everybody sees the refusals of their own uid,
# root sees all. Needs: sh, tail.
set -eu

if [ $# -ne 1 ] && [ $# -ne 3 ]; then
	echo "usage: watch-errors.sh MOUNT [ERRNO COMMAND]" >&2
	exit 2
fi
mount=$1 wanted=${2-} command=${3-}

tail -n 0 -f "$mount/errors" | while IFS= read -r line; do
	printf '%s\n' "$line"
	# TIME ERRNO uid=N pid=N PATH: SENTENCE
	name=${line#* }
	name=${name%% *}
	if [ -n "$wanted" ] && [ "$name" = "$wanted" ]; then
		printf '%s\n' "$line" | sh -c "$command" || :
	fi
done

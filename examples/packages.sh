#!/bin/sh
# Puts the machine's package database into a topic: one record for each installed package, the
# package as its key, and what dpkg knows of it as a JSON value.
#
#   mkdir mnt/topics/packages
#   examples/packages.sh mnt/topics/packages
#   grep '"key":"bash"' mnt/topics/packages/all.json
#
# Run it again after an upgrade: the newest record of a key is the present state.
# Needs: sh, awk, dpkg-query.
set -eu
LC_ALL=C.UTF-8
export LC_ALL

if [ $# -ne 1 ]; then
	echo "usage: packages.sh TOPIC_DIR" >&2
	exit 2
fi

fields='${db:Status-Status}\t${Package}\t${Architecture}\t${Version}\t${Installed-Size}\t'
fields=$fields'${Section}\t${binary:Summary}\n'

dpkg-query -W -f "$fields" |
	awk -F '\t' -v host="$(uname -n)" '
	function quote(s) {
		gsub(/\\/, "&&", s)
		gsub(/"/, "\\\"", s)
		gsub(/[\001-\037]/, "?", s)
		return "\"" s "\""
	}
	$1 == "installed" {
		printf "{\"key\":%s,\"value\":{\"version\":%s,\"kib\":%d,", quote($2), quote($4), $5
		printf "\"section\":%s,\"about\":%s},", quote($6), quote($7)
		printf "\"headers\":{\"host\":%s,\"architecture\":%s}}\n", quote(host), quote($3)
	}' >>"$1/all.json"

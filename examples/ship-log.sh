#!/bin/sh
# Ships a growing log file into a topic, one record for each line, and keeps its place.
#
#   mkdir mnt/topics/dpkg
#   examples/ship-log.sh /var/log/dpkg.log mnt/topics/dpkg          what is new, then it ends
#   examples/ship-log.sh -f /var/log/dpkg.log mnt/topics/dpkg       and again each second
#
# A line of dpkg's log gets the package as its key, so that everything about one package stands in
# one partition, in order. Lines without a package (and those of other logs) have no key.
#
# The place (the file's inode and how many bytes of it were shipped) is kept in NAME.place in the
# current directory, or in the file named by PLACE. It is written after the records are on stable
# storage: a shipper that is killed in between ships its last lines again, and loses none. A log
# that was rotated to FILE.1 is finished first.
#
# Needs: sh, awk, and the sync of coreutils. Lines must be UTF-8.
set -eu
LC_ALL=C
export LC_ALL

follow=
if [ "${1-}" = -f ]; then
	follow=yes
	shift
fi
if [ $# -ne 2 ]; then
	echo "usage: ship-log.sh [-f] FILE TOPIC_DIR" >&2
	exit 2
fi
file=$1 topic=$2
place_file=${PLACE:-$(basename "$file").place}
piece=$(mktemp)
trap 'rm -f "$piece"' EXIT
trap 'exit 130' INT TERM

inode_of() {
	ls -i "$1" 2>/dev/null | awk '{ print $1 }'
}

# Lines to JSON objects. Of dpkg's lines (date, time, then one of the words below) the package is
# the key: without the architecture, so that libc6:amd64 and libc6:i386 are one.
to_json='
function quote(s) {
	gsub(/\\/, "&&", s)
	gsub(/"/, "\\\"", s)
	gsub(/\t/, "\\t", s)
	gsub(/\r/, "\\r", s)
	gsub(/[\001-\037]/, "?", s)
	return "\"" s "\""
}
function package() {
	if ($0 !~ /^[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9] [0-9:]* /)
		return ""
	if ($3 == "status")
		return $5
	if ($3 ~ /^(install|upgrade|configure|trigproc|remove|purge)$/)
		return $4
	return ""
}
NR <= lines {
	key = package()
	sub(/:.*/, "", key)
	if (key != "")
		printf "{\"key\":%s,\"value\":%s,\"headers\":{\"file\":%s}}\n", quote(key), \
			quote($0), quote(file)
	else
		printf "{\"value\":%s,\"headers\":{\"file\":%s}}\n", quote($0), quote(file)
}'

# Ships the complete lines of file $1 behind byte $2; sets shipped_to.
ship() {
	shipped_to=$2
	tail -c +$(($2 + 1)) "$1" >"$piece"
	lines=$(wc -l <"$piece")
	[ "$lines" -gt 0 ] || return 0
	awk -v lines="$lines" -v file="$file" "$to_json" "$piece" >>"$topic/all.json"
	sync "$topic/all"
	shipped_to=$(($2 + $(head -n "$lines" "$piece" | wc -c)))
	echo "$1: $((lines)) lines"
}

keep_place() {
	echo "$1 $2" >"$place_file.new"
	mv "$place_file.new" "$place_file"
}

pass() {
	inode=$(inode_of "$file")
	old_inode=$inode place=0
	if [ -f "$place_file" ]; then
		read -r old_inode place <"$place_file"
	fi
	if [ "$old_inode" != "$inode" ]; then
		if [ "$(inode_of "$file.1")" = "$old_inode" ]; then
			ship "$file.1" "$place"
		fi
		place=0
	fi
	# A file that became shorter was emptied and begun again.
	[ "$(wc -c <"$file")" -ge "$place" ] || place=0
	ship "$file" "$place"
	keep_place "$inode" "$shipped_to"
}

pass
while [ -n "$follow" ]; do
	sleep 1
	pass
done

# Counts what dpkg did, by day, over a range of a topic that ship-log.sh has filled.
#
#   awk -f examples/count-actions.awk mnt/topics/dpkg/all@earliest..
#   awk -f examples/count-actions.awk mnt/topics/dpkg/all@-1000..
#   awk -f examples/count-actions.awk mnt/topics/dpkg/all@2026-02-02T00:00:00Z..2026-02-03T00:00:00Z
#
# A range ends, so awk ends too. Over a stream (all@earliest, without the dots) it would wait for
# more. The times in a name are those of the records, here: when they were shipped.
$1 ~ /^[0-9-]+$/ && $3 ~ /^[a-z-]+$/ {
	n[$1 " " $3]++
}
END {
	for (what in n)
		printf "%s %d\n", what, n[what] | "sort"
}

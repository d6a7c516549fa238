#!/bin/bash
# A data directory of a newer format version is refused with a sentence and left untouched; cluster
# id, directory id and version are written at the first start and stay.
. "$LIB/lib.sh"

start_broker
make_topic t
echo one >>"$T/t/0"
stop_broker
properties=$(sort "$DATA/meta.properties" | grep -v '^#')
assert_match '^version=1$' "$properties"
assert_match '^cluster.id=.+' "$properties"
assert_match '^directory.id=.+' "$properties"
start_broker
stop_broker
assert_eq "$properties" "$(sort "$DATA/meta.properties" | grep -v '^#')" "after a restart"

sed -i 's/^version=1$/version=2/' "$DATA/meta.properties"
sums() {
	(cd "$DATA" && find . -print0 | sort -z | xargs -0 stat -c '%n %s %Y' &&
		find . -type f -print0 | sort -z | xargs -0 md5sum)
}
before=$(sums)
assert_refuses '[Vv]ersion 2|version=2|newer'
assert_eq "$before" "$(sums)" "left untouched"
! is_mounted || fail "it mounted"
for tool in verify dump; do
	status=0
	"$TOPICFS" $tool "$DATA" >"$CASE_DIR/said" 2>&1 || status=$?
	[ "$status" != 0 ] || fail "$tool took it"
	grep -qiE 'version|newer' "$CASE_DIR/said" || fail "$tool: $(cat "$CASE_DIR/said")"
done
assert_eq "$before" "$(sums)" "left untouched by verify and dump"
sed -i 's/^version=2$/version=1/' "$DATA/meta.properties"
start_broker
assert_eq one "$(cat "$T/t/0")"
# Foreign files are left alone and noted.
stop_broker
echo mine >"$DATA/notes.txt"
mkdir "$DATA/lost+found"
start_broker
assert_log 'notes.txt'
stop_broker
assert_eq mine "$(cat "$DATA/notes.txt")"
[ -d "$DATA/lost+found" ]

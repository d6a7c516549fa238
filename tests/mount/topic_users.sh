#!/bin/bash
# The bits of a topic's directory are its ACL: read to consume, write to produce; configuring and
# deleting are the owner's. Everybody makes topics, and nobody removes another's.
. "$LIB/lib.sh"

need_root
chmod 755 "$CASE_DIR"
start_broker
assert_eq 1777 "$(stat -c %a "$T")"
as_user 1001 mkdir "$T/mine"
assert_eq 1001:1001 "$(stat -c %u:%g "$T/mine")"
as_user 1001 bash -c 'echo a >>"$1/mine/0"' - "$T"
as_user 1001 bash -c 'echo segment.bytes=5000 >"$1/mine/config"' - "$T"


user2() {
	as_user 1002 python3 "$LIB/sys" --errno "$@"
}
as_user 1001 chmod 755 "$T/mine"
assert_eq a "$(as_user 1002 cat "$T/mine/0")" "others may read"
assert_eq EACCES "$(user2 open "$T/mine/0" wronly,append)" "produce"
assert_eq EACCES "$(user2 open "$T/mine/all" rdwr)" "produce with answers"
assert_eq EACCES "$(user2 open "$T/mine/config" wronly)" "configure"
assert_eq 0 "$(user2 open "$T/mine/config" rdonly)" "read config"
case $(user2 rmdir "$T/mine") in
EPERM | EACCES) ;;
*) fail "another's topic was deleted" ;;
esac
case $(user2 chmod "$T/mine" 777) in
EPERM | EACCES) ;;
*) fail "another's topic was opened up" ;;
esac

as_user 1001 chmod 733 "$T/mine"
as_user 1002 bash -c 'echo b >>"$1/mine/0"' - "$T"
assert_eq EACCES "$(user2 open "$T/mine/0" rdonly)" "consume"
assert_eq EACCES "$(user2 open "$T/mine/0@latest" rdonly)" "consume a stream"
assert_eq EACCES "$(user2 open "$T/mine/config" rdwr)" "write to it is not to configure it"
# Groups count, supplementary ones too.
chgrp 4444 "$T/mine"
as_user 1001 chmod 750 "$T/mine"
assert_eq EACCES "$(user2 open "$T/mine/0" rdonly)" "not of the group"
assert_eq "a b" "$(echo $(setpriv --reuid=1002 --regid=1002 --groups=4444 -- cat "$T/mine/0"))"
assert_fails setpriv --reuid=1002 --regid=4444 --clear-groups -- tee -a "$T/mine/0" </dev/null
as_user 1001 chmod 700 "$T/mine"
assert_eq EACCES "$(user2 open "$T/mine/0" rdonly)" "nothing"
assert_eq EACCES "$(user2 open "$T/mine/by-key/k" wronly)" "nothing by key"

# Root is not bound; the owner deletes.
chmod 755 "$T/mine"
assert_eq "a b" "$(echo $(cat "$T/mine/0"))"
as_user 1001 rmdir "$T/mine"
as_user 1001 mkdir "$T/other"
rmdir "$T/other"
stop_broker

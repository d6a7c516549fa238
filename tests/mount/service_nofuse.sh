#!/bin/bash
# A missing /dev/fuse, one that this user may not open, and a missing fusermount3 are each one
# sentence that says what to do.
. "$LIB/lib.sh"

need_root
need unshare setpriv
chmod 755 "$CASE_DIR"
mkdir "$CASE_DIR/home" "$CASE_DIR/home/mnt"
chown -R 1001:1001 "$CASE_DIR/home"
mknod "$CASE_DIR/closed" c 10 229
chmod 600 "$CASE_DIR/closed"
mknod "$CASE_DIR/open" c 10 229
chmod 666 "$CASE_DIR/open"
# refusal COMMAND: what a broker of user 1001 says where COMMAND has run as root, in a mount
# namespace of its own.
refusal() {
	local status=0
	unshare -m bash -euc 'mount --make-rprivate /
		eval "$1"
		exec setpriv --reuid=1001 --regid=1001 --clear-groups timeout -s KILL 20 \
			"$TOPICFS" broker --mount "$CASE_DIR/home/mnt" --data "$CASE_DIR/home/data"
		' - "$1" </dev/null >"$CASE_DIR/refusal" 2>&1 || status=$?
	[ "$status" != 0 ] && [ "$status" -lt 124 ] || fail "exit status $status: $1"
	assert_eq 1 "$(grep -c ' ERROR ' "$CASE_DIR/refusal")" "one sentence"
	grep ' ERROR ' "$CASE_DIR/refusal"
}
assert_match '/dev/fuse is missing' "$(refusal 'mount -t tmpfs tmpfs /dev; mknod /dev/null c 1 3')"
assert_match '/dev/fuse cannot be opened' "$(refusal 'mount --bind "$CASE_DIR/closed" /dev/fuse')"
assert_match 'fusermount3' "$(refusal 'mount --bind "$CASE_DIR/open" /dev/fuse
	mkdir "$CASE_DIR/bin"
	cp /bin/timeout /usr/bin/setpriv "$CASE_DIR/bin/"
	for d in /usr/local/bin /usr/bin; do
		f=$(command -v fusermount3) && mount --bind /dev/null "$f"
	done')"

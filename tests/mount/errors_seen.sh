#!/bin/bash
# errors has a line for every refusal, in its form; each caller sees the lines of its own uid, root
# sees all, and reading it refuses nothing.
. "$LIB/lib.sh"

need_root
chmod 755 "$CASE_DIR"
start_broker
assert_eq "" "$(cat "$MNT/errors")"
as_user 1001 mkdir "$T/mine"
as_user 1001 mkdir "$T/b ad" 2>/dev/null || :
as_user 1002 mkdir "$T/wor se" 2>/dev/null || :
mkdir "$T/ro ot" 2>/dev/null || :
chmod 777 "$T/mine"
as_user 1002 bash -c 'echo x >>"$1/mine/7"' - "$T" 2>/dev/null || :
assert_eq 4 "$(wc -l <"$MNT/errors")" "root sees all"
form='^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{3}Z'
form+=' E[A-Z]+ uid=[0-9]+ pid=[0-9]+ '
assert_eq 4 "$(grep -cE "${form}topics/[^:]+: ..*" "$MNT/errors")"
assert_eq "topics/b ad" "$(as_user 1001 grep -o 'topics/[^:]*' "$MNT/errors")"
assert_eq "uid=1001" "$(as_user 1001 grep -o 'uid=[0-9]*' "$MNT/errors")"
assert_eq "topics/wor se,topics/mine/7" \
	"$(as_user 1002 grep -o 'topics/[^:]*' "$MNT/errors" | paste -sd,)"
assert_eq "" "$(as_user 1003 cat "$MNT/errors")"
assert_eq 0 "$(as_user 1003 stat -c %s "$MNT/errors")" "its size is that of what one sees"
assert_eq 444 "$(stat -c %a "$MNT/errors")"

# Look-ups that find nothing are no refusals, nor is the end of a stream that must not wait.
stat "$T/none" 2>/dev/null || :
assert_errno EAGAIN open "$T/mine/0@latest" rdonly,nonblock , read 10
assert_eq 4 "$(wc -l <"$MNT/errors")"
# The pid is the caller's.
bash -c 'echo $$ >"$1/pid"; exec mkdir "$2/x y"' - "$CASE_DIR" "$T" 2>/dev/null || :
assert_errors_line " EINVAL uid=0 pid=$(cat "$CASE_DIR/pid") topics/x y: "

# A name with a newline makes no second line, and many refusals are bounded.
assert_errno EINVAL mkdir "$T/two"$'\n'"lines"
assert_eq 6 "$(wc -l <"$MNT/errors")"
python3 -c '
import os, sys
for i in range(20000):
    try:
        os.mkdir(sys.argv[1] + "/b d%d" % i)
    except OSError:
        pass' "$T"
assert_errors_line 'topics/b d19999: '
[ "$(wc -l <"$MNT/errors")" -lt 20000 ] || fail "errors grows without a bound"
[ "$(stat -c %s "$MNT/errors")" -lt 4000000 ] || fail "errors is $(stat -c %s "$MNT/errors") bytes"
stop_broker

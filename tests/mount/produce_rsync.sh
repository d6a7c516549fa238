#!/bin/bash
# rsync --inplace and --append bring a file's lines onto a partition, and cp --reflink=auto and mv
# across file systems do as cp does.
. "$LIB/lib.sh"

need rsync
start_broker
make_topic t
seq 1 2000 >"$CASE_DIR/0"
rsync --inplace --whole-file "$CASE_DIR/0" "$T/t/0"
assert_same "$CASE_DIR/0" "$T/t/0"
seq 2001 2500 >>"$CASE_DIR/0"
rsync --append "$CASE_DIR/0" "$T/t/0"
assert_same "$CASE_DIR/0" "$T/t/0"
seq 2501 2600 >>"$CASE_DIR/0"
rsync --append-verify "$CASE_DIR/0" "$T/t/0"
assert_same "$CASE_DIR/0" "$T/t/0"
# And out again: what grew is what is copied.
rsync --inplace "$T/t/0" "$CASE_DIR/copy"
assert_same "$CASE_DIR/0" "$CASE_DIR/copy"
echo more >>"$T/t/0"
rsync --append "$T/t/0" "$CASE_DIR/copy"
assert_same "$T/t/0" "$CASE_DIR/copy"
# Without --inplace rsync makes a file of another name first, which does not exist here.
assert_fails rsync "$CASE_DIR/0" "$T/t/0"
assert_errors_line ' EPERM .*topics/t/\.0\.'
cp --reflink=auto "$CASE_DIR/copy" "$T/t/0"
assert_eq "$((2 * $(stat -c %s "$CASE_DIR/copy")))" "$(stat -c %s "$T/t/0")"
stop_broker

# Functions for mount cases in bash; docs/testing.md shows how to use them. A case begins with
#
#     #!/bin/bash
#     # One sentence: the property.
#     . "$LIB/lib.sh"
#
# and finds: TOPICFS (the binary), CASE_DIR (its own directory, where it starts), MNT (the mount
# point), DATA (the data directory, made by the broker), LOG (what its brokers log), T (the mount's
# topics/), SOURCE (the tree). Any command that fails ends the case. What the case started is ended
# when the case ends, however it does.
# shellcheck shell=bash

set -Eeuo pipefail
shopt -s inherit_errexit

MNT=$CASE_DIR/mnt
DATA=$CASE_DIR/data
LOG=$CASE_DIR/log
T=$MNT/topics
BROKER=
READY_S=20
STOP_S=10
JOBS_=()

touch "$LOG"
# A descriptor that never has anything to read: waiting on it is a pause without a process.
mkfifo "$CASE_DIR/.pause"
exec {PAUSE_FD_}<>"$CASE_DIR/.pause"

# ---- Ending ----

fail() {
	printf 'FAIL at %s:%s: %s\n' "${BASH_SOURCE[-1]##*/}" "${BASH_LINENO[-2]}" "$*" >&2
	exit 1
}

skip() {
	printf '%s\n' "$*"
	exit 77
}

# need PROGRAM...: skips where one is not installed.
need() {
	local p
	for p; do
		command -v "$p" >/dev/null || skip "no $p here"
	done
}

need_root() {
	[ "$(id -u)" = 0 ] || skip "needs root"
}

# Runs at the end of every case. What is left where this does not reach, the runner finds.
cleanup_() {
	local status=$? pid
	trap - EXIT
	set +e
	if [ "$status" != 0 ] && [ "$status" != 77 ]; then
		echo "exit status $status" >&2
	fi
	for pid in "${JOBS_[@]}"; do
		kill -KILL "$pid" 2>/dev/null
	done
	if [ -n "$BROKER" ] && kill -0 "$BROKER" 2>/dev/null; then
		kill -TERM "$BROKER"
		if ! wait_end_ "$BROKER" "$STOP_S"; then
			kill -KILL "$BROKER"
			echo "the broker did not end within $STOP_S s of SIGTERM" >&2
			[ "$status" != 0 ] || status=1
		fi
	fi
	if grep -qF " ${MNT// /\\040} " /proc/self/mountinfo; then
		umount -l "$MNT" 2>/dev/null || fusermount3 -uz "$MNT"
	fi
	exit "$status"
}
trap cleanup_ EXIT
trap 'exit 143' TERM
trap 'exit 130' INT
trap 'printf "FAIL at %s:%s: %s\n" "${BASH_SOURCE[0]##*/}" "$LINENO" "$BASH_COMMAND" >&2' ERR

# ---- Waiting ----

# pause [SECONDS]: a short pause between two looks; for loops with a bound only.
pause() {
	local nothing
	read -rt "${1:-0.01}" -u "$PAUSE_FD_" nothing || :
}

# wait_until [-t SECONDS] COMMAND...: looks until the command succeeds, at most 10 s.
wait_until() {
	local limit=10 end
	if [ "$1" = -t ]; then
		limit=$2
		shift 2
	fi
	end=$((${EPOCHREALTIME/./} + limit * 1000000))
	until "$@" >/dev/null 2>&1; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || fail "not within $limit s: $*"
		pause
	done
}

# True when process PID, a child or not, has ended within SECONDS.
wait_end_() {
	local end=$((${EPOCHREALTIME/./} + $2 * 1000000))
	while is_running "$1"; do
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || return 1
		pause
	done
}

# is_running PID: neither gone nor a zombie.
is_running() {
	local stat
	{ read -r stat <"/proc/$1/stat"; } 2>/dev/null || return 1
	case ${stat##*) } in
	[ZX]*) return 1 ;;
	esac
}

# Prints the number of PID's sleep, where it sleeps in a request to the mount; else fails.
sleep_in_mount_() {
	local stat status stack
	{ read -r stat <"/proc/$1/stat" && status=$(<"/proc/$1/status"); } 2>/dev/null || return 1
	case ${stat##*) } in
	[SD]*) ;;
	*) return 1 ;;
	esac
	# Only root is told what it sleeps in.
	{ stack=$(<"/proc/$1/stack"); } 2>/dev/null || :
	[ -z "$stack" ] || [[ $stack == *fuse* ]] || return 1
	[[ $status =~ voluntary_ctxt_switches:[[:space:]]*([0-9]+) ]] && echo "${BASH_REMATCH[1]}"
}

# is_waiting PID: it waits for the answer to a request that has come to the broker, as a reader
# that waits for records does: one that was made after it is answered, and it has slept all the
# time. What only sleeps may have its request in the kernel's queue still, where a signal takes it
# back. Use it with wait_until before the record is written that the reader shall be woken by.
is_waiting() {
	local number
	number=$(sleep_in_mount_ "$1") || return 1
	stat -f "$MNT" >/dev/null
	[ "$(sleep_in_mount_ "$1")" = "$number" ]
}

# ---- The broker ----

# Becomes the broker. It gets no descriptor of the case: one of its own mount would tie it to
# itself.
exec_broker_() {
	local fd
	for fd in /proc/self/fd/*; do
		fd=${fd##*/}
		[ "$fd" -le 2 ] || eval "exec $fd>&-"
	done
	exec "$TOPICFS" broker --mount "$MNT" --data "$DATA" "$@"
}

log_lines_() {
	wc -l <"$LOG"
}

# start_broker [OPTION...]: in the background; returns when its log says ready. BROKER is its pid.
# More options of `topicfs broker` (--set NAME=VALUE) and variables of the environment are taken.
start_broker() {
	local old end
	[ -z "$BROKER" ] || fail "a broker runs already"
	[ -r /dev/fuse ] && [ -w /dev/fuse ] || skip "/dev/fuse is not there for this user"
	old=$(log_lines_)
	(trap - EXIT ERR TERM INT; exec_broker_ "$@") </dev/null >>"$LOG" 2>&1 &
	BROKER=$!
	end=$((${EPOCHREALTIME/./} + READY_S * 1000000))
	until tail -n "+$((old + 1))" "$LOG" | grep -qE ': ready( |$)'; do
		if ! is_running "$BROKER"; then
			BROKER=
			fail "the broker ended before it was ready: $(tail -n 3 "$LOG")"
		fi
		[ "${EPOCHREALTIME/./}" -lt "$end" ] || fail "the broker is not ready in $READY_S s"
		pause 0.002
	done
}

# stop_broker [SIGNAL]: TERM or INT; it must end within 10 s with exit status 0, and unmount.
stop_broker() {
	local pid=$BROKER status=0
	kill "-${1:-TERM}" "$pid"
	wait_end_ "$pid" "$STOP_S" || fail "the broker did not end within $STOP_S s"
	BROKER=
	wait "$pid" || status=$?
	[ "$status" = 0 ] || fail "the broker ended with exit status $status"
	! is_mounted || fail "the broker left its mount behind"
}

# kill_broker: SIGKILL. The mount stays behind, and answers ENOTCONN.
kill_broker() {
	local pid=$BROKER
	kill -KILL "$pid"
	BROKER=
	wait "$pid" 2>/dev/null || :
}

# restart_broker [OPTION...]: stops it cleanly, and starts it again.
restart_broker() {
	stop_broker
	start_broker "$@"
}

# assert_refuses REGEX [OPTION...]: a broker with these options ends by itself, not with 0, and
# says a sentence that matches.
assert_refuses() {
	local regex=$1 status=0
	shift
	(trap - EXIT ERR; exec timeout -s KILL "$READY_S" "$TOPICFS" broker --mount "$MNT" \
		--data "$DATA" "$@") </dev/null >"$CASE_DIR/refusal" 2>&1 || status=$?
	[ "$status" != 0 ] || fail "the broker ended with 0: $*"
	[ "$status" -lt 124 ] || fail "the broker did not refuse but ended with $status: $*"
	grep -qE -e "$regex" "$CASE_DIR/refusal" ||
		fail "no line matches $regex: $(cat "$CASE_DIR/refusal")"
}

is_mounted() {
	grep -qF " ${MNT// /\\040} " /proc/self/mountinfo
}

# expect_log REGEX: a suspicious line of the log that this case causes; it must appear.
# allow_log REGEX: the same, but it may be absent. (Both are Python regular expressions.)
expect_log() {
	printf '%s\n' "$1" >>"$CASE_DIR/expect_log"
}
allow_log() {
	printf '%s\n' "$1" >>"$CASE_DIR/allow_log"
}

# assert_log REGEX: waits until the broker's log has a line that matches (grep -E).
assert_log() {
	wait_until grep -qE -e "$1" "$LOG"
}

# make_topic NAME [PARTITIONS [NAME=VALUE...]]
make_topic() {
	local name=$1
	mkdir "$T/$name"
	if [ $# -gt 1 ]; then
		printf 'num.partitions=%s\n' "$2" >"$T/$name/config"
		shift 2
		[ $# = 0 ] || printf '%s\n' "$@" >"$T/$name/config"
	fi
}

# ---- Assertions ----

# assert_eq WANTED GOT [WHAT]
assert_eq() {
	[ "$1" = "$2" ] || fail "${3:+$3: }wanted $(printf %q "$1"), got $(printf %q "$2")"
}

# assert_match REGEX TEXT [WHAT]: some line matches (grep -E).
assert_match() {
	grep -qE -e "$1" <<<"$2" || fail "${3:+$3: }$(printf %q "$2") does not match $1"
}

# assert_same FILE FILE: byte for byte.
assert_same() {
	cmp -- "$1" "$2" >&2 || fail "$1 and $2 differ"
}

assert_ok() {
	"$@" || fail "exit status $?: $*"
}

# assert_fails COMMAND...: ends with a status from 1 to 123. Its stderr is in $CASE_DIR/stderr.
assert_fails() {
	local status=0
	"$@" >/dev/null 2>"$CASE_DIR/stderr" || status=$?
	[ "$status" != 0 ] || fail "succeeded: $*"
	[ "$status" -lt 124 ] || fail "exit status $status: $*"
}

# sys CALL ARGUMENT... [, CALL ...]: system calls that the shell has no words for: tests/lib/sys.
sys() {
	python3 "$LIB/sys" "$@"
}

# assert_errno ENAME CALL ARGUMENT... [, CALL ...]: the last call fails with that errno.
assert_errno() {
	local wanted=$1 got
	shift
	got=$(python3 "$LIB/sys" --errno "$@") || fail "sys $*: $got"
	assert_eq "$wanted" "$got" "$*"
}

# assert_errors_line REGEX: the mount's errors file has a line that matches (grep -E).
assert_errors_line() {
	grep -qE -e "$1" "$MNT/errors" ||
		fail "no line of errors matches $1: $(tail -n 5 "$MNT/errors")"
}

# ---- Other processes ----

# job COMMAND...: in the background; JOB is its pid. Ended at the end of the case at the latest.
# Redirections on the call itself are the job's: job cat "$T/t/0@0" >"$CASE_DIR/got"
job() {
	(trap - EXIT ERR TERM INT; exec {PAUSE_FD_}>&-; exec "$@") &
	JOB=$!
	JOBS_+=("$JOB")
}

# end_job PID [SIGNAL]: signals it, where one is given, and waits for its end, at most 10 s. Its
# exit status is in STATUS.
end_job() {
	[ $# = 1 ] || kill "-$2" "$1" 2>/dev/null || :
	wait_end_ "$1" 10 || fail "process $1 did not end within 10 s"
	STATUS=0
	wait "$1" || STATUS=$?
}

# as_user UID COMMAND...: as an ordinary user with the group of the same number; needs root.
as_user() {
	local id=$1
	shift
	setpriv --reuid="$id" --regid="$id" --clear-groups -- "$@"
}

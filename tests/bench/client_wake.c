/*
 * The client's workloads about waiting: one reader, a thousand readers, and a program that starts.
 */
#include "tests/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	WAKE_LIMIT_US = 5000000, /* an answer later than this is a fault, not a figure */
	SETTLE_US = 50000,	 /* until a thousand readers that said so are in read() */
	STACK_LEN = 64 << 10,
};

struct wake {
	_Atomic uint32_t ready;
	_Atomic uint64_t sent_ns;
	_Atomic uint64_t seq_seen;
	_Atomic int err;
	_Atomic int stop;
	struct hist hist;
};

/* One line of line_len bytes that begins with its number. */
static void line_fill(char *line, size_t line_len, uint64_t seq)
{
	int n = snprintf(line, line_len, "%020lu ", seq);

	memset(line + n, 'x', line_len - (size_t)n - 1);
	line[line_len - 1] = '\n';
}

static void write_line(const struct opts *opts, int fd, uint64_t seq)
{
	char line[4096];
	ssize_t n;

	if (opts->line_len > sizeof(line))
		die(EINVAL, "--line ", "");
	line_fill(line, opts->line_len, seq);
	n = write(fd, line, opts->line_len);
	if (n != (ssize_t)opts->line_len)
		die(n < 0 ? errno : EIO, "write ", opts->path);
}

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(errno, "open ", path);
	return fd;
}

static _Noreturn void wake_reader(const struct opts *opts, struct wake *wake)
{
	char buf[65536];
	int fd;

	die_with_parent();
	fd = open(opts->read_path, O_RDONLY | O_CLOEXEC);
	if (fd < 0) {
		atomic_store(&wake->err, errno);
		_exit(2);
	}
	atomic_store(&wake->ready, 1);
	for (uint64_t seq = 1;; seq++) {
		ssize_t n = read(fd, buf, sizeof(buf));
		uint64_t t = now_ns();

		if (n != (ssize_t)opts->line_len || strtoull(buf, NULL, 10) != seq) {
			atomic_store(&wake->err, n < 0 ? errno : EBADMSG);
			_exit(2);
		}
		hist_put(&wake->hist, t - atomic_load(&wake->sent_ns));
		atomic_store(&wake->seq_seen, seq);
	}
}

static void wake_check(const struct opts *opts, struct wake *wake)
{
	int err = atomic_load(&wake->err);

	if (err)
		die(err, "read ", opts->read_path);
}

/* Writes one record after the other, each when the one before has been read. */
static uint64_t wake_writer(const struct opts *opts, struct wake *wake, int fd)
{
	uint64_t begin_ns = now_ns(), seq = 0;

	while ((double)(now_ns() - begin_ns) < opts->seconds * 1e9) {
		uint64_t waited_us = 0;

		atomic_store(&wake->sent_ns, now_ns());
		write_line(opts, fd, ++seq);
		do {
			sleep_us(opts->gap_us);
			waited_us += opts->gap_us;
			wake_check(opts, wake);
			if (waited_us > WAKE_LIMIT_US)
				die(ETIMEDOUT, "read ", opts->read_path);
		} while (atomic_load(&wake->seq_seen) != seq);
	}
	return seq;
}

/* The writer reads what it has just written: the cost of a write plus a read, nobody waiting. */
static uint64_t wake_same(const struct opts *opts, struct wake *wake, int fd)
{
	int read_fd = open_or_die(opts->read_path, O_RDONLY);
	uint64_t begin_ns = now_ns(), seq = 0;
	char buf[65536];

	while ((double)(now_ns() - begin_ns) < opts->seconds * 1e9) {
		uint64_t t = now_ns();
		ssize_t n;

		write_line(opts, fd, ++seq);
		n = read(read_fd, buf, sizeof(buf));
		t = now_ns() - t;
		if (n != (ssize_t)opts->line_len || strtoull(buf, NULL, 10) != seq)
			die(n < 0 ? errno : EBADMSG, "read ", opts->read_path);
		hist_put(&wake->hist, t);
		sleep_us(opts->gap_us);
	}
	return seq;
}

void run_wake(const struct opts *opts)
{
	struct wake *wake = shared_new(sizeof(*wake));
	uint64_t cnt;
	pid_t pid = -1;
	int fd;

	if (!opts->read_path || opts->gap_us < 1)
		die(EINVAL, "wake", "");
	fflush(stdout);
	if (!opts->same) {
		pid = fork();
		if (pid < 0)
			die(errno, "fork", "");
		if (pid == 0)
			wake_reader(opts, wake);
	}
	fd = open_or_die(opts->path, O_WRONLY | O_APPEND);
	while (!opts->same && !atomic_load(&wake->ready)) {
		wake_check(opts, wake);
		sleep_us(100);
	}
	cnt = opts->same ? wake_same(opts, wake, fd) : wake_writer(opts, wake, fd);
	if (pid > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
	printf("{\"ops\":%lu", cnt);
	hist_print(&wake->hist);
	printf("}\n");
}

struct crowd {
	const struct opts *opts;
	_Atomic uint32_t waiting; /* readers about to read */
	_Atomic uint32_t missing; /* readers that have not got this round's record */
	_Atomic uint64_t end_ns;
	_Atomic int err;
};

static void *crowd_reader(void *arg)
{
	struct crowd *crowd = arg;
	char buf[4096];
	int fd = open(crowd->opts->read_path, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		atomic_store(&crowd->err, errno);
		return NULL;
	}
	for (uint64_t round = 0; round < crowd->opts->cnt; round++) {
		ssize_t n;

		atomic_fetch_add(&crowd->waiting, 1);
		n = read(fd, buf, sizeof(buf));
		if (n != (ssize_t)crowd->opts->line_len || strtoull(buf, NULL, 10) != round + 1) {
			atomic_store(&crowd->err, n < 0 ? errno : EBADMSG);
			break;
		}
		if (atomic_fetch_sub(&crowd->missing, 1) == 1)
			atomic_store(&crowd->end_ns, now_ns());
	}
	close(fd);
	return NULL;
}

static void crowd_wait(struct crowd *crowd, const _Atomic uint32_t *count, uint32_t want)
{
	uint64_t begin_ns = now_ns();

	while (atomic_load(count) != want) {
		int err = atomic_load(&crowd->err);

		if (err || now_ns() - begin_ns > 1000ull * WAKE_LIMIT_US)
			die(err ? err : ETIMEDOUT, "read ", crowd->opts->read_path);
		sleep_us(100);
	}
}

/* Time from before the write until the last of all readers has the record. */
void run_wakemany(const struct opts *opts)
{
	struct hist *hist = shared_new(sizeof(*hist));
	struct crowd crowd = { .opts = opts };
	pthread_attr_t attr;
	int fd, r;

	if (!opts->read_path || opts->cnt < 1)
		die(EINVAL, "wakemany", "");
	fd = open_or_die(opts->path, O_WRONLY | O_APPEND);
	r = pthread_attr_init(&attr);
	if (r == 0)
		r = pthread_attr_setstacksize(&attr, STACK_LEN);
	for (uint32_t i = 0; i < opts->readers && r == 0; i++) {
		pthread_t thread;

		r = pthread_create(&thread, &attr, crowd_reader, &crowd);
		if (r == 0)
			r = pthread_detach(thread);
	}
	if (r != 0)
		die(r, "threads", "");
	for (uint64_t round = 0; round < opts->cnt; round++) {
		uint64_t begin_ns;

		crowd_wait(&crowd, &crowd.waiting, opts->readers);
		sleep_us(SETTLE_US);
		atomic_store(&crowd.waiting, 0);
		atomic_store(&crowd.missing, opts->readers);
		begin_ns = now_ns();
		write_line(opts, fd, round + 1);
		crowd_wait(&crowd, &crowd.missing, 0);
		while (atomic_load(&crowd.end_ns) < begin_ns)
			sleep_us(10);
		hist_put(hist, atomic_load(&crowd.end_ns) - begin_ns);
	}
	printf("{\"ops\":%lu,\"readers\":%u", opts->cnt, opts->readers);
	hist_print(hist);
	printf("}\n");
	/* The readers' threads end with the process. */
	fflush(stdout);
	_exit(0);
}

static _Noreturn void start_exec(const struct opts *opts)
{
	int fd = -1;

	if (prctl(PR_SET_PDEATHSIG, SIGTERM) < 0)
		_exit(126);
	if (opts->log_path)
		fd = open(opts->log_path, O_WRONLY | O_CREAT | O_APPEND, 0644);
	if (fd >= 0 && (dup2(fd, 2) < 0 || dup2(fd, 1) < 0))
		_exit(126);
	execv(opts->argv[0], opts->argv);
	_exit(127);
}

/* One attempt to make the directory and append to the file; whether it succeeded. */
static bool start_try(const struct opts *opts)
{
	char line[4096];
	bool done;
	int fd;

	if (opts->mkdir_path && mkdir(opts->mkdir_path, 0777) < 0 && errno != EEXIST)
		return false;
	fd = open(opts->path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		return false;
	line_fill(line, opts->line_len, 0);
	done = write(fd, line, opts->line_len) == (ssize_t)opts->line_len;
	close(fd);
	return done;
}

/* Asks the program to end, and makes it end after ten seconds; the time that it took. */
static uint64_t start_stop(pid_t pid)
{
	uint64_t begin_ns = now_ns();
	int status;

	kill(pid, SIGTERM);
	while (waitpid(pid, &status, WNOHANG) == 0) {
		if (now_ns() - begin_ns > 10000000000ull) {
			kill(pid, SIGKILL);
			waitpid(pid, &status, 0);
			die(ETIMEDOUT, "the program does not end on SIGTERM", "");
		}
		sleep_us(200);
	}
	return now_ns() - begin_ns;
}

/* Time from the start of a program until the first append to a file that it serves. */
void run_start(const struct opts *opts)
{
	uint64_t begin_ns, first_ns, stop_ns;
	pid_t pid;

	if (!opts->argv[0] || opts->line_len > 4096)
		die(EINVAL, "start", "");
	fflush(stdout);
	begin_ns = now_ns();
	pid = fork();
	if (pid < 0)
		die(errno, "fork", "");
	if (pid == 0)
		start_exec(opts);
	while (!start_try(opts)) {
		int err = errno;

		if (waitpid(pid, NULL, WNOHANG) == pid)
			die(ECHILD, "it ended before the first append: ", opts->argv[0]);
		if (now_ns() - begin_ns > 20000000000ull) {
			start_stop(pid);
			die(err, "no append within 20 s: ", opts->path);
		}
		sleep_us(100);
	}
	first_ns = now_ns() - begin_ns;
	stop_ns = start_stop(pid);
	printf("{\"ops\":1,\"first_ns\":%lu,\"stop_ns\":%lu}\n", first_ns, stop_ns);
}

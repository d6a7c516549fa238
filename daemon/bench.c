/*
 * topicfs bench: a few figures beside the native file system's, on this machine, without the source
 * tree. It starts a broker of its own on directories that it makes and removes. Native and topicfs
 * take turns, since a machine's speed drifts, and what counts is the median of the pairs' ratios.
 * The thorough instrument is tests/bench.
 */
#include "daemon/base/buf.h"
#include "daemon/base/limits.h"
#include "daemon/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <getopt.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAIRS_MAX 99
#define READY_MS 30000
#define STOP_MS 10000
/* How much is written for the workload that reads. */
#define READ_BYTES (256 * MIB)
/* The file of a native run does not grow beyond this. */
#define WRITE_BYTES_MAX (2 * GIB)

struct workload {
	const char *name, *about, *unit;
	size_t len; /* of one write or read */
	bool reads, syncs;
	double scale; /* of the rate: 1 for calls, len for bytes */
};

static const struct workload workloads[] = {
	{ "append", "a line of 100 bytes each write()", "appends/s", 100, false, false, 1 },
	{ "bulk", "64 KiB of lines each write()", "MB/s", 64 * KIB, false, false, 64 * KIB / 1e6 },
	{ "read", "128 KiB each read(), from the page cache", "MB/s", 128 * KIB, true, false,
	  128 * KIB / 1e6 },
	{ "fsync", "a line of 100 bytes, then fsync(), each time", "fsyncs/s", 100, false, true,
	  1 },
};

struct bench {
	char root[3072]; /* the directory that was made; "": none */
	char native[4096], topic[4096], mount[4096], data[4096];
	pid_t broker; /* 0: none */
	int pidfd;
	unsigned pairs;
	double seconds; /* one run */
	char *block;	/* READ_BYTES of lines would be too much: 128 KiB of them */
};

/* The one thing that a signal handler may touch. */
static volatile sig_atomic_t bench_interrupted;

static void on_signal(int number)
{
	bench_interrupted = 1;
}

static double now_s(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int complain(const char *what, int err)
{
	fprintf(stderr, "topicfs: bench: %s: %s\n", what, strerror(-err));
	return err;
}

/* ---- The broker ---- */

static void become_broker(const struct bench *b)
{
	char *argv[] = { "topicfs", "broker",		"--mount",     "",	"--data", "",
			 "--set",   "num.partitions=1", "--log-level", "error", NULL };

	argv[3] = (char *)b->mount;
	argv[5] = (char *)b->data;
	/* Whatever ends this program, no broker is left. */
	prctl(PR_SET_PDEATHSIG, SIGTERM);
	execv("/proc/self/exe", argv);
	_exit(127);
}

/* True when the mount is there; false while it is not. */
static bool is_mounted(const struct bench *b)
{
	struct stat at, above;

	return !stat(b->mount, &at) && !stat(b->root, &above) && at.st_dev != above.st_dev;
}

static int start_broker(struct bench *b)
{
	double end = now_s() + READY_MS / 1e3;
	char topic[4200];

	b->broker = fork();
	if (b->broker < 0)
		return complain("fork", -errno);
	if (!b->broker)
		become_broker(b);
	b->pidfd = (int)syscall(SYS_pidfd_open, b->broker, 0);
	while (!is_mounted(b)) {
		struct pollfd p = { .fd = b->pidfd, .events = POLLIN };

		/* Its end is noticed at once, its mount within 10 ms. */
		if (poll(&p, 1, 10) > 0) {
			fprintf(stderr, "topicfs: bench: the broker did not start\n");
			return -EIO;
		}
		if (bench_interrupted)
			return -EINTR;
		if (now_s() > end)
			return complain("the broker did not mount", -ETIMEDOUT);
	}
	snprintf(topic, sizeof(topic), "%s/topics/bench", b->mount);
	return mkdir(topic, 0755) ? complain(topic, -errno) : 0;
}

static void stop_broker(struct bench *b)
{
	struct pollfd p = { .fd = b->pidfd, .events = POLLIN };

	if (b->broker <= 0)
		return;
	kill(b->broker, SIGTERM);
	if (b->pidfd >= 0 && poll(&p, 1, STOP_MS) == 0)
		kill(b->broker, SIGKILL);
	while (waitpid(b->broker, NULL, 0) < 0 && errno == EINTR)
		;
	b->broker = 0;
}

/* ---- Directories ---- */

static int make_dirs(struct bench *b, const char *dir)
{
	int n = snprintf(b->root, sizeof(b->root), "%s/topicfs-bench.XXXXXX", dir);

	if (n < 0 || (size_t)n >= sizeof(b->root) || !mkdtemp(b->root)) {
		b->root[0] = '\0';
		return complain(dir, n >= (int)sizeof(b->root) ? -ENAMETOOLONG : -errno);
	}
	snprintf(b->native, sizeof(b->native), "%s/native", b->root);
	snprintf(b->mount, sizeof(b->mount), "%s/mnt", b->root);
	snprintf(b->data, sizeof(b->data), "%s/data", b->root);
	snprintf(b->topic, sizeof(b->topic), "%.4000s/topics/bench/0", b->mount);
	if (mkdir(b->mount, 0755) || mkdir(b->data, 0755))
		return complain(b->root, -errno);
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	return remove(path) ? -1 : 0;
}

static int remove_dirs(struct bench *b)
{
	/* FTW_MOUNT: were the mount still there, nothing in it would be touched. */
	if (!b->root[0] || !nftw(b->root, remove_one, 16, FTW_DEPTH | FTW_PHYS | FTW_MOUNT))
		return 0;
	fprintf(stderr, "topicfs: bench: %s could not be removed: %s\n", b->root, strerror(errno));
	return -EIO;
}

/* ---- Runs ---- */

static int fill_file(const struct bench *b, const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0644), r = 0;

	if (fd < 0)
		return -errno;
	for (uint64_t done = 0; done < READ_BYTES && !r && !bench_interrupted; done += 128 * KIB)
		if (write(fd, b->block, 128 * KIB) != (ssize_t)(128 * KIB))
			r = errno ? -errno : -EIO;
	if (close(fd) && !r)
		r = -errno;
	return r;
}

/* One call of the workload. */
static int step(const struct bench *b, const struct workload *w, int fd, char *into,
		uint64_t *written)
{
	ssize_t n;

	if (w->reads) {
		n = read(fd, into, w->len);
		if (n > 0)
			return 0;
		if (n < 0)
			return -errno;
		return lseek(fd, 0, SEEK_SET) < 0 ? -errno : 0;
	}
	n = write(fd, b->block, w->len);
	if (n != (ssize_t)w->len)
		return n < 0 ? -errno : -EIO;
	*written += w->len;
	return w->syncs && fsync(fd) ? -errno : 0;
}

static int run(const struct bench *b, const struct workload *w, const char *path, double *ret_rate)
{
	int flags = w->reads ? O_RDONLY : O_WRONLY | O_APPEND | O_CREAT;
	int fd = open(path, flags | O_CLOEXEC, 0644), r = 0;
	char *into = malloc(128 * KIB);
	double begin = now_s(), end;
	uint64_t calls = 0, written = 0;

	if (fd < 0 || !into) {
		r = fd < 0 ? -errno : -ENOMEM;
		goto out;
	}
	do {
		r = step(b, w, fd, into, &written);
		calls++;
		end = now_s();
	} while (!r && end - begin < b->seconds && written < WRITE_BYTES_MAX / 2 &&
		 !bench_interrupted);
	*ret_rate = (double)calls * w->scale / (end - begin);
out:
	if (fd >= 0 && close(fd) && !r)
		r = -errno;
	free(into);
	return bench_interrupted ? -EINTR : r;
}

static int double_cmp(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double median(double *v, unsigned cnt)
{
	qsort(v, cnt, sizeof(*v), double_cmp);
	return cnt % 2 ? v[cnt / 2] : (v[cnt / 2 - 1] + v[cnt / 2]) / 2;
}

/* Empties the native file between pairs, and the topic by making it anew, so that the disk holds.
 */
static int start_anew(const struct bench *b, const struct workload *w)
{
	char topic[4200];
	int r = 0;

	snprintf(topic, sizeof(topic), "%s/topics/bench", b->mount);
	if (unlink(b->native) && errno != ENOENT)
		return -errno;
	if (rmdir(topic) || mkdir(topic, 0755))
		return -errno;
	if (w->reads)
		r = fill_file(b, b->native);
	return r || !w->reads ? r : fill_file(b, b->topic);
}

static int run_workload(const struct bench *b, const struct workload *w)
{
	double native[PAIRS_MAX], topic[PAIRS_MAX], ratio[PAIRS_MAX];
	int r = 0;

	for (unsigned i = 0; i < b->pairs && !r; i++) {
		if (!i || !w->reads)
			r = start_anew(b, w);
		if (!r)
			r = run(b, w, b->native, &native[i]);
		if (!r)
			r = run(b, w, b->topic, &topic[i]);
		ratio[i] = r ? 0 : topic[i] / native[i];
	}
	if (r)
		return r == -EINTR ? r : complain(w->name, r);
	printf("%-8s %12.0f %12.0f %-10s %8.3f   %s\n", w->name, median(native, b->pairs),
	       median(topic, b->pairs), w->unit, median(ratio, b->pairs), w->about);
	return fflush(stdout) ? -EIO : 0;
}

static int run_all(struct bench *b, const char *dir, const struct workload *only)
{
	int r = make_dirs(b, dir);

	if (!r)
		r = start_broker(b);
	if (!r)
		printf("%-8s %12s %12s %-10s %8s   (medians of %u pairs of %.1f s in %s)\n", "",
		       "native", "topicfs", "", "ratio", b->pairs, b->seconds, dir);
	for (unsigned i = 0; i < ARRAY_CNT(workloads) && !r; i++)
		if (!only || only == &workloads[i])
			r = run_workload(b, &workloads[i]);
	return r;
}

/* ---- Arguments ---- */

static int refuse(const char *what, const char *arg)
{
	fprintf(stderr, "topicfs: bench: %s '%s'; 'topicfs bench --help' lists them\n", what, arg);
	return EXIT_USAGE;
}

/* -1: go on; else the exit status. */
static int parse(struct bench *b, int argc, char **argv, const char **ret_dir,
		 const struct workload **ret_only)
{
	static const struct option table[] = { { "dir", required_argument, NULL, 'd' },
					       { "pairs", required_argument, NULL, 'p' },
					       { "seconds", required_argument, NULL, 's' },
					       { NULL, 0, NULL, 0 } };
	int option;

	optind = 0;
	opterr = 0;
	while ((option = getopt_long(argc, argv, "", table, NULL)) != -1) {
		char *end = "";

		if (option == 'd')
			*ret_dir = optarg;
		else if (option == 'p')
			b->pairs = (unsigned)MIN(strtoul(optarg, &end, 10), PAIRS_MAX + 1UL);
		else if (option == 's')
			b->seconds = strtod(optarg, &end);
		else
			return refuse("unknown option, or one without its value:",
				      argv[optind - 1]);
		if (*end || !b->pairs || b->pairs > PAIRS_MAX ||
		    !(b->seconds >= 0.05 && b->seconds <= 60))
			return refuse("out of range:", optarg);
	}
	if (optind == argc)
		return -1;
	for (unsigned i = 0; i < ARRAY_CNT(workloads); i++)
		if (!strcmp(argv[optind], workloads[i].name))
			*ret_only = &workloads[i];
	if (!*ret_only || optind + 1 < argc)
		return refuse("unknown workload", argv[argc - 1]);
	return -1;
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_handler = on_signal };

	sigemptyset(&sa.sa_mask);
	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	sigaction(SIGHUP, &sa, NULL);
	sa.sa_handler = SIG_IGN;
	sigaction(SIGPIPE, &sa, NULL);
}

int cmd_bench(int argc, char **argv)
{
	struct bench b = { .pidfd = -1, .pairs = 5, .seconds = 0.5 };
	const struct workload *only = NULL;
	const char *dir = getenv("TMPDIR");
	int r;

	if (!dir || !*dir)
		dir = "/tmp";
	r = parse(&b, argc, argv, &dir, &only);
	if (r >= 0)
		return r;
	catch_signals();
	b.block = malloc(128 * KIB);
	if (!b.block)
		return 1;
	memset(b.block, 'x', 128 * KIB);
	/* Lines of 100 bytes; every write ends with one. */
	for (size_t i = 99; i < 128 * KIB; i += 100)
		b.block[i] = '\n';
	b.block[64 * KIB - 1] = b.block[128 * KIB - 1] = '\n';
	r = run_all(&b, dir, only);
	stop_broker(&b);
	if (b.pidfd >= 0 && close(b.pidfd))
		r = r ? r : -EIO;
	if (remove_dirs(&b) && !r)
		r = -EIO;
	free(b.block);
	return bench_interrupted ? 130 : r ? 1 : 0;
}

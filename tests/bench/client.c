/*
 * The one client program of the benchmark: it does the same calls with the same buffers whichever
 * file system is below. See `usage` for the workloads, and client.h for what it prints.
 *
 * Writers are processes, each with an open of its own. They wait until all of them have opened
 * their file and then start together; the rate counts from the first start to the last end.
 */
#include "tests/bench/client.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct worker {
	uint64_t ops, len, begin_ns, end_ns;
	int err;	  /* positive errno, or 0 */
	const char *what; /* a literal: forked processes see it at the same place */
	struct hist hist;
};

struct shared {
	_Atomic uint32_t ready;
	_Atomic uint32_t go;
	struct worker workers[WORKERS_MAX];
};

void *shared_new(size_t len)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	if (mem == MAP_FAILED)
		die(errno, "mmap", "");
	memset(mem, 0, len);
	return mem;
}

void die(int err, const char *what, const char *path)
{
	const char *name = strerrorname_np(err);

	printf("{\"error\":\"%s\",\"what\":\"%s", name ? name : "?", what);
	for (const char *p = path; *p; p++) {
		if (*p == '"' || *p == '\\')
			putchar('\\');
		putchar(*p);
	}
	printf("\"}\n");
	fflush(stdout);
	_exit(2);
}

void die_with_parent(void)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		_exit(2);
}

void hist_print(const struct hist *hist)
{
	const char *sep = "";

	printf(",\"max_ns\":%lu,\"hist\":[", hist->max_ns);
	for (uint32_t i = 0; i < HIST_CNT; i++) {
		uint32_t octave = i >> HIST_SUB_BITS;
		uint64_t ns = i;

		if (hist->bucket[i] == 0)
			continue;
		if (octave > 1) {
			uint32_t shift = octave - 1;

			ns = (uint64_t)((1u << HIST_SUB_BITS) + (i & ((1u << HIST_SUB_BITS) - 1)))
			     << shift;
			ns += (1ull << shift) / 2;
		}
		printf("%s[%lu,%u]", sep, ns, hist->bucket[i]);
		sep = ",";
	}
	printf("]");
}

/* The path with "{}" replaced by a number; the caller's buffer is PATH_MAX bytes. */
static void path_of(const char *pattern, uint32_t number, char *ret_path)
{
	const char *mark = strstr(pattern, "{}");
	int n;

	if (mark)
		n = snprintf(ret_path, 4096, "%.*s%u%s", (int)(mark - pattern), pattern, number,
			     mark + 2);
	else
		n = snprintf(ret_path, 4096, "%s", pattern);
	if (n < 0 || n >= 4096)
		die(ENAMETOOLONG, "path ", pattern);
}

/* A page-aligned buffer of as many whole lines as fit into size bytes; at least one. */
static char *lines_new(const struct opts *opts, size_t *ret_len)
{
	static const char head[] = "{\"value\":\"", tail[] = "\"}";
	size_t extra = opts->json ? sizeof(head) - 1 + sizeof(tail) - 1 : 0;
	size_t line_len = opts->line_len + extra;
	size_t cnt = opts->size > line_len ? opts->size / line_len : 1;
	char *buf = aligned_alloc(4096, (cnt * line_len + 4095) / 4096 * 4096);

	if (!buf)
		die(ENOMEM, "buffer", "");
	if (opts->text) {
		*ret_len = (size_t)snprintf(buf, line_len, "%s\n", opts->text);
		if (*ret_len >= line_len)
			die(EMSGSIZE, "--text ", opts->text);
		return buf;
	}
	for (size_t i = 0; i < cnt; i++) {
		char *line = buf + i * line_len;

		memset(line, 'a' + (int)(i % 26), line_len - 1);
		if (opts->json) {
			memcpy(line, head, sizeof(head) - 1);
			memcpy(line + line_len - sizeof(tail), tail, sizeof(tail) - 1);
		}
		line[line_len - 1] = '\n';
	}
	*ret_len = cnt * line_len;
	return buf;
}

static void worker_fail(struct worker *worker, int err, const char *what)
{
	worker->err = err;
	worker->what = what;
}

static void wait_go(struct shared *shared)
{
	atomic_fetch_add(&shared->ready, 1);
	while (!atomic_load(&shared->go))
		sleep_us(100);
}

static void write_loop(const struct opts *opts, struct worker *worker, int fd, const char *buf,
		       size_t len)
{
	uint64_t end_ns, t, ops_max = UINT64_MAX;

	if (opts->total_len)
		ops_max = (opts->total_len / opts->writers + len - 1) / len;
	else if (opts->cnt)
		ops_max = (opts->cnt + opts->writers - 1) / opts->writers;
	t = worker->begin_ns = now_ns();
	end_ns = ops_max == UINT64_MAX ? t + (uint64_t)(opts->seconds * 1e9) : UINT64_MAX;
	while (worker->ops < ops_max && t < end_ns) {
		ssize_t n = write(fd, buf, len);
		uint64_t t_end;

		if (n != (ssize_t)len) {
			worker_fail(worker, n < 0 ? errno : EIO, "write ");
			break;
		}
		if (opts->do_fsync && fdatasync(fd) < 0) {
			worker_fail(worker, errno, "fsync ");
			break;
		}
		t_end = now_ns();
		hist_put(&worker->hist, t_end - t);
		t = t_end;
		worker->ops++;
		worker->len += len;
	}
	worker->end_ns = t;
}

/* What the first write to a file costs is not a rate: its bytes count, its time does not. */
static void write_first(const struct opts *opts, struct worker *worker, int fd, const char *buf,
			size_t len)
{
	ssize_t n = write(fd, buf, len);

	if (n != (ssize_t)len)
		worker_fail(worker, n < 0 ? errno : EIO, "write ");
	else if (opts->do_fsync && fdatasync(fd) < 0)
		worker_fail(worker, errno, "fsync ");
	else
		worker->len += len;
}

static void writer_main(const struct opts *opts, struct shared *shared, uint32_t idx)
{
	struct worker *worker = &shared->workers[idx];
	char path[4096];
	size_t len;
	char *buf = lines_new(opts, &len);
	int fd;

	path_of(opts->path, idx % opts->files, path);
	fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		worker_fail(worker, errno, "open ");
	if (fd >= 0 && opts->warm)
		write_first(opts, worker, fd, buf, len);
	wait_go(shared);
	if (fd < 0)
		return;
	write_loop(opts, worker, fd, buf, len);
	if (close(fd) < 0 && !worker->err)
		worker_fail(worker, errno, "close ");
	free(buf);
}

/* Reads a file again and again beside the writers until it is killed. */
static _Noreturn void poller_main(const struct opts *opts)
{
	char buf[65536];

	die_with_parent();
	for (;;) {
		int fd = open(opts->poll_path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			_exit(2);
		while (read(fd, buf, sizeof(buf)) > 0)
			;
		close(fd);
		sleep_us(opts->poll_ms * 1000);
	}
}

/* Total size of the files written to, or -1 where one has none. */
static int64_t files_size(const struct opts *opts)
{
	int64_t sum = 0;

	for (uint32_t i = 0; i < opts->files; i++) {
		char path[4096];
		struct stat st;

		path_of(opts->path, i, path);
		if (stat(path, &st) < 0)
			return -1;
		sum += st.st_size;
	}
	return sum;
}

static void hist_add(struct hist *sum, const struct hist *hist)
{
	sum->cnt += hist->cnt;
	if (hist->max_ns > sum->max_ns)
		sum->max_ns = hist->max_ns;
	for (uint32_t i = 0; i < HIST_CNT; i++)
		sum->bucket[i] += hist->bucket[i];
}

/* `grew` says how many bytes longer the files are: what was written, if the file system is honest.
 */
static void write_report(const struct opts *opts, struct shared *shared, int64_t size_before)
{
	static struct worker sum;
	int64_t size_after = files_size(opts);

	sum.begin_ns = UINT64_MAX;
	for (uint32_t i = 0; i < opts->writers; i++) {
		const struct worker *worker = &shared->workers[i];

		if (worker->err)
			die(worker->err, worker->what, opts->path);
		sum.ops += worker->ops;
		sum.len += worker->len;
		if (worker->begin_ns < sum.begin_ns)
			sum.begin_ns = worker->begin_ns;
		if (worker->end_ns > sum.end_ns)
			sum.end_ns = worker->end_ns;
		hist_add(&sum.hist, &worker->hist);
	}
	printf("{\"ops\":%lu,\"bytes\":%lu,\"seconds\":%.9f,\"grew\":%ld", sum.ops, sum.len,
	       (double)(sum.end_ns - sum.begin_ns) / 1e9, size_after - size_before);
	hist_print(&sum.hist);
	printf("}\n");
}

static void run_write(const struct opts *opts)
{
	struct shared *shared = shared_new(sizeof(*shared));
	int64_t size_before = files_size(opts);
	pid_t poller = -1, pid;
	int status;

	if (opts->poll_path && access(opts->poll_path, R_OK) < 0)
		die(errno, "read ", opts->poll_path);
	fflush(stdout);
	for (uint32_t i = 0; i < opts->writers; i++) {
		pid = fork();
		if (pid < 0)
			die(errno, "fork", "");
		if (pid == 0) {
			die_with_parent();
			writer_main(opts, shared, i);
			_exit(0);
		}
	}
	if (opts->poll_path) {
		poller = fork();
		if (poller < 0)
			die(errno, "fork", "");
		if (poller == 0)
			poller_main(opts);
	}
	while (atomic_load(&shared->ready) < opts->writers)
		sleep_us(100);
	atomic_store(&shared->go, 1);
	for (uint32_t i = 0; i < opts->writers;) {
		pid = wait(&status);
		if (pid < 0)
			die(errno, "wait", "");
		if (pid == poller)
			die(ECHILD, "read ", opts->poll_path);
		if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
			die(ECHILD, "a writer died", "");
		i++;
	}
	if (poller > 0) {
		kill(poller, SIGKILL);
		waitpid(poller, NULL, 0);
	}
	write_report(opts, shared, size_before);
}

/* Reads the file from its beginning by opts->size, again and again until the time is over. */
static void run_read(const struct opts *opts)
{
	char *buf = aligned_alloc(4096, opts->size);
	uint64_t len = 0, ops = 0, passes = 0, begin_ns, end_ns;
	uint64_t pass_max = opts->total_len ? opts->total_len : UINT64_MAX;

	if (!buf)
		die(ENOMEM, "buffer", "");
	memset(buf, 0, opts->size);
	begin_ns = end_ns = now_ns();
	do {
		uint64_t pass_len = 0;
		int fd = open(opts->path, O_RDONLY | O_CLOEXEC);

		if (fd < 0)
			die(errno, "open ", opts->path);
		while (pass_len < pass_max) {
			ssize_t n = read(fd, buf, opts->size);

			if (n < 0)
				die(errno, "read ", opts->path);
			if (n == 0)
				break;
			pass_len += (uint64_t)n;
			ops++;
		}
		close(fd);
		if (pass_len == 0)
			die(ENODATA, "read ", opts->path);
		len += pass_len;
		passes++;
		end_ns = now_ns();
	} while ((double)(end_ns - begin_ns) < opts->seconds * 1e9);
	printf("{\"ops\":%lu,\"bytes\":%lu,\"passes\":%lu,\"seconds\":%.9f}\n", ops, len, passes,
	       (double)(end_ns - begin_ns) / 1e9);
	free(buf);
}

/* Time from open to the first bytes, at offsets spread over [from_off, to_off). */
static void run_first(const struct opts *opts)
{
	struct hist *hist = shared_new(sizeof(*hist));
	char *buf = aligned_alloc(4096, opts->size);
	uint64_t cnt = opts->cnt ? opts->cnt : 200;

	if (!buf || opts->to_off <= opts->from_off)
		die(EINVAL, "first", "");
	for (uint64_t i = 0; i < cnt; i++) {
		uint64_t off = opts->from_off + i * 2654435761u % (opts->to_off - opts->from_off);
		char path[4096];
		uint64_t t;
		ssize_t n;
		int fd;

		if (snprintf(path, sizeof(path), opts->suffix ? "%s@%lu" : "%s", opts->path, off) >=
		    (int)sizeof(path))
			die(ENAMETOOLONG, "path ", opts->path);
		t = now_ns();
		fd = open(path, O_RDONLY | O_CLOEXEC);
		if (fd < 0)
			die(errno, "open ", path);
		if (opts->suffix)
			n = read(fd, buf, opts->size);
		else
			n = pread(fd, buf, opts->size, (off_t)(off * opts->line_len));
		t = now_ns() - t;
		if (n <= 0)
			die(n < 0 ? errno : ENODATA, "read ", path);
		hist_put(hist, t);
		close(fd);
	}
	printf("{\"ops\":%lu", cnt);
	hist_print(hist);
	printf("}\n");
	free(buf);
}

static _Noreturn void usage(void)
{
	fprintf(stderr,
		"usage: client WORKLOAD --path PATH [OPTION…]\n"
		"  append    write lines (--writers N --files N --line LEN --json --fsync\n"
		"            --seconds T | --count N | --bytes N; --size LEN packs lines "
		"into a write;\n"
		"            --warm: each has written once before the time begins;\n"
		"            --text LINE: each line is this;\n"
		"            --poll FILE --poll-ms N reads a file beside it); {} in PATH "
		"is the file's number\n"
		"  read      read a file by --size, again and again for --seconds; --bytes "
		"ends a pass\n"
		"  first     open and read once, --count times, at offsets --from to --to "
		"(--suffix: PATH@N)\n"
		"  wake      one record at a time from --path to a reader of --read-path "
		"(--same: the\n"
		"            writer reads it itself), --gap-us apart\n"
		"  wakemany  one record to --readers waiting readers, --count rounds\n"
		"  handover  of two members (--read-path) of the topic --path one is killed, "
		"--count times\n"
		"  rebalance --readers members join through --path, topic --read-path, "
		"--count times\n"
		"  start     run the program after --, until the first append works "
		"(--mkdir DIR --log FILE)\n");
	exit(1);
}

enum opt_kind { OPT_STR, OPT_U32, OPT_U64, OPT_SECONDS, OPT_FLAG };

struct opt_desc {
	const char *name;
	enum opt_kind kind;
	size_t field;
};

#define FIELD(member) offsetof(struct opts, member)

static const struct opt_desc opt_descs[] = {
	{ "path", OPT_STR, FIELD(path) },	    { "read-path", OPT_STR, FIELD(read_path) },
	{ "poll", OPT_STR, FIELD(poll_path) },	    { "mkdir", OPT_STR, FIELD(mkdir_path) },
	{ "text", OPT_STR, FIELD(text) },	    { "log", OPT_STR, FIELD(log_path) },
	{ "seconds", OPT_SECONDS, FIELD(seconds) }, { "bytes", OPT_U64, FIELD(total_len) },
	{ "count", OPT_U64, FIELD(cnt) },	    { "from", OPT_U64, FIELD(from_off) },
	{ "to", OPT_U64, FIELD(to_off) },	    { "writers", OPT_U32, FIELD(writers) },
	{ "files", OPT_U32, FIELD(files) },	    { "readers", OPT_U32, FIELD(readers) },
	{ "size", OPT_U64, FIELD(size) },	    { "line", OPT_U64, FIELD(line_len) },
	{ "poll-ms", OPT_U32, FIELD(poll_ms) },	    { "gap-us", OPT_U32, FIELD(gap_us) },
	{ "json", OPT_FLAG, FIELD(json) },	    { "fsync", OPT_FLAG, FIELD(do_fsync) },
	{ "same", OPT_FLAG, FIELD(same) },	    { "suffix", OPT_FLAG, FIELD(suffix) },
	{ "warm", OPT_FLAG, FIELD(warm) },
};

enum { OPT_CNT = sizeof(opt_descs) / sizeof(opt_descs[0]) };

static_assert(sizeof(size_t) == sizeof(uint64_t), "OPT_U64 also fills sizes");

static void opt_put(struct opts *opts, const struct opt_desc *desc, char *arg)
{
	void *field = (char *)opts + desc->field;
	char *end = arg;

	switch (desc->kind) {
	case OPT_STR:
		*(const char **)field = arg;
		return;
	case OPT_FLAG:
		*(bool *)field = true;
		return;
	case OPT_U32:
		*(uint32_t *)field = (uint32_t)strtoul(arg, &end, 10);
		break;
	case OPT_U64:
		*(uint64_t *)field = strtoull(arg, &end, 10);
		break;
	case OPT_SECONDS:
		*(double *)field = strtod(arg, &end);
		break;
	}
	if (end == arg || *end != '\0')
		usage();
}

static void opts_parse(int argc, char **argv, struct opts *opts)
{
	struct option long_opts[OPT_CNT + 1] = { 0 };
	int opt;

	for (int i = 0; i < OPT_CNT; i++)
		long_opts[i] = (struct option){
			.name = opt_descs[i].name,
			.has_arg = opt_descs[i].kind == OPT_FLAG ? no_argument : required_argument,
			.val = i + 1,
		};
	while ((opt = getopt_long(argc, argv, "+", long_opts, NULL)) != -1) {
		if (opt < 1 || opt > OPT_CNT)
			usage();
		opt_put(opts, &opt_descs[opt - 1], optarg);
	}
	opts->argv = argv + optind;
	if (!opts->path || opts->writers < 1 || opts->writers > WORKERS_MAX || opts->files < 1 ||
	    opts->line_len < 32)
		usage();
}

struct workload {
	const char *name;
	void (*run)(const struct opts *opts);
	size_t size; /* the default of --size */
};

static const struct workload workloads[] = {
	{ "append", run_write, 1 },	    { "read", run_read, 128 << 10 },
	{ "first", run_first, 4096 },	    { "wake", run_wake, 4096 },
	{ "wakemany", run_wakemany, 4096 }, { "start", run_start, 1 },
	{ "handover", run_handover, 4096 }, { "rebalance", run_rebalance, 4096 },
};

int main(int argc, char **argv)
{
	struct opts opts = { .seconds = 1,
			     .writers = 1,
			     .files = 1,
			     .readers = 1000,
			     .line_len = 100,
			     .poll_ms = 100,
			     .gap_us = 200 };

	if (argc < 2)
		usage();
	for (size_t i = 0; i < sizeof(workloads) / sizeof(workloads[0]); i++) {
		if (strcmp(workloads[i].name, argv[1]) != 0)
			continue;
		opts.size = workloads[i].size;
		opts_parse(argc - 1, argv + 1, &opts);
		workloads[i].run(&opts);
		if (fflush(stdout) == EOF)
			return 1;
		return 0;
	}
	usage();
}

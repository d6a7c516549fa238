/*
 * The client's workloads about consumer groups: a member dies, and a hundred join.
 */
#include "tests/bench/client.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LIMIT_US = 5000000, /* a change later than this is a fault, not a figure */
	LOOK_US = 20,
	PARTS = 2, /* of `handover` */
	MEMBERS = 2,
	LINE_LEN = 32,
};

/* What the consumers tell: the newest record of each partition, who got it, and when. */
struct seen {
	_Atomic uint64_t seq, ns;
	_Atomic uint32_t who;
};

struct handover {
	struct seen parts[PARTS];
	_Atomic int err;
	struct hist hist;
};

static int open_or_die(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	if (fd < 0)
		die(errno, "open ", path);
	return fd;
}

/* Lines "PARTITION SEQ", padded. */
static void consume(struct handover *h, uint32_t who, const char *buf, size_t len)
{
	uint64_t t = now_ns();

	for (size_t pos = 0; pos + LINE_LEN <= len; pos += LINE_LEN) {
		uint32_t part = (uint32_t)(buf[pos] - '0');
		uint64_t seq = strtoull(buf + pos + 2, NULL, 10);

		if (part >= PARTS || seq <= atomic_load(&h->parts[part].seq))
			continue; /* it was another's before, and not committed */
		atomic_store(&h->parts[part].ns, t);
		atomic_store(&h->parts[part].who, who);
		atomic_store(&h->parts[part].seq, seq);
	}
}

static pid_t consumer_new(const struct opts *opts, struct handover *h, uint32_t who)
{
	static char buf[64 << 10];
	pid_t pid;
	int fd;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		die(errno, "fork", "");
	if (pid)
		return pid;
	die_with_parent();
	fd = open(opts->read_path, O_RDONLY | O_CLOEXEC);
	for (;;) {
		ssize_t n = fd < 0 ? -1 : read(fd, buf, sizeof(buf));

		if (n <= 0) {
			atomic_store(&h->err, n < 0 ? errno : ENODATA);
			_exit(2);
		}
		consume(h, who, buf, (size_t)n);
	}
}

/* Writes a record to a partition. */
static void produce(const struct opts *opts, int fd, uint32_t part, uint64_t seq)
{
	char line[LINE_LEN + 1];

	snprintf(line, sizeof(line), "%u %-29lu", part, seq);
	line[LINE_LEN - 1] = '\n';
	if (write(fd, line, LINE_LEN) != LINE_LEN)
		die(errno, "write ", opts->path);
}

/* Until a consumer has got that record; returns who. */
static uint32_t wait_seen(const struct opts *opts, struct handover *h, uint32_t part, uint64_t seq)
{
	uint64_t until = now_ns() + LIMIT_US * 1000ull;

	while (atomic_load(&h->parts[part].seq) < seq) {
		if (atomic_load(&h->err))
			die(atomic_load(&h->err), "read ", opts->read_path);
		if (now_ns() > until)
			die(ETIMEDOUT, "read ", opts->read_path);
		sleep_us(LOOK_US);
	}
	return atomic_load(&h->parts[part].who);
}

/*
 * Two members share two partitions. One is killed, a record is written to what it held, and the
 * time counts until the other has that record. Then another member is started.
 */
void run_handover(const struct opts *opts)
{
	struct handover *h = shared_new(sizeof(*h));
	uint64_t cnt = opts->cnt ? opts->cnt : 100, seq = 0;
	pid_t pids[MEMBERS];
	int fds[PARTS];

	for (uint32_t part = 0; part < PARTS; part++) {
		char path[4096];

		if (snprintf(path, sizeof(path), "%s/%u", opts->path, part) >= (int)sizeof(path))
			die(ENAMETOOLONG, "path ", opts->path);
		fds[part] = open_or_die(path, O_WRONLY);
	}
	for (uint32_t who = 0; who < MEMBERS; who++)
		pids[who] = consumer_new(opts, h, who);
	for (uint64_t i = 0; i < cnt; i++) {
		uint32_t who[PARTS];
		uint64_t t;

		do { /* until each has one */
			seq++;
			for (uint32_t part = 0; part < PARTS; part++) {
				produce(opts, fds[part], part, seq);
				who[part] = wait_seen(opts, h, part, seq);
			}
		} while (who[0] == who[1]);
		t = now_ns();
		kill(pids[who[i % PARTS]], SIGKILL);
		seq++;
		produce(opts, fds[i % PARTS], (uint32_t)(i % PARTS), seq);
		wait_seen(opts, h, (uint32_t)(i % PARTS), seq);
		hist_put(&h->hist, atomic_load(&h->parts[i % PARTS].ns) - t);
		waitpid(pids[who[i % PARTS]], NULL, 0);
		pids[who[i % PARTS]] = consumer_new(opts, h, who[i % PARTS]);
	}
	for (uint32_t i = 0; i < MEMBERS; i++) {
		kill(pids[i], SIGKILL);
		waitpid(pids[i], NULL, 0);
	}
	printf("{\"ops\":%lu", cnt);
	hist_print(&h->hist);
	printf("}\n");
}

/* How many partitions the newest line of a member names; -1: there is no new line. */
static int read_lines(const struct opts *opts, int fd)
{
	char buf[4096];
	int parts = -1;

	for (;;) {
		ssize_t n = read(fd, buf, sizeof(buf) - 1);
		char *at;

		if (n < 0 && errno == EAGAIN)
			return parts;
		if (n <= 0)
			die(n < 0 ? errno : ENODATA, "read ", opts->path);
		buf[n] = 0;
		at = strstr(buf, "\"partitions\":[");
		parts = at ? 1 : 0;
		for (; at && *at != ']'; at++)
			parts += *at == ',';
	}
}

static void join_all(const struct opts *opts, struct pollfd *fds, uint32_t cnt)
{
	char request[512];
	int len = snprintf(request, sizeof(request), "topics=%s\n", opts->read_path);

	for (uint32_t i = 0; i < cnt; i++) {
		fds[i] = (struct pollfd){ .fd = open_or_die(opts->path, O_RDWR | O_NONBLOCK),
					  .events = POLLIN };
		if (write(fds[i].fd, request, (size_t)len) != len)
			die(errno, "write ", opts->path);
	}
}

/* Members join one after the other; the time counts from the first until each holds as many
 * partitions as the others: one. */
static uint64_t rebalance_once(const struct opts *opts, struct pollfd *fds, int *parts)
{
	uint32_t cnt = opts->readers, settled = 0;
	uint64_t t = now_ns();

	join_all(opts, fds, cnt);
	for (uint32_t i = 0; i < cnt; i++)
		parts[i] = -1;
	while (settled < cnt) {
		if (poll(fds, cnt, LIMIT_US / 1000) <= 0)
			die(ETIMEDOUT, "poll ", opts->path);
		settled = 0;
		for (uint32_t i = 0; i < cnt; i++) {
			int now = fds[i].revents ? read_lines(opts, fds[i].fd) : -1;

			parts[i] = now < 0 ? parts[i] : now;
			settled += parts[i] == 1;
		}
	}
	t = now_ns() - t;
	for (uint32_t i = 0; i < cnt; i++)
		close(fds[i].fd);
	return t;
}

void run_rebalance(const struct opts *opts)
{
	struct hist *hist = shared_new(sizeof(*hist));
	struct pollfd *fds = calloc(opts->readers, sizeof(*fds));
	int *parts = calloc(opts->readers, sizeof(*parts));
	uint64_t cnt = opts->cnt ? opts->cnt : 20;

	if (!fds || !parts)
		die(ENOMEM, "members", "");
	for (uint64_t i = 0; i < cnt; i++)
		hist_put(hist, rebalance_once(opts, fds, parts));
	printf("{\"ops\":%lu", cnt);
	hist_print(hist);
	printf("}\n");
	free(parts);
	free(fds);
}

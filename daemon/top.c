/*
 * topicfs top: a plain client of a mount. It reads metrics and topics/TOPIC/status, and shows
 * rates.
 *
 * A mount whose broker hangs must not hold the terminal: a thread reads, and the main thread waits
 * for it and for signals. Whoever waits in a FUSE request is only ended by the end of its process,
 * which is what Ctrl-C then does.
 */
#include "daemon/base/buf.h"
#include "daemon/base/limits.h"
#include "daemon/commands.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <time.h>
#include <unistd.h>

/* A picture that takes longer says that the mount hangs. */
#define ANSWER_MS 10000
/* Topics whose status is read, and that are shown where there is no window. */
#define ROW_MAX 200U
#define METRICS_MAX (64U * MIB)
/* Head, blank line and column titles. */
#define HEAD_LINES 4U

enum value { RECORDS_IN, BYTES_IN, RECORDS_OUT, BYTES_OUT, RETAINED, SEGMENTS, VALUE_CNT };

static const char *const VALUE_NAMES[VALUE_CNT] = {
	[RECORDS_IN] = "topicfs_topic_records_in_total",
	[BYTES_IN] = "topicfs_topic_in_bytes_total",
	[RECORDS_OUT] = "topicfs_topic_records_out_total",
	[BYTES_OUT] = "topicfs_topic_out_bytes_total",
	[RETAINED] = "topicfs_topic_retained_bytes",
	[SEGMENTS] = "topicfs_topic_segments",
};

enum total {
	PARKED,
	FILES,
	FREE,
	RESERVE,
	FULL,
	JOURNAL,
	JOURNAL_USED,
	STARTED,
	DAMAGE,
	TOTAL_CNT
};

static const char *const TOTAL_NAMES[TOTAL_CNT] = {
	[PARKED] = "topicfs_requests_parked",
	[FILES] = "topicfs_files_open",
	[FREE] = "topicfs_disk_free_bytes",
	[RESERVE] = "topicfs_disk_reserve_bytes",
	[FULL] = "topicfs_disk_full",
	[JOURNAL] = "topicfs_journal_bytes",
	[JOURNAL_USED] = "topicfs_journal_used_bytes",
	[STARTED] = "topicfs_start_timestamp_seconds",
	[DAMAGE] = "topicfs_damage_total",
};

struct row {
	char name[TOPIC_NAME_MAX + 1];
	double now[VALUE_CNT], before[VALUE_CNT];
	bool seen, is_new;
	double records; /* retained; from status, as the next two */
	unsigned partitions, out_of_sync;
};

struct rank {
	double key;
	struct row *row;
};

struct top {
	char mount[4096];
	uint32_t interval_ms;
	struct row *rows; /* owned */
	size_t cnt, cap;
	struct rank *ranks; /* owned; cnt of them */
	bool is_first;	    /* nothing was read before */
	double totals[TOTAL_CNT];
	int64_t at_ms, before_ms;
	size_t shown; /* rows that fit into the window */
	int done_fd;  /* the thread's word to the main one */
	int err;      /* what came of reading */
	const char *failed;
	struct buf text;
};

static int64_t mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

/* ---- Finding the mount ---- */

/* mountinfo writes blanks as \040. */
static void unescape(char *s)
{
	char *to = s;

	for (; *s; s++) {
		if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] && s[3]) {
			*to++ = (char)((s[1] - '0') * 64 + (s[2] - '0') * 8 + (s[3] - '0'));
			s += 3;
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
}

static int find_mount(char *ret, size_t len)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL, point[4096];
	size_t cap = 0;
	unsigned found = 0;

	if (!f) {
		fprintf(stderr, "topicfs: /proc/self/mountinfo: %s\n", strerror(errno));
		return -EIO;
	}
	while (getline(&line, &cap, f) > 0) {
		if (!strstr(line, " - fuse.topicfs ") ||
		    sscanf(line, "%*s %*s %*s %*s %4095s", point) != 1)
			continue;
		unescape(point);
		if (!found++ || strcmp(ret, point) != 0)
			snprintf(ret, len, "%s", point);
		else
			found--;
	}
	free(line);
	fclose(f);
	if (found == 1)
		return 0;
	if (found)
		fprintf(stderr, "topicfs: %u topicfs mounts are here: say which, with --mount\n",
			found);
	else
		fprintf(stderr, "topicfs: no topicfs is mounted here\n");
	return -ENOENT;
}

/* ---- Reading ---- */

static int read_text(struct top *t, const char *name)
{
	char path[sizeof(t->mount) + TOPIC_NAME_MAX + 32];
	int fd, r = 0;

	snprintf(path, sizeof(path), "%s/%s", t->mount, name);
	buf_reset(&t->text);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while (!r) {
		ssize_t n;

		r = buf_reserve(&t->text, 64 * KIB);
		n = r ? 0 : read(fd, t->text.data + t->text.len, 64 * KIB - 1);
		if (n < 0)
			r = -errno;
		if (n <= 0)
			break;
		t->text.len += (size_t)n;
		if (t->text.len > METRICS_MAX)
			r = -EFBIG;
	}
	if (close(fd) && !r)
		r = -errno;
	if (!r)
		buf_put_u8(&t->text, 0);
	return r ? r : buf_err(&t->text);
}

static struct row *row_get(struct top *t, const char *name, bool is_new)
{
	for (size_t i = 0; i < t->cnt && !is_new; i++)
		if (!strcmp(t->rows[i].name, name))
			return &t->rows[i];
	if (t->cnt == t->cap) {
		size_t cap = t->cap ? t->cap * 2 : 32;
		struct row *rows = realloc(t->rows, cap * sizeof(*rows));

		if (!rows)
			return NULL;
		t->rows = rows;
		t->cap = cap;
	}
	t->rows[t->cnt] = (struct row){ .is_new = true };
	snprintf(t->rows[t->cnt].name, sizeof(t->rows[t->cnt].name), "%s", name);
	return &t->rows[t->cnt++];
}

/* One line of metrics. Lines of one family come topic after topic, so the row is near the hint. */
static int take_line(struct top *t, const char *line, size_t *hint)
{
	char name[128], topic[TOPIC_NAME_MAX + 1];
	struct row *row = NULL;
	double value;

	if (sscanf(line, "%127[a-z_]{topic=\"%249[^\"]\"} %lf", name, topic, &value) == 3) {
		if (*hint < t->cnt && !strcmp(t->rows[*hint].name, topic))
			row = &t->rows[*hint];
		else
			row = row_get(t, topic, t->is_first && !strcmp(name, VALUE_NAMES[0]));
		if (!row)
			return -ENOMEM;
		*hint = (size_t)(row - t->rows) + 1;
		row->seen = true;
		for (unsigned i = 0; i < VALUE_CNT; i++)
			if (!strcmp(name, VALUE_NAMES[i]))
				row->now[i] = value;
	} else if (sscanf(line, "%127[a-z_] %lf", name, &value) == 2) {
		for (unsigned i = 0; i < TOTAL_CNT; i++)
			if (!strcmp(name, TOTAL_NAMES[i]))
				t->totals[i] = value;
	}
	return 0;
}

static int read_metrics(struct top *t)
{
	int r = read_text(t, "metrics");
	char *line = (char *)t->text.data, *end;
	size_t hint = 0, to = 0;

	if (r)
		return r;
	for (size_t i = 0; i < t->cnt; i++) {
		memcpy(t->rows[i].before, t->rows[i].now, sizeof(t->rows[i].now));
		t->rows[i].seen = t->rows[i].is_new = false;
	}
	for (; !r && (end = strchr(line, '\n')); line = end + 1) {
		*end = '\0';
		r = take_line(t, line, &hint);
	}
	/* Topics that are gone. */
	for (size_t i = 0; i < t->cnt; i++)
		if (t->rows[i].seen)
			t->rows[to++] = t->rows[i];
	t->cnt = to;
	t->is_first = false;
	return r;
}

static double rate(const struct top *t, const struct row *row, enum value v)
{
	double ms = (double)MAX(1, t->at_ms - t->before_ms);
	/* The broker was started again: it counts from zero. */
	double was = row->before[v] > row->now[v] ? 0 : row->before[v];

	return row->is_new ? 0 : (row->now[v] - was) * 1000 / ms;
}

/* Rows keep the order of the metrics, so that a line's row is found at once; ranks are the order in
 * which they are shown. */
static int rank_cmp(const void *a, const void *b)
{
	const struct rank *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? 1 : -1;
	return strcmp(x->row->name, y->row->name);
}

static int rank_rows(struct top *t)
{
	struct rank *ranks = realloc(t->ranks, MAX(1, t->cnt) * sizeof(*ranks));

	if (!ranks)
		return -ENOMEM;
	t->ranks = ranks;
	for (size_t i = 0; i < t->cnt; i++) {
		struct row *row = &t->rows[i];

		ranks[i] = (struct rank){ rate(t, row, BYTES_IN) + rate(t, row, BYTES_OUT), row };
	}
	qsort(ranks, t->cnt, sizeof(*ranks), rank_cmp);
	return 0;
}

static unsigned list_len(const char *list)
{
	size_t len = strcspn(list, " \n");
	unsigned cnt = len > 0;

	for (size_t i = 0; i < len; i++)
		cnt += list[i] == ',';
	return cnt;
}

/* A topic that went away meanwhile is no error. */
static int read_status(struct top *t, struct row *row)
{
	char name[TOPIC_NAME_MAX + 32];
	char *line, *end;
	int r;

	snprintf(name, sizeof(name), "topics/%s/status", row->name);
	r = read_text(t, name);
	if (r)
		return r == -ENOENT || r == -EACCES || r == -ESTALE ? 0 : r;
	row->records = 0;
	row->partitions = row->out_of_sync = 0;
	for (line = (char *)t->text.data; (end = strchr(line, '\n')); line = end + 1) {
		const char *first = strstr(line, " start="), *last = strstr(line, " end=");
		const char *all = strstr(line, " replicas="), *in_sync = strstr(line, " isr=");

		if (!first || !last || !all || !in_sync)
			break;
		row->records += strtod(last + 5, NULL) - strtod(first + 7, NULL);
		row->partitions++;
		row->out_of_sync += list_len(in_sync + 5) < list_len(all + 10);
	}
	return 0;
}

/* What the thread does for one picture. */
static void *take_picture(void *arg)
{
	struct top *t = arg;
	const uint64_t one = 1;

	t->failed = "metrics";
	t->before_ms = t->at_ms;
	t->at_ms = mono_ms();
	t->err = read_metrics(t);
	if (!t->err)
		t->err = rank_rows(t);
	for (size_t i = 0; i < t->cnt && i < MIN(t->shown, ROW_MAX) && !t->err; i++) {
		t->failed = "status";
		t->err = read_status(t, t->ranks[i].row);
	}
	if (write(t->done_fd, &one, sizeof(one)) != sizeof(one))
		t->err = t->err ? t->err : -EIO;
	return NULL;
}

/* ---- Showing ---- */

static const char *human(double v, char ret[16])
{
	static const char UNITS[] = " kMGTPE";
	unsigned u = 0;

	while (v >= 999.5 && u < sizeof(UNITS) - 2) {
		v /= 1000;
		u++;
	}
	snprintf(ret, 16, u && v < 9.95 ? "%.1f%c" : "%.0f%c", v, u ? UNITS[u] : '\0');
	return ret;
}

struct screen {
	bool is_tty;
	unsigned width, height;
	unsigned lines; /* that the last picture took */
};

static void screen_measure(struct screen *s)
{
	struct winsize w;

	if (!s->is_tty || ioctl(STDOUT_FILENO, TIOCGWINSZ, &w) || !w.ws_col || !w.ws_row) {
		s->width = 0;
		s->height = s->is_tty ? 24 : ROW_MAX + HEAD_LINES;
	} else {
		s->width = w.ws_col;
		s->height = w.ws_row;
	}
}

/* One line, cut to the window, in place of what stood there. */
static void put_line(struct screen *s, const char *fmt, ...)
{
	char line[1024];
	va_list args;

	va_start(args, fmt);
	vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (s->width && s->width < sizeof(line))
		line[s->width] = '\0';
	printf("%s%s\n", line, s->is_tty ? "\033[K" : "");
	s->lines++;
}

static void show_head(const struct top *t, struct screen *s)
{
	char a[16], b[16], c[16], d[16], now[16];
	double in = 0, out = 0;
	time_t clock = time(NULL);
	struct tm tm;

	for (size_t i = 0; i < t->cnt; i++) {
		in += rate(t, &t->rows[i], BYTES_IN);
		out += rate(t, &t->rows[i], BYTES_OUT);
	}
	strftime(now, sizeof(now), "%H:%M:%S", localtime_r(&clock, &tm));
	put_line(s, "%s %s: %zu topics, in %sB/s, out %sB/s, %.0f waiting, %.0f files open", now,
		 t->mount, t->cnt, human(in, a), human(out, b), t->totals[PARKED],
		 t->totals[FILES]);
	put_line(s, "disk %sB free (reserve %sB)%s, journal %sB of %sB%s",
		 human(t->totals[FREE], a), human(t->totals[RESERVE], b),
		 t->totals[FULL] > 0 ? ", FULL: writes are refused" : "",
		 human(t->totals[JOURNAL_USED], c), human(t->totals[JOURNAL], d),
		 t->totals[DAMAGE] > 0 ? ", DAMAGE: topicfs verify says where" : "");
	put_line(s, "%s", "");
	put_line(s, "%-24s %5s %8s %8s %8s %8s %8s %8s %s", "TOPIC", "PARTS", "IN/s", "IN B/s",
		 "OUT B/s", "RECORDS", "SIZE B", "SEGMENTS", "OUT OF SYNC");
}

static void show(const struct top *t, struct screen *s)
{
	unsigned before = s->lines;
	size_t rows =
		MIN(t->cnt, (size_t)(s->height > HEAD_LINES + 1 ? s->height - HEAD_LINES - 1 : 1));

	/* Up to where the last picture began. */
	if (s->is_tty && before)
		printf("\033[%uA\r", before);
	s->lines = 0;
	show_head(t, s);
	for (size_t i = 0; i < rows; i++) {
		const struct row *r = t->ranks[i].row;
		char a[16], b[16], c[16], d[16], e[16];

		put_line(s, "%-24s %5u %8s %8s %8s %8s %8s %8.0f %u", r->name, r->partitions,
			 human(rate(t, r, RECORDS_IN), a), human(rate(t, r, BYTES_IN), b),
			 human(rate(t, r, BYTES_OUT), c), human(r->records, d),
			 human(r->now[RETAINED], e), r->now[SEGMENTS], r->out_of_sync);
	}
	if (s->is_tty)
		fputs("\033[J", stdout);
	else
		putchar('\n');
}

/* ---- Running ---- */

static int tell(const struct top *t, const char *what)
{
	fprintf(stderr, "topicfs: %s %s\n", t->mount, what);
	return -EIO;
}

static int signals_open(void)
{
	const struct sigaction ignore = { .sa_handler = SIG_IGN };
	sigset_t set;

	if (sigaction(SIGPIPE, &ignore, NULL))
		return -1;
	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGWINCH);
	if (pthread_sigmask(SIG_BLOCK, &set, NULL))
		return -1;
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Waits for fd (-1: for the time alone) or a signal. 1: fd; 0: the time is over; -EINTR: to be
 * ended. */
static int wait_for(int signal_fd, int fd, int64_t timeout_ms)
{
	int64_t end = mono_ms() + timeout_ms;

	for (;;) {
		struct pollfd p[2] = { { signal_fd, POLLIN, 0 }, { fd, POLLIN, 0 } };
		int n = poll(p, 2, (int)MAX(0, end - mono_ms()));
		struct signalfd_siginfo info;

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n > 0 && p[0].revents) {
			if (read(signal_fd, &info, sizeof(info)) != sizeof(info) ||
			    info.ssi_signo != SIGWINCH)
				return -EINTR;
			continue;
		}
		if (n > 0 && p[1].revents)
			return 1;
		if (mono_ms() >= end)
			return 0;
	}
}

static int picture(struct top *t, int signal_fd)
{
	pthread_t thread;
	uint64_t cnt;
	int r;

	if (pthread_create(&thread, NULL, take_picture, t))
		return -ENOMEM;
	r = wait_for(signal_fd, t->done_fd, ANSWER_MS);
	if (r == 0)
		return tell(t, "does not answer");
	if (r < 0)
		return r;
	if (pthread_join(thread, NULL) || read(t->done_fd, &cnt, sizeof(cnt)) != sizeof(cnt))
		return -EIO;
	if (t->err == -ENOTCONN || t->err == -ECONNABORTED)
		return tell(t, "is dead: its broker has ended without unmounting");
	if (t->err == -ENOENT || t->err == -ENOTDIR)
		return tell(t, "is no mount of topicfs (any more)");
	if (t->err) {
		fprintf(stderr, "topicfs: %s/%s: %s\n", t->mount, t->failed, strerror(-t->err));
		return t->err;
	}
	return 0;
}

static int run(struct top *t, int signal_fd, uint32_t cnt)
{
	struct screen s = { .is_tty = isatty(STDOUT_FILENO) };
	int r;

	screen_measure(&s);
	t->shown = s.height;
	/* The first one is only what the second is compared with. */
	r = picture(t, signal_fd);
	for (uint32_t i = 0; !r && (!cnt || i < cnt); i++) {
		r = wait_for(signal_fd, -1, t->interval_ms);
		if (r < 0)
			break;
		screen_measure(&s);
		t->shown = s.height;
		r = picture(t, signal_fd);
		if (r)
			break;
		show(t, &s);
		/* Whoever reads may have enough. */
		if (fflush(stdout)) {
			r = errno == EPIPE ? -EINTR : -errno;
			if (r != -EINTR)
				fprintf(stderr, "topicfs: top cannot go on: %s\n", strerror(-r));
			break;
		}
	}
	return r;
}

int cmd_top(const struct top_options *options)
{
	struct top *t = calloc(1, sizeof(*t));
	int signal_fd = signals_open();
	int r;

	if (!t || signal_fd < 0) {
		fprintf(stderr, "topicfs: top cannot begin\n");
		free(t);
		return 1;
	}
	t->is_first = true;
	t->interval_ms = options->interval_ms;
	t->done_fd = eventfd(0, EFD_CLOEXEC);
	r = t->done_fd < 0 ? -errno : 0;
	if (!r && options->mount)
		snprintf(t->mount, sizeof(t->mount), "%s", options->mount);
	else if (!r)
		r = find_mount(t->mount, sizeof(t->mount));
	if (!r)
		r = run(t, signal_fd, options->cnt);
	/* The thread may still use what t points at: the end of the process frees it. */
	exit(r == -EINTR || !r ? 0 : 1);
}

/*
 * Makes the golden data directories of the current format version, by the product's own store:
 *
 *   make_golden clean DIR     a directory that a clean shutdown ended
 *   make_golden killed DIR    one that was not
 *   make_golden cleaned DIR   with a compacted log whose segments were cleaned
 *   make_golden cleaning DIR  the same, stopped when the .meta of one has its name and .data not
 *
 * Ids, seeds, clocks and the boot id are fixed, so that two runs make the same bytes. In "killed"
 * some bytes of a partition are taken away that its fsync had put into the journal, another one has
 * lines that only a slot of "debts" vouches for, and a third one ends in the middle of a value.
 */
#include "daemon/base/log.h"
#include "daemon/io/disk.h"
#include "daemon/metalog.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define NOW_MS 1770028200000LL
#define JOURNAL_LEN (1024U * 1024U)

/* Ends the program: there is nothing to be saved. */
#define MUST(x)                                                                                    \
	do {                                                                                       \
		int must_ = (x);                                                                   \
		if (must_ < 0) {                                                                   \
			fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x,                 \
				strerror(-must_));                                                 \
			exit(1);                                                                   \
		}                                                                                  \
	} while (0)

struct golden {
	struct disk *disk;
	struct store *store;
	struct metalog *metalog;
	int64_t now_ms;
};

static const struct plog_config config = {
	.segment_bytes = 1 << 30,
	.segment_ms = -1,
	.retention_ms = -1,
	.retention_bytes = -1,
	.index_interval_bytes = 256,
};

/* Chance that is none. One sequence for a process, which makes one directory. */
static int fixed_random(struct disk *d, void *buf, size_t len)
{
	static uint64_t state = 0x746f706963667331ULL;
	uint8_t *p = buf;

	for (size_t i = 0; i < len; i++) {
		state ^= state << 13;
		state ^= state >> 7;
		state ^= state << 17;
		p[i] = (uint8_t)(state >> 24);
	}
	return 0;
}

static int fixed_boot_id(struct disk *d, uint8_t ret[16])
{
	for (unsigned i = 0; i < 16; i++)
		ret[i] = (uint8_t)(i * 17);
	return 0;
}

static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
	MUST(res->err);
}

/* Serves the store until `done`, or until nothing is left to be done. */
static void serve(struct golden *g, uint64_t token)
{
	bool waiting = token != 0;

	do {
		struct pollfd p = { .fd = io_disk_event_fd(g->disk), .events = POLLIN };
		struct disk_req *req;
		struct store_event e;

		store_kick(g->store);
		if (poll(&p, 1, waiting ? 10 : 0) > 0)
			io_disk_ack(g->disk);
		while ((req = disk_reap(g->disk)))
			store_on_disk(g->store, req);
		for (store_next_event(g->store, &e); e.kind != STORE_NONE;
		     store_next_event(g->store, &e)) {
			if (e.kind == STORE_FAILED)
				MUST(-EIO);
			if (e.kind == STORE_SYNCED && e.token == token)
				waiting = false;
			if (e.kind == STORE_SYNCED && e.token & METALOG_TOKEN)
				metalog_on_synced(g->metalog, e.token);
		}
	} while (waiting);
}

static void make_ring(struct golden *g)
{
	struct store_stats st = { 0 };

	for (unsigned i = 0; i < 2000 && !st.journal_bytes; i++) {
		struct pollfd p = { .fd = io_disk_event_fd(g->disk), .events = POLLIN };

		store_tick(g->store, g->now_ms, g->now_ms);
		if (poll(&p, 1, 10) >= 0)
			serve(g, 0);
		store_stats(g->store, &st);
	}
	if (!st.journal_bytes)
		MUST(-ETIMEDOUT);
}

static void propose(struct golden *g, struct metadata_cmd *cmd)
{
	char sentence[SENTENCE_MAX];
	int r;

	cmd->time_ms = ++g->now_ms;
	r = metalog_propose(g->metalog, cmd, g->now_ms, 2, sentence);
	if (r != -EINPROGRESS) {
		fprintf(stderr, "%s\n", sentence);
		MUST(-EINVAL);
	}
	while (!metalog_is_idle(g->metalog))
		serve(g, 0);
}

static struct plog *make_topic(struct golden *g, const char *name)
{
	struct metadata_cmd *cmd = calloc(1, sizeof(*cmd));
	struct plog *p = NULL;

	if (!cmd)
		MUST(-ENOMEM);
	cmd->kind = METADATA_CREATE;
	MUST(disk_random(g->disk, cmd->topic_id, 16));
	snprintf(cmd->name, sizeof(cmd->name), "%s", name);
	cmd->partition_cnt = 1;
	cmd->uid = 1000;
	cmd->gid = 100;
	cmd->mode = 0755;
	propose(g, cmd);
	MUST(store_plog(g->store, name, cmd->topic_id, 0, &config, true, &p));
	p->leader_epoch = 3;
	free(cmd);
	return p;
}

static void lines(struct golden *g, struct plog *p, const char *text, bool late)
{
	struct iovec iov = { (void *)text, strlen(text) };
	struct plog_appended done;
	uint32_t cnt = 0;

	for (const char *at = text; *at; at++)
		cnt += *at == '\n';
	MUST(store_append_lines(g->store, p, g->now_ms, &iov, 1, iov.iov_len, cnt, late, &done));
}

/* Keys, headers, a tombstone, an empty value, newlines inside, other timestamps. */
static void records(struct golden *g, struct plog *p)
{
	struct plog_producer producer = { .id = 7, .base_sequence = 40, .epoch = 2 };
	struct plog_appended done;
	struct buf headers;
	struct record recs[4] = {
		{ .value = (const uint8_t *)"one\ntwo", .value_len = 7, .key_len = RECORD_NULL },
		{ .value_len = RECORD_NULL, .key = (const uint8_t *)"k", .key_len = 1 },
		{ .value = (const uint8_t *)"", .key = (const uint8_t *)"", .timestamp_ms = 5 },
		{ .value = (const uint8_t *)"\xff\x00z", .value_len = 3, .key_len = RECORD_NULL },
	};

	buf_init(&headers);
	record_header_put(&headers, "trace", 5, "abc", 3);
	record_header_put(&headers, "none", 4, NULL, RECORD_NULL);
	recs[0].timestamp_ms = recs[1].timestamp_ms = recs[3].timestamp_ms = g->now_ms;
	recs[0].timestamp_ms += 1000;
	recs[1].headers = headers.data;
	recs[1].headers_len = (uint32_t)headers.len;
	MUST(store_append_records(g->store, p, g->now_ms, recs, 4, &producer, &done));
	buf_fini(&headers);
}

static void sync_all(struct golden *g, struct plog *p)
{
	int r = store_fsync(g->store, p, g->now_ms, 4);

	if (r == -EINPROGRESS)
		serve(g, 4);
	else
		MUST(r);
}

static void open_store(struct golden *g, const char *dir)
{
	const struct io_disk_config io = { .refuse_io_uring = true, .threads = 1 };
	const struct store_config sc = { .journal_bytes = JOURNAL_LEN,
					 .retention_check_ms = INT32_MAX,
					 .clean_check_ms = 1 };
	static struct disk_ops ops;
	struct store_open_report rep;
	char sentence[SENTENCE_MAX];

	if (mkdir(dir, 0755))
		MUST(-errno);
	MUST(io_disk_open(dir, &io, &g->disk));
	ops = *g->disk->ops;
	ops.random = fixed_random;
	ops.boot_id = fixed_boot_id;
	g->disk->ops = &ops;
	g->now_ms = NOW_MS;
	MUST(store_open(g->disk, &sc, g->now_ms, &g->store, &rep));
	make_ring(g);
	MUST(metalog_open(g->store, on_applied, NULL, &g->metalog, sentence));
}

static void register_broker(struct golden *g)
{
	struct metadata_cmd *cmd = calloc(1, sizeof(*cmd));

	if (!cmd)
		MUST(-ENOMEM);
	cmd->kind = METADATA_BROKER;
	cmd->node = 1;
	cmd->incarnation = 1;
	memcpy(cmd->directory_id, store_directory_id(g->store), 16);
	snprintf(cmd->rack, sizeof(cmd->rack), "r1");
	propose(g, cmd);
	free(cmd);
}

static void change_settings(struct golden *g, const char *topic)
{
	const struct metadata_topic *t = metadata_find_topic(metalog_state(g->metalog), topic);
	struct metadata_cmd *cmd = calloc(1, sizeof(*cmd));

	if (!cmd || !t)
		MUST(-ENOMEM);
	cmd->kind = METADATA_CONFIG;
	memcpy(cmd->topic_id, t->id, 16);
	cmd->changes[0] = (struct topic_change){ .setting = TOPIC_RETENTION_MS, .num = 86400000 };
	cmd->change_cnt = 1;
	propose(g, cmd);
	cmd->kind = METADATA_PERMS;
	cmd->perms_mask = METADATA_MODE | METADATA_GID;
	cmd->gid = 7;
	cmd->mode = 01750;
	propose(g, cmd);
	free(cmd);
}

static void put_snapshot(struct golden *g)
{
	const struct metadata *md = metalog_state(g->metalog);
	char path[128];
	struct buf b;

	buf_init(&b);
	metadata_encode(md, &b);
	MUST(buf_err(&b));
	snprintf(path, sizeof(path), METALOG_TOPIC "-0/%020llu-%010llu.checkpoint",
		 (unsigned long long)metadata_applied_index(md),
		 (unsigned long long)metadata_applied_term(md));
	MUST(store_write_file(g->store, path, b.data, b.len));
	buf_fini(&b);
}

static void fill(struct golden *g)
{
	struct plog *p;
	char text[64];

	register_broker(g);
	p = make_topic(g, "orders");
	lines(g, p, "first\n", false);
	lines(g, p, "second\nthird\n\n", false);
	records(g, p);
	MUST(plog_roll(p, g->now_ms));
	for (unsigned i = 0; i < 12; i++) {
		g->now_ms += 10;
		snprintf(text, sizeof(text), "line %u of the second segment\n", i);
		lines(g, p, text, false);
	}
	sync_all(g, p);
	change_settings(g, "orders");
	put_snapshot(g);
	make_topic(g, "empty");
}

static void make_clean(const char *dir)
{
	struct golden g;

	open_store(&g, dir);
	fill(&g);
	metalog_free(g.metalog);
	MUST(store_close(g.store));
	io_disk_free(g.disk);
}

/* What a loss of power may take: bytes that are durable in the journal alone. */
static void cut_file(const char *dir, const char *name, off_t len)
{
	char path[4096];
	struct stat st;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	if (stat(path, &st) || truncate(path, len < 0 ? st.st_size + len : len))
		MUST(-errno);
}

static void make_killed(const char *dir)
{
	struct golden g;
	struct plog *orders, *owed, *torn;
	struct plog_point synced;

	open_store(&g, dir);
	fill(&g);
	orders = store_plog_opened(g.store,
				   metadata_find_topic(metalog_state(g.metalog), "orders")->id, 0);
	/* The first sync of a segment was in place; the next one is in the journal alone. */
	MUST(plog_point(orders, &synced));
	owed = make_topic(&g, "owed");
	torn = make_topic(&g, "torn");
	lines(&g, orders, "in the journal\n", false);
	records(&g, orders);
	sync_all(&g, orders);
	lines(&g, owed, "described\n", false);
	sync_all(&g, owed);
	lines(&g, owed, "owed 1\n", true);
	lines(&g, owed, "owed 2\n", true);
	lines(&g, torn, "whole\n", false);
	lines(&g, torn, "torn off\n", false);
	metalog_free(g.metalog);
	store_free(g.store);
	io_disk_free(g.disk);
	cut_file(dir, "orders-0/00000000000000000008.data", (off_t)synced.data_len);
	cut_file(dir, "orders-0/00000000000000000008.meta", (off_t)synced.meta_len);
	cut_file(dir, "torn-0/00000000000000000000.data", -3);
}

static void keyed(struct golden *g, struct plog *p, const char *key, const char *value)
{
	struct plog_appended done;
	struct record rec = {
		.key = (const uint8_t *)key,
		.key_len = (uint32_t)strlen(key),
		.value = (const uint8_t *)value,
		.value_len = value ? (uint32_t)strlen(value) : RECORD_NULL,
		.timestamp_ms = RECORD_NO_TIMESTAMP,
	};

	g->now_ms++;
	MUST(store_append_records(g->store, p, g->now_ms, &rec, 1, NULL, &done));
}

/* Ticks until so many segments have been cleaned, and a little longer. */
static void clean(struct golden *g, unsigned segments)
{
	struct store_stats st;

	for (unsigned i = 1, after = 0; i < 2000 && after < 20; i++) {
		store_tick(g->store, g->now_ms, g->now_ms + i);
		serve(g, 0);
		if (poll(NULL, 0, 1) < 0)
			MUST(-errno);
		store_stats(g->store, &st);
		after += st.segments_cleaned >= segments;
	}
	if (st.segments_cleaned != segments)
		MUST(-ETIMEDOUT);
}

/* Three sealed segments: of the first something stays, of the second nothing, all of the third. */
static struct plog *fill_keys(struct golden *g)
{
	struct plog *p;
	struct metadata_cmd *cmd = calloc(1, sizeof(*cmd));

	register_broker(g);
	p = make_topic(g, "__keys");
	if (!cmd)
		MUST(-ENOMEM);
	cmd->kind = METADATA_CONFIG;
	memcpy(cmd->topic_id, p->topic_id, 16);
	cmd->changes[0] =
		(struct topic_change){ .setting = TOPIC_CLEANUP_POLICY, .num = CLEANUP_COMPACT };
	cmd->change_cnt = 1;
	propose(g, cmd);
	free(cmd);
	keyed(g, p, "a", "one");
	keyed(g, p, "b", "two\nlines");
	records(g, p);
	keyed(g, p, "c", "three");
	keyed(g, p, "a", "four");
	MUST(plog_roll(p, g->now_ms));
	keyed(g, p, "c", "five");
	keyed(g, p, "a", "six");
	MUST(plog_roll(p, g->now_ms));
	keyed(g, p, "c", NULL);
	keyed(g, p, "a", "seven");
	keyed(g, p, "d", "eight");
	MUST(plog_roll(p, g->now_ms));
	keyed(g, p, "b", "nine");
	lines(g, p, "a line\n", false);
	return p;
}

static void copy_file(const char *dir, const char *from, const char *to, bool rename_only)
{
	char a[4096 + 64], b[4096 + 64], mem[4096];
	ssize_t n;
	int in, out;

	snprintf(a, sizeof(a), "%s/__keys-0/%020d.%s", dir, 0, from);
	snprintf(b, sizeof(b), "%s/__keys-0/%020d.%s", dir, 0, to);
	if (rename_only) {
		if (rename(a, b))
			MUST(-errno);
		return;
	}
	in = open(a, O_RDONLY | O_CLOEXEC);
	out = open(b, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0640);
	if (in < 0 || out < 0)
		MUST(-errno);
	while ((n = read(in, mem, sizeof(mem))) > 0)
		if (write(out, mem, (size_t)n) != n)
			MUST(-EIO);
	close(in);
	close(out);
}

static void make_cleaned(const char *dir, bool stopped)
{
	struct golden g;
	struct plog *p;

	open_store(&g, dir);
	p = fill_keys(&g);
	sync_all(&g, p);
	copy_file(dir, "data", "old", false);
	p->config.compact = true;
	p->config.delete_retention_ms = 86400000;
	clean(&g, 3);
	metalog_free(g.metalog);
	if (stopped)
		store_free(g.store);
	else
		MUST(store_close(g.store));
	io_disk_free(g.disk);
	if (stopped) {
		copy_file(dir, "data", "data.1", true);
		copy_file(dir, "old", "data", true);
		copy_file(dir, "data", "meta.new", false);
		copy_file(dir, "data", "data.2", false);
	} else {
		char path[4096 + 64];

		snprintf(path, sizeof(path), "%s/__keys-0/%020d.old", dir, 0);
		if (unlink(path))
			MUST(-errno);
	}
}

int main(int argc, char **argv)
{
	char dir[4096];

	if (argc != 3) {
		fprintf(stderr, "usage: make_golden clean|killed|cleaned|cleaning DIR\n");
		return 2;
	}
	snprintf(dir, sizeof(dir), "%s", argv[2]);
	log_set_level(LOG_WARN);
	if (!strcmp(argv[1], "clean"))
		make_clean(dir);
	else if (!strcmp(argv[1], "killed"))
		make_killed(dir);
	else
		make_cleaned(dir, !strcmp(argv[1], "cleaning"));
	return 0;
}

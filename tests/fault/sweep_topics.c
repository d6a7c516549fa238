/*
 * Topics on a simulated disk: a scenario that makes, configures, grows, fills and deletes topics
 * and makes one again under a name that was deleted, is stopped after its n-th disk call by a kill
 * or by a power loss, for every n; so is one that takes a snapshot of the metadata. After recovery:
 *
 *   the metadata are those after a prefix of the commands, byte for byte, with each command that
 *   was answered, and after a kill with each that was appended
 *   a topic of theirs has each record whose fsync was answered (kill: whose append returned), and
 *   none of an earlier topic of its name
 *   a topic that they do not know has no directory, and all of it can be done once more
 */
#include "daemon/base/log.h"
#include "daemon/metalog.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TOPICS 8
#define CMDS_MAX 6000
#define NOW_MS 1770028200000

struct topic {
	char name[8];
	int64_t appended, acked, waiting; /* records in partition 0; waiting: -1 none */
};

struct run {
	struct simdisk *sim;
	struct disk *disk;
	struct store *store;
	struct metalog *meta;
	struct topic topics[TOPICS];
	struct buf cmds[CMDS_MAX];
	uint64_t terms[CMDS_MAX];
	uint64_t proposed, answered; /* commands */
	int64_t mono_ms;
	bool failed;
	uint64_t label;
};

static const struct plog_config LOG = { .segment_bytes = 4000,
					.segment_ms = -1,
					.retention_ms = -1,
					.retention_bytes = -1,
					.index_interval_bytes = 512 };

static void topic_id(unsigned k, uint8_t ret[16])
{
	memset(ret, 0, 16);
	ret[0] = 9;
	ret[1] = (uint8_t)k;
}

static unsigned topic_of_id(const uint8_t id[16])
{
	assert_true(id[0] == 9 && id[1] < TOPICS);
	return id[1];
}

/* As the broker does when a command was applied. */
static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
	struct run *r = ctx;

	assert_int_equal(res->err, 0);
	r->answered = token;
	if (res->kind != METADATA_DELETE)
		return;
	for (uint32_t i = 0; i < 3; i++)
		if (store_delete(r->store, r->topics[topic_of_id(res->topic_id)].name,
				 res->topic_id, i))
			r->failed = true;
}

static bool is_known(void *ctx, const uint8_t id[16], uint32_t partition)
{
	struct run *r = ctx;
	const struct metadata_topic *t = metadata_find_topic_id(metalog_state(r->meta), id);

	return !memcmp(id, metalog_topic_id, 16) || (t && partition < t->partition_cnt);
}

static int run_open(struct run *r)
{
	struct store_config sc = { .journal_bytes = 1024 * 1024, .dirty_bytes_max = 8192 };
	struct store_open_report rep;
	char sentence[SENTENCE_MAX];
	int err;

	r->disk->nowait = false;
	r->meta = NULL;
	err = store_open(r->disk, &sc, NOW_MS, &r->store, &rep);
	if (err) {
		r->store = NULL;
		return err;
	}
	err = metalog_open(r->store, on_applied, r, &r->meta, sentence);
	if (err)
		r->meta = NULL;
	if (!err)
		err = store_sweep(r->store, is_known, r);
	if (!err)
		store_tick(r->store, NOW_MS, r->mono_ms);
	return err;
}

static void run_events(struct run *r)
{
	struct store_event e;

	for (store_next_event(r->store, &e); e.kind != STORE_NONE; store_next_event(r->store, &e)) {
		if (e.kind == STORE_FAILED)
			r->failed = true;
		if (e.kind != STORE_SYNCED || r->failed)
			continue;
		if (e.token & METALOG_TOKEN) {
			metalog_on_synced(r->meta, e.token);
		} else {
			struct topic *t = &r->topics[e.token >> 1];

			if (!e.err)
				t->acked = t->waiting;
			t->waiting = -1;
		}
	}
}

static void run_pump(struct run *r)
{
	struct disk_req *req;

	for (unsigned i = 0; i < 4 && !r->failed; i++) {
		r->mono_ms += 400;
		store_kick(r->store);
		run_events(r);
		while ((req = disk_reap(r->disk))) {
			store_on_disk(r->store, req);
			run_events(r);
		}
		if (!r->failed)
			store_tick(r->store, NOW_MS, r->mono_ms);
	}
}

static void propose(struct run *r, struct metadata_cmd *cmd)
{
	char sentence[SENTENCE_MAX];
	struct buf *b = &r->cmds[r->proposed];
	int err;

	if (r->failed)
		return;
	assert_true(r->proposed < CMDS_MAX);
	cmd->time_ms = NOW_MS;
	buf_fini(b);
	metadata_cmd_encode(cmd, b);
	r->terms[r->proposed] = metalog_term(r->meta);
	err = metalog_propose(r->meta, cmd, NOW_MS, r->proposed + 1, sentence);
	if (err == -EINPROGRESS)
		r->proposed++;
	else
		r->failed = true;
}

static void create(struct run *r, unsigned k, const char *name)
{
	struct metadata_cmd cmd = { .kind = METADATA_CREATE, .partition_cnt = 1, .mode = 0755 };

	topic_id(k, cmd.topic_id);
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	snprintf(r->topics[k].name, sizeof(r->topics[k].name), "%s", name);
	propose(r, &cmd);
	if (!r->failed)
		run_pump(r);
}

static void delete (struct run *r, unsigned k)
{
	struct metadata_cmd cmd = { .kind = METADATA_DELETE };

	topic_id(k, cmd.topic_id);
	propose(r, &cmd);
	if (!r->failed)
		run_pump(r);
}

static void set_mode(struct run *r, unsigned k, uint16_t mode)
{
	struct metadata_cmd cmd = { .kind = METADATA_PERMS, .perms_mask = METADATA_MODE };

	topic_id(k, cmd.topic_id);
	cmd.mode = mode;
	propose(r, &cmd);
}

/* One command: as the writes to config do. */
static void configure(struct run *r, unsigned k, const char *text)
{
	struct metadata_cmd cmd = { .kind = METADATA_CONFIG };
	struct topic_config defaults;
	char sentence[SENTENCE_MAX];

	topic_id(k, cmd.topic_id);
	topic_config_defaults(&defaults);
	assert_int_equal(topic_config_parse(text, strlen(text), &defaults, cmd.changes,
					    &cmd.change_cnt, sentence),
			 0);
	propose(r, &cmd);
	if (!r->failed)
		run_pump(r);
}

static uint32_t value_make(unsigned k, int64_t offset, char *buf)
{
	return (uint32_t)sprintf(buf, "topic %u record %lld %0*d\n", k, (long long)offset,
				 1 + (int)(offset * 37 % 400), 7);
}

static void fill(struct run *r, unsigned k, uint32_t partition, unsigned cnt)
{
	struct topic *t = &r->topics[k];
	uint8_t id[16];
	struct plog *p;

	topic_id(k, id);
	if (r->failed || store_plog(r->store, t->name, id, partition, &LOG, true, &p)) {
		r->failed = true;
		return;
	}
	for (unsigned i = 0; i < cnt && !r->failed; i++) {
		char buf[512];
		struct iovec iov = { .iov_base = buf };
		struct plog_appended a;

		iov.iov_len = value_make(k, p->next_offset, buf);
		if (store_append_lines(r->store, p, NOW_MS, &iov, 1, iov.iov_len, 1, i % 2, &a))
			r->failed = true;
		else if (!partition)
			t->appended++;
	}
	if (!r->failed && !partition) {
		int err;

		t->waiting = t->appended;
		err = store_fsync(r->store, p, NOW_MS, k << 1);
		if (!err)
			t->acked = t->waiting;
		if (err && err != -EINPROGRESS)
			r->failed = true;
	}
}

static bool run_close(struct run *r)
{
	int err;

	if (r->failed)
		return false;
	metalog_free(r->meta);
	r->meta = NULL;
	err = store_close(r->store);
	r->store = NULL;
	return !err;
}

/* True: it came to its end. */
static bool scenario_topics(struct run *r)
{
	if (run_open(r))
		return false;
	create(r, 0, "a");
	fill(r, 0, 0, 20);
	create(r, 1, "b");
	set_mode(r, 1, 0700);
	fill(r, 1, 0, 4);
	configure(r, 1, "num.partitions=3\nsegment.bytes=2000\n");
	fill(r, 1, 2, 5);
	fill(r, 1, 0, 9);
	if (!r->failed)
		run_pump(r);
	fill(r, 0, 0, 3);
	delete (r, 0);
	create(r, 2, "a");
	fill(r, 2, 0, 5);
	delete (r, 1);
	if (!r->failed)
		run_pump(r);
	return run_close(r);
}

/* So many commands that a snapshot is taken; only what comes at its time is swept. */
static bool scenario_snapshot(struct run *r)
{
	if (run_open(r))
		return false;
	create(r, 0, "a");
	for (unsigned i = 0; i < 4997; i++)
		set_mode(r, 0, 0700 + i % 64);
	if (!r->failed)
		run_pump(r);
	fill(r, 0, 0, 3);
	simdisk_stop_after(r->sim, r->label);
	set_mode(r, 0, 0711);
	create(r, 1, "b");
	if (!r->failed)
		run_pump(r);
	set_mode(r, 1, 0700);
	if (!r->failed) {
		struct plog *p = store_plog_opened(r->store, metalog_topic_id, 0);
		uint64_t index, term;
		int err = store_last_snapshot(r->store, p, UINT64_MAX, &index, &term);

		/* The stop may come at this very call. */
		if (err != -EIO) {
			assert_int_equal(err, 0);
			assert_int_equal(index, 5000);
		}
	}
	return run_close(r);
}

static int dead_close(struct disk *d, int fd)
{
	return 0;
}

static void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

static void run_stop(struct run *r, bool power_loss, uint64_t seed)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = r->disk->ops;

	if (power_loss)
		simdisk_crash(r->sim, seed);
	else
		simdisk_kill(r->sim);
	r->disk->ops = &DEAD;
	metalog_free(r->meta);
	store_free(r->store);
	r->disk->ops = ops;
	r->meta = NULL;
	r->store = NULL;
	r->failed = false;
	simdisk_stop_after(r->sim, ~0ULL);
}

/* The state is that after a prefix of the commands. */
static void check_metadata(struct run *r, bool power_loss)
{
	uint64_t index = metadata_applied_index(metalog_state(r->meta));
	struct metadata *md = metadata_new(store_cluster_id(r->store));
	struct metadata_result res;
	struct buf want, got;

	/* What was under way when the calls ended may be there too. */
	if (index < (power_loss ? r->answered : r->proposed) || index > r->proposed + 1)
		fail_msg("case %llu: %llu commands are there, %llu answered, %llu appended",
			 (unsigned long long)r->label, (unsigned long long)index,
			 (unsigned long long)r->answered, (unsigned long long)r->proposed);
	for (uint64_t i = 0; i < index; i++)
		metadata_apply(md, i + 1, r->terms[i], r->cmds[i].data, r->cmds[i].len, &res);
	buf_init(&want);
	buf_init(&got);
	metadata_encode(md, &want);
	metadata_encode(metalog_state(r->meta), &got);
	assert_int_equal(want.len, got.len);
	assert_memory_equal(want.data, got.data, got.len);
	buf_fini(&want);
	buf_fini(&got);
	metadata_free(md);
	r->proposed = r->answered = index;
}

static void check_topic(struct run *r, unsigned k, bool power_loss)
{
	struct topic *t = &r->topics[k];
	uint8_t id[16];
	struct plog *p;

	topic_id(k, id);
	if (!is_known(r, id, 0)) {
		for (uint32_t i = 0; i < 3 && *t->name; i++) {
			bool is_there = true;

			assert_int_equal(store_has(r->store, t->name, id, i, &is_there), 0);
			assert_false(is_there);
		}
		return;
	}
	assert_int_equal(store_plog(r->store, t->name, id, 0, &LOG, true, &p), 0);
	/* One more may have been under way. */
	assert_true(p->next_offset >= (power_loss ? t->acked : t->appended));
	assert_true(p->next_offset <= t->appended + 1);
	for (int64_t o = 0; o < p->next_offset; o++) {
		const struct batch *b;
		char want[512];
		uint32_t len = value_make(k, o, want);
		const struct record *rec;

		assert_int_equal(plog_batch(p, o, &b), 0);
		rec = &b->recs[o - b->head.base_offset];
		assert_int_equal(rec->value_len, len - 1);
		assert_memory_equal(rec->value, want, len - 1);
	}
	t->appended = t->acked = p->next_offset;
	t->waiting = -1;
}

static void recover_and_check(struct run *r, bool power_loss, uint64_t seed)
{
	run_stop(r, power_loss, seed);
	if (seed % 3 == 0) { /* Recovery is stopped, too. */
		simdisk_stop_after(r->sim, 1 + seed % 61);
		if (run_open(r))
			r->failed = true;
		run_stop(r, power_loss, seed + 1);
	}
	assert_int_equal(run_open(r), 0);
	check_metadata(r, power_loss);
	for (unsigned k = 0; k < TOPICS; k++)
		check_topic(r, k, power_loss);
	create(r, 7, "z");
	fill(r, 7, 0, 3);
	assert_false(r->failed);
	run_pump(r);
	assert_true(run_close(r));
	assert_int_equal(r->topics[7].acked, 3);
	assert_int_equal(run_open(r), 0);
	check_metadata(r, true);
	check_topic(r, 7, true);
	assert_true(run_close(r));
}

/* Whether the scenario came to its end before the nth call. */
static bool one(bool (*scenario)(struct run *), uint64_t n, bool all, bool power_loss)
{
	struct run *r = calloc(1, sizeof(*r));
	bool ended;

	assert_non_null(r);
	r->sim = simdisk_new(n);
	r->disk = simdisk_disk(r->sim);
	r->label = n;
	r->mono_ms = 1000;
	simdisk_stop_after(r->sim, all ? n : ~0ULL);
	ended = scenario(r);
	if (ended)
		assert_true(r->answered >= 5);
	recover_and_check(r, power_loss, n);
	simdisk_free(r->sim);
	for (unsigned i = 0; i < CMDS_MAX; i++)
		buf_fini(&r->cmds[i]);
	free(r);
	return ended;
}

static void test_topics_kill(void **state)
{
	for (uint64_t n = 1; !one(scenario_topics, n, true, false); n++)
		;
}

static void test_topics_power_loss(void **state)
{
	for (uint64_t n = 1; !one(scenario_topics, n, true, true); n++)
		;
}

static void test_snapshot_kill(void **state)
{
	for (uint64_t n = 1; !one(scenario_snapshot, n, false, false); n += 2)
		;
}

static void test_snapshot_power_loss(void **state)
{
	for (uint64_t n = 1; !one(scenario_snapshot, n, false, true); n++)
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topics_kill),
		cmocka_unit_test(test_topics_power_loss),
		cmocka_unit_test(test_snapshot_kill),
		cmocka_unit_test(test_snapshot_power_loss),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

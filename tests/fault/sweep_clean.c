/*
 * Cleaning on a simulated disk: a store with a compacted log, over whose few keys values are
 * written again and again and tombstones now and then, with fsyncs, a journal, rolls and passes of
 * cleaning, is stopped after its n-th disk call, for every n, by a kill or by a power loss; or that
 * call fails. Then recovery, and what is there is compared with all that was ever appended.
 *
 *   always       what is there is byte-exact at its offset, its position and its time
 *   kill         of each key the newest record is there, but for tombstones that may go
 *   power loss   the same of what is there of a prefix that holds all that was acknowledged
 *   cleaned      what a reader has seen gone never comes back
 */
#include "daemon/base/log.h"
#include "daemon/store/segment.h"
#include "daemon/store/store.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define RECORDS_MAX 1024
#define STEPS 90
#define KEYS 6U
#define RETENTION_MS 400

struct rec {
	uint8_t key; /* KEYS: none */
	bool is_tombstone;
	bool seen_gone; /* a reader passed it */
	uint64_t pos;
	int64_t ts_ms;
};

struct run {
	struct simdisk *sim;
	struct disk *disk;
	struct store *store;
	struct plog *log;
	struct rec recs[RECORDS_MAX];
	int64_t appended, tried, acked;
	uint64_t end_pos;
	int64_t waiting; /* appended when the fsync was asked for; -1: none */
	uint64_t rnd, seed;
	int64_t now_ms, mono_ms;
	uint64_t cleaned; /* segments, of all lives */
	bool failed;
	uint64_t label;
};

static const uint8_t TOPIC_ID[16] = { 7, 1, 2, 3 };

static uint64_t rnd(struct run *r)
{
	r->rnd = r->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return r->rnd >> 33;
}

/* The value of a record, a line feed behind it. */
static uint32_t value_make(const struct run *r, int64_t offset, char *buf)
{
	uint32_t n, extra = (uint32_t)(offset * 37 % 90);

	if (r->recs[offset].is_tombstone) {
		buf[0] = '\n';
		return 1;
	}
	n = (uint32_t)sprintf(buf, "%u-%lld-", r->recs[offset].key, (long long)offset);
	memset(buf + n, 'a' + (int)(offset % 26), extra);
	buf[n + extra] = '\n';
	return n + extra + 1;
}

static int run_open(struct run *r, struct store_open_report *rep)
{
	struct store_config sc = {
		.journal_bytes = 1024 * 1024,
		.reserve_bytes = 1024,
		.retention_check_ms = 40,
		.dirty_bytes_max = 4096,
		.clean_check_ms = 60,
	};
	struct plog_config pc = {
		.segment_bytes = 1500,
		.segment_ms = -1,
		.retention_ms = -1,
		.retention_bytes = -1,
		.index_interval_bytes = 256,
		.compact = true,
		.delete_retention_ms = RETENTION_MS,
	};
	int err;

	r->disk->nowait = false;
	r->log = NULL;
	r->waiting = -1;
	err = store_open(r->disk, &sc, r->now_ms, &r->store, rep);
	if (err) {
		r->store = NULL;
		return err;
	}
	return store_plog(r->store, "__keys", TOPIC_ID, 0, &pc, true, &r->log);
}

static void run_events(struct run *r)
{
	struct store_event e;

	for (store_next_event(r->store, &e); e.kind != STORE_NONE; store_next_event(r->store, &e)) {
		if (e.kind == STORE_FAILED)
			r->failed = true;
		if (e.kind != STORE_SYNCED)
			continue;
		assert_int_equal(e.err, 0);
		assert_true(r->waiting >= 0);
		r->acked = r->waiting;
		r->waiting = -1;
	}
}

static void run_pump(struct run *r)
{
	struct disk_req *req;

	store_kick(r->store);
	run_events(r);
	while ((req = disk_reap(r->disk))) {
		store_on_disk(r->store, req);
		run_events(r);
	}
}

static void step_append(struct run *r)
{
	static char values[4][256];
	uint32_t cnt = 1 + rnd(r) % 4, len = 0;
	struct plog_appended a;
	struct record recs[4];
	uint8_t keys[4];
	int err;

	if (r->appended + cnt > RECORDS_MAX)
		return;
	for (uint32_t i = 0; i < cnt; i++) {
		struct rec *n = &r->recs[r->appended + i];

		*n = (struct rec){ .key = (uint8_t)(rnd(r) % 20 ? rnd(r) % KEYS : KEYS),
				   .pos = r->end_pos + len,
				   .ts_ms = r->now_ms - (int64_t)(rnd(r) % 5) };
		n->is_tombstone = n->key < KEYS && !(rnd(r) % 5);
		keys[i] = n->key;
		recs[i] = (struct record){
			.key = &keys[i],
			.key_len = n->key < KEYS ? 1 : RECORD_NULL,
			.value = (uint8_t *)values[i],
			.timestamp_ms = n->ts_ms,
		};
		recs[i].value_len = value_make(r, r->appended + i, values[i]) - 1;
		len += recs[i].value_len + 1;
		if (n->is_tombstone)
			recs[i].value_len = RECORD_NULL;
	}
	r->tried = r->appended + cnt;
	err = store_append_records(r->store, r->log, r->now_ms, recs, cnt, NULL, &a);
	if (err) {
		r->failed = true;
		return;
	}
	assert_int_equal(a.base_offset, r->appended);
	r->appended += cnt;
	r->end_pos += len;
}

static void step_fsync(struct run *r)
{
	int err;

	if (r->waiting >= 0)
		return;
	r->waiting = r->appended;
	err = store_fsync(r->store, r->log, r->now_ms, 0);
	if (err == -EINPROGRESS)
		return;
	if (!err)
		r->acked = r->waiting;
	else
		r->failed = true;
	r->waiting = -1;
}

/* Whether a newer record of the key stands below end. */
static bool is_old(const struct run *r, int64_t offset, int64_t end)
{
	for (int64_t o = offset + 1; o < end; o++)
		if (r->recs[o].key == r->recs[offset].key && r->recs[offset].key < KEYS)
			return true;
	return false;
}

static void check_record(struct run *r, const struct batch *b, uint32_t i)
{
	const struct record *got = &b->recs[i];
	const struct rec *want = &r->recs[got->offset];
	char value[256];
	uint32_t len;

	if (want->seen_gone)
		fail_msg("seed %llu case %llu: record %lld came back", (unsigned long long)r->seed,
			 (unsigned long long)r->label, (long long)got->offset);
	assert_int_equal(got->timestamp_ms, want->ts_ms);
	assert_int_equal(b->head.plain_pos + b->value_pos[i], want->pos);
	assert_int_equal(got->key_len, want->key < KEYS ? 1 : RECORD_NULL);
	if (want->key < KEYS)
		assert_int_equal(got->key[0], want->key);
	len = value_make(r, got->offset, value);
	assert_int_equal(got->value_len, want->is_tombstone ? RECORD_NULL : len - 1);
	if (!want->is_tombstone)
		assert_memory_equal(got->value, value, len - 1);
}

static void check_gone(struct run *r, int64_t from, int64_t to)
{
	for (; from < to; from++) {
		const struct rec *rec = &r->recs[from];

		if (!is_old(r, from, r->log->next_offset) &&
		    !(rec->is_tombstone && r->now_ms - rec->ts_ms >= RETENTION_MS))
			fail_msg("seed %llu case %llu: record %lld of key %u is gone, and is the "
				 "newest",
				 (unsigned long long)r->seed, (unsigned long long)r->label,
				 (long long)from, rec->key);
		r->recs[from].seen_gone = true;
	}
}

/* All that is there, and what is not. live: a call may fail, and then the process stops. */
static void check_records(struct run *r, bool live)
{
	const struct batch *b;
	int64_t at = 0;

	while (at < r->log->next_offset) {
		int err = plog_batch(r->log, at, &b);

		if (err && live) {
			r->failed = true;
			return;
		}
		if (err)
			fail_msg("seed %llu case %llu: offset %lld: %s: %s",
				 (unsigned long long)r->seed, (unsigned long long)r->label,
				 (long long)at, log_errno_name(err), r->log->fault);
		check_gone(r, at, b->head.base_offset);
		for (uint32_t i = 0; i < b->head.cnt; i++)
			if (b->recs[i].offset >= at)
				check_record(r, b, i);
		at = b->head.base_offset + b->head.cnt;
	}
}

/* The plain file: what is gone is a hole, all else is there. */
static void check_bytes(struct run *r)
{
	uint64_t pos = 0, next;
	char want[256], got[256];

	for (int64_t o = 0; o < r->log->next_offset; o++) {
		uint32_t len = value_make(r, o, want), done = 0;
		struct plog_extent e;

		assert_int_equal(pos, r->recs[o].pos);
		while (!r->recs[o].seen_gone && done < len) {
			assert_int_equal(plog_extent(r->log, pos + done, len - done, &e, &next), 0);
			assert_true(e.len <= len - done);
			assert_int_equal(plog_extent_read(r->log, &e, got + done), 0);
			done += (uint32_t)e.len;
		}
		assert_memory_equal(got, want, done);
		if (!done) {
			assert_int_equal(plog_extent(r->log, pos, len, &e, &next), -ENXIO);
			assert_true(next >= pos + len);
		}
		pos += len;
	}
	assert_int_equal(pos, r->log->end_pos);
}

static void step(struct run *r)
{
	uint64_t what = rnd(r) % 10;

	if (what < 6)
		step_append(r);
	else if (what < 8)
		step_fsync(r);
	r->mono_ms += 9;
	r->now_ms += 9;
	for (uint64_t ticks = rnd(r) % 6; !r->failed && ticks; ticks--) {
		store_tick(r->store, r->now_ms, r->mono_ms);
		run_pump(r);
	}
	/* A reader sees what is gone. */
	if (!r->failed && what == 9)
		check_records(r, true);
}

static void count_cleaned(struct run *r)
{
	struct store_stats st;

	store_stats(r->store, &st);
	r->cleaned += st.segments_cleaned;
}

/* Two lives with a clean stop in between. True: it came to its end. */
static bool scenario(struct run *r)
{
	struct store_open_report rep;

	for (unsigned life = 0; life < 2; life++) {
		if (run_open(r, &rep))
			return false;
		store_tick(r->store, r->now_ms, r->mono_ms);
		for (unsigned i = 0; i < STEPS && !r->failed; i++)
			step(r);
		count_cleaned(r);
		if (!r->failed)
			run_pump(r);
		if (r->failed)
			return false;
		if (life == 0) {
			int err = store_close(r->store);

			r->store = NULL;
			if (err)
				return false;
			r->acked = r->appended;
		}
	}
	return true;
}

static int dead_close(struct disk *d, int fd)
{
	return 0;
}

static void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

/* Frees what the stopped process had in memory; its descriptors are gone already. */
static void run_bury(struct run *r)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = r->disk->ops;

	r->disk->ops = &DEAD;
	store_free(r->store);
	r->disk->ops = ops;
	r->store = NULL;
	r->failed = false;
}

static void run_die(struct run *r, bool power_loss, uint64_t seed)
{
	if (power_loss)
		simdisk_crash(r->sim, seed);
	else
		simdisk_kill(r->sim);
	run_bury(r);
}

static void check(struct run *r, bool power_loss)
{
	int64_t least = power_loss ? r->acked : r->appended;

	if (r->log->next_offset < least || r->log->next_offset > r->tried)
		fail_msg("seed %llu case %llu: ends at %lld; acknowledged %lld, appended %lld, "
			 "tried %lld",
			 (unsigned long long)r->seed, (unsigned long long)r->label,
			 (long long)r->log->next_offset, (long long)r->acked,
			 (long long)r->appended, (long long)r->tried);
	check_records(r, false);
	check_bytes(r);
	r->appended = r->tried = r->log->next_offset;
	r->end_pos = r->log->end_pos;
	r->acked = MIN(r->acked, r->appended);
}

static void open_sound(struct run *r)
{
	struct store_open_report rep;
	int err = run_open(r, &rep);

	if (err)
		fail_msg("seed %llu case %llu: recovery: %s %s %s", (unsigned long long)r->seed,
			 (unsigned long long)r->label, log_errno_name(err), rep.sentence,
			 r->log ? r->log->fault : "");
	assert_int_equal(rep.damaged, 0);
}

static int on_leftover(void *ctx, const char *name)
{
	uint32_t generation;
	int64_t base;

	return plog_is_cleaning_name(name, &base, &generation);
}

/*
 * What comes after a stop: recovery (itself stopped once, after `again` calls, where that is not
 * 0), the comparison, some more steps, a clean stop, and the comparison again.
 */
static void recover_and_check(struct run *r, bool power_loss, uint64_t seed, uint64_t again)
{
	struct store_open_report rep;

	run_die(r, power_loss, seed);
	if (again) {
		simdisk_stop_after(r->sim, again);
		if (run_open(r, &rep))
			r->failed = true;
		run_die(r, power_loss, seed + 1);
	}
	simdisk_stop_after(r->sim, ~0ULL);
	open_sound(r);
	assert_int_equal(disk_list(r->disk, "__keys-0", on_leftover, NULL), 0);
	check(r, power_loss);
	for (unsigned i = 0; i < 20; i++)
		step(r);
	assert_false(r->failed);
	assert_int_equal(store_close(r->store), 0);
	r->acked = r->appended;
	open_sound(r);
	assert_int_equal(disk_list(r->disk, "__keys-0", on_leftover, NULL), 0);
	check(r, true);
	store_free(r->store);
	r->store = NULL;
}

static void run_init(struct run *r, uint64_t seed, uint64_t label)
{
	memset(r, 0, sizeof(*r));
	r->sim = simdisk_new(seed);
	assert_non_null(r->sim);
	r->disk = simdisk_disk(r->sim);
	r->rnd = r->seed = seed;
	r->label = label;
	r->now_ms = 1770028200000;
	r->mono_ms = 1000;
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

static bool is_long(void)
{
	return getenv("TOPICFS_LONG") != NULL;
}

static void sweep(uint64_t seed, bool power_loss, uint64_t stride)
{
	printf("# seed %llu\n", (unsigned long long)seed);
	for (uint64_t n = 1 + (is_long() ? 0 : seed % stride);; n += stride) {
		struct run *r = malloc(sizeof(*r));
		bool ended;

		assert_non_null(r);
		run_init(r, seed, n);
		simdisk_stop_after(r->sim, n);
		ended = scenario(r);
		if (ended)
			assert_true(r->cleaned > 20);
		recover_and_check(r, power_loss, seed * 1000 + n, n % 3 ? 0 : 1 + n % 97);
		simdisk_free(r->sim);
		free(r);
		if (ended)
			return;
	}
}

static void sweep_seeds(uint64_t cnt, bool power_loss)
{
	uint64_t first = env_number("TOPICFS_SEED", 1);

	cnt *= env_number("SWEEP_SEEDS", is_long() ? 20 : 1);
	for (uint64_t seed = first; seed < first + cnt; seed++)
		sweep(seed, power_loss, is_long() ? 1 : cnt);
}

static void test_kill_after_each_call(void **state)
{
	sweep_seeds(2, false);
}

static void test_power_loss_after_each_call(void **state)
{
	sweep_seeds(4, true);
}

/* Recovery after a kill goes on with what is in the cache alone; then the power fails. */
static void test_power_loss_after_a_kill(void **state)
{
	uint64_t seed = env_number("TOPICFS_SEED", 1);

	for (uint64_t n = 1;; n += is_long() ? 1 : 3) {
		struct run *r = malloc(sizeof(*r));
		struct store_open_report rep;
		bool ended;

		assert_non_null(r);
		run_init(r, seed, n);
		simdisk_stop_after(r->sim, n);
		ended = scenario(r);
		run_die(r, false, 0);
		simdisk_stop_after(r->sim, 20 + n % 60);
		if (run_open(r, &rep))
			r->failed = true;
		recover_and_check(r, true, n, 0);
		simdisk_free(r->sim);
		free(r);
		if (ended)
			return;
	}
}

static void fail_each(int err)
{
	for (uint64_t n = 1;; n++) {
		struct run *r = malloc(sizeof(*r));
		bool ended, met;

		assert_non_null(r);
		run_init(r, 5, n);
		simdisk_fail(r->sim, n, 1, err);
		ended = scenario(r);
		met = simdisk_failed_cnt(r->sim) > 0;
		/* The process stops at an error, or gives the cleaning up. */
		simdisk_fail(r->sim, 0, 0, 0);
		recover_and_check(r, true, n, 0);
		simdisk_free(r->sim);
		free(r);
		if (ended && !met)
			return;
	}
}

static void test_each_call_fails(void **state)
{
	static const int errs[] = { -EIO, -ENOSPC, -EMFILE, -EINTR, SIMDISK_SHORT };

	for (unsigned i = 0; i < ARRAY_CNT(errs); i++)
		fail_each(errs[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_after_each_call),
		cmocka_unit_test(test_power_loss_after_each_call),
		cmocka_unit_test(test_power_loss_after_a_kill),
		cmocka_unit_test(test_each_call_fails),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

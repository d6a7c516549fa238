/*
 * The store on a simulated disk: a scenario of appends, fsyncs, rolls, retention and a restart is
 * stopped after its n-th disk call, for every n, by a kill or by a power loss; then recovery, and
 * everything is compared with what was appended and what was acknowledged.
 *
 *   kill         every append that returned is there, and is byte-exact
 *   power loss   every record whose fsync was answered is there; what is there is byte-exact
 *   both         offsets without gap, nothing behind the end but what was being appended
 *
 * And: the n-th call fails alone, with each error, until none fails.
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

#define PARTS 3
#define RECORDS_MAX 512
#define STEPS 60
#define BLOCK 4096U

struct model {
	uint32_t len[RECORDS_MAX]; /* of each value, its newline counted */
	int64_t appended;	   /* appends that returned 0 */
	int64_t tried;		   /* with the one that may have been under way */
	int64_t acked;		   /* an fsync of these was answered */
	int64_t start;		   /* the log start that was told */
};

struct run {
	struct simdisk *sim;
	struct disk *disk;
	struct store *store;
	struct plog *plogs[PARTS];
	struct model model[PARTS];
	int64_t waiting[PARTS]; /* appended when the fsync was asked for; -1: none */
	uint64_t rnd, seed;
	int64_t now_ms, mono_ms;
	bool failed;   /* a call failed: the process would stop */
	bool in_place; /* there is no journal */
	unsigned label;
};

static const uint8_t TOPIC_ID[16] = { 7, 1, 2, 3 };

static uint64_t rnd(struct run *r)
{
	r->rnd = r->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	return r->rnd >> 33;
}

static uint32_t value_make(unsigned part, int64_t offset, char *buf)
{
	uint32_t n = (uint32_t)sprintf(buf, "p%u-%lld-", part, (long long)offset);
	uint32_t extra = (uint32_t)(offset * 37 % 120);

	memset(buf + n, 'a' + (int)(offset % 26), extra);
	buf[n + extra] = '\n';
	return n + extra + 1;
}

static struct store_config store_config_make(const struct run *r)
{
	return (struct store_config){
		.journal_bytes = r->in_place ? 0 : 1024 * 1024,
		.reserve_bytes = 1024,
		.retention_check_ms = 40,
		.dirty_bytes_max = 4096,
	};
}

static struct plog_config plog_config_make(unsigned part)
{
	return (struct plog_config){
		.segment_bytes = 3000,
		.segment_ms = -1,
		.retention_ms = -1,
		.retention_bytes = part ? -1 : 7000,
		.index_interval_bytes = 512,
	};
}

static int run_open(struct run *r, struct store_open_report *rep)
{
	struct store_config sc = store_config_make(r);
	int err;

	r->disk->nowait = false;
	memset(r->plogs, 0, sizeof(r->plogs));
	err = store_open(r->disk, &sc, r->now_ms, &r->store, rep);
	if (err) {
		r->store = NULL;
		return err;
	}
	for (unsigned i = 0; i < PARTS && !err; i++) {
		struct plog_config pc = plog_config_make(i);

		err = store_plog(r->store, "orders", TOPIC_ID, i, &pc, true, &r->plogs[i]);
		r->waiting[i] = -1;
	}
	return err;
}

static void run_events(struct run *r)
{
	struct store_event e;

	for (;;) {
		store_next_event(r->store, &e);
		switch (e.kind) {
		case STORE_NONE:
			return;
		case STORE_SYNCED:
			assert_int_equal(e.err, 0);
			assert_true(r->waiting[e.token] >= 0);
			r->model[e.token].acked = r->waiting[e.token];
			r->waiting[e.token] = -1;
			break;
		case STORE_FAILED:
			r->failed = true;
			break;
		case STORE_START_RAISED:
			r->model[e.plog->partition].start = e.plog->start_offset;
			break;
		case STORE_SPACE:
		case STORE_CLOCK:
		case STORE_DAMAGED:
			break;
		}
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

static void append_some(struct run *r, unsigned i, uint32_t cnt, bool late)
{
	struct model *m = &r->model[i];
	uint32_t len = 0;
	char buf[1024];
	struct iovec iov = { .iov_base = buf };
	struct plog_appended a;
	int err;

	if (m->tried + cnt > RECORDS_MAX)
		return;
	for (uint32_t k = 0; k < cnt; k++) {
		m->len[m->appended + k] = value_make(i, m->appended + k, buf + len);
		len += m->len[m->appended + k];
	}
	iov.iov_len = len;
	m->tried = m->appended + cnt;
	err = store_append_lines(r->store, r->plogs[i], r->now_ms, &iov, 1, len, cnt, late, &a);
	if (err) {
		r->failed = true;
		return;
	}
	assert_int_equal(a.base_offset, m->appended);
	m->appended += cnt;
}

static void step_lines(struct run *r, unsigned i)
{
	uint32_t cnt = 1 + rnd(r) % 3;

	append_some(r, i, cnt, cnt == 1 && rnd(r) % 3);
}

static void step_record(struct run *r, unsigned i)
{
	struct model *m = &r->model[i];
	char buf[512];
	struct plog_appended a;
	struct record rec = { .key = (const uint8_t *)"key", .key_len = 3, .timestamp_ms = -1 };
	int err;

	if (m->tried + 1 > RECORDS_MAX)
		return;
	m->len[m->appended] = value_make(i, m->appended, buf);
	rec.value = (const uint8_t *)buf;
	rec.value_len = m->len[m->appended] - 1;
	m->tried = m->appended + 1;
	err = store_append_records(r->store, r->plogs[i], r->now_ms, &rec, 1, NULL, &a);
	if (err) {
		r->failed = true;
		return;
	}
	assert_int_equal(a.base_offset, m->appended);
	m->appended++;
}

static void step_fsync(struct run *r, unsigned i)
{
	int err;

	if (r->waiting[i] >= 0)
		return;
	r->waiting[i] = r->model[i].appended;
	err = store_fsync(r->store, r->plogs[i], r->now_ms, i);
	if (err == -EINPROGRESS)
		return;
	if (!err)
		r->model[i].acked = r->waiting[i];
	else
		r->failed = true;
	r->waiting[i] = -1;
}

/* Lines that are fsynced one by one: their descriptions are drafted. */
static void step_drafts(struct run *r, unsigned i)
{
	for (uint64_t left = 1 + rnd(r) % 5; left && !r->failed; left--) {
		append_some(r, i, 1, true);
		if (!r->failed)
			step_fsync(r, i);
		if (!r->failed && rnd(r) % 4)
			run_pump(r);
	}
}

static void step(struct run *r)
{
	unsigned i = (unsigned)(rnd(r) % PARTS);
	uint64_t what = rnd(r) % 11;

	if (what == 10)
		step_drafts(r, i);
	else if (what < 4)
		step_lines(r, i);
	else if (what < 5)
		step_record(r, i);
	else if (what < 8)
		step_fsync(r, i);
	/* Two of one millisecond: where both come late, one description is owed for both. */
	if (what < 2 && !r->failed)
		step_lines(r, i);
	r->mono_ms += 4;
	r->now_ms += 4;
	if (!r->failed && what >= 6 && what < 10)
		run_pump(r);
	if (!r->failed && what >= 8 && what < 10) {
		store_tick(r->store, r->now_ms, r->mono_ms);
		run_pump(r);
	}
}

static void run_init(struct run *r, uint64_t seed)
{
	memset(r, 0, sizeof(*r));
	r->sim = simdisk_new(seed);
	assert_non_null(r->sim);
	r->disk = simdisk_disk(r->sim);
	r->rnd = r->seed = seed;
	r->now_ms = 1770028200000;
	r->mono_ms = 1000;
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
		if (!r->failed)
			run_pump(r);
		if (r->failed)
			return false;
		if (life == 0) {
			int err = store_close(r->store);

			r->store = NULL;
			if (err)
				return false;
			for (unsigned i = 0; i < PARTS; i++)
				r->model[i].acked = r->model[i].appended;
		}
	}
	return true;
}

/* No journal: every fsync goes in place. */
static bool scenario_in_place(struct run *r)
{
	r->in_place = true;
	simdisk_stop_after(r->sim, r->label);
	return scenario(r);
}

/* One line, and its fsync. */
static void step_small(struct run *r, unsigned i)
{
	step_lines(r, i % PARTS);
	if (!r->failed)
		step_fsync(r, i % PARTS);
	r->now_ms += 4;
	r->mono_ms += 4;
	if (!r->failed)
		run_pump(r);
	if (!r->failed && i % 8 == 0) {
		store_tick(r->store, r->now_ms, r->mono_ms);
		run_pump(r);
	}
}

/* The ring is nearly full; what is swept is where it begins anew. */
static bool scenario_ring(struct run *r)
{
	struct store_open_report rep;
	struct store_stats before, after;

	simdisk_stop_after(r->sim, ~0ULL);
	if (run_open(r, &rep))
		return false;
	for (unsigned i = 0; i < 262 && !r->failed; i++) {
		if (i == 248) {
			store_stats(r->store, &before);
			simdisk_stop_after(r->sim, r->label);
		}
		step_small(r, i);
	}
	if (r->failed)
		return false;
	store_stats(r->store, &after);
	/* Each write takes a block at least: the last ones stand at the begin again. */
	assert_true(before.journal_writes * BLOCK < before.journal_bytes);
	assert_true(after.journal_writes * BLOCK > after.journal_bytes);
	return true;
}

/* Waits for the ring to be full, with its oldest entries held back by syncs that take long. */
static bool fill_ring(struct run *r, unsigned stop_blocks)
{
	struct store_stats st = { 0 };

	for (unsigned i = 0; i < 2000 && !r->failed; i++) {
		store_stats(r->store, &st);
		/* The last block is for a moved start. */
		if (st.journal_used + BLOCK == st.journal_bytes)
			return true;
		if (st.journal_used + stop_blocks * BLOCK == st.journal_bytes)
			simdisk_stop_after(r->sim, r->label);
		step_small(r, i);
	}
	return false;
}

/* The ring is wholly full: every fsync goes in place, until its start moves again. */
static bool scenario_ring_full(struct run *r)
{
	struct store_open_report rep;
	struct store_stats full, later, after;

	simdisk_stop_after(r->sim, ~0ULL);
	if (run_open(r, &rep))
		return false;
	store_tick(r->store, r->now_ms, r->mono_ms);
	run_pump(r);
	for (unsigned i = 0; i < 2 * PARTS && !r->failed; i++)
		step_small(r, i);
	simdisk_hold_syncs(r->sim, 2);
	if (!fill_ring(r, 4))
		return false;
	store_stats(r->store, &full);
	for (unsigned i = 0; i < 12 && !r->failed; i++)
		step_small(r, i);
	if (r->failed)
		return false;
	store_stats(r->store, &later);
	assert_int_equal(later.journal_writes, full.journal_writes);
	assert_true(later.syncs_in_place > full.syncs_in_place);
	simdisk_let_go(r->sim);
	for (unsigned i = 0; i < 12 && !r->failed; i++)
		step_small(r, i);
	if (r->failed)
		return false;
	store_stats(r->store, &after);
	assert_true(after.journal_writes > later.journal_writes);
	assert_true(after.journal_used < after.journal_bytes / 2);
	return true;
}

static void check_records(struct run *r, unsigned i)
{
	struct plog *p = r->plogs[i];
	const struct batch *b;
	char want[512];
	int64_t at = p->start_offset;

	while (at < p->next_offset) {
		int err = plog_batch(p, at, &b);

		if (err)
			fail_msg("case %u partition %u: offset %lld: %s: %s", r->label, i,
				 (long long)at, log_errno_name(err), p->fault);
		assert_true(b->head.base_offset <= at);
		for (uint32_t k = 0; k < b->head.cnt; k++) {
			const struct record *rec = &b->recs[k];
			uint32_t len;

			if (rec->offset < at)
				continue;
			assert_int_equal(rec->offset, at);
			len = value_make(i, at, want);
			assert_int_equal(rec->value_len, len - 1);
			assert_memory_equal(rec->value, want, len - 1);
			at++;
		}
	}
	assert_int_equal(at, p->next_offset);
}

static void check_bytes(struct run *r, unsigned i)
{
	struct plog *p = r->plogs[i];
	uint64_t pos = 0, next;
	char want[512], got[1024];

	for (int64_t o = 0; o < p->next_offset; o++) {
		uint32_t len = value_make(i, o, want), done = 0;

		while (o >= p->start_offset && done < len) {
			struct plog_extent e;

			assert_int_equal(plog_extent(p, pos + done, len - done, &e, &next), 0);
			assert_true(e.len <= len - done);
			assert_int_equal(plog_extent_read(p, &e, got + done), 0);
			done += (uint32_t)e.len;
		}
		if (done)
			assert_memory_equal(got, want, len);
		pos += len;
	}
	assert_int_equal(pos, p->end_pos);
}

static void check(struct run *r, bool power_loss)
{
	for (unsigned i = 0; i < PARTS; i++) {
		struct model *m = &r->model[i];
		struct plog *p = r->plogs[i];
		int64_t least = power_loss ? m->acked : m->appended;

		if (p->next_offset < least || p->next_offset > m->tried)
			fail_msg("case %u partition %u: ends at %lld; acknowledged %lld, appended "
				 "%lld, tried %lld",
				 r->label, i, (long long)p->next_offset, (long long)m->acked,
				 (long long)m->appended, (long long)m->tried);
		assert_true(p->start_offset >= m->start);
		assert_true(p->start_offset <= p->next_offset);
		check_records(r, i);
		check_bytes(r, i);
		m->appended = m->tried = p->next_offset;
		m->acked = MIN(m->acked, m->appended);
	}
}

/* Fails with all that is known of a recovery that failed. */
static void run_explain(struct run *r, int err, const struct store_open_report *rep)
{
	for (unsigned i = 0; i < PARTS; i++)
		if (r->plogs[i])
			print_error("partition %u: acknowledged %lld, appended %lld, ends at %lld: "
				    "%s\n",
				    i, (long long)r->model[i].acked,
				    (long long)r->model[i].appended,
				    (long long)r->plogs[i]->next_offset, r->plogs[i]->fault);
	fail_msg("seed %llu case %u: recovery: %s %s", (unsigned long long)r->seed, r->label,
		 log_errno_name(err), rep->sentence);
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

/* What comes after a stop: recovery (itself stopped once, after `again` calls, where that is not
 * 0), the comparison, a few more steps, a clean stop, and the comparison again. */
static void recover_and_check(struct run *r, bool power_loss, uint64_t seed, uint64_t again)
{
	struct store_open_report rep;
	int err;

	if (power_loss)
		simdisk_crash(r->sim, seed);
	else
		simdisk_kill(r->sim);
	run_bury(r);
	if (again) {
		simdisk_stop_after(r->sim, again);
		if (run_open(r, &rep))
			r->failed = true;
		if (power_loss)
			simdisk_crash(r->sim, seed + 1);
		else
			simdisk_kill(r->sim);
		run_bury(r);
	}
	simdisk_stop_after(r->sim, ~0ULL);
	err = run_open(r, &rep);
	if (err)
		run_explain(r, err, &rep);
	assert_int_equal(rep.damaged, 0);
	check(r, power_loss);
	for (unsigned i = 0; i < 12; i++)
		step(r);
	assert_false(r->failed);
	assert_int_equal(store_close(r->store), 0);
	for (unsigned i = 0; i < PARTS; i++)
		r->model[i].acked = r->model[i].appended;
	assert_int_equal(run_open(r, &rep), 0);
	assert_true(rep.clean);
	check(r, true);
	store_free(r->store);
	r->store = NULL;
}

static void sweep(bool (*run_scenario)(struct run *), uint64_t seed, bool power_loss,
		  uint64_t stride)
{
	printf("# seed %llu\n", (unsigned long long)seed);
	for (uint64_t n = 1;; n += stride) {
		struct run *r = malloc(sizeof(*r));
		bool ended;

		assert_non_null(r);
		run_init(r, seed);
		r->label = (unsigned)n;
		simdisk_stop_after(r->sim, n);
		ended = run_scenario(r);
		recover_and_check(r, power_loss, seed * 1000 + n, n % 3 ? 0 : 1 + n % 97);
		simdisk_free(r->sim);
		free(r);
		if (ended)
			return;
	}
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

/* The seeds of one test: cnt times what SWEEP_SEEDS or TOPICFS_LONG ask for, from TOPICFS_SEED on.
 */
static void sweep_seeds(bool (*run_scenario)(struct run *), uint64_t cnt, bool power_loss,
			uint64_t stride)
{
	uint64_t first = env_number("TOPICFS_SEED", 1);

	cnt *= env_number("SWEEP_SEEDS", is_long() ? 40 : 1);
	for (uint64_t seed = first; seed < first + cnt; seed++)
		sweep(run_scenario, seed, power_loss, is_long() ? 1 : stride);
}

static void test_kill_after_each_call(void **state)
{
	sweep_seeds(scenario, 2, false, 1);
}

static void test_power_loss_after_each_call(void **state)
{
	sweep_seeds(scenario, 4, true, 1);
}

static void test_without_a_journal(void **state)
{
	sweep_seeds(scenario_in_place, 1, false, 2);
	sweep_seeds(scenario_in_place, 1, true, 2);
}

static void test_while_the_journal_goes_round(void **state)
{
	sweep_seeds(scenario_ring, 1, false, 3);
	sweep_seeds(scenario_ring, 1, true, 3);
}

static void test_while_the_journal_is_full(void **state)
{
	sweep_seeds(scenario_ring_full, 1, false, 2);
	sweep_seeds(scenario_ring_full, 2, true, 1);
}

static void fail_each(int err)
{
	for (uint64_t n = 1;; n++) {
		struct run *r = malloc(sizeof(*r));
		bool ended, met;

		assert_non_null(r);
		run_init(r, 5);
		r->label = (unsigned)n;
		simdisk_fail(r->sim, n, 1, err);
		ended = scenario(r);
		met = simdisk_failed_cnt(r->sim) > 0;
		/* The process stops at an error; what was acknowledged must survive it. */
		simdisk_fail(r->sim, 0, 0, 0);
		recover_and_check(r, true, n, 0);
		simdisk_free(r->sim);
		free(r);
		if (ended && !met)
			return;
	}
}

static void test_each_call_fails_with_eio(void **state)
{
	fail_each(-EIO);
}

static void test_each_call_fails_with_enospc(void **state)
{
	fail_each(-ENOSPC);
}

static void test_each_call_is_interrupted_or_short(void **state)
{
	fail_each(-EINTR);
	fail_each(SIMDISK_SHORT);
}

static void test_each_call_fails_with_emfile(void **state)
{
	fail_each(-EMFILE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_after_each_call),
		cmocka_unit_test(test_power_loss_after_each_call),
		cmocka_unit_test(test_without_a_journal),
		cmocka_unit_test(test_while_the_journal_goes_round),
		cmocka_unit_test(test_while_the_journal_is_full),
		cmocka_unit_test(test_each_call_fails_with_eio),
		cmocka_unit_test(test_each_call_fails_with_enospc),
		cmocka_unit_test(test_each_call_is_interrupted_or_short),
		cmocka_unit_test(test_each_call_fails_with_emfile),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

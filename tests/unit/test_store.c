#include "daemon/base/log.h"
#include "daemon/store/journal.h"
#include "daemon/store/store.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1770028200000

struct fixture {
	struct simdisk *sim;
	struct disk *d;
	struct store *s;
	struct store_config config;
	int64_t mono_ms;
	unsigned synced, failed, raised, clock, space;
	uint64_t last_token;
	char sentence[256];
};

static const uint8_t ID[16] = { 1, 2, 3 }, OTHER_ID[16] = { 9, 9 };
static const struct plog_config PLOG = { .segment_bytes = 4000,
					 .segment_ms = -1,
					 .retention_ms = -1,
					 .retention_bytes = -1,
					 .index_interval_bytes = 4096 };

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->sim = simdisk_new(42);
	f->d = simdisk_disk(f->sim);
	f->config = (struct store_config){
		.journal_bytes = 1 << 20,
		.reserve_bytes = 1 << 20,
		.retention_check_ms = 1000,
		.dirty_bytes_max = 1 << 20,
	};
	f->mono_ms = 5000;
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	simdisk_free(f->sim);
	free(f);
	return 0;
}

static struct store_open_report open_ok(struct fixture *f)
{
	struct store_open_report rep;

	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), 0);
	return rep;
}

static void close_ok(struct fixture *f)
{
	assert_int_equal(store_close(f->s, NOW), 0);
	f->s = NULL;
}

static struct plog *plog_ok(struct fixture *f, uint32_t partition, const struct plog_config *c)
{
	struct plog *p;

	assert_int_equal(store_plog(f->s, "orders", ID, partition, c, true, NOW, &p), 0);
	return p;
}

static void events(struct fixture *f)
{
	struct store_event e;

	for (store_next_event(f->s, &e); e.kind != STORE_NONE; store_next_event(f->s, &e)) {
		f->synced += e.kind == STORE_SYNCED;
		f->failed += e.kind == STORE_FAILED;
		f->raised += e.kind == STORE_START_RAISED;
		f->clock += e.kind == STORE_CLOCK;
		f->space += e.kind == STORE_SPACE;
		if (e.kind == STORE_SYNCED)
			f->last_token = e.token;
		else
			memcpy(f->sentence, e.sentence, sizeof(e.sentence));
	}
}

/* Lets everything happen that is under way. */
static void pump(struct fixture *f)
{
	struct disk_req *req;

	store_kick(f->s, NOW);
	while ((req = disk_reap(f->d)))
		store_on_disk(f->s, req, NOW);
	events(f);
}

static void tick(struct fixture *f, int64_t ms)
{
	f->mono_ms += ms;
	store_tick(f->s, NOW - 5000 + f->mono_ms, f->mono_ms);
	pump(f);
}

static int dead_close(struct disk *d, int fd)
{
	return 0;
}

static void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

/* Frees what a process that stopped had in memory. */
static void bury(struct fixture *f)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = f->d->ops;

	f->d->ops = &DEAD;
	store_free(f->s);
	f->d->ops = ops;
	f->s = NULL;
}

static int append(struct fixture *f, struct plog *p, const char *line)
{
	struct iovec iov = { (void *)line, strlen(line) };
	struct plog_appended a;

	return store_append_lines(f->s, p, NOW, &iov, 1, iov.iov_len, 1, false, &a);
}

static void test_a_fresh_directory_gets_its_ids(void **state)
{
	struct fixture *f = *state;
	struct store_open_report a = open_ok(f), b;
	const uint8_t none[16] = { 0 };
	size_t len;

	assert_true(a.fresh);
	assert_false(a.unclean_machine);
	assert_memory_not_equal(a.cluster_id, none, 16);
	assert_memory_equal(store_directory_id(f->s), a.directory_id, 16);
	close_ok(f);
	assert_non_null(simdisk_bytes(f->sim, "clean-shutdown", &len));
	b = open_ok(f);
	assert_true(b.clean);
	assert_false(b.fresh);
	assert_memory_equal(a.cluster_id, b.cluster_id, 16);
	assert_null(simdisk_bytes(f->sim, "clean-shutdown", &len));
}

static void test_a_directory_in_use_is_refused(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;
	struct store *s;

	open_ok(f);
	assert_int_equal(store_open(f->d, &f->config, NOW, &s, &rep), -EBUSY);
	assert_true(strlen(rep.sentence) > 10);
}

static int count_name(void *ctx, const char *name)
{
	++*(unsigned *)ctx;
	return 0;
}

static void test_a_newer_version_is_left_untouched(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;
	const char *text = "version=2\ncluster.id=x\n";
	unsigned names = 0;
	int fd;

	assert_int_equal(disk_open(f->d, "meta.properties", DISK_CREATE, &fd), 0);
	assert_int_equal(disk_write(f->d, fd, text, strlen(text), 0), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), -EPROTONOSUPPORT);
	assert_non_null(strstr(rep.sentence, "version 2"));
	assert_int_equal(disk_list(f->d, ".", count_name, &names), 0);
	assert_int_equal(names, 1);
}

static void test_one_write_serves_all_that_wait(void **state)
{
	struct fixture *f = *state;
	struct store_stats a, b;
	struct plog *p[8];

	open_ok(f);
	tick(f, 1);
	/* The first fsync of a segment goes in place. */
	for (unsigned i = 0; i < 8; i++) {
		p[i] = plog_ok(f, i, &PLOG);
		assert_int_equal(append(f, p[i], "first\n"), 0);
		assert_int_equal(store_fsync(f->s, p[i], NOW, i), -EINPROGRESS);
	}
	pump(f);
	assert_int_equal(f->synced, 8);
	store_stats(f->s, &a);
	assert_true(a.journal_bytes > 0);
	for (unsigned i = 0; i < 8; i++) {
		assert_int_equal(append(f, p[i], "second\n"), 0);
		assert_int_equal(store_fsync(f->s, p[i], NOW, 100 + i), -EINPROGRESS);
	}
	pump(f);
	store_stats(f->s, &b);
	assert_int_equal(f->synced, 16);
	assert_int_equal(b.journal_writes, a.journal_writes + 1);
	assert_int_equal(b.syncs_in_place, a.syncs_in_place);
	/* And now nothing is left to be done. */
	assert_int_equal(store_fsync(f->s, p[0], NOW, 1), 0);
}

/* Who asks while the write is under way waits for it, too. */
static void test_nobody_is_answered_before_the_write(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "first\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
	pump(f);
	assert_int_equal(append(f, p, "second\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 2), -EINPROGRESS);
	store_kick(f->s, NOW);
	events(f);
	assert_int_equal(f->synced, 1);
	assert_int_equal(store_fsync(f->s, p, NOW, 3), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->synced, 3);
	assert_int_equal(f->last_token, 3);
}

static void test_without_a_ring_fsync_goes_in_place(void **state)
{
	struct fixture *f = *state;
	struct store_stats st;
	struct plog *p;

	f->config.refuse_direct = true;
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 5; i++) {
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
		assert_int_equal(f->last_token, i);
	}
	store_stats(f->s, &st);
	assert_int_equal(st.journal_writes, 0);
	assert_int_equal(st.syncs_in_place, 5);
}

static void test_the_ring_goes_round(void **state)
{
	struct fixture *f = *state;
	struct plog_config c = PLOG;
	struct store_stats st;
	struct plog *p;

	c.segment_bytes = 1 << 28;
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &c);
	for (unsigned i = 0; i < 2000; i++) {
		assert_int_equal(append(f, p, "some line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
		assert_int_equal(f->synced, i + 1);
	}
	store_stats(f->s, &st);
	assert_true(st.journal_writes > 1900);
	assert_true(st.checkpoints >= 2000 / 254);
	assert_true(st.journal_used < st.journal_bytes / 2);
	assert_int_equal(f->failed, 0);
}

static void test_a_failed_sync_stops_everything(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	f->config.refuse_direct = true;
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
	simdisk_fail(f->sim, 1, 100, -EIO);
	pump(f);
	simdisk_fail(f->sim, 0, 0, 0);
	assert_int_equal(f->synced, 0);
	assert_int_equal(f->failed, 1);
	assert_int_equal(append(f, p, "line\n"), -EIO);
	assert_int_equal(store_fsync(f->s, p, NOW, 2), -EIO);
}

static void test_the_reserve_refuses_and_lets_go(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	tick(f, 1);
	assert_int_equal(append(f, p, "line\n"), 0);
	simdisk_set_free(f->sim, 1 << 19);
	tick(f, 200);
	assert_int_equal(append(f, p, "line\n"), -ENOSPC);
	assert_int_equal(f->space, 1);
	/* Not before there is some distance. */
	simdisk_set_free(f->sim, (1 << 20) + 10);
	tick(f, 200);
	assert_int_equal(store_check_space(f->s), -ENOSPC);
	simdisk_set_free(f->sim, 1 << 30);
	tick(f, 200);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_int_equal(f->space, 2);
}

static void test_a_clock_jump_is_told_once(void **state)
{
	struct fixture *f = *state;

	open_ok(f);
	store_tick(f->s, NOW, 1000);
	store_tick(f->s, NOW + 100, 1100);
	events(f);
	assert_int_equal(f->clock, 0);
	store_tick(f->s, NOW - 3600000, 1200);
	store_tick(f->s, NOW - 3599900, 1300);
	events(f);
	assert_int_equal(f->clock, 1);
	assert_non_null(strstr(f->sentence, "clock"));
}

static void test_retention_raises_the_start(void **state)
{
	struct fixture *f = *state;
	struct plog_config c = PLOG;
	struct plog *p;
	char line[512];
	int64_t start;

	c.retention_bytes = 9000;
	memset(line, 'x', sizeof(line));
	memcpy(line + 500, "\n", 2);
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &c);
	for (unsigned i = 0; i < 60; i++)
		assert_int_equal(append(f, p, line), 0);
	tick(f, 2000);
	for (unsigned i = 0; i < 3; i++)
		pump(f);
	assert_true(f->raised > 0);
	start = p->start_offset;
	assert_true(start > 0 && start < 60);
	close_ok(f);
	open_ok(f);
	p = plog_ok(f, 0, &c);
	assert_int_equal(p->start_offset, start);
	assert_int_equal(p->next_offset, 60);
}

/* A life in which a line was appended, and its fsync answered, while the checkpoint of a raised
 * start was on its way; then the power goes. */
static void raise_and_lose_power(struct fixture *f, uint64_t seed)
{
	struct plog_config c = PLOG;
	const struct batch *b;
	struct plog *p;
	char line[512];
	int64_t end;

	c.retention_bytes = 9000;
	memset(line, 'x', sizeof(line));
	memcpy(line + 500, "\n", 2);
	open_ok(f);
	tick(f, 1);
	for (unsigned i = 0; i < 4; i++)
		tick(f, 1);
	p = plog_ok(f, 0, &c);
	for (unsigned i = 0; i < 61; i++)
		assert_int_equal(append(f, p, line), 0);
	f->raised = f->synced = 0;
	assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->synced, 1);
	/* Retention begins, and with each of its steps comes an append and its fsync. */
	f->mono_ms += 2000;
	store_tick(f->s, NOW - 5000 + f->mono_ms, f->mono_ms);
	end = p->next_offset;
	for (unsigned i = 0; !f->raised && i < 50; i++) {
		struct disk_req *req = disk_reap(f->d);

		if (f->synced) {
			end = p->next_offset;
			f->synced = 0;
			assert_int_equal(append(f, p, "line\n"), 0);
			assert_int_equal(store_fsync(f->s, p, NOW, 2), -EINPROGRESS);
			store_kick(f->s, NOW);
		}
		if (req)
			store_on_disk(f->s, req, NOW);
		events(f);
	}
	assert_true(f->raised > 0);
	simdisk_crash(f->sim, seed);
	bury(f);
	open_ok(f);
	p = plog_ok(f, 0, &c);
	assert_true(p->next_offset >= end);
	for (int64_t o = p->start_offset; o < end; o++)
		assert_int_equal(plog_batch(p, o, &b), 0);
	close_ok(f);
}

static void test_a_raised_start_forgets_no_acknowledged_record(void **state)
{
	for (uint64_t seed = 1; seed <= 16; seed++) {
		void *one = NULL;

		assert_int_equal(setup(&one), 0);
		raise_and_lose_power(one, seed);
		assert_int_equal(teardown(&one), 0);
	}
}

/* A checkpoint comes; then another partition's write of the ring, and the power goes. */
static void checkpoint_and_lose_power(struct fixture *f, uint64_t seed)
{
	struct store_stats a, b;
	struct plog *p[2];

	open_ok(f);
	tick(f, 1);
	for (unsigned i = 0; i < 2; i++) {
		p[i] = plog_ok(f, i, &PLOG);
		assert_int_equal(append(f, p[i], "first\n"), 0);
		assert_int_equal(store_fsync(f->s, p[i], NOW, i), -EINPROGRESS);
	}
	pump(f);
	for (unsigned i = 0; i < 2; i++) {
		store_stats(f->s, &a);
		assert_int_equal(append(f, p[i], "second\n"), 0);
		assert_int_equal(store_fsync(f->s, p[i], NOW, i), -EINPROGRESS);
		pump(f);
		store_stats(f->s, &b);
		assert_int_equal(b.journal_writes, a.journal_writes + 1);
		if (i == 0)
			tick(f, 6000);
		store_stats(f->s, &b);
		assert_int_equal(b.checkpoints, a.checkpoints + !i);
	}
	simdisk_crash(f->sim, seed);
	bury(f);
	open_ok(f);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(plog_ok(f, i, &PLOG)->next_offset, 2);
}

static void test_a_checkpoint_takes_nothing_from_the_ring_that_is_not_synced(void **state)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		void *one = NULL;

		assert_int_equal(setup(&one), 0);
		checkpoint_and_lose_power(one, seed);
		assert_int_equal(teardown(&one), 0);
	}
}

static void test_a_deleted_partition_is_gone(void **state)
{
	struct fixture *f = *state;
	struct plog *p;
	size_t len;
	unsigned names = 0;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_true(store_has(f->s, "orders", ID, 0));
	assert_false(store_has(f->s, "orders", OTHER_ID, 0));
	assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
	assert_false(store_has(f->s, "orders", ID, 0));
	assert_null(simdisk_bytes(f->sim, "orders-0/00000000000000000000.data", &len));
	for (unsigned i = 0; i < 5; i++)
		tick(f, 100);
	assert_int_equal(disk_list(f->d, ".", count_name, &names), 0);
	/* journal, checkpoint, debts, meta.properties */
	assert_int_equal(names, 4);
}

static int count_gone(void *ctx, const char *name)
{
	size_t len = strlen(name);

	*(unsigned *)ctx += len > 5 && !strcmp(name + len - 5, ".gone");
	return 0;
}

static void test_partitions_of_a_long_name_are_deleted_one_by_one(void **state)
{
	struct fixture *f = *state;
	char topic[250];
	struct plog *p;
	unsigned gone = 0;

	memset(topic, 't', 249);
	topic[249] = '\0';
	open_ok(f);
	for (uint32_t i = 0; i < 11; i++) {
		assert_int_equal(store_plog(f->s, topic, ID, i, &PLOG, true, NOW, &p), 0);
		assert_int_equal(append(f, p, "line\n"), 0);
	}
	for (uint32_t i = 0; i < 11; i++)
		assert_int_equal(store_delete(f->s, topic, ID, i), 0);
	assert_int_equal(disk_list(f->d, ".", count_gone, &gone), 0);
	assert_int_equal(gone, 11);
}

/* A partition is deleted while bytes of it are being written out. */
static void test_a_write_out_keeps_its_descriptor(void **state)
{
	struct fixture *f = *state;
	struct plog *p;
	char line[70000];

	memset(line, 'x', sizeof(line));
	memcpy(line + sizeof(line) - 2, "\n", 2);
	f->config.dirty_bytes_max = 1;
	open_ok(f);
	tick(f, 1);
	/* The simulated disk does some requests at once, and some when they are reaped. */
	for (uint32_t i = 0; i < 8; i++) {
		p = plog_ok(f, i, &PLOG);
		assert_int_equal(append(f, p, line), 0);
		f->mono_ms++;
		store_tick(f->s, NOW, f->mono_ms);
		assert_int_equal(store_delete(f->s, "orders", ID, i), 0);
		pump(f);
		tick(f, 1);
	}
	assert_int_equal(f->failed, 0);
}

static void test_the_checkpoint_grows_while_one_is_being_written(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;
	struct plog *p;

	for (unsigned turn = 0; turn < 4; turn++) {
		open_ok(f);
		tick(f, 1);
		p = plog_ok(f, 0, &PLOG);
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
		pump(f);
		/* It is on its way, and has not been reaped. */
		f->mono_ms += 6000;
		store_tick(f->s, NOW, f->mono_ms);
		for (uint32_t i = 0; i < 900U << turn; i++)
			plog_ok(f, i, &PLOG);
		pump(f);
		tick(f, 6000);
		assert_int_equal(f->failed, 0);
		simdisk_kill(f->sim);
		bury(f);
		rep = open_ok(f);
		assert_int_equal(rep.damaged, 0);
		assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, turn + 1);
		close_ok(f);
	}
}

/* The n-th call of a clean stop fails, and then the power goes: what was acknowledged is there,
 * whether the stop called itself clean or not. */
static bool stop_and_lose_power(struct fixture *f, uint64_t nth, int err_told)
{
	const struct batch *b;
	struct plog *p;
	uint64_t failed;
	int err;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	assert_int_equal(f->synced, 3);
	simdisk_fail(f->sim, nth, 1, err_told);
	err = store_close(f->s, NOW);
	f->s = NULL;
	failed = simdisk_failed_cnt(f->sim);
	simdisk_fail(f->sim, 0, 0, 0);
	assert_true(failed || !err);
	simdisk_crash(f->sim, nth);
	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(p->next_offset, 3);
	for (int64_t o = 0; o < 3; o++)
		assert_int_equal(plog_batch(p, o, &b), 0);
	close_ok(f);
	return failed;
}

static void test_a_stop_that_fails_is_not_clean(void **state)
{
	static const int ERRORS[] = { -EIO, -ENOSPC };

	for (unsigned i = 0; i < ARRAY_CNT(ERRORS); i++) {
		bool more = true;

		for (uint64_t n = 1; more; n++) {
			void *one = NULL;

			assert_int_equal(setup(&one), 0);
			more = stop_and_lose_power(one, n, ERRORS[i]) || n < 40;
			assert_int_equal(teardown(&one), 0);
		}
	}
}

/* Recovery shall have little to read though nobody asks for an fsync, and descriptors be closed. */
static void test_what_nobody_syncs_is_synced_one_day(void **state)
{
	struct fixture *f = *state;
	struct store_stats a, b;
	struct plog_point point;
	struct plog *p;
	char line[1001];

	memset(line, 'x', sizeof(line));
	memcpy(line + 999, "\n", 2);
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	store_stats(f->s, &a);
	tick(f, 29000);
	store_stats(f->s, &b);
	assert_int_equal(b.syncs_in_place, a.syncs_in_place);
	assert_true(store_deadline(f->s) <= f->mono_ms + 2000);
	tick(f, 2000);
	store_stats(f->s, &b);
	assert_int_equal(b.syncs_in_place, a.syncs_in_place + 1);
	assert_int_equal(p->synced.next_offset, 1);
	/* Three of them roll. */
	for (unsigned i = 0; i < 400; i++)
		assert_int_equal(append(f, p, line), 0);
	tick(f, 1);
	assert_int_equal(plog_point(p, &point), 0);
	assert_int_equal(p->synced.next_offset, point.next_offset);
	for (unsigned i = 0; i < 3; i++)
		tick(f, 11000);
	/* Both locks, checkpoint, debts. */
	assert_int_equal(simdisk_open_cnt(f->sim), 4);
}

static void remove_segments(struct fixture *f, const char *base)
{
	static const char *const SUFFIXES[] = { "data", "meta", "index", "timeindex" };
	char path[64];

	for (unsigned i = 0; i < ARRAY_CNT(SUFFIXES); i++) {
		snprintf(path, sizeof(path), "orders-0/%s.%s", base, SUFFIXES[i]);
		assert_true(disk_unlink(f->d, path) <= 0);
	}
}

/* Every look-up says so, and the log goes on behind what was. */
static void test_a_log_without_its_segments_is_damage(void **state)
{
	const struct plog_config c = PLOG;
	struct fixture *f = *state;
	const struct batch *b;
	struct plog_extent e;
	struct plog *p = NULL;
	uint64_t pos;
	int64_t offset;

	open_ok(f);
	p = plog_ok(f, 0, &c);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_int_equal(append(f, p, "line\n"), 0);
	close_ok(f);
	remove_segments(f, "00000000000000000000");
	open_ok(f);
	assert_int_equal(store_plog(f->s, "orders", ID, 0, &c, true, NOW, &p), -EIO);
	assert_int_equal(p->next_offset, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(plog_batch(p, 0, &b), -EIO);
		assert_int_equal(plog_extent(p, 0, 5, &e, &pos), -EIO);
		assert_int_equal(plog_seek_data(p, 0, &pos), -EIO);
		assert_int_equal(plog_offset_to_pos(p, 1, &pos), -EIO);
		assert_int_equal(plog_pos_to_offset(p, 1, &offset), -EIO);
		assert_int_equal(plog_offset_to_pos(p, p->next_offset, &pos), 0);
		assert_int_equal(append(f, p, "more\n"), 0);
		assert_int_equal(plog_batch(p, 2, &b), 0);
	}
	close_ok(f);
}

static void test_a_marker_of_another_life_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	struct buf marker;
	uint8_t *bytes;
	size_t len;

	open_ok(f);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	buf_init(&marker);
	bytes = simdisk_bytes(f->sim, "clean-shutdown", &len);
	buf_put(&marker, bytes, len);
	assert_true(open_ok(f).clean);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	open_ok(f);
	assert_int_equal(store_write_file(f->s, "clean-shutdown", marker.data, marker.len), 0);
	buf_fini(&marker);
	simdisk_kill(f->sim);
	bury(f);
	assert_false(open_ok(f).clean);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 2);
}

static void test_data_without_properties_are_not_taken_for_fresh(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;

	open_ok(f);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	assert_int_equal(disk_unlink(f->d, "meta.properties"), 0);
	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), -EBADMSG);
	assert_non_null(strstr(rep.sentence, "meta.properties"));
	assert_int_equal(disk_unlink(f->d, "checkpoint"), 0);
	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), -EBADMSG);
	f->s = NULL;
}

static void test_a_directory_of_another_topic_is_not_served(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	close_ok(f);
	open_ok(f);
	assert_int_equal(store_plog(f->s, "orders", OTHER_ID, 0, &PLOG, true, NOW, &p), -ESTALE);
	assert_int_equal(store_plog(f->s, "nothing", ID, 0, &PLOG, false, NOW, &p), -ENOENT);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 1);
}

static void test_single_lines_are_described_in_time(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_true(p->debt.cnt > 0);
	assert_true(store_deadline(f->s) <= f->mono_ms + 5);
	tick(f, 6);
	assert_int_equal(p->debt.cnt, 0);
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_fresh_directory_gets_its_ids),
		CASE(test_a_directory_in_use_is_refused),
		CASE(test_a_newer_version_is_left_untouched),
		CASE(test_one_write_serves_all_that_wait),
		CASE(test_nobody_is_answered_before_the_write),
		CASE(test_without_a_ring_fsync_goes_in_place),
		CASE(test_the_ring_goes_round),
		CASE(test_a_failed_sync_stops_everything),
		CASE(test_the_reserve_refuses_and_lets_go),
		CASE(test_a_clock_jump_is_told_once),
		CASE(test_retention_raises_the_start),
		cmocka_unit_test(test_a_raised_start_forgets_no_acknowledged_record),
		cmocka_unit_test(test_a_checkpoint_takes_nothing_from_the_ring_that_is_not_synced),
		CASE(test_a_deleted_partition_is_gone),
		CASE(test_partitions_of_a_long_name_are_deleted_one_by_one),
		CASE(test_a_write_out_keeps_its_descriptor),
		CASE(test_the_checkpoint_grows_while_one_is_being_written),
		cmocka_unit_test(test_a_stop_that_fails_is_not_clean),
		CASE(test_what_nobody_syncs_is_synced_one_day),
		CASE(test_a_log_without_its_segments_is_damage),
		CASE(test_a_marker_of_another_life_is_not_trusted),
		CASE(test_data_without_properties_are_not_taken_for_fresh),
		CASE(test_a_directory_of_another_topic_is_not_served),
		CASE(test_single_lines_are_described_in_time),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

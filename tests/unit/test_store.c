#include "daemon/store/segment.h"
#include "tests/lib/store_fixture.h"

static void test_a_fresh_directory_gets_its_ids(void **state)
{
	struct fixture *f = *state;
	struct store_open_report a = open_ok(f), b;
	const uint8_t none[16] = { 0 };
	size_t len;

	assert_true(a.fresh);
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

/* One flipped bit in a head must not keep the broker from its other partitions. */
static void test_a_head_of_a_newer_version_stops_nobody(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { .iov_base = (void *)"one\n", .iov_len = 4 };
	struct plog_appended a;
	struct plog *p;

	open_ok(f);
	for (uint32_t i = 0; i < 2; i++) {
		p = plog_ok(f, i, &PLOG);
		assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 4, 1, false, &a), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 4, 1, false, &a), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 2), -EINPROGRESS);
	pump(f);
	store_free(f->s);
	f->s = NULL;
	simdisk_kill(f->sim);
	simdisk_flip(f->sim, "orders-0/00000000000000000000.meta", 4, 8);
	open_ok(f);
	assert_int_equal(plog_ok(f, 1, &PLOG)->next_offset, 2);
	assert_int_equal(store_plog(f->s, "orders", ID, 0, &PLOG, true, &p), -EIO);
	store_free(f->s);
	f->s = NULL;
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

/* What was just written is in memory: only the first time it is read back, and where it is much. */
static void test_the_journal_reads_nothing_back(void **state)
{
	struct fixture *f = *state;
	struct store_stats a, b;
	struct buf trace;
	struct plog *p;
	struct plog_config config = PLOG;
	char large[3001];

	memset(large, 'x', sizeof(large));
	strcpy(large + sizeof(large) - 2, "\n");
	config.segment_bytes = 1 << 20;
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &config);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(append(f, p, "first\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	store_stats(f->s, &a);
	buf_init(&trace);
	simdisk_trace(f->sim, &trace);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(append(f, p, "again\n"), 0);
		assert_int_equal(append(f, p, "and again\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, 10 + i), -EINPROGRESS);
		pump(f);
	}
	buf_put_u8(&trace, 0);
	assert_null(strstr((char *)trace.data, "read"));
	buf_reset(&trace);
	assert_int_equal(append(f, p, large), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 20), -EINPROGRESS);
	pump(f);
	simdisk_trace(f->sim, NULL);
	buf_put_u8(&trace, 0);
	assert_non_null(strstr((char *)trace.data, "read"));
	buf_fini(&trace);
	store_stats(f->s, &b);
	assert_int_equal(b.journal_writes, a.journal_writes + 4);
	assert_int_equal(f->synced, 6);
}

/* An append that failed leaves nothing in memory that the next journal entry would hold. */
static void test_what_a_failed_append_wrote_is_not_journaled(void **state)
{
	struct fixture *f = *state;
	struct plog_extent e;
	struct plog *p;
	uint64_t next;
	char got[8];

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(append(f, p, "first\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	simdisk_fail(f->sim, 1, 1, -EIO);
	assert_int_equal(append(f, p, "never\n"), -EIO);
	assert_int_equal(append(f, p, "again\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 2), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->synced, 3);
	bury(f);
	simdisk_set_fate(f->sim, SIMDISK_LOSE);
	simdisk_crash(f->sim, 1);
	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(p->next_offset, 3);
	assert_int_equal(plog_extent(p, 12, 6, &e, &next), 0);
	assert_int_equal(plog_extent_read(p, &e, got), 0);
	assert_memory_equal(got, "again\n", 6);
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
	store_kick(f->s);
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

/* A life that is killed after so many disk calls; whether the new ring had its name then. */
static bool die_making_a_ring(struct fixture *f, uint64_t calls)
{
	size_t len = 0;

	simdisk_stop_after(f->sim, calls);
	open_ok(f);
	for (unsigned i = 0; i < 10 && !simdisk_is_stopped(f->sim); i++)
		tick(f, 1);
	bury(f);
	simdisk_kill(f->sim);
	simdisk_stop_after(f->sim, ~0ULL);
	return simdisk_bytes(f->sim, "journal", &len) && len;
}

/* It may have got its name a moment before a kill, in the cache alone. */
static void test_a_ring_is_told_of_when_its_name_is_stable(void **state)
{
	struct store_open_report rep;
	unsigned kills = 0;
	uint64_t last;
	struct fixture *f;

	(void)state;
	setup((void **)&f);
	die_making_a_ring(f, ~0ULL);
	last = simdisk_call_cnt(f->sim);
	teardown((void **)&f);
	for (uint64_t n = last; n; n--) {
		bool is_named = false;

		for (uint64_t m = 1; m < 60 && (m == 1 || is_named); m++) {
			setup((void **)&f);
			is_named = die_making_a_ring(f, n);
			simdisk_stop_after(f->sim, m);
			if (is_named && !store_open(f->d, &f->config, NOW, &f->s, &rep))
				bury(f);
			simdisk_set_fate(f->sim, SIMDISK_LOSE);
			simdisk_crash(f->sim, n);
			simdisk_stop_after(f->sim, ~0ULL);
			assert_int_equal(open_ok(f).damaged, 0);
			teardown((void **)&f);
			kills += is_named;
		}
		if (!is_named)
			break;
	}
	assert_true(kills > 100);
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

/* Who says "never" by the largest interval is not looked after in every tick. */
static void test_the_longest_interval_fits_into_a_clock(void **state)
{
	struct fixture *f = *state;

	f->config.retention_check_ms = INT64_MAX;
	open_ok(f);
	tick(f, 1);
	assert_true(store_deadline(f->s) > f->mono_ms);
	tick(f, 1);
	assert_true(store_deadline(f->s) > f->mono_ms);
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
			store_kick(f->s);
		}
		if (req)
			store_on_disk(f->s, req);
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

/* All descriptors are taken when q's first segment is made: p is synced, and its are closed. */
static void relieve(struct fixture *f, struct plog *p, struct plog *q)
{
	store_kick(f->s);
	/* Four names of an earlier attempt are removed before. */
	simdisk_fail(f->sim, 5, 1, -EMFILE);
	assert_int_equal(append(f, q, "line\n"), 0);
	assert_int_equal(simdisk_failed_cnt(f->sim), 1);
	assert_int_equal(p->segs[0]->data_fd, -1);
}

static void test_a_line_is_owed_without_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;
	struct plog *p, *q;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	q = plog_ok(f, 1, &PLOG);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	relieve(f, p, q);
	assert_true(p->debt.cnt > 0);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_int_equal(a.base_offset, 1);
	tick(f, 6);
	assert_int_equal(p->debt.cnt, 0);
	assert_int_equal(f->failed, 0);
	close_ok(f);
	open_ok(f);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 2);
}

/* A sync that finds none has failed nothing yet. */
static void test_a_sync_waits_for_descriptors(void **state)
{
	struct fixture *f = *state;
	struct plog *p, *q;

	f->config.journal_bytes = 0;
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	q = plog_ok(f, 1, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	relieve(f, p, q);
	assert_int_equal(store_fsync(f->s, p, NOW, 7), -EINPROGRESS);
	simdisk_fail(f->sim, 1, 16, -EMFILE);
	pump(f);
	assert_int_equal(f->failed, 0);
	assert_int_equal(f->synced, 0);
	simdisk_fail(f->sim, 0, 0, 0);
	assert_true(store_deadline(f->s) <= f->mono_ms + 50);
	tick(f, 50);
	assert_int_equal(f->failed, 0);
	assert_int_equal(f->synced, 1);
	assert_int_equal(p->synced.next_offset, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_fresh_directory_gets_its_ids),
		CASE(test_a_directory_in_use_is_refused),
		CASE(test_a_newer_version_is_left_untouched),
		CASE(test_a_head_of_a_newer_version_stops_nobody),
		CASE(test_one_write_serves_all_that_wait),
		CASE(test_the_journal_reads_nothing_back),
		CASE(test_what_a_failed_append_wrote_is_not_journaled),
		CASE(test_nobody_is_answered_before_the_write),
		CASE(test_without_a_ring_fsync_goes_in_place),
		cmocka_unit_test(test_a_ring_is_told_of_when_its_name_is_stable),
		CASE(test_the_ring_goes_round),
		CASE(test_a_failed_sync_stops_everything),
		CASE(test_the_reserve_refuses_and_lets_go),
		CASE(test_a_clock_jump_is_told_once),
		CASE(test_the_longest_interval_fits_into_a_clock),
		CASE(test_retention_raises_the_start),
		CASE(test_a_raised_start_forgets_no_acknowledged_record),
		CASE(test_a_checkpoint_takes_nothing_from_the_ring_that_is_not_synced),
		CASE(test_a_line_is_owed_without_a_descriptor),
		CASE(test_a_sync_waits_for_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

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
	assert_int_equal(store_plog(f->s, "orders", ID, 0, &PLOG, true, NOW, &p), -EIO);
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
		CASE(test_a_head_of_a_newer_version_stops_nobody),
		CASE(test_one_write_serves_all_that_wait),
		CASE(test_without_a_ring_fsync_goes_in_place),
		CASE(test_the_ring_goes_round),
		CASE(test_a_failed_sync_stops_everything),
		CASE(test_the_reserve_refuses_and_lets_go),
		CASE(test_a_clock_jump_is_told_once),
		CASE(test_retention_raises_the_start),
		CASE(test_a_deleted_partition_is_gone),
		CASE(test_a_directory_of_another_topic_is_not_served),
		CASE(test_single_lines_are_described_in_time),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

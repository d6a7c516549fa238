/*
 * Descriptions that are drafted for the journal, and written together.
 */
#include "daemon/store/plog_impl.h"
#include "daemon/store/store_impl.h"
#include "tests/lib/store_fixture.h"

#define META "orders-0/00000000000000000000.meta"

static struct plog *begin(struct fixture *f)
{
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	/* The first fsync of a segment goes in place. */
	assert_int_equal(append(f, p, "first\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 0), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->synced, 1);
	return p;
}

static void append_late(struct fixture *f, struct plog *p, const char *line)
{
	struct iovec iov = { (void *)line, strlen(line) };
	struct plog_appended a;

	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, iov.iov_len, 1, true, &a), 0);
}

/* Lines "line 1", "line 2", … each with its fsync. */
static void fsync_lines(struct fixture *f, struct plog *p, unsigned cnt)
{
	unsigned before = f->synced;

	for (unsigned i = 1; i <= cnt; i++) {
		char line[16];

		snprintf(line, sizeof(line), "line %u\n", i);
		append_late(f, p, line);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	assert_int_equal(f->synced - before, cnt);
}

static void check_lines(struct plog *p, unsigned cnt)
{
	char wanted[256] = "first\n", got[256];
	size_t len = 6;
	uint64_t next;

	for (unsigned i = 1; i <= cnt; i++)
		len += (size_t)snprintf(wanted + len, sizeof(wanted) - len, "line %u\n", i);
	assert_int_equal(p->next_offset, cnt + 1);
	assert_int_equal(p->end_pos, len);
	for (uint64_t pos = 0; pos < len;) {
		struct plog_extent e;

		assert_int_equal(plog_extent(p, pos, len - pos, &e, &next), 0);
		assert_int_equal(plog_extent_read(p, &e, got + pos), 0);
		pos += e.len;
	}
	assert_memory_equal(got, wanted, len);
	for (unsigned i = 0; i <= cnt; i++) {
		const struct batch *b;

		assert_int_equal(plog_batch(p, i, &b), 0);
		assert_int_equal(b->head.base_offset, i);
	}
}

static size_t meta_len(struct fixture *f)
{
	size_t len = 0;

	assert_non_null(simdisk_bytes(f->sim, META, &len));
	return len;
}

static void empty_journal(struct fixture *f)
{
	int fd;

	assert_int_equal(disk_open(f->d, "journal", 0, &fd), 0);
	assert_int_equal(disk_truncate(f->d, fd, 0), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void test_descriptions_of_fsynced_lines_are_written_together(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	struct buf trace;
	size_t len;

	/* What the journal gets next is kept in memory from its first write on. */
	fsync_lines(f, p, 1);
	tick(f, STORE_DEBT_AGE_MS);
	len = meta_len(f);
	buf_init(&trace);
	simdisk_trace(f->sim, &trace);
	fsync_lines(f, p, PLOG_DRAFT_CNT);
	simdisk_trace(f->sim, NULL);
	buf_put_u8(&trace, 0);
	assert_null(strstr((char *)trace.data, "read"));
	buf_fini(&trace);
	assert_int_equal(meta_len(f), len);
	append_late(f, p, "one more\n");
	assert_int_equal(meta_len(f), len + (size_t)PLOG_DRAFT_CNT * FORMAT_BATCH_LEN);
}

static void test_drafts_are_written_for_who_reads(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	size_t len = meta_len(f);

	fsync_lines(f, p, 3);
	assert_int_equal(meta_len(f), len);
	check_lines(p, 3);
	assert_int_equal(meta_len(f), len + 3 * FORMAT_BATCH_LEN);
	assert_false(plog_owes(p));
}

static void test_drafts_are_written_after_a_while(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	size_t len = meta_len(f);

	fsync_lines(f, p, 3);
	tick(f, STORE_DEBT_AGE_MS);
	assert_int_equal(meta_len(f), len + 3 * FORMAT_BATCH_LEN);
	assert_int_equal(f->s->debts.free_cnt, DEBT_SLOT_CNT);
}

static void test_drafts_survive_a_power_loss(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);

	fsync_lines(f, p, 5);
	bury(f);
	simdisk_set_fate(f->sim, SIMDISK_LOSE);
	simdisk_crash(f->sim, 1);
	open_ok(f);
	check_lines(plog_ok(f, 0, &PLOG), 5);
}

/* The journal is not needed for what a process that dies leaves. */
static void test_drafts_survive_a_kill_without_the_journal(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);

	fsync_lines(f, p, 5);
	append_late(f, p, "line 6\n");
	bury(f);
	simdisk_kill(f->sim);
	empty_journal(f);
	open_ok(f);
	check_lines(plog_ok(f, 0, &PLOG), 6);
	assert_int_equal(f->s->debts.free_cnt, DEBT_SLOT_CNT);
}

/* It may fail, and then the next one knows of them. */
static void check_start_that_fails(int err)
{
	unsigned failed = 0;

	for (unsigned nth = 1; nth <= 40; nth++) {
		struct store_open_report rep;
		struct fixture *f;
		void *one = NULL;
		int r;

		assert_int_equal(setup(&one), 0);
		f = one;
		append_late(f, begin(f), "line 1\n");
		bury(f);
		simdisk_kill(f->sim);
		simdisk_fail(f->sim, nth, 1, err);
		r = store_open(f->d, &f->config, NOW, &f->s, &rep);
		simdisk_fail(f->sim, 0, 0, 0);
		failed += r == err;
		if (r)
			open_ok(f);
		check_lines(plog_ok(f, 0, &PLOG), 1);
		assert_int_equal(teardown(&one), 0);
	}
	assert_true(failed > 5);
}

static void test_a_start_without_descriptors_loses_no_line(void **state)
{
	(void)state;
	check_start_that_fails(-EMFILE);
}

static void test_a_start_that_meets_an_error_loses_no_line(void **state)
{
	(void)state;
	check_start_that_fails(-EIO);
}

/* The rest of it still vouches. */
static void test_owed_lines_outlive_a_cut_of_the_file_behind_them(void **state)
{
	struct fixture *f = *state;
	int fd;

	append_late(f, begin(f), "line 1\n");
	bury(f);
	simdisk_kill(f->sim);
	assert_int_equal(disk_open(f->d, "debts", 0, &fd), 0);
	assert_int_equal(disk_truncate(f->d, fd, DEBT_FILE_LEN / 2), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	open_ok(f);
	check_lines(plog_ok(f, 0, &PLOG), 1);
}

/* And what is owed is not behind a draft that is in no journal yet. */
static void test_no_line_is_owed_behind_a_draft_that_is_under_way(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	size_t len = meta_len(f);

	append_late(f, p, "line 1\n");
	assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
	store_kick(f->s);
	assert_int_equal(meta_len(f), len);
	append_late(f, p, "line 2\n");
	assert_int_equal(meta_len(f), len + FORMAT_BATCH_LEN);
	pump(f);
	check_lines(p, 2);
}

static void test_the_first_line_behind_a_roll_finds_all_described(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	size_t len = meta_len(f);

	fsync_lines(f, p, 3);
	assert_int_equal(plog_roll(p, NOW), 0);
	assert_int_equal(meta_len(f), len + 3 * FORMAT_BATCH_LEN);
	append_late(f, p, "line 4\n");
	bury(f);
	simdisk_kill(f->sim);
	open_ok(f);
	check_lines(plog_ok(f, 0, &PLOG), 4);
}

static void test_where_slots_are_few_nothing_is_drafted(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);
	size_t len = meta_len(f);

	while (f->s->debts.free_cnt > DEBT_SLOT_CNT / 2)
		assert_true(debt_take(&f->s->debts) >= 0);
	fsync_lines(f, p, 2);
	assert_int_equal(meta_len(f), len + 2 * FORMAT_BATCH_LEN);
	while (f->s->debts.free_cnt)
		assert_true(debt_take(&f->s->debts) >= 0);
	append_late(f, p, "line 3\n");
	assert_int_equal(meta_len(f), len + 3 * FORMAT_BATCH_LEN);
	check_lines(p, 3);
}

static void test_no_room_for_a_slot_behind_drafts(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);

	fsync_lines(f, p, 2);
	while (f->s->debts.free_cnt)
		assert_true(debt_take(&f->s->debts) >= 0);
	append_late(f, p, "line 3\n");
	check_lines(p, 3);
}

static void test_a_deleted_partition_gives_its_slots_back(void **state)
{
	struct fixture *f = *state;
	struct plog *p = begin(f);

	fsync_lines(f, p, 4);
	assert_int_equal(f->s->debts.free_cnt, DEBT_SLOT_CNT - 4);
	assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
	for (unsigned i = 0; i < 5; i++)
		tick(f, 100);
	assert_int_equal(f->s->debts.free_cnt, DEBT_SLOT_CNT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_descriptions_of_fsynced_lines_are_written_together),
		CASE(test_drafts_are_written_for_who_reads),
		CASE(test_drafts_are_written_after_a_while),
		CASE(test_drafts_survive_a_power_loss),
		CASE(test_drafts_survive_a_kill_without_the_journal),
		CASE(test_a_start_without_descriptors_loses_no_line),
		CASE(test_a_start_that_meets_an_error_loses_no_line),
		CASE(test_owed_lines_outlive_a_cut_of_the_file_behind_them),
		CASE(test_no_line_is_owed_behind_a_draft_that_is_under_way),
		CASE(test_the_first_line_behind_a_roll_finds_all_described),
		CASE(test_where_slots_are_few_nothing_is_drafted),
		CASE(test_no_room_for_a_slot_behind_drafts),
		CASE(test_a_deleted_partition_gives_its_slots_back),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/lib/store_fixture.h"

#include "daemon/store/segment.h"

#define KEYS 20U

static const struct plog_config COMPACT = { .segment_bytes = 4000,
					    .segment_ms = -1,
					    .retention_ms = -1,
					    .retention_bytes = -1,
					    .index_interval_bytes = 4096,
					    .compact = true,
					    .delete_retention_ms = 1000 };

static int setup_clean(void **state)
{
	int r = setup(state);
	struct fixture *f = *state;

	f->config.clean_check_ms = 100;
	return r;
}

#define CLEAN_CASE(test) cmocka_unit_test_setup_teardown(test, setup_clean, teardown)

/* Values of one key in turn. */
static void put(struct fixture *f, struct plog *p, unsigned number)
{
	uint8_t key = (uint8_t)(number % KEYS);
	char value[64];
	struct record rec = { .key = &key,
			      .key_len = 1,
			      .value = (uint8_t *)value,
			      .value_len = (uint32_t)sprintf(value, "value %u", number),
			      .timestamp_ms = RECORD_NO_TIMESTAMP };
	struct plog_appended a;

	assert_int_equal(store_append_records(f->s, p, NOW, &rec, 1, NULL, &a), 0);
	assert_int_equal(a.base_offset, number);
}

struct newest {
	int64_t offset[KEYS];
	unsigned records;
};

static int take(void *ctx, const struct batch_head *head, const struct record *rec)
{
	struct newest *n = ctx;
	char value[64];

	sprintf(value, "value %lld", (long long)rec->offset);
	assert_int_equal(rec->value_len, strlen(value));
	assert_memory_equal(rec->value, value, rec->value_len);
	assert_int_equal(rec->key[0], rec->offset % KEYS);
	n->offset[rec->key[0]] = rec->offset;
	n->records++;
	return 0;
}

/* That the newest record of each key of so many is there; returns how many records are. */
static unsigned check_newest(struct plog *p, unsigned cnt)
{
	struct newest n = { 0 };
	int64_t next;

	assert_int_equal(plog_walk(p, 0, take, &n, &next), 0);
	assert_int_equal(next, cnt);
	for (unsigned i = 0; i < KEYS; i++)
		assert_int_equal(n.offset[i], cnt - KEYS + (i + KEYS - cnt % KEYS) % KEYS);
	return n.records;
}

static uint64_t cleaned(struct fixture *f)
{
	struct store_stats st;

	store_stats(f->s, &st);
	return st.segments_cleaned;
}

static void test_the_size_stays_bounded(void **state)
{
	struct fixture *f = *state;
	struct plog *p;
	unsigned cnt = 0, files = 0;

	open_ok(f);
	p = plog_ok(f, 0, &COMPACT);
	for (; cnt < 20000; cnt++) {
		put(f, p, cnt);
		if (cnt % 4 == 0)
			tick(f, 20);
		while (cnt % 4 == 0 && store_deadline(f->s) <= f->mono_ms)
			tick(f, 0);
		if (cnt < 200)
			continue;
		/* One that is active, as much to be cleaned as is clean, and what comes meanwhile.
		 */
		assert_true(plog_bytes(p) < 32000);
		assert_true(p->seg_cnt < 12);
	}
	assert_int_equal(f->failed, 0);
	assert_true(check_newest(p, cnt) < 300);
	assert_true(cleaned(f) > 500);
	assert_int_equal(disk_list(f->d, "orders-0", count_name, &files), 0);
	assert_true(files < 50);
	close_ok(f);
	open_ok(f);
	p = plog_ok(f, 0, &COMPACT);
	assert_int_equal(p->next_offset, cnt);
	check_newest(p, cnt);
}

static void damage_a_cleaned_one(struct fixture *f, struct plog *p)
{
	uint32_t idx = 1;
	char path[64];

	while (idx < p->seg_cnt && !(p->segs[idx]->generation && p->segs[idx]->data_len))
		idx++;
	assert_true(idx < p->seg_cnt);
	sprintf(path, "orders-0/%020lld.data", (long long)p->segs[idx]->base_offset);
	simdisk_flip(f->sim, path, 1, 1);
}

/* What is damaged stays, and the rest is cleaned as ever, in the next life, too. */
static void test_the_size_stays_bounded_behind_damage(void **state)
{
	struct fixture *f = *state;
	unsigned cnt = 0;

	for (unsigned life = 0; life < 2; life++) {
		struct plog *p;

		open_ok(f);
		p = plog_ok(f, 0, &COMPACT);
		for (unsigned i = 0; i < 3000; i++, cnt++) {
			put(f, p, cnt);
			if (!life && i == 5)
				simdisk_flip(f->sim, "orders-0/00000000000000000000.data", 1, 1);
			if (life && i == 20)
				damage_a_cleaned_one(f, p);
			if (cnt % 4 == 0)
				tick(f, 20);
			while (cnt % 4 == 0 && store_deadline(f->s) <= f->mono_ms)
				tick(f, 0);
			if (i >= 200)
				assert_true(plog_bytes(p) < 36000);
		}
		assert_int_equal(p->segs[0]->generation, 0);
		assert_int_equal(f->failed, 0);
		close_ok(f);
	}
}

static void test_other_logs_are_not_cleaned(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 500; i++) {
		put(f, p, i);
		tick(f, 20);
	}
	assert_int_equal(cleaned(f), 0);
	assert_int_equal(check_newest(p, 500), 500);
}

static void test_pages_that_are_cold_are_read_in_beside(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	p = plog_ok(f, 0, &COMPACT);
	simdisk_set_cold(f->sim, 2);
	for (unsigned i = 0; i < 500; i++) {
		put(f, p, i);
		tick(f, 20);
	}
	assert_true(cleaned(f) > 10);
	assert_int_equal(f->failed, 0);
	check_newest(p, 500);
}

/* So many ticks after a log has something to clean. */
static struct plog *run_ticks(struct fixture *f, unsigned ticks)
{
	struct plog *p = plog_ok(f, 0, &COMPACT);

	for (unsigned i = 0; i < 200; i++)
		put(f, p, i);
	for (unsigned i = 0; i < ticks; i++)
		tick(f, i ? 1 : 200);
	return p;
}

static void test_a_stop_at_any_moment_is_a_clean_one(void **state)
{
	for (unsigned ticks = 1, done = 0; !done; ticks++) {
		struct fixture *f;
		unsigned names = 0;
		struct plog *p;

		assert_int_equal(setup_clean((void **)&f), 0);
		open_ok(f);
		p = run_ticks(f, ticks);
		done = cleaned(f) && store_deadline(f->s) > f->mono_ms;
		close_ok(f);
		assert_true(open_ok(f).clean);
		p = plog_ok(f, 0, &COMPACT);
		check_newest(p, 200);
		assert_int_equal(disk_list(f->d, "orders-0", count_name, &names), 0);
		/* Four files a segment at most, and partition.metadata. */
		assert_true(names <= 1 + 4 * p->seg_cnt);
		assert_int_equal(teardown((void **)&f), 0);
		assert_true(ticks < 1000);
	}
}

static void test_a_log_is_deleted_while_it_is_cleaned(void **state)
{
	for (unsigned ticks = 1; ticks < 40; ticks++) {
		struct fixture *f;
		unsigned names = 0, before = 0;

		assert_int_equal(setup_clean((void **)&f), 0);
		open_ok(f);
		assert_int_equal(disk_list(f->d, ".", count_name, &before), 0);
		run_ticks(f, ticks);
		f->mono_ms += 1;
		store_tick(f->s, NOW, f->mono_ms);
		assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
		for (unsigned i = 0; i < 50; i++)
			tick(f, 200);
		assert_int_equal(f->failed, 0);
		assert_int_equal(disk_list(f->d, ".", count_name, &names), 0);
		assert_true(names <= before + 1);
		assert_null(store_plog_opened(f->s, ID, 0));
		assert_int_equal(teardown((void **)&f), 0);
	}
}

static void test_without_room_it_is_given_up_and_tried_later(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	f->config.journal_bytes = 0;
	f->config.reserve_bytes = 0;
	open_ok(f);
	p = run_ticks(f, 0);
	simdisk_set_free(f->sim, 100);
	for (unsigned i = 0; i < 100; i++)
		tick(f, 200);
	assert_int_equal(f->failed, 0);
	assert_int_equal(cleaned(f), 0);
	assert_int_equal(check_newest(p, 200), 200);
	simdisk_set_free(f->sim, 1 << 30);
	for (unsigned i = 0; i < 4000 && !cleaned(f); i++)
		tick(f, 200);
	assert_true(cleaned(f) > 0);
	check_newest(p, 200);
}

static const struct disk_ops *real_ops;
static const char *refused; /* what no file is renamed from that has it in its name */

static int rename_refused(struct disk *d, const char *from, const char *to)
{
	return refused && strstr(from, refused) ? -ENOSPC : real_ops->rename(d, from, to);
}

static int count_generation(void *ctx, const char *name)
{
	unsigned *cnt = ctx;

	if (strstr(name, ".data."))
		++*cnt;
	return 0;
}

/* Values that have no name yet. */
static unsigned unnamed(struct fixture *f)
{
	unsigned cnt = 0;

	assert_int_equal(disk_list(f->d, "orders-0", count_generation, &cnt), 0);
	return cnt;
}

/* Until a cleaning is at its end, for which the disk has no room for a name. */
static struct plog *run_refused(struct fixture *f, const char *what)
{
	static struct disk_ops ops;
	struct plog *p;

	real_ops = f->d->ops;
	ops = *real_ops;
	ops.rename = rename_refused;
	f->d->ops = &ops;
	refused = what;
	open_ok(f);
	p = run_ticks(f, 0);
	for (unsigned i = 0; i < 100; i++)
		tick(f, 200);
	assert_int_equal(f->failed, 0);
	return p;
}

static void test_without_room_to_take_its_place_it_is_tried_later(void **state)
{
	struct fixture *f = *state;
	struct plog *p = run_refused(f, ".meta.new");

	assert_int_equal(cleaned(f), 0);
	assert_int_equal(check_newest(p, 200), 200);
	assert_int_equal(unnamed(f), 0);
	refused = NULL;
	for (unsigned i = 0; i < 4000 && !cleaned(f); i++)
		tick(f, 200);
	assert_true(cleaned(f) > 0);
	assert_true(check_newest(p, 200) < 100);
}

/* What is cleaned is read meanwhile. */
static void test_values_without_room_for_their_name(void **state)
{
	struct fixture *f = *state;
	struct plog *p = run_refused(f, ".data.");
	unsigned cnt, before = unnamed(f);
	uint64_t first = cleaned(f);

	assert_true(before > 0);
	assert_true(check_newest(p, 200) < 100);
	for (cnt = 200; cnt < 400; cnt++) {
		put(f, p, cnt);
		tick(f, 20);
	}
	assert_true(check_newest(p, cnt) < 300);
	assert_true(cleaned(f) > first);
	/* What was cleaned twice has one. */
	assert_in_range(unnamed(f), 1, p->seg_cnt - 1);
	before = unnamed(f);
	refused = NULL;
	for (; cnt < 800; cnt++) {
		put(f, p, cnt);
		tick(f, 20);
	}
	assert_true(check_newest(p, cnt) < 300);
	assert_in_range(unnamed(f), 0, before - 1);
	close_ok(f);
	open_ok(f);
	check_newest(plog_ok(f, 0, &COMPACT), cnt);
	assert_int_equal(unnamed(f), 0);
}

/* Lives without room for it, behind a stop and a kill, and then one that has it. */
static void test_a_name_without_room_outlives_a_stop(void **state)
{
	(void)state;
	for (unsigned is_killed = 0; is_killed < 2; is_killed++) {
		struct fixture *f;

		assert_int_equal(setup_clean((void **)&f), 0);
		run_refused(f, ".data.");
		for (unsigned life = 0; life < 3; life++) {
			if (is_killed) {
				bury(f);
				simdisk_kill(f->sim);
			} else {
				close_ok(f);
			}
			if (life == 2)
				refused = NULL;
			assert_int_equal(open_ok(f).clean, !is_killed);
			assert_true(check_newest(plog_ok(f, 0, &COMPACT), 200) < 100);
			assert_int_equal(unnamed(f) > 0, life < 2);
		}
		assert_int_equal(teardown((void **)&f), 0);
	}
}

/* Where a damaged log would be cleaned, others are. */
static void test_damage_in_one_log_keeps_no_other_from_it(void **state)
{
	struct fixture *f = *state;
	struct plog *p, *other;

	open_ok(f);
	p = run_ticks(f, 0);
	other = plog_ok(f, 1, &COMPACT);
	for (unsigned i = 0; i < 100; i++)
		put(f, other, i);
	simdisk_flip(f->sim, "orders-0/00000000000000000000.meta", FORMAT_HEAD_LEN + 50, 1);
	for (unsigned i = 0; i < 200; i++)
		tick(f, 20);
	assert_true(cleaned(f) > 0);
	assert_int_equal(p->segs[0]->generation, 0);
	assert_true(other->segs[0]->generation > 0);
	check_newest(other, 100);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLEAN_CASE(test_the_size_stays_bounded_behind_damage),
		CLEAN_CASE(test_the_size_stays_bounded),
		CLEAN_CASE(test_other_logs_are_not_cleaned),
		CLEAN_CASE(test_pages_that_are_cold_are_read_in_beside),
		cmocka_unit_test(test_a_stop_at_any_moment_is_a_clean_one),
		cmocka_unit_test(test_a_log_is_deleted_while_it_is_cleaned),
		CLEAN_CASE(test_without_room_it_is_given_up_and_tried_later),
		CLEAN_CASE(test_without_room_to_take_its_place_it_is_tried_later),
		CLEAN_CASE(test_values_without_room_for_their_name),
		cmocka_unit_test(test_a_name_without_room_outlives_a_stop),
		CLEAN_CASE(test_damage_in_one_log_keeps_no_other_from_it),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

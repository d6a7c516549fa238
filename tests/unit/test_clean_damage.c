/*
 * Cleaning around what is damaged, and reading on behind it.
 */
#include "tests/lib/clean_fixture.h"

static void test_a_damaged_segment_is_left_as_it_is(void **state)
{
	struct bench *b = *state;
	const char *files[3] = { "meta", "data", "meta" };
	const size_t at[3] = { FORMAT_HEAD_LEN + 60, 2, 20 };
	struct plog_point end;

	put(b, 1, "a=1 b=2");
	put(b, 1, "c=1 a=2");
	roll(b);
	put(b, 1, "d=1");
	assert_int_equal(plog_point(&b->log, &end), 0);
	for (unsigned i = 0; i < 3; i++) {
		simdisk_flip(b->sd, path_of(0, files[i]), at[i], 1);
		assert_int_equal(reopen(b, &end), 0);
		assert_int_equal(clean(b, 10).set_aside, 1);
		assert_non_null(strstr(b->log.fault, files[i]));
		assert_int_equal(b->log.segs[0]->generation, 0);
		assert_false(exists(b, path_of(0, "data.1")));
		assert_false(exists(b, path_of(0, "meta.new")));
		simdisk_flip(b->sd, path_of(0, files[i]), at[i], 1);
	}
	assert_int_equal(reopen(b, &end), 0);
	clean(b, 10);
	check_log(b, "1:b=2 2:c=1 3:a=2 4:d=1");
}

/* And no record goes for the sake of one that cannot be read. */
static void test_what_stands_around_damage_is_cleaned(void **state)
{
	struct bench *b = *state;
	struct cleaner_stats st;
	struct plog_point end;

	put(b, 1, "a=1 b=1 c=1");
	roll(b);
	put(b, 2, "a=2 b=2");
	put(b, 2, "c=2 d=2");
	roll(b);
	put(b, 3, "b=3 d=3 e=3");
	put(b, 3, "e=4");
	roll(b);
	/* The values of "a=2 b=2". */
	simdisk_flip(b->sd, path_of(3, "data"), 0, 1);
	st = clean(b, 10);
	assert_int_equal(st.set_aside, 1);
	assert_int_equal(st.segments, 2);
	assert_int_equal(b->log.segs[0]->generation, 1);
	assert_int_equal(b->log.segs[1]->generation, 0);
	assert_int_equal(b->log.segs[2]->generation, 1);
	check_readable(b, "0:a=1 2:c=1 5:c=2 6:d=2 7:b=3 8:d=3 10:e=4");
	/* What comes later counts as ever, and what is damaged is not looked at again. */
	put(b, 4, "a=5 c=5");
	roll(b);
	assert_int_equal(clean(b, 11).set_aside, 0);
	check_readable(b, "5:c=2 6:d=2 7:b=3 8:d=3 10:e=4 11:a=5 12:c=5");
	/* A cleaned segment is set aside as well; and the next life has to find both. */
	put(b, 5, "f=1");
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(reopen(b, &end), 0);
	simdisk_flip(b->sd, path_of(7, "data"), 0, 1);
	put(b, 5, "b=6");
	roll(b);
	assert_int_equal(clean(b, 12).set_aside, 2);
	check_readable(b, "5:c=2 6:d=2 10:e=4 11:a=5 12:c=5 13:f=1 14:b=6");
}

/* Or an older record, which stays where the damage is, would count again. */
static void test_tombstones_behind_damage_stay(void **state)
{
	struct bench *b = *state;
	struct plog_point end;

	put(b, 1, "x=1");
	roll(b);
	put(b, 1, "a=1");
	put(b, 1, "b=1");
	roll(b);
	put(b, 2, "a x c=1");
	roll(b);
	simdisk_flip(b->sd, path_of(1, "data"), 2, 1);
	assert_int_equal(clean(b, 10).set_aside, 1);
	check_readable(b, "1:a=1 3:a 4:x 5:c=1");
	/* Whether that is known to this life or not, and has healed or not. */
	for (unsigned i = 0; i < 3; i++) {
		put(b, 3, "c=2");
		assert_int_equal(plog_point(&b->log, &end), 0);
		if (i)
			assert_int_equal(reopen(b, &end), 0);
		if (i == 2)
			simdisk_flip(b->sd, path_of(1, "data"), 2, 1);
		roll(b);
		clean(b, 1000000000);
	}
	check_log(b, "2:b=1 3:a 4:x 8:c=2");
}

/* A segment that is lost is no gap that cleaning has left. */
static void test_a_hole_behind_a_segment_stays_damage(void **state)
{
	struct bench *b = *state;
	const struct batch *batch;

	put(b, 1, "a=1 b=1");
	roll(b);
	put(b, 2, "a=2");
	roll(b);
	put(b, 3, "a=3");
	roll(b);
	assert_int_equal(disk_unlink(b->log.disk, path_of(2, "data")), 0);
	assert_int_equal(disk_unlink(b->log.disk, path_of(2, "meta")), 0);
	assert_int_equal(reopen(b, &(struct plog_point){ .segment_base = 4,
							 .next_offset = 4,
							 .end_pos = 8,
							 .meta_len = FORMAT_HEAD_LEN }),
			 0);
	assert_int_equal(clean(b, 10).set_aside, 1);
	assert_int_equal(plog_batch(&b->log, 2, &batch), -EIO);
	check_readable(b, "0:a=1 1:b=1 3:a=3");
}

/* What cleaning has left nothing of is no part of the damage that follows. */
static void test_damage_begins_where_it_stands(void **state)
{
	struct bench *b = *state;
	const struct batch *batch;
	struct plog_point end;
	int64_t from, next;

	put(b, 1, "a=1 b=1");
	roll(b);
	put(b, 2, "a=2 c=1");
	roll(b);
	put(b, 3, "b=2 c=2");
	roll(b);
	put(b, 4, "a=3");
	clean(b, 10);
	put(b, 5, "a=4 b=3");
	roll(b);
	/* Of the first segment nothing is left. */
	clean(b, 11);
	put(b, 6, "d=1");
	check_log(b, "5:c=2 7:a=4 8:b=3 9:d=1");
	simdisk_flip(b->sd, path_of(4, "data"), 0, 1);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(plog_batch(&b->log, 0, &batch), -EIO);
	assert_int_equal(plog_pass_damage(&b->log, 0, &from, &next, &batch), 0);
	assert_int_equal(from, 5);
	assert_int_equal(next, 6);
	assert_int_equal(batch->recs[0].key[0], 'c');
	check_readable(b, "7:a=4 8:b=3 9:d=1");
}

/* Nor is it passed without a word. */
static void test_damage_behind_what_is_cleaned_is_told(void **state)
{
	struct bench *b = *state;
	const struct batch *batch;
	struct plog_extent e;
	struct plog_point end;
	int64_t from, next;
	uint64_t pos;

	put(b, 1, "a=1");
	roll(b);
	put(b, 2, "b=1");
	put(b, 2, "c=1");
	roll(b);
	put(b, 3, "a=2");
	roll(b);
	put(b, 4, "d=1");
	/* Set aside: nothing is left of the segment before it, and it is never cleaned. */
	simdisk_flip(b->sd, path_of(1, "meta"), FORMAT_HEAD_LEN + 60, 1);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(clean(b, 10).set_aside, 1);
	assert_int_equal(plog_batch(&b->log, 0, &batch), -EIO);
	assert_int_equal(plog_extent(&b->log, 0, 1, &e, &pos), -ENXIO);
	assert_int_equal(plog_extent(&b->log, pos, 1, &e, &pos), -EIO);
	assert_int_equal(plog_pass_damage(&b->log, 0, &from, &next, &batch), 0);
	assert_int_equal(from, 1);
	assert_int_equal(next, 2);
	assert_null(batch);
	check_readable(b, "2:c=1 3:a=2 4:d=1");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CLEAN_CASE(test_a_damaged_segment_is_left_as_it_is),
		CLEAN_CASE(test_what_stands_around_damage_is_cleaned),
		CLEAN_CASE(test_tombstones_behind_damage_stay),
		CLEAN_CASE(test_a_hole_behind_a_segment_stays_damage),
		CLEAN_CASE(test_damage_begins_where_it_stands),
		CLEAN_CASE(test_damage_behind_what_is_cleaned_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

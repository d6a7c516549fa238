#include "daemon/store/checkpoint.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void slot_make(struct buf *b, uint64_t sequence, uint32_t cnt)
{
	struct checkpoint_head h = { .sequence = sequence, .incarnation = 3, .boot_id = { 9 } };

	checkpoint_begin(b, &h);
	for (uint32_t i = 0; i < cnt; i++) {
		struct checkpoint_entry e = {
			.topic_id = { 1, 2 },
			.partition = i,
			.flags = CHECKPOINT_HAS_POINT,
			.start_offset = i + 1,
			.start_pos = i + 2,
			.point = { i, i + 3, i + 4, i + 5, i + 6, -1 },
		};

		checkpoint_put(b, &e);
	}
	checkpoint_end(b);
	assert_int_equal(buf_err(b), 0);
}

static void test_entries_come_back(void **state)
{
	struct buf b;
	struct checkpoint_head h;
	struct checkpoint_entry e;

	buf_init(&b);
	slot_make(&b, 5, 700);
	assert_true(b.len <= checkpoint_slot_len(700));
	assert_int_equal(checkpoint_get_head(b.data, b.len, &h), 0);
	assert_int_equal(h.cnt, 700);
	assert_int_equal(h.incarnation, 3);
	assert_int_equal(h.boot_id[0], 9);
	checkpoint_get(b.data, 699, &e);
	assert_int_equal(e.partition, 699);
	assert_int_equal(e.start_offset, 700);
	assert_int_equal(e.point.end_pos, 705);
	assert_int_equal(e.point.max_ts_ms, -1);
	buf_fini(&b);
}

static void test_the_newer_whole_slot_counts(void **state)
{
	uint8_t *file = calloc(2, CHECKPOINT_SLOT_MIN);
	struct checkpoint_head h;
	struct buf b;

	assert_non_null(file);
	buf_init(&b);
	assert_int_equal(checkpoint_find(file, 2 * CHECKPOINT_SLOT_MIN, &h), -EBADMSG);
	slot_make(&b, 6, 2);
	memcpy(file, b.data, b.len);
	slot_make(&b, 7, 4);
	memcpy(file + CHECKPOINT_SLOT_MIN, b.data, b.len);
	assert_int_equal(checkpoint_find(file, 2 * CHECKPOINT_SLOT_MIN, &h), 1);
	assert_int_equal(h.cnt, 4);
	file[CHECKPOINT_SLOT_MIN + b.len - 1] ^= 1;
	assert_int_equal(checkpoint_find(file, 2 * CHECKPOINT_SLOT_MIN, &h), 0);
	assert_int_equal(h.cnt, 2);
	free(file);
	buf_fini(&b);
}

static void test_no_flipped_bit_is_believed(void **state)
{
	struct checkpoint_head h;
	struct buf b;

	buf_init(&b);
	slot_make(&b, 6, 3);
	for (size_t i = 0; i < b.len * 8; i++) {
		b.data[i / 8] ^= (uint8_t)(1U << (i % 8));
		/* Two bytes behind the version are not read. */
		if (i / 8 < 6 || i / 8 > 7)
			assert_int_not_equal(checkpoint_get_head(b.data, b.len, &h), 0);
		b.data[i / 8] ^= (uint8_t)(1U << (i % 8));
	}
	assert_int_equal(checkpoint_get_head(b.data, b.len - 1, &h), -EBADMSG);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_come_back),
		cmocka_unit_test(test_the_newer_whole_slot_counts),
		cmocka_unit_test(test_no_flipped_bit_is_believed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

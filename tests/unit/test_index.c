#include "daemon/store/index.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 77
#define BATCHES 100U
#define BATCH_BYTES 1000U
#define META_END (FORMAT_HEAD_LEN + BATCHES * FORMAT_BATCH_LEN)

/* Batches of ten records and 1,000 bytes from offset 5,000 on; batch i is of time 10 * i. */
static void fill(struct index *x, uint32_t interval)
{
	bool is_new;

	index_init(x);
	for (uint32_t i = 0; i < BATCHES; i++) {
		struct batch_head h = {
			.total_len = FORMAT_BATCH_LEN,
			.cnt = 10,
			.meta_pos = FORMAT_HEAD_LEN + i * FORMAT_BATCH_LEN,
			.base_offset = 5000 + i * 10,
			.plain_pos = 70000 + i * BATCH_BYTES,
			.data_pos = i * BATCH_BYTES,
			.plain_len = BATCH_BYTES,
			.data_len = BATCH_BYTES,
			.base_ts_ms = i * 10,
			.max_ts_ms = i * 10,
		};

		assert_int_equal(index_add(x, &h, 5000, 70000, interval, false, &is_new), 0);
	}
}

static void test_entries_follow_the_interval(void **state)
{
	struct index x;

	fill(&x, 4096);
	/* Four batches make 4,480 bytes. */
	assert_int_equal(x.cnt, BATCHES / 4);
	assert_int_equal(x.entries[1].data_pos, 4 * BATCH_BYTES);
	assert_int_equal(x.next.meta_pos, META_END);
	index_fini(&x);
}

static void test_look_ups(void **state)
{
	struct index x;

	fill(&x, 4096);
	for (uint32_t i = 0; i < BATCHES * 10; i++)
		assert_int_equal(index_find_offset(&x, i), i / 40);
	for (uint32_t i = 0; i < BATCHES * BATCH_BYTES; i += 7)
		assert_int_equal(index_find_pos(&x, i), i / 4000);
	assert_int_equal(index_find_pos(&x, UINT64_MAX), x.cnt - 1);
	assert_int_equal(index_find_time(&x, -5), 0);
	/* Of time 40 is batch 4, the first of granule 1; before it stands nothing as late. */
	assert_int_equal(index_find_time(&x, 40), 1);
	assert_int_equal(index_find_time(&x, 30), 0);
	assert_int_equal(index_find_time(&x, 31), 1);
	index_fini(&x);
}

static void decode(struct index *y, const struct buf *o, const struct buf *t)
{
	index_init(y);
	assert_int_equal(index_decode(y, o->data, o->len, t->data, t->len, SEED, META_END,
				      BATCHES * BATCH_BYTES),
			 0);
}

static void test_files_round_trip(void **state)
{
	struct buf o, t;
	struct index x, y;

	buf_init(&o);
	buf_init(&t);
	fill(&x, 4096);
	index_encode(&x, 0, SEED, &o, &t);
	decode(&y, &o, &t);
	assert_int_equal(y.cnt, x.cnt);
	assert_memory_equal(y.entries, x.entries, x.cnt * sizeof(*x.entries));
	assert_int_equal(y.flushed, x.cnt);
	index_fini(&x);
	index_fini(&y);
	buf_fini(&o);
	buf_fini(&t);
}

/* Whatever bit is flipped, and wherever a file ends, what is taken is a prefix of the truth. */
static void test_damage_leaves_a_prefix(void **state)
{
	struct buf o, t;
	struct index x, y;

	buf_init(&o);
	buf_init(&t);
	fill(&x, 4096);
	index_encode(&x, 0, SEED, &o, &t);
	for (size_t i = 0; i < o.len + t.len; i++) {
		struct buf *b = i < o.len ? &o : &t;
		size_t pos = i < o.len ? i : i - o.len, len = b->len;

		b->data[pos] ^= 0x10;
		decode(&y, &o, &t);
		assert_true(y.cnt < x.cnt);
		if (y.cnt)
			assert_memory_equal(y.entries, x.entries, y.cnt * sizeof(*x.entries));
		index_fini(&y);
		b->data[pos] ^= 0x10;
		b->len = pos;
		decode(&y, &o, &t);
		assert_true(y.cnt < x.cnt);
		index_fini(&y);
		b->len = len;
	}
	index_init(&y);
	assert_int_equal(index_decode(&y, o.data, o.len, t.data, t.len, SEED + 1, META_END,
				      BATCHES * BATCH_BYTES),
			 0);
	assert_int_equal(y.cnt, 0);
	index_fini(&x);
	index_fini(&y);
	buf_fini(&o);
	buf_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_entries_follow_the_interval),
		cmocka_unit_test(test_look_ups),
		cmocka_unit_test(test_files_round_trip),
		cmocka_unit_test(test_damage_leaves_a_prefix),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

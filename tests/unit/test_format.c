#include "daemon/store/format.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define SEED 0x1234567890abcdefULL

static void test_head_round_trip(void **state)
{
	struct segment_head h = { .topic_id = "0123456789abcde",
				  .partition = 5,
				  .base_offset = 42,
				  .base_pos = 4242,
				  .prev_max_ts_ms = -1,
				  .seed = SEED,
				  .created_ms = 1,
				  .data_name = "00000000000000000042.data" },
			    got;
	struct buf b;

	buf_init(&b);
	format_put_head(&b, &h);
	assert_int_equal(b.len, FORMAT_HEAD_LEN);
	assert_int_equal(format_get_head(b.data, b.len, &got), 0);
	assert_memory_equal(got.topic_id, h.topic_id, 16);
	assert_int_equal(got.base_offset, 42);
	assert_int_equal(got.base_pos, 4242);
	assert_int_equal(got.prev_max_ts_ms, -1);
	assert_true(got.seed == SEED);
	assert_string_equal(got.data_name, h.data_name);
	buf_fini(&b);
}

static void test_head_damage_is_noticed(void **state)
{
	struct segment_head h = { .base_offset = 1, .data_name = "x" }, got;
	struct buf b;

	buf_init(&b);
	format_put_head(&b, &h);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(format_get_head(b.data, b.len, &got) < 0);
		b.data[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	assert_int_equal(format_get_head(b.data, b.len - 1, &got), -EBADMSG);
	le16_store(b.data + 4, FORMAT_VERSION + 1);
	assert_int_equal(format_get_head(b.data, b.len, &got), -EPROTONOSUPPORT);
	buf_fini(&b);
}

static const struct record samples[] = {
	{ .value = (const uint8_t *)"one",
	  .value_len = 3,
	  .key_len = RECORD_NULL,
	  .timestamp_ms = 50 },
	{ .value_len = RECORD_NULL,
	  .key = (const uint8_t *)"k",
	  .key_len = 1,
	  .headers = (const uint8_t *)"\1\0\0\0\377\377\377\377h",
	  .headers_len = 9,
	  .timestamp_ms = 10 },
	{ .value = (const uint8_t *)"a\nb",
	  .value_len = 3,
	  .key = (const uint8_t *)"",
	  .timestamp_ms = 99 },
};
static const char sample_values[] = "one\n\na\nb\n";

static void put_samples(struct buf *b, struct batch_head *h)
{
	*h = (struct batch_head){
		.cnt = ARRAY_CNT(samples),
		.meta_pos = 256,
		.values_hash = hash_xxh3(sample_values, 9),
		.base_offset = 100,
		.plain_pos = 1000,
		.data_pos = 10,
		.plain_len = 9,
		.data_len = 9,
		.base_ts_ms = 10,
		.max_ts_ms = 99,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
	};
	format_put_batch(b, h, samples, SEED);
}

static void test_records_round_trip(void **state)
{
	struct batch_head h, got;
	struct record recs[3];
	struct buf b;

	buf_init(&b);
	put_samples(&b, &h);
	assert_int_equal(b.len, h.total_len);
	assert_int_equal(format_get_batch(b.data, b.len, 256, &got), 0);
	assert_int_equal(format_check_batch(b.data, &got, SEED), 0);
	assert_int_equal(format_get_records(b.data, sample_values, &got, recs), 0);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(recs[i].offset, 100 + i);
		assert_int_equal(recs[i].timestamp_ms, samples[i].timestamp_ms);
		assert_int_equal(recs[i].value_len, samples[i].value_len);
		assert_int_equal(recs[i].key_len, samples[i].key_len);
		assert_int_equal(recs[i].headers_len, samples[i].headers_len);
	}
	assert_memory_equal(recs[2].value, "a\nb", 3);
	assert_memory_equal(recs[1].key, "k", 1);
	buf_fini(&b);
}

static void test_batch_damage_is_noticed(void **state)
{
	struct batch_head h, got;
	struct buf b;

	buf_init(&b);
	put_samples(&b, &h);
	for (size_t bit = 0; bit < b.len * 8; bit++) {
		uint8_t *mem = malloc(b.len); /* its end is watched by the sanitizer */

		memcpy(mem, b.data, b.len);
		mem[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_true(format_get_batch(mem, b.len, 256, &got) || got.total_len > b.len ||
			    format_check_batch(mem, &got, SEED));
		free(mem);
	}
	assert_int_equal(format_get_batch(b.data, b.len, 257, &got), -EBADMSG);
	assert_int_equal(format_get_batch(b.data, b.len, 256, &got), 0);
	assert_int_equal(format_check_batch(b.data, &got, SEED + 1), -EBADMSG);
	buf_fini(&b);
}

static void test_plain_lines(void **state)
{
	struct batch_head h = { .attr = BATCH_PLAIN,
				.cnt = 3,
				.meta_pos = 256,
				.plain_len = 6,
				.data_len = 6,
				.base_ts_ms = 5,
				.max_ts_ms = 5 },
			  got;
	struct record recs[3];
	struct buf b;

	buf_init(&b);
	format_put_batch(&b, &h, NULL, SEED);
	assert_int_equal(b.len, FORMAT_BATCH_LEN);
	assert_int_equal(format_get_batch(b.data, b.len, 256, &got), 0);
	assert_int_equal(format_check_batch(b.data, &got, SEED), 0);
	assert_int_equal(format_get_records(b.data, "ab\n\nc\n", &got, recs), 0);
	assert_int_equal(recs[0].value_len, 2);
	assert_int_equal(recs[1].value_len, 0);
	assert_int_equal(recs[2].timestamp_ms, 5);
	assert_int_equal(format_get_records(b.data, "ab\n\ncd", &got, recs), -EBADMSG);
	assert_int_equal(format_get_records(b.data, "a\n\n\n\n\n", &got, recs), -EBADMSG);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_round_trip),
		cmocka_unit_test(test_head_damage_is_noticed),
		cmocka_unit_test(test_records_round_trip),
		cmocka_unit_test(test_batch_damage_is_noticed),
		cmocka_unit_test(test_plain_lines),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

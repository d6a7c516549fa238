#include "daemon/store/debt.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static void test_newest_copy_comes_first(void **state)
{
	uint8_t *mem = calloc(1, DEBT_FILE_LEN);
	struct debt d = { .partition = 7, .base_offset = 3, .len = 10 }, got[2];
	struct debt_table t;

	debt_table_init(&t, mem);
	int idx = debt_take(&t);

	assert_int_equal(debt_load(mem + idx * DEBT_SLOT_LEN, got), 0);
	for (uint64_t cnt = 1; cnt < 10; cnt++) {
		d.cnt = cnt;
		debt_store(&t, idx, &d);
		assert_int_equal(debt_load(mem + idx * DEBT_SLOT_LEN, got), MIN(cnt, 2));
		assert_int_equal(got[0].cnt, cnt);
		if (cnt > 1)
			assert_int_equal(got[1].cnt, cnt - 1);
	}
	assert_int_equal(got[0].partition, 7);
	assert_int_equal(got[0].base_offset, 3);
	free(mem);
}

/* A process that dies inside of a store leaves the copy before. */
static void test_torn_copy_leaves_the_other(void **state)
{
	uint8_t *mem = calloc(1, DEBT_FILE_LEN), before[DEBT_SLOT_LEN], after[DEBT_SLOT_LEN];
	struct debt d = { .cnt = 1 }, got[2];
	struct debt_table t;

	debt_table_init(&t, mem);
	int idx = debt_take(&t);
	uint8_t *slot = mem + idx * DEBT_SLOT_LEN;

	debt_store(&t, idx, &d);
	d.cnt = 2;
	debt_store(&t, idx, &d);
	memcpy(before, slot, DEBT_SLOT_LEN);
	d.cnt = 3;
	debt_store(&t, idx, &d);
	memcpy(after, slot, DEBT_SLOT_LEN);
	for (size_t n = 0; n <= DEBT_SLOT_LEN; n++) {
		memcpy(slot, after, n);
		memcpy(slot + n, before + n, DEBT_SLOT_LEN - n);
		assert_in_range(debt_load(slot, got), 1, 2);
		assert_in_range(got[0].cnt, 2, 3);
	}
	free(mem);
}

static void test_flipped_bit_is_noticed(void **state)
{
	uint8_t *mem = calloc(1, DEBT_FILE_LEN);
	struct debt d = { .cnt = 1 }, got[2];
	struct debt_table t;

	debt_table_init(&t, mem);
	debt_store(&t, 0, &d);
	for (size_t bit = 0; bit < DEBT_SLOT_LEN * 8; bit++) {
		bool of_copy = bit >= DEBT_SLOT_LEN * 4;

		mem[bit / 8] ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(debt_load(mem, got), of_copy ? 0 : 1);
		mem[bit / 8] ^= (uint8_t)(1 << bit % 8);
	}
	free(mem);
}

static void test_slots_run_out_and_come_back(void **state)
{
	uint8_t *mem = calloc(1, DEBT_FILE_LEN);
	bool seen[DEBT_SLOT_CNT] = { false };
	struct debt_table t;

	debt_table_init(&t, mem);
	for (unsigned i = 0; i < DEBT_SLOT_CNT; i++) {
		int idx = debt_take(&t);

		assert_in_range(idx, 0, DEBT_SLOT_CNT - 1);
		assert_false(seen[idx]);
		seen[idx] = true;
	}
	assert_int_equal(debt_take(&t), -ENOSPC);
	debt_give_back(&t, 1234);
	assert_int_equal(debt_take(&t), 1234);
	assert_int_equal(debt_take(&t), -ENOSPC);
	free(mem);
}

/* What is stored after a restart is newer than what stood there. */
static void test_sequence_goes_on(void **state)
{
	uint8_t *mem = calloc(1, DEBT_FILE_LEN);
	struct debt d = { .cnt = 1 }, later = { .cnt = 2 };
	struct debt_table t;

	debt_table_init(&t, mem);
	for (int i = 0; i < 100; i++)
		debt_store(&t, 99, &d);
	debt_table_init(&t, mem);
	debt_store(&t, 3, &later);
	assert_true(later.sequence > d.sequence);
	free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_newest_copy_comes_first),
		cmocka_unit_test(test_torn_copy_leaves_the_other),
		cmocka_unit_test(test_flipped_bit_is_noticed),
		cmocka_unit_test(test_slots_run_out_and_come_back),
		cmocka_unit_test(test_sequence_goes_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

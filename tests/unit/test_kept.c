#include "daemon/store/kept.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define SEED 7

static int setup(void **state)
{
	*state = kept_pool_new();
	return *state ? 0 : -1;
}

static int teardown(void **state)
{
	kept_pool_free(*state);
	return 0;
}

static void put(struct kept *k, bool is_meta, uint64_t pos, const char *text)
{
	struct iovec iov[2] = { { (void *)text, 1 }, { (void *)(text + 1), strlen(text) - 1 } };

	kept_put(k, SEED, is_meta, pos, iov, 2);
}

static void test_what_follows_on_is_kept(void **state)
{
	struct kept *k = NULL;

	kept_begin(*state, &k, SEED, 100, 50);
	put(k, true, 100, "desc");
	put(k, false, 50, "one\n");
	put(k, false, 54, "two\n");
	assert_memory_equal(kept_find(k, SEED, true, 100, 4), "desc", 4);
	assert_memory_equal(kept_find(k, SEED, false, 50, 8), "one\ntwo\n", 8);
	assert_memory_equal(kept_find(k, SEED, false, 54, 4), "two\n", 4);
	assert_non_null(kept_find(k, SEED, false, 58, 0));
	kept_end(&k);
	assert_null(k);
}

/* Whoever gets nothing reads the file. */
static void test_what_was_not_put_is_not_found(void **state)
{
	struct kept *k = NULL;

	assert_null(kept_find(NULL, SEED, false, 0, 1));
	kept_put(NULL, SEED, false, 0, NULL, 0);
	kept_begin(*state, &k, SEED, 100, 50);
	put(k, false, 50, "one\n");
	assert_null(kept_find(k, SEED, false, 49, 4));
	assert_null(kept_find(k, SEED, false, 50, 5));
	assert_null(kept_find(k, SEED, false, 55, 0));
	assert_null(kept_find(k, SEED, true, 50, 4));
	assert_null(kept_find(k, SEED, false, UINT64_MAX, 4));
	assert_null(kept_find(k, SEED, false, 51, SIZE_MAX));
	kept_end(&k);
}

/* Of a segment that follows nothing is kept, and nothing of it is taken for the old one's. */
static void test_another_segment_is_not_mixed_in(void **state)
{
	struct iovec iov = { (void *)"new\n", 4 };
	struct kept *k = NULL;

	kept_begin(*state, &k, SEED, 100, 50);
	put(k, false, 50, "one\n");
	kept_put(k, SEED + 1, false, 54, &iov, 1);
	assert_null(kept_find(k, SEED + 1, false, 50, 4));
	assert_null(kept_find(k, SEED, false, 50, 8));
	assert_memory_equal(kept_find(k, SEED, false, 50, 4), "one\n", 4);
	kept_end(&k);
}

/* Behind a gap nothing is kept until it begins anew. */
static void test_a_gap_ends_it(void **state)
{
	static char large[KEPT_DATA_LEN + 1];
	struct iovec iov = { large, sizeof(large) };
	struct kept *k = NULL;

	kept_begin(*state, &k, SEED, 0, 0);
	put(k, false, 0, "one\n");
	put(k, false, 5, "two\n");
	put(k, false, 4, "two\n");
	assert_null(kept_find(k, SEED, false, 0, 8));
	assert_null(kept_find(k, SEED, false, 5, 4));
	kept_begin(*state, &k, SEED, 0, 0);
	kept_put(k, SEED, false, 0, &iov, 1);
	put(k, false, sizeof(large), "one\n");
	assert_null(kept_find(k, SEED, false, sizeof(large), 4));
	iov.iov_len = KEPT_DATA_LEN;
	kept_begin(*state, &k, SEED, 0, 0);
	kept_put(k, SEED, false, 0, &iov, 1);
	assert_non_null(kept_find(k, SEED, false, 0, KEPT_DATA_LEN));
	kept_end(&k);
}

static void test_the_one_that_began_longest_ago_loses_its_slot(void **state)
{
	struct kept *logs[KEPT_SLOTS + 1] = { 0 };

	for (unsigned i = 0; i < KEPT_SLOTS; i++)
		kept_begin(*state, &logs[i], i, 0, 0);
	kept_begin(*state, &logs[0], 0, 0, 0);
	kept_begin(*state, &logs[KEPT_SLOTS], KEPT_SLOTS, 0, 0);
	assert_null(logs[1]);
	assert_non_null(logs[0]);
	/* What is given back is taken before anything is taken away. */
	kept_end(&logs[5]);
	kept_begin(*state, &logs[1], 1, 0, 0);
	for (unsigned i = 0; i <= KEPT_SLOTS; i++) {
		assert_true(i == 5 || logs[i]);
		kept_end(&logs[i]);
	}
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_what_follows_on_is_kept),
		CASE(test_what_was_not_put_is_not_found),
		CASE(test_another_segment_is_not_mixed_in),
		CASE(test_a_gap_ends_it),
		CASE(test_the_one_that_began_longest_ago_loses_its_slot),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

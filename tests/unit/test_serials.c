#include "daemon/base/serials.h"

#include "daemon/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>

#include <cmocka.h>

#define CNT 1000U

static int objects[CNT];

static void test_numbers_are_never_given_again(void **state)
{
	struct serials s = { 0 };

	(void)state;
	assert_null(serials_find(&s, 1));
	assert_null(serials_from(&s, 0));
	assert_int_equal(serials_add(&s, &objects[0]), 1);
	assert_int_equal(serials_add(&s, &objects[1]), 2);
	serials_remove(&s, 2);
	assert_int_equal(serials_add(&s, &objects[2]), 3);
	assert_null(serials_find(&s, 0));
	assert_ptr_equal(serials_find(&s, 1), &objects[0]);
	assert_null(serials_find(&s, 2));
	assert_ptr_equal(serials_from(&s, 2), &objects[2]);
	assert_null(serials_from(&s, 4));
	serials_fini(&s);
}

/* Against an array, under a seed. */
static void test_against_an_array(void **state)
{
	static bool is_there[CNT + 1];
	struct serials s = { 0 };
	unsigned last = 0;
	size_t cnt = 0;

	(void)state;
	srand(7);
	while (last < CNT) {
		unsigned n = 1 + (unsigned)rand() % CNT, from = n;

		if (rand() % 2) {
			assert_int_equal(serials_add(&s, &objects[last]), last + 1);
			is_there[++last] = true;
			cnt++;
		} else if (is_there[n]) {
			serials_remove(&s, n);
			is_there[n] = false;
			cnt--;
		}
		assert_int_equal(s.cnt, cnt);
		assert_ptr_equal(serials_find(&s, n), is_there[n] ? &objects[n - 1] : NULL);
		while (from <= last && !is_there[from])
			from++;
		assert_ptr_equal(serials_from(&s, n), from <= last ? &objects[from - 1] : NULL);
	}
	serials_fini(&s);
}

/* As topics that come and go. */
static void test_what_is_gone_takes_no_memory(void **state)
{
	struct serials s = { 0 };

	(void)state;
	for (unsigned i = 0; i < 100000; i++) {
		uint64_t n = serials_add(&s, &objects[0]);

		if (n > 10)
			serials_remove(&s, n - 10);
	}
	assert_int_equal(s.cnt, 10);
	assert_in_range(s.cap, 10, 64);
	serials_fini(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_never_given_again),
		cmocka_unit_test(test_against_an_array),
		cmocka_unit_test(test_what_is_gone_takes_no_memory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

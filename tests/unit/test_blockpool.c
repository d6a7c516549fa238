#include "tests/lib/blockpool.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define LEN (1000U * 1000U + 3U)

static volatile uint8_t *volatile mem;

/* A block of LEN that had an owner before: kept blocks are given when they are old enough. */
static uint8_t *second_owner(void)
{
	static uint8_t *seen[64];

	for (unsigned i = 0; i < 64; i++) {
		uint8_t *now = malloc(LEN);

		assert_non_null(now);
		for (unsigned k = 0; k < i; k++)
			if (seen[k] == now)
				return now;
		seen[i] = now;
		free(now);
	}
	fail_msg("no block is given again");
	return NULL;
}

/* Whether a process that does it ends as it should not. */
static bool is_deadly(void (*fn)(void))
{
	int status = 0;
	pid_t pid;

	fflush(stdout);
	pid = fork();
	if (!pid) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(0);
		fn();
		_exit(0);
	}
	assert_true(pid > 0 && waitpid(pid, &status, 0) == pid);
	return status != 0;
}

static void use_first(void)
{
	mem[0] = 1;
}

static void use_last(void)
{
	mem[LEN - 1] = 1;
}

static void use_before(void)
{
	mem[-1] = 1;
}

static void use_behind(void)
{
	mem[LEN] = 1;
}

static void free_again(void)
{
	free((void *)mem);
}

static void test_what_is_freed_cannot_be_used(void **state)
{
	mem = second_owner();
	assert_false(is_deadly(use_first));
	assert_false(is_deadly(use_last));
	assert_false(is_deadly(free_again));
	free((void *)mem);
	assert_true(is_deadly(use_first));
	assert_true(is_deadly(use_last));
	assert_true(is_deadly(free_again));
}

static void test_a_block_that_is_given_again_has_its_length(void **state)
{
	mem = second_owner();
	assert_true(is_deadly(use_before));
	assert_true(is_deadly(use_behind));
	free((void *)mem);
}

static void test_a_zeroed_block_is_zeroed(void **state)
{
	static const size_t lens[] = { BLOCKPOOL_LEN_MIN, LEN, (5U << 20) + 5 };

	for (unsigned i = 0; i < 3; i++)
		for (unsigned k = 0; k < 20; k++) {
			uint8_t *p = calloc(1, lens[i]);

			assert_non_null(p);
			assert_true(!p[0] && !memcmp(p, p + 1, lens[i] - 1));
			memset(p, 1, lens[i]);
			free(p);
		}
}

static void test_a_block_that_grows_keeps_its_bytes(void **state)
{
	uint8_t *p = NULL;

	for (size_t len = 1000, had = 0; len < 2 * LEN; had = len, len = len * 3 / 2) {
		p = realloc(p, len);
		assert_non_null(p);
		for (size_t at = 0; at < had; at++)
			assert_int_equal(p[at], (uint8_t)(at * 7));
		for (size_t at = had; at < len; at++)
			p[at] = (uint8_t)(at * 7);
	}
	p = realloc(p, 500);
	for (size_t at = 0; at < 500; at++)
		assert_int_equal(p[at], (uint8_t)(at * 7));
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	/* The pool is there where the sanitizer is. */
#ifdef __SANITIZE_ADDRESS__
		cmocka_unit_test(test_what_is_freed_cannot_be_used),
		cmocka_unit_test(test_a_block_that_is_given_again_has_its_length),
#endif
		cmocka_unit_test(test_a_zeroed_block_is_zeroed),
		cmocka_unit_test(test_a_block_that_grows_keeps_its_bytes),
	};

#ifndef __SANITIZE_ADDRESS__
	(void)test_what_is_freed_cannot_be_used;
	(void)test_a_block_that_is_given_again_has_its_length;
#endif
	return cmocka_run_group_tests(tests, NULL, NULL);
}

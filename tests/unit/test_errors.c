/* The ring behind /errors: its lines to the byte, its bounds, and who sees what. */
#include "fusefs/errors.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define NOW 1770028200123LL
#define HEAD "2026-02-02T10:30:00.123Z "

static int ring_open(void **state)
{
	*state = errors_new();
	return *state ? 0 : -1;
}

static int ring_close(void **state)
{
	errors_free(*state);
	return 0;
}

/* What uid sees, NUL-terminated; the caller frees it. */
static char *text_of(struct errors *e, uint32_t uid, bool is_root)
{
	struct buf b;

	buf_init(&b);
	errors_text(e, uid, is_root, &b);
	buf_put_u8(&b, 0);
	assert_int_equal(buf_err(&b), 0);
	return (char *)b.data;
}

static void assert_text(struct errors *e, uint32_t uid, bool is_root, const char *expected)
{
	char *text = text_of(e, uid, is_root);

	assert_string_equal(text, expected);
	free(text);
}

static void test_line(void **state)
{
	assert_text(*state, 0, true, "");
	errors_put(*state, NOW, -EINVAL, 1000, 4711, "topics/orders/config",
		   "unknown setting \"retention.m\"; settings are listed by cat config");
	assert_text(*state, 1000, false,
		    HEAD "EINVAL uid=1000 pid=4711 topics/orders/config: unknown setting "
			 "\"retention.m\"; settings are listed by cat config\n");
}

static void test_who_sees_what(void **state)
{
	errors_put(*state, NOW, EPERM, 1, 11, "a", "x");
	errors_put(*state, NOW, ENOSPC, 2, 12, "b", "y");
	errors_put(*state, NOW, EPERM, 1, 13, "c", "z");
	assert_text(*state, 1, false,
		    HEAD "EPERM uid=1 pid=11 a: x\n" HEAD "EPERM uid=1 pid=13 c: z\n");
	assert_text(*state, 2, false, HEAD "ENOSPC uid=2 pid=12 b: y\n");
	assert_text(*state, 3, false, "");
	assert_text(*state, 0, true,
		    HEAD "EPERM uid=1 pid=11 a: x\n" HEAD "ENOSPC uid=2 pid=12 b: y\n" HEAD
			 "EPERM uid=1 pid=13 c: z\n");
}

static void test_escapes(void **state)
{
	errors_put(*state, NOW, EINVAL, 1, 1, "a\nb",
		   "\x1b[2J\r\x7f\t ä€😀 \xff \xc2\x9b\xc2\xa0\xe2\x82");
	assert_text(*state, 1, false,
		    HEAD "EINVAL uid=1 pid=1 a\\x0ab: \\x1b[2J\\x0d\\x7f\\x09 ä€😀 \\xff "
			 "\\xc2\\x9b\xc2\xa0\\xe2\\x82\n");
}

/* A cut line ends in "...", within its bound, and never inside a character or an escape. */
static void test_long_lines(void **state)
{
	static const char *const units[] = { "x", "ä", "😀", "\n", "\xc2\x80" };
	char *sentence = malloc(3 * ERRORS_LINE_MAX + 1);

	for (size_t i = 0; i < ARRAY_CNT(units); i++) {
		size_t unit_len = strlen(units[i]), len = 0;
		char *text;

		ring_close(state);
		assert_int_equal(ring_open(state), 0);
		while (len + unit_len <= 3 * ERRORS_LINE_MAX) {
			memcpy(sentence + len, units[i], unit_len);
			len += unit_len;
		}
		sentence[len] = '\0';
		errors_put(*state, NOW, EINVAL, 1, 1, "p", sentence);
		text = text_of(*state, 1, false);
		len = strlen(text);
		assert_true(len <= ERRORS_LINE_MAX && len > ERRORS_LINE_MAX - 12);
		assert_string_equal(text + len - 4, "...\n");
		assert_ptr_equal(strchr(text, '\n'), text + len - 1);
		/* The unit before the mark is whole. */
		if (units[i][0] == '\n')
			assert_memory_equal(text + len - 8, "\\x0a", 4);
		else if (units[i][1] == '\x80')
			assert_memory_equal(text + len - 12, "\\xc2\\x80", 8);
		else
			assert_memory_equal(text + len - 4 - unit_len, units[i], unit_len);
		free(text);
	}
	free(sentence);
}

static size_t line_cnt(const char *text)
{
	size_t cnt = 0;

	for (; *text; text++)
		cnt += *text == '\n';
	return cnt;
}

static void test_bound_of_lines(void **state)
{
	char *text, expected[64];

	for (unsigned i = 0; i < ERRORS_LINE_CNT + 10; i++)
		errors_put(*state, NOW, EINVAL, 1, i, "p", "s");
	text = text_of(*state, 1, false);
	assert_int_equal(line_cnt(text), ERRORS_LINE_CNT);
	snprintf(expected, sizeof(expected), HEAD "EINVAL uid=1 pid=10 p: s\n");
	assert_memory_equal(text, expected, strlen(expected));
	free(text);
}

/* Lines of changing length go around the circle of bytes many times; the last ones are kept whole,
 * as many as fit. */
static void test_bound_of_bytes(void **state)
{
	char sentence[3000], *text;
	const char *line;
	unsigned cnt = 0, last = 20000;

	for (unsigned i = 1; i <= last; i++) {
		size_t len = 500 + i * 37 % 2000;

		memset(sentence, 'a' + (int)(i % 26), len);
		sentence[len] = '\0';
		errors_put(*state, NOW, EINVAL, 1, i, "p", sentence);
	}
	text = text_of(*state, 1, false);
	assert_true(strlen(text) <= ERRORS_BYTES && strlen(text) > ERRORS_BYTES - 3000);
	cnt = (unsigned)line_cnt(text);
	line = text;
	for (unsigned i = last - cnt + 1; i <= last; i++) {
		char expected[3200];
		size_t len = 500 + i * 37 % 2000;

		memset(sentence, 'a' + (int)(i % 26), len);
		sentence[len] = '\0';
		len = (size_t)snprintf(expected, sizeof(expected),
				       HEAD "EINVAL uid=1 pid=%u p: %s\n", i, sentence);
		assert_memory_equal(line, expected, len);
		line += len;
	}
	assert_int_equal(*line, '\0');
	free(text);
}

static void test_counters(void **state)
{
	assert_int_equal(errors_cnt(*state, EINVAL), 0);
	for (unsigned i = 0; i < ERRORS_LINE_CNT + 1; i++)
		errors_put(*state, NOW, i % 2 ? EINVAL : -EINVAL, 1, 1, "p", "s");
	errors_put(*state, NOW, -EROFS, 1, 1, "p", "s");
	errors_put(*state, NOW, 100000, 1, 1, "p", "s");
	assert_int_equal(errors_cnt(*state, EINVAL), ERRORS_LINE_CNT + 1);
	assert_int_equal(errors_cnt(*state, -EINVAL), ERRORS_LINE_CNT + 1);
	assert_int_equal(errors_cnt(*state, EROFS), 1);
	assert_int_equal(errors_cnt(*state, EPERM), 0);
	assert_int_equal(errors_cnt(*state, 100000), 0);
	assert_int_equal(errors_cnt(*state, INT32_MIN), 0);
}

#define RING_TEST(f) cmocka_unit_test_setup_teardown(f, ring_open, ring_close)

int main(void)
{
	const struct CMUnitTest tests[] = {
		RING_TEST(test_line),		RING_TEST(test_who_sees_what),
		RING_TEST(test_escapes),	RING_TEST(test_long_lines),
		RING_TEST(test_bound_of_lines), RING_TEST(test_bound_of_bytes),
		RING_TEST(test_counters),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

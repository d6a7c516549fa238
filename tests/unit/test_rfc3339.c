/* RFC 3339 times: known moments, every day of many years, and what is no time. */
#include "daemon/base/rfc3339.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define DAY_MS 86400000LL

static void test_known_moments(void **state)
{
	static const struct {
		int64_t ms;
		const char *text;
	} cases[] = {
		{ 0, "1970-01-01T00:00:00.000Z" },
		{ -1, "1969-12-31T23:59:59.999Z" },
		{ 1770028200123, "2026-02-02T10:30:00.123Z" },
		{ 951868799999, "2000-02-29T23:59:59.999Z" },
		{ -2203891200000, "1900-03-01T00:00:00.000Z" },
		{ 2147483648000, "2038-01-19T03:14:08.000Z" },
		{ -62135596800000, "0001-01-01T00:00:00.000Z" },
		{ 253402300799999, "9999-12-31T23:59:59.999Z" },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		char text[RFC3339_LEN + 1];
		int64_t ms = 0;

		rfc3339_encode(cases[i].ms, text);
		assert_string_equal(text, cases[i].text);
		assert_int_equal(rfc3339_decode(text, RFC3339_LEN, &ms), 0);
		assert_true(ms == cases[i].ms);
	}
}

static void test_clamped(void **state)
{
	char text[RFC3339_LEN + 1];

	rfc3339_encode(INT64_MAX, text);
	assert_string_equal(text, "9999-12-31T23:59:59.999Z");
	rfc3339_encode(INT64_MIN, text);
	assert_string_equal(text, "0000-01-01T00:00:00.000Z");
}

static bool is_leap(unsigned y)
{
	return y % 4 == 0 && (y % 100 != 0 || y % 400 == 0);
}

/* Counts days from 0000-01-01 by the calendar's rules alone. */
static void test_every_day(void **state)
{
	static const unsigned lens[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	int64_t ms = -62167219200000 + 12345678;

	for (unsigned y = 0; y < 2500; y++) {
		for (unsigned m = 1; m <= 12; m++) {
			unsigned len = lens[m - 1] + (m == 2 && is_leap(y));

			for (unsigned d = 1; d <= len; d++, ms += DAY_MS) {
				char text[RFC3339_LEN + 1], expected[64];
				int64_t back = 0;

				snprintf(expected, sizeof(expected), "%04u-%02u-%02uT03:25:45.678Z",
					 y, m, d);
				rfc3339_encode(ms, text);
				if (strcmp(text, expected))
					fail_msg("%s is printed as %s", expected, text);
				assert_int_equal(rfc3339_decode(text, RFC3339_LEN, &back), 0);
				assert_true(back == ms);
			}
		}
	}
}

static void test_forms(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "2026-02-02T10:30:00Z", 1770028200000 },
		{ "2026-02-02t10:30:00z", 1770028200000 },
		{ "2026-02-02 10:30:00Z", 1770028200000 },
		{ "2026-02-02T10:30:00.1Z", 1770028200100 },
		{ "2026-02-02T10:30:00.12Z", 1770028200120 },
		{ "2026-02-02T10:30:00.1239999Z", 1770028200123 },
		{ "2026-02-02T10:30:00.123456789012345678901234567890Z", 1770028200123 },
		{ "2026-02-02T12:30:00+02:00", 1770028200000 },
		{ "2026-02-02T09:00:00.5-01:30", 1770028200500 },
		{ "2026-02-03T00:29:00+13:59", 1770028200000 },
		{ "2026-02-02T10:30:00-00:00", 1770028200000 },
		{ "1970-01-01T00:30:00+01:00", -1800000 },
		{ "1969-12-31T23:59:59.9999Z", -1 },
		{ "2016-12-31T23:59:60Z", 1483228800000 },
		{ "2016-12-31T23:59:60.9Z", 1483228800000 },
		{ "2024-02-29T00:00:00Z", 1709164800000 },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		int64_t ms = 0;

		if (rfc3339_decode(cases[i].text, strlen(cases[i].text), &ms))
			fail_msg("%s is refused", cases[i].text);
		if (ms != cases[i].ms)
			fail_msg("%s is read as %lld", cases[i].text, (long long)ms);
	}
}

static void test_refusals(void **state)
{
	static const char *const texts[] = {
		"",
		"2026",
		"2026-02-02",
		"2026-02-02T10:30:00",
		"2026-02-02T10:30Z",
		"2026-02-02T10:30:00.Z",
		"2026-02-02T10:30:00,5Z",
		"2026-02-02T10:30:00Z ",
		" 2026-02-02T10:30:00Z",
		"2026-02-02T10:30:00ZZ",
		"2026-02-02_10:30:00Z",
		"2026-02-02T10:30:00+0200",
		"2026-02-02T10:30:00+02",
		"2026-02-02T10:30:00+24:00",
		"2026-02-02T10:30:00+02:60",
		"2026-02-02T24:00:00Z",
		"2026-02-02T10:60:00Z",
		"2026-02-02T10:30:61Z",
		"2026-00-02T10:30:00Z",
		"2026-13-02T10:30:00Z",
		"2026-02-00T10:30:00Z",
		"2026-02-29T10:30:00Z",
		"1900-02-29T10:30:00Z",
		"2026-04-31T10:30:00Z",
		"2026-2-2T10:30:00Z",
		"02026-02-02T10:30:00Z",
		"-026-02-02T10:30:00Z",
		"2026-02-02T1a:30:00Z",
		"2026/02/02T10:30:00Z",
	};

	for (size_t i = 0; i < ARRAY_CNT(texts); i++) {
		int64_t ms = 4711;

		if (rfc3339_decode(texts[i], strlen(texts[i]), &ms) != -EINVAL)
			fail_msg("%s is taken", texts[i]);
		assert_int_equal(ms, 4711);
	}
}

/* Only len characters are looked at, and all of them count. */
static void test_length(void **state)
{
	const char *text = "2026-02-02T10:30:00.123Z..rest";
	int64_t ms = 0;

	for (size_t len = 0; len <= strlen(text); len++)
		assert_int_equal(rfc3339_decode(text, len, &ms), len == 24 ? 0 : -EINVAL);
	assert_int_equal(rfc3339_decode("2026-02-02T10:30:00Z\0", 21, &ms), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_moments), cmocka_unit_test(test_clamped),
		cmocka_unit_test(test_every_day),     cmocka_unit_test(test_forms),
		cmocka_unit_test(test_refusals),      cmocka_unit_test(test_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

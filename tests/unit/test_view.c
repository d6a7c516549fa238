/* Every form of the names of a topic's views, and what must not resolve. */
#include "fusefs/view.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define T0 1770026400000LL /* 2026-02-02T10:00:00Z */

static struct view parse(const char *name)
{
	struct view v;

	if (view_parse(name, &v))
		fail_msg("\"%s\" does not resolve", name);
	return v;
}

static void assert_position(struct position p, enum position_kind kind, int64_t value)
{
	assert_int_equal(p.kind, kind);
	assert_true(p.value == value);
}

static void test_plain_file(void **state)
{
	const char *names[] = { "0", "0.lines", "7", "65535" };
	uint32_t partitions[] = { 0, 0, 7, 65535 };

	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		struct view v = parse(names[i]);

		assert_int_equal(v.what, VIEW_PARTITION);
		assert_int_equal(v.partition, partitions[i]);
		assert_int_equal(v.format, VIEW_LINES);
		assert_true(v.is_plain);
		assert_false(v.has_at);
		assert_false(v.is_range);
		assert_position(v.from, POSITION_EARLIEST, 0);
		assert_position(v.to, POSITION_NONE, 0);
	}
}

static void test_implied_ranges(void **state)
{
	static const struct {
		const char *name;
		enum view_what what;
		enum view_format format;
	} cases[] = {
		{ "0.json", VIEW_PARTITION, VIEW_JSON }, { "0.msg", VIEW_PARTITION, VIEW_MSG },
		{ "all", VIEW_ALL, VIEW_LINES },	 { "all.lines", VIEW_ALL, VIEW_LINES },
		{ "all.json", VIEW_ALL, VIEW_JSON },	 { "all.msg", VIEW_ALL, VIEW_MSG },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct view v = parse(cases[i].name);

		assert_int_equal(v.what, cases[i].what);
		assert_int_equal(v.format, cases[i].format);
		assert_true(v.is_range);
		assert_false(v.is_plain);
		assert_false(v.has_at);
		assert_position(v.from, POSITION_EARLIEST, 0);
		assert_position(v.to, POSITION_NONE, 0);
	}
}

static void test_streams(void **state)
{
	static const struct {
		const char *name;
		enum view_what what;
		enum view_format format;
		struct position from;
	} cases[] = {
		{ "0@0", VIEW_PARTITION, VIEW_LINES, { POSITION_OFFSET, 0 } },
		{ "3@1234", VIEW_PARTITION, VIEW_LINES, { POSITION_OFFSET, 1234 } },
		{ "0@1234.lines", VIEW_PARTITION, VIEW_LINES, { POSITION_OFFSET, 1234 } },
		{ "0@9223372036854775807.msg",
		  VIEW_PARTITION,
		  VIEW_MSG,
		  { POSITION_OFFSET, INT64_MAX } },
		{ "0@earliest.json", VIEW_PARTITION, VIEW_JSON, { POSITION_EARLIEST, 0 } },
		{ "all@latest", VIEW_ALL, VIEW_LINES, { POSITION_LATEST, 0 } },
		{ "all@-10.msg", VIEW_ALL, VIEW_MSG, { POSITION_LAST_N, 10 } },
		{ "0@-0", VIEW_PARTITION, VIEW_LINES, { POSITION_LAST_N, 0 } },
		{ "0@t0", VIEW_PARTITION, VIEW_LINES, { POSITION_TIME_MS, 0 } },
		{ "all@t1770026400123", VIEW_ALL, VIEW_LINES, { POSITION_TIME_MS, T0 + 123 } },
		{ "0@2026-02-02T10:00:00Z", VIEW_PARTITION, VIEW_LINES, { POSITION_TIME_MS, T0 } },
		{ "0@2026-02-02T10:00:00.5Z.json",
		  VIEW_PARTITION,
		  VIEW_JSON,
		  { POSITION_TIME_MS, T0 + 500 } },
		{ "0@2026-02-02T12:00:00.25+02:00",
		  VIEW_PARTITION,
		  VIEW_LINES,
		  { POSITION_TIME_MS, T0 + 250 } },
		{ "all@2026-02-02T08:30:00-01:30.lines",
		  VIEW_ALL,
		  VIEW_LINES,
		  { POSITION_TIME_MS, T0 } },
		{ "0@1969-12-31T23:59:59Z",
		  VIEW_PARTITION,
		  VIEW_LINES,
		  { POSITION_TIME_MS, -1000 } },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct view v = parse(cases[i].name);

		assert_int_equal(v.what, cases[i].what);
		assert_int_equal(v.format, cases[i].format);
		assert_true(v.has_at);
		assert_false(v.is_range);
		assert_false(v.is_plain);
		assert_position(v.from, cases[i].from.kind, cases[i].from.value);
		assert_position(v.to, POSITION_NONE, 0);
	}
}

static void test_ranges(void **state)
{
	static const struct {
		const char *name;
		enum view_format format;
		struct position from, to;
	} cases[] = {
		{ "0@100..200", VIEW_LINES, { POSITION_OFFSET, 100 }, { POSITION_OFFSET, 200 } },
		{ "0@200..100.msg", VIEW_MSG, { POSITION_OFFSET, 200 }, { POSITION_OFFSET, 100 } },
		{ "0@-10..", VIEW_LINES, { POSITION_LAST_N, 10 }, { POSITION_NONE, 0 } },
		{ "0@5...json", VIEW_JSON, { POSITION_OFFSET, 5 }, { POSITION_NONE, 0 } },
		{ "0@earliest..latest",
		  VIEW_LINES,
		  { POSITION_EARLIEST, 0 },
		  { POSITION_LATEST, 0 } },
		{ "0@7..-3", VIEW_LINES, { POSITION_OFFSET, 7 }, { POSITION_LAST_N, 3 } },
		{ "all@-5..latest", VIEW_LINES, { POSITION_LAST_N, 5 }, { POSITION_LATEST, 0 } },
		{ "all@2026-02-02T10:00:00Z..2026-02-02T11:00:00Z.json",
		  VIEW_JSON,
		  { POSITION_TIME_MS, T0 },
		  { POSITION_TIME_MS, T0 + 3600000 } },
		{ "0@2026-02-02T10:00:00.001Z..2026-02-02T10:00:00.002Z",
		  VIEW_LINES,
		  { POSITION_TIME_MS, T0 + 1 },
		  { POSITION_TIME_MS, T0 + 2 } },
		{ "0@t5..t6.lines", VIEW_LINES, { POSITION_TIME_MS, 5 }, { POSITION_TIME_MS, 6 } },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct view v = parse(cases[i].name);

		assert_int_equal(v.format, cases[i].format);
		assert_true(v.has_at);
		assert_true(v.is_range);
		assert_false(v.is_plain);
		assert_position(v.from, cases[i].from.kind, cases[i].from.value);
		assert_position(v.to, cases[i].to.kind, cases[i].to.value);
	}
}

static const char *const unresolved[] = {
	"",
	".",
	"..",
	"@",
	"@5",
	".json",
	".lines",
	"a",
	"al",
	"alle",
	"ALL",
	"config",
	/* numbers */
	"00",
	"01",
	"+1",
	"-1",
	" 1",
	"1 ",
	"0x1",
	"1e3",
	"65536",
	"4294967296",
	"18446744073709551616",
	"99999999999999999999999999",
	/* formats */
	"0.",
	"0.txt",
	"0.JSON",
	"0.json.json",
	"0.lines.json",
	"0..json",
	"0.json@5",
	/* positions */
	"0@",
	"0@.json",
	"0@..",
	"0@..5",
	"0@5...",
	"0@5....",
	"0@5..6..7",
	"0@5.",
	"0@5..json",
	"0@5.6",
	"0@05",
	"0@-",
	"0@-01",
	"0@--1",
	"0@+5",
	"0@ 5",
	"0@5@6",
	"0@t",
	"0@t-1",
	"0@t01",
	"0@T5",
	"0@Latest",
	"0@earliest ",
	"0@9223372036854775808",
	"0@-9223372036854775808",
	"0@t9223372036854775808",
	"0@18446744073709551617",
	/* times */
	"0@2026-02-02",
	"0@2026-02-02T10:00:00",
	"0@2026-02-30T10:00:00Z",
	"0@2026-02-02T10:00:00.Z",
	"0@2026-02-02T10:00:00..Z",
	"0@2026-02-02T10:00:00Z.5",
	"0@2026-02-02T10:00:00Z.xml",
	"0@2026-02-02T25:00:00Z",
	/* all has no offsets */
	"all@5",
	"all@0",
	"all@5..",
	"all@earliest..5",
	"all@5..latest",
	"all@0.json",
	"all@-5..5.msg",
};

static void test_what_does_not_resolve(void **state)
{
	struct view untouched;

	memset(&untouched, 0x5a, sizeof(untouched));
	for (size_t i = 0; i < ARRAY_CNT(unresolved); i++) {
		struct view v = untouched;

		if (view_parse(unresolved[i], &v) != -ENOENT)
			fail_msg("\"%s\" resolves", unresolved[i]);
		assert_memory_equal(&v, &untouched, sizeof(v));
	}
}

static void test_position_alone(void **state)
{
	struct position p;

	assert_int_equal(position_parse("12x", 2, true, &p), 0);
	assert_position(p, POSITION_OFFSET, 12);
	assert_int_equal(position_parse("12", 2, false, &p), -EINVAL);
	assert_int_equal(position_parse("", 0, true, &p), -EINVAL);
	assert_int_equal(position_parse("-12", 3, false, &p), 0);
	assert_position(p, POSITION_LAST_N, 12);
	assert_int_equal(position_parse("0\0", 2, true, &p), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain_file),
		cmocka_unit_test(test_implied_ranges),
		cmocka_unit_test(test_streams),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_what_does_not_resolve),
		cmocka_unit_test(test_position_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

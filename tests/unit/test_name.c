/* Kafka's topic names, and slips of the keyboard. */
#include "daemon/base/name.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static void test_topic_names(void **state)
{
	static const char *const good[] = {
		"a", "orders", "A.b_c-9", "...", "-", "_", "0", "a..b"
	};
	static const char *const bad[] = { "",	  ".",	 "..", "a b", "a/b", "a\n",
					   "a@b", "a:b", "é",  "a,b", "a*",  "\x7f" };

	for (size_t i = 0; i < ARRAY_CNT(good); i++)
		assert_int_equal(topic_name_check(good[i]), 0);
	for (size_t i = 0; i < ARRAY_CNT(bad); i++)
		assert_int_equal(topic_name_check(bad[i]), -EINVAL);
}

static void test_topic_name_length(void **state)
{
	char name[TOPIC_NAME_MAX + 2];

	memset(name, 'x', sizeof(name));
	name[TOPIC_NAME_MAX + 1] = '\0';
	assert_int_equal(topic_name_check(name), -ENAMETOOLONG);
	name[0] = '/';
	assert_int_equal(topic_name_check(name), -ENAMETOOLONG);
	name[0] = 'x';
	name[TOPIC_NAME_MAX] = '\0';
	assert_int_equal(topic_name_check(name), 0);
}

static void test_every_byte(void **state)
{
	for (int c = 1; c < 256; c++) {
		char name[] = { 'a', (char)c, '\0' };
		bool good = c < 128 && strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
					      "0123456789._-",
					      c);

		assert_int_equal(topic_name_check(name), good ? 0 : -EINVAL);
	}
}

static void test_internal_topics(void **state)
{
	static const char *const internal[] = { "__consumer_offsets", "__consumer.offsets",
						"__cluster_metadata", "__transaction_state" };
	static const char *const others[] = { "",
					      "__",
					      "__consumer_offset",
					      "__consumer_offsets2",
					      "_consumer_offsets",
					      "__Consumer_Offsets" };

	for (size_t i = 0; i < ARRAY_CNT(internal); i++)
		assert_true(topic_name_is_internal(internal[i]));
	for (size_t i = 0; i < ARRAY_CNT(others); i++)
		assert_false(topic_name_is_internal(others[i]));
}

static void test_a_topic_name_within_a_text(void **state)
{
	assert_int_equal(topic_name_check_len("orders 1", 6), 0);
	assert_int_equal(topic_name_check_len("orders 1", 7), -EINVAL);
	assert_int_equal(topic_name_check_len("a\0b", 3), -EINVAL);
	assert_int_equal(topic_name_check_len("...", 2), -EINVAL);
	assert_int_equal(topic_name_check_len("...", 3), 0);
	assert_int_equal(topic_name_check_len("", 0), -EINVAL);
}

/* Any text that people can read and a directory can be called. */
static void test_group_names(void **state)
{
	static const char *const good[] = { "billing", "a b",  " ", "...", "a:b*?", "grün",
					    "日本",    "🙂", "-", ".a",  "\"",    "\\" };
	static const char *const bad[] = {
		"",    ".",    "..",	"a/b",	    "/",	"a\nb",		"\x1b",	   "\x7f",
		"a\t", "\xff", "a\xc3", "\xc2\x80", "\xc2\x9f", "\xed\xa0\x80", "\xc0\xaf"
	};
	char name[GROUP_NAME_MAX + 2];

	for (size_t i = 0; i < ARRAY_CNT(good); i++)
		assert_int_equal(group_name_check(good[i]), 0);
	for (size_t i = 0; i < ARRAY_CNT(bad); i++)
		assert_int_equal(group_name_check(bad[i]), -EINVAL);
	assert_int_equal(group_name_check("\xc2\xa0"), 0);
	memset(name, '/', sizeof(name));
	name[GROUP_NAME_MAX + 1] = '\0';
	assert_int_equal(group_name_check(name), -ENAMETOOLONG);
	memset(name, 'g', GROUP_NAME_MAX);
	name[GROUP_NAME_MAX] = '\0';
	assert_int_equal(group_name_check(name), 0);
}

static void test_collisions(void **state)
{
	assert_true(topic_name_collides("a.b", "a_b"));
	assert_true(topic_name_collides("a_b.c", "a.b_c"));
	assert_true(topic_name_collides("a.b", "a.b"));
	assert_true(topic_name_collides(".", "_"));
	assert_false(topic_name_collides("a.b", "a-b"));
	assert_false(topic_name_collides("a.b", "a.bc"));
	assert_false(topic_name_collides("a.bc", "a.b"));
	assert_false(topic_name_collides("a.b", "A.b"));
}

static void test_nearest(void **state)
{
	static const char *const names[] = {
		"retention.ms", "retention.bytes", "segment.ms",	 "segment.bytes",
		"acks",		"schema",	   "min.insync.replicas"
	};
	static const struct {
		const char *word, *nearest;
	} cases[] = {
		{ "retention.m", "retention.ms" },
		{ "retention.msec", "retention.ms" },
		{ "retention_bytes", "retention.bytes" },
		{ "retnetion.bytes", "retention.bytes" },
		{ "RETENTION.MS", "retention.ms" },
		{ "sgement.ms", "segment.ms" },
		{ "akcs", "acks" },
		{ "ack", "acks" },
		{ "min.isr.replicas", "min.insync.replicas" },
		{ "schema", "schema" },
		{ "", NULL },
		{ "x", NULL },
		{ "compression", NULL },
		{ "zzzz", NULL },
	};
	char longest[NAME_NEAREST_MAX + 2];

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		const char *got = name_nearest(cases[i].word, names, ARRAY_CNT(names));

		if (!cases[i].nearest)
			assert_null(got);
		else if (!got)
			fail_msg("nothing is near \"%s\"", cases[i].word);
		else
			assert_string_equal(got, cases[i].nearest);
	}
	memset(longest, 'r', sizeof(longest));
	longest[NAME_NEAREST_MAX + 1] = '\0';
	assert_null(name_nearest(longest, names, ARRAY_CNT(names)));
	longest[NAME_NEAREST_MAX] = '\0';
	assert_null(name_nearest(longest, names, ARRAY_CNT(names)));
	assert_null(name_nearest("acks", names, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topic_names),
		cmocka_unit_test(test_topic_name_length),
		cmocka_unit_test(test_every_byte),
		cmocka_unit_test(test_internal_topics),
		cmocka_unit_test(test_a_topic_name_within_a_text),
		cmocka_unit_test(test_group_names),
		cmocka_unit_test(test_collisions),
		cmocka_unit_test(test_nearest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Patterns of topics: whole names, and nothing that takes the broker's thread for long. */
#include "daemon/groups/pattern.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

static char sentence[SENTENCE_MAX];

static bool matches(const char *text, const char *name)
{
	struct pattern *p;
	bool ret;

	assert_int_equal(pattern_compile(text, &p, sentence), 0);
	ret = pattern_is_match(p, name);
	pattern_free(p);
	return ret;
}

static void refused(const char *text, const char *expected)
{
	struct pattern *p;

	*sentence = '\0';
	assert_int_equal(pattern_compile(text, &p, sentence), -EINVAL);
	assert_non_null(strstr(sentence, expected));
}

static void test_the_whole_name_matches(void **state)
{
	assert_true(matches("orders", "orders"));
	assert_false(matches("orders", "orders2"));
	assert_false(matches("orders", "my-orders"));
	assert_false(matches("order", "orders"));
	assert_true(matches("a|ab", "ab"));
	assert_true(matches("(a|ab)(c|bcd)", "abcd"));
	assert_true(matches("app[.].*", "app.log"));
	assert_false(matches("app[.].*", "app_log"));
	assert_true(matches("^orders$", "orders"));
	assert_true(matches("log-[0-9]{4}-[0-9]{2}-[0-9]{2}", "log-2026-02-02"));
	assert_false(matches("log-[0-9]{4}-[0-9]{2}-[0-9]{2}", "log-2026-02-2"));
	assert_true(matches("[[:alpha:]_]+", "abc_"));
	assert_true(matches("[]{}+-]*", ""));
	assert_true(matches(".*", "anything"));
}

static void test_what_is_no_expression_is_refused(void **state)
{
	char pattern[GROUP_PATTERN_MAX + 2];

	refused("", "a pattern has 1 to 1024 bytes");
	refused("(a", "pattern=(a: missing closing parenthesis (at byte 2)");
	refused("[a", "pattern=[a: ");
	refused("[[:no:]]", "pattern=[[:no:]]: unknown POSIX class name");
	refused("a{2,1}", "pattern=a{2,1}: ");
	refused("a\\", "pattern=a\\: ");
	refused("(a)\\1", "reference to non-existent subpattern");
	refused("((a{255}){255}){255}", "too large");
	refused("(*UTF)a", "using UTF is disabled");
	memset(pattern, 'a', sizeof(pattern));
	pattern[GROUP_PATTERN_MAX + 1] = '\0';
	refused(pattern, "a pattern has 1 to 1024 bytes");
	pattern[GROUP_PATTERN_MAX] = '\0';
	assert_true(!matches(pattern, "a"));
}

/* Each of these takes engines that go back for ever, or those that write repetitions out. */
static void test_nothing_takes_long(void **state)
{
	static const char *const patterns[] = {
		"(((||||||a){1,9}){2}|b)*[bc]",
		"(((||.|||||||||||||||||||||||||(((a+).+)+)+){1,9}){2}|b)*[bc]",
		"(a+)+[bc]",
		"(((a+)+)+)+[bc]",
		"(a|aa)+[bc]",
		"(a?){1000}[bc]",
		"(a{1,1000}){1,30}[bc]",
		"(.*)*(.*)*(.*)*[bc]",
		"(?<x>a(?&x)?)+[bc]",
		"((?R)?a)+[bc]",
	};
	char name[TOPIC_NAME_MAX + 1];

	memset(name, 'a', TOPIC_NAME_MAX);
	name[TOPIC_NAME_MAX] = '\0';
	for (size_t i = 0; i < sizeof(patterns) / sizeof(*patterns); i++)
		assert_false(matches(patterns[i], name));
	/* With more patience it would match. */
	assert_false(matches("(a?){20}a{20}", "aaaaaaaaaaaaaaaaaaaa"));
	assert_true(matches("(a?){5}a{5}", "aaaaa"));
}

static void test_long_names_are_matched(void **state)
{
	char name[TOPIC_NAME_MAX + 1];

	for (unsigned i = 0; i < TOPIC_NAME_MAX; i++)
		name[i] = "orders-eu."[i % 10];
	name[TOPIC_NAME_MAX] = '\0';
	assert_true(matches(".*", name));
	assert_true(matches(".*-eu.*-eu.*-eu.*", name));
	assert_true(matches("((orders|payments|returns)-(eu|us|ap)[.]?)+.*", name));
	assert_true(matches("([a-z]|-|[.])+", name));
	assert_true(matches("(?!internal).*", name));
	assert_false(matches("(?!orders).*", name));
}

static void test_groups_within_groups_are_bounded(void **state)
{
	char nested[3 * (PATTERN_DEPTH_MAX + 2)] = "";

	for (unsigned i = 0; i <= PATTERN_DEPTH_MAX; i++)
		strncat(nested, "(", sizeof(nested) - strlen(nested) - 1);
	strncat(nested, "a", sizeof(nested) - strlen(nested) - 1);
	for (unsigned i = 0; i <= PATTERN_DEPTH_MAX; i++)
		strncat(nested, ")", sizeof(nested) - strlen(nested) - 1);
	refused(nested, "parentheses are too deeply nested");
	nested[strlen(nested) - 1] = '\0';
	assert_true(matches(nested + 1, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_name_matches),
		cmocka_unit_test(test_what_is_no_expression_is_refused),
		cmocka_unit_test(test_nothing_takes_long),
		cmocka_unit_test(test_long_names_are_matched),
		cmocka_unit_test(test_groups_within_groups_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

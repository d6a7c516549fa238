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

static bool matches(const char *pattern, const char *name)
{
	regex_t regex;
	bool ret;

	assert_int_equal(pattern_compile(pattern, &regex, sentence), 0);
	ret = pattern_is_match(&regex, name);
	regfree(&regex);
	return ret;
}

static void refused(const char *pattern, const char *expected)
{
	regex_t regex;

	*sentence = '\0';
	assert_int_equal(pattern_compile(pattern, &regex, sentence), -EINVAL);
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
	refused("(a", "pattern=(a: Unmatched ( or \\(");
	refused("[a", "pattern=[a: ");
	refused("[[:no]", "pattern=[[:no]: ");
	refused("[[:no:]]", "pattern=[[:no:]]: ");
	refused("a{2,1}", "pattern=a{2,1}: ");
	refused("a\\", "pattern=a\\: Trailing backslash");
	refused("(a)\\1", "would take too long");
	memset(pattern, 'a', sizeof(pattern));
	pattern[GROUP_PATTERN_MAX + 1] = '\0';
	refused(pattern, "a pattern has 1 to 1024 bytes");
	pattern[GROUP_PATTERN_MAX] = '\0';
	assert_true(!matches(pattern, "a"));
}

/* Each of these takes regcomp() or regexec() seconds to hours. */
static void test_what_grows_is_refused(void **state)
{
	char nested[200] = "";

	refused("(a{1,1000}){1,30}", "would take too long");
	refused("((a{255}){255}){255}", "would take too long");
	refused("(((a{9}){9}){9}){9}", "would take too long");
	refused("(a?){1000}", "would take too long");
	refused("a{1000000000000000000000}", "would take too long");
	for (unsigned i = 0; i < 18; i++)
		strncat(nested, "(", sizeof(nested) - 1);
	strncat(nested, "a", sizeof(nested) - 1);
	for (unsigned i = 0; i < 18; i++)
		strncat(nested, ")+", sizeof(nested) - 1);
	refused(nested, "would take too long");
	/* The bracket holds a ")" and no "]" before the end of it: it is one piece. */
	refused("([)]{600}){2}", "would take too long");
	refused("([]]{600}){2}", "would take too long");
	refused("([[:alpha:])]{600}){2}", "would take too long");
	refused("(\\){600}){2}", "would take too long");
	/* Nor is it hidden in another branch. */
	refused("b|(a{600}){2}", "would take too long");
}

static void test_groups_within_groups_are_bounded(void **state)
{
	char nested[3 * (PATTERN_DEPTH_MAX + 2)] = "";

	for (unsigned i = 0; i <= PATTERN_DEPTH_MAX; i++)
		strncat(nested, "(", sizeof(nested) - strlen(nested) - 1);
	strncat(nested, "a", sizeof(nested) - strlen(nested) - 1);
	for (unsigned i = 0; i <= PATTERN_DEPTH_MAX; i++)
		strncat(nested, ")", sizeof(nested) - strlen(nested) - 1);
	refused(nested, "would take too long");
	nested[strlen(nested) - 1] = '\0';
	assert_true(matches(nested + 1, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_whole_name_matches),
		cmocka_unit_test(test_what_is_no_expression_is_refused),
		cmocka_unit_test(test_what_grows_is_refused),
		cmocka_unit_test(test_groups_within_groups_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

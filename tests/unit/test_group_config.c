#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft/group_config.h"

static struct group_change changes[GROUP_CHANGE_MAX];
static unsigned change_cnt;
static char sentence[SENTENCE_MAX];

static int parse(const char *text)
{
	change_cnt = 0;
	sentence[0] = '\0';
	return group_config_parse(text, strlen(text), changes, &change_cnt, sentence);
}

static void refused(const char *text, const char *expected)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(change_cnt, 0);
	assert_string_equal(sentence, expected);
}

static void put_all(struct group_config *own)
{
	for (unsigned i = 0; i < change_cnt; i++) {
		assert_int_equal(group_change_check(&changes[i], sentence), 0);
		group_config_put(own, &changes[i]);
	}
}

static void test_the_defaults(void **state)
{
	struct group_config own = { 0 };
	struct buf text;

	group_config_merge(&own, &own);
	assert_int_equal(own.strategy, STRATEGY_COOPERATIVE_STICKY);
	buf_init(&text);
	group_config_print(&own, "billing", &text);
	buf_put_u8(&text, 0);
	assert_int_equal(buf_err(&text), 0);
	assert_string_equal((char *)text.data, "assignment.strategy=cooperative-sticky\n"
					       "auto.offset.reset=earliest\n"
					       "commit=next-read\n"
					       "session.timeout.ms=45000\n"
					       "rebalance.timeout.ms=60000\n"
					       "max.poll.interval.ms=300000\n"
					       "max.poll.records=0\n"
					       "max.deliveries=0\n"
					       "dlq=billing.dlq\n");
	buf_fini(&text);
}

static void test_lines_become_changes_in_table_order(void **state)
{
	assert_int_equal(parse("\n# a comment\n dlq =\tdead \r\nmax.deliveries=3\ncommit=manual\n"
			       "session.timeout.ms=\nmax.deliveries=5"),
			 0);
	assert_int_equal(change_cnt, 4);
	assert_int_equal(changes[0].setting, GROUP_COMMIT);
	assert_int_equal(changes[0].num, COMMIT_MANUAL);
	assert_int_equal(changes[1].setting, GROUP_SESSION_TIMEOUT_MS);
	assert_true(changes[1].reset);
	assert_int_equal(changes[2].setting, GROUP_MAX_DELIVERIES);
	assert_int_equal(changes[2].num, 5);
	assert_int_equal(changes[3].setting, GROUP_DLQ);
	assert_int_equal(changes[3].text_len, 4);
	assert_memory_equal(changes[3].text, "dead", 4);
	assert_int_equal(parse(""), 0);
	assert_int_equal(change_cnt, 0);
}

static void test_refusals_say_what_is_wrong(void **state)
{
	char long_dlq[4 + TOPIC_NAME_MAX + 2] = "dlq=";

	refused("commit=manual\nsession.timeout.m=5",
		"unknown setting \"session.timeout.m\"; settings are listed by cat config"
		" (did you mean \"session.timeout.ms\"?)");
	refused("colour=blue", "unknown setting \"colour\"; settings are listed by cat config");
	refused("group.id=a", "group.id: is the name of the directory");
	refused("enable.auto.commit=true",
		"enable.auto.commit: use commit=next-read, or commit=manual");
	refused("session.timeout.ms=99", "session.timeout.ms takes 100 to 2147483647, not \"99\"");
	refused("rebalance.timeout.ms=99",
		"rebalance.timeout.ms takes 100 to 2147483647, not \"99\"");
	refused("max.poll.interval.ms=2147483648",
		"max.poll.interval.ms takes 100 to 2147483647, not \"2147483648\"");
	refused("max.poll.records=-1", "max.poll.records takes 0 to 2147483647, not \"-1\"");
	refused("assignment.strategy=fair",
		"assignment.strategy takes range | roundrobin | sticky | cooperative-sticky, not"
		" \"fair\"");
	refused("auto.offset.reset=newest",
		"auto.offset.reset takes earliest | latest | none, not \"newest\"");
	refused("commit=always", "commit takes next-read | on-read | manual, not \"always\"");
	refused("dlq=a b", "dlq takes a topic's name, not \"a b\"");
	refused("dlq=..", "dlq takes a topic's name, not \"..\"");
	refused("dlq=__consumer_offsets", "dlq: \"__consumer_offsets\" is reserved for the broker");
	refused("commit", "\"commit\" is not name=value");
	memset(long_dlq + 4, 'd', TOPIC_NAME_MAX + 1);
	assert_int_equal(parse(long_dlq), -EINVAL);
	long_dlq[4 + TOPIC_NAME_MAX] = '\0';
	assert_int_equal(parse(long_dlq), 0);
}

static void test_reset_returns_to_the_default(void **state)
{
	struct group_config own = { 0 }, merged;

	assert_int_equal(parse("auto.offset.reset=none\nmax.deliveries=3\ndlq=dead"), 0);
	put_all(&own);
	group_config_merge(&own, &merged);
	assert_int_equal(merged.auto_offset_reset, RESET_NONE);
	assert_int_equal(merged.max_deliveries, 3);
	assert_string_equal(merged.dlq, "dead");
	assert_int_equal(parse("auto.offset.reset=\nmax.deliveries=\ndlq="), 0);
	put_all(&own);
	group_config_merge(&own, &merged);
	assert_int_equal(own.set, 0);
	assert_int_equal(merged.auto_offset_reset, RESET_EARLIEST);
	assert_int_equal(merged.max_deliveries, 0);
	assert_null(own.dlq);
	assert_null(merged.dlq);
}

/* What is printed is taken back whole, and gives the same settings in force. */
static void check_printed(const char *written, const char *group, const char *begin)
{
	struct group_config own = { 0 }, again = { 0 }, merged, merged2;
	struct buf text, text2;

	buf_init(&text);
	buf_init(&text2);
	assert_int_equal(parse(written), 0);
	put_all(&own);
	group_config_merge(&own, &merged);
	group_config_print(&merged, group, &text);
	buf_put_u8(&text, 0);
	assert_int_equal(buf_err(&text), 0);
	assert_ptr_equal(strstr((char *)text.data, begin), text.data);
	assert_int_equal(parse((char *)text.data), 0);
	assert_int_equal(change_cnt, GROUP_SETTING_CNT);
	put_all(&again);
	group_config_merge(&again, &merged2);
	for (unsigned i = 0; i < GROUP_SETTING_CNT; i++)
		if (group_setting_table[i].type != SETTING_TEXT)
			assert_int_equal(setting_get_num(&group_setting_table[i], &merged),
					 setting_get_num(&group_setting_table[i], &merged2));
	merged2.set = merged.set;
	group_config_print(&merged2, group, &text2);
	buf_put_u8(&text2, 0);
	assert_int_equal(buf_err(&text2), 0);
	assert_string_equal((char *)text2.data, (char *)text.data);
	group_config_fini(&own);
	group_config_fini(&again);
	buf_fini(&text);
	buf_fini(&text2);
}

static void test_print_is_parsed_back(void **state)
{
	check_printed(
		"max.poll.records=7\nassignment.strategy=range", "billing",
		"assignment.strategy=range\nmax.poll.records=7\nauto.offset.reset=earliest\n");
	check_printed("dlq=dead", "a b", "dlq=dead\n");
	/* No topic can be called "a b.dlq": there is none in force, and that is taken back. */
	check_printed("commit=manual", "a b", "commit=manual\n");
}

static void test_dead_letters_need_a_topic(void **state)
{
	struct group_config own = { 0 };
	char topic[TOPIC_NAME_MAX + 1], name[GROUP_NAME_MAX + 1];

	assert_int_equal(group_config_dlq(&own, "billing", topic, sentence), 0);
	assert_string_equal(topic, "billing.dlq");
	assert_int_equal(group_config_dlq(&own, "grün", topic, sentence), -EINVAL);
	assert_string_equal(sentence, "dlq must be set: \"grün.dlq\" is no topic's name");
	memset(name, 'g', GROUP_NAME_MAX);
	name[GROUP_NAME_MAX] = '\0';
	assert_int_equal(group_config_dlq(&own, name, topic, sentence), -EINVAL);
	name[TOPIC_NAME_MAX - 4] = '\0';
	assert_int_equal(group_config_dlq(&own, name, topic, sentence), 0);

	assert_int_equal(parse("max.deliveries=3"), 0);
	assert_int_equal(group_changes_fit("billing", &own, changes, change_cnt, sentence), 0);
	assert_int_equal(group_changes_fit("a b", &own, changes, change_cnt, sentence), -EINVAL);
	assert_string_equal(sentence, "dlq must be set: \"a b.dlq\" is no topic's name");
	assert_int_equal(parse("max.deliveries=3\ndlq=dead"), 0);
	assert_int_equal(group_changes_fit("a b", &own, changes, change_cnt, sentence), 0);
	put_all(&own);
	assert_int_equal(group_config_dlq(&own, "a b", topic, sentence), 0);
	assert_string_equal(topic, "dead");
	assert_int_equal(parse("dlq="), 0);
	assert_int_equal(group_changes_fit("a b", &own, changes, change_cnt, sentence), -EINVAL);
	assert_int_equal(parse("dlq=\nmax.deliveries=0"), 0);
	assert_int_equal(group_changes_fit("a b", &own, changes, change_cnt, sentence), 0);
	assert_int_equal(parse("dlq=\nmax.deliveries="), 0);
	assert_int_equal(group_changes_fit("a b", &own, changes, change_cnt, sentence), 0);
	group_config_fini(&own);
}

static void test_a_stored_change_is_checked(void **state)
{
	struct group_change c = { .setting = GROUP_SESSION_TIMEOUT_MS, .num = 99 };

	assert_int_equal(group_change_check(&c, sentence), -EINVAL);
	assert_string_equal(sentence, "session.timeout.ms: 99 is out of bounds");
	c.reset = true;
	assert_int_equal(group_change_check(&c, sentence), 0);
	c = (struct group_change){ .setting = GROUP_COMMIT, .num = COMMIT_MANUAL + 1 };
	assert_int_equal(group_change_check(&c, sentence), -EINVAL);
	c = (struct group_change){ .setting = GROUP_DLQ, .text = "a\0b", .text_len = 3 };
	assert_int_equal(group_change_check(&c, sentence), -EINVAL);
	c = (struct group_change){ .setting = GROUP_SETTING_CNT };
	assert_int_equal(group_change_check(&c, sentence), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_defaults),
		cmocka_unit_test(test_lines_become_changes_in_table_order),
		cmocka_unit_test(test_refusals_say_what_is_wrong),
		cmocka_unit_test(test_reset_returns_to_the_default),
		cmocka_unit_test(test_print_is_parsed_back),
		cmocka_unit_test(test_dead_letters_need_a_topic),
		cmocka_unit_test(test_a_stored_change_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

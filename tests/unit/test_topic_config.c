#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "raft/topic_config.h"

static struct topic_change changes[TOPIC_CHANGE_MAX];
static unsigned change_cnt;
static char sentence[SENTENCE_MAX];

static int parse(const char *text)
{
	struct topic_config defaults;

	topic_config_defaults(&defaults);
	change_cnt = 0;
	sentence[0] = '\0';
	return topic_config_parse(text, strlen(text), &defaults, changes, &change_cnt, sentence);
}

static void refused(const char *text, const char *expected)
{
	assert_int_equal(parse(text), -EINVAL);
	assert_int_equal(change_cnt, 0);
	assert_string_equal(sentence, expected);
}

static void test_lines_become_changes_in_table_order(void **state)
{
	assert_int_equal(parse("\n# a comment\n \tretention.ms =\t5 \r\nacks=1\nhot.keys=a,b\n"
			       "segment.ms="),
			 0);
	assert_int_equal(change_cnt, 4);
	assert_int_equal(changes[0].setting, TOPIC_ACKS);
	assert_int_equal(changes[0].num, ACKS_1);
	assert_int_equal(changes[1].setting, TOPIC_RETENTION_MS);
	assert_int_equal(changes[1].num, 5);
	assert_false(changes[1].reset);
	assert_int_equal(changes[2].setting, TOPIC_SEGMENT_MS);
	assert_true(changes[2].reset);
	assert_int_equal(changes[3].setting, TOPIC_HOT_KEYS);
	assert_int_equal(changes[3].text_len, 3);
	assert_memory_equal(changes[3].text, "a,b", 3);
	assert_int_equal(parse(""), 0);
	assert_int_equal(change_cnt, 0);
}

static void test_the_last_of_equal_names_counts(void **state)
{
	assert_int_equal(parse("retention.ms=5\nretention.ms=6\n"), 0);
	assert_int_equal(change_cnt, 1);
	assert_int_equal(changes[0].num, 6);
}

static void test_refusals_say_what_is_wrong(void **state)
{
	refused("retention.m=5",
		"unknown setting \"retention.m\"; settings are listed by cat config"
		" (did you mean \"retention.ms\"?)");
	refused("colour=blue", "unknown setting \"colour\"; settings are listed by cat config");
	refused("acks=1\nretention.ms=soon",
		"retention.ms takes -1 to 9223372036854775807, not \"soon\"");
	refused("retention.ms=-2", "retention.ms takes -1 to 9223372036854775807, not \"-2\"");
	refused("retention.ms=9223372036854775808",
		"retention.ms takes -1 to 9223372036854775807, not \"9223372036854775808\"");
	refused("retention.ms=5x", "retention.ms takes -1 to 9223372036854775807, not \"5x\"");
	refused("acks=2", "acks takes 0 | 1 | all, not \"2\"");
	refused("segment.bytes=1023", "segment.bytes takes 1024 to 2147483647, not \"1023\"");
	refused("replication.factor=3", "replication.factor takes 1 only, not \"3\"");
	refused("num.partitions=65537", "num.partitions takes 1 to 65536, not \"65537\"");
	refused("cleanup.policy=compact", "cleanup.policy=compact: known, but this build cannot"
					  " compact topics yet; it takes delete");
	refused("cleanup.policy=shred", "cleanup.policy takes delete only, not \"shred\"");
	refused("compression.type=zstd",
		"compression.type=zstd: known, but not in this build; it takes uncompressed");
	refused("schema=s", "schema: known, but not in this build");
	refused("retention.ms", "\"retention.ms\" is not name=value");
	refused("=5", "\"=5\" is not name=value");
	refused("hot.keys=a,,b", "hot.keys holds an empty key");
	refused("hot.keys=,", "hot.keys holds an empty key");
	refused("a\x01\xff=1", "unknown setting \"a??\"; settings are listed by cat config");
}

static void test_extremes_are_taken(void **state)
{
	assert_int_equal(parse("retention.ms=9223372036854775807\nretention.bytes=-1\n"
			       "min.insync.replicas=3\nmax.message.bytes=67108864"),
			 0);
	assert_int_equal(change_cnt, 4);
}

static void put_all(struct topic_config *own)
{
	for (unsigned i = 0; i < change_cnt; i++)
		topic_config_put(own, &changes[i]);
}

static void test_reset_returns_to_the_default(void **state)
{
	struct topic_config own = { 0 }, defaults, merged;

	topic_config_defaults(&defaults);
	defaults.retention_ms = 77;
	assert_int_equal(parse("retention.ms=5\nhot.keys=k\nnum.partitions=4"), 0);
	put_all(&own);
	topic_config_merge(&own, &defaults, 4, &merged);
	assert_int_equal(merged.retention_ms, 5);
	assert_string_equal(merged.hot_keys, "k");
	assert_int_equal(merged.num_partitions, 4);
	assert_int_equal(parse("retention.ms=\nhot.keys=\nnum.partitions="), 0);
	put_all(&own);
	topic_config_merge(&own, &defaults, 4, &merged);
	assert_int_equal(own.set, 0);
	assert_int_equal(merged.retention_ms, 77);
	assert_null(merged.hot_keys);
	assert_null(own.hot_keys);
}

/* What is printed is taken back whole, and gives the same settings in force. */
static void test_print_is_parsed_back(void **state)
{
	struct topic_config own = { 0 }, again = { 0 }, defaults, merged, merged2;
	struct buf text, text2;

	buf_init(&text);
	buf_init(&text2);
	topic_config_defaults(&defaults);
	assert_int_equal(parse("segment.bytes=4096\nacks=0\nhot.keys=x y,z\n"
			       "message.timestamp.type=LogAppendTime"),
			 0);
	put_all(&own);
	topic_config_merge(&own, &defaults, 3, &merged);
	topic_config_print(&merged, &text);
	assert_int_equal(buf_err(&text), 0);
	buf_put_u8(&text, 0);
	assert_ptr_equal(strstr((char *)text.data, "acks=0\nsegment.bytes=4096\n"), text.data);
	assert_non_null(strstr((char *)text.data, "\nnum.partitions=3\n"));
	assert_int_equal(parse((char *)text.data), 0);
	assert_int_equal(change_cnt, TOPIC_SETTING_CNT);
	for (unsigned i = 0; i < change_cnt; i++) {
		assert_int_equal(topic_change_check(&changes[i], sentence), 0);
		topic_config_put(&again, &changes[i]);
	}
	topic_config_merge(&again, &defaults, 3, &merged2);
	merged2.set = merged.set;
	topic_config_print(&merged2, &text2);
	buf_put_u8(&text2, 0);
	assert_string_equal((char *)text.data, (char *)text2.data);
	topic_config_fini(&own);
	topic_config_fini(&again);
	buf_fini(&text);
	buf_fini(&text2);
}

static unsigned distance(const char *a, const char *b)
{
	return setting_distance(a, strlen(a), b, strlen(b));
}

static void test_distance_counts_slips(void **state)
{
	assert_int_equal(distance("acks", "acks"), 0);
	assert_int_equal(distance("akcs", "acks"), 1);
	assert_int_equal(distance("", "acks"), 4);
	assert_int_equal(distance("ack", "acks"), 1);
	assert_int_equal(distance("kitten", "sitting"), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lines_become_changes_in_table_order),
		cmocka_unit_test(test_the_last_of_equal_names_counts),
		cmocka_unit_test(test_refusals_say_what_is_wrong),
		cmocka_unit_test(test_extremes_are_taken),
		cmocka_unit_test(test_reset_returns_to_the_default),
		cmocka_unit_test(test_print_is_parsed_back),
		cmocka_unit_test(test_distance_counts_slips),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

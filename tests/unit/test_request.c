/* What is written into commit, offsets/T/P, seek, reject and join. */
#include "daemon/groups/request.h"

#include "daemon/base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static char sentence[SENTENCE_MAX];
static struct request_lines lines;

static void begin(const char *text, size_t len)
{
	*sentence = '\0';
	request_lines_init(&lines, text, len);
}

/* ---- commit ---- */

static struct commit_line commit;

static int first_commit(const char *text)
{
	begin(text, strlen(text));
	return commit_line_next(&lines, &commit, sentence);
}

static void commit_refused(const char *text, const char *expected)
{
	int r;

	begin(text, strlen(text));
	do
		r = commit_line_next(&lines, &commit, sentence);
	while (r > 0);
	assert_int_equal(r, -EINVAL);
	assert_string_equal(sentence, expected);
}

static void expect_commit(const char *text, const char *topic, uint32_t partition, int64_t offset,
			  const char *metadata)
{
	assert_int_equal(first_commit(text), 1);
	assert_string_equal(commit.topic, topic);
	assert_int_equal(commit.partition, partition);
	assert_int_equal(commit.offset, offset);
	assert_int_equal(commit.metadata_len, strlen(metadata));
	assert_memory_equal(commit.metadata, metadata, strlen(metadata));
}

static void test_a_commit_line(void **state)
{
	expect_commit("orders 0 5", "orders", 0, 5, "");
	assert_false(commit.has_words);
	expect_commit("orders 0 5\n", "orders", 0, 5, "");
	expect_commit(" \torders\t 12  9223372036854775807 \r\n", "orders", 12, INT64_MAX, "");
	expect_commit("o 1 2 up to noon", "o", 1, 2, "up to noon");
	/* Behind one blank, byte for byte. */
	expect_commit("o 1 2\t  a  b \xff \n", "o", 1, 2, "  a  b \xff ");
	expect_commit("o 1 2   \n", "o", 1, 2, "");
	expect_commit("o 1 2 member=m generation=1", "o", 1, 2, "member=m generation=1");
	/* A number that no partition has is not there, as others are. */
	assert_int_equal(first_commit("o 65536 2"), -ENOENT);
	assert_string_equal(sentence, "line 1: no topic has a partition 65536");
	assert_int_equal(first_commit("o 99999999999999999999999 2"), -ENOENT);
	assert_string_equal(sentence, "line 1: no topic has a partition 99999999999999999999999");
	expect_commit("o 65535 2", "o", 65535, 2, "");
}

static void test_words_stand_in_either_order(void **state)
{
	expect_commit("member=m-1 generation=3 o 1 2", "o", 1, 2, "");
	assert_true(commit.has_words);
	assert_string_equal(commit.member, "m-1");
	assert_int_equal(commit.generation, 3);
	expect_commit("generation=18446744073709551615\tmember=é@x  o 1 2 x", "o", 1, 2, "x");
	assert_true(commit.has_words);
	assert_string_equal(commit.member, "é@x");
	assert_true(commit.generation == UINT64_MAX);
	/* The words are a line's own. */
	begin("member=m generation=0 o 1 2\no 1 3\n", 34);
	assert_int_equal(commit_line_next(&lines, &commit, sentence), 1);
	assert_int_equal(commit_line_next(&lines, &commit, sentence), 1);
	assert_false(commit.has_words);
	assert_string_equal(commit.member, "");
}

#define COMMIT_TAKES "it takes [member=NAME generation=N] TOPIC PARTITION OFFSET [METADATA]"

static void test_commit_refusals_name_the_line(void **state)
{
	char name[300] = "member=";

	commit_refused("o 1 2\n\n \nx\n", "line 4: PARTITION is missing; " COMMIT_TAKES);
	commit_refused("o 1", "line 1: OFFSET is missing; " COMMIT_TAKES);
	commit_refused("member=m generation=1", "line 1: TOPIC is missing; " COMMIT_TAKES);
	commit_refused("a/b 1 2", "line 1: \"a/b\" is no TOPIC; " COMMIT_TAKES);
	commit_refused("o -1 2", "line 1: \"-1\" is no PARTITION; " COMMIT_TAKES);
	commit_refused("o 01 2", "line 1: \"01\" is no PARTITION; " COMMIT_TAKES);
	commit_refused("o 1 +2", "line 1: \"+2\" is no OFFSET; " COMMIT_TAKES);
	commit_refused("o 1 00", "line 1: \"00\" is no OFFSET; " COMMIT_TAKES);
	commit_refused("o 1 2x", "line 1: \"2x\" is no OFFSET; " COMMIT_TAKES);
	commit_refused("o 1 9223372036854775808",
		       "line 1: \"9223372036854775808\" is no OFFSET; " COMMIT_TAKES);
	commit_refused("member=m o 1 2", "line 1: generation= is missing; " COMMIT_TAKES);
	commit_refused("generation=1 o 1 2", "line 1: member= is missing; " COMMIT_TAKES);
	commit_refused("generation=-1 member=m o 1 2",
		       "line 1: generation takes a number, not \"-1\"");
	commit_refused("generation=18446744073709551616 member=m o 1 2",
		       "line 1: generation takes a number, not \"18446744073709551616\"");
	commit_refused("member=m member=n generation=1 o 1 2",
		       "line 1: \"member=n\" is not what it takes: [member=NAME generation=N] "
		       "TOPIC PARTITION OFFSET [METADATA]");
	commit_refused("group=g o 1 2",
		       "line 1: \"group=g\" is not what it takes: [member=NAME generation=N] "
		       "TOPIC PARTITION OFFSET [METADATA]");
	commit_refused("member= generation=1 o 1 2",
		       "line 1: member takes 1 to 249 bytes of printable text without \"/\", not "
		       "\"\"");
	commit_refused("member=a\x01 generation=1 o 1 2",
		       "line 1: member takes 1 to 249 bytes of printable text without \"/\", not "
		       "\"a?\"");
	memset(name + 7, 'm', 250);
	snprintf(name + 257, sizeof(name) - 257, " generation=1 o 1 2");
	assert_int_equal(first_commit(name), -EINVAL);
	memmove(name + 256, name + 257, strlen(name + 257) + 1);
	assert_int_equal(first_commit(name), 1);
	begin("o 1 2 a\0b", 9);
	assert_int_equal(commit_line_next(&lines, &commit, sentence), -EINVAL);
	assert_string_equal(sentence, "line 1: holds a NUL byte");
}

static void test_metadata_is_bounded(void **state)
{
	char text[6 + OFFSET_METADATA_MAX + 2] = "o 1 2 ";

	memset(text + 6, 'm', OFFSET_METADATA_MAX + 1);
	assert_int_equal(first_commit(text), -EINVAL);
	assert_string_equal(sentence, "line 1: METADATA has 4097 bytes; 4096 are the most");
	text[6 + OFFSET_METADATA_MAX] = '\n';
	assert_int_equal(first_commit(text), 1);
	assert_int_equal(commit.metadata_len, OFFSET_METADATA_MAX);
}

static void test_many_lines_of_one_write(void **state)
{
	char text[64];
	struct buf b;

	buf_init(&b);
	for (unsigned i = 0; i < 1000; i++)
		buf_printf(&b, "%stopic-%u %u %u meta %u\n", i % 10 ? "" : "\n \n", i, i, 2 * i, i);
	assert_int_equal(buf_err(&b), 0);
	begin((char *)b.data, b.len);
	for (unsigned i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "topic-%u", i);
		assert_int_equal(commit_line_next(&lines, &commit, sentence), 1);
		assert_string_equal(commit.topic, text);
		assert_int_equal(commit.partition, i);
		assert_int_equal(commit.offset, 2 * i);
		snprintf(text, sizeof(text), "meta %u", i);
		assert_int_equal(commit.metadata_len, strlen(text));
		assert_memory_equal(commit.metadata, text, strlen(text));
	}
	assert_int_equal(commit_line_next(&lines, &commit, sentence), 0);
	assert_int_equal(lines.line, 1200);
	buf_fini(&b);
	assert_int_equal(first_commit(""), 0);
	assert_int_equal(first_commit("\n \r\n\t"), 0);
}

/* ---- offsets/T/P ---- */

static void offset_refused(const char *text, const char *expected)
{
	*sentence = '\0';
	assert_int_equal(offset_line_parse(text, strlen(text), &commit, sentence), -EINVAL);
	assert_string_equal(sentence, expected);
}

static void test_an_offset(void **state)
{
	assert_int_equal(offset_line_parse("7\n", 2, &commit, sentence), 0);
	assert_int_equal(commit.offset, 7);
	assert_int_equal(commit.metadata_len, 0);
	assert_int_equal(offset_line_parse("\n 7  up to noon\n\n", 17, &commit, sentence), 0);
	assert_int_equal(commit.offset, 7);
	assert_int_equal(commit.metadata_len, 11);
	assert_memory_equal(commit.metadata, " up to noon", 11);
	offset_refused("", "line 1: it takes OFFSET [METADATA], and is empty");
	offset_refused("\n\n", "line 1: it takes OFFSET [METADATA], and is empty");
	offset_refused("7\n\n8\n", "line 3: it takes one line, OFFSET [METADATA]");
	offset_refused("\nx", "line 2: \"x\" is no OFFSET; it takes OFFSET [METADATA]");
	offset_refused("-1", "line 1: \"-1\" is no OFFSET; it takes OFFSET [METADATA]");
}

/* ---- seek ---- */

static struct seek_line seek;

static void expect_seek(const char *text, const char *topic, int64_t partition,
			const char *position)
{
	begin(text, strlen(text));
	assert_int_equal(seek_line_next(&lines, &seek, sentence), 1);
	assert_string_equal(seek.topic, topic);
	assert_int_equal(seek.has_partition, partition >= 0);
	if (partition >= 0)
		assert_int_equal(seek.partition, partition);
	assert_int_equal(seek.position_len, strlen(position));
	assert_memory_equal(seek.position, position, strlen(position));
}

static void seek_refused(const char *text, const char *expected)
{
	begin(text, strlen(text));
	assert_int_equal(seek_line_next(&lines, &seek, sentence), -EINVAL);
	assert_string_equal(sentence, expected);
}

static void test_a_seek_line(void **state)
{
	expect_seek("orders earliest", "orders", -1, "earliest");
	expect_seek("orders 5", "orders", -1, "5");
	expect_seek("orders 3 5\n", "orders", 3, "5");
	expect_seek(" orders\t3  2026-02-02T10:30:00Z \r\nmore", "orders", 3,
		    "2026-02-02T10:30:00Z");
	seek_refused("orders", "line 1: POSITION is missing; it takes TOPIC[ PARTITION] POSITION");
	seek_refused("\norders 1 2 3",
		     "line 2: \"3\" is too much; it takes TOPIC[ PARTITION] POSITION");
	seek_refused("orders earliest 2",
		     "line 1: \"earliest\" is no PARTITION; it takes TOPIC[ PARTITION] POSITION");
	seek_refused("@ 1", "line 1: \"@\" is no TOPIC; it takes TOPIC[ PARTITION] POSITION");
}

/* ---- reject ---- */

static void test_a_reject_line(void **state)
{
	const char *text = "o 1 2\no 1 3 no such customer \n\no 1\n";
	struct reject_line reject;

	begin(text, strlen(text));
	assert_int_equal(reject_line_next(&lines, &reject, sentence), 1);
	assert_string_equal(reject.topic, "o");
	assert_int_equal(reject.partition, 1);
	assert_int_equal(reject.offset, 2);
	assert_int_equal(reject.reason_len, 0);
	assert_int_equal(reject_line_next(&lines, &reject, sentence), 1);
	assert_int_equal(reject.offset, 3);
	assert_int_equal(reject.reason_len, 17);
	assert_memory_equal(reject.reason, "no such customer ", 17);
	assert_int_equal(reject_line_next(&lines, &reject, sentence), -EINVAL);
	assert_string_equal(sentence, "line 4: OFFSET is missing; it takes TOPIC PARTITION OFFSET "
				      "[REASON]");
}

/* ---- join ---- */

static struct join_request join;

static int parse_join(const char *text)
{
	*sentence = '\0';
	return join_request_parse(text, strlen(text), &join, sentence);
}

static void join_refused(const char *text, const char *expected)
{
	assert_int_equal(parse_join(text), -EINVAL);
	assert_string_equal(sentence, expected);
}

static void test_an_empty_line_is_a_sign_of_life(void **state)
{
	static const char *const signs[] = { "", "\n", " \r\n", "\n\n" };

	for (unsigned i = 0; i < ARRAY_CNT(signs); i++) {
		assert_int_equal(parse_join(signs[i]), 0);
		assert_true(join.is_sign);
		assert_null(join.topics);
		assert_null(join.pattern);
		join_request_fini(&join);
	}
}

static void test_a_request(void **state)
{
	assert_int_equal(parse_join("topics=b,a,b,a.c\n"), 0);
	assert_false(join.is_sign);
	assert_int_equal(join.topic_cnt, 3);
	assert_string_equal(join.topics[0], "a");
	assert_string_equal(join.topics[1], "a.c");
	assert_string_equal(join.topics[2], "b");
	assert_null(join.member);
	assert_null(join.instance);
	assert_null(join.pattern);
	assert_int_equal(join.strategy, -1);
	assert_int_equal(join.session_timeout_ms, -1);
	join_request_fini(&join);
	assert_int_equal(parse_join("\n instance=i/1 topics=x"), -EINVAL);
	assert_int_equal(parse_join("\n instance=i:1  member=m strategy=sticky pattern=app[.](a|b)+"
				    "\tsession.timeout.ms=100 rebalance.timeout.ms=2147483647 "
				    "max.poll.interval.ms=7000 \r\n\n"),
			 0);
	assert_string_equal(join.instance, "i:1");
	assert_string_equal(join.member, "m");
	assert_string_equal(join.pattern, "app[.](a|b)+");
	assert_null(join.topics);
	assert_int_equal(join.topic_cnt, 0);
	assert_int_equal(join.strategy, 2);
	assert_int_equal(join.session_timeout_ms, 100);
	assert_int_equal(join.rebalance_timeout_ms, INT32_MAX);
	assert_int_equal(join.max_poll_interval_ms, 7000);
	join_request_fini(&join);
}

static void test_join_refusals_name_the_line(void **state)
{
	join_refused("topics=a\n\ntopics=b\n", "line 3: a request is one line");
	join_refused("\nmember=m", "line 2: it takes one of topics=A,B and pattern=REGEX");
	join_refused("topics=a pattern=b",
		     "line 1: it takes only one of topics=A,B and pattern=REGEX");
	join_refused("topics=a topics=b", "line 1: topics= stands there twice");
	join_refused("topics=a b", "line 1: \"b\" is not NAME=VALUE");
	join_refused("topic=a", "line 1: \"topic\" is unknown (did you mean \"topics\"?)");
	join_refused("topics=a session.timeout=5",
		     "line 1: \"session.timeout\" is unknown (did you mean "
		     "\"session.timeout.ms\"?)");
	join_refused("topics=a colour=blue", "line 1: \"colour\" is unknown");
	join_refused("topics=", "line 1: topics takes names of topics with commas between, not "
				"\"\"");
	join_refused("topics=a,,b", "line 1: topics takes names of topics with commas between, not "
				    "\"\"");
	join_refused("topics=a,b/c", "line 1: topics takes names of topics with commas between, "
				     "not \"b/c\"");
	join_refused("topics=a member=self", "line 1: no member is called \"self\": members/self "
					     "is the reader's own");
	join_refused("topics=a member=..", "line 1: member takes 1 to 249 bytes of printable text "
					   "without \"/\", not \"..\"");
	join_refused("topics=a instance=", "line 1: instance takes 1 to 249 bytes of printable "
					   "text without \"/\", not \"\"");
	join_refused("topics=a strategy=fair",
		     "line 1: strategy takes range | roundrobin | sticky | cooperative-sticky, not "
		     "\"fair\"");
	join_refused("topics=a session.timeout.ms=99",
		     "line 1: session.timeout.ms takes 100 to 2147483647, not \"99\"");
	join_refused("topics=a max.poll.interval.ms=2147483648",
		     "line 1: max.poll.interval.ms takes 100 to 2147483647, not \"2147483648\"");
	join_refused("topics=a rebalance.timeout.ms=",
		     "line 1: rebalance.timeout.ms takes 100 to 2147483647, not \"\"");
	join_refused("pattern=(a", "line 1: pattern=(a: missing closing parenthesis (at byte 2)");
	join_refused("pattern=", "line 1: a pattern has 1 to 1024 bytes");
}

static void test_topics_of_a_request_are_bounded(void **state)
{
	struct buf b;

	buf_init(&b);
	buf_put_str(&b, "topics=t0");
	for (unsigned i = 1; i < GROUP_TOPIC_MAX; i++)
		buf_printf(&b, ",t%u", i);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(join_request_parse((char *)b.data, b.len, &join, sentence), 0);
	assert_int_equal(join.topic_cnt, GROUP_TOPIC_MAX);
	for (unsigned i = 1; i < join.topic_cnt; i++)
		assert_true(strcmp(join.topics[i - 1], join.topics[i]) < 0);
	join_request_fini(&join);
	buf_put_str(&b, ",t0");
	assert_int_equal(join_request_parse((char *)b.data, b.len, &join, sentence), -EINVAL);
	assert_string_equal(sentence, "line 1: topics takes 1024 names at most");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_commit_line),
		cmocka_unit_test(test_words_stand_in_either_order),
		cmocka_unit_test(test_commit_refusals_name_the_line),
		cmocka_unit_test(test_metadata_is_bounded),
		cmocka_unit_test(test_many_lines_of_one_write),
		cmocka_unit_test(test_an_offset),
		cmocka_unit_test(test_a_seek_line),
		cmocka_unit_test(test_a_reject_line),
		cmocka_unit_test(test_an_empty_line_is_a_sign_of_life),
		cmocka_unit_test(test_a_request),
		cmocka_unit_test(test_join_refusals_name_the_line),
		cmocka_unit_test(test_topics_of_a_request_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

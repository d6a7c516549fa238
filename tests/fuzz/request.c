/*
 * What people write to commit, offsets/T/P, seek, reject and join of a group. The first byte says
 * which of them it is. What is taken has legal names and numbers, borrows from within the text, and
 * means the same when it is written down again.
 */
#include "daemon/groups/request.h"
#include "daemon/base/buf.h"
#include "daemon/base/name.h"
#include "daemon/base/utf8.h"
#include "daemon/groups/pattern.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static const char *text;
static size_t text_len;
static char sentence[SENTENCE_MAX];

static void check_refused(int err)
{
	CHECK(err == -EINVAL || err == -ENOENT || err == -ENOMEM);
	CHECK(err == -ENOMEM || !strncmp(sentence, "line ", 5));
	CHECK(strnlen(sentence, SENTENCE_MAX) < SENTENCE_MAX);
	CHECK(utf8_is_valid(sentence, strlen(sentence)));
	for (const char *c = sentence; *c; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_borrowed(const char *p, size_t len)
{
	CHECK(p >= text && p + len <= text + text_len);
	CHECK(!memchr(p, '\n', len) && !memchr(p, '\0', len));
}

static void check_commit(const struct commit_line *l, const char *metadata, size_t len)
{
	CHECK(l->offset >= 0 && l->metadata_len <= OFFSET_METADATA_MAX);
	CHECK(fuzz_equal(l->metadata, l->metadata_len, metadata, len));
}

/* The line, written down again. */
static void commit_again(const struct commit_line *l)
{
	struct request_lines lines;
	struct commit_line again;
	struct buf b;

	buf_init(&b);
	if (l->has_words)
		buf_printf(&b, "generation=%llu member=%s ", (unsigned long long)l->generation,
			   l->member);
	buf_printf(&b, "%s %u %lld ", l->topic, l->partition, (long long)l->offset);
	buf_put(&b, l->metadata, l->metadata_len);
	CHECK(!buf_err(&b));
	request_lines_init(&lines, (char *)b.data, b.len);
	CHECK(commit_line_next(&lines, &again, sentence) == 1);
	check_commit(&again, l->metadata, l->metadata_len);
	CHECK(again.has_words == l->has_words && again.generation == l->generation);
	CHECK(!strcmp(again.member, l->member) && !strcmp(again.topic, l->topic));
	CHECK(again.partition == l->partition && again.offset == l->offset);
	CHECK(!commit_line_next(&lines, &again, sentence));
	buf_fini(&b);
}

static void try_commit(void)
{
	struct request_lines lines;
	struct commit_line l;
	int r;

	request_lines_init(&lines, text, text_len);
	while ((r = commit_line_next(&lines, &l, sentence)) > 0) {
		CHECK(!topic_name_check(l.topic));
		CHECK(l.has_words ? !group_name_check(l.member) : !*l.member && !l.generation);
		check_borrowed(l.metadata, l.metadata_len);
		commit_again(&l);
	}
	if (r)
		check_refused(r);
}

static void try_offset(void)
{
	struct commit_line l, again;
	struct buf b;
	int r = offset_line_parse(text, text_len, &l, sentence);

	if (r) {
		check_refused(r);
		return;
	}
	check_borrowed(l.metadata, l.metadata_len);
	buf_init(&b);
	buf_printf(&b, "%lld ", (long long)l.offset);
	buf_put(&b, l.metadata, l.metadata_len);
	CHECK(!buf_err(&b));
	CHECK(!offset_line_parse((char *)b.data, b.len, &again, sentence));
	check_commit(&again, l.metadata, l.metadata_len);
	CHECK(again.offset == l.offset);
	buf_fini(&b);
}

static void try_seek(void)
{
	struct request_lines lines;
	struct seek_line l;
	int r;

	request_lines_init(&lines, text, text_len);
	while ((r = seek_line_next(&lines, &l, sentence)) > 0) {
		CHECK(!topic_name_check(l.topic) && l.position_len);
		check_borrowed(l.position, l.position_len);
		CHECK(!memchr(l.position, ' ', l.position_len));
	}
	if (r)
		check_refused(r);
}

static void try_reject(void)
{
	struct request_lines lines;
	struct reject_line l;
	int r;

	request_lines_init(&lines, text, text_len);
	while ((r = reject_line_next(&lines, &l, sentence)) > 0) {
		CHECK(!topic_name_check(l.topic) && l.offset >= 0);
		check_borrowed(l.reason, l.reason_len);
	}
	if (r)
		check_refused(r);
}

static void check_timeout(int64_t ms)
{
	CHECK(ms == -1 || (ms >= GROUP_TIMEOUT_MIN_MS && ms <= INT32_MAX));
}

static void try_join(void)
{
	struct join_request j;
	struct pattern *pattern;
	int r = join_request_parse(text, text_len, &j, sentence);

	if (r) {
		check_refused(r);
		return;
	}
	CHECK(j.is_sign ? !j.topics && !j.pattern : !j.topics != !j.pattern);
	CHECK(!j.topics == !j.topic_cnt && j.topic_cnt <= GROUP_TOPIC_MAX);
	for (uint32_t i = 0; i < j.topic_cnt; i++) {
		CHECK(!topic_name_check(j.topics[i]));
		CHECK(!i || strcmp(j.topics[i - 1], j.topics[i]) < 0);
	}
	if (j.pattern) {
		CHECK(!pattern_compile(j.pattern, &pattern, sentence));
		pattern_is_match(pattern, "orders.eu-1");
		pattern_free(pattern);
	}
	CHECK(!j.member || (!group_name_check(j.member) && strcmp(j.member, "self") != 0));
	CHECK(!j.instance || !group_name_check(j.instance));
	CHECK(j.strategy >= -1 && j.strategy <= 3);
	check_timeout(j.session_timeout_ms);
	check_timeout(j.rebalance_timeout_ms);
	check_timeout(j.max_poll_interval_ms);
	join_request_fini(&j);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static void (*const tries[])(void) = { try_commit, try_offset, try_seek, try_reject,
					       try_join };
	char *copy;

	if (!len)
		return 0;
	text_len = len - 1;
	text = copy = fuzz_copy(data + 1, text_len);
	*sentence = '\0';
	tries[*data % ARRAY_CNT(tries)]();
	free(copy);
	return 0;
}

/* What people write to `config` of a group: all or none, within bounds, and what is printed is
 * taken back and means the same. The input is the group's name, a line feed, and the text. */
#include "raft/group_config.h"
#include "daemon/base/name.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static void check_sentence(const char *sentence)
{
	CHECK(*sentence && strnlen(sentence, SENTENCE_MAX) < SENTENCE_MAX);
	for (const char *c = sentence; *c; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void put_all(struct group_config *own, const struct group_change *changes, unsigned cnt)
{
	char sentence[SENTENCE_MAX];

	for (unsigned i = 0; i < cnt; i++) {
		CHECK(!i || changes[i - 1].setting < changes[i].setting);
		CHECK(!group_change_check(&changes[i], sentence));
		group_config_put(own, &changes[i]);
	}
}

static void check_config(const char *group, const struct group_config *own)
{
	char sentence[SENTENCE_MAX], dlq[TOPIC_NAME_MAX + 1];
	struct group_change changes[GROUP_CHANGE_MAX];
	struct group_config effective, again = { 0 }, effective2;
	unsigned cnt = 0;
	struct buf a, b;

	buf_init(&a);
	buf_init(&b);
	group_config_merge(own, &effective);
	for (unsigned i = 0; i < GROUP_SETTING_CNT; i++)
		if (group_setting_table[i].type != SETTING_TEXT)
			CHECK(setting_is_valid(
				&group_setting_table[i],
				setting_get_num(&group_setting_table[i], &effective)));
	if (!group_config_dlq(&effective, group, dlq, sentence))
		CHECK(!topic_name_check(dlq) && !topic_name_is_internal(dlq));
	group_config_print(&effective, group, &a);
	CHECK(!buf_err(&a));
	CHECK(!group_config_parse((char *)a.data, a.len, changes, &cnt, sentence));
	CHECK(cnt == GROUP_SETTING_CNT);
	put_all(&again, changes, cnt);
	group_config_merge(&again, &effective2);
	effective2.set = effective.set;
	group_config_print(&effective2, group, &b);
	CHECK(!buf_err(&b) && fuzz_equal(a.data, a.len, b.data, b.len));
	group_config_fini(&again);
	buf_fini(&a);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	const uint8_t *newline = memchr(data, '\n', len);
	size_t name_len = newline ? (size_t)(newline - data) : len;
	char *group = fuzz_string(data, name_len), *text, sentence[SENTENCE_MAX] = "";
	size_t text_len = newline ? len - name_len - 1 : 0;
	struct group_change changes[GROUP_CHANGE_MAX];
	struct group_config own = { 0 };
	unsigned cnt = 0;
	int err;

	text = fuzz_copy(data + len - text_len, text_len);
	err = group_config_parse(text, text_len, changes, &cnt, sentence);
	if (err) {
		CHECK(err == -EINVAL && !cnt);
		check_sentence(sentence);
	} else if (!group_name_check(group)) {
		bool fits = !group_changes_fit(group, &own, changes, cnt, sentence);

		put_all(&own, changes, cnt);
		CHECK(fits == !group_changes_fit(group, &own, NULL, 0, sentence));
		check_config(group, &own);
		group_config_fini(&own);
	}
	free(group);
	free(text);
	return 0;
}

/* What people write to `config` of a topic: all or none, within bounds, and what is printed is
 * taken back and means the same. */
#include "raft/topic_config.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static void check_sentence(const char *sentence)
{
	CHECK(*sentence && strnlen(sentence, SENTENCE_MAX) < SENTENCE_MAX);
	for (const char *c = sentence; *c; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void put_all(struct topic_config *own, const struct topic_change *changes, unsigned cnt)
{
	char sentence[SENTENCE_MAX];

	for (unsigned i = 0; i < cnt; i++) {
		CHECK(!i || changes[i - 1].setting < changes[i].setting);
		CHECK(!topic_change_check(&changes[i], sentence));
		topic_config_put(own, &changes[i]);
	}
}

/* The text of a config whose values are all set: parsed and printed again it is the same. */
static void check_printed(const struct buf *text, const struct topic_config *effective,
			  const struct topic_config *defaults)
{
	struct topic_change changes[TOPIC_CHANGE_MAX];
	struct topic_config own = { 0 }, again;
	char sentence[SENTENCE_MAX];
	unsigned cnt;

	CHECK(!topic_config_parse((char *)text->data, text->len, defaults, changes, &cnt,
				  sentence));
	put_all(&own, changes, cnt);
	topic_config_merge(&own, defaults, (uint32_t)effective->num_partitions, &again);
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++) {
		const struct setting *s = &topic_settings[i];

		if (s->type == SETTING_TEXT)
			CHECK(fuzz_equal(again.hot_keys,
					 again.hot_keys ? strlen(again.hot_keys) : 0,
					 effective->hot_keys,
					 effective->hot_keys ? strlen(effective->hot_keys) : 0));
		else
			CHECK(setting_get_num(s, &again) == setting_get_num(s, effective));
	}
	topic_config_fini(&own);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_copy(data, len), sentence[SENTENCE_MAX] = "";
	struct topic_change changes[TOPIC_CHANGE_MAX];
	struct topic_config defaults, own = { 0 }, effective;
	unsigned cnt = 0;
	struct buf b;
	int err;

	topic_config_defaults(&defaults);
	err = topic_config_parse(text, len, &defaults, changes, &cnt, sentence);
	if (err) {
		CHECK(err == -EINVAL && !cnt);
		check_sentence(sentence);
		free(text);
		return 0;
	}
	CHECK(cnt <= TOPIC_CHANGE_MAX);
	put_all(&own, changes, cnt);
	topic_config_merge(&own, &defaults, 7, &effective);
	buf_init(&b);
	topic_config_print(&effective, &b);
	CHECK(!buf_err(&b));
	check_printed(&b, &effective, &defaults);
	buf_fini(&b);
	topic_config_fini(&own);
	free(text);
	return 0;
}

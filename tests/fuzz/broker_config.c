/* The broker's configuration: what topics get from it is within the bounds of a topic's settings.
 */
#include "daemon/config.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static void check_sentence(const char *sentence)
{
	CHECK(*sentence && strnlen(sentence, SENTENCE_MAX) < SENTENCE_MAX);
	for (const char *c = sentence; *c; c++)
		CHECK((unsigned char)*c >= ' ' && *c != 0x7f);
}

static void check_defaults(const struct config *c)
{
	struct topic_config t;

	config_topic_defaults(c, &t);
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++)
		if (topic_settings[i].type != SETTING_TEXT)
			CHECK(setting_is_valid(&topic_settings[i],
					       setting_get_num(&topic_settings[i], &t)));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *text = fuzz_copy(data, len), sentence[SENTENCE_MAX] = "";
	struct config whole, one;
	int err;

	config_init(&whole);
	err = config_parse(&whole, text, len, sentence);
	CHECK(!err || err == -EINVAL);
	if (err)
		check_sentence(sentence);
	check_defaults(&whole);
	/* As --set takes it. */
	config_init(&one);
	*sentence = '\0';
	err = config_set(&one, text, len, sentence);
	if (err)
		check_sentence(sentence);
	check_defaults(&one);
	*sentence = '\0';
	if (config_refuse(&one, text, len, sentence))
		check_sentence(sentence);
	CHECK(one.io_refuse <= (REFUSE_IO_URING | REFUSE_O_DIRECT | REFUSE_SPLICE));
	free(text);
	return 0;
}

/* Names of topics and of partitions' directories, and ids as text. */
#include "daemon/base/name.h"
#include "daemon/store/texts.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_topic(const char *name)
{
	size_t len = strlen(name);

	return len >= 1 && len <= TOPIC_NAME_MAX && strcmp(name, ".") && strcmp(name, "..") &&
	       strspn(name, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789._-") ==
		       len;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *name = fuzz_string(data, len), *text = fuzz_copy(data, len);
	char *dash = strchr(name, '-');
	char topic[TOPIC_NAME_MAX + 1], again[TOPIC_DIR_MAX + 32];
	const char *const names[] = { "retention.ms", "orders", dash ? dash + 1 : "", name };
	const char *nearest = name_nearest(name, names, ARRAY_CNT(names));
	uint32_t partition = UINT32_MAX;
	uint8_t id[16];
	int err = topic_name_check(name);

	CHECK(!err == is_topic(name));
	CHECK(!err || err == (strlen(name) > TOPIC_NAME_MAX ? -ENAMETOOLONG : -EINVAL));
	if (texts_get_dir(name, topic, &partition)) {
		CHECK(strlen(topic) <= TOPIC_NAME_MAX && partition < PARTITION_CNT_MAX);
		snprintf(again, sizeof(again), "%s-%u", topic, partition);
		CHECK(!strcmp(again, name));
	}
	CHECK(texts_get_id(text, len, id) || len == TEXTS_ID_LEN);
	/* A name is nearest to itself, and clashes with itself. */
	CHECK(!*name || strlen(name) > NAME_NEAREST_MAX || (nearest && strlen(nearest)));
	CHECK(topic_name_collides(name, name));
	CHECK(topic_name_collides(name, names[2]) == topic_name_collides(names[2], name));
	free(name);
	free(text);
	return 0;
}

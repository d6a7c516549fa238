/*
 * Commands of the metadata log. The input is a log: for each command le16 length and its bytes.
 * What decodes encodes to the same; what metadata_check() says is what metadata_apply() does; and
 * the state survives its snapshot.
 */
#include "daemon/base/name.h"
#include "raft/metadata.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define CMDS_MAX 64U

static bool is_nobody(const struct metadata_cmd *cmd)
{
	static const uint8_t zero[16];

	return !memcmp(cmd->origin.directory_id, zero, 16);
}

/* A change that goes back to the default may hold a text, which is left out when it is written. */
static bool has_idle_text(const struct metadata_cmd *cmd)
{
	for (unsigned i = 0; i < cmd->change_cnt; i++)
		if (cmd->changes[i].reset && cmd->changes[i].text_len)
			return true;
	for (unsigned i = 0; i < cmd->group_change_cnt; i++)
		if (cmd->group_changes[i].reset && cmd->group_changes[i].text_len)
			return true;
	return false;
}

static void check_encoding(const struct metadata_cmd *cmd, const uint8_t *data, size_t len)
{
	struct buf b;

	buf_init(&b);
	metadata_cmd_encode(cmd, &b);
	CHECK(!buf_err(&b));
	CHECK(has_idle_text(cmd) || fuzz_equal(b.data, b.len, data, len));
	buf_fini(&b);
}

static void apply(struct metadata *md, uint64_t index, const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_copy(data, len);
	uint64_t generation = metadata_generation(md);
	char sentence[SENTENCE_MAX] = "";
	struct metadata_result res;
	struct metadata_cmd cmd;
	int err = metadata_cmd_decode(copy, len, &cmd), check = 0;

	CHECK(!err || err == -EBADMSG || err == -EPROTONOSUPPORT);
	if (!err) {
		check_encoding(&cmd, copy, len);
		check = metadata_check(md, &cmd, sentence);
		CHECK(!check == !*sentence);
	}
	metadata_apply(md, index, 1 + index / 7, copy, len, &res);
	CHECK(metadata_applied_index(md) == index || err);
	if (err)
		CHECK(res.err == err);
	else if (is_nobody(&cmd))
		CHECK(res.err == check && !strcmp(res.sentence, sentence));
	CHECK(!res.err || metadata_generation(md) == generation);
	CHECK(strnlen(res.sentence, SENTENCE_MAX) < SENTENCE_MAX);
	if (!res.err && !res.repeated && res.kind == METADATA_CREATE) {
		const struct metadata_topic *t = metadata_find_topic(md, res.topic);

		CHECK(t && !memcmp(t->id, res.topic_id, 16));
		CHECK(metadata_find_topic_id(md, res.topic_id) == t);
	}
	if (!res.err && !res.repeated && res.kind == METADATA_GROUP_CREATE) {
		const struct metadata_group *g = metadata_find_group(md, res.group);

		CHECK(g && !memcmp(g->id, res.group_id, 16));
		CHECK(metadata_find_group_id(md, res.group_id) == g);
	}
	free(copy);
}

static void check_group(const struct metadata *md, uint32_t idx)
{
	const struct metadata_group *g = metadata_group_at(md, idx);
	char dlq[TOPIC_NAME_MAX + 1], sentence[SENTENCE_MAX];
	struct group_config c;

	CHECK(metadata_find_group(md, g->name) == g);
	CHECK(!group_name_check(g->name) && g->mode <= 07777);
	group_config_merge(&g->own, &c);
	CHECK(!c.max_deliveries || !group_config_dlq(&c, g->name, dlq, sentence));
	CHECK(c.session_timeout_ms >= GROUP_TIMEOUT_MIN_MS);
}

static void check_state(const struct metadata *md)
{
	struct metadata *again = NULL;
	struct buf a, b;

	for (uint32_t i = 0; i < metadata_topic_cnt(md); i++) {
		const struct metadata_topic *t = metadata_topic_at(md, i);

		CHECK(metadata_find_topic(md, t->name) == t);
		CHECK(metadata_topic_after(md, t->name) == i + 1);
		CHECK(t->partition_cnt >= 1 && t->partition_cnt <= PARTITION_CNT_MAX);
		CHECK(t->mode <= 07777);
		CHECK(t->own.cleanup_policy == CLEANUP_DELETE || topic_name_is_internal(t->name));
	}
	for (uint32_t i = 0; i < metadata_group_cnt(md); i++)
		check_group(md, i);
	buf_init(&a);
	buf_init(&b);
	metadata_encode(md, &a);
	CHECK(!buf_err(&a));
	CHECK(!metadata_decode(a.data, a.len, &again));
	metadata_encode(again, &b);
	CHECK(fuzz_equal(a.data, a.len, b.data, b.len));
	metadata_free(again);
	buf_fini(&a);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint8_t cluster_id[16] = "the cluster's id";
	struct fuzz_input in = { data, len };
	struct metadata *md = metadata_new(cluster_id);

	CHECK(md);
	for (uint64_t index = 1; index <= CMDS_MAX && in.len; index++) {
		size_t want = fuzz_le16(&in), cmd_len;
		const uint8_t *cmd = fuzz_bytes(&in, want, &cmd_len);

		apply(md, index, cmd, cmd_len);
	}
	check_state(md);
	metadata_free(md);
	return 0;
}

#include "daemon/base/hash.h"
#include "raft/metadata_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static const uint8_t no_id[16];

/* Topics that the broker itself is going to keep its records in, or already does. */
static const char *const reserved_names[] = { "__cluster_metadata", "__consumer_offsets",
					      "__transaction_state" };

void *metadata_alloc(size_t cnt, size_t size)
{
	void *p = calloc(cnt ? cnt : 1, size);

	ASSERT(p);
	return p;
}

bool metadata_is_zero(const uint8_t id[16])
{
	return !memcmp(id, no_id, 16);
}

/* ---- Names and tables ---- */

static char fold(char c)
{
	return c == '.' ? '_' : c;
}

static uint64_t hash_name(const char *name)
{
	char folded[TOPIC_NAME_MAX + 1];
	size_t len = 0;

	for (; name[len]; len++) {
		PRE(len < TOPIC_NAME_MAX);
		folded[len] = fold(name[len]);
	}
	return hash_xxh3(folded, len);
}

static bool is_clash(const char *a, const char *b)
{
	while (*a && fold(*a) == fold(*b))
		a++, b++;
	return fold(*a) == fold(*b);
}

int metadata_check_name(const char *name, char ret_sentence[SENTENCE_MAX])
{
	size_t len = strlen(name);

	if (len > TOPIC_NAME_MAX) {
		sentence_refuse(ret_sentence, "a topic's name has at most %d characters",
				TOPIC_NAME_MAX);
		return -ENAMETOOLONG;
	}
	if (!len || !strcmp(name, ".") || !strcmp(name, ".."))
		return sentence_refuse(ret_sentence, "\"%s\" is no topic's name", name);
	for (const char *c = name; *c; c++)
		if (!((*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
		      (*c >= '0' && *c <= '9') || *c == '.' || *c == '_' || *c == '-'))
			return sentence_refuse(ret_sentence, "a topic's name is made of letters, "
							     "digits, \".\", \"_\" and \"-\"");
	for (size_t i = 0; i < ARRAY_CNT(reserved_names); i++)
		if (is_clash(name, reserved_names[i]))
			return sentence_refuse(ret_sentence, "\"%s\" is reserved for the broker",
					       name);
	return 0;
}

static void table_put_slot(struct topic_table *t, enum topic_key key, struct metadata_topic *topic)
{
	uint32_t i = (uint32_t)topic->hash[key] & (t->cap - 1);

	while (t->slots[i])
		i = (i + 1) & (t->cap - 1);
	t->slots[i] = topic;
}

/* Room for cnt topics with at most half of the slots in use. */
static void table_reserve(struct metadata *md, enum topic_key key, uint32_t cnt)
{
	struct topic_table *t = &md->tables[key];
	uint32_t cap = t->cap ? t->cap : 64;

	while (cap < 2 * cnt)
		cap *= 2;
	if (cap == t->cap)
		return;
	free(t->slots);
	t->slots = metadata_alloc(cap, sizeof(*t->slots));
	t->cap = cap;
	for (uint32_t i = 0; i < md->topic_cnt; i++)
		table_put_slot(t, key, md->topics[i]);
}

/* Takes a topic out and moves those behind it that would not be found across the gap. */
static void table_remove(struct topic_table *t, enum topic_key key,
			 const struct metadata_topic *topic)
{
	uint32_t mask = t->cap - 1, gap = (uint32_t)topic->hash[key] & mask;

	while (t->slots[gap] != topic) {
		ASSERT(t->slots[gap]);
		gap = (gap + 1) & mask;
	}
	for (uint32_t i = (gap + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
		uint32_t home = (uint32_t)t->slots[i]->hash[key] & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = t->slots[i];
		gap = i;
	}
	t->slots[gap] = NULL;
}

struct metadata_topic *metadata_clash(const struct metadata *md, const char *name)
{
	const struct topic_table *t = &md->tables[KEY_NAME];
	uint64_t hash = hash_name(name);

	if (!t->cap)
		return NULL;
	for (uint32_t i = (uint32_t)hash & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (t->slots[i]->hash[KEY_NAME] == hash && is_clash(t->slots[i]->name, name))
			return t->slots[i];
	return NULL;
}

static struct metadata_topic *find_id(const struct metadata *md, const uint8_t id[16])
{
	const struct topic_table *t = &md->tables[KEY_ID];
	uint64_t hash = hash_xxh3(id, 16);

	if (!t->cap)
		return NULL;
	for (uint32_t i = (uint32_t)hash & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (!memcmp(t->slots[i]->id, id, 16))
			return t->slots[i];
	return NULL;
}

void metadata_link_topic(struct metadata *md, struct metadata_topic *t)
{
	uint32_t idx = metadata_topic_after(md, t->name);

	t->hash[KEY_NAME] = hash_name(t->name);
	t->hash[KEY_ID] = hash_xxh3(t->id, 16);
	if (md->topic_cnt == md->topic_cap) {
		md->topic_cap = md->topic_cap ? 2 * md->topic_cap : 64;
		md->topics = reallocarray(md->topics, md->topic_cap, sizeof(*md->topics));
		ASSERT(md->topics);
	}
	for (enum topic_key key = 0; key < KEY_CNT; key++) {
		table_reserve(md, key, md->topic_cnt + 1);
		table_put_slot(&md->tables[key], key, t);
	}
	memmove(md->topics + idx + 1, md->topics + idx,
		(md->topic_cnt - idx) * sizeof(*md->topics));
	md->topics[idx] = t;
	md->topic_cnt++;
}

static void unlink_topic(struct metadata *md, struct metadata_topic *t)
{
	uint32_t idx = metadata_topic_after(md, t->name) - 1;

	ASSERT(md->topics[idx] == t);
	for (enum topic_key key = 0; key < KEY_CNT; key++)
		table_remove(&md->tables[key], key, t);
	md->topic_cnt--;
	memmove(md->topics + idx, md->topics + idx + 1,
		(md->topic_cnt - idx) * sizeof(*md->topics));
}

void metadata_free_topic(struct metadata_topic *t)
{
	if (!t)
		return;
	topic_config_fini(&t->own);
	free(t);
}

/* ---- Life and look-ups ---- */

struct metadata *metadata_new(const uint8_t cluster_id[16])
{
	struct metadata *md = calloc(1, sizeof(*md));

	if (!md)
		return NULL;
	memcpy(md->cluster_id, cluster_id, 16);
	return md;
}

static void free_forwarder(struct metadata_forwarder *f)
{
	for (uint32_t i = 0; i < f->answer_cnt; i++)
		free(f->answers[i].sentence);
	free(f);
}

void metadata_free(struct metadata *md)
{
	if (!md)
		return;
	for (uint32_t i = 0; i < md->topic_cnt; i++)
		metadata_free_topic(md->topics[i]);
	for (uint32_t i = 0; i < md->forwarder_cnt; i++)
		free_forwarder(md->forwarders[i]);
	for (enum topic_key key = 0; key < KEY_CNT; key++)
		free(md->tables[key].slots);
	free(md->topics);
	free(md->brokers);
	free(md->forwarders);
	free(md);
}

const uint8_t *metadata_cluster_id(const struct metadata *md)
{
	return md->cluster_id;
}

uint64_t metadata_applied_index(const struct metadata *md)
{
	return md->applied_index;
}

uint64_t metadata_applied_term(const struct metadata *md)
{
	return md->applied_term;
}

uint64_t metadata_generation(const struct metadata *md)
{
	return md->generation;
}

const struct metadata_topic *metadata_find_topic(const struct metadata *md, const char *name)
{
	const struct metadata_topic *t;

	if (strlen(name) > TOPIC_NAME_MAX)
		return NULL;
	t = metadata_clash(md, name);
	return t && !strcmp(t->name, name) ? t : NULL;
}

const struct metadata_topic *metadata_find_topic_id(const struct metadata *md, const uint8_t id[16])
{
	return find_id(md, id);
}

uint32_t metadata_topic_cnt(const struct metadata *md)
{
	return md->topic_cnt;
}

const struct metadata_topic *metadata_topic_at(const struct metadata *md, uint32_t idx)
{
	return idx < md->topic_cnt ? md->topics[idx] : NULL;
}

uint32_t metadata_topic_after(const struct metadata *md, const char *name)
{
	uint32_t low = 0, high = md->topic_cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (strcmp(md->topics[mid]->name, name) > 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

const struct metadata_broker *metadata_find_broker(const struct metadata *md, uint32_t node)
{
	for (uint32_t i = 0; i < md->broker_cnt; i++)
		if (md->brokers[i].node == node)
			return &md->brokers[i];
	return NULL;
}

const struct metadata_broker *metadata_broker_at(const struct metadata *md, uint32_t idx)
{
	return idx < md->broker_cnt ? &md->brokers[idx] : NULL;
}

/* ---- Forwarders and their answers ---- */

/* The forwarder of that directory id, or NULL and the index where it would stand. */
static struct metadata_forwarder *find_forwarder(const struct metadata *md, const uint8_t id[16],
						 uint32_t *ret_idx)
{
	uint32_t low = 0, high = md->forwarder_cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = memcmp(md->forwarders[mid]->directory_id, id, 16);

		if (!order)
			return md->forwarders[mid];
		if (order > 0)
			high = mid;
		else
			low = mid + 1;
	}
	*ret_idx = low;
	return NULL;
}

static void forget_silent_forwarder(struct metadata *md)
{
	uint32_t idx = 0;

	for (uint32_t i = 1; i < md->forwarder_cnt; i++)
		if (md->forwarders[i]->last_index < md->forwarders[idx]->last_index)
			idx = i;
	free_forwarder(md->forwarders[idx]);
	md->forwarder_cnt--;
	memmove(md->forwarders + idx, md->forwarders + idx + 1,
		(md->forwarder_cnt - idx) * sizeof(*md->forwarders));
}

struct metadata_forwarder *metadata_insert_forwarder(struct metadata *md, const uint8_t id[16])
{
	struct metadata_forwarder *f = metadata_alloc(1, sizeof(*f));
	uint32_t idx = 0;

	if (!md->forwarders)
		md->forwarders = metadata_alloc(METADATA_FORWARDER_MAX, sizeof(*md->forwarders));
	if (md->forwarder_cnt == METADATA_FORWARDER_MAX)
		forget_silent_forwarder(md);
	ASSERT(!find_forwarder(md, id, &idx));
	memcpy(f->directory_id, id, 16);
	memmove(md->forwarders + idx + 1, md->forwarders + idx,
		(md->forwarder_cnt - idx) * sizeof(*md->forwarders));
	md->forwarders[idx] = f;
	md->forwarder_cnt++;
	return f;
}

void metadata_put_answer(struct metadata_forwarder *f, uint64_t number, int err,
			 const uint8_t topic_id[16], const char *sentence)
{
	struct metadata_answer a = { .number = number, .err = err };

	memcpy(a.topic_id, topic_id, 16);
	if (*sentence) {
		a.sentence = strdup(sentence);
		ASSERT(a.sentence);
	}
	if (f->answer_cnt == METADATA_ANSWER_CNT) {
		f->floor = MAX(f->floor, f->answers[0].number);
		free(f->answers[0].sentence);
		f->answer_cnt--;
		memmove(f->answers, f->answers + 1, f->answer_cnt * sizeof(*f->answers));
	}
	f->answers[f->answer_cnt++] = a;
}

/*
 * The forwarder to whom the answer will be given, or NULL where the command is answered without
 * being applied: *ret says how, then.
 */
static struct metadata_forwarder *admit(struct metadata *md, const struct metadata_origin *origin,
					uint64_t index, struct metadata_result *ret)
{
	uint32_t idx;
	struct metadata_forwarder *f = find_forwarder(md, origin->directory_id, &idx);

	if (!f) {
		f = metadata_insert_forwarder(md, origin->directory_id);
		f->incarnation = origin->incarnation;
	}
	f->last_index = index;
	if (origin->incarnation < f->incarnation) {
		sentence_refuse(ret->sentence, "the broker that asked has restarted since");
		ret->err = -ESTALE;
		return NULL;
	}
	if (origin->incarnation > f->incarnation) {
		for (uint32_t i = 0; i < f->answer_cnt; i++)
			free(f->answers[i].sentence);
		f->answer_cnt = 0;
		f->floor = 0;
		f->incarnation = origin->incarnation;
	}
	for (uint32_t i = 0; i < f->answer_cnt; i++) {
		const struct metadata_answer *a = &f->answers[i];

		if (a->number != origin->number)
			continue;
		ret->err = a->err;
		ret->repeated = true;
		memcpy(ret->topic_id, a->topic_id, 16);
		snprintf(ret->sentence, SENTENCE_MAX, "%s", a->sentence ? a->sentence : "");
		return NULL;
	}
	if (f->floor && origin->number <= f->floor) {
		sentence_refuse(ret->sentence, "the answer to this change is no longer kept");
		ret->err = -ESTALE;
		return NULL;
	}
	return f;
}

/* ---- Checks ---- */

static int check_broker(const struct metadata *md, const struct metadata_cmd *cmd,
			char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_broker *same_node = metadata_find_broker(md, cmd->node);

	if (metadata_is_zero(cmd->directory_id))
		return sentence_refuse(ret_sentence, "a broker without a directory id");
	for (uint32_t i = 0; i < md->broker_cnt; i++) {
		const struct metadata_broker *b = &md->brokers[i];

		if (memcmp(b->directory_id, cmd->directory_id, 16))
			continue;
		if (b->node != cmd->node)
			return sentence_refuse(ret_sentence,
					       "this data directory belongs to node %u, not %u",
					       b->node, cmd->node);
		if (cmd->incarnation >= b->incarnation)
			continue;
		sentence_refuse(ret_sentence, "node %u has started again since", cmd->node);
		return -ESTALE;
	}
	if (!same_node && md->broker_cnt == METADATA_BROKER_MAX) {
		sentence_refuse(ret_sentence, "the cluster has %d brokers, the most it can have",
				METADATA_BROKER_MAX);
		return -ENOSPC;
	}
	return 0;
}

static int check_create(const struct metadata *md, const struct metadata_cmd *cmd,
			char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_topic *clash;
	int err = metadata_check_name(cmd->name, ret_sentence);

	if (err)
		return err;
	clash = metadata_clash(md, cmd->name);
	if (clash && !strcmp(clash->name, cmd->name)) {
		sentence_refuse(ret_sentence, "topic %s exists", cmd->name);
		return -EEXIST;
	}
	if (clash) {
		sentence_refuse(ret_sentence,
				"topic %s exists, and names that differ only in \".\" and \"_\""
				" clash",
				clash->name);
		return -EEXIST;
	}
	if (metadata_is_zero(cmd->topic_id) || find_id(md, cmd->topic_id)) {
		sentence_refuse(ret_sentence, "the topic id is in use");
		return -EEXIST;
	}
	if (!cmd->partition_cnt || cmd->partition_cnt > PARTITION_CNT_MAX || cmd->mode > 07777)
		return sentence_refuse(ret_sentence, "a topic has 1 to %u partitions",
				       PARTITION_CNT_MAX);
	if (md->topic_cnt == TOPIC_CNT_MAX) {
		sentence_refuse(ret_sentence, "there are %u topics, the most there can be",
				TOPIC_CNT_MAX);
		return -ENOSPC;
	}
	return 0;
}

static int check_config(const struct metadata_topic *t, const struct metadata_cmd *cmd,
			char ret_sentence[SENTENCE_MAX])
{
	for (unsigned i = 0; i < cmd->change_cnt; i++) {
		const struct topic_change *c = &cmd->changes[i];
		int err = topic_change_check(c, ret_sentence);

		if (!err)
			err = topic_change_check_for(t->name, c, ret_sentence);
		if (err)
			return err;
		if (c->setting != TOPIC_NUM_PARTITIONS || c->num >= t->partition_cnt)
			continue;
		sentence_refuse(ret_sentence, "num.partitions only grows: it is %u, and %s%lld",
				t->partition_cnt, c->reset ? "the default is " : "cannot be ",
				(long long)c->num);
		return -EPERM;
	}
	return 0;
}

static int check_perms(const struct metadata_cmd *cmd, char ret_sentence[SENTENCE_MAX])
{
	if (cmd->perms_mask & ~(METADATA_MODE | METADATA_UID | METADATA_GID))
		return sentence_refuse(ret_sentence, "permissions that this build does not know");
	if (cmd->perms_mask & METADATA_MODE && cmd->mode > 07777)
		return sentence_refuse(ret_sentence, "mode %o is out of bounds",
				       (unsigned)cmd->mode);
	return 0;
}

int metadata_check(const struct metadata *md, const struct metadata_cmd *cmd,
		   char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_topic *t = NULL;

	if (cmd->kind == METADATA_DELETE || cmd->kind == METADATA_CONFIG ||
	    cmd->kind == METADATA_PERMS) {
		t = find_id(md, cmd->topic_id);
		if (!t) {
			sentence_refuse(ret_sentence, "the topic is gone");
			return -ENOENT;
		}
	}
	switch (cmd->kind) {
	case METADATA_NOOP:
	case METADATA_DELETE:
		return 0;
	case METADATA_BROKER:
		return check_broker(md, cmd, ret_sentence);
	case METADATA_CREATE:
		return check_create(md, cmd, ret_sentence);
	case METADATA_CONFIG:
		return check_config(t, cmd, ret_sentence);
	case METADATA_PERMS:
		return check_perms(cmd, ret_sentence);
	}
	return sentence_refuse(ret_sentence, "no such command");
}

/* ---- Moves: what was checked cannot fail ---- */

struct metadata_broker *metadata_insert_broker(struct metadata *md, uint32_t node)
{
	uint32_t idx = 0;

	ASSERT(md->broker_cnt < METADATA_BROKER_MAX);
	md->brokers = reallocarray(md->brokers, md->broker_cnt + 1, sizeof(*md->brokers));
	ASSERT(md->brokers);
	while (idx < md->broker_cnt && md->brokers[idx].node < node)
		idx++;
	memmove(md->brokers + idx + 1, md->brokers + idx,
		(md->broker_cnt - idx) * sizeof(*md->brokers));
	md->broker_cnt++;
	md->brokers[idx] = (struct metadata_broker){ .node = node };
	return &md->brokers[idx];
}

static void move_broker(struct metadata *md, const struct metadata_cmd *cmd)
{
	struct metadata_broker *b = NULL;

	for (uint32_t i = 0; i < md->broker_cnt && !b; i++)
		if (md->brokers[i].node == cmd->node)
			b = &md->brokers[i];
	if (!b)
		b = metadata_insert_broker(md, cmd->node);
	memcpy(b->directory_id, cmd->directory_id, 16);
	b->incarnation = cmd->incarnation;
	b->registered_ms = cmd->time_ms;
	snprintf(b->address, sizeof(b->address), "%s", cmd->address);
	snprintf(b->rack, sizeof(b->rack), "%s", cmd->rack);
}

static struct metadata_topic *move_create(struct metadata *md, const struct metadata_cmd *cmd)
{
	struct metadata_topic *t = metadata_alloc(1, sizeof(*t));

	snprintf(t->name, sizeof(t->name), "%s", cmd->name);
	memcpy(t->id, cmd->topic_id, 16);
	t->partition_cnt = cmd->partition_cnt;
	t->uid = cmd->uid;
	t->gid = cmd->gid;
	t->mode = cmd->mode;
	t->created_ms = t->config_ms = t->perms_ms = cmd->time_ms;
	metadata_link_topic(md, t);
	return t;
}

static void move_config(struct metadata_topic *t, const struct metadata_cmd *cmd)
{
	for (unsigned i = 0; i < cmd->change_cnt; i++) {
		const struct topic_change *c = &cmd->changes[i];

		topic_config_put(&t->own, c);
		if (c->setting == TOPIC_NUM_PARTITIONS) {
			ASSERT(c->num >= t->partition_cnt && c->num <= PARTITION_CNT_MAX);
			t->partition_cnt = (uint32_t)c->num;
		}
	}
	t->config_ms = cmd->time_ms;
}

static void move_perms(struct metadata_topic *t, const struct metadata_cmd *cmd)
{
	if (cmd->perms_mask & METADATA_MODE)
		t->mode = cmd->mode;
	if (cmd->perms_mask & METADATA_UID)
		t->uid = cmd->uid;
	if (cmd->perms_mask & METADATA_GID)
		t->gid = cmd->gid;
	t->perms_ms = cmd->time_ms;
}

/* Moves the state by a checked command and tells about the topic. */
static void move(struct metadata *md, const struct metadata_cmd *cmd, struct metadata_result *ret)
{
	struct metadata_topic *t = NULL;

	if (cmd->kind != METADATA_NOOP && cmd->kind != METADATA_BROKER)
		t = find_id(md, cmd->topic_id);
	ret->old_partition_cnt = t ? t->partition_cnt : 0;
	switch (cmd->kind) {
	case METADATA_NOOP:
		return;
	case METADATA_BROKER:
		move_broker(md, cmd);
		break;
	case METADATA_CREATE:
		t = move_create(md, cmd);
		break;
	case METADATA_DELETE:
		break;
	case METADATA_CONFIG:
		move_config(t, cmd);
		break;
	case METADATA_PERMS:
		move_perms(t, cmd);
		break;
	}
	md->generation++;
	if (!t)
		return;
	ret->partition_cnt = t->partition_cnt;
	snprintf(ret->topic, sizeof(ret->topic), "%s", t->name);
	if (cmd->kind != METADATA_DELETE)
		return;
	unlink_topic(md, t);
	metadata_free_topic(t);
}

void metadata_apply(struct metadata *md, uint64_t index, uint64_t term, const void *data,
		    size_t len, struct metadata_result *ret)
{
	struct metadata_forwarder *f = NULL;
	struct metadata_cmd cmd;

	PRE(index > md->applied_index && term >= md->applied_term);
	*ret = (struct metadata_result){ 0 };
	md->applied_index = index;
	md->applied_term = term;
	ret->err = metadata_cmd_decode(data, len, &cmd);
	if (ret->err) {
		snprintf(ret->sentence, SENTENCE_MAX, "%s",
			 ret->err == -EBADMSG ? "this is no command of the metadata"
					      : "a command that this build does not know");
		return;
	}
	ret->kind = cmd.kind;
	memcpy(ret->topic_id, cmd.topic_id, 16);
	if (!metadata_is_zero(cmd.origin.directory_id)) {
		f = admit(md, &cmd.origin, index, ret);
		if (!f)
			return;
	}
	ret->err = metadata_check(md, &cmd, ret->sentence);
	if (!ret->err)
		move(md, &cmd, ret);
	if (f)
		metadata_put_answer(f, cmd.origin.number, ret->err, cmd.topic_id, ret->sentence);
}

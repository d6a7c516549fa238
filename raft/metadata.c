#include "daemon/base/fund.h"
#include "raft/metadata_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void *metadata_alloc(size_t cnt, size_t size)
{
	return fund_calloc(cnt ? cnt : 1, size);
}

bool metadata_is_zero(const uint8_t id[16])
{
	static const uint8_t no_id[16];

	return !memcmp(id, no_id, 16);
}

static struct metadata_topic *topic_of(struct catalog_entry *e)
{
	return e ? CONTAINER_OF(e, struct metadata_topic, entry) : NULL;
}

static struct metadata_group *group_of(struct catalog_entry *e)
{
	return e ? CONTAINER_OF(e, struct metadata_group, entry) : NULL;
}

/* ---- Life ---- */

void metadata_free_topic(struct metadata_topic *t)
{
	if (!t)
		return;
	topic_config_fini(&t->own);
	free(t);
}

void metadata_free_group(struct metadata_group *g)
{
	if (!g)
		return;
	group_config_fini(&g->own);
	free(g);
}

struct metadata *metadata_new(const uint8_t cluster_id[16])
{
	struct metadata *md = calloc(1, sizeof(*md));

	if (!md)
		return NULL;
	memcpy(md->cluster_id, cluster_id, 16);
	md->topics.folds = true;
	return md;
}

void metadata_free(struct metadata *md)
{
	if (!md)
		return;
	for (uint32_t i = 0; i < md->topics.cnt; i++)
		metadata_free_topic(topic_of(md->topics.entries[i]));
	for (uint32_t i = 0; i < md->groups.cnt; i++)
		metadata_free_group(group_of(md->groups.entries[i]));
	for (uint32_t i = 0; i < md->forwarder_cnt; i++)
		metadata_free_forwarder(md->forwarders[i]);
	catalog_fini(&md->topics);
	catalog_fini(&md->groups);
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

/* ---- Topics and groups ---- */

struct metadata_topic *metadata_clash(const struct metadata *md, const char *name)
{
	return topic_of(catalog_find(&md->topics, name));
}

struct metadata_topic *metadata_topic(const struct metadata *md, const uint8_t id[16])
{
	return topic_of(catalog_find_id(&md->topics, id));
}

struct metadata_group *metadata_group(const struct metadata *md, const uint8_t id[16])
{
	return group_of(catalog_find_id(&md->groups, id));
}

void metadata_link_topic(struct metadata *md, struct metadata_topic *t)
{
	catalog_put(&md->topics, &t->entry, t->name, t->id);
}

void metadata_link_group(struct metadata *md, struct metadata_group *g)
{
	catalog_put(&md->groups, &g->entry, g->name, g->id);
}

const struct metadata_topic *metadata_find_topic(const struct metadata *md, const char *name)
{
	const struct metadata_topic *t = metadata_clash(md, name);

	return t && !strcmp(t->name, name) ? t : NULL;
}

const struct metadata_topic *metadata_find_topic_id(const struct metadata *md, const uint8_t id[16])
{
	return metadata_topic(md, id);
}

uint32_t metadata_topic_cnt(const struct metadata *md)
{
	return md->topics.cnt;
}

const struct metadata_topic *metadata_topic_at(const struct metadata *md, uint32_t idx)
{
	return topic_of(catalog_at(&md->topics, idx));
}

uint32_t metadata_topic_after(const struct metadata *md, const char *name)
{
	return catalog_after(&md->topics, name);
}

const struct metadata_group *metadata_find_group(const struct metadata *md, const char *name)
{
	return group_of(catalog_find(&md->groups, name));
}

const struct metadata_group *metadata_find_group_id(const struct metadata *md, const uint8_t id[16])
{
	return metadata_group(md, id);
}

uint32_t metadata_group_cnt(const struct metadata *md)
{
	return md->groups.cnt;
}

const struct metadata_group *metadata_group_at(const struct metadata *md, uint32_t idx)
{
	return group_of(catalog_at(&md->groups, idx));
}

/* ---- Brokers ---- */

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

/* ---- Moves: what was checked cannot fail ---- */

struct metadata_broker *metadata_insert_broker(struct metadata *md, uint32_t node)
{
	uint32_t idx = 0;

	ASSERT(md->broker_cnt < METADATA_BROKER_MAX);
	md->brokers = fund_realloc(md->brokers, md->broker_cnt + 1, sizeof(*md->brokers));
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

/* Settings, where the command has some. */
static void put_changes(struct metadata_topic *t, const struct metadata_cmd *cmd)
{
	for (unsigned i = 0; i < cmd->change_cnt; i++) {
		const struct topic_change *c = &cmd->changes[i];

		topic_config_put(&t->own, c);
		if (c->setting == TOPIC_NUM_PARTITIONS) {
			ASSERT(c->num >= t->partition_cnt && c->num <= PARTITION_CNT_MAX);
			t->partition_cnt = (uint32_t)c->num;
		}
	}
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
	put_changes(t, cmd);
	return t;
}

static struct metadata_group *move_group_create(struct metadata *md, const struct metadata_cmd *cmd)
{
	struct metadata_group *g = metadata_alloc(1, sizeof(*g));

	snprintf(g->name, sizeof(g->name), "%s", cmd->name);
	memcpy(g->id, cmd->group_id, 16);
	g->uid = cmd->uid;
	g->gid = cmd->gid;
	g->mode = cmd->mode;
	g->created_ms = g->config_ms = g->perms_ms = cmd->time_ms;
	metadata_link_group(md, g);
	return g;
}

static void move_perms(const struct metadata_cmd *cmd, uint32_t *uid, uint32_t *gid, uint16_t *mode)
{
	if (cmd->perms_mask & METADATA_MODE)
		*mode = cmd->mode;
	if (cmd->perms_mask & METADATA_UID)
		*uid = cmd->uid;
	if (cmd->perms_mask & METADATA_GID)
		*gid = cmd->gid;
}

static void move_topic(struct metadata *md, const struct metadata_cmd *cmd,
		       struct metadata_result *ret)
{
	struct metadata_topic *t = metadata_topic(md, cmd->topic_id);

	ret->old_partition_cnt = t ? t->partition_cnt : 0;
	if (!t)
		t = move_create(md, cmd);
	if (cmd->kind == METADATA_CONFIG) {
		put_changes(t, cmd);
		t->config_ms = cmd->time_ms;
	} else if (cmd->kind == METADATA_PERMS) {
		move_perms(cmd, &t->uid, &t->gid, &t->mode);
		t->perms_ms = cmd->time_ms;
	}
	ret->partition_cnt = t->partition_cnt;
	snprintf(ret->topic, sizeof(ret->topic), "%s", t->name);
	if (cmd->kind != METADATA_DELETE)
		return;
	catalog_remove(&md->topics, &t->entry);
	metadata_free_topic(t);
}

static void move_group(struct metadata *md, const struct metadata_cmd *cmd,
		       struct metadata_result *ret)
{
	struct metadata_group *g = metadata_group(md, cmd->group_id);

	if (!g)
		g = move_group_create(md, cmd);
	if (cmd->kind == METADATA_GROUP_CONFIG) {
		for (unsigned i = 0; i < cmd->group_change_cnt; i++)
			group_config_put(&g->own, &cmd->group_changes[i]);
		g->config_ms = cmd->time_ms;
	} else if (cmd->kind == METADATA_GROUP_PERMS) {
		move_perms(cmd, &g->uid, &g->gid, &g->mode);
		g->perms_ms = cmd->time_ms;
	}
	snprintf(ret->group, sizeof(ret->group), "%s", g->name);
	if (cmd->kind != METADATA_GROUP_DELETE)
		return;
	catalog_remove(&md->groups, &g->entry);
	metadata_free_group(g);
}

/* Moves the state by a checked command and tells about the topic or group. */
static void move(struct metadata *md, const struct metadata_cmd *cmd, struct metadata_result *ret)
{
	if (cmd->kind == METADATA_NOOP)
		return;
	if (cmd->kind == METADATA_BROKER)
		move_broker(md, cmd);
	else if (metadata_kind_is_group(cmd->kind))
		move_group(md, cmd, ret);
	else
		move_topic(md, cmd, ret);
	md->generation++;
}

void metadata_apply(struct metadata *md, uint64_t index, uint64_t term, const void *data,
		    size_t len, struct metadata_result *ret)
{
	struct metadata_forwarder *f = NULL;
	struct metadata_cmd cmd;
	uint8_t *id;

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
	id = metadata_kind_is_group(cmd.kind) ? ret->group_id : ret->topic_id;
	memcpy(id, metadata_cmd_id(&cmd), 16);
	if (!metadata_is_zero(cmd.origin.directory_id)) {
		f = metadata_admit(md, &cmd.origin, index, ret, id);
		if (!f)
			return;
	}
	ret->err = metadata_check(md, &cmd, ret->sentence);
	if (!ret->err)
		move(md, &cmd, ret);
	if (f)
		metadata_put_answer(f, cmd.origin.number, ret->err, id, ret->sentence);
}

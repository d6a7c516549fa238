/*
 * Topics as the mount sees them, made from the metadata.
 */
#include "daemon/broker.h"
#include "daemon/coordinator.h"

#include "daemon/base/fund.h"
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/base/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Topics by id: open addressing, at most half full. */
struct topic_map {
	struct be_topic **slots; /* NULL: free; &removed */
	size_t cap, used;	 /* used: also by those that were removed */
	size_t cnt;
};

static struct be_topic removed;

static struct be_topic **map_slot(const struct topic_map *m, const uint8_t id[16])
{
	size_t i = hash_xxh3(id, 16) & (m->cap - 1);

	for (;; i = (i + 1) & (m->cap - 1)) {
		const struct be_topic *t = m->slots[i];

		if (!t || (t != &removed && !memcmp(t->id, id, 16)))
			return &m->slots[i];
	}
}

struct be_topic *broker_topic_by_id(struct broker *b, const uint8_t id[16])
{
	return b->map->cap ? *map_slot(b->map, id) : NULL;
}

/* Room for one more. Those that were removed go, and it grows where that is not enough. */
static void map_grow(struct topic_map *m)
{
	struct topic_map old = *m;

	if ((m->used + 1) * 2 <= m->cap)
		return;
	if (!old.cap)
		m->cap = 64;
	else if ((m->cnt + 1) * 4 > m->cap)
		m->cap = old.cap * 2;
	m->slots = fund_calloc(m->cap, sizeof(struct be_topic *));
	m->used = m->cnt;
	for (size_t i = 0; i < old.cap; i++) {
		if (old.slots[i] && old.slots[i] != &removed)
			*map_slot(m, old.slots[i]->id) = old.slots[i];
	}
	free(old.slots);
}

static void topic_free(struct broker *b, struct be_topic *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++)
		free(t->parts[i]);
	for (uint32_t i = 0; i < t->hot_key_cnt; i++)
		free(t->hot_keys[i]);
	free(t->hot_keys);
	free(t->parts);
	serials_remove(&b->topics, t->serial);
	free(t);
}

void broker_topic_unref(void *ctx, struct be_topic *t)
{
	PRE(t->refs > 0);
	if (!--t->refs && t->deleted)
		topic_free(ctx, t);
}

/* Each partition, with malloc()'s own and the pointer to it. */
static_assert(PARTITION_CNT_MAX * (sizeof(struct be_partition) + 32) < FUND_BYTES, "fund.h");

/* Partitions up to cnt. What cannot be had stops the process: the metadata say that they are there.
 */
static void topic_grow(struct be_topic *t, uint32_t cnt)
{
	t->parts = fund_realloc(t->parts, cnt, sizeof(struct be_partition *));
	for (; t->part_cnt < cnt; t->part_cnt++) {
		struct be_partition *p = fund_calloc(1, sizeof(*p));

		p->topic = t;
		p->number = t->part_cnt;
		list_init(&p->waiting);
		list_init(&p->feeds);
		t->parts[t->part_cnt] = p;
	}
}

static void set_hot_keys(struct be_topic *t, const char *list)
{
	for (uint32_t i = 0; i < t->hot_key_cnt; i++)
		free(t->hot_keys[i]);
	free(t->hot_keys);
	t->hot_keys = NULL;
	t->hot_key_cnt = 0;
	while (list && *list) {
		size_t len = strcspn(list, ",");

		t->hot_keys = fund_realloc(t->hot_keys, t->hot_key_cnt + 1, sizeof(char *));
		t->hot_keys[t->hot_key_cnt++] = fund_strndup(list, len);
		list += len + (list[len] == ',');
	}
}

static void log_config(const struct topic_config *c, struct plog_config *ret)
{
	*ret = (struct plog_config){ .segment_bytes = c->segment_bytes,
				     .segment_ms = c->segment_ms,
				     .retention_ms = c->retention_ms,
				     .retention_bytes = c->retention_bytes,
				     .index_interval_bytes = (uint32_t)c->index_interval_bytes,
				     .compact = c->cleanup_policy == CLEANUP_COMPACT,
				     .delete_retention_ms = c->delete_retention_ms,
				     .log_append_time = c->timestamp_type == TIMESTAMP_LOG_APPEND };
}

static void effective(struct broker *b, const struct metadata_topic *mt, struct topic_config *ret)
{
	topic_config_merge(&mt->own, &b->topic_defaults, mt->partition_cnt, ret);
}

/* Takes over what the metadata say of the topic now. */
void broker_topic_refresh(struct broker *b, struct be_topic *t, const struct metadata_topic *mt)
{
	struct topic_config c;

	effective(b, mt, &c);
	topic_grow(t, mt->partition_cnt);
	t->uid = mt->uid;
	t->gid = mt->gid;
	t->mode = mt->mode;
	t->created_ms = mt->created_ms;
	t->changed_ms = MAX(mt->config_ms, mt->perms_ms);
	t->acks = c.acks == ACKS_0 ? BE_ACKS_0 : c.acks == ACKS_1 ? BE_ACKS_1 : BE_ACKS_ALL;
	t->max_message_bytes = (uint32_t)c.max_message_bytes;
	t->min_insync_replicas = (uint32_t)c.min_insync_replicas;
	t->ts_before_max_ms = c.timestamp_before_max_ms;
	t->ts_after_max_ms = c.timestamp_after_max_ms;
	set_hot_keys(t, c.hot_keys);
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		if (t->parts[i]->log)
			log_config(&c, &t->parts[i]->log->config);
	}
}

struct be_topic *broker_topic_add(struct broker *b, const struct metadata_topic *mt)
{
	struct be_topic *t = fund_calloc(1, sizeof(*t));

	map_grow(b->map);
	snprintf(t->name, sizeof(t->name), "%s", mt->name);
	t->internal = topic_name_is_internal(mt->name);
	memcpy(t->id, mt->id, 16);
	t->serial = serials_add(&b->topics, t);
	list_init(&t->waiting);
	*map_slot(b->map, t->id) = t;
	b->map->used++;
	b->map->cnt++;
	broker_topic_refresh(b, t, mt);
	return t;
}

void broker_topic_remove(struct broker *b, struct be_topic *t)
{
	*map_slot(b->map, t->id) = &removed;
	b->map->cnt--;
	t->deleted = true;
	coordinator_on_topic(b->groups, t);
	if (b->fs)
		fs_on_topic_deleted(b->fs, t);
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		int r = store_delete(b->store, t->name, t->id, i);

		t->parts[i]->log = NULL;
		if (r)
			LOG_AT(LOG_WARN, t->name, r, "partition %u is removed at the next start",
			       i);
	}
	if (!t->refs)
		topic_free(b, t);
}

struct be_topic *broker_topic_find(void *ctx, const char *name)
{
	struct broker *b = ctx;
	const struct metadata_topic *mt = metadata_find_topic(metalog_state(b->meta), name);

	return mt ? broker_topic_by_id(b, mt->id) : NULL;
}

struct be_topic *broker_topic_by_serial(void *ctx, uint64_t serial)
{
	struct broker *b = ctx;

	return serials_find(&b->topics, serial);
}

struct be_topic *broker_topic_next(void *ctx, const char *after)
{
	struct broker *b = ctx;
	struct metadata *md = metalog_state(b->meta);
	const struct metadata_topic *mt = metadata_topic_at(md, metadata_topic_after(md, after));

	return mt ? broker_topic_by_id(b, mt->id) : NULL;
}

int broker_open_log(void *ctx, struct be_partition *p, struct be_why *why)
{
	struct broker *b = ctx;
	const struct metadata_topic *mt =
		metadata_find_topic_id(metalog_state(b->meta), p->topic->id);
	struct plog_config config;
	struct topic_config c;
	struct plog *log = NULL;
	bool nowait;
	int r;

	if (p->log)
		return 0;
	if (!mt)
		return -ESTALE;
	effective(b, mt, &c);
	log_config(&c, &config);
	nowait = b->disk->nowait;
	b->disk->nowait = false;
	r = store_plog(b->store, p->topic->name, p->topic->id, p->number, &config, true, &log);
	b->disk->nowait = nowait;
	if (log && (!r || r == -EIO)) {
		log->owner = p;
		p->first_offset = log->next_offset;
		log->leader_epoch = (int32_t)metalog_term(b->meta);
		p->log = log;
		r = coordinator_on_opened(b->groups, p);
		if (!r)
			return 0;
		p->log = NULL;
	}
	snprintf(why->text, sizeof(why->text), "%s-%u cannot be opened: %s", p->topic->name,
		 p->number, log_errno_name(r));
	if (!log && *store_open_fault(b->store))
		snprintf(why->text, sizeof(why->text), "%s", store_open_fault(b->store));
	LOG_AT(LOG_ERROR, p->topic->name, r, "partition %u cannot be opened", p->number);
	return r == -ESTALE ? -EIO : r;
}

bool broker_log_ends(void *ctx, struct be_partition *p, int64_t *ret_start, int64_t *ret_end)
{
	struct broker *b = ctx;

	if (p->log) {
		*ret_start = p->log->start_offset;
		*ret_end = p->log->next_offset;
		return true;
	}
	if (!p->has_asked) {
		p->has_ends = store_ends(b->store, p->topic->name, p->topic->id, p->number,
					 &p->start_offset, &p->end_offset);
		p->has_asked = true;
	}
	*ret_start = p->start_offset;
	*ret_end = p->end_offset;
	return p->has_ends;
}

int broker_topics_init(struct broker *b)
{
	struct metadata *md = metalog_state(b->meta);

	b->map = calloc(1, sizeof(*b->map));
	if (!b->map)
		return -ENOMEM;
	for (uint32_t i = 0; i < metadata_topic_cnt(md); i++)
		broker_topic_add(b, metadata_topic_at(md, i));
	return 0;
}

void broker_topics_fini(struct broker *b)
{
	while (b->topics.cnt)
		topic_free(b, b->topics.v[b->topics.cnt - 1].what);
	serials_fini(&b->topics);
	if (b->map)
		free(b->map->slots);
	free(b->map);
}

#include "fusefs/fs.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_TABLE_BIT (1ULL << 63)
#define CHUNK 256U

static struct node *slot(struct fs *fs, uint32_t idx)
{
	return &fs->node_chunks[idx / CHUNK][idx % CHUNK];
}

uint64_t node_topic_id(enum node_kind kind, uint64_t serial)
{
	PRE(serial < 1ULL << 56);
	return (uint64_t)kind << 56 | serial;
}

bool node_find(struct fs *fs, uint64_t nodeid, struct where *ret)
{
	*ret = (struct where){ 0 };
	if (nodeid & NODE_TABLE_BIT) {
		uint32_t idx = (uint32_t)nodeid;
		struct node *n;

		if (idx >= fs->node_cnt)
			return false;
		n = slot(fs, idx);
		if (n->kind == NODE_NONE || n->gen != (uint32_t)(nodeid >> 32 & 0x7fffffffU))
			return false;
		*ret = (struct where){ .kind = n->kind, .topic = n->topic, .node = n };
		return true;
	}
	if (nodeid < NODE_FIXED_END) {
		ret->kind = (enum node_kind)nodeid;
		return nodeid != 0;
	}
	ret->kind = (enum node_kind)(nodeid >> 56);
	ret->topic = fs->be.topic_by_serial(fs->be.ctx, nodeid & ((1ULL << 56) - 1));
	return ret->topic && (ret->kind == NODE_TOPIC || ret->kind == NODE_BY_KEY);
}

static int grow(struct fs *fs)
{
	struct node **chunks, *chunk;

	if (fs->node_cnt >= NODE_CNT_MAX)
		return -ENFILE;
	if (fs->node_cnt / CHUNK == fs->node_cap) {
		uint32_t cap = fs->node_cap ? fs->node_cap * 2 : 16;

		chunks = realloc(fs->node_chunks, cap * sizeof(struct node *));
		if (!chunks)
			return -ENOMEM;
		fs->node_chunks = chunks;
		fs->node_cap = cap;
	}
	chunk = calloc(CHUNK, sizeof(*chunk));
	if (!chunk)
		return -ENOMEM;
	fs->node_chunks[fs->node_cnt / CHUNK] = chunk;
	for (uint32_t i = 0; i < CHUNK; i++) {
		chunk[i].next_free = fs->node_free;
		fs->node_free = fs->node_cnt + i + 1;
	}
	fs->node_cnt += CHUNK;
	return 0;
}

static uint64_t *shared_slot(struct fs *fs, const struct be_topic *topic, const char *name)
{
	return &fs->shared_nodes[(hash_xxh3(name, strlen(name)) + topic->serial) % SHARED_NODE_CNT];
}

/* A thousand programs that open `0@latest` at once would else undo each other's look-ups. */
static bool find_shared(struct fs *fs, const struct be_topic *topic, const char *name,
			uint64_t *ret_nodeid)
{
	struct where w;

	*ret_nodeid = *shared_slot(fs, topic, name);
	if (!*ret_nodeid || !node_find(fs, *ret_nodeid, &w) || w.topic != topic ||
	    strcmp(w.node->name, name) != 0)
		return false;
	w.node->lookups++;
	return true;
}

int node_new(struct fs *fs, enum node_kind kind, struct be_topic *topic, const struct view *view,
	     const char *name, uint64_t *ret_nodeid)
{
	bool shares = view && view->has_at;
	struct node *n;
	char *copy;
	uint32_t idx;
	int r;

	if (shares && find_shared(fs, topic, name, ret_nodeid))
		return 0;
	if (!fs->node_free) {
		r = grow(fs);
		if (r)
			return r;
	}
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	idx = fs->node_free - 1;
	n = slot(fs, idx);
	fs->node_free = n->next_free;
	*n = (struct node){ .gen = ++fs->node_gen & 0x7fffffffU,
			    .lookups = 1,
			    .kind = kind,
			    .topic = topic,
			    .name = copy };
	if (view)
		n->view = *view;
	topic_ref(topic);
	*ret_nodeid = NODE_TABLE_BIT | (uint64_t)n->gen << 32 | idx;
	if (shares)
		*shared_slot(fs, topic, name) = *ret_nodeid;
	return 0;
}

static void release(struct fs *fs, struct node *n, uint32_t idx)
{
	if (n->topic)
		fs->be.topic_unref(fs->be.ctx, n->topic);
	free(n->name);
	*n = (struct node){ .next_free = fs->node_free };
	fs->node_free = idx + 1;
}

void node_forget(struct fs *fs, uint64_t nodeid, uint64_t lookups)
{
	struct where w;

	if (!(nodeid & NODE_TABLE_BIT) || !node_find(fs, nodeid, &w))
		return;
	w.node->lookups -= MIN(w.node->lookups, lookups);
	if (!w.node->lookups)
		release(fs, w.node, (uint32_t)nodeid);
}

void node_fini(struct fs *fs)
{
	for (uint32_t i = 0; i < fs->node_cnt; i++) {
		if (slot(fs, i)->kind != NODE_NONE)
			release(fs, slot(fs, i), i);
	}
	for (uint32_t i = 0; i < fs->node_cnt / CHUNK; i++)
		free(fs->node_chunks[i]);
	free(fs->node_chunks);
	fs->node_chunks = NULL;
	fs->node_cnt = fs->node_cap = fs->node_free = 0;
}

static const char *fixed_path(enum node_kind kind)
{
	switch (kind) {
	case NODE_TOPICS:
		return "topics";
	case NODE_CLUSTER:
		return "cluster";
	case NODE_README:
		return "README";
	case NODE_METRICS:
		return "metrics";
	case NODE_ERRORS:
		return "errors";
	case NODE_BROKERS:
		return "cluster/brokers";
	case NODE_CONTROLLER:
		return "cluster/controller";
	case NODE_PARTITIONS:
		return "cluster/partitions";
	case NODE_CONTROL:
		return "cluster/control";
	case NODE_NONE:
	case NODE_ROOT:
	case NODE_FIXED_END:
	case NODE_TOPIC:
	case NODE_BY_KEY:
	case NODE_DATA:
	case NODE_KEY:
	case NODE_CONFIG:
	case NODE_STATUS:
		break;
	}
	return "";
}

void node_path(const struct where *w, const char *child, char *buf, size_t len)
{
	const char *sep = child ? "/" : "", *name = child ? child : "";

	if (!w->topic)
		snprintf(buf, len, "%s%s%s", fixed_path(w->kind), *fixed_path(w->kind) ? sep : "",
			 name);
	else if (w->kind == NODE_TOPIC)
		snprintf(buf, len, "topics/%s%s%s", w->topic->name, sep, name);
	else if (w->kind == NODE_BY_KEY)
		snprintf(buf, len, "topics/%s/by-key%s%s", w->topic->name, sep, name);
	else
		snprintf(buf, len, "topics/%s/%s%s%s%s", w->topic->name,
			 w->kind == NODE_KEY ? "by-key/" : "", w->node ? w->node->name : "", sep,
			 name);
}

uint64_t node_ino(const struct where *w)
{
	uint8_t key[16 + NODE_NAME_MAX + 2];
	size_t len = 16;

	if (!w->topic)
		return w->kind;
	memcpy(key, w->topic->id, 16);
	key[len++] = (uint8_t)w->kind;
	if (w->node) {
		size_t name_len = MIN(strlen(w->node->name), (size_t)NODE_NAME_MAX);

		memcpy(key + len, w->node->name, name_len);
		len += name_len;
	}
	/* Out of the way of the fixed ones. */
	return hash_xxh3(key, len) | 1ULL << 32;
}

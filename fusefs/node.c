#include "fusefs/fs.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NODE_TABLE_BIT (1ULL << 63)
#define CHUNK 256U
/* Two serials in one node id. */
#define PAIR_BITS 28
#define PAIR_MASK ((1ULL << PAIR_BITS) - 1)

static struct node *slot(struct fs *fs, uint32_t idx)
{
	return &fs->node_chunks[idx / CHUNK][idx % CHUNK];
}

uint64_t node_dir_id(enum node_kind kind, uint64_t serial)
{
	PRE(serial < 1ULL << 56);
	return (uint64_t)kind << 56 | serial;
}

uint64_t node_offsets_id(const struct be_group *g, const struct be_topic *t)
{
	if (g->serial > PAIR_MASK || t->serial > PAIR_MASK)
		return 0;
	return (uint64_t)NODE_OFFSETS_TOPIC << 56 | g->serial << PAIR_BITS | t->serial;
}

static bool find_dir(struct fs *fs, uint64_t nodeid, struct where *ret)
{
	uint64_t serial = nodeid & ((1ULL << 56) - 1);
	const struct backend *be = &fs->be;

	ret->kind = (enum node_kind)(nodeid >> 56);
	switch (ret->kind) {
	case NODE_TOPIC:
	case NODE_BY_KEY:
		ret->topic = be->topic_by_serial(be->ctx, serial);
		return ret->topic != NULL;
	case NODE_GROUP:
	case NODE_STREAMS:
	case NODE_OFFSETS:
	case NODE_MEMBERS:
		ret->group = be->group_by_serial(be->ctx, serial);
		return ret->group != NULL;
	case NODE_OFFSETS_TOPIC:
		ret->group = be->group_by_serial(be->ctx, serial >> PAIR_BITS);
		ret->topic = be->topic_by_serial(be->ctx, serial & PAIR_MASK);
		return ret->group && ret->topic;
	default:
		return false;
	}
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
		*ret = (struct where){
			.kind = n->kind, .topic = n->topic, .group = n->group, .node = n
		};
		return true;
	}
	if (nodeid < NODE_FIXED_END) {
		ret->kind = (enum node_kind)nodeid;
		return nodeid != 0;
	}
	return find_dir(fs, nodeid, ret);
}

static int grow(struct fs *fs)
{
	struct node **chunks, *chunk;

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
		chunk[i].idx = fs->node_cnt + i;
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
	if (!w.node->opens) {
		list_remove(&w.node->idle);
		list_put(&fs->idle_nodes, &w.node->idle);
	}
	return true;
}

static void put_idle(struct fs *fs, struct node *n)
{
	list_put(&fs->idle_nodes, &n->idle);
	fs->idle_cnt++;
}

static void take_idle(struct fs *fs, struct node *n)
{
	PRE(fs->idle_cnt);
	list_remove(&n->idle);
	fs->idle_cnt--;
}

static void release(struct fs *fs, struct node *n)
{
	take_idle(fs, n);
	if (n->topic)
		fs->be.topic_unref(fs->be.ctx, n->topic);
	if (n->group)
		fs->be.group_unref(fs->be.ctx, n->group);
	free(n->name);
	*n = (struct node){ .idx = n->idx, .next_free = fs->node_free };
	fs->node_free = n->idx + 1;
}

int node_new(struct fs *fs, const struct where *what, const struct view *view, const char *name,
	     uint64_t *ret_nodeid)
{
	bool shares = view && view->has_at;
	struct node *n;
	char *copy;
	int r;

	if (shares && find_shared(fs, what->topic, name, ret_nodeid))
		return 0;
	if (fs->idle_cnt >= IDLE_NODES_MAX)
		release(fs, LIST_ENTRY(fs->idle_nodes.next, struct node, idle));
	r = fs->node_free ? 0 : grow(fs);
	if (r)
		return r;
	copy = strdup(name);
	if (!copy)
		return -ENOMEM;
	n = slot(fs, fs->node_free - 1);
	fs->node_free = n->next_free;
	*n = (struct node){ .idx = n->idx,
			    .gen = ++fs->node_gen & 0x7fffffffU,
			    .lookups = 1,
			    .kind = what->kind,
			    .topic = what->topic,
			    .group = what->group,
			    .name = copy };
	if (view)
		n->view = *view;
	topic_ref(n->topic);
	group_ref(n->group);
	put_idle(fs, n);
	*ret_nodeid = NODE_TABLE_BIT | (uint64_t)n->gen << 32 | n->idx;
	if (shares)
		*shared_slot(fs, n->topic, name) = *ret_nodeid;
	return 0;
}

void node_forget(struct fs *fs, uint64_t nodeid, uint64_t lookups)
{
	struct where w;

	if (!(nodeid & NODE_TABLE_BIT) || !node_find(fs, nodeid, &w))
		return;
	w.node->lookups -= MIN(w.node->lookups, lookups);
	if (!w.node->lookups && !w.node->opens)
		release(fs, w.node);
}

void node_hold(struct fs *fs, struct node *n)
{
	if (n && !n->opens++)
		take_idle(fs, n);
}

/* The kernel may keep the name of something deleted, below a directory that nobody finds, until it
 * is short of memory. */
void node_unhold(struct fs *fs, struct node *n)
{
	if (!n || --n->opens)
		return;
	put_idle(fs, n);
	if (!n->lookups || (n->topic && n->topic->deleted) || (n->group && n->group->deleted))
		release(fs, n);
}

void node_fini(struct fs *fs)
{
	while (fs->idle_cnt)
		release(fs, LIST_ENTRY(fs->idle_nodes.next, struct node, idle));
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
	case NODE_GROUPS:
		return "groups";
	default:
		return "";
	}
}

/* Where a group's nodes of this kind stand below it. */
static const char *group_path(enum node_kind kind)
{
	switch (kind) {
	case NODE_STREAMS:
	case NODE_STREAM:
		return "/topics";
	case NODE_OFFSETS:
	case NODE_OFFSETS_TOPIC:
	case NODE_OFFSET:
		return "/offsets";
	case NODE_MEMBERS:
	case NODE_MEMBER:
		return "/members";
	default:
		return "";
	}
}

void node_path(const struct where *w, const char *child, char *buf, size_t len)
{
	const char *sep = child ? "/" : "", *name = child ? child : "";
	const char *file = w->node ? w->node->name : "";

	if (w->group)
		snprintf(buf, len, "groups/%s%s%s%s%s%s%s%s", w->group->name, group_path(w->kind),
			 w->topic ? "/" : "", w->topic ? w->topic->name : "", w->node ? "/" : "",
			 file, sep, name);
	else if (!w->topic)
		snprintf(buf, len, "%s%s%s", fixed_path(w->kind), *fixed_path(w->kind) ? sep : "",
			 name);
	else if (w->kind == NODE_TOPIC)
		snprintf(buf, len, "topics/%s%s%s", w->topic->name, sep, name);
	else if (w->kind == NODE_BY_KEY)
		snprintf(buf, len, "topics/%s/by-key%s%s", w->topic->name, sep, name);
	else
		snprintf(buf, len, "topics/%s/%s%s%s%s", w->topic->name,
			 w->kind == NODE_KEY ? "by-key/" : "", file, sep, name);
}

uint64_t node_ino(const struct where *w)
{
	uint8_t key[32 + NODE_NAME_MAX + 2];
	size_t len = 0;

	if (!w->topic && !w->group)
		return w->kind;
	if (w->topic) {
		memcpy(key, w->topic->id, 16);
		len = 16;
	}
	if (w->group) {
		memcpy(key + len, w->group->id, 16);
		len += 16;
	}
	key[len++] = (uint8_t)w->kind;
	if (w->node) {
		size_t name_len = MIN(strlen(w->node->name), (size_t)NODE_NAME_MAX);

		memcpy(key + len, w->node->name, name_len);
		len += name_len;
	}
	/* Out of the way of the fixed ones. */
	return hash_xxh3(key, len) | 1ULL << 32;
}

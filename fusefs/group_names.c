/*
 * Names below groups/:
 *
 *   groups/G/                   join commit seek reject config state lag
 *   groups/G/topics/T[.FORMAT]  a stream; looks empty: reading one joins, and waits
 *   groups/G/offsets/T/P        listed where something is committed; every topic and partition
 *                               resolves
 *   groups/G/members/ID         and `self`, the caller's own, which is not listed
 */
#include "fusefs/group.h"

#include "daemon/base/name.h"
#include "fusefs/member.h"
#include "fusefs/session.h"

#include <errno.h>
#include <stdio.h>

static const struct {
	const char *name;
	enum node_kind kind;
	bool is_dir;
} names[] = {
	{ "topics", NODE_STREAMS, true },  { "offsets", NODE_OFFSETS, true },
	{ "members", NODE_MEMBERS, true }, { "join", NODE_JOIN, false },
	{ "commit", NODE_COMMIT, false },  { "seek", NODE_SEEK, false },
	{ "reject", NODE_REJECT, false },  { "config", NODE_GROUP_CONFIG, false },
	{ "state", NODE_STATE, false },	   { "lag", NODE_LAG, false },
};

/* The group's bits on its files: r to consume, w to commit. config is the owner's to write. */
mode_t group_mode(const struct where *w)
{
	mode_t bits = w->group->mode & 0777;

	switch (w->kind) {
	case NODE_GROUP:
	case NODE_STREAMS:
	case NODE_OFFSETS:
	case NODE_MEMBERS:
	case NODE_OFFSETS_TOPIC:
		return bits;
	case NODE_GROUP_CONFIG:
		return (bits & 0444) | (bits & 0200);
	case NODE_STATE:
	case NODE_LAG:
	case NODE_MEMBER:
		return bits & 0444;
	default:
		return bits & 0666;
	}
}

static int find_file(struct fs *fs, const struct where *dir, const char *name, uint64_t *ret_id)
{
	for (unsigned i = 0; i < ARRAY_CNT(names); i++) {
		struct where w = { .kind = names[i].kind, .group = dir->group };

		if (strcmp(names[i].name, name) != 0)
			continue;
		if (!names[i].is_dir)
			return node_new(fs, &w, NULL, name, ret_id);
		*ret_id = node_dir_id(names[i].kind, dir->group->serial);
		return 0;
	}
	return -ENOENT;
}

/* Any legal topic name, whether the topic exists or not: a stream may be opened before it does. */
static int find_stream(struct fs *fs, const struct where *dir, const char *name, uint64_t *ret_id)
{
	struct where w = { .kind = NODE_STREAM, .group = dir->group };
	struct view view = { .what = VIEW_ALL };
	char topic[NODE_NAME_MAX + 1];
	size_t len = strlen(name);

	view.format = view_cut_format(name, &len);
	snprintf(topic, sizeof(topic), "%.*s", (int)len, name);
	if (topic_name_check(topic))
		return -ENOENT;
	return node_new(fs, &w, &view, name, ret_id);
}

static int find_offsets(struct fs *fs, const struct where *dir, const char *name, uint64_t *ret_id)
{
	struct be_topic *t = fs->be.topic_find(fs->be.ctx, name);

	if (!t)
		return -ENOENT;
	*ret_id = node_offsets_id(dir->group, t);
	return *ret_id ? 0 : -EOVERFLOW;
}

static int find_offset(struct fs *fs, const struct where *dir, const char *name, uint64_t *ret_id)
{
	struct where w = { .kind = NODE_OFFSET, .group = dir->group, .topic = dir->topic };
	struct view view;

	/* Only a bare number: a position or a format has no meaning here. */
	if (name[strspn(name, "0123456789")] || view_parse(name, &view) ||
	    view.partition >= dir->topic->part_cnt)
		return -ENOENT;
	return node_new(fs, &w, &view, name, ret_id);
}

static int find_member(struct fs *fs, fuse_req_t req, const struct where *dir, const char *name,
		       uint64_t *ret_id)
{
	struct where w = { .kind = NODE_MEMBER, .group = dir->group };
	struct be_caller c;
	struct buf text;
	int r;

	fs_caller(req, &c);
	c.tgid = session_tgid(c.pid);
	buf_init(&text);
	r = fs->be.member_text(fs->be.ctx, dir->group, name, &c, &text);
	buf_fini(&text);
	return r ? r : node_new(fs, &w, NULL, name, ret_id);
}

int group_look_up(struct fs *fs, fuse_req_t req, const struct where *dir, const char *name,
		  uint64_t *ret_id)
{
	struct be_group *g;

	switch (dir->kind) {
	case NODE_GROUPS:
		g = fs->be.group_find(fs->be.ctx, name);
		if (!g)
			return -ENOENT;
		*ret_id = node_dir_id(NODE_GROUP, g->serial);
		return 0;
	case NODE_GROUP:
		return find_file(fs, dir, name, ret_id);
	case NODE_STREAMS:
		return find_stream(fs, dir, name, ret_id);
	case NODE_OFFSETS:
		return find_offsets(fs, dir, name, ret_id);
	case NODE_OFFSETS_TOPIC:
		return find_offset(fs, dir, name, ret_id);
	case NODE_MEMBERS:
		return find_member(fs, req, dir, name, ret_id);
	default:
		return -ENOENT;
	}
}

static void list_groups(struct fs *fs, fuse_req_t req, struct listing *l)
{
	struct be_group *g = fs->be.group_next(fs->be.ctx, "");

	for (; g; g = fs->be.group_next(fs->be.ctx, g->name)) {
		struct where w = { .kind = NODE_GROUP, .group = g };

		ops_list_name(req, l, g->name, node_ino(&w), true);
	}
}

/* A file's number is that of its node, whose name counts. */
static void list_file(fuse_req_t req, struct listing *l, struct where w, const char *name)
{
	struct node n = { .name = (char *)name };

	w.node = &n;
	ops_list_name(req, l, name, node_ino(&w), false);
}

static void list_group(fuse_req_t req, struct listing *l, struct be_group *g)
{
	for (unsigned i = 0; i < ARRAY_CNT(names); i++) {
		struct where w = { .kind = names[i].kind, .group = g };

		if (names[i].is_dir)
			ops_list_name(req, l, names[i].name, node_ino(&w), true);
		else
			list_file(req, l, w, names[i].name);
	}
}

static void list_offsets(struct fs *fs, fuse_req_t req, struct listing *l, struct be_group *g)
{
	struct be_topic *t = fs->be.topic_next(fs->be.ctx, "");

	for (; t; t = fs->be.topic_next(fs->be.ctx, t->name)) {
		struct where w = { .kind = NODE_OFFSETS_TOPIC, .group = g, .topic = t };

		if (fs->be.has_offsets(fs->be.ctx, g, t))
			ops_list_name(req, l, t->name, node_ino(&w), true);
	}
}

static void list_partitions(struct fs *fs, fuse_req_t req, struct listing *l, const struct where *w)
{
	struct where file = { .kind = NODE_OFFSET, .group = w->group, .topic = w->topic };
	char name[16];

	for (uint32_t i = 0; i < w->topic->part_cnt; i++) {
		snprintf(name, sizeof(name), "%u", i);
		if (fs->be.has_offset(fs->be.ctx, w->group, w->topic, i))
			list_file(req, l, file, name);
	}
}

static void list_members(struct fs *fs, fuse_req_t req, struct listing *l, struct be_group *g)
{
	struct where w = { .kind = NODE_MEMBER, .group = g };
	uint32_t slot = UINT32_MAX;
	const char *id;

	while ((id = fs->be.member_id_next(fs->be.ctx, g, &slot)))
		list_file(req, l, w, id);
}

void group_list(fuse_req_t req, struct listing *l, const struct where *w)
{
	struct fs *fs = fs_of(req);

	member_flush_all(fs);
	switch (w->kind) {
	case NODE_GROUPS:
		list_groups(fs, req, l);
		break;
	case NODE_GROUP:
		list_group(req, l, w->group);
		break;
	case NODE_OFFSETS:
		list_offsets(fs, req, l, w->group);
		break;
	case NODE_OFFSETS_TOPIC:
		list_partitions(fs, req, l, w);
		break;
	case NODE_MEMBERS:
		list_members(fs, req, l, w->group);
		break;
	default: /* topics/ looks empty */
		break;
	}
}

void group_refuse_create(fuse_req_t req, const struct where *w, const char *name)
{
	const char *text = "a group's files are there from its beginning; no others can be made";
	int err = -EPERM;

	if (w->kind == NODE_GROUPS)
		text = "a group is a directory: use mkdir";
	else if (w->kind == NODE_STREAMS)
		text = "a group's stream is named as its topic: 1 to 249 of A-Z a-z 0-9 . _ -";
	else if (w->kind == NODE_OFFSETS_TOPIC || w->kind == NODE_OFFSETS) {
		/* What a commit through `commit` gets, also where the shell opens with O_CREAT. */
		text = w->kind == NODE_OFFSETS ? "no such topic" : "no such partition of the topic";
		err = -ENOENT;
	} else if (w->kind == NODE_MEMBERS) {
		text = "no member of that id; members join through topics/ and join";
	}
	fs_refuse(req, err, w, name, "%s", text);
}

/*
 * Names: look-up, attributes, directories, and everything that would make, rename or remove one.
 */
#include "fusefs/group.h"
#include "fusefs/session.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define REMOVER_MS 60000

static const struct {
	enum node_kind parent, kind;
	const char *name;
	bool is_dir;
} fixed[] = {
	{ NODE_ROOT, NODE_README, "README", false },
	{ NODE_ROOT, NODE_TOPICS, "topics", true },
	{ NODE_ROOT, NODE_GROUPS, "groups", true },
	{ NODE_ROOT, NODE_CLUSTER, "cluster", true },
	{ NODE_ROOT, NODE_METRICS, "metrics", false },
	{ NODE_ROOT, NODE_ERRORS, "errors", false },
	{ NODE_CLUSTER, NODE_BROKERS, "brokers", false },
	{ NODE_CLUSTER, NODE_CONTROLLER, "controller", false },
	{ NODE_CLUSTER, NODE_PARTITIONS, "partitions", false },
	{ NODE_CLUSTER, NODE_CONTROL, "control", false },
};

static bool is_dir(enum node_kind kind)
{
	return kind == NODE_ROOT || kind == NODE_TOPICS || kind == NODE_CLUSTER ||
	       kind == NODE_GROUPS || (kind >= NODE_TOPIC && kind <= NODE_OFFSETS_TOPIC);
}

static void set_ms(struct timespec *ts, int64_t ms)
{
	ts->tv_sec = ms / 1000;
	ts->tv_nsec = ms % 1000 * 1000000;
}

static mode_t fixed_mode(enum node_kind kind)
{
	if (kind == NODE_TOPICS || kind == NODE_GROUPS)
		return S_IFDIR | 01777;
	if (is_dir(kind))
		return S_IFDIR | 0755;
	if (kind == NODE_CONTROL)
		return S_IFREG | 0644;
	return S_IFREG | 0444;
}

/* The topic's bits on its files: r to consume, w to produce. config is the owner's to write. */
static mode_t topic_mode(const struct where *w)
{
	mode_t bits = w->topic->mode & 0777;

	switch (w->kind) {
	case NODE_TOPIC:
	case NODE_BY_KEY:
		return S_IFDIR | bits;
	case NODE_CONFIG:
		return S_IFREG | (bits & 0444) | (bits & 0200);
	case NODE_STATUS:
		return S_IFREG | (bits & 0444);
	default:
		return S_IFREG | (bits & 0666);
	}
}

static void plain_attr(struct fs *fs, const struct where *w, struct stat *st)
{
	struct be_partition *p = w->topic->parts[w->node->view.partition];
	struct be_why why;

	if (!p->log && fs->be.open_log(fs->be.ctx, p, &why))
		return;
	/* A timestamp is told from here on, so what is owed is described first. What that may fail
	 * with, the next append and fsync meet too. */
	if (!plog_describe(p->log))
		set_ms(&st->st_mtim, MAX(p->log->mtime_ms, w->topic->created_ms));
	st->st_size = (off_t)p->log->end_pos;
	st->st_blocks = (blkcnt_t)((plog_data_bytes(p->log) + 511) / 512);
	st->st_ctim = st->st_mtim;
}

/* Whose it is: what stands below a group is the group's. */
static void owner_attr(struct fs *fs, const struct where *w, struct stat *st)
{
	if (w->group) {
		st->st_uid = w->group->uid;
		st->st_gid = w->group->gid;
		st->st_mode = (is_dir(w->kind) ? S_IFDIR : S_IFREG) | group_mode(w);
		set_ms(&st->st_mtim, w->group->changed_ms);
	} else if (w->topic) {
		st->st_uid = w->topic->uid;
		st->st_gid = w->topic->gid;
		st->st_mode = topic_mode(w);
		set_ms(&st->st_mtim, w->topic->changed_ms);
	} else {
		st->st_uid = fs->uid;
		st->st_gid = fs->gid;
		st->st_mode = fixed_mode(w->kind);
		set_ms(&st->st_mtim, fs->born_ms);
	}
	st->st_ctim = st->st_atim = st->st_mtim;
}

void fs_attr(struct fs *fs, const struct where *w, uint32_t uid, struct stat *ret)
{
	struct stat st = { .st_ino = node_ino(w), .st_nlink = 1, .st_blksize = 128 * 1024 };

	owner_attr(fs, w, &st);
	if (is_dir(w->kind)) {
		st.st_nlink = 2;
		st.st_size = 4096;
	} else if (w->kind == NODE_DATA && w->node->view.is_plain &&
		   w->node->view.partition < w->topic->part_cnt) {
		plain_attr(fs, w, &st);
	} else if (w->kind != NODE_DATA && w->kind != NODE_KEY && w->kind != NODE_STREAM) {
		st.st_size = (off_t)text_len(fs, w, uid);
		st.st_blocks = (st.st_size + 511) / 512;
		if (w->kind == NODE_METRICS || w->kind == NODE_ERRORS)
			set_ms(&st.st_mtim, fs->be.now_ms(fs->be.ctx));
	}
	*ret = st;
}

static int new_file(struct fs *fs, const struct where *dir, const char *name, uint64_t *ret_id)
{
	struct where w = { .topic = dir->topic };
	struct view view;

	if (dir->kind == NODE_BY_KEY)
		w.kind = NODE_KEY;
	else if (!strcmp(name, "config"))
		w.kind = NODE_CONFIG;
	else if (!strcmp(name, "status"))
		w.kind = NODE_STATUS;
	if (w.kind != NODE_NONE)
		return node_new(fs, &w, NULL, name, ret_id);
	if (view_parse(name, &view) ||
	    (view.what == VIEW_PARTITION && view.partition >= dir->topic->part_cnt))
		return -ENOENT;
	w.kind = NODE_DATA;
	return node_new(fs, &w, &view, name, ret_id);
}

/* 0 with the node id, or -ENOENT and others. */
static int look_up(struct fs *fs, fuse_req_t req, const struct where *dir, const char *name,
		   uint64_t *ret_id)
{
	struct be_topic *t;

	if (strlen(name) > NODE_NAME_MAX)
		return -ENAMETOOLONG;
	for (unsigned i = 0; i < ARRAY_CNT(fixed); i++) {
		if (fixed[i].parent == dir->kind && !strcmp(fixed[i].name, name)) {
			*ret_id = fixed[i].kind;
			return 0;
		}
	}
	if (dir->kind == NODE_TOPICS) {
		t = fs->be.topic_find(fs->be.ctx, name);
		if (!t)
			return -ENOENT;
		*ret_id = node_dir_id(NODE_TOPIC, t->serial);
		return 0;
	}
	if (where_is_gone(dir))
		return -ESTALE;
	if (dir->kind == NODE_GROUPS || dir->group)
		return group_look_up(fs, req, dir, name, ret_id);
	if (!dir->topic)
		return -ENOENT;
	if (dir->kind == NODE_TOPIC && !strcmp(name, "by-key")) {
		*ret_id = node_dir_id(NODE_BY_KEY, dir->topic->serial);
		return 0;
	}
	return new_file(fs, dir, name, ret_id);
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct fuse_entry_param e = { 0 };
	struct where dir, w;
	uint64_t id;
	int r;

	fs->lookups++;
	if (!node_find(fs, parent, &dir)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	r = look_up(fs, req, &dir, name, &id);
	if (r) {
		fuse_reply_err(req, -r);
		return;
	}
	if (!node_find(fs, id, &w))
		ASSERT(!"a node that was just made is there");
	e.ino = id;
	fs_attr(fs, &w, fuse_req_ctx(req)->uid, &e.attr);
	if (fuse_reply_entry(req, &e))
		node_forget(fs, id, 1);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t cnt)
{
	node_forget(fs_of(req), ino, cnt);
	fuse_reply_none(req);
}

static void op_forget_multi(fuse_req_t req, size_t cnt, struct fuse_forget_data *forgets)
{
	for (size_t i = 0; i < cnt; i++)
		node_forget(fs_of(req), forgets[i].ino, forgets[i].nlookup);
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct where w;
	struct stat st;

	(void)fi;
	if (!node_find(fs, ino, &w) || where_is_gone(&w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fs_attr(fs, &w, fuse_req_ctx(req)->uid, &st);
	fuse_reply_attr(req, &st, 0);
}

/* chmod and chown of a topic's or a group's directory; elsewhere only what changes nothing. */
static void set_perm(fuse_req_t req, fuse_ino_t ino, const struct where *w, const struct stat *attr,
		     int to_set, const struct stat *now)
{
	struct fs *fs = fs_of(req);
	struct be_perm perm = { .set_mode = to_set & FUSE_SET_ATTR_MODE &&
					    (attr->st_mode & 07777) != (now->st_mode & 07777),
				.set_uid =
					to_set & FUSE_SET_ATTR_UID && attr->st_uid != now->st_uid,
				.set_gid =
					to_set & FUSE_SET_ATTR_GID && attr->st_gid != now->st_gid,
				.mode = attr->st_mode & 0777,
				.uid = attr->st_uid,
				.gid = attr->st_gid };
	struct be_why why = { 0 };
	struct be_caller c;
	struct parked *p;
	int r;

	if (!perm.set_mode && !perm.set_uid && !perm.set_gid) {
		fuse_reply_attr(req, now, 0);
		return;
	}
	if (w->kind != NODE_TOPIC && w->kind != NODE_GROUP) {
		fs_refuse(req, -EPERM, w, NULL,
			  "permissions are the %s's: chmod or chown its directory",
			  w->group ? "group" : "topic");
		return;
	}
	p = park(fs, req, PARK_CHANGE, NULL);
	if (!p)
		return;
	p->nodeid = ino;
	p->flags = 1;
	fs_caller(req, &c);
	if (w->group)
		r = fs->be.group_perm(fs->be.ctx, w->group, &c, &perm, (uint64_t)(uintptr_t)p,
				      &why);
	else
		r = fs->be.topic_perm(fs->be.ctx, w->topic, &c, &perm, (uint64_t)(uintptr_t)p,
				      &why);
	if (r != -EINPROGRESS)
		fs_on_done(fs, (uint64_t)(uintptr_t)p, r, &why);
}

static void op_setattr(fuse_req_t req, fuse_ino_t ino, struct stat *attr, int to_set,
		       struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct where w;
	struct stat now;

	(void)fi;
	if (!node_find(fs, ino, &w) || where_is_gone(&w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fs_attr(fs, &w, fuse_req_ctx(req)->uid, &now);
	if (to_set & FUSE_SET_ATTR_SIZE && attr->st_size && attr->st_size != now.st_size) {
		fs_refuse(req, -EPERM, &w, NULL,
			  "a log is not cut: its size is %lld, and truncate to 0 does nothing",
			  (long long)now.st_size);
		return;
	}
	/* Times are accepted and stay what they are. */
	set_perm(req, ino, &w, attr, to_set, &now);
}

/* The directory of the topic or group that this stands in; 0: none. */
static uint64_t owner_id(const struct where *w)
{
	if (w->group)
		return node_dir_id(NODE_GROUP, w->group->serial);
	return w->topic ? node_dir_id(NODE_TOPIC, w->topic->serial) : 0;
}

static void remember_remover(struct fs *fs, fuse_req_t req, const struct where *w)
{
	if (!owner_id(w))
		return;
	fs->removers[fs->remover_next++ % REMOVER_CNT] =
		(struct remover){ .tgid = session_tgid(fuse_req_ctx(req)->pid),
				  .nodeid = owner_id(w),
				  .until_ms = fs->be.now_ms(fs->be.ctx) + REMOVER_MS };
}

static bool is_remover(struct fs *fs, fuse_req_t req, const struct where *w)
{
	int64_t now = fs->be.now_ms(fs->be.ctx);
	int32_t tgid = session_tgid(fuse_req_ctx(req)->pid);

	for (unsigned i = 0; i < REMOVER_CNT; i++) {
		const struct remover *r = &fs->removers[i];

		if (r->tgid == tgid && r->nodeid == owner_id(w) && r->until_ms > now &&
		    r->until_ms - now <= REMOVER_MS)
			return true;
	}
	return false;
}

/* The topic or group of that name below topics/ or groups/. False: there is none. */
static bool find_named(struct fs *fs, enum node_kind dir, const char *name, struct where *ret)
{
	*ret = (struct where){ .kind = dir == NODE_GROUPS ? NODE_GROUP : NODE_TOPIC };
	if (dir == NODE_GROUPS)
		ret->group = fs->be.group_find(fs->be.ctx, name);
	else
		ret->topic = fs->be.topic_find(fs->be.ctx, name);
	return ret->group || ret->topic;
}

void ops_mkdir_done(struct fs *fs, struct parked *p)
{
	struct fuse_entry_param e = { 0 };
	struct where w;

	/* It may be deleted again before this was answered. */
	if (!find_named(fs, (enum node_kind)p->nodeid, p->name, &w)) {
		fuse_reply_err(p->req, ENOENT);
		return;
	}
	e.ino = owner_id(&w);
	fs_attr(fs, &w, 0, &e.attr);
	fuse_reply_entry(p->req, &e);
}

static void op_mkdir(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode)
{
	struct fs *fs = fs_of(req);
	struct be_why why = { 0 };
	struct be_caller c;
	struct where w;
	struct parked *p;
	int r;

	if (!node_find(fs, parent, &w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (w.kind != NODE_TOPICS && w.kind != NODE_GROUPS) {
		fs_refuse(req, -EPERM, &w, name,
			  w.group   ? "a group has no directories of your own"
			  : w.topic ? "a topic has no directories of your own"
				    : "directories are made in topics/ and groups/: each is a "
				      "topic, or a group");
		return;
	}
	p = park(fs, req, PARK_CHANGE, NULL);
	if (!p)
		return;
	p->is_mkdir = true;
	p->nodeid = parent;
	snprintf(p->name, sizeof(p->name), "%s", name);
	fs_caller(req, &c);
	if (w.kind == NODE_GROUPS)
		r = fs->be.group_create(fs->be.ctx, name, &c, mode & 0777, (uint64_t)(uintptr_t)p,
					&why);
	else
		r = fs->be.topic_create(fs->be.ctx, name, &c, mode & 0777, (uint64_t)(uintptr_t)p,
					&why);
	if (r != -EINPROGRESS)
		fs_on_done(fs, (uint64_t)(uintptr_t)p, r, &why);
}

static void rmdir_named(fuse_req_t req, fuse_ino_t parent, const char *name, const struct where *w)
{
	struct fs *fs = fs_of(req);
	struct be_why why = { 0 };
	struct be_caller c;
	struct parked *p;
	int r;

	if (is_remover(fs, req, w)) {
		fs_refuse(req, -ENOTEMPTY, w, NULL,
			  "this process was refused an unlink in here less than a minute ago: rm "
			  "-r deletes no %s, rmdir does",
			  w->group ? "group" : "topic");
		return;
	}
	p = park(fs, req, PARK_CHANGE, NULL);
	if (!p)
		return;
	p->nodeid = parent;
	snprintf(p->name, sizeof(p->name), "%s", name);
	fs_caller(req, &c);
	if (w->group)
		r = fs->be.group_delete(fs->be.ctx, w->group, &c, (uint64_t)(uintptr_t)p, &why);
	else
		r = fs->be.topic_delete(fs->be.ctx, w->topic, &c, (uint64_t)(uintptr_t)p, &why);
	if (r != -EINPROGRESS)
		fs_on_done(fs, (uint64_t)(uintptr_t)p, r, &why);
}

static void op_rmdir(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct where w, named;

	if (!node_find(fs, parent, &w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (w.kind == NODE_TOPICS || w.kind == NODE_GROUPS) {
		if (find_named(fs, w.kind, name, &named))
			rmdir_named(req, parent, name, &named);
		else
			fs_refuse(req, -ENOENT, &w, name, "no such %s",
				  w.kind == NODE_GROUPS ? "group" : "topic");
		return;
	}
	remember_remover(fs, req, &w);
	fs_refuse(req, -EPERM, &w, name, "this directory is part of every %s",
		  w.group   ? "group"
		  : w.topic ? "topic"
			    : "mount");
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fs *fs = fs_of(req);
	struct where w;

	if (!node_find(fs, parent, &w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	remember_remover(fs, req, &w);
	fs_refuse(req, -EPERM, &w, name, "files here cannot be removed%s",
		  w.group   ? "; rmdir deletes the group"
		  : w.topic ? "; rmdir deletes the topic, retention removes old records"
			    : "");
}

static void refuse_name(fuse_req_t req, fuse_ino_t parent, const char *name, const char *what)
{
	struct where w;

	if (!node_find(fs_of(req), parent, &w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	fs_refuse(req, -EPERM, &w, name, "%s", what);
}

static void op_rename(fuse_req_t req, fuse_ino_t parent, const char *name, fuse_ino_t newparent,
		      const char *newname, unsigned flags)
{
	(void)newparent;
	(void)newname;
	(void)flags;
	refuse_name(req, parent, name, "names here are not changed: rename does not exist");
}

static void op_create(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode,
		      struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct where w;

	(void)mode;
	(void)fi;
	if (!node_find(fs, parent, &w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	if (w.group || w.kind == NODE_GROUPS)
		group_refuse_create(req, &w, name);
	else if (w.kind == NODE_TOPIC)
		fs_refuse(req, -EPERM, &w, name,
			  "no partition or view of this name; the topic has partitions 0 to %u, "
			  "and num.partitions in config adds more",
			  w.topic->part_cnt - 1);
	else
		fs_refuse(req, -EPERM, &w, name, "%s",
			  w.kind == NODE_TOPICS ? "a topic is a directory: use mkdir"
						: "no files can be made here");
}

static void op_mknod(fuse_req_t req, fuse_ino_t parent, const char *name, mode_t mode, dev_t rdev)
{
	(void)mode;
	(void)rdev;
	refuse_name(req, parent, name, "no files can be made here");
}

static void op_symlink(fuse_req_t req, const char *link, fuse_ino_t parent, const char *name)
{
	(void)link;
	refuse_name(req, parent, name, "there are no links here");
}

static void op_link(fuse_req_t req, fuse_ino_t ino, fuse_ino_t newparent, const char *newname)
{
	(void)ino;
	refuse_name(req, newparent, newname, "there are no links here");
}

/* A directory's listing is made when it is read from its beginning (so rewinddir(3) sees what is
 * new), and given from memory. */
struct listing {
	struct list link; /* fs->listings */
	struct buf text;
	size_t next; /* behind the last entry that was given */
};

static void listing_free(struct listing *l)
{
	list_remove(&l->link);
	buf_fini(&l->text);
	free(l);
}

void ops_free_listings(struct fs *fs)
{
	LIST_FOREACH_SAFE(pos, tmp, &fs->listings)
		listing_free(LIST_ENTRY(pos, struct listing, link));
}

void ops_list_name(fuse_req_t req, struct listing *l, const char *name, uint64_t ino, bool dir)
{
	struct stat st = { .st_ino = ino, .st_mode = dir ? S_IFDIR : S_IFREG };
	size_t len = fuse_add_direntry(req, NULL, 0, name, NULL, 0);

	if (buf_reserve(&l->text, len))
		return;
	fuse_add_direntry(req, (char *)l->text.data + l->text.len, len, name, &st,
			  (off_t)(l->text.len + len));
	l->text.len += len;
}

static void list_topic(fuse_req_t req, struct listing *l, struct be_topic *t)
{
	struct where w = { .kind = NODE_BY_KEY, .topic = t };
	static const struct {
		enum node_kind kind;
		const char *name;
	} files[] = { { NODE_DATA, "all" }, { NODE_CONFIG, "config" }, { NODE_STATUS, "status" } };
	struct node n = { 0 };
	char name[16];

	ops_list_name(req, l, "by-key", node_ino(&w), true);
	w.node = &n;
	for (unsigned i = 0; i < ARRAY_CNT(files); i++) {
		n.name = (char *)files[i].name;
		w.kind = files[i].kind;
		ops_list_name(req, l, files[i].name, node_ino(&w), false);
	}
	w.kind = NODE_DATA;
	n.name = name;
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		snprintf(name, sizeof(name), "%u", i);
		ops_list_name(req, l, name, node_ino(&w), false);
	}
}

static void list_dir(fuse_req_t req, struct listing *l, const struct where *w)
{
	struct fs *fs = fs_of(req);

	ops_list_name(req, l, ".", node_ino(w), true);
	ops_list_name(req, l, "..", FUSE_ROOT_ID, true);
	for (unsigned i = 0; i < ARRAY_CNT(fixed); i++) {
		if (fixed[i].parent == w->kind)
			ops_list_name(req, l, fixed[i].name, fixed[i].kind, fixed[i].is_dir);
	}
	if (w->kind == NODE_TOPIC)
		list_topic(req, l, w->topic);
	if (w->kind == NODE_GROUPS || w->group)
		group_list(req, l, w);
	if (w->kind == NODE_TOPICS) {
		struct be_topic *t = fs->be.topic_next(fs->be.ctx, "");

		for (; t; t = fs->be.topic_next(fs->be.ctx, t->name)) {
			struct where tw = { .kind = NODE_TOPIC, .topic = t };

			ops_list_name(req, l, t->name, node_ino(&tw), true);
		}
	}
}

static void op_opendir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct listing *l;
	struct where w;

	if (!node_find(fs, ino, &w) || where_is_gone(&w)) {
		fuse_reply_err(req, ESTALE);
		return;
	}
	l = calloc(1, sizeof(*l));
	if (!l) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	list_put(&fs->listings, &l->link);
	fi->fh = (uint64_t)(uintptr_t)l;
	if (fuse_reply_open(req, fi))
		listing_free(l);
}

static int relist(fuse_req_t req, struct listing *l, fuse_ino_t ino)
{
	struct where w;

	if (!node_find(fs_of(req), ino, &w) || where_is_gone(&w))
		return -ESTALE;
	buf_reset(&l->text);
	list_dir(req, l, &w);
	return buf_err(&l->text);
}

/* Where the entry behind the one at pos begins: struct fuse_dirent is u64 ino, u64 off, u32
 * namelen, u32 type, name, padding. */
static size_t entry_next(const struct listing *l, size_t pos)
{
	return (size_t)le64_load(l->text.data + pos + 8);
}

/* The first entry that begins at off or behind it: a program may have sought anywhere. */
static size_t entry_at(const struct listing *l, size_t off)
{
	size_t pos = 0;

	if (off == l->next)
		return off;
	while (pos < off && pos < l->text.len)
		pos = entry_next(l, pos);
	return pos;
}

/* Whole entries from off on: an entry's own offset is where the next one begins. */
static void op_readdir(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		       struct fuse_file_info *fi)
{
	struct listing *l = (struct listing *)(uintptr_t)fi->fh;
	int r = off ? 0 : relist(req, l, ino);
	size_t pos, end;

	if (r) {
		buf_fini(&l->text);
		l->next = 0;
		fuse_reply_err(req, -r);
		return;
	}
	for (pos = end = entry_at(l, (size_t)off); end < l->text.len; end = entry_next(l, end)) {
		if (entry_next(l, end) - pos > size)
			break;
	}
	l->next = end;
	fuse_reply_buf(req, pos < end ? (char *)l->text.data + pos : NULL, end - pos);
}

static void op_releasedir(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	(void)ino;
	listing_free((struct listing *)(uintptr_t)fi->fh);
	fuse_reply_err(req, 0);
}

/* Directories hold nothing that is not stable when a change returns. */
static void op_fsyncdir(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	(void)ino;
	(void)datasync;
	(void)fi;
	fuse_reply_err(req, 0);
}

static void op_statfs(fuse_req_t req, fuse_ino_t ino)
{
	struct fs *fs = fs_of(req);
	struct disk_space space = { 0 };
	struct statvfs st = { .f_bsize = 4096, .f_frsize = 4096, .f_namemax = NODE_NAME_MAX };

	(void)ino;
	fs->be.space(fs->be.ctx, &space);
	st.f_blocks = space.total_bytes / 4096;
	st.f_bfree = st.f_bavail = space.free_bytes / 4096;
	fuse_reply_statfs(req, &st);
}

/* Answered once with ENOSYS, the kernel asks no more (at each write it would). */
static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	(void)ino;
	(void)name;
	(void)size;
	fuse_reply_err(req, ENOSYS);
}

void ops_set_names(struct fuse_lowlevel_ops *ops)
{
	ops->lookup = op_lookup;
	ops->forget = op_forget;
	ops->forget_multi = op_forget_multi;
	ops->getattr = op_getattr;
	ops->setattr = op_setattr;
	ops->mkdir = op_mkdir;
	ops->rmdir = op_rmdir;
	ops->unlink = op_unlink;
	ops->rename = op_rename;
	ops->create = op_create;
	ops->mknod = op_mknod;
	ops->symlink = op_symlink;
	ops->link = op_link;
	ops->opendir = op_opendir;
	ops->readdir = op_readdir;
	ops->releasedir = op_releasedir;
	ops->fsyncdir = op_fsyncdir;
	ops->statfs = op_statfs;
	ops->getxattr = op_getxattr;
}

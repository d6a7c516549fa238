/*
 * Open files: open, read, write, flush, fsync, release, poll, lseek and locks.
 */
#include "fusefs/group.h"
#include "fusefs/member.h"
#include "fusefs/session.h"

#include "daemon/base/hash.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>

/*
 * Answers OPEN with the kernel's own struct: libfuse 3.14 does not know FOPEN_STREAM. A file that
 * is opened read-write here is a stream; or one thread's read and another's write of one descriptor
 * would wait for each other's file position.
 */
static void reply_open(struct fs *fs, fuse_req_t req, struct handle *h)
{
	struct fuse_open_out out = { .fh = (uint64_t)(uintptr_t)h, .open_flags = FOPEN_DIRECT_IO };

	if (h->can_read && h->can_write)
		out.open_flags |= FOPEN_STREAM | FOPEN_NONSEEKABLE;
	if (fuse_reply_buf(req, (char *)&out, sizeof(out)))
		handle_free(fs, h);
}

static bool is_text(enum node_kind kind)
{
	return kind != NODE_DATA && kind != NODE_KEY && kind != NODE_STREAM;
}

static bool is_control(enum node_kind kind)
{
	return kind == NODE_CONFIG || kind == NODE_CONTROL || kind == NODE_JOIN ||
	       group_is_control(kind);
}

static const char *gone_text(const struct be_group *g)
{
	return g && g->deleted ? "the group was deleted" : "the topic was deleted";
}

static bool is_gone(const struct handle *h)
{
	return (h->topic && h->topic->deleted) || (h->group && h->group->deleted);
}

/* What this kind of file can be opened for. */
static int check_open(const struct where *w, int flags, const char **ret_why)
{
	bool writes = (flags & O_ACCMODE) != O_RDONLY, reads = (flags & O_ACCMODE) != O_WRONLY;

	if (writes && w->kind == NODE_DATA && (w->node->view.has_at)) {
		*ret_why = "a position is for reading: append to the name without @";
		return -EPERM;
	}
	if (writes && (w->kind == NODE_DATA || w->kind == NODE_KEY) && w->topic->internal) {
		*ret_why = "the broker keeps its own state in this topic: nobody else writes to it";
		return -EPERM;
	}
	if (writes && w->kind == NODE_STREAM) {
		*ret_why = "a group's stream is for reading: records are appended to the topic";
		return -EPERM;
	}
	if (writes && is_text(w->kind) && !is_control(w->kind)) {
		*ret_why = "this file is read only";
		return -EPERM;
	}
	if (reads && !writes && w->kind == NODE_KEY) {
		*ret_why = "by-key is write only: records are read from the partitions";
		return -EPERM;
	}
	if (w->kind == NODE_KEY && !*w->node->name) {
		*ret_why = "a key that no file name can hold goes through all.json";
		return -ENOENT;
	}
	return 0;
}

/* Prepares the handle for what it was opened for. 0 or an errno with why. */
static int begin(struct fs *fs, fuse_req_t req, struct handle *h, const struct where *w,
		 struct be_why *why)
{
	struct be_caller c;

	fs_caller(req, &c);
	h->uid = c.uid;
	if (w->kind == NODE_MEMBER || w->kind == NODE_STREAM)
		c.tgid = handle_tgid(h, c.pid);
	if (w->kind == NODE_STREAM)
		return member_open(fs, h, &c, why);
	if (w->kind == NODE_JOIN && h->can_read && h->can_write) {
		h->mode = READ_JOIN;
		return 0;
	}
	if (is_text(w->kind))
		return h->can_read ? text_open(fs, h, w, &c) : 0;
	if (w->kind == NODE_DATA && h->view.what == VIEW_PARTITION)
		h->part = w->topic->parts[h->view.partition];
	return consume_open(fs, h, why);
}

/*
 * Opens at most OPEN_LOGS logs of a topic from partition *next on, and says whether one is left
 * that nobody has used yet. What fails is told by whoever reads it.
 */
static bool has_logs_left(struct fs *fs, struct be_topic *t, uint32_t *next)
{
	unsigned cnt = 0;
	struct be_why why;

	for (; *next < t->part_cnt; ++*next) {
		if (t->parts[*next]->log)
			continue;
		if (cnt++ == OPEN_LOGS)
			return true;
		if (fs->be.open_log(fs->be.ctx, t->parts[*next], &why))
			continue;
	}
	return false;
}

bool ops_must_open(struct fs *fs, const struct where *w, uint64_t *serial, uint32_t *at)
{
	struct be_topic *t = w->topic;

	if (w->kind == NODE_STATE || w->kind == NODE_LAG)
		return fs->be.group_open_logs(fs->be.ctx, w->group, at, OPEN_LOGS);
	if (w->kind == NODE_STATUS || (w->kind == NODE_DATA && w->node->view.what == VIEW_ALL))
		return has_logs_left(fs, t, at);
	if (w->kind != NODE_PARTITIONS)
		return false;
	t = *serial ? fs->be.topic_by_serial(fs->be.ctx, *serial) : NULL;
	if (!t || t->deleted) {
		t = fs->be.topic_next(fs->be.ctx, "");
		*at = 0;
	}
	while (t) {
		*serial = t->serial;
		if (has_logs_left(fs, t, at))
			return true;
		t = fs->be.topic_next(fs->be.ctx, t->name);
		*at = 0;
	}
	return false;
}

/* Opens what w names, and answers. */
static void open_where(struct fs *fs, fuse_req_t req, const struct where *w, int flags)
{
	struct be_why why = { 0 };
	struct handle *h;
	int r = handle_new(fs, w, flags, &h);

	if (r) {
		fs_refuse(req, r, w, NULL, "no room for one more open file");
		return;
	}
	r = begin(fs, req, h, w, &why);
	if (r) {
		handle_free(fs, h);
		fs_refuse(req, r == -ESTALE ? -EIO : r, w, NULL, "%s",
			  *why.text ? why.text : "the file could not be opened");
		return;
	}
	reply_open(fs, req, h);
}

/* One turn of an open, the first (p is NULL) or a later one. */
static void open_turn(struct fs *fs, fuse_req_t req, fuse_ino_t ino, int flags, struct parked *p)
{
	uint64_t serial = p ? p->off : 0;
	uint32_t at = p ? p->pending : 0;
	const char *text = NULL;
	struct where w;
	int r;

	if (!node_find(fs, ino, &w)) {
		fuse_reply_err(req, ESTALE); /* the kernel looks it up again */
		return;
	}
	/* Here that would be repeated by the kernel: the name is what is missing. */
	if (where_is_gone(&w)) {
		fs_refuse(req, -ENOENT, &w, NULL, "%s", gone_text(w.group));
		return;
	}
	r = check_open(&w, flags, &text);
	if (r) {
		fs_refuse(req, r, &w, NULL, "%s", text);
		return;
	}
	/* Thousands of logs are opened bit by bit, and other requests have their turn. */
	if ((flags & O_ACCMODE) == O_RDONLY && ops_must_open(fs, &w, &serial, &at)) {
		p = park(fs, req, PARK_OPEN, NULL);
		if (!p)
			return;
		p->nodeid = ino;
		p->node = w.node;
		node_hold(fs, p->node);
		p->flags = (unsigned)flags;
		p->off = serial;
		p->pending = at;
		list_put(&fs->again, &p->wait.link);
		return;
	}
	open_where(fs, req, &w, flags);
}

void ops_open_again(struct fs *fs, struct parked *p)
{
	struct parked was = *p;

	p->req = NULL;
	unpark(fs, p);
	open_turn(fs, was.req, was.nodeid, (int)was.flags, &was);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	open_turn(fs_of(req), req, ino, fi->flags, NULL);
}

/* FUSE tells threads; what counts are processes, which are looked up for files that are polled. */
static void remember_reader(struct handle *h, int32_t tid)
{
	if (h->last_reader == tid)
		return;
	h->last_reader = tid;
	h->last_tgid = h->is_polled ? session_tgid(tid) : 0;
}

/* Whether thread tid is of another process than the last reader. */
static bool is_other_reader(struct handle *h, int32_t tid)
{
	h->is_polled = true;
	if (!h->last_reader || h->last_reader == tid)
		return false;
	if (!h->last_tgid)
		h->last_tgid = session_tgid(h->last_reader);
	return session_tgid(tid) != h->last_tgid;
}

static void op_read(fuse_req_t req, fuse_ino_t ino, size_t size, off_t off,
		    struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_of(fi);

	(void)ino;
	remember_reader(h, fuse_req_ctx(req)->pid);
	if (is_gone(h)) {
		fs_refuse_handle(req, -ESTALE, h, "%s", gone_text(h->group));
		return;
	}
	switch (h->mode) {
	case READ_NONE:
		fuse_reply_err(req, EBADF);
		break;
	case READ_TEXT:
		text_read(fs, req, h, size, (uint64_t)off);
		break;
	case READ_ANSWERS:
		produce_answers(fs, req, h, size);
		break;
	case READ_PLAIN:
	case READ_LINES:
	case READ_WINDOW:
	case READ_MEMBER:
	case READ_JOIN:
		consume_read(fs, req, h, size, (uint64_t)off, (unsigned)fi->flags, NULL);
		break;
	}
}

static void write_control(struct fs *fs, fuse_req_t req, fuse_ino_t ino, struct handle *h,
			  const char *data, size_t len)
{
	struct be_why why = { 0 };
	struct be_caller c;
	struct parked *p;
	uint64_t token;
	int r;

	p = park(fs, req, PARK_CHANGE, NULL);
	if (!p)
		return;
	p->is_write = true;
	p->size = len;
	p->nodeid = ino;
	token = (uint64_t)(uintptr_t)p;
	fs_caller(req, &c);
	if (h->kind == NODE_CONFIG)
		r = fs->be.topic_config(fs->be.ctx, h->topic, &c, data, len, token, &why);
	else
		r = fs->be.cluster_control(fs->be.ctx, &c, data, len, token, &why);
	if (r != -EINPROGRESS)
		fs_on_done(fs, token, r, &why);
}

/* The offset is ignored: every write appends. */
static void op_write(fuse_req_t req, fuse_ino_t ino, const char *data, size_t len, off_t off,
		     struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	(void)off;
	if (fs_of(req)->ends)
		fuse_reply_err(req, ENOTCONN);
	else if (is_control(h->kind) && is_gone(h))
		fs_refuse_handle(req, -ESTALE, h, "%s", gone_text(h->group));
	else if (is_control(h->kind) && len > ATOMIC_WRITE_MAX)
		/* The first piece of a longer one is longer than that, too: none of it is applied.
		 */
		fs_refuse_handle(req, -EMSGSIZE, h,
				 "one write to a control file stands alone, and has at most %u "
				 "bytes: the kernel splits longer ones",
				 ATOMIC_WRITE_MAX);
	else if (h->kind == NODE_JOIN)
		group_join_write(fs_of(req), req, h, data, len);
	else if (group_is_control(h->kind))
		group_write(fs_of(req), req, ino, h, data, len, fi->flags);
	else if (is_control(h->kind))
		write_control(fs_of(req), req, ino, h, data, len);
	else
		produce_write(fs_of(req), req, h, data, len, fi->flags);
}

/* One file's locks, whatever node it was opened by. */
static uint64_t lock_key(const struct handle *h)
{
	struct node n = { .name = h->name };
	struct where w = { .kind = h->kind, .topic = h->topic, .group = h->group };

	if (h->topic || h->group)
		w.node = &n;

	return node_ino(&w);
}

/* An owner of fcntl locks that were set through this open file: a process, whose FLUSH ends them,
 * or the open file itself (F_OFD_SETLK), of which only RELEASE tells. 0 or -ENOMEM. */
static int remember_owner(struct handle *h, uint64_t owner)
{
	uint64_t *owners;

	for (unsigned i = 0; i < h->lock_owner_cnt; i++) {
		if (h->lock_owners[i] == owner)
			return 0;
	}
	owners = realloc(h->lock_owners, (h->lock_owner_cnt + 1) * sizeof(*owners));
	if (!owners)
		return -ENOMEM;
	h->lock_owners = owners;
	owners[h->lock_owner_cnt++] = owner;
	return 0;
}

static void drop_owner(struct fs *fs, struct handle *h, uint64_t owner)
{
	lock_drop(fs->locks, lock_key(h), LOCK_SPACE_POSIX, owner);
	for (unsigned i = 0; i < h->lock_owner_cnt; i++) {
		if (h->lock_owners[i] == owner)
			h->lock_owners[i--] = h->lock_owners[--h->lock_owner_cnt];
	}
}

/* Waiting locks that became free are answered. */
static void grant_locks(struct fs *fs)
{
	uint64_t ticket;
	int err;

	while (lock_grant(fs->locks, &ticket, &err)) {
		struct parked *p = (struct parked *)(uintptr_t)ticket;
		fuse_req_t req = p->req;

		ASSERT(p->magic == PARKED_MAGIC && p->kind == PARK_LOCK);
		p->req = NULL;
		fuse_reply_err(req, -err);
		unpark(fs, p);
	}
}

/* Every close of every duplicate: only what waits is asked about, nothing ends (DESIGN 1.2.2). */
static void op_flush(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_of(fi);
	struct be_why why = { 0 };
	int r;

	(void)ino;
	drop_owner(fs, h, fi->lock_owner);
	grant_locks(fs);
	r = h->topic ? produce_check(fs, h, &why) : 0;
	fuse_reply_err(req, -r);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_of(fi);
	struct be_caller c = { .uid = h->uid, .pid = fuse_req_ctx(req)->pid };
	struct be_why why = { 0 };
	int r = produce_close_tail(fs, h, &why);

	(void)ino;
	if (r)
		fs_note(fs, r, &c, h, why.text);
	lock_drop(fs->locks, lock_key(h), LOCK_SPACE_FLOCK, (uint64_t)(uintptr_t)h);
	while (h->lock_owner_cnt)
		drop_owner(fs, h, h->lock_owners[0]);
	grant_locks(fs);
	handle_free(fs, h);
	fuse_reply_err(req, 0);
}

static void op_fsync(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);

	(void)ino;
	(void)datasync;
	if (group_is_control(h->kind) && h->kind != NODE_GROUP_CONFIG)
		group_fsync(fs_of(req), req, h);
	else if (is_text(h->kind) || h->kind == NODE_STREAM)
		fuse_reply_err(req, 0); /* changes are stable when their write returns */
	else
		produce_fsync(fs_of(req), req, h);
}

static void op_poll(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi,
		    struct fuse_pollhandle *ph)
{
	struct fs *fs = fs_of(req);
	struct handle *h = handle_of(fi);
	unsigned revents = h->can_write ? POLLOUT : 0;
	bool other = is_other_reader(h, fuse_req_ctx(req)->pid);

	(void)ino;
	if (consume_ready(fs, h) || (other && h->frontier > 0))
		revents |= h->can_read ? POLLIN : 0;
	/* Also where it is readable now: who asked for edges asks again only when it was told. */
	if (ph && h->can_read && (h->topic || h->mode == READ_MEMBER || h->mode == READ_JOIN)) {
		if (h->poll)
			fuse_pollhandle_destroy(h->poll);
		h->poll = ph;
		list_remove(&h->poll_wait.link);
		list_put(consume_list(h), &h->poll_wait.link);
	} else if (ph) {
		fuse_pollhandle_destroy(ph);
	}
	fuse_reply_poll(req, revents);
}

/* Only SEEK_DATA and SEEK_HOLE come here; the rest the kernel does by itself. */
static void op_lseek(fuse_req_t req, fuse_ino_t ino, off_t off, int whence,
		     struct fuse_file_info *fi)
{
	struct handle *h = handle_of(fi);
	uint64_t pos, end = 0;
	int r;

	(void)ino;
	if (h->mode == READ_TEXT)
		end = h->text_start + h->text.len;
	else if (h->view.is_plain && h->part && h->part->log)
		end = h->part->log->end_pos;
	if (is_gone(h)) {
		fs_refuse_handle(req, -ESTALE, h, "%s", gone_text(h->group));
	} else if (off < 0 || (uint64_t)off >= end) {
		fuse_reply_err(req, ENXIO);
	} else if (whence == SEEK_HOLE) {
		fuse_reply_lseek(req, (off_t)end);
	} else if (h->mode == READ_TEXT) {
		fuse_reply_lseek(req, off);
	} else {
		r = plog_seek_data(h->part->log, (uint64_t)off, &pos);
		if (r)
			fuse_reply_err(req, -r);
		else
			fuse_reply_lseek(req, (off_t)pos);
	}
}

/*
 * Nothing is allocated ahead, and a log is not made longer. Not ENOSYS: of EOPNOTSUPP the C
 * library's posix_fallocate() makes writes of NUL bytes, which would be records.
 */
static void op_fallocate(fuse_req_t req, fuse_ino_t ino, int mode, off_t off, off_t len,
			 struct fuse_file_info *fi)
{
	(void)ino;
	(void)mode;
	(void)off;
	(void)len;
	fs_refuse_handle(req, -EPERM, handle_of(fi),
			 "a log is not allocated ahead; it grows by what is appended");
}

static void on_lock_interrupt(fuse_req_t req, void *data)
{
	struct parked *p = data;
	struct fs *fs = fs_of(req);

	if (p->magic != PARKED_MAGIC || p->req != req)
		return;
	if (!lock_cancel(fs->locks, (uint64_t)(uintptr_t)p))
		return; /* granted: the answer is on its way */
	p->req = NULL;
	fuse_reply_err(req, EINTR);
	unpark(fs, p);
}

/* Sets, removes or waits for a lock. */
static void do_lock(struct fs *fs, fuse_req_t req, struct handle *h, const struct lock *want,
		    bool may_wait)
{
	struct parked *p;
	int r;

	if (!may_wait || want->kind == LOCK_KIND_NONE) {
		r = lock_set(fs->locks, want);
		fuse_reply_err(req, -r);
		grant_locks(fs);
		return;
	}
	p = park(fs, req, PARK_LOCK, h);
	if (!p)
		return;
	r = lock_wait(fs->locks, want, (uint64_t)(uintptr_t)p);
	if (r == -EINPROGRESS) {
		fuse_req_interrupt_func(req, on_lock_interrupt, p);
	} else {
		p->req = NULL;
		unpark(fs, p);
		fuse_reply_err(req, -r);
	}
	grant_locks(fs);
}

static struct lock posix_lock(const struct handle *h, const struct fuse_file_info *fi,
			      const struct flock *lk)
{
	return (struct lock){ .key = lock_key(h),
			      .space = LOCK_SPACE_POSIX,
			      .kind = lk->l_type == F_UNLCK   ? LOCK_KIND_NONE
				      : lk->l_type == F_WRLCK ? LOCK_KIND_EXCLUSIVE
							      : LOCK_KIND_SHARED,
			      .owner = fi->lock_owner,
			      .pid = (uint32_t)lk->l_pid,
			      .start = (uint64_t)lk->l_start,
			      .end = lk->l_len ? (uint64_t)(lk->l_start + lk->l_len - 1)
					       : INT64_MAX };
}

static void op_getlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lk)
{
	struct lock want = posix_lock(handle_of(fi), fi, lk), found;

	(void)ino;
	lock_find(fs_of(req)->locks, &want, &found);
	if (found.kind == LOCK_KIND_NONE) {
		lk->l_type = F_UNLCK;
	} else {
		lk->l_type = found.kind == LOCK_KIND_EXCLUSIVE ? F_WRLCK : F_RDLCK;
		lk->l_start = (off_t)found.start;
		lk->l_len = found.end == INT64_MAX ? 0 : (off_t)(found.end - found.start + 1);
		lk->l_pid = (pid_t)found.pid;
	}
	fuse_reply_lock(req, lk);
}

static void op_setlk(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, struct flock *lk,
		     int sleep)
{
	struct lock want = posix_lock(handle_of(fi), fi, lk);

	(void)ino;
	if (want.kind != LOCK_KIND_NONE && remember_owner(handle_of(fi), want.owner)) {
		fuse_reply_err(req, ENOLCK);
		return;
	}
	do_lock(fs_of(req), req, handle_of(fi), &want, sleep);
}

static void op_flock(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi, int op)
{
	struct handle *h = handle_of(fi);
	struct lock want = { .key = lock_key(h),
			     .space = LOCK_SPACE_FLOCK,
			     .owner = (uint64_t)(uintptr_t)h };

	(void)ino;
	want.kind = (op & ~LOCK_NB) == LOCK_UN	 ? LOCK_KIND_NONE
		    : (op & ~LOCK_NB) == LOCK_EX ? LOCK_KIND_EXCLUSIVE
						 : LOCK_KIND_SHARED;
	do_lock(fs_of(req), req, h, &want, !(op & LOCK_NB));
}

void ops_set_files(struct fuse_lowlevel_ops *ops)
{
	ops->open = op_open;
	ops->read = op_read;
	ops->write = op_write;
	ops->flush = op_flush;
	ops->release = op_release;
	ops->fsync = op_fsync;
	ops->poll = op_poll;
	ops->lseek = op_lseek;
	ops->fallocate = op_fallocate;
	ops->getlk = op_getlk;
	ops->setlk = op_setlk;
	ops->flock = op_flock;
}

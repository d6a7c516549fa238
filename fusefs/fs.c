#include "fusefs/group.h"
#include "fusefs/member.h"

#include "daemon/base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

void topic_ref(struct be_topic *t)
{
	if (t)
		t->refs++;
}

void group_ref(struct be_group *g)
{
	if (g)
		g->refs++;
}

void fs_caller(fuse_req_t req, struct be_caller *ret)
{
	const struct fuse_ctx *ctx = fuse_req_ctx(req);

	*ret = (struct be_caller){ .uid = ctx->uid, .gid = ctx->gid, .pid = ctx->pid };
}

void fs_refuse(fuse_req_t req, int err, const struct where *w, const char *child, const char *fmt,
	       ...)
{
	struct fs *fs = fs_of(req);
	struct be_caller c;
	char path[600], text[512];
	va_list ap;

	PRE(err < 0);
	fs_caller(req, &c);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	node_path(w, child, path, sizeof(path));
	errors_put(fs->errors, fs->be.now_ms(fs->be.ctx), err, c.uid, (uint32_t)c.pid, path, text);
	fuse_reply_err(req, -err);
}

void fs_refuse_handle(fuse_req_t req, int err, const struct handle *h, const char *fmt, ...)
{
	struct fs *fs = fs_of(req);
	struct be_caller c;
	char text[512];
	va_list ap;

	PRE(err < 0);
	fs_caller(req, &c);
	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fs_note(fs, err, &c, h, text);
	fuse_reply_err(req, -err);
}

void fs_tell(struct fs *fs, int err, uint32_t uid, const char *path, const char *sentence)
{
	errors_put(fs->errors, fs->be.now_ms(fs->be.ctx), err, uid, 0, path, sentence);
}

void fs_note(struct fs *fs, int err, const struct be_caller *c, const struct handle *h,
	     const char *sentence)
{
	char path[600];

	handle_path(h, path, sizeof(path));
	errors_put(fs->errors, fs->be.now_ms(fs->be.ctx), err, c->uid, (uint32_t)c->pid, path,
		   sentence);
}

const char *fs_log_fault(const struct be_partition *part, int err)
{
	if (err == -EIO && part->log && *part->log->fault)
		return part->log->fault;
	return log_errno_name(err);
}

struct parked *park(struct fs *fs, fuse_req_t req, enum park_kind kind, struct handle *h)
{
	struct parked *p;

	if (!list_is_empty(&fs->free_parked)) {
		p = LIST_ENTRY(fs->free_parked.next, struct parked, link);
		list_remove(&p->link);
	} else if (fs->parked_cnt < PARKED_CNT_MAX && (p = malloc(sizeof(*p)))) {
		fs->parked_cnt++;
	} else {
		fuse_reply_err(req, ENOMEM);
		return NULL;
	}
	memset(p, 0, sizeof(*p));
	p->magic = PARKED_MAGIC;
	p->kind = kind;
	p->req = req;
	p->h = h;
	list_init(&p->wait.link);
	list_init(&p->link);
	list_put(h ? &h->parked : &fs->changes, &p->link);
	return p;
}

void unpark(struct fs *fs, struct parked *p)
{
	PRE(p->magic == PARKED_MAGIC && !p->req);
	node_unhold(fs, p->node);
	list_remove(&p->wait.link);
	list_remove(&p->link);
	p->magic = 0;
	list_put(&fs->free_parked, &p->link);
}

/* Everything on the list is taken off first: who has to wait again joins the new one. */
void fs_wake_list(struct fs *fs, struct list *waiting)
{
	struct list now;

	if (list_is_empty(waiting))
		return;
	now = *waiting;
	now.next->prev = now.prev->next = &now;
	list_init(waiting);
	while (!list_is_empty(&now)) {
		struct waiter *w = LIST_ENTRY(now.next, struct waiter, link);

		list_remove(&w->link);
		if (w->is_poll) {
			struct handle *h = CONTAINER_OF(w, struct handle, poll_wait);
			struct fuse_pollhandle *ph = h->poll;

			h->poll = NULL;
			if (ph) {
				fuse_lowlevel_notify_poll(ph);
				fuse_pollhandle_destroy(ph);
			}
		} else {
			struct parked *p = CONTAINER_OF(w, struct parked, wait);

			ASSERT(p->magic == PARKED_MAGIC &&
			       (p->kind == PARK_DATA || p->kind == PARK_OPEN));
			if (p->kind == PARK_OPEN)
				ops_open_again(fs, p);
			else
				consume_read(fs, p->req, p->h, p->size, p->off, p->flags, p);
		}
	}
}

void fs_wake(struct fs *fs, struct be_partition *part)
{
	fs_wake_list(fs, &part->waiting);
	fs_wake_list(fs, &part->topic->waiting);
	member_wake_feeds(fs, part, false);
}

/* Who waits there goes on in fs_step(): the caller is in the middle of something. */
static void wake_later(struct fs *fs, struct list *waiting)
{
	while (!list_is_empty(waiting)) {
		struct list *l = waiting->next;

		list_remove(l);
		list_put(&fs->again, l);
	}
}

void fs_wake_later(struct fs *fs, struct be_partition *part)
{
	wake_later(fs, &part->waiting);
	wake_later(fs, &part->topic->waiting);
	member_wake_feeds(fs, part, false);
}

void fs_on_member(struct fs *fs, void *owner)
{
	struct handle *h = owner;

	PRE(h->magic == HANDLE_MAGIC);
	wake_later(fs, &h->waiting);
}

void fs_on_group_deleted(struct fs *fs, struct be_group *g)
{
	LIST_FOREACH(pos, &fs->handles) {
		struct handle *h = LIST_ENTRY(pos, struct handle, link);

		if (h->group == g)
			wake_later(fs, &h->waiting);
	}
}

bool fs_has_more(const struct fs *fs)
{
	return !list_is_empty(&fs->again);
}

int64_t fs_idle(struct fs *fs)
{
	if (list_is_empty(&fs->owing))
		return INT64_MAX;
	member_flush_all(fs);
	return 0;
}

bool fs_step(struct fs *fs)
{
	if (!list_is_empty(&fs->owing) && fs->be.now_ms(fs->be.ctx) != fs->owing_ms)
		member_flush_all(fs);
	if (!fs_has_more(fs))
		return false;
	fs_wake_list(fs, &fs->again);
	return true;
}

static void done_sync(struct fs *fs, struct parked *p, int err, const struct be_why *why)
{
	fuse_req_t req = p->req;

	if (err && !p->err)
		p->err = err;
	if (--p->pending)
		return;
	p->req = NULL;
	if (p->err)
		fs_refuse_handle(req, p->err, p->h, "%s",
				 why && *why->text ? why->text
						   : "the sync failed; the outcome is unknown");
	else if (p->is_write)
		fuse_reply_write(req, p->size);
	else
		fuse_reply_err(req, 0);
	unpark(fs, p);
}

static void done_change(struct fs *fs, struct parked *p, int err, const struct be_why *why)
{
	struct where w;
	fuse_req_t req = p->req;

	if (err) {
		p->req = NULL;
		if (!node_find(fs, p->nodeid, &w))
			w = (struct where){ .kind = NODE_ROOT };
		fs_refuse(req, err, &w, *p->name ? p->name : NULL, "%s",
			  why && *why->text ? why->text : "the change failed");
	} else if (p->syncs) {
		group_sync_parked(fs, p);
		return;
	} else if (p->is_mkdir) {
		ops_mkdir_done(fs, p);
		p->req = NULL;
	} else {
		p->req = NULL;
		if (p->is_write) {
			fuse_reply_write(req, p->size);
		} else if (p->flags) { /* a setattr: it answers with the attributes */
			struct stat st;

			if (node_find(fs, p->nodeid, &w)) {
				fs_attr(fs, &w, fuse_req_ctx(req)->uid, &st);
				fuse_reply_attr(req, &st, 0);
			} else {
				fuse_reply_err(req, ESTALE);
			}
		} else {
			fuse_reply_err(req, 0);
		}
	}
	unpark(fs, p);
}

void fs_on_done(struct fs *fs, uint64_t token, int err, const struct be_why *why)
{
	struct parked *p = (struct parked *)(uintptr_t)token;

	PRE(p && p->magic == PARKED_MAGIC);
	switch (p->kind) {
	case PARK_SYNC:
		done_sync(fs, p, err, why);
		break;
	case PARK_CHANGE:
		done_change(fs, p, err, why);
		break;
	case PARK_WARM:
		if (!p->req) { /* interrupted meanwhile */
			unpark(fs, p);
			break;
		}
		p->kind = PARK_DATA;
		p->tries++;
		consume_read(fs, p->req, p->h, p->size, p->off, p->flags, p);
		break;
	case PARK_DATA:
	case PARK_LOCK:
	case PARK_OPEN:
		ASSERT(!"no token is given for these");
	}
}

void fs_on_topic_deleted(struct fs *fs, struct be_topic *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		fs_wake_list(fs, &t->parts[i]->waiting);
		LIST_FOREACH(pos, &t->parts[i]->feeds)
			wake_later(fs, &member_of_feed(pos)->waiting);
	}
	fs_wake_list(fs, &t->waiting);
}

static void shutdown_handle(struct fs *fs, struct handle *h)
{
	struct be_caller nobody = { .uid = h->uid };
	struct be_why why = { 0 };
	int r = produce_close_tail(fs, h, &why);

	if (r)
		fs_note(fs, r, &nobody, h, why.text);
	LIST_FOREACH_SAFE(pos, tmp, &h->parked) {
		struct parked *p = LIST_ENTRY(pos, struct parked, link);

		/* What waits for a sync is answered by it; the rest is told that the mount ends. */
		if (p->kind == PARK_DATA || p->kind == PARK_LOCK) {
			/* Who holds the lock may let go of it before the end. */
			if (p->kind == PARK_LOCK && !lock_cancel(fs->locks, (uint64_t)(uintptr_t)p))
				ASSERT(!"a lock that is granted is answered at once");
			fuse_reply_err(p->req, ENOTCONN);
			p->req = NULL;
			unpark(fs, p);
		}
	}
}

void fs_shutdown(struct fs *fs)
{
	fs->ends = true;
	LIST_FOREACH_SAFE(pos, tmp, &fs->handles)
		shutdown_handle(fs, LIST_ENTRY(pos, struct handle, link));
	LIST_FOREACH_SAFE(pos, tmp, &fs->changes) {
		struct parked *p = LIST_ENTRY(pos, struct parked, link);

		if (p->kind != PARK_OPEN)
			continue;
		fuse_reply_err(p->req, ENOTCONN);
		p->req = NULL;
		unpark(fs, p);
	}
}

int fs_init(struct fs *fs, const struct backend *be, struct disk *disk)
{
	*fs = (struct fs){ .be = *be, .disk = disk };
	list_init(&fs->handles);
	list_init(&fs->idle_nodes);
	list_init(&fs->changes);
	list_init(&fs->listings);
	list_init(&fs->again);
	list_init(&fs->owing);
	list_init(&fs->free_parked);
	fs->born_ms = be->now_ms(be->ctx);
	fs->scratch = malloc(SCRATCH_LEN);
	fs->errors = errors_new();
	fs->locks = lock_new(LOCK_CNT_MAX);
	if (fs->scratch && fs->errors && fs->locks)
		return 0;
	fs_fini(fs);
	return -ENOMEM;
}

void fs_fini(struct fs *fs)
{
	LIST_FOREACH_SAFE(pos, tmp, &fs->handles) {
		struct handle *h = LIST_ENTRY(pos, struct handle, link);

		LIST_FOREACH_SAFE(pp, ptmp, &h->parked) {
			struct parked *p = LIST_ENTRY(pp, struct parked, link);

			if (p->req)
				fuse_reply_err(p->req, ENOTCONN);
			p->req = NULL;
			unpark(fs, p);
		}
		handle_free(fs, h);
	}
	LIST_FOREACH_SAFE(pos, tmp, &fs->changes) {
		struct parked *p = LIST_ENTRY(pos, struct parked, link);

		if (p->req)
			fuse_reply_err(p->req, ENOTCONN);
		p->req = NULL;
		unpark(fs, p);
	}
	ops_free_listings(fs);
	node_fini(fs);
	LIST_FOREACH_SAFE(pos, tmp, &fs->free_parked)
		free(LIST_ENTRY(pos, struct parked, link));
	errors_free(fs->errors);
	lock_free(fs->locks);
	free(fs->scratch);
	fs->scratch = NULL;
}

/*
 * Control files of a group. In commit, seek, reject, config and offsets/T/P each write stands
 * alone, and is applied whole or not at all. `join` is a conversation: requests are written, and
 * each read gives the line of one generation, which it waits for.
 */
#include "fusefs/group.h"
#include "fusefs/member.h"

#include <errno.h>
#include <fcntl.h>

bool group_is_control(enum node_kind kind)
{
	return kind == NODE_COMMIT || kind == NODE_SEEK || kind == NODE_REJECT ||
	       kind == NODE_OFFSET || kind == NODE_GROUP_CONFIG;
}

int group_fill(struct fs *fs, const struct where *w, const struct be_caller *c, struct buf *out)
{
	void *ctx = fs->be.ctx;

	switch (w->kind) {
	case NODE_GROUP_CONFIG:
		return fs->be.group_text(ctx, BE_TEXT_GROUP_CONFIG, w->group, out);
	case NODE_STATE:
		return fs->be.group_text(ctx, BE_TEXT_GROUP_STATE, w->group, out);
	case NODE_LAG:
		return fs->be.group_text(ctx, BE_TEXT_GROUP_LAG, w->group, out);
	case NODE_MEMBER:
		return fs->be.member_text(ctx, w->group, w->node->name, c, out);
	case NODE_OFFSET:
		return fs->be.offset_text(ctx, w->group, w->topic, w->node->view.partition, out);
	default: /* commit, seek, reject, and join where it is not read-write */
		return 0;
	}
}

static enum be_group_file file_of(enum node_kind kind)
{
	switch (kind) {
	case NODE_SEEK:
		return BE_GROUP_SEEK;
	case NODE_REJECT:
		return BE_GROUP_REJECT;
	case NODE_OFFSET:
		return BE_GROUP_OFFSET;
	default:
		PRE(kind == NODE_COMMIT);
		return BE_GROUP_COMMIT;
	}
}

void group_write(struct fs *fs, fuse_req_t req, fuse_ino_t ino, struct handle *h, const char *data,
		 size_t len, int flags)
{
	struct parked *p = park(fs, req, PARK_CHANGE, h);
	uint64_t token = (uint64_t)(uintptr_t)p;
	struct be_why why = { 0 };
	struct be_caller c;
	int r;

	if (!p)
		return;
	p->is_write = true;
	p->size = len;
	p->nodeid = ino;
	member_flush_all(fs);
	fs_caller(req, &c);
	if (h->kind == NODE_GROUP_CONFIG) {
		r = fs->be.group_config(fs->be.ctx, h->group, &c, data, len, token, &why);
	} else {
		p->syncs = flags & (O_SYNC | O_DSYNC);
		c.tgid = handle_tgid(h, c.pid);
		r = fs->be.group_write(fs->be.ctx, h->group, file_of(h->kind), &c, h->topic,
				       h->view.partition, data, len, token, &why);
	}
	if (r != -EINPROGRESS)
		fs_on_done(fs, token, r, &why);
}

void group_sync_parked(struct fs *fs, struct parked *p)
{
	uint64_t token = (uint64_t)(uintptr_t)p;
	int r;

	PRE(p->h && p->h->group);
	p->kind = PARK_SYNC;
	p->syncs = false;
	r = fs->be.group_fsync(fs->be.ctx, p->h->group, token);
	p->pending = r == -EINPROGRESS ? 2 : 1;
	if (r && r != -EINPROGRESS)
		p->err = r;
	fs_on_done(fs, token, 0, NULL);
}

void group_fsync(struct fs *fs, fuse_req_t req, struct handle *h)
{
	struct parked *p = park(fs, req, PARK_SYNC, h);

	if (!p)
		return;
	/* What was dealt with before is committed before. */
	member_flush_all(fs);
	group_sync_parked(fs, p);
}

void group_join_write(struct fs *fs, fuse_req_t req, struct handle *h, const char *data, size_t len)
{
	struct be_why why = { 0 };
	struct be_caller c;
	int r;

	fs_caller(req, &c);
	c.tgid = handle_tgid(h, c.pid);
	r = fs->be.member_join(fs->be.ctx, h->group, data, len, &c, h, &h->member, &why);
	if (r)
		fs_refuse_handle(req, r, h, "%s", *why.text ? why.text : "the request was refused");
	else
		fuse_reply_write(req, len);
}

/* Gives what of the line is still to be given. */
static void give_line(fuse_req_t req, struct handle *h, size_t size)
{
	size_t len = MIN(size, h->answers.len - h->answers_given);
	const char *line = (const char *)h->answers.data + h->answers_given;

	h->answers_given += len;
	fuse_reply_buf(req, line, len);
}

void group_join_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, unsigned flags,
		     struct parked *p)
{
	struct be_why why = { 0 };
	int r = 0;

	if (h->answers_given < h->answers.len) {
		consume_unpark(fs, p);
		give_line(req, h, size);
		return;
	}
	if (!h->member) {
		consume_fail(fs, req, h, p, -EINVAL,
			     "nothing is joined yet: write a request first, topics=A,B or "
			     "pattern=REGEX");
		return;
	}
	buf_reset(&h->answers);
	h->answers_given = 0;
	r = fs->be.member_begin(fs->be.ctx, h->member, handle_tgid(h, fuse_req_ctx(req)->pid),
				&why);
	if (!r)
		r = fs->be.member_line(fs->be.ctx, h->member, &h->answers);
	if (r == -ENOMSG) {
		consume_wait(fs, req, h, size, 0, flags, p);
		return;
	}
	if (r) {
		consume_fail(fs, req, h, p, r, *why.text ? why.text : "the read failed");
	} else {
		consume_unpark(fs, p);
		give_line(req, h, size);
	}
	member_read_ends(fs, h);
}

bool group_join_ready(struct fs *fs, const struct handle *h)
{
	if (h->answers_given < h->answers.len)
		return true;
	/* Who asks before it has joined is told when there is a line. */
	return h->member && (fs->be.member_refuses(fs->be.ctx, h->member) ||
			     fs->be.member_has_line(fs->be.ctx, h->member));
}

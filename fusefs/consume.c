/*
 * Reading by bytes (DESIGN 1.3): the plain file, and streams and ranges of one partition in lines.
 * Both are stretches of .data, answered by splice where they are long.
 *
 * Positions of a stream are not those of the plain file. A handle keeps *runs*: from stream
 * position s on, the plain file's position is p + (pos - s). A new run begins where a gap was
 * passed. What was given keeps its positions; the segments behind the last MiB are held, so that
 * retention takes nothing from under a reader.
 *
 *      runs[0]            runs[1]              frontier
 *   s: |------------------|--------------------|          seek back: any position from runs[0] on
 *   p: 100 ....       (gap) 900 ...
 *
 * A segment that cleaning replaces under a handle that holds it is read to its end by that handle:
 * a record half read is whole, and what was given can be given again.
 */
#include "fusefs/answer.h"
#include "fusefs/group.h"
#include "fusefs/member.h"

#include "daemon/base/log.h"
#include "daemon/store/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

void consume_unpark(struct fs *fs, struct parked *p)
{
	if (!p)
		return;
	p->req = NULL;
	unpark(fs, p);
}

void consume_fail(struct fs *fs, fuse_req_t req, struct handle *h, struct parked *p, int err,
		  const char *sentence)
{
	consume_unpark(fs, p);
	if (err == -EAGAIN || err == -EINTR)
		fuse_reply_err(req, -err);
	else
		fs_refuse_handle(req, err, h, "%s", sentence);
}

static void on_interrupt(fuse_req_t req, void *data)
{
	struct parked *p = data;
	struct fs *fs = fs_of(req);

	if (p->magic != PARKED_MAGIC || p->req != req)
		return;
	p->req = NULL;
	fuse_reply_err(req, EINTR);
	if (p->kind != PARK_WARM) {
		struct handle *h = p->h;

		unpark(fs, p);
		member_interrupted(fs, h);
		return;
	}
	/* One that waits for pages is freed when they come; its handle may go before. */
	list_remove(&p->link);
	list_put(&fs->changes, &p->link);
	p->h = NULL;
}

struct list *consume_list(struct handle *h)
{
	if (h->mode == READ_MEMBER || h->mode == READ_JOIN)
		return &h->waiting;
	return h->part ? &h->part->waiting : &h->topic->waiting;
}

static struct parked *park_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size,
				uint64_t off, unsigned flags, struct parked *p, enum park_kind kind)
{
	bool is_new = !p;

	if (is_new)
		p = park(fs, req, kind, h);
	if (!p)
		return NULL;
	p->kind = kind;
	p->size = size;
	p->off = off;
	p->flags = flags;
	if (is_new)
		fuse_req_interrupt_func(req, on_interrupt, p);
	return p;
}

void consume_wait(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		  unsigned flags, struct parked *p)
{
	if (flags & O_NONBLOCK) {
		consume_fail(fs, req, h, p, -EAGAIN, "");
		return;
	}
	if (!p && fuse_req_interrupted(req)) {
		fuse_reply_err(req, EINTR);
		member_interrupted(fs, h);
		return;
	}
	p = park_read(fs, req, h, size, off, flags, p, PARK_DATA);
	if (!p || !p->req) /* an interrupt that had come already */
		return;
	p->tries = 0;
	list_put(consume_list(h), &p->wait.link);
	if (h->member)
		fs->be.member_waits(fs->be.ctx, h->member);
}

void consume_warm(struct fs *fs, fuse_req_t req, struct handle *h, struct plog *log, size_t size,
		  uint64_t off, unsigned flags, struct parked *p)
{
	int r;

	p = park_read(fs, req, h, size, off, flags, p, PARK_WARM);
	if (p && !p->req)
		unpark(fs, p);
	if (!p || !p->req)
		return;
	r = fs->be.warm(fs->be.ctx, log, (uint64_t)(uintptr_t)p);
	if (r == -EINPROGRESS)
		return;
	p->tries = WARM_TRIES_MAX;
	fs_on_done(fs, (uint64_t)(uintptr_t)p, 0, NULL);
}

void consume_again(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		   unsigned flags, struct parked *p)
{
	p = park_read(fs, req, h, size, off, flags, p, PARK_DATA);
	if (p && p->req)
		list_put(&fs->again, &p->wait.link);
}

int consume_position(struct plog *log, const struct position *pos, int64_t *ret_offset)
{
	int64_t cnt;

	switch (pos->kind) {
	case POSITION_EARLIEST:
		*ret_offset = log->start_offset;
		return 0;
	case POSITION_NONE:
	case POSITION_LATEST:
		*ret_offset = log->next_offset;
		return 0;
	case POSITION_OFFSET:
		*ret_offset = pos->value;
		return 0;
	case POSITION_LAST_N:
		return plog_back(log, log->next_offset, pos->value, ret_offset, &cnt);
	case POSITION_TIME_MS:
		return plog_time_to_offset(log, pos->value, ret_offset);
	}
	return -EINVAL;
}

static void run_begin(struct handle *h, uint64_t plain_pos)
{
	if (h->run_cnt == RUN_CNT_MAX) {
		memmove(h->runs, h->runs + 1, sizeof(h->runs[0]) * (RUN_CNT_MAX - 1));
		h->run_cnt--;
	}
	h->runs[h->run_cnt++] = (struct run){ h->frontier, plain_pos };
}

/*
 * The first position of a lines stream. 0, -EAGAIN (cold), -ENODATA (not written yet), -ESTALE once
 * (retention removed it), or another errno.
 */
static int resolve(struct handle *h)
{
	struct plog *log = h->part->log;
	uint64_t plain;
	int64_t off;
	int r = consume_position(log, &h->from, &off);

	if (r)
		return r;
	if (off < log->start_offset) {
		h->from = (struct position){ .kind = POSITION_EARLIEST };
		return -ESTALE;
	}
	if (off > log->next_offset ||
	    (off == log->next_offset && h->from.kind == POSITION_TIME_MS && !h->is_range))
		return -ENODATA;
	r = plog_offset_to_pos(log, off, &plain);
	if (r)
		return r;
	run_begin(h, plain);
	h->resolved = true;
	return 0;
}

static int open_lines(struct handle *h)
{
	struct plog *log = h->part->log;
	int64_t from = 0, to = log->next_offset;
	int r;

	h->mode = READ_LINES;
	h->from = h->view.from;
	h->is_range = h->view.is_range;
	/* Both ends of a range, and every position that is relative to now, are fixed here. */
	if (h->is_range && h->view.to.kind != POSITION_NONE) {
		r = consume_position(log, &h->view.to, &to);
		if (r)
			return r;
		to = MIN(to, log->next_offset);
	}
	if (h->is_range || h->from.kind != POSITION_OFFSET) {
		r = consume_position(log, &h->from, &from);
		if (r)
			return r;
		if (h->is_range || h->from.kind != POSITION_TIME_MS || from < log->next_offset)
			h->from = (struct position){ POSITION_OFFSET, from };
	}
	if (h->is_range) {
		to = MAX(to, log->start_offset);
		r = plog_offset_to_pos(log, to, &h->end_plain);
		if (r)
			return r;
		if (from >= to)
			h->from = (struct position){ POSITION_OFFSET, to };
	}
	r = resolve(h);
	if (r == -ESTALE) {
		h->stale_due = true;
		return 0;
	}
	return r == -ENODATA ? 0 : r;
}

int consume_open(struct fs *fs, struct handle *h, struct be_why *why)
{
	int r;

	if (!h->can_read)
		return 0;
	if (h->can_write || h->kind == NODE_KEY) {
		h->mode = READ_ANSWERS;
		return 0;
	}
	if (h->part) {
		r = h->part->log ? 0 : fs->be.open_log(fs->be.ctx, h->part, why);
		if (r)
			return r;
	}
	if (h->view.is_plain) {
		h->mode = READ_PLAIN;
		return 0;
	}
	if (h->view.format != VIEW_LINES || h->view.what == VIEW_ALL)
		return window_open(fs, h, why);
	r = open_lines(h);
	if (r)
		snprintf(why->text, sizeof(why->text), "%s", fs_log_fault(h->part, r));
	return r;
}

void consume_close(struct fs *fs, struct handle *h)
{
	(void)fs;
	for (unsigned i = 0; i < ARRAY_CNT(h->held); i++) {
		if (h->held[i])
			segment_unhold(h->held[i]);
		h->held[i] = NULL;
	}
	window_close(h);
}

/* The segment being read and the one before it stay, whatever retention does. */
static void hold(struct handle *h, struct segment *seg)
{
	if (h->held[0] == seg)
		return;
	if (h->held[1])
		segment_unhold(h->held[1]);
	h->held[1] = h->held[0];
	h->held[0] = seg;
	segment_hold(seg);
}

/*
 * After the answer: holding one segment may let go the last ref of another that retention removed,
 * whose descriptor is then closed.
 */
static void hold_all(struct handle *h, const struct answer *a)
{
	for (unsigned i = 0; i < a->cnt; i++) {
		if (!a->zero_len[i])
			segment_ref(a->extents[i].seg);
	}
	for (unsigned i = 0; i < a->cnt; i++) {
		if (a->zero_len[i])
			continue;
		hold(h, a->extents[i].seg);
		segment_unref(a->extents[i].seg);
	}
}

/* What stands at pos in a segment that was replaced since this handle read in it. */
static int add_held(struct handle *h, struct answer *a, uint64_t pos, size_t max)
{
	for (unsigned i = 0; i < ARRAY_CNT(h->held); i++) {
		struct plog_extent *e = &a->extents[a->cnt];
		int r = h->held[i] ? plog_extent_held(h->held[i], pos, max, e) : -ENXIO;

		if (r == -ENXIO)
			continue;
		if (r)
			return r;
		a->zero_len[a->cnt++] = 0;
		a->len += e->len;
		return 0;
	}
	return -ENXIO;
}

static void finish(struct fs *fs, fuse_req_t req, struct handle *h, struct parked *p,
		   struct answer *a, uint64_t plain_end, size_t size, uint64_t off, unsigned flags)
{
	bool copy = answer_is_short(fs, a);
	int r = 0;

	if (!(p && p->tries >= WARM_TRIES_MAX) && !answer_is_warm(fs, a, h->part->log, plain_end))
		r = -EAGAIN;
	if (!r && copy)
		r = answer_copy(fs, a);
	if (r == -EAGAIN) {
		consume_warm(fs, req, h, h->part->log, size, off, flags, p);
		return;
	}
	if (r) {
		consume_fail(fs, req, h, p, r, fs_log_fault(h->part, r));
		return;
	}
	h->part->bytes_out += a->len;
	if (off <= h->frontier && h->run_cnt)
		h->frontier = MAX(h->frontier, off + a->len);
	consume_unpark(fs, p);
	answer_send(fs, req, a, copy);
	hold_all(h, a);
}

/* Where stream position off lies in the plain file, and how far that run goes. False: not held. */
static bool translate(const struct handle *h, uint64_t off, uint64_t *ret_plain, uint64_t *ret_left)
{
	for (unsigned i = h->run_cnt; i-- > 0;) {
		if (off < h->runs[i].stream_pos)
			continue;
		*ret_plain = h->runs[i].plain_pos + (off - h->runs[i].stream_pos);
		*ret_left = i + 1 < h->run_cnt ? h->runs[i + 1].stream_pos - off : UINT64_MAX;
		return true;
	}
	return false;
}

/* At the frontier a gap lies ahead: what compaction removed is passed over. */
static void pass_gap(struct handle *h, uint64_t next)
{
	if (h->run_cnt && h->runs[h->run_cnt - 1].stream_pos == h->frontier)
		h->run_cnt--;
	run_begin(h, next);
}

/*
 * A read at a stream's position. Gathers extents up to size, a gap, the range's end, or the end of
 * the log. 0: the answer may be empty (end). -ESTALE, -ESPIPE, -EAGAIN, -EIO.
 */
static int gather_stream(struct handle *h, struct answer *a, size_t size, uint64_t off,
			 uint64_t *ret_plain)
{
	uint64_t plain, left, next;
	int r;

	while (translate(h, off + a->len, &plain, &left)) {
		size_t max = (size_t)MIN(left, size - a->len);

		*ret_plain = plain;
		if (h->is_range)
			max = (size_t)MIN(max, h->end_plain - MIN(plain, h->end_plain));
		if (!max)
			return 0;
		r = answer_add(a, h->part->log, plain, max, &next);
		if (r == -ENXIO)
			r = add_held(h, a, plain, max);
		if (!r)
			continue;
		if (a->len || r == -ENODATA || r == -E2BIG)
			return 0;
		if (r != -ENXIO && r != -ESTALE)
			return r;
		if (off != h->frontier)
			return -ESPIPE;
		pass_gap(h, next);
		if (r == -ESTALE)
			return r;
	}
	return a->len ? 0 : -ESPIPE;
}

/* A true position of the plain file: holes read as zeros. */
static int gather_plain(struct handle *h, struct answer *a, size_t size, uint64_t off)
{
	while (a->len < size && a->cnt < ANSWER_EXTENT_CNT_MAX) {
		uint64_t next, pos = off + a->len;
		int r = answer_add(a, h->part->log, pos, size - a->len, &next);

		if (r == -ENODATA)
			return 0;
		if (r == -ENXIO || r == -ESTALE) {
			answer_add_hole(a, (size_t)MIN(next - pos, size - a->len));
			continue;
		}
		if (r)
			return a->len ? 0 : r;
	}
	return 0;
}

static void read_plain(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		       unsigned flags, struct parked *p)
{
	struct answer a = { 0 };
	uint64_t plain = off;
	int r;

	if (!h->begun) {
		h->begun = true;
		h->streaming = off == 0;
		if (h->streaming)
			run_begin(h, h->part->log->start_pos);
	}
	if (h->streaming && off <= h->frontier)
		r = gather_stream(h, &a, size, off, &plain);
	else
		r = gather_plain(h, &a, size, off);
	if (r == -ESPIPE)
		r = gather_plain(h, &a, size, off);
	if (r == -EAGAIN) {
		consume_warm(fs, req, h, h->part->log, size, off, flags, p);
	} else if (r) {
		consume_fail(fs, req, h, p, r,
			     r == -ESTALE ? "retention removed what came next; the next read goes "
					    "on at the oldest record"
					  : fs_log_fault(h->part, r));
	} else if (!a.cnt) {
		consume_unpark(fs, p);
		fuse_reply_buf(req, NULL, 0);
	} else {
		finish(fs, req, h, p, &a, plain + a.len, size, off, flags);
	}
}

static const char stale_text[] =
	"retention removed the asked record; the next read goes on at the oldest one";

static void read_lines(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		       unsigned flags, struct parked *p)
{
	struct answer a = { 0 };
	uint64_t plain = 0;
	int r = 0;

	size = MIN(size, (size_t)STREAM_ANSWER_MAX);
	if (off > h->frontier) {
		consume_fail(fs, req, h, p, -ESPIPE,
			     "a stream was read where the handle has not been");
		return;
	}
	if (h->stale_due) {
		h->stale_due = false;
		consume_fail(fs, req, h, p, -ESTALE, stale_text);
		return;
	}
	if (!h->resolved)
		r = resolve(h);
	if (!r)
		r = gather_stream(h, &a, size, off, &plain);
	if (r == -EAGAIN) {
		consume_warm(fs, req, h, h->part->log, size, off, flags, p);
	} else if (r == -ENODATA || (!r && !a.cnt && !h->is_range)) {
		consume_wait(fs, req, h, size, off, flags, p);
	} else if (r) {
		consume_fail(fs, req, h, p, r,
			     r == -ESTALE   ? stale_text
			     : r == -ESPIPE ? "the stream was read where the handle no longer is"
					    : fs_log_fault(h->part, r));
	} else if (!a.cnt) {
		consume_unpark(fs, p);
		fuse_reply_buf(req, NULL, 0);
	} else {
		finish(fs, req, h, p, &a, plain, size, off, flags);
	}
}

void consume_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		  unsigned flags, struct parked *p)
{
	bool was = fs->disk->nowait; /* one read may wake another */

	fs->reads++;
	if (h->topic && h->topic->deleted) {
		consume_fail(fs, req, h, p, -ESTALE, "the topic was deleted");
		return;
	}
	if (h->group && h->group->deleted) {
		consume_fail(fs, req, h, p, -ESTALE, "the group was deleted");
		return;
	}
	fs->disk->nowait = !(p && p->tries >= WARM_TRIES_MAX);
	if (h->mode == READ_PLAIN)
		read_plain(fs, req, h, MIN(size, (size_t)FUSE_WRITE_MAX), off, flags, p);
	else if (h->mode == READ_LINES)
		read_lines(fs, req, h, size, off, flags, p);
	else if (h->mode == READ_MEMBER)
		member_read(fs, req, h, size, off, flags, p);
	else if (h->mode == READ_JOIN)
		group_join_read(fs, req, h, size, flags, p);
	else
		window_read(fs, req, h, size, off, flags, p);
	fs->disk->nowait = was;
}

bool consume_ready(struct fs *fs, struct handle *h)
{
	uint64_t plain, left;
	struct plog *log;

	if ((h->topic && h->topic->deleted) || (h->group && h->group->deleted))
		return true;
	switch (h->mode) {
	case READ_NONE:
	case READ_TEXT:
	case READ_PLAIN:
		return true;
	case READ_ANSWERS:
		return produce_answers_len(h) > 0 || h->answers_lost;
	case READ_WINDOW:
		return window_ready(fs, h);
	case READ_MEMBER:
		return member_ready(fs, h);
	case READ_JOIN:
		return group_join_ready(fs, h);
	case READ_LINES:
		break;
	}
	log = h->part->log;
	if (h->is_range || h->stale_due)
		return true;
	if (!h->resolved) {
		int64_t off;

		return consume_position(log, &h->from, &off) || off < log->next_offset;
	}
	return !translate(h, h->frontier, &plain, &left) || plain < log->end_pos;
}

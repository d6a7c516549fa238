/*
 * A group's stream by records: json and msg. What is given is rendered into the window, h->text, as
 * window.c does, but never ahead of what is given: only of a record that is longer than the answer
 * the rest stands there. Each record is a span.
 */
#include "fusefs/member.h"

#include "daemon/base/log.h"

#include <errno.h>
#include <stdio.h>

/* What was rendered for one answer. */
struct rendered {
	size_t text_len; /* before */
	uint32_t cnt;
	int64_t off, to;
};

static void take_back(struct take *t, const struct rendered *rd)
{
	struct handle *h = t->h;

	for (uint32_t i = 0; i < rd->cnt; i++)
		span_drop_last(t->fs, h->stream);
	h->text.len = rd->text_len;
	h->text.err = 0;
}

/* One record more. 0; -ENOSPC: it does not fit beside those that are there already. */
static int render(struct take *t, struct give *g, const struct record *rec, struct rendered *rd)
{
	struct handle *h = t->h;
	size_t len = h->text.len;
	struct span sp = {
		.start = h->text_start + len, .g = g, .from = rec->offset, .to = rec->offset + 1
	};

	if (span_reserve(h->stream, 1))
		return -ENOMEM;
	window_render(&h->text, h->view.format, g->part, rec);
	if (buf_err(&h->text)) {
		/* What was rendered of it is not to be given with those before it. */
		h->text.len = len;
		h->text.err = 0;
		return -ENOMEM;
	}
	if (rd->cnt && h->text.len - rd->text_len > t->size) {
		h->text.len = len;
		return -ENOSPC;
	}
	sp.end = h->text_start + h->text.len;
	span_put(h->stream, &sp);
	if (!rd->cnt++)
		rd->off = rec->offset;
	rd->to = rec->offset + 1;
	return 0;
}

/* Records of one partition, up to the answer's size or the limit. What fails behind the first is
 * met by the next read. */
static int render_all(struct take *t, struct give *g, struct rendered *rd)
{
	int64_t limit = t->h->view.format == VIEW_MSG ? 1 : member_limit(t->h);
	struct plog *log = g->part->log;
	int64_t next = g->next;
	int r = 0;

	while (!r && (!limit || rd->cnt < limit) && t->h->text.len - rd->text_len < t->size) {
		const struct batch *b;
		int64_t i;

		r = plog_batch(log, next, &b);
		if (r)
			break;
		i = MAX(next - b->head.base_offset, 0);
		for (; !r && i < b->head.cnt && (!limit || rd->cnt < limit); i++)
			r = render(t, g, &b->recs[i], rd);
		next = rd->to;
	}
	return rd->cnt ? 0 : r;
}

static void answer(struct take *t, size_t len)
{
	struct handle *h = t->h;

	consume_unpark(t->fs, t->p);
	h->frontier = MAX(h->frontier, t->off + len);
	fuse_reply_buf(t->req, (char *)h->text.data + (t->off - h->text_start), len);
}

int records_give(struct take *t, struct give *g)
{
	struct handle *h = t->h;
	struct rendered rd = { .text_len = h->text.len };
	size_t len;
	int r = render_all(t, g, &rd);

	g->has_pos = false;
	len = h->text.len - rd.text_len;
	if (!r && h->view.format == VIEW_MSG && len > t->size)
		r = -EMSGSIZE;
	if (!r)
		r = member_give(t, g, rd.off, rd.to);
	if (r)
		take_back(t, &rd);
	if (r > 0) /* set aside */
		g->next = rd.to;
	if (r == -ESTALE && g->next < g->part->log->start_offset)
		return member_overtaken(t, g);
	if (r == -ENODATA) { /* what remains are gaps */
		g->next = g->part->log->next_offset;
		return 1;
	}
	if (r < 0 && r != -EAGAIN && r != -EMSGSIZE && !*t->why.text)
		snprintf(t->why.text, sizeof(t->why.text), "%s", fs_log_fault(g->part, r));
	if (r)
		return r;
	g->next = rd.to;
	g->part->bytes_out += len;
	if (!len)
		return -ENODATA;
	answer(t, MIN(len, t->size));
	return 0;
}

int records_old(struct take *t)
{
	struct handle *h = t->h;
	const struct stream *s = h->stream;
	uint64_t end = h->text_start + h->text.len;

	if (h->view.format == VIEW_MSG) {
		uint32_t i = span_find(s, t->off);

		if (i == s->span_cnt || s->spans[i].start != t->off)
			return -ESPIPE;
		end = s->spans[i].end;
		if (end - t->off > t->size)
			return -EMSGSIZE;
	}
	answer(t, (size_t)MIN(end - t->off, t->size));
	return 0;
}

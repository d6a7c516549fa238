/*
 * What a stream of a group has given: spans, and the gives that they name. See member.h.
 */
#include "fusefs/member.h"

#include "daemon/store/segment.h"

#include <errno.h>
#include <stdlib.h>

/* Of records that are hardly longer than nothing, fewer than a window's worth are kept. */
#define SPAN_CNT_MAX 65536U
/* Answers that follow each other in one segment are one span up to this length. */
#define SPAN_JOIN_MAX (64 * KIB)

void give_lost(struct give *g)
{
	g->held = false;
	list_remove(&g->feed);
}

void give_unref(struct fs *fs, struct stream *s, struct give *g)
{
	if (g->held || g->spans || s->half == g)
		return;
	fs->be.topic_unref(fs->be.ctx, g->part->topic);
	free(g);
}

int span_reserve(struct stream *s, uint32_t cnt)
{
	uint32_t cap = MAX(s->span_cap, 16U);
	struct span *spans;

	while (cap - s->span_cnt < cnt)
		cap *= 2;
	if (cap == s->span_cap)
		return 0;
	spans = realloc(s->spans, cap * sizeof(*spans));
	if (!spans)
		return -ENOMEM;
	s->spans = spans;
	s->span_cap = cap;
	return 0;
}

/* Whether sp goes on where the last one ends, and the two may be one. */
static bool goes_on(const struct span *last, const struct span *sp)
{
	return sp->seg && last->g == sp->g && last->seg == sp->seg && !last->is_void &&
	       last->end == sp->start && last->plain + (last->end - last->start) == sp->plain &&
	       !last->is_vague && !sp->is_from_vague && !sp->is_vague && last->to == sp->from &&
	       last->to > last->from && sp->to > sp->from && sp->end - last->start <= SPAN_JOIN_MAX;
}

void span_put(struct stream *s, const struct span *sp)
{
	struct span *last = s->span_cnt ? &s->spans[s->span_cnt - 1] : NULL;

	PRE(s->span_cnt < s->span_cap);
	PRE(!last || last->end == sp->start);
	if (last && goes_on(last, sp)) {
		last->end = sp->end;
		last->to = sp->to;
		s->dealt_cnt = MIN(s->dealt_cnt, s->span_cnt - 1);
		return;
	}
	s->spans[s->span_cnt++] = *sp;
	sp->g->spans++;
	if (sp->seg)
		segment_hold(sp->seg);
}

static void drop(struct fs *fs, struct stream *s, struct span *sp)
{
	segment_unhold(sp->seg);
	sp->g->spans--;
	give_unref(fs, s, sp->g);
}

void span_drop_last(struct fs *fs, struct stream *s)
{
	PRE(s->span_cnt > 0);
	drop(fs, s, &s->spans[--s->span_cnt]);
	s->dealt_cnt = MIN(s->dealt_cnt, s->span_cnt);
}

uint32_t span_find(const struct stream *s, uint64_t off)
{
	uint32_t lo = 0, hi = s->span_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (s->spans[mid].start <= off)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo ? lo - 1 : s->span_cnt;
}

/* Where the window begins to be cut, and how many spans go: a half of them at once, so that moving
 * the others costs little. */
void span_cut(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;
	bool is_text = h->view.format != VIEW_LINES, over = s->span_cnt >= SPAN_CNT_MAX;
	uint64_t start;
	uint32_t k = 0;

	if (is_text && !over && h->frontier - h->text_start < 2 * STREAM_WINDOW_BYTES)
		return;
	while (k < s->dealt_cnt && (s->spans[k].end + STREAM_WINDOW_BYTES <= h->frontier ||
				    (over && k < SPAN_CNT_MAX / 2)))
		k++;
	if (!k || (!is_text && k < s->span_cnt - k))
		return;
	for (uint32_t i = 0; i < k; i++)
		drop(fs, s, &s->spans[i]);
	s->span_cnt -= k;
	s->dealt_cnt -= k;
	memmove(s->spans, s->spans + k, s->span_cnt * sizeof(*s->spans));
	if (!is_text)
		return;
	start = s->span_cnt ? s->spans[0].start : h->frontier;
	buf_consume(&h->text, (size_t)(start - h->text_start));
	h->text_start = start;
}

int give_resolve(struct give *g)
{
	int r;

	if (!g->is_vague)
		return 0;
	r = plog_pos_to_offset(g->part->log, g->pos, &g->next);
	if (!r)
		g->is_vague = false;
	return r;
}

static void list_owing(struct fs *fs, struct stream *s)
{
	if (list_is_empty(&fs->owing))
		fs->owing_ms = fs->be.now_ms(fs->be.ctx);
	list_remove(&s->owing);
	list_put(&fs->owing, &s->owing);
}

static void tell(struct fs *fs, struct handle *h, struct give *g, int64_t to)
{
	if (!g || !g->held || to <= g->told)
		return;
	g->told = to;
	g->is_late = !g->leaving && !h->group->counts_deliveries;
	if (g->is_late)
		list_owing(fs, h->stream);
	else
		fs->be.member_dealt(fs->be.ctx, h->member, g->part, to);
}

void member_tell(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;

	if (list_is_empty(&s->owing))
		return;
	for (unsigned i = 0; i < s->held_cnt; i++) {
		struct give *g = s->held[i];

		if (g->is_late)
			fs->be.member_dealt(fs->be.ctx, h->member, g->part, g->told);
		g->is_late = false;
	}
}

/* The first record of a span of lines that does not end at or before stream position off; in doubt
 * an earlier one. */
static int64_t record_at(const struct span *sp, uint64_t off)
{
	struct plog *log = sp->g->part->log;
	int64_t o;

	/* What retention has removed meanwhile counts as not dealt with. */
	if (!sp->seg || !log || plog_pos_to_offset(log, sp->plain + (off - sp->start), &o))
		return sp->from;
	return MAX(o, sp->from);
}

/* What is owed to the broker about a span that ends vaguely. */
static void owe(struct fs *fs, struct stream *s, const struct span *sp)
{
	struct give *g = sp->g;

	g->has_dealt = sp->is_vague && g->held;
	g->dealt_pos = sp->plain + (sp->end - sp->start);
	if (!g->has_dealt)
		return;
	list_owing(fs, s);
}

static void flush(struct fs *fs, struct handle *h, struct give *g)
{
	struct be_why why;
	int64_t off;

	g->has_dealt = false;
	if (!g->held || !g->part->log || plog_pos_to_offset(g->part->log, g->dealt_pos, &off))
		return;
	if (h->stream->half == g) {
		g->next = MAX(g->next, off);
	} else if (g->has_pos && g->pos == g->dealt_pos) {
		g->next = off;
		g->is_vague = false;
		/* It is known now how much was given; to commit it is not asked for. */
		if (fs->be.member_given(fs->be.ctx, h->member, g->part, off, &why))
			return;
	}
	tell(fs, h, g, off);
}

void member_flush(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;

	if (list_is_empty(&s->owing))
		return;
	for (unsigned i = 0; i < s->held_cnt; i++) {
		if (s->held[i]->has_dealt)
			flush(fs, h, s->held[i]);
	}
	member_tell(fs, h);
	list_remove(&s->owing);
}

void member_flush_all(struct fs *fs)
{
	while (!list_is_empty(&fs->owing))
		member_flush(fs, LIST_ENTRY(fs->owing.next, struct stream, owing)->h);
}

void span_deal(struct fs *fs, struct handle *h, uint64_t off)
{
	struct stream *s = h->stream;
	struct give *g = NULL;
	int64_t to = -1;

	for (; s->dealt_cnt < s->span_cnt; s->dealt_cnt++) {
		struct span *sp = &s->spans[s->dealt_cnt];

		if (sp->end > off && sp->start >= off)
			break;
		if (!sp->is_void) {
			if (sp->g != g)
				tell(fs, h, g, to);
			g = sp->g;
			to = sp->end <= off ? sp->to : record_at(sp, off);
			if (sp->end <= off)
				owe(fs, s, sp);
		}
		if (sp->end > off)
			break;
	}
	tell(fs, h, g, to);
}

/* A partition that lies behind the position gives its records again, from `from` on. */
static void give_back(struct give *g, int64_t from)
{
	if (!g->held || g->seek_to >= 0)
		return;
	g->next = from;
	g->has_pos = g->is_vague = false;
}

void span_seek(struct fs *fs, struct handle *h, uint64_t off)
{
	struct stream *s = h->stream;
	bool back = off < h->frontier;

	while (s->span_cnt) {
		struct span *sp = &s->spans[s->span_cnt - 1];
		int64_t from = sp->is_from_vague ? record_at(sp, sp->start) : sp->from;

		/* The rest of a record of another partition is given to its end. */
		if (sp->end <= off || (!back && sp->g->seek_to < 0))
			break;
		if (sp->start >= off) {
			give_back(sp->g, from);
			span_drop_last(fs, s);
			continue;
		}
		from = record_at(sp, off);
		give_back(sp->g, from);
		sp->end = off;
		sp->to = from;
		sp->is_vague = false;
		break;
	}
	if (h->view.format != VIEW_LINES && (!s->span_cnt || s->spans[s->span_cnt - 1].end <= off))
		h->text.len = (size_t)(off - h->text_start);
	if (s->half && (back || s->half->seek_to >= 0)) {
		struct give *g = s->half;

		s->half = NULL;
		give_unref(fs, s, g);
	}
	for (unsigned i = 0; i < s->held_cnt; i++) {
		struct give *g = s->held[i];

		if (g->seek_to < 0)
			continue;
		g->next = g->told = g->counted = g->seek_to;
		g->positioned = true;
		g->has_pos = g->is_vague = g->has_dealt = false;
		g->seek_to = -1;
	}
	h->frontier = off;
	s->sought = false;
}

/*
 * A group's stream in lines: stretches of .data, as streams of one partition have them
 * (consume.c), cut at the ends of records.
 */
#include "fusefs/member.h"

#include "daemon/base/log.h"
#include "daemon/store/segment.h"

#include <errno.h>
#include <stdio.h>

/* An answer to be: what is gathered, and which records it is. */
struct piece {
	struct answer a;
	struct give *g;
	struct plog *log;
	uint64_t pos, end;  /* in the plain file */
	uint64_t limit_pos; /* no more than up to here */
	int64_t off, to;    /* records; `to` is behind the last one */
	int64_t limit_off;  /* the record at limit_pos */
	bool is_half, is_copied;
};

static int fault(struct take *t, const struct give *g, int r)
{
	if (r < 0 && r != -EAGAIN && !*t->why.text)
		snprintf(t->why.text, sizeof(t->why.text), "%s", fs_log_fault(g->part, r));
	return r;
}

/* Bytes of the plain file from pos up to end, at most size: until a gap, or there are too many
 * stretches. As plog_extent() where there are none. */
static int gather(struct answer *a, struct plog *log, uint64_t pos, uint64_t end, size_t size,
		  uint64_t *ret_next)
{
	int r = 0;

	while (!r && a->len < size && pos + a->len < end)
		r = answer_add(a, log, pos + a->len,
			       (size_t)MIN(size - a->len, end - (pos + a->len)), ret_next);
	return a->len ? 0 : r;
}

/* Has its bytes at hand, so that nothing fails any more once the records count as given. */
static int prepare(struct take *t, struct answer *a, struct plog *log, uint64_t end,
		   bool *ret_copied)
{
	*ret_copied = answer_is_short(t->fs, a);
	if (!(t->p && t->p->tries >= WARM_TRIES_MAX) && !answer_is_warm(t->fs, a, log, end))
		return -EAGAIN;
	return *ret_copied ? answer_copy(t->fs, a) : 0;
}

static void reply(struct take *t, const struct answer *a, bool copied)
{
	consume_unpark(t->fs, t->p);
	t->h->frontier = MAX(t->h->frontier, t->off + a->len);
	answer_send(t->fs, t->req, a, copied);
}

/* The spans of what is about to be sent, one for each segment. */
static void put_spans(struct take *t, const struct piece *pc, int64_t from, int64_t to)
{
	uint64_t plain = pc->pos, at = t->off;

	for (unsigned i = 0; i < pc->a.cnt; i++) {
		const struct plog_extent *e = &pc->a.extents[i];
		struct span sp = { .start = at,
				   .end = at + e->len,
				   .g = pc->g,
				   .from = from,
				   .to = to,
				   .plain = plain,
				   .seg = e->seg };

		/* Between two of them a record ends, or it is all one record. */
		if (i + 1 < pc->a.cnt && plog_pos_to_offset(pc->log, plain + e->len, &sp.to))
			sp.to = from;
		span_put(t->h->stream, &sp);
		from = sp.to;
		plain += e->len;
		at += e->len;
	}
	pc->g->part->bytes_out += pc->a.len;
}

static int find_limit(struct take *t, struct piece *pc)
{
	int64_t n = member_limit(t->h);

	pc->limit_pos = UINT64_MAX;
	if (!n)
		return 0;
	pc->limit_off = n < pc->log->next_offset - pc->off ? pc->off + n : pc->log->next_offset;
	return plog_offset_to_pos(pc->log, pc->limit_off, &pc->limit_pos);
}

/* Where the partition's next record stands. 1: it has none. */
static int find_next(struct take *t, struct piece *pc)
{
	struct give *g = pc->g;
	int r = g->has_pos ? 0 : plog_offset_to_pos(pc->log, g->next, &g->pos);

	/* A delivery is counted for a record that is there. */
	if (!r && t->h->group->counts_deliveries)
		r = plog_pos_to_offset(pc->log, g->pos, &g->next);
	if (r)
		return r;
	g->has_pos = true;
	pc->pos = g->pos;
	pc->off = g->next;
	return g->next < pc->log->next_offset ? find_limit(t, pc) : 1;
}

/* The end of a record that is longer than the answer. */
static int find_half_end(struct piece *pc, uint64_t *ret_end)
{
	const struct batch *b;
	int64_t i;
	int r = plog_batch(pc->log, pc->off, &b);

	if (r)
		return r;
	i = MAX(pc->off - b->head.base_offset, 0);
	*ret_end = b->head.plain_pos + b->value_pos[i + 1];
	pc->off = b->head.base_offset + i;
	pc->to = pc->off + 1;
	return 0;
}

/* Cuts what was gathered at the end of a record. */
static int cut(struct piece *pc, uint64_t *ret_half_end)
{
	int r;

	pc->end = pc->pos + pc->a.len;
	if (pc->end == pc->limit_pos) {
		pc->to = pc->limit_off;
		return 0;
	}
	r = plog_cut(pc->log, pc->pos, pc->off, pc->end, &pc->end, &pc->to);
	if (r)
		return r;
	pc->is_half = pc->end == pc->pos;
	if (pc->is_half) {
		pc->end += pc->a.len;
		return find_half_end(pc, ret_half_end);
	}
	answer_cut(&pc->a, (size_t)(pc->end - pc->pos));
	return 0;
}

/* Nothing stands at the partition's position. 1: it goes on behind the gap, or another does. */
static int pass_gap(struct take *t, struct piece *pc, int r, uint64_t next)
{
	struct give *g = pc->g;

	if (r == -ESTALE)
		return member_overtaken(t, g);
	if (r == -ENODATA) {
		g->next = pc->log->next_offset;
		return 1;
	}
	if (r != -ENXIO)
		return fault(t, g, r);
	r = plog_pos_to_offset(pc->log, next, &g->next);
	if (r)
		return fault(t, g, r);
	g->pos = next;
	return 1;
}

int lines_give(struct take *t, struct give *g)
{
	struct piece pc = { .g = g, .log = g->part->log };
	struct stream *s = t->h->stream;
	uint64_t next = 0, half_end = 0;
	int r = find_next(t, &pc);

	if (r)
		return fault(t, g, r);
	r = gather(&pc.a, pc.log, pc.pos, pc.limit_pos, t->size, &next);
	if (r)
		return pass_gap(t, &pc, r, next);
	r = cut(&pc, &half_end);
	if (!r)
		r = prepare(t, &pc.a, pc.log, pc.end, &pc.is_copied);
	if (!r)
		r = span_reserve(s, pc.a.cnt);
	if (r)
		return fault(t, g, r);
	r = member_give(t, g, pc.off, pc.to);
	if (r > 0) { /* set aside: limit_off is the one behind it */
		g->next = pc.limit_off;
		g->pos = pc.limit_pos;
	}
	if (r)
		return r;
	put_spans(t, &pc, pc.off, pc.is_half ? pc.off : pc.to);
	g->next = pc.to;
	g->pos = pc.end;
	if (pc.is_half) {
		s->half = g;
		s->half_off = pc.off;
		s->half_pos = pc.end;
		g->pos = s->half_end = half_end;
	}
	reply(t, &pc.a, pc.is_copied);
	return 0;
}

int lines_half(struct take *t)
{
	struct stream *s = t->h->stream;
	struct give *g = s->half;
	struct piece pc = { .g = g, .log = g->part->log, .pos = s->half_pos };
	uint64_t next;
	int r = pc.log ? 0 : -ESTALE;

	if (!r)
		r = gather(&pc.a, pc.log, pc.pos, s->half_end, t->size, &next);
	pc.end = pc.pos + pc.a.len;
	if (!r)
		r = prepare(t, &pc.a, pc.log, pc.end, &pc.is_copied);
	if (!r)
		r = span_reserve(s, pc.a.cnt);
	if (r == -ENXIO || r == -ENODATA || r == -ESTALE) {
		s->half = NULL;
		give_unref(t->fs, s, g);
		snprintf(t->why.text, sizeof(t->why.text),
			 "the rest of the record that was begun is gone");
		return -ESTALE;
	}
	if (r)
		return fault(t, g, r);
	/* Only with its last byte the record is given. */
	put_spans(t, &pc, s->half_off, pc.end < s->half_end ? s->half_off : s->half_off + 1);
	s->half_pos = pc.end;
	if (pc.end == s->half_end)
		s->half = NULL;
	reply(t, &pc.a, pc.is_copied);
	return 0;
}

int lines_old(struct take *t)
{
	const struct stream *s = t->h->stream;
	struct answer a = { 0 };
	struct plog *log = NULL;
	uint64_t end = 0;
	bool copied;
	int r = 0;

	for (uint32_t i = span_find(s, t->off); i < s->span_cnt && a.len < t->size; i++) {
		const struct span *sp = &s->spans[i];
		uint64_t skip = t->off + a.len - sp->start, next;
		size_t before = a.len;

		log = sp->g->part->log;
		if (!log)
			break;
		end = sp->plain + (sp->end - sp->start);
		r = 0;
		while (!r && a.len < t->size && skip + (a.len - before) < sp->end - sp->start)
			r = answer_add(&a, log, sp->plain + skip + (a.len - before),
				       (size_t)MIN(t->size - a.len,
						   sp->end - sp->start - skip - (a.len - before)),
				       &next);
		if (r)
			break;
	}
	if (!a.len)
		return r == -EAGAIN || r == -EIO ? r : -ESPIPE;
	r = prepare(t, &a, log, end, &copied);
	if (r)
		return r;
	reply(t, &a, copied);
	return 0;
}

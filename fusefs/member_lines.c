/*
 * A group's stream in lines: stretches of .data, as streams of one partition have them
 * (consume.c), cut at the ends of records.
 */
#include "fusefs/member.h"

#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/store/segment.h"

#include <errno.h>
#include <stdio.h>

/* So much of a long answer's end is looked at for a newline. */
#define PEEK_LEN (4 * KIB)

/* What `cat` and its like ask for. Such an answer may end within a record: answers that begin and
 * end with pages are copied faster, and there are fewer of them. Of longer ones there are few
 * anyhow. */
#define OPEN_LEN_MIN (128 * KIB)
#define OPEN_LEN_MAX (256 * KIB)

/* An answer to be: what is gathered, and which records it is. */
struct piece {
	struct answer a;
	struct give *g;
	struct plog *log;
	uint64_t pos, end;  /* in the plain file */
	int64_t off, to;    /* records; `to` is behind the last one */
	int64_t given;	    /* the same, or behind the batch where is_vague */
	uint64_t limit_pos; /* no more than up to here */
	int64_t limit_off;  /* the record at limit_pos */
	uint64_t half_end;  /* is_half: of the record */
	bool is_half, is_copied;
	bool is_vague; /* the record at `end` is `to` or a later one */
	bool is_open;  /* and `end` may be within it */
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
				   .is_from_vague = pc->g->is_vague,
				   .plain = plain,
				   .seg = e->seg };

		/* Between two of them a record ends, or it is all one record. */
		if (i + 1 < pc->a.cnt && plog_pos_to_offset(pc->log, plain + e->len, &sp.to))
			sp.to = from;
		sp.is_vague = i + 1 == pc->a.cnt && pc->is_vague;
		span_put(t->h->stream, &sp);
		from = sp.to;
		plain += e->len;
		at += e->len;
	}
	pc->g->part->bytes_out += pc->a.len;
}

/* Whether the answer's records have to be known one by one. */
static bool is_exact(const struct handle *h)
{
	return member_limit(h) || h->group->commits_on_read;
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

	if (!r && is_exact(t->h))
		r = give_resolve(g);
	/* A delivery is counted for a record that is there. */
	if (!r && t->h->group->counts_deliveries)
		r = plog_pos_to_offset(pc->log, g->pos, &g->next);
	if (r)
		return r;
	g->has_pos = true;
	pc->pos = g->pos;
	pc->off = g->next;
	return g->pos < pc->log->end_pos ? find_limit(t, pc) : 1;
}

/* The end of a record that is longer than the answer. */
static int find_half_end(struct piece *pc)
{
	const struct batch *b;
	int64_t i;
	int r = give_resolve(pc->g);

	pc->off = pc->g->next;
	if (!r)
		r = plog_batch(pc->log, pc->off, &b);
	if (r)
		return r;
	i = MAX(pc->off - b->head.base_offset, 0);
	pc->half_end = b->head.plain_pos + b->value_pos[i + 1];
	pc->off = b->head.base_offset + i;
	pc->given = pc->to = pc->off + 1;
	pc->is_half = true;
	return 0;
}

/* Looks for the last newline in the bytes of the answer from `skip` on that are in memory, which
 * are its last len. Returns how many bytes of the answer end with it; 0: there is none. */
static size_t last_line(const struct piece *pc, const uint8_t *bytes, size_t len, size_t skip)
{
	size_t first = pc->a.len - len;
	const uint8_t *nl;

	if (skip > first) {
		bytes += skip - first;
		len -= skip - first;
		first = skip;
	}
	nl = memrchr(bytes, '\n', len);
	return nl ? first + (size_t)(nl - bytes) + 1 : 0;
}

/* The answer ends within a batch of lines: at a newline. Short answers are read anyhow, so that
 * their records are counted; of long ones only the end is looked at. */
static int cut_lines(struct take *t, struct piece *pc, const struct plog_cut *c)
{
	struct answer *a = &pc->a;
	size_t skip = (size_t)(c->pos - pc->pos), len = 0, n = MIN(a->len - skip, PEEK_LEN);
	bool is_known = c->pos > pc->pos || !pc->g->is_vague;
	struct plog_extent e = a->extents[a->cnt - 1];
	int r = 0;

	if (!is_exact(t->h) && !answer_is_short(t->fs, a) && n <= e.len) {
		e.file_pos += e.len - n;
		e.len = n;
		t->fs->copied.len = 0;
		r = plog_extent_read(pc->log, &e, t->fs->scratch);
		if (r)
			return r;
		len = last_line(pc, t->fs->scratch, n, skip);
		is_known = false;
	}
	if (!len) {
		is_known = c->pos > pc->pos || !pc->g->is_vague;
		r = answer_copy(t->fs, a);
		if (r)
			return r;
		len = last_line(pc, t->fs->scratch, a->len, skip);
	}
	pc->to = c->off;
	if (!len) /* no line ends in it: cut where the batch begins, or it is a half */
		len = skip;
	else if (is_known)
		pc->to += (int64_t)hash_newline_cnt(t->fs->scratch + skip, len - skip);
	pc->is_vague = !is_known && len > skip;
	pc->given = pc->is_vague ? c->end_off : pc->to;
	if (!len)
		return find_half_end(pc);
	answer_cut(a, len);
	return 0;
}

/* Whether the answer may end anywhere: the next one goes on there, since it can be of no other
 * partition. */
static bool may_be_open(struct take *t, const struct piece *pc)
{
	return pc->a.len == t->size && t->size >= OPEN_LEN_MIN && t->size <= OPEN_LEN_MAX &&
	       !is_exact(t->h) && t->h->stream->held_cnt == 1 &&
	       pc->pos + pc->a.len < pc->log->end_pos;
}

/* Cuts what was gathered at the end of a record. */
static int cut(struct take *t, struct piece *pc)
{
	uint64_t end = pc->pos + pc->a.len;
	struct plog_cut c;
	int r;

	if (may_be_open(t, pc)) {
		pc->to = pc->off;
		pc->given = pc->log->next_offset;
		pc->is_vague = pc->is_open = true;
		return 0;
	}
	if (end == pc->limit_pos) {
		pc->given = pc->to = pc->limit_off;
		return 0;
	}
	r = plog_cut(pc->log, pc->pos, pc->off, end, &c);
	if (r)
		return r;
	if (c.is_lines)
		return cut_lines(t, pc, &c);
	if (c.pos == pc->pos)
		return find_half_end(pc);
	pc->given = pc->to = c.off;
	answer_cut(&pc->a, (size_t)(c.pos - pc->pos));
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
		g->is_vague = false;
		return 1;
	}
	if (r != -ENXIO)
		return fault(t, g, r);
	r = plog_pos_to_offset(pc->log, next, &g->next);
	if (r)
		return fault(t, g, r);
	g->pos = next;
	g->is_vague = false;
	return 1;
}

static void count(struct give *g, int64_t to)
{
	if (to > g->counted) {
		g->part->records_out += (uint64_t)(to - g->counted);
		g->counted = to;
	}
}

int lines_give(struct take *t, struct give *g)
{
	struct piece pc = { .g = g, .log = g->part->log };
	struct stream *s = t->h->stream;
	uint64_t next = 0;
	int r = find_next(t, &pc);

	if (r > 0) { /* what remains has no bytes */
		g->next = pc.log->next_offset;
		g->is_vague = false;
	}
	if (r)
		return fault(t, g, r);
	r = gather(&pc.a, pc.log, pc.pos, pc.limit_pos, t->size, &next);
	if (r)
		return pass_gap(t, &pc, r, next);
	r = cut(t, &pc);
	pc.end = pc.pos + pc.a.len;
	if (!r)
		r = prepare(t, &pc.a, pc.log, pc.end, &pc.is_copied);
	if (!r)
		r = span_reserve(s, pc.a.cnt);
	if (r)
		return fault(t, g, r);
	r = member_give(t, g, pc.off, pc.given);
	if (r > 0) { /* set aside: limit_off is the one behind it */
		g->next = pc.limit_off;
		g->pos = pc.limit_pos;
	}
	if (r)
		return r;
	put_spans(t, &pc, pc.off, pc.is_half ? pc.off : pc.to);
	count(g, pc.to);
	g->next = pc.to;
	g->pos = pc.end;
	g->is_vague = pc.is_vague;
	s->half = pc.is_half || pc.is_open ? g : NULL;
	s->half_end = 0;
	if (pc.is_half) {
		s->half_off = pc.off;
		s->half_pos = pc.end;
		g->pos = s->half_end = pc.half_end;
	}
	reply(t, &pc.a, pc.is_copied);
	return 0;
}

/* The rest of the record that was begun is not to be had any more. */
static int half_is_gone(struct take *t)
{
	struct give *g = t->h->stream->half;

	t->h->stream->half = NULL;
	give_unref(t->fs, t->h->stream, g);
	snprintf(t->why.text, sizeof(t->why.text), "the rest of the record that was begun is gone");
	return -ESTALE;
}

/*
 * The same where retention has removed the record: only its bytes are left, which the stream refers
 * to. It ends with its line, and which record it is counts no more: `next` is that or one before.
 */
static int close_gone(struct take *t)
{
	struct stream *s = t->h->stream;
	struct give *g = s->half;
	struct plog *log = g->part->log;
	uint64_t pos = g->pos - 1, next;
	const char *nl = NULL;
	char buf[PEEK_LEN];
	struct plog_extent e;

	while (!nl) {
		int r = plog_extent(log, pos, sizeof(buf), &e, &next);

		if (!r)
			r = plog_extent_read(log, &e, buf);
		if (r == -ESTALE || r == -ENXIO || r == -ENODATA)
			return half_is_gone(t);
		if (r)
			return fault(t, g, r);
		nl = memchr(buf, '\n', e.len);
		pos += nl ? (uint64_t)(nl - buf) + 1 : e.len;
	}
	if (pos == g->pos) {
		s->half = NULL;
		give_unref(t->fs, s, g);
		return 0;
	}
	s->half_off = g->next;
	s->half_pos = g->pos;
	g->pos = s->half_end = pos;
	return 0;
}

int lines_close(struct take *t)
{
	struct stream *s = t->h->stream;
	struct give *g = s->half;
	struct plog *log = g->part->log;
	const struct batch *b;
	uint64_t begin, end;
	int64_t off, i;
	int r;

	if (log && g->pos < log->start_pos)
		return close_gone(t);
	r = log ? plog_pos_to_offset(log, g->pos, &off) : -ESTALE;
	if (!r)
		r = plog_batch(log, off, &b);
	if (r == -ENODATA || r == -ESTALE)
		return half_is_gone(t);
	if (r)
		return fault(t, g, r);
	i = MAX(off - b->head.base_offset, 0);
	begin = b->head.plain_pos + b->value_pos[i];
	end = b->head.plain_pos + b->value_pos[i + 1];
	off = b->head.base_offset + i;
	g->is_vague = false;
	g->next = off;
	s->half = NULL;
	if (begin < g->pos) {
		s->half = g;
		s->half_off = off;
		s->half_pos = g->pos;
		g->pos = s->half_end = end;
		g->next = off + 1;
	}
	/* It is known now how much was given, or is to be in any case. */
	if (g->held)
		r = t->fs->be.member_given(t->fs->be.ctx, t->h->member, g->part, g->next, &t->why);
	if (!s->half)
		give_unref(t->fs, s, g);
	return r;
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
	if (r == -ENXIO || r == -ENODATA || r == -ESTALE)
		return half_is_gone(t);
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

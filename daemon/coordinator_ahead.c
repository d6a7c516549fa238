/*
 * Writes to commit and seek that are about thousands of logs. To open one may take the device, and
 * to find a time in it takes some reads: a write that needs more of that than one turn may take is
 * prepared in turns, and each goes on where the one before ended. Then it is tried as any other,
 * from its begin, with what was found.
 *
 * Nothing is held meanwhile. What was found counts by topic and partition, in the order in which
 * the write asks; where a topic was deleted, made again or grown since, the rest is found anew.
 */
#include "daemon/coordinator_impl.h"

#include "daemon/groups/request.h"

#include <errno.h>
#include <stdlib.h>

/* Lines and partitions that one turn looks at: some milliseconds. */
#define STEPS_A_TURN 8192U

void coord_ahead_reset(struct coord_ahead *a)
{
	free(a->found);
	*a = (struct coord_ahead){ 0 };
}

static bool takes_look_up(const struct position *pos)
{
	return pos->kind == POSITION_LAST_N || pos->kind == POSITION_TIME_MS;
}

static int look_up(struct coordinator *c, struct be_partition *p, const struct position *pos,
		   int64_t start, int64_t end, int64_t *ret, struct be_why *why)
{
	int r;

	if (start == end) {
		*ret = end;
		return 0;
	}
	if (!c->finds_left) {
		c->is_short = true;
		return -EAGAIN;
	}
	c->b->disk->round++; /* the log before holds no descriptor */
	r = coord_open(c, p, why);
	if (r)
		return r;
	c->finds_left--;
	return consume_position(p->log, pos, ret);
}

/* What was found for the partition that the write asks about next. */
static const struct coord_found *find_ahead(struct coord_ahead *a, const struct be_partition *p)
{
	const struct coord_found *f;

	if (!a || a->used == a->found_cnt)
		return NULL;
	f = &a->found[a->used];
	if (f->serial != p->topic->serial || f->partition != p->number)
		return NULL;
	a->used++;
	return f;
}

int coord_look_up(struct coordinator *c, struct be_partition *p, const struct position *pos,
		  int64_t start, int64_t end, int64_t *ret, struct be_why *why)
{
	const struct coord_found *f;

	if (takes_look_up(pos)) {
		f = find_ahead(c->ahead, p);
		if (!f)
			return look_up(c, p, pos, start, end, ret, why);
		*ret = MAX(f->offset, start); /* of what retention has removed since */
	} else if (pos->kind == POSITION_OFFSET) {
		*ret = pos->value;
	} else {
		*ret = pos->kind == POSITION_EARLIEST ? start : end;
	}
	return 0;
}

static int put_found(struct coord_ahead *a, const struct be_partition *p, int64_t offset)
{
	if (a->found_cnt == a->found_cap) {
		uint32_t cap = a->found_cap ? a->found_cap * 2 : 64;
		struct coord_found *found = realloc(a->found, cap * sizeof(*found));

		if (!found)
			return -ENOMEM;
		a->found = found;
		a->found_cap = cap;
	}
	a->found[a->found_cnt++] = (struct coord_found){ .serial = p->topic->serial,
							 .partition = p->number,
							 .offset = offset };
	return 0;
}

/* pos is NULL where only the ends are asked for. */
static int prepare(struct coordinator *c, struct coord_ahead *a, struct be_partition *p,
		   const struct position *pos)
{
	int64_t start, end, off;
	struct be_why why;
	int r = coord_ends(c, p, &start, &end, &why);

	if (r || !pos || !takes_look_up(pos))
		return r;
	r = look_up(c, p, pos, start, end, &off, &why);
	return r ? r : put_found(a, p, off);
}

/* Partitions [a->partition, end) of the topic. */
static int prepare_all(struct coordinator *c, struct coord_ahead *a, struct be_topic *t,
		       uint32_t end, const struct position *pos, unsigned *steps)
{
	for (; a->partition < MIN(end, t->part_cnt); a->partition++) {
		int r = *steps ? prepare(c, a, t->parts[a->partition], pos) : -EAGAIN;

		if (r)
			return r;
		--*steps;
		/* The write itself is refused. */
		if (++a->done_cnt > SEEKS_A_WRITE)
			return -E2BIG;
	}
	a->partition = 0;
	return 0;
}

static int prepare_seek(struct coordinator *c, struct coord_ahead *a, const struct seek_line *l,
			unsigned *steps)
{
	struct be_topic *t = broker_topic_find(c->b, l->topic);
	struct position pos;

	if (!t || position_parse(l->position, l->position_len, true, &pos))
		return -ENOENT;
	if (l->has_partition)
		a->partition = l->partition;
	return prepare_all(c, a, t, l->has_partition ? l->partition + 1 : t->part_cnt, &pos, steps);
}

static int prepare_commit(struct coordinator *c, struct coord_ahead *a, const struct commit_line *l,
			  unsigned *steps)
{
	struct be_topic *t = broker_topic_find(c->b, l->topic);

	if (!t)
		return -ENOENT;
	a->partition = l->partition;
	return prepare_all(c, a, t, l->partition + 1, NULL, steps);
}

int coord_ahead_step(struct coordinator *c, struct coord_ahead *a, enum be_group_file file,
		     const char *text, size_t len)
{
	char sentence[REQUEST_SENTENCE_LEN];
	unsigned steps = STEPS_A_TURN;
	struct request_lines lines;
	struct commit_line commit;
	struct seek_line seek;
	int r = 1;

	PRE(file == BE_GROUP_COMMIT || file == BE_GROUP_SEEK);
	request_lines_init(&lines, text, len);
	lines.pos = a->pos;
	while (r > 0 && steps) {
		r = file == BE_GROUP_SEEK ? seek_line_next(&lines, &seek, sentence)
					  : commit_line_next(&lines, &commit, sentence);
		if (r <= 0)
			break;
		r = file == BE_GROUP_SEEK ? prepare_seek(c, a, &seek, &steps)
					  : prepare_commit(c, a, &commit, &steps);
		if (r)
			break;
		a->pos = lines.pos;
		r = 1;
	}
	if (c->is_short || !steps)
		return -EAGAIN;
	/* Whatever else is wrong, the write itself says so. */
	return r == -ENOMEM ? r : 0;
}

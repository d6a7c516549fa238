/*
 * Writes to commit, offsets/T/P, seek and reject.
 */
#include "daemon/coordinator_impl.h"

#include "daemon/groups/request.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The offsets of one write: the last line for a partition counts. */
struct pending {
	struct group_offset *offsets; /* owned; metadata borrows the text */
	struct be_partition **parts;  /* owned */
	uint32_t cnt, cap;
	uint32_t *slots;   /* owned: indices + 1 by hash, 0: none; twice as many as cap */
	uint32_t seek_cnt; /* positions that were asked for, also of the same partition */
};

static void pending_fini(struct pending *p)
{
	free(p->offsets);
	free(p->parts);
	free(p->slots);
}

/* Where the partition's index stands, or would. One write may name each of 65536 partitions. */
static uint32_t *slot_of(const struct pending *p, const struct be_partition *part)
{
	uint64_t h;

	memcpy(&h, part->topic->id, sizeof(h));
	h = (h + part->number) * 0x9e3779b97f4a7c15U >> 32;
	while (p->slots[h % (p->cap * 2)] && p->parts[p->slots[h % (p->cap * 2)] - 1] != part)
		h++;
	return &p->slots[h % (p->cap * 2)];
}

static int grow(struct pending *p)
{
	uint32_t cap = p->cap ? p->cap * 2 : 8;
	struct group_offset *offsets = realloc(p->offsets, cap * sizeof(*offsets));
	struct be_partition **parts;
	uint32_t *slots;

	if (!offsets)
		return -ENOMEM;
	p->offsets = offsets;
	parts = realloc(p->parts, cap * sizeof(struct be_partition *));
	if (!parts)
		return -ENOMEM;
	p->parts = parts;
	slots = calloc(cap, 2 * sizeof(*slots));
	if (!slots)
		return -ENOMEM;
	free(p->slots);
	p->slots = slots;
	p->cap = cap;
	for (uint32_t i = 0; i < p->cnt; i++)
		*slot_of(p, p->parts[i]) = i + 1;
	return 0;
}

/* l is NULL for a seek: who seeks wants the records given, and not set aside. */
static int pending_put(struct coordinator *c, struct coord_group *g, struct pending *p,
		       struct be_partition *part, int64_t offset, const struct commit_line *l)
{
	int r = p->cnt == p->cap ? grow(p) : 0;
	struct group_offset *o;
	uint32_t *slot;

	if (r)
		return r;
	slot = slot_of(p, part);
	if (!*slot) {
		p->parts[p->cnt] = part;
		*slot = ++p->cnt;
	}
	o = &p->offsets[*slot - 1];
	c->b->disk->round++; /* the log before holds no descriptor */
	*o = coord_commit(c, g, part, offset);
	if (!l)
		group_deliveries_keep(o, 0, 0);
	if (!l || !l->metadata_len)
		return 0;
	o->metadata = l->metadata;
	o->metadata_len = (uint32_t)l->metadata_len;
	return 0;
}

static int find_partition(struct coordinator *c, const char *topic, uint32_t partition,
			  struct be_partition **ret, struct be_why *why)
{
	struct be_topic *t = broker_topic_find(c->b, topic);

	if (!t || t->internal) {
		snprintf(why->text, sizeof(why->text), "no topic of the name %.249s", topic);
		return -ENOENT;
	}
	if (partition >= t->part_cnt) {
		snprintf(why->text, sizeof(why->text), "%s has no partition %u: it has %u", topic,
			 partition, t->part_cnt);
		return -ENOENT;
	}
	*ret = t->parts[partition];
	return 0;
}

static int check_end(const struct be_partition *p, int64_t offset, int64_t end, struct be_why *why)
{
	if (offset <= end)
		return 0;
	snprintf(why->text, sizeof(why->text),
		 "offset %lld is beyond the end of %s %u, which is %lld", (long long)offset,
		 p->topic->name, p->number, (long long)end);
	return -EINVAL;
}

/* Who the caller is to the group, where the line has no words. */
static struct group_who who_of(const struct be_member *m)
{
	if (!m)
		return (struct group_who){ .kind = GROUP_BY_OTHER };
	if (m->slot == GROUP_NONE)
		return (struct group_who){ .kind = GROUP_BY_EXPELLED };
	return (struct group_who){ .kind = GROUP_BY_MEMBER, .slot = m->slot };
}

/* caller is NULL where it does not matter that it may be a member. */
static int put_commit(struct coordinator *c, struct coord_group *g, const struct be_caller *caller,
		      const struct commit_line *l, struct pending *p, struct be_why *why)
{
	struct group_who who = { .kind = GROUP_BY_OTHER };
	char sentence[GROUP_SENTENCE_LEN] = "";
	struct be_partition *part;
	int64_t start, end;
	int r = find_partition(c, l->topic, l->partition, &part, why);

	if (!r)
		r = coord_ends(c, part, &start, &end, why);
	if (r)
		return r;
	if (l->has_words)
		who = (struct group_who){ .kind = GROUP_BY_WORDS,
					  .member_id = l->member,
					  .generation = l->generation };
	else if (caller)
		who = who_of(coord_member_of(g, caller->tgid, part));
	r = check_end(part, l->offset, end, why);
	if (r)
		return r;
	r = group_check_commit(g->core, &who, part->topic->id, part->number, l->offset, sentence);
	if (r) {
		c->fenced++;
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	return pending_put(c, g, p, part, l->offset, l);
}

static int store_pending(struct coordinator *c, struct coord_group *g, struct pending *p,
			 struct be_why *why)
{
	int r = p->cnt ? coord_write_offsets(c, g, p->offsets, p->cnt) : 0;

	if (r) {
		snprintf(why->text, sizeof(why->text), "the commit cannot be stored: %s",
			 log_errno_name(r));
		return r;
	}
	c->commits += p->cnt;
	g->commits += p->cnt;
	return 0;
}

static int write_commit(struct coordinator *c, struct coord_group *g,
			const struct be_caller *caller, const char *text, size_t len,
			struct be_why *why)
{
	char sentence[REQUEST_SENTENCE_LEN] = "";
	struct request_lines lines;
	struct pending p = { 0 };
	struct commit_line l;
	int r;

	request_lines_init(&lines, text, len);
	while ((r = commit_line_next(&lines, &l, sentence)) > 0) {
		r = put_commit(c, g, caller, &l, &p, why);
		if (r)
			break;
	}
	if (r && !*why->text)
		snprintf(why->text, sizeof(why->text), "%s", sentence);
	if (!r)
		r = store_pending(c, g, &p, why);
	pending_fini(&p);
	return r;
}

static int write_offset(struct coordinator *c, struct coord_group *g, struct be_topic *t,
			uint32_t partition, const char *text, size_t len, struct be_why *why)
{
	char sentence[REQUEST_SENTENCE_LEN] = "";
	struct pending p = { 0 };
	struct commit_line l = { 0 };
	int r = offset_line_parse(text, len, &l, sentence);

	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	snprintf(l.topic, sizeof(l.topic), "%s", t->name);
	l.partition = partition;
	r = put_commit(c, g, NULL, &l, &p, why);
	if (!r)
		r = store_pending(c, g, &p, why);
	pending_fini(&p);
	return r;
}

/* ---- seek ---- */

static int put_seek(struct coordinator *c, struct coord_group *g, struct be_topic *t,
		    uint32_t partition, const struct position *pos, struct pending *p,
		    struct be_why *why)
{
	struct be_partition *part = t->parts[partition];
	int64_t start, end, off;
	int r = coord_ends(c, part, &start, &end, why);

	if (!r)
		r = coord_look_up(c, part, pos, start, end, &off, why);
	if (!r)
		r = check_end(part, off, end, why);
	return r ? r : pending_put(c, g, p, part, off, NULL);
}

static int check_seek(struct coord_group *g, int32_t tgid, const struct be_partition *part,
		      struct be_why *why)
{
	struct group_who who = who_of(coord_own_member(g, tgid, part));
	int r = group_check_seek(g->core, &who, part->topic->id, part->number);

	if (r)
		snprintf(why->text, sizeof(why->text),
			 "the group has members (%u): only the one that holds a partition seeks in "
			 "it",
			 group_member_cnt(g->core));
	return r;
}

static int seek_line(struct coordinator *c, struct coord_group *g, int32_t tgid,
		     const struct seek_line *l, struct pending *p, struct be_why *why)
{
	uint32_t from = l->has_partition ? l->partition : 0, to;
	struct be_partition *part;
	struct position pos;
	struct be_topic *t;
	int r = find_partition(c, l->topic, from, &part, why);

	if (r)
		return r;
	t = part->topic;
	if (position_parse(l->position, l->position_len, true, &pos)) {
		snprintf(why->text, sizeof(why->text),
			 "\"%.*s\" is no position: earliest, latest, an offset, -N, a time",
			 (int)MIN(l->position_len, 64U), l->position);
		return -EINVAL;
	}
	to = l->has_partition ? from + 1 : t->part_cnt;
	p->seek_cnt += to - from;
	if (p->seek_cnt > SEEKS_A_WRITE) {
		snprintf(why->text, sizeof(why->text),
			 "one write seeks in at most %u partitions, counted in each line",
			 SEEKS_A_WRITE);
		return -EINVAL;
	}
	for (uint32_t i = from; !r && i < to; i++)
		r = check_seek(g, tgid, t->parts[i], why);
	for (uint32_t i = from; !r && i < to; i++)
		r = put_seek(c, g, t, i, &pos, p, why);
	return r;
}

/* What its holder was given of it is void. */
static void tell_seek(struct coordinator *c, struct coord_group *g, int32_t tgid,
		      struct be_partition *part, int64_t off)
{
	struct be_member *m = coord_own_member(g, tgid, part);

	if (!m || m->slot == GROUP_NONE)
		return;
	group_on_seek(g->core, m->slot, part->topic->id, part->number);
	if (m->is_stream)
		fs_on_member_seek(c->b->fs, m->owner, part, off);
}

static int write_seek(struct coordinator *c, struct coord_group *g, int32_t tgid, const char *text,
		      size_t len, struct be_why *why)
{
	char sentence[REQUEST_SENTENCE_LEN] = "";
	struct request_lines lines;
	struct pending p = { 0 };
	struct seek_line l;
	int r;

	request_lines_init(&lines, text, len);
	while ((r = seek_line_next(&lines, &l, sentence)) > 0) {
		r = seek_line(c, g, tgid, &l, &p, why);
		if (r)
			break;
	}
	if (r && !*why->text)
		snprintf(why->text, sizeof(why->text), "%s", sentence);
	if (!r)
		r = store_pending(c, g, &p, why);
	for (uint32_t i = 0; !r && i < p.cnt; i++)
		tell_seek(c, g, tgid, p.parts[i], p.offsets[i].offset);
	pending_fini(&p);
	return r;
}

/* ---- reject ---- */

/* Everything that can be said before the first letter is written. */
static int check_reject(struct coordinator *c, struct coord_group *g,
			const struct be_caller *caller, const struct reject_line *l,
			struct be_partition **ret, struct be_why *why)
{
	const struct group_offset *o;
	struct group_who who;
	char sentence[GROUP_SENTENCE_LEN] = "";
	int64_t end;
	int r = find_partition(c, l->topic, l->partition, ret, why);

	if (!r)
		r = coord_open(c, *ret, why);
	if (r)
		return r;
	end = (*ret)->log->next_offset;
	/* A letter is a copy, which others may read. */
	if (!coord_may(caller, (*ret)->topic, 04)) {
		snprintf(why->text, sizeof(why->text), "the topic %s may not be read", l->topic);
		return -EACCES;
	}
	if (l->offset >= end || l->offset < (*ret)->log->start_offset) {
		snprintf(why->text, sizeof(why->text), "%s %u has no record at offset %lld",
			 l->topic, l->partition, (long long)l->offset);
		return l->offset >= end ? -EINVAL : -ENOENT;
	}
	o = group_offset_find(g->core, (*ret)->topic->id, l->partition);
	if (o && o->offset > l->offset) {
		snprintf(why->text, sizeof(why->text),
			 "the record has been dealt with: %lld is committed", (long long)o->offset);
		return -ESTALE;
	}
	who = who_of(coord_member_of(g, caller->tgid, *ret));
	r = group_check_commit(g->core, &who, (*ret)->topic->id, l->partition, l->offset + 1,
			       sentence);
	if (r)
		snprintf(why->text, sizeof(why->text), "%s", sentence);
	return r;
}

/*
 * One line a write: several letters are several steps, and a write is applied whole or not at all.
 */
static int write_reject(struct coordinator *c, struct coord_group *g,
			const struct be_caller *caller, const char *text, size_t len,
			uint64_t token, struct be_why *why)
{
	char sentence[REQUEST_SENTENCE_LEN] = "";
	struct request_lines lines;
	struct reject_line l, more;
	struct be_partition *p;
	struct be_topic *to;
	int r;

	request_lines_init(&lines, text, len);
	r = reject_line_next(&lines, &l, sentence);
	if (!r)
		return 0;
	if (r > 0 && reject_line_next(&lines, &more, sentence)) {
		snprintf(why->text, sizeof(why->text),
			 "one record a write is rejected, since each letter is a step of its own");
		return -EINVAL;
	}
	if (r < 0) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	r = check_reject(c, g, caller, &l, &p, why);
	if (!r && letter_is_under_way(c, g, p))
		r = -EAGAIN;
	if (!r)
		r = letter_topic(c, g, &to, why);
	if (!r) {
		r = letter_begin(c, g, p, l.offset, l.reason_len ? l.reason : "rejected",
				 l.reason_len ? l.reason_len : strlen("rejected"), token, why);
		if (r != -EBUSY)
			return r;
	} else if (r != -EINPROGRESS && r != -EAGAIN) {
		return r;
	}
	/* Another letter, or the topic of letters, comes first. */
	return coord_wait_new(&c->rejects, g, BE_GROUP_REJECT, caller, text, len, token)
		       ? -EINPROGRESS
		       : -ENOMEM;
}

/* One turn of a write to commit or seek. */
static int write_many(struct coordinator *c, struct coord_group *g, enum be_group_file file,
		      const struct be_caller *caller, const char *text, size_t len,
		      struct coord_ahead *a, struct be_why *why)
{
	int r = 0;

	c->opens_left = OPENS_A_TURN;
	c->finds_left = FINDS_A_TURN;
	c->is_short = false;
	if (a->begun)
		r = coord_ahead_step(c, a, file, text, len);
	a->begun = true;
	if (r)
		return r == -EAGAIN ? -EINPROGRESS : r;
	c->is_short = false;
	c->ahead = a;
	if (file == BE_GROUP_COMMIT)
		r = write_commit(c, g, caller, text, len, why);
	else
		r = write_seek(c, g, caller->tgid, text, len, why);
	c->ahead = NULL;
	if (!c->is_short)
		return r;
	coord_ahead_reset(a);
	a->begun = true;
	return -EINPROGRESS;
}

static int begin_write(struct coordinator *c, struct coord_group *g, struct be_why *why)
{
	int r;

	if (g->be.deleted) {
		snprintf(why->text, sizeof(why->text), "the group was deleted");
		return -ESTALE;
	}
	r = coord_settle(c, g);
	if (r)
		snprintf(why->text, sizeof(why->text), "the group's state cannot be written: %s",
			 log_errno_name(r));
	return r;
}

int coord_write_again(struct coordinator *c, struct coord_wait *w, struct be_why *why)
{
	int r = begin_write(c, w->g, why);

	if (!r)
		r = write_many(c, w->g, w->file, &w->caller, w->text, w->len, &w->ahead, why);
	if (r == -EINPROGRESS)
		list_put(&c->openers, &w->link);
	return r;
}

int coord_write(void *ctx, struct be_group *bg, enum be_group_file file,
		const struct be_caller *caller, struct be_topic *t, uint32_t partition,
		const char *text, size_t len, uint64_t token, struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_group *g = coord_group_of(bg);
	struct coord_ahead ahead = { 0 };
	struct coord_wait *w;
	int r = begin_write(c, g, why);

	if (r)
		return r;
	switch (file) {
	case BE_GROUP_COMMIT:
	case BE_GROUP_SEEK:
		break;
	case BE_GROUP_OFFSET:
		c->opens_left = OPENS_A_TURN;
		return write_offset(c, g, t, partition, text, len, why);
	case BE_GROUP_REJECT:
		c->opens_left = OPENS_A_TURN;
		return write_reject(c, g, caller, text, len, token, why);
	}
	r = write_many(c, g, file, caller, text, len, &ahead, why);
	if (r == -EINPROGRESS) {
		/* Others have their turn. */
		w = coord_wait_new(&c->openers, g, file, caller, text, len, token);
		if (w)
			w->ahead.begun = true;
		else
			r = -ENOMEM;
	}
	coord_ahead_reset(&ahead);
	return r;
}

static int group_fsync(void *ctx, struct be_group *bg, uint64_t token)
{
	struct coordinator *c = coordinator_of(ctx);
	struct plog *log;
	int r = coord_home(c, coord_group_of(bg), &log);

	return r ? r : store_fsync(c->b->store, log, c->b->now_ms, token);
}

void coord_offsets_backend(struct backend *ret)
{
	ret->group_write = coord_write;
	ret->group_fsync = group_fsync;
}

/*
 * The processes of the world: what they do, and what they may see.
 */
#include "tests/lib/simgroup_impl.h"

#include <errno.h>

static struct sg_view *view_of(struct sg_client *c, uint32_t t, uint32_t p)
{
	return &c->views[t][p];
}

static uint32_t topic_idx(struct sg_world *w, const uint8_t id[16])
{
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		if (w->topics[t].part_cnt && !memcmp(w->topics[t].id, id, 16))
			return t;
	return SG_TOPICS;
}

/* ---- What nobody else may have ---- */

/* Nobody works on the partition that c is about to be given. */
static void check_exclusive(struct sg_world *w, struct sg_client *c, uint32_t t, uint32_t p)
{
	for (uint32_t i = 0; i < SG_CLIENTS; i++) {
		struct sg_client *d = &w->clients[i];
		const struct sg_view *v = view_of(d, t, p);

		if (d == c || !d->is_open || d->is_expelled)
			continue;
		SG_CHECK(w, v->given <= v->dealt);
		SG_CHECK(w, !v->is_mine);
	}
}

/* c learns that it has the partition, in the present generation. */
static void tell(struct sg_world *w, struct sg_client *c, uint32_t t, uint32_t p)
{
	struct sg_part *part = &w->topics[t].parts[p];
	const char *name = c->instance ? c->instance : c->id;
	uint64_t generation = group_generation(w->g);

	SG_CHECK(w, sg_wants(c->sub, w->topics[t].name));
	SG_CHECK(w, sg_may(w, c, &w->topics[t]));
	SG_CHECK(w, generation >= w->told_generation && generation > 0);
	SG_CHECK(w, part->told_generation != generation || !strcmp(part->told, name));
	check_exclusive(w, c, t, p);
	w->told_generation = part->told_generation = generation;
	snprintf(part->told, sizeof(part->told), "%s", name);
}

/* ---- Commits ---- */

/* 0; -ESTALE; -EIO: not written; -EINTR: the broker died. */
static int store(struct sg_world *w, uint32_t t, uint32_t p, int64_t offset, bool is_sought)
{
	const struct group_offset *old = group_offset_find(w->g, w->topics[t].id, p);
	struct group_offset o = {
		.partition = p, .leader_epoch = -1, .delivered_off = -1, .metadata = ""
	};

	if (old)
		o = *old;
	memcpy(o.topic_id, w->topics[t].id, 16);
	o.offset = offset;
	if (is_sought)
		group_deliveries_keep(&o, 0, 0);
	for (int64_t i = 0; i < offset; i++)
		SG_CHECK(w, w->topics[t].parts[p].processed[i]);
	if (!sg_write_offset(w, &o))
		return -EIO;
	w->topics[t].parts[p].committed = offset;
	return sg_put_offset(w, &o) ? 0 : -EINTR;
}

static int commit(struct sg_world *w, const struct group_who *who, uint32_t t, uint32_t p,
		  int64_t offset)
{
	char sentence[GROUP_SENTENCE_LEN];
	int r = group_check_commit(w->g, who, w->topics[t].id, p, offset, sentence);

	if (r) {
		SG_EQ(w, r, -ESTALE);
		SG_CHECK(w, *sentence);
		return r;
	}
	SG_CHECK(w, offset >= w->topics[t].parts[p].committed);
	return store(w, t, p, offset, false);
}

/* A member that is none any more commits nothing. */
void sg_commit_late(struct sg_world *w, const struct sg_client *c)
{
	struct group_who who[] = {
		{ .kind = GROUP_BY_EXPELLED },
		{ .kind = GROUP_BY_WORDS, .member_id = c->id, .generation = c->line_generation },
		{ .kind = GROUP_BY_WORDS,
		  .member_id = c->id,
		  .generation = group_generation(w->g) },
	};

	for (uint32_t i = 0; i < ARRAY_CNT(who); i++) {
		int r = commit(w, &who[i], 0, 0, w->topics[0].parts[0].end);

		SG_EQ(w, r, -ESTALE);
	}
}

void sg_commit_by_other(struct sg_world *w)
{
	char sentence[GROUP_SENTENCE_LEN];
	struct group_who who = { .kind = GROUP_BY_OTHER };
	struct sg_topic *t = &w->topics[sg_below(w, SG_TOPICS)];
	int64_t committed = t->parts[0].committed;
	int r;

	if (!t->part_cnt || committed < 1)
		return;
	r = group_check_commit(w->g, &who, t->id, 0, committed - 1, sentence);
	SG_EQ(w, r, group_member_cnt(w->g) ? -ESTALE : 0);
	r = group_check_commit(w->g, &who, t->id, 0, committed, sentence);
	SG_EQ(w, r, 0);
	r = group_check_seek(w->g, &who, t->id, 0);
	SG_EQ(w, r, group_member_cnt(w->g) ? -EBUSY : 0);
}

/* ---- Streams ---- */

/* Deals with what it was given of one partition, perhaps not all. False: go no further. */
static bool deal_part(struct sg_world *w, struct sg_client *c, uint32_t t, uint32_t p, bool is_all)
{
	struct group_who who = { .kind = GROUP_BY_MEMBER, .slot = c->slot };
	struct sg_view *v = view_of(c, t, p);
	int64_t upto = v->given;
	int r;

	if (!is_all)
		upto = v->dealt + sg_below(w, (uint32_t)(v->given - v->dealt) + 1);
	for (int64_t i = v->dealt; i < upto; i++)
		w->topics[t].parts[p].processed[i] = true;
	if (upto == v->dealt)
		return true;
	r = commit(w, &who, t, p, upto);
	if (r == -EINTR)
		return false;
	if (r == -EIO)
		return true;
	SG_EQ(w, r, 0);
	v->dealt = upto;
	group_on_dealt(w->g, c->slot, w->topics[t].id, p, upto);
	return true;
}

/* A read at a position: what ends before it is dealt with. True: it was read at the frontier. */
static bool deal(struct sg_world *w, struct sg_client *c)
{
	bool is_all = w->is_calm || sg_below(w, 4), is_done = true;

	for (uint32_t t = 0; t < SG_TOPICS; t++)
		for (uint32_t p = 0; p < SG_PARTS; p++) {
			struct sg_view *v = view_of(c, t, p);

			if (v->given > v->dealt && !deal_part(w, c, t, p, is_all))
				return false;
			is_done &= v->given <= v->dealt;
		}
	return is_done;
}

/* Counts a delivery; a record that was delivered too often is set aside. False: it is not given. */
static bool deliver(struct sg_world *w, struct sg_client *c, uint32_t t, uint32_t p, int64_t off)
{
	struct sg_part *part = &w->topics[t].parts[p];
	struct group_offset o;

	if (group_deliver(w->g, w->topics[t].id, p, off, &o)) {
		if (!sg_write_offset(w, &o))
			return false;
		part->delivered[off]++;
		SG_CHECK(w, part->delivered[off] <= w->set.max_deliveries);
		return sg_put_offset(w, &o);
	}
	SG_EQ(w, part->delivered[off], w->set.max_deliveries);
	part->processed[off] = true;
	if (store(w, t, p, off + 1, false))
		return false;
	group_on_given(w->g, c->slot, w->topics[t].id, p, off + 1);
	group_on_dealt(w->g, c->slot, w->topics[t].id, p, off + 1);
	view_of(c, t, p)->given = view_of(c, t, p)->dealt = off + 1;
	return false;
}

/* Gives records of one share. */
static bool give_part(struct sg_world *w, struct sg_client *c, const struct group_share *s)
{
	uint32_t t = topic_idx(w, s->topic_id);
	struct sg_part *part;
	struct sg_view *v;
	int64_t from, cnt;

	/* Of a topic that is gone nothing is held. */
	SG_CHECK(w, t < SG_TOPICS && s->partition < w->topics[t].part_cnt);
	part = &w->topics[t].parts[s->partition];
	v = view_of(c, t, s->partition);
	/* It may have been another's meanwhile. */
	if (s->given < 0 && v->given <= v->dealt)
		v->given = v->dealt = -1;
	SG_EQ(w, s->given, v->given);
	from = v->given >= 0 ? v->given : MAX(part->committed, 0);
	if (from >= part->end)
		return false;
	tell(w, c, t, s->partition);
	cnt = 1 + sg_below(w, 3);
	if (w->set.max_deliveries) {
		cnt = 1;
		if (!deliver(w, c, t, s->partition, from))
			return false;
	}
	cnt = MIN(cnt, part->end - from);
	if (v->given < 0)
		v->dealt = from;
	v->given = from + cnt;
	group_on_given(w->g, c->slot, s->topic_id, s->partition, v->given);
	return true;
}

static bool give(struct sg_world *w, struct sg_client *c)
{
	struct group_share s[SG_TOPICS * SG_PARTS];
	uint32_t cnt = group_shares(w->g, c->slot, s, ARRAY_CNT(s));
	uint32_t first = cnt ? sg_below(w, cnt) : 0;
	bool is_given = false;

	for (uint32_t i = 0; i < cnt && !w->is_killed; i++) {
		const struct group_share *one = &s[(first + i) % cnt];

		if (!one->leaving && (!is_given || !w->set.max_deliveries))
			is_given |= give_part(w, c, one);
	}
	return is_given;
}

static void wait(struct sg_world *w, struct sg_client *c)
{
	group_on_wait(w->g, w->now_ms, c->slot);
	sg_sign(w, c);
	c->is_waiting = true;
}

static void read_stream(struct sg_world *w, struct sg_client *c)
{
	bool is_done = c->is_waiting || deal(w, c);

	if (w->is_killed || !sg_settle(w) || !c->is_open || c->is_expelled)
		return;
	if (is_done && !give(w, c)) {
		if (!w->is_killed)
			wait(w, c);
		return;
	}
	group_on_sign(w->g, w->now_ms, c->slot);
	sg_sign(w, c);
}

void sg_seek(struct sg_world *w, struct sg_client *c)
{
	struct group_who who = { .kind = GROUP_BY_MEMBER, .slot = c->slot };
	struct group_share s[SG_TOPICS * SG_PARTS], *one;
	uint32_t cnt = group_shares(w->g, c->slot, s, ARRAY_CNT(s)), t;
	struct sg_part *part;
	int64_t to;
	int r;

	if (!c->is_stream || !cnt)
		return;
	one = &s[sg_below(w, cnt)];
	t = topic_idx(w, one->topic_id);
	SG_CHECK(w, t < SG_TOPICS);
	part = &w->topics[t].parts[one->partition];
	r = group_check_seek(w->g, &who, one->topic_id, one->partition);
	SG_EQ(w, r, 0);
	/* Backwards: what lies behind has been dealt with. It is delivered anew. */
	if (part->committed < 1)
		return;
	to = sg_below(w, (uint32_t)part->committed);
	r = store(w, t, one->partition, to, true);
	if (r != -EIO)
		memset(part->delivered, 0, sizeof(part->delivered));
	if (r)
		return;
	group_on_seek(w->g, c->slot, one->topic_id, one->partition);
	view_of(c, t, one->partition)->given = view_of(c, t, one->partition)->dealt = -1;
}

/* ---- Members of `join` ---- */

/* It reads behind its line: what that took from it is not its own any more. */
static void deal_line(struct sg_world *w, struct sg_client *c)
{
	group_on_line_dealt(w->g, w->now_ms, c->slot);
	sg_sign(w, c);
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		for (uint32_t p = 0; p < SG_PARTS; p++)
			view_of(c, t, p)->is_mine &= view_of(c, t, p)->is_in_line;
}

static void give_line(struct sg_world *w, struct sg_client *c)
{
	struct group_share s[SG_TOPICS * SG_PARTS];
	uint32_t cnt = group_shares(w->g, c->slot, s, ARRAY_CNT(s));

	for (uint32_t t = 0; t < SG_TOPICS; t++)
		for (uint32_t p = 0; p < SG_PARTS; p++)
			view_of(c, t, p)->is_in_line = false;
	for (uint32_t i = 0; i < cnt; i++) {
		uint32_t t = topic_idx(w, s[i].topic_id);
		struct sg_view *v;

		if (s[i].leaving)
			continue;
		SG_CHECK(w, t < SG_TOPICS && s[i].partition < w->topics[t].part_cnt);
		tell(w, c, t, s[i].partition);
		v = view_of(c, t, s[i].partition);
		if (!v->is_mine)
			v->pos = MAX(w->topics[t].parts[s[i].partition].committed, 0);
		v->is_mine = v->is_in_line = true;
	}
	SG_CHECK(w, group_generation(w->g) > c->line_generation);
	c->line_generation = group_generation(w->g);
	group_on_line_given(w->g, c->slot);
	group_on_sign(w->g, w->now_ms, c->slot);
	sg_sign(w, c);
}

static void read_line(struct sg_world *w, struct sg_client *c)
{
	if (!c->is_waiting && c->line_generation)
		deal_line(w, c);
	if (!sg_settle(w) || !c->is_open || c->is_expelled)
		return;
	SG_EQ(w, group_line_generation(w->g, c->slot), c->line_generation);
	if (c->line_generation < group_generation(w->g))
		give_line(w, c);
	else
		wait(w, c);
}

static void work_on(struct sg_world *w, struct sg_client *c, uint32_t t, uint32_t p)
{
	struct group_who who = { .kind = GROUP_BY_WORDS,
				 .member_id = c->id,
				 .generation = c->line_generation };
	struct sg_part *part = &w->topics[t].parts[p];
	struct sg_view *v = view_of(c, t, p);
	int r;

	for (uint32_t cnt = 1 + sg_below(w, 3); cnt && v->pos < part->end; cnt--)
		part->processed[v->pos++] = true;
	r = commit(w, &who, t, p, v->pos);
	if (r == 0 || r == -ESTALE)
		SG_EQ(w, r == 0, c->line_generation == group_generation(w->g));
}

void sg_work(struct sg_world *w, struct sg_client *c)
{
	uint32_t first = sg_below(w, SG_TOPICS * SG_PARTS);

	if (!sg_settle(w) || !c->is_open || c->is_expelled)
		return;
	for (uint32_t i = 0; i < SG_TOPICS * SG_PARTS; i++) {
		uint32_t at = (first + i) % (SG_TOPICS * SG_PARTS);
		uint32_t t = at / SG_PARTS, p = at % SG_PARTS;
		const struct sg_view *v = view_of(c, t, p);

		/* Also what it works on and has been taken from it, until it says so. */
		if (v->is_mine && p < w->topics[t].part_cnt &&
		    (v->pos < w->topics[t].parts[p].end ||
		     v->pos > w->topics[t].parts[p].committed)) {
			work_on(w, c, t, p);
			return;
		}
	}
}

/* ---- All ---- */

void sg_read(struct sg_world *w, struct sg_client *c)
{
	if (c->is_expelled) {
		/* ESTALE once, and then it has joined anew. */
		sg_commit_late(w, c);
		sg_open(w, c);
	} else if (c->is_stream) {
		read_stream(w, c);
	} else {
		read_line(w, c);
	}
}

void sg_open(struct sg_world *w, struct sg_client *c)
{
	uint64_t generation = group_generation(w->g);
	bool is_back = sg_join(w, c);

	if (sg_settle(w) && is_back)
		SG_EQ(w, group_generation(w->g), generation);
}

void sg_close(struct sg_world *w, struct sg_client *c)
{
	group_leave(w->g, w->now_ms, c->slot);
	sg_forget(w, c);
}

void sg_stall(struct sg_world *w, struct sg_client *c)
{
	c->is_stalled = true;
	if (!c->is_waiting)
		return;
	group_on_interrupt(w->g, w->now_ms, c->slot);
	sg_sign(w, c);
	c->is_interrupted = true;
}

void sg_resubscribe(struct sg_world *w, struct sg_client *c, uint32_t sub)
{
	char sentence[GROUP_SENTENCE_LEN];
	struct group_join j;
	int r;

	/* A write says as a read does that the line has been dealt with. */
	if (c->line_generation)
		deal_line(w, c);
	c->sub = sub;
	j = sg_words(c);
	r = group_resubscribe(w->g, w->now_ms, c->slot, &j, sentence);
	SG_EQ(w, r, 0);
	sg_tell_access(w, c);
	sg_sign(w, c);
	sg_note_sub(w, c);
}

/* ---- At rest ---- */

static void check_part(struct sg_world *w, uint32_t t, uint32_t p)
{
	const struct sg_topic *topic = &w->topics[t];
	uint32_t holders = 0;
	bool is_wanted = false;

	for (uint32_t i = 0; i < SG_CLIENTS; i++) {
		const struct sg_client *c = &w->clients[i];

		if (!c->is_open || c->is_expelled)
			continue;
		is_wanted |= sg_wants(c->sub, topic->name) && sg_may(w, c, topic);
		holders += group_holds(w->g, c->slot, topic->id, p, NULL);
	}
	SG_EQ(w, holders, is_wanted);
	if (!is_wanted)
		return;
	SG_EQ(w, MAX(topic->parts[p].committed, 0), topic->parts[p].end);
	for (int64_t i = 0; i < topic->parts[p].end; i++)
		SG_CHECK(w, topic->parts[p].processed[i]);
}

void sg_check_rest(struct sg_world *w)
{
	struct group_share s[SG_TOPICS * SG_PARTS];
	struct group_member_view v;

	SG_CHECK(w, !group_is_unsettled(w->g) && !group_is_unwritten(w->g));
	SG_EQ(w, group_state(w->g), group_member_cnt(w->g) ? GROUP_STABLE : GROUP_EMPTY);
	for (v.slot = GROUP_NONE; group_member_next(w->g, v.slot, &v);) {
		const struct sg_client *c = v.owner;

		SG_CHECK(w, c && c->is_open && !c->is_stalled && c->is_waiting);
		for (uint32_t n = group_shares(w->g, v.slot, s, ARRAY_CNT(s)); n-- > 0;)
			SG_CHECK(w, !s[n].leaving && s[n].target == s[n].holder);
	}
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		for (uint32_t p = 0; p < w->topics[t].part_cnt; p++)
			check_part(w, t, p);
}

/*
 * Topics and their shares. A share is linked into the list of its holder, which is in the order of
 * topic names and partitions, so that nobody who asks what a member holds looks at others' shares.
 *
 * held_gen, leave_gen: the generation that is going to be written when a change is settled. A
 * holder counts when its held_gen is written. So a share that was never told to its holder can be
 * taken from it at once.
 */
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Holding ---- */

void group_part_take(struct group *g, struct group_part *p, struct group_member *m)
{
	PRE(p->holder == GROUP_NONE && list_is_empty(&p->node));
	list_put(&m->parts, &p->node);
	p->holder = m->slot;
	p->held_gen = g->generation + 1;
	m->is_changed = true;
	g->is_moved = true;
}

void group_part_forget(struct group *g, struct group_part *p)
{
	if (p->given > p->dealt)
		g->slots[p->holder]->undealt_cnt--;
	p->given = p->dealt = -1;
}

void group_part_release(struct group *g, struct group_part *p)
{
	struct group_member *m = g->slots[p->holder];

	PRE(m && !m->is_gone);
	group_part_forget(g, p);
	if (p->is_leaving) {
		p->is_leaving = false;
		g->leaving_cnt--;
		m->leaving_cnt--;
	}
	list_remove(&p->node);
	p->holder = GROUP_NONE;
	m->is_changed = true;
	g->is_moved = true;
}

/* An owner that is away, or was not told of the share, has no part in it. */
bool group_part_is_done(const struct group *g, const struct group_part *p)
{
	const struct group_member *m = g->slots[p->holder];

	if (!m->owner || p->held_gen > g->written_generation)
		return true;
	if (m->is_stream)
		return p->dealt >= p->given;
	return m->line_gen < p->held_gen || (p->is_leaving && m->line_dealt_gen >= p->leave_gen);
}

/* ---- Topics ---- */

static uint32_t topic_from(const struct group *g, const char *name)
{
	uint32_t lo = 0, hi = g->topic_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(g->topics[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct group_topic *group_topic_find(const struct group *g, const char *name)
{
	uint32_t i = topic_from(g, name);

	return i < g->topic_cnt && !strcmp(g->topics[i]->name, name) ? g->topics[i] : NULL;
}

int group_topic_new(struct group *g, const char *name, struct group_topic **ret)
{
	size_t len = strlen(name) + 1;
	uint32_t i = topic_from(g, name);
	struct group_topic *t;

	/* Records number topics by 16 bits. */
	if (g->topic_cnt >= UINT16_MAX)
		return -ENOMEM;
	if (g->topic_cnt == g->topic_cap) {
		uint32_t cap = g->topic_cap ? g->topic_cap * 2 : 4;
		struct group_topic **n = realloc(g->topics, cap * sizeof(struct group_topic *));

		if (!n)
			return -ENOMEM;
		g->topics = n;
		g->topic_cap = cap;
	}
	t = calloc(1, sizeof(*t) + len);
	if (!t)
		return -ENOMEM;
	memcpy(t->name, name, len);
	t->place.partition = GROUP_NO_PARTITION;
	memmove(g->topics + i + 1, g->topics + i, (g->topic_cnt - i) * sizeof(*g->topics));
	g->topics[i] = t;
	g->topic_cnt++;
	*ret = t;
	return 0;
}

static void cut_parts(struct group *g, struct group_topic *t, uint32_t part_cnt)
{
	for (uint32_t i = part_cnt; i < t->part_cnt; i++)
		if (t->parts[i].holder != GROUP_NONE)
			group_part_release(g, &t->parts[i]);
	g->part_cnt -= t->part_cnt - part_cnt;
	t->part_cnt = part_cnt;
	if (part_cnt)
		return;
	free(t->parts);
	t->parts = NULL;
	group_table_remove(&g->topic_ids, &t->place);
}

/* Moves a share, with its place in its holder's list. */
static void move_part(struct group_part *to, struct group_part *from)
{
	*to = *from;
	if (list_is_empty(&from->node)) {
		list_init(&to->node);
		return;
	}
	to->node.prev->next = &to->node;
	to->node.next->prev = &to->node;
}

int group_topic_resize(struct group *g, struct group_topic *t, const uint8_t id[16],
		       uint32_t part_cnt)
{
	bool is_new = t->part_cnt && memcmp(t->place.topic_id, id, 16);
	uint32_t kept = is_new ? 0 : MIN(t->part_cnt, part_cnt);
	struct group_part *parts = NULL;

	if (part_cnt > kept) {
		if (part_cnt > GROUP_SHARE_MAX - (g->part_cnt - t->part_cnt) ||
		    group_table_reserve(&g->topic_ids, 1))
			return -ENOMEM;
		parts = calloc(part_cnt, sizeof(*parts));
		if (!parts)
			return -ENOMEM;
	}
	if (t->part_cnt > kept)
		cut_parts(g, t, kept);
	if (!parts)
		return 0;
	for (uint32_t i = 0; i < part_cnt; i++) {
		if (i < kept) {
			move_part(&parts[i], &t->parts[i]);
			continue;
		}
		parts[i] = (struct group_part){ .topic = t,
						.partition = i,
						.holder = GROUP_NONE,
						.target = GROUP_NONE,
						.given = -1,
						.dealt = -1 };
		list_init(&parts[i].node);
	}
	free(t->parts);
	t->parts = parts;
	if (!t->part_cnt) {
		memcpy(t->place.topic_id, id, 16);
		group_table_put(&g->topic_ids, &t->place);
	}
	g->part_cnt += part_cnt - t->part_cnt;
	t->part_cnt = part_cnt;
	return 0;
}

int group_on_topic(struct group *g, const char *topic, const uint8_t id[16], uint32_t part_cnt)
{
	struct group_topic *t = group_topic_find(g, topic);
	uint32_t want_cnt;
	int r;

	PRE(part_cnt <= PARTITION_CNT_MAX);
	if (!t) {
		r = group_subs_reserve(g, topic, &want_cnt);
		if (r || !want_cnt)
			return r;
		r = group_topic_new(g, topic, &t);
		if (r)
			return r;
		group_subs_add(g, t);
	}
	if (part_cnt != t->part_cnt || (part_cnt && memcmp(t->place.topic_id, id, 16))) {
		r = group_topic_resize(g, t, id, part_cnt);
		if (r)
			return r;
		g->needs_assign = g->is_changed = true;
	}
	/* Of what nobody wants changes are not told. */
	t->is_told = t->want_cnt;
	return 0;
}

static void topic_free(struct group *g, struct group_topic *t)
{
	if (t->part_cnt)
		cut_parts(g, t, 0);
	free(t);
}

void group_topics_drop(struct group *g)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->topic_cnt; i++) {
		struct group_topic *t = g->topics[i];
		bool is_held = t->want_cnt;

		for (uint32_t p = 0; p < t->part_cnt && !is_held; p++)
			is_held = t->parts[p].holder != GROUP_NONE;
		if (is_held)
			g->topics[kept++] = t;
		else
			topic_free(g, t);
	}
	g->topic_cnt = kept;
}

void group_topics_free(struct group *g)
{
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		topic_free(g, g->topics[i]);
	free(g->topics);
	g->topics = NULL;
	g->topic_cnt = g->topic_cap = 0;
	group_table_fini(&g->topic_ids);
}

/* ---- What members hold ---- */

/* The share, where its holder has been told so. */
static struct group_part *told(const struct group *g, const uint8_t topic_id[16],
			       uint32_t partition)
{
	const struct group_place *at =
		group_table_find(&g->topic_ids, topic_id, GROUP_NO_PARTITION);
	struct group_topic *t = at ? LIST_ENTRY(at, struct group_topic, place) : NULL;
	struct group_part *p = t && partition < t->part_cnt ? &t->parts[partition] : NULL;

	return p && p->held_gen <= g->written_generation ? p : NULL;
}

/* The share, where this slot holds it and has been told so. */
static struct group_part *held(const struct group *g, uint32_t slot, const uint8_t topic_id[16],
			       uint32_t partition)
{
	struct group_part *p = group_slot(g, slot) ? told(g, topic_id, partition) : NULL;

	return p && p->holder == slot ? p : NULL;
}

static void show(const struct group_part *p, struct group_share *ret)
{
	*ret = (struct group_share){
		.topic = p->topic->name,
		.topic_id = p->topic->place.topic_id,
		.partition = p->partition,
		.holder = p->holder,
		.target = p->target,
		.leaving = p->is_leaving,
		.given = p->given,
		.dealt = p->dealt,
	};
}

uint32_t group_shares(const struct group *g, uint32_t slot, struct group_share *ret, uint32_t max)
{
	const struct group_member *m = group_slot(g, slot);
	uint32_t cnt = 0;

	if (!m)
		return 0;
	LIST_FOREACH(pos, &m->parts) {
		const struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

		if (p->held_gen > g->written_generation)
			continue;
		if (cnt < max)
			show(p, &ret[cnt]);
		cnt++;
	}
	return cnt;
}

bool group_holds(const struct group *g, uint32_t slot, const uint8_t topic_id[16],
		 uint32_t partition, struct group_share *ret)
{
	const struct group_part *p = held(g, slot, topic_id, partition);

	if (p && ret)
		show(p, ret);
	return p;
}

uint32_t group_holder(const struct group *g, const uint8_t topic_id[16], uint32_t partition)
{
	const struct group_part *p = told(g, topic_id, partition);

	return p && group_slot(g, p->holder) ? p->holder : GROUP_NONE;
}

/* What was given and dealt with is that now; a share that leaves may be ready for it. */
static void set_progress(struct group *g, struct group_part *p, int64_t given, int64_t dealt)
{
	struct group_member *m = g->slots[p->holder];

	m->undealt_cnt += (given > dealt) - (p->given > p->dealt);
	p->given = given;
	p->dealt = dealt;
	g->is_due |= p->is_leaving && group_part_is_done(g, p);
}

void group_on_given(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition,
		    int64_t off)
{
	struct group_part *p = held(g, slot, topic_id, partition);

	PRE(p && off >= 0);
	set_progress(g, p, off, p->dealt);
}

void group_on_dealt(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition,
		    int64_t off)
{
	struct group_part *p = held(g, slot, topic_id, partition);

	if (p)
		set_progress(g, p, p->given, MAX(p->dealt, off));
}

void group_on_seek(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition)
{
	struct group_part *p = held(g, slot, topic_id, partition);

	if (p)
		set_progress(g, p, -1, -1);
}

void group_on_line_given(struct group *g, uint32_t slot)
{
	struct group_member *m = group_slot(g, slot);

	if (m)
		m->line_gen = g->written_generation;
}

void group_on_line_dealt(struct group *g, int64_t now_ms, uint32_t slot)
{
	struct group_member *m = group_slot(g, slot);

	if (!m)
		return;
	group_set_liveness(g, now_ms, m, GROUP_BUSY);
	m->line_dealt_gen = m->line_gen;
	g->is_due |= m->leaving_cnt > 0;
}

uint64_t group_line_generation(const struct group *g, uint32_t slot)
{
	const struct group_member *m = group_slot(g, slot);

	return m ? m->line_gen : 0;
}

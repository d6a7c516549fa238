/*
 * Settling: targets come from the assignors where something changed that they depend on; then each
 * share that can go to its target goes there.
 *
 * What the assignors are told of the past is the last assignment, not who holds what at the moment:
 * a share that is on its way to its target counts as its target's, so that a second change finds
 * the balance that the first was about to reach and moves nothing back. Only where the target is
 * gone or does not want the topic any more the share is its holder's.
 */
#include "daemon/groups/group_impl.h"

#include "daemon/base/clock.h"

#include <errno.h>
#include <stdlib.h>

/* ---- Targets ---- */

struct plan {
	struct assign_topic *topics;
	struct assign_member *members;
	struct assign_part *owned; /* one member's after the other's */
	uint32_t *idx;		   /* of topics, one subscription's after the other's */
	uint32_t *idx_end;	   /* behind those that are filled */
	uint32_t *owner;	   /* the answer */
	uint32_t topic_cnt, part_cnt;
};

static void plan_fini(struct plan *p)
{
	free(p->topics);
	free(p->members);
	free(p->owned);
	free(p->idx);
	free(p->owner);
}

static bool is_planned(const struct group_topic *t)
{
	return t->want_cnt && t->part_cnt;
}

static int plan_init(const struct group *g, struct plan *p)
{
	size_t idx_cnt = 0;

	*p = (struct plan){ 0 };
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		if (is_planned(g->topics[i])) {
			g->topics[i]->idx = p->topic_cnt++;
			p->part_cnt += g->topics[i]->part_cnt;
		}
	LIST_FOREACH(pos, &g->subs)
		idx_cnt += LIST_ENTRY(pos, struct group_sub, node)->known_cnt;
	LIST_FOREACH(pos, &g->members) {
		const struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		idx_cnt += m->denied_cnt ? m->sub->known_cnt : 0;
	}
	/* None of them is empty, so that NULL means no memory. */
	p->topics = calloc(p->topic_cnt + 1, sizeof(*p->topics));
	p->members = calloc(g->member_cnt + 1, sizeof(*p->members));
	p->owned = calloc((size_t)p->part_cnt + 1, sizeof(*p->owned));
	p->idx = calloc(idx_cnt + 1, sizeof(*p->idx));
	p->owner = calloc((size_t)p->part_cnt + 1, sizeof(*p->owner));
	if (p->topics && p->members && p->owned && p->idx && p->owner)
		return 0;
	plan_fini(p);
	return -ENOMEM;
}

static void plan_subs(const struct group *g, struct plan *p)
{
	uint32_t *at = p->idx;

	for (uint32_t i = 0; i < g->topic_cnt; i++)
		if (is_planned(g->topics[i]))
			p->topics[g->topics[i]->idx] = (struct assign_topic){
				.name = g->topics[i]->name,
				.partition_cnt = g->topics[i]->part_cnt,
			};
	LIST_FOREACH(pos, &g->subs) {
		struct group_sub *sub = LIST_ENTRY(pos, struct group_sub, node);

		sub->idx = at;
		for (uint32_t i = 0; i < sub->known_cnt; i++)
			if (is_planned(sub->known[i]))
				*at++ = sub->known[i]->idx;
		sub->idx_cnt = (uint32_t)(at - sub->idx);
	}
	p->idx_end = at;
}

/* A member that may not read all of its topics has a list of its own. */
static void plan_topics(struct plan *p, const struct group_member *m, struct assign_member *ret)
{
	const struct group_sub *sub = m->sub;
	uint32_t *at = p->idx_end;

	ret->topic_idx = sub->idx;
	ret->topic_cnt = sub->idx_cnt;
	if (!m->denied_cnt)
		return;
	ret->topic_idx = at;
	for (uint32_t i = 0; i < sub->known_cnt; i++)
		if (is_planned(sub->known[i]) && group_member_may(m, sub->known[i]))
			*at++ = sub->known[i]->idx;
	ret->topic_cnt = (uint32_t)(at - p->idx_end);
	p->idx_end = at;
}

/* Whom the assignors are told to own a share: NULL for nobody. */
static struct group_member *owner_before(const struct group *g, const struct group_part *p)
{
	struct group_member *target = group_slot(g, p->target), *holder = group_slot(g, p->holder);

	if (target && (target == holder || group_member_wants(target, p->topic)))
		return target;
	return holder;
}

static void plan_members(const struct group *g, struct plan *p)
{
	uint32_t cnt = 0, first = 0;

	LIST_FOREACH(pos, &g->members) {
		struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		m->idx = cnt;
		p->members[cnt++] = (struct assign_member){
			.id = m->id,
			.instance_id = m->instance,
			.owned_generation = 1,
		};
		plan_topics(p, m, &p->members[m->idx]);
	}
	/* How many each owns says where its part of `owned` begins. */
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		for (uint32_t n = 0; is_planned(g->topics[i]) && n < g->topics[i]->part_cnt; n++) {
			struct group_member *m = owner_before(g, &g->topics[i]->parts[n]);

			if (m)
				p->members[m->idx].owned_cnt++;
		}
	for (uint32_t i = 0; i < cnt; i++) {
		p->members[i].owned = p->owned + first;
		first += (uint32_t)p->members[i].owned_cnt;
		p->members[i].owned_cnt = 0;
	}
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		for (uint32_t n = 0; is_planned(g->topics[i]) && n < g->topics[i]->part_cnt; n++) {
			struct group_member *m = owner_before(g, &g->topics[i]->parts[n]);
			struct assign_member *a = m ? &p->members[m->idx] : NULL;

			if (a)
				p->owned[a->owned - p->owned + a->owned_cnt++] =
					(struct assign_part){ g->topics[i]->idx, n };
		}
}

/* Gives every share the target that the plan's answer names. */
static void set_targets(struct group *g, struct plan *p, const uint32_t *slots)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->topic_cnt; i++) {
		struct group_topic *t = g->topics[i];

		for (uint32_t n = 0; n < t->part_cnt; n++) {
			uint32_t owner = is_planned(t) ? p->owner[at++] : ASSIGN_NONE;

			t->parts[n].target = owner == ASSIGN_NONE ? GROUP_NONE : slots[owner];
		}
	}
	POST(at == p->part_cnt);
}

/* Computes the assignment. -ENOMEM: nothing changed. */
static int assign(struct group *g)
{
	uint32_t *slots = calloc((size_t)g->member_cnt + 1, sizeof(*slots)), cnt = 0;
	struct plan p;
	int r = slots ? plan_init(g, &p) : -ENOMEM;

	if (r)
		goto out_slots;
	plan_subs(g, &p);
	plan_members(g, &p);
	LIST_FOREACH(pos, &g->members)
		slots[cnt++] = LIST_ENTRY(pos, struct group_member, node)->slot;
	r = assign_compute(group_strategy(g), p.topics, p.topic_cnt, p.members, cnt, p.owner);
	/* The bounds of a group are far below those of the assignors. */
	ASSERT(r != -E2BIG);
	if (!r) {
		set_targets(g, &p, slots);
		g->rebalance_cnt++;
	}
	plan_fini(&p);
out_slots:
	free(slots);
	return r;
}

static void no_targets(struct group *g)
{
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		for (uint32_t n = 0; n < g->topics[i]->part_cnt; n++)
			g->topics[i]->parts[n].target = GROUP_NONE;
}

/* ---- Hand-over ---- */

static void begin_leaving(struct group *g, int64_t now_ms, struct group_part *p)
{
	struct group_member *m = g->slots[p->holder];

	p->is_leaving = true;
	p->leave_ms = now_ms;
	p->leave_gen = g->generation + 1;
	g->leaving_cnt++;
	m->leaving_cnt++;
	m->is_changed = true;
	g->is_moved = true;
	group_lower_deadline(g, clock_add(now_ms, group_rebalance_timeout(g, m)));
}

/* Its target is its holder again. */
static void stop_leaving(struct group *g, struct group_part *p)
{
	struct group_member *m = g->slots[p->holder];

	p->is_leaving = false;
	g->leaving_cnt--;
	m->leaving_cnt--;
	m->is_changed = true;
	g->is_moved = true;
}

static void settle_part(struct group *g, int64_t now_ms, struct group_part *p)
{
	if (p->holder == p->target) {
		if (p->is_leaving)
			stop_leaving(g, p);
		return;
	}
	if (p->holder != GROUP_NONE) {
		if (!group_part_is_done(g, p)) {
			if (!p->is_leaving)
				begin_leaving(g, now_ms, p);
			return;
		}
		group_part_release(g, p);
	}
	if (p->target != GROUP_NONE)
		group_part_take(g, p, g->slots[p->target]);
}

/* Puts all shares into the order of topics and partitions in their holders' lists. */
static void order_parts(struct group *g)
{
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		for (uint32_t n = 0; n < g->topics[i]->part_cnt; n++) {
			struct group_part *p = &g->topics[i]->parts[n];

			if (p->holder == GROUP_NONE)
				continue;
			list_remove(&p->node);
			list_put(&g->slots[p->holder]->parts, &p->node);
		}
}

bool group_is_unsettled(const struct group *g)
{
	return g->needs_assign || g->is_due || g->is_moved || g->is_changed;
}

int group_settle(struct group *g, int64_t now_ms)
{
	int r;

	if (!group_is_unsettled(g))
		return 0;
	if (g->needs_assign && g->member_cnt) {
		r = assign(g);
		if (r)
			return r;
	} else if (g->needs_assign) {
		no_targets(g);
	}
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		for (uint32_t n = 0; n < g->topics[i]->part_cnt; n++)
			settle_part(g, now_ms, &g->topics[i]->parts[n]);
	if (g->is_moved)
		order_parts(g);
	group_topics_drop(g);
	g->generation += g->is_moved;
	g->is_unwritten |= g->is_moved || g->is_changed;
	g->needs_assign = g->is_due = g->is_moved = g->is_changed = false;
	POST(group_state(g) != GROUP_PREPARING);
	return 0;
}

bool group_is_unwritten(const struct group *g)
{
	return g->is_unwritten;
}

void group_raise(struct group *g, uint64_t beyond)
{
	if (g->generation > beyond)
		return;
	g->generation = beyond;
	g->is_moved = true;
}

void group_on_written(struct group *g)
{
	bool is_raised = g->generation > g->written_generation;

	PRE(!group_is_unsettled(g));
	g->written_generation = g->generation;
	g->is_unwritten = false;
	LIST_FOREACH(pos, &g->members) {
		struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		if (m->owner && (m->is_changed || (is_raised && !m->is_stream)))
			group_post(g, m, GROUP_EVENT_ASSIGNED, NULL);
		m->is_changed = false;
	}
}

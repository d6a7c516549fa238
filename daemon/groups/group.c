#include "daemon/groups/group_impl.h"

#include "daemon/base/clock.h"
#include "daemon/base/fund.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

int group_refuse(char *ret_sentence, int err, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret_sentence, GROUP_SENTENCE_LEN, fmt, ap);
	va_end(ap);
	return err;
}

/* ---- Life ---- */

/* Takes the name. */
static struct group *begin(struct group *g, char *name, const uint8_t id[16],
			   const struct group_settings *set)
{
	memcpy(g->id, id, 16);
	g->set = *set;
	g->deadline_ms = INT64_MAX;
	list_init(&g->subs);
	list_init(&g->members);
	list_init(&g->events);
	list_init(&g->offset_room);
	g->name = name;
	return g;
}

struct group *group_new(const char *name, const uint8_t id[16], const struct group_settings *set)
{
	struct group *g = fund_calloc(1, sizeof(*g));

	return begin(g, fund_strndup(name, strlen(name)), id, set);
}

struct group *group_like(const struct group *from)
{
	struct group *g = calloc(1, sizeof(*g));
	char *name = g ? strdup(from->name) : NULL;

	if (!name) {
		free(g);
		return NULL;
	}
	return begin(g, name, from->id, &from->set);
}

void group_free(struct group *g)
{
	if (!g)
		return;
	for (uint32_t i = 0; i < g->slot_cap; i++) {
		struct group_member *m = g->slots[i];

		if (m && !m->is_gone)
			group_member_unlink(g, m);
		group_member_free(g, m);
	}
	ASSERT(list_is_empty(&g->subs));
	group_topics_free(g);
	group_offsets_free(g);
	free(g->slots);
	free(g->by_id);
	free(g->name);
	free(g);
}

const uint8_t *group_id(const struct group *g)
{
	return g->id;
}

const struct group_settings *group_settings(const struct group *g)
{
	return &g->set;
}

void group_on_deleted(struct group *g)
{
	LIST_FOREACH_SAFE(pos, tmp, &g->members) {
		struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		group_member_unlink(g, m);
		if (m->owner)
			group_post(g, m, GROUP_EVENT_FENCED, "the group was deleted");
		else
			group_member_free(g, m);
	}
	g->is_dead = true;
	g->needs_assign = g->is_due = g->is_moved = g->is_changed = g->is_unwritten = false;
	g->deadline_ms = INT64_MAX;
}

/* ---- What it is ---- */

struct group_member *group_slot(const struct group *g, uint32_t slot)
{
	struct group_member *m = slot < g->slot_cap ? g->slots[slot] : NULL;

	return m && !m->is_gone ? m : NULL;
}

const char *group_state_name(enum group_state s)
{
	switch (s) {
	case GROUP_EMPTY:
		return "Empty";
	case GROUP_PREPARING:
		return "PreparingRebalance";
	case GROUP_COMPLETING:
		return "CompletingRebalance";
	case GROUP_STABLE:
		return "Stable";
	case GROUP_DEAD:
		return "Dead";
	}
	return "";
}

/* The state follows from what is there; so the arrows of the drawing in group.h need no mover. */
enum group_state group_state(const struct group *g)
{
	if (g->is_dead)
		return GROUP_DEAD;
	if (g->needs_assign)
		return GROUP_PREPARING;
	if (!g->member_cnt)
		return GROUP_EMPTY;
	return g->leaving_cnt ? GROUP_COMPLETING : GROUP_STABLE;
}

uint64_t group_generation(const struct group *g)
{
	return g->written_generation;
}

enum assign_strategy group_strategy(const struct group *g)
{
	LIST_FOREACH(pos, &g->members) {
		const struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		if (m->strategy >= 0)
			return (enum assign_strategy)m->strategy;
	}
	return g->set.strategy;
}

uint32_t group_member_cnt(const struct group *g)
{
	return g->member_cnt;
}

uint64_t group_rebalance_cnt(const struct group *g)
{
	return g->rebalance_cnt;
}

/* ---- Liveness ---- */

static int64_t session_timeout(const struct group *g, const struct group_member *m)
{
	return m->session_timeout_ms >= 0 ? m->session_timeout_ms : g->set.session_timeout_ms;
}

int64_t group_rebalance_timeout(const struct group *g, const struct group_member *m)
{
	return m->rebalance_timeout_ms >= 0 ? m->rebalance_timeout_ms : g->set.rebalance_timeout_ms;
}

static int64_t poll_interval(const struct group *g, const struct group_member *m)
{
	return m->max_poll_interval_ms >= 0 ? m->max_poll_interval_ms : g->set.max_poll_interval_ms;
}

/* By when it has to hand over what it owes. Nobody owes who waits in a read: he is told first. */
static int64_t owes_until(const struct group *g, const struct group_member *m)
{
	int64_t since = INT64_MAX;

	if (!m->leaving_cnt || m->liveness == GROUP_WAITS)
		return INT64_MAX;
	LIST_FOREACH(pos, &m->parts) {
		const struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

		if (p->is_leaving && !group_part_is_done(g, p))
			since = MIN(since, p->leave_ms);
	}
	return clock_add(since, group_rebalance_timeout(g, m));
}

/* When it runs out, and of what. */
static int64_t runs_out(const struct group *g, const struct group_member *m, const char **ret_why)
{
	int64_t owes = owes_until(g, m), own = INT64_MAX;

	switch (m->liveness) {
	case GROUP_WAITS:
		*ret_why = "";
		break;
	case GROUP_BUSY:
		own = clock_add(m->since_ms, poll_interval(g, m));
		*ret_why = "it did nothing for max.poll.interval.ms";
		break;
	case GROUP_INTERRUPTED:
		own = clock_add(m->since_ms, session_timeout(g, m));
		*ret_why = "its read was interrupted and did not come back for session.timeout.ms";
		break;
	case GROUP_AWAY:
		own = clock_add(m->since_ms, session_timeout(g, m));
		*ret_why = "it did not come back for session.timeout.ms";
		break;
	}
	if (owes < own) {
		own = owes;
		*ret_why = "it did not hand over a partition within rebalance.timeout.ms";
	}
	return own;
}

void group_lower_deadline(struct group *g, int64_t at_ms)
{
	g->deadline_ms = MIN(g->deadline_ms, at_ms);
}

static void find_deadline(struct group *g)
{
	const char *why;

	g->deadline_ms = INT64_MAX;
	LIST_FOREACH(pos, &g->members)
		group_lower_deadline(g,
				     runs_out(g, LIST_ENTRY(pos, struct group_member, node), &why));
}

void group_set_liveness(struct group *g, int64_t now_ms, struct group_member *m,
			enum group_liveness l)
{
	m->liveness = l;
	m->since_ms = now_ms;
	if (l == GROUP_WAITS)
		return;
	group_lower_deadline(g, clock_add(now_ms, l == GROUP_BUSY ? poll_interval(g, m)
								  : session_timeout(g, m)));
	/* What it owed while it waited counts again. */
	group_lower_deadline(g, owes_until(g, m));
}

void group_set_settings(struct group *g, const struct group_settings *set)
{
	enum assign_strategy strategy = group_strategy(g);

	g->set = *set;
	if (group_strategy(g) != strategy && g->member_cnt)
		g->needs_assign = true;
	find_deadline(g);
}

void group_on_wait(struct group *g, int64_t now_ms, uint32_t slot)
{
	struct group_member *m = group_slot(g, slot);

	if (!m)
		return;
	group_set_liveness(g, now_ms, m, GROUP_WAITS);
	if (!m->is_stream)
		return;
	/* A stream waits at its frontier only: it has dealt with all that it was given. */
	if (m->undealt_cnt)
		LIST_FOREACH(pos, &m->parts) {
			struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

			p->dealt = MAX(p->dealt, p->given);
		}
	m->undealt_cnt = 0;
	g->is_due |= m->leaving_cnt > 0;
}

void group_on_interrupt(struct group *g, int64_t now_ms, uint32_t slot)
{
	struct group_member *m = group_slot(g, slot);

	if (m)
		group_set_liveness(g, now_ms, m, GROUP_INTERRUPTED);
}

void group_on_sign(struct group *g, int64_t now_ms, uint32_t slot)
{
	struct group_member *m = group_slot(g, slot);

	if (m)
		group_set_liveness(g, now_ms, m, GROUP_BUSY);
}

int64_t group_deadline_ms(const struct group *g)
{
	return g->deadline_ms;
}

void group_tick(struct group *g, int64_t now_ms)
{
	const char *why;

	if (now_ms < g->deadline_ms)
		return;
	LIST_FOREACH_SAFE(pos, tmp, &g->members) {
		struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		if (runs_out(g, m, &why) > now_ms)
			continue;
		group_member_unlink(g, m);
		if (m->owner)
			group_post(g, m, GROUP_EVENT_EXPELLED, why);
		else
			group_member_free(g, m);
	}
	find_deadline(g);
	POST(g->deadline_ms > now_ms);
}

/* ---- Events ---- */

void group_post(struct group *g, struct group_member *m, enum group_event_kind kind,
		const char *why)
{
	if (m->event == GROUP_EVENT_NONE)
		list_put(&g->events, &m->event_node);
	m->event = kind;
	m->why = why;
	m->is_gone = kind != GROUP_EVENT_ASSIGNED;
}

void group_next_event(struct group *g, struct group_event *ret)
{
	struct group_member *m;

	*ret = (struct group_event){ .kind = GROUP_EVENT_NONE };
	if (list_is_empty(&g->events))
		return;
	m = LIST_ENTRY(g->events.next, struct group_member, event_node);
	*ret = (struct group_event){ .kind = m->event, .owner = m->owner, .why = m->why };
	list_remove(&m->event_node);
	m->event = GROUP_EVENT_NONE;
	if (m->is_gone)
		group_member_free(g, m);
}

/* ---- Views ---- */

static void view(const struct group *g, const struct group_member *m, struct group_member_view *ret)
{
	*ret = (struct group_member_view){
		.slot = m->slot,
		.id = m->id,
		.instance = m->instance,
		.client_id = m->client_id,
		.client_host = m->client_host,
		.uid = m->uid,
		.is_stream = m->is_stream,
		.is_leader = g->members.next == &m->node,
		.liveness = m->liveness,
		.session_timeout_ms = session_timeout(g, m),
		.rebalance_timeout_ms = group_rebalance_timeout(g, m),
		.max_poll_interval_ms = poll_interval(g, m),
		.generation = m->is_stream ? g->written_generation : m->line_gen,
		.owner = m->owner,
	};
}

bool group_member_next(const struct group *g, uint32_t slot, struct group_member_view *ret)
{
	const struct group_member *m = group_slot(g, slot);
	const struct list *next = m ? m->node.next : g->members.next;

	if ((slot != GROUP_NONE && !m) || next == &g->members)
		return false;
	view(g, LIST_ENTRY(next, struct group_member, node), ret);
	return true;
}

bool group_member_find(const struct group *g, const char *id, struct group_member_view *ret)
{
	const struct group_member *m = group_find_id(g, id);

	if (m)
		view(g, m, ret);
	return m;
}

bool group_member_get(const struct group *g, uint32_t slot, struct group_member_view *ret)
{
	const struct group_member *m = group_slot(g, slot);

	if (m)
		view(g, m, ret);
	return m;
}

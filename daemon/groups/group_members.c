/*
 * Joining, taking over, leaving.
 *
 * A member of an instance that joins again is a new member object with a slot of its own, which is
 * given everything of the one before. What was given to the one before and not dealt with is void,
 * as after a death; so a share of it that leaves goes at once. The slot of the one before stays
 * taken by it until its event is taken.
 */
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A member's record without its texts: flags, uid, strategy, times, lengths, counts. */
#define RECORD_FIXED_LEN 64U

/* ---- One member ---- */

static const char *put_text(char **at, const char *s, size_t len)
{
	char *begin = *at;

	memcpy(begin, s, len);
	begin[len] = '\0';
	*at += len + 1;
	return begin;
}

struct group_member *group_member_new(const struct group_join *j, const char *id)
{
	const char *client_id = j->client_id ? j->client_id : "";
	const char *client_host = j->client_host ? j->client_host : "";
	const char *instance = j->instance ? j->instance : "";
	/* The names of processes and hosts are told, not compared: what is too long is cut. */
	size_t lens[] = { strlen(id), strlen(instance), strnlen(client_id, GROUP_NAME_MAX),
			  strnlen(client_host, GROUP_NAME_MAX) };
	size_t len = lens[0] + lens[1] + lens[2] + lens[3];
	struct group_member *m = calloc(1, sizeof(*m) + len + ARRAY_CNT(lens));
	char *at;

	if (!m)
		return NULL;
	at = m->text;
	m->id = put_text(&at, id, lens[0]);
	m->instance = put_text(&at, instance, lens[1]);
	if (!j->instance)
		m->instance = NULL;
	m->client_id = put_text(&at, client_id, lens[2]);
	m->client_host = put_text(&at, client_host, lens[3]);
	m->text_len = RECORD_FIXED_LEN + len;
	m->is_stream = j->is_stream;
	m->uid = j->uid;
	m->strategy = j->strategy;
	m->session_timeout_ms = j->session_timeout_ms;
	m->rebalance_timeout_ms = j->rebalance_timeout_ms;
	m->max_poll_interval_ms = j->max_poll_interval_ms;
	m->owner = j->owner;
	m->slot = GROUP_NONE;
	list_init(&m->node);
	list_init(&m->event_node);
	list_init(&m->parts);
	return m;
}

void group_member_free(struct group *g, struct group_member *m)
{
	if (!m)
		return;
	PRE(list_is_empty(&m->node) && list_is_empty(&m->parts) && !m->sub);
	list_remove(&m->event_node);
	if (m->slot != GROUP_NONE)
		g->slots[m->slot] = NULL;
	free(m->denied);
	free(m);
}

/* ---- All of them ---- */

/* The first member in the order of ids that is not before this id. */
static uint32_t id_from(const struct group *g, const char *id)
{
	uint32_t lo = 0, hi = g->member_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(g->by_id[mid]->id, id) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct group_member *group_find_id(const struct group *g, const char *id)
{
	uint32_t i = id_from(g, id);

	return i < g->member_cnt && !strcmp(g->by_id[i]->id, id) ? g->by_id[i] : NULL;
}

struct group_member *group_find_instance(const struct group *g, const char *instance)
{
	LIST_FOREACH(pos, &g->members) {
		struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		if (m->instance && !strcmp(m->instance, instance))
			return m;
	}
	return NULL;
}

static uint32_t free_slot(const struct group *g)
{
	uint32_t i = 0;

	while (i < g->slot_cap && g->slots[i])
		i++;
	return i;
}

int group_member_reserve(struct group *g)
{
	if (g->member_cnt == g->by_id_cap) {
		uint32_t cap = g->by_id_cap ? g->by_id_cap * 2 : 4;
		struct group_member **n = realloc(g->by_id, cap * sizeof(struct group_member *));

		if (!n)
			return -ENOMEM;
		g->by_id = n;
		g->by_id_cap = cap;
	}
	if (free_slot(g) == g->slot_cap) {
		uint32_t cap = g->slot_cap ? g->slot_cap * 2 : 4;
		struct group_member **n = realloc(g->slots, cap * sizeof(struct group_member *));

		if (!n)
			return -ENOMEM;
		memset(n + g->slot_cap, 0, (cap - g->slot_cap) * sizeof(struct group_member *));
		g->slots = n;
		g->slot_cap = cap;
	}
	return 0;
}

void group_member_link(struct group *g, struct group_member *m, struct group_sub *sub)
{
	uint32_t i = id_from(g, m->id);

	PRE(g->member_cnt < g->by_id_cap);
	m->slot = free_slot(g);
	ASSERT(m->slot < g->slot_cap);
	g->slots[m->slot] = m;
	memmove(g->by_id + i + 1, g->by_id + i, (g->member_cnt - i) * sizeof(*g->by_id));
	g->by_id[i] = m;
	g->member_cnt++;
	m->sub = sub;
	list_put(&g->members, &m->node);
	g->text_len += m->text_len + sub->text_len;
}

/* The member leaves the tables; what it holds has gone to others. */
static void unlink_tables(struct group *g, struct group_member *m)
{
	uint32_t i = id_from(g, m->id);

	/* While it is taken over two may have the same id. */
	while (g->by_id[i] != m)
		i++;
	ASSERT(i < g->member_cnt && list_is_empty(&m->parts));
	g->member_cnt--;
	memmove(g->by_id + i, g->by_id + i + 1, (g->member_cnt - i) * sizeof(*g->by_id));
	list_remove(&m->node);
	g->text_len -= m->text_len + m->sub->text_len;
	group_sub_put(g, m->sub);
	m->sub = NULL;
	g->is_changed = true;
}

/* Slots are used again: nothing may be meant for one that is left. */
static void retarget(struct group *g, uint32_t from, uint32_t to)
{
	for (uint32_t t = 0; t < g->topic_cnt; t++)
		for (uint32_t p = 0; p < g->topics[t]->part_cnt; p++)
			if (g->topics[t]->parts[p].target == from)
				g->topics[t]->parts[p].target = to;
}

void group_member_unlink(struct group *g, struct group_member *m)
{
	LIST_FOREACH_SAFE(pos, tmp, &m->parts)
		group_part_release(g, LIST_ENTRY(pos, struct group_part, node));
	retarget(g, m->slot, GROUP_NONE);
	unlink_tables(g, m);
	g->needs_assign = true;
}

/* The process behind m is gone: what it was given is void, and what it owed is handed over. */
static void forget_given(struct group *g, struct group_member *m)
{
	LIST_FOREACH_SAFE(pos, tmp, &m->parts) {
		struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

		group_part_forget(g, p);
		if (p->is_leaving)
			group_part_release(g, p);
	}
}

/* ---- Joining ---- */

static int check_text(const char *what, const char *s, char *ret_sentence)
{
	if (s && (!*s || strlen(s) > GROUP_NAME_MAX))
		return group_refuse(ret_sentence, -EINVAL, "%s has 1 to %d bytes", what,
				    GROUP_NAME_MAX);
	return 0;
}

/* The strategies that members ask for agree: that of j with those of all but `but`. */
static int check_strategy(const struct group *g, const struct group_join *j,
			  const struct group_member *but, char *ret_sentence)
{
	LIST_FOREACH(pos, &g->members) {
		const struct group_member *m = LIST_ENTRY(pos, struct group_member, node);

		if (m != but && m->strategy >= 0 && j->strategy >= 0 && m->strategy != j->strategy)
			return group_refuse(
				ret_sentence, -EINVAL, "member %s asked for the strategy %s", m->id,
				assign_strategy_name((enum assign_strategy)m->strategy));
	}
	return 0;
}

static int check_join(const struct group *g, const struct group_join *j,
		      const struct group_member *old, char *ret_sentence)
{
	const struct group_member *same = j->member_id ? group_find_id(g, j->member_id) : NULL;
	int r = check_text("a member's id", j->member_id, ret_sentence);

	if (!r)
		r = check_text("an instance's id", j->instance, ret_sentence);
	if (!r)
		r = check_strategy(g, j, old, ret_sentence);
	if (r)
		return r;
	if (same && same != old)
		return group_refuse(ret_sentence, -EEXIST, "there is a member %s", j->member_id);
	if (!old && g->member_cnt == GROUP_MEMBER_MAX)
		return group_refuse(ret_sentence, -ENOSPC, "a group has at most %u members",
				    GROUP_MEMBER_MAX);
	return 0;
}

/* The next number whose name nobody has chosen. */
static uint64_t next_id(const struct group *g, char ret[static 24])
{
	uint64_t no = g->member_no;

	do
		snprintf(ret, 24, "m-%" PRIu64, ++no);
	while (group_find_id(g, ret));
	return no;
}

/* m, which is linked, becomes what old was; old is nobody. */
static void take_over(struct group *g, struct group_member *m, struct group_member *old)
{
	forget_given(g, old);
	LIST_FOREACH_SAFE(pos, tmp, &old->parts) {
		struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

		p->holder = m->slot;
		list_remove(&p->node);
		list_put(&m->parts, &p->node);
	}
	retarget(g, old->slot, m->slot);
	/* Its place in the order of joining. */
	list_remove(&m->node);
	list_put(&old->node, &m->node);
	/* Two processes with one id that was chosen: only another generation tells them apart. */
	if (old->owner && !strcmp(old->id, m->id))
		g->is_moved = true;
	/* What the old one might not read the new one may, until something else is said. */
	if (m->sub != old->sub || old->denied_cnt)
		g->needs_assign = true;
	unlink_tables(g, old);
	if (old->owner)
		group_post(g, old, GROUP_EVENT_FENCED,
			   "another process joined with the same instance");
	else
		group_member_free(g, old);
}

static int check_space(const struct group *g, const struct group_member *m,
		       const struct group_sub *sub, const struct group_member *old,
		       char *ret_sentence)
{
	size_t len = g->text_len + m->text_len + sub->text_len;

	if (old)
		len -= old->text_len + old->sub->text_len;
	if (len > GROUP_TEXT_MAX)
		return group_refuse(ret_sentence, -ENOSPC,
				    "the subscriptions of this group's members are too long");
	return 0;
}

int group_join(struct group *g, int64_t now_ms, const struct group_join *j, uint32_t *ret_slot,
	       char *ret_sentence)
{
	struct group_member *old = j->instance ? group_find_instance(g, j->instance) : NULL, *m;
	enum assign_strategy strategy = group_strategy(g);
	struct group_sub *sub = NULL;
	uint64_t no = g->member_no;
	char id[24];
	int r;

	PRE(j->owner);
	*ret_sentence = '\0';
	if (g->is_dead)
		return group_refuse(ret_sentence, -ESTALE, "the group was deleted");
	r = check_join(g, j, old, ret_sentence);
	if (r)
		return r;
	if (!j->member_id)
		no = next_id(g, id);
	m = group_member_new(j, j->member_id ? j->member_id : id);
	if (!m)
		return -ENOMEM;
	r = group_member_reserve(g);
	if (!r)
		r = group_sub_get(g, j, &sub, ret_sentence);
	if (!r)
		r = check_space(g, m, sub, old, ret_sentence);
	if (r) {
		group_sub_put(g, sub);
		group_member_free(g, m);
		return r;
	}
	g->member_no = no;
	group_member_link(g, m, sub);
	m->is_changed = true;
	g->is_changed = true;
	group_set_liveness(g, now_ms, m, GROUP_BUSY);
	if (old)
		take_over(g, m, old);
	else
		g->needs_assign = g->is_moved = true;
	if (group_strategy(g) != strategy)
		g->needs_assign = true;
	*ret_slot = m->slot;
	return 0;
}

int group_resubscribe(struct group *g, int64_t now_ms, uint32_t slot, const struct group_join *j,
		      char *ret_sentence)
{
	struct group_member *m = group_slot(g, slot);
	enum assign_strategy strategy = group_strategy(g);
	struct group_sub *sub;
	int r;

	*ret_sentence = '\0';
	if (!m)
		return group_refuse(ret_sentence, -ESTALE, "this is no member any more");
	r = check_strategy(g, j, m, ret_sentence);
	if (!r)
		r = group_sub_get(g, j, &sub, ret_sentence);
	if (r)
		return r;
	if (g->text_len - m->sub->text_len + sub->text_len > GROUP_TEXT_MAX) {
		group_sub_put(g, sub);
		return group_refuse(ret_sentence, -ENOSPC,
				    "the subscriptions of this group's members are too long");
	}
	m->strategy = j->strategy;
	m->session_timeout_ms = j->session_timeout_ms;
	m->rebalance_timeout_ms = j->rebalance_timeout_ms;
	m->max_poll_interval_ms = j->max_poll_interval_ms;
	group_set_liveness(g, now_ms, m, GROUP_BUSY);
	g->is_changed = true;
	if (sub != m->sub)
		g->needs_assign = g->is_moved = m->is_changed = true;
	if (group_strategy(g) != strategy || m->denied_cnt)
		g->needs_assign = true;
	m->denied_cnt = 0;
	g->text_len += sub->text_len - m->sub->text_len;
	group_sub_put(g, m->sub);
	m->sub = sub;
	return 0;
}

void group_leave(struct group *g, int64_t now_ms, uint32_t slot)
{
	struct group_member *m = slot < g->slot_cap ? g->slots[slot] : NULL;

	if (!m)
		return;
	if (m->is_gone) {
		group_member_free(g, m);
		return;
	}
	list_remove(&m->event_node);
	m->event = GROUP_EVENT_NONE;
	if (m->instance) {
		forget_given(g, m);
		m->owner = NULL;
		group_set_liveness(g, now_ms, m, GROUP_AWAY);
		return;
	}
	group_member_unlink(g, m);
	group_member_free(g, m);
}

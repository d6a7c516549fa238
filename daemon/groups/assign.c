#include "daemon/groups/assign.h"

#include "daemon/groups/assign_impl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static const char *const names[] = {
	[ASSIGN_RANGE] = "range",
	[ASSIGN_ROUNDROBIN] = "roundrobin",
	[ASSIGN_STICKY] = "sticky",
	[ASSIGN_COOPERATIVE_STICKY] = "cooperative-sticky",
};

const char *assign_strategy_name(enum assign_strategy strategy)
{
	PRE((size_t)strategy < ARRAY_CNT(names));
	return names[strategy];
}

struct assign_chunk {
	struct assign_chunk *next;
	max_align_t mem[];
};

void *assign_take(struct assign_problem *x, size_t cnt, size_t size)
{
	struct assign_chunk *c;
	size_t len;

	if (__builtin_mul_overflow(cnt, size, &len) ||
	    __builtin_add_overflow(len, sizeof(*c), &len))
		return NULL;
	c = calloc(1, len);
	if (!c)
		return NULL;
	c->next = x->chunks;
	x->chunks = c;
	return c->mem;
}

static void problem_fini(struct assign_problem *x)
{
	while (x->chunks) {
		struct assign_chunk *c = x->chunks;

		x->chunks = c->next;
		free(c);
	}
}

/*
 * The order of Java's strings. UTF-8 sorts by code points; UTF-16 differs where one character is
 * beyond U+FFFF (first byte from 0xf0): its surrogates sort before U+E000 to U+FFFF (0xee, 0xef).
 */
static int text_cmp(const char *a, const char *b)
{
	const uint8_t *x = (const uint8_t *)a, *y = (const uint8_t *)b;

	while (*x && *x == *y) {
		x++;
		y++;
	}
	if (*x >= 0xee && *y >= 0xee && (*x >= 0xf0) != (*y >= 0xf0))
		return *x >= 0xf0 ? -1 : 1;
	return (int)*x - (int)*y;
}

static int topic_cmp(const void *a, const void *b, void *context)
{
	const struct assign_topic *topics = context;

	return text_cmp(topics[*(const uint32_t *)a].name, topics[*(const uint32_t *)b].name);
}

static int member_cmp(const void *a, const void *b, void *context)
{
	const struct assign_member *members = context;
	const struct assign_member *x = &members[*(const uint32_t *)a];
	const struct assign_member *y = &members[*(const uint32_t *)b];
	int cmp = 0;

	if (x->instance_id && y->instance_id)
		cmp = text_cmp(x->instance_id, y->instance_id);
	else if (x->instance_id || y->instance_id)
		cmp = x->instance_id ? -1 : 1;
	return cmp ? cmp : text_cmp(x->id, y->id);
}

/* What the caller gave, and how its numbers and ours belong together. */
struct given {
	const struct assign_topic *topics;
	const struct assign_member *members;
	uint32_t *topic_order;	/* ours to the caller's */
	uint32_t *topic_place;	/* the caller's to ours */
	uint32_t *member_order; /* ours to the caller's */
};

static int number_topics(struct assign_problem *x, struct given *g)
{
	uint64_t sum = 0;

	g->topic_order = assign_take(x, x->topic_cnt, sizeof(uint32_t));
	g->topic_place = assign_take(x, x->topic_cnt, sizeof(uint32_t));
	x->first = assign_take(x, (size_t)x->topic_cnt + 1, sizeof(uint32_t));
	if (!g->topic_order || !g->topic_place || !x->first)
		return -ENOMEM;
	for (uint32_t t = 0; t < x->topic_cnt; t++)
		g->topic_order[t] = t;
	if (x->topic_cnt)
		qsort_r(g->topic_order, x->topic_cnt, sizeof(uint32_t), topic_cmp,
			(void *)g->topics);
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		g->topic_place[g->topic_order[t]] = t;
		sum += g->topics[g->topic_order[t]].partition_cnt;
		if (sum >= ASSIGN_NONE)
			return -E2BIG;
		x->first[t + 1] = (uint32_t)sum;
	}
	x->part_cnt = (uint32_t)sum;
	x->topic = assign_take(x, x->part_cnt, sizeof(uint32_t));
	x->home = assign_take(x, x->part_cnt, sizeof(uint32_t));
	x->owner = assign_take(x, x->part_cnt, sizeof(uint32_t));
	if (!x->topic || !x->home || !x->owner)
		return -ENOMEM;
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		for (uint32_t p = x->first[t]; p < x->first[t + 1]; p++) {
			x->topic[p] = t;
			x->home[p] = x->owner[p] = ASSIGN_NONE;
		}
	}
	return 0;
}

static int number_members(struct assign_problem *x, struct given *g)
{
	uint64_t sum = 0;
	uint32_t *end;

	g->member_order = assign_take(x, x->member_cnt, sizeof(uint32_t));
	x->sub_first = assign_take(x, (size_t)x->topic_cnt + 1, sizeof(uint32_t));
	end = assign_take(x, x->topic_cnt, sizeof(uint32_t));
	if (!g->member_order || !x->sub_first || !end)
		return -ENOMEM;
	for (uint32_t m = 0; m < x->member_cnt; m++) {
		const struct assign_member *given = &g->members[m];

		g->member_order[m] = m;
		sum += given->topic_cnt;
		if (sum >= ASSIGN_NONE)
			return -E2BIG;
		for (size_t i = 0; i < given->topic_cnt; i++) {
			PRE(given->topic_idx[i] < x->topic_cnt);
			PRE(i == 0 || given->topic_idx[i] > given->topic_idx[i - 1]);
			x->sub_first[g->topic_place[given->topic_idx[i]] + 1]++;
		}
	}
	if (x->member_cnt)
		qsort_r(g->member_order, x->member_cnt, sizeof(uint32_t), member_cmp,
			(void *)g->members);
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		x->sub_first[t + 1] += x->sub_first[t];
		end[t] = x->sub_first[t];
	}
	x->subs = assign_take(x, sum, sizeof(uint32_t));
	if (!x->subs)
		return -ENOMEM;
	for (uint32_t m = 0; m < x->member_cnt; m++) {
		const struct assign_member *given = &g->members[g->member_order[m]];

		for (size_t i = 0; i < given->topic_cnt; i++)
			x->subs[end[g->topic_place[given->topic_idx[i]]]++] = m;
	}
	return 0;
}

/* The place among a topic's subscribers of the first that is no smaller than m. */
static uint32_t sub_find(const struct assign_problem *x, uint32_t t, uint32_t m)
{
	uint32_t low = x->sub_first[t], high = x->sub_first[t + 1];

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (x->subs[mid] < m)
			low = mid + 1;
		else
			high = mid;
	}
	return low;
}

/* Who owns what now, of all that is claimed. */
static int find_homes(struct assign_problem *x, const struct given *g)
{
	/* Of a partition: the newest generation that claims it; where nobody does, a smaller one
	 * than any of a claim. */
	int64_t *newest = assign_take(x, x->part_cnt, sizeof(int64_t));

	if (!newest)
		return -ENOMEM;
	for (uint32_t p = 0; p < x->part_cnt; p++)
		newest[p] = INT64_MIN;
	for (uint32_t m = 0; m < x->member_cnt; m++) {
		const struct assign_member *given = &g->members[g->member_order[m]];

		PRE(given->owned_generation > INT64_MIN);
		for (size_t i = 0; i < given->owned_cnt; i++) {
			struct assign_part o = given->owned[i];
			uint32_t p;

			if (o.topic_idx >= x->topic_cnt ||
			    o.partition >= g->topics[o.topic_idx].partition_cnt)
				continue;
			p = x->first[g->topic_place[o.topic_idx]] + o.partition;
			if (given->owned_generation > newest[p]) {
				newest[p] = given->owned_generation;
				x->home[p] = m;
			} else if (given->owned_generation == newest[p] && x->home[p] != m) {
				x->home[p] = ASSIGN_NONE;
			}
		}
	}
	/* Only now: a claim that lost to one which does not count is stale all the same. */
	for (uint32_t p = 0; p < x->part_cnt; p++) {
		uint32_t t = x->topic[p], i = sub_find(x, t, x->home[p]);

		if (i == x->sub_first[t + 1] || x->subs[i] != x->home[p])
			x->home[p] = ASSIGN_NONE;
	}
	return 0;
}

/* Each topic by itself: a stretch for each subscriber, the first ones' are one longer where it does
 * not divide. */
static void assign_range(struct assign_problem *x)
{
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		uint32_t sub_cnt = assign_sub_cnt(x, t), p = x->first[t];

		for (uint32_t i = 0; i < sub_cnt; i++) {
			uint32_t len = assign_part_cnt(x, t) / sub_cnt +
				       (i < assign_part_cnt(x, t) % sub_cnt);

			while (len--)
				x->owner[p++] = x->subs[x->sub_first[t] + i];
		}
		POST(sub_cnt == 0 || p == x->first[t + 1]);
	}
}

/* All partitions in their order are dealt to the members in theirs, round and round; who does not
 * subscribe is passed over. */
static void assign_roundrobin(struct assign_problem *x)
{
	uint32_t turn = 0;

	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		uint32_t i;

		if (assign_sub_cnt(x, t) == 0)
			continue;
		i = sub_find(x, t, turn);
		for (uint32_t p = x->first[t]; p < x->first[t + 1]; p++) {
			if (i == x->sub_first[t + 1])
				i = x->sub_first[t];
			x->owner[p] = x->subs[i++];
			turn = x->owner[p] + 1;
		}
	}
}

static int problem_init(struct assign_problem *x, struct given *g)
{
	int err = number_topics(x, g);

	if (!err)
		err = number_members(x, g);
	return err;
}

static int solve(struct assign_problem *x, const struct given *g, enum assign_strategy strategy)
{
	int err;

	switch (strategy) {
	case ASSIGN_RANGE:
		assign_range(x);
		return 0;
	case ASSIGN_ROUNDROBIN:
		assign_roundrobin(x);
		return 0;
	case ASSIGN_STICKY:
	case ASSIGN_COOPERATIVE_STICKY:
		err = find_homes(x, g);
		return err ? err : assign_sticky(x);
	}
	ASSERT(!"a strategy");
	return 0;
}

int assign_compute(enum assign_strategy strategy, const struct assign_topic *topics,
		   size_t topic_cnt, const struct assign_member *members, size_t member_cnt,
		   uint32_t *ret_owner)
{
	struct assign_problem x = { 0 };
	struct given g = { .topics = topics, .members = members };
	int err = -E2BIG;

	if (topic_cnt >= ASSIGN_NONE || member_cnt >= ASSIGN_NONE)
		return err;
	x.topic_cnt = (uint32_t)topic_cnt;
	x.member_cnt = (uint32_t)member_cnt;
	err = problem_init(&x, &g);
	if (!err)
		err = solve(&x, &g, strategy);
	for (uint32_t t = 0; !err && t < x.topic_cnt; t++) {
		uint32_t place = g.topic_place[t];

		for (uint32_t p = x.first[place]; p < x.first[place + 1]; p++)
			*ret_owner++ = x.owner[p] == ASSIGN_NONE ? ASSIGN_NONE
								 : g.member_order[x.owner[p]];
	}
	problem_fini(&x);
	return err;
}

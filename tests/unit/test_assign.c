/*
 * The cases of Kafka's RangeAssignorTest, RoundRobinAssignorTest, AbstractStickyAssignorTest and
 * StickyAssignorTest that know no racks, with the results that stand there. Groups are written as
 * text:
 *
 *	topics	"t1:3 t2:1"		names and numbers of partitions
 *	members	"c1 = t1 t2 < t1-0 t2-1 @7; c2/i2 = t1"
 *			a member id, its instance id, what it subscribes to, what it owns since
 *			which generation
 *	results	"c1: t1-0 t2-0; c2:"
 */
#include "daemon/groups/assign.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOPIC_MAX 64U
#define MEMBER_MAX 64U
#define PART_MAX 1024U
#define TEXT_MAX 4096U

struct member {
	char id[32], instance_id[32];
	uint32_t topic_idx[TOPIC_MAX];
	struct assign_part owned[PART_MAX];
	struct assign_member m;
};

struct group {
	char topic_names[TOPIC_MAX][32];
	struct assign_topic topics[TOPIC_MAX];
	size_t topic_cnt;
	struct member members[MEMBER_MAX];
	size_t member_cnt;
	uint32_t owner[PART_MAX];
	size_t part_cnt;
};

/* One group at a time: it is too large for the stack. */
static struct group group;

static void set_topics(struct group *g, const char *text)
{
	int used = 0;
	unsigned cnt;

	g->topic_cnt = 0;
	g->part_cnt = 0;
	for (; sscanf(text, " %31[^: ]:%u%n", g->topic_names[g->topic_cnt], &cnt, &used) == 2;
	     text += used) {
		g->topics[g->topic_cnt] =
			(struct assign_topic){ .name = g->topic_names[g->topic_cnt],
					       .partition_cnt = cnt };
		g->part_cnt += cnt;
		g->topic_cnt++;
	}
	assert_int_equal(text[strspn(text, " ")], 0);
	assert_true(g->part_cnt <= PART_MAX);
}

/* topic_cnt where there is none: members may well ask for topics that do not exist. */
static uint32_t topic_of(const struct group *g, const char *name)
{
	uint32_t t = 0;

	while (t < g->topic_cnt && strcmp(g->topic_names[t], name) != 0)
		t++;
	return t;
}

static void subscribe(struct group *g, struct member *x, const char *name)
{
	uint32_t t = topic_of(g, name);
	size_t at = x->m.topic_cnt;

	if (t == g->topic_cnt)
		return;
	while (at > 0 && x->topic_idx[at - 1] > t) {
		x->topic_idx[at] = x->topic_idx[at - 1];
		at--;
	}
	x->topic_idx[at] = t;
	x->m.topic_cnt++;
}

/* Of "NAME-PARTITION"; what there is not stays away. */
static void own(struct group *g, struct member *x, const char *text)
{
	char name[32];
	unsigned partition;

	assert_int_equal(sscanf(text, "%31[^-]-%u", name, &partition), 2);
	if (topic_of(g, name) == g->topic_cnt)
		return;
	x->owned[x->m.owned_cnt++] = (struct assign_part){ topic_of(g, name), partition };
}

static void add_member(struct group *g, char *text)
{
	struct member *x = &g->members[g->member_cnt++];
	bool owns = false;
	char *rest = NULL, *word = strtok_r(text, " ", &rest);

	assert_true(g->member_cnt <= MEMBER_MAX);
	memset(x, 0, sizeof(*x));
	assert_true(sscanf(word, "%31[^/]/%31s", x->id, x->instance_id) >= 1);
	x->m.owned_generation = -1;
	while ((word = strtok_r(NULL, " ", &rest))) {
		if (word[0] == '<')
			owns = true;
		else if (word[0] == '@')
			x->m.owned_generation = strtoll(word + 1, NULL, 10);
		else if (owns)
			own(g, x, word);
		else if (word[0] != '=')
			subscribe(g, x, word);
	}
}

static void set_members(struct group *g, const char *text)
{
	char copy[TEXT_MAX], *rest = NULL;

	assert_true((size_t)snprintf(copy, sizeof(copy), "%s", text) < sizeof(copy));
	g->member_cnt = 0;
	for (char *m = strtok_r(copy, ";", &rest); m; m = strtok_r(NULL, ";", &rest))
		add_member(g, m);
}

static void compute(struct group *g, enum assign_strategy strategy)
{
	struct assign_member members[MEMBER_MAX];

	for (size_t i = 0; i < g->member_cnt; i++) {
		struct member *x = &g->members[i];

		members[i] = x->m;
		members[i].id = x->id;
		members[i].instance_id = x->instance_id[0] ? x->instance_id : NULL;
		members[i].topic_idx = x->topic_idx;
		members[i].owned = x->owned;
	}
	memset(g->owner, 0xaa, sizeof(g->owner));
	assert_int_equal(
		assign_compute(strategy, g->topics, g->topic_cnt, members, g->member_cnt, g->owner),
		0);
}

static bool subscribes(const struct member *x, uint32_t t)
{
	for (size_t i = 0; i < x->m.topic_cnt; i++) {
		if (x->topic_idx[i] == t)
			return true;
	}
	return false;
}

static size_t load_of(const struct group *g, size_t m)
{
	size_t load = 0;

	for (size_t p = 0; p < g->part_cnt; p++)
		load += g->owner[p] == m;
	return load;
}

/* What Kafka's tests ask of every result: valid; and where one member has two more than another,
 * they have no topic in common. (More is asked in test_assign_sticky.c.) */
static void check(const struct group *g)
{
	size_t p = 0;

	for (uint32_t t = 0; t < g->topic_cnt; t++) {
		size_t sub_cnt = 0;

		for (size_t m = 0; m < g->member_cnt; m++)
			sub_cnt += subscribes(&g->members[m], t);
		for (uint32_t i = 0; i < g->topics[t].partition_cnt; i++, p++) {
			if (sub_cnt == 0) {
				assert_int_equal(g->owner[p], ASSIGN_NONE);
				continue;
			}
			assert_true(g->owner[p] < g->member_cnt);
			assert_true(subscribes(&g->members[g->owner[p]], t));
			for (size_t m = 0; m < g->member_cnt; m++)
				assert_true(!subscribes(&g->members[m], t) ||
					    load_of(g, g->owner[p]) <= load_of(g, m) + 1);
		}
	}
}

static void result(const struct group *g, char *ret, size_t size)
{
	size_t len = 0;

	ret[0] = 0;
	for (size_t m = 0; m < g->member_cnt; m++) {
		size_t p = 0;

		len += (size_t)snprintf(ret + len, size - len, "%s%s:", m ? "; " : "",
					g->members[m].id);
		for (uint32_t t = 0; t < g->topic_cnt; t++) {
			for (uint32_t i = 0; i < g->topics[t].partition_cnt; i++, p++) {
				if (g->owner[p] == m)
					len += (size_t)snprintf(ret + len, size - len, " %s-%u",
								g->topic_names[t], i);
			}
		}
		assert_true(len < size);
	}
}

static void assert_gives(enum assign_strategy strategy, const char *topics, const char *members,
			 const char *want)
{
	char got[TEXT_MAX];

	set_topics(&group, topics);
	set_members(&group, members);
	compute(&group, strategy);
	result(&group, got, sizeof(got));
	assert_string_equal(got, want);
	if (strategy == ASSIGN_STICKY)
		check(&group);
}

static void range(const char *topics, const char *members, const char *want)
{
	assert_gives(ASSIGN_RANGE, topics, members, want);
}

static void roundrobin(const char *topics, const char *members, const char *want)
{
	assert_gives(ASSIGN_ROUNDROBIN, topics, members, want);
}

static void sticky(const char *topics, const char *members, const char *want)
{
	assert_gives(ASSIGN_STICKY, topics, members, want);
	assert_gives(ASSIGN_COOPERATIVE_STICKY, topics, members, want);
}

/* The next generation: all own what they were given. */
static void keep(struct group *g, int64_t generation)
{
	for (size_t m = 0; m < g->member_cnt; m++) {
		struct member *x = &g->members[m];
		size_t p = 0;

		x->m.owned_cnt = 0;
		x->m.owned_generation = generation;
		for (uint32_t t = 0; t < g->topic_cnt; t++) {
			for (uint32_t i = 0; i < g->topics[t].partition_cnt; i++, p++) {
				if (g->owner[p] == m)
					x->owned[x->m.owned_cnt++] = (struct assign_part){ t, i };
			}
		}
	}
}

static void join(struct group *g, const char *text)
{
	char copy[TEXT_MAX];

	snprintf(copy, sizeof(copy), "%s", text);
	add_member(g, copy);
}

static void leave(struct group *g, const char *id)
{
	size_t m = 0;

	while (strcmp(g->members[m].id, id) != 0)
		assert_true(++m < g->member_cnt);
	g->member_cnt--;
	memmove(&g->members[m], &g->members[m + 1], (g->member_cnt - m) * sizeof(g->members[0]));
}

static void assert_now(const char *want)
{
	char got[TEXT_MAX];

	compute(&group, ASSIGN_COOPERATIVE_STICKY);
	result(&group, got, sizeof(got));
	assert_string_equal(got, want);
	check(&group);
}

/* How many of the topic's partitions each member has: all of them want. */
static void assert_topic_share(const struct group *g, const char *name, size_t want)
{
	for (size_t m = 0; m < g->member_cnt; m++) {
		size_t p = 0, cnt = 0;

		for (uint32_t t = 0; t < g->topic_cnt; t++) {
			for (uint32_t i = 0; i < g->topics[t].partition_cnt; i++, p++)
				cnt += g->owner[p] == m && t == topic_of(g, name);
		}
		assert_int_equal(cnt, want);
	}
}

/* How many of what is owned goes elsewhere; the result of compute() against the claims. */
static size_t lost_cnt(const struct group *g)
{
	size_t cnt = 0;

	for (size_t m = 0; m < g->member_cnt; m++) {
		const struct member *x = &g->members[m];

		for (size_t i = 0; i < x->m.owned_cnt; i++) {
			size_t p = x->owned[i].partition;

			for (uint32_t t = 0; t < x->owned[i].topic_idx; t++)
				p += g->topics[t].partition_cnt;
			cnt += g->owner[p] != m;
		}
	}
	return cnt;
}

static void test_range_simple(void **state)
{
	range("", "c1 =", "c1:");
	range("", "c1 = t1", "c1:");
	range("t1:3", "c1 = t1", "c1: t1-0 t1-1 t1-2");
	range("t1:3 other:3", "c1 = t1", "c1: t1-0 t1-1 t1-2");
	range("t1:1 t2:2", "c1 = t1 t2", "c1: t1-0 t2-0 t2-1");
	range("t1:1", "c1 = t1; c2 = t1", "c1: t1-0; c2:");
	range("t1:2", "c1 = t1; c2 = t1", "c1: t1-0; c2: t1-1");
	range("t1:3 t2:2", "c1 = t1; c2 = t1 t2; c3 = t1",
	      "c1: t1-0; c2: t1-1 t2-0 t2-1; c3: t1-2");
	range("t1:3 t2:3", "c1 = t1 t2; c2 = t1 t2", "c1: t1-0 t1-1 t2-0 t2-1; c2: t1-2 t2-2");
}

static void test_range_static_members(void **state)
{
	/* The order is by instance ids; who has one stands before who has none. */
	range("t1:3 t2:3", "cb/i1 = t1 t2; ca/i2 = t1 t2",
	      "cb: t1-0 t1-1 t2-0 t2-1; ca: t1-2 t2-2");
	range("t1:3 t2:3", "ca = t1 t2; cb/i1 = t1 t2", "ca: t1-2 t2-2; cb: t1-0 t1-1 t2-0 t2-1");
	range("t1:5 t2:4", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2; c4 = t1 t2",
	      "c1: t1-0 t1-1 t2-0; c2: t1-2 t2-1; c3: t1-3 t2-2; c4: t1-4 t2-3");
	range("t1:5 t2:4", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2; c5 = t1 t2",
	      "c1: t1-0 t1-1 t2-0; c2: t1-2 t2-1; c3: t1-3 t2-2; c5: t1-4 t2-3");
	/* Member ids that change change nothing. */
	range("t1:5 t2:5", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2",
	      "c1: t1-0 t1-1 t2-0 t2-1; c2: t1-2 t1-3 t2-2 t2-3; c3: t1-4 t2-4");
	range("t1:5 t2:5", "c1/i1 = t1 t2; c5/i2 = t1 t2; c4/i3 = t1 t2",
	      "c1: t1-0 t1-1 t2-0 t2-1; c5: t1-2 t1-3 t2-2 t2-3; c4: t1-4 t2-4");
}

static void test_range_uniform(void **state)
{
	range("t1:6 t2:7 t3:2", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t2 t3",
	      "c0: t1-0 t1-1 t2-0 t2-1 t2-2 t3-0; c1: t1-2 t1-3 t2-3 t2-4 t3-1; "
	      "c2: t1-4 t1-5 t2-5 t2-6");
	range("t1:6 t2:7 t3:2", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t3",
	      "c0: t1-0 t1-1 t2-0 t2-1 t2-2 t2-3 t3-0; c1: t1-2 t1-3 t2-4 t2-5 t2-6 t3-1; "
	      "c2: t1-4 t1-5");
	range("t1:5 t2:5 t3:5", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t2 t3",
	      "c0: t1-0 t1-1 t2-0 t2-1 t3-0 t3-1; c1: t1-2 t1-3 t2-2 t2-3 t3-2 t3-3; "
	      "c2: t1-4 t2-4 t3-4");
	range("t1:5 t2:5 t3:5", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t3",
	      "c0: t1-0 t1-1 t2-0 t2-1 t2-2 t3-0 t3-1; c1: t1-2 t1-3 t2-3 t2-4 t3-2 t3-3; "
	      "c2: t1-4 t3-4");
}

static void test_range_copartitioned(void **state)
{
	range("t1:6 t2:6 t3:2 t4:2", "c0 = t1 t2; c1 = t1 t2; c2 = t3 t4; c3 = t3 t4",
	      "c0: t1-0 t1-1 t1-2 t2-0 t2-1 t2-2; c1: t1-3 t1-4 t1-5 t2-3 t2-4 t2-5; "
	      "c2: t3-0 t4-0; c3: t3-1 t4-1");
	range("t1:6 t2:6 t3:2 t4:2",
	      "c0 = t1 t2 t3 t4; c1 = t1 t2 t3 t4; c2 = t1 t2 t3 t4; c3 = t1 t2 t3 t4",
	      "c0: t1-0 t1-1 t2-0 t2-1 t3-0 t4-0; c1: t1-2 t1-3 t2-2 t2-3 t3-1 t4-1; "
	      "c2: t1-4 t2-4; c3: t1-5 t2-5");
	range("t1:6 t2:6 t3:2 t4:2 t5:4 t6:4",
	      "c0 = t1 t2 t3 t4 t5 t6 t7 t8 t9; c1 = t1 t2 t3 t4 t5 t6 t7 t8 t9; "
	      "c2 = t1 t2 t3 t4 t5 t6 t7 t8 t9",
	      "c0: t1-0 t1-1 t2-0 t2-1 t3-0 t4-0 t5-0 t5-1 t6-0 t6-1; "
	      "c1: t1-2 t1-3 t2-2 t2-3 t3-1 t4-1 t5-2 t6-2; c2: t1-4 t1-5 t2-4 t2-5 t5-3 t6-3");
}

static void test_roundrobin(void **state)
{
	roundrobin("", "c1 =", "c1:");
	roundrobin("", "c1 = t", "c1:");
	roundrobin("t:3", "c1 = t", "c1: t-0 t-1 t-2");
	roundrobin("t:3 other:3", "c1 = t", "c1: t-0 t-1 t-2");
	roundrobin("t1:1 t2:2", "c1 = t1 t2", "c1: t1-0 t2-0 t2-1");
	roundrobin("t:1", "c1 = t; c2 = t", "c1: t-0; c2:");
	roundrobin("t:2", "c1 = t; c2 = t", "c1: t-0; c2: t-1");
	roundrobin("t1:3 t2:2", "c1 = t1; c2 = t1 t2; c3 = t1",
		   "c1: t1-0; c2: t1-1 t2-0 t2-1; c3: t1-2");
	roundrobin("t1:3 t2:3", "c1 = t1 t2; c2 = t1 t2", "c1: t1-0 t1-2 t2-1; c2: t1-1 t2-0 t2-2");
	/* Topics go by name, however they are given. */
	roundrobin("t2:3 t1:3", "c2 = t1 t2; c1 = t1 t2", "c2: t2-0 t2-2 t1-1; c1: t2-1 t1-0 t1-2");
}

static void test_roundrobin_static_members(void **state)
{
	roundrobin("t1:3 t2:3", "cb/i1 = t1 t2; ca/i2 = t1 t2",
		   "cb: t1-0 t1-2 t2-1; ca: t1-1 t2-0 t2-2");
	roundrobin("t1:3 t2:3", "cb/i1 = t1 t2; ca = t1 t2",
		   "cb: t1-0 t1-2 t2-1; ca: t1-1 t2-0 t2-2");
	roundrobin("t1:3 t2:3", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2; c4 = t1 t2",
		   "c1: t1-0 t2-1; c2: t1-1 t2-2; c3: t1-2; c4: t2-0");
	roundrobin("t1:3 t2:3", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2; c5 = t1 t2",
		   "c1: t1-0 t2-1; c2: t1-1 t2-2; c3: t1-2; c5: t2-0");
	roundrobin("t1:5 t2:5", "c1/i1 = t1 t2; c2/i2 = t1 t2; c3/i3 = t1 t2",
		   "c1: t1-0 t1-3 t2-1 t2-4; c2: t1-1 t1-4 t2-2; c3: t1-2 t2-0 t2-3");
	roundrobin("t1:5 t2:5", "c1/i1 = t1 t2; c5/i2 = t1 t2; c4/i3 = t1 t2",
		   "c1: t1-0 t1-3 t2-1 t2-4; c5: t1-1 t1-4 t2-2; c4: t1-2 t2-0 t2-3");
}

static void test_sticky_simple(void **state)
{
	sticky("", "c =", "c:");
	sticky("t:0", "c = t", "c:");
	sticky("t:3", "c = t", "c: t-0 t-1 t-2");
	sticky("t:2", "c = t < t-0 t-1 other-0 other-1 @1", "c: t-0 t-1");
	sticky("t:2 other:2", "c = t < t-0 t-1 other-0 other-1 @1", "c: t-0 t-1");
	sticky("t1:1 t2:2", "c = t1 t2", "c: t1-0 t2-0 t2-1");
	sticky("t:1", "c1 = t; c2 = t", "c1: t-0; c2:");
	sticky("t:2", "c1 = t; c2 = t", "c1: t-0; c2: t-1");
	sticky("t1:3 t2:2", "c1 = t1; c2 = t1 t2; c3 = t1",
	       "c1: t1-0 t1-2; c2: t2-0 t2-1; c3: t1-1");
	sticky("t1:3 t2:3", "c1 = t1 t2; c2 = t1 t2", "c1: t1-0 t1-2 t2-1; c2: t1-1 t2-0 t2-2");
}

/* Who has how much where all subscribe to the same. */
static void test_sticky_quotas(void **state)
{
	/* Those who own the smaller share get one more. */
	sticky("t1:2 t2:3", "c1 = t1 t2 < t1-0 t2-1 @1; c2 = t1 t2 < t1-1 t2-2 @1",
	       "c1: t1-0 t2-0 t2-1; c2: t1-1 t2-2");
	/* More own the larger share than may. */
	sticky("t1:2 t2:2", "c1 = t1 t2 < t1-0 t2-0 @1; c2 = t1 t2 < t1-1 t2-1 @1; c3 = t1 t2 @1",
	       "c1: t1-0; c2: t1-1 t2-1; c3: t2-0");
	sticky("t1:2 t2:3", "c1 = t1 t2 < t1-0 @1; c2 = t1 t2 < t1-1 @1; c3 = t1 t2 @1",
	       "c1: t1-0 t2-1; c2: t1-1 t2-2; c3: t2-0");
	sticky("t:4", "c1 = t < t-0 t-1 @1; c2 = t < t-2 @1; c3 = t @1",
	       "c1: t-0 t-1; c2: t-2; c3: t-3");
	sticky("t1:3", "c1 = t1 < t1-0 @1; c2 = t1 < t1-1 @1; c3 = t1 @1",
	       "c1: t1-0; c2: t1-1; c3: t1-2");
	sticky("t1:6 t2:7 t3:2", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t2 t3",
	       "c0: t1-0 t1-3 t2-0 t2-3 t2-6; c1: t1-1 t1-4 t2-1 t2-4 t3-0; "
	       "c2: t1-2 t1-5 t2-2 t2-5 t3-1");
}

/* Several claim the same. */
static void test_sticky_claims(void **state)
{
	sticky("a:3 b:3", "c1 = a b < a-0 a-2 b-1 @10; c2 = a b < a-0 a-2 b-1 @9",
	       "c1: a-0 a-2 b-1; c2: a-1 b-0 b-2");
	sticky("a:3 b:3", "c1 = a b < a-0 a-2 b-1 @10; c2 = a b < a-0 a-2 b-1 @-1",
	       "c1: a-0 a-2 b-1; c2: a-1 b-0 b-2");
	sticky("a:3 b:3", "c1 = a b < a-0 b-1 a-1 @10; c2 = a b < a-0 b-1 b-2 @8",
	       "c1: a-0 a-1 b-1; c2: a-2 b-0 b-2");
	sticky("a:3 b:3 c:3",
	       "c1 = a b c < a-0 b-0 c-0 @10; c2 = a b c < a-1 b-1 c-1 @9; "
	       "c3 = a b c < b-1 c-0 c-2 @8",
	       "c1: a-0 b-0 c-0; c2: a-1 b-1 c-1; c3: a-2 b-2 c-2");
	sticky("a:3 b:3 c:3 d:3",
	       "c1 = a b c d @-1; c2 = a b c d < a-0 c-0 b-0 @9; "
	       "c3 = a b c d < d-2 c-2 b-1 @8; c4 = a b c d < d-1 a-1 a-2 @7",
	       "c1: b-2 c-1 d-0; c2: a-0 b-0 c-0; c3: b-1 c-2 d-2; c4: a-1 a-2 d-1");
	/* In the same generation: nobody owns it. */
	sticky("t:3", "c1 = t < t-0 t-1 @1; c2 = t < t-0 t-2 @1; c3 = t @1",
	       "c1: t-1; c2: t-2; c3: t-0");
	sticky("t:4", "c1 = t < t-0 t-1 @1; c2 = t < t-0 t-2 @1; c3 = t @1",
	       "c1: t-1 t-3; c2: t-2; c3: t-0");
	/* Where nobody has a newer claim an old one counts. */
	sticky("t:3", "c1 = t < t-0 t-2 @1; c2 = t < t-1 @-1; c3 = t", "c1: t-0; c2: t-1; c3: t-2");
	/* A claim that lost to one of a member which left the topic is stale all the same. */
	sticky("a:2 b:1", "c1 = b < a-0 a-1 @5; c2 = a b < a-1 @4; c3 = a < @4",
	       "c1: b-0; c2: a-0; c3: a-1");
}

static void test_sticky_three_generations(void **state)
{
	static const char *const orders[] = { "123", "132", "213", "231", "312", "321" };

	for (size_t i = 0; i < ARRAY_CNT(orders); i++) {
		char members[TEXT_MAX];

		snprintf(members, sizeof(members),
			 "c1 = t < t-0 t-2 @%c; c2 = t < t-1 t-2 t-3 @%c; "
			 "c3 = t < t-2 t-4 t-5 @%c; c4 = t1 < t1-0 @2",
			 orders[i][0], orders[i][1], orders[i][2]);
		set_topics(&group, "t:6 t1:1");
		set_members(&group, members);
		compute(&group, ASSIGN_STICKY);
		check(&group);
		for (size_t m = 0; m < 4; m++)
			assert_int_equal(load_of(&group, m), m < 3 ? 2 : 1);
		/* What one alone claims stays, but for one of three where the third is its own. */
		assert_true(lost_cnt(&group) == 2 + (orders[i][0] != '3'));
	}
}

static void test_sticky_join_and_leave(void **state)
{
	sticky("t:3", "c1 = t", "c1: t-0 t-1 t-2");
	keep(&group, 1);
	join(&group, "c2 = t @1");
	assert_now("c1: t-0 t-1; c2: t-2");
	keep(&group, 1);
	leave(&group, "c1");
	assert_now("c2: t-0 t-1 t-2");

	sticky("t1:3 t2:4", "c1 = t1 t2; c2 = t1 t2",
	       "c1: t1-0 t1-2 t2-1 t2-3; c2: t1-1 t2-0 t2-2");
	keep(&group, 1);
	join(&group, "c3 = t1 t2");
	join(&group, "c4 = t1 t2");
	assert_now("c1: t1-0 t2-1; c2: t1-1 t2-0; c3: t1-2 t2-3; c4: t2-2");
	keep(&group, 2);
	leave(&group, "c1");
	leave(&group, "c2");
	assert_now("c3: t1-0 t1-2 t2-1 t2-3; c4: t1-1 t2-0 t2-2");
}

static void test_sticky_topic_shares(void **state)
{
	set_topics(&group, "t1:12 t2:12");
	set_members(&group, "c1 = t1 t2");
	for (size_t share = 12; share >= 3; share /= 2) {
		compute(&group, ASSIGN_STICKY);
		check(&group);
		assert_topic_share(&group, "t1", share);
		assert_topic_share(&group, "t2", share);
		keep(&group, 1);
		join(&group, share == 12 ? "c2 = t1 t2" : "c3 = t1 t2");
		if (share != 12)
			join(&group, "c4 = t1 t2");
	}
	group.member_cnt = 4;
	leave(&group, "c1");
	leave(&group, "c2");
	compute(&group, ASSIGN_STICKY);
	assert_topic_share(&group, "t1", 6);
	assert_topic_share(&group, "t2", 6);
	assert_int_equal(lost_cnt(&group), 0);
}

static void test_sticky_topic_added_and_removed(void **state)
{
	set_topics(&group, "t:3 t2:3");
	set_members(&group, "c1 = t; c2 = t");
	compute(&group, ASSIGN_STICKY);
	assert_int_equal(load_of(&group, 0) + load_of(&group, 1), 3);
	keep(&group, 1);
	for (size_t m = 0; m < 2; m++)
		subscribe(&group, &group.members[m], "t2");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	assert_int_equal(load_of(&group, 0), 3);
	assert_int_equal(lost_cnt(&group), 0);
	keep(&group, 1);
	/* t is gone; what is owned of t2 stays. */
	group.topics[0].partition_cnt = 0;
	group.part_cnt = 3;
	compute(&group, ASSIGN_STICKY);
	check(&group);
	assert_int_equal(load_of(&group, 0) + load_of(&group, 1), 3);
	keep(&group, 1);
	/* And t2, too. */
	group.topics[1].partition_cnt = 0;
	group.part_cnt = 0;
	compute(&group, ASSIGN_STICKY);
}

static void test_sticky_different_subscriptions(void **state)
{
	/* A round robin gives c3 nothing here. */
	set_topics(&group, "t1:2 t2:1 t3:2 t4:1 t5:2");
	set_members(&group, "c1 = t1 t2 t3 t4 t5; c2 = t1 t3 t5; c3 = t1 t3 t5; "
			    "c4 = t1 t2 t3 t4 t5");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	for (size_t m = 0; m < 4; m++)
		assert_int_equal(load_of(&group, m), 2);
	sticky("t1:6 t2:7 t3:2", "c0 = t1 t2 t3; c1 = t1 t2 t3; c2 = t1 t3",
	       "c0: t1-5 t2-0 t2-2 t2-4 t2-6; c1: t1-3 t2-1 t2-3 t2-5 t3-0; "
	       "c2: t1-0 t1-1 t1-2 t1-4 t3-1");
	keep(&group, 1);
	assert_now("c0: t1-5 t2-0 t2-2 t2-4 t2-6; c1: t1-3 t2-1 t2-3 t2-5 t3-0; "
		   "c2: t1-0 t1-1 t1-2 t1-4 t3-1");
	/* c2 left t2, and has to have three of t1 for it: six move, whatever is done. */
	set_members(&group, "c0 = t1 t2 t3 < t1-0 t1-1 t1-2 t1-3 t1-4 @1; "
			    "c1 = t1 t2 t3 < t1-5 t2-0 t2-1 t2-2 t2-3 @1; "
			    "c2 = t1 t3 < t2-4 t2-5 t2-6 t3-0 t3-1 @1");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	assert_int_equal(lost_cnt(&group), 6);
	/* Nobody has t1; two of c3's may stay. */
	set_topics(&group, "t1:1 t2:1 t3:1 t4:1 t5:1 t6:1");
	set_members(&group, "c1 = t1 t2 < t1-0 @1; c2 = t1 t2 t3 t4 < t2-0 t3-0 @1; "
			    "c3 = t2 t3 t4 t5 t6 < t4-0 t5-0 t6-0 @1");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	assert_int_equal(lost_cnt(&group), 2);
}

/* c01 subscribes to t01, c02 to t01 and t02, ...; topics grow, too. */
static void test_sticky_stairs(void **state)
{
	char topics[TEXT_MAX] = "", members[TEXT_MAX * 4] = "";
	size_t len = 0;

	for (int i = 1; i < 20; i++)
		len += (size_t)snprintf(topics + len, sizeof(topics) - len, "t%02d:%d ", i, i);
	set_topics(&group, topics);
	group.member_cnt = 0;
	for (int i = 1; i < 20; i++) {
		len = (size_t)snprintf(members, sizeof(members), "c%02d =", i);
		for (int j = 1; j <= i; j++)
			len += (size_t)snprintf(members + len, sizeof(members) - len, " t%02d", j);
		join(&group, members);
	}
	compute(&group, ASSIGN_STICKY);
	check(&group);
	keep(&group, 1);
	leave(&group, "c10");
	compute(&group, ASSIGN_STICKY);
	check(&group);
}

static void test_sticky_member_of_many(void **state)
{
	/* Twenty partitions, a tenth member; nobody tells what they own. */
	set_topics(&group, "t:20");
	set_members(&group, "c01 = t; c02 = t; c03 = t; c04 = t; c05 = t; c06 = t; c07 = t; "
			    "c08 = t; c09 = t");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	join(&group, "c10 = t");
	compute(&group, ASSIGN_STICKY);
	check(&group);
	/* Four members, three partitions: who has none takes those of who leaves. */
	sticky("t1:3", "c1 = t1; c2 = t1; c3 = t1; c4 = t1", "c1: t1-0; c2: t1-1; c3: t1-2; c4:");
	keep(&group, 1);
	leave(&group, "c1");
	assert_now("c2: t1-1; c3: t1-2; c4: t1-0");
	/* A member without topics gets one. */
	sticky("t1:1 t2:1 t3:1 t4:1", "c0 =; c1 =; c2 = t2 t3 t4", "c0:; c1:; c2: t2-0 t3-0 t4-0");
	subscribe(&group, &group.members[0], "t1");
	assert_now("c0: t1-0; c1:; c2: t2-0 t3-0 t4-0");
}

/* c2 alone was there for a while; c1 and c3 come back with what they had before. */
static void test_sticky_old_members_return(void **state)
{
	static const char *const subs[][3] = { { "a b c", "a b c", "a b c" },
					       { "a", "a b c", "a b" } };

	for (size_t i = 0; i < ARRAY_CNT(subs); i++) {
		struct member old[3];
		char members[TEXT_MAX];

		snprintf(members, sizeof(members), "c1 = %s; c2 = %s; c3 = %s", subs[i][0],
			 subs[i][1], subs[i][2]);
		set_topics(&group, "a:4 b:4 c:4");
		set_members(&group, members);
		compute(&group, ASSIGN_STICKY);
		check(&group);
		keep(&group, 1);
		memcpy(old, group.members, sizeof(old));
		leave(&group, "c1");
		leave(&group, "c3");
		compute(&group, ASSIGN_STICKY);
		assert_int_equal(load_of(&group, 0), 12);
		keep(&group, 2);
		group.members[group.member_cnt++] = old[0];
		group.members[group.member_cnt++] = old[2];
		compute(&group, ASSIGN_STICKY);
		check(&group);
		for (size_t m = 0; m < 3; m++)
			assert_int_equal(load_of(&group, m), 4);
	}
}

static void test_sticky_conflicting_generations(void **state)
{
	static const char *const members[] = {
		"c1 = a b c < a-0 a-1 a-2 b-2 b-3 c-0 @1; "
		"c2 = a b c < a-0 a-1 b-0 b-1 b-2 b-3 @2; "
		"c3 = a b c < a-2 a-3 c-0 c-1 c-2 c-3 @2",
		"c1 = a < a-0 a-1 a-2 a-3 @1; c2 = a b < a-0 a-1 b-0 b-1 b-2 b-3 @2; "
		"c3 = a b c < a-2 a-3 c-0 c-1 c-2 c-3 @2",
	};

	set_topics(&group, "a:4 b:4 c:4");
	for (size_t i = 0; i < ARRAY_CNT(members); i++) {
		set_members(&group, members[i]);
		compute(&group, ASSIGN_STICKY);
		check(&group);
		for (size_t m = 0; m < 3; m++)
			assert_int_equal(load_of(&group, m), 4);
		/* Of the newer two each loses what is too much, and gets nothing else. */
		group.members[0].m.owned_cnt = 0;
		assert_int_equal(lost_cnt(&group), 4);
	}
}

static void test_order(void **state)
{
	/* By UTF-16: a surrogate stands before U+FFFD, though its UTF-8 stands behind. */
	range("t:2", "\xef\xbf\xbd = t; \xf0\x9f\x98\x80 = t",
	      "\xef\xbf\xbd: t-1; \xf0\x9f\x98\x80: t-0");
	range("t:2", "\xed\x9f\xbf = t; \xf0\x9f\x98\x80 = t",
	      "\xed\x9f\xbf: t-0; \xf0\x9f\x98\x80: t-1");
	range("t:2", "c10 = t; c1 = t", "c10: t-1; c1: t-0");
	range("t:2", "c9 = t; c10 = t", "c9: t-1; c10: t-0");
	range("t:2", "a = t; B = t", "a: t-1; B: t-0");
}

static void test_bounds(void **state)
{
	struct assign_topic topics[] = { { "a", 1U << 31 }, { "b", (1U << 31) - 1 } };
	uint32_t owner = 7;

	assert_int_equal(assign_compute(ASSIGN_RANGE, topics, 2, NULL, 0, &owner), -E2BIG);
	assert_int_equal(assign_compute(ASSIGN_STICKY, topics, 0, NULL, 0, &owner), 0);
	assert_int_equal(owner, 7);
	topics[0].partition_cnt = 1;
	assert_int_equal(assign_compute(ASSIGN_STICKY, topics, 1, NULL, 0, &owner), 0);
	assert_int_equal(owner, ASSIGN_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_range_simple),
		cmocka_unit_test(test_range_static_members),
		cmocka_unit_test(test_range_uniform),
		cmocka_unit_test(test_range_copartitioned),
		cmocka_unit_test(test_roundrobin),
		cmocka_unit_test(test_roundrobin_static_members),
		cmocka_unit_test(test_sticky_simple),
		cmocka_unit_test(test_sticky_quotas),
		cmocka_unit_test(test_sticky_claims),
		cmocka_unit_test(test_sticky_three_generations),
		cmocka_unit_test(test_sticky_join_and_leave),
		cmocka_unit_test(test_sticky_topic_shares),
		cmocka_unit_test(test_sticky_topic_added_and_removed),
		cmocka_unit_test(test_sticky_different_subscriptions),
		cmocka_unit_test(test_sticky_stairs),
		cmocka_unit_test(test_sticky_member_of_many),
		cmocka_unit_test(test_sticky_old_members_return),
		cmocka_unit_test(test_sticky_conflicting_generations),
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_bounds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * What the sticky strategies promise, of random groups: valid, balanced, fewest moves, no circles,
 * the same again; against all possible assignments where these are few, and against the theorem of
 * flows (optimal is what no circle of negative cost improves) where they are many.
 *
 * The first seed is TOPICFS_SEED, or 1; a test that fails prints the one that it failed for.
 */
#include "daemon/groups/assign.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TOPIC_MAX 1000U
#define MEMBER_MAX 500U
#define PART_MAX 1000U

struct group {
	uint64_t seed, state;
	uint32_t topic_cnt, member_cnt, part_cnt;
	uint32_t sizes[TOPIC_MAX], first[TOPIC_MAX + 1], topic[PART_MAX];
	bool subscribes[MEMBER_MAX][TOPIC_MAX];
	/* Claims: of a partition, in which generation a member claims it; 0 for not at all. */
	uint8_t claims[MEMBER_MAX][PART_MAX];
	/* What follows from them. */
	uint32_t home[PART_MAX];
	uint32_t owner[PART_MAX];
	uint32_t load[MEMBER_MAX];
};

static struct group group;

static uint64_t first_seed(void)
{
	const char *text = getenv("TOPICFS_SEED");

	return text ? strtoull(text, NULL, 10) : 1;
}

static uint32_t below(struct group *g, uint32_t bound)
{
	g->state ^= g->state << 13;
	g->state ^= g->state >> 7;
	g->state ^= g->state << 17;
	return (uint32_t)((g->state >> 20) % bound);
}

#define ASSERT_FOR(g, x)                                                                           \
	do {                                                                                       \
		if (!(x))                                                                          \
			fail_msg("seed %llu: %s", (unsigned long long)(g)->seed, #x);              \
	} while (0)

static void seed(struct group *g, uint64_t n)
{
	memset(g, 0, sizeof(*g));
	g->seed = n;
	g->state = n * 0x9e3779b97f4a7c15ULL + 1;
	for (int i = 0; i < 8; i++)
		below(g, 2);
}

static void set_sizes(struct group *g, uint32_t topic_cnt, uint32_t size_max)
{
	g->topic_cnt = topic_cnt;
	g->part_cnt = 0;
	for (uint32_t t = 0; t < topic_cnt; t++) {
		g->sizes[t] = size_max ? below(g, size_max + 1) : 1;
		for (uint32_t i = 0; i < g->sizes[t]; i++)
			g->topic[g->part_cnt++] = t;
		g->first[t + 1] = g->part_cnt;
	}
}

/* Each subscribes to about `share` of 100 topics. */
static void subscribe(struct group *g, uint32_t m, uint32_t share)
{
	for (uint32_t t = 0; t < g->topic_cnt; t++)
		g->subscribes[m][t] = below(g, 100) < share;
}

/* The definition: the newest claim, where one member alone makes it and subscribes. */
static void find_homes(struct group *g)
{
	for (uint32_t p = 0; p < g->part_cnt; p++) {
		uint32_t newest = 0, cnt = 0, home = ASSIGN_NONE;

		for (uint32_t m = 0; m < g->member_cnt; m++) {
			if (g->claims[m][p] > newest) {
				newest = g->claims[m][p];
				cnt = 0;
			}
			if (newest && g->claims[m][p] == newest) {
				cnt++;
				home = m;
			}
		}
		g->home[p] = cnt == 1 && g->subscribes[home][g->topic[p]] ? home : ASSIGN_NONE;
	}
}

/* As assign_compute() wants it. */
struct input {
	char topic_names[TOPIC_MAX][16], ids[MEMBER_MAX][16];
	struct assign_topic topics[TOPIC_MAX];
	struct assign_member members[MEMBER_MAX];
	uint32_t subs[MEMBER_MAX][TOPIC_MAX];
	struct assign_part owned[MEMBER_MAX][PART_MAX];
	uint32_t owner[PART_MAX];
};

static struct input input;

static uint32_t generation_of(const struct group *g, uint32_t m)
{
	uint32_t generation = 0;

	for (uint32_t p = 0; p < g->part_cnt; p++)
		generation = g->claims[m][p] ? g->claims[m][p] : generation;
	return generation;
}

/* Topics and members are given from the end where `reverse`: that must not matter. */
static void compute(struct group *g, bool reverse)
{
	struct input *in = &input;
	uint32_t at = 0;

	for (uint32_t i = 0; i < g->topic_cnt; i++) {
		uint32_t t = reverse ? g->topic_cnt - 1 - i : i;

		snprintf(in->topic_names[i], sizeof(in->topic_names[i]), "t%04u", t);
		in->topics[i] = (struct assign_topic){ in->topic_names[i], g->sizes[t] };
	}
	for (uint32_t i = 0; i < g->member_cnt; i++) {
		uint32_t m = reverse ? g->member_cnt - 1 - i : i;
		struct assign_member *x = &in->members[i];

		snprintf(in->ids[i], sizeof(in->ids[i]), "c%04u", m);
		*x = (struct assign_member){ .id = in->ids[i],
					     .topic_idx = in->subs[i],
					     .owned = in->owned[i],
					     .owned_generation = generation_of(g, m) };
		for (uint32_t j = 0; j < g->topic_cnt; j++) {
			if (g->subscribes[m][reverse ? g->topic_cnt - 1 - j : j])
				in->subs[i][x->topic_cnt++] = j;
		}
		for (uint32_t p = 0; p < g->part_cnt; p++) {
			uint32_t t = g->topic[p];

			if (g->claims[m][p])
				in->owned[i][x->owned_cnt++] =
					(struct assign_part){ reverse ? g->topic_cnt - 1 - t : t,
							      p - g->first[t] };
		}
	}
	ASSERT_FOR(g, assign_compute(ASSIGN_COOPERATIVE_STICKY, in->topics, g->topic_cnt,
				     in->members, g->member_cnt, in->owner) == 0);
	for (uint32_t i = 0; i < g->topic_cnt; i++) {
		uint32_t t = reverse ? g->topic_cnt - 1 - i : i;

		for (uint32_t p = g->first[t]; p < g->first[t + 1]; p++, at++) {
			g->owner[p] = in->owner[at];
			if (reverse && g->owner[p] != ASSIGN_NONE)
				g->owner[p] = g->member_cnt - 1 - g->owner[p];
		}
	}
}

static uint32_t move_cnt(const struct group *g)
{
	uint32_t cnt = 0;

	for (uint32_t p = 0; p < g->part_cnt; p++)
		cnt += g->home[p] != ASSIGN_NONE && g->home[p] != g->owner[p];
	return cnt;
}

static void check_valid(struct group *g)
{
	memset(g->load, 0, sizeof(g->load));
	for (uint32_t p = 0; p < g->part_cnt; p++) {
		uint32_t t = g->topic[p], sub_cnt = 0;

		for (uint32_t m = 0; m < g->member_cnt; m++)
			sub_cnt += g->subscribes[m][t];
		if (sub_cnt == 0) {
			ASSERT_FOR(g, g->owner[p] == ASSIGN_NONE);
			continue;
		}
		ASSERT_FOR(g, g->owner[p] < g->member_cnt && g->subscribes[g->owner[p]][t]);
		g->load[g->owner[p]]++;
	}
}

/* Partitions move along arrows from member to member: takes away, again and again, members that
 * nothing comes from or nothing goes to; what stays would be a circle. */
static void check_no_circles(struct group *g)
{
	static bool arrows[MEMBER_MAX][MEMBER_MAX], gone[MEMBER_MAX];
	bool did = true;

	memset(arrows, 0, sizeof(arrows));
	memset(gone, 0, sizeof(gone));
	for (uint32_t p = 0; p < g->part_cnt; p++) {
		if (g->home[p] != ASSIGN_NONE && g->home[p] != g->owner[p])
			arrows[g->home[p]][g->owner[p]] = true;
	}
	while (did) {
		did = false;
		for (uint32_t m = 0; m < g->member_cnt; m++) {
			bool leads_on = false;

			for (uint32_t i = 0; i < g->member_cnt && !gone[m]; i++)
				leads_on |= arrows[m][i] && !gone[i];
			did |= !gone[m] && !leads_on;
			gone[m] |= !leads_on;
		}
	}
	for (uint32_t m = 0; m < g->member_cnt; m++)
		ASSERT_FOR(g, gone[m]);
}

/* One partition less for a member counts far more than any number of moves. */
#define LOAD_COST 100000
#define FAR (INT64_MAX / 4)

/*
 * Whether nothing improves: no circle of negative cost among the members and one more node, which
 * takes a partition from one and gives one to another. Squares of loads, and behind them moves.
 */
static bool is_optimal(const struct group *g)
{
	static int64_t cost[MEMBER_MAX + 1][MEMBER_MAX + 1];
	uint32_t n = g->member_cnt, node_cnt = n + 1;

	for (uint32_t i = 0; i < node_cnt; i++) {
		for (uint32_t j = 0; j < node_cnt; j++)
			cost[i][j] = FAR;
	}
	for (uint32_t p = 0; p < g->part_cnt; p++) {
		uint32_t from = g->owner[p], home = g->home[p];

		for (uint32_t m = 0; from != ASSIGN_NONE && m < n; m++) {
			if (g->subscribes[m][g->topic[p]])
				cost[from][m] = MIN(cost[from][m],
						    home == ASSIGN_NONE
							    ? 0
							    : (int)(m != home) - (from != home));
		}
	}
	for (uint32_t m = 0; m < n; m++) {
		cost[m][n] = (2 * (int64_t)g->load[m] + 1) * LOAD_COST;
		if (g->load[m])
			cost[n][m] = -(2 * (int64_t)g->load[m] - 1) * LOAD_COST;
	}
	for (uint32_t k = 0; k < node_cnt; k++) {
		for (uint32_t i = 0; i < node_cnt; i++) {
			for (uint32_t j = 0; cost[i][k] < FAR && j < node_cnt; j++)
				cost[i][j] = MIN(cost[i][j], cost[i][k] + cost[k][j]);
		}
		for (uint32_t i = 0; i < node_cnt; i++) {
			if (cost[i][i] < 0)
				return false;
		}
	}
	return true;
}

static void claim_result(struct group *g, uint8_t generation)
{
	memset(g->claims, 0, sizeof(g->claims));
	for (uint32_t p = 0; p < g->part_cnt; p++) {
		if (g->owner[p] != ASSIGN_NONE)
			g->claims[g->owner[p]][p] = generation;
	}
}

/* All but the comparison with every other assignment. */
static void compute_and_check(struct group *g)
{
	static uint32_t first[PART_MAX];

	find_homes(g);
	compute(g, true);
	memcpy(first, g->owner, sizeof(first));
	compute(g, false);
	ASSERT_FOR(g, memcmp(first, g->owner, g->part_cnt * sizeof(first[0])) == 0);
	check_valid(g);
	ASSERT_FOR(g, is_optimal(g));
	check_no_circles(g);
}

static void check_again(struct group *g)
{
	static uint32_t first[PART_MAX];

	memcpy(first, g->owner, sizeof(first));
	claim_result(g, 5);
	compute(g, false);
	ASSERT_FOR(g, memcmp(first, g->owner, g->part_cnt * sizeof(first[0])) == 0);
}

#define SMALL_MEMBER_MAX 4U
#define SMALL_PART_MAX 7U

/* The loads as digits, sorted, the largest first; then moves. What is smaller is better. */
static uint64_t value_of(const uint32_t *load, uint32_t member_cnt, uint32_t moved_cnt)
{
	uint64_t value = 0;
	uint32_t sorted[SMALL_MEMBER_MAX];

	for (uint32_t i = 0; i < member_cnt; i++) {
		uint32_t at = i;

		for (; at > 0 && sorted[at - 1] < load[i]; at--)
			sorted[at] = sorted[at - 1];
		sorted[at] = load[i];
	}
	for (uint32_t i = 0; i < member_cnt; i++)
		value = value * (SMALL_PART_MAX + 1) + sorted[i];
	return value * (SMALL_PART_MAX + 1) + moved_cnt;
}

/* The least value of all assignments that give partitions from p on to their subscribers. */
static uint64_t best_from(const struct group *g, uint32_t p, uint32_t *load, uint32_t moved_cnt)
{
	uint64_t best = UINT64_MAX;

	if (p == g->part_cnt)
		return value_of(load, g->member_cnt, moved_cnt);
	for (uint32_t m = 0; m < g->member_cnt; m++) {
		uint64_t value;

		if (!g->subscribes[m][g->topic[p]])
			continue;
		load[m]++;
		value = best_from(g, p + 1, load,
				  moved_cnt + (g->home[p] != ASSIGN_NONE && g->home[p] != m));
		load[m]--;
		best = MIN(best, value);
	}
	return best == UINT64_MAX ? best_from(g, p + 1, load, moved_cnt) : best;
}

static void claim_at_random(struct group *g, uint32_t share)
{
	for (uint32_t m = 0; m < g->member_cnt; m++) {
		uint32_t generation = 1 + below(g, 3);

		for (uint32_t p = 0; p < g->part_cnt; p++)
			g->claims[m][p] = below(g, 100) < share ? (uint8_t)generation : 0;
	}
}

/* Against every other assignment. */
static void test_small(void **state)
{
	uint64_t begin = first_seed();

	print_message("seeds %llu to %llu\n", (unsigned long long)begin,
		      (unsigned long long)begin + 3999);
	for (uint64_t n = begin; n < begin + 4000; n++) {
		struct group *g = &group;
		uint32_t load[SMALL_MEMBER_MAX] = { 0 };

		seed(g, n);
		do
			set_sizes(g, 1 + below(g, 4), 3);
		while (g->part_cnt > SMALL_PART_MAX - n % 2);
		g->member_cnt = 1 + below(g, SMALL_MEMBER_MAX);
		for (uint32_t m = 0; m < g->member_cnt; m++)
			subscribe(g, m, n % 5 == 0 ? 100 : 60);
		claim_at_random(g, 20 + below(g, 60));
		compute_and_check(g);
		ASSERT_FOR(g, value_of(g->load, g->member_cnt, move_cnt(g)) ==
				      best_from(g, 0, load, 0));
		check_again(g);
	}
}

static void test_medium(void **state)
{
	uint64_t begin = first_seed();

	print_message("seeds %llu to %llu\n", (unsigned long long)begin,
		      (unsigned long long)begin + 999);
	for (uint64_t n = begin; n < begin + 1000; n++) {
		struct group *g = &group;

		seed(g, n);
		set_sizes(g, 1 + below(g, 12), 1 + below(g, 12));
		g->member_cnt = 2 + below(g, 14);
		for (uint32_t m = 0; m < g->member_cnt; m++)
			subscribe(g, m, 5 + below(g, 60));
		claim_at_random(g, 1 + below(g, 40));
		compute_and_check(g);
		check_again(g);
	}
}

/* One life of a group: members come, go and change what they subscribe to, topics grow; each
 * generation begins with what the one before gave. */
static void change(struct group *g)
{
	uint32_t m = below(g, g->member_cnt), t = below(g, g->topic_cnt), share = 10 + below(g, 60);

	switch (below(g, 4)) {
	case 0:
		if (g->member_cnt < 20)
			subscribe(g, g->member_cnt++, share);
		break;
	case 1:
		/* The last one takes the place: it has its own id, and so another order, too. */
		if (g->member_cnt > 2) {
			g->member_cnt--;
			memcpy(g->subscribes[m], g->subscribes[g->member_cnt],
			       sizeof(g->subscribes[m]));
			memcpy(g->claims[m], g->claims[g->member_cnt], sizeof(g->claims[m]));
			memset(g->claims[g->member_cnt], 0, sizeof(g->claims[m]));
		}
		break;
	case 2:
		subscribe(g, m, share);
		break;
	default:
		/* Claims go by numbers of partitions, so only the last topic can grow. */
		t = g->topic_cnt - 1;
		if (g->sizes[t] < 30) {
			g->sizes[t]++;
			g->topic[g->part_cnt++] = t;
			g->first[t + 1] = g->part_cnt;
		}
		break;
	}
}

static void test_lives(void **state)
{
	uint64_t begin = first_seed();

	print_message("seeds %llu to %llu\n", (unsigned long long)begin,
		      (unsigned long long)begin + 29);
	for (uint64_t n = begin; n < begin + 30; n++) {
		struct group *g = &group;

		seed(g, n);
		set_sizes(g, 3 + below(g, 8), 10);
		g->member_cnt = 2 + below(g, 10);
		for (uint32_t m = 0; m < g->member_cnt; m++)
			subscribe(g, m, 50);
		for (int step = 0; step < 50; step++) {
			change(g);
			compute_and_check(g);
			claim_result(g, 1);
		}
	}
}

/* 500 members, 1,000 partitions; a tenth of the members leaves, and one of ten partitions was with
 * somebody who has nothing to do with it. */
static void large(struct group *g, uint32_t topic_cnt, uint32_t size, uint32_t share)
{
	seed(g, first_seed());
	g->topic_cnt = topic_cnt;
	for (uint32_t t = 0; t < topic_cnt; t++) {
		g->sizes[t] = size;
		for (uint32_t i = 0; i < size; i++)
			g->topic[g->part_cnt++] = t;
		g->first[t + 1] = g->part_cnt;
	}
	g->member_cnt = 500;
	for (uint32_t m = 0; m < g->member_cnt; m++)
		subscribe(g, m, share);
	compute_and_check(g);
	claim_result(g, 1);
	g->member_cnt = 450;
	for (uint32_t m = 0; m < g->member_cnt; m += 10)
		subscribe(g, m, share);
	compute_and_check(g);
}

static void test_large(void **state)
{
	large(&group, 1000, 1, 100);
	large(&group, 1000, 1, 30);
	large(&group, 100, 10, 1);
	large(&group, 100, 10, 10);
}

/* One member has everything, and 499 come. */
static void test_all_join(void **state)
{
	struct group *g = &group;

	seed(g, first_seed());
	set_sizes(g, 1000, 0);
	g->member_cnt = 1;
	subscribe(g, 0, 100);
	compute_and_check(g);
	claim_result(g, 1);
	g->member_cnt = 500;
	for (uint32_t m = 1; m < g->member_cnt; m++)
		subscribe(g, m, m % 20);
	compute_and_check(g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_small),	 cmocka_unit_test(test_medium),
		cmocka_unit_test(test_lives),	 cmocka_unit_test(test_large),
		cmocka_unit_test(test_all_join),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

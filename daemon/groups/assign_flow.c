/*
 * The sticky strategies where members subscribe to different topics.
 *
 * A flow of least cost from partitions to members. The cost of a member grows with the square of
 * what it has (the assignments with the least sum of squares are those whose sorted loads are
 * least, and the other way round); far behind that, a partition that leaves its owner costs 1.
 *
 * Everybody keeps what they own; what has no owner goes to the member with the least. From there on
 * what improves is a path: a member gives a partition to a second one, this one gives one to a
 * third, ... So the first has one less, the last one more, and those between as many as before. A
 * step costs
 *
 *	 1	where a partition leaves its owner,
 *	-1	where it comes back to it,
 *	 0	else.
 *
 * 1. level_out(): paths from members to others that have at least two less, as long as there are
 *    any. Then the loads are optimal.
 * 2. save_moves(): paths of less than no cost, from members to others that have one less: the
 *    loads only change places. As long as there are any.
 *
 * Invariant: there is no circle of steps whose cost is below 0. It holds at the start, where
 *nothing has moved, and stays where only cheapest paths are taken. So at the end there is neither a
 *circle nor a path that improves, and a flow without these is optimal.
 *
 * search() finds what the cheapest path to each member costs, and augment() takes paths of the
 * least cost until none is left of those it saw, as in Dinic's algorithm: each member has a number
 * of steps (hop) from its source, and a path's steps go up by one. Subscriptions are dense, what
 * members have is sparse. So the topics stand between the members as nodes of their own: a member
 * reaches a topic by giving up one of its partitions (0 or 1), and from there all its subscribers
 * (0); only the way home (-1) goes from member to member. A topic looks at those of its subscribers
 * that nobody has reached yet, 64 at a time.
 */
#include "daemon/groups/assign_impl.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

/* A cost that is out of reach. */
#define FAR INT32_MAX
/* Any cost will do. */
#define ANY (FAR - 1)

/* Nodes that wait to be looked at; each is in it once at most. */
struct queue {
	uint32_t *nodes;
	bool *is_in;
	uint32_t begin, cnt;
};

struct flow {
	struct assign_problem *x;
	uint32_t *load;
	uint32_t moved_cnt; /* partitions that are not with their owner */
	/* The partitions of a member, doubly linked. */
	uint32_t *head, *next, *before;
	/* Subscribers as bits: word_cnt words a topic. */
	uint64_t *bits;
	size_t word_cnt;

	/* Nodes are members, then topics. */
	uint32_t node_cnt;
	/* What search() leaves: the least cost to a node, and the number of steps. */
	int32_t *cost;
	uint32_t *hop;
	uint64_t *unseen; /* members that nobody has reached */
	struct queue queues[2], *now, *later;
	int32_t now_cost; /* no node of `now` costs more */
	int32_t scanned_cost;

	/* augment(): the next way to try, a partition of a member, a place in subs of a topic; what
	 * leads nowhere; the path. */
	uint32_t *arc;
	bool *is_dead;
	uint32_t *path;
};

static bool is_moved(const struct flow *f, uint32_t p)
{
	return f->x->home[p] != ASSIGN_NONE && f->x->home[p] != f->x->owner[p];
}

/* What it costs to give p to anybody but its owner. */
static int32_t cost_of(const struct flow *f, uint32_t p)
{
	return f->x->home[p] == f->x->owner[p];
}

static void put(struct flow *f, uint32_t p, uint32_t m)
{
	f->x->owner[p] = m;
	f->load[m]++;
	f->moved_cnt += is_moved(f, p);
	f->before[p] = ASSIGN_NONE;
	f->next[p] = f->head[m];
	if (f->head[m] != ASSIGN_NONE)
		f->before[f->head[m]] = p;
	f->head[m] = p;
}

static void take_away(struct flow *f, uint32_t p)
{
	uint32_t m = f->x->owner[p];

	f->moved_cnt -= is_moved(f, p);
	f->load[m]--;
	if (f->before[p] == ASSIGN_NONE)
		f->head[m] = f->next[p];
	else
		f->next[f->before[p]] = f->next[p];
	if (f->next[p] != ASSIGN_NONE)
		f->before[f->next[p]] = f->before[p];
}

static bool flow_take(struct flow *f)
{
	struct assign_problem *x = f->x;
	size_t member_cnt = x->member_cnt, part_cnt = x->part_cnt, node_cnt = f->node_cnt;

	f->load = assign_take(x, member_cnt, sizeof(*f->load));
	f->head = assign_take(x, member_cnt, sizeof(*f->head));
	f->next = assign_take(x, part_cnt, sizeof(*f->next));
	f->before = assign_take(x, part_cnt, sizeof(*f->before));
	f->bits = assign_take(x, f->word_cnt * x->topic_cnt, sizeof(*f->bits));
	f->cost = assign_take(x, node_cnt, sizeof(*f->cost));
	f->hop = assign_take(x, node_cnt, sizeof(*f->hop));
	f->unseen = assign_take(x, f->word_cnt, sizeof(*f->unseen));
	f->arc = assign_take(x, node_cnt, sizeof(*f->arc));
	f->is_dead = assign_take(x, member_cnt, sizeof(*f->is_dead));
	f->path = assign_take(x, member_cnt, sizeof(*f->path));
	for (int i = 0; i < 2; i++) {
		f->queues[i].nodes = assign_take(x, node_cnt, sizeof(uint32_t));
		f->queues[i].is_in = assign_take(x, node_cnt, sizeof(bool));
		if (!f->queues[i].nodes || !f->queues[i].is_in)
			return false;
	}
	return f->load && f->head && f->next && f->before && f->bits && f->cost && f->hop &&
	       f->unseen && f->arc && f->is_dead && f->path;
}

static int flow_init(struct flow *f, struct assign_problem *x)
{
	*f = (struct flow){ .x = x,
			    .word_cnt = ((size_t)x->member_cnt + 63) / 64,
			    .node_cnt = x->member_cnt + x->topic_cnt };
	if (f->node_cnt < x->member_cnt)
		return -E2BIG;
	if (!flow_take(f))
		return -ENOMEM;
	f->now = &f->queues[0];
	f->later = &f->queues[1];
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		for (uint32_t i = x->sub_first[t]; i < x->sub_first[t + 1]; i++)
			f->bits[t * f->word_cnt + x->subs[i] / 64] |= 1ULL << x->subs[i] % 64;
	}
	for (uint32_t m = 0; m < x->member_cnt; m++)
		f->head[m] = ASSIGN_NONE;
	for (uint32_t p = 0; p < x->part_cnt; p++) {
		if (x->home[p] != ASSIGN_NONE)
			put(f, p, x->home[p]);
	}
	return 0;
}

static int fewer_subs_first(const void *a, const void *b, void *context)
{
	const struct assign_problem *x = context;
	uint32_t t = *(const uint32_t *)a, u = *(const uint32_t *)b;
	uint32_t t_cnt = assign_sub_cnt(x, t), u_cnt = assign_sub_cnt(x, u);

	if (t_cnt != u_cnt)
		return t_cnt < u_cnt ? -1 : 1;
	return t < u ? -1 : t > u;
}

/* The next partition of the topic from p on that nobody has. */
static uint32_t next_free(const struct assign_problem *x, uint32_t t, uint32_t p)
{
	while (p < x->first[t + 1] && x->owner[p] != ASSIGN_NONE)
		p++;
	return p;
}

/* Each partition of the topic that nobody has goes to the subscriber with the least, the first of
 * them where there are several. */
static void fill_topic(struct flow *f, uint32_t t)
{
	struct assign_problem *x = f->x;
	uint32_t level = UINT32_MAX, p = next_free(x, t, x->first[t]);

	if (p == x->first[t + 1])
		return;
	for (uint32_t i = x->sub_first[t]; i < x->sub_first[t + 1]; i++)
		level = MIN(level, f->load[x->subs[i]]);
	for (;; level++) {
		for (uint32_t i = x->sub_first[t]; i < x->sub_first[t + 1]; i++) {
			if (f->load[x->subs[i]] != level)
				continue;
			put(f, p, x->subs[i]);
			p = next_free(x, t, p + 1);
			if (p == x->first[t + 1])
				return;
		}
	}
}

/* Topics with few subscribers first, as there is less choice. This is what Kafka does, and often
 * the loads are optimal then. */
static int fill(struct flow *f)
{
	struct assign_problem *x = f->x;
	uint32_t *order = assign_take(x, x->topic_cnt, sizeof(*order));

	if (!order)
		return -ENOMEM;
	for (uint32_t t = 0; t < x->topic_cnt; t++)
		order[t] = t;
	if (x->topic_cnt)
		qsort_r(order, x->topic_cnt, sizeof(*order), fewer_subs_first, x);
	for (uint32_t i = 0; i < x->topic_cnt; i++) {
		if (assign_sub_cnt(x, order[i]))
			fill_topic(f, order[i]);
	}
	return 0;
}

static void queue_put(struct flow *f, struct queue *q, uint32_t node)
{
	if (q->is_in[node])
		return;
	q->is_in[node] = true;
	q->nodes[(q->begin + q->cnt++) % f->node_cnt] = node;
}

static uint32_t queue_get(struct flow *f, struct queue *q)
{
	uint32_t node = q->nodes[q->begin];

	q->begin = (q->begin + 1) % f->node_cnt;
	q->cnt--;
	q->is_in[node] = false;
	return node;
}

/* There is a way to the node, at this cost. Nodes of one cost are looked at in the order in which
 * they are found, which keeps paths short. */
static void reach(struct flow *f, uint32_t node, int32_t cost, uint32_t hop)
{
	if (cost >= f->cost[node])
		return;
	f->cost[node] = cost;
	f->hop[node] = hop;
	if (node < f->x->member_cnt)
		f->unseen[node / 64] &= ~(1ULL << node % 64);
	queue_put(f, cost > f->now_cost ? f->later : f->now, node);
}

static void scan_member(struct flow *f, uint32_t m)
{
	for (uint32_t p = f->head[m]; p != ASSIGN_NONE; p = f->next[p]) {
		reach(f, f->x->member_cnt + f->x->topic[p], f->cost[m] + cost_of(f, p), f->hop[m]);
		if (is_moved(f, p))
			reach(f, f->x->home[p], f->cost[m] - 1, f->hop[m] + 1);
	}
}

/* Topics are looked at in the order of their costs, but where the way home made one cheaper. In
 * that order a member that was reached before is not reached at less cost now. */
static void scan_topic(struct flow *f, uint32_t t)
{
	const struct assign_problem *x = f->x;
	uint32_t node = x->member_cnt + t;

	if (f->cost[node] < f->scanned_cost) {
		for (uint32_t i = x->sub_first[t]; i < x->sub_first[t + 1]; i++)
			reach(f, x->subs[i], f->cost[node], f->hop[node] + 1);
		return;
	}
	f->scanned_cost = f->cost[node];
	for (size_t w = 0; w < f->word_cnt; w++) {
		uint64_t fresh = f->bits[t * f->word_cnt + w] & f->unseen[w];

		for (; fresh; fresh &= fresh - 1)
			reach(f, (uint32_t)(w * 64 + (size_t)__builtin_ctzll(fresh)), f->cost[node],
			      f->hop[node] + 1);
	}
}

/* Cheapest paths from all members with at least `high` to everybody: fills cost and hop. Returns
 * the least cost to a member with at most `low`, FAR where none can be reached. */
static int32_t search(struct flow *f, uint32_t high, uint32_t low)
{
	const struct assign_problem *x = f->x;
	int32_t best = FAR;

	PRE(low < high);
	for (uint32_t node = 0; node < f->node_cnt; node++)
		f->cost[node] = FAR;
	memset(f->unseen, 0xff, f->word_cnt * sizeof(*f->unseen));
	f->now_cost = 0;
	f->scanned_cost = 0;
	for (uint32_t m = 0; m < x->member_cnt; m++) {
		if (f->load[m] >= high)
			reach(f, m, 0, 0);
	}
	while (f->now->cnt || f->later->cnt) {
		while (f->now->cnt) {
			uint32_t node = queue_get(f, f->now);

			if (node < x->member_cnt)
				scan_member(f, node);
			else
				scan_topic(f, node - x->member_cnt);
		}
		struct queue *swap = f->now;

		f->now = f->later;
		f->later = swap;
		f->now_cost++;
	}
	for (uint32_t m = 0; m < x->member_cnt; m++) {
		if (f->load[m] <= low)
			best = MIN(best, f->cost[m]);
	}
	return best;
}

static bool is_next(const struct flow *f, uint32_t m, int32_t cost, uint32_t hop)
{
	return f->cost[m] == cost && f->hop[m] == hop && !f->is_dead[m];
}

/* Where a cheapest path goes on from m, ASSIGN_NONE where it does not. The partition that m gives
 * up for it is arc[m]. */
static uint32_t next_hop(struct flow *f, uint32_t m)
{
	const struct assign_problem *x = f->x;
	uint32_t p, hop = f->hop[m] + 1;

	for (; (p = f->arc[m]) != ASSIGN_NONE; f->arc[m] = f->next[p]) {
		uint32_t t = x->topic[p], node = x->member_cnt + t;

		if (is_moved(f, p) && is_next(f, x->home[p], f->cost[m] - 1, hop))
			return x->home[p];
		if (f->cost[node] != f->cost[m] + cost_of(f, p) || f->hop[node] != f->hop[m])
			continue;
		for (; f->arc[node] < x->sub_first[t + 1]; f->arc[node]++) {
			uint32_t to = x->subs[f->arc[node]];

			if (is_next(f, to, f->cost[node], hop))
				return to;
		}
	}
	return ASSIGN_NONE;
}

/* A path from the member to one with at most `low`, whose cost is `best`: its length in f->path, 0
 * where there is none. */
static uint32_t find_path(struct flow *f, uint32_t from, uint32_t low, int32_t best)
{
	uint32_t len = 0;

	f->path[len++] = from;
	while (len) {
		uint32_t m = f->path[len - 1], to;

		if (f->load[m] <= low && f->cost[m] == best)
			return len;
		to = next_hop(f, m);
		if (to == ASSIGN_NONE) {
			f->is_dead[m] = true;
			len--;
		} else {
			f->path[len++] = to;
		}
	}
	return 0;
}

/* Takes paths of cost `best`, as search() has seen them, from members with at least `high` to
 * members with at most `low`. */
static void augment(struct flow *f, uint32_t high, uint32_t low, int32_t best)
{
	const struct assign_problem *x = f->x;
	uint32_t path_cnt = 0;

	for (uint32_t m = 0; m < x->member_cnt; m++) {
		f->arc[m] = f->head[m];
		f->is_dead[m] = false;
	}
	for (uint32_t t = 0; t < x->topic_cnt; t++)
		f->arc[x->member_cnt + t] = x->sub_first[t];
	for (uint32_t from = 0; from < x->member_cnt; from++) {
		/* A source that is cheaper from another one is no beginning of a cheapest path. */
		while (f->load[from] >= high && f->cost[from] == 0 && f->hop[from] == 0) {
			uint32_t len = find_path(f, from, low, best);

			if (len == 0)
				break;
			for (uint32_t i = 0; i + 1 < len; i++) {
				uint32_t p = f->arc[f->path[i]];

				f->arc[f->path[i]] = f->next[p];
				take_away(f, p);
				put(f, p, f->path[i + 1]);
			}
			path_cnt++;
		}
	}
	POST(path_cnt > 0);
}

/* Shifts partitions from members with at least `high` to members with at most `low` as long as
 * there are paths that cost at most `worth`. Whether it did anything. */
static bool shift(struct flow *f, uint32_t high, uint32_t low, int32_t worth)
{
	bool did = false;

	for (;;) {
		int32_t best = search(f, high, low);

		if (best > worth)
			return did;
		augment(f, high, low, best);
		did = true;
	}
}

/* The largest load below the bound, 0 where there is none. */
static uint32_t load_below(const struct flow *f, uint64_t bound)
{
	uint32_t load = 0;

	for (uint32_t m = 0; m < f->x->member_cnt; m++) {
		if (f->load[m] < bound)
			load = MAX(load, f->load[m]);
	}
	return load;
}

/* After a search from members with at least `high`: what each of those would have that can be
 * reached and have no more than that, were it divided evenly; rounded up. */
static uint32_t share_of_reached(const struct flow *f, uint32_t high)
{
	uint64_t sum = 0, cnt = 0;

	for (uint32_t m = 0; m < f->x->member_cnt; m++) {
		if (f->cost[m] != FAR && f->load[m] <= high) {
			sum += f->load[m];
			cnt++;
		}
	}
	ASSERT(cnt > 0);
	return (uint32_t)((sum + cnt - 1) / cnt);
}

/*
 * From the largest load down. When no path leads from members with `high` to ones with at most
 * high - 2 none will, whatever is shifted below: what these members can reach is closed, and paths
 * that begin and end elsewhere do not touch it. A member that has far too much gives it up in one
 * go, down to what is left for everybody in its reach.
 */
static void level_out(struct flow *f)
{
	uint32_t high = load_below(f, UINT64_MAX);

	while (high >= 2) {
		if (search(f, high, high - 2) == FAR) {
			high = load_below(f, high);
		} else {
			uint32_t top = MIN(high, share_of_reached(f, high) + 1);

			ASSERT(top >= 2);
			shift(f, top, top - 2, ANY);
			high = load_below(f, (uint64_t)high + 1);
		}
	}
}

static void save_moves(struct flow *f)
{
	bool did;

	do {
		did = false;
		for (uint32_t high = load_below(f, UINT64_MAX); high > 0 && f->moved_cnt > 0;
		     high = load_below(f, high))
			did |= shift(f, high, high - 1, -1);
	} while (did);
}

int assign_flow(struct assign_problem *x)
{
	struct flow f;
	int err = flow_init(&f, x);

	if (err)
		return err;
	err = fill(&f);
	if (err)
		return err;
	level_out(&f);
	save_moves(&f);
	return 0;
}

/*
 * A consumer group against a world that knows what every process knows (tests/lib/simgroup.h),
 * under a seed: processes join as streams and through lines, by names and patterns, as instances;
 * they die, stall and come back; topics grow, go and are made again, and who may read them changes;
 * writes fail; the broker is killed between any two steps. In the end all comes to rest.
 *
 * tests/lib/seeds.h says which seeds. A failure prints its seed; "model_groups 1 SEED" repeats it
 * alone.
 */
#include "tests/lib/simgroup.h"

#include "tests/lib/seeds.h"

#include <stdlib.h>

#define OPS 400U
#define SEEDS 10000

static struct sg_client *some_client(struct sg_world *w)
{
	return &w->clients[sg_below(w, SG_CLIENTS)];
}

static void open_some(struct sg_world *w)
{
	struct sg_client *c = some_client(w);
	bool is_member = c->is_open;

	if (is_member)
		return;
	/* Clients 0 and 1 are one instance, 2 is another. */
	c->instance = c < &w->clients[2] ? "one" : c == &w->clients[2] ? "two" : NULL;
	c->is_stream = sg_below(w, 2);
	/* A stream is one topic. */
	if (!c->instance || !sg_below(w, 8))
		c->sub = c->is_stream ? sg_below(w, 2) * 3 : sg_below(w, SG_SUBS);
	if (c->is_stream && c->sub > 1)
		c->sub = 0;
	c->session_ms = 100 + sg_below(w, 1000);
	c->rebalance_ms = 100 + sg_below(w, 1000);
	c->poll_ms = 100 + sg_below(w, 3000);
	sg_open(w, c);
}

static void change_topic(struct sg_world *w)
{
	struct sg_topic *t = &w->topics[sg_below(w, SG_TOPICS)];
	uint32_t grown = 1 + sg_below(w, 2);

	if (!t->part_cnt)
		sg_set_topic(w, t, 1 + sg_below(w, 3), true);
	else if (sg_below(w, 4))
		sg_set_topic(w, t, MIN(t->part_cnt + grown, SG_PARTS), false);
	else
		sg_set_topic(w, t, sg_below(w, 2) ? 0 : 1 + sg_below(w, 3), true);
}

static void change_settings(struct sg_world *w)
{
	w->set.strategy = (enum assign_strategy)sg_below(w, 4);
	group_set_settings(w->g, &w->set);
}

static void change_readers(struct sg_world *w, struct sg_topic *t)
{
	if (t->part_cnt)
		sg_set_readers(w, t, sg_below(w, 1U << SG_USERS));
}

/* Something that a living process does. */
static void act(struct sg_world *w)
{
	struct sg_client *c = some_client(w);

	if (!c->is_open)
		return;
	if (c->is_stalled) {
		c->is_stalled = sg_below(w, 3);
		return;
	}
	switch (sg_below(w, 16)) {
	case 0:
		sg_close(w, c);
		break;
	case 1:
		sg_stall(w, c);
		break;
	case 2:
		if (!c->is_stream && !c->is_expelled)
			sg_resubscribe(w, c, sg_below(w, SG_SUBS));
		break;
	case 3:
		if (!c->is_expelled)
			sg_seek(w, c);
		break;
	case 4 ... 7:
		if (!c->is_stream && !c->is_expelled)
			sg_work(w, c);
		break;
	default:
		if (!c->is_waiting)
			sg_read(w, c);
		break;
	}
}

static void step(struct sg_world *w)
{
	struct sg_topic *t = &w->topics[sg_below(w, SG_TOPICS)];

	switch (sg_below(w, 32)) {
	case 0:
		change_topic(w);
		break;
	case 1:
		w->is_killed = !sg_below(w, 4);
		break;
	case 2:
		if (sg_below(w, 2))
			change_settings(w);
		else
			change_readers(w, t);
		break;
	case 3:
		sg_commit_by_other(w);
		break;
	case 4 ... 6:
		open_some(w);
		break;
	case 7 ... 10:
		if (t->part_cnt)
			sg_append(w, t, sg_below(w, t->part_cnt), 1 + sg_below(w, 4));
		break;
	case 11 ... 12:
		w->now_ms += sg_below(w, sg_below(w, 3) ? 50 : 1500);
		break;
	default:
		act(w);
		break;
	}
	if (!w->is_killed)
		sg_round(w);
	while (w->is_killed) {
		w->now_ms += sg_below(w, 300);
		sg_restart(w);
	}
}

/* Nothing happens any more but that processes that are not stopped go on. */
static void come_to_rest(struct sg_world *w)
{
	w->is_calm = true;
	for (unsigned i = 0; i < 1000; i++) {
		for (uint32_t n = 0; n < SG_CLIENTS; n++) {
			struct sg_client *c = &w->clients[n];

			if (!c->is_open || c->is_stalled)
				continue;
			for (unsigned k = 0; k < 4 && !c->is_stream && !c->is_expelled; k++)
				sg_work(w, c);
			if (!c->is_waiting)
				sg_read(w, c);
		}
		w->now_ms += 10;
		sg_round(w);
	}
	sg_check_rest(w);
}

static void run(struct sg_world *w, uint64_t seed)
{
	sg_init(w, seed);
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		sg_set_topic(w, &w->topics[t], sg_below(w, 4), true);
	for (w->op = 0; w->op < OPS; w->op++)
		step(w);
	come_to_rest(w);
	sg_fini(w);
}

static void run_seed(uint64_t seed)
{
	struct sg_world *w = calloc(1, sizeof(*w));

	if (!w)
		abort();
	run(w, seed);
	free(w);
}

int main(int argc, char **argv)
{
	return seeds_main(argc, argv, SEEDS, run_seed);
}

/*
 * The groups' part of /metrics.
 */
#include "daemon/coordinator_impl.h"

/* A group's name as a label's value: of the texts that groups may have as names, what the format
 * would misread is escaped. */
static void put_group(struct buf *out, const char *name)
{
	buf_put_str(out, "{group=\"");
	for (; *name; name++) {
		if (*name == '\\' || *name == '"')
			buf_put_u8(out, '\\');
		buf_put_u8(out, (uint8_t)*name);
	}
	buf_put_str(out, "\"");
}

static void put_numbers(struct coordinator *c, struct buf *out, const char *name, const char *type,
			const char *help, uint64_t (*number)(const struct coord_group *g))
{
	bool is_counter = type[0] == 'c';

	metrics_family(out, name, type, "", help);
	for (uint32_t i = 0; i < c->group_cnt; i++) {
		buf_put_str(out, name);
		buf_put_str(out, is_counter ? "_total" : "");
		put_group(out, c->groups[i]->be.name);
		buf_printf(out, "} %llu\n", (unsigned long long)number(c->groups[i]));
	}
}

static uint64_t members(const struct coord_group *g)
{
	return group_member_cnt(g->core);
}

static uint64_t rebalances(const struct coord_group *g)
{
	return group_rebalance_cnt(g->core);
}

static uint64_t commits(const struct coord_group *g)
{
	return g->commits;
}

static uint64_t letters(const struct coord_group *g)
{
	return g->letters;
}

static void put_lag(struct coordinator *c, struct coord_group *g, struct buf *out)
{
	const struct group_offset *o;

	for (uint32_t i = 0; (o = group_offset_at(g->core, i)); i++) {
		struct be_topic *t = broker_topic_by_id(c->b, o->topic_id);

		/* Logs that nobody has opened yet are opened bit by bit, and not for this. */
		if (!t || o->partition >= t->part_cnt || o->offset < 0 ||
		    !t->parts[o->partition]->log)
			continue;
		buf_put_str(out, "topicfs_group_lag_records");
		put_group(out, g->be.name);
		buf_printf(out, ",topic=\"%s\",partition=\"%u\"} %lld\n", t->name, o->partition,
			   (long long)(t->parts[o->partition]->log->next_offset - o->offset));
	}
}

void coordinator_metrics(struct coordinator *c, struct buf *out)
{
	put_numbers(c, out, "topicfs_group_members", "gauge", "Members of a group.", members);
	put_numbers(c, out, "topicfs_group_rebalances", "counter",
		    "Assignments that were computed for a group.", rebalances);
	put_numbers(c, out, "topicfs_group_commits", "counter",
		    "Offsets that were committed in a group since the start.", commits);
	put_numbers(c, out, "topicfs_group_dead_letters", "counter",
		    "Records that a group gave up on since the start.", letters);
	metrics_family(out, "topicfs_group_lag_records", "gauge", "records",
		       "Records behind the committed offset of a group.");
	for (uint32_t i = 0; i < c->group_cnt; i++)
		put_lag(c, c->groups[i], out);
	metrics_family(out, "topicfs_group_commits_lowered", "counter", "",
		       "Committed offsets that stood behind a log's end at the start.");
	buf_printf(out, "topicfs_group_commits_lowered_total %llu\n",
		   (unsigned long long)c->rewound);
	metrics_family(out, "topicfs_group_commits_fenced", "counter", "",
		       "Commits refused as stale.");
	buf_printf(out, "topicfs_group_commits_fenced_total %llu\n", (unsigned long long)c->fenced);
}

/*
 * What can be read of groups: config, state, lag, members/ID, offsets/T/P, and metrics.
 */
#include "daemon/coordinator_impl.h"

#include "daemon/store/json_text.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One partition that the group has to do with. */
struct row {
	const struct be_topic *topic;
	uint32_t partition;
	const struct group_offset *offset; /* NULL: none */
	uint32_t holder;
};

static void put_text(struct buf *out, const char *s)
{
	json_put_string(out, s, strlen(s));
}

static const char *strategy_name(enum assign_strategy s)
{
	static const char *const names[] = { "range", "roundrobin", "sticky",
					     "cooperative-sticky" };

	return names[s];
}

/* "orders":[0,1],… of shares that stand in the order of topics. */
static void put_shares(struct buf *out, const struct coord_group *g, uint32_t slot, bool as_list)
{
	uint32_t cnt = group_shares(g->core, slot, NULL, 0);
	struct group_share *all = cnt ? malloc(cnt * sizeof(*all)) : NULL;
	const char *topic = NULL;

	if (cnt && !all) {
		out->err = -ENOMEM;
		return;
	}
	cnt = cnt ? group_shares(g->core, slot, all, cnt) : 0;
	for (uint32_t i = 0; i < cnt; i++) {
		if (all[i].leaving && as_list)
			continue; /* the line says what it may go on with */
		if (topic && !strcmp(topic, all[i].topic)) {
			buf_printf(out, ",%u", all[i].partition);
			continue;
		}
		buf_put_str(out, topic ? as_list ? "]}," : "]," : "");
		topic = all[i].topic;
		buf_put_str(out, as_list ? "{\"topic\":" : "");
		put_text(out, topic);
		buf_printf(out, as_list ? ",\"partitions\":[%u" : ":[%u", all[i].partition);
	}
	buf_put_str(out, topic ? as_list ? "]}" : "]" : "");
	free(all);
}

void coord_line(struct coordinator *c, struct be_member *m, struct buf *out)
{
	struct coord_group *g = m->g;
	struct group_member_view v;

	(void)c;
	if (!group_member_get(g->core, m->slot, &v))
		return;
	buf_put_str(out, "{\"group\":");
	put_text(out, g->be.name);
	buf_put_str(out, ",\"member\":");
	put_text(out, v.id);
	buf_printf(out, ",\"generation\":%llu,\"strategy\":\"%s\",\"assignment\":[",
		   (unsigned long long)group_generation(g->core),
		   strategy_name(group_strategy(g->core)));
	put_shares(out, g, m->slot, true);
	buf_put_str(out, "]}\n");
}

static void put_member(struct buf *out, const struct coord_group *g,
		       const struct group_member_view *v, bool with_generation)
{
	buf_put_str(out, "{\"member_id\":");
	put_text(out, v->id);
	if (v->instance) {
		buf_put_str(out, ",\"group_instance_id\":");
		put_text(out, v->instance);
	}
	buf_put_str(out, ",\"client_id\":");
	put_text(out, v->client_id);
	buf_put_str(out, ",\"client_host\":");
	put_text(out, v->client_host);
	buf_printf(out, ",\"session_timeout\":%lld,\"rebalance_timeout\":%lld,",
		   (long long)v->session_timeout_ms, (long long)v->rebalance_timeout_ms);
	if (with_generation)
		buf_printf(out, "\"generation\":%llu,", (unsigned long long)v->generation);
	buf_put_str(out, "\"assignment\":{");
	put_shares(out, g, v->slot, false);
	buf_put_str(out, "}}");
}

/* ---- Rows: what is committed or held ---- */

static int compare_rows(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int r = strcmp(x->topic->name, y->topic->name);

	return r ? r : x->partition < y->partition ? -1 : x->partition > y->partition;
}

static void put_row(struct buf *rows, const struct be_topic *t, uint32_t partition,
		    const struct group_offset *o, uint32_t holder)
{
	struct row row = { t, partition, o, holder };

	buf_put(rows, &row, sizeof(row));
}

/* Everything committed, and every partition that a member holds. Sorted, each once. */
static uint32_t rows_of(struct coordinator *c, const struct coord_group *g, struct buf *rows)
{
	const struct group_offset *o;
	struct group_member_view v;
	struct row *all;
	size_t cnt, n = 0;

	for (uint32_t i = 0; (o = group_offset_at(g->core, i)); i++) {
		struct be_topic *t = broker_topic_by_id(c->b, o->topic_id);

		if (t && o->partition < t->part_cnt && o->offset >= 0)
			put_row(rows, t, o->partition, o, GROUP_NONE);
	}
	for (v.slot = GROUP_NONE; group_member_next(g->core, v.slot, &v);) {
		uint32_t k, share_cnt = group_shares(g->core, v.slot, NULL, 0);
		struct group_share *s = share_cnt ? malloc(share_cnt * sizeof(*s)) : NULL;

		if (share_cnt && !s) {
			rows->err = -ENOMEM;
			return 0;
		}
		share_cnt = share_cnt ? group_shares(g->core, v.slot, s, share_cnt) : 0;
		for (k = 0; k < share_cnt; k++) {
			struct be_topic *t = broker_topic_by_id(c->b, s[k].topic_id);

			if (t && s[k].partition < t->part_cnt)
				put_row(rows, t, s[k].partition, NULL, v.slot);
		}
		free(s);
	}
	if (buf_err(rows) || !rows->len)
		return 0;
	all = (struct row *)(void *)rows->data;
	cnt = rows->len / sizeof(*all);
	qsort(all, cnt, sizeof(*all), compare_rows);
	for (size_t i = 1; i < cnt; i++) {
		if (compare_rows(&all[n], &all[i])) {
			all[++n] = all[i];
			continue;
		}
		if (all[i].offset)
			all[n].offset = all[i].offset;
		if (all[i].holder != GROUP_NONE)
			all[n].holder = all[i].holder;
	}
	return (uint32_t)n + 1;
}

static void put_offsets(struct coordinator *c, const struct coord_group *g, struct buf *out)
{
	const char *topic = NULL;
	const struct row *all;
	struct buf rows;
	uint32_t cnt;

	buf_init(&rows);
	cnt = rows_of(c, g, &rows);
	all = (const struct row *)(const void *)rows.data;
	for (uint32_t i = 0; i < cnt; i++) {
		const struct group_offset *o = all[i].offset;

		if (!o)
			continue;
		if (!topic || strcmp(topic, all[i].topic->name)) {
			buf_put_str(out, topic ? "}," : "");
			topic = all[i].topic->name;
			put_text(out, topic);
			buf_put_str(out, ":{");
		} else {
			buf_put_u8(out, ',');
		}
		buf_printf(out, "\"%u\":{\"offset\":%lld,\"metadata\":", all[i].partition,
			   (long long)o->offset);
		json_put_string(out, o->metadata, o->metadata_len);
		buf_printf(out, ",\"timestamp\":%lld}", (long long)o->commit_ms);
	}
	buf_put_str(out, topic ? "}" : "");
	if (rows.err)
		out->err = rows.err;
	buf_fini(&rows);
}

static void put_state(struct coordinator *c, struct coord_group *g, struct buf *out)
{
	struct group_member_view v;

	buf_put_str(out, "{\"group_id\":");
	put_text(out, g->be.name);
	buf_printf(out, ",\"state\":\"%s\",\"protocol_type\":\"consumer\",\"protocol\":\"%s\"",
		   group_state_name(group_state(g->core)), strategy_name(group_strategy(g->core)));
	buf_put_str(out, ",\"leader\":");
	if (group_member_next(g->core, GROUP_NONE, &v))
		put_text(out, v.id);
	else
		buf_put_str(out, "null");
	buf_printf(out, ",\"generation\":%llu,\"members\":[",
		   (unsigned long long)group_generation(g->core));
	for (v.slot = GROUP_NONE; group_member_next(g->core, v.slot, &v);) {
		buf_put_str(out, v.is_leader ? "" : ",");
		put_member(out, g, &v, false);
	}
	buf_put_str(out, "],\"offsets\":{");
	put_offsets(c, g, out);
	buf_put_str(out, "}}\n");
}

static void put_lag(struct coordinator *c, struct coord_group *g, struct buf *out)
{
	const struct row *all;
	struct buf rows;
	uint32_t cnt;

	buf_init(&rows);
	cnt = rows_of(c, g, &rows);
	all = (const struct row *)(const void *)rows.data;
	buf_put_str(out, "TOPIC PARTITION COMMITTED END LAG OWNER\n");
	for (uint32_t i = 0; i < cnt; i++) {
		struct be_partition *p = all[i].topic->parts[all[i].partition];
		const struct group_offset *o;
		struct group_member_view v;
		struct be_why why;
		int64_t start, end;

		c->opens_left = 1;
		if (coord_ends(c, p, &start, &end, &why))
			continue;
		/* Opening it may have lowered that. */
		o = group_offset_find(g->core, all[i].topic->id, all[i].partition);
		buf_printf(out, "%s %u ", all[i].topic->name, all[i].partition);
		if (o && o->offset >= 0)
			buf_printf(out, "%lld %lld %lld ", (long long)o->offset, (long long)end,
				   (long long)(end - o->offset));
		else
			buf_printf(out, "- %lld - ", (long long)end);
		buf_printf(out, "%s\n",
			   all[i].holder != GROUP_NONE &&
					   group_member_get(g->core, all[i].holder, &v)
				   ? v.id
				   : "-");
	}
	if (rows.err)
		out->err = rows.err;
	buf_fini(&rows);
}

static void put_config(struct coordinator *c, struct coord_group *g, struct buf *out)
{
	const struct metadata_group *mg =
		metadata_find_group_id(metalog_state(c->b->meta), g->be.id);
	struct group_config config;

	if (!mg)
		return;
	group_config_merge(&mg->own, &config);
	group_config_print(&config, g->be.name, out);
}

/* Settled first: nobody sees a group between two states. What cannot be written shows as it is. */
static void settle(struct coordinator *c, struct coord_group *g)
{
	if (coord_settle(c, g))
		coord_touch(c, g);
}

static int text(void *ctx, enum be_text what, struct be_group *bg, struct buf *out)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_group *g = coord_group_of(bg);

	if (bg->deleted)
		return -ESTALE;
	settle(c, g);
	switch (what) {
	case BE_TEXT_GROUP_CONFIG:
		put_config(c, g, out);
		break;
	case BE_TEXT_GROUP_STATE:
		put_state(c, g, out);
		break;
	case BE_TEXT_GROUP_LAG:
		put_lag(c, g, out);
		break;
	default:
		return -EINVAL;
	}
	return buf_err(out);
}

/* Committed offsets are not told before they are known to be no further than the logs' ends. */
static bool open_logs(void *ctx, struct be_group *bg, uint32_t *next, unsigned max)
{
	struct coordinator *c = coordinator_of(ctx);
	const struct row *all;
	struct buf rows;
	uint32_t cnt;

	buf_init(&rows);
	settle(c, coord_group_of(bg));
	cnt = rows_of(c, coord_group_of(bg), &rows);
	all = (const struct row *)(const void *)rows.data;
	c->opens_left = max;
	c->is_short = false;
	for (; *next < cnt; ++*next) {
		int64_t start, end;
		struct be_why why;

		/* What fails is left out, or told by whoever uses it. */
		if (coord_ends(c, all[*next].topic->parts[all[*next].partition], &start, &end,
			       &why) == -EAGAIN &&
		    c->is_short)
			break;
	}
	buf_fini(&rows);
	return c->is_short;
}

static int member_text(void *ctx, struct be_group *bg, const char *id,
		       const struct be_caller *caller, struct buf *out)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_group *g = coord_group_of(bg);
	struct group_member_view v;
	struct be_member *self;

	settle(c, g);
	if (strcmp(id, "self")) {
		if (!group_member_find(g->core, id, &v))
			return -ENOENT;
	} else {
		self = coord_own_member(g, caller->tgid, NULL);
		if (!self || self->slot == GROUP_NONE || !group_member_get(g->core, self->slot, &v))
			return -ENOENT;
	}
	put_member(out, g, &v, true);
	buf_put_u8(out, '\n');
	return buf_err(out);
}

static const char *member_id_next(void *ctx, struct be_group *bg, uint32_t *slot)
{
	struct group_member_view v;

	(void)ctx;
	if (!group_member_next(coord_group_of(bg)->core, *slot, &v))
		return NULL;
	*slot = v.slot;
	return v.id;
}

static const struct group_offset *find_offset(struct be_group *bg, struct be_topic *t,
					      uint32_t partition)
{
	const struct group_offset *o =
		group_offset_find(coord_group_of(bg)->core, t->id, partition);

	return o && o->offset >= 0 ? o : NULL;
}

static int offset_text(void *ctx, struct be_group *bg, struct be_topic *t, uint32_t partition,
		       struct buf *out)
{
	struct coordinator *c = coordinator_of(ctx);
	const struct group_offset *o;
	int64_t start, end;
	struct be_why why;

	/* It may be lowered by that. One whose log cannot be opened is told as it was committed. */
	c->opens_left = 1;
	if (coord_ends(c, t->parts[partition], &start, &end, &why))
		why.text[0] = 0;
	o = find_offset(bg, t, partition);
	if (!o)
		return 0;
	buf_printf(out, "%lld", (long long)o->offset);
	if (o->metadata_len) {
		buf_put_u8(out, ' ');
		buf_put(out, o->metadata, o->metadata_len);
	}
	buf_put_u8(out, '\n');
	return buf_err(out);
}

static bool has_offset(void *ctx, struct be_group *bg, struct be_topic *t, uint32_t partition)
{
	(void)ctx;
	return find_offset(bg, t, partition) != NULL;
}

static bool has_offsets(void *ctx, struct be_group *bg, struct be_topic *t)
{
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		if (has_offset(ctx, bg, t, i))
			return true;
	}
	return false;
}

void coord_texts_backend(struct backend *ret)
{
	ret->group_text = text;
	ret->group_open_logs = open_logs;
	ret->member_text = member_text;
	ret->member_id_next = member_id_next;
	ret->offset_text = offset_text;
	ret->has_offset = has_offset;
	ret->has_offsets = has_offsets;
}

/*
 * What groups keep over stops: see tests/fault/sweep_groups.c.
 */
#include "tests/lib/simworld_impl.h"

#include "daemon/coordinator_impl.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define KEYS_MAX 512U

static struct broker *broker_of(struct world *w)
{
	return w->m.fs->be.ctx;
}

bool world_find_record(const struct world *w, uint32_t id, unsigned *ret_topic, unsigned *ret_part,
		       int64_t *ret_off)
{
	for (unsigned k = 0; k < WORLD_TOPICS; k++) {
		for (unsigned i = 0; i < WORLD_PARTS; i++) {
			const struct world_part *p = &w->topics[k].parts[i];

			for (int64_t at = 0; at < p->cnt; at++) {
				if (p->ids[at] != id)
					continue;
				*ret_topic = k;
				*ret_part = i;
				*ret_off = at;
				return true;
			}
		}
	}
	return false;
}

/* The group as the broker has it; NULL: not there, or another of its name. */
static struct coord_group *find_group(struct world *w, unsigned k)
{
	struct world_group *g = &w->groups[k];
	struct coord_group *cg = *g->name ? coord_find(broker_of(w)->groups, g->name) : NULL;

	if (cg && g->state >= TOPIC_THERE && memcmp(cg->be.id, g->id, 16) != 0)
		return NULL;
	for (unsigned i = 0; cg && g->state < TOPIC_THERE && i < WORLD_GROUPS; i++)
		if (w->groups[i].state >= TOPIC_THERE && !memcmp(cg->be.id, w->groups[i].id, 16))
			return NULL;
	return cg;
}

void world_kept_made(struct world *w, unsigned k)
{
	struct world_group *g = &w->groups[k];
	struct coord_group *cg = coord_find(broker_of(w)->groups, g->name);

	assert_non_null(cg);
	memcpy(g->id, cg->be.id, 16);
	if (group_offset_cnt(cg->core) || group_generation(cg->core))
		world_fail(w, "group %u was made, and is not empty", k);
}

static const struct group_offset *entry_of(struct world *w, struct coord_group *cg, unsigned k,
					   unsigned i)
{
	return w->topics[k].state < TOPIC_THERE ? NULL
						: group_offset_find(cg->core, w->topics[k].id, i);
}

static void take_over(struct world_commit *c, const struct group_offset *o)
{
	c->is_there = o != NULL;
	c->offset = o ? o->offset : -1;
	c->delivered_off = o ? o->delivered_off : -1;
	c->delivered_cnt = o ? o->delivered_cnt : 0;
	c->commit_ms = o ? o->commit_ms : 0;
}

static int64_t keep_ms(const struct world *w)
{
	return w->options.config.offsets_retention_minutes * 60000;
}

/* Whether the offset's time may be up; and whether it is, so that it is not there any more. */
static bool may_expire(struct world *w, const struct world_group *g, const struct world_commit *c)
{
	return broker_of(w)->now_ms - MAX(c->commit_ms, g->peopled_ms) >= keep_ms(w);
}

static void check_expiry(struct world *w, unsigned k, const struct group_offset *o)
{
	const struct world_group *g = &w->groups[k];
	int64_t since = MAX(o->commit_ms, g->peopled_max_ms), slack = 5000;

	slack += 2 * w->options.config.offsets_retention_check_ms;
	if (!w->may_fail && broker_of(w)->now_ms - since > keep_ms(w) + slack)
		world_fail(w, "group %u: an offset that ended %lld ms ago is there", k,
			   (long long)(broker_of(w)->now_ms - since - keep_ms(w)));
}

/* Whether what is there now is what was seen last, or has gone on from it. */
static bool goes_on(struct world *w, const struct world_group *g, const struct world_commit *c,
		    const struct group_offset *o)
{
	if (!c->is_there)
		return true;
	if (!o)
		return may_expire(w, g, c);
	if (c->back >= 0 && o->offset == c->back)
		return true;
	if (o->offset != c->offset || o->delivered_off != c->delivered_off)
		return o->offset >= c->offset;
	return o->delivered_cnt >= c->delivered_cnt;
}

static void compare(struct world *w, unsigned g, unsigned k, unsigned i,
		    const struct group_offset *o)
{
	const struct world_commit *c = &w->groups[g].commits[k][i];

	if (!goes_on(w, &w->groups[g], c, o))
		world_fail(w,
			   "group %u topic %u partition %u: %lld was committed, %u times %lld "
			   "delivered; now %lld, %u times %lld",
			   g, k, i, (long long)c->offset, c->delivered_cnt,
			   (long long)c->delivered_off, o ? (long long)o->offset : -1LL,
			   o ? o->delivered_cnt : 0, o ? (long long)o->delivered_off : -1LL);
}

/* Generations never fall. What a power loss takes of them is not used again: before anybody is told
 * one it is beyond all that were seen. */
static void compare_generation(struct world *w, unsigned g, const struct coord_group *cg)
{
	struct world_group *wg = &w->groups[g];
	uint64_t is = group_generation(cg->core);

	if (wg->lost_power && (group_is_unsettled(cg->core) || group_is_unwritten(cg->core)))
		return;
	if (is < wg->generation || (wg->lost_power && wg->generation && is == wg->generation))
		world_fail(w, "group %u: generation %llu after %llu%s", g, (unsigned long long)is,
			   (unsigned long long)wg->generation,
			   wg->lost_power ? " and a power loss" : "");
	wg->lost_power = false;
	wg->generation = is;
}

void world_kept_observe(struct world *w)
{
	w->letters = broker_of(w)->groups->letters_sent;
	for (unsigned g = 0; g < WORLD_GROUPS; g++) {
		struct coord_group *cg =
			w->groups[g].state == TOPIC_THERE ? find_group(w, g) : NULL;

		if (!cg)
			continue;
		compare_generation(w, g, cg);
		w->groups[g].has_members = group_member_cnt(cg->core);
		if (w->groups[g].has_members)
			w->groups[g].peopled_ms = w->groups[g].peopled_max_ms =
				broker_of(w)->now_ms;
		for (unsigned k = 0; k < WORLD_TOPICS; k++) {
			for (unsigned i = 0; i < WORLD_PARTS; i++) {
				const struct group_offset *o = entry_of(w, cg, k, i);

				if (w->topics[k].state == TOPIC_THERE)
					compare(w, g, k, i, o);
				if (o)
					check_expiry(w, g, o);
				take_over(&w->groups[g].commits[k][i], o);
			}
		}
	}
}

/* A call may fail once, and that may be one of these. */
static int read_batch(struct world *w, struct plog *log, int64_t at, const struct batch **ret)
{
	int r = plog_batch(log, at, ret);

	return r && w->may_fail ? plog_batch(log, at, ret) : r;
}

static int open_log(struct world *w, struct be_partition *p, struct be_why *why)
{
	int r = broker_open_log(broker_of(w), p, why);

	return r && w->may_fail ? broker_open_log(broker_of(w), p, why) : r;
}

/* ---- Dead letters ---- */

/* A header's value as a text; "" where there is none. */
static void header(const struct record *rec, const char *name, char *ret, size_t len)
{
	struct cursor cur;

	*ret = 0;
	cur_init(&cur, rec->headers, rec->headers_len);
	while (cur_left(&cur)) {
		const uint8_t *n, *v;
		uint32_t n_len, v_len;

		if (record_header_next(&cur, &n, &n_len, &v, &v_len))
			return;
		if (n_len == strlen(name) && !memcmp(n, name, n_len))
			snprintf(ret, len, "%.*s", (int)v_len, (const char *)v);
	}
}

static void check_letter(struct world *w, unsigned g, const struct record *rec)
{
	struct world_group *wg = &w->groups[g];
	uint32_t id = (uint32_t)strtoul((const char *)rec->value + 1, NULL, 10);
	static char want[VALUE_MAX];
	char topic[40], part[20], off[20];
	unsigned k, i;
	int64_t at;

	if (!id || id > w->next_id || rec->value_len != world_value(id, want) ||
	    memcmp(want, rec->value, rec->value_len) != 0)
		world_fail(w, "group %u: a letter about no record", g);
	header(rec, "dlq.topic", topic, sizeof(topic));
	header(rec, "dlq.partition", part, sizeof(part));
	header(rec, "dlq.offset", off, sizeof(off));
	if (world_find_record(w, id, &k, &i, &at) &&
	    (strcmp(topic, w->topics[k].name) != 0 || strtoul(part, NULL, 10) != i ||
	     strtoll(off, NULL, 10) != at))
		world_fail(w, "group %u: the letter about record %u says %s %s %s", g, id, topic,
			   part, off);
	if (++wg->letters[id] > 1)
		world_fail(w, "group %u: %u letters about record %u, %s %s %s", g, wg->letters[id],
			   id, topic, part, off);
	/* A stop, or an answer that failed, may have counted a delivery that nobody saw. */
	if (!wg->rejected[id] && (!wg->max_asked || !wg->given[id] ||
				  wg->given[id] + w->stops + w->refused < wg->max_asked))
		world_fail(w, "group %u: a letter about record %u, which was given %u times", g, id,
			   wg->given[id]);
}

static void read_letters(struct world *w, unsigned g)
{
	char name[40];
	struct be_topic *t;

	snprintf(name, sizeof(name), "%s.dlq", w->groups[g].name);
	t = broker_topic_find(broker_of(w), name);
	memset(w->groups[g].letters, 0, sizeof(w->groups[g].letters));
	for (uint32_t i = 0; t && i < t->part_cnt; i++) {
		struct be_why why = { 0 };
		const struct batch *b;

		if (open_log(w, t->parts[i], &why)) {
			if (simdisk_is_stopped(w->sim))
				return;
			world_fail(w, "%s %u: %s", name, i, why.text);
		}
		for (int64_t at = t->parts[i]->log->start_offset;
		     at < t->parts[i]->log->next_offset; at++) {
			if (read_batch(w, t->parts[i]->log, at, &b)) {
				if (simdisk_is_stopped(w->sim))
					return;
				world_fail(w, "%s %u: %lld cannot be read", name, i, (long long)at);
			}
			check_letter(w, g, &b->recs[at - b->head.base_offset]);
		}
	}
}

/* ---- __consumer_offsets ---- */

struct key {
	uint8_t bytes[GROUP_KEY_LEN_MAX];
	size_t len;
	bool has_value;
};

static void note_key(struct key *keys, unsigned *cnt, const struct record *rec)
{
	unsigned i;

	assert_true(rec->key_len <= GROUP_KEY_LEN_MAX);
	for (i = 0; i < *cnt; i++)
		if (keys[i].len == rec->key_len && !memcmp(keys[i].bytes, rec->key, rec->key_len))
			break;
	assert_true(i < KEYS_MAX);
	*cnt = MAX(*cnt, i + 1);
	memcpy(keys[i].bytes, rec->key, rec->key_len);
	keys[i].len = rec->key_len;
	keys[i].has_value = rec->value_len != RECORD_NULL;
}

static int decode_value(const struct record *rec)
{
	static const struct group_settings none;
	struct group_offset offset;
	struct group_intent intent;
	struct group *group;
	struct group_key k;
	int r = group_key_decode(rec->key, rec->key_len, &k);

	if (r || rec->value_len == RECORD_NULL)
		return r;
	switch (k.type) {
	case GROUP_KEY_OFFSET:
		return group_offset_decode(rec->value, rec->value_len, &offset);
	case GROUP_KEY_INTENT:
		return group_intent_decode(rec->value, rec->value_len, &intent);
	case GROUP_KEY_STATE:
		break;
	}
	group = group_new("", k.group_id, &none);
	r = group_state_load(group, rec->value, rec->value_len, 0);
	group_free(group);
	return r;
}

/* Whatever memory there was when it was written, a record is whole. */
static void check_value(struct world *w, const struct record *rec)
{
	int r = decode_value(rec);

	/* The one allocation that is to fail may be one of these. */
	if (r == -ENOMEM && w->may_fail)
		r = decode_value(rec);
	if (r)
		world_fail(w, OFFSETS_TOPIC " offset %lld: a record of %d bytes that is none: %s",
			   (long long)rec->offset, (int)rec->value_len, strerror(-r));
}

/* What is kept there is of groups and topics that are there. */
static void check_keys(struct world *w)
{
	struct be_topic *t = broker_topic_find(broker_of(w), OFFSETS_TOPIC);
	struct metadata *md = metalog_state(broker_of(w)->meta);
	struct key *keys = calloc(KEYS_MAX, sizeof(*keys));
	unsigned cnt = 0;

	assert_non_null(keys);
	for (uint32_t i = 0; t && i < t->part_cnt; i++) {
		struct be_why why = { 0 };
		const struct batch *b;
		int64_t at;

		if (open_log(w, t->parts[i], &why))
			break;
		at = t->parts[i]->log->start_offset;
		while (at < t->parts[i]->log->next_offset) {
			int r = read_batch(w, t->parts[i]->log, at, &b);

			if (simdisk_is_stopped(w->sim) || r == -ENODATA)
				break;
			if (r)
				world_fail(w, OFFSETS_TOPIC " %u: %lld: %s", i, (long long)at,
					   strerror(-r));
			for (uint32_t n = 0; n < b->head.cnt; n++) {
				if (b->recs[n].offset < at)
					continue;
				check_value(w, &b->recs[n]);
				note_key(keys, &cnt, &b->recs[n]);
				at = b->recs[n].offset + 1;
			}
		}
	}
	for (unsigned i = 0; i < cnt && !simdisk_is_stopped(w->sim); i++) {
		struct group_key k;

		assert_int_equal(group_key_decode(keys[i].bytes, keys[i].len, &k), 0);
		if (!keys[i].has_value && k.type == GROUP_KEY_STATE &&
		    metadata_find_group_id(md, k.group_id))
			world_fail(w, "the state of a group that is there is none");
		if (!keys[i].has_value)
			continue;
		if (!metadata_find_group_id(md, k.group_id))
			world_fail(w, "a record of kind %d of the deleted group %02x%02x is kept",
				   k.type, k.group_id[0], k.group_id[1]);
		if (k.type != GROUP_KEY_STATE && !broker_topic_by_id(broker_of(w), k.topic_id))
			world_fail(w, "a record of kind %d of a deleted topic is kept", k.type);
	}
	free(keys);
}

/* ---- After a stop ---- */

static struct coord_group *check_state(struct world *w, unsigned k)
{
	struct world_group *g = &w->groups[k];
	struct coord_group *cg = find_group(w, k);

	if ((!cg && g->state == TOPIC_THERE) || (cg && (!g->state || g->state == TOPIC_GONE)))
		world_fail(w, "group %u, %s: %s", k, g->name, cg ? "is there" : "is missing");
	if (cg) {
		memcpy(g->id, cg->be.id, 16);
		g->state = TOPIC_THERE;
	} else {
		g->state = g->state >= TOPIC_THERE ? TOPIC_GONE : TOPIC_NONE;
	}
	return cg;
}

static void check_commit(struct world *w, unsigned g, unsigned k, unsigned i,
			 const struct group_offset *o)
{
	struct world_group *wg = &w->groups[g];
	struct world_commit *c = &wg->commits[k][i];
	const struct world_part *p = &w->topics[k].parts[i];
	int64_t committed = o ? o->offset : -1, least = MIN(c->synced, p->cnt);

	if (!w->power)
		compare(w, g, k, i, o);
	if (!o && may_expire(w, wg, c))
		least = -1;
	if (committed > p->cnt || (committed < least && c->back != committed))
		world_fail(w,
			   "group %u topic %u partition %u: %lld is committed, of %lld; synced was "
			   "%lld",
			   g, k, i, (long long)committed, (long long)p->cnt, (long long)c->synced);
	for (int64_t at = p->start; at < committed && !wg->may_on_read; at++)
		if (!wg->dealt[p->ids[at]] && !wg->letters[p->ids[at]])
			world_fail(w,
				   "group %u topic %u partition %u: %lld is committed, and record "
				   "%u at %lld was neither dealt with nor is it a letter",
				   g, k, i, (long long)committed, p->ids[at], (long long)at);
	take_over(c, o);
	c->back = -1;
	c->synced = MIN(c->synced, committed);
}

static void check_rejected(struct world *w, unsigned g)
{
	for (uint32_t id = 1; id <= w->next_id; id++)
		if (w->groups[g].rejected[id] == REJECT_ANSWERED && !w->groups[g].letters[id])
			world_fail(w, "group %u: record %u was rejected, and there is no letter", g,
				   id);
}

void world_kept_check(struct world *w)
{
	struct coord_group *cgs[WORLD_GROUPS] = { NULL };

	for (unsigned known = 2; known--;)
		for (unsigned g = 0; g < WORLD_GROUPS; g++)
			if ((w->groups[g].state >= TOPIC_THERE) == known && !cgs[g])
				cgs[g] = check_state(w, g);
	for (unsigned g = 0; g < WORLD_GROUPS; g++) {
		if (!cgs[g])
			continue;
		read_letters(w, g);
		if (simdisk_is_stopped(w->sim))
			return;
		check_rejected(w, g);
		w->groups[g].lost_power |= w->power && !broker_of(w)->report.clean;
		compare_generation(w, g, cgs[g]);
		w->groups[g].is_line_old |= !broker_of(w)->report.clean;
		/* Who was there is gone with the broker; a power loss may forget who came, and that
		 * somebody went. */
		if (w->groups[g].has_members || w->power)
			w->groups[g].peopled_max_ms = broker_of(w)->now_ms;
		if (w->power)
			w->groups[g].peopled_ms = 0;
		if (w->power)
			memset(w->groups[g].counted, 0, sizeof(w->groups[g].counted));
		for (unsigned k = 0; k < WORLD_TOPICS; k++)
			for (unsigned i = 0; i < WORLD_PARTS; i++)
				if (w->topics[k].state == TOPIC_THERE)
					check_commit(w, g, k, i, entry_of(w, cgs[g], k, i));
	}
	check_keys(w);
}

#include "tests/lib/simworld_impl.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static bool is_claimed(const struct world *w, const struct be_topic *bt)
{
	for (unsigned k = 0; k < WORLD_TOPICS; k++)
		if (w->topics[k].state >= TOPIC_THERE && !memcmp(w->topics[k].id, bt->id, 16))
			return true;
	return false;
}

/* The topic as the broker has it; NULL: rightly not there. */
static struct be_topic *check_state(struct world *w, unsigned k)
{
	struct world_topic *t = &w->topics[k];
	struct be_topic *bt = *t->name ? w->m.fs->be.topic_find(w->m.fs->be.ctx, t->name) : NULL;
	bool known = t->state >= TOPIC_THERE;

	if (bt && (known ? memcmp(bt->id, t->id, 16) != 0 : is_claimed(w, bt)))
		bt = NULL;
	if ((!bt && t->state == TOPIC_THERE) || (bt && !t->state) || (bt && t->state == TOPIC_GONE))
		world_fail(w, "topic %u, %s: %s", k, t->name, bt ? "is there" : "is missing");
	if (!bt) {
		t->state = known ? TOPIC_GONE : TOPIC_NONE;
		return NULL;
	}
	if (t->state == TOPIC_ASKED) {
		memcpy(t->id, bt->id, 16);
	} else {
		struct world_state is = { bt->part_cnt, bt->max_message_bytes, bt->mode };

		if (memcmp(&is, &t->now, sizeof(is)) != 0 &&
		    (!t->has_asked || memcmp(&is, &t->asked, sizeof(is)) != 0))
			world_fail(w, "topic %u has %u partitions, max %u, mode %o", k, is.part_cnt,
				   is.max_bytes, is.mode);
	}
	t->now = (struct world_state){ bt->part_cnt, bt->max_message_bytes, bt->mode };
	t->has_asked = false;
	t->state = TOPIC_THERE;
	return bt;
}

/* Records behind those that are known: what was under way. */
static void take_extra(struct world *w, unsigned k, unsigned i, int64_t extra)
{
	unsigned may = 0;

	for (unsigned n = 0; n < w->plan_cnt; n++) {
		const struct planned *q = &w->plan[n];

		may += q->id && q->topic == k && (q->part == -1 || q->part == (int)i);
	}
	/* Tails at a stop are writes of their own. */
	if (extra > may || (extra < may && !w->ending))
		world_fail(w, "topic %u partition %u: %lld records more, %u were under way", k, i,
			   (long long)extra, may);
	world_grow(w, k, i, extra);
}

static void check_record(struct world *w, unsigned k, unsigned i, struct plog *log, int64_t at)
{
	struct world_part *p = &w->topics[k].parts[i];
	static char want[VALUE_MAX];
	const struct record *rec;
	const struct batch *b;
	size_t len;
	int r = plog_batch(log, at, &b);

	if (r && w->may_fail)
		r = plog_batch(log, at, &b);
	if (r && simdisk_is_stopped(w->sim))
		return;
	if (r)
		world_fail(w, "topic %u partition %u offset %lld: %s %s", k, i, (long long)at,
			   strerror(-r), log->fault);
	rec = &b->recs[at - b->head.base_offset];
	len = world_value(p->ids[at], want);
	if (rec->offset != at || rec->value_len != len || memcmp(rec->value, want, len) != 0)
		world_fail(w, "topic %u partition %u offset %lld: not record %u", k, i,
			   (long long)at, p->ids[at]);
}

/* Of tails that ended at a stop, the order is what is found. */
static void sort_tails(struct world *w, unsigned k, unsigned i, struct plog *log)
{
	struct world_part *p = &w->topics[k].parts[i];

	for (int64_t at = p->cnt; at < log->next_offset; at++) {
		const struct batch *b;
		const struct record *rec;
		uint32_t id;

		if (plog_batch(log, at, &b))
			return;
		rec = &b->recs[at - b->head.base_offset];
		id = (uint32_t)strtoul((const char *)rec->value + 1, NULL, 10);
		for (unsigned n = 0; n < w->plan_cnt; n++) {
			if (w->plan[n].id == id) {
				struct planned q = w->plan[at - p->cnt];

				w->plan[at - p->cnt] = w->plan[n];
				w->plan[n] = q;
			}
		}
	}
}

static bool store_is_damaged(struct world *w)
{
	struct broker *b = w->m.fs->be.ctx;

	store_stats(b->store, &w->stats);
	return w->stats.damaged > 0;
}

static void check_part(struct world *w, unsigned k, unsigned i, struct be_partition *bp)
{
	struct world_part *p = &w->topics[k].parts[i];
	int64_t least = w->power ? p->acked : p->cnt, end;
	struct be_why why = { 0 };
	int r = w->m.fs->be.open_log(w->m.fs->be.ctx, bp, &why);

	if (r && w->may_fail)
		r = w->m.fs->be.open_log(w->m.fs->be.ctx, bp, &why);
	if (simdisk_is_stopped(w->sim))
		return;
	/* There is no room for a directory that nobody has asked for yet, or that is lost. */
	if (r == -ENOSPC && w->full && !least) {
		p->cnt = 0;
		return;
	}
	if (r || store_is_damaged(w))
		world_fail(w, "topic %u partition %u, %lld acknowledged of %lld: %s", k, i,
			   (long long)p->acked, (long long)p->cnt, r ? why.text : bp->log->fault);
	end = bp->log->next_offset;
	if (end < least || bp->log->start_offset < p->start || bp->log->start_offset > end)
		world_fail(w,
			   "topic %u partition %u: %lld to %lld; start %lld, acknowledged %lld, "
			   "appended %lld",
			   k, i, (long long)bp->log->start_offset, (long long)end,
			   (long long)p->start, (long long)p->acked, (long long)p->cnt);
	if (end && end < p->cnt && p->batches[end - 1] == p->batches[end])
		world_fail(w, "topic %u partition %u: a write is torn at %lld", k, i,
			   (long long)end);
	if (end > p->cnt && w->ending)
		sort_tails(w, k, i, bp->log);
	if (end > p->cnt)
		take_extra(w, k, i, end - p->cnt);
	for (int64_t at = bp->log->start_offset; at < end; at++)
		check_record(w, k, i, bp->log, at);
	if (simdisk_is_stopped(w->sim))
		return;
	/* Recovery has synced what it trusts. */
	p->cnt = p->acked = end;
	p->start = bp->log->start_offset;
}

void world_check(struct world *w)
{
	struct be_topic *bts[WORLD_TOPICS] = { NULL };

	for (unsigned known = 2; known--;)
		for (unsigned k = 0; k < WORLD_TOPICS; k++)
			if ((w->topics[k].state >= TOPIC_THERE) == known && !bts[k])
				bts[k] = check_state(w, k);
	for (unsigned k = 0; k < WORLD_TOPICS; k++)
		for (uint32_t i = 0; bts[k] && i < bts[k]->part_cnt && i < WORLD_PARTS; i++)
			check_part(w, k, i, bts[k]->parts[i]);
	if (!simdisk_is_stopped(w->sim))
		world_kept_check(w);
	if (simdisk_is_stopped(w->sim))
		return;
	for (unsigned i = 0; w->ended && i < w->plan_cnt; i++)
		if (w->plan[i].id)
			world_fail(w, "the line %u that waited at the end is lost", w->plan[i].id);
	w->plan_cnt = 0;
}

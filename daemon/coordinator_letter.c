/*
 * Dead letters: a record that a group gives up on goes to another topic, and its offset is
 * committed. Two partitions of two topics cannot be written in one step, so:
 *
 *   1. intent   into __consumer_offsets: which record, and where its letter will stand; synced
 *   2. letter   appended there; synced
 *   3. commit   of the offset behind the record, in one batch with the intent's end
 *
 * A stop behind 1 or 2 leaves the intent. The next start looks whether the letter stands where the
 * intent says, and does 3; where it does not, it begins at 1 again, since the letter may stand
 * before that place now: a power loss can shorten the log of letters. Without the syncs a power
 * loss could keep the commit and lose the letter, or keep the letter and lose that there was an
 * intent.
 *
 * An intent that comes to nothing is ended: where 2 fails, where the record, its topic, its group
 * or the topic of letters is gone, where the record has been dealt with otherwise. Else a later
 * start would set aside what somebody has done, or what stands at that offset by then. Behind 2
 * there is no way back: what fails there is done again until it is done, and the partition waits.
 */
#include "daemon/coordinator_impl.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

int letter_topic(struct coordinator *c, struct coord_group *g, struct be_topic **ret,
		 struct be_why *why)
{
	const struct metadata_group *mg =
		metadata_find_group_id(metalog_state(c->b->meta), g->be.id);
	struct be_caller owner = { .uid = g->be.uid, .gid = g->be.gid };
	char name[TOPIC_NAME_MAX + 1], sentence[SENTENCE_MAX] = "";
	int r;

	if (!mg)
		return -ESTALE;
	r = group_config_dlq(&mg->own, g->be.name, name, sentence);
	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	*ret = broker_topic_find(c->b, name);
	/* The broker writes in the owner's name, or whoever makes a group could write anywhere. */
	if (*ret && !coord_may(&owner, *ret, 02)) {
		snprintf(why->text, sizeof(why->text),
			 "the group's owner may not write to %s, where its dead letters go", name);
		return -EACCES;
	}
	if (*ret)
		return 0;
	if (g->asked_for_dlq)
		return -EINPROGRESS;
	r = broker_topic_create(c->b, name, &owner, g->be.mode & 0777, 0, why);
	g->asked_for_dlq = r == -EINPROGRESS;
	return r;
}

bool letter_is_under_way(const struct coordinator *c, const struct coord_group *g,
			 const struct be_partition *p)
{
	LIST_FOREACH(pos, &c->letters) {
		const struct letter *l = LIST_ENTRY(pos, struct letter, link);

		if (l->g == g && l->from == p->topic && l->partition == p->number)
			return true;
	}
	return false;
}

void coord_wake_letters(struct coordinator *c, struct coord_group *g, const struct be_topic *t)
{
	const struct metadata_group *mg;
	char name[TOPIC_NAME_MAX + 1], sentence[SENTENCE_MAX];

	if (!g->asked_for_dlq)
		return;
	mg = metadata_find_group_id(metalog_state(c->b->meta), g->be.id);
	if (!mg || group_config_dlq(&mg->own, g->be.name, name, sentence) || strcmp(name, t->name))
		return;
	g->asked_for_dlq = false;
	coord_wake(c, g);
}

void letter_free(struct coordinator *c, struct letter *l)
{
	list_remove(&l->link);
	broker_topic_unref(c->b, l->from);
	broker_topic_unref(c->b, l->to);
	free(l->reason);
	free(l);
	c->letter_cnt--;
}

static void drop_intent(struct coordinator *c, struct letter *l)
{
	int r = coord_drop_intent(c, l->g, l->from->id, l->partition);

	if (r)
		LOG_AT(LOG_WARN, l->g->be.name, r,
		       "the letter about %s %u %lld is tried again at "
		       "the next start",
		       l->from->name, l->partition, (long long)l->intent.offset);
}

void letters_forget(struct coordinator *c, struct coord_group *g)
{
	static const struct be_why gone = { "the group was deleted" };

	LIST_FOREACH_SAFE(pos, tmp, &c->rejects) {
		struct coord_wait *w = LIST_ENTRY(pos, struct coord_wait, link);
		uint64_t token = w->token;

		if (w->g != g)
			continue;
		coord_wait_free(w);
		fs_on_done(c->b->fs, token, -ESTALE, &gone);
	}
	LIST_FOREACH_SAFE(pos, tmp, &c->letters) {
		struct letter *l = LIST_ENTRY(pos, struct letter, link);

		if (l->g != g)
			continue;
		drop_intent(c, l);
		l->g = NULL; /* its sync comes back to it */
	}
}

static void put_header(struct buf *b, const char *name, const char *value)
{
	record_header_put(b, name, (uint32_t)strlen(name), value, (uint32_t)strlen(value));
}

static void put_number(struct buf *b, const char *name, int64_t value)
{
	char text[24];

	snprintf(text, sizeof(text), "%lld", (long long)value);
	put_header(b, name, text);
}

/* The letter about a record: what it was, and why it is here. headers is filled. */
static int make_letter(const struct letter *l, const struct record *rec, uint32_t deliveries,
		       struct buf *headers, struct record *ret)
{
	buf_put(headers, rec->headers, rec->headers_len);
	put_header(headers, "dlq.topic", l->from->name);
	put_number(headers, "dlq.partition", l->partition);
	put_number(headers, "dlq.offset", l->intent.offset);
	put_header(headers, "dlq.reason", l->reason);
	put_number(headers, "dlq.deliveries", deliveries);
	put_number(headers, "dlq.timestamp", rec->timestamp_ms);
	*ret = *rec;
	ret->headers = headers->data;
	ret->headers_len = (uint32_t)headers->len;
	ret->timestamp_ms = RECORD_NO_TIMESTAMP;
	ret->offset = -1;
	return buf_err(headers);
}

static uint32_t deliveries_of(const struct coord_group *g, const struct letter *l)
{
	const struct group_offset *o = group_offset_find(g->core, l->from->id, l->partition);

	return o ? group_deliveries(o, l->intent.offset) : 0;
}

/* Finds the record. -ENODATA: it is not there (any more). */
static int find_record(struct be_partition *p, int64_t off, struct record *ret)
{
	const struct batch *b;
	int r = plog_batch(p->log, off, &b);

	if (r)
		return r == -ESTALE ? -ENODATA : r;
	for (uint32_t i = 0; i < b->head.cnt; i++) {
		if (b->recs[i].offset == off) {
			*ret = b->recs[i];
			return 0;
		}
	}
	return -ENODATA;
}

/* Appends the letter, whatever the size and the schema of its topic. */
static int store_letter(struct coordinator *c, struct letter *l, struct be_why *why)
{
	struct be_partition *from = l->from->parts[l->partition];
	struct be_partition *to = l->to->parts[l->intent.dlq_partition];
	struct plog_appended done;
	struct record rec, letter;
	struct buf headers, copy;
	int r = broker_open_log(c->b, from, why);

	if (!r)
		r = broker_open_log(c->b, to, why);
	if (!r)
		r = find_record(from, l->intent.offset, &rec);
	if (r)
		return r;
	buf_init(&headers);
	buf_init(&copy);
	/* The record's bytes are the cache's, which the append may use. */
	r = record_copy(&rec, &copy);
	if (!r)
		r = make_letter(l, &rec, deliveries_of(l->g, l), &headers, &letter);
	if (!r)
		r = store_append_internal(c->b->store, to->log, c->b->now_ms, &letter, 1, &done);
	if (!r) {
		to->records_in++;
		fs_wake(c->b->fs, to);
	}
	buf_fini(&headers);
	buf_fini(&copy);
	return r;
}

static int commit_letter(struct coordinator *c, struct coord_group *g, struct be_partition *p,
			 int64_t off)
{
	const struct group_offset *now = group_offset_find(g->core, p->topic->id, p->number);
	struct group_offset o = now && now->offset > off ? *now : coord_commit(c, g, p, off + 1);

	return coord_end_intent(c, g, &o);
}

/* Whoever waits for a letter, or for its turn, goes on. */
static void wake_all(struct coordinator *c, struct coord_group *g)
{
	if (c->letters_short) {
		c->letters_short = false;
		for (uint32_t i = 0; i < c->group_cnt; i++)
			coord_wake(c, c->groups[i]);
	} else if (g) {
		coord_wake(c, g);
	}
	coord_retry_rejects(c);
}

/* Who was given the record asks for the letter: it is told when it asks again. */
static void note_failure(const struct letter *l, int err)
{
	struct letter_failed *f = &l->g->failed;

	*f = (struct letter_failed){ .err = err,
				     .partition = l->partition,
				     .offset = l->intent.offset };
	memcpy(f->topic_id, l->from->id, 16);
}

static void letter_end(struct coordinator *c, struct letter *l, int err)
{
	struct coord_group *g = l->g;
	uint64_t token = l->token;
	struct be_why why = { 0 };

	if (err) {
		snprintf(why.text, sizeof(why.text), "the letter cannot be stored: %s",
			 log_errno_name(err));
		LOG_AT(LOG_WARN, g ? g->be.name : "a deleted group", err,
		       "the letter about %s %u %lld cannot be stored", l->from->name, l->partition,
		       (long long)l->intent.offset);
	} else if (g) {
		LOG_AT(LOG_INFO, g->be.name, 0, "%s %u %lld is a dead letter in %s: %.200s",
		       l->from->name, l->partition, (long long)l->intent.offset, l->to->name,
		       l->reason);
		c->letters_sent++;
		g->letters++;
	}
	if (err && g)
		drop_intent(c, l);
	if (err && g && !token && err != -ESTALE)
		note_failure(l, err);
	letter_free(c, l);
	if (token)
		fs_on_done(c->b->fs, token, g ? err : -ESTALE, &why);
	wake_all(c, g);
}

/* The letter is there, and what comes behind it failed. */
static void letter_delay(struct coordinator *c, struct letter *l, int err)
{
	uint64_t token = l->token;
	struct be_why why;

	if (!l->is_late)
		LOG_AT(LOG_WARN, l->g->be.name, err,
		       "%s %u %lld is a dead letter, and waits to be committed", l->from->name,
		       l->partition, (long long)l->intent.offset);
	l->is_late = l->is_due = true;
	l->token = 0;
	c->deadline_ms = MIN(c->deadline_ms, c->b->mono_us / 1000 + RETRY_MS);
	if (!token)
		return;
	snprintf(why.text, sizeof(why.text),
		 "the letter is stored; its commit failed, and is tried again: %s",
		 log_errno_name(err));
	fs_on_done(c->b->fs, token, err, &why);
}

/* What its step waited for is stable, or is tried again. */
static void letter_step(struct coordinator *c, struct letter *l)
{
	struct be_partition *to = l->to->parts[l->intent.dlq_partition];
	struct be_why why = { 0 };
	int r = 0;

	if (!l->g || l->to->deleted || l->from->deleted) {
		letter_end(c, l, l->g ? -ESTALE : 0);
		return;
	}
	if (l->step == LETTER_INTENT) {
		/* Others may have appended meanwhile: the letter stands here or behind. */
		r = store_letter(c, l, &why);
		if (r) {
			letter_end(c, l, r);
			return;
		}
		l->step = LETTER_APPENDED;
	}
	if (l->step == LETTER_APPENDED) {
		r = store_fsync(c->b->store, to->log, c->b->now_ms,
				(uint64_t)(uintptr_t)l | COORDINATOR_TOKEN);
		if (!r || r == -EINPROGRESS)
			l->step = LETTER_STORED;
		if (r == -EINPROGRESS)
			return;
	}
	if (!r)
		r = commit_letter(c, l->g, l->from->parts[l->partition], l->intent.offset);
	if (r)
		letter_delay(c, l, r);
	else
		letter_end(c, l, 0);
}

void coordinator_on_synced(struct coordinator *c, uint64_t token)
{
	letter_step(c, (struct letter *)(uintptr_t)(token & ~(uint64_t)COORDINATOR_TOKEN));
}

void letters_step(struct coordinator *c)
{
	LIST_FOREACH_SAFE(pos, tmp, &c->letters) {
		struct letter *l = LIST_ENTRY(pos, struct letter, link);

		if (!l->is_due)
			continue;
		l->is_due = false;
		letter_step(c, l);
	}
}

static uint32_t partition_for(const struct be_topic *to, const struct record *rec,
			      uint32_t partition)
{
	if (rec->key_len == RECORD_NULL)
		return partition % to->part_cnt;
	return hash_partition(rec->key, rec->key_len, to->part_cnt);
}

static struct letter *letter_new(struct coordinator *c, struct coord_group *g,
				 struct be_topic *from, uint32_t partition, struct be_topic *to,
				 const char *reason, size_t reason_len)
{
	struct letter *l = calloc(1, sizeof(*l));

	if (l)
		l->reason = strndup(reason, reason_len);
	if (!l || !l->reason) {
		free(l);
		return NULL;
	}
	l->g = g;
	l->from = from;
	l->to = to;
	from->refs++;
	to->refs++;
	l->partition = partition;
	list_put(&c->letters, &l->link);
	c->letter_cnt++;
	return l;
}

/* Where the letter will stand at least, written and soon stable. Frees it where that fails. */
static int write_intent(struct coordinator *c, struct letter *l, struct be_why *why)
{
	struct be_partition *to = l->to->parts[l->intent.dlq_partition];
	struct plog *home;
	int r = broker_open_log(c->b, to, why);

	if (!r) {
		l->intent.dlq_offset = to->log->next_offset;
		r = coord_write_intent(c, l->g, l->from, l->partition, &l->intent);
	}
	if (r) {
		letter_free(c, l);
		return r;
	}
	r = coord_home(c, l->g, &home);
	if (!r)
		r = store_fsync(c->b->store, home, c->b->now_ms,
				(uint64_t)(uintptr_t)l | COORDINATOR_TOKEN);
	if (r && r != -EINPROGRESS) {
		drop_intent(c, l);
		letter_free(c, l);
		return r;
	}
	l->is_due = !r;
	return 0;
}

int letter_begin(struct coordinator *c, struct coord_group *g, struct be_partition *p, int64_t off,
		 const char *reason, size_t reason_len, uint64_t token, struct be_why *why)
{
	struct be_topic *to = NULL;
	struct record rec;
	uint32_t to_part;
	struct letter *l;
	int r = letter_topic(c, g, &to, why);

	if (!r && c->letter_cnt >= LETTER_CNT_MAX)
		r = -EBUSY;
	if (!r)
		r = broker_open_log(c->b, p, why);
	if (!r)
		r = find_record(p, off, &rec);
	if (r)
		return r;
	to_part = partition_for(to, &rec, p->number);
	/* A copy of a record is no record of the broker's own: the reserve is not for it. */
	r = broker_check_append(c->b, to->parts[to_part], why);
	if (r)
		return r;
	l = letter_new(c, g, p->topic, p->number, to, reason, reason_len);
	if (!l)
		return -ENOMEM;
	l->token = token;
	l->intent = (struct group_intent){ .offset = off, .dlq_partition = to_part };
	memcpy(l->intent.dlq_topic_id, to->id, 16);
	r = write_intent(c, l, why);
	return r ? r : -EINPROGRESS;
}

/* Whether a record is the letter about that one. */
static bool is_letter_about(const struct record *rec, const struct be_topic *from,
			    uint32_t partition, int64_t off)
{
	static const char *const names[] = { "dlq.topic", "dlq.partition", "dlq.offset" };
	char want[3][TOPIC_NAME_MAX + 1];
	unsigned found = 0;
	struct cursor cur;

	snprintf(want[0], sizeof(want[0]), "%s", from->name);
	snprintf(want[1], sizeof(want[1]), "%u", partition);
	snprintf(want[2], sizeof(want[2]), "%lld", (long long)off);
	cur_init(&cur, rec->headers, rec->headers_len);
	while (cur_left(&cur)) {
		const uint8_t *name, *value;
		uint32_t name_len, value_len;

		if (record_header_next(&cur, &name, &name_len, &value, &value_len))
			return false;
		for (unsigned i = 0; i < ARRAY_CNT(names); i++) {
			if (name_len == strlen(names[i]) && !memcmp(name, names[i], name_len) &&
			    value_len == strlen(want[i]) && !memcmp(value, want[i], value_len))
				found |= 1U << i;
		}
	}
	return found == 7;
}

/* From the intent's place on. */
static int look_for_letter(struct be_partition *to, const struct group_intent *i,
			   const struct be_topic *from, uint32_t partition, bool *ret)
{
	int64_t off = MAX(i->dlq_offset, to->log->start_offset);
	const struct batch *b;

	*ret = false;
	while (off < to->log->next_offset && !*ret) {
		int r = plog_batch(to->log, off, &b);

		if (r)
			return r == -ENODATA ? 0 : r;
		for (uint32_t k = 0; k < b->head.cnt; k++) {
			if (b->recs[k].offset >= off &&
			    is_letter_about(&b->recs[k], from, partition, i->offset))
				*ret = true;
		}
		off = b->head.base_offset + b->head.cnt;
	}
	return 0;
}

/* Whether there is still a letter to be written for the intent. */
static bool is_moot(const struct coord_group *g, const struct be_partition *p,
		    const struct group_intent *i, const struct be_topic *to)
{
	const struct group_offset *now = group_offset_find(g->core, p->topic->id, p->number);

	/* Without the topic of its letters the record is delivered again, and then a letter. */
	return !to || i->dlq_partition >= to->part_cnt || i->offset >= p->log->next_offset ||
	       i->offset < p->log->start_offset || (now && now->offset > i->offset);
}

int letter_resume(struct coordinator *c, struct coord_group *g, struct be_topic *t,
		  uint32_t partition, const struct group_intent *i)
{
	struct be_topic *to = broker_topic_by_id(c->b, i->dlq_topic_id);
	static const char why_again[] = "the broker stopped while it was set aside";
	struct be_partition *p = t->parts[partition];
	struct be_why why = { 0 };
	bool is_there = false;
	struct letter *l;
	int r = broker_open_log(c->b, p, &why);

	/* A later start may have it again. */
	if (r)
		return 0;
	if (is_moot(g, p, i, to))
		return coord_drop_intent(c, g, t->id, partition);
	r = broker_open_log(c->b, to->parts[i->dlq_partition], &why);
	if (!r)
		r = look_for_letter(to->parts[i->dlq_partition], i, t, partition, &is_there);
	if (r)
		return r;
	if (is_there) {
		LOG_AT(LOG_INFO, g->be.name, 0,
		       "%s %u %lld was a dead letter already when the broker stopped", t->name,
		       partition, (long long)i->offset);
		return commit_letter(c, g, p, i->offset);
	}
	l = letter_new(c, g, t, partition, to, why_again, strlen(why_again));
	if (!l)
		return -ENOMEM;
	l->intent = *i;
	return write_intent(c, l, &why);
}

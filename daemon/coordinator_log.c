/*
 * Groups in __consumer_offsets: what is written, and what a start reads back.
 */
#include "daemon/coordinator_impl.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct be_partition *home_of(struct be_topic *t, const char *group)
{
	uint32_t hash = hash_murmur2(group, strlen(group)) & 0x7fffffffU;

	return t->parts[hash % t->part_cnt];
}

int coord_home(struct coordinator *c, struct coord_group *g, struct plog **ret)
{
	struct be_why why;
	int r;

	if (!g->home) {
		struct be_topic *t = broker_topic_find(c->b, OFFSETS_TOPIC);

		if (!t)
			return -ENOENT;
		g->home = home_of(t, g->be.name);
	}
	r = broker_open_log(c->b, g->home, &why);
	if (!r)
		*ret = g->home->log;
	return r;
}

int coord_open(struct coordinator *c, struct be_partition *p, struct be_why *why)
{
	if (p->log)
		return 0;
	if (!c->opens_left) {
		c->is_short = true;
		return -EAGAIN;
	}
	c->opens_left--;
	return broker_open_log(c->b, p, why);
}

int coord_ends(struct coordinator *c, struct be_partition *p, int64_t *ret_start, int64_t *ret_end,
	       struct be_why *why)
{
	int r = 0;

	if (!broker_log_ends(c->b, p, ret_start, ret_end))
		r = coord_open(c, p, why);
	if (!r && !broker_log_ends(c->b, p, ret_start, ret_end))
		ASSERT(!"an open log has ends");
	return r;
}

int coord_append(struct coordinator *c, struct coord_group *g, struct record *recs, uint32_t cnt)
{
	bool nowait = c->b->disk->nowait;
	struct plog_appended done;
	struct plog *log;
	int r = coord_home(c, g, &log);

	if (r)
		return r;
	/* It may come in the middle of a read that must not wait. Past the disk reserve, which is
	 * kept for this. */
	c->b->disk->nowait = false;
	r = store_append_internal(c->b->store, log, c->b->now_ms, recs, cnt, &done);
	c->b->disk->nowait = nowait;
	if (!r && c->b->fs)
		fs_wake_later(c->b->fs, g->home);
	return r;
}

static size_t put_key(struct coord_group *g, enum group_key_type type, const uint8_t *topic_id,
		      uint32_t partition, uint8_t *ret)
{
	struct group_key k = { .type = type, .partition = partition };

	memcpy(k.group_id, g->be.id, 16);
	if (topic_id)
		memcpy(k.topic_id, topic_id, 16);
	return group_key_encode(&k, ret);
}

/* value NULL: the key's end. */
static struct record record_of(const struct coordinator *c, const uint8_t *key, size_t key_len,
			       const uint8_t *value, size_t value_len)
{
	return (struct record){ .key = key,
				.key_len = (uint32_t)key_len,
				.value = value,
				.value_len = value ? (uint32_t)value_len : RECORD_NULL,
				.timestamp_ms = c->b->now_ms,
				.offset = -1 };
}

int coord_write_state(struct coordinator *c, struct coord_group *g)
{
	uint8_t key[GROUP_KEY_LEN_MAX];
	size_t key_len = put_key(g, GROUP_KEY_STATE, NULL, 0, key);
	struct record rec;
	int r;

	buf_reset(&c->scratch);
	group_state_encode(g->core, c->b->options->node, c->b->incarnation, &c->scratch);
	r = buf_err(&c->scratch);
	if (r)
		return r;
	rec = record_of(c, key, key_len, c->scratch.data, c->scratch.len);
	/* Written again, it is empty as long as it was: no start begins its retention anew. */
	if (!group_member_cnt(g->core))
		rec.timestamp_ms = g->emptied_ms;
	c->rebalances++;
	return coord_append(c, g, &rec, 1);
}

/* Room for a batch of cnt records with their keys. */
static int make_room(struct coordinator *c, uint32_t cnt)
{
	struct record *recs;
	uint8_t *keys;
	size_t *pos;

	if (cnt <= c->room_cnt)
		return 0;
	recs = realloc(c->recs, cnt * sizeof(*recs));
	if (!recs)
		return -ENOMEM;
	c->recs = recs;
	keys = realloc(c->keys, cnt * (size_t)GROUP_KEY_LEN_MAX);
	if (!keys)
		return -ENOMEM;
	c->keys = keys;
	pos = realloc(c->value_pos, (cnt + 1) * sizeof(*pos));
	if (!pos)
		return -ENOMEM;
	c->value_pos = pos;
	c->room_cnt = cnt;
	return 0;
}

/* All offsets in one batch, with the end of an intent about the first of them, or not. */
static int write_offsets(struct coordinator *c, struct coord_group *g,
			 const struct group_offset *offsets, uint32_t cnt, bool ends_intent)
{
	uint32_t n = 0;
	int r = group_offset_reserve(g->core, offsets, cnt);

	if (!r)
		r = make_room(c, cnt + 1);
	if (r)
		return r;
	buf_reset(&c->scratch);
	for (uint32_t i = 0; i < cnt; i++) {
		c->value_pos[i] = c->scratch.len;
		group_offset_encode(&offsets[i], &c->scratch);
	}
	c->value_pos[cnt] = c->scratch.len;
	r = buf_err(&c->scratch);
	if (r)
		return r;
	for (; n < cnt; n++) {
		uint8_t *key = c->keys + n * (size_t)GROUP_KEY_LEN_MAX;
		size_t key_len = put_key(g, GROUP_KEY_OFFSET, offsets[n].topic_id,
					 offsets[n].partition, key);

		c->recs[n] = record_of(c, key, key_len, c->scratch.data + c->value_pos[n],
				       c->value_pos[n + 1] - c->value_pos[n]);
	}
	if (ends_intent) {
		uint8_t *key = c->keys + n * (size_t)GROUP_KEY_LEN_MAX;

		c->recs[n] = record_of(c, key,
				       put_key(g, GROUP_KEY_INTENT, offsets[0].topic_id,
					       offsets[0].partition, key),
				       NULL, 0);
		n++;
	}
	r = coord_append(c, g, c->recs, n);
	if (r)
		return r;
	for (uint32_t i = 0; i < cnt; i++) {
		if (group_offset_put(g->core, &offsets[i]))
			ASSERT(!"room was made for it");
	}
	return 0;
}

int coord_write_offsets(struct coordinator *c, struct coord_group *g,
			const struct group_offset *offsets, uint32_t cnt)
{
	PRE(cnt);
	return write_offsets(c, g, offsets, cnt, false);
}

int coord_end_intent(struct coordinator *c, struct coord_group *g, const struct group_offset *o)
{
	return write_offsets(c, g, o, 1, true);
}

int coord_write_intent(struct coordinator *c, struct coord_group *g, const struct be_topic *t,
		       uint32_t partition, const struct group_intent *i)
{
	uint8_t key[GROUP_KEY_LEN_MAX];
	size_t key_len = put_key(g, GROUP_KEY_INTENT, t->id, partition, key);
	struct record rec;
	int r;

	buf_reset(&c->scratch);
	group_intent_encode(i, &c->scratch);
	r = buf_err(&c->scratch);
	if (r)
		return r;
	rec = record_of(c, key, key_len, c->scratch.data, c->scratch.len);
	return coord_append(c, g, &rec, 1);
}

static int write_null(struct coordinator *c, struct coord_group *g, enum group_key_type type,
		      const uint8_t *topic_id, uint32_t partition)
{
	uint8_t key[GROUP_KEY_LEN_MAX];
	size_t key_len = put_key(g, type, topic_id, partition, key);
	struct record rec = record_of(c, key, key_len, NULL, 0);

	return coord_append(c, g, &rec, 1);
}

int coord_drop_intent(struct coordinator *c, struct coord_group *g, const uint8_t topic_id[16],
		      uint32_t partition)
{
	return write_null(c, g, GROUP_KEY_INTENT, topic_id, partition);
}

int coord_write_null(struct coordinator *c, struct coord_group *g, const uint8_t topic_id[16],
		     uint32_t partition)
{
	return write_null(c, g, GROUP_KEY_OFFSET, topic_id, partition);
}

int coord_write_nulls(struct coordinator *c, struct coord_group *g, const uint8_t *topic_id,
		      bool all)
{
	const struct group_offset *o;
	int r = 0;

	for (uint32_t i = 0; !r && (o = group_offset_at(g->core, i)); i++) {
		if (!topic_id || !memcmp(o->topic_id, topic_id, 16))
			r = write_null(c, g, GROUP_KEY_OFFSET, o->topic_id, o->partition);
	}
	if (!r && all && group_generation(g->core))
		r = write_null(c, g, GROUP_KEY_STATE, NULL, 0);
	return r;
}

int32_t coord_epoch_before(struct be_partition *p, int64_t offset)
{
	const struct batch *b;

	if (!p->log)
		return -1;
	/* What was appended in this life has its epoch. */
	if (offset > p->first_offset)
		return p->log->leader_epoch;
	if (!offset || offset <= p->log->start_offset || plog_batch(p->log, offset - 1, &b))
		return -1;
	return b->head.leader_epoch;
}

struct group_offset coord_commit(const struct coordinator *c, const struct coord_group *g,
				 struct be_partition *p, int64_t offset)
{
	const struct group_offset *now = group_offset_find(g->core, p->topic->id, p->number);
	struct group_offset o = { .partition = p->number,
				  .offset = offset,
				  .leader_epoch = coord_epoch_before(p, offset),
				  .commit_ms = c->b->now_ms,
				  .delivered_off = -1,
				  .metadata = "" };

	memcpy(o.topic_id, p->topic->id, 16);
	/* Who moves back wants the records again, and not as letters. */
	if (!now || now->offset > offset)
		return o;
	o.delivered_off = now->delivered_off;
	o.delivered_cnt = now->delivered_cnt;
	o.run_cnt = now->run_cnt;
	memcpy(o.runs, now->runs, sizeof(o.runs));
	group_deliveries_keep(&o, offset, INT64_MAX);
	return o;
}

/* ---- Reading it back ---- */

struct loader {
	struct coordinator *c;
	struct coord_damage damage;
	struct buf intents; /* struct open_intent */
	struct list ghosts;
};

/* A group that was deleted: what its deletion has left is removed. */
struct ghost {
	struct coord_group g; /* only core and home */
	struct list link;
	bool has_state;
};

struct open_intent {
	struct coord_group *g; /* be.name is empty: a ghost's */
	uint8_t topic_id[16];
	uint32_t partition;
	struct group_intent intent;
};

static struct coord_group *group_of_id(struct coordinator *c, const uint8_t id[16])
{
	const struct metadata_group *mg = metadata_find_group_id(metalog_state(c->b->meta), id);

	return mg ? coord_find(c, mg->name) : NULL;
}

static int load_offset(struct coord_group *g, const struct group_key *k, const struct record *rec)
{
	struct group_offset o;
	int r;

	if (rec->value_len == RECORD_NULL) {
		group_offset_drop(g->core, k->topic_id, k->partition);
		return 0;
	}
	r = group_offset_decode(rec->value, rec->value_len, &o);
	if (r)
		return r;
	memcpy(o.topic_id, k->topic_id, 16);
	o.partition = k->partition;
	return group_offset_put(g->core, &o);
}

static int load_state(struct coordinator *c, struct coord_group *g, const struct record *rec)
{
	int r;

	if (rec->value_len == RECORD_NULL)
		return 0;
	r = group_state_load(g->core, rec->value, rec->value_len, c->b->mono_us / 1000);
	/* Members that the stop took were there until now; else it was empty since it was written.
	 */
	if (!r)
		g->emptied_ms = group_is_unsettled(g->core) ? c->b->now_ms : rec->timestamp_ms;
	return r;
}

static int load_intent(struct loader *l, struct coord_group *g, const struct group_key *k,
		       const struct record *rec)
{
	struct open_intent *all = (struct open_intent *)(void *)l->intents.data, o = { .g = g };
	size_t cnt = l->intents.len / sizeof(*all);
	int r;

	/* A later one stands in for it. */
	for (size_t i = 0; i < cnt; i++) {
		if (all[i].g == g && all[i].partition == k->partition &&
		    !memcmp(all[i].topic_id, k->topic_id, 16)) {
			all[i] = all[cnt - 1];
			l->intents.len -= sizeof(*all);
			break;
		}
	}
	if (rec->value_len == RECORD_NULL)
		return 0;
	r = group_intent_decode(rec->value, rec->value_len, &o.intent);
	if (r)
		return r;
	memcpy(o.topic_id, k->topic_id, 16);
	o.partition = k->partition;
	buf_put(&l->intents, &o, sizeof(o));
	return buf_err(&l->intents);
}

static struct ghost *ghost_of(struct loader *l, struct be_partition *home, const uint8_t id[16])
{
	static const struct group_settings none;
	struct ghost *gh;

	LIST_FOREACH(pos, &l->ghosts) {
		gh = LIST_ENTRY(pos, struct ghost, link);
		if (!memcmp(gh->g.be.id, id, 16))
			return gh;
	}
	gh = calloc(1, sizeof(*gh));
	if (!gh)
		return NULL;
	memcpy(gh->g.be.id, id, 16);
	gh->g.core = group_new("", id, &none);
	gh->g.home = home;
	list_put(&l->ghosts, &gh->link);
	return gh;
}

/* Writes what the deletion did not come to, or lost. */
static int bury(struct loader *l)
{
	int r = 0;

	LIST_FOREACH(pos, &l->ghosts) {
		struct ghost *gh = LIST_ENTRY(pos, struct ghost, link);

		if (!r)
			r = coord_write_nulls(l->c, &gh->g, NULL, false);
		if (!r && gh->has_state)
			r = write_null(l->c, &gh->g, GROUP_KEY_STATE, NULL, 0);
	}
	return r;
}

static void ghosts_free(struct loader *l)
{
	LIST_FOREACH_SAFE(pos, tmp, &l->ghosts) {
		struct ghost *gh = LIST_ENTRY(pos, struct ghost, link);

		group_free(gh->g.core);
		free(gh);
	}
}

/* is_lost: its key alone is there. */
static int load_record(struct loader *l, struct be_partition *home, const struct record *rec,
		       bool is_lost)
{
	struct ghost *gh = NULL;
	struct coord_group *g;
	struct group_key k;
	int r;

	if (rec->key_len == RECORD_NULL)
		return 0;
	r = group_key_decode(rec->key, rec->key_len, &k);
	if (r)
		return r;
	g = group_of_id(l->c, k.group_id);
	if (!g) {
		gh = ghost_of(l, home, k.group_id);
		if (!gh)
			return -ENOMEM;
		g = &gh->g;
	}
	if (is_lost) {
		coord_damage_key(&l->damage, g, &k);
		return 0;
	}
	coord_damage_mended(&l->damage, g, &k);
	switch (k.type) {
	case GROUP_KEY_OFFSET:
		return load_offset(g, &k, rec);
	case GROUP_KEY_STATE:
		if (gh) {
			gh->has_state = rec->value_len != RECORD_NULL;
			return 0;
		}
		return load_state(l->c, g, rec);
	case GROUP_KEY_INTENT:
		return load_intent(l, g, &k, rec);
	}
	return -EBADMSG;
}

/* Damage is passed over: what can be known of it is taken, and told. */
static int pass_damage(struct loader *l, struct be_partition *p, int64_t *off)
{
	const struct batch *b;
	int64_t from, next;
	int r = plog_pass_damage(p->log, *off, &from, &next, &b);

	if (r)
		return r;
	coord_damage_found(l->c, &l->damage, p, from, next);
	for (uint32_t i = 0; !r && b && i < b->head.cnt; i++) {
		if (b->recs[i].offset >= *off)
			r = load_record(l, p, &b->recs[i], b->recs[i].value_len != RECORD_NULL);
	}
	for (uint32_t i = 0; !b && i < l->c->group_cnt; i++) {
		if (home_of(p->topic, l->c->groups[i]->be.name) == p)
			coord_damage_any(&l->damage, l->c->groups[i]);
	}
	*off = next;
	return r;
}

static int load_batch(struct loader *l, struct be_partition *p, int64_t *off)
{
	const struct batch *b;
	int r = plog_batch(p->log, *off, &b);

	/* What the device did not give once it gives perhaps when it is asked again. */
	if (r == -EIO)
		r = plog_batch(p->log, *off, &b);
	if (r == -EIO)
		return pass_damage(l, p, off);
	for (uint32_t i = 0; !r && i < b->head.cnt; i++) {
		if (b->recs[i].offset < *off)
			continue;
		r = load_record(l, p, &b->recs[i], false);
		if (!r)
			*off = b->recs[i].offset + 1;
	}
	return r;
}

static int load_partition(struct loader *l, struct be_partition *p, char *sentence)
{
	struct be_why why = { 0 };
	int r = broker_open_log(l->c->b, p, &why);
	int64_t off = r ? 0 : p->log->start_offset;

	if (r)
		snprintf(sentence, SENTENCE_MAX, "%.300s", why.text);
	while (!r && off < p->log->next_offset) {
		r = load_batch(l, p, &off);
		if (r == -ENODATA)
			return 0;
		if (r)
			snprintf(sentence, SENTENCE_MAX,
				 OFFSETS_TOPIC " partition %u at offset %lld: %.200s", p->number,
				 (long long)off, log_errno_name(r));
	}
	return r;
}

/* What the last stop took from a partition was committed perhaps, or delivered: nobody resumes
 * beyond its end, and what is written there next has not been delivered. */
static int lower(struct coordinator *c, struct coord_group *g, const struct group_offset *found,
		 struct be_partition *p, int64_t end)
{
	struct group_offset o = *found; /* storing it ends what was found */
	bool is_beyond = o.offset > end;
	int r;

	if (!is_beyond && (!o.run_cnt || o.runs[o.run_cnt - 1].end <= end))
		return 0;
	group_deliveries_keep(&o, 0, end);
	if (is_beyond) {
		LOG_AT(LOG_WARN, g->be.name, 0,
		       "the committed offset %lld of %s %u is behind the end of its log, which "
		       "lost records: lowered to %lld",
		       (long long)o.offset, p->topic->name, o.partition, (long long)end);
		o.offset = end;
		o.leader_epoch = coord_epoch_before(p, end);
	}
	r = coord_write_offsets(c, g, &o, 1);
	if (!r && is_beyond)
		c->rewound++;
	return r;
}

/* Where a log's end is not known yet, that is done when it is opened, before anybody looks. */
static int lower_offsets(struct coordinator *c, struct coord_group *g)
{
	const struct group_offset *found;

	for (uint32_t i = 0; (found = group_offset_at(g->core, i)); i++) {
		struct be_topic *t = broker_topic_by_id(c->b, found->topic_id);
		int64_t start, end;
		int r;

		if (!t || found->partition >= t->part_cnt ||
		    (found->offset <= 0 && !found->run_cnt))
			continue;
		if (!broker_log_ends(c->b, t->parts[found->partition], &start, &end)) {
			c->may_be_ahead = true;
			continue;
		}
		r = lower(c, g, found, t->parts[found->partition], end);
		if (r)
			return r;
	}
	return 0;
}

int coordinator_on_opened(struct coordinator *c, struct be_partition *p)
{
	if (!c || !(c->may_be_ahead || c->may_begin))
		return 0;
	for (uint32_t i = 0; i < c->group_cnt; i++) {
		struct coord_group *g = c->groups[i];
		const struct group_offset *o = group_offset_find(g->core, p->topic->id, p->number);
		int r = o ? lower(c, g, o, p, p->log->next_offset) : 0;

		if (r)
			return r;
		coord_begin_late(c, g, p);
	}
	return 0;
}

/* Offsets of topics that are gone: their deletion and these nulls are two steps. */
static int drop_orphans(struct coordinator *c, struct coord_group *g)
{
	const struct group_offset *o;

	for (uint32_t i = 0; (o = group_offset_at(g->core, i));) {
		uint8_t id[16];
		uint32_t partition = o->partition;
		int r;

		if (broker_topic_by_id(c->b, o->topic_id)) {
			i++;
			continue;
		}
		memcpy(id, o->topic_id, 16);
		r = coord_write_null(c, g, id, partition);
		if (r)
			return r;
		group_offset_drop(g->core, id, partition);
	}
	return 0;
}

static int finish_intents(struct loader *l)
{
	const struct open_intent *all = (const struct open_intent *)(void *)l->intents.data;

	for (size_t i = 0; i < l->intents.len / sizeof(*all); i++) {
		struct be_topic *t = broker_topic_by_id(l->c->b, all[i].topic_id);
		int r;

		if (!*all[i].g->be.name || !t || all[i].partition >= t->part_cnt)
			r = coord_drop_intent(l->c, all[i].g, all[i].topic_id, all[i].partition);
		else
			r = letter_resume(l->c, all[i].g, t, all[i].partition, &all[i].intent);
		if (r)
			return r;
	}
	return 0;
}

/* Those without a living group may have what a deleted one has left. */
static int load_all(struct loader *l, struct be_topic *t, char *sentence)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < t->part_cnt; i++) {
		bool is_there = false;

		r = store_has(l->c->b->store, t->name, t->id, i, &is_there);
		/* Where the directory is gone, its records are damage like any other. */
		if (!r && (is_there || store_expects(l->c->b->store, t->id, i)))
			r = load_partition(l, t->parts[i], sentence);
	}
	return r;
}

/*
 * After a stop that may have lost the end of __consumer_offsets, or damage in it: the generations
 * that stood there were told, and a commit that names one must not meet another of its number. Each
 * life of the broker has a range of them, as its incarnation is stable before anybody is told
 * anything.
 */
static void raise_generation(const struct coordinator *c, struct coord_group *g)
{
	uint64_t beyond = group_generation(g->core) + GENERATIONS_PER_LIFE;

	group_raise(g->core, MAX(beyond, c->b->incarnation * GENERATIONS_PER_LIFE));
}

int coord_load(struct coordinator *c, bool clean, char *sentence)
{
	struct be_topic *t = broker_topic_find(c->b, OFFSETS_TOPIC);
	struct loader l = { .c = c };
	int r = 0;

	if (!t)
		return 0;
	buf_init(&l.intents);
	coord_damage_init(&l.damage);
	list_init(&l.ghosts);
	r = load_all(&l, t, sentence);
	for (uint32_t i = 0; !r && i < c->group_cnt; i++) {
		struct coord_group *g = c->groups[i];

		r = drop_orphans(c, g);
		if (!r)
			r = lower_offsets(c, g);
		if (!clean || l.damage.cnt)
			raise_generation(c, g);
		coord_touch(c, g);
	}
	if (!r)
		r = finish_intents(&l);
	if (!r)
		r = bury(&l);
	if (r && !*sentence)
		snprintf(sentence, SENTENCE_MAX, OFFSETS_TOPIC " cannot be brought up to date: %s",
			 log_errno_name(r));
	coord_damage_tell(c, &l.damage);
	coord_damage_fini(&l.damage);
	ghosts_free(&l);
	buf_fini(&l.intents);
	return r;
}

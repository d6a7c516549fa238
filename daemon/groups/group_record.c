#include "daemon/groups/group_record.h"
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <stdlib.h>

#define RECORD_VERSION 1
#define NO_STRATEGY 0xff

enum member_flag { MEMBER_STREAM = 1, MEMBER_STATIC = 2, MEMBER_PATTERN = 4, MEMBER_FLAGS = 7 };

/* ---- Keys ---- */

size_t group_key_encode(const struct group_key *k, uint8_t *ret)
{
	ret[0] = RECORD_VERSION;
	ret[1] = (uint8_t)k->type;
	memcpy(ret + 2, k->group_id, 16);
	if (k->type == GROUP_KEY_STATE)
		return 18;
	memcpy(ret + 18, k->topic_id, 16);
	le32_store(ret + 34, k->partition);
	return GROUP_KEY_LEN_MAX;
}

int group_key_decode(const void *data, size_t len, struct group_key *ret)
{
	struct group_key k = { 0 };
	struct cursor c;
	uint8_t version, type;

	cur_init(&c, data, len);
	version = cur_get_u8(&c);
	if (c.err)
		return -EBADMSG;
	if (version != RECORD_VERSION)
		return -EPROTONOSUPPORT;
	type = cur_get_u8(&c);
	if (type != GROUP_KEY_OFFSET && type != GROUP_KEY_STATE && type != GROUP_KEY_INTENT)
		return -EBADMSG;
	k.type = (enum group_key_type)type;
	if (len != (k.type == GROUP_KEY_STATE ? 18 : GROUP_KEY_LEN_MAX))
		return -EBADMSG;
	memcpy(k.group_id, cur_get(&c, 16), 16);
	if (k.type != GROUP_KEY_STATE) {
		memcpy(k.topic_id, cur_get(&c, 16), 16);
		k.partition = cur_get_le32(&c);
		if (k.partition >= PARTITION_CNT_MAX)
			return -EBADMSG;
	}
	*ret = k;
	return 0;
}

/* Begins a value: 0 where its version is this one's. */
static int begin_value(struct cursor *c, const void *data, size_t len)
{
	uint8_t version;

	cur_init(c, data, len);
	version = cur_get_u8(c);
	if (c->err)
		return -EBADMSG;
	return version == RECORD_VERSION ? 0 : -EPROTONOSUPPORT;
}

/* ---- Offsets and intents ---- */

void group_offset_encode(const struct group_offset *o, struct buf *out)
{
	PRE(o->metadata_len <= UINT16_MAX);
	buf_put_u8(out, RECORD_VERSION);
	buf_put_le64(out, (uint64_t)o->offset);
	buf_put_le32(out, (uint32_t)o->leader_epoch);
	buf_put_le64(out, (uint64_t)o->commit_ms);
	buf_put_le64(out, (uint64_t)o->delivered_off);
	buf_put_le32(out, o->delivered_cnt);
	buf_put_le16(out, (uint16_t)o->metadata_len);
	buf_put(out, o->metadata, o->metadata_len);
	if (!o->run_cnt || (o->run_cnt == 1 && o->runs[0].end == o->delivered_off + 1 &&
			    o->runs[0].cnt == o->delivered_cnt))
		return;
	buf_put_u8(out, (uint8_t)o->run_cnt);
	for (uint32_t i = 0; i < o->run_cnt; i++) {
		buf_put_le64(out, (uint64_t)o->runs[i].end);
		buf_put_le32(out, o->runs[i].cnt);
	}
}

/* The runs, where they stand there; else the record that was delivered last is the only one. */
static int decode_runs(struct cursor *c, struct group_offset *o)
{
	o->run_cnt = 0;
	if (!c->err && !cur_left(c)) {
		if (o->delivered_cnt)
			o->runs[o->run_cnt++] = (struct group_run){ .end = o->delivered_off + 1,
								    .cnt = o->delivered_cnt };
		return 0;
	}
	o->run_cnt = cur_get_u8(c);
	if (c->err || !o->run_cnt || o->run_cnt > GROUP_RUN_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < o->run_cnt; i++) {
		struct group_run *run = &o->runs[i];

		run->end = (int64_t)cur_get_le64(c);
		run->cnt = cur_get_le32(c);
		if (run->end <= (i ? run[-1].end : 0) || !run->cnt ||
		    (i && run->cnt >= run[-1].cnt))
			return -EBADMSG;
	}
	return c->err || cur_left(c) ? -EBADMSG : 0;
}

int group_offset_decode(const void *data, size_t len, struct group_offset *ret)
{
	struct group_offset o = *ret;
	struct cursor c;
	int r = begin_value(&c, data, len);

	if (r)
		return r;
	o.offset = (int64_t)cur_get_le64(&c);
	o.leader_epoch = (int32_t)cur_get_le32(&c);
	o.commit_ms = (int64_t)cur_get_le64(&c);
	o.delivered_off = (int64_t)cur_get_le64(&c);
	o.delivered_cnt = cur_get_le32(&c);
	o.metadata_len = cur_get_le16(&c);
	o.metadata = cur_get(&c, o.metadata_len);
	if (c.err || o.offset < -1 || o.leader_epoch < -1 || o.delivered_off < -1 ||
	    o.delivered_off == INT64_MAX || decode_runs(&c, &o))
		return -EBADMSG;
	if (!o.metadata_len)
		o.metadata = "";
	*ret = o;
	return 0;
}

void group_intent_encode(const struct group_intent *i, struct buf *out)
{
	buf_put_u8(out, RECORD_VERSION);
	buf_put_le64(out, (uint64_t)i->offset);
	buf_put(out, i->dlq_topic_id, 16);
	buf_put_le32(out, i->dlq_partition);
	buf_put_le64(out, (uint64_t)i->dlq_offset);
}

int group_intent_decode(const void *data, size_t len, struct group_intent *ret)
{
	struct group_intent i;
	const void *id;
	struct cursor c;
	int r = begin_value(&c, data, len);

	if (r)
		return r;
	i.offset = (int64_t)cur_get_le64(&c);
	id = cur_get(&c, 16);
	i.dlq_partition = cur_get_le32(&c);
	i.dlq_offset = (int64_t)cur_get_le64(&c);
	if (c.err || cur_left(&c) || i.offset < 0 || i.dlq_offset < 0 ||
	    i.dlq_partition >= PARTITION_CNT_MAX)
		return -EBADMSG;
	memcpy(i.dlq_topic_id, id, 16);
	*ret = i;
	return 0;
}

/* ---- State, outwards ---- */

static void put_str8(struct buf *out, const char *s)
{
	size_t len = s ? strlen(s) : 0;

	ASSERT(len <= UINT8_MAX);
	buf_put_u8(out, (uint8_t)len);
	buf_put(out, s, len);
}

static void put_sub(const struct group_sub *sub, struct buf *out)
{
	if (sub->pattern) {
		buf_put_le16(out, (uint16_t)strlen(sub->pattern));
		buf_put_str(out, sub->pattern);
		return;
	}
	buf_put_le16(out, (uint16_t)sub->name_cnt);
	for (uint32_t i = 0; i < sub->name_cnt; i++)
		put_str8(out, sub->names[i]);
}

static void put_member(const struct group_member *m, struct buf *out)
{
	size_t at;
	uint32_t cnt = 0;

	buf_put_u8(out, (m->is_stream ? MEMBER_STREAM : 0) | (m->instance ? MEMBER_STATIC : 0) |
				(m->sub->pattern ? MEMBER_PATTERN : 0));
	buf_put_le32(out, m->uid);
	buf_put_u8(out, m->strategy < 0 ? NO_STRATEGY : (uint8_t)m->strategy);
	buf_put_le64(out, (uint64_t)m->session_timeout_ms);
	buf_put_le64(out, (uint64_t)m->rebalance_timeout_ms);
	buf_put_le64(out, (uint64_t)m->max_poll_interval_ms);
	put_str8(out, m->id);
	put_str8(out, m->instance);
	put_str8(out, m->client_id);
	put_str8(out, m->client_host);
	put_sub(m->sub, out);
	at = out->len;
	buf_put_le32(out, 0);
	LIST_FOREACH(pos, &m->parts) {
		const struct group_part *p = LIST_ENTRY(pos, struct group_part, node);

		buf_put_le16(out, (uint16_t)p->topic->idx);
		buf_put_le32(out, p->partition);
		buf_put_u8(out, p->is_leaving);
		cnt++;
	}
	if (!out->err)
		buf_set_le32(out, at, cnt);
}

void group_state_encode(const struct group *g, uint32_t broker, uint64_t incarnation,
			struct buf *out)
{
	uint32_t cnt = 0;

	buf_put_u8(out, RECORD_VERSION);
	buf_put_le64(out, g->generation);
	buf_put_le64(out, g->member_no);
	buf_put_le32(out, broker);
	buf_put_le64(out, incarnation);
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		if (g->topics[i]->part_cnt)
			g->topics[i]->idx = cnt++;
	buf_put_le16(out, (uint16_t)cnt);
	for (uint32_t i = 0; i < g->topic_cnt; i++) {
		const struct group_topic *t = g->topics[i];

		if (!t->part_cnt)
			continue;
		buf_put(out, t->place.topic_id, 16);
		buf_put_le32(out, t->part_cnt);
		put_str8(out, t->name);
	}
	buf_put_le16(out, (uint16_t)g->member_cnt);
	LIST_FOREACH(pos, &g->members)
		put_member(LIST_ENTRY(pos, struct group_member, node), out);
}

/* ---- State, inwards ---- */

/*
 * A record is built into a group of its own, which is then exchanged with the one that it is for:
 * so a record that is no good changes nothing.
 */
struct loader {
	struct cursor c;
	struct group *g;
	int64_t now_ms;
	struct group_topic **topics; /* as the record numbers them; owned array */
	uint32_t topic_cnt;
	uint8_t *is_held;	     /* a bit for each partition, one topic's after the other's */
	uint32_t *first;	     /* of those, each topic's */
	uint32_t held_cnt, lost_cnt; /* shares of members that stay, and of others */
	char (*names)[TOPIC_NAME_MAX + 1]; /* GROUP_TOPIC_MAX of them */
	const char *subscribed[GROUP_TOPIC_MAX];
	char pattern[GROUP_PATTERN_MAX + 1];
};

struct member_texts {
	char id[UINT8_MAX + 1], instance[UINT8_MAX + 1], client_id[UINT8_MAX + 1],
		client_host[UINT8_MAX + 1];
};

/* A text of at most max bytes without a NUL; what is none sticks as an error of the cursor. */
static void get_text(struct cursor *c, size_t len, size_t max, char *ret)
{
	const char *s = cur_get(c, len);

	*ret = '\0';
	if (c->err || len > max || (len && memchr(s, '\0', len))) {
		c->err = -EBADMSG;
		return;
	}
	if (len)
		memcpy(ret, s, len);
	ret[len] = '\0';
}

static void get_str8(struct cursor *c, size_t max, char *ret)
{
	get_text(c, cur_get_u8(c), max, ret);
}

static int load_topic(struct loader *l, uint32_t i)
{
	char name[TOPIC_NAME_MAX + 1];
	const uint8_t *id = cur_get(&l->c, 16);
	uint32_t part_cnt = cur_get_le32(&l->c);
	int r;

	get_str8(&l->c, TOPIC_NAME_MAX, name);
	if (l->c.err || !*name || !part_cnt || part_cnt > PARTITION_CNT_MAX ||
	    part_cnt > GROUP_SHARE_MAX - l->g->part_cnt)
		return -EBADMSG;
	if (i && strcmp(l->topics[i - 1]->name, name) >= 0)
		return -EBADMSG;
	if (group_table_find(&l->g->topic_ids, id, GROUP_NO_PARTITION))
		return -EBADMSG;
	r = group_topic_new(l->g, name, &l->topics[i]);
	if (r)
		return r;
	l->first[i] = l->g->part_cnt;
	l->topics[i]->idx = i;
	return group_topic_resize(l->g, l->topics[i], id, part_cnt);
}

static int load_topics(struct loader *l)
{
	uint32_t cnt = cur_get_le16(&l->c);
	int r = 0;

	/* No topic takes less than 22 bytes. */
	if (l->c.err || cnt > cur_left(&l->c) / 22)
		return -EBADMSG;
	l->topics = calloc(cnt + 1, sizeof(*l->topics));
	l->first = calloc(cnt + 1, sizeof(*l->first));
	if (!l->topics || !l->first)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt && !r; i++)
		r = load_topic(l, i);
	if (r)
		return r;
	l->topic_cnt = cnt;
	l->is_held = calloc(l->g->part_cnt / 8 + 1, 1);
	return l->is_held ? 0 : -ENOMEM;
}

/* What a member subscribes, in the words of a join. */
static int load_sub(struct loader *l, bool by_pattern, struct group_join *j)
{
	uint32_t cnt = cur_get_le16(&l->c);

	if (by_pattern) {
		get_text(&l->c, cnt, GROUP_PATTERN_MAX, l->pattern);
		j->pattern = l->pattern;
		return l->c.err || !cnt ? -EBADMSG : 0;
	}
	if (l->c.err || !cnt || cnt > GROUP_TOPIC_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < cnt; i++) {
		get_str8(&l->c, TOPIC_NAME_MAX, l->names[i]);
		if (l->c.err || !*l->names[i] || (i && strcmp(l->names[i - 1], l->names[i]) >= 0))
			return -EBADMSG;
		l->subscribed[i] = l->names[i];
	}
	j->topics = l->subscribed;
	j->topic_cnt = cnt;
	return 0;
}

static int load_head(struct loader *l, struct group_join *j, struct member_texts *t)
{
	uint8_t flags = cur_get_u8(&l->c), strategy;
	int r;

	j->is_stream = flags & MEMBER_STREAM;
	j->uid = cur_get_le32(&l->c);
	strategy = cur_get_u8(&l->c);
	j->strategy = strategy == NO_STRATEGY ? -1 : strategy;
	j->session_timeout_ms = (int64_t)cur_get_le64(&l->c);
	j->rebalance_timeout_ms = (int64_t)cur_get_le64(&l->c);
	j->max_poll_interval_ms = (int64_t)cur_get_le64(&l->c);
	get_str8(&l->c, GROUP_NAME_MAX, t->id);
	get_str8(&l->c, GROUP_NAME_MAX, t->instance);
	get_str8(&l->c, GROUP_NAME_MAX, t->client_id);
	get_str8(&l->c, GROUP_NAME_MAX, t->client_host);
	r = load_sub(l, flags & MEMBER_PATTERN, j);
	if (r)
		return r;
	if (flags & ~MEMBER_FLAGS || j->strategy > (int)ASSIGN_COOPERATIVE_STICKY || !*t->id ||
	    !(flags & MEMBER_STATIC) != !*t->instance || j->session_timeout_ms < -1 ||
	    j->rebalance_timeout_ms < -1 || j->max_poll_interval_ms < -1)
		return -EBADMSG;
	j->member_id = t->id;
	j->instance = *t->instance ? t->instance : NULL;
	j->client_id = t->client_id;
	j->client_host = t->client_host;
	return 0;
}

/* The member, where it is static; else NULL: it was a process of a broker that is gone. */
static int load_member(struct loader *l, const struct group_join *j, struct group_member **ret)
{
	char sentence[GROUP_SENTENCE_LEN];
	struct group_sub *sub = NULL;
	struct group_member *m;
	int r;

	*ret = NULL;
	if (group_find_id(l->g, j->member_id))
		return -EBADMSG;
	if (!j->instance)
		return 0;
	if (group_find_instance(l->g, j->instance))
		return -EBADMSG;
	m = group_member_new(j, j->member_id);
	if (!m)
		return -ENOMEM;
	r = group_member_reserve(l->g);
	if (!r)
		r = group_sub_get(l->g, j, &sub, sentence);
	if (r) {
		group_member_free(l->g, m);
		/* A pattern that would have been refused. */
		return r == -EINVAL ? -EBADMSG : r;
	}
	group_member_link(l->g, m, sub);
	group_set_liveness(l->g, l->now_ms, m, GROUP_AWAY);
	*ret = m;
	return 0;
}

/* Nobody's hold is told to anybody of this life: held_gen is 0, an old generation. */
static void hold(struct group *g, struct group_part *p, struct group_member *m)
{
	group_part_take(g, p, m);
	p->held_gen = 0;
	p->target = m->slot;
}

/* One share of a record; *prev is the one before it, NULL none. */
static int load_share(struct loader *l, struct group_member *m, struct group_part **prev)
{
	uint32_t topic = cur_get_le16(&l->c), partition = cur_get_le32(&l->c), bit;
	uint8_t is_leaving = cur_get_u8(&l->c);
	struct group_part *p;

	if (topic >= l->topic_cnt || partition >= l->topics[topic]->part_cnt || is_leaving > 1)
		return -EBADMSG;
	p = &l->topics[topic]->parts[partition];
	if (*prev && ((*prev)->topic == p->topic ? (*prev)->partition >= partition
						 : (*prev)->topic->idx >= topic))
		return -EBADMSG;
	bit = l->first[topic] + partition;
	if (l->is_held[bit / 8] & 1 << bit % 8)
		return -EBADMSG;
	l->is_held[bit / 8] |= (uint8_t)(1 << bit % 8);
	*prev = p;
	if (m)
		hold(l->g, p, m);
	/* What was leaving was on its way to a target that the record does not name: the next
	 * assignment decides, and nobody waits for a process that is gone. */
	l->held_cnt += m && !is_leaving;
	l->lost_cnt += !m;
	return 0;
}

static int load_shares(struct loader *l, struct group_member *m)
{
	uint32_t cnt = cur_get_le32(&l->c);
	struct group_part *prev = NULL;
	int r = 0;

	if (l->c.err || cnt > cur_left(&l->c) / 7)
		return -EBADMSG;
	for (uint32_t i = 0; i < cnt && !r; i++)
		r = load_share(l, m, &prev);
	return r;
}

static int load_members(struct loader *l)
{
	uint32_t cnt = cur_get_le16(&l->c);
	struct member_texts t;

	if (l->c.err || cnt > GROUP_MEMBER_MAX)
		return -EBADMSG;
	for (uint32_t i = 0; i < cnt; i++) {
		struct group_join j = { 0 };
		struct group_member *m = NULL;
		int r = load_head(l, &j, &t);

		if (!r)
			r = load_member(l, &j, &m);
		if (!r)
			r = load_shares(l, m);
		if (r)
			return r;
	}
	if (cur_left(&l->c) || l->g->text_len > GROUP_TEXT_MAX)
		return -EBADMSG;
	l->g->is_changed = l->g->member_cnt < cnt;
	l->g->is_moved = l->lost_cnt;
	l->g->needs_assign = l->g->is_changed || l->held_cnt < l->g->part_cnt;
	return 0;
}

static int load(struct loader *l)
{
	int r;

	l->names = calloc(GROUP_TOPIC_MAX, sizeof(*l->names));
	if (!l->names)
		return -ENOMEM;
	l->g->generation = l->g->written_generation = cur_get_le64(&l->c);
	l->g->member_no = cur_get_le64(&l->c);
	/* Broker and incarnation are for those who look at the records. */
	cur_get(&l->c, 12);
	if (l->c.err || l->g->generation > INT64_MAX || l->g->member_no > INT64_MAX)
		return -EBADMSG;
	r = load_topics(l);
	return r ? r : load_members(l);
}

static void move_list(struct list *to, struct list *from)
{
	LIST_FOREACH_SAFE(pos, tmp, from) {
		list_remove(pos);
		list_put(to, pos);
	}
}

/* What `from` has of members, topics and generation is g's, and the other way round. */
static void exchange(struct group *g, struct group *from)
{
	struct list subs, members;
	struct group old = *g;

	list_init(&subs);
	list_init(&members);
	move_list(&subs, &g->subs);
	move_list(&members, &g->members);
	move_list(&g->subs, &from->subs);
	move_list(&g->members, &from->members);
	move_list(&from->subs, &subs);
	move_list(&from->members, &members);
#define EXCHANGE(field) (g->field = from->field, from->field = old.field)
	EXCHANGE(generation);
	EXCHANGE(written_generation);
	EXCHANGE(member_no);
	EXCHANGE(needs_assign);
	EXCHANGE(is_due);
	EXCHANGE(is_moved);
	EXCHANGE(is_changed);
	EXCHANGE(is_unwritten);
	EXCHANGE(deadline_ms);
	EXCHANGE(topics);
	EXCHANGE(topic_cnt);
	EXCHANGE(topic_cap);
	EXCHANGE(topic_ids);
	EXCHANGE(part_cnt);
	EXCHANGE(leaving_cnt);
	EXCHANGE(slots);
	EXCHANGE(slot_cap);
	EXCHANGE(by_id);
	EXCHANGE(member_cnt);
	EXCHANGE(by_id_cap);
	EXCHANGE(text_len);
#undef EXCHANGE
}

int group_state_load(struct group *g, const void *data, size_t len, int64_t now_ms)
{
	struct loader *l;
	int r;

	PRE(!g->is_dead && list_is_empty(&g->events));
	LIST_FOREACH(pos, &g->members)
		PRE(!LIST_ENTRY(pos, struct group_member, node)->owner);
	l = calloc(1, sizeof(*l));
	if (!l)
		return -ENOMEM;
	l->now_ms = now_ms;
	r = begin_value(&l->c, data, len);
	if (!r) {
		l->g = group_like(g);
		r = l->g ? load(l) : -ENOMEM;
	}
	if (!r)
		exchange(g, l->g);
	group_free(l->g);
	free(l->topics);
	free(l->first);
	free(l->is_held);
	free(l->names);
	free(l);
	return r;
}

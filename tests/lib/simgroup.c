#include "tests/lib/simgroup.h"
#include "tests/lib/simgroup_impl.h"

#include <errno.h>
#include <inttypes.h>

/* ---- The world ---- */

static uint64_t rnd(struct sg_world *w)
{
	uint64_t z = w->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t sg_below(struct sg_world *w, uint32_t n)
{
	return (uint32_t)(rnd(w) % n);
}

_Noreturn void sg_fail(struct sg_world *w, const char *file, int line, const char *what, int64_t a,
		       int64_t b)
{
	fprintf(stderr,
		"seed %" PRIu64 " op %u at %" PRId64 " ms, %s:%d: %s (%" PRId64 ", %" PRId64 ")\n",
		w->seed, w->op, w->now_ms, file, line, what, a, b);
	abort();
}

static const struct {
	const char *const topics[2];
	uint32_t topic_cnt;
	const char *pattern;
	const char *wanted; /* the first letters of the names that it has, and how long they are */
} subs[SG_SUBS] = {
	{ { "a0" }, 1, NULL, "a0" }, { { "a1" }, 1, NULL, "a1" }, { { "a0", "b0" }, 2, NULL, NULL },
	{ { "b0" }, 1, NULL, "b0" }, { { NULL }, 0, "a.*", "a" }, { { NULL }, 0, ".*", "" },
};

bool sg_wants(uint32_t sub, const char *topic)
{
	if (subs[sub].wanted)
		return !strncmp(topic, subs[sub].wanted, strlen(subs[sub].wanted));
	return !strcmp(topic, "a0") || !strcmp(topic, "b0");
}

bool sg_may(const struct sg_world *w, const struct sg_client *c, const struct sg_topic *t)
{
	return t->readers >> (c - w->clients) % SG_USERS & 1;
}

static struct group *new_group(struct sg_world *w)
{
	static const uint8_t id[16] = "the group's id";
	struct group *g = group_new("billing", id, &w->set);

	SG_CHECK(w, g);
	return g;
}

void sg_init(struct sg_world *w, uint64_t seed)
{
	static const char *const names[SG_TOPICS] = { "a0", "a1", "b0", "b1" };

	*w = (struct sg_world){ .seed = seed, .rng = seed, .now_ms = 1000 };
	w->set = (struct group_settings){
		.strategy = (enum assign_strategy)sg_below(w, 4),
		.session_timeout_ms = 100 + sg_below(w, 1000),
		.rebalance_timeout_ms = 100 + sg_below(w, 1000),
		.max_poll_interval_ms = 100 + sg_below(w, 3000),
		.max_deliveries = sg_below(w, 3) ? 0 : 1 + sg_below(w, 3),
	};
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		snprintf(w->topics[t].name, sizeof(w->topics[t].name), "%s", names[t]);
	w->g = new_group(w);
}

void sg_fini(struct sg_world *w)
{
	group_free(w->g);
	for (uint32_t i = 0; i < w->entry_cnt; i++)
		buf_fini(&w->entries[i].value);
}

/* ---- The topic of offsets ---- */

/* Whether the broker is killed here. */
static bool dies(struct sg_world *w)
{
	if (!w->is_calm && !sg_below(w, 2000))
		w->is_killed = true;
	return w->is_killed;
}

/* Appends a record: the newest of its key is kept. False: it failed. */
static bool write_record(struct sg_world *w, const struct group_key *k, const struct buf *value)
{
	uint8_t key[GROUP_KEY_LEN_MAX];
	size_t len = group_key_encode(k, key);
	uint32_t i = 0;

	if (!w->is_calm && !sg_below(w, 30))
		return false;
	while (i < w->entry_cnt &&
	       (w->entries[i].key_len != len || memcmp(w->entries[i].key, key, len)))
		i++;
	SG_CHECK(w, i < SG_KEYS);
	if (i == w->entry_cnt) {
		w->entry_cnt++;
		memcpy(w->entries[i].key, key, len);
		w->entries[i].key_len = len;
		buf_init(&w->entries[i].value);
	}
	buf_reset(&w->entries[i].value);
	buf_put(&w->entries[i].value, value->data, value->len);
	SG_EQ(w, buf_err(&w->entries[i].value), 0);
	return true;
}

static bool write_state(struct sg_world *w)
{
	struct group_key k = { .type = GROUP_KEY_STATE };
	struct buf b;
	bool good;

	memcpy(k.group_id, group_id(w->g), 16);
	buf_init(&b);
	group_state_encode(w->g, 1, 1, &b);
	SG_EQ(w, buf_err(&b), 0);
	good = write_record(w, &k, &b);
	buf_fini(&b);
	if (good)
		memcpy(w->written_subs, w->instance_subs, sizeof(w->written_subs));
	return good;
}

bool sg_write_offset(struct sg_world *w, const struct group_offset *o)
{
	struct group_key k = { .type = GROUP_KEY_OFFSET, .partition = o->partition };
	struct buf b;
	bool good;
	int r = group_offset_reserve(w->g, o, 1);

	SG_EQ(w, r, 0);
	memcpy(k.group_id, group_id(w->g), 16);
	memcpy(k.topic_id, o->topic_id, 16);
	buf_init(&b);
	group_offset_encode(o, &b);
	good = write_record(w, &k, &b);
	buf_fini(&b);
	return good;
}

/* Makes it the group's, unless the broker dies first. */
bool sg_put_offset(struct sg_world *w, const struct group_offset *o)
{
	int r;

	if (dies(w))
		return false;
	r = group_offset_put(w->g, o);
	SG_EQ(w, r, 0);
	return !dies(w);
}

static struct sg_topic *topic_by_id(struct sg_world *w, const uint8_t id[16])
{
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		if (w->topics[t].part_cnt && !memcmp(w->topics[t].id, id, 16))
			return &w->topics[t];
	return NULL;
}

void sg_restart(struct sg_world *w)
{
	struct group_offset o;
	struct group_key k;
	int r;

	group_free(w->g);
	w->g = new_group(w);
	for (uint32_t i = 0; i < w->entry_cnt; i++) {
		const struct sg_entry *e = &w->entries[i];

		r = group_key_decode(e->key, e->key_len, &k);
		SG_EQ(w, r, 0);
		if (k.type == GROUP_KEY_STATE) {
			r = group_state_load(w->g, e->value.data, e->value.len, w->now_ms);
			SG_EQ(w, r, 0);
			continue;
		}
		memcpy(o.topic_id, k.topic_id, 16);
		o.partition = k.partition;
		r = group_offset_decode(e->value.data, e->value.len, &o);
		SG_EQ(w, r, 0);
		/* Committed offsets die with their topic. */
		if (!topic_by_id(w, k.topic_id))
			continue;
		SG_EQ(w, o.offset, topic_by_id(w, k.topic_id)->parts[k.partition].committed);
		r = group_offset_put(w->g, &o);
		SG_EQ(w, r, 0);
	}
	for (uint32_t i = 0; i < SG_CLIENTS; i++)
		sg_forget(w, &w->clients[i]);
	memcpy(w->instance_subs, w->written_subs, sizeof(w->written_subs));
	memset(w->instance_barred, 0, sizeof(w->instance_barred));
	w->is_killed = false;
	sg_round(w);
}

/* ---- Processes ---- */

/* The process knows nothing (any more) and has no file. */
void sg_forget(struct sg_world *w, struct sg_client *c)
{
	c->is_open = c->is_waiting = c->is_interrupted = c->is_expelled = c->is_stalled = false;
	sg_lose_all(c);
}

/* It is a member no longer: nobody waits for what it knows. */
void sg_lose_all(struct sg_client *c)
{
	c->owes_ms = -1;
	for (uint32_t t = 0; t < SG_TOPICS; t++)
		for (uint32_t p = 0; p < SG_PARTS; p++)
			c->views[t][p] = (struct sg_view){ .given = -1, .dealt = -1, .pos = -1 };
}

struct group_join sg_words(const struct sg_client *c)
{
	return (struct group_join){
		.is_stream = c->is_stream,
		.instance = c->instance,
		.client_id = "client",
		.topics = subs[c->sub].topics,
		.topic_cnt = subs[c->sub].topic_cnt,
		.pattern = subs[c->sub].pattern,
		.strategy = -1,
		.session_timeout_ms = c->session_ms,
		.rebalance_timeout_ms = c->rebalance_ms,
		.max_poll_interval_ms = c->poll_ms,
		.owner = (void *)c,
	};
}

void sg_sign(struct sg_world *w, struct sg_client *c)
{
	c->sign_ms = w->now_ms;
	c->is_waiting = c->is_interrupted = false;
}

/* Shares that it held as an instance before it came back, in one number. */
static uint64_t shares_of(struct sg_world *w, uint32_t slot)
{
	struct group_share s[SG_TOPICS * SG_PARTS];
	uint32_t cnt = group_shares(w->g, slot, s, ARRAY_CNT(s));
	uint64_t sum = 0;

	for (uint32_t i = 0; i < cnt; i++)
		if (!s[i].leaving)
			sum |= 1ULL << ((s[i].topic[0] - 'a') * 2 + s[i].topic[1] - '0') * SG_PARTS
				    << s[i].partition;
	return sum;
}

static bool find_instance(struct sg_world *w, const char *instance, struct group_member_view *ret)
{
	for (ret->slot = GROUP_NONE; group_member_next(w->g, ret->slot, ret);)
		if (ret->instance && !strcmp(ret->instance, instance))
			return true;
	return false;
}

void sg_note_sub(struct sg_world *w, const struct sg_client *c)
{
	if (c->instance)
		w->instance_subs[c->instance[0] == 't'] = c->sub;
}

/* ---- Topics, and who may read them ---- */

static void tell_topic(struct sg_world *w, const char *name)
{
	int r;

	for (uint32_t t = 0; t < SG_TOPICS; t++) {
		const struct sg_topic *s = &w->topics[t];

		if (name ? strcmp(name, s->name) != 0 : !group_wants(w->g, s->name))
			continue;
		r = group_on_topic(w->g, s->name, s->id, s->part_cnt);
		SG_EQ(w, r, 0);
	}
}

static void tell_topics(struct sg_world *w)
{
	const char *name;

	while (group_topics_due(w->g, &name))
		tell_topic(w, name);
}

/* Of a topic that is gone nobody says so. */
static void tell_access(struct sg_world *w, struct sg_client *c, const struct sg_topic *t)
{
	bool may = !t->part_cnt || sg_may(w, c, t);
	uint32_t bit = 1U << (t - w->topics);

	if (!c->is_open || c->is_expelled || !group_subscribes(w->g, c->slot, t->name))
		return;
	group_on_access(w->g, c->slot, t->name, may);
	if (c->instance && may)
		w->instance_barred[c->instance[0] == 't'] &= ~bit;
	else if (c->instance)
		w->instance_barred[c->instance[0] == 't'] |= bit;
}

void sg_tell_access(struct sg_world *w, struct sg_client *c)
{
	const char *name;

	tell_topics(w);
	/* It may all until something else is said. */
	if (c->instance)
		w->instance_barred[c->instance[0] == 't'] = 0;
	for (uint32_t i = 0; (name = group_topic_at(w->g, c->slot, i)); i++)
		for (uint32_t t = 0; t < SG_TOPICS; t++)
			if (w->topics[t].part_cnt && !strcmp(w->topics[t].name, name))
				tell_access(w, c, &w->topics[t]);
}

void sg_set_readers(struct sg_world *w, struct sg_topic *t, uint32_t readers)
{
	t->readers = readers;
	for (uint32_t i = 0; i < SG_CLIENTS; i++)
		tell_access(w, &w->clients[i], t);
}

bool sg_join(struct sg_world *w, struct sg_client *c)
{
	char sentence[GROUP_SENTENCE_LEN];
	struct group_join j = sg_words(c);
	struct group_member_view v;
	bool is_back = c->instance && find_instance(w, c->instance, &v) &&
		       w->instance_subs[c->instance[0] == 't'] == c->sub &&
		       !w->instance_barred[c->instance[0] == 't'] &&
		       group_state(w->g) == GROUP_STABLE && !group_is_unwritten(w->g);
	uint64_t before = is_back ? shares_of(w, v.slot) : 0;
	int r = group_join(w->g, w->now_ms, &j, &c->slot, sentence);
	bool found;

	SG_EQ(w, r, 0);
	if (is_back) {
		SG_EQ(w, group_state(w->g), GROUP_STABLE);
		SG_EQ(w, shares_of(w, c->slot), before);
	}
	sg_note_sub(w, c);
	found = group_member_get(w->g, c->slot, &v);
	SG_CHECK(w, found);
	snprintf(c->id, sizeof(c->id), "%s", v.id);
	c->is_open = true;
	c->is_expelled = false;
	c->line_generation = 0;
	sg_lose_all(c);
	sg_sign(w, c);
	sg_tell_access(w, c);
	return is_back && !group_is_unsettled(w->g);
}

/* ---- Settling ---- */

static void expelled(struct sg_world *w, struct sg_client *c)
{
	int64_t waited = w->now_ms - c->sign_ms;
	int64_t own = c->is_interrupted ? c->session_ms : c->poll_ms;

	SG_CHECK(w, !c->is_waiting);
	SG_CHECK(w,
		 waited >= own || (c->owes_ms >= 0 && w->now_ms - c->owes_ms >= c->rebalance_ms));
	c->is_expelled = true;
	c->slot = GROUP_NONE;
	sg_lose_all(c);
}

static void take_events(struct sg_world *w)
{
	struct group_event e;
	struct sg_client *c;

	for (;;) {
		group_next_event(w->g, &e);
		c = e.owner;
		switch (e.kind) {
		case GROUP_EVENT_NONE:
			return;
		case GROUP_EVENT_ASSIGNED:
			SG_CHECK(w, c->is_open && !c->is_expelled);
			break;
		case GROUP_EVENT_EXPELLED:
			expelled(w, c);
			break;
		case GROUP_EVENT_FENCED:
			SG_CHECK(w, c->instance);
			sg_commit_late(w, c);
			sg_forget(w, c);
			break;
		}
	}
}

/* Who owes a hand-over, and since when. */
static void look_who_owes(struct sg_world *w)
{
	struct group_share s[SG_TOPICS * SG_PARTS];

	for (uint32_t i = 0; i < SG_CLIENTS; i++) {
		struct sg_client *c = &w->clients[i];
		bool owes = false;

		if (!c->is_open || c->is_expelled)
			continue;
		for (uint32_t n = group_shares(w->g, c->slot, s, ARRAY_CNT(s)); n-- > 0;)
			owes |= s[n].leaving;
		if (!owes)
			c->owes_ms = -1;
		else if (c->owes_ms < 0)
			c->owes_ms = w->now_ms;
	}
}

/* A share that stays with its holder is not touched: it does not begin to leave without a reason,
 * and what was given of it is known. */
static void check_untouched(struct sg_world *w, const struct group_share *before, uint32_t cnt,
			    bool is_assigned)
{
	struct group_share now;

	for (uint32_t i = 0; i < cnt; i++) {
		if (!group_holds(w->g, before[i].holder, before[i].topic_id, before[i].partition,
				 &now)) {
			SG_CHECK(w, is_assigned || before[i].leaving);
			continue;
		}
		SG_CHECK(w, is_assigned || now.leaving == before[i].leaving);
		SG_CHECK(w, !now.leaving || now.target != now.holder);
		SG_CHECK(w, now.leaving || now.target == now.holder);
		SG_EQ(w, now.given, before[i].given);
	}
}

static void settle(struct sg_world *w)
{
	struct group_share before[SG_CLIENTS * SG_TOPICS * SG_PARTS];
	uint64_t rebalances = group_rebalance_cnt(w->g);
	uint32_t cnt = 0;
	int r;

	for (uint32_t i = 0; i < SG_CLIENTS; i++)
		if (w->clients[i].is_open && !w->clients[i].is_expelled)
			cnt += group_shares(w->g, w->clients[i].slot, before + cnt,
					    SG_TOPICS * SG_PARTS);
	r = group_settle(w->g, w->now_ms);
	SG_EQ(w, r, 0);
	SG_CHECK(w, !group_is_unsettled(w->g));
	check_untouched(w, before, cnt, group_rebalance_cnt(w->g) != rebalances);
	look_who_owes(w);
}

/* Settles and writes; members are told. False: the broker died. */
bool sg_settle(struct sg_world *w)
{
	uint64_t generation = group_generation(w->g);

	tell_topics(w);
	if (group_is_unsettled(w->g))
		settle(w);
	if (dies(w))
		return false;
	if (group_is_unwritten(w->g) && write_state(w)) {
		if (dies(w))
			return false;
		group_on_written(w->g);
		SG_CHECK(w, group_generation(w->g) >= generation);
	} else {
		/* Nobody is told of what is not written. */
		SG_EQ(w, group_generation(w->g), generation);
	}
	SG_CHECK(w, group_generation(w->g) >= w->told_generation);
	if (dies(w))
		return false;
	take_events(w);
	return true;
}

/* Nobody is kept beyond its time. */
static void check_overdue(struct sg_world *w)
{
	for (uint32_t i = 0; i < SG_CLIENTS; i++) {
		const struct sg_client *c = &w->clients[i];

		if (c->is_open && !c->is_expelled && !c->is_waiting)
			SG_CHECK(w, w->now_ms - c->sign_ms <
					    (c->is_interrupted ? c->session_ms : c->poll_ms));
	}
}

void sg_round(struct sg_world *w)
{
	if (group_deadline_ms(w->g) <= w->now_ms)
		group_tick(w->g, w->now_ms);
	take_events(w);
	SG_CHECK(w, group_deadline_ms(w->g) > w->now_ms);
	if (dies(w) || !sg_settle(w))
		return;
	check_overdue(w);
	for (uint32_t i = 0; i < SG_CLIENTS && !w->is_killed; i++)
		if (w->clients[i].is_waiting)
			sg_read(w, &w->clients[i]);
}

void sg_set_topic(struct sg_world *w, struct sg_topic *t, uint32_t part_cnt, bool is_new)
{
	if (is_new || !part_cnt) {
		/* What was known of it, and what was committed, goes with it. */
		for (uint32_t p = 0; p < t->part_cnt; p++)
			group_offset_drop(w->g, t->id, p);
		memset(t->parts, 0, sizeof(t->parts));
		for (uint32_t p = 0; p < SG_PARTS; p++)
			t->parts[p].committed = -1;
		for (uint32_t i = 0; i < SG_CLIENTS; i++)
			for (uint32_t p = 0; p < SG_PARTS; p++)
				w->clients[i].views[t - w->topics][p] =
					(struct sg_view){ .given = -1, .dealt = -1, .pos = -1 };
		w->id_cnt++;
		memcpy(t->id, &w->id_cnt, sizeof(w->id_cnt));
	}
	t->part_cnt = part_cnt;
	if (is_new)
		t->readers = sg_below(w, 4) ? (1U << SG_USERS) - 1 : sg_below(w, 1U << SG_USERS);
	if (!group_wants(w->g, t->name))
		return;
	tell_topic(w, t->name);
	for (uint32_t i = 0; i < SG_CLIENTS; i++)
		tell_access(w, &w->clients[i], t);
}

void sg_append(struct sg_world *w, struct sg_topic *t, uint32_t partition, int64_t cnt)
{
	t->parts[partition].end = MIN(t->parts[partition].end + cnt, SG_RECORDS);
}

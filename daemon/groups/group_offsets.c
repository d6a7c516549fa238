/*
 * Committed offsets, and who may commit and seek. An entry is one piece of memory with its
 * metadata; putting exchanges the whole entry, so that room for it is an entry made before.
 */
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>

struct group_offset_entry {
	struct group_offset o; /* first: the table finds it by its topic id and partition */
	uint32_t idx;	       /* in g->offsets */
	struct list node;      /* in g->offset_room */
	char metadata[];
};
static_assert(offsetof(struct group_offset, topic_id) == offsetof(struct group_place, topic_id) &&
		      offsetof(struct group_offset, partition) ==
			      offsetof(struct group_place, partition),
	      "the table looks at both as one");

static const struct group_place *place_of(const struct group_offset_entry *e)
{
	return (const struct group_place *)&e->o;
}

static struct group_offset_entry *find(const struct group *g, const uint8_t topic_id[16],
				       uint32_t partition)
{
	return (struct group_offset_entry *)group_table_find(&g->offset_table, topic_id, partition);
}

/* ---- The entries ---- */

const struct group_offset *group_offset_find(const struct group *g, const uint8_t topic_id[16],
					     uint32_t partition)
{
	const struct group_offset_entry *e = find(g, topic_id, partition);

	return e ? &e->o : NULL;
}

const struct group_offset *group_offset_at(const struct group *g, uint32_t idx)
{
	return idx < g->offset_cnt ? &g->offsets[idx]->o : NULL;
}

uint32_t group_offset_cnt(const struct group *g)
{
	return g->offset_cnt;
}

static void fill(struct group_offset_entry *e, const struct group_offset *o)
{
	e->o = *o;
	memcpy(e->metadata, o->metadata_len ? o->metadata : "", o->metadata_len);
	e->metadata[o->metadata_len] = '\0';
	e->o.metadata = e->metadata;
}

static void give_up_room(struct group *g)
{
	LIST_FOREACH_SAFE(pos, tmp, &g->offset_room) {
		list_remove(pos);
		free(LIST_ENTRY(pos, struct group_offset_entry, node));
	}
}

int group_offset_reserve(struct group *g, const struct group_offset *o, uint32_t cnt)
{
	give_up_room(g);
	if (cnt > UINT32_MAX / 4 - g->offset_cnt)
		return -ENOMEM;
	if (g->offset_cnt + cnt > g->offset_cap) {
		uint32_t cap = MAX(g->offset_cnt + cnt, g->offset_cap * 2);
		struct group_offset_entry **n =
			realloc(g->offsets, cap * sizeof(struct group_offset_entry *));

		if (!n)
			return -ENOMEM;
		g->offsets = n;
		g->offset_cap = cap;
	}
	if (group_table_reserve(&g->offset_table, cnt))
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++) {
		struct group_offset_entry *e = malloc(sizeof(*e) + o[i].metadata_len + 1);

		if (!e) {
			give_up_room(g);
			return -ENOMEM;
		}
		fill(e, &o[i]);
		list_put(&g->offset_room, &e->node);
	}
	return 0;
}

/* The entry that was made for o, if that is the next. */
static bool has_room(const struct group *g, const struct group_offset *o)
{
	const struct group_offset_entry *e =
		LIST_ENTRY(g->offset_room.next, struct group_offset_entry, node);

	return !list_is_empty(&g->offset_room) && e->o.partition == o->partition &&
	       !memcmp(e->o.topic_id, o->topic_id, 16) && e->o.metadata_len == o->metadata_len;
}

int group_offset_put(struct group *g, const struct group_offset *o)
{
	struct group_offset_entry *e, *old;
	int r = has_room(g, o) ? 0 : group_offset_reserve(g, o, 1);

	if (r)
		return r;
	e = LIST_ENTRY(g->offset_room.next, struct group_offset_entry, node);
	list_remove(&e->node);
	fill(e, o);
	old = find(g, o->topic_id, o->partition);
	if (old) {
		group_table_remove(&g->offset_table, place_of(old));
		e->idx = old->idx;
		free(old);
	} else {
		ASSERT(g->offset_cnt < g->offset_cap);
		e->idx = g->offset_cnt++;
	}
	g->offsets[e->idx] = e;
	group_table_put(&g->offset_table, place_of(e));
	return 0;
}

void group_offset_drop(struct group *g, const uint8_t topic_id[16], uint32_t partition)
{
	struct group_offset_entry *e = find(g, topic_id, partition);

	if (!e)
		return;
	group_table_remove(&g->offset_table, place_of(e));
	g->offsets[e->idx] = g->offsets[--g->offset_cnt];
	g->offsets[e->idx]->idx = e->idx;
	free(e);
}

void group_offsets_free(struct group *g)
{
	give_up_room(g);
	for (uint32_t i = 0; i < g->offset_cnt; i++)
		free(g->offsets[i]);
	free(g->offsets);
	group_table_fini(&g->offset_table);
}

/* ---- Who may ---- */

static const char *topic_name(const struct group *g, const uint8_t topic_id[16])
{
	const struct group_place *at =
		group_table_find(&g->topic_ids, topic_id, GROUP_NO_PARTITION);

	return at ? LIST_ENTRY(at, struct group_topic, place)->name : "the topic";
}

static int check_words(const struct group *g, const struct group_who *who, char *ret_sentence)
{
	if (!group_find_id(g, who->member_id))
		return group_refuse(ret_sentence, -ESTALE, "there is no member %s", who->member_id);
	if (who->generation != g->written_generation)
		return group_refuse(ret_sentence, -ESTALE,
				    "the generation is %" PRIu64 ", not %" PRIu64,
				    g->written_generation, who->generation);
	return 0;
}

static int check_forward(const struct group *g, const uint8_t topic_id[16], uint32_t partition,
			 int64_t offset, char *ret_sentence)
{
	const struct group_offset *o = group_offset_find(g, topic_id, partition);

	if (!g->member_cnt || !o || offset >= o->offset)
		return 0;
	return group_refuse(ret_sentence, -ESTALE,
			    "%s/%u is committed up to %" PRId64
			    ": while the group has members only they move it back",
			    topic_name(g, topic_id), partition, o->offset);
}

int group_check_commit(const struct group *g, const struct group_who *who,
		       const uint8_t topic_id[16], uint32_t partition, int64_t offset,
		       char *ret_sentence)
{
	*ret_sentence = '\0';
	if (g->is_dead)
		return group_refuse(ret_sentence, -ESTALE, "the group was deleted");
	switch (who->kind) {
	case GROUP_BY_WORDS:
		return check_words(g, who, ret_sentence);
	case GROUP_BY_MEMBER:
		if (group_holds(g, who->slot, topic_id, partition, NULL))
			return 0;
		return group_refuse(ret_sentence, -ESTALE, "this member does not hold %s/%u",
				    topic_name(g, topic_id), partition);
	case GROUP_BY_EXPELLED:
		return group_refuse(ret_sentence, -ESTALE,
				    "this member was expelled, or another took its place");
	case GROUP_BY_OTHER:
		break;
	}
	return check_forward(g, topic_id, partition, offset, ret_sentence);
}

/* The slot of who speaks, or GROUP_NONE. */
static uint32_t slot_of(const struct group *g, const struct group_who *who)
{
	const struct group_member *m;

	switch (who->kind) {
	case GROUP_BY_MEMBER:
		return who->slot;
	case GROUP_BY_WORDS:
		m = who->generation == g->written_generation ? group_find_id(g, who->member_id)
							     : NULL;
		return m ? m->slot : GROUP_NONE;
	case GROUP_BY_OTHER:
	case GROUP_BY_EXPELLED:
		break;
	}
	return GROUP_NONE;
}

int group_check_seek(const struct group *g, const struct group_who *who, const uint8_t topic_id[16],
		     uint32_t partition)
{
	if (!g->member_cnt || group_holds(g, slot_of(g, who), topic_id, partition, NULL))
		return 0;
	return -EBUSY;
}

/* ---- Deliveries ---- */

uint32_t group_deliveries(const struct group_offset *o, int64_t off)
{
	for (uint32_t i = 0; i < o->run_cnt; i++) {
		if (off < o->runs[i].end)
			return o->runs[i].cnt;
	}
	return 0;
}

static void remove_run(struct group_offset *o, uint32_t i)
{
	o->run_cnt--;
	memmove(o->runs + i, o->runs + i + 1, (o->run_cnt - i) * sizeof(*o->runs));
}

void group_deliveries_keep(struct group_offset *o, int64_t from, int64_t to)
{
	while (o->run_cnt && o->runs[0].end <= from)
		remove_run(o, 0);
	for (uint32_t i = 0; i < o->run_cnt; i++) {
		if (o->runs[i].end < to)
			continue;
		o->runs[i].end = to;
		o->run_cnt = to > from ? i + 1 : 0;
	}
	if (o->delivered_off >= from && o->delivered_off < to)
		return;
	o->delivered_off = -1;
	o->delivered_cnt = 0;
}

/* Once more. What stands before off was delivered as often at least. */
static void add_delivery(struct group_offset *o, int64_t off)
{
	uint32_t i = 0, n;

	while (i < o->run_cnt && off >= o->runs[i].end)
		i++;
	n = i < o->run_cnt ? o->runs[i].cnt + 1 : 1;
	if (i && o->runs[i - 1].cnt <= n) {
		o->runs[i - 1].end = off + 1;
	} else {
		o->run_cnt = MIN(o->run_cnt, GROUP_RUN_MAX - 1U);
		i = MIN(i, o->run_cnt);
		memmove(o->runs + i + 1, o->runs + i, (o->run_cnt - i) * sizeof(*o->runs));
		o->runs[i++] = (struct group_run){ .end = off + 1, .cnt = n };
		o->run_cnt++;
	}
	if (i < o->run_cnt && o->runs[i].end <= off + 1)
		remove_run(o, i);
	o->delivered_off = off;
	o->delivered_cnt = n;
	POST(o->run_cnt && o->run_cnt <= GROUP_RUN_MAX);
}

bool group_deliver(const struct group *g, const uint8_t topic_id[16], uint32_t partition,
		   int64_t off, struct group_offset *ret)
{
	const struct group_offset *o = group_offset_find(g, topic_id, partition);

	*ret = o ? *o
		 : (struct group_offset){ .partition = partition,
					  .offset = -1,
					  .leader_epoch = -1,
					  .delivered_off = -1,
					  .metadata = "" };
	if (!o)
		memcpy(ret->topic_id, topic_id, 16);
	if (g->set.max_deliveries && group_deliveries(ret, off) >= g->set.max_deliveries)
		return false;
	add_delivery(ret, off);
	return true;
}

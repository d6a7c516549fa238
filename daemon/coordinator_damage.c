/*
 * What a start cannot read of __consumer_offsets. The records around it count: of each key the
 * newest one that holds. So a committed offset may be an older one, and records are delivered
 * again; none is ahead of what was committed, but for one that a seek had moved back. A generation
 * is raised by as many records as were lost, so that no member of before is taken for one of now.
 *
 * Where only values do not hold, their description still names the keys, and whoever is concerned
 * is told which offset counts now, unless a later record has said it again.
 */
#include "daemon/coordinator_impl.h"

#include <errno.h>
#include <stdio.h>

/* So many keys are told one by one. */
#define LOST_CNT_MAX 256U

struct lost {
	struct coord_group *g;
	struct group_key key;
	bool is_any; /* of all that the group may have written: key says nothing */
	uint32_t home;
	int64_t from, to; /* of the damage, in the log of home */
};

static struct lost *lost_at(const struct coord_damage *d, size_t i)
{
	return (struct lost *)(void *)d->lost.data + i;
}

static size_t lost_cnt(const struct coord_damage *d)
{
	return d->lost.len / sizeof(struct lost);
}

static void lost_put(struct coord_damage *d, const struct lost *l)
{
	if (lost_cnt(d) >= LOST_CNT_MAX)
		d->untold++;
	else
		buf_put(&d->lost, l, sizeof(*l));
}

void coord_damage_init(struct coord_damage *d)
{
	*d = (struct coord_damage){ 0 };
	buf_init(&d->lost);
}

void coord_damage_fini(struct coord_damage *d)
{
	buf_fini(&d->lost);
}

void coord_damage_found(struct coordinator *c, struct coord_damage *d, const struct be_partition *p,
			int64_t from, int64_t to)
{
	char path[64];

	d->cnt++;
	d->home = p->number;
	d->from = from;
	d->to = to;
	snprintf(path, sizeof(path), "topics/" OFFSETS_TOPIC "/%u", p->number);
	broker_tell(c->b, -EIO, 0, path, "%s; the records from offset %lld to %lld are passed over",
		    p->log->fault, (long long)from, (long long)to - 1);
}

void coord_damage_key(struct coord_damage *d, struct coord_group *g, const struct group_key *key)
{
	struct lost l = { .g = g, .key = *key, .home = d->home, .from = d->from, .to = d->to };

	lost_put(d, &l);
}

void coord_damage_any(struct coord_damage *d, struct coord_group *g)
{
	struct lost l = { .g = g, .is_any = true, .home = d->home, .from = d->from, .to = d->to };

	lost_put(d, &l);
}

void coord_damage_mended(struct coord_damage *d, const struct coord_group *g,
			 const struct group_key *key)
{
	for (size_t i = 0; i < lost_cnt(d);) {
		struct lost *l = lost_at(d, i);

		if (l->g != g || l->is_any || l->key.type != key->type ||
		    l->key.partition != key->partition ||
		    memcmp(l->key.topic_id, key->topic_id, 16) != 0) {
			i++;
			continue;
		}
		*l = *lost_at(d, lost_cnt(d) - 1);
		d->lost.len -= sizeof(*l);
	}
}

/* What counts now. */
static void consequence(struct coordinator *c, const struct lost *l, char *ret, size_t len)
{
	const struct be_topic *t = l->is_any ? NULL : broker_topic_by_id(c->b, l->key.topic_id);
	const char *topic = t ? t->name : "a topic that is gone";
	const struct group_offset *o =
		group_offset_find(l->g->core, l->key.topic_id, l->key.partition);

	if (l->is_any)
		snprintf(ret, len,
			 "what it wrote there is not known: its committed offsets are those of the "
			 "records around, older ones perhaps");
	else if (l->key.type == GROUP_KEY_STATE)
		snprintf(ret, len, "its members are those of an older record");
	else if (l->key.type == GROUP_KEY_INTENT)
		snprintf(ret, len,
			 "a record of %.249s %u that was being set aside is delivered again where "
			 "that "
			 "was not done",
			 topic, l->key.partition);
	else if (o)
		snprintf(ret, len, "an older one counts, %.249s %u is committed up to %lld", topic,
			 l->key.partition, (long long)o->offset);
	else
		snprintf(ret, len, "nothing is committed of %.249s %u", topic, l->key.partition);
}

void coord_damage_tell(struct coordinator *c, const struct coord_damage *d)
{
	for (size_t i = 0; i < lost_cnt(d); i++) {
		const struct lost *l = lost_at(d, i);
		char path[GROUP_NAME_MAX + 16], what[400];

		/* One that was deleted. */
		if (!*l->g->be.name)
			continue;
		consequence(c, l, what, sizeof(what));
		snprintf(path, sizeof(path), "groups/%s/state", l->g->be.name);
		broker_tell(c->b, -EIO, l->g->be.uid, path,
			    OFFSETS_TOPIC " %u is damaged from offset %lld to %lld: %s", l->home,
			    (long long)l->from, (long long)l->to - 1, what);
	}
	if (d->untold)
		broker_tell(c->b, -EIO, 0, "topics/" OFFSETS_TOPIC,
			    "%llu more keys of groups have older values, or none",
			    (unsigned long long)d->untold);
}

/*
 * Who may join a group, and what its members may read: owners and modes of directories (DESIGN
 * 1.4), by the credentials that a process had when it opened its file.
 *
 * A member is assigned only what it may read, or its partitions would be read by nobody. So the
 * group is told what each member may when the member comes or subscribes anew, when a topic is
 * made, and when the owner or the mode of one changes.
 */
#include "daemon/coordinator_impl.h"

#include "fusefs/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Whether a process may do that (bits of one rwx) with something of this owner. */
static bool may(const struct be_caller *c, const uint32_t *gids, unsigned gid_cnt,
		const struct be_perm *on, uint32_t bits)
{
	bool is_of_group = c->gid == on->gid;

	if (!c->uid)
		return true;
	if (c->uid == on->uid)
		return (on->mode >> 6 & bits) == bits;
	for (unsigned i = 0; i < gid_cnt && !is_of_group; i++)
		is_of_group = gids[i] == on->gid;
	return ((is_of_group ? on->mode >> 3 : on->mode) & bits) == bits;
}

static bool may_topic(const struct be_caller *c, const uint32_t *gids, unsigned gid_cnt,
		      const struct be_topic *t, uint32_t bits)
{
	struct be_perm on = { .uid = t->uid, .gid = t->gid, .mode = t->mode };

	return !t->internal && may(c, gids, gid_cnt, &on, bits);
}

bool coord_may(const struct be_caller *c, const struct be_topic *t, uint32_t bits)
{
	uint32_t *gids = NULL;
	unsigned cnt = 0;
	bool r;

	/* Without memory for its groups it has none. */
	if (c->uid && c->pid && session_groups(c->pid, &gids, &cnt))
		cnt = 0;
	r = may_topic(c, gids, cnt, t, bits);
	free(gids);
	return r;
}

int access_group(const struct be_member *m, struct be_why *why)
{
	const struct be_group *g = &m->g->be;
	struct be_perm on = { .uid = g->uid, .gid = g->gid, .mode = g->mode };

	if (may(&m->caller, m->gids, m->gid_cnt, &on, 06))
		return 0;
	snprintf(why->text, sizeof(why->text),
		 "joining a group needs to read and write it, and its mode is %03o",
		 g->mode & 0777);
	return -EACCES;
}

static bool may_read(const struct be_member *m, const struct be_topic *t)
{
	return may_topic(&m->caller, m->gids, m->gid_cnt, t, 04);
}

int access_topic(const struct be_member *m, const struct be_topic *t, struct be_why *why)
{
	if (may_read(m, t))
		return 0;
	snprintf(why->text, sizeof(why->text), "the topic %s may not be read", t->name);
	return -EACCES;
}

static void tell(struct coordinator *c, struct be_member *m, const struct be_topic *t)
{
	bool is_barred = !t->deleted && !may_read(m, t);

	group_on_access(m->g->core, m->slot, t->name, !is_barred);
	if (!m->is_stream || m->is_barred == is_barred)
		return;
	/* Whoever waits for a topic that it may not read waits for ever: it is told. */
	m->is_barred = is_barred;
	if (c->b->fs)
		fs_on_member(c->b->fs, m->owner);
}

void access_on_member(struct coordinator *c, struct be_member *m)
{
	const char *name;

	for (uint32_t i = 0; (name = group_topic_at(m->g->core, m->slot, i)); i++) {
		struct be_topic *t = broker_topic_find(c->b, name);

		if (t)
			tell(c, m, t);
	}
}

void access_on_topic(struct coordinator *c, struct coord_group *g, const struct be_topic *t)
{
	LIST_FOREACH_SAFE(pos, tmp, &g->members) {
		struct be_member *m = LIST_ENTRY(pos, struct be_member, link);

		if (m->slot != GROUP_NONE && group_subscribes(g->core, m->slot, t->name))
			tell(c, m, t);
	}
	if (group_is_unsettled(g->core))
		coord_touch(c, g);
}

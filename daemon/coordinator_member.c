/*
 * Members that are connected: open streams and open `join` files.
 */
#include "daemon/coordinator_impl.h"

#include "fusefs/session.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static int64_t mono_ms(const struct coordinator *c)
{
	return c->b->mono_us / 1000;
}

void member_free(struct be_member *m)
{
	if (!m)
		return;
	list_remove(&m->link);
	free(m->gids);
	free(m->topic);
	join_request_fini(&m->first);
	join_request_fini(&m->request);
	free(m->shares);
	free(m);
}

static int member_new(struct coord_group *g, const struct be_caller *caller, void *owner,
		      struct be_member **ret)
{
	struct be_member *m = calloc(1, sizeof(*m));

	if (!m)
		return -ENOMEM;
	m->g = g;
	list_init(&m->link);
	m->owner = owner;
	m->slot = GROUP_NONE;
	m->caller = *caller;
	m->opened_tgid = m->last_tgid = caller->tgid;
	if (session_groups(caller->pid, &m->gids, &m->gid_cnt)) {
		free(m);
		return -ENOMEM;
	}
	session_comm(caller->pid, m->client_id, sizeof(m->client_id));
	list_put(&g->members, &m->link);
	*ret = m;
	return 0;
}

/* ---- Joining ---- */

static int join(struct coordinator *c, struct be_member *m, struct group_join *j,
		struct be_why *why)
{
	char sentence[GROUP_SENTENCE_LEN] = "";
	uint32_t slot = GROUP_NONE;
	int r;

	j->is_stream = m->is_stream;
	j->client_id = m->client_id;
	j->client_host = "localhost";
	j->uid = m->caller.uid;
	j->owner = m;
	if (m->slot == GROUP_NONE)
		r = group_join(m->g->core, mono_ms(c), j, &slot, sentence);
	else
		r = group_resubscribe(m->g->core, mono_ms(c), m->slot, j, sentence);
	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	if (m->slot == GROUP_NONE)
		m->slot = slot;
	m->expelled = m->fenced = false;
	coord_touch(c, m->g);
	coord_tell_topics(c, m->g);
	access_on_member(c, m);
	/* A fenced holder of the same instance hears of it at once. */
	coord_on_events(c, m->g);
	/* The end that it begins at is that of now, not that of the end of the round. */
	if (group_settings(m->g->core)->reset == GROUP_LATEST && coord_settle(c, m->g))
		coord_touch(c, m->g);
	return 0;
}

static int join_stream(struct coordinator *c, struct be_member *m, struct be_why *why)
{
	const char *topics[] = { m->topic };
	struct group_join j = { .topics = topics,
				.topic_cnt = 1,
				.strategy = -1,
				.session_timeout_ms = -1,
				.rebalance_timeout_ms = -1,
				.max_poll_interval_ms = -1 };

	return join(c, m, &j, why);
}

static int join_request(struct coordinator *c, struct be_member *m, const struct join_request *req,
			struct be_why *why)
{
	struct group_join j = { .member_id = req->member,
				.instance = req->instance,
				.topics = req->topics,
				.topic_cnt = req->topic_cnt,
				.pattern = req->pattern,
				.strategy = req->strategy,
				.session_timeout_ms = req->session_timeout_ms,
				.rebalance_timeout_ms = req->rebalance_timeout_ms,
				.max_poll_interval_ms = req->max_poll_interval_ms };

	for (uint32_t i = 0; i < req->topic_cnt; i++) {
		struct be_topic *t = broker_topic_find(c->b, req->topics[i]);
		int r = t ? access_topic(m, t, why) : 0;

		if (r)
			return r;
	}
	return join(c, m, &j, why);
}

/* It was expelled, and has asked again: with what it asked for then. */
static int join_anew(struct coordinator *c, struct be_member *m, struct be_why *why)
{
	int r = access_group(m, why);

	if (r)
		return r;
	if (m->is_stream)
		return join_stream(c, m, why);
	return join_request(c, m, m->request.owned ? &m->request : &m->first, why);
}

static int open_stream(void *ctx, struct be_group *bg, const char *topic,
		       const struct be_caller *caller, void *owner, struct be_member **ret,
		       struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct be_topic *t = broker_topic_find(c->b, topic);
	struct be_member *m;
	int r = member_new(coord_group_of(bg), caller, owner, &m);

	if (r)
		return r;
	m->is_stream = true;
	m->topic = strdup(topic);
	r = m->topic ? access_group(m, why) : -ENOMEM;
	if (!r && t)
		r = access_topic(m, t, why);
	if (!r)
		r = join_stream(c, m, why);
	if (r) {
		member_free(m);
		return r;
	}
	bg->refs++;
	*ret = m;
	return 0;
}

/* A first write to `join`. Takes the request on success. */
static int join_new(struct coordinator *c, struct coord_group *g, struct join_request *req,
		    const struct be_caller *caller, void *owner, struct be_member **ret,
		    struct be_why *why)
{
	struct be_member *m;
	int r = member_new(g, caller, owner, &m);

	if (r)
		return r;
	r = access_group(m, why);
	if (!r)
		r = join_request(c, m, req, why);
	if (r) {
		member_free(m);
		return r;
	}
	m->first = *req;
	*req = (struct join_request){ 0 };
	g->be.refs++;
	*ret = m;
	return 0;
}

/* Who a member is was said with the first request; what it has from the others is what it
 * subscribes. */
static int check_same(const struct be_member *m, const struct join_request *req, struct be_why *why)
{
	const char *id = m->first.member, *instance = m->first.instance;
	struct group_member_view v;

	if (!id && group_member_get(m->g->core, m->slot, &v))
		id = v.id;
	if (req->member && id && strcmp(req->member, id) != 0)
		snprintf(why->text, sizeof(why->text),
			 "this file's member is %s, not %s: another takes another open file", id,
			 req->member);
	else if (req->instance && (!instance || strcmp(req->instance, instance) != 0))
		snprintf(why->text, sizeof(why->text),
			 "this file's member is %s%s, not of instance %s: another takes another "
			 "open file",
			 instance ? "of instance " : "of no instance", instance ? instance : "",
			 req->instance);
	else
		return 0;
	return -EINVAL;
}

/* A later write: another subscription of the same member. Takes the request on success. */
static int join_again(struct coordinator *c, struct be_member *m, struct join_request *req,
		      struct be_why *why)
{
	struct join_request asked = *req;
	int r = check_same(m, req, why);

	/* It was expelled or fenced: what it asks for is to join. */
	if (!r && m->slot == GROUP_NONE)
		r = access_group(m, why);
	if (r)
		return r;
	group_on_line_dealt(m->g->core, mono_ms(c), m->slot);
	/* What is not said again stays. */
	if (!asked.member)
		asked.member = m->first.member;
	asked.instance = m->first.instance;
	r = join_request(c, m, &asked, why);
	if (r)
		return r;
	join_request_fini(&m->request);
	m->request = asked;
	*req = (struct join_request){ 0 };
	return 0;
}

static int sign(struct coordinator *c, struct be_member *m, struct be_why *why)
{
	if (!m || m->slot == GROUP_NONE) {
		snprintf(why->text, sizeof(why->text), "%s",
			 m ? m->why : "nothing was asked for yet: write topics=a,b first");
		return m ? -ESTALE : -EINVAL;
	}
	group_on_sign(m->g->core, mono_ms(c), m->slot);
	return 0;
}

static int write_join(void *ctx, struct be_group *bg, const char *text, size_t len,
		      const struct be_caller *caller, void *owner, struct be_member **m,
		      struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct join_request req;
	char sentence[SENTENCE_MAX] = "";
	int r = join_request_parse(text, len, &req, sentence);

	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	if (bg->deleted) {
		snprintf(why->text, sizeof(why->text), "the group was deleted");
		r = -ESTALE;
	} else if (req.is_sign) {
		r = sign(c, *m, why);
	} else if (*m) {
		(*m)->last_tgid = caller->tgid;
		r = join_again(c, *m, &req, why);
	} else {
		r = join_new(c, coord_group_of(bg), &req, caller, owner, m, why);
	}
	join_request_fini(&req);
	return r;
}

static void close_member(void *ctx, struct be_member *m)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_group *g = m->g;

	if (m->slot != GROUP_NONE) {
		group_leave(g->core, mono_ms(c), m->slot);
		coord_touch(c, g);
	}
	member_free(m);
	coord_unref(c, g);
}

/* ---- What members are told ---- */

/* Both are in one order: *at is where the one before was found, and this one is not far. */
static uint64_t since_of(const struct be_member *m, const struct be_partition *p, uint64_t now,
			 unsigned *at)
{
	for (unsigned k = 0; k < m->share_cnt; k++) {
		unsigned i = (*at + k) % m->share_cnt;

		if (m->shares[i].part != p)
			continue;
		*at = i + 1;
		return m->shares[i].since;
	}
	return now;
}

/* The shares as the mount knows them; those of topics that are not there are left out. */
static void tell_shares(struct coordinator *c, struct be_member *m)
{
	uint32_t cnt = group_shares(m->g->core, m->slot, NULL, 0), n = 0;
	uint64_t now = group_generation(m->g->core);
	unsigned at = 0;
	struct group_share *from = cnt ? malloc(cnt * sizeof(*from)) : NULL;
	struct be_share *to = cnt ? malloc(cnt * sizeof(*to)) : NULL;

	/* Without memory it keeps what it had of it, which is checked at each use. */
	if (cnt && (!from || !to)) {
		free(from);
		free(to);
		return;
	}
	cnt = MIN(cnt, group_shares(m->g->core, m->slot, from, cnt));
	for (uint32_t i = 0; i < cnt; i++) {
		struct be_topic *t = broker_topic_by_id(c->b, from[i].topic_id);
		struct be_partition *p =
			t && from[i].partition < t->part_cnt ? t->parts[from[i].partition] : NULL;

		if (p)
			to[n++] = (struct be_share){ p, since_of(m, p, now, &at), from[i].leaving };
	}
	free(from);
	free(m->shares);
	m->shares = to;
	m->share_cnt = m->share_cap = n;
}

/* auto.offset.reset=latest, and nothing is committed: where the member begins is. */
static bool begins_at_end(const struct coord_group *g, const struct be_partition *p)
{
	const struct group_offset *o = group_offset_find(g->core, p->topic->id, p->number);

	return group_settings(g->core)->reset == GROUP_LATEST && (!o || o->offset < 0);
}

static void commit_begins(struct coordinator *c, struct coord_group *g,
			  const struct group_offset *offsets, uint32_t cnt)
{
	int r = cnt ? coord_write_offsets(c, g, offsets, cnt) : 0;

	if (r)
		LOG_AT(LOG_WARN, g->be.name, r, "where %u partitions begin is not committed", cnt);
}

/*
 * auto.offset.reset=latest: a partition that nobody has committed in begins at the end of this
 * moment, and that is committed. Resolved at its first read it would pass over what was written
 * since; and who dies before his first commit must not make his successor begin later. Where the
 * end is not known yet, it is that when the log is opened, which is before anything is written.
 * What cannot be written now is resolved at the first read, which says why it cannot be.
 */
static void begin_at_end(struct coordinator *c, struct be_member *m)
{
	struct group_offset *offsets;
	uint32_t cnt = 0;

	if (group_settings(m->g->core)->reset != GROUP_LATEST || !m->share_cnt)
		return;
	offsets = malloc(m->share_cnt * sizeof(*offsets));
	for (unsigned i = 0; offsets && i < m->share_cnt; i++) {
		struct be_partition *p = m->shares[i].part;
		int64_t start, end;

		if (!begins_at_end(m->g, p))
			continue;
		if (broker_log_ends(c->b, p, &start, &end))
			offsets[cnt++] = coord_commit(c, m->g, p, end);
		else
			c->may_begin = true;
	}
	commit_begins(c, m->g, offsets, cnt);
	free(offsets);
}

void coord_begin_late(struct coordinator *c, struct coord_group *g, struct be_partition *p)
{
	struct group_offset o;

	if (!begins_at_end(g, p))
		return;
	LIST_FOREACH(pos, &g->members) {
		const struct be_member *m = LIST_ENTRY(pos, struct be_member, link);

		for (unsigned i = 0; i < m->share_cnt; i++) {
			if (m->shares[i].part != p)
				continue;
			o = coord_commit(c, g, p, p->log->next_offset);
			commit_begins(c, g, &o, 1);
			return;
		}
	}
}

void coord_on_events(struct coordinator *c, struct coord_group *g)
{
	struct group_event ev;

	for (group_next_event(g->core, &ev); ev.kind != GROUP_EVENT_NONE;
	     group_next_event(g->core, &ev)) {
		struct be_member *m = ev.owner;

		switch (ev.kind) {
		case GROUP_EVENT_ASSIGNED:
			tell_shares(c, m);
			begin_at_end(c, m);
			break;
		case GROUP_EVENT_EXPELLED:
		case GROUP_EVENT_FENCED:
			m->slot = GROUP_NONE;
			m->share_cnt = 0;
			m->expelled = ev.kind == GROUP_EVENT_EXPELLED;
			m->fenced = !m->expelled;
			m->why = ev.why;
			LOG_AT(LOG_INFO, g->be.name, 0, "member of process %d: %s", m->caller.tgid,
			       ev.why);
			coord_touch(c, g);
			break;
		case GROUP_EVENT_NONE:
			break;
		}
		if (c->b->fs)
			fs_on_member(c->b->fs, m->owner);
	}
}

/* Processes of other pid namespaces than the broker's, which all have the number 0, are not told
 * apart: none of them is a member, or all of them were. */
static bool is_of(const struct be_member *m, int32_t tgid)
{
	return tgid && (m->last_tgid == tgid || m->opened_tgid == tgid);
}

/* Of the members of a process, which may be several, the one that holds the partition. */
static struct be_member *holder_of(const struct coord_group *g, int32_t tgid,
				   const struct be_partition *p)
{
	struct group_member_view v;
	struct be_member *m;

	if (!p || !group_member_get(g->core, group_holder(g->core, p->topic->id, p->number), &v))
		return NULL;
	m = v.owner;
	return m && is_of(m, tgid) ? m : NULL;
}

struct be_member *coord_member_of(struct coord_group *g, int32_t tgid, const struct be_partition *p)
{
	struct be_member *opened = NULL, *holder = holder_of(g, tgid, p);

	if (holder && holder->is_stream)
		return holder;
	LIST_FOREACH(pos, &g->members) {
		struct be_member *m = LIST_ENTRY(pos, struct be_member, link);

		if (!m->is_stream || !is_of(m, tgid))
			continue;
		if (m->last_tgid == tgid)
			return m;
		opened = m;
	}
	return opened;
}

struct be_member *coord_own_member(struct coord_group *g, int32_t tgid,
				   const struct be_partition *p)
{
	struct be_member *own = holder_of(g, tgid, p);

	if (!own)
		own = coord_member_of(g, tgid, NULL);
	if (own)
		return own;
	LIST_FOREACH(pos, &g->members) {
		struct be_member *m = LIST_ENTRY(pos, struct be_member, link);

		if (is_of(m, tgid))
			return m;
	}
	return NULL;
}

/* ---- Reading ---- */

static int begin(void *ctx, struct be_member *m, int32_t tgid, struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	int r;

	m->last_tgid = tgid;
	if (m->g->be.deleted || m->fenced) {
		snprintf(why->text, sizeof(why->text), "%s",
			 m->g->be.deleted ? "the group was deleted" : m->why);
		return -ESTALE;
	}
	if (m->expelled) {
		r = join_anew(c, m, why);
		if (!r)
			snprintf(why->text, sizeof(why->text),
				 "%s; it has joined anew, and goes on at what is committed",
				 m->why);
		return r ? r : -ESTALE;
	}
	group_on_sign(m->g->core, mono_ms(c), m->slot);
	/* What cannot be written now is not told: the member goes on with what it has. */
	r = coord_settle(c, m->g);
	return m->slot == GROUP_NONE ? begin(ctx, m, tgid, why) : r == -ESTALE ? r : 0;
}

static bool refuses(void *ctx, struct be_member *m)
{
	(void)ctx;
	return m->g->be.deleted || m->slot == GROUP_NONE;
}

static void waits(void *ctx, struct be_member *m)
{
	struct coordinator *c = coordinator_of(ctx);

	if (m->slot != GROUP_NONE)
		group_on_wait(m->g->core, mono_ms(c), m->slot);
	if (group_is_unsettled(m->g->core))
		coord_touch(c, m->g);
}

static void set_deadline(struct coordinator *c, struct coord_group *g)
{
	g->deadline_ms = MIN(g->deadline_ms, group_deadline_ms(g->core));
	c->deadline_ms = MIN(c->deadline_ms, g->deadline_ms);
}

static void interrupted(void *ctx, struct be_member *m)
{
	struct coordinator *c = coordinator_of(ctx);

	if (m->slot == GROUP_NONE)
		return;
	group_on_interrupt(m->g->core, mono_ms(c), m->slot);
	set_deadline(c, m->g);
}

static void answered(void *ctx, struct be_member *m)
{
	struct coordinator *c = coordinator_of(ctx);

	if (m->slot == GROUP_NONE)
		return;
	group_on_sign(m->g->core, mono_ms(c), m->slot);
	set_deadline(c, m->g);
}

static bool has_line(void *ctx, struct be_member *m)
{
	(void)ctx;
	return m->slot == GROUP_NONE ||
	       (group_generation(m->g->core) && !group_is_unwritten(m->g->core) &&
		group_line_generation(m->g->core, m->slot) != group_generation(m->g->core));
}

static int line(void *ctx, struct be_member *m, struct buf *out)
{
	struct coordinator *c = coordinator_of(ctx);
	int r;

	if (m->slot == GROUP_NONE)
		return -ESTALE;
	group_on_line_dealt(m->g->core, mono_ms(c), m->slot);
	r = coord_settle(c, m->g);
	if (r && r != -ESTALE)
		return -ENOMSG;
	if (m->slot == GROUP_NONE)
		return -ESTALE;
	if (!has_line(ctx, m))
		return -ENOMSG;
	coord_line(c, m, out);
	if (buf_err(out))
		return -ENOMEM;
	group_on_line_given(m->g->core, m->slot);
	return 0;
}

static unsigned shares(void *ctx, struct be_member *m, struct be_share *ret, unsigned max)
{
	unsigned n = MIN(max, m->share_cnt);

	(void)ctx;
	if (n)
		memcpy(ret, m->shares, n * sizeof(*ret));
	return m->share_cnt;
}

static int idle(void *ctx, struct be_member *m, struct be_why *why)
{
	(void)ctx;
	if (!m->is_barred)
		return -ENOMSG;
	snprintf(why->text, sizeof(why->text), "the topic %s may not be read", m->topic);
	return -EACCES;
}

static bool holds(const struct be_member *m, const struct be_partition *p)
{
	return m->slot != GROUP_NONE &&
	       group_holds(m->g->core, m->slot, p->topic->id, p->number, NULL);
}

/* Nothing is committed: auto.offset.reset says where it begins. */
static int reset_position(struct coordinator *c, struct be_member *m, struct be_partition *p,
			  int64_t start, int64_t end, int64_t *ret, struct be_why *why)
{
	struct group_offset o;

	switch (group_settings(m->g->core)->reset) {
	case GROUP_EARLIEST:
		*ret = start;
		return 0;
	case GROUP_RESET_NONE:
		*ret = start;
		snprintf(
			why->text, sizeof(why->text),
			"nothing is committed for partition %u, and auto.offset.reset is none; the "
			"next read goes on at the oldest record",
			p->number);
		return -ESTALE;
	case GROUP_LATEST:
		break;
	}
	/* Committed at once: who dies before his first commit must not make his successor begin
	 * later. */
	o = coord_commit(c, m->g, p, end);
	*ret = end;
	return coord_write_offsets(c, m->g, &o, 1);
}

static int share_position(void *ctx, struct be_member *m, struct be_partition *p,
			  int64_t *ret_offset, struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	const struct group_offset *o;
	int64_t start, end;
	int r = access_topic(m, p->topic, why);

	c->opens_left = 1;
	if (!r)
		r = coord_ends(c, p, &start, &end, why);
	if (r)
		return r;
	o = group_offset_find(m->g->core, p->topic->id, p->number);
	if (!o || o->offset < 0)
		return reset_position(c, m, p, start, end, ret_offset, why);
	*ret_offset = o->offset;
	if (o->offset >= start)
		return 0;
	*ret_offset = start;
	snprintf(why->text, sizeof(why->text),
		 "retention removed what stood behind the committed offset %lld of partition %u; "
		 "the "
		 "next read goes on at the oldest record",
		 (long long)o->offset, p->number);
	return -ESTALE;
}

/* Commits where that moves the offset forward. */
static int commit_to(struct coordinator *c, struct be_member *m, struct be_partition *p,
		     int64_t off)
{
	const struct group_offset *now = group_offset_find(m->g->core, p->topic->id, p->number);
	struct group_offset o;
	int r;

	if (now && now->offset >= off)
		return 0;
	o = coord_commit(c, m->g, p, off);
	r = coord_write_offsets(c, m->g, &o, 1);
	if (!r) {
		c->commits++;
		m->g->commits++;
	}
	return r;
}

static int given(void *ctx, struct be_member *m, struct be_partition *p, int64_t off,
		 struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	int r;

	if (!holds(m, p)) {
		snprintf(why->text, sizeof(why->text), "partition %u is another member's",
			 p->number);
		return -ESTALE;
	}
	if (group_settings(m->g->core)->commit == GROUP_ON_READ) {
		r = commit_to(c, m, p, off);
		if (r) {
			snprintf(why->text, sizeof(why->text),
				 "the commit that goes with this read failed: %s",
				 log_errno_name(r));
			return r;
		}
	}
	group_on_given(m->g->core, m->slot, p->topic->id, p->number, off);
	return 0;
}

static void dealt(void *ctx, struct be_member *m, struct be_partition *p, int64_t off)
{
	struct coordinator *c = coordinator_of(ctx);
	int r;

	if (!holds(m, p))
		return;
	if (group_settings(m->g->core)->commit == GROUP_NEXT_READ) {
		r = commit_to(c, m, p, off);
		if (r)
			LOG_AT(LOG_WARN, m->g->be.name, r, "offset %lld of %s %u is not committed",
			       (long long)off, p->topic->name, p->number);
	}
	group_on_dealt(m->g->core, m->slot, p->topic->id, p->number, off);
	if (group_is_unsettled(m->g->core))
		coord_touch(c, m->g);
}

/* Whether a letter about the record has failed since it was asked for: said once. */
static int take_failure(struct coord_group *g, const struct be_partition *p, int64_t off,
			struct be_why *why)
{
	struct letter_failed *f = &g->failed;
	int r = f->err;

	if (!r || f->partition != p->number || f->offset != off ||
	    memcmp(f->topic_id, p->topic->id, 16) != 0)
		return 0;
	f->err = 0;
	snprintf(why->text, sizeof(why->text), "the letter about offset %lld cannot be stored: %s",
		 (long long)off, log_errno_name(r));
	return r;
}

static int deliver(void *ctx, struct be_member *m, struct be_partition *p, int64_t off,
		   struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	const struct group_offset *now;
	struct group_offset o;
	char reason[128];
	int r;

	if (!holds(m, p))
		return -ESTALE;
	r = take_failure(m->g, p, off, why);
	if (r)
		return r;
	if (letter_is_under_way(c, m->g, p))
		return -EINPROGRESS;
	now = group_offset_find(m->g->core, p->topic->id, p->number);
	if (now && now->offset > off)
		return -ENOMSG;
	if (group_deliver(m->g->core, p->topic->id, p->number, off, &o)) {
		o.commit_ms = c->b->now_ms;
		return coord_write_offsets(c, m->g, &o, 1);
	}
	snprintf(reason, sizeof(reason), "delivered %u times without a commit",
		 group_deliveries(&o, off));
	r = letter_begin(c, m->g, p, off, reason, strlen(reason), 0, why);
	if (r != -EBUSY)
		return r;
	c->letters_short = true;
	return -EINPROGRESS;
}

void coord_members_backend(struct backend *ret)
{
	ret->member_open = open_stream;
	ret->member_join = write_join;
	ret->member_close = close_member;
	ret->member_begin = begin;
	ret->member_refuses = refuses;
	ret->member_waits = waits;
	ret->member_interrupted = interrupted;
	ret->member_answered = answered;
	ret->member_line = line;
	ret->member_has_line = has_line;
	ret->member_shares = shares;
	ret->member_idle = idle;
	ret->member_position = share_position;
	ret->member_deliver = deliver;
	ret->member_given = given;
	ret->member_dealt = dealt;
}

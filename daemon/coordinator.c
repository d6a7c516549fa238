#include "daemon/coordinator_impl.h"

#include "daemon/base/clock.h"
#include "daemon/base/fund.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- Which groups there are ---- */

/* The index of the first group whose name is not before `name`. */
static uint32_t position(const struct coordinator *c, const char *name)
{
	uint32_t lo = 0, hi = c->group_cnt;

	while (lo < hi) {
		uint32_t mid = (lo + hi) / 2;

		if (strcmp(c->groups[mid]->be.name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

struct coord_group *coord_find(struct coordinator *c, const char *name)
{
	uint32_t i = position(c, name);

	return i < c->group_cnt && !strcmp(c->groups[i]->be.name, name) ? c->groups[i] : NULL;
}

static struct be_group *find(void *ctx, const char *name)
{
	struct coord_group *g = coord_find(coordinator_of(ctx), name);

	return g ? &g->be : NULL;
}

static struct be_group *by_serial(void *ctx, uint64_t serial)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_group *g = serials_find(&c->by_serial, serial);

	return g ? &g->be : NULL;
}

static struct be_group *next(void *ctx, const char *after)
{
	struct coordinator *c = coordinator_of(ctx);
	uint32_t i = position(c, after);

	if (i < c->group_cnt && !strcmp(c->groups[i]->be.name, after))
		i++;
	return i < c->group_cnt ? &c->groups[i]->be : NULL;
}

static void group_free_all(struct coordinator *c, struct coord_group *g)
{
	LIST_FOREACH_SAFE(pos, tmp, &g->members)
		member_free(LIST_ENTRY(pos, struct be_member, link));
	list_remove(&g->link);
	serials_remove(&c->by_serial, g->be.serial);
	group_free(g->core);
	free(g);
}

void coord_unref(struct coordinator *c, struct coord_group *g)
{
	PRE(g->be.refs > 0);
	if (!--g->be.refs && g->be.deleted)
		group_free_all(c, g);
}

static void unref(void *ctx, struct be_group *bg)
{
	coord_unref(coordinator_of(ctx), coord_group_of(bg));
}

static void settings_of(const struct group_config *c, struct group_settings *ret)
{
	*ret = (struct group_settings){
		.strategy = (enum assign_strategy)c->strategy,
		.reset = (enum group_reset)c->auto_offset_reset,
		.commit = (enum group_commit_mode)c->commit,
		.session_timeout_ms = c->session_timeout_ms,
		.rebalance_timeout_ms = c->rebalance_timeout_ms,
		.max_poll_interval_ms = c->max_poll_interval_ms,
		.max_poll_records = c->max_poll_records,
		.max_deliveries = c->max_deliveries,
	};
}

/* Takes over what the metadata say of the group now. */
static void refresh(struct coord_group *g, const struct metadata_group *mg)
{
	struct group_settings set;
	struct group_config config;

	group_config_merge(&mg->own, &config);
	settings_of(&config, &set);
	group_set_settings(g->core, &set);
	g->be.uid = mg->uid;
	g->be.gid = mg->gid;
	g->be.mode = mg->mode;
	g->be.created_ms = mg->created_ms;
	g->be.changed_ms = MAX(mg->config_ms, mg->perms_ms);
	g->be.max_poll_records = set.max_poll_records;
	g->be.counts_deliveries = set.max_deliveries > 0;
	g->be.commits_on_read = set.commit == GROUP_ON_READ;
}

/* What the metadata say is there has to be had: without memory the process stops. */
static struct coord_group *add(struct coordinator *c, const struct metadata_group *mg)
{
	struct coord_group *g = fund_calloc(1, sizeof(*g));
	uint32_t at = position(c, mg->name);
	struct group_settings set;
	struct group_config config;

	if (c->group_cnt == c->group_cap) {
		c->group_cap = c->group_cap ? c->group_cap * 2 : 64;
		c->groups = fund_realloc(c->groups, c->group_cap, sizeof(*c->groups));
	}
	memmove(c->groups + at + 1, c->groups + at, (c->group_cnt - at) * sizeof(*c->groups));
	c->groups[at] = g;
	c->group_cnt++;
	snprintf(g->be.name, sizeof(g->be.name), "%s", mg->name);
	memcpy(g->be.id, mg->id, 16);
	g->be.serial = serials_add(&c->by_serial, g);
	group_config_merge(&mg->own, &config);
	settings_of(&config, &set);
	g->core = group_new(mg->name, mg->id, &set);
	list_init(&g->members);
	list_init(&g->link);
	g->deadline_ms = INT64_MAX;
	/* Where no record says otherwise it never had a member. */
	g->emptied_ms = mg->created_ms;
	refresh(g, mg);
	return g;
}

static void remove_group(struct coordinator *c, struct coord_group *g)
{
	uint32_t at = position(c, g->be.name);
	int r = coord_write_nulls(c, g, NULL, true);

	if (r && r != -ENOENT)
		LOG_AT(LOG_WARN, g->be.name, r,
		       "the group's offsets are removed at the next start");
	letters_forget(c, g);
	g->be.deleted = true;
	group_on_deleted(g->core);
	coord_on_events(c, g);
	if (c->b->fs)
		fs_on_group_deleted(c->b->fs, &g->be);
	list_remove(&g->link);
	memmove(c->groups + at, c->groups + at + 1, (c->group_cnt - at - 1) * sizeof(*c->groups));
	c->group_cnt--;
	if (!g->be.refs)
		group_free_all(c, g);
}

void coordinator_on_applied(struct coordinator *c, const struct metadata_result *res,
			    uint64_t token)
{
	const struct metadata_group *mg =
		metadata_find_group_id(metalog_state(c->b->meta), res->group_id);
	struct coord_group *g = res->err ? NULL : coord_find(c, res->group);
	struct be_why why = { 0 };

	snprintf(why.text, sizeof(why.text), "%s", res->sentence);
	if (!res->err && !res->repeated) {
		switch (res->kind) {
		case METADATA_GROUP_CREATE:
			add(c, mg);
			LOG_AT(LOG_INFO, res->group, 0, "group created");
			break;
		case METADATA_GROUP_DELETE:
			remove_group(c, g);
			LOG_AT(LOG_INFO, res->group, 0, "group deleted");
			break;
		case METADATA_GROUP_CONFIG:
			refresh(g, mg);
			coord_touch(c, g);
			LOG_AT(LOG_INFO, res->group, 0, "configuration changed");
			break;
		default:
			refresh(g, mg);
			break;
		}
	}
	if (token)
		fs_on_done(c->b->fs, token, res->err, &why);
}

/* ---- Changes of the metadata ---- */

static bool is_owner(const struct be_group *g, const struct be_caller *c)
{
	return !c->uid || c->uid == g->uid;
}

static int propose_group(struct coordinator *c, const char *name, const struct be_caller *caller,
			 uint32_t mode, uint64_t token, struct be_why *why)
{
	struct metadata_cmd cmd = { .kind = METADATA_GROUP_CREATE,
				    .uid = caller->uid,
				    .gid = caller->gid,
				    .mode = (uint16_t)mode };
	int r;

	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	r = disk_random(c->b->disk, cmd.group_id, 16);
	return r ? r : broker_propose(c->b, &cmd, token, why);
}

/* The internal topic, with the settings that make it what it is. */
static int propose_offsets_topic(struct coordinator *c, struct be_why *why)
{
	const struct config *conf = &c->b->options->config;
	struct metadata_cmd cmd = {
		.kind = METADATA_CREATE_INTERNAL,
		.name = OFFSETS_TOPIC,
		.partition_cnt = (uint32_t)conf->offsets_partitions,
		.uid = c->b->fs->uid,
		.gid = c->b->fs->gid,
		.mode = 0600,
		.changes = { { .setting = TOPIC_RETENTION_MS, .num = -1 },
			     { .setting = TOPIC_RETENTION_BYTES, .num = -1 },
			     { .setting = TOPIC_SEGMENT_BYTES, .num = conf->offsets_segment_bytes },
			     { .setting = TOPIC_CLEANUP_POLICY, .num = CLEANUP_COMPACT } },
		.change_cnt = 4
	};
	int r = disk_random(c->b->disk, cmd.topic_id, 16);

	return r ? r : broker_propose(c->b, &cmd, 0, why);
}

struct coord_wait *coord_wait_new(struct list *on, struct coord_group *g, enum be_group_file file,
				  const struct be_caller *caller, const char *text, size_t len,
				  uint64_t token)
{
	struct coord_wait *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->text = malloc(len + 1);
	if (!w->text) {
		free(w);
		return NULL;
	}
	memcpy(w->text, text, len);
	w->text[len] = 0;
	w->len = len;
	w->g = g;
	w->file = file;
	w->caller = *caller;
	w->token = token;
	list_put(on, &w->link);
	return w;
}

void coord_wait_free(struct coord_wait *w)
{
	list_remove(&w->link);
	coord_ahead_reset(&w->ahead);
	free(w->text);
	free(w);
}

static int create(void *ctx, const char *name, const struct be_caller *caller, uint32_t mode,
		  uint64_t token, struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct coord_wait *w;
	int r;

	if (strlen(name) > GROUP_NAME_MAX) {
		snprintf(why->text, sizeof(why->text), "a group's name has at most %d bytes",
			 GROUP_NAME_MAX);
		return -ENAMETOOLONG;
	}
	if (broker_topic_find(c->b, OFFSETS_TOPIC))
		return propose_group(c, name, caller, mode, token, why);
	/* The first group of all: its offsets need their topic. */
	w = coord_wait_new(&c->new_groups, NULL, BE_GROUP_COMMIT, caller, name, strlen(name),
			   token);
	if (!w)
		return -ENOMEM;
	w->mode = mode;
	if (c->making_offsets)
		return -EINPROGRESS;
	r = propose_offsets_topic(c, why);
	if (r == -EINPROGRESS)
		c->making_offsets = true;
	else
		coord_wait_free(w);
	return r;
}

static int delete (void *ctx, struct be_group *g, const struct be_caller *caller, uint64_t token,
		   struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct metadata_cmd cmd = { .kind = METADATA_GROUP_DELETE };

	if (!is_owner(g, caller)) {
		snprintf(why->text, sizeof(why->text), "only its owner and root delete a group");
		return -EACCES;
	}
	if (group_member_cnt(coord_group_of(g)->core)) {
		snprintf(why->text, sizeof(why->text), "the group has members (%u)",
			 group_member_cnt(coord_group_of(g)->core));
		return -EBUSY;
	}
	memcpy(cmd.group_id, g->id, 16);
	return broker_propose(c->b, &cmd, token, why);
}

static int set_config(void *ctx, struct be_group *g, const struct be_caller *caller,
		      const char *text, size_t len, uint64_t token, struct be_why *why)
{
	struct coordinator *c = coordinator_of(ctx);
	struct metadata_cmd cmd = { .kind = METADATA_GROUP_CONFIG };
	char sentence[SENTENCE_MAX] = "";
	int r;

	if (!is_owner(g, caller)) {
		snprintf(why->text, sizeof(why->text), "only its owner and root configure a group");
		return -EACCES;
	}
	r = group_config_parse(text, len, cmd.group_changes, &cmd.group_change_cnt, sentence);
	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	if (!cmd.group_change_cnt)
		return 0;
	memcpy(cmd.group_id, g->id, 16);
	return broker_propose(c->b, &cmd, token, why);
}

static int set_perm(void *ctx, struct be_group *g, const struct be_caller *caller,
		    const struct be_perm *perm, uint64_t token, struct be_why *why)
{
	struct metadata_cmd cmd = { .kind = METADATA_GROUP_PERMS,
				    .mode = (uint16_t)perm->mode,
				    .uid = perm->uid,
				    .gid = perm->gid };

	(void)caller; /* the kernel has checked that, by default_permissions */
	cmd.perms_mask =
		(uint8_t)((perm->set_mode ? METADATA_MODE : 0) |
			  (perm->set_uid ? METADATA_UID : 0) | (perm->set_gid ? METADATA_GID : 0));
	memcpy(cmd.group_id, g->id, 16);
	return broker_propose(ctx, &cmd, token, why);
}

/* ---- Topics ---- */

static void tell(struct coordinator *c, struct coord_group *g, const char *name,
		 const struct be_topic *t)
{
	static const uint8_t none[16];
	bool is_there = t && !t->deleted;
	int r = group_on_topic(g->core, name, is_there ? t->id : none, is_there ? t->part_cnt : 0);

	if (r)
		LOG_AT(LOG_WARN, g->be.name, r, "topic %s is not shared out", name);
	if (group_is_unsettled(g->core))
		coord_touch(c, g);
}

void coord_tell_topics(struct coordinator *c, struct coord_group *g)
{
	const char *name;

	while (group_topics_due(g->core, &name)) {
		struct be_topic *t;

		if (name) {
			tell(c, g, name, broker_topic_find(c->b, name));
			continue;
		}
		for (t = broker_topic_next(c->b, ""); t; t = broker_topic_next(c->b, t->name)) {
			if (!t->internal && group_wants(g->core, t->name))
				tell(c, g, t->name, t);
		}
	}
}

static void offsets_topic_made(struct coordinator *c)
{
	c->making_offsets = false;
	while (!list_is_empty(&c->new_groups)) {
		struct coord_wait *w = LIST_ENTRY(c->new_groups.next, struct coord_wait, link);
		struct be_why why = { 0 };
		int r = propose_group(c, w->text, &w->caller, w->mode, w->token, &why);
		uint64_t token = w->token;

		coord_wait_free(w);
		if (r != -EINPROGRESS)
			fs_on_done(c->b->fs, token, r, &why);
	}
}

void coord_wake(struct coordinator *c, struct coord_group *g)
{
	LIST_FOREACH_SAFE(pos, tmp, &g->members)
		fs_on_member(c->b->fs, LIST_ENTRY(pos, struct be_member, link)->owner);
}

/* Who has to wait again joins the list anew. */
void coord_retry_rejects(struct coordinator *c)
{
	struct list now;

	if (list_is_empty(&c->rejects))
		return;
	now = c->rejects;
	now.next->prev = now.prev->next = &now;
	list_init(&c->rejects);
	while (!list_is_empty(&now)) {
		struct coord_wait *w = LIST_ENTRY(now.next, struct coord_wait, link);
		struct be_why why = { 0 };
		int r = coord_write(c->b, &w->g->be, w->file, &w->caller, NULL, 0, w->text, w->len,
				    w->token, &why);
		uint64_t token = w->token;

		coord_wait_free(w);
		if (r != -EINPROGRESS)
			fs_on_done(c->b->fs, token, r, &why);
	}
}

/* Each has one turn. */
static void go_on(struct coordinator *c)
{
	struct list now;

	if (list_is_empty(&c->openers))
		return;
	now = c->openers;
	now.next->prev = now.prev->next = &now;
	list_init(&c->openers);
	while (!list_is_empty(&now)) {
		struct coord_wait *w = LIST_ENTRY(now.next, struct coord_wait, link);
		uint64_t token = w->token;
		struct be_why why = { 0 };
		int r;

		list_remove(&w->link);
		r = coord_write_again(c, w, &why);
		if (r == -EINPROGRESS)
			continue;
		coord_wait_free(w);
		fs_on_done(c->b->fs, token, r, &why);
	}
}

static void topic_gone(struct coordinator *c, struct coord_group *g, struct be_topic *t)
{
	int r = coord_write_nulls(c, g, t->id, false);
	const struct group_offset *o;

	if (r && r != -ENOENT)
		LOG_AT(LOG_WARN, g->be.name, r, "offsets of %s are removed at the next start",
		       t->name);
	/* Of most groups that is nothing, and there may be thousands of them. */
	for (uint32_t i = 0; (o = group_offset_at(g->core, i));) {
		if (memcmp(o->topic_id, t->id, 16) != 0)
			i++;
		else
			group_offset_drop(g->core, t->id, o->partition);
	}
}

void coordinator_on_topic(struct coordinator *c, struct be_topic *t)
{
	if (!strcmp(t->name, OFFSETS_TOPIC)) {
		offsets_topic_made(c);
		return;
	}
	for (uint32_t i = 0; i < c->group_cnt; i++) {
		struct coord_group *g = c->groups[i];

		if (!t->internal && group_wants(g->core, t->name)) {
			tell(c, g, t->name, t);
			access_on_topic(c, g, t);
		}
		if (t->deleted)
			topic_gone(c, g, t);
		else
			coord_wake_letters(c, g, t);
	}
	if (!t->deleted)
		coord_retry_rejects(c);
}

void coordinator_on_access(struct coordinator *c, const struct be_topic *t)
{
	for (uint32_t i = 0; i < c->group_cnt; i++)
		access_on_topic(c, c->groups[i], t);
}

void coordinator_on_topic_refused(struct coordinator *c, const struct metadata_result *res)
{
	struct be_why why = { 0 };

	snprintf(why.text, sizeof(why.text), "%s", res->sentence);
	/* Who waits for it asks again, and is told then. */
	for (uint32_t i = 0; i < c->group_cnt; i++) {
		struct coord_group *g = c->groups[i];

		if (!g->asked_for_dlq)
			continue;
		g->asked_for_dlq = false;
		coord_wake(c, g);
	}
	coord_retry_rejects(c);
	if (res->kind != METADATA_CREATE_INTERNAL)
		return;
	c->making_offsets = false;
	while (!list_is_empty(&c->new_groups)) {
		struct coord_wait *w = LIST_ENTRY(c->new_groups.next, struct coord_wait, link);
		uint64_t token = w->token;

		coord_wait_free(w);
		fs_on_done(c->b->fs, token, res->err, &why);
	}
}

/* ---- Settling ---- */

void coord_touch(struct coordinator *c, struct coord_group *g)
{
	if (list_is_empty(&g->link) && !g->be.deleted)
		list_put(&c->unsettled, &g->link);
}

int coord_settle(struct coordinator *c, struct coord_group *g)
{
	bool had_members = group_state(g->core) != GROUP_EMPTY;
	int r;

	if (g->be.deleted)
		return -ESTALE;
	coord_tell_topics(c, g);
	r = group_is_unsettled(g->core) ? group_settle(g->core, c->b->mono_us / 1000) : 0;
	if (had_members && !group_member_cnt(g->core))
		g->emptied_ms = c->b->now_ms;
	if (!r && group_is_unwritten(g->core)) {
		r = coord_write_state(c, g);
		if (!r)
			group_on_written(g->core);
	}
	if (!r)
		list_remove(&g->link);
	coord_on_events(c, g);
	g->deadline_ms = group_deadline_ms(g->core);
	if (r)
		g->deadline_ms = MIN(g->deadline_ms, c->b->mono_us / 1000 + RETRY_MS);
	c->deadline_ms = MIN(c->deadline_ms, g->deadline_ms);
	return r;
}

void coordinator_step(struct coordinator *c)
{
	/* What telling the members touches again is settled with them, unless it cannot be written.
	 */
	for (uint32_t n = 0; !list_is_empty(&c->unsettled) && n < c->group_cnt * 2 + 2; n++) {
		struct coord_group *g = LIST_ENTRY(c->unsettled.next, struct coord_group, link);
		int r;

		list_remove(&g->link);
		r = coord_settle(c, g);
		if (r)
			LOG_AT(LOG_WARN, g->be.name, r, "the group's state cannot be written");
	}
	letters_step(c);
	go_on(c);
}

bool coordinator_has_more(const struct coordinator *c)
{
	return !list_is_empty(&c->openers);
}

/* Offsets of groups that have been empty for offsets.retention.minutes. */
static void expire(struct coordinator *c, struct coord_group *g, int64_t now_ms)
{
	int64_t keep_ms = c->b->options->config.offsets_retention_minutes * 60000;
	const struct group_offset *o;
	struct be_topic *t;

	if (group_member_cnt(g->core) || now_ms - g->emptied_ms < keep_ms)
		return;
	for (uint32_t i = 0; (o = group_offset_at(g->core, i));) {
		uint8_t id[16];
		uint32_t partition = o->partition;

		t = broker_topic_by_id(c->b, o->topic_id);
		if (now_ms - o->commit_ms < keep_ms) {
			i++;
			continue;
		}
		memcpy(id, o->topic_id, 16);
		if (coord_write_null(c, g, id, partition))
			return;
		LOG_AT(LOG_INFO, g->be.name, 0, "the offset of %s %u expired",
		       t ? t->name : "a deleted topic", partition);
		group_offset_drop(g->core, id, partition);
	}
}

int64_t coordinator_tick(struct coordinator *c, int64_t now_ms, int64_t mono_ms)
{
	int64_t check_ms = c->b->options->config.offsets_retention_check_ms;

	if (mono_ms >= c->expiry_ms) {
		c->expiry_ms = clock_add(mono_ms, check_ms);
		for (uint32_t i = 0; i < c->group_cnt; i++)
			expire(c, c->groups[i], now_ms);
	}
	if (mono_ms >= c->deadline_ms) {
		c->deadline_ms = INT64_MAX;
		for (uint32_t i = 0; i < c->group_cnt; i++) {
			struct coord_group *g = c->groups[i];

			if (g->deadline_ms <= mono_ms) {
				group_tick(g->core, mono_ms);
				coord_touch(c, g);
				g->deadline_ms = group_deadline_ms(g->core);
			}
			c->deadline_ms = MIN(c->deadline_ms, g->deadline_ms);
		}
		coordinator_step(c);
	}
	return MIN(c->deadline_ms, c->expiry_ms);
}

/* ---- Begin and end ---- */

void coordinator_backend(struct backend *ret)
{
	ret->group_find = find;
	ret->group_by_serial = by_serial;
	ret->group_next = next;
	ret->group_unref = unref;
	ret->group_create = create;
	ret->group_delete = delete;
	ret->group_config = set_config;
	ret->group_perm = set_perm;
	coord_members_backend(ret);
	coord_offsets_backend(ret);
	coord_texts_backend(ret);
}

int coordinator_open(struct broker *b, bool clean, struct coordinator **ret, char *sentence)
{
	struct coordinator *c = calloc(1, sizeof(*c));
	struct metadata *md = metalog_state(b->meta);
	int r;

	if (!c)
		return -ENOMEM;
	c->b = b;
	list_init(&c->unsettled);
	list_init(&c->letters);
	list_init(&c->new_groups);
	list_init(&c->rejects);
	list_init(&c->openers);
	c->deadline_ms = INT64_MAX;
	/* Not at once: members come back after their broker. */
	c->expiry_ms = clock_add(b->mono_us / 1000, b->options->config.offsets_retention_check_ms);
	b->groups = c;
	for (uint32_t i = 0; i < metadata_group_cnt(md); i++)
		add(c, metadata_group_at(md, i));
	r = coord_load(c, clean, sentence);
	if (r) {
		coordinator_free(c);
		b->groups = NULL;
		return r;
	}
	*ret = c;
	return 0;
}

void coordinator_free(struct coordinator *c)
{
	if (!c)
		return;
	while (!list_is_empty(&c->letters))
		letter_free(c, LIST_ENTRY(c->letters.next, struct letter, link));
	while (!list_is_empty(&c->new_groups))
		coord_wait_free(LIST_ENTRY(c->new_groups.next, struct coord_wait, link));
	while (!list_is_empty(&c->rejects))
		coord_wait_free(LIST_ENTRY(c->rejects.next, struct coord_wait, link));
	while (!list_is_empty(&c->openers))
		coord_wait_free(LIST_ENTRY(c->openers.next, struct coord_wait, link));
	while (c->by_serial.cnt)
		group_free_all(c, c->by_serial.v[c->by_serial.cnt - 1].what);
	serials_fini(&c->by_serial);
	free(c->groups);
	buf_fini(&c->scratch);
	free(c->recs);
	free(c->keys);
	free(c->value_pos);
	free(c);
}

#include "daemon/broker.h"
#include "daemon/coordinator.h"

#include "daemon/base/hash.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static int64_t clock_us(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return ts.tv_sec * 1000000LL + ts.tv_nsec / 1000;
}

int64_t broker_now_ms(void)
{
	return clock_us(CLOCK_REALTIME) / 1000;
}

int64_t broker_mono_us(void)
{
	return clock_us(CLOCK_MONOTONIC);
}

void broker_clock(struct broker *b)
{
	b->now_ms = broker_now_ms();
	b->mono_us = broker_mono_us();
}

void histogram_put(struct histogram *h, int64_t us)
{
	unsigned i = us > 0 ? 64 - (unsigned)__builtin_clzll((unsigned long long)us) : 0;

	h->buckets[MIN(i, HISTOGRAM_CNT - 1U)]++;
	h->cnt++;
	h->sum_us += (uint64_t)MAX(us, 0);
}

static void note_free(struct broker_note *n)
{
	if (!n)
		return;
	list_remove(&n->link);
	free(n->path);
	free(n->sentence);
	free(n);
}

/* Without memory for it the log still has it. */
static void note_put(struct broker *b, int err, uint32_t uid, const char *path,
		     const char *sentence)
{
	struct broker_note *n = calloc(1, sizeof(*n));

	if (!n)
		return;
	*n = (struct broker_note){
		.err = err, .uid = uid, .path = strdup(path), .sentence = strdup(sentence)
	};
	list_init(&n->link);
	if (n->path && n->sentence)
		list_put(&b->notes, &n->link);
	else
		note_free(n);
}

void broker_tell(struct broker *b, int err, uint32_t uid, const char *path, const char *fmt, ...)
{
	char text[512];
	va_list args;

	va_start(args, fmt);
	vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	LOG_AT(LOG_ERROR, path, err, "%s", text);
	note_put(b, err, uid, path, text);
}

static void tell_notes(struct broker *b)
{
	LIST_FOREACH_SAFE(pos, tmp, &b->notes) {
		struct broker_note *n = LIST_ENTRY(pos, struct broker_note, link);

		fs_tell(b->fs, n->err, n->uid, n->path, n->sentence);
		note_free(n);
	}
}

static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
	struct broker *b = ctx;
	const struct metadata_topic *mt =
		metadata_find_topic_id(metalog_state(b->meta), res->topic_id);
	struct be_topic *t = broker_topic_by_id(b, res->topic_id);
	struct be_why why = { 0 };

	if (metadata_kind_is_group(res->kind)) {
		coordinator_on_applied(b->groups, res, token);
		return;
	}
	snprintf(why.text, sizeof(why.text), "%s", res->sentence);
	if (!res->err && !res->repeated) {
		switch (res->kind) {
		case METADATA_CREATE:
		case METADATA_CREATE_INTERNAL:
			t = broker_topic_add(b, mt);
			LOG_AT(LOG_INFO, res->topic, 0, "topic created, %u partitions",
			       res->partition_cnt);
			coordinator_on_topic(b->groups, t);
			break;
		case METADATA_DELETE:
			broker_topic_remove(b, t);
			LOG_AT(LOG_INFO, res->topic, 0, "topic deleted");
			break;
		case METADATA_CONFIG:
			broker_topic_refresh(b, t, mt);
			if (res->partition_cnt > res->old_partition_cnt) {
				fs_wake_list(b->fs, &t->waiting);
				coordinator_on_topic(b->groups, t);
			}
			LOG_AT(LOG_INFO, res->topic, 0, "configuration changed");
			break;
		case METADATA_PERMS:
			broker_topic_refresh(b, t, mt);
			coordinator_on_access(b->groups, t);
			break;
		case METADATA_BROKER:
			b->ready = true;
			break;
		case METADATA_NOOP:
		case METADATA_GROUP_CREATE:
		case METADATA_GROUP_DELETE:
		case METADATA_GROUP_CONFIG:
		case METADATA_GROUP_PERMS:
			break;
		}
	}
	if (res->err && (res->kind == METADATA_CREATE || res->kind == METADATA_CREATE_INTERNAL))
		coordinator_on_topic_refused(b->groups, res);
	if (token)
		fs_on_done(b->fs, token, res->err, &why);
}

int broker_propose(struct broker *b, struct metadata_cmd *cmd, uint64_t token, struct be_why *why)
{
	char sentence[SENTENCE_MAX] = "";
	int r;

	cmd->time_ms = b->now_ms;
	r = metalog_propose(b->meta, cmd, cmd->time_ms, token, sentence);
	if (why)
		snprintf(why->text, sizeof(why->text), "%s", sentence);
	return r;
}

int broker_topic_create(void *ctx, const char *name, const struct be_caller *c, uint32_t mode,
			uint64_t token, struct be_why *why)
{
	struct broker *b = ctx;
	struct metadata_cmd cmd = { .kind = METADATA_CREATE,
				    .partition_cnt = (uint32_t)b->topic_defaults.num_partitions,
				    .uid = c->uid,
				    .gid = c->gid,
				    .mode = (uint16_t)mode };
	int r;

	if (strlen(name) > TOPIC_NAME_MAX) {
		snprintf(why->text, sizeof(why->text), "a topic name has at most %d characters",
			 TOPIC_NAME_MAX);
		return -ENAMETOOLONG;
	}
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	r = disk_random(b->disk, cmd.topic_id, 16);
	return r ? r : broker_propose(b, &cmd, token, why);
}

static bool is_owner(const struct be_topic *t, const struct be_caller *c)
{
	return !c->uid || c->uid == t->uid;
}

static int refuse_internal(struct be_why *why)
{
	snprintf(why->text, sizeof(why->text),
		 "the broker keeps its own state in this topic: nobody else changes it");
	return -EPERM;
}

static int topic_delete(void *ctx, struct be_topic *t, const struct be_caller *c, uint64_t token,
			struct be_why *why)
{
	struct metadata_cmd cmd = { .kind = METADATA_DELETE };

	if (t->internal)
		return refuse_internal(why);
	if (!is_owner(t, c)) {
		snprintf(why->text, sizeof(why->text), "only its owner and root delete a topic");
		return -EACCES;
	}
	memcpy(cmd.topic_id, t->id, 16);
	return broker_propose(ctx, &cmd, token, why);
}

static int topic_set_config(void *ctx, struct be_topic *t, const struct be_caller *c,
			    const char *text, size_t len, uint64_t token, struct be_why *why)
{
	struct broker *b = ctx;
	struct metadata_cmd cmd = { .kind = METADATA_CONFIG };
	char sentence[SENTENCE_MAX] = "";
	int r;

	if (t->internal)
		return refuse_internal(why);
	if (!is_owner(t, c)) {
		snprintf(why->text, sizeof(why->text), "only its owner and root configure a topic");
		return -EACCES;
	}
	r = topic_config_parse(text, len, &b->topic_defaults, cmd.changes, &cmd.change_cnt,
			       sentence);
	if (r) {
		snprintf(why->text, sizeof(why->text), "%s", sentence);
		return r;
	}
	if (!cmd.change_cnt)
		return 0;
	memcpy(cmd.topic_id, t->id, 16);
	return broker_propose(b, &cmd, token, why);
}

static int topic_set_perm(void *ctx, struct be_topic *t, const struct be_caller *c,
			  const struct be_perm *perm, uint64_t token, struct be_why *why)
{
	struct metadata_cmd cmd = { .kind = METADATA_PERMS,
				    .mode = (uint16_t)perm->mode,
				    .uid = perm->uid,
				    .gid = perm->gid };

	(void)c; /* the kernel has checked that, by default_permissions */
	if (t->internal)
		return refuse_internal(why);
	cmd.perms_mask =
		(uint8_t)((perm->set_mode ? METADATA_MODE : 0) |
			  (perm->set_uid ? METADATA_UID : 0) | (perm->set_gid ? METADATA_GID : 0));
	memcpy(cmd.topic_id, t->id, 16);
	return broker_propose(ctx, &cmd, token, why);
}

/* One broker: it leads everything, so electing it is done, and there is nobody to move anything to.
 */
static int control_line(const struct broker *b, const char *line, struct be_why *why)
{
	char topic[TOPIC_NAME_MAX + 1] = "", part[16], rest[64] = "", more[2], self[16];
	const struct metadata_topic *mt = NULL;
	int cnt = sscanf(line, " elect %249s %63s", topic, rest);

	if (cnt > 0)
		mt = metadata_find_topic(metalog_state(b->meta), topic);
	if (cnt == 1 && (!strcmp(topic, "all") || mt))
		return 0;
	if (cnt > 0) {
		snprintf(why->text, sizeof(why->text), "elect takes a topic's name, or all");
		return cnt == 1 ? -ENOENT : -EINVAL;
	}
	cnt = sscanf(line, " reassign %249s %15[0-9] %63s %1s", topic, part, rest, more);
	if (cnt == 3) {
		mt = metadata_find_topic(metalog_state(b->meta), topic);
		if (!mt || strtoull(part, NULL, 10) >= mt->partition_cnt) {
			snprintf(why->text, sizeof(why->text), "no such partition");
			return -ENOENT;
		}
		snprintf(self, sizeof(self), "%u", b->options->node);
		if (!strcmp(rest, self))
			return 0;
	}
	snprintf(why->text, sizeof(why->text),
		 "the cluster has one broker, %u: only elect T|all and reassign T P %u can be done",
		 b->options->node, b->options->node);
	return -EINVAL;
}

static int cluster_control(void *ctx, const struct be_caller *c, const char *text, size_t len,
			   uint64_t token, struct be_why *why)
{
	struct broker *b = ctx;
	int r = 0;

	(void)token;
	if (c->uid && c->uid != b->fs->uid) {
		snprintf(why->text, sizeof(why->text), "only root steers the cluster");
		return -EACCES;
	}
	/* What can be done changes nothing, so that a bad line refuses all of the write. */
	while (!r && len) {
		const char *nl = memchr(text, '\n', len);
		size_t line_len = nl ? (size_t)(nl - text) : len;
		char line[512];

		snprintf(line, sizeof(line), "%.*s", (int)MIN(line_len, sizeof(line)), text);
		/* A longer one, or one with a NUL in it, is no command; a blank one is passed over.
		 */
		if (strlen(line) != line_len || line[strspn(line, " \t\r")])
			r = control_line(b, strlen(line) == line_len ? line : "", why);
		line_len += nl != NULL;
		text += line_len;
		len -= line_len;
	}
	return r;
}

int broker_check_append(void *ctx, struct be_partition *p, struct be_why *why)
{
	struct broker *b = ctx;
	int r;

	if (p->topic->min_insync_replicas > 1) {
		snprintf(why->text, sizeof(why->text),
			 "1 replica is in sync, and min.insync.replicas is %u",
			 p->topic->min_insync_replicas);
		return -EROFS;
	}
	r = store_check_space(b->store);
	if (r)
		snprintf(why->text, sizeof(why->text),
			 "the disk reserve is reached: retention, or room on the disk, makes it go "
			 "on");
	return r;
}

static void append_why(struct be_partition *p, int r, struct be_why *why)
{
	if (r && !*why->text)
		snprintf(why->text, sizeof(why->text), "the append failed: %s",
			 r == -EIO && *p->log->fault ? p->log->fault : log_errno_name(r));
}

/*
 * Appends are timed by the processor's own counter: two looks at the clock would be a tenth of an
 * append. How many counts make a microsecond is learned from the clock as time goes by.
 */
static uint64_t ticks(void)
{
#if defined(__x86_64__)
	return __builtin_ia32_rdtsc();
#else
	return (uint64_t)broker_mono_us();
#endif
}

static void learn_ticks(struct broker *b)
{
	uint64_t cnt = ticks() - b->ticks_start;
	int64_t us = b->mono_us - b->ticks_start_us;

	if (!b->ticks_start) {
		b->ticks_start = ticks();
		b->ticks_start_us = b->mono_us;
	} else if (us > 0) {
		b->ticks_per_us = MAX(cnt / (uint64_t)us, 1U);
	}
}

static void time_append(struct broker *b, uint64_t start)
{
	histogram_put(&b->appends, (int64_t)((ticks() - start) / MAX(b->ticks_per_us, 1U)));
}

/* No record is stamped with a time before its write began, or `date` and `0@TIME` would not agree:
 * the round's clock is too old for that. */
static int64_t stamp(struct broker *b)
{
	b->now_ms = broker_now_ms();
	return b->now_ms;
}

static int append_lines(void *ctx, struct be_partition *p, const struct iovec *iov, int iov_cnt,
			size_t len, uint32_t cnt, bool late, struct plog_appended *ret,
			struct be_why *why)
{
	struct broker *b = ctx;
	uint64_t start = ticks();
	int r = broker_check_append(ctx, p, why);

	if (!r)
		r = store_append_lines(b->store, p->log, stamp(b), iov, iov_cnt, len, cnt, late,
				       ret);
	append_why(p, r, why);
	time_append(b, start);
	return r;
}

static int append_records(void *ctx, struct be_partition *p, const struct record *recs,
			  uint32_t cnt, struct plog_appended *ret, struct be_why *why)
{
	struct broker *b = ctx;
	uint64_t start = ticks();
	int r = broker_check_append(ctx, p, why);

	if (!r)
		r = store_append_records(b->store, p->log, stamp(b), recs, cnt, NULL, ret);
	append_why(p, r, why);
	time_append(b, start);
	return r;
}

static int do_fsync(void *ctx, struct be_partition *p, uint64_t token)
{
	struct broker *b = ctx;
	int r = store_fsync(b->store, p->log, b->now_ms, token);

	if (r == -EINPROGRESS) {
		unsigned i = (unsigned)(hash_xxh3(&token, sizeof(token)) % ARRAY_CNT(b->starts));

		b->starts[i].token = token;
		b->starts[i].us = b->mono_us;
	}
	return r;
}

static int warm(void *ctx, struct plog *log, uint64_t token)
{
	struct broker *b = ctx;
	struct disk_req *req = calloc(1, sizeof(*req));
	int r;

	(void)log;
	if (!req)
		return 0;
	*req = (struct disk_req){ .op = DISK_OP_READ,
				  .fd = b->disk->cold.fd,
				  .pos = b->disk->cold.pos,
				  .len = b->disk->cold.len,
				  .owner = BROKER_OWNER,
				  .ctx = (void *)(uintptr_t)token };
	r = disk_submit(b->disk, req);
	if (!r)
		return -EINPROGRESS;
	free(req);
	return 0;
}

static void space(void *ctx, struct disk_space *ret)
{
	struct broker *b = ctx;

	if (disk_space(b->disk, ret))
		*ret = (struct disk_space){ 0 };
}

static int64_t now(void *ctx)
{
	struct broker *b = ctx;

	return b->now_ms;
}

void broker_backend(struct broker *b, struct backend *ret)
{
	*ret = (struct backend){ .ctx = b,
				 .now_ms = now,
				 .topic_find = broker_topic_find,
				 .topic_by_serial = broker_topic_by_serial,
				 .topic_next = broker_topic_next,
				 .topic_unref = broker_topic_unref,
				 .topic_create = broker_topic_create,
				 .topic_delete = topic_delete,
				 .topic_config = topic_set_config,
				 .topic_perm = topic_set_perm,
				 .cluster_control = cluster_control,
				 .open_log = broker_open_log,
				 .log_ends = broker_log_ends,
				 .check_append = broker_check_append,
				 .append_lines = append_lines,
				 .append_records = append_records,
				 .fsync = do_fsync,
				 .warm = warm,
				 .text = broker_text,
				 .space = space };
	coordinator_backend(ret);
}

static void on_synced(struct broker *b, const struct store_event *ev)
{
	unsigned i = (unsigned)(hash_xxh3(&ev->token, sizeof(ev->token)) % ARRAY_CNT(b->starts));

	if (ev->token & METALOG_TOKEN) {
		metalog_on_synced(b->meta, ev->token);
		return;
	}
	if (ev->token & COORDINATOR_TOKEN) {
		coordinator_on_synced(b->groups, ev->token);
		return;
	}
	if (b->starts[i].token == ev->token)
		histogram_put(&b->fsyncs, broker_mono_us() - b->starts[i].us);
	fs_on_done(b->fs, ev->token, 0, NULL);
}

int broker_step(struct broker *b)
{
	struct disk_req *req;
	struct store_event ev;

	if (b->fs)
		tell_notes(b);
	while ((req = disk_reap(b->disk))) {
		if (req->owner == STORE_OWNER) {
			store_on_disk(b->store, req);
		} else {
			uint64_t token = (uint64_t)(uintptr_t)req->ctx;

			/* Whether the read went well is seen when the bytes are read again. */
			free(req);
			fs_on_done(b->fs, token, 0, NULL);
		}
	}
	for (store_next_event(b->store, &ev); ev.kind != STORE_NONE;
	     store_next_event(b->store, &ev)) {
		switch (ev.kind) {
		case STORE_SYNCED:
			on_synced(b, &ev);
			break;
		/* The store has written its sentences into the log. */
		case STORE_FAILED:
			LOG_AT(LOG_ERROR, "broker", ev.err, "stops: the store failed");
			return -EIO;
		case STORE_DAMAGED:
			note_put(b, ev.err, 0, ev.file, ev.sentence);
			break;
		case STORE_SPACE:
		case STORE_CLOCK:
		case STORE_START_RAISED:
		case STORE_NONE:
			break;
		}
	}
	return 0;
}

/* Logs that nobody has used are opened bit by bit: they too have retention, and may have faults to
 * tell. */
static bool open_some(struct broker *b)
{
	int64_t share = b->mono_us - b->request_us < OPEN_QUIET_US ? OPEN_SHARE_BUSY : OPEN_SHARE;
	struct be_topic *t = serials_from(&b->topics, b->open_serial);
	struct be_why why;
	int64_t began_us;

	/* After a kill each open waits for the device: requests must not wait for thousands. */
	if (!t || b->mono_us < b->open_due_us)
		return t;
	began_us = broker_mono_us();
	for (unsigned n = 0; n < OPEN_BATCH && t; t = serials_from(&b->topics, b->open_serial)) {
		if (t->serial != b->open_serial)
			b->open_partition = 0;
		b->open_serial = t->serial;
		if (b->open_partition >= t->part_cnt) {
			b->open_serial++;
			b->open_partition = 0;
			continue;
		}
		b->disk->round++; /* the log before holds no descriptor */
		/* What fails was logged; whoever uses the partition is told again. */
		if (broker_open_log(b, t->parts[b->open_partition++], &why))
			continue;
		n++;
		if (broker_mono_us() - began_us > OPEN_SLICE_US)
			break;
	}
	b->open_due_us = began_us + share * (broker_mono_us() - began_us);
	return t;
}

int64_t broker_tick(struct broker *b)
{
	int64_t mono = b->mono_us / 1000;
	int64_t due;

	learn_ticks(b);
	store_tick(b->store, b->now_ms, mono);
	due = coordinator_tick(b->groups, b->now_ms, mono);
	if (open_some(b))
		due = MIN(due, MAX(mono + 2, b->open_due_us / 1000));
	return MIN(due, store_deadline(b->store));
}

static bool is_known(void *ctx, const uint8_t topic_id[16], uint32_t partition)
{
	struct broker *b = ctx;
	struct be_topic *t = broker_topic_by_id(b, topic_id);

	if (!memcmp(topic_id, metalog_topic_id, 16))
		return true;
	/* Metadata that say nothing at all do not say that a topic is gone. */
	if (!metadata_applied_index(metalog_state(b->meta))) {
		b->orphans++;
		return true;
	}
	return t && partition < t->part_cnt;
}

static int register_broker(struct broker *b, char *sentence)
{
	struct metadata *md = metalog_state(b->meta);
	const struct metadata_broker *self = metadata_find_broker(md, b->options->node);
	struct metadata_cmd cmd = { .kind = METADATA_BROKER, .node = b->options->node };
	int r;

	b->incarnation = self ? self->incarnation + 1 : 1;
	cmd.incarnation = b->incarnation;
	memcpy(cmd.directory_id, store_directory_id(b->store), 16);
	snprintf(cmd.rack, sizeof(cmd.rack), "%s", b->options->rack);
	cmd.time_ms = broker_now_ms();
	r = metalog_propose(b->meta, &cmd, cmd.time_ms, 0, sentence);
	if (r != -EINPROGRESS)
		return r ? r : -EINVAL;
	return 0;
}

int broker_start(struct broker *b, const struct broker_options *options, struct disk *disk,
		 struct store *store, const struct store_open_report *report, char *sentence)
{
	int r;

	*b = (struct broker){ .options = options,
			      .disk = disk,
			      .store = store,
			      .report = *report,
			      .started_ms = broker_now_ms() };
	list_init(&b->notes);
	broker_clock(b);
	config_topic_defaults(&options->config, &b->topic_defaults);
	r = metalog_open(store, on_applied, b, &b->meta, sentence);
	if (!r && *sentence)
		note_put(b, -EIO, 0, METALOG_TOPIC, sentence);
	if (!r)
		*sentence = '\0';
	if (!r)
		r = broker_topics_init(b);
	if (r)
		return r;
	r = store_sweep(store, is_known, b);
	if (!r && b->orphans) {
		snprintf(sentence, SENTENCE_MAX,
			 "the data directory has partitions, but its metadata log is empty: "
			 "restore %s-0",
			 METALOG_TOPIC);
		r = -EIO;
	}
	if (!r)
		r = register_broker(b, sentence);
	if (!r)
		r = coordinator_open(b, report->clean, &b->groups, sentence);
	if (r && !*sentence)
		snprintf(sentence, SENTENCE_MAX, "the broker cannot be registered: %s",
			 log_errno_name(r));
	return r;
}

void broker_fini(struct broker *b)
{
	/* One that was never started has no list. */
	if (b->notes.next)
		LIST_FOREACH_SAFE(pos, tmp, &b->notes)
			note_free(LIST_ENTRY(pos, struct broker_note, link));
	coordinator_free(b->groups);
	broker_topics_fini(b);
	metalog_free(b->meta);
}

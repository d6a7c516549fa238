/*
 * Calls of groups: see simworld.h. Each client is a process of its own.
 */
#include "tests/lib/simworld_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* Sleeps without anything under way, after which nothing more will come by itself. */
#define IDLE_ENOUGH 60U
#define READ_SIZE 4096U

bool world_is_group_call(const struct call *q)
{
	return q->kind >= CALL_GROUP_MKDIR;
}

static unsigned group_of(const struct call *q)
{
	return (unsigned)q->flags & 0xff;
}

static bool is_of_topic(enum call_kind kind)
{
	return kind >= CALL_COMMIT && kind <= CALL_REJECT;
}

static bool is_of_stream(enum call_kind kind)
{
	return kind == CALL_STREAM_READ || kind == CALL_JOIN_READ || kind == CALL_STREAM_CLOSE;
}

static bool is_read(enum call_kind kind)
{
	return kind == CALL_STREAM_READ || kind == CALL_JOIN_READ;
}

static bool writes_offset(enum call_kind kind)
{
	return kind >= CALL_COMMIT && kind <= CALL_COMMIT_WORDS;
}

bool world_group_is_ready(struct world *w, struct world_client *c, bool *ret_skips)
{
	const struct call *q = c->at;

	if (q->kind == CALL_GROUP_MKDIR)
		return true;
	if (is_of_stream(q->kind)) {
		*ret_skips = !c->stream.is_open;
		return c->stream.is_open;
	}
	return w->groups[group_of(q)].state >= TOPIC_THERE &&
	       (!is_of_topic(q->kind) || w->topics[q->topic].state >= TOPIC_THERE);
}

/* ---- Requests ---- */

/* The names below groups/ that lead to the call's file. */
static void path_of(const struct world *w, const struct call *q, char *ret, size_t len)
{
	const char *group = w->groups[group_of(q)].name, *topic = w->topics[q->topic].name;

	switch (q->kind) {
	case CALL_GROUP_CONFIG:
		snprintf(ret, len, "%s/config", group);
		break;
	case CALL_OFFSET:
		snprintf(ret, len, "%s/offsets/%s/%u", group, topic, q->cnt);
		break;
	case CALL_SEEK:
		snprintf(ret, len, "%s/seek", group);
		break;
	case CALL_REJECT:
		snprintf(ret, len, "%s/reject", group);
		break;
	case CALL_STREAM:
		snprintf(ret, len, "%s/topics/%s%s", group, topic, q->text);
		break;
	case CALL_JOIN:
		snprintf(ret, len, "%s/join", group);
		break;
	default:
		snprintf(ret, len, "%s/commit", group);
	}
}

/* The i-th name of a path; false: it has fewer. */
static bool name_at(const char *path, unsigned i, char *ret, size_t len)
{
	while (i-- && path) {
		path = strchr(path, '/');
		path = path ? path + 1 : NULL;
	}
	if (path)
		snprintf(ret, len, "%.*s", (int)strcspn(path, "/"), path);
	return path != NULL;
}

static unsigned name_cnt(const struct world *w, const struct call *q)
{
	char path[80], name[40];
	unsigned n = 0;

	path_of(w, q, path, sizeof(path));
	while (name_at(path, n, name, sizeof(name)))
		n++;
	return n;
}

static uint64_t send_line(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;
	const struct world_group *g = &w->groups[group_of(q)];
	struct fuse_write_in in = { .fh = c->group_fh, .flags = O_WRONLY };
	const char *topic = w->topics[q->topic].name;
	char text[200];

	if (q->kind == CALL_COMMIT_DSYNC)
		in.flags |= O_DSYNC;
	if (q->kind == CALL_GROUP_CONFIG || q->kind == CALL_JOIN)
		snprintf(text, sizeof(text), "%s", q->text);
	else if (q->kind == CALL_COMMIT_WORDS)
		snprintf(text, sizeof(text), "member=%s generation=%llu %s %u %u\n",
			 *g->member ? g->member : "none", (unsigned long long)g->line_generation,
			 topic, q->cnt, q->len);
	else if (q->kind == CALL_OFFSET)
		snprintf(text, sizeof(text), "%u\n", q->len);
	else
		snprintf(text, sizeof(text), "%s %u %u%s\n", topic, q->cnt, q->len,
			 q->kind == CALL_REJECT ? " it is bad" : "");
	in.size = (uint32_t)strlen(text);
	return simmount_send(&w->m, FUSE_WRITE, c->group_file, &in, sizeof(in), text, in.size);
}

static uint64_t send_end(struct world *w, uint64_t file, uint64_t fh, bool flush)
{
	struct fuse_release_in rel = { .fh = fh };
	struct fuse_flush_in in = { .fh = fh };
	struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t unique;

	if (flush)
		return simmount_send(&w->m, FUSE_FLUSH, file, &in, sizeof(in), "", 0);
	unique = simmount_send(&w->m, FUSE_RELEASE, file, &rel, sizeof(rel), "", 0);
	simmount_send(&w->m, FUSE_FORGET, file, &forget, sizeof(forget), "", 0);
	return unique;
}

/* Looks up, opens, and where it is no stream writes, syncs and closes. */
static uint64_t send_file(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;
	struct fuse_open_in in = { .flags = q->kind == CALL_STREAM ? O_RDONLY
					    : q->kind == CALL_JOIN ? O_RDWR
								   : O_WRONLY };
	struct fuse_fsync_in sync = { .fh = c->group_fh };
	unsigned names = name_cnt(w, q);
	char path[80], name[40];

	if (c->step < names) {
		path_of(w, q, path, sizeof(path));
		(void)name_at(path, c->step, name, sizeof(name));
		return simmount_send(&w->m, FUSE_LOOKUP, c->step ? c->dir : (uint64_t)NODE_GROUPS,
				     name, strlen(name) + 1, "", 0);
	}
	switch (c->step - names) {
	case 0:
		return simmount_send(&w->m, FUSE_OPEN, c->group_file, &in, sizeof(in), "", 0);
	case 1:
		return send_line(w, c);
	case 2:
		memset(c->commit_cover, -1, sizeof(c->commit_cover));
		for (unsigned k = 0; k < WORLD_TOPICS; k++)
			for (unsigned i = 0; i < WORLD_PARTS; i++)
				if (w->groups[group_of(q)].commits[k][i].is_there)
					c->commit_cover[k][i] =
						w->groups[group_of(q)].commits[k][i].offset;
		return simmount_send(&w->m, FUSE_FSYNC, c->group_file, &sync, sizeof(sync), "", 0);
	default:
		return send_end(w, c->group_file, c->group_fh, c->step - names == 3);
	}
}

static uint64_t send_read(struct world *w, struct world_client *c)
{
	struct world_stream *s = &c->stream;
	struct fuse_read_in in = { .fh = s->fh, .size = READ_SIZE };
	const struct world_group *g = &w->groups[s->group];

	if (c->at->len && s->dealt < s->cnt)
		s->pos = s->ends[s->dealt];
	/* A read says that what ends before it has been dealt with. */
	for (; s->dealt < s->cnt && s->ends[s->dealt] <= s->pos; s->dealt++)
		w->groups[s->group].dealt[s->ids[s->dealt]] |= !g->manual;
	in.offset = s->pos;
	return simmount_send(&w->m, FUSE_READ, s->file, &in, sizeof(in), "", 0);
}

uint64_t world_group_send(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;
	struct world_group *g = &w->groups[group_of(q)];
	struct fuse_mkdir_in in = { .mode = 0755 };

	switch (q->kind) {
	case CALL_GROUP_MKDIR:
		g->state = TOPIC_ASKED;
		return simmount_send(&w->m, FUSE_MKDIR, NODE_GROUPS, &in, sizeof(in), g->name,
				     strlen(g->name) + 1);
	case CALL_GROUP_RMDIR:
		g->state = TOPIC_DYING;
		return simmount_send(&w->m, FUSE_RMDIR, NODE_GROUPS, g->name, strlen(g->name) + 1,
				     "", 0);
	case CALL_STREAM_READ:
	case CALL_JOIN_READ:
		return send_read(w, c);
	case CALL_STREAM_CLOSE:
		if (c->step)
			c->stream.is_open = false;
		return send_end(w, c->stream.file, c->stream.fh, !c->step);
	default:
		return send_file(w, c);
	}
}

/* Everything before off has been dealt with, as somebody says. */
static void deal(struct world *w, const struct call *q, int64_t off)
{
	const struct world_part *p = &w->topics[q->topic].parts[q->cnt];

	for (int64_t at = 0; at < MIN(off, p->cnt); at++)
		w->groups[group_of(q)].dealt[p->ids[at]] = 1;
}

void world_group_sent(struct world *w, struct world_client *c, int err)
{
	const struct call *q = c->at;
	struct world_group *g = &w->groups[group_of(q)];
	const struct world_part *p = &w->topics[q->topic].parts[q->cnt % WORLD_PARTS];
	struct world_commit *o = &g->commits[q->topic][q->cnt % WORLD_PARTS];
	bool is_line = is_of_topic(q->kind) && c->step == name_cnt(w, q) + 1;

	if (q->kind == CALL_GROUP_CONFIG)
		g->may_on_read |= strstr(q->text, "commit=on-read") != NULL;
	if (q->kind == CALL_GROUP_CONFIG && q->cnt)
		g->max_asked = g->max_asked ? MIN(g->max_asked, q->cnt) : q->cnt;
	/* What was refused at once has done nothing. */
	if (!is_line || (err && err != -EINPROGRESS && !simdisk_is_stopped(w->sim)))
		return;
	deal(w, q, q->len);
	if (q->kind == CALL_REJECT && q->len < p->cnt && !g->rejected[p->ids[q->len]])
		g->rejected[p->ids[q->len]] = REJECT_ASKED;
	if (writes_offset(q->kind) && o->is_there && q->len < o->offset)
		o->back = q->len;
}

void world_group_interrupt(struct world *w)
{
	if (w->m.idle < IDLE_ENOUGH || simdisk_has_pending(w->sim))
		return;
	for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
		struct world_client *c = &w->clients[i];
		struct fuse_interrupt_in in = { .unique = c->unique };

		if (!c->unique || !is_read(c->at->kind) || c->stream.is_interrupted)
			continue;
		c->stream.is_interrupted = true;
		simmount_send(&w->m, FUSE_INTERRUPT, 0, &in, sizeof(in), "", 0);
		return;
	}
}

/* ---- Answers ---- */

bool world_group_expects(const struct world *w, const struct world_client *c, int err)
{
	const struct call *q = c->at;
	bool ruled = err == -ESTALE || err == -EBUSY || err == -EINVAL || err == -ENOENT;

	if (!world_is_group_call(q))
		return false;
	if (is_read(q->kind) && err == -EINTR && c->stream.is_interrupted)
		return true;
	return ruled && (w->may_fail || q->flags & CALL_MAY_REFUSE);
}

bool world_group_may_refuse(const struct world_client *c, int err)
{
	return world_is_group_call(c->at) && (err == -EINTR || c->at->flags & CALL_MAY_REFUSE);
}

/* A record was read that the stream had not been given yet. */
static void take_record(struct world *w, struct world_client *c, uint32_t id, uint64_t end)
{
	struct world_stream *s = &c->stream;
	struct world_group *g = &w->groups[s->group];
	const struct world_commit *o;
	unsigned k, i;
	int64_t off;

	if (!world_find_record(w, id, &k, &i, &off) ||
	    strcmp(w->topics[k].name, w->topics[s->topic].name) != 0)
		world_fail(w, "group %u was given record %u, which nobody wrote", s->group, id);
	assert_true(s->cnt < WORLD_GIVEN);
	s->ids[s->cnt] = id;
	s->ends[s->cnt++] = end;
	g->given[id]++;
	g->counted[id]++;
	/* What a read gives is committed before it is given. */
	if (g->on_read && g->counted[id] > 1)
		world_fail(w, "group %u commits on-read and was given record %u again", s->group,
			   id);
	o = &g->commits[k][i];
	if (!g->max_deliveries)
		return;
	/* Where a commit failed, a later delivery has taken the place of this one. */
	if (!o->is_there || o->delivered_off != off || !o->delivered_cnt ||
	    (!w->may_fail && o->delivered_cnt < g->counted[id]))
		world_fail(w,
			   "group %u was given record %u, topic %u partition %u offset %lld, %u "
			   "times; counted: %u of offset %lld",
			   s->group, id, k, i, (long long)off, g->counted[id], o->delivered_cnt,
			   (long long)o->delivered_off);
}

/* Whole records, the first perhaps for a second time. */
static void take_text(struct world *w, struct world_client *c, const char *text, size_t len)
{
	struct world_stream *s = &c->stream;
	const char *end = text + len, *line = text;
	static char want[VALUE_MAX];

	while (line < end) {
		const char *nl = memchr(line, '\n', (size_t)(end - line));
		const char *json = *line == '{' ? strstr(line, "\"value\":\"r") : NULL;
		const char *value = json ? json + strlen("\"value\":\"") : line;
		uint32_t id = *value == 'r' ? (uint32_t)strtoul(value + 1, NULL, 10) : 0;
		size_t n;

		if (!nl || !id || id >= WORLD_RECORDS)
			world_fail(w, "group %u was given no record: %.60s", s->group, line);
		n = world_value(id, want);
		if ((!json && n != (size_t)(nl - line)) || memcmp(want, value, n) != 0)
			world_fail(w, "group %u was given %.60s, not %.60s", s->group, line, want);
		s->pos += (uint64_t)(nl + 1 - line);
		line = nl + 1;
		if (!s->cnt || s->pos > s->ends[s->cnt - 1])
			take_record(w, c, id, s->pos);
	}
}

static void take_line(struct world *w, struct world_client *c, int err)
{
	const struct call *q = c->at;
	struct world_group *g = &w->groups[group_of(q)];
	const struct world_part *p = &w->topics[q->topic].parts[q->cnt % WORLD_PARTS];
	struct world_commit *o = &g->commits[q->topic][q->cnt % WORLD_PARTS];

	if (q->kind == CALL_GROUP_CONFIG && !err) {
		g->max_deliveries = q->cnt;
		g->on_read = strstr(q->text, "commit=on-read");
		/* What was given before may be given again. */
		if (g->on_read)
			memset(g->counted, 0, sizeof(g->counted));
		g->manual = strstr(q->text, "commit=manual");
	}
	if (err || q->kind == CALL_GROUP_CONFIG || q->kind == CALL_JOIN)
		return;
	if (q->kind == CALL_COMMIT_WORDS && (g->is_line_old || g->line_generation != g->generation))
		world_fail(w,
			   "group %u: a commit of generation %llu was taken in %llu, of a line "
			   "from %s",
			   group_of(q), (unsigned long long)g->line_generation,
			   (unsigned long long)g->generation,
			   g->is_line_old ? "before a stop" : "this life");
	if (q->kind == CALL_REJECT) {
		assert_true(q->len < p->cnt);
		g->rejected[p->ids[q->len]] = REJECT_ANSWERED;
	}
	g->line_commits += q->kind == CALL_COMMIT_WORDS;
	o->back = -1;
	/* What moved it back may be what a power loss keeps. */
	if (writes_offset(q->kind))
		o->synced = q->kind == CALL_COMMIT_DSYNC ? q->len : MIN(o->synced, (int64_t)q->len);
	if (w->topics[q->topic].state == TOPIC_THERE && (!o->is_there || o->offset < q->len))
		world_fail(w, "group %u: %u was committed, and is not there", group_of(q), q->len);
}

/* True: the call has another request. */
static bool take_file(struct world *w, struct world_client *c, int err, const uint8_t *data)
{
	const struct fuse_entry_out *e = (const void *)data;
	unsigned names = name_cnt(w, c->at), at = c->step;
	struct world_group *g = &w->groups[group_of(c->at)];

	if (at <= names && err)
		return false;
	c->step++;
	if (at < names) {
		c->dir = c->group_file = e->nodeid;
	} else if (at == names) {
		c->group_fh = ((const struct fuse_open_out *)(const void *)data)->fh;
		if (c->at->kind != CALL_STREAM && c->at->kind != CALL_JOIN)
			return true;
		c->stream = (struct world_stream){ .is_open = true,
						   .group = group_of(c->at),
						   .topic = c->at->topic,
						   .file = c->group_file,
						   .fh = c->group_fh };
		return c->at->kind == CALL_JOIN;
	} else if (at == names + 1) {
		take_line(w, c, err);
		if (c->at->kind == CALL_JOIN)
			return false;
		if (c->at->kind != CALL_COMMIT_FSYNC)
			c->step++;
	} else if (at == names + 2 && !err) {
		for (unsigned k = 0; k < WORLD_TOPICS; k++)
			for (unsigned i = 0; i < WORLD_PARTS; i++)
				g->commits[k][i].synced = c->commit_cover[k][i];
	}
	return at < names + 4;
}

static void take_change(struct world *w, struct world_client *c, int err)
{
	unsigned k = group_of(c->at);
	struct world_group *g = &w->groups[k];

	if (err == -ENOTCONN)
		return;
	if (c->at->kind == CALL_GROUP_RMDIR) {
		g->state = err ? TOPIC_THERE : TOPIC_GONE;
		return;
	}
	g->state = err ? TOPIC_NONE : TOPIC_THERE;
	if (!err)
		world_kept_made(w, k);
}

/* A line of `join`: what commits may name from now on. */
static void take_generation(struct world *w, const struct world_client *c, const char *text,
			    size_t len)
{
	struct world_group *g = &w->groups[c->stream.group];
	char line[512], *at;

	snprintf(line, sizeof(line), "%.*s", (int)len, text);
	at = strstr(line, "\"member\":\"");
	if (!at || sscanf(at, "\"member\":\"%23[^\"]\"", g->member) != 1)
		world_fail(w, "group %u: no line: %s", c->stream.group, line);
	at = strstr(line, "\"generation\":");
	assert_non_null(at);
	g->line_generation = strtoull(at + strlen("\"generation\":"), NULL, 10);
	g->is_line_old = false;
}

bool world_group_take(struct world *w, struct world_client *c, int err, const uint8_t *data,
		      size_t len, bool *ret_skips)
{
	switch (c->at->kind) {
	case CALL_GROUP_MKDIR:
	case CALL_GROUP_RMDIR:
		take_change(w, c, err);
		return false;
	case CALL_STREAM_READ:
		c->stream.is_interrupted = false;
		if (!err)
			take_text(w, c, (const char *)data, len);
		return false;
	case CALL_JOIN_READ:
		c->stream.is_interrupted = false;
		if (!err)
			take_generation(w, c, (const char *)data, len);
		return false;
	case CALL_STREAM_CLOSE:
		return !c->step++;
	case CALL_STREAM:
	case CALL_JOIN:
		*ret_skips = err && !c->stream.is_open;
		return take_file(w, c, err, data);
	default:
		return take_file(w, c, err, data);
	}
}

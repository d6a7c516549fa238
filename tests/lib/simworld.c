#include "tests/lib/simworld_impl.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define TEXT_MAX (1024 * 1024)

void world_fail(const struct world *w, const char *fmt, ...)
{
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fail_msg("case %llu: %s", (unsigned long long)w->label, text);
}

/* ---- Values ---- */

static unsigned more_len[1 << 16]; /* of each id: what its call asked for */

size_t world_value(uint32_t id, char *buf)
{
	size_t n = (size_t)sprintf(buf, "r%u-", id);
	size_t more = id * 37 % 97 + more_len[id % ARRAY_CNT(more_len)];

	memset(buf + n, 'a' + (int)(id % 26), more);
	return n + more;
}

static size_t put_text(char *buf, const struct planned *p, bool json)
{
	size_t n = 0;

	if (!json)
		return world_value(p->id, buf);
	if (p->id % 2)
		n = (size_t)sprintf(buf, "{\"partition\":%d,\"value\":\"", p->part);
	else
		n = (size_t)sprintf(buf, "{\"key\":\"k%u\",\"value\":\"", p->id % 5);
	n += world_value(p->id, buf + n);
	return n + (size_t)sprintf(buf + n, "\"}");
}

static struct be_topic *find(struct world *w, const struct world_topic *t)
{
	struct be_topic *bt = w->m.fs->be.topic_find(w->m.fs->be.ctx, t->name);

	return bt && !memcmp(bt->id, t->id, 16) ? bt : NULL;
}

static bool is_json(const struct world_client *c)
{
	return strstr(c->name, ".json") != NULL;
}

static struct planned plan_one(struct world *w, const struct world_client *c, unsigned more)
{
	struct planned p = { .id = ++w->next_id, .topic = c->topic, .part = -1 };
	char key[16];

	more_len[p.id % ARRAY_CNT(more_len)] = more;
	if (c->name[0] != 'a') {
		p.part = c->name[0] - '0';
	} else if (is_json(c)) {
		struct be_topic *t = find(w, &w->topics[c->topic]);

		snprintf(key, sizeof(key), "k%u", p.id % 5);
		p.part = (int)(p.id % w->topics[c->topic].now.part_cnt);
		if (p.id % 2 == 0 && t)
			p.part = (int)partition_of_key(t, key, strlen(key), "", 0);
	}
	return p;
}

static void plan_put(struct world *w, struct planned p)
{
	assert_true(w->plan_cnt < WORLD_PLAN);
	w->plan[w->plan_cnt++] = p;
}

/* ---- What was appended ---- */

/* The records of the plan that go to this partition, where it has grown by as many. */
void world_grow(struct world *w, unsigned k, unsigned part, int64_t by)
{
	struct world_part *p = &w->topics[k].parts[part];
	int64_t want = by;

	w->next_batch++;
	for (unsigned i = 0; i < w->plan_cnt && by; i++) {
		struct planned *q = &w->plan[i];

		if (!q->id || q->topic != k || (q->part != -1 && q->part != (int)part))
			continue;
		assert_true(p->cnt < WORLD_RECORDS);
		p->ids[p->cnt] = q->id;
		p->batches[p->cnt++] = w->next_batch;
		q->id = 0;
		w->grown++;
		by--;
	}
	if (by)
		world_fail(w, "topic %u partition %u has %lld records that nobody wrote, of %lld",
			   k, part, (long long)by, (long long)want);
}

static void observe(struct world *w)
{
	struct broker *b = w->m.fs->be.ctx;

	w->grown = 0;
	for (unsigned k = 0; k < WORLD_TOPICS; k++) {
		struct world_topic *t = &w->topics[k];
		struct be_topic *bt = t->state == TOPIC_THERE ? find(w, t) : NULL;

		for (uint32_t i = 0; bt && i < bt->part_cnt && i < WORLD_PARTS; i++) {
			struct plog *log = bt->parts[i]->log;

			if (!log)
				continue;
			if (log->next_offset > t->parts[i].cnt)
				world_grow(w, k, i, log->next_offset - t->parts[i].cnt);
			t->parts[i].start = MAX(t->parts[i].start, log->start_offset);
		}
	}
	world_kept_observe(w);
	store_stats(b->store, &w->stats);
	w->most_used = MAX(w->most_used, w->stats.journal_used);
}

static void ack(struct world *w, const struct world_client *c)
{
	for (unsigned i = 0; i < WORLD_PARTS; i++) {
		struct world_part *p = &w->topics[c->topic].parts[i];

		if (c->name[0] == 'a' || c->name[0] == (char)('0' + i))
			p->acked = MAX(p->acked, MIN(c->cover[i], p->cnt));
	}
}

/* ---- Requests ---- */

static uint64_t topic_node(struct world *w, unsigned k)
{
	struct be_topic *t = find(w, &w->topics[k]);

	return t ? node_dir_id(NODE_TOPIC, t->serial) : NODE_TOPICS;
}

static uint64_t send_mkdir(struct world *w, const struct call *q)
{
	struct fuse_mkdir_in in = { .mode = 0755 };
	struct world_topic *t = &w->topics[q->topic];

	t->state = TOPIC_ASKED;
	return simmount_send(&w->m, FUSE_MKDIR, NODE_TOPICS, &in, sizeof(in), t->name,
			     strlen(t->name) + 1);
}

static uint64_t send_chmod(struct world *w, const struct call *q)
{
	struct fuse_setattr_in in = { .valid = FATTR_MODE, .mode = S_IFDIR | q->cnt };
	struct world_topic *t = &w->topics[q->topic];

	t->asked = t->now;
	t->asked.mode = q->cnt;
	t->has_asked = true;
	return simmount_send(&w->m, FUSE_SETATTR, topic_node(w, q->topic), &in, sizeof(in), "", 0);
}

static uint64_t send_write(struct world *w, const struct world_client *c, const char *text,
			   size_t len)
{
	struct fuse_write_in in = { .fh = c->fh, .size = (uint32_t)len };

	in.flags = O_WRONLY | (c->is_sync ? O_DSYNC : 0);
	return simmount_send(&w->m, FUSE_WRITE, c->file, &in, sizeof(in), text, len);
}

static uint64_t send_config(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;
	struct world_topic *t = &w->topics[q->topic];
	char text[200];
	int len = snprintf(text, sizeof(text), "num.partitions=%u\nmax.message.bytes=%u\n%s",
			   q->cnt, q->len, q->text ? q->text : "");

	t->asked = (struct world_state){ q->cnt, q->len, t->now.mode };
	t->has_asked = true;
	return send_write(w, c, text, (size_t)len);
}

/* The newline of a kept line comes first. */
static uint64_t send_records(struct world *w, struct world_client *c)
{
	static char text[TEXT_MAX];
	bool is_msg = strstr(c->name, ".msg") != NULL;
	size_t len = 0;
	uint64_t unique;

	c->sent = c->at->cnt + (c->tail.id != 0);
	if (c->tail.id) {
		text[len++] = '\n';
		plan_put(w, c->tail);
	}
	for (unsigned i = 0; i < c->at->cnt; i++) {
		struct planned p = plan_one(w, c, c->at->len);

		len += put_text(text + len, &p, is_json(c));
		assert_true(len < TEXT_MAX - VALUE_MAX);
		if (!is_msg)
			text[len++] = '\n';
		plan_put(w, p);
	}
	unique = send_write(w, c, text, len);
	return unique;
}

static uint64_t send_tail(struct world *w, struct world_client *c)
{
	char text[1024];
	size_t len = 0;

	c->old_tail = c->tail;
	if (c->tail.id) {
		text[len++] = '\n';
		plan_put(w, c->tail);
	}
	c->tail = plan_one(w, c, 0);
	len += put_text(text + len, &c->tail, is_json(c));
	return send_write(w, c, text, len);
}

static uint64_t send_lookup(struct world *w, uint64_t node, const char *name)
{
	return simmount_send(&w->m, FUSE_LOOKUP, node, name, strlen(name) + 1, "", 0);
}

static uint64_t send_open(struct world *w, struct world_client *c, const char *name, int flags)
{
	struct fuse_open_in in = { .flags = (uint32_t)flags };

	if (c->step == 0)
		return send_lookup(w, NODE_TOPICS, w->topics[c->at->topic].name);
	if (c->step == 1)
		return send_lookup(w, c->node, name);
	return simmount_send(&w->m, FUSE_OPEN, c->file, &in, sizeof(in), "", 0);
}

static uint64_t send_end(struct world *w, struct world_client *c, bool flush)
{
	struct fuse_release_in rel = { .fh = c->fh };
	struct fuse_flush_in in = { .fh = c->fh };
	struct fuse_forget_in forget = { .nlookup = 1 };
	uint64_t unique;

	if (flush)
		return simmount_send(&w->m, FUSE_FLUSH, c->file, &in, sizeof(in), "", 0);
	if (c->tail.id && !c->tail_refused)
		plan_put(w, c->tail);
	c->tail.id = 0;
	c->tail_refused = false;
	c->is_open = false;
	unique = simmount_send(&w->m, FUSE_RELEASE, c->file, &rel, sizeof(rel), "", 0);
	simmount_send(&w->m, FUSE_FORGET, c->file, &forget, sizeof(forget), "", 0);
	return unique;
}

/* The request that the program makes next; 0: none. */
static uint64_t send(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;
	struct fuse_fsync_in sync = { .fh = c->fh };
	struct fuse_setattr_in cut = { .valid = FATTR_SIZE };
	struct fuse_read_in rd = { .fh = c->fh, .size = 4096 };
	struct world_topic *t = &w->topics[q->topic];

	if (world_is_group_call(q))
		return world_group_send(w, c);
	switch (q->kind) {
	case CALL_MKDIR:
		return send_mkdir(w, q);
	case CALL_RMDIR:
		t->state = TOPIC_DYING;
		return simmount_send(&w->m, FUSE_RMDIR, NODE_TOPICS, t->name, strlen(t->name) + 1,
				     "", 0);
	case CALL_CONFIG:
		if (c->step < 3)
			return send_open(w, c, "config", O_WRONLY);
		return c->step == 3 ? send_config(w, c) : send_end(w, c, c->step == 4);
	case CALL_CHMOD:
		return send_chmod(w, q);
	case CALL_OPEN:
		return send_open(w, c, q->text, strchr(q->text, '@') ? O_RDONLY : O_WRONLY);
	case CALL_WRITE:
		return send_records(w, c);
	case CALL_TAIL:
		return send_tail(w, c);
	case CALL_FSYNC:
		if (c->tail.id)
			plan_put(w, c->tail);
		return simmount_send(&w->m, FUSE_FSYNC, c->file, &sync, sizeof(sync), "", 0);
	case CALL_TRUNCATE:
		return simmount_send(&w->m, FUSE_SETATTR, c->file, &cut, sizeof(cut), "", 0);
	case CALL_READ:
		return simmount_send(&w->m, FUSE_READ, c->file, &rd, sizeof(rd), "", 0);
	case CALL_CLOSE:
		return send_end(w, c, !c->step);
	default:
		return 0;
	}
}

/* ---- Answers ---- */

static bool is_expected(const struct world *w, const struct call *q, int err)
{
	/* A partition that holds nothing may have no directory. */
	if (w->full && err == -ENOSPC)
		return q->kind == CALL_OPEN ? !w->topics[q->topic].parts[q->text[0] - '0'].cnt
					    : q->kind != CALL_READ;
	return w->may_fail && (err == w->may_fail || err == -EIO || err == -EHOSTUNREACH ||
			       err == -ENOTCONN || err == -ENOENT || err == -EEXIST);
}

static void answered(void *ctx, uint64_t unique, int err, const void *data, size_t len)
{
	struct world *w = ctx;

	if (unique == 1)
		return; /* FUSE_INIT */
	assert_true(w->got_cnt < WORLD_CLIENTS);
	w->got[w->got_cnt].unique = unique;
	w->got[w->got_cnt].err = err;
	w->got[w->got_cnt].len = MIN(len, sizeof(w->got[0].data));
	memcpy(w->got[w->got_cnt].data, data, w->got[w->got_cnt].len);
	w->got_cnt++;
}

/* What was read are records of this partition that follow each other. */
static void check_read(struct world *w, const struct world_client *c, const char *text, size_t len)
{
	const struct world_part *p = &w->topics[c->topic].parts[c->name[0] - '0'];
	static char want[VALUE_MAX];
	int64_t at = p->start;
	size_t pos = 0;

	while (pos < len && at < p->cnt) {
		size_t n = world_value(p->ids[at++], want), have;

		want[n++] = '\n';
		have = MIN(n, len - pos);
		/* The first may be one that retention has removed meanwhile, or a later one. */
		if (!pos && memcmp(want, text, have) != 0)
			continue;
		if (memcmp(want, text + pos, have) != 0)
			world_fail(w, "topic %u partition %s: %.60s was read, not %.60s", c->topic,
				   c->name, text + pos, want);
		pos += have;
	}
	if (pos < len)
		world_fail(w, "topic %u partition %s: bytes were read that nobody wrote", c->topic,
			   c->name);
}

static void done_change(struct world *w, struct world_client *c, int err)
{
	struct world_topic *t = &w->topics[c->at->topic];
	struct be_topic *bt;

	switch (c->at->kind) {
	case CALL_MKDIR:
		if (!err) {
			bt = w->m.fs->be.topic_find(w->m.fs->be.ctx, t->name);
			assert_non_null(bt);
			memcpy(t->id, bt->id, 16);
			t->now = (struct world_state){ bt->part_cnt, bt->max_message_bytes,
						       bt->mode };
		}
		if (err != -ENOTCONN)
			t->state = err ? TOPIC_NONE : TOPIC_THERE;
		break;
	case CALL_RMDIR:
		if (err != -ENOTCONN)
			t->state = err ? TOPIC_THERE : TOPIC_GONE;
		break;
	default:
		if (!err)
			t->now = t->asked;
		if (err != -ENOTCONN)
			t->has_asked = false;
	}
}

static void done_write(struct world *w, struct world_client *c, int err)
{
	c->tail_refused = err && c->tail.id;
	if (err)
		return;
	c->tail.id = 0;
	if (c->is_sync)
		ack(w, c);
}

/* The next call; where a file could not be opened, the one behind its close. */
static void go_on(struct world_client *c, bool skips)
{
	enum call_kind close = world_is_group_call(c->at) ? CALL_STREAM_CLOSE : CALL_CLOSE;

	c->step = 0;
	while (skips && c->at->kind != close && c->at->kind != CALL_END)
		c->at++;
	if (c->at->kind != CALL_END)
		c->at++;
}

/* True: the call has another request. */
static bool take_open(struct world_client *c, int err, const uint8_t *data)
{
	const struct fuse_entry_out *e = (const void *)data;

	if (err)
		return false;
	if (c->step == 0)
		c->node = e->nodeid;
	else if (c->step == 1)
		c->file = e->nodeid;
	else
		c->fh = ((const struct fuse_open_out *)(const void *)data)->fh;
	c->is_open = c->step == 2;
	return ++c->step < 3;
}

static void take(struct world *w, struct world_client *c, int err, const uint8_t *data, size_t len)
{
	const struct call *q = c->at;
	bool skips = false;

	c->unique = 0;
	if (err && !is_expected(w, q, err) && !world_group_expects(w, c, err))
		world_fail(w, "call %d of topic %u was answered with %s", (int)q->kind, q->topic,
			   strerror(-err));
	/* The close of a line that was refused says it again. */
	if (err && !(q->kind == CALL_CLOSE && c->tail_refused)) {
		w->refused += !world_group_may_refuse(c, err);
		w->met += err == w->may_fail;
	}
	if (world_is_group_call(q)) {
		if (!world_group_take(w, c, err, data, len, &skips))
			go_on(c, skips);
		return;
	}
	switch (q->kind) {
	case CALL_CONFIG:
		if (c->step < 3 && (take_open(c, err, data) || !err))
			return;
		if (c->step == 3)
			done_change(w, c, err);
		if (c->step == 3 || c->step == 4) {
			c->step++;
			return;
		}
		break;
	case CALL_OPEN:
		if (take_open(c, err, data))
			return;
		c->topic = q->topic;
		c->is_sync = q->flags;
		snprintf(c->name, sizeof(c->name), "%s", q->text);
		skips = err != 0;
		break;
	case CALL_WRITE:
		done_write(w, c, err);
		break;
	case CALL_FSYNC:
		if (!err) {
			c->tail.id = 0;
			c->tail_refused = false;
			ack(w, c);
		}
		break;
	case CALL_READ:
		if (!err)
			check_read(w, c, (const char *)data, len);
		break;
	case CALL_CLOSE:
		if (!c->step++)
			return;
		break;
	case CALL_TAIL:
		if (err)
			c->tail = c->old_tail;
		c->tail_refused = err && c->tail.id;
		break;
	case CALL_MKDIR:
	case CALL_RMDIR:
	case CALL_CHMOD:
		done_change(w, c, err);
		break;
	default:
		break;
	}
	go_on(c, skips);
}

static void take_all(struct world *w)
{
	for (unsigned i = 0; i < w->got_cnt; i++) {
		for (unsigned k = 0; k < WORLD_CLIENTS; k++) {
			struct world_client *c = &w->clients[k];

			if (c->unique && c->unique == w->got[i].unique)
				take(w, c, w->got[i].err, w->got[i].data, w->got[i].len);
		}
	}
	w->got_cnt = 0;
}

/* ---- Turns ---- */

static bool is_ready(struct world *w, struct world_client *c)
{
	const struct call *q = c->at;

	bool skips = false;

	if (!q || c->unique || q->kind == CALL_END)
		return false;
	if (world_is_group_call(q)) {
		if (world_group_is_ready(w, c, &skips))
			return true;
		if (skips || w->stuck)
			go_on(c, q->kind == CALL_STREAM);
		return false;
	}
	if (q->kind == CALL_PAUSE) {
		if (!c->until_ms)
			c->until_ms = w->m.now_us / 1000 + q->cnt;
		if (w->m.now_us / 1000 < c->until_ms)
			return false;
		c->until_ms = 0;
		c->at++;
		return false;
	}
	if (q->kind == CALL_ROOM) {
		simdisk_fill_after(w->sim, UINT64_MAX, false);
		w->full = false;
		c->at++;
		return false;
	}
	if (!c->is_open && q->kind >= CALL_WRITE && q->kind <= CALL_CLOSE) {
		c->at++;
		return false;
	}
	if (q->kind == CALL_MKDIR || w->topics[q->topic].state >= TOPIC_THERE)
		return true;
	/* Who makes it is not done yet, or has failed. */
	if (w->stuck)
		go_on(c, q->kind == CALL_OPEN);
	return false;
}

static void send_one(struct world *w, struct world_client *c)
{
	bool writes = c->at->kind == CALL_WRITE;
	unsigned want;
	int err = -EINPROGRESS;

	w->plan_cnt = 0;
	w->m.pid = 1000 + (uint32_t)(c - w->clients);
	c->unique = send(w, c);
	want = w->plan_cnt;
	for (unsigned i = 0; i < w->got_cnt; i++)
		if (w->got[i].unique == c->unique)
			err = w->got[i].err;
	if (world_is_group_call(c->at))
		world_group_sent(w, c, err);
	if (simdisk_is_stopped(w->sim))
		return;
	observe(w);
	if (writes && ((!err && w->grown != want) ||
		       (err < 0 && err != -EINPROGRESS && err != -EHOSTUNREACH && w->grown)))
		world_fail(w, "a write of %u records was answered with %s, and %u are there", want,
			   strerror(-err), w->grown);
	for (unsigned i = 0; i < WORLD_PARTS; i++)
		c->cover[i] = w->topics[c->topic].parts[i].cnt;
	w->plan_cnt = 0;
	take_all(w);
}

/* Nothing is left to be done: this life ends. */
static void end(struct world *w)
{
	if (w->killed) {
		simdisk_stop_after(w->sim, 0);
		w->m.hangs = true;
	} else if (!w->ending) {
		w->ending = true;
		simmount_end(&w->m);
	}
}

static bool next(void *ctx)
{
	struct world *w = ctx;
	struct world_client *ready[WORLD_CLIENTS];
	unsigned cnt = 0, left = 0, waits = 0;

	if (w->checks) {
		world_check(w);
		if (simdisk_is_stopped(w->sim))
			return false;
		w->checks = w->ending = w->ended = false;
		w->compared_call = simdisk_call_cnt(w->sim);
	}
	w->served = w->begun = true;
	observe(w);
	take_all(w);
	w->plan_cnt = 0;
	for (unsigned i = 0; i < WORLD_CLIENTS; i++) {
		struct world_client *c = &w->clients[i];

		left += c->at && c->at->kind != CALL_END;
		waits += c->unique || (c->at && c->at->kind == CALL_PAUSE);
		if (is_ready(w, c))
			ready[cnt++] = c;
	}
	/* The tails that the end of the broker makes records. */
	for (unsigned i = 0; i < WORLD_CLIENTS && w->ending; i++)
		if (w->clients[i].tail.id && !w->clients[i].tail_refused)
			plan_put(w, w->clients[i].tail);
	if (!left)
		end(w);
	w->stuck = left && !cnt && !waits;
	if (!cnt && left)
		world_group_interrupt(w);
	w->rnd = w->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	if (!cnt || (w->rnd >> 33) % 3 == 0)
		return false;
	send_one(w, ready[(w->rnd >> 37) % cnt]);
	return true;
}

int world_live(struct world *w, const struct call *const *programs)
{
	bool clean;
	int status;

	memset(w->clients, 0, sizeof(w->clients));
	for (unsigned i = 0; i < WORLD_CLIENTS && programs && programs[i]; i++)
		w->clients[i].at = programs[i];
	w->got_cnt = 0;
	w->begun = false;
	w->m.disk->nowait = false;
	status = simmount_run(&w->m, &w->options);
	if (w->m.hangs && !w->killed && !simdisk_is_stopped(w->sim))
		world_fail(w, "the broker waits for ever");
	clean = !status && !simdisk_is_stopped(w->sim);
	/* The append of a tail may be what failed. */
	w->ended = clean && !w->may_fail;
	for (unsigned k = 0; k < WORLD_TOPICS && clean; k++) {
		for (unsigned i = 0; i < WORLD_PARTS; i++) {
			w->topics[k].parts[i].acked = w->topics[k].parts[i].cnt;
			for (unsigned g = 0; g < WORLD_GROUPS; g++) {
				struct world_commit *o = &w->groups[g].commits[k][i];

				o->synced = o->is_there ? o->offset : -1;
			}
		}
	}
	w->checks = true;
	w->power = false;
	return status;
}

void world_stop(struct world *w, bool power, uint64_t seed)
{
	if (power)
		simdisk_crash(w->sim, seed);
	else
		simdisk_kill(w->sim);
	w->checks = true;
	w->power = power;
	w->killed = false;
	w->stops++;
}

struct world *world_new(uint64_t seed, const char *const *topics)
{
	struct world *w = calloc(1, sizeof(*w));

	assert_non_null(w);
	w->rnd = seed * 0x9e3779b97f4a7c15ULL + 1;
	w->sim = simdisk_new(seed);
	w->m = (struct simmount){ .disk = simdisk_disk(w->sim),
				  .sim = w->sim,
				  .rnd = seed,
				  .next = next,
				  .answered = answered,
				  .ctx = w };
	w->options = (struct broker_options){
		.mount = "/mnt", .data = ".", .node = 1, .rack = "", .log_level = LOG_NONE
	};
	config_init(&w->options.config);
	for (unsigned g = 0; g < WORLD_GROUPS; g++)
		for (unsigned k = 0; k < WORLD_TOPICS; k++)
			for (unsigned i = 0; i < WORLD_PARTS; i++)
				w->groups[g].commits[k][i].synced =
					w->groups[g].commits[k][i].back = -1;
	for (unsigned k = 0; k < WORLD_TOPICS && topics[k]; k++)
		snprintf(w->topics[k].name, sizeof(w->topics[k].name), "%s", topics[k]);
	return w;
}

void world_free(struct world *w)
{
	simdisk_free(w->sim);
	free(w);
}

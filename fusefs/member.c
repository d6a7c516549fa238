#include "fusefs/member.h"

#include "daemon/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Logs that one turn of a read opens to learn their ends: each may wait for the device. */
#define TURN_LOGS 2U

int member_open(struct fs *fs, struct handle *h, const struct be_caller *c, struct be_why *why)
{
	char topic[NODE_NAME_MAX + 1];
	size_t len = strlen(h->name);

	(void)view_cut_format(h->name, &len);
	snprintf(topic, sizeof(topic), "%.*s", (int)len, h->name);
	h->mode = READ_MEMBER;
	h->stream = calloc(1, sizeof(*h->stream));
	if (!h->stream)
		return -ENOMEM;
	h->stream->h = h;
	list_init(&h->stream->owing);
	return fs->be.member_open(fs->be.ctx, h->group, topic, c, h, &h->member, why);
}

/* All that it held is lost. */
static void lose_all(struct fs *fs, struct stream *s)
{
	for (unsigned i = 0; i < s->held_cnt; i++) {
		give_lost(s->held[i]);
		give_unref(fs, s, s->held[i]);
	}
	s->held_cnt = 0;
}

void member_close(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;
	struct give *half;

	if (s) {
		if (h->member)
			member_flush(fs, h);
		list_remove(&s->owing);
		lose_all(fs, s);
		while (s->span_cnt)
			span_drop_last(fs, s);
		half = s->half;
		s->half = NULL;
		if (half)
			give_unref(fs, s, half);
		free(s->held);
		free(s->shares);
		free(s->spans);
		free(s);
		h->stream = NULL;
	}
	if (h->member)
		fs->be.member_close(fs->be.ctx, h->member);
	h->member = NULL;
}

static bool waits(const struct handle *h)
{
	LIST_FOREACH(pos, &h->parked) {
		if (LIST_ENTRY(pos, struct parked, link)->kind == PARK_DATA)
			return true;
	}
	return false;
}

void member_read_ends(struct fs *fs, struct handle *h)
{
	if (!h->member)
		return;
	fs->be.member_answered(fs->be.ctx, h->member);
	if (waits(h))
		fs->be.member_waits(fs->be.ctx, h->member);
}

void member_interrupted(struct fs *fs, struct handle *h)
{
	if (h->member && !waits(h))
		fs->be.member_interrupted(fs->be.ctx, h->member);
}

struct handle *member_of_feed(const struct list *feed)
{
	return CONTAINER_OF(feed, struct give, feed)->h;
}

void member_wake_feeds(struct fs *fs, struct be_partition *part, bool now)
{
	LIST_FOREACH_SAFE(pos, tmp, &part->feeds) {
		struct handle *h = member_of_feed(pos);

		if (now)
			fs_wake_list(fs, &h->waiting);
		else
			fs_on_member(fs, h);
	}
}

static struct give *find_give(const struct handle *h, const struct be_partition *part)
{
	LIST_FOREACH(pos, &part->feeds) {
		struct give *g = CONTAINER_OF(pos, struct give, feed);

		if (g->h == h)
			return g;
	}
	return NULL;
}

void fs_on_member_seek(struct fs *fs, void *owner, struct be_partition *p, int64_t off)
{
	struct handle *h = owner;
	struct stream *s = h->stream;
	struct give *g;

	PRE(h->magic == HANDLE_MAGIC);
	if (!s)
		return;
	s->sought = true;
	g = find_give(h, p);
	if (g)
		g->seek_to = off;
	for (uint32_t i = 0; g && i < s->span_cnt; i++) {
		if (s->spans[i].g == g)
			s->spans[i].is_void = true;
	}
	fs_on_member(fs, h);
}

static struct give *give_new(struct handle *h, const struct be_share *share)
{
	struct give *g = calloc(1, sizeof(*g));

	if (!g)
		return NULL;
	g->h = h;
	g->part = share->part;
	g->since = share->since;
	g->held = true;
	g->told = g->seek_to = -1;
	topic_ref(g->part->topic);
	list_put(&g->part->feeds, &g->feed);
	return g;
}

/* What the member holds now, into s->shares. Negative: no memory. */
static int get_shares(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;
	unsigned cnt;

	while ((cnt = fs->be.member_shares(fs->be.ctx, h->member, s->shares, s->share_cap)) >
	       s->share_cap) {
		struct be_share *shares = realloc(s->shares, cnt * sizeof(*shares));

		if (!shares)
			return -ENOMEM;
		s->shares = shares;
		s->share_cap = cnt;
	}
	return (int)cnt;
}

static bool is_same(struct stream *s, unsigned cnt)
{
	if (cnt != s->held_cnt)
		return false;
	for (unsigned i = 0; i < cnt; i++) {
		struct give *g = s->held[i];

		if (g->part != s->shares[i].part || g->since != s->shares[i].since ||
		    g->part->topic->deleted)
			return false;
		g->leaving = s->shares[i].leaving;
	}
	return true;
}

/* The topic of what was lost is gone: said once, then the stream waits for one of that name. */
static void on_topic_gone(struct stream *s, const struct give *g)
{
	if (!g->part->topic->deleted)
		return;
	s->due = -ESTALE;
	snprintf(s->due_why.text, sizeof(s->due_why.text),
		 "the topic was deleted; the stream goes on where one of its name is made");
	if (s->half == g)
		s->half = NULL;
}

/* The new holdings: each is one that was held already, or new. */
static int take_over(struct handle *h, unsigned cnt, struct give **ret_held, unsigned *ret_cnt)
{
	struct stream *s = h->stream;

	*ret_cnt = 0;
	for (unsigned i = 0; i < cnt; i++) {
		const struct be_share *share = &s->shares[i];
		struct give *g;

		if (share->part->topic->deleted)
			continue;
		g = find_give(h, share->part);
		if (g && g->since != share->since) {
			give_lost(g);
			g = NULL;
		}
		if (!g)
			g = give_new(h, share);
		if (!g)
			return -ENOMEM;
		g->seen = true;
		g->leaving = share->leaving;
		ret_held[(*ret_cnt)++] = g;
	}
	return 0;
}

/* Compares what it holds with what the broker says. 0 or -ENOMEM. */
static int reconcile(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;
	int cnt = get_shares(fs, h), r;
	struct give **held;
	unsigned held_cnt;

	if (cnt < 0 || is_same(s, (unsigned)cnt))
		return MIN(cnt, 0);
	held = malloc(MAX((unsigned)cnt, 1U) * sizeof(struct give *));
	if (!held)
		return -ENOMEM;
	for (unsigned i = 0; i < s->held_cnt; i++)
		s->held[i]->seen = false;
	r = take_over(h, (unsigned)cnt, held, &held_cnt);
	for (unsigned i = 0; i < s->held_cnt; i++) {
		struct give *g = s->held[i];

		if (g->seen)
			continue;
		give_lost(g);
		on_topic_gone(s, g);
		give_unref(fs, s, g);
	}
	free(s->held);
	s->held = held;
	s->held_cnt = held_cnt;
	return r;
}

int64_t member_limit(const struct handle *h)
{
	return h->group->counts_deliveries ? 1 : h->group->max_poll_records;
}

int member_give(struct take *t, struct give *g, int64_t off, int64_t to)
{
	const struct backend *be = &t->fs->be;
	struct handle *h = t->h;
	int r;

	if (h->group->counts_deliveries) {
		r = be->member_deliver(be->ctx, h->member, g->part, off, &t->why);
		if (r)
			return r == -ENOMSG ? 1 : r;
	}
	return be->member_given(be->ctx, h->member, g->part, to, &t->why);
}

int member_overtaken(struct take *t, struct give *g)
{
	if (t->h->stream->half == g)
		t->h->stream->half = NULL;
	g->next = g->part->log->start_offset;
	g->has_pos = g->is_vague = g->has_dealt = false;
	snprintf(t->why.text, sizeof(t->why.text),
		 "retention removed records of partition %u that were not read yet; the next read "
		 "goes on at the oldest one",
		 g->part->number);
	return -ESTALE;
}

/*
 * Learns where a partition begins that is new to the stream. Its log is opened for that only where
 * nothing else tells its ends: -EINPROGRESS where *opens have been opened already. -ESTALE is said
 * once.
 */
static int position(struct fs *fs, struct handle *h, struct give *g, unsigned *opens,
		    struct be_why *why)
{
	int64_t start, end;
	int r = 0;

	if (g->positioned)
		return 0;
	if (!fs->be.log_ends(fs->be.ctx, g->part, &start, &end)) {
		if (*opens == TURN_LOGS)
			return -EINPROGRESS;
		++*opens;
		r = fs->be.open_log(fs->be.ctx, g->part, why);
	}
	if (!r)
		r = fs->be.member_position(fs->be.ctx, h->member, g->part, &g->next, why);
	g->positioned = !r || r == -ESTALE;
	if (g->positioned)
		g->told = g->counted = g->next;
	return r;
}

static bool is_overtaken(const struct give *g)
{
	const struct plog *log = g->part->log;

	return g->is_vague ? g->pos < log->start_pos : g->next < log->start_offset;
}

/* Whether there is a record behind `next`. Of a log that cannot be opened: a read tells why. */
static bool has_from(struct fs *fs, const struct give *g, int64_t next)
{
	int64_t start, end;

	return !fs->be.log_ends(fs->be.ctx, g->part, &start, &end) || next < end;
}

/* Whether a partition whose position is known has something to give. */
static bool has_next(struct fs *fs, const struct give *g)
{
	return g->is_vague ? g->pos < g->part->log->end_pos : has_from(fs, g, g->next);
}

/* The partition that is next with something to give. -ENOMSG: none has. */
static int pick(struct take *t, struct give **ret)
{
	struct stream *s = t->h->stream;

	for (unsigned k = 0; k < s->held_cnt; k++) {
		unsigned i = (s->turn + k) % s->held_cnt;
		struct give *g = s->held[i];
		int r;

		if (g->leaving || g->part->topic->deleted)
			continue;
		r = position(t->fs, t->h, g, &t->opens, &t->why);
		t->is_turn = r == -EINPROGRESS;
		if (!r && !g->part->log && has_next(t->fs, g))
			r = t->fs->be.open_log(t->fs->be.ctx, g->part, &t->why);
		if (r)
			return r;
		if (g->part->log && is_overtaken(g))
			return member_overtaken(t, g);
		if (has_next(t->fs, g)) {
			s->turn = i + 1;
			*ret = g;
			return 0;
		}
	}
	return -ENOMSG;
}

static int due(struct take *t)
{
	struct stream *s = t->h->stream;
	int r = s->due;

	s->due = 0;
	t->why = s->due_why;
	return r;
}

/* At the frontier: new records. */
static int serve_new(struct take *t)
{
	struct stream *s = t->h->stream;
	struct give *g;
	int r;

	/* Of a topic that is gone reconcile() says so, for the record that was begun too. */
	if (s->half && s->half_end && !(s->half->held && s->half->part->topic->deleted))
		return lines_half(t);
	r = reconcile(t->fs, t->h);
	/* What is leaving is handed over when all of it is told. */
	for (unsigned i = 0; !r && i < s->held_cnt; i++) {
		if (s->held[i]->leaving && (s->held[i]->has_dealt || s->held[i]->is_late))
			member_flush(t->fs, t->h);
	}
	if (!r && s->due)
		return due(t);
	if (!r && s->half && !s->half_end &&
	    (s->held_cnt != 1 || s->half != s->held[0] || s->half->leaving ||
	     is_overtaken(s->half))) {
		r = lines_close(t);
		if (!r && s->half)
			return lines_half(t);
	}
	while (!r) {
		r = pick(t, &g);
		if (r == -ENOMSG)
			return t->fs->be.member_idle(t->fs->be.ctx, t->h->member, &t->why);
		if (r)
			return r;
		r = t->h->view.format == VIEW_LINES ? lines_give(t, g) : records_give(t, g);
		if (!r)
			return 0;
		r = MIN(r, 0);
	}
	return r;
}

/* Of a topic that was deleted old bytes are not given either, however they are kept. */
static bool is_of_dead_topic(struct take *t)
{
	const struct stream *s = t->h->stream;
	uint32_t i = span_find(s, t->off);

	if (i == s->span_cnt || !s->spans[i].g->part->topic->deleted)
		return false;
	snprintf(t->why.text, sizeof(t->why.text),
		 "the topic of these records was deleted; the stream goes on behind them");
	return true;
}

/* 0: answered; -ENOMSG, -EINPROGRESS: it has to wait; -EAGAIN: for pages; others: refused. */
static int serve(struct take *t)
{
	struct handle *h = t->h;
	struct stream *s = h->stream;
	bool is_text = h->view.format != VIEW_LINES;
	uint64_t start = is_text ? h->text_start : s->span_cnt ? s->spans[0].start : h->frontier;
	int r = t->fs->be.member_begin(t->fs->be.ctx, h->member,
				       handle_tgid(h, fuse_req_ctx(t->req)->pid), &t->why);

	/* It may have joined anew: nothing that it held before is its own. */
	if (r == -ESTALE)
		lose_all(t->fs, s);
	if (r)
		return r;
	if (t->off > h->frontier || t->off < start)
		return -ESPIPE;
	if (s->sought)
		span_seek(t->fs, h, t->off);
	span_deal(t->fs, h, t->off);
	if (t->off < h->frontier && is_of_dead_topic(t))
		return -ESTALE;
	if (is_text && t->off < h->text_start + h->text.len)
		return records_old(t);
	if (t->off < h->frontier)
		return lines_old(t);
	return serve_new(t);
}

static const char *sentence(const struct take *t, int err)
{
	if (*t->why.text)
		return t->why.text;
	switch (err) {
	case -ESPIPE:
		return "the stream was read where the handle has not been, or no longer is";
	case -EMSGSIZE:
		return "the buffer is smaller than the next record, which is still there";
	case -ENODATA:
		return "an empty record or a tombstone; the next read gives the next record";
	case -ESTALE:
		return "it is not a member any more";
	default:
		return log_errno_name(err);
	}
}

void member_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		 unsigned flags, struct parked *p)
{
	struct take t = { .fs = fs,
			  .req = req,
			  .h = h,
			  .p = p,
			  .size = MIN(size, (size_t)STREAM_ANSWER_MAX),
			  .off = off };
	int r = serve(&t);

	if (r)
		member_tell(fs, h);
	if (r == -EAGAIN) {
		consume_warm(fs, req, h, NULL, size, off, flags, p);
		return;
	}
	if (t.is_turn) {
		consume_again(fs, req, h, size, off, flags, p);
		return;
	}
	if (r == -ENOMSG || r == -EINPROGRESS) {
		consume_wait(fs, req, h, size, off, flags, p);
		return;
	}
	if (r)
		consume_fail(fs, req, h, p, r, sentence(&t, r));
	else
		span_cut(fs, h);
	member_read_ends(fs, h);
}

/* Where more logs are to be opened than one turn may, a read does that. */
static bool has_more(struct fs *fs, struct handle *h, struct give *g, unsigned *opens)
{
	struct stream *s = h->stream;
	int r;

	if (g->leaving || g->part->topic->deleted)
		return false;
	r = position(fs, h, g, opens, &s->due_why);
	if (r == -ESTALE)
		s->due = r;
	return r || (g->seek_to >= 0 ? has_from(fs, g, g->seek_to) : has_next(fs, g));
}

bool member_ready(struct fs *fs, struct handle *h)
{
	struct stream *s = h->stream;
	unsigned opens = 0;

	if (s->half || s->due || fs->be.member_refuses(fs->be.ctx, h->member) ||
	    (h->view.format != VIEW_LINES && h->frontier < h->text_start + h->text.len) ||
	    reconcile(fs, h) || s->due)
		return true;
	for (unsigned i = 0; i < s->held_cnt; i++) {
		if (has_more(fs, h, s->held[i], &opens))
			return true;
	}
	return fs->be.member_idle(fs->be.ctx, h->member, &s->due_why) != -ENOMSG;
}

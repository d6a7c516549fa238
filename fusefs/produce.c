/*
 * Writing (DESIGN 1.2): what one write() becomes.
 *
 *   lines  complete lines, the kept tail before them, are one batch; the rest is kept as the tail
 *   json   the same, each line an object; in `all` one batch for each partition
 *   msg    the write is the record
 *
 * A write is stored whole or refused whole. After a refusal the kept tail is as before, since
 * callers repeat; but a line that became too long is dropped, and its rest is refused, up to and
 * with the write that holds its newline, and so is a repetition of the refused write (its length
 * and hash are kept).
 */
#include "fusefs/member.h"

#include "daemon/base/fund.h"
#include "daemon/base/hash.h"
#include "daemon/store/json.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

#define ANSWERS_MAX MIB
/* Records of one write: a line has at least its newline. */
#define RECORD_CNT_MAX (2 * MIB)

/* The records of one write that go by record, not as plain lines. */
struct batch_of {
	struct record *recs;
	uint32_t *parts; /* for each record */
	uint32_t cnt, cap;
	struct buf arena;
	struct json_record *jsons;
};

static int refuse_long(struct handle *h, const char *data, size_t len, bool goes_on,
		       struct be_why *why)
{
	buf_reset(&h->tail);
	h->skipping = goes_on;
	h->refused_len = len;
	h->refused_hash = hash_xxh3(data, len);
	snprintf(why->text, sizeof(why->text),
		 "the line is longer than max.message.bytes (%u); it is refused up to its newline",
		 h->topic->max_message_bytes);
	return -EMSGSIZE;
}

/* Whether this write goes on with, or repeats, a line that was refused. */
static bool is_refused_rest(struct handle *h, const char *data, size_t len)
{
	if (h->skipping)
		return true;
	return h->refused_len && len >= h->refused_len &&
	       hash_xxh3(data, h->refused_len) == h->refused_hash;
}

/* A line's text may be this long. By key the key counts too. As JSON the record behind it is what
 * counts, which is measured when it is decoded; here only its spelling (escapes, base64, names of
 * members) is bounded. */
static size_t line_max(const struct handle *h)
{
	size_t max = h->topic->max_message_bytes;

	if (h->kind == NODE_KEY)
		return max - MIN(strlen(h->name), max);
	if (h->view.format == VIEW_JSON)
		return MIN(8 * max + 64 * KIB, (size_t)MESSAGE_MAX_LIMIT);
	return max;
}

static int check_lines(struct handle *h, const char *data, size_t len, size_t complete,
		       struct be_why *why)
{
	size_t max = line_max(h), kept = h->tail.len, pos = 0;

	if (kept + complete > max) {
		while (pos < complete) {
			const char *nl = memchr(data + pos, '\n', complete - pos);
			size_t line = (size_t)(nl - (data + pos)) + kept;

			if (line > max && kept)
				return refuse_long(h, data, len, false, why);
			if (line > max) {
				snprintf(why->text, sizeof(why->text),
					 "a line of %zu bytes is longer than max.message.bytes "
					 "(%u)%s",
					 line, h->topic->max_message_bytes,
					 h->kind == NODE_KEY ? ", in which the key counts" : "");
				return -EMSGSIZE;
			}
			kept = 0;
			pos += line - (pos ? 0 : h->tail.len) + 1;
		}
	}
	if (len - complete + (complete ? 0 : h->tail.len) > max)
		return refuse_long(h, data, len, true, why);
	return 0;
}

static struct be_partition *open_part(struct fs *fs, struct handle *h, uint32_t number,
				      struct be_why *why, int *ret_err)
{
	struct be_partition *p = h->topic->parts[number];

	*ret_err = p->log ? 0 : fs->be.open_log(fs->be.ctx, p, why);
	if (*ret_err)
		return NULL;
	return p;
}

/* Whoever reads is told so, once. */
static void lose_answers(struct handle *h)
{
	h->answers_lost = true;
	buf_reset(&h->answers);
	h->answers_given = 0;
}

static void answer_put(struct handle *h, const struct be_partition *p, int64_t offset, int64_t ts)
{
	if (!h->can_read || h->mode != READ_ANSWERS)
		return;
	if (h->answers.len - h->answers_given > ANSWERS_MAX)
		lose_answers(h);
	json_put_ack(&h->answers, h->topic->name, p->number, offset, ts);
	if (buf_err(&h->answers))
		lose_answers(h);
}

static void appended(struct fs *fs, struct be_partition *p, uint32_t cnt, size_t len)
{
	p->records_in += cnt;
	p->bytes_in += len;
	partition_loaded(p, len);
	/* Readers are answered before the writer. */
	member_wake_feeds(fs, p, true);
	fs_wake(fs, p);
}

static int append_lines(struct fs *fs, struct handle *h, struct be_partition *p,
			const struct iovec *iov, int iov_cnt, size_t len, uint32_t cnt,
			struct be_why *why)
{
	bool answers = h->mode == READ_ANSWERS;
	struct plog_appended done;
	int r = fs->be.append_lines(fs->be.ctx, p, iov, iov_cnt, len, cnt, !answers && !h->at_once,
				    &done, why);

	if (r)
		return r;
	for (uint32_t i = 0; answers && i < cnt; i++)
		answer_put(h, p, done.base_offset + i, done.timestamp_ms);
	appended(fs, p, cnt, len);
	return 0;
}

static void batch_fini(struct batch_of *b)
{
	free(b->recs);
	free(b->parts);
	free(b->jsons);
	buf_fini(&b->arena);
}

static int batch_init(struct batch_of *b, uint32_t cnt, bool json)
{
	PRE(cnt <= RECORD_CNT_MAX);
	*b = (struct batch_of){ .cap = cnt };
	b->recs = calloc(cnt, sizeof(*b->recs));
	b->parts = calloc(cnt, sizeof(*b->parts));
	b->jsons = json ? calloc(cnt, sizeof(*b->jsons)) : NULL;
	if (b->recs && b->parts && (b->jsons || !json))
		return 0;
	batch_fini(b);
	return -ENOMEM;
}

static int check_time(struct fs *fs, const struct be_topic *t, const struct record *r,
		      struct be_why *why)
{
	int64_t now = fs->be.now_ms(fs->be.ctx), ts = r->timestamp_ms;

	if (ts == RECORD_NO_TIMESTAMP || ((ts >= now || now - ts <= t->ts_before_max_ms) &&
					  (ts <= now || ts - now <= t->ts_after_max_ms)))
		return 0;
	snprintf(why->text, sizeof(why->text),
		 "timestamp %lld is further from the broker's clock than "
		 "message.timestamp.before.max.ms or .after.max.ms allow",
		 (long long)ts);
	return -EINVAL;
}

/* One record that came as JSON: where it goes and whether it may. */
static int place_json(struct fs *fs, struct handle *h, struct batch_of *b,
		      const struct json_record *j, struct be_why *why)
{
	struct be_topic *t = h->topic;
	struct record *r = &b->recs[b->cnt];
	size_t value_len;

	json_record_view(j, &b->arena, r);
	value_len = r->value_len == RECORD_NULL ? 0 : r->value_len;
	if (value_len + (r->key_len == RECORD_NULL ? 0 : r->key_len) + r->headers_len >
	    t->max_message_bytes) {
		snprintf(why->text, sizeof(why->text),
			 "record %u of the write is larger than max.message.bytes (%u)", b->cnt + 1,
			 t->max_message_bytes);
		return -EMSGSIZE;
	}
	if (j->has_partition && h->part && j->partition != h->part->number) {
		snprintf(why->text, sizeof(why->text), "partition %u is not this file's (%u)",
			 j->partition, h->part->number);
		return -EINVAL;
	}
	if (j->has_partition && j->partition >= t->part_cnt) {
		snprintf(why->text, sizeof(why->text), "no partition %u: the topic has %u",
			 j->partition, t->part_cnt);
		return -EINVAL;
	}
	if (h->part)
		b->parts[b->cnt] = h->part->number;
	else if (j->has_partition)
		b->parts[b->cnt] = j->partition;
	else if (r->key_len != RECORD_NULL)
		b->parts[b->cnt] = partition_of_key(t, r->key, r->key_len, r->value, value_len);
	else
		b->parts[b->cnt] = UINT32_MAX;
	b->cnt++;
	return check_time(fs, t, r, why);
}

static int decode_json(struct fs *fs, struct handle *h, const char *data, size_t len, uint32_t cnt,
		       struct batch_of *b, struct be_why *why)
{
	size_t pos = 0;
	int r;

	for (uint32_t i = 0; i < cnt; i++) {
		const char *nl = memchr(data + pos, '\n', len - pos);
		size_t line = nl ? (size_t)(nl - (data + pos)) : len - pos;
		char err[300];

		r = json_get_record(data + pos, line, &b->arena, &b->jsons[i], err, sizeof(err));
		if (r) {
			snprintf(why->text, sizeof(why->text), "line %u of the write: %s", i + 1,
				 err);
			return r;
		}
		pos += line + 1;
	}
	/* The arena stands still now. */
	for (uint32_t i = 0; i < cnt; i++) {
		r = place_json(fs, h, b, &b->jsons[i], why);
		if (r)
			return r;
	}
	return 0;
}

/* Records without key or partition go to the sticky one; all of a write to the same. */
static void place_sticky(struct be_topic *t, struct batch_of *b, size_t len)
{
	uint32_t sticky = UINT32_MAX;

	for (uint32_t i = 0; i < b->cnt; i++) {
		if (b->parts[i] != UINT32_MAX)
			continue;
		if (sticky == UINT32_MAX)
			sticky = partition_sticky(t, len);
		b->parts[i] = sticky;
	}
}

static int append_part(struct fs *fs, struct handle *h, struct be_partition *p,
		       const struct record *recs, uint32_t cnt, struct be_why *why)
{
	struct plog_appended done;
	size_t len = 0;
	int r = fs->be.append_records(fs->be.ctx, p, recs, cnt, &done, why);

	if (r)
		return r;
	for (uint32_t i = 0; i < cnt; i++) {
		len += recs[i].value_len == RECORD_NULL ? 0 : recs[i].value_len;
		if (h->mode == READ_ANSWERS)
			answer_put(h, p, done.base_offset + i,
				   recs[i].timestamp_ms == RECORD_NO_TIMESTAMP ||
						   p->log->config.log_append_time
					   ? done.timestamp_ms
					   : recs[i].timestamp_ms);
	}
	appended(fs, p, cnt, len);
	return 0;
}

/* Chains the records of each partition: ret_next[i] - 1 is the one that follows i, 0: none does. */
static int chain_parts(const struct batch_of *b, uint32_t part_cnt, uint32_t *ret_next)
{
	uint32_t *last = calloc(part_cnt, sizeof(*last)); /* of each partition so far, + 1 */

	if (!last)
		return -ENOMEM;
	for (uint32_t i = 0; i < b->cnt; i++) {
		uint32_t *l = &last[b->parts[i]];

		if (*l)
			ret_next[*l - 1] = i + 1;
		*l = i + 1;
	}
	free(last);
	return 0;
}

/* Everything that can be checked, of each partition. */
static int check_batch(struct fs *fs, struct handle *h, const struct batch_of *b,
		       struct be_why *why)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < b->cnt; i++) {
		struct be_partition *p;

		fs->disk->round++; /* the partition before holds no descriptor */
		p = open_part(fs, h, b->parts[i], why, &r);
		if (p && (!i || b->parts[i] != b->parts[i - 1]))
			r = fs->be.check_append(fs->be.ctx, p, why);
	}
	return r;
}

/*
 * One batch for each partition, in the order of their first records. Everything that can be checked
 * is checked for all before the first is written; what fails then is EHOSTUNREACH (DESIGN 1.2.1).
 */
static int append_batch(struct fs *fs, struct handle *h, struct batch_of *b, struct be_why *why)
{
	struct record *group = calloc(b->cnt, sizeof(*group));
	uint32_t *next = calloc(b->cnt, sizeof(*next));
	uint8_t *done = calloc(b->cnt, 1);
	bool began = false;
	int r = group && next && done ? chain_parts(b, h->topic->part_cnt, next) : -ENOMEM;

	if (!r)
		r = check_batch(fs, h, b, why);
	for (uint32_t i = 0; !r && i < b->cnt; i++) {
		uint32_t cnt = 0;

		if (done[i])
			continue;
		for (uint32_t j = i + 1; j; j = next[j - 1]) {
			group[cnt++] = b->recs[j - 1];
			done[j - 1] = 1;
		}
		fs->disk->round++;
		r = append_part(fs, h, h->topic->parts[b->parts[i]], group, cnt, why);
		if (r && began)
			r = -EHOSTUNREACH;
		began = true;
	}
	free(group);
	free(next);
	free(done);
	return r;
}

static int append_json(struct fs *fs, struct handle *h, const char *data, size_t len, uint32_t cnt,
		       struct be_why *why)
{
	struct batch_of b;
	int r = batch_init(&b, cnt, true);

	if (r)
		return r;
	r = decode_json(fs, h, data, len, cnt, &b, why);
	if (!r) {
		place_sticky(h->topic, &b, len);
		r = append_batch(fs, h, &b, why);
	}
	batch_fini(&b);
	return r;
}

/* Lines under by-key/KEY: each a record with that key. */
static int append_keyed(struct fs *fs, struct handle *h, const char *data, size_t len, uint32_t cnt,
			struct be_why *why)
{
	size_t pos = 0, key_len = strlen(h->name);
	struct batch_of b;
	int r = batch_init(&b, cnt, false);

	if (r)
		return r;
	for (uint32_t i = 0; i < cnt; i++) {
		const char *nl = memchr(data + pos, '\n', len - pos);
		size_t line = nl ? (size_t)(nl - (data + pos)) : len - pos;

		b.recs[i] = (struct record){ .value = (const uint8_t *)data + pos,
					     .value_len = (uint32_t)line,
					     .key = (const uint8_t *)h->name,
					     .key_len = (uint32_t)key_len,
					     .timestamp_ms = RECORD_NO_TIMESTAMP,
					     .offset = -1 };
		b.parts[i] = partition_of_key(h->topic, h->name, key_len, data + pos, line);
		pos += line + 1;
	}
	b.cnt = cnt;
	r = append_batch(fs, h, &b, why);
	batch_fini(&b);
	return r;
}

static int append_msg(struct fs *fs, struct handle *h, const char *data, size_t len,
		      struct be_why *why)
{
	struct record rec = { .value = (const uint8_t *)data,
			      .value_len = (uint32_t)len,
			      .key_len = RECORD_NULL,
			      .timestamp_ms = RECORD_NO_TIMESTAMP,
			      .offset = -1 };
	struct be_partition *p;
	int r;

	if (len > ATOMIC_WRITE_MAX || len > h->topic->max_message_bytes) {
		snprintf(why->text, sizeof(why->text), "a record of %zu bytes is larger than %u",
			 len, MIN(ATOMIC_WRITE_MAX, h->topic->max_message_bytes));
		return -EMSGSIZE;
	}
	p = open_part(fs, h, h->part ? h->part->number : partition_sticky(h->topic, len), why, &r);
	return p ? append_part(fs, h, p, &rec, 1, why) : r;
}

/* tail + data[0..len) are cnt complete lines (the last newline may be missing for json and keys).
 */
static int append_text(struct fs *fs, struct handle *h, const char *data, size_t len, uint32_t cnt,
		       struct be_why *why)
{
	struct iovec iov[2] = { { h->tail.data, h->tail.len }, { (void *)data, len } };
	bool has_tail = h->tail.len > 0;
	struct be_partition *p;
	struct buf joined;
	int r;

	if (h->kind == NODE_DATA && h->view.format == VIEW_LINES) {
		p = open_part(fs, h,
			      h->part ? h->part->number
				      : partition_sticky(h->topic, h->tail.len + len),
			      why, &r);
		if (!p)
			return r;
		return append_lines(fs, h, p, has_tail ? iov : iov + 1, has_tail ? 2 : 1,
				    h->tail.len + len, cnt, why);
	}
	buf_init(&joined);
	if (has_tail) {
		buf_put(&joined, h->tail.data, h->tail.len);
		buf_put(&joined, data, len);
		data = (const char *)joined.data;
		len = joined.len;
	}
	r = buf_err(&joined);
	if (!r && h->kind == NODE_KEY)
		r = append_keyed(fs, h, data, len, cnt, why);
	else if (!r)
		r = append_json(fs, h, data, len, cnt, why);
	buf_fini(&joined);
	return r;
}

static int write_text(struct fs *fs, struct handle *h, const char *data, size_t len,
		      struct be_why *why)
{
	const char *nl = memrchr(data, '\n', len);
	size_t complete = nl ? (size_t)(nl - data) + 1 : 0;
	int r;

	if (is_refused_rest(h, data, len)) {
		h->skipping = h->skipping && !nl;
		h->refused_len = len;
		h->refused_hash = hash_xxh3(data, len);
		snprintf(why->text, sizeof(why->text),
			 "this is the rest, or a repetition, of a line longer than "
			 "max.message.bytes (%u)",
			 h->topic->max_message_bytes);
		return -EMSGSIZE;
	}
	r = check_lines(h, data, len, complete, why);
	if (r)
		return r;
	if (buf_reserve(&h->tail, len - complete)) {
		h->tail.err = 0;
		return -ENOMEM;
	}
	if (complete) {
		r = append_text(fs, h, data, complete, (uint32_t)hash_newline_cnt(data, complete),
				why);
		if (r)
			return r;
		buf_reset(&h->tail);
	}
	h->refused_len = 0;
	buf_put(&h->tail, data + complete, len - complete);
	return buf_err(&h->tail);
}

/* The partitions of a handle: [first, end). */
static uint32_t parts_of(const struct handle *h, uint32_t *ret_end)
{
	*ret_end = h->part ? h->part->number + 1 : h->topic->part_cnt;
	return h->part ? h->part->number : 0;
}

/* What was appended through this handle is made stable; the answer comes when all of it is. */
static void sync_parked(struct fs *fs, struct parked *p)
{
	uint64_t token = (uint64_t)(uintptr_t)p;
	struct handle *h = p->h;
	uint32_t end, i = parts_of(h, &end);

	p->pending = 1;
	for (; i < end; i++) {
		struct be_partition *part = h->topic->parts[i];
		int r;

		if (!part->log)
			continue;
		fs->disk->round++; /* the partition before holds no descriptor */
		r = fs->be.fsync(fs->be.ctx, part, token);
		if (r == -EINPROGRESS)
			p->pending++;
		else if (r && !p->err)
			p->err = r;
	}
	fs_on_done(fs, token, 0, NULL);
}

static int write_any(struct fs *fs, struct handle *h, const char *data, size_t len,
		     struct be_why *why)
{
	int r;

	if (h->kind == NODE_DATA && h->view.format == VIEW_MSG)
		return append_msg(fs, h, data, len, why);
	r = write_text(fs, h, data, len, why);
	h->tail_err = h->tail.len ? r : 0;
	return r;
}

/* Whatever else is going to be needed after an append for its sync: memory, and the descriptions
 * that others owe to the partitions of this handle. */
static int prepare_sync(struct handle *h)
{
	uint32_t end, i = parts_of(h, &end);
	int r = fund_fill();

	for (; !r && i < end; i++)
		if (h->topic->parts[i]->log)
			r = plog_describe(h->topic->parts[i]->log);
	return r;
}

/* A write, or the end of the kept tail, and then a sync. The request is parked first: nothing is
 * stored for one that cannot wait for its sync. */
static void write_synced(struct fs *fs, fuse_req_t req, struct handle *h, const char *data,
			 size_t len, bool is_write)
{
	struct parked *p = park(fs, req, PARK_SYNC, h);
	struct be_why why = { 0 };
	int r;

	if (!p) {
		if (is_write && h->tail.len)
			h->tail_err = -ENOMEM;
		return;
	}
	p->size = len;
	p->is_write = is_write;
	h->at_once = true;
	/* An fsync that stores nothing has nothing to take back. */
	r = is_write || h->tail.len ? prepare_sync(h) : fund_fill();
	if (!r)
		r = is_write ? write_any(fs, h, data, len, &why) : produce_end_tail(fs, h, &why);
	h->at_once = false;
	if (!r) {
		sync_parked(fs, p);
		return;
	}
	if (is_write && h->tail.len)
		h->tail_err = r;
	p->req = NULL;
	unpark(fs, p);
	fs_refuse_handle(req, r, h, "%s",
			 *why.text  ? why.text
			 : is_write ? "the write was refused"
				    : "the last line was refused");
}

bool produce_at_once(struct fs *fs, struct handle *h, const char *data, size_t len, int flags)
{
	struct be_why why;

	why.text[0] = 0;
	if (h->kind != NODE_DATA || h->view.format != VIEW_LINES || flags & (O_SYNC | O_DSYNC) ||
	    fs->ends || h->topic->deleted || h->tail.len || h->skipping || h->refused_len || !len ||
	    data[len - 1] != '\n' || len > h->topic->max_message_bytes)
		return false;
	if (append_text(fs, h, data, len, (uint32_t)hash_newline_cnt(data, len), &why))
		return false;
	fs->writes++;
	return true;
}

void produce_write(struct fs *fs, fuse_req_t req, struct handle *h, const char *data, size_t len,
		   int flags)
{
	struct be_why why = { 0 };
	int r;

	fs->writes++;
	if (h->topic->deleted) {
		fs_refuse_handle(req, -ESTALE, h, "the topic was deleted");
		return;
	}
	if (flags & (O_SYNC | O_DSYNC)) {
		write_synced(fs, req, h, data, len, true);
		return;
	}
	r = write_any(fs, h, data, len, &why);
	if (r)
		fs_refuse_handle(req, r, h, "%s", *why.text ? why.text : "the write was refused");
	else
		fuse_reply_write(req, len);
}

/* Whether the kept tail, as it is, would be a record. */
static int check_json_tail(struct fs *fs, struct handle *h, struct be_why *why)
{
	struct batch_of b;
	int r = batch_init(&b, 1, true);

	if (r)
		return r;
	r = decode_json(fs, h, (const char *)h->tail.data, h->tail.len, 1, &b, why);
	batch_fini(&b);
	return r;
}

int produce_check(struct fs *fs, struct handle *h, struct be_why *why)
{
	struct be_partition *p;
	int r;

	if (!h->tail.len)
		return 0;
	if (h->topic->deleted) {
		snprintf(why->text, sizeof(why->text), "the topic was deleted");
		return -ESTALE;
	}
	if (h->tail_err)
		return h->tail_err;
	r = h->view.format == VIEW_JSON ? check_json_tail(fs, h, why) : 0;
	if (r)
		return r;
	p = open_part(fs, h, h->part ? h->part->number : 0, why, &r);
	return p ? fs->be.check_append(fs->be.ctx, p, why) : r;
}

int produce_end_tail(struct fs *fs, struct handle *h, struct be_why *why)
{
	int r;

	if (!h->tail.len)
		return 0;
	if (h->topic->deleted) {
		snprintf(why->text, sizeof(why->text),
			 "the topic was deleted; a line without newline (%zu bytes) is dropped",
			 h->tail.len);
		return -ESTALE;
	}
	r = append_text(fs, h, "\n", 1, 1, why);
	if (!r) {
		buf_reset(&h->tail);
		h->tail_err = 0;
	}
	return r;
}

/* Whoever was refused and did not repeat has given the line up: its begin is no record. */
int produce_close_tail(struct fs *fs, struct handle *h, struct be_why *why)
{
	if (!h->tail_err || h->topic->deleted)
		return produce_end_tail(fs, h, why);
	snprintf(why->text, sizeof(why->text),
		 "the begin of a line (%zu bytes) is dropped, since what follows it was refused",
		 h->tail.len);
	return h->tail_err;
}

void produce_fsync(struct fs *fs, fuse_req_t req, struct handle *h)
{
	if (h->topic->deleted)
		fs_refuse_handle(req, -ESTALE, h, "the topic was deleted");
	else
		write_synced(fs, req, h, NULL, 0, false);
}

size_t produce_answers_len(const struct handle *h)
{
	return h->answers.len - h->answers_given;
}

void produce_answers(struct fs *fs, fuse_req_t req, struct handle *h, size_t size)
{
	size_t len = MIN(size, produce_answers_len(h));

	(void)fs;
	if (h->answers_lost) {
		h->answers_lost = false;
		fs_refuse_handle(req, -ESTALE, h,
				 "answers were dropped: nobody read them, or there was no "
				 "memory for them");
		return;
	}
	fuse_reply_buf(req, (const char *)h->answers.data + h->answers_given, len);
	h->answers_given += len;
	/* Not only when all is given: who always has one write under way never gets there. */
	if (h->answers_given >= h->answers.len / 2) {
		buf_consume(&h->answers, h->answers_given);
		h->answers_given = 0;
	}
}

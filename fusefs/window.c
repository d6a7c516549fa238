/*
 * Reading by records: json and msg, and everything of `all`. What is given is rendered from records
 * and kept in a window, so that a handle can seek back into at least its last MiB whatever has
 * happened to the log.
 *
 *   stream positions    text_start            frontier      text_start + text.len
 *                       |------ given ---------|--- ahead ---|
 *
 * `all` merges its partitions by timestamp where records of several are at hand; each stays in
 * order, and of equal times the lower partition comes first. In msg a read is one record; marks[]
 * are the starts of the records in the window, and what is ahead is at most one record that no
 * buffer was large enough for.
 */
#include "fusefs/fs.h"

#include "daemon/store/json.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* One go of a read costs about so many records decoded (some milliseconds); what is left to do then
 * is done after the others have had their turn. */
#define WORK_MAX 50000U
/* What looking for a time in one partition costs, in the same measure. */
#define FIND_WORK 512U
/* Text is rendered ahead by so much: a batch that many small reads want is decoded once. */
#define AHEAD_BYTES (32 * KIB)
/* A window is cut down to STREAM_WINDOW_BYTES when it has grown to this. */
#define WINDOW_CUT (2 * STREAM_WINDOW_BYTES)

void window_close(struct handle *h)
{
	free(h->feeds);
	free(h->marks);
	h->feeds = NULL;
	h->marks = NULL;
	h->feed_cnt = 0;
}

/* Whoever goes from one partition to the next has copied what it looked up, and holds no descriptor
 * of the one before: all of them together may be more than there are. */
static void holds_none(struct plog *log)
{
	log->disk->round++;
}

/* Timestamp of the record at off; -ENODATA at the end. */
static int record_time(struct plog *log, int64_t off, int64_t *ret_ts, int64_t *ret_off)
{
	const struct batch *b;
	int64_t i;
	int r;

	holds_none(log);
	r = plog_batch(log, off, &b);
	if (r)
		return r;
	i = MAX(off - b->head.base_offset, 0);
	*ret_ts = b->recs[i].timestamp_ms;
	*ret_off = b->recs[i].offset;
	return 0;
}

/* The last record before off that is there; -ENODATA: there is none. */
static int record_before(struct plog *log, int64_t off, int64_t *ret_off)
{
	int64_t cnt;
	int r;

	holds_none(log);
	r = plog_back(log, off, 1, ret_off, &cnt);
	return r || cnt ? r : -ENODATA;
}

static uint64_t work_done(const struct handle *h)
{
	return h->work + plog_work(h->feeds[0].part->log);
}

static void work_begin(struct handle *h)
{
	h->work_max = work_done(h) + WORK_MAX;
}

static bool is_tired(const struct handle *h)
{
	return work_done(h) >= h->work_max;
}

/* Steps back over the records of one batch that are not before min_ts_ms, at most n of them. */
static int feed_back(struct feed *f, int64_t n, int64_t min_ts_ms, int64_t *ret_cnt)
{
	const struct batch *b;
	int64_t i, first, start;
	int r = record_before(f->part->log, f->back, &start);

	if (!r)
		r = plog_batch(f->part->log, start++, &b);
	if (r)
		return r;
	first = MAX(b->head.base_offset, f->part->log->start_offset);
	for (i = start - 1; i >= first && start - i <= n; i--) {
		if (b->recs[i - b->head.base_offset].timestamp_ms < min_ts_ms)
			break;
	}
	f->back = MIN(i + 1, start - 1); /* what it was chosen for is passed in any case */
	f->has_ts = false;
	*ret_cnt = start - f->back;
	return 0;
}

/*
 * The last *n records of all partitions together, by timestamp: walks back from every feed's
 * `back`. Of equal times the higher partition goes back first. -EINPROGRESS where it takes longer;
 * it is called again then.
 */
static int feeds_last_n(struct handle *h, int64_t *n)
{
	int64_t off, cnt;
	int r;

	while (*n > 0) {
		struct feed *best = NULL;
		int64_t lower = INT64_MIN, higher = INT64_MIN; /* the others' latest times */

		h->work += 1 + h->feed_cnt / 16;
		for (unsigned i = 0; i < h->feed_cnt; i++) {
			struct feed *f = &h->feeds[i];

			if (f->back <= f->part->log->start_offset)
				continue;
			if (!f->has_ts) {
				if (is_tired(h))
					return -EINPROGRESS;
				r = record_before(f->part->log, f->back, &off);
				if (r == -ENODATA) {
					f->back = f->part->log->start_offset;
					continue;
				}
				if (!r)
					r = record_time(f->part->log, off, &f->ts_ms, &off);
				if (r)
					return r;
				f->has_ts = true;
			}
			if (!best || f->ts_ms >= best->ts_ms) {
				lower = MAX(MAX(lower, higher), best ? best->ts_ms : lower);
				higher = INT64_MIN;
				best = f;
			} else {
				higher = MAX(higher, f->ts_ms);
			}
		}
		if (!best)
			break;
		r = feed_back(best, *n, MAX(lower, higher + 1), &cnt);
		if (r)
			return r;
		*n -= cnt;
	}
	*n = 0;
	for (unsigned i = 0; i < h->feed_cnt; i++)
		h->feeds[i].has_ts = false;
	return 0;
}

/* Whether a position takes no look-up in the partition. `-N` of all of them is found otherwise. */
static bool is_at_hand(const struct handle *h, const struct position *pos)
{
	switch (pos->kind) {
	case POSITION_NONE:
	case POSITION_EARLIEST:
	case POSITION_LATEST:
		return true;
	case POSITION_LAST_N:
		return !h->part;
	case POSITION_OFFSET:
	case POSITION_TIME_MS:
		break;
	}
	return false;
}

/* What is fixed at open, of all partitions at the same moment. */
static void feed_open(const struct handle *h, struct feed *f)
{
	const struct plog *log = f->part->log;

	f->wait_ts_ms = -1;
	f->end = f->back = log->next_offset;
	f->next = h->from.kind == POSITION_EARLIEST ? log->start_offset : f->end;
	f->stop = -1;
	if (h->is_range)
		f->stop = h->view.to.kind == POSITION_EARLIEST ? log->start_offset : f->end;
}

/* Where one partition's feed begins and ends, where that has to be looked up. */
static int feed_find(struct handle *h, struct feed *f)
{
	const struct position *to = &h->view.to;
	struct plog *log = f->part->log;
	int64_t stop;
	int r = 0;

	if (h->is_range && !is_at_hand(h, to)) {
		r = consume_position(log, to, &stop);
		if (r)
			return r;
		f->stop = MIN(f->end, stop);
	}
	if (!is_at_hand(h, &h->from))
		r = consume_position(log, &h->from, &f->next);
	if (r)
		return r;
	if (h->from.kind == POSITION_TIME_MS && f->next == log->next_offset && !h->is_range)
		f->wait_ts_ms = h->from.value;
	f->stale = f->next < log->start_offset && (f->stop < 0 || f->stop > f->next);
	return 0;
}

/* -EINPROGRESS where it takes longer; it is called again then. */
static int feeds_find(struct handle *h)
{
	for (; h->find_left < h->feed_cnt; h->find_left++) {
		struct feed *f = &h->feeds[h->find_left];
		int r;

		if (is_tired(h))
			return -EINPROGRESS;
		h->work += FIND_WORK;
		holds_none(f->part->log);
		r = feed_find(h, f);
		if (r)
			return r;
	}
	return 0;
}

static void find_last_n(struct handle *h)
{
	h->finding = FIND_DONE;
	if (h->part)
		return;
	if (h->is_range && h->view.to.kind == POSITION_LAST_N) {
		h->finding = FIND_STOP;
		h->find_left = h->view.to.value;
	} else if (h->from.kind == POSITION_LAST_N) {
		h->finding = FIND_FROM;
		h->find_left = h->from.value;
	}
}

/* What has to be looked up: in each partition, and what `-N` means for all of them together, first
 * of the range's end, then of its beginning. */
static int find_ends(struct handle *h)
{
	int r;

	if (h->finding == FIND_EACH) {
		r = feeds_find(h);
		if (r)
			return r;
		find_last_n(h);
	}
	if (h->finding == FIND_STOP) {
		r = feeds_last_n(h, &h->find_left);
		if (r)
			return r;
		for (unsigned i = 0; i < h->feed_cnt; i++) {
			h->feeds[i].stop = h->feeds[i].back;
			h->feeds[i].back = h->feeds[i].end;
		}
		h->finding = h->from.kind == POSITION_LAST_N ? FIND_FROM : FIND_DONE;
		h->find_left = h->from.value;
	}
	if (h->finding == FIND_FROM) {
		r = feeds_last_n(h, &h->find_left);
		if (r)
			return r;
		for (unsigned i = 0; i < h->feed_cnt; i++)
			h->feeds[i].next = h->feeds[i].back;
		h->finding = FIND_DONE;
	}
	return 0;
}

static const char *sentence(const struct handle *h, int err)
{
	switch (err) {
	case -ESTALE:
		return "retention removed the asked record; the next read goes on at the oldest "
		       "one";
	case -ESPIPE:
		return "the stream was read where the handle has not been, or no longer is";
	case -EMSGSIZE:
		return "the buffer is smaller than the next record, which is still there";
	case -ENODATA:
		return "an empty record or a tombstone; the next read gives the next record";
	default:
		break;
	}
	for (unsigned i = 0; i < h->feed_cnt && err == -EIO; i++) {
		if (*h->feeds[i].part->log->fault)
			return h->feeds[i].part->log->fault;
	}
	return "the read failed";
}

/* Of one partition all is looked up at once, and what fails there is open's error. */
static int begin_finding(struct fs *fs, struct handle *h, struct be_why *why)
{
	bool was = fs->disk->nowait;
	int r;

	if (is_at_hand(h, &h->from) && (!h->is_range || is_at_hand(h, &h->view.to)))
		find_last_n(h);
	else
		h->finding = FIND_EACH;
	work_begin(h);
	fs->disk->nowait = !h->part;
	r = find_ends(h);
	fs->disk->nowait = was;
	if (r == -EINPROGRESS || (r == -EAGAIN && !h->part))
		return 0; /* reads go on with it */
	if (r)
		snprintf(why->text, sizeof(why->text), "%s", sentence(h, r));
	return r;
}

int window_open(struct fs *fs, struct handle *h, struct be_why *why)
{
	uint32_t cnt = h->part ? 1 : h->topic->part_cnt;
	int r = 0;

	h->mode = READ_WINDOW;
	h->from = h->view.from;
	h->is_range = h->view.is_range;
	h->feeds = calloc(cnt, sizeof(*h->feeds));
	if (!h->feeds)
		return -ENOMEM;
	h->feed_cnt = cnt;
	for (uint32_t i = 0; !r && i < cnt; i++) {
		struct feed *f = &h->feeds[i];

		f->part = h->part ? h->part : h->topic->parts[i];
		if (!f->part->log)
			r = fs->be.open_log(fs->be.ctx, f->part, why);
		if (!r)
			feed_open(h, f);
	}
	return r ? r : begin_finding(fs, h, why);
}

/* A topic that grew: a stream of `all` follows the new partitions from their start. -EINPROGRESS
 * where it takes longer. */
static int feeds_grow(struct fs *fs, struct handle *h)
{
	struct feed *feeds;
	struct be_why why;
	unsigned cnt = 0;
	int r;

	if (h->part || h->is_range || h->feed_cnt == h->topic->part_cnt)
		return 0;
	feeds = realloc(h->feeds, h->topic->part_cnt * sizeof(*feeds));
	if (!feeds)
		return -ENOMEM;
	h->feeds = feeds;
	while (h->feed_cnt < h->topic->part_cnt) {
		struct be_partition *p = h->topic->parts[h->feed_cnt];

		if (!p->log && cnt++ == OPEN_LOGS)
			return -EINPROGRESS;
		r = p->log ? 0 : fs->be.open_log(fs->be.ctx, p, &why);
		if (r)
			return r;
		h->feeds[h->feed_cnt++] = (struct feed){
			.part = p, .next = p->log->start_offset, .stop = -1, .wait_ts_ms = -1
		};
	}
	return 0;
}

static bool feed_is_done(const struct feed *f)
{
	return f->stop >= 0 && f->next >= f->stop;
}

/* Learns the time of the feed's next record. 0, -ENODATA (nothing at hand), -ESTALE once, others.
 */
static int feed_peek(struct feed *f)
{
	struct plog *log = f->part->log;
	int64_t off;
	int r;

	if (f->stale || (f->next < log->start_offset && !feed_is_done(f))) {
		f->stale = false;
		f->has_ts = false;
		f->next = log->start_offset;
		return -ESTALE;
	}
	if (feed_is_done(f) || f->next >= log->next_offset)
		return -ENODATA;
	if (f->wait_ts_ms >= 0) {
		holds_none(log);
		r = plog_time_to_offset(log, f->wait_ts_ms, &off);
		if (r)
			return r;
		f->next = MAX(f->next, off);
		if (f->next >= log->next_offset)
			return -ENODATA;
		f->wait_ts_ms = -1;
	}
	if (f->has_ts)
		return 0;
	r = record_time(log, f->next, &f->ts_ms, &off);
	if (r)
		return r;
	if (f->stop >= 0 && off >= f->stop) {
		f->next = f->stop;
		return -ENODATA;
	}
	f->next = off;
	f->has_ts = true;
	return 0;
}

/* The feed whose next record comes first; -ENODATA where none has one. *ret_second: the time of the
 * first record of the others. */
static int feed_first(struct handle *h, struct feed **ret, int64_t *ret_second)
{
	struct feed *best = NULL;
	int64_t second = INT64_MAX;

	for (unsigned i = 0; i < h->feed_cnt; i++) {
		int r = is_tired(h) ? -EINPROGRESS : feed_peek(&h->feeds[i]);

		if (r == -ENODATA)
			continue;
		if (r)
			return r;
		if (!best || h->feeds[i].ts_ms < best->ts_ms) {
			if (best)
				second = MIN(second, best->ts_ms);
			best = &h->feeds[i];
		} else {
			second = MIN(second, h->feeds[i].ts_ms);
		}
	}
	if (!best)
		return -ENODATA;
	*ret = best;
	*ret_second = second;
	return 0;
}

static int mark_put(struct handle *h, uint64_t pos)
{
	uint64_t *marks;

	if (h->mark_cnt == h->mark_cap) {
		size_t cap = h->mark_cap ? h->mark_cap * 2 : 64;

		marks = realloc(h->marks, cap * sizeof(*marks));
		if (!marks)
			return -ENOMEM;
		h->marks = marks;
		h->mark_cap = cap;
	}
	h->marks[h->mark_cnt++] = pos;
	return 0;
}

void window_render(struct buf *out, enum view_format format, const struct be_partition *part,
		   const struct record *r)
{
	bool is_null = r->value_len == RECORD_NULL;

	switch (format) {
	case VIEW_JSON:
		json_put_record(out, part->topic->name, part->number, r);
		break;
	case VIEW_LINES:
		buf_put(out, r->value, is_null ? 0 : r->value_len);
		buf_put_u8(out, '\n');
		break;
	case VIEW_MSG:
		buf_put(out, r->value, is_null ? 0 : r->value_len);
		break;
	}
}

static bool full(const struct handle *h, size_t want)
{
	return h->text_start + h->text.len - h->frontier >= want;
}

/*
 * Renders the run of records of one feed that come before everybody else's, until `want` bytes are
 * ahead. 0; in msg one record at a time, and -ENODATA's cousin -ENOMSG where it is empty (and is
 * passed).
 */
static int render_run(struct handle *h, struct feed *f, int64_t second, size_t want)
{
	const struct batch *b;
	int64_t i;
	int r;

	holds_none(f->part->log);
	r = plog_batch(f->part->log, f->next, &b);
	if (r)
		return r;
	ASSERT(f->next >= b->head.base_offset);
	for (i = f->next - b->head.base_offset; i < b->head.cnt; i++) {
		const struct record *rec = &b->recs[i];
		uint64_t start = h->text_start + h->text.len;

		if ((f->stop >= 0 && rec->offset >= f->stop) || rec->timestamp_ms > second ||
		    full(h, want))
			break;
		if (h->view.format == VIEW_MSG && (r = mark_put(h, start)))
			return r;
		window_render(&h->text, h->view.format, f->part, rec);
		f->next = rec->offset + 1;
		f->has_ts = false;
		f->part->records_out++;
		if (h->view.format != VIEW_MSG)
			continue;
		if (h->text_start + h->text.len == start) {
			h->mark_cnt--;
			return -ENOMSG;
		}
		break;
	}
	return buf_err(&h->text);
}

/* Makes at least one and up to about `want` bytes stand ahead. 0, or why nothing does: -EINPROGRESS
 * where it takes longer. */
static int fill(struct fs *fs, struct handle *h, size_t want)
{
	struct feed *f;
	int64_t second;
	int r = feeds_grow(fs, h);

	while (!r && !full(h, want)) {
		h->work += 1 + h->feed_cnt / 16;
		r = feed_first(h, &f, &second);
		if (!r)
			r = render_run(h, f, second, want);
		if (h->view.format == VIEW_MSG)
			break;
	}
	if (h->text.err) {
		h->text.err = 0;
		return -ENOMEM;
	}
	return full(h, 1) ? 0 : r;
}

/* Forgets what lies more than a window behind. */
static void cut_window(struct handle *h)
{
	size_t given = (size_t)(h->frontier - h->text_start), cut, i = 0;

	if (given < WINDOW_CUT)
		return;
	cut = given - STREAM_WINDOW_BYTES;
	if (h->view.format == VIEW_MSG) {
		while (i + 1 < h->mark_cnt && h->marks[i + 1] <= h->text_start + cut)
			i++;
		cut = (size_t)(h->marks[i] - h->text_start);
		memmove(h->marks, h->marks + i, (h->mark_cnt - i) * sizeof(*h->marks));
		h->mark_cnt -= i;
	}
	buf_consume(&h->text, cut);
	h->text_start += cut;
}

/* The record that begins at off; -ESPIPE where none does. */
static int msg_len(const struct handle *h, uint64_t off, size_t *ret_len)
{
	size_t lo = 0, hi = h->mark_cnt;
	uint64_t end;

	while (lo < hi) {
		size_t mid = (lo + hi) / 2;

		if (h->marks[mid] < off)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == h->mark_cnt || h->marks[lo] != off)
		return -ESPIPE;
	end = lo + 1 < h->mark_cnt ? h->marks[lo + 1] : h->text_start + h->text.len;
	*ret_len = (size_t)(end - off);
	return 0;
}

/* The answer's bytes, or the errno. */
static int select_bytes(struct fs *fs, struct handle *h, size_t size, uint64_t off, size_t *ret_len)
{
	uint64_t end = h->text_start + h->text.len;
	int r;

	if (off < h->text_start || off > h->frontier)
		return -ESPIPE;
	if (off == h->frontier && off == end) {
		r = find_ends(h);
		if (!r)
			r = fill(fs, h, h->view.format == VIEW_MSG ? size : MAX(size, AHEAD_BYTES));
		if (r == -ENOMSG)
			return -ENODATA;
		if (r)
			return r == -ENODATA ? -ENOMSG : r; /* nothing at hand */
		end = h->text_start + h->text.len;
	}
	*ret_len = (size_t)MIN(end - off, size);
	if (h->view.format != VIEW_MSG)
		return 0;
	r = msg_len(h, off, ret_len);
	if (r)
		return r;
	return *ret_len > size ? -EMSGSIZE : 0;
}

static bool at_end(const struct handle *h)
{
	if (!h->is_range)
		return false;
	for (unsigned i = 0; i < h->feed_cnt; i++) {
		if (!feed_is_done(&h->feeds[i]))
			return false;
	}
	return true;
}

void window_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		 unsigned flags, struct parked *p)
{
	size_t len = 0;
	int r;

	size = MIN(size, (size_t)STREAM_ANSWER_MAX);
	work_begin(h);
	r = select_bytes(fs, h, size, off, &len);
	if (r == -EINPROGRESS) {
		consume_again(fs, req, h, size, off, flags, p);
		return;
	}
	if (r == -EAGAIN) {
		/* Whose bytes were cold the disk knows: any log will do. */
		consume_warm(fs, req, h, h->feeds[0].part->log, size, off, flags, p);
		return;
	}
	if (r == -ENOMSG && !at_end(h)) {
		consume_wait(fs, req, h, size, off, flags, p);
		return;
	}
	if (r && r != -ENOMSG) {
		consume_fail(fs, req, h, p, r, sentence(h, r));
		return;
	}
	consume_unpark(fs, p);
	fuse_reply_buf(req, (char *)h->text.data + (off - h->text_start), len);
	h->frontier = MAX(h->frontier, off + len);
	if (h->part)
		h->part->bytes_out += len;
	cut_window(h);
}

static bool has_records(const struct plog *log, int64_t from_ts_ms)
{
	return log && log->start_offset < log->next_offset && log->max_ts_ms >= from_ts_ms;
}

/* At the frontier of a stream. While it is looked up where the feeds begin, it is where they could.
 */
static bool has_feed(const struct handle *h, const struct feed *f)
{
	const struct plog *log = f->part->log;

	if (h->finding == FIND_EACH && h->from.kind == POSITION_TIME_MS)
		return has_records(log, h->from.value);
	if (h->finding)
		return has_records(log, INT64_MIN);
	return f->stale || f->next < log->start_offset ||
	       (f->next < log->next_offset &&
		(f->wait_ts_ms < 0 || log->max_ts_ms >= f->wait_ts_ms));
}

bool window_ready(struct fs *fs, struct handle *h)
{
	(void)fs;
	if (h->frontier < h->text_start + h->text.len || h->is_range)
		return true;
	for (unsigned i = 0; i < h->feed_cnt; i++) {
		if (has_feed(h, &h->feeds[i]))
			return true;
	}
	/* Of partitions that are new to it those have records that somebody has written to. */
	for (uint32_t i = h->feed_cnt; !h->part && i < h->topic->part_cnt; i++) {
		if (has_records(h->topic->parts[i]->log, INT64_MIN))
			return true;
	}
	return false;
}

#include "daemon/store/plog.h"

#include "daemon/store/kept.h"
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* A debt is described at the latest when it has grown to this: a quarter of what `cat` reads at
 * once, so that a group's stream finds an end of a batch near to the end of each answer, and needs
 * not look at the values for an end of a record. */
#define DEBT_BYTES_MAX (32 * KIB)
#define DEBT_CNT_MAX 65536U
/* .meta gets its room in steps of so much. */
#define META_ALLOC_LEN (64 * KIB)
/* Appends of so much have room made ahead of them in .data, and how much at most. */
#define DATA_AHEAD_FROM (16 * KIB)
#define DATA_AHEAD_MAX (4 * MIB)

void plog_init(struct plog *p, struct disk *d, struct debt_table *debts, const char *dir,
	       const uint8_t topic_id[16], uint32_t partition, const struct plog_config *config)
{
	PRE(strlen(dir) < TOPIC_DIR_MAX);
	*p = (struct plog){
		.disk = d,
		.debts = debts,
		.dir = dir,
		.fault = "",
		.partition = partition,
		.config = *config,
		.max_ts_ms = -1,
		.debt_idx = -1,
		.leftover_base = -1,
		.synced = { .segment_base = -1, .max_ts_ms = -1 },
	};
	memcpy(p->topic_id, topic_id, 16);
	list_init(&p->gone);
	list_init(&p->store_link);
	list_init(&p->debt_link);
}

void plog_fini(struct plog *p)
{
	if (!p)
		return;
	for (uint32_t i = 0; i < p->seg_cnt; i++) {
		PRE(p->segs[i]->refs == 1);
		segment_unref(p->segs[i]);
	}
	PRE(list_is_empty(&p->gone));
	if (p->debt_idx >= 0)
		debt_give_back(p->debts, p->debt_idx);
	p->debt_idx = -1;
	plog_drop_drafts(p);
	free(p->segs);
	p->segs = NULL;
	p->seg_cnt = p->seg_cap = 0;
	hash_run_free(p->debt_hash);
	p->debt_hash = NULL;
	kept_end(&p->kept);
	free(p->fault_mem);
	p->fault_mem = NULL;
	p->fault = "";
	if (p->cache_owned)
		batch_cache_free(p->cache);
	p->cache = NULL;
	p->cache_owned = false;
	list_remove(&p->store_link);
	list_remove(&p->debt_link);
}

static int segs_reserve(struct plog *p)
{
	uint32_t cap = p->seg_cap ? p->seg_cap * 2 : 1;
	struct segment **segs;

	if (p->seg_cnt < p->seg_cap)
		return 0;
	segs = realloc(p->segs, cap * sizeof(struct segment *));
	if (!segs)
		return -ENOMEM;
	p->segs = segs;
	p->seg_cap = cap;
	return 0;
}

int plog_put_segment(struct plog *p, struct segment *seg)
{
	int r = segs_reserve(p);

	if (r)
		return r;
	ERGO(p->seg_cnt, plog_active(p)->base_offset < seg->base_offset);
	p->segs[p->seg_cnt++] = seg;
	return 0;
}

static int remove_leftover(struct plog *p)
{
	struct segment *seg;
	int r;

	if (p->leftover_base < 0)
		return 0;
	seg = segment_new(p, p->leftover_base);
	if (!seg)
		return -ENOMEM;
	r = segment_unlink(seg);
	segment_unref(seg);
	if (!r)
		p->leftover_base = -1;
	return r;
}

/* Cuts what a failed append left behind. While something is owed only .data can be longer than
 * it should be, and a cut of .meta would give up the room that is kept for the description. */
static int undo(struct plog *p)
{
	struct segment *seg = plog_active(p);
	int fd = segment_fd(seg, SEGMENT_DATA), r;

	p->undo_owed = true;
	if (fd < 0)
		return fd;
	seg->data_alloc = 0;
	r = disk_truncate(p->disk, fd, seg->data_len);
	if (!r && !plog_owes(p)) {
		fd = segment_fd(seg, SEGMENT_META);
		if (fd < 0)
			return fd;
		seg->meta_alloc = 0;
		r = disk_truncate(p->disk, fd, seg->meta_len);
	}
	seg->write_seq++;
	if (!r)
		p->undo_owed = false;
	return r;
}

int plog_finish_undo(struct plog *p)
{
	int r = remove_leftover(p);

	if (!r && p->undo_owed)
		r = undo(p);
	return r ? -EIO : 0;
}

/* What an append came to: its error, after the files are as before, or not yet. */
static int undone(struct plog *p, int err)
{
	int r = undo(p);

	ERGO(r, p->undo_owed);
	return err;
}

/* What both files of a segment may have together. */
static uint64_t bytes_max(const struct plog *p)
{
	if (p->config.segment_bytes < 0)
		return SEGMENT_BYTES_MAX;
	return MIN(SEGMENT_BYTES_MAX, (uint64_t)p->config.segment_bytes);
}

static bool roll_is_due(const struct plog *p, int64_t now_ms, uint64_t data_len, uint64_t meta_len)
{
	const struct segment *seg = plog_active(p);
	uint64_t age_ms;

	/* Behind damage the log goes on in a segment of its own. */
	if (p->tail_missing || seg->bad_head ||
	    (!seg->generation && seg->base_pos + seg->data_len != p->end_pos))
		return true;
	if (seg->meta_len == FORMAT_HEAD_LEN && !seg->data_len)
		return false;
	if (seg->data_len + plog_meta_end(p) + data_len + meta_len > bytes_max(p))
		return true;
	/* Of either sign: after a clock went back, its age is no more than that. */
	age_ms = now_ms > seg->created_ms ? (uint64_t)now_ms - (uint64_t)seg->created_ms
					  : (uint64_t)seg->created_ms - (uint64_t)now_ms;
	return p->config.segment_ms >= 0 && age_ms >= (uint64_t)p->config.segment_ms;
}

/* The room that was made ahead is not needed any more; where giving it back fails, it is so with
 * the segment. */
static void give_room_back(struct segment *seg)
{
	if (seg->data_fd >= 0 && seg->data_alloc > seg->data_len &&
	    !disk_truncate(seg->plog->disk, seg->data_fd, seg->data_len))
		seg->data_alloc = 0;
}

static int new_segment(struct plog *p, int64_t now_ms)
{
	struct segment *old = plog_active(p), *seg;
	int r = segs_reserve(p);

	if (r)
		return r;
	seg = segment_new(p, p->next_offset);
	if (!seg)
		return -ENOMEM;
	r = segment_create(seg, p->end_pos, p->max_ts_ms, now_ms);
	if (r) {
		if (seg->leftover)
			p->leftover_base = seg->base_offset;
		segment_unref(seg);
		return r;
	}
	if (old)
		give_room_back(old);
	/* An index that cannot be written now is built again from .meta one day. */
	if (old && segment_index_flush(old))
		segment_index_drop(old);
	p->dirty = true;
	p->tail_missing = false;
	r = plog_put_segment(p, seg);
	POST(!r);
	return 0;
}

int plog_roll(struct plog *p, int64_t now_ms)
{
	struct segment *seg = plog_active(p);
	int r;

	if (!seg || (seg->meta_len == FORMAT_HEAD_LEN && !seg->data_len))
		return 0;
	r = plog_finish_undo(p);
	if (!r)
		r = plog_describe(p);
	return r ? r : new_segment(p, now_ms);
}

/* Before anything is appended behind a description: the log is as it should be, and the active
 * segment is one that takes so many bytes. */
static int prepare(struct plog *p, int64_t now_ms, uint64_t data_len, uint64_t meta_len, bool late)
{
	int r = plog_finish_undo(p);

	/* What is drafted may stay so while a line is appended that is described late, too. */
	if (!r && !(late && plog_drafts_may_stay(p) && !roll_is_due(p, now_ms, data_len, meta_len)))
		r = plog_describe(p);
	if (r)
		return r;
	if (!p->seg_cnt) {
		r = new_segment(p, now_ms);
	} else {
		r = segment_load(plog_active(p));
		if (!r && roll_is_due(p, now_ms, data_len, meta_len))
			r = new_segment(p, now_ms);
	}
	if (r)
		return r;
	segment_index_wake(plog_active(p));
	r = segment_fd(plog_active(p), SEGMENT_META);
	if (r >= 0)
		r = segment_fd(plog_active(p), SEGMENT_DATA);
	return r < 0 ? r : 0;
}

/* The attributes of a batch of plain lines. */
static uint16_t plain_attr(const struct plog *p)
{
	return BATCH_PLAIN | (p->config.log_append_time ? BATCH_LOG_APPEND_TIME : 0);
}

static void describe_head(const struct plog *p, struct batch_head *h)
{
	const struct segment *seg = plog_active(p);

	h->meta_pos = seg->meta_len;
	h->leader_epoch = p->leader_epoch;
	if (p->config.log_append_time)
		h->attr |= BATCH_LOG_APPEND_TIME;
}

static void advance(struct plog *p, int64_t now_ms, uint32_t cnt, uint64_t len, int64_t max_ts_ms)
{
	plog_active(p)->write_seq++;
	plog_active(p)->data_len += len;
	p->next_offset += cnt;
	p->end_pos += len;
	p->max_ts_ms = MAX(p->max_ts_ms, max_ts_ms);
	p->mtime_ms = now_ms;
	p->dirty = true;
}

static int write_pieces(struct plog *p, const struct iovec *iov, int iov_cnt)
{
	struct segment *seg = plog_active(p);

	return disk_writev(p->disk, seg->data_fd, iov, iov_cnt, seg->data_len);
}

/* The same bytes, now that they are written, for the journal. */
static void keep_pieces(struct plog *p, const struct iovec *iov, int iov_cnt)
{
	const struct segment *seg = plog_active(p);

	kept_put(p->kept, seg->seed, false, seg->data_len, iov, iov_cnt);
}

/* One line more on top of what is owed already: one write, and the slot. */
static int append_owed(struct plog *p, int64_t now_ms, const struct iovec *iov, int iov_cnt,
		       size_t len, struct plog_appended *ret)
{
	int r = write_pieces(p, iov, iov_cnt);

	if (r)
		return undone(p, r);
	keep_pieces(p, iov, iov_cnt);
	for (int i = 0; i < iov_cnt; i++)
		hash_run_put(p->debt_hash, iov[i].iov_base, iov[i].iov_len);
	p->debt.len += len;
	p->debt.cnt++;
	p->debt.values_hash = hash_run_get(p->debt_hash);
	debt_store(p->debts, p->debt_idx, &p->debt);
	*ret = (struct plog_appended){
		.base_offset = p->next_offset,
		.timestamp_ms = now_ms,
		.pos = p->end_pos,
	};
	advance(p, now_ms, 1, len, now_ms);
	return 0;
}

/* Begins a debt: its description has room in .meta, and a slot is taken. -EBUSY: no slot. */
static int open_debt(struct plog *p, int64_t now_ms)
{
	struct segment *seg = plog_active(p);
	int r;

	if (!p->debt_hash)
		p->debt_hash = hash_run_new();
	if (!p->debt_hash)
		return -ENOMEM;
	if (plog_meta_end(p) + FORMAT_BATCH_LEN > seg->meta_alloc) {
		r = disk_allocate(p->disk, seg->meta_fd, plog_meta_end(p), META_ALLOC_LEN);
		seg->write_seq++;
		if (r)
			return r;
		seg->meta_alloc = plog_meta_end(p) + META_ALLOC_LEN;
	}
	r = debt_take(p->debts);
	if (r < 0)
		return -EBUSY;
	hash_run_reset(p->debt_hash);
	p->debt_idx = r;
	p->debt = (struct debt){
		.partition = p->partition,
		.generation = seg->generation,
		.segment_base = seg->base_offset,
		.base_offset = p->next_offset,
		.data_pos = seg->data_len,
		.timestamp_ms = now_ms,
		.leader_epoch = p->leader_epoch,
		.attr = plain_attr(p),
	};
	memcpy(p->debt.topic_id, p->topic_id, 16);
	return 0;
}

static int keep_room(struct plog *p, int fd, uint64_t end, uint64_t least, uint64_t ahead,
		     uint64_t *alloc)
{
	int r;

	if (end + least <= *alloc)
		return 0;
	r = disk_allocate(p->disk, fd, end, ahead);
	if (r) {
		ahead = least;
		r = disk_allocate(p->disk, fd, end, ahead);
	}
	if (!r)
		*alloc = end + ahead;
	return r;
}

int plog_keep_room(struct plog *p, uint64_t least, uint64_t ahead)
{
	struct segment *seg = plog_active(p);
	int meta, data, r;

	PRE(least <= ahead);
	if (!seg)
		return 0;
	meta = segment_fd(seg, SEGMENT_META);
	data = meta < 0 ? meta : segment_fd(seg, SEGMENT_DATA);
	if (data < 0)
		return data;
	r = keep_room(p, meta, plog_meta_end(p), least, ahead, &seg->meta_alloc);
	return r ? r : keep_room(p, data, seg->data_len, least, ahead, &seg->data_alloc);
}

static int append_late(struct plog *p, int64_t now_ms, const struct iovec *iov, int iov_cnt,
		       size_t len, struct plog_appended *ret)
{
	int r = open_debt(p, now_ms);

	if (r)
		return r;
	r = append_owed(p, now_ms, iov, iov_cnt, len, ret);
	if (r) {
		debt_give_back(p->debts, p->debt_idx);
		p->debt_idx = -1;
		p->debt = (struct debt){ 0 };
	}
	return r;
}

/*
 * Blocks that ext4 reserves one by one while they are written cost a tenth of a large write, so
 * that it finds some that are allocated: as many as there are, up to a bound, lest small logs take
 * room that they never use. Where there is no room for this, the write itself says whether there
 * is some for it.
 */
static void allocate_ahead(struct plog *p, uint64_t len)
{
	struct segment *seg = plog_active(p);
	uint64_t end = seg->data_len + len, ahead = MIN(seg->data_len, DATA_AHEAD_MAX);

	if (len < DATA_AHEAD_FROM || end <= seg->data_alloc || end >= bytes_max(p))
		return;
	ahead = MIN(ahead, bytes_max(p) - end);
	if (ahead && !disk_allocate(p->disk, seg->data_fd, seg->data_len, len + ahead))
		seg->data_alloc = end + ahead;
}

/* Description first, then the values. */
static int append_batch(struct plog *p, int64_t now_ms, struct batch_head *h,
			const struct buf *desc, const struct iovec *iov, int iov_cnt,
			struct plog_appended *ret)
{
	struct segment *seg = plog_active(p);
	struct iovec meta = { .iov_base = desc->data, .iov_len = desc->len };
	int r;

	allocate_ahead(p, h->data_len);
	r = disk_write(p->disk, seg->meta_fd, desc->data, desc->len, seg->meta_len);
	if (!r && h->data_len)
		r = write_pieces(p, iov, iov_cnt);
	if (r)
		return undone(p, r);
	kept_put(p->kept, seg->seed, true, seg->meta_len, &meta, 1);
	if (h->data_len)
		keep_pieces(p, iov, iov_cnt);
	*ret = (struct plog_appended){
		.base_offset = p->next_offset,
		.timestamp_ms = h->base_ts_ms,
		.pos = p->end_pos,
	};
	seg->meta_len += desc->len;
	segment_index_batch(seg, h);
	advance(p, now_ms, h->cnt, h->data_len, h->max_ts_ms);
	return 0;
}

static int values_hash(struct plog *p, const struct iovec *iov, int iov_cnt, uint64_t *ret)
{
	if (iov_cnt == 1) {
		*ret = hash_xxh3(iov[0].iov_base, iov[0].iov_len);
		return 0;
	}
	if (!p->debt_hash)
		p->debt_hash = hash_run_new();
	if (!p->debt_hash)
		return -ENOMEM;
	/* Nothing is owed now, so that the running hash is free. */
	PRE(!p->debt.cnt);
	hash_run_reset(p->debt_hash);
	for (int i = 0; i < iov_cnt; i++)
		hash_run_put(p->debt_hash, iov[i].iov_base, iov[i].iov_len);
	*ret = hash_run_get(p->debt_hash);
	return 0;
}

static bool fits_debt(const struct plog *p, int64_t now_ms, size_t len)
{
	/* Whoever ran out of descriptors has perhaps synced what was written, and closed it. */
	if (!p->debt.cnt || plog_active(p)->data_fd < 0)
		return false;
	return p->debt.timestamp_ms == now_ms && !p->undo_owed &&
	       p->debt.leader_epoch == p->leader_epoch && p->debt.attr == plain_attr(p) &&
	       p->debt.len + len <= DEBT_BYTES_MAX && p->debt.cnt < DEBT_CNT_MAX &&
	       !roll_is_due(p, now_ms, len, FORMAT_BATCH_LEN);
}

int plog_append_lines(struct plog *p, int64_t now_ms, const struct iovec *iov, int iov_cnt,
		      size_t len, uint32_t cnt, bool late, struct plog_appended *ret)
{
	uint8_t mem[FORMAT_BATCH_LEN];
	struct buf b = { .data = mem, .cap = sizeof(mem) };
	struct batch_head h = {
		.attr = BATCH_PLAIN,
		.cnt = cnt,
		.plain_len = (uint32_t)len,
		.data_len = (uint32_t)len,
		.base_ts_ms = now_ms,
		.max_ts_ms = now_ms,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
	};
	int r;

	PRE(cnt > 0 && len >= cnt && len <= SEGMENT_BYTES_MAX / 2);
	late = late && cnt == 1 && p->debts && len <= DEBT_BYTES_MAX;
	if (late && fits_debt(p, now_ms, len))
		return append_owed(p, now_ms, iov, iov_cnt, len, ret);
	r = prepare(p, now_ms, len, FORMAT_BATCH_LEN, late);
	if (r)
		return r;
	if (late) {
		r = append_late(p, now_ms, iov, iov_cnt, len, ret);
		if (r != -EBUSY)
			return r;
		r = plog_describe(p);
		if (r)
			return r;
	}
	r = values_hash(p, iov, iov_cnt, &h.values_hash);
	if (r)
		return r;
	h.base_offset = p->next_offset;
	h.plain_pos = p->end_pos;
	h.data_pos = plog_active(p)->data_len;
	describe_head(p, &h);
	format_put_batch(&b, &h, NULL, plog_active(p)->seed);
	ASSERT(b.data == mem && b.len == FORMAT_BATCH_LEN);
	return append_batch(p, now_ms, &h, &b, iov, iov_cnt, ret);
}

static void get_point(const struct plog *p, struct plog_point *ret)
{
	const struct segment *seg = plog_active(p);

	*ret = (struct plog_point){
		.segment_base = seg ? seg->base_offset : -1,
		.meta_len = seg ? plog_meta_end(p) : 0,
		.data_len = seg ? seg->data_len : 0,
		.next_offset = p->next_offset,
		.end_pos = p->end_pos,
		.max_ts_ms = p->max_ts_ms,
	};
}

int plog_point(struct plog *p, struct plog_point *ret)
{
	int r = plog_describe(p);

	if (!r)
		get_point(p, ret);
	return r;
}

int plog_draft_point(struct plog *p, struct plog_point *ret)
{
	int r = plog_draft(p);

	if (!r)
		get_point(p, ret);
	return r;
}

static int put_stretch(struct segment *seg, enum segment_file file, uint64_t from, uint64_t to,
		       struct plog_stretch *ret, unsigned max, unsigned *cnt)
{
	int fd;

	if (from >= to)
		return 0;
	if (*cnt == max)
		return -E2BIG;
	fd = segment_fd(seg, file);
	if (fd < 0)
		return fd;
	ret[(*cnt)++] = (struct plog_stretch){
		.seg = seg,
		.bytes = file == SEGMENT_META && from >= seg->meta_len
				 ? seg->plog->drafts->mem + (from - seg->meta_len)
				 : NULL,
		.is_meta = file == SEGMENT_META,
		.fd = fd,
		.pos = from,
		.len = to - from,
	};
	return 0;
}

/* Whether drafts are all that .meta of the active segment gets behind `from`. */
static bool drafts_alone(const struct plog *p, const struct plog_point *from)
{
	const struct segment *seg = plog_active(p);

	return p->drafts && !p->debt.cnt && from->segment_base == seg->base_offset &&
	       from->meta_len >= seg->meta_len;
}

int plog_stretches(struct plog *p, const struct plog_point *from, struct plog_stretch *ret,
		   unsigned max, uint64_t *ret_bytes, bool *ret_unsynced_head)
{
	unsigned cnt = 0;
	bool unsynced = false;
	uint32_t first = p->seg_cnt;
	uint64_t bytes = 0;
	int r = drafts_alone(p, from) ? 0 : plog_describe(p);

	while (first && p->segs[first - 1]->base_offset >= from->segment_base)
		first--;
	for (uint32_t i = first; !r && i < p->seg_cnt; i++) {
		struct segment *seg = p->segs[i];
		bool same = seg->base_offset == from->segment_base;

		r = segment_size(seg);
		unsynced = unsynced || !seg->head_synced;
		if (!r)
			r = put_stretch(seg, SEGMENT_META, same ? from->meta_len : FORMAT_HEAD_LEN,
					seg == plog_active(p) ? plog_meta_end(p) : seg->meta_len,
					ret, max, &cnt);
		if (!r)
			r = put_stretch(seg, SEGMENT_DATA, same ? from->data_len : 0, seg->data_len,
					ret, max, &cnt);
	}
	if (r)
		return r;
	for (unsigned i = 0; i < cnt; i++)
		bytes += ret[i].len;
	*ret_bytes = bytes;
	*ret_unsynced_head = unsynced;
	return (int)cnt;
}

/* What of the records makes the batch: its head, and the values one after the other. */
static int gather_records(struct plog *p, int64_t now_ms, const struct record *recs, uint32_t cnt,
			  struct batch_head *h, struct record *stored, struct buf *values)
{
	bool plain = !(h->attr & BATCH_CONTROL);

	h->max_ts_ms = INT64_MIN;
	for (uint32_t i = 0; i < cnt; i++) {
		struct record *s = &stored[i];

		*s = recs[i];
		if (p->config.log_append_time || s->timestamp_ms == RECORD_NO_TIMESTAMP)
			s->timestamp_ms = now_ms;
		h->max_ts_ms = MAX(h->max_ts_ms, s->timestamp_ms);
		plain = plain && s->key_len == RECORD_NULL && !s->headers_len &&
			s->value_len != RECORD_NULL && s->timestamp_ms == stored[0].timestamp_ms;
		if (h->attr & BATCH_CONTROL) {
			s->value_len = RECORD_NULL;
			continue;
		}
		if (s->value_len != RECORD_NULL && s->value_len)
			buf_put(values, s->value, s->value_len);
		buf_put_u8(values, '\n');
	}
	if (buf_err(values))
		return -ENOMEM;
	/* The base timestamp is the smallest, so that it is never above the largest. */
	h->base_ts_ms = h->max_ts_ms;
	for (uint32_t i = 0; i < cnt; i++)
		h->base_ts_ms = MIN(h->base_ts_ms, stored[i].timestamp_ms);
	if (plain && hash_newline_cnt(values->data, values->len) == cnt)
		h->attr |= BATCH_PLAIN;
	h->plain_len = h->data_len = (uint32_t)values->len;
	h->values_hash = hash_xxh3(values->data, values->len);
	return 0;
}

static int append_gathered(struct plog *p, int64_t now_ms, struct batch_head *h,
			   const struct record *stored, uint64_t keys_len,
			   struct plog_appended *ret)
{
	const struct record *recs = h->attr & BATCH_PLAIN ? NULL : stored;
	struct buf *values = &p->cache->out_values, *desc = &p->cache->out_desc;
	struct iovec iov = { .iov_base = values->data, .iov_len = values->len };
	uint64_t meta_len = FORMAT_BATCH_LEN;
	int r;

	if (recs)
		meta_len += (uint64_t)h->cnt * FORMAT_ENTRY_LEN + keys_len;
	r = prepare(p, now_ms, values->len, meta_len, false);
	if (r)
		return r;
	h->base_offset = p->next_offset;
	h->plain_pos = p->end_pos;
	h->data_pos = plog_active(p)->data_len;
	describe_head(p, h);
	format_put_batch(desc, h, recs, plog_active(p)->seed);
	if (buf_err(desc))
		return -ENOMEM;
	r = append_batch(p, now_ms, h, desc, &iov, 1, ret);
	if (!r)
		ret->timestamp_ms = stored[0].timestamp_ms;
	return r;
}

int plog_append_records(struct plog *p, int64_t now_ms, const struct record *recs, uint32_t cnt,
			const struct plog_producer *producer, struct plog_appended *ret)
{
	struct batch_head h = {
		.attr = producer ? producer->attr : 0,
		.cnt = cnt,
		.producer_id = producer ? producer->id : -1,
		.base_sequence = producer ? producer->base_sequence : -1,
		.producer_epoch = producer ? producer->epoch : -1,
	};
	struct batch_cache *c = plog_cache(p);
	struct record *stored;
	uint64_t keys_len = 0;
	int r;

	PRE(cnt > 0);
	PRE(!(h.attr & ~(BATCH_TRANSACTIONAL | BATCH_CONTROL)));
	if (!c)
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++) {
		keys_len += recs[i].key_len == RECORD_NULL ? 0 : recs[i].key_len;
		keys_len += recs[i].headers_len;
	}
	PRE(keys_len + (uint64_t)cnt * FORMAT_ENTRY_LEN <= SEGMENT_BYTES_MAX / 2);
	stored = malloc(cnt * sizeof(*stored));
	if (!stored)
		return -ENOMEM;
	buf_reset(&c->out_values);
	buf_reset(&c->out_desc);
	r = gather_records(p, now_ms, recs, cnt, &h, stored, &c->out_values);
	PRE(c->out_values.len <= SEGMENT_BYTES_MAX / 2);
	if (!r)
		r = append_gathered(p, now_ms, &h, stored, keys_len, ret);
	free(stored);
	return r;
}

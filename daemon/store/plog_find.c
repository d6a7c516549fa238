/*
 * Look-ups by offset, position and time, and the cache of decoded batches.
 */
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <stdlib.h>

/* What it costs to find a batch, in records decoded. */
#define FIND_WORK 64U

enum want_kind { WANT_OFFSET, WANT_POS, WANT_TIME };

/* What is looked for: the first batch that reaches beyond it. */
struct want {
	enum want_kind kind;
	int64_t offset; /* WANT_TIME: only batches that reach beyond this one too */
	uint64_t pos;
	int64_t ts_ms;
};

/* Where it was found. The scan holds the description. */
struct found {
	struct segment *seg;
	struct meta_scan scan;
	struct batch_head head;
	bool has_head; /* whether there is one, damage or not */
};

uint32_t plog_seg_of_offset(const struct plog *p, int64_t offset)
{
	uint32_t lo = 0, hi = p->seg_cnt;

	PRE(p->seg_cnt > 0);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (p->segs[mid]->base_offset <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* -EIO where the segment that should have this offset is not there, nor one before it: only a
 * lost file makes that. */
static int check_not_lost(struct plog *p, int64_t offset)
{
	struct segment first = { .plog = p, .base_offset = p->start_offset };
	int64_t base = p->seg_cnt ? p->segs[0]->base_offset : p->next_offset;

	return offset >= base
		       ? 0
		       : plog_set_fault(p, &first, SEGMENT_META, 0, "segments are missing here");
}

int plog_seg_of_pos(struct plog *p, uint64_t pos, uint32_t *ret_idx)
{
	uint32_t lo = 0, hi = p->seg_cnt;
	int r;

	PRE(p->seg_cnt || p->start_offset < p->next_offset);
	if (!p->seg_cnt)
		return check_not_lost(p, p->start_offset);
	r = segment_load(p->segs[hi - 1]);
	/* Most readers are at the end. */
	if (!r && p->segs[hi - 1]->base_pos <= pos)
		lo = hi - 1;
	while (!r && hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		r = segment_load(p->segs[mid]);
		if (!r && p->segs[mid]->base_pos <= pos)
			lo = mid;
		else
			hi = mid;
	}
	if (!r)
		r = segment_load(p->segs[lo]);
	if (!r && pos < p->segs[lo]->base_pos)
		r = check_not_lost(p, p->start_offset);
	if (!r)
		*ret_idx = lo;
	return r;
}

static bool reaches(const struct want *w, const struct batch_head *h)
{
	switch (w->kind) {
	case WANT_OFFSET:
		return h->base_offset + h->cnt > w->offset;
	case WANT_POS:
		return h->plain_pos + h->plain_len > w->pos;
	case WANT_TIME:
		return h->max_ts_ms >= w->ts_ms && h->base_offset + h->cnt > w->offset;
	}
	return false;
}

/* Whether damage, and not cleaning, is the reason that nothing stands at what is wanted. */
static bool is_torn_out(const struct plog *p, uint32_t idx, const struct want *w,
			const struct batch_head *h, bool gap)
{
	const struct segment *seg = p->segs[idx];
	int64_t end = idx + 1 < p->seg_cnt ? p->segs[idx + 1]->base_offset : p->next_offset;

	if (w->kind == WANT_TIME)
		return false;
	if (seg->generation && !gap)
		return !h && !segment_is_described(seg);
	if (w->kind == WANT_OFFSET)
		return w->offset >= seg->base_offset &&
		       (h ? h->base_offset > w->offset : end > w->offset);
	return w->pos >= seg->base_pos &&
	       (h ? h->plain_pos > w->pos : plog_seg_end(p, idx) > w->pos);
}

/* 1: found; 0: not in this segment. */
static int find_in_segment(struct plog *p, uint32_t idx, const struct want *w, struct found *f)
{
	struct segment *seg = p->segs[idx];
	const struct index *x = &seg->index;
	uint32_t at = 0;
	int r = segment_load(seg);

	f->has_head = false;
	/* Its length is known only now. */
	if (!r)
		r = segment_index(seg, seg->meta_len);
	seg->used = true;
	if (r)
		return r;
	if (w->kind == WANT_TIME && x->next.max_ts_ms < w->ts_ms)
		return 0;
	if (x->cnt && w->kind == WANT_OFFSET && w->offset > seg->base_offset)
		at = index_find_offset(
			x, (uint32_t)MIN(w->offset - seg->base_offset, (int64_t)UINT32_MAX));
	else if (x->cnt && w->kind == WANT_POS && w->pos > seg->base_pos)
		at = index_find_pos(x, w->pos - seg->base_pos);
	else if (x->cnt && w->kind == WANT_TIME)
		at = index_find_time(x, w->ts_ms);
	f->seg = seg;
	f->scan.gap = false;
	if (x->cnt) {
		meta_scan_init(&f->scan, seg, &p->cache->meta, x->entries[at].meta_pos,
			       seg->meta_len);
		while ((r = meta_scan_next(&f->scan, &f->head)) > 0)
			if (reaches(w, &f->head))
				break;
		if (r < 0)
			return r;
		f->has_head = r > 0;
	}
	if (is_torn_out(p, idx, w, r ? &f->head : NULL, f->scan.gap))
		return plog_set_fault(p, seg, SEGMENT_META,
				      x->cnt ? x->entries[at].meta_pos : FORMAT_HEAD_LEN,
				      "behind this no description holds for what is asked");
	return r;
}

/* The first batch from segment idx on. 1 or 0. */
static int find(struct plog *p, uint32_t idx, const struct want *w, struct found *f)
{
	struct want at = *w;

	if (!plog_cache(p))
		return -ENOMEM;
	for (; idx < p->seg_cnt; idx++) {
		int r = idx + 1 < p->seg_cnt ? segment_load(p->segs[idx + 1]) : 0;

		if (!r)
			r = find_in_segment(p, idx, &at, f);
		/* A time is looked for in what can be read at all. */
		if (r && !(r == -EIO && w->kind == WANT_TIME && p->segs[idx]->bad_head))
			return r;
		if (idx + 1 == p->seg_cnt)
			break;
		/* Where cleaning has left nothing, the first of the next one is what is wanted:
		 * what is damaged there is not passed without a word. */
		at.offset = MAX(at.offset, p->segs[idx + 1]->base_offset);
		at.pos = MAX(at.pos, p->segs[idx + 1]->base_pos);
	}
	return 0;
}

/* The decoded form of a batch that the scan has checked. */
static struct cached_batch *cache_get(struct batch_cache *c, uint64_t seed,
				      const struct batch_head *h)
{
	for (unsigned i = 0; i < CACHE_SLOT_CNT; i++) {
		struct cached_batch *b = &c->slots[i];

		if (b->valid && b->seed == seed && b->meta_pos == h->meta_pos &&
		    b->batch.head.base_offset == h->base_offset &&
		    b->batch.head.values_hash == h->values_hash) {
			b->tick = ++c->tick;
			return b;
		}
	}
	return NULL;
}

/* A slot for one more batch. What was used longest ago goes, until the bound is kept. */
static struct cached_batch *cache_take(struct batch_cache *c)
{
	struct cached_batch *oldest;
	size_t mem = 0;

	for (unsigned i = 0; i < CACHE_SLOT_CNT; i++)
		mem += c->slots[i].mem;
	for (;;) {
		oldest = NULL;
		for (unsigned i = 0; i < CACHE_SLOT_CNT; i++) {
			struct cached_batch *b = &c->slots[i];

			if ((b->mem || mem <= CACHE_BYTES_MAX) &&
			    (!oldest || b->tick < oldest->tick))
				oldest = b;
		}
		if (mem <= CACHE_BYTES_MAX)
			break;
		mem -= oldest->mem;
		cached_batch_fini(oldest);
	}
	oldest->valid = false;
	return oldest;
}

static int cached_reserve(struct cached_batch *b, const struct batch_head *h)
{
	if (b->cap < h->cnt) {
		free(b->recs);
		free(b->value_pos);
		b->cap = 0;
		b->recs = malloc((size_t)h->cnt * sizeof(*b->recs));
		b->value_pos = malloc(((size_t)h->cnt + 1) * sizeof(*b->value_pos));
		if (!b->recs || !b->value_pos)
			return -ENOMEM;
		b->cap = h->cnt;
	}
	buf_reset(&b->desc);
	buf_reset(&b->values);
	if (buf_reserve(&b->desc, h->total_len) || buf_reserve(&b->values, h->data_len))
		return -ENOMEM;
	b->mem = b->desc.cap + b->values.cap + b->cap * (sizeof(*b->recs) + sizeof(*b->value_pos));
	return 0;
}

static void cached_positions(struct cached_batch *b)
{
	uint32_t pos = 0;

	for (uint32_t i = 0; i < b->batch.head.cnt; i++) {
		const struct record *rec = &b->recs[i];

		b->value_pos[i] = pos;
		if (!(b->batch.head.attr & BATCH_CONTROL))
			pos += (rec->value_len == RECORD_NULL ? 0 : rec->value_len) + 1;
	}
	b->value_pos[b->batch.head.cnt] = pos;
	b->batch.recs = b->recs;
	b->batch.value_pos = b->value_pos;
}

static int bad_values(struct segment *seg, const struct batch_head *h)
{
	return plog_set_fault(seg->plog, seg, SEGMENT_DATA, h->data_pos,
			      "the values do not match their checksum");
}

/* Reads, checks and decodes a batch whose description the scan holds. */
static int decode(struct plog *p, struct found *f, const struct batch **ret)
{
	const struct batch_head *h = &f->head;
	struct segment *seg = f->seg;
	struct cached_batch *b = cache_get(p->cache, seg->seed, h);
	int fd, r;

	if (b) {
		*ret = &b->batch;
		return 0;
	}
	fd = segment_fd(seg, SEGMENT_DATA);
	if (fd < 0)
		return fd;
	p->cache->work += h->cnt + h->data_len / 64;
	b = cache_take(p->cache);
	r = cached_reserve(b, h);
	if (r) {
		cached_batch_fini(b);
		return r;
	}
	buf_put(&b->desc, f->scan.desc, h->total_len);
	r = disk_read_full(p->disk, fd, b->values.data, h->data_len, h->data_pos);
	if (r)
		return r == -EBADMSG || r == -EIO ? bad_values(seg, h) : r;
	b->values.len = h->data_len;
	if (hash_xxh3(b->values.data, h->data_len) != h->values_hash ||
	    format_get_records(b->desc.data, b->values.data, h, b->recs))
		return bad_values(seg, h);
	b->batch.head = *h;
	cached_positions(b);
	b->seed = seg->seed;
	b->meta_pos = h->meta_pos;
	b->tick = ++p->cache->tick;
	b->valid = true;
	*ret = &b->batch;
	return 0;
}

/* The batch that holds offset, where the cache has it. */
static const struct batch *cached_offset(struct plog *p, const struct segment *seg, int64_t offset)
{
	if (!p->cache || !seg->loaded || seg->bad_head)
		return NULL;
	for (unsigned i = 0; i < CACHE_SLOT_CNT; i++) {
		struct cached_batch *b = &p->cache->slots[i];
		const struct batch_head *h = &b->batch.head;

		if (b->valid && b->seed == seg->seed && offset >= h->base_offset &&
		    offset < h->base_offset + h->cnt) {
			b->tick = ++p->cache->tick;
			return &b->batch;
		}
	}
	return NULL;
}

/* What every look-up begins with. */
static int begin(struct plog *p, int64_t offset)
{
	int r = plog_describe(p);

	if (r)
		return r;
	if (offset < p->start_offset)
		return -ESTALE;
	return offset >= p->next_offset ? -ENODATA : check_not_lost(p, offset);
}

uint64_t plog_work(const struct plog *p)
{
	return p->cache ? p->cache->work : 0;
}

int plog_batch(struct plog *p, int64_t offset, const struct batch **ret)
{
	struct want w = { .kind = WANT_OFFSET, .offset = offset };
	struct found f;
	uint32_t idx;
	int r = begin(p, offset);

	if (r)
		return r;
	idx = plog_seg_of_offset(p, offset);
	*ret = cached_offset(p, p->segs[idx], offset);
	if (*ret)
		return 0;
	if (p->cache)
		p->cache->work += FIND_WORK;
	r = find(p, idx, &w, &f);
	if (r <= 0)
		return r ? r : -ENODATA;
	return decode(p, &f, ret);
}

/* A batch whose values do not hold: what its description says, which does. */
static int decode_keys(struct plog *p, struct found *f, const struct batch **ret)
{
	const struct batch_head *h = &f->head;
	struct cached_batch *b;
	int r;

	if (h->attr & BATCH_PLAIN)
		return 0;
	b = cache_take(p->cache); /* for nobody else: it does not become valid */
	r = cached_reserve(b, h);
	if (r) {
		cached_batch_fini(b);
		return r;
	}
	buf_put(&b->desc, f->scan.desc, h->total_len);
	memset(b->values.data, '\n', h->data_len);
	r = format_get_records(b->desc.data, b->values.data, h, b->recs);
	if (r)
		return r;
	b->batch.head = *h;
	cached_positions(b);
	for (uint32_t i = 0; i < h->cnt; i++)
		b->recs[i].value = NULL;
	*ret = &b->batch;
	return 0;
}

int plog_pass_damage(struct plog *p, int64_t offset, int64_t *ret_from, int64_t *ret_next,
		     const struct batch **ret)
{
	struct want w = { .kind = WANT_OFFSET, .offset = offset };
	struct found f = { 0 };
	uint32_t idx;
	int r;

	PRE(offset >= p->start_offset && offset < p->next_offset);
	*ret = NULL;
	*ret_from = offset;
	if (!p->seg_cnt || offset < p->segs[0]->base_offset) {
		*ret_next = p->seg_cnt ? p->segs[0]->base_offset : p->next_offset;
		return 0;
	}
	if (!plog_cache(p))
		return -ENOMEM;
	idx = plog_seg_of_offset(p, offset);
	/* Of a segment that cleaning has left nothing behind the offset nothing is damaged. */
	while (!(r = find_in_segment(p, idx, &w, &f)) && idx + 1 < p->seg_cnt)
		w.offset = p->segs[++idx]->base_offset;
	if (r < 0 && r != -EIO)
		return r;
	*ret_from = w.offset;
	*ret_next = idx + 1 < p->seg_cnt ? p->segs[idx + 1]->base_offset : p->next_offset;
	if (!f.has_head)
		return 0;
	if (f.head.base_offset > w.offset && r < 0) {
		*ret_next = f.head.base_offset;
		return 0;
	}
	*ret_from = MAX(w.offset, f.head.base_offset);
	*ret_next = f.head.base_offset + f.head.cnt;
	return decode_keys(p, &f, ret);
}

int plog_offset_to_pos(struct plog *p, int64_t offset, uint64_t *ret_pos)
{
	struct want w = { .kind = WANT_OFFSET, .offset = offset };
	const struct batch *b;
	struct found f;
	int r;

	if (offset == p->next_offset) {
		*ret_pos = p->end_pos;
		return 0;
	}
	r = begin(p, offset);
	if (r)
		return r;
	r = find(p, plog_seg_of_offset(p, offset), &w, &f);
	if (r < 0)
		return r;
	if (!r) {
		*ret_pos = p->end_pos;
		return 0;
	}
	if (offset <= f.head.base_offset) {
		*ret_pos = f.head.plain_pos;
		return 0;
	}
	r = decode(p, &f, &b);
	if (!r)
		*ret_pos = b->head.plain_pos + b->value_pos[offset - b->head.base_offset];
	return r;
}

/* The record of the batch that holds position pos. */
static uint32_t record_at(const struct batch *b, uint64_t pos)
{
	uint32_t lo = 0, hi = b->head.cnt;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (b->value_pos[mid] <= pos - b->head.plain_pos)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int plog_pos_to_offset(struct plog *p, uint64_t pos, int64_t *ret_offset)
{
	struct want w = { .kind = WANT_POS, .pos = pos };
	const struct batch *b;
	struct found f;
	uint32_t idx;
	int r;

	if (pos >= p->end_pos) {
		*ret_offset = p->next_offset;
		return pos > p->end_pos ? -ENODATA : 0;
	}
	if (pos < p->start_pos)
		return -ESTALE;
	r = plog_describe(p);
	if (!r)
		r = plog_seg_of_pos(p, pos, &idx);
	if (r)
		return r;
	r = find(p, idx, &w, &f);
	if (r < 0)
		return r;
	if (!r || pos <= f.head.plain_pos) {
		*ret_offset = r ? f.head.base_offset : p->next_offset;
		return 0;
	}
	r = decode(p, &f, &b);
	if (!r)
		*ret_offset = b->head.base_offset + record_at(b, pos);
	return r;
}

/* The begin of a granule in (from, to], where one is near to `to`: most answers need no more. */
static bool cut_by_index(const struct segment *seg, uint64_t from, uint64_t to,
			 struct plog_cut *ret)
{
	const struct index_entry *e;
	uint64_t pos;

	if (!seg->index.cnt || to <= seg->base_pos)
		return false;
	e = &seg->index.entries[index_find_pos(&seg->index, to - seg->base_pos)];
	pos = seg->base_pos + e->plain_pos;
	if (pos > to || pos <= from || to - pos > (to - from) / 4)
		return false;
	*ret = (struct plog_cut){ .pos = pos, .off = seg->base_offset + e->offset };
	return true;
}

/* Within the batch that holds `to`. */
static int cut_in_batch(struct plog *p, struct found *f, uint64_t from, int64_t from_off,
			uint64_t to, struct plog_cut *ret)
{
	const struct batch_head *h = &f->head;
	const struct batch *b;
	uint32_t i;
	int r;

	*ret = (struct plog_cut){ .pos = from, .off = from_off };
	if (h->plain_pos > from) {
		ret->pos = h->plain_pos;
		ret->off = h->base_offset;
	}
	if (h->plain_pos > from && to - h->plain_pos <= (to - from) / 4)
		return 0;
	if (h->attr & BATCH_PLAIN) {
		ret->is_lines = true;
		ret->end_off = h->base_offset + h->cnt;
		return 0;
	}
	r = decode(p, f, &b);
	if (r)
		return r;
	i = record_at(b, to);
	if (b->head.plain_pos + b->value_pos[i] > from) {
		ret->pos = b->head.plain_pos + b->value_pos[i];
		ret->off = b->head.base_offset + i;
	}
	return 0;
}

int plog_cut(struct plog *p, uint64_t from, int64_t from_off, uint64_t to, struct plog_cut *ret)
{
	struct want w = { .kind = WANT_POS, .pos = to };
	struct found f;
	uint32_t idx;
	int r;

	PRE(from >= p->start_pos && from < to && to <= p->end_pos);
	*ret = (struct plog_cut){ .pos = to, .off = p->next_offset };
	if (to == p->end_pos)
		return 0;
	r = plog_describe(p);
	if (!r)
		r = plog_seg_of_pos(p, to, &idx);
	if (!r)
		r = segment_index(p->segs[idx], p->segs[idx]->meta_len);
	if (r || cut_by_index(p->segs[idx], from, to, ret))
		return r;
	r = find(p, idx, &w, &f);
	if (r <= 0)
		return r;
	if (f.head.plain_pos < to)
		return cut_in_batch(p, &f, from, from_off, to, ret);
	ret->off = f.head.base_offset; /* or a gap begins there */
	return 0;
}

/* The last batch of segment idx that begins before offset. 1; 0: none does. */
static int last_before(struct plog *p, uint32_t idx, int64_t offset, struct batch_head *ret)
{
	struct segment *seg = p->segs[idx];
	const struct index *x = &seg->index;
	struct meta_scan s;
	struct batch_head h;
	int r = segment_load(seg), found = 0;
	uint32_t at;

	if (!r)
		r = segment_index(seg, seg->meta_len);
	if (r || !x->cnt)
		return r;
	seg->used = true;
	at = offset > seg->base_offset
		     ? index_find_offset(
			       x, (uint32_t)MIN(offset - 1 - seg->base_offset, (int64_t)UINT32_MAX))
		     : 0;
	meta_scan_init(&s, seg, &p->cache->meta, x->entries[at].meta_pos, seg->meta_len);
	while ((r = meta_scan_next(&s, &h)) > 0 && h.base_offset < offset) {
		*ret = h;
		found = 1;
	}
	return r < 0 ? r : found;
}

/* Whether a segment that holds offsets from `from` on was cleaned: whatever the configuration is
 * now. */
static int has_cleaned(struct plog *p, int64_t from)
{
	for (uint32_t idx = p->seg_cnt; idx-- > 0;) {
		int r = segment_load(p->segs[idx]);

		if (r || p->segs[idx]->generation)
			return r ? r : 1;
		if (p->segs[idx]->base_offset <= from)
			break;
	}
	return 0;
}

int plog_back(struct plog *p, int64_t offset, int64_t n, int64_t *ret_offset, int64_t *ret_cnt)
{
	int64_t at = MIN(offset, p->next_offset), left = n;
	int64_t from = at - p->start_offset > n ? at - n : p->start_offset;
	int r = has_cleaned(p, from);

	if (r < 0)
		return r;
	if (!r) {
		*ret_offset = from;
		*ret_cnt = at - from;
		return 0;
	}
	r = plog_describe(p);
	if (!r && !plog_cache(p))
		r = -ENOMEM;
	for (uint32_t idx = p->seg_cnt; !r && left > 0 && idx && at > p->start_offset;) {
		struct batch_head h = { 0 };
		int64_t end, first;

		r = last_before(p, idx - 1, at, &h);
		if (r < 0)
			return r;
		if (!r) {
			idx--;
			continue;
		}
		end = MIN(at, h.base_offset + h.cnt);
		first = MAX(h.base_offset, p->start_offset);
		at = MAX(first, end - left);
		left -= end - at;
		r = 0;
	}
	if (r)
		return r;
	*ret_offset = at;
	*ret_cnt = n - left;
	return 0;
}

int plog_walk(struct plog *p, int64_t offset, plog_record_fn *fn, void *ctx, int64_t *ret_next)
{
	*ret_next = offset;
	while (*ret_next < p->next_offset) {
		const struct batch *b;
		int r = plog_batch(p, *ret_next, &b);

		if (r)
			return r;
		for (uint32_t i = 0; i < b->head.cnt; i++) {
			if (b->recs[i].offset < *ret_next)
				continue;
			*ret_next = b->recs[i].offset + 1;
			r = fn(ctx, &b->head, &b->recs[i]);
			if (r)
				return r;
		}
	}
	return 0;
}

/* The last segment before which no record ever was as late. Where heads are damaged: the first. */
static int seg_of_time(struct plog *p, int64_t ts_ms, uint32_t *ret_idx)
{
	uint32_t lo = 0, hi = p->seg_cnt;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;
		int r = segment_load(p->segs[mid]);

		if (r)
			return r;
		if (p->segs[mid]->bad_head) {
			*ret_idx = 0;
			return 0;
		}
		if (p->segs[mid]->prev_max_ts_ms < ts_ms)
			lo = mid;
		else
			hi = mid;
	}
	*ret_idx = lo;
	return 0;
}

/* The first record of the batch, from min on, that is as late; -1: none. */
static int64_t first_in_batch(const struct found *f, int64_t min, int64_t ts_ms)
{
	const struct batch_head *h = &f->head;
	const uint8_t *entry = f->scan.desc + FORMAT_BATCH_LEN;

	if (h->attr & BATCH_PLAIN)
		return MAX(h->base_offset, min);
	for (uint32_t i = 0; i < h->cnt; i++, entry += FORMAT_ENTRY_LEN)
		if (h->base_offset + i >= min &&
		    (int64_t)((uint64_t)h->base_ts_ms + le64_load(entry + 16)) >= ts_ms)
			return h->base_offset + i;
	return -1;
}

int plog_time_to_offset(struct plog *p, int64_t ts_ms, int64_t *ret_offset)
{
	struct want w = { .kind = WANT_TIME, .ts_ms = ts_ms, .offset = p->start_offset };
	struct found f;
	uint32_t idx;
	int r = plog_describe(p);

	if (!r && !p->seg_cnt)
		r = check_not_lost(p, p->start_offset);
	if (!r && (!p->seg_cnt || ts_ms > p->max_ts_ms)) {
		*ret_offset = p->next_offset;
		return 0;
	}
	if (!r)
		r = seg_of_time(p, ts_ms, &idx);
	while (!r) {
		int64_t offset;

		r = find(p, idx, &w, &f);
		if (r < 0)
			return r;
		offset = r ? first_in_batch(&f, w.offset, ts_ms) : p->next_offset;
		if (offset >= 0) {
			*ret_offset = offset;
			return 0;
		}
		w.offset = f.head.base_offset + f.head.cnt;
		r = 0;
	}
	return r;
}

int plog_seg_max_ts(struct plog *p, uint32_t idx, int64_t *ret)
{
	struct segment *seg = p->segs[idx];
	int r = plog_describe(p);

	if (!r)
		r = segment_load(seg);
	if (!r && idx + 1 < p->seg_cnt)
		r = segment_load(p->segs[idx + 1]);
	if (r)
		return r;
	/* What raised the largest timestamp of all stands in this segment. */
	if (idx + 1 < p->seg_cnt && !p->segs[idx + 1]->bad_head && !seg->bad_head &&
	    p->segs[idx + 1]->prev_max_ts_ms > seg->prev_max_ts_ms) {
		*ret = p->segs[idx + 1]->prev_max_ts_ms;
		return 0;
	}
	r = segment_load(seg);
	if (!r)
		r = segment_index(seg, seg->meta_len);
	if (!r)
		*ret = seg->index.next.max_ts_ms;
	return r;
}

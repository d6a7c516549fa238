/*
 * Bytes: where they are, and whether they are what was written.
 *
 * A granule of the index is checked as a whole, and a bit remembers it. The last one grows, so of
 * it a position is kept. Where a granule has damage, its whole batches are still given, one at a
 * time, checked at each read.
 */
#include "daemon/store/plog_impl.h"

#include <errno.h>

/* A window over .data: what was read last. */
struct window {
	uint64_t pos;
	size_t len;
};

/* Checks one batch's values; bytes up to data_end may be read ahead. -EBADMSG. */
static int check_values(struct segment *seg, struct batch_cache *c, struct window *w,
			const struct batch_head *h, uint64_t data_end)
{
	uint64_t hash;
	int r;

	if (h->data_len > CHUNK_LEN) {
		w->len = 0;
		r = data_hash(seg, c, h->data_pos, h->data_len, &hash);
		if (r)
			return r;
		return hash == h->values_hash ? 0 : -EBADMSG;
	}
	if (h->data_pos < w->pos || h->data_pos + h->data_len > w->pos + w->len) {
		size_t want = MAX(h->data_len, MIN(CHUNK_LEN, data_end - h->data_pos));
		int fd = segment_fd(seg, SEGMENT_DATA);
		ssize_t n;

		if (fd < 0)
			return fd;
		w->len = 0;
		n = disk_read(seg->plog->disk, fd, c->chunk, want, h->data_pos);
		if (n == -EIO)
			return plog_set_fault(seg->plog, seg, SEGMENT_DATA, h->data_pos,
					      "the device does not give it");
		if (n < 0)
			return (int)n;
		w->pos = h->data_pos;
		w->len = (size_t)n;
		if (w->len < h->data_len)
			return -EBADMSG;
	}
	hash = hash_xxh3(c->chunk + (h->data_pos - w->pos), h->data_len);
	return hash == h->values_hash ? 0 : -EBADMSG;
}

/* Checks one batch's values and names the fault. */
static int check_batch(struct segment *seg, struct batch_cache *c, struct window *w,
		       const struct batch_head *h, uint64_t data_end)
{
	int r = check_values(seg, c, w, h, data_end);

	if (r == -EBADMSG)
		return plog_set_fault(seg->plog, seg, SEGMENT_DATA, h->data_pos,
				      "the values do not match their checksum");
	return r;
}

struct granule {
	uint64_t meta, plain;	      /* where it, or what is unchecked of it, begins */
	uint64_t meta_end, plain_end; /* plain: relative to base_pos */
	bool is_last;
};

static void granule_get(const struct segment *seg, uint32_t idx, struct granule *g)
{
	const struct index *x = &seg->index;

	g->meta = x->entries[idx].meta_pos;
	g->plain = x->entries[idx].plain_pos;
	g->is_last = idx + 1 == x->cnt;
	if (!g->is_last) {
		g->meta_end = x->entries[idx + 1].meta_pos;
		g->plain_end = x->entries[idx + 1].plain_pos;
		return;
	}
	g->meta_end = x->next.meta_pos;
	g->plain_end = x->next.plain_pos;
	if (seg->tail_meta > g->meta) {
		g->meta = seg->tail_meta;
		g->plain = seg->tail_plain;
	}
}

/* Up to where (relative to base_pos) the bytes of granule idx are checked already. */
static uint64_t granule_checked(const struct segment *seg, uint32_t idx)
{
	struct granule g;

	granule_get(seg, idx, &g);
	if (!g.is_last)
		return segment_is_verified(seg, idx) ? g.plain_end : g.plain;
	return g.plain;
}

/* Marks the granule up to and with the batch. */
static int granule_mark(struct segment *seg, uint32_t idx, const struct granule *g,
			const struct batch_head *h)
{
	if (!g->is_last)
		return h->meta_pos + h->total_len == g->meta_end ? segment_set_verified(seg, idx)
								 : 0;
	seg->tail_meta = h->meta_pos + h->total_len;
	seg->tail_plain = h->plain_pos + h->plain_len - seg->base_pos;
	return 0;
}

/*
 * Checks granules from idx on until `want` (relative to base_pos) is passed or the index ends. 0;
 * -EBADMSG: one of them has damage (those before it are marked).
 */
static int check_granules(struct segment *seg, struct batch_cache *c, uint32_t idx, uint64_t want)
{
	const struct index *x = &seg->index;
	struct window w = { 0 };
	uint32_t last = MAX(idx, index_find_pos(x, want ? want - 1 : 0));
	uint64_t data_end = last + 1 < x->cnt ? x->entries[last + 1].data_pos : x->next.data_pos;
	struct granule g, g_last;
	struct meta_scan s;
	struct batch_head h;
	uint64_t plain;
	int r;

	granule_get(seg, last, &g_last);
	granule_get(seg, idx, &g);
	plain = g.plain;
	meta_scan_init(&s, seg, &c->meta, g.meta, g_last.meta_end);
	s.strict = true;
	while ((r = meta_scan_next(&s, &h)) > 0) {
		if (h.plain_pos != seg->base_pos + plain || h.data_pos != plain ||
		    h.data_pos + h.data_len > data_end)
			return -EBADMSG;
		plain += h.plain_len;
		/* Where the index says more than its batches, they are given one at a time. */
		if (!g.is_last && h.meta_pos + h.total_len == g.meta_end && plain != g.plain_end)
			return -EBADMSG;
		r = check_values(seg, c, &w, &h, data_end);
		if (!r)
			r = granule_mark(seg, idx, &g, &h);
		if (r)
			return r;
		if (h.meta_pos + h.total_len == g.meta_end && idx < last)
			granule_get(seg, ++idx, &g);
	}
	return r;
}

static void fill_extent(struct segment *seg, uint64_t pos, uint64_t file_pos, uint64_t len,
			size_t max_len, struct plog_extent *ret)
{
	*ret = (struct plog_extent){
		.seg = seg,
		.fd = seg->data_fd,
		.file_pos = file_pos,
		.len = MIN(len, max_len),
	};
}

/* One batch at a time: behind damage, and where the plain file has holes. */
static int extent_by_batch(struct segment *seg, struct batch_cache *c, uint32_t idx,
			   uint64_t end_pos, uint64_t pos, size_t max_len, struct plog_extent *ret,
			   uint64_t *ret_next)
{
	const struct index *x = &seg->index;
	/* What stands before the first entry is damage, which must be met. */
	uint64_t meta = idx ? x->entries[idx].meta_pos : FORMAT_HEAD_LEN;
	uint64_t plain = seg->base_pos + (idx ? x->entries[idx].plain_pos : 0);
	struct window w = { 0 };
	struct meta_scan s;
	struct batch_head h;
	bool gap = false;
	int r;

	meta_scan_init(&s, seg, &c->meta, meta, x->next.meta_pos);
	while ((r = meta_scan_next(&s, &h)) > 0) {
		gap = s.gap;
		if (pos < h.plain_pos + h.plain_len)
			break;
		plain = h.plain_pos + h.plain_len;
	}
	if (r < 0)
		return r;
	if (!r)
		gap = s.gap || seg->generation == 0 || !segment_is_described(seg);
	if (!r || pos < h.plain_pos) {
		if (gap || (!seg->generation && plain <= pos))
			return plog_set_fault(seg->plog, seg, SEGMENT_META,
					      x->entries[idx].meta_pos,
					      "behind this no description holds for the position");
		*ret_next = r ? h.plain_pos : end_pos;
		return -ENXIO;
	}
	r = check_batch(seg, c, &w, &h, h.data_pos + h.data_len);
	if (r)
		return r;
	fill_extent(seg, pos, h.data_pos + (pos - h.plain_pos), h.plain_pos + h.plain_len - pos,
		    max_len, ret);
	return 0;
}

int segment_extent(struct segment *seg, uint64_t end_pos, uint64_t pos, size_t max_len,
		   struct plog_extent *ret, uint64_t *ret_next)
{
	struct plog *p = seg->plog;
	struct batch_cache *c = plog_cache(p);
	const struct index *x = &seg->index;
	uint64_t rel = pos - seg->base_pos, to;
	uint32_t idx;
	int r;

	PRE(pos >= seg->base_pos && pos < end_pos);
	if (!c || batch_cache_scratch(c))
		return -ENOMEM;
	r = segment_load(seg);
	if (!r)
		r = segment_index(seg, seg->meta_len);
	if (!r)
		r = segment_fd(seg, SEGMENT_DATA);
	if (r < 0)
		return r;
	if (!x->cnt) {
		if (seg->generation) {
			*ret_next = end_pos;
			return -ENXIO;
		}
		return plog_set_fault(p, seg, SEGMENT_META, FORMAT_HEAD_LEN,
				      "no description holds");
	}
	idx = index_find_pos(x, rel);
	/* An index that was built over a damaged begin starts behind it. */
	if (seg->generation || rel < x->entries[idx].plain_pos)
		return extent_by_batch(seg, c, idx, end_pos, pos, max_len, ret, ret_next);
	to = granule_checked(seg, idx);
	if (to <= rel) {
		r = check_granules(seg, c, idx, rel + max_len);
		if (r && r != -EBADMSG && r != -EAGAIN && r != -EIO)
			return r;
		to = granule_checked(seg, idx);
		if (to <= rel && r == -EAGAIN)
			return r;
		if (to <= rel)
			return extent_by_batch(seg, c, idx, end_pos, pos, max_len, ret, ret_next);
	}
	while (to - rel < max_len && idx + 1 < x->cnt && to == x->entries[idx + 1].plain_pos) {
		uint64_t next = granule_checked(seg, ++idx);

		if (next == to)
			break;
		to = next;
	}
	fill_extent(seg, pos, rel, to - rel, max_len, ret);
	return 0;
}

/* Among what retention removed under a reader. */
static int extent_of_gone(struct plog *p, uint64_t pos, size_t max_len, struct plog_extent *ret,
			  uint64_t *ret_next)
{
	LIST_FOREACH(l, &p->gone) {
		struct segment *seg = LIST_ENTRY(l, struct segment, gone_link);

		if (pos >= seg->base_pos && pos < seg->gone_end_pos)
			return segment_extent(seg, seg->gone_end_pos, pos, max_len, ret, ret_next);
	}
	*ret_next = p->start_pos;
	return -ESTALE;
}

/* A hole that reaches to the end of segment idx may go on in those behind. -ENXIO, -EAGAIN. */
static int pass_hole(struct plog *p, uint32_t idx, uint64_t *ret_next)
{
	while (idx + 1 < p->seg_cnt && *ret_next == plog_seg_end(p, idx)) {
		struct plog_extent e;
		int r = ++idx + 1 < p->seg_cnt ? segment_load(p->segs[idx + 1]) : 0;

		if (!r && *ret_next < plog_seg_end(p, idx))
			r = segment_extent(p->segs[idx], plog_seg_end(p, idx), *ret_next, 1, &e,
					   ret_next);
		else if (!r)
			continue;
		/* Damage is met by who reads there. */
		if (r != -ENXIO)
			return r == -EAGAIN || r == -ENOMEM ? r : -ENXIO;
	}
	return -ENXIO;
}

int plog_extent(struct plog *p, uint64_t pos, size_t max_len, struct plog_extent *ret,
		uint64_t *ret_next)
{
	uint64_t owed = p->debt.len;
	uint32_t idx;
	int r = 0;

	PRE(max_len > 0);
	if (pos < p->start_pos)
		return extent_of_gone(p, pos, max_len, ret, ret_next);
	if (pos >= p->end_pos)
		return -ENODATA;
	if (p->drafts)
		owed += p->drafts->data_len;
	if (owed && (max_len > p->end_pos || pos + max_len > p->end_pos - owed))
		r = plog_describe(p);
	if (!r)
		r = plog_seg_of_pos(p, pos, &idx);
	if (r)
		return r;
	if (idx + 1 < p->seg_cnt) {
		r = segment_load(p->segs[idx + 1]);
		if (r)
			return r;
	}
	p->segs[idx]->used = true;
	if (pos < p->segs[idx]->base_pos || pos >= plog_seg_end(p, idx))
		return plog_set_fault(p, p->segs[idx], SEGMENT_META, 0,
				      "segments are missing around this one");
	r = segment_extent(p->segs[idx], plog_seg_end(p, idx), pos, max_len, ret, ret_next);
	return r == -ENXIO ? pass_hole(p, idx, ret_next) : r;
}

int plog_extent_held(struct segment *seg, uint64_t pos, size_t max_len, struct plog_extent *ret)
{
	uint64_t next;

	if (list_is_empty(&seg->gone_link) || pos < seg->base_pos || pos >= seg->gone_end_pos)
		return -ENXIO;
	return segment_extent(seg, seg->gone_end_pos, pos, max_len, ret, &next);
}

int plog_extent_read(struct plog *p, const struct plog_extent *e, void *buf)
{
	int r = disk_read_full(p->disk, e->fd, buf, e->len, e->file_pos);

	return r == -EBADMSG ? plog_set_fault(p, e->seg, SEGMENT_DATA, e->file_pos,
					      "the file ends too early")
			     : r;
}

int plog_seek_data(struct plog *p, uint64_t pos, uint64_t *ret_pos)
{
	struct plog_extent e;
	uint64_t next;
	int r;

	pos = MAX(pos, p->start_pos);
	if (pos >= p->end_pos)
		return -ENXIO;
	/* Only cleaned segments have holes. */
	for (;;) {
		uint32_t idx;

		r = plog_seg_of_pos(p, pos, &idx);
		if (r)
			return r;
		if (!p->segs[idx]->generation)
			break;
		r = plog_extent(p, pos, 1, &e, &next);
		/* Damage is met by who reads there. */
		if (!r || r == -EIO)
			break;
		if (r != -ENXIO)
			return r;
		if (next >= p->end_pos)
			return -ENXIO;
		pos = next;
	}
	*ret_pos = pos;
	return 0;
}

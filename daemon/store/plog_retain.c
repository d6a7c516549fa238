/*
 * What goes: segments by retention, descriptors and memory of what nobody uses.
 */
#include "daemon/store/plog_impl.h"

#include <errno.h>

static uint64_t segment_bytes(struct segment *seg)
{
	/* Lengths that cannot be had count nothing now, and are asked for again. */
	if (segment_size(seg))
		return 0;
	return seg->data_len + seg->meta_len;
}

uint64_t plog_bytes(const struct plog *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->seg_cnt; i++)
		sum += segment_bytes(p->segs[i]);
	return sum;
}

uint64_t plog_data_bytes(const struct plog *p)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < p->seg_cnt; i++)
		if (segment_bytes(p->segs[i]))
			sum += p->segs[i]->data_len;
	return sum;
}

/* Whether segment idx, the oldest that stays so far, is due. left: bytes from it on. */
static int is_due(struct plog *p, uint32_t idx, int64_t now_ms, uint64_t left, bool *ret)
{
	struct segment *seg = p->segs[idx];
	uint64_t bytes = segment_bytes(seg);
	int64_t newest_ms;
	int r;

	/* Where its length could not be had before, nothing is known of what would be left. */
	*ret = p->config.retention_bytes >= 0 && bytes <= left &&
	       left - bytes >= (uint64_t)p->config.retention_bytes;
	if (*ret || p->config.retention_ms < 0)
		return 0;
	r = plog_seg_max_ts(p, idx, &newest_ms);
	if (r == -EIO) {
		/* It cannot tell its age. What came before the next segment is not younger. */
		newest_ms = idx + 1 < p->seg_cnt && !p->segs[idx + 1]->bad_head
				    ? p->segs[idx + 1]->prev_max_ts_ms
				    : p->max_ts_ms;
		r = 0;
	}
	/* Records of the future stay; so do all while the clock stands before the epoch. */
	if (!r)
		*ret = newest_ms < now_ms &&
		       (newest_ms < 0 || now_ms - newest_ms > p->config.retention_ms);
	return r;
}

int plog_retention(struct plog *p, int64_t now_ms, int64_t *ret_offset, uint64_t *ret_pos)
{
	uint64_t left;
	uint32_t idx = 0;
	bool due = false;
	int r = p->config.compact ? 0 : plog_describe(p);

	if (r || p->config.compact)
		return r;
	/* With what was just described: no segment has more bytes than all of them. */
	left = plog_bytes(p);
	for (; idx < p->seg_cnt; idx++) {
		struct segment *seg = p->segs[idx];

		if (idx + 1 == p->seg_cnt && seg->meta_len == FORMAT_HEAD_LEN && !seg->data_len)
			break;
		r = is_due(p, idx, now_ms, left, &due);
		if (r)
			return r;
		if (!due)
			break;
		left -= MIN(left, segment_bytes(seg));
	}
	if (idx && idx == p->seg_cnt) {
		r = plog_roll(p, now_ms);
		if (r)
			return r;
	}
	if (!idx || p->segs[idx]->base_offset <= p->start_offset)
		return 0;
	r = segment_load(p->segs[idx]);
	if (r)
		return r;
	*ret_offset = p->segs[idx]->base_offset;
	*ret_pos = p->segs[idx]->base_pos;
	return 1;
}

/* Takes the oldest segment out. Whoever refers to it keeps its open descriptors. */
static int drop_first(struct plog *p, uint64_t end_pos)
{
	struct segment *seg = p->segs[0];
	int r = 0;

	memmove(p->segs, p->segs + 1, --p->seg_cnt * sizeof(struct segment *));
	seg->gone_end_pos = end_pos;
	if (seg->refs > 1) {
		/* What cannot be opened now cannot be read later: that is the reader's error. */
		if (segment_load(seg) || segment_fd(seg, SEGMENT_META) < 0 ||
		    segment_fd(seg, SEGMENT_DATA) < 0)
			seg->bad_head = true;
		list_put(&p->gone, &seg->gone_link);
	}
	r = segment_unlink(seg);
	segment_unref(seg);
	return r;
}

int plog_raise_start(struct plog *p, int64_t offset, uint64_t pos)
{
	int r = 0;

	PRE(offset >= p->start_offset && offset <= p->next_offset);
	PRE(pos >= p->start_pos && pos <= p->end_pos);
	p->start_offset = offset;
	p->start_pos = pos;
	while (p->seg_cnt > 1 && p->segs[1]->base_offset <= offset) {
		uint64_t end_pos = pos;
		int r2 = segment_load(p->segs[1]);

		if (!r2)
			end_pos = p->segs[1]->base_pos;
		/* One that stays behind in the directory is removed at the next start. */
		r2 = drop_first(p, end_pos);
		r = r ? r : r2;
	}
	return r;
}

int plog_flush_indexes(struct plog *p)
{
	int r = 0;

	for (uint32_t i = 0; !r && i < p->seg_cnt; i++)
		r = segment_index_flush(p->segs[i]);
	return r;
}

unsigned plog_close_idle(struct plog *p)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < p->seg_cnt; i++) {
		struct segment *seg = p->segs[i];
		int open = (seg->meta_fd >= 0) + (seg->data_fd >= 0);

		if (seg->used || seg->refs > 1) {
			seg->used = false;
			continue;
		}
		if (p->undo_owed && seg == plog_active(p))
			continue;
		if (seg->index.loaded && !segment_index_flush(seg))
			segment_index_drop(seg);
		segment_close(seg, false);
		cnt += (unsigned)(open - (seg->meta_fd >= 0) - (seg->data_fd >= 0));
	}
	if (!plog_owes(p)) {
		hash_run_free(p->debt_hash);
		p->debt_hash = NULL;
	}
	if (cnt && p->cache_owned)
		batch_cache_trim(p->cache);
	return cnt;
}

unsigned plog_relieve(struct plog *p)
{
	unsigned cnt = 0;

	for (uint32_t i = 0; i < p->seg_cnt; i++) {
		struct segment *seg = p->segs[i];
		int open = (seg->meta_fd >= 0) + (seg->data_fd >= 0);

		if (!open || seg->refs - seg->readers > 1 || seg->round == p->disk->round ||
		    (p->undo_owed && seg == plog_active(p)))
			continue;
		segment_close(seg, false);
		cnt += (unsigned)(open - (seg->meta_fd >= 0) - (seg->data_fd >= 0));
	}
	return cnt;
}

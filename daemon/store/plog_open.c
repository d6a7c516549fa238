/*
 * Opening a log, and its recovery.
 *
 *      checkpoint (floor)            valid end
 *   ------|=====================|=======|~~~~~~~~~~|          one segment, or several
 *   never read here, never cut   checked    cut
 *
 * The order of changes lets the process die between any two of them: the index files of what is
 * cut; later segments from the last backwards, .data before .meta; .data; the description of what
 * is owed, written over what stands there; .meta. Each step leaves a state from which the next
 * start comes to the same end.
 */
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <stdlib.h>

/* Files of one base offset, as the directory lists them: bits of 1 << enum segment_file. */
struct name {
	int64_t base;
	unsigned files;
};

struct names {
	struct name *v;
	uint32_t cnt, cap;
	bool was_cleaned; /* a stop left something of cleaning */
};

/* A file system stamps its files with the kernel's last tick, up to 10 ms ago; and the write comes
 * a little after the clock was read. */
#define FILE_TIME_TICK_MS 10

#define HAS_META (1U << SEGMENT_META)
#define HAS_DATA (1U << SEGMENT_DATA)

/* What recovery has found out so far: the log up to here holds. */
struct recovery {
	struct plog *p;
	struct plog_open_report *report;
	const struct plog_point *floor;
	struct debt *owed; /* from find_owed() on, those that vouch come first */
	unsigned owed_cnt, vouched_cnt;
	int64_t next_offset, max_ts_ms;
	uint64_t end_pos;
	uint64_t meta_end, data_end; /* of the segment that is looked at */
	uint64_t meta_size, data_size;
	int64_t owed_records; /* described anew at the end of it */
	bool dir_changed;
};

static int on_name(void *ctx, const char *name)
{
	static const struct {
		const char *suffix;
		enum segment_file file;
	} kinds[] = {
		{ ".meta", SEGMENT_META },
		{ ".data", SEGMENT_DATA },
		{ ".index", SEGMENT_INDEX },
		{ ".timeindex", SEGMENT_TIMEINDEX },
	};
	struct names *n = ctx;
	int64_t base = 0;
	uint32_t generation;

	n->was_cleaned |= plog_is_cleaning_name(name, &base, &generation);
	base = 0;

	for (unsigned i = 0; i < 20; i++) {
		int digit = name[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(base, 10, &base) ||
		    __builtin_add_overflow(base, digit, &base))
			return 0;
	}
	for (unsigned i = 0; i < ARRAY_CNT(kinds); i++) {
		if (strcmp(name + 20, kinds[i].suffix))
			continue;
		if (n->cnt == n->cap) {
			uint32_t cap = n->cap ? n->cap * 2 : 8;
			struct name *v = realloc(n->v, cap * sizeof(*v));

			if (!v)
				return -ENOMEM;
			n->v = v;
			n->cap = cap;
		}
		n->v[n->cnt++] = (struct name){ .base = base, .files = 1U << kinds[i].file };
	}
	return 0;
}

static int name_cmp(const void *a, const void *b)
{
	const struct name *x = a, *y = b;

	return (x->base > y->base) - (x->base < y->base);
}

/* One entry a base offset, ascending. */
static void names_merge(struct names *n)
{
	uint32_t to = 0;

	if (!n->cnt)
		return;
	qsort(n->v, n->cnt, sizeof(*n->v), name_cmp);
	for (uint32_t i = 1; i < n->cnt; i++) {
		if (n->v[i].base == n->v[to].base)
			n->v[to].files |= n->v[i].files;
		else
			n->v[++to] = n->v[i];
	}
	n->cnt = to + 1;
}

static int read_names(struct plog *p, struct names *n)
{
	int r = disk_list(p->disk, p->dir, on_name, n);

	if (r == -ENOENT) {
		r = disk_mkdir(p->disk, p->dir);
		/* Without room there is nothing to be read either. */
		if (r == -EEXIST || disk_is_full(r))
			r = 0;
	}
	if (!r && n->was_cleaned) {
		n->cnt = 0;
		r = plog_finish_cleaning(p);
		if (!r)
			r = disk_list(p->disk, p->dir, on_name, n);
	}
	names_merge(n);
	return r;
}

static int unlink_base(struct plog *p, int64_t base)
{
	struct segment *seg = segment_new(p, base);
	int r;

	if (!seg)
		return -ENOMEM;
	r = segment_unlink(seg);
	segment_unref(seg);
	return r;
}

/* Removes what lies wholly below the start; what cannot be removed now is tried at the next one. */
static int remove_below(struct plog *p, struct names *n, int64_t start_offset)
{
	uint32_t keep = 0;
	int r = 0;

	for (uint32_t i = 0; i < n->cnt; i++)
		if (n->v[i].files & HAS_META && n->v[i].base <= start_offset)
			keep = i;
	for (uint32_t i = 0; !r && i < keep; i++)
		r = unlink_base(p, n->v[i].base);
	if (r && r != -ENOMEM)
		r = 0;
	memmove(n->v, n->v + keep, (n->cnt - keep) * sizeof(*n->v));
	n->cnt -= keep;
	return r;
}

static int make_segments(struct plog *p, const struct names *n)
{
	for (uint32_t i = 0; i < n->cnt; i++) {
		struct segment *seg;

		if (!(n->v[i].files & HAS_META))
			continue;
		seg = segment_new(p, n->v[i].base);
		if (!seg)
			return -ENOMEM;
		if (plog_put_segment(p, seg)) {
			segment_unref(seg);
			return -ENOMEM;
		}
	}
	return 0;
}

static unsigned files_of(const struct names *n, int64_t base)
{
	for (uint32_t i = n->cnt; i-- > 0;)
		if (n->v[i].base == base)
			return n->v[i].files;
	return 0;
}

/* Whether the log ends exactly where the checkpoint of a clean stop says. */
static bool ends_at(struct plog *p, const struct names *n, const struct plog_point *floor)
{
	const struct segment *seg = plog_active(p);

	if (!seg)
		return floor->segment_base < 0 && !n->cnt;
	return seg->base_offset == floor->segment_base && seg->loaded && !seg->bad_head &&
	       files_of(n, seg->base_offset) & HAS_DATA && seg->meta_len == floor->meta_len &&
	       seg->data_len == floor->data_len && n->v[n->cnt - 1].base == seg->base_offset;
}

/* Records that a cut takes along. */
static void count_cut(struct recovery *r, struct segment *seg, uint64_t from)
{
	struct batch_cache *c = plog_cache(r->p);
	struct meta_scan s;
	struct batch_head h;

	if (!c || seg->bad_head || !seg->loaded || from >= seg->meta_len)
		return;
	meta_scan_init(&s, seg, &c->meta, from, seg->meta_len);
	while (meta_scan_next(&s, &h) > 0)
		r->report->cut_records += h.cnt;
}

/* Removes segments from the last down to idx. */
static int cut_segments(struct recovery *r, uint32_t idx)
{
	struct plog *p = r->p;

	while (p->seg_cnt > idx) {
		struct segment *seg = plog_active(p);
		int rc = segment_size(seg);

		if (rc)
			return rc;
		count_cut(r, seg, FORMAT_HEAD_LEN);
		r->report->cut_data_bytes += seg->data_len;
		r->report->cut_meta_bytes += seg->meta_len;
		r->dir_changed = true;
		rc = segment_unlink(seg);
		if (rc)
			return rc;
		p->seg_cnt--;
		segment_unref(seg);
	}
	return 0;
}

/* Whether a batch, or a segment, may follow the valid end: where it was cleaned there are gaps. */
static bool follows(const struct recovery *r, bool is_cleaned, int64_t offset, uint64_t pos)
{
	return is_cleaned ? offset >= r->next_offset && pos >= r->end_pos
			  : offset == r->next_offset && pos == r->end_pos;
}

/* Checks what follows the floor in one segment, and moves the valid end. Errors of the device
 * only. */
static int check_tail(struct recovery *r, struct segment *seg)
{
	struct batch_cache *c = plog_cache(r->p);
	struct meta_scan s;
	struct batch_head h;
	int rc;

	if (!c || batch_cache_scratch(c))
		return -ENOMEM;
	meta_scan_init(&s, seg, &c->meta, r->meta_end, r->meta_size);
	s.strict = true;
	while ((rc = meta_scan_next(&s, &h)) > 0) {
		uint64_t hash;

		if (!follows(r, seg->generation, h.base_offset, h.plain_pos) ||
		    h.data_pos != r->data_end || h.data_pos + h.data_len > r->data_size)
			return 0;
		rc = data_hash(seg, c, h.data_pos, h.data_len, &hash);
		if (rc || hash != h.values_hash)
			return rc == -EBADMSG ? 0 : rc;
		r->meta_end += h.total_len;
		r->data_end += h.data_len;
		r->next_offset = h.base_offset + h.cnt;
		r->end_pos = h.plain_pos + h.plain_len;
		r->max_ts_ms = MAX(r->max_ts_ms, h.max_ts_ms);
	}
	return rc == -EBADMSG ? 0 : rc;
}

/* Whether a slot vouches for the bytes at data_end. */
static int vouches(struct recovery *r, struct segment *seg, const struct debt *d, uint64_t data_end,
		   int64_t next_offset)
{
	struct plog *p = r->p;
	uint64_t hash;
	uint8_t last;
	int rc;

	if (!d->cnt || d->len < d->cnt ||
	    (d->attr | BATCH_LOG_APPEND_TIME) != (BATCH_PLAIN | BATCH_LOG_APPEND_TIME) ||
	    memcmp(d->topic_id, p->topic_id, 16) || d->partition != p->partition ||
	    d->generation != seg->generation || d->segment_base != seg->base_offset ||
	    d->data_pos != data_end || d->base_offset != next_offset ||
	    d->len > r->data_size - data_end || d->len > SEGMENT_BYTES_MAX || d->cnt > UINT32_MAX)
		return 0;
	rc = data_hash(seg, plog_cache(p), d->data_pos, d->len, &hash);
	if (!rc)
		rc = disk_read_full(p->disk, seg->data_fd, &last, 1, d->data_pos + d->len - 1);
	if (rc)
		return rc == -EBADMSG ? 0 : rc;
	return hash == d->values_hash && last == '\n';
}

/* Puts first what slots vouch for right behind the valid end, one behind the other; of what
 * vouches for the same place the newest. */
static int find_owed(struct recovery *r, struct segment *seg)
{
	uint64_t data_end = r->data_end;
	int64_t next_offset = r->next_offset;

	r->vouched_cnt = 0;
	for (unsigned i = 0; i < r->owed_cnt; i++) {
		struct debt d = r->owed[i];
		int rc = vouches(r, seg, &d, data_end, next_offset);

		if (rc < 0)
			return rc;
		if (!rc)
			continue;
		memmove(r->owed + r->vouched_cnt + 1, r->owed + r->vouched_cnt,
			(i - r->vouched_cnt) * sizeof(d));
		r->owed[r->vouched_cnt++] = d;
		data_end += d.len;
		next_offset += (int64_t)d.cnt;
		/* What was passed may follow on now. */
		i = r->vouched_cnt - 1;
	}
	return 0;
}

static int write_owed(struct recovery *r, struct segment *seg, const struct debt *d)
{
	struct plog *p = r->p;
	uint8_t mem[FORMAT_BATCH_LEN];
	struct buf b = { .data = mem, .cap = sizeof(mem) };
	struct batch_head h = {
		.attr = d->attr,
		.cnt = (uint32_t)d->cnt,
		.meta_pos = r->meta_end,
		.values_hash = d->values_hash,
		.base_offset = d->base_offset,
		.plain_pos = r->end_pos,
		.data_pos = d->data_pos,
		.plain_len = (uint32_t)d->len,
		.data_len = (uint32_t)d->len,
		.base_ts_ms = d->timestamp_ms,
		.max_ts_ms = d->timestamp_ms,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.leader_epoch = d->leader_epoch,
	};
	int rc;

	format_put_batch(&b, &h, NULL, seg->seed);
	ASSERT(b.data == mem && b.len == sizeof(mem));
	rc = disk_write(p->disk, seg->meta_fd, mem, sizeof(mem), r->meta_end);
	if (rc)
		return rc;
	seg->write_seq++;
	r->meta_end += sizeof(mem);
	r->data_end += d->len;
	r->next_offset += (int64_t)d->cnt;
	r->end_pos += d->len;
	r->max_ts_ms = MAX(r->max_ts_ms, d->timestamp_ms);
	r->report->described_records += (int64_t)d->cnt;
	return 0;
}

static int cut_file(struct recovery *r, struct segment *seg, int fd, uint64_t size, uint64_t to,
		    uint64_t *ret_cut)
{
	int rc;

	if (size <= to)
		return 0;
	rc = disk_truncate(r->p->disk, fd, to);
	seg->write_seq++;
	if (!rc)
		*ret_cut += size - to;
	return rc;
}

/* Ends the segment at the valid end: see the head of this file for the order. */
static int cut_tail(struct recovery *r, struct segment *seg)
{
	uint64_t data_len = r->data_end, old_meta_end = r->meta_end;
	int rc;

	for (unsigned i = 0; i < r->vouched_cnt; i++)
		data_len += r->owed[i].len;
	count_cut(r, seg, r->meta_end);
	rc = cut_file(r, seg, seg->data_fd, r->data_size, data_len, &r->report->cut_data_bytes);
	for (unsigned i = 0; !rc && i < r->vouched_cnt; i++)
		rc = write_owed(r, seg, &r->owed[i]);
	if (!rc)
		rc = cut_file(r, seg, seg->meta_fd, r->meta_size, r->meta_end,
			      &r->report->cut_meta_bytes);
	ERGO(!rc && !r->vouched_cnt, r->meta_end == old_meta_end);
	return rc;
}

/* Descriptors of both files; .data is made where it is missing, since what it should hold is
 * checked right afterwards. */
static int open_files(struct recovery *r, struct segment *seg, unsigned files)
{
	int fd;

	if (!(files & HAS_DATA)) {
		char path[SEGMENT_PATH_MAX];
		int rc;

		segment_path(seg, SEGMENT_DATA, path);
		rc = disk_open(r->p->disk, path, DISK_CREATE, &seg->data_fd);
		if (rc)
			return rc;
		r->dir_changed = true;
		seg->write_seq++;
	}
	fd = segment_fd(seg, SEGMENT_META);
	if (fd >= 0)
		fd = segment_fd(seg, SEGMENT_DATA);
	return fd < 0 ? fd : 0;
}

static int sync_files(struct recovery *r, struct segment *seg)
{
	uint64_t seq = seg->write_seq;
	int rc = disk_fsync(r->p->disk, seg->data_fd);

	if (!rc)
		rc = disk_fsync(r->p->disk, seg->meta_fd);
	if (!rc)
		segment_set_synced(seg, seq);
	return rc;
}

/*
 * One segment, from its begin or from the floor in it. 1: it is whole, the next one may follow; 0:
 * the log ends in it.
 */
static int recover_segment(struct recovery *r, const struct names *n, uint32_t idx)
{
	struct plog *p = r->p;
	struct segment *seg = p->segs[idx];
	bool at_floor = r->floor && r->floor->segment_base == seg->base_offset;
	bool is_torn, is_short;
	int rc;

	r->meta_end = at_floor ? r->floor->meta_len : FORMAT_HEAD_LEN;
	r->data_end = at_floor ? r->floor->data_len : 0;
	r->meta_size = seg->meta_len;
	r->data_size = seg->data_len;
	rc = open_files(r, seg, files_of(n, seg->base_offset));
	/* Readers need no new segment of which a stop has left one file. */
	if (disk_is_full(rc) && !at_floor && idx + 1 == p->seg_cnt && plog_is_hollow(seg))
		return cut_segments(r, idx);
	/* The page cache may hold what a failed sync did not write: ask for it once more. */
	if (!rc && (!at_floor || r->meta_size > r->meta_end || r->data_size > r->data_end))
		rc = sync_files(r, seg);
	if (rc)
		return rc;
	/* Damage: behind it the log may have gone on in a segment of its own. */
	is_short = r->meta_size < r->meta_end || r->data_size < r->data_end;
	if (is_short) {
		r->report->damaged = true;
		plog_set_fault(p, seg, r->data_size < r->data_end ? SEGMENT_DATA : SEGMENT_META,
			       r->data_size < r->data_end ? r->data_size : r->meta_size,
			       "the file ends before the checkpoint");
	} else if (!seg->bad_head) {
		rc = check_tail(r, seg);
		if (!rc)
			rc = find_owed(r, seg);
		if (rc)
			return rc;
	}
	is_torn = r->meta_size != r->meta_end || r->data_size != r->data_end;
	if (files_of(n, seg->base_offset) & ~(HAS_META | HAS_DATA)) {
		rc = segment_unlink_index(seg);
		if (rc)
			return rc;
	}
	if (is_torn) {
		rc = is_short ? 0 : cut_segments(r, idx + 1);
		if (!rc)
			rc = cut_tail(r, seg);
		if (!rc)
			rc = sync_files(r, seg);
	} else if (seg->write_seq != seg->synced_seq) {
		rc = sync_files(r, seg);
	}
	seg->meta_len = r->meta_end;
	seg->data_len = r->data_end;
	return rc ? rc : !is_torn || is_short;
}

/* Where the checking begins: sets what is known up to there, and returns the segment. */
static uint32_t begin_at(struct recovery *r, int64_t start_offset, uint64_t start_pos)
{
	struct plog *p = r->p;
	const struct plog_point *f = r->floor;
	struct segment *first = p->seg_cnt ? p->segs[0] : NULL;
	uint32_t idx = 0;

	r->next_offset = start_offset;
	r->end_pos = start_pos;
	r->max_ts_ms = f ? f->max_ts_ms : -1;
	if (f && f->next_offset >= start_offset) {
		r->next_offset = f->next_offset;
		r->end_pos = f->end_pos;
		while (idx < p->seg_cnt && p->segs[idx]->base_offset < f->segment_base)
			idx++;
		if (f->meta_len > FORMAT_HEAD_LEN && f->next_offset > start_offset &&
		    (idx == p->seg_cnt || p->segs[idx]->base_offset != f->segment_base)) {
			struct segment gone = { .plog = p, .base_offset = f->segment_base };

			r->report->damaged = true;
			plog_set_fault(p, &gone, SEGMENT_META, 0, "the file is missing");
		}
		return idx;
	}
	r->floor = NULL;
	if (!first || first->bad_head || (f && first->base_offset > start_offset))
		return 0;
	if (first->base_offset > start_offset) {
		r->report->damaged = true;
		plog_set_fault(p, first, SEGMENT_META, 0, "segments are missing before this one");
		p->start_offset = first->base_offset;
		p->start_pos = first->base_pos;
	}
	r->next_offset = first->base_offset;
	r->end_pos = first->base_pos;
	r->max_ts_ms = MAX(r->max_ts_ms, first->prev_max_ts_ms);
	return 0;
}

static int recover_segments(struct recovery *r, const struct names *n, uint32_t idx)
{
	struct plog *p = r->p;

	for (; idx < p->seg_cnt; idx++) {
		struct segment *seg = p->segs[idx];
		bool at_floor = r->floor && r->floor->segment_base == seg->base_offset;
		bool empty = seg->base_offset == r->next_offset;
		bool is_cleaned = idx && p->segs[idx - 1]->generation;
		int rc;

		if (at_floor && seg->bad_head)
			r->report->damaged = true;
		if (at_floor ? seg->bad_head && empty
			     : seg->bad_head ||
				       !follows(r, is_cleaned, seg->base_offset, seg->base_pos))
			return cut_segments(r, idx);
		if (!at_floor) {
			r->dir_changed = true;
			r->next_offset = seg->base_offset;
			r->end_pos = seg->base_pos;
			r->max_ts_ms = MAX(r->max_ts_ms, seg->prev_max_ts_ms);
		}
		rc = recover_segment(r, n, idx);
		if (rc <= 0)
			return rc;
	}
	return 0;
}

/* .data without .meta: behind the end it is of the tail, elsewhere it is a fault. So is .meta
 * without .data, where recovery did not make one. */
static bool lacks_data(const struct plog *p, const struct name *name)
{
	const struct segment *seg;

	if (!(name->files & HAS_META) || name->files & HAS_DATA || !p->seg_cnt)
		return false;
	seg = p->segs[plog_seg_of_offset(p, name->base)];
	return seg->base_offset == name->base && seg->data_fd < 0;
}

static int on_lone_file(struct recovery *r, int64_t base, bool lacks_meta)
{
	struct segment seg = { .plog = r->p, .base_offset = base };
	bool is_settled = false;
	int rc = lacks_meta ? plog_settle_lone_data(r->p, base, &is_settled)
			    : plog_settle_lone_meta(r->p, base, &is_settled);

	if (rc)
		return rc;
	if (is_settled) {
		r->dir_changed = true;
		return 0;
	}
	r->report->damaged = true;
	plog_set_fault(r->p, &seg, lacks_meta ? SEGMENT_META : SEGMENT_DATA, 0,
		       "the file is missing");
	return 0;
}

static int check_lone_files(struct recovery *r, const struct names *n)
{
	struct plog *p = r->p;

	for (uint32_t i = 0; i < n->cnt; i++) {
		const struct name *name = &n->v[i];
		bool lacks_meta = name->files & HAS_DATA && !(name->files & HAS_META);

		if (!(name->files & HAS_META) && (!lacks_meta || name->base >= r->next_offset)) {
			int rc = unlink_base(p, name->base);

			if (rc)
				return rc;
			r->dir_changed = true;
		} else if (lacks_meta || lacks_data(p, name)) {
			int rc = on_lone_file(r, name->base, lacks_meta);

			if (rc)
				return rc;
		}
	}
	return 0;
}

/* Whether the segment with which the checking begins lies where the log's start is known to be. */
static bool fits_start(const struct recovery *r, const struct segment *first)
{
	const struct plog *p = r->p;

	if (r->floor || first->bad_head || first->base_offset > p->start_offset)
		return true;
	return first->base_offset == p->start_offset ? first->base_pos == p->start_pos
						     : first->base_pos <= p->start_pos;
}

static int recover(struct recovery *r, const struct names *n, int64_t start_offset,
		   uint64_t start_pos)
{
	struct plog *p = r->p;
	uint32_t idx = 0;
	int rc = 0;

	/* All heads that matter are read before anything is touched. */
	while (r->floor && idx < p->seg_cnt && p->segs[idx]->base_offset < r->floor->segment_base &&
	       r->floor->next_offset >= start_offset)
		idx++;
	for (; !rc && idx < p->seg_cnt; idx++)
		rc = segment_load_ours(p->segs[idx]);
	if (rc)
		return rc;
	idx = begin_at(r, start_offset, start_pos);
	if (idx < p->seg_cnt && !fits_start(r, p->segs[idx]))
		return plog_set_fault(p, p->segs[idx], SEGMENT_META, 48,
				      "the position does not fit the log's start");
	rc = recover_segments(r, n, idx);
	if (!rc && (r->next_offset < start_offset || r->end_pos < start_pos)) {
		/* What there is lies wholly below the start. */
		rc = cut_segments(r, 0);
		r->next_offset = start_offset;
		r->end_pos = start_pos;
	}
	if (!rc)
		rc = check_lone_files(r, n);
	if (!rc && r->dir_changed)
		rc = disk_sync_dir(p->disk, p->dir);
	if (rc)
		return rc;
	p->next_offset = r->next_offset;
	p->end_pos = r->end_pos;
	p->max_ts_ms = r->max_ts_ms;
	p->tail_missing =
		r->floor && p->seg_cnt && plog_active(p)->base_offset < r->floor->segment_base;
	return 0;
}

/* The clock of the last append is kept by the file system, which may take it from its last tick;
 * the record that was stamped at that append knows it to the millisecond. */
static void take_mtime(struct plog *p)
{
	struct segment *seg = plog_active(p);
	struct disk_stat st;
	char path[SEGMENT_PATH_MAX];

	if (!seg)
		return;
	segment_path(seg, SEGMENT_DATA, path);
	if (disk_stat(p->disk, path, &st))
		return;
	p->mtime_ms = st.mtime_ms;
	if (p->max_ts_ms >= st.mtime_ms - FILE_TIME_TICK_MS &&
	    p->max_ts_ms <= st.mtime_ms + FILE_TIME_TICK_MS)
		p->mtime_ms = p->max_ts_ms;
}

static void drop_segments(struct plog *p)
{
	while (p->seg_cnt)
		segment_unref(p->segs[--p->seg_cnt]);
}

static int open_from(struct plog *p, struct names *n, const struct plog_point *floor, bool clean,
		     struct recovery *r)
{
	int64_t start_offset = p->start_offset;
	int rc = read_names(p, n);
	struct segment *last;

	if (rc)
		return rc;
	/* Whose log it is comes first. */
	rc = make_segments(p, n);
	last = plog_active(p);
	if (!rc && last)
		rc = segment_load_ours(last);
	if (rc)
		return rc;
	if (n->cnt && n->v[0].base < start_offset) {
		drop_segments(p);
		rc = remove_below(p, n, start_offset);
		if (!rc)
			rc = make_segments(p, n);
		if (!rc && p->seg_cnt)
			rc = segment_load_ours(plog_active(p));
		if (rc)
			return rc;
	}
	if (!clean || !floor || !ends_at(p, n, floor))
		return recover(r, n, start_offset, p->start_pos);
	p->next_offset = MAX(floor->next_offset, start_offset);
	p->end_pos = MAX(floor->end_pos, p->start_pos);
	p->max_ts_ms = floor->max_ts_ms;
	r->next_offset = p->next_offset;
	return check_lone_files(r, n);
}

/* What it sets aside on the way it had counted as there: it begins anew, each time with less. */
static int open_again(struct plog *p, struct names *names, struct recovery *r, bool clean)
{
	const struct recovery anew = *r;
	const int64_t start_offset = p->start_offset;
	const uint64_t start_pos = p->start_pos;
	int rc;

	do {
		*r = anew;
		*r->report = (struct plog_open_report){ 0 };
		p->start_offset = start_offset;
		p->start_pos = start_pos;
		p->set_aside = false;
		names->cnt = 0;
		drop_segments(p);
		rc = open_from(p, names, r->floor, clean, r);
	} while (p->set_aside);
	return rc;
}

int plog_open(struct plog *p, int64_t start_offset, uint64_t start_pos,
	      const struct plog_point *floor, bool clean, struct debt *owed, unsigned owed_cnt,
	      struct plog_open_report *ret)
{
	struct recovery r = {
		.p = p,
		.report = ret,
		.floor = floor,
		.owed = owed,
		.owed_cnt = owed_cnt,
	};
	struct names names = { 0 };
	bool nowait = p->disk->nowait;
	int rc;

	PRE(!p->seg_cnt && !p->debt.cnt);
	p->disk->nowait = false;
	p->start_offset = start_offset;
	p->start_pos = start_pos;
	rc = open_again(p, &names, &r, clean);
	p->disk->nowait = nowait;
	free(names.v);
	if (rc) {
		drop_segments(p);
		return rc;
	}
	take_mtime(p);
	ret->segments = p->seg_cnt;
	for (uint32_t i = 0; i < p->seg_cnt; i++) {
		segment_close(p->segs[i], false);
		p->segs[i]->used = false;
	}
	if (p->cache_owned)
		batch_cache_trim(p->cache);
	POST(p->start_offset <= p->next_offset && p->start_pos <= p->end_pos);
	return 0;
}

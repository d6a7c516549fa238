/*
 * What cleaning (cleaner.h) changes of a log: segments that take the place of others, and what a
 * stop in the middle of that has left in the directory.
 *
 * A file BASE.data.N beside a .meta of generation N holds that segment's values, and only its name
 * is missing; beside a .meta of another generation it was never, or is no more, of the log. A
 * BASE.meta.new means nothing. Where .meta is missing or damaged, all is left as it is: it is not
 * known whose values these are.
 */
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static uint32_t idx_of(const struct plog *p, const struct segment *seg)
{
	uint32_t idx = plog_seg_of_offset(p, seg->base_offset);

	ASSERT(p->segs[idx] == seg);
	return idx;
}

/* The log's reference is gone; whoever else refers to it reads on. */
static void retire(struct plog *p, struct segment *seg, uint64_t end_pos)
{
	seg->leaving = true;
	seg->gone_end_pos = end_pos;
	if (seg->refs > 1)
		list_put(&p->gone, &seg->gone_link);
	segment_unref(seg);
}

void plog_replace_segment(struct plog *p, struct segment *old, struct segment *seg)
{
	uint32_t idx = idx_of(p, old);

	PRE(idx + 1 < p->seg_cnt && seg->generation > old->generation);
	p->segs[idx] = seg;
	retire(p, old, plog_seg_end(p, idx));
}

void plog_remove_empty(struct plog *p, struct segment *seg)
{
	uint32_t idx = idx_of(p, seg);
	uint64_t end_pos = plog_seg_end(p, idx);
	int r;

	PRE(idx && seg->generation && p->segs[idx - 1]->generation && !seg->data_len);
	p->seg_cnt--;
	memmove(p->segs + idx, p->segs + idx + 1, (p->seg_cnt - idx) * sizeof(struct segment *));
	/* What cannot be removed now holds nothing, and the next start tries again. */
	r = segment_unlink(seg);
	ERGO(r, r != -ENOENT);
	retire(p, seg, end_pos);
}

/* One name that cleaning left. */
struct left {
	int64_t base;
	uint32_t generation; /* 0: a .meta.new */
};

struct leftovers {
	struct left *v;
	uint32_t cnt, cap;
};

/* A number without leading zeros that fits. */
static bool parse_generation(const char *text, uint32_t *ret)
{
	uint64_t n = 0;

	if (*text < '1' || *text > '9')
		return false;
	for (; *text >= '0' && *text <= '9' && n <= UINT32_MAX; text++)
		n = n * 10 + (uint64_t)(*text - '0');
	*ret = (uint32_t)n;
	return !*text && n <= UINT32_MAX;
}

bool plog_is_cleaning_name(const char *name, int64_t *ret_base, uint32_t *ret_generation)
{
	int64_t base = 0;

	for (unsigned i = 0; i < 20; i++) {
		int digit = name[i] - '0';

		if (digit < 0 || digit > 9 || __builtin_mul_overflow(base, 10, &base) ||
		    __builtin_add_overflow(base, digit, &base))
			return false;
	}
	*ret_base = base;
	*ret_generation = 0;
	return !strcmp(name + 20, ".meta.new") ||
	       (!strncmp(name + 20, ".data.", 6) && parse_generation(name + 26, ret_generation));
}

static int on_left(void *ctx, const char *name)
{
	struct leftovers *l = ctx;
	struct left left;

	if (!plog_is_cleaning_name(name, &left.base, &left.generation))
		return 0;
	if (l->cnt == l->cap) {
		uint32_t cap = l->cap ? l->cap * 2 : 4;
		struct left *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->cnt++] = left;
	return 0;
}

static void left_path(const struct plog *p, const struct left *l, char ret[SEGMENT_PATH_MAX])
{
	if (l->generation)
		snprintf(ret, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".data.%" PRIu32, p->dir, l->base,
			 l->generation);
	else
		snprintf(ret, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".meta.new", p->dir, l->base);
}

static int left_remove(struct plog *p, const struct left *l)
{
	char path[SEGMENT_PATH_MAX];

	left_path(p, l, path);
	return disk_unlink(p->disk, path);
}

/* Without a .meta: one that has no bytes holds nothing. */
static int left_alone(struct plog *p, const struct left *l)
{
	char path[SEGMENT_PATH_MAX];
	struct disk_stat st = { 0 };
	int r;

	left_path(p, l, path);
	r = disk_stat(p->disk, path, &st);
	return r || st.size ? r : disk_unlink(p->disk, path);
}

/* The values get their name. The .meta may have its own since a moment ago only: it must not be
 * lost while the values keep theirs. Without room for the name they are read as they are. */
static int left_finish(struct plog *p, const struct left *l, const struct segment *seg,
		       bool *ret_is_unnamed)
{
	char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
	int r = disk_sync_dir(p->disk, p->dir);

	left_path(p, l, from);
	segment_path(seg, SEGMENT_DATA, to);
	if (r)
		return r;
	r = disk_rename(p->disk, from, to);
	if (disk_is_full(r)) {
		*ret_is_unnamed = true;
		return 0;
	}
	return r ? r : disk_sync_dir(p->disk, p->dir);
}

static int left_settle(struct plog *p, const struct left *l, bool *ret_is_unnamed)
{
	struct segment *seg = segment_new(p, l->base);
	bool is_there;
	int r;

	if (!seg)
		return -ENOMEM;
	r = segment_peek(seg, &is_there);
	if (r)
		r = r == -ESTALE ? 0 : r;
	else if (!l->generation)
		r = left_remove(p, l);
	else if (!is_there)
		r = left_alone(p, l);
	else if (seg->bad_head)
		r = 0;
	else if (seg->generation == l->generation)
		r = left_finish(p, l, seg, ret_is_unnamed);
	else
		r = left_remove(p, l);
	segment_close(seg, true);
	segment_unref(seg);
	return r;
}

int plog_finish_cleaning(struct plog *p)
{
	struct leftovers left = { 0 };
	bool is_unnamed = false;
	int r = disk_list(p->disk, p->dir, on_left, &left);

	p->has_unnamed = false;
	for (uint32_t i = 0; !r && i < left.cnt; i++)
		r = left_settle(p, &left.v[i], &is_unnamed);
	p->has_unnamed = is_unnamed;
	free(left.v);
	return r;
}

int plog_settle_lone_data(struct plog *p, int64_t base, bool *ret_settled)
{
	struct segment seg = { .plog = p, .base_offset = base };
	struct segment *prev = p->seg_cnt ? p->segs[plog_seg_of_offset(p, base)] : NULL;
	char path[SEGMENT_PATH_MAX];
	struct disk_stat st = { 0 };
	int r = prev ? segment_load(prev) : 0;

	if (r || !prev || !prev->generation)
		return r;
	segment_path(&seg, SEGMENT_DATA, path);
	r = disk_stat(p->disk, path, &st);
	if (r || st.size)
		return r;
	*ret_settled = true;
	return segment_unlink(&seg);
}

int plog_settle_lone_meta(struct plog *p, int64_t base, bool *ret_settled)
{
	uint32_t idx = plog_seg_of_offset(p, base);
	struct segment *seg = p->segs[idx];
	int r = segment_load(seg);

	if (!r && idx)
		r = segment_load(p->segs[idx - 1]);
	if (!r && idx + 1 < p->seg_cnt)
		r = segment_load(p->segs[idx + 1]);
	if (r || !idx || idx + 1 == p->seg_cnt || !seg->generation ||
	    !p->segs[idx - 1]->generation || seg->meta_len != FORMAT_HEAD_LEN)
		return r;
	plog_remove_empty(p, seg);
	*ret_settled = true;
	return 0;
}

#include "daemon/walk.h"

#include "daemon/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define CHUNK_LEN (1U * 1024U * 1024U)
/* Descriptions are read in pieces of so many bytes. */
#define META_CHUNK_LEN (256U * 1024U)

void walk_path(const char *dir, int64_t base_offset, const char *suffix, char ret[WALK_PATH_MAX])
{
	const char *slash = strcmp(dir, ".") ? "/" : "";

	snprintf(ret, WALK_PATH_MAX, "%s%s%020lld.%s", *slash ? dir : "", slash,
		 (long long)base_offset, suffix);
}

/* *ret_fd is -1 where there is no such file. */
static int open_file(struct walk *w, const char *suffix, int *ret_fd, uint64_t *ret_size)
{
	char path[WALK_PATH_MAX];
	struct disk_stat st = { 0 };
	int r;

	walk_path(w->dir, w->base_offset, suffix, path);
	r = disk_open(w->disk, path, DISK_RDONLY, ret_fd);
	if (r) {
		*ret_fd = -1;
		return r == -ENOENT || disk_is_no_file(r) ? 0 : r;
	}
	r = disk_fstat(w->disk, *ret_fd, &st);
	*ret_size = st.size;
	return r;
}

int walk_open(struct walk *w, struct disk *d, const char *dir, int64_t base_offset)
{
	uint8_t head[FORMAT_HEAD_LEN];
	int r;

	*w = (struct walk){ .disk = d,
			    .dir = dir,
			    .base_offset = base_offset,
			    .meta_fd = -1,
			    .data_fd = -1,
			    .pos = FORMAT_HEAD_LEN };
	buf_init(&w->meta);
	w->chunk = malloc(CHUNK_LEN);
	w->run = hash_run_new();
	if (!w->chunk || !w->run)
		return -ENOMEM;
	r = open_file(w, "meta", &w->meta_fd, &w->meta_size);
	if (!r)
		r = open_file(w, "data", &w->data_fd, &w->data_size);
	if (r || w->meta_fd < 0)
		return r;
	r = disk_read_full(d, w->meta_fd, head, sizeof(head), 0);
	if (r && r != -EBADMSG)
		return r;
	w->head_err = r ? r : format_get_head(head, sizeof(head), &w->head);
	return 0;
}

int walk_close(struct walk *w)
{
	int r = w->meta_fd >= 0 ? disk_close(w->disk, w->meta_fd) : 0;

	if (w->data_fd >= 0) {
		int err = disk_close(w->disk, w->data_fd);

		r = r ? r : err;
	}
	buf_fini(&w->meta);
	free(w->chunk);
	hash_run_free(w->run);
	*w = (struct walk){ .meta_fd = -1, .data_fd = -1 };
	return r;
}

/* Has [pos, pos + len) in memory; the range lies within the file. */
static int fill(struct walk *w, uint64_t pos, size_t len)
{
	size_t want = MAX(len, (size_t)MIN(META_CHUNK_LEN, w->meta_size - pos));
	int r;

	if (pos >= w->meta_pos && pos + len <= w->meta_pos + w->meta.len)
		return 0;
	buf_reset(&w->meta);
	r = buf_reserve(&w->meta, want);
	if (!r)
		r = disk_read_full(w->disk, w->meta_fd, w->meta.data, want, pos);
	if (r)
		return r == -EBADMSG ? -EIO : r;
	w->meta_pos = pos;
	w->meta.len = want;
	return 0;
}

/* The description at pos, whole and checked; else -EBADMSG. */
static int get_at(struct walk *w, uint64_t pos, struct batch_head *ret)
{
	struct batch_head h;
	int r;

	if (w->meta_size - pos < FORMAT_BATCH_LEN)
		return -EBADMSG;
	r = fill(w, pos, FORMAT_BATCH_LEN);
	if (!r)
		r = format_get_batch(w->meta.data + (pos - w->meta_pos), FORMAT_BATCH_LEN, pos, &h);
	if (!r && h.total_len > w->meta_size - pos)
		r = -EBADMSG;
	if (!r)
		r = fill(w, pos, h.total_len);
	if (r)
		return r;
	w->desc = w->meta.data + (pos - w->meta_pos);
	r = format_check_batch(w->desc, &h, w->head.seed);
	if (!r)
		*ret = h;
	return r;
}

/* The first place at or behind `pos` where a description may begin; meta_size: there is none. */
static int find_magic(struct walk *w, uint64_t pos, uint64_t *ret_pos)
{
	for (; w->meta_size - pos >= FORMAT_BATCH_LEN; pos++) {
		int r = fill(w, pos, 4);

		if (r)
			return r;
		if (le32_load(w->meta.data + (pos - w->meta_pos)) == FORMAT_BATCH_MAGIC) {
			*ret_pos = pos;
			return 0;
		}
	}
	*ret_pos = w->meta_size;
	return 0;
}

int walk_next(struct walk *w, struct batch_head *ret)
{
	int r;

	PRE(w->meta_fd >= 0 && !w->head_err);
	w->damaged = false;
	if (w->pos >= w->meta_size)
		return 0;
	r = get_at(w, w->pos, ret);
	while (r == -EBADMSG) {
		if (!w->damaged)
			w->damage_pos = w->pos;
		w->damaged = true;
		r = find_magic(w, w->pos + 1, &w->pos);
		if (r)
			return r;
		if (w->pos >= w->meta_size)
			return 0;
		r = get_at(w, w->pos, ret);
	}
	if (r)
		return r;
	w->pos += ret->total_len;
	return 1;
}

/* Where the newlines behind values stand, told by the record table; relative to the values. */
struct ends {
	const uint8_t *entry;
	uint32_t left;
	uint64_t next; /* position of the next one */
};

static void ends_step(struct ends *e)
{
	uint32_t len = e->left ? le32_load(e->entry) : 0;

	e->next += len == RECORD_NULL ? 0 : len;
}

/* Whether this piece of the values, which begins at pos, has a newline behind each value. */
static bool ends_hold(struct ends *e, const uint8_t *chunk, uint64_t pos, size_t len)
{
	while (e->left && e->next < pos + len) {
		if (chunk[e->next - pos] != '\n')
			return false;
		e->entry += FORMAT_ENTRY_LEN;
		e->left--;
		e->next++;
		ends_step(e);
	}
	return true;
}

int walk_check_values(struct walk *w, const struct batch_head *h)
{
	bool is_plain = h->attr & BATCH_PLAIN;
	struct ends ends = { w->desc + FORMAT_BATCH_LEN, is_plain ? 0 : h->cnt, 0 };
	uint64_t done = 0, newlines = 0;
	uint8_t last = '\n';

	if (w->data_fd < 0 || h->data_pos > w->data_size ||
	    h->data_len > w->data_size - h->data_pos)
		return h->data_len ? -EBADMSG : 0;
	ends_step(&ends);
	hash_run_reset(w->run);
	while (done < h->data_len) {
		size_t len = MIN(h->data_len - done, CHUNK_LEN);
		int r = disk_read_full(w->disk, w->data_fd, w->chunk, len, h->data_pos + done);

		if (r)
			return r;
		hash_run_put(w->run, w->chunk, len);
		if (is_plain)
			newlines += hash_newline_cnt(w->chunk, len);
		else if (!ends_hold(&ends, w->chunk, done, len))
			return -EBADMSG;
		last = w->chunk[len - 1];
		done += len;
	}
	if (hash_run_get(w->run) != h->values_hash || last != '\n')
		return -EBADMSG;
	return is_plain && newlines != h->cnt ? -EBADMSG : 0;
}

int walk_get_values(struct walk *w, const struct batch_head *h, struct buf *b)
{
	int r;

	buf_reset(b);
	/* One more: of no bytes, too, there is a place to point at. */
	r = buf_reserve(b, (size_t)h->data_len + 1);
	if (r || !h->data_len)
		return r;
	if (w->data_fd < 0)
		return -EBADMSG;
	r = disk_read_full(w->disk, w->data_fd, b->data, h->data_len, h->data_pos);
	if (!r)
		b->len = h->data_len;
	return r;
}

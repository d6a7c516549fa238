#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define FAULT_LEN 256

void meta_scan_init(struct meta_scan *s, struct segment *seg, struct buf *buf, uint64_t pos,
		    uint64_t end)
{
	*s = (struct meta_scan){ .seg = seg, .buf = buf, .pos = pos, .end = end };
	buf_reset(buf);
}

/* Has [pos, pos + len) in the buffer. -EBADMSG where the file ends before. */
static int scan_fill(struct meta_scan *s, uint64_t pos, size_t len)
{
	size_t want = MAX(len, MIN(META_CHUNK_LEN, s->end - pos));
	ssize_t n;
	int fd;

	if (pos >= s->buf_pos && pos + len <= s->buf_pos + s->buf->len)
		return 0;
	fd = segment_fd(s->seg, SEGMENT_META);
	if (fd < 0)
		return fd;
	buf_reset(s->buf);
	if (buf_reserve(s->buf, want))
		return -ENOMEM;
	n = disk_read(s->seg->plog->disk, fd, s->buf->data, want, pos);
	if (n == -EIO)
		return plog_set_fault(s->seg->plog, s->seg, SEGMENT_META, pos,
				      "the device does not give it");
	if (n < 0)
		return (int)n;
	s->buf_pos = pos;
	s->buf->len = (size_t)n;
	return (size_t)n >= len ? 0 : -EBADMSG;
}

/* The description at pos, whole and checked. */
static int scan_at(struct meta_scan *s, uint64_t pos, struct batch_head *ret)
{
	struct batch_head h;
	int r;

	if (s->end - pos < FORMAT_BATCH_LEN)
		return -EBADMSG;
	r = scan_fill(s, pos, FORMAT_BATCH_LEN);
	if (r)
		return r;
	r = format_get_batch(s->buf->data + (pos - s->buf_pos), FORMAT_BATCH_LEN, pos, &h);
	if (r)
		return r;
	if (h.total_len > s->end - pos)
		return -EBADMSG;
	r = scan_fill(s, pos, h.total_len);
	if (r)
		return r;
	s->desc = s->buf->data + (pos - s->buf_pos);
	r = format_check_batch(s->desc, &h, s->seg->seed);
	if (!r)
		*ret = h;
	return r;
}

/* The next whole description behind a damaged one. 0 where there is none. */
static int scan_pass(struct meta_scan *s, struct batch_head *ret)
{
	uint64_t pos = s->pos + 1;

	while (s->end - pos >= FORMAT_BATCH_LEN) {
		int r = scan_fill(s, pos, FORMAT_BATCH_LEN);

		if (r)
			return r == -EBADMSG ? 0 : r;
		if (le32_load(s->buf->data + (pos - s->buf_pos)) == FORMAT_BATCH_MAGIC) {
			r = scan_at(s, pos, ret);
			if (!r) {
				s->pos = pos;
				return 1;
			}
			if (r != -EBADMSG)
				return r;
		}
		pos++;
	}
	return 0;
}

int meta_scan_next(struct meta_scan *s, struct batch_head *ret)
{
	int r;

	s->gap = false;
	if (s->pos >= s->end)
		return 0;
	r = scan_at(s, s->pos, ret);
	if (r == -EBADMSG && !s->strict) {
		plog_set_fault(s->seg->plog, s->seg, SEGMENT_META, s->pos,
			       "the description does not match its checksum");
		r = scan_pass(s, ret);
		if (r < 0)
			return r;
		s->gap = true;
		if (!r) {
			s->pos = s->end;
			return 0;
		}
		r = 0;
	}
	if (r)
		return r;
	s->pos += ret->total_len;
	return 1;
}

bool plog_is_hollow(struct segment *seg)
{
	struct batch_cache *c = plog_cache(seg->plog);
	struct batch_head h;
	struct meta_scan s;
	int r;

	if (!c)
		return false;
	meta_scan_init(&s, seg, &c->meta, FORMAT_HEAD_LEN, MAX(seg->meta_len, FORMAT_HEAD_LEN));
	s.strict = true;
	r = meta_scan_next(&s, &h);
	return r == 1 ? h.data_len > 0 : !r || r == -EBADMSG;
}

int data_hash(struct segment *seg, struct batch_cache *c, uint64_t pos, uint64_t len,
	      uint64_t *ret_hash)
{
	int fd = segment_fd(seg, SEGMENT_DATA), r;

	PRE(c->chunk && c->run);
	if (fd < 0)
		return fd;
	hash_run_reset(c->run);
	while (len) {
		size_t n = MIN(len, CHUNK_LEN);

		r = disk_read_full(seg->plog->disk, fd, c->chunk, n, pos);
		if (r)
			return r;
		hash_run_put(c->run, c->chunk, n);
		pos += n;
		len -= n;
	}
	*ret_hash = hash_run_get(c->run);
	return 0;
}

int plog_set_fault(struct plog *p, const struct segment *seg, enum segment_file file, uint64_t pos,
		   const char *what)
{
	char path[SEGMENT_PATH_MAX];

	segment_path(seg, file, path);
	if (!p->fault_mem)
		p->fault_mem = malloc(FAULT_LEN);
	if (p->fault_mem)
		snprintf(p->fault_mem, FAULT_LEN, "%.150s at %" PRIu64 ": %s", path, pos, what);
	p->fault = p->fault_mem ? p->fault_mem : what;
	return -EIO;
}

struct batch_cache *batch_cache_new(void)
{
	return calloc(1, sizeof(struct batch_cache));
}

void cached_batch_fini(struct cached_batch *b)
{
	buf_fini(&b->desc);
	buf_fini(&b->values);
	free(b->recs);
	free(b->value_pos);
	*b = (struct cached_batch){ 0 };
}

void batch_cache_trim(struct batch_cache *c)
{
	buf_fini(&c->meta);
	buf_fini(&c->out_desc);
	buf_fini(&c->out_values);
	free(c->chunk);
	hash_run_free(c->run);
	for (unsigned i = 0; i < CACHE_SLOT_CNT; i++)
		cached_batch_fini(&c->slots[i]);
	*c = (struct batch_cache){ 0 };
}

void batch_cache_free(struct batch_cache *c)
{
	if (!c)
		return;
	batch_cache_trim(c);
	free(c);
}

int batch_cache_scratch(struct batch_cache *c)
{
	if (!c->chunk)
		c->chunk = malloc(CHUNK_LEN);
	if (!c->run)
		c->run = hash_run_new();
	return c->chunk && c->run ? 0 : -ENOMEM;
}

struct batch_cache *plog_cache(struct plog *p)
{
	if (!p->cache) {
		p->cache = batch_cache_new();
		p->cache_owned = p->cache != NULL;
	}
	return p->cache;
}

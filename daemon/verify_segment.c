/*
 * topicfs verify, one partition: heads, batches, values, and the order of all of it; index entries
 * against batches.
 */
#include "daemon/store/index.h"
#include "daemon/verify.h"
#include "daemon/walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define INDEX_MAGIC 0x49534654U	    /* "TFSI" */
#define TIMEINDEX_MAGIC 0x54534654U /* "TFST" */

/* One stored index file, and how far it has been compared. */
struct side {
	char path[WALK_PATH_MAX];
	uint32_t magic;
	size_t entry_len;
	struct buf file;
	bool usable; /* it is there and its head holds */
	size_t cnt, at;
};

struct check {
	struct verify *v;
	const struct offline_dir *dir;
	struct walk w;
	char meta[WALK_PATH_MAX], data[WALK_PATH_MAX];
	struct side index, times;

	bool known; /* the next fields say where the next batch begins */
	int64_t next_offset;
	uint64_t next_plain;
	bool ts_known;
	int64_t max_ts_ms; /* of all records before; -1: none */
	/* The segment before was cleaned, or any was: what it has not need not be damage. */
	bool after_cleaned, has_cleaned;

	uint64_t next_data;
	int64_t seg_max_ts_ms; /* of this segment's records before; INT64_MIN: none */
};

static int side_open(struct check *c, struct side *s, const char *suffix, uint32_t magic,
		     size_t entry_len)
{
	int r;

	walk_path(c->dir->name, c->w.base_offset, suffix, s->path);
	s->magic = magic;
	s->entry_len = entry_len;
	s->usable = false;
	s->at = 0;
	r = offline_read(c->v->o.disk, s->path, SEGMENT_BYTES_MAX, &s->file);
	/* What is no file was told before. */
	if (r)
		return r == -ENOENT || disk_is_no_file(r) ? 0 : r;
	/* Nothing was written to it yet. */
	if (s->file.len < INDEX_HEAD_LEN)
		return 0;
	if (le32_load(s->file.data) != magic || le16_load(s->file.data + 4) != 1 ||
	    le16_load(s->file.data + 6) != INDEX_HEAD_LEN ||
	    le64_load(s->file.data + 8) != hash_xxh3_seed(s->file.data, 8, c->w.head.seed)) {
		verify_fault(c->v, s->path, 0,
			     "the head does not match its checksum; the index will be built again");
		return 0;
	}
	s->usable = true;
	s->cnt = (s->file.len - INDEX_HEAD_LEN) / entry_len;
	return 0;
}

static const uint8_t *side_entry(const struct side *s)
{
	return s->file.data + INDEX_HEAD_LEN + s->at * s->entry_len;
}

/* Tells one fault of an index file; what follows it is not read by topicfs either. */
static void side_fault(struct check *c, struct side *s, const char *what)
{
	verify_fault(c->v, s->path, INDEX_HEAD_LEN + s->at * s->entry_len,
		     "entry %zu %s; the index will be built again from there", s->at, what);
	s->usable = false;
}

static bool side_sum_holds(const struct check *c, const struct side *s)
{
	const uint8_t *e = side_entry(s);
	size_t len = s->entry_len - 4;

	return le32_load(e + len) == (uint32_t)hash_xxh3_seed(e, len, c->w.head.seed + s->at);
}

static void check_index_entry(struct check *c, const struct batch_head *h)
{
	struct side *s = &c->index;
	const uint8_t *e;

	if (!s->usable || s->at == s->cnt)
		return;
	e = side_entry(s);
	if (!side_sum_holds(c, s)) {
		side_fault(c, s, "does not match its checksum");
		return;
	}
	if (le32_load(e + 4) > h->meta_pos)
		return;
	if (le32_load(e + 4) != h->meta_pos ||
	    le32_load(e) != (uint32_t)(h->base_offset - c->w.base_offset) ||
	    le32_load(e + 8) != h->data_pos ||
	    le32_load(e + 12) != (uint32_t)(h->plain_pos - c->w.head.base_pos)) {
		side_fault(c, s, "points at no batch");
		return;
	}
	s->at++;
}

static void check_time_entry(struct check *c, const struct batch_head *h)
{
	struct side *s = &c->times;
	const uint8_t *e;
	uint32_t offset = (uint32_t)(h->base_offset - c->w.base_offset);

	if (!s->usable || s->at == s->cnt)
		return;
	e = side_entry(s);
	if (!side_sum_holds(c, s)) {
		side_fault(c, s, "does not match its checksum");
		return;
	}
	if (le32_load(e + 8) > offset)
		return;
	if (le32_load(e + 8) != offset || (int64_t)le64_load(e) != c->seg_max_ts_ms) {
		side_fault(c, s, "does not tell the largest timestamp before its batch");
		return;
	}
	s->at++;
}

static void check_side_end(struct check *c, struct side *s)
{
	if (s->usable && s->at < s->cnt)
		side_fault(c, s, "points behind the last batch");
}

static void check_head(struct check *c)
{
	const struct segment_head *h = &c->w.head;
	char usual[32];

	snprintf(usual, sizeof(usual), "%020lld.data", (long long)c->w.base_offset);
	if (memcmp(h->topic_id, c->dir->topic_id, 16) != 0)
		verify_fault(c->v, c->meta, 16, "the segment is of another topic");
	if (h->partition != c->dir->partition)
		verify_fault(c->v, c->meta, 32, "the segment is of partition %u", h->partition);
	if (h->base_offset != c->w.base_offset)
		verify_fault(c->v, c->meta, 40, "the base offset is %lld, unlike the file's name",
			     (long long)h->base_offset);
	if (!h->generation && strcmp(h->data_name, usual) != 0)
		verify_fault(c->v, c->meta, 80, "the name of its values is \"%s\"", h->data_name);
	if (c->known && (c->after_cleaned ? c->w.base_offset < c->next_offset
					  : c->w.base_offset != c->next_offset))
		verify_fault(c->v, c->meta, 40,
			     "the segment begins at offset %lld, but the one before ends at %lld",
			     (long long)c->w.base_offset, (long long)c->next_offset);
	if (c->known &&
	    (c->after_cleaned ? h->base_pos < c->next_plain : h->base_pos != c->next_plain))
		verify_fault(c->v, c->meta, 48,
			     "the segment begins at position %llu of the plain file, but the one "
			     "before ends at %llu",
			     (unsigned long long)h->base_pos, (unsigned long long)c->next_plain);
	if (c->ts_known &&
	    (c->has_cleaned ? h->prev_max_ts_ms < c->max_ts_ms : h->prev_max_ts_ms != c->max_ts_ms))
		verify_fault(c->v, c->meta, 56,
			     "the largest timestamp before is told as %lld, and is %lld",
			     (long long)h->prev_max_ts_ms, (long long)c->max_ts_ms);
	c->known = true;
	c->next_offset = c->w.base_offset;
	c->next_plain = h->base_pos;
	if (!c->ts_known || c->has_cleaned)
		c->max_ts_ms = h->prev_max_ts_ms;
	c->ts_known = true;
	c->after_cleaned = h->generation > 0;
	c->has_cleaned |= c->after_cleaned;
}

/* How a batch follows on from the one before. A cleaned segment may have gaps. */
static void check_order(struct check *c, const struct batch_head *h)
{
	bool cleaned = c->w.head.generation > 0;
	unsigned long long at = h->meta_pos;

	if (c->known &&
	    (cleaned ? h->base_offset < c->next_offset : h->base_offset != c->next_offset))
		verify_fault(c->v, c->meta, at, "the batch begins at offset %lld instead of %lld",
			     (long long)h->base_offset, (long long)c->next_offset);
	if (c->known && (cleaned ? h->plain_pos < c->next_plain : h->plain_pos != c->next_plain))
		verify_fault(c->v, c->meta, at,
			     "the batch begins at position %llu of the plain file instead of %llu",
			     (unsigned long long)h->plain_pos, (unsigned long long)c->next_plain);
	if (c->known && h->data_pos != c->next_data)
		verify_fault(c->v, c->meta, at, "the values begin at %llu instead of %llu",
			     (unsigned long long)h->data_pos, (unsigned long long)c->next_data);
	c->known = true;
	c->next_offset = h->base_offset + h->cnt;
	c->next_plain = h->plain_pos + h->plain_len;
	c->next_data = h->data_pos + h->data_len;
}

static int check_batch(struct check *c, const struct batch_head *h)
{
	int r;

	check_order(c, h);
	check_index_entry(c, h);
	check_time_entry(c, h);
	c->seg_max_ts_ms = MAX(c->seg_max_ts_ms, h->max_ts_ms);
	c->max_ts_ms = MAX(c->max_ts_ms, h->max_ts_ms);
	r = walk_check_values(&c->w, h);
	if (r == -EBADMSG || r == -EIO) {
		verify_fault(c->v, c->data, h->data_pos,
			     "%u bytes of values (offsets %lld to %lld) %s", h->data_len,
			     (long long)h->base_offset, (long long)(h->base_offset + h->cnt - 1),
			     r == -EIO ? "cannot be read" : "do not match their checksum");
		r = 0;
	}
	c->v->batches++;
	c->v->records += h->cnt;
	c->v->bytes += (uint64_t)h->total_len + h->data_len;
	verify_progress(c->v, c->data);
	return r;
}

static int check_batches(struct check *c)
{
	struct batch_head h;
	int r;

	while ((r = walk_next(&c->w, &h)) >= 0) {
		if (c->w.damaged) {
			verify_fault(c->v, c->meta, c->w.damage_pos,
				     "the description does not match its checksum");
			c->known = c->ts_known = false;
			/* What the index says of the damaged stretch cannot be compared. */
			c->index.usable = c->times.usable = false;
		}
		if (!r)
			break;
		r = check_batch(c, &h);
		if (r)
			return r;
	}
	if (r == -EIO) {
		verify_fault(c->v, c->meta, c->w.pos, "the description cannot be read");
		c->known = c->ts_known = false;
		return 0;
	}
	if (r < 0)
		return r;
	check_side_end(c, &c->index);
	check_side_end(c, &c->times);
	if (c->known && c->w.data_fd >= 0 && c->w.data_size > c->next_data)
		verify_fault(c->v, c->data, c->next_data, "%llu bytes that no batch describes",
			     (unsigned long long)(c->w.data_size - c->next_data));
	return 0;
}

static int check_opened(struct check *c)
{
	int r;

	if (c->w.meta_fd < 0) {
		verify_fault(c->v, c->data, 0, "its .meta is missing");
		c->known = c->ts_known = false;
		return 0;
	}
	if (c->w.data_fd < 0)
		verify_fault(c->v, c->data, 0, "the file is missing");
	if (c->w.head_err) {
		verify_fault(c->v, c->meta, 0, "%s",
			     c->w.head_err == -EPROTONOSUPPORT
				     ? "the head is of a newer version"
				     : "the head does not match its checksum");
		c->known = c->ts_known = false;
		return 0;
	}
	check_head(c);
	c->v->segments++;
	c->v->bytes += FORMAT_HEAD_LEN;
	r = side_open(c, &c->index, "index", INDEX_MAGIC, INDEX_ENTRY_LEN);
	if (!r)
		r = side_open(c, &c->times, "timeindex", TIMEINDEX_MAGIC, TIMEINDEX_ENTRY_LEN);
	return r ? r : check_batches(c);
}

static int check_segment(struct check *c, int64_t base)
{
	int r, close_err;

	walk_path(c->dir->name, base, "meta", c->meta);
	walk_path(c->dir->name, base, "data", c->data);
	c->next_data = 0;
	c->seg_max_ts_ms = INT64_MIN;
	r = walk_open(&c->w, c->v->o.disk, c->dir->name, base);
	if (!r)
		r = check_opened(c);
	close_err = walk_close(&c->w);
	if (r == -EIO) {
		verify_fault(c->v, c->meta, 0, "the segment cannot be read");
		c->known = c->ts_known = false;
		return 0;
	}
	return r ? r : close_err;
}

/* Where the log is said to begin and end. */
static void check_ends(struct check *c, int64_t first, bool any)
{
	const struct plog *p = c->dir->plog;

	if (!p || c->dir->err)
		return;
	if (any && first > p->start_offset)
		verify_fault(c->v, c->dir->name, 0,
			     "the log begins at offset %lld, but its first segment at %lld",
			     (long long)p->start_offset, (long long)first);
	if (any ? c->known && c->next_offset != p->next_offset : p->next_offset != p->start_offset)
		verify_fault(c->v, c->dir->name, 0,
			     "the log ends at offset %lld, but its segments at %lld",
			     (long long)p->next_offset, (long long)(any ? c->next_offset : 0));
}

int verify_partition(struct verify *v, const struct offline_dir *d)
{
	struct check *c = calloc(1, sizeof(*c));
	int64_t *bases = NULL;
	size_t cnt = 0;
	int r;

	if (!c)
		return -ENOMEM;
	c->v = v;
	c->dir = d;
	buf_init(&c->index.file);
	buf_init(&c->times.file);
	r = offline_bases(v->o.disk, d->name, &bases, &cnt);
	for (size_t i = 0; i < cnt && !r; i++)
		r = check_segment(c, bases[i]);
	if (!r)
		check_ends(c, cnt ? bases[0] : 0, cnt > 0);
	free(bases);
	buf_fini(&c->index.file);
	buf_fini(&c->times.file);
	free(c);
	return r;
}

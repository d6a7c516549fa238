#include "daemon/store/segment.h"

#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* So many bytes of descriptions are read for the index during an append. */
#define WAKE_LEN MIB

struct segment *segment_new(struct plog *p, int64_t base_offset)
{
	struct segment *seg = calloc(1, sizeof(*seg));

	PRE(base_offset >= 0);
	if (!seg)
		return NULL;
	seg->plog = p;
	seg->base_offset = base_offset;
	seg->refs = 1;
	seg->meta_fd = seg->data_fd = seg->index_fd[0] = seg->index_fd[1] = -1;
	seg->head_synced = true;
	index_init(&seg->index);
	list_init(&seg->gone_link);
	return seg;
}

void segment_ref(struct segment *seg)
{
	PRE(seg->refs > 0);
	seg->refs++;
}

void segment_unref(struct segment *seg)
{
	if (!seg)
		return;
	PRE(seg->refs > 0);
	if (--seg->refs)
		return;
	list_remove(&seg->gone_link);
	segment_close(seg, true);
	segment_index_drop(seg);
	free(seg->data_name);
	free(seg);
}

void segment_hold(struct segment *seg)
{
	segment_ref(seg);
	seg->readers++;
}

void segment_unhold(struct segment *seg)
{
	if (!seg)
		return;
	PRE(seg->readers > 0 && seg->readers <= seg->refs);
	seg->readers--;
	segment_unref(seg);
}

void segment_usual_path(const struct segment *seg, enum segment_file file,
			char ret[SEGMENT_PATH_MAX])
{
	static const char *const suffix[] = {
		[SEGMENT_META] = "meta",
		[SEGMENT_DATA] = "data",
		[SEGMENT_INDEX] = "index",
		[SEGMENT_TIMEINDEX] = "timeindex",
	};

	snprintf(ret, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".%s", seg->plog->dir, seg->base_offset,
		 suffix[file]);
}

void segment_path(const struct segment *seg, enum segment_file file, char ret[SEGMENT_PATH_MAX])
{
	if (file == SEGMENT_DATA && seg->data_name)
		snprintf(ret, SEGMENT_PATH_MAX, "%s/%s", seg->plog->dir, seg->data_name);
	else
		segment_usual_path(seg, file, ret);
}

/* disk_open(); what is no file is set aside and is missing then, which damage of that kind is. */
static int open_path(struct segment *seg, const char *path, unsigned flags, int *ret_fd)
{
	struct disk *d = seg->plog->disk;
	int r = disk_open(d, path, flags, ret_fd);

	if (!disk_is_no_file(r) || disk_set_aside(d, path))
		return r;
	seg->plog->set_aside = true;
	return flags & DISK_CREATE ? disk_open(d, path, flags, ret_fd) : -ENOENT;
}

/* -ENOENT where it is missing. */
static int open_fd(struct segment *seg, enum segment_file file)
{
	int *fd = file == SEGMENT_META ? &seg->meta_fd : &seg->data_fd;
	char path[SEGMENT_PATH_MAX];
	int r;

	PRE(file == SEGMENT_META || file == SEGMENT_DATA);
	seg->used = true;
	seg->round = seg->plog->disk->round;
	if (*fd >= 0)
		return *fd;
	if (file == SEGMENT_DATA && !seg->loaded) {
		r = segment_load(seg);
		if (r)
			return r;
	}
	segment_path(seg, file, path);
	r = open_path(seg, path, 0, fd);
	return r ? r : *fd;
}

/* A file that nobody may change; root is not asked for anything else. */
static bool is_forbidden(int r)
{
	return r == -EPERM || r == -EACCES;
}

int segment_fd(struct segment *seg, enum segment_file file)
{
	int r = open_fd(seg, file);

	if (r == -ENOENT)
		r = plog_set_fault(seg->plog, seg, file, 0, "the file is missing");
	else if (is_forbidden(r))
		r = plog_set_fault(seg->plog, seg, file, 0, "the file may not be opened");
	return r;
}

static void close_fd(struct segment *seg, int *fd)
{
	if (*fd < 0)
		return;
	/* What it wrote was synced, or is not wanted any more: a close has nothing to tell. */
	int r = disk_close(seg->plog->disk, *fd);

	ERGO(r, r != -EBADF);
	*fd = -1;
}

void segment_close(struct segment *seg, bool force)
{
	close_fd(seg, &seg->index_fd[0]);
	close_fd(seg, &seg->index_fd[1]);
	if (!force && seg->write_seq != seg->synced_seq)
		return;
	close_fd(seg, &seg->meta_fd);
	close_fd(seg, &seg->data_fd);
}

void segment_set_synced(struct segment *seg, uint64_t seq)
{
	PRE(seq <= seg->write_seq);
	seg->synced_seq = MAX(seg->synced_seq, seq);
}

void segment_set_head_synced(struct segment *seg)
{
	seg->head_synced = true;
}

int segment_size(struct segment *seg)
{
	struct disk *d = seg->plog->disk;
	struct disk_stat meta = { 0 }, data = { 0 };
	char path[SEGMENT_PATH_MAX];
	int r;

	if (seg->sized)
		return 0;
	segment_path(seg, SEGMENT_META, path);
	r = disk_stat(d, path, &meta);
	if (!r) {
		segment_path(seg, SEGMENT_DATA, path);
		r = disk_stat(d, path, &data);
	}
	/* A missing file has no bytes; who reads them hears of it. */
	if (r && r != -ENOENT)
		return r;
	seg->meta_len = meta.size;
	seg->data_len = data.size;
	seg->sized = true;
	return 0;
}

/* Where the head is damaged: the position follows from the neighbours. */
static int work_out_base_pos(struct segment *seg)
{
	struct plog *p = seg->plog;
	uint32_t idx = plog_seg_of_offset(p, seg->base_offset);
	struct segment *prev;
	int r;

	if (p->segs[idx] != seg || !idx) {
		seg->base_pos = MIN(p->start_pos, p->end_pos);
		return 0;
	}
	prev = p->segs[idx - 1];
	r = segment_load(prev);
	if (!r)
		r = segment_size(prev);
	if (r)
		return r;
	seg->base_pos = prev->base_pos + prev->data_len;
	return 0;
}

/* Values that cleaning wrote, and that have found no room for their name yet. */
static int find_unnamed(struct segment *seg, uint32_t generation)
{
	char path[SEGMENT_PATH_MAX], name[48];
	struct disk_stat st;
	int r;

	snprintf(name, sizeof(name), "%020" PRId64 ".data.%" PRIu32, seg->base_offset, generation);
	snprintf(path, sizeof(path), "%s/%s", seg->plog->dir, name);
	r = disk_stat(seg->plog->disk, path, &st);
	if (r)
		return r == -ENOENT ? 0 : r;
	seg->data_name = strdup(name);
	return seg->data_name ? 0 : -ENOMEM;
}

static int take_head(struct segment *seg, const struct segment_head *h)
{
	char name[96];

	snprintf(name, sizeof(name), "%020" PRId64 ".data", seg->base_offset);
	if (strcmp(name, h->data_name)) {
		seg->data_name = strdup(h->data_name);
		if (!seg->data_name)
			return -ENOMEM;
	} else if (seg->plog->has_unnamed && h->generation) {
		int r = find_unnamed(seg, h->generation);

		if (r)
			return r;
	}
	seg->generation = h->generation;
	seg->base_pos = h->base_pos;
	seg->seed = h->seed;
	seg->prev_max_ts_ms = h->prev_max_ts_ms;
	seg->created_ms = h->created_ms;
	return 0;
}

static const char *bad_head_is(int err)
{
	if (err == -ENOENT)
		return "the file is missing";
	if (err == -ESTALE)
		return "the segment is of another partition";
	return err == -EPROTONOSUPPORT ? "the head is of a newer version, or damaged"
				       : "the head does not match its checksum";
}

/* The head as it stands on disk, and whether it is this segment's. */
static int read_head(struct segment *seg, struct segment_head *ret)
{
	struct plog *p = seg->plog;
	uint8_t mem[FORMAT_HEAD_LEN];
	int fd = open_fd(seg, SEGMENT_META), r;

	r = fd < 0 ? fd : disk_read_full(p->disk, fd, mem, sizeof(mem), 0);
	if (!r)
		r = format_get_head(mem, sizeof(mem), ret);
	if (!r && (memcmp(ret->topic_id, p->topic_id, 16) || ret->partition != p->partition))
		return -ESTALE;
	return !r && ret->base_offset != seg->base_offset ? -EBADMSG : r;
}

/* What reading the head came to is taken: of a bad one that it is bad. */
static int load(struct segment *seg, int r, const struct segment_head *h)
{
	struct plog *p = seg->plog;

	if (r == -EIO)
		plog_set_fault(p, seg, SEGMENT_META, 0, "the device does not give the head");
	if (is_forbidden(r))
		r = plog_set_fault(p, seg, SEGMENT_META, 0, "the file may not be opened");
	if (r == -EBADMSG || r == -ENOENT || r == -EPROTONOSUPPORT || r == -ESTALE) {
		plog_set_fault(p, seg, SEGMENT_META, 0, bad_head_is(r));
		r = work_out_base_pos(seg);
		seg->bad_head = true;
	} else if (!r) {
		r = take_head(seg, h);
	}
	if (r)
		return r;
	seg->loaded = true;
	return segment_size(seg);
}

int segment_load(struct segment *seg)
{
	struct segment_head h;

	if (seg->loaded)
		return segment_size(seg);
	return load(seg, read_head(seg, &h), &h);
}

int segment_load_ours(struct segment *seg)
{
	struct segment_head h;
	int r;

	if (seg->loaded && !seg->bad_head)
		return segment_size(seg);
	r = read_head(seg, &h);
	if (r == -EPROTONOSUPPORT)
		return plog_set_fault(seg->plog, seg, SEGMENT_META, 0, bad_head_is(r));
	if (r == -ESTALE)
		return r;
	return seg->loaded ? segment_size(seg) : load(seg, r, &h);
}

int segment_peek(struct segment *seg, bool *ret_is_there)
{
	struct segment_head h;
	int r = read_head(seg, &h);

	*ret_is_there = r != -ENOENT;
	if (r == -EBADMSG || r == -ENOENT || r == -EPROTONOSUPPORT) {
		seg->bad_head = true;
		return 0;
	}
	if (!r)
		r = take_head(seg, &h);
	seg->loaded = !r;
	return r;
}

/* One of an earlier attempt was removed: cutting it to nothing instead would have ext4 write all of
 * it out when it is closed one day, even to delete it. */
static int create_file(struct segment *seg, enum segment_file file, int *ret_fd)
{
	char path[SEGMENT_PATH_MAX];

	segment_path(seg, file, path);
	return disk_open(seg->plog->disk, path, DISK_CREATE | DISK_EXCL, ret_fd);
}

int segment_create(struct segment *seg, uint64_t base_pos, int64_t prev_max_ts_ms, int64_t now_ms)
{
	struct plog *p = seg->plog;
	struct segment_head h = {
		.partition = p->partition,
		.base_offset = seg->base_offset,
		.base_pos = base_pos,
		.prev_max_ts_ms = prev_max_ts_ms,
		.created_ms = now_ms,
	};
	struct buf b;
	int r;

	seg->round = p->disk->round;
	memcpy(h.topic_id, p->topic_id, 16);
	snprintf(h.data_name, sizeof(h.data_name), "%020" PRId64 ".data", seg->base_offset);
	buf_init(&b);
	r = disk_random(p->disk, &h.seed, sizeof(h.seed));
	format_put_head(&b, &h);
	if (!r)
		r = buf_err(&b);
	if (!r)
		r = segment_unlink(seg);
	if (!r)
		r = create_file(seg, SEGMENT_META, &seg->meta_fd);
	if (!r)
		r = disk_write(p->disk, seg->meta_fd, b.data, b.len, 0);
	if (!r)
		r = create_file(seg, SEGMENT_DATA, &seg->data_fd);
	if (!r)
		r = take_head(seg, &h);
	buf_fini(&b);
	if (r) {
		segment_close(seg, true);
		seg->leftover = segment_unlink(seg) != 0;
		return r;
	}
	seg->loaded = seg->sized = seg->used = true;
	seg->round = p->disk->round;
	seg->index.loaded = true;
	seg->head_synced = false;
	seg->meta_len = FORMAT_HEAD_LEN;
	seg->write_seq++;
	return 0;
}

static int unlink_path(struct segment *seg, const char *path)
{
	int r = disk_unlink(seg->plog->disk, path);

	if (r == -EISDIR)
		r = disk_set_aside(seg->plog->disk, path);
	return r == -ENOENT ? 0 : r;
}

static int unlink_file(struct segment *seg, enum segment_file file)
{
	char path[SEGMENT_PATH_MAX];

	segment_path(seg, file, path);
	return unlink_path(seg, path);
}

/* What values without their name were to replace goes first: it must not stand in for them. */
static int unlink_data(struct segment *seg)
{
	char path[SEGMENT_PATH_MAX];
	int r;

	segment_usual_path(seg, SEGMENT_DATA, path);
	r = unlink_path(seg, path);
	return r || !seg->data_name ? r : unlink_file(seg, SEGMENT_DATA);
}

int segment_unlink_index(struct segment *seg)
{
	int r = unlink_file(seg, SEGMENT_INDEX);

	return r ? r : unlink_file(seg, SEGMENT_TIMEINDEX);
}

int segment_unlink(struct segment *seg)
{
	int r = segment_unlink_index(seg);

	if (!r)
		r = unlink_data(seg);
	return r ? r : unlink_file(seg, SEGMENT_META);
}

/* A whole index file; where it is missing, no bytes. After -EAGAIN its descriptor stays open, for
 * the request that warms the pages. */
static int read_index_file(struct segment *seg, enum segment_file file, struct buf *b)
{
	struct disk *d = seg->plog->disk;
	int *fd = &seg->index_fd[file == SEGMENT_TIMEINDEX];
	char path[SEGMENT_PATH_MAX];
	struct disk_stat st;
	ssize_t n;
	int r = 0;

	seg->used = true;
	if (*fd < 0) {
		segment_path(seg, file, path);
		r = open_path(seg, path, DISK_RDONLY, fd);
		if (r)
			return r == -ENOENT ? 0 : r;
	}
	r = disk_fstat(d, *fd, &st);
	if (!r && st.size > SEGMENT_BYTES_MAX)
		st.size = 0;
	if (!r)
		r = buf_reserve(b, st.size);
	if (!r && st.size) {
		n = disk_read(d, *fd, b->data, st.size, 0);
		if (n == -EAGAIN)
			return -EAGAIN;
		if (n < 0)
			r = (int)n;
		else
			b->len = (size_t)n;
	}
	close_fd(seg, fd);
	return r;
}

static int index_load(struct segment *seg)
{
	struct buf offsets, times;
	int r;

	buf_init(&offsets);
	buf_init(&times);
	r = read_index_file(seg, SEGMENT_INDEX, &offsets);
	if (!r)
		r = read_index_file(seg, SEGMENT_TIMEINDEX, &times);
	if (r == -EIO) { /* it is built again */
		buf_reset(&offsets);
		r = 0;
	}
	if (!r)
		r = index_decode(&seg->index, offsets.data, offsets.len, times.data, times.len,
				 seg->seed, seg->meta_len, seg->data_len);
	buf_fini(&offsets);
	buf_fini(&times);
	if (!r)
		seg->index.loaded = true;
	return r;
}

/* The index as it stands on disk does not fit the descriptions: it is built from nothing. */
static int index_restart(struct segment *seg)
{
	segment_index_drop(seg);
	seg->index.loaded = true;
	return seg->leaving ? 0 : segment_unlink_index(seg);
}

/* Whether a batch follows on from all that the index knows, and lies where it can tell places.
 * Where nothing was cleaned out and no damage was passed (gap), it follows without a hole. */
static bool follows(const struct segment *seg, const struct batch_head *h, bool gap)
{
	const struct index *x = &seg->index;
	const struct index_entry *next = &x->next;
	uint64_t offset = (uint64_t)h->base_offset - (uint64_t)seg->base_offset;
	uint64_t plain = h->plain_pos - seg->base_pos;
	/* A stored index ends with a batch that is told once more. */
	bool is_told = x->cnt && h->meta_pos == x->entries[x->cnt - 1].meta_pos;

	if (h->base_offset < seg->base_offset || offset > UINT32_MAX - (uint64_t)h->cnt ||
	    h->plain_pos < seg->base_pos || plain > UINT32_MAX - (uint64_t)h->plain_len ||
	    h->data_pos > UINT32_MAX - (uint64_t)h->data_len)
		return false;
	if (is_told || (!seg->generation && !gap))
		return offset == next->offset && plain == next->plain_pos &&
		       h->data_pos == next->data_pos;
	return offset >= next->offset && plain >= next->plain_pos && h->data_pos >= next->data_pos;
}

int segment_index(struct segment *seg, uint64_t meta_end)
{
	struct batch_cache *c = plog_cache(seg->plog);
	struct index *x = &seg->index;
	struct meta_scan s;
	struct batch_head h;
	int r = segment_load(seg);

	if (r)
		return r;
	if (seg->bad_head)
		return plog_set_fault(seg->plog, seg, SEGMENT_META, 0,
				      "the head does not match its checksum");
	if (!c)
		return -ENOMEM;
	r = x->loaded ? 0 : index_load(seg);
	if (r || x->next.meta_pos >= meta_end)
		return r;
	meta_scan_init(&s, seg, &c->meta, x->next.meta_pos, meta_end);
	while ((r = meta_scan_next(&s, &h)) > 0) {
		bool is_new, gap = s.gap || x->gap;

		if (!follows(seg, &h, gap)) {
			if (!x->flushed) /* they contradict each other */
				return plog_set_fault(
					seg->plog, seg, SEGMENT_META, h.meta_pos,
					"the description does not follow those before");
			r = index_restart(seg);
			return r ? r : segment_index(seg, meta_end);
		}
		r = index_add(x, &h, seg->base_offset, seg->base_pos,
			      seg->plog->config.index_interval_bytes, gap, &is_new);
		if (r)
			return r;
		x->gap = false;
	}
	if (!r) { /* damage at the very end is passed too */
		x->next.meta_pos = (uint32_t)meta_end;
		x->gap |= s.gap;
	}
	return r;
}

void segment_index_wake(struct segment *seg)
{
	struct index *x = &seg->index;

	if (x->loaded || seg->index_tried || seg->bad_head)
		return;
	seg->index_tried = true;
	if (index_load(seg) || seg->meta_len - x->next.meta_pos > WAKE_LEN)
		return;
	/* A failure leaves the index behind the log, where the next reader finds it. */
	if (segment_index(seg, seg->meta_len))
		return;
	POST(x->next.meta_pos == seg->meta_len);
}

void segment_index_batch(struct segment *seg, const struct batch_head *h)
{
	struct index *x = &seg->index;
	bool is_new;

	if (!x->loaded || x->next.meta_pos != h->meta_pos)
		return;
	/* Where it does not follow, the next look-up says why. */
	if (!follows(seg, h, x->gap) ||
	    index_add(x, h, seg->base_offset, seg->base_pos, seg->plog->config.index_interval_bytes,
		      x->gap, &is_new)) {
		segment_index_drop(seg);
		return;
	}
	x->gap = false;
	if (!is_new || x->cnt < 2 || seg->tail_meta != h->meta_pos)
		return;
	/* The granule that was the last one is closed, and had been checked to its end. */
	if (segment_set_verified(seg, x->cnt - 2))
		seg->tail_meta = 0;
}

int segment_set_verified(struct segment *seg, uint32_t granule)
{
	uint32_t word = granule / 64;

	if (word >= seg->verified_cap) {
		uint32_t cap = MAX(word + 1, seg->verified_cap + seg->verified_cap / 2 + 1);
		uint64_t *bits = realloc(seg->verified, cap * sizeof(*bits));

		if (!bits)
			return -ENOMEM;
		memset(bits + seg->verified_cap, 0, (cap - seg->verified_cap) * sizeof(*bits));
		seg->verified = bits;
		seg->verified_cap = cap;
	}
	seg->verified[word] |= 1ULL << (granule % 64);
	return 0;
}

void segment_index_drop(struct segment *seg)
{
	index_fini(&seg->index);
	free(seg->verified);
	seg->verified = NULL;
	seg->verified_cap = 0;
	seg->tail_meta = seg->tail_plain = 0;
	seg->index_tried = false;
}

static int append_file(struct segment *seg, enum segment_file file, const struct buf *b,
		       uint64_t pos)
{
	struct disk *d = seg->plog->disk;
	char path[SEGMENT_PATH_MAX];
	int fd, r, r2;

	segment_path(seg, file, path);
	r = open_path(seg, path, DISK_CREATE, &fd);
	if (r)
		return r;
	r = disk_write(d, fd, b->data, b->len, pos);
	if (!r) /* what stood behind is of no use */
		r = disk_truncate(d, fd, pos + b->len);
	r2 = disk_close(d, fd);
	return r ? r : r2;
}

int segment_index_flush(struct segment *seg)
{
	struct index *x = &seg->index;
	struct buf offsets, times;
	uint32_t from = x->flushed;
	int r;

	if (!x->loaded || from >= x->cnt || seg->leaving)
		return 0;
	buf_init(&offsets);
	buf_init(&times);
	index_encode(x, from, seg->seed, &offsets, &times);
	r = buf_err(&offsets) ? buf_err(&offsets) : buf_err(&times);
	if (!r)
		r = append_file(seg, SEGMENT_INDEX, &offsets,
				from ? INDEX_HEAD_LEN + (uint64_t)from * INDEX_ENTRY_LEN : 0);
	if (!r)
		r = append_file(seg, SEGMENT_TIMEINDEX, &times,
				from ? INDEX_HEAD_LEN + (uint64_t)from * TIMEINDEX_ENTRY_LEN : 0);
	if (!r)
		x->flushed = x->cnt;
	buf_fini(&offsets);
	buf_fini(&times);
	return r;
}

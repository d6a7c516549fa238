#include "daemon/store/cleaner.h"

#include "daemon/base/hash.h"
#include "daemon/store/clean.h"
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

/* Of a segment whose keys were more than the map took, or before which one is set aside: no age
 * makes its tombstones go. */
#define NEVER_WHOLE INT64_MAX

enum cleaner_state { K_MAP, K_LOOK, K_WRITE, K_SYNC, K_DIR, K_EMPTY, K_END };

struct cleaner {
	struct plog *p;
	enum cleaner_state state;
	int64_t next, end; /* base offset from which on segments are to be looked at; and the end */
	int64_t now_ms;
	struct clean_map map;
	uint32_t slots_max;
	int64_t first_dirty; /* base offset of the first segment in the map */
	bool is_partial;     /* which filled it alone */
	struct clean_rule rule;

	struct segment *seg; /* being looked at; referred to */
	struct meta_scan scan;
	bool scanning;
	uint64_t data_end; /* of what was scanned */
	int64_t next_offset;
	struct buf meta; /* the scan's */
	uint64_t kept, gone;

	struct segment *out_seg; /* being written; owned until it is the log's */
	struct clean_out out;
	uint64_t meta_done, data_done; /* written so far */
	struct buf values;
	struct record *recs;
	uint32_t recs_cap;
	uint64_t left; /* bytes of this slice */
	struct cleaner_stats stats;
};

int cleaner_new(struct plog *p, int64_t end, int64_t now_ms, uint32_t slots_max,
		struct cleaner **ret)
{
	struct cleaner *c = calloc(1, sizeof(*c));
	uint64_t seed;
	int r;

	if (!c)
		return -ENOMEM;
	c->p = p;
	c->end = end;
	c->now_ms = now_ms;
	c->slots_max = slots_max;
	buf_init(&c->meta);
	buf_init(&c->values);
	buf_init(&c->out.meta);
	buf_init(&c->out.data);
	r = disk_random(p->disk, &seed, sizeof(seed));
	if (r) {
		cleaner_free(c);
		return r;
	}
	c->map.seed = seed;
	c->rule.map = &c->map;
	*ret = c;
	return 0;
}

static void let_go(struct cleaner *c)
{
	if (c->seg)
		c->seg->leaving = false;
	segment_unref(c->seg);
	c->seg = NULL;
	c->scanning = false;
}

void cleaner_free(struct cleaner *c)
{
	if (!c)
		return;
	let_go(c);
	segment_unref(c->out_seg);
	clean_map_fini(&c->map);
	buf_fini(&c->meta);
	buf_fini(&c->values);
	buf_fini(&c->out.meta);
	buf_fini(&c->out.data);
	free(c->recs);
	free(c);
}

void cleaner_fds(const struct cleaner *c, int *ret_data_fd, int *ret_meta_fd)
{
	/* An empty one is the log's already. */
	const struct segment *seg = c->out_seg ? c->out_seg : c->seg;

	PRE(seg && seg->data_fd >= 0 && seg->meta_fd >= 0);
	*ret_data_fd = seg->data_fd;
	*ret_meta_fd = seg->meta_fd;
}

bool cleaner_is_committed(const struct cleaner *c)
{
	return c->state == K_DIR || c->state == K_EMPTY;
}

void cleaner_stats(const struct cleaner *c, struct cleaner_stats *ret)
{
	*ret = c->stats;
}

/* The present segment does not hold, or is not given: that is no reason to leave the others. */
#define DAMAGED (-EUCLEAN)

static int of_segment(int r)
{
	return r == -EIO ? DAMAGED : r;
}

/* Whether the segment and the next one, which tells where it ends, can be read. */
static int check_heads(struct plog *p, uint32_t idx)
{
	int r = 0;

	for (uint32_t i = idx; !r && i <= idx + 1; i++) {
		r = segment_load(p->segs[i]);
		if (!r && p->segs[i]->bad_head)
			r = plog_set_fault(p, p->segs[i], SEGMENT_META, 0,
					   "its head does not hold");
	}
	return r;
}

/* Takes up the next segment. 1; 0: there is none. */
static int take_segment(struct cleaner *c)
{
	struct plog *p = c->p;

	/* The active one is never cleaned. */
	for (uint32_t idx = 0; idx + 1 < p->seg_cnt && p->segs[idx]->base_offset < c->end; idx++) {
		struct segment *seg = p->segs[idx];
		int r;

		if (seg->base_offset < c->next || seg->set_aside)
			continue;
		r = check_heads(p, idx);
		if (r == -EIO) {
			seg->set_aside = true;
			c->stats.set_aside++;
			continue;
		}
		if (r)
			return r;
		c->seg = seg;
		segment_ref(seg);
		return 1;
	}
	return 0;
}

static bool lies_behind_damage(const struct cleaner *c, const struct segment *seg)
{
	for (uint32_t i = 0; c->p->segs[i] != seg; i++) {
		if (c->p->segs[i]->set_aside)
			return true;
	}
	return false;
}

static void scan_begin(struct cleaner *c)
{
	meta_scan_init(&c->scan, c->seg, &c->meta, FORMAT_HEAD_LEN, c->seg->meta_len);
	c->scan.strict = true;
	c->scanning = true;
	c->data_end = 0;
	c->next_offset = c->seg->base_offset;
}

/* Where the scan has ended the segment must: by its values where it was cleaned, else by the next
 * one's base. */
static int check_end(struct cleaner *c)
{
	const struct segment *seg = c->seg;
	uint32_t idx = plog_seg_of_offset(c->p, seg->base_offset);

	ASSERT(c->p->segs[idx] == seg && idx + 1 < c->p->seg_cnt);
	if (seg->generation ? c->data_end == seg->data_len
			    : c->next_offset == c->p->segs[idx + 1]->base_offset)
		return 0;
	return of_segment(plog_set_fault(c->p, seg, SEGMENT_META, c->scan.pos,
					 "descriptions are missing behind it"));
}

/* The next batch of the segment within this slice. 1; 0: that was all; -EAGAIN; DAMAGED.
 * *ret_tired: none, since the slice is used up. */
static int next_batch(struct cleaner *c, struct batch_head *h, bool *ret_tired)
{
	int r;

	*ret_tired = !c->left;
	if (!c->left)
		return 1;
	if (!c->scanning)
		scan_begin(c);
	r = meta_scan_next(&c->scan, h);
	if (r == -EBADMSG)
		r = plog_set_fault(c->p, c->seg, SEGMENT_META, c->scan.pos,
				   "the description does not match its checksum");
	if (r > 0) {
		c->left -= MIN(c->left, h->total_len);
		c->data_end = h->data_pos + h->data_len;
		c->next_offset = h->base_offset + h->cnt;
	}
	return r ? of_segment(r) : check_end(c);
}

/* Once more, when its bytes are there. */
static void batch_again(struct cleaner *c, const struct batch_head *h)
{
	c->scan.pos = h->meta_pos;
}

static int bad_values(struct cleaner *c, const struct batch_head *h, const char *what)
{
	return of_segment(plog_set_fault(c->p, c->seg, SEGMENT_DATA, h->data_pos, what));
}

/* Reads the values of the batch that the scan holds. */
static int read_values(struct cleaner *c, const struct batch_head *h)
{
	int fd = segment_fd(c->seg, SEGMENT_DATA), r;

	if (fd < 0)
		return of_segment(fd);
	buf_reset(&c->values);
	r = buf_reserve(&c->values, (size_t)h->data_len + 1);
	if (!r)
		r = disk_read_full(c->p->disk, fd, c->values.data, h->data_len, h->data_pos);
	c->left -= MIN(c->left, h->data_len);
	if (r == -EIO)
		return bad_values(c, h, "the device does not give it");
	if (r == -EBADMSG || (!r && hash_xxh3(c->values.data, h->data_len) != h->values_hash))
		return bad_values(c, h, "the values do not match their checksum");
	return r;
}

static void go_on(struct cleaner *c, int64_t next, enum cleaner_state state)
{
	let_go(c);
	c->next = next;
	c->state = state;
}

/* The map holds what it can; segments are cleaned from the first on. */
static void map_end(struct cleaner *c)
{
	go_on(c, 0, c->map.slots ? K_LOOK : K_END);
}

/* The map is full. What is wholly in it is cleaned now; so is a segment that fills it alone. */
static void map_is_full(struct cleaner *c)
{
	c->is_partial = c->seg->base_offset == c->first_dirty;
	c->end = c->seg->base_offset + c->is_partial;
	map_end(c);
}

/* The next segment whose keys are told to the map: none before the first dirty one. */
static int map_take(struct cleaner *c)
{
	int r = take_segment(c);

	if (r <= 0) {
		if (!r)
			map_end(c);
		return r;
	}
	c->next = c->seg->base_offset + 1;
	if (c->map.slots)
		return 0;
	if (c->seg->generation) {
		let_go(c);
		return 0;
	}
	c->first_dirty = c->seg->base_offset;
	return clean_map_init(&c->map, (uint64_t)(c->end - c->first_dirty), c->slots_max,
			      c->map.seed);
}

static int step_map(struct cleaner *c)
{
	struct batch_head h;
	bool tired;
	int r;

	if (!c->seg)
		return map_take(c);
	while ((r = next_batch(c, &h, &tired)) > 0 && !tired) {
		r = read_values(c, &h);
		if (r) {
			batch_again(c, &h);
			break;
		}
		if (clean_map_put_batch(&c->map, c->scan.desc, &h)) {
			map_is_full(c);
			return 0;
		}
	}
	if (!r)
		let_go(c);
	return MIN(r, 0);
}

static void new_meta_path(const struct cleaner *c, char ret[SEGMENT_PATH_MAX])
{
	snprintf(ret, SEGMENT_PATH_MAX, "%s/%020" PRId64 ".meta.new", c->p->dir,
		 c->seg->base_offset);
}

static int create_file(struct cleaner *c, const char *path, int *ret_fd)
{
	int r = disk_open(c->p->disk, path, DISK_CREATE, ret_fd);

	return r ? r : disk_truncate(c->p->disk, *ret_fd, 0);
}

/* The segment that takes the place of c->seg, in memory. */
static int make_out(struct cleaner *c)
{
	const struct segment *seg = c->seg;
	struct segment *n = segment_new(c->p, seg->base_offset);
	char name[48];

	if (!n)
		return -ENOMEM;
	c->out_seg = n;
	if (seg->generation == UINT32_MAX)
		return of_segment(
			plog_set_fault(c->p, seg, SEGMENT_META, 36, "there is no next generation"));
	n->generation = seg->generation + 1;
	n->base_pos = seg->base_pos;
	n->prev_max_ts_ms = seg->prev_max_ts_ms;
	n->created_ms = seg->created_ms;
	if (!seg->generation)
		n->created_ms =
			c->is_partial || lies_behind_damage(c, seg) ? NEVER_WHOLE : c->now_ms;
	n->loaded = n->sized = true;
	snprintf(name, sizeof(name), "%020" PRId64 ".data.%" PRIu32, seg->base_offset,
		 n->generation);
	n->data_name = strdup(name);
	if (!n->data_name)
		return -ENOMEM;
	return disk_random(c->p->disk, &n->seed, sizeof(n->seed));
}

static int write_begin(struct cleaner *c)
{
	struct segment_head h = { .partition = c->p->partition };
	char path[SEGMENT_PATH_MAX];
	struct segment *n;
	int r = make_out(c);

	if (r)
		return r;
	n = c->out_seg;
	memcpy(h.topic_id, c->p->topic_id, 16);
	h.generation = n->generation;
	h.base_offset = n->base_offset;
	h.base_pos = n->base_pos;
	h.prev_max_ts_ms = n->prev_max_ts_ms;
	h.seed = n->seed;
	h.created_ms = n->created_ms;
	/* The name that it will have. */
	snprintf(h.data_name, sizeof(h.data_name), "%020" PRId64 ".data", n->base_offset);
	buf_reset(&c->out.meta);
	buf_reset(&c->out.data);
	format_put_head(&c->out.meta, &h);
	c->out.seed = n->seed;
	c->out.meta_pos = FORMAT_HEAD_LEN;
	c->out.data_pos = c->meta_done = c->data_done = 0;
	c->state = K_WRITE;
	c->scanning = false;
	segment_path(n, SEGMENT_DATA, path);
	r = create_file(c, path, &n->data_fd);
	if (r)
		return r;
	new_meta_path(c, path);
	return create_file(c, path, &n->meta_fd);
}

/* One without records stays only where the log begins, and behind one that was never cleaned: what
 * is missing behind that is damage. */
static bool is_needed(const struct cleaner *c)
{
	uint32_t idx = plog_seg_of_offset(c->p, c->seg->base_offset);

	return c->kept || !idx || !c->p->segs[idx - 1]->generation;
}

static int look_end(struct cleaner *c)
{
	const struct segment *seg = c->seg;

	if (!seg->generation || c->gone || !is_needed(c))
		return write_begin(c);
	go_on(c, seg->base_offset + 1, K_LOOK);
	return 0;
}

static int step_look(struct cleaner *c)
{
	struct batch_head h;
	bool tired;
	int r;

	if (!c->seg) {
		r = take_segment(c);
		if (!r)
			c->state = K_END;
		if (r <= 0)
			return r;
		c->kept = c->gone = 0;
		c->rule.drop_tombstones =
			clean_drops_tombstones(c->seg->generation, c->seg->created_ms, c->now_ms,
					       c->p->config.delete_retention_ms);
	}
	while ((r = next_batch(c, &h, &tired)) > 0 && !tired) {
		uint32_t kept = clean_count(&c->rule, c->scan.desc, &h);

		c->kept += kept;
		c->gone += h.cnt - kept;
	}
	return r ? MIN(r, 0) : look_end(c);
}

/* Puts what stays of the batch that the scan holds into c->out. */
static int copy_batch(struct cleaner *c, const struct batch_head *h)
{
	int r = read_values(c, h);

	if (r)
		return r;
	if (h->cnt > c->recs_cap) {
		struct record *recs = realloc(c->recs, h->cnt * sizeof(*recs));

		if (!recs)
			return -ENOMEM;
		c->recs = recs;
		c->recs_cap = h->cnt;
	}
	r = clean_put_batch(&c->rule, c->scan.desc, c->values.data, h, c->recs, &c->out);
	return r == -EBADMSG ? bad_values(c, h, "the records do not fit their description") : r;
}

/* Writes what stands in c->out. */
static int write_out(struct cleaner *c)
{
	struct clean_out *out = &c->out;
	int r = 0;

	if (out->data.len)
		r = disk_write(c->p->disk, c->out_seg->data_fd, out->data.data, out->data.len,
			       c->data_done);
	if (!r && out->meta.len)
		r = disk_write(c->p->disk, c->out_seg->meta_fd, out->meta.data, out->meta.len,
			       c->meta_done);
	if (r)
		return r;
	c->data_done += out->data.len;
	c->meta_done += out->meta.len;
	buf_reset(&out->data);
	buf_reset(&out->meta);
	return 0;
}

/* Both files are written. The index of the old descriptions must not stand beside the new ones. */
static int write_end(struct cleaner *c)
{
	POST(c->meta_done == c->out.meta_pos && c->data_done == c->out.data_pos);
	c->out_seg->meta_len = c->meta_done;
	c->out_seg->data_len = c->data_done;
	c->seg->leaving = true;
	c->state = K_SYNC;
	return segment_unlink_index(c->seg);
}

static int step_write(struct cleaner *c)
{
	struct batch_head h;
	bool tired;
	int r, w;

	while ((r = next_batch(c, &h, &tired)) > 0 && !tired) {
		if (!clean_count(&c->rule, c->scan.desc, &h))
			continue;
		r = copy_batch(c, &h);
		if (r) {
			batch_again(c, &h);
			break;
		}
	}
	if (r < 0 && r != -EAGAIN)
		return r;
	w = write_out(c);
	if (w || r)
		return w ? w : MIN(r, 0);
	return write_end(c);
}

/* Both files are stable, and so are their names: the new segment takes the place of the old. */
static int step_commit(struct cleaner *c)
{
	char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
	int fd = segment_fd(c->seg, SEGMENT_META), r;

	/* Whoever reads the old segment goes on by its descriptors: its names are the new one's. */
	if (fd >= 0)
		fd = segment_fd(c->seg, SEGMENT_DATA);
	if (fd < 0)
		return fd;
	new_meta_path(c, from);
	segment_path(c->seg, SEGMENT_META, to);
	r = disk_rename(c->p->disk, from, to);
	/* One that is refused has done nothing; what the device did is not known. */
	if (!r || r == -EIO)
		c->state = K_DIR;
	return r;
}

static void count(struct cleaner *c)
{
	c->stats.segments++;
	c->stats.bytes_before += c->seg->meta_len + c->seg->data_len;
	c->stats.bytes_after += c->out_seg->meta_len + c->out_seg->data_len;
	c->stats.records_gone += c->gone;
}

/* A name that is refused, for want of room perhaps, is left to the next start: the values are read
 * by the one that they have. */
static int name_values(struct cleaner *c)
{
	struct segment *old = c->seg, *n = c->out_seg;
	char from[SEGMENT_PATH_MAX], to[SEGMENT_PATH_MAX];
	int r;

	segment_path(n, SEGMENT_DATA, from);
	segment_usual_path(n, SEGMENT_DATA, to);
	r = disk_rename(c->p->disk, from, to);
	if (r == -EIO)
		return r;
	if (r) {
		c->stats.unnamed++;
	} else {
		free(n->data_name);
		n->data_name = NULL;
	}
	if (!old->data_name)
		return 0;
	segment_path(old, SEGMENT_DATA, from);
	r = disk_unlink(c->p->disk, from);
	return r == -EIO ? r : 0;
}

/* The rename of .meta is stable: from here on the log is read from the new segment. */
static int step_replace(struct cleaner *c)
{
	struct segment *old = c->seg, *n = c->out_seg;
	int r = name_values(c);

	if (r)
		return r;
	count(c);
	segment_ref(n);
	plog_replace_segment(c->p, old, n);
	c->out_seg = NULL;
	segment_unref(old);
	c->seg = n;
	if (is_needed(c))
		go_on(c, n->base_offset + 1, K_LOOK);
	else
		c->state = K_EMPTY;
	return 0;
}

static int step_empty(struct cleaner *c)
{
	int64_t base = c->seg->base_offset;

	plog_remove_empty(c->p, c->seg);
	c->stats.removed++;
	go_on(c, base + 1, K_LOOK);
	return 0;
}

static enum cleaner_need need_of(const struct cleaner *c)
{
	switch (c->state) {
	case K_MAP:
	case K_LOOK:
	case K_WRITE:
		return CLEANER_STEP;
	case K_SYNC:
		return CLEANER_SYNC_FILES;
	case K_DIR:
	case K_EMPTY:
		return CLEANER_SYNC_DIR;
	case K_END:
		break;
	}
	return CLEANER_END;
}

/* What is not the segment's yet is removed; what cannot be is forgotten by the next start. */
static int forget(struct cleaner *c)
{
	char path[SEGMENT_PATH_MAX];
	int r, r2;

	segment_path(c->out_seg, SEGMENT_DATA, path);
	segment_close(c->out_seg, true);
	r = disk_unlink(c->p->disk, path);
	new_meta_path(c, path);
	r2 = disk_unlink(c->p->disk, path);
	r = r ? r : r2;
	return r == -ENOENT ? 0 : r;
}

/* The segment stays as it is, and its keys count for nothing: the map is made anew without it. */
static int set_aside(struct cleaner *c)
{
	uint64_t seed = c->map.seed;
	int r = c->out_seg ? forget(c) : 0;

	segment_unref(c->out_seg);
	c->out_seg = NULL;
	c->seg->set_aside = true;
	c->stats.set_aside++;
	if (c->state == K_MAP) {
		clean_map_fini(&c->map);
		c->map.seed = seed;
		go_on(c, 0, K_MAP);
	} else {
		go_on(c, c->seg->base_offset + 1, K_LOOK);
	}
	return r;
}

int cleaner_step(struct cleaner *c, enum cleaner_need *ret)
{
	int r = 0;

	c->left = CLEAN_SLICE_BYTES;
	switch (c->state) {
	case K_MAP:
		r = step_map(c);
		break;
	case K_LOOK:
		r = step_look(c);
		break;
	case K_WRITE:
		r = step_write(c);
		break;
	case K_SYNC:
		r = step_commit(c);
		break;
	case K_DIR:
		r = step_replace(c);
		break;
	case K_EMPTY:
		r = step_empty(c);
		break;
	case K_END:
		break;
	}
	if (r == DAMAGED)
		r = set_aside(c);
	if (!r)
		*ret = need_of(c);
	return r;
}

int cleaner_stop(struct cleaner *c)
{
	int r = 0;

	if (c->state == K_DIR) {
		r = disk_sync_dir(c->p->disk, c->p->dir);
		if (r)
			return r;
		r = step_replace(c);
		if (!r)
			r = disk_sync_dir(c->p->disk, c->p->dir);
	} else if (c->out_seg) {
		r = forget(c);
	}
	return r;
}

/*
 * What the store does by itself as time goes by, and where finished requests go.
 */
#include "daemon/base/clock.h"
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t reserve_bytes(const struct store *s)
{
	uint64_t part = (uint64_t)((double)s->space.total_bytes * s->config.reserve_fraction);

	return MAX(part, s->config.reserve_bytes);
}

/* Asks the file system, and decides; with some distance between "full" and "free again". */
static void space_refresh(struct store *s)
{
	uint64_t reserve;
	int err = disk_space(s->disk, &s->space);

	s->space_bytes = 0;
	s->space_due_ms = s->mono_ms + STORE_SPACE_AGE_MS;
	if (err) {
		LOG_AT(LOG_WARN, "store", err, "free space is not known");
		return;
	}
	reserve = reserve_bytes(s);
	s->stats.reserve_bytes = reserve;
	if (!s->space_full && s->space.free_bytes < reserve) {
		s->space_full = true;
		store_tell(s, STORE_SPACE, NULL, -ENOSPC,
			   "%llu MiB are free and the reserve is %llu MiB: writes are refused",
			   (unsigned long long)(s->space.free_bytes / MIB),
			   (unsigned long long)(reserve / MIB));
	} else if (s->space_full && s->space.free_bytes >= reserve + reserve / 8) {
		s->space_full = false;
		store_tell(s, STORE_SPACE, NULL, 0, "%llu MiB are free: writing goes on",
			   (unsigned long long)(s->space.free_bytes / MIB));
	}
}

int space_check(struct store *s)
{
	if (s->space_bytes >= STORE_SPACE_BYTES || !s->space.total_bytes)
		space_refresh(s);
	return s->space_full ? -ENOSPC : 0;
}

int store_check_space(struct store *s)
{
	return space_check(s);
}

static bool point_is_synced(const struct plog *p, const struct plog_point *pt)
{
	return pt->next_offset <= p->synced.next_offset;
}

int store_fsync(struct store *s, struct plog *p, int64_t now_ms, uint64_t token)
{
	struct part *part = store_part_of(p);
	struct plog_point pt;
	struct store_note *n;
	int err = s->failed ? -EIO : 0;

	if (!err)
		err = s->ring == RING_ON ? plog_draft_point(p, &pt) : plog_point(p, &pt);
	if (err)
		return err;
	list_remove(&p->debt_link);
	if (plog_owes(p)) {
		part->debt_since_ms = now_ms;
		list_put(&s->owing, &p->debt_link);
	}
	if (point_is_synced(p, &pt))
		return 0;
	err = store_note_new(s, STORE_SYNCED, token, &n);
	if (err)
		return err;
	n->plog = p;
	list_put(&part->next, &n->link);
	if (part->fsync == F_IDLE) {
		part->fsync = F_WANT;
		list_put(&s->want, &part->fsync_link);
	}
	return -EINPROGRESS;
}

/*
 * Syncs what a partition has written, where it stands: only then may its descriptors go. 1: there
 * was something to sync.
 */
static int sync_here(struct store *s, struct plog *p)
{
	int err = 0, synced = 0;

	for (uint32_t i = 0; i < p->seg_cnt && !err; i++) {
		struct segment *seg = p->segs[i];

		if (seg->write_seq == seg->synced_seq)
			continue;
		/* A file that is not open was synced before it was closed. */
		if (seg->meta_fd >= 0)
			err = disk_fsync(s->disk, seg->meta_fd);
		if (!err && seg->data_fd >= 0)
			err = disk_fsync(s->disk, seg->data_fd);
		if (!err)
			segment_set_synced(seg, seg->write_seq);
		synced = 1;
	}
	return err ? err : synced;
}

/* Where all descriptors are those of unsynced partitions, the oldest of these are synced now. */
static unsigned relieve_unsynced(struct store *s)
{
	unsigned cnt = 0, syncs = 0;

	LIST_FOREACH(node, &s->unsynced) {
		struct part *part = LIST_ENTRY(node, struct part, unsynced_link);
		int err;

		if (syncs == STORE_RELIEVE_SYNCS || s->failed)
			break;
		if (part->syncing || !part->plog)
			continue;
		err = sync_here(s, part->plog);
		if (err < 0) {
			store_fail(s, err, "fsync", part->plog->dir);
			break;
		}
		syncs += (unsigned)err;
		cnt += plog_relieve(part->plog);
	}
	return cnt;
}

bool store_relieve(void *ctx)
{
	struct store *s = ctx;
	unsigned cnt = 0;

	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		if (part->plog && cnt < STORE_RELIEVE)
			cnt += plog_relieve(part->plog);
	}
	if (!cnt)
		cnt = relieve_unsynced(s);
	return cnt > 0;
}

void store_kick(struct store *s)
{
	s->disk->round++;
	if (!list_is_empty(&s->sync_queue))
		sync_pump(s);
	if (s->ring_unsubmitted || !list_is_empty(&s->want) || !list_is_empty(&s->points) ||
	    !list_is_empty(&s->raising))
		journal_kick(s);
}

static bool out_on_disk(struct store *s, struct disk_req *req)
{
	for (unsigned i = 0; i < STORE_WRITE_OUTS; i++)
		if (req == &s->outs[i].req) {
			segment_unref(s->outs[i].seg);
			s->outs[i].seg = NULL;
			if (req->res < 0)
				store_fail(s, (int)req->res, "write-out", "a segment");
			return true;
		}
	return false;
}

void store_on_disk(struct store *s, struct disk_req *req)
{
	PRE(req->owner == STORE_OWNER && s->reqs_under_way);
	s->reqs_under_way--;
	if (req == &s->ring_reqs[0] || req == &s->ring_reqs[1]) {
		/* A piece that is not submitted yet holds the count up. */
		if (s->ring_pending == 2 && !s->ring_half) {
			s->ring_half = true;
			return;
		}
		s->ring_half = false;
		journal_on_disk(s);
	} else if (req == &s->ckpt_req) {
		ckpt_on_disk(s);
	} else if (req == &s->make_req) {
		ring_make_step(s);
	} else if (req == &s->gone_req) {
		gone_on_disk(s);
	} else if (req == &s->clean.req) {
		clean_on_disk(s);
	} else if (!out_on_disk(s, req)) {
		sync_on_disk(s, req->ctx);
		ring_step(s);
		sync_aged(s);
	}
	store_kick(s);
}

/* One step in raising a log's start, or in making it ready to be cleaned; see store_impl.h. */
void raise_step(struct store *s, struct part *part)
{
	struct plog *p = part->plog;
	uint64_t bytes = plog_bytes(p);
	uint32_t cnt = p->seg_cnt;
	int err;

	switch (part->raise) {
	case R_SYNC:
		part->raise = R_CKPT_WAIT;
		ckpt_begin(s);
		return;
	case R_CKPT:
		if (s->ring == RING_ON) {
			part->raise = R_FORGET;
			return;
		}
		break;
	case R_FORGET_WRITE:
		break;
	case R_NONE:
	case R_CKPT_WAIT:
	case R_FORGET:
		return;
	}
	part->raise = R_NONE;
	list_remove(&part->raise_link);
	if (part->cleaning) {
		clean_raised(s, part);
		return;
	}
	part->e.start_offset = part->raise_offset;
	part->e.start_pos = part->raise_pos;
	err = plog_raise_start(p, part->raise_offset, part->raise_pos);
	if (err)
		/* What could not be deleted is found by the next check or the next start. */
		LOG_AT(LOG_ERROR, p->dir, err, "segments below the log start cannot be deleted");
	s->stats.segments_deleted += cnt - MIN(cnt, p->seg_cnt);
	s->stats.bytes_deleted += bytes - MIN(bytes, plog_bytes(p));
	store_tell(s, STORE_START_RAISED, p, 0, "%s", "");
	/* Room may be free now, and writers wait for it. */
	space_refresh(s);
}

static void retention_check(struct store *s)
{
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);
		int due;

		if (!part->plog || part->raise != R_NONE || part->cleaning)
			continue;
		due = plog_retention(part->plog, s->now_ms, &part->raise_offset, &part->raise_pos);
		if (due < 0 && due != -EAGAIN)
			LOG_AT(LOG_WARN, part->plog->dir, due, "retention cannot be checked");
		if (due != 1)
			continue;
		part->raise = R_SYNC;
		list_put(&s->raising, &part->raise_link);
		sync_begin(s, part);
	}
}

bool describes_later(int err)
{
	return err == -EAGAIN || err == -EMFILE || err == -ENFILE || err == -ENOMEM ||
	       disk_is_full(err);
}

/* Describes what has been owed for long enough. */
static void describe_due(struct store *s)
{
	if (s->mono_ms < s->describe_due_ms)
		return;
	s->describe_due_ms = 0;
	LIST_FOREACH_SAFE(node, tmp, &s->owing) {
		struct plog *p = LIST_ENTRY(node, struct plog, debt_link);
		struct part *part = store_part_of(p);
		int64_t age = s->now_ms - part->debt_since_ms;
		int err;

		/* Ordered by age; a clock that went back counts as due. */
		if (age >= 0 && age < STORE_DEBT_AGE_MS)
			return;
		s->disk->round++; /* nobody holds a descriptor of the one before */
		err = plog_describe(p);
		if (describes_later(err)) {
			s->describe_due_ms = s->mono_ms + STORE_DEBT_RETRY_MS;
			return;
		}
		if (err)
			store_fail(s, err, "describing", p->dir);
		list_remove(node);
	}
}

static void write_out_one(struct store *s, struct part *part)
{
	struct plog *p = part->plog;
	struct segment *seg = p->seg_cnt ? p->segs[p->seg_cnt - 1] : NULL;
	int fd = seg ? segment_fd(seg, SEGMENT_DATA) : -EBADF;

	s->dirty_total -= part->dirty_bytes;
	part->dirty_bytes = 0;
	list_remove(&part->dirty_link);
	for (unsigned i = 0; i < STORE_WRITE_OUTS && fd >= 0; i++) {
		struct disk_req *req = &s->outs[i].req;

		if (s->outs[i].seg)
			continue;
		*req = (struct disk_req){ .op = DISK_OP_WRITE_OUT, .fd = fd };
		if (store_submit(s, req, s))
			return;
		/* Its descriptor must stay what it is. */
		segment_ref(seg);
		s->outs[i].seg = seg;
		return;
	}
}

/* From a bound on, unsynced bytes are sent on their way. */
static void write_out(struct store *s)
{
	unsigned idle = 0;

	for (unsigned i = 0; i < STORE_WRITE_OUTS; i++)
		idle += !s->outs[i].seg;
	while (idle-- && s->dirty_total > s->config.dirty_bytes_max && !list_is_empty(&s->dirty))
		write_out_one(s, LIST_ENTRY(s->dirty.next, struct part, dirty_link));
}

/* Where much is unsynced, it goes first. */
void sync_later(struct store *s, struct part *part, size_t len)
{
	const struct plog *p = part->plog;
	int64_t base = p->segs[p->seg_cnt - 1]->base_offset;

	if (list_is_empty(&part->unsynced_link)) {
		part->unsynced_ms = s->mono_ms;
		part->unsynced_bytes = 0;
		part->unsynced_base = base;
		list_put(&s->unsynced, &part->unsynced_link);
	}
	part->unsynced_bytes += len;
	if (base != part->unsynced_base)
		part->unsynced_bytes += STORE_UNSYNCED_BYTES / 16;
	part->unsynced_base = base;
	if (part->unsynced_bytes < STORE_UNSYNCED_BYTES || part->unsynced_ms == INT64_MIN)
		return;
	part->unsynced_ms = INT64_MIN;
	list_remove(&part->unsynced_link);
	list_put(s->unsynced.next, &part->unsynced_link);
}

void sync_aged(struct store *s)
{
	LIST_FOREACH_SAFE(node, tmp, &s->unsynced) {
		struct part *part = LIST_ENTRY(node, struct part, unsynced_link);

		if (s->failed || s->syncs >= STORE_SYNCS_BACKGROUND ||
		    part->unsynced_ms > s->mono_ms - STORE_UNSYNCED_MS)
			return;
		if (!part->syncing) {
			sync_begin(s, part);
			continue;
		}
		/* Most of it is on its way. */
		list_remove(node);
		part->unsynced_ms = s->mono_ms;
		part->unsynced_bytes = 0;
		list_put(&s->unsynced, node);
	}
}

static void watch_clock(struct store *s, int64_t now_ms, int64_t mono_ms)
{
	int64_t skew = now_ms - mono_ms;

	if (s->ticked && llabs(skew - s->skew_ms) >= STORE_CLOCK_JUMP_MS)
		store_tell(s, STORE_CLOCK, NULL, 0, "the clock jumped by %lld ms",
			   (long long)(skew - s->skew_ms));
	s->skew_ms = skew;
	s->now_ms = now_ms;
	s->mono_ms = mono_ms;
	if (s->ticked)
		return;
	s->ticked = true;
	s->retention_due_ms = clock_add(mono_ms, s->config.retention_check_ms);
	s->idle_due_ms = mono_ms + STORE_IDLE_MS;
	s->clean.due_ms = mono_ms;
	s->ckpt_due_ms = s->ckpt_due_ms ? mono_ms + STORE_CHECKPOINT_AGE_MS : 0;
}

static void close_idle(struct store *s)
{
	s->idle_due_ms = s->mono_ms + STORE_IDLE_MS;
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		if (part->plog && !part->syncing)
			plog_close_idle(part->plog);
	}
}

void store_tick(struct store *s, int64_t now_ms, int64_t mono_ms)
{
	s->disk->round++;
	watch_clock(s, now_ms, mono_ms);
	if (s->failed)
		return;
	describe_due(s);
	sync_late(s);
	if (s->ring == RING_WANTED)
		ring_make_step(s);
	if (mono_ms >= s->space_due_ms)
		space_refresh(s);
	if (mono_ms >= s->retention_due_ms) {
		s->retention_due_ms = clock_add(mono_ms, s->config.retention_check_ms);
		retention_check(s);
	}
	if (mono_ms >= s->idle_due_ms)
		close_idle(s);
	if (s->ckpt_wanted || (s->ckpt_due_ms && mono_ms >= s->ckpt_due_ms))
		ckpt_begin(s);
	write_out(s);
	clean_tick(s);
	ring_step(s);
	sync_aged(s);
	if (s->gone_wanted || s->gone_ready || !list_is_empty(&s->gone))
		gone_step(s);
	store_kick(s);
}

int64_t store_deadline(const struct store *s)
{
	int64_t due = MIN(MIN(s->retention_due_ms, s->idle_due_ms), clean_deadline(s));

	if (!s->ticked || s->ring == RING_WANTED || s->gone_ready)
		return s->mono_ms;
	if (!list_is_empty(&s->owing)) {
		const struct plog *p = LIST_ENTRY(s->owing.next, struct plog, debt_link);
		int64_t at = CONTAINER_OF(p, struct plog_box, plog)->part->debt_since_ms +
			     STORE_DEBT_AGE_MS - s->skew_ms;

		/* A clock that jumped since the last tick must not put this off. */
		at = MIN(at, s->mono_ms + STORE_CLOCK_JUMP_MS);
		due = MIN(due, MAX(at, s->describe_due_ms));
	}
	if (s->ckpt_due_ms)
		due = MIN(due, s->ckpt_due_ms);
	if (!list_is_empty(&s->sync_late))
		due = MIN(due, s->sync_late_ms);
	if (!list_is_empty(&s->sync_queue))
		due = MIN(due, s->mono_ms + STORE_DEBT_RETRY_MS);
	if (!list_is_empty(&s->unsynced) && s->syncs < STORE_SYNCS_BACKGROUND) {
		const struct part *part = LIST_ENTRY(s->unsynced.next, struct part, unsynced_link);

		due = MIN(due, MAX(part->unsynced_ms, 0) + STORE_UNSYNCED_MS);
	}
	if (s->space_full || s->dirty_total > s->config.dirty_bytes_max)
		due = MIN(due, s->space_due_ms);
	if (!list_is_empty(&s->gone) || s->gone_wanted)
		due = MIN(due, s->mono_ms + STORE_SPACE_AGE_MS);
	return due;
}

/* Whether nobody refers to anything of a deleted partition any more. */
static bool part_is_free(const struct part *part)
{
	const struct plog *p = part->plog;

	if (part->syncing || part->fsync == F_WRITE || part->sync_seg || part->cleaning)
		return false;
	if (!p)
		return true;
	for (uint32_t i = 0; i < p->seg_cnt; i++)
		if (p->segs[i]->refs > 1)
			return false;
	return list_is_empty(&p->gone);
}

struct gone_walk {
	struct store *s;
	const char *dir;
	char path[TOPIC_DIR_MAX + 300];
	unsigned left;
};

static int gone_file(void *ctx, const char *name)
{
	struct gone_walk *w = ctx;
	int err;

	if (!w->left)
		return 1;
	w->left--;
	snprintf(w->path, sizeof(w->path), "%s/%s", w->dir, name);
	err = disk_unlink(w->s->disk, w->path);
	return err == -ENOENT ? 0 : err;
}

static int gone_name(void *ctx, const char *name)
{
	struct store *s = ctx;
	size_t len = strlen(name);

	if (len <= 5 || strcmp(name + len - 5, ".gone") || len >= TOPIC_DIR_MAX + 32)
		return 0;
	buf_put(&s->gone_names, name, len + 1);
	return buf_err(&s->gone_names);
}

/* One listing of the data directory serves all that it finds: there may be thousands. */
static int gone_list(struct store *s)
{
	int err = 0;

	buf_reset(&s->gone_names);
	s->gone_at = 0;
	/* What could not be removed would only be found again. */
	if (!s->gone_failed)
		err = disk_list(s->disk, ".", gone_name, s);
	if (err || !s->gone_names.len)
		s->gone_ready = false;
	s->gone_failed = false;
	return err;
}

/* Removes some files of deleted partitions whose rename is stable. */
static void gone_remove(struct store *s)
{
	struct gone_walk w = { .s = s, .left = STORE_UNLINKS_A_TICK };
	int err = 0;

	w.dir = ".";
	if (s->gone_at >= s->gone_names.len)
		err = gone_list(s);
	while (!err && w.left && s->gone_at < s->gone_names.len) {
		w.dir = (const char *)s->gone_names.data + s->gone_at;
		err = disk_list(s->disk, w.dir, gone_file, &w);
		if (err == 1)
			return; /* the rest of it at the next tick */
		if (!err)
			err = disk_rmdir(s->disk, w.dir);
		if (err == -ENOENT)
			err = 0;
		w.left -= w.left > 0;
		s->gone_at += strlen(w.dir) + 1;
	}
	if (!err)
		return;
	s->gone_failed = true;
	LOG_AT(LOG_WARN, w.dir, err, "cannot be removed; the next start tries again");
}

void gone_step(struct store *s)
{
	LIST_FOREACH_SAFE(node, tmp, &s->gone) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		if (!part_is_free(part))
			continue;
		list_remove(node);
		store_part_free(s, part);
	}
	if (s->gone_ready && !s->gone_wanted && !s->gone_syncing)
		gone_remove(s);
	if (!s->gone_wanted || s->gone_syncing)
		return;
	s->gone_req = (struct disk_req){
		.op = DISK_OP_SYNC_SEGMENT,
		.fd = s->lock_fd,
		.fd2 = s->lock_fd,
		.dir = ".",
	};
	s->gone_syncing = !store_submit(s, &s->gone_req, s);
	s->gone_wanted = !s->gone_syncing;
}

void gone_on_disk(struct store *s)
{
	s->gone_syncing = false;
	if (s->gone_req.res < 0) {
		store_fail(s, (int)s->gone_req.res, "fsync", "data directory");
		return;
	}
	s->gone_ready = true;
	/* There is something new to be found. */
	s->gone_failed = false;
}

/*
 * Making partitions stable in place, and the checkpoint that says so.
 */
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdlib.h>

/* Everything of the partition before point is stable in its own files. */
void part_synced(struct store *s, struct part *part, const struct plog_point *point)
{
	part->e.point = *point;
	part->e.flags |= CHECKPOINT_HAS_POINT;
	if (part->plog->synced.next_offset <= point->next_offset)
		part->plog->synced = *point;
	if (!s->ckpt_due_ms)
		s->ckpt_due_ms = s->mono_ms + STORE_CHECKPOINT_AGE_MS;
}

/* The ring's entries before block are not needed for this partition any more. */
static void part_leave_ring(struct store *s, struct part *part, uint64_t block)
{
	if (part->ring_first == NO_BLOCK || part->ring_first >= block)
		return;
	list_remove(&part->ring_link);
	if (part->ring_last < block) {
		part->ring_first = part->ring_last = NO_BLOCK;
		return;
	}
	part->ring_first = block;
	list_put(&s->journaled, &part->ring_link);
}

/* Tells all that were carried, and lets those who came meanwhile go next. */
void fsync_answer(struct store *s, struct part *part)
{
	LIST_FOREACH_SAFE(node, tmp, &part->carried) {
		list_remove(node);
		list_put(&s->notes, node);
	}
	list_remove(&part->fsync_link);
	part->fsync = F_IDLE;
	if (list_is_empty(&part->next) || part->deleted)
		return;
	part->fsync = F_WANT;
	list_put(&s->want, &part->fsync_link);
}

/* The next segment that is to be synced, NULL: none. */
static struct segment *sync_next_segment(const struct part *part)
{
	const struct plog *p = part->plog;
	int64_t floor = part->e.flags & CHECKPOINT_HAS_POINT ? part->e.point.segment_base : -1;

	for (uint32_t i = 0; i < p->seg_cnt; i++) {
		struct segment *seg = p->segs[i];

		if (seg->base_offset <= part->sync_base || seg->base_offset < floor)
			continue;
		if (seg->base_offset > part->sync_target.segment_base)
			return NULL;
		if (seg->write_seq != seg->synced_seq || !seg->head_synced)
			return seg;
	}
	return NULL;
}

static void sync_done(struct store *s, struct part *part)
{
	part->syncing = false;
	s->syncs--;
	if (part->deleted)
		return;
	part_synced(s, part, &part->sync_target);
	part_leave_ring(s, part, part->sync_block);
	s->stats.syncs_in_place++;
	if (part->sync_again) {
		part->sync_again = false;
		sync_begin(s, part);
		return;
	}
	if (part->fsync == F_PLACE) {
		part->target = part->sync_target;
		if (s->ring == RING_ON &&
		    journal_room(&s->journal, true) >= 2 * journal_entry_len(0)) {
			part->fsync = F_POINT;
			list_put(&s->points, &part->fsync_link);
		} else {
			fsync_answer(s, part);
		}
	}
	if (part->raise == R_SYNC)
		raise_step(s, part);
}

/* Submits the next request of the walk. False: not now; the disk has no room for it, or there is no
 * descriptor, and nothing has failed. */
static bool sync_walk(struct store *s, struct part *part)
{
	struct segment *seg = sync_next_segment(part);
	int data, meta, err;

	if (!seg || part->deleted) {
		sync_done(s, part);
		return true;
	}
	data = segment_fd(seg, SEGMENT_DATA);
	meta = data < 0 ? data : segment_fd(seg, SEGMENT_META);
	if (describes_later(meta))
		return false;
	if (meta < 0) {
		store_fail(s, meta, "sync", part->plog->dir);
		return true;
	}
	part->sync_seq = seg->write_seq;
	part->req = (struct disk_req){ .op = DISK_OP_SYNC_SEGMENT, .fd = data, .fd2 = meta };
	if (!seg->head_synced) {
		part->req.dir = part->plog->dir;
		part->req.dir2 = ".";
	}
	err = store_submit(s, &part->req, part);
	if (err == -EAGAIN)
		return false;
	if (err) {
		store_fail(s, err, "sync", part->plog->dir);
		return true;
	}
	segment_ref(seg);
	part->sync_seg = seg;
	return true;
}

void sync_pump(struct store *s)
{
	LIST_FOREACH_SAFE(node, tmp, &s->sync_queue) {
		struct part *part = LIST_ENTRY(node, struct part, sync_link);

		list_remove(node);
		if (!sync_walk(s, part)) {
			list_put(&s->sync_queue, node);
			return;
		}
	}
}

/* Begins a sync in place of all that the partition holds now; if one is under way already, another
 * follows. */
void sync_begin(struct store *s, struct part *part)
{
	int err;

	if (part->syncing) {
		part->sync_again = true;
		return;
	}
	list_remove(&part->sync_link);
	err = plog_point(part->plog, &part->sync_target);
	if (describes_later(err)) {
		list_remove(&part->unsynced_link);
		list_put(&s->sync_late, &part->sync_link);
		s->sync_late_ms = s->mono_ms + STORE_DEBT_RETRY_MS;
		return;
	}
	if (err) {
		store_fail(s, err, "describing", part->plog->dir);
		return;
	}
	part->syncing = true;
	list_remove(&part->unsynced_link);
	part->sync_base = -1;
	part->sync_block = s->ring == RING_ON ? s->journal.next_block : 0;
	s->syncs++;
	if (!sync_walk(s, part))
		list_put(&s->sync_queue, &part->sync_link);
}

void sync_late(struct store *s)
{
	struct list late;

	if (s->mono_ms < s->sync_late_ms)
		return;
	list_init(&late);
	LIST_FOREACH_SAFE(node, tmp, &s->sync_late) {
		list_remove(node);
		list_put(&late, node);
	}
	LIST_FOREACH_SAFE(node, tmp, &late)
		sync_begin(s, LIST_ENTRY(node, struct part, sync_link));
}

void sync_on_disk(struct store *s, struct part *part)
{
	struct segment *seg = part->sync_seg;

	part->sync_seg = NULL;
	if (part->req.res < 0 && !part->deleted) {
		store_fail(s, (int)part->req.res, "fsync", part->plog->dir);
		segment_unref(seg);
		return;
	}
	if (part->req.res >= 0) {
		segment_set_synced(seg, part->sync_seq);
		segment_set_head_synced(seg);
	}
	part->sync_base = seg->base_offset;
	segment_unref(seg);
	if (!sync_walk(s, part))
		list_put(&s->sync_queue, &part->sync_link);
}

/* A stop's syncs. */
struct stop_sync {
	struct disk_req req;
	struct segment *seg; /* referred to while the request is under way; NULL: idle */
	uint64_t seq;
};

/* Takes back at least one of those that are under way. */
static int stop_reap(struct store *s, struct stop_sync *syncs, unsigned *under_way)
{
	struct disk_req *req;
	int err = 0;

	PRE(*under_way);
	for (req = store_reap_wait(s); req; req = store_reap(s)) {
		struct stop_sync *sync = req->ctx;

		PRE(sync >= syncs && sync < syncs + STORE_STOP_SYNCS && sync->seg);
		--*under_way;
		if (req->res < 0) {
			err = (int)req->res;
		} else {
			segment_set_synced(sync->seg, sync->seq);
			segment_set_head_synced(sync->seg);
		}
		segment_unref(sync->seg);
		sync->seg = NULL;
	}
	return err;
}

/* False: it cannot be begun now. */
static bool stop_submit(struct store *s, struct stop_sync *sync, struct segment *seg)
{
	int data = segment_fd(seg, SEGMENT_DATA);
	int meta = data < 0 ? data : segment_fd(seg, SEGMENT_META);

	if (meta < 0)
		return false;
	sync->seq = seg->write_seq;
	sync->req = (struct disk_req){ .op = DISK_OP_SYNC_SEGMENT, .fd = data, .fd2 = meta };
	if (!seg->head_synced)
		sync->req.dir = seg->plog->dir;
	if (store_submit(s, &sync->req, sync))
		return false;
	segment_ref(seg);
	sync->seg = seg;
	return true;
}

static int stop_sync_plog(struct store *s, struct plog *p, struct stop_sync *syncs,
			  unsigned *under_way)
{
	for (uint32_t i = p->seg_cnt; i-- > 0;) {
		struct segment *seg = p->segs[i];
		unsigned free_slot = 0;

		if (seg->write_seq == seg->synced_seq && seg->head_synced)
			continue;
		if (*under_way == STORE_STOP_SYNCS) {
			int err = stop_reap(s, syncs, under_way);

			if (err)
				return err;
		}
		while (syncs[free_slot].seg)
			free_slot++;
		if (!stop_submit(s, &syncs[free_slot], seg))
			return 0;
		++*under_way;
	}
	return 0;
}

int sync_segments(struct store *s)
{
	struct stop_sync syncs[STORE_STOP_SYNCS] = { 0 };
	unsigned under_way = 0;
	int err = 0;

	PRE(!s->reqs_under_way);
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		s->disk->round++; /* nobody holds a descriptor of the one before */
		if (!err && part->plog)
			err = stop_sync_plog(s, part->plog, syncs, &under_way);
	}
	while (under_way) {
		int err2 = stop_reap(s, syncs, &under_way);

		err = err ? err : err2;
	}
	return err;
}

/* The slot as it is to be now. */
static int ckpt_encode(struct store *s, struct buf *b)
{
	struct checkpoint_head h = { .sequence = s->ckpt_sequence + 1,
				     .incarnation = s->incarnation,
				     .ring_seed = s->ring_seed };

	memcpy(h.boot_id, s->boot_id, 16);
	checkpoint_begin(b, &h);
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);
		struct checkpoint_entry e = part->e;

		if (part->unmade)
			continue;
		if (part->plog) {
			e.start_offset = part->plog->start_offset;
			e.start_pos = part->plog->start_pos;
		}
		if (part->raise >= R_CKPT_WAIT) {
			e.start_offset = part->raise_offset;
			e.start_pos = part->raise_pos;
		}
		if (part->exact)
			e.flags |= CHECKPOINT_EXACT;
		/* Partitions that a stray slot named say nothing. */
		if (part->plog || e.flags || e.start_offset)
			checkpoint_put(b, &e);
	}
	checkpoint_end(b);
	return buf_err(b);
}

/* Writes a checkpoint file with two slots of len bytes, b in the one that is due. */
static int ckpt_make_file(struct store *s, const struct buf *b, size_t len, int *ret_fd)
{
	uint8_t *file = calloc(2, len);
	int fd, err;

	if (!file)
		return -ENOMEM;
	ASSERT(b->len <= len);
	memcpy(file + ((s->ckpt_sequence + 1) & 1) * len, b->data, b->len);
	err = disk_open(s->disk, "checkpoint.new", DISK_CREATE, &fd);
	if (!err) {
		/* The length of the file tells where its second slot is. */
		err = disk_truncate(s->disk, fd, 0);
		if (!err)
			err = disk_write(s->disk, fd, file, 2 * len, 0);
		if (!err)
			err = disk_fsync(s->disk, fd);
		if (!err)
			err = disk_rename(s->disk, "checkpoint.new", "checkpoint");
		if (!err)
			*ret_fd = fd;
		else if (disk_close(s->disk, fd))
			LOG_AT(LOG_WARN, "checkpoint", 0, "a descriptor could not be closed");
	}
	free(file);
	return err;
}

/* Makes a file with slots for cnt partitions. What was in the old one is written anew. */
int ckpt_grow(struct store *s, uint32_t cnt)
{
	size_t len = checkpoint_slot_len(cnt);
	struct buf b;
	int fd, err;

	if (s->ckpt_fd >= 0 && len <= s->ckpt_slot_len)
		return 0;
	/* Not into ckpt_buf, which may be on its way to the old file. */
	buf_init(&b);
	err = ckpt_encode(s, &b);
	if (!err)
		err = ckpt_make_file(s, &b, len, &fd);
	buf_fini(&b);
	if (err)
		return err;
	if (s->ckpt_busy && s->ckpt_old_fd < 0)
		s->ckpt_old_fd = s->ckpt_fd;
	else if (s->ckpt_fd >= 0)
		err = disk_close(s->disk, s->ckpt_fd);
	s->ckpt_fd = fd;
	s->ckpt_slot_len = len;
	s->ckpt_sequence++;
	s->ckpt_file++;
	if (!err)
		err = disk_sync_dir(s->disk, ".");
	/* Which of the two files has the name is not known. */
	if (err)
		store_fail(s, err, "fsync", "data directory");
	return err;
}

int ckpt_write_now(struct store *s)
{
	int err = ckpt_grow(s, s->part_cnt - s->unmade_cnt);

	if (!err)
		err = ckpt_encode(s, &s->ckpt_buf);
	if (err)
		return err;
	err = disk_write(s->disk, s->ckpt_fd, s->ckpt_buf.data, s->ckpt_buf.len,
			 ((s->ckpt_sequence + 1) & 1) * s->ckpt_slot_len);
	if (!err)
		err = disk_fsync(s->disk, s->ckpt_fd);
	s->ckpt_sequence += !err;
	s->stats.checkpoints += !err;
	return err;
}

/* The first block of the ring that is needed after this checkpoint. */
static uint64_t ckpt_ring_start(const struct store *s)
{
	uint64_t start = s->ring == RING_ON ? s->journal.next_block : 0;

	LIST_FOREACH(node, &s->journaled) {
		const struct part *part = LIST_ENTRY(node, struct part, ring_link);

		start = MIN(start, part->ring_first);
	}
	return start;
}

void ckpt_begin(struct store *s)
{
	int err;

	s->ckpt_wanted = true;
	if (s->ckpt_busy || s->failed)
		return;
	err = ckpt_grow(s, s->part_cnt - s->unmade_cnt);
	if (!err)
		err = ckpt_encode(s, &s->ckpt_buf);
	/* No room to grow: the next tick tries again; nothing waits for it but room in the ring. */
	if (err) {
		s->ckpt_due_ms = s->mono_ms + STORE_CHECKPOINT_AGE_MS;
		return;
	}
	s->ckpt_start = ckpt_ring_start(s);
	s->ckpt_ring = s->ring_seed;
	s->ckpt_req = (struct disk_req){
		.op = DISK_OP_WRITE_SYNC,
		.fd = s->ckpt_fd,
		.buf = s->ckpt_buf.data,
		.len = s->ckpt_buf.len,
		.pos = ((s->ckpt_sequence + 1) & 1) * s->ckpt_slot_len,
	};
	err = store_submit(s, &s->ckpt_req, s);
	if (err == -EAGAIN)
		return;
	if (err) {
		store_fail(s, err, "write", "checkpoint");
		return;
	}
	s->ckpt_wanted = false;
	s->ckpt_busy = true;
	s->ckpt_due_ms = 0;
	s->ckpt_req_file = s->ckpt_file;
	LIST_FOREACH(node, &s->raising) {
		struct part *part = LIST_ENTRY(node, struct part, raise_link);

		if (part->raise == R_CKPT_WAIT)
			part->raise = R_CKPT;
	}
}

void ckpt_on_disk(struct store *s)
{
	s->ckpt_busy = false;
	if (s->ckpt_old_fd >= 0) {
		int err = disk_close(s->disk, s->ckpt_old_fd);

		s->ckpt_old_fd = -1;
		if (err)
			store_fail(s, err, "close", "checkpoint");
	}
	if (s->ckpt_req.res < 0) {
		store_fail(s, (int)s->ckpt_req.res, "write", "checkpoint");
		return;
	}
	s->stats.checkpoints++;
	if (s->ckpt_req_file == s->ckpt_file) {
		s->ckpt_sequence++;
		if (s->ring == RING_ON && s->ckpt_start > s->journal.start)
			s->journal.start = s->ckpt_start;
		/* From now on it would be missed. */
		if (s->ring == RING_MARK && s->ckpt_ring == s->ring_seed)
			s->ring = RING_ON;
		LIST_FOREACH_SAFE(node, tmp, &s->raising) {
			struct part *part = LIST_ENTRY(node, struct part, raise_link);

			if (part->raise == R_CKPT)
				raise_step(s, part);
		}
	} else {
		/* It went into a file that has been replaced meanwhile: once more. */
		LIST_FOREACH(node, &s->raising) {
			struct part *part = LIST_ENTRY(node, struct part, raise_link);

			if (part->raise == R_CKPT)
				part->raise = R_CKPT_WAIT;
		}
		s->ckpt_wanted = true;
	}
	if (s->ckpt_wanted)
		ckpt_begin(s);
}

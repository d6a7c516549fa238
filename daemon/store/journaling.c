/*
 * The journal at work: making its file, one write at a time for all that wait, and keeping room in
 * the ring. The bytes are laid out by journal.c.
 */
#include "daemon/base/log.h"
#include "daemon/store/kept.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdlib.h>

/* Begins a ring in an open file that is filled with zeros or holds an older one. Blocking. */
int ring_begin(struct store *s, int fd, uint64_t block_cnt, const struct journal_head *old)
{
	struct journal_head h = { .sequence = old->sequence + 1,
				  .block_cnt = block_cnt,
				  .prev_seed = old->seed };
	uint8_t *block = aligned_alloc(JOURNAL_BLOCK, JOURNAL_BLOCK);
	int err = block ? disk_random(s->disk, &h.seed, sizeof(h.seed)) : -ENOMEM;

	h.seed += !h.seed;
	for (unsigned i = 0; i < 2 && !err; i++) {
		journal_put_head(&h, block);
		err = disk_write(s->disk, fd, block, JOURNAL_BLOCK, i * JOURNAL_BLOCK);
		if (!err)
			err = disk_fsync(s->disk, fd);
	}
	free(block);
	if (!err)
		err = journal_init(&s->journal, h.seed, block_cnt);
	return err;
}

/* Room ahead in both files, so that putting back meets no ENOSPC. */
static int part_allocate(struct store *s, const struct plog_stretch *st, unsigned cnt)
{
	for (unsigned i = 0; i < cnt; i++) {
		uint64_t end = st[i].pos + st[i].len, *alloc;
		int err;

		alloc = st[i].is_meta ? &st[i].seg->meta_alloc : &st[i].seg->data_alloc;
		if (end <= *alloc)
			continue;
		err = disk_allocate(s->disk, st[i].fd, st[i].pos, st[i].len + STORE_AHEAD_BYTES);
		if (err)
			return err;
		*alloc = end + STORE_AHEAD_BYTES;
	}
	return 0;
}

static int put_stretch(struct store *s, struct part *part, const struct plog_stretch *st)
{
	struct journal_entry e = {
		.kind = JOURNAL_BYTES,
		.partition = part->e.partition,
		.generation = st->seg->generation,
		.is_data = !st->is_meta,
		.segment_base = st->seg->base_offset,
		.pos = st->pos,
		.len = (uint32_t)st->len,
	};
	const uint8_t *bytes = st->bytes ? st->bytes
					 : kept_find(part->plog->kept, st->seg->seed, st->is_meta,
						     st->pos, st->len);
	int err = bytes ? 0 : disk_read_full(s->disk, st->fd, s->scratch, st->len, st->pos);

	if (err)
		return err;
	memcpy(e.topic_id, part->e.topic_id, 16);
	journal_put_entry(&s->journal, &e);
	journal_put_bytes(&s->journal, bytes ? bytes : s->scratch, st->len);
	return 0;
}

static void put_point(struct store *s, struct part *part)
{
	struct journal_entry e = {
		.kind = JOURNAL_POINT,
		.partition = part->e.partition,
		.point = part->target,
	};

	memcpy(e.topic_id, part->e.topic_id, 16);
	journal_put_entry(&s->journal, &e);
}

/* Of the segments that go, or are cleaned, only: entries that came after the sync are about those
 * that stay. */
static void put_forget(struct store *s, struct part *part)
{
	const struct plog *p = part->plog;
	int64_t stays = part->cleaning ? part->clean_base : part->raise_offset;
	struct journal_entry e = { .kind = JOURNAL_FORGET, .partition = part->e.partition };

	for (uint32_t i = 0; i < p->seg_cnt; i++)
		if (p->segs[i]->base_offset <= stays)
			e.segment_base = p->segs[i]->base_offset;
	memcpy(e.topic_id, part->e.topic_id, 16);
	journal_put_entry(&s->journal, &e);
}

enum put_result { PUT_DONE, PUT_LATER, PUT_IN_PLACE };

/* Tries to put all that the partition has not stable into the write being made. */
static enum put_result put_part(struct store *s, struct part *part)
{
	struct plog_stretch st[STORE_STRETCH_MAX];
	struct plog *p = part->plog;
	size_t before = s->journal.payload_len, need = journal_entry_len(0);
	uint64_t bytes;
	bool unsynced_head = false;
	int cnt, err = plog_draft_point(p, &part->target);

	if (err)
		return PUT_IN_PLACE;
	cnt = plog_stretches(p, &p->synced, st, ARRAY_CNT(st), &bytes, &unsynced_head);
	if (cnt < 0 || unsynced_head || bytes > JOURNAL_FSYNC_MAX)
		return PUT_IN_PLACE;
	need += bytes + (size_t)cnt * journal_entry_len(0);
	if (need > journal_room(&s->journal, false))
		return before ? PUT_LATER : PUT_IN_PLACE;
	if (part_allocate(s, st, (unsigned)cnt))
		return PUT_IN_PLACE;
	for (int i = 0; i < cnt && !err; i++)
		err = put_stretch(s, part, &st[i]);
	if (err) {
		journal_rewind(&s->journal, before);
		return PUT_IN_PLACE;
	}
	put_point(s, part);
	/* The next write of the journal begins here. */
	if (cnt)
		kept_begin(s->kept, &p->kept, st[cnt - 1].seg->seed, part->target.meta_len,
			   part->target.data_len);
	return PUT_DONE;
}

/* Those who wait now are on their way. */
static void part_carry(struct part *part)
{
	LIST_FOREACH_SAFE(node, tmp, &part->next) {
		list_remove(node);
		list_put(&part->carried, node);
	}
	list_remove(&part->fsync_link);
}

static void part_go_in_place(struct store *s, struct part *part)
{
	part_carry(part);
	part->fsync = F_PLACE;
	sync_begin(s, part);
}

static void part_go_by_journal(struct store *s, struct part *part)
{
	part_carry(part);
	part->fsync = F_WRITE;
	list_put(&s->writing, &part->fsync_link);
	if (part->ring_first == NO_BLOCK) {
		part->ring_first = s->journal.next_block;
		list_put(&s->journaled, &part->ring_link);
	}
	part->ring_last = s->journal.next_block;
}

static void put_all(struct store *s)
{
	LIST_FOREACH(node, &s->raising) {
		struct part *part = LIST_ENTRY(node, struct part, raise_link);

		if (part->raise != R_FORGET ||
		    journal_room(&s->journal, true) < journal_entry_len(0))
			continue;
		put_forget(s, part);
		part->raise = R_FORGET_WRITE;
	}
	LIST_FOREACH_SAFE(node, tmp, &s->points) {
		struct part *part = LIST_ENTRY(node, struct part, fsync_link);

		list_remove(node);
		if (journal_room(&s->journal, true) < journal_entry_len(0)) {
			/* It is stable in place; the checkpoint will say so. */
			fsync_answer(s, part);
			continue;
		}
		put_point(s, part);
		part->fsync = F_WRITE;
		list_put(&s->writing, node);
	}
	LIST_FOREACH_SAFE(node, tmp, &s->want) {
		struct part *part = LIST_ENTRY(node, struct part, fsync_link);
		enum put_result r = put_part(s, part);

		if (r == PUT_LATER)
			break;
		if (r == PUT_DONE)
			part_go_by_journal(s, part);
		else
			part_go_in_place(s, part);
	}
}

static void ring_submit_rest(struct store *s)
{
	while (s->ring_unsubmitted) {
		unsigned idx = s->ring_pending - s->ring_unsubmitted;
		int err = store_submit(s, &s->ring_reqs[idx], s);

		if (err == -EAGAIN)
			return;
		if (err) {
			store_fail(s, err, "write", "journal");
			return;
		}
		s->ring_unsubmitted--;
	}
}

static void ring_write(struct store *s)
{
	struct journal_piece pieces[2];

	s->ring_pending = s->ring_unsubmitted = journal_finish(&s->journal, pieces);
	for (unsigned i = 0; i < s->ring_pending; i++)
		s->ring_reqs[i] = (struct disk_req){
			.op = DISK_OP_WRITE,
			.fd = s->lock_fd,
			.buf = pieces[i].buf,
			.len = pieces[i].len,
			.pos = pieces[i].pos,
		};
	s->stats.journal_writes++;
	ring_submit_rest(s);
}

void journal_kick(struct store *s)
{
	const struct journal *j = &s->journal;

	if (s->failed)
		return;
	if (s->ring != RING_ON) {
		LIST_FOREACH_SAFE(node, tmp, &s->want)
			part_go_in_place(s, LIST_ENTRY(node, struct part, fsync_link));
		return;
	}
	if (s->ring_pending) {
		/* The pieces are submitted in order, and none is reaped before all are. */
		ring_submit_rest(s);
		return;
	}
	put_all(s);
	/* A moved start frees room only when it has been told. */
	if (j->payload_len ||
	    (j->start > j->usable && journal_used(j) > j->block_cnt / 2 * JOURNAL_BLOCK))
		ring_write(s);
}

void journal_on_disk(struct store *s)
{
	struct list done;

	for (unsigned i = 0; i < s->ring_pending; i++)
		if (s->ring_reqs[i].res < 0) {
			store_fail(s, (int)s->ring_reqs[i].res, "write", "journal");
			return;
		}
	s->ring_pending = 0;
	journal_done(&s->journal);
	list_init(&done);
	LIST_FOREACH_SAFE(node, tmp, &s->writing) {
		list_remove(node);
		list_put(&done, node);
	}
	LIST_FOREACH_SAFE(node, tmp, &done) {
		struct part *part = LIST_ENTRY(node, struct part, fsync_link);

		if (!part->deleted && part->plog->synced.next_offset <= part->target.next_offset)
			part->plog->synced = part->target;
		if (!part->deleted)
			plog_journaled(part->plog, &part->target);
		fsync_answer(s, part);
	}
	LIST_FOREACH_SAFE(node, tmp, &s->raising) {
		struct part *part = LIST_ENTRY(node, struct part, raise_link);

		if (part->raise == R_FORGET_WRITE)
			raise_step(s, part);
	}
	ring_step(s);
}

/* Keeps room: from half of it on, what the oldest entries are about is synced in place, then the
 * checkpoint says so, then the start moves. */
void ring_step(struct store *s)
{
	const struct journal *j = &s->journal;
	bool held = false;

	if (s->ring != RING_ON || s->failed || s->ckpt_busy)
		return;
	if (!s->background && j->next_block - j->start > j->block_cnt / 2) {
		s->background = true;
		s->background_block = j->next_block;
	}
	if (!s->background)
		return;
	LIST_FOREACH_SAFE(node, tmp, &s->journaled) {
		struct part *part = LIST_ENTRY(node, struct part, ring_link);

		if (part->ring_first >= s->background_block)
			break;
		if (s->syncs >= STORE_SYNCS_BACKGROUND)
			return;
		if (!part->syncing)
			sync_begin(s, part);
		held |= part->ring_first < s->background_block;
	}
	if (held)
		return;
	s->background = false;
	ckpt_begin(s);
}

static void make_end(struct store *s, int err)
{
	if (s->make_fd >= 0) {
		int close_err = disk_close(s->disk, s->make_fd);

		err = err ? err : close_err;
	}
	s->make_fd = -1;
	free(s->zeros);
	s->zeros = NULL;
	if (!err)
		return;
	s->ring = RING_NONE;
	LOG_AT(LOG_WARN, "journal", err, "cannot be made: every fsync goes in place");
	err = disk_unlink(s->disk, "journal.new");
	if (err && err != -ENOENT)
		LOG_AT(LOG_WARN, "journal", err, "journal.new stays behind");
}

static int make_submit(struct store *s)
{
	uint64_t len = JOURNAL_HEAD_LEN + s->ring_blocks * JOURNAL_BLOCK;

	s->make_req = (struct disk_req){
		.op = DISK_OP_WRITE_SYNC,
		.fd = s->make_fd,
		.buf = s->zeros,
		.len = (size_t)MIN(STORE_ZERO_BYTES, len - s->make_pos),
		.pos = s->make_pos,
	};
	return store_submit(s, &s->make_req, s);
}

static int make_begin(struct store *s)
{
	struct disk_space space;
	uint64_t len = JOURNAL_HEAD_LEN + s->ring_blocks * JOURNAL_BLOCK;
	int err = disk_space(s->disk, &space);

	if (!err && space.free_bytes < len + STORE_RESERVE_MIN)
		err = -ENOSPC;
	if (!err)
		err = disk_open(s->disk, "journal.new", DISK_CREATE, &s->make_fd);
	if (!err)
		err = disk_truncate(s->disk, s->make_fd, 0);
	if (err)
		return err;
	s->zeros = calloc(1, STORE_ZERO_BYTES);
	if (!s->zeros)
		return -ENOMEM;
	s->ring = RING_ZEROS;
	s->make_pos = 0;
	return make_submit(s);
}

/* All zeros are on disk: the file takes the journal's place. The new one is locked before it gets
 * the name, and the old one's lock is kept to the end. */
static int make_swap(struct store *s)
{
	static const struct journal_head none;
	int fd, err;

	make_end(s, 0);
	err = disk_open(s->disk, "journal.new", DISK_DIRECT, &fd);
	if (err)
		return err;
	err = disk_lock(s->disk, fd);
	if (!err)
		err = ring_begin(s, fd, s->ring_blocks, &none);
	if (!err)
		err = disk_rename(s->disk, "journal.new", "journal");
	if (err) {
		if (disk_close(s->disk, fd))
			LOG_AT(LOG_WARN, "journal", 0, "a descriptor could not be closed");
		return err;
	}
	s->old_lock_fd = s->lock_fd;
	s->lock_fd = fd;
	s->ring = RING_DIR;
	s->make_req = (struct disk_req){
		.op = DISK_OP_SYNC_SEGMENT,
		.fd = fd,
		.fd2 = fd,
		.dir = ".",
	};
	return store_submit(s, &s->make_req, s);
}

/* Called by the tick while the ring is wanted, and for each finished request of its making. */
void ring_make_step(struct store *s)
{
	int err = 0;

	switch (s->ring) {
	case RING_WANTED:
		err = make_begin(s);
		break;
	case RING_ZEROS:
		err = s->make_req.res < 0 ? (int)s->make_req.res : 0;
		s->make_pos += err ? 0 : s->make_req.len;
		if (err)
			break;
		if (s->make_pos < JOURNAL_HEAD_LEN + s->ring_blocks * JOURNAL_BLOCK)
			err = make_submit(s);
		else
			err = make_swap(s);
		break;
	case RING_DIR:
		/* The name may be lost or not: that is nothing that may go on. */
		if (s->make_req.res < 0) {
			store_fail(s, (int)s->make_req.res, "fsync", "data directory");
			return;
		}
		s->ring_seed = s->journal.seed;
		s->ring = RING_MARK;
		ckpt_begin(s);
		break;
	case RING_NONE:
	case RING_MARK:
	case RING_ON:
		break;
	}
	if (err)
		make_end(s, err);
}

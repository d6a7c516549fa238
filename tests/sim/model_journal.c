/*
 * The journal in the model: what the store puts into it for an fsync, and what a start puts back.
 * Its entries are kept in memory; a file of one byte that is written and synced for each write says
 * whether the disk took it.
 */
#include "tests/sim/model_plog.h"

#include <string.h>

#define STRETCH_MAX 6U

static void drop_entries(struct model *m, unsigned from)
{
	struct model_ring *ring = &m->ring;

	for (unsigned i = from; i < ring->cnt + ring->pending; i++)
		free(ring->entries[i].bytes);
}

void begin_ring(struct model *m, const struct plog_point *point)
{
	drop_entries(m, 0);
	m->ring = (struct model_ring){ .point = *point, .target = *point };
}

/* -EAGAIN stands for whatever has the store sync in place. */
static int put_entries(struct model *m, const struct plog_stretch *st, unsigned cnt)
{
	struct model_ring *ring = &m->ring;
	bool nowait = m->disk->nowait;
	int r = 0;

	if (ring->cnt + cnt > ARRAY_CNT(ring->entries))
		return -EAGAIN;
	m->disk->nowait = false;
	for (unsigned i = 0; i < cnt && !r; i++) {
		struct model_entry *e = &ring->entries[ring->cnt + i];

		*e = (struct model_entry){
			.base = st[i].seg->base_offset,
			.is_meta = st[i].is_meta,
			.pos = st[i].pos,
			.len = st[i].len,
			.bytes = malloc(st[i].len),
		};
		ring->pending++;
		if (st[i].bytes)
			memcpy(e->bytes, st[i].bytes, e->len);
		else
			r = disk_read_full(m->disk, st[i].fd, e->bytes, e->len, e->pos);
	}
	m->disk->nowait = nowait;
	return r;
}

static void write_begin(struct model *m)
{
	struct model_ring *ring = &m->ring;
	struct plog_stretch st[STRETCH_MAX];
	uint64_t bytes;
	bool unsynced_head;
	int r = plog_draft_point(&m->log, &ring->target), cnt;

	if (gave_up(m, r))
		return;
	cnt = plog_stretches(&m->log, &ring->point, st, STRETCH_MAX, &bytes, &unsynced_head);
	if (cnt != -E2BIG && gave_up(m, cnt))
		return;
	r = cnt < 0 || unsynced_head ? -EAGAIN : put_entries(m, st, (unsigned)cnt);
	if (r) {
		drop_entries(m, ring->cnt);
		ring->pending = 0;
		gave_up(m, r == -EAGAIN ? sync_all(m) : r);
		return;
	}
	ring->under_way = true;
}

static void write_end(struct model *m)
{
	struct model_ring *ring = &m->ring;
	int r = disk_write(m->disk, m->ring_fd, "", 1, 0);

	if (!r)
		r = disk_fsync(m->disk, m->ring_fd);
	ring->under_way = false;
	if (gave_up(m, r)) {
		drop_entries(m, ring->cnt);
		ring->pending = 0;
		return;
	}
	ring->cnt += ring->pending;
	ring->pending = 0;
	ring->point = ring->target;
	plog_journaled(&m->log, &ring->point);
}

void do_journal(struct model *m)
{
	if (m->ring.under_way)
		write_end(m);
	else
		write_begin(m);
}

static void put_back_one(struct model *m, const struct model_entry *e)
{
	char path[64];
	int fd, r;

	snprintf(path, sizeof(path), "t-0/%020" PRId64 ".%s", e->base,
		 e->is_meta ? "meta" : "data");
	r = disk_open(m->disk, path, 0, &fd);
	CHECK_EQ(m, r, 0);
	r = disk_write(m->disk, fd, e->bytes, e->len, e->pos);
	CHECK_EQ(m, r, 0);
	r = disk_fsync(m->disk, fd);
	CHECK_EQ(m, r, 0);
	r = disk_close(m->disk, fd);
	CHECK_EQ(m, r, 0);
}

void put_back(struct model *m)
{
	struct model_ring *ring = &m->ring;

	if (ring->under_way && below(m, 2)) {
		ring->cnt += ring->pending;
		ring->pending = 0;
		ring->point = ring->target;
	}
	for (unsigned i = 0; i < ring->cnt; i++)
		put_back_one(m, &ring->entries[i]);
	if (ring->point.next_offset > m->floor.next_offset)
		m->floor = ring->point;
}

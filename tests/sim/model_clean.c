/*
 * Cleaning in the model. When a pass begins, what is to go is marked: it is there or not until the
 * pass ends, and gone from then on. Of a pass that was stopped, the next start shows how far it
 * came.
 */
#include "tests/sim/model_plog.h"

static uint64_t end_of(const struct model_record *r)
{
	return r->pos + (r->value_len == RECORD_NULL ? 0 : r->value_len) + 1;
}

/* That nothing that stays has a byte in a hole, and that what goes was never so short. */
void expect_hole(struct model *m, uint64_t pos, uint64_t next)
{
	uint64_t seek;
	int r;

	CHECK(m, pos < next && next <= m->end_pos);
	for (uint32_t i = 0; i < m->cnt; i++)
		if (m->recs[i].pos < next && end_of(&m->recs[i]) > pos)
			CHECK(m, m->recs[i].fate != STAYS);
	WARM(m, r, plog_seek_data(&m->log, pos, &seek));
	/* A description that the device does not give is met by who reads there. */
	if (!gave_up(m, r) && !m->stopping && !simdisk_failed_cnt(m->sd))
		CHECK_EQ(m, seek, next);
}

/* That got is the first record from offset on that is there. */
void expect_next(struct model *m, int64_t offset, int64_t got)
{
	CHECK(m, got >= offset && got < m->cnt && m->recs[got].fate != GONE);
	for (; offset < got; offset++)
		CHECK(m, m->recs[offset].fate != STAYS);
}

/* Of what was to go: whether it is there. */
static int take_fate(void *ctx, const struct batch_head *head, const struct record *rec)
{
	struct model *m = ctx;

	CHECK(m, m->recs[rec->offset].fate != GONE);
	m->recs[rec->offset].fate = STAYS;
	return 0;
}

void take_fates(struct model *m)
{
	int64_t next;
	int r = plog_walk(&m->log, m->start_offset, take_fate, m, &next);

	CHECK_EQ(m, r, 0);
	for (uint32_t i = 0; i < m->cnt; i++)
		if (m->recs[i].fate == GOING)
			m->recs[i].fate = GONE;
}

/* A pass ends with the process; of an orderly one it is told to the disk. */
int end_cleaning(struct model *m, bool orderly)
{
	int r = m->cleaner && orderly ? cleaner_stop(m->cleaner) : 0;

	cleaner_free(m->cleaner);
	m->cleaner = NULL;
	return r;
}

/* What a pass over the segments below `end` is to remove. */
static void mark_going(struct model *m, int64_t end)
{
	int64_t dirty = end;

	for (uint32_t i = m->log.seg_cnt - 1; i-- > 0;)
		if (!m->log.segs[i]->generation)
			dirty = m->log.segs[i]->base_offset;
	for (int64_t i = 0; i < end; i++) {
		struct model_record *rec = &m->recs[i];
		int64_t newer = end;

		if (rec->key_len == RECORD_NULL || rec->fate == GONE || dirty == end)
			continue;
		while (--newer >= MAX(dirty, i + 1))
			if (m->recs[newer].key_len == rec->key_len &&
			    !memcmp(m->recs[newer].key, rec->key, rec->key_len))
				break;
		if (newer >= MAX(dirty, i + 1))
			rec->fate = GOING;
	}
	/* Tombstones of segments that were cleaned long ago. */
	for (uint32_t i = 0; i + 1 < m->log.seg_cnt && dirty < end; i++) {
		struct segment *seg = m->log.segs[i];
		int64_t age = m->now_ms - seg->created_ms;

		for (int64_t o = seg->base_offset; o < m->log.segs[i + 1]->base_offset; o++)
			if (seg->generation && age >= m->config.delete_retention_ms && age >= 0 &&
			    m->recs[o].value_len == RECORD_NULL &&
			    m->recs[o].key_len != RECORD_NULL && m->recs[o].fate == STAYS)
				m->recs[o].fate = GOING;
	}
}

static void begin_cleaning(struct model *m)
{
	uint32_t last = m->log.seg_cnt - 1;
	bool nowait = m->disk->nowait;
	int r = m->log.seg_cnt ? sync_all(m) : -ENOENT;

	if (r == -ENOENT || gave_up(m, r))
		return;
	m->disk->nowait = false;
	for (uint32_t i = 0; !r && i <= last; i++)
		r = segment_load(m->log.segs[i]);
	m->disk->nowait = nowait;
	if (gave_up(m, r))
		return;
	r = cleaner_new(&m->log, m->log.segs[last]->base_offset, m->now_ms, 1 << 20, &m->cleaner);
	if (gave_up(m, r))
		return;
	m->need = CLEANER_STEP;
	mark_going(m, m->log.segs[last]->base_offset);
}

static int step_cleaning(struct model *m)
{
	int data_fd, meta_fd, r = 0;

	if (m->need == CLEANER_SYNC_FILES) {
		cleaner_fds(m->cleaner, &data_fd, &meta_fd);
		r = disk_fsync(m->disk, data_fd);
		if (!r)
			r = disk_fsync(m->disk, meta_fd);
	}
	if (!r && m->need != CLEANER_STEP)
		r = disk_sync_dir(m->disk, m->log.dir);
	if (!r)
		WARM(m, r, cleaner_step(m->cleaner, &m->need));
	return r;
}

/* A call that failed may have had a segment set aside: it stays as it is, and none of its keys
 * counts, in this pass and in later ones of this life. What was to go is there or not then. */
static bool is_undecided(const struct model *m)
{
	for (uint32_t i = 0; i < m->log.seg_cnt; i++)
		if (m->log.segs[i]->set_aside)
			return true;
	return false;
}

/* A pass, or some steps of one. What fails in it as it may ends it, or the process. */
void do_clean(struct model *m)
{
	unsigned steps = below(m, 3) ? 1000 : 1 + below(m, 12);
	int r = 0;

	if (!m->cleaner)
		begin_cleaning(m);
	while (m->cleaner && steps-- && !r && m->need != CLEANER_END)
		r = step_cleaning(m);
	if (m->cleaner && !r && m->need == CLEANER_END) {
		end_cleaning(m, false);
		for (uint32_t i = 0; i < m->cnt && !is_undecided(m); i++)
			if (m->recs[i].fate == GOING)
				m->recs[i].fate = GONE;
	}
	if (!gave_up(m, r))
		return;
	if (m->stopping || cleaner_is_committed(m->cleaner) || m->need != CLEANER_STEP) {
		do_kill(m);
		return;
	}
	r = end_cleaning(m, true);
	gave_up(m, r);
}

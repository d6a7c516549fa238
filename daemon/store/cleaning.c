/*
 * When logs are cleaned, and what must be stable before: one log at a time, in slices of the tick.
 *
 *   C_IDLE --due--> C_RAISE --stable--> C_WORK --end, or an error--> C_IDLE
 *
 * C_RAISE goes through the states of a raised log start (enum raise_state), without raising it: all
 * of the log is synced in place, the checkpoint says so, and the journal forgets the segments that
 * are to be cleaned. From then on recovery neither begins in one of them nor puts anything back
 * into it, whatever generation it has.
 */
#include "daemon/base/log.h"
#include "daemon/store/clean.h"
#include "daemon/store/store_impl.h"

#include <errno.h>

/* Logs are looked at that often. */
#define CLEAN_CHECK_MS 15000
/* One that could not be cleaned is left alone for so long. */
#define CLEAN_RETRY_MS 600000
/* So often bytes are asked for before they are waited for. */
#define WARM_TRIES_MAX 3U

static int64_t check_ms(const struct store *s)
{
	return s->config.clean_check_ms ? s->config.clean_check_ms : CLEAN_CHECK_MS;
}

/* How many bytes of the log were never cleaned, where that is reason enough; else 0. */
static int dirty_bytes(struct plog *p, uint64_t *ret)
{
	uint64_t sealed = 0, dirty = 0;

	for (uint32_t i = 0; i + 1 < p->seg_cnt; i++) {
		struct segment *seg = p->segs[i];
		int err = seg->set_aside ? 0 : segment_load(seg);

		if (err && err != -EIO)
			return err;
		/* Of what stays as it is nothing is due. */
		if (err || seg->set_aside)
			continue;
		sealed += seg->meta_len + seg->data_len;
		if (!seg->generation)
			dirty += seg->meta_len + seg->data_len;
	}
	*ret = clean_is_due(sealed, dirty) ? dirty : 0;
	return 0;
}

/* The log with the most to clean. */
static struct part *find_due(struct store *s)
{
	struct part *best = NULL;
	uint64_t most = 0;

	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);
		uint64_t dirty;

		if (!part->plog || !part->plog->config.compact || part->raise != R_NONE ||
		    part->plog->seg_cnt < 2 || s->mono_ms < part->clean_after_ms)
			continue;
		if (dirty_bytes(part->plog, &dirty)) {
			part->clean_after_ms = s->mono_ms + CLEAN_RETRY_MS;
			continue;
		}
		if (dirty > most) {
			most = dirty;
			best = part;
		}
	}
	return best;
}

static void clean_begin(struct store *s, struct part *part)
{
	struct plog *p = part->plog;

	s->clean.part = part;
	part->cleaning = true;
	part->clean_base = p->segs[p->seg_cnt - 1]->base_offset;
	part->raise_offset = p->start_offset;
	part->raise_pos = p->start_pos;
	part->raise = R_SYNC;
	list_put(&s->raising, &part->raise_link);
	sync_begin(s, part);
}

static void clean_end(struct store *s)
{
	struct part *part = s->clean.part;
	struct cleaner_stats st = { 0 };

	if (s->clean.cleaner)
		cleaner_stats(s->clean.cleaner, &st);
	s->stats.segments_cleaned += st.segments;
	s->stats.bytes_cleaned += st.bytes_before - MIN(st.bytes_before, st.bytes_after);
	cleaner_free(s->clean.cleaner);
	part->cleaning = false;
	s->clean.cleaner = NULL;
	s->clean.part = NULL;
	s->clean.due_ms = s->mono_ms + check_ms(s);
}

/* What is begun is removed, and the log stays as it is. */
static void clean_give_up(struct store *s, int err)
{
	struct part *part = s->clean.part;

	if (err == -EIO)
		LOG_AT(LOG_ERROR, part->plog->dir, err, "cannot be cleaned: %s", part->plog->fault);
	else
		LOG_AT(LOG_WARN, part->plog->dir, err, "cannot be cleaned now");
	if (s->clean.cleaner && cleaner_stop(s->clean.cleaner))
		LOG_AT(LOG_WARN, part->plog->dir, 0, "files of a cleaning stay behind");
	part->clean_after_ms = s->mono_ms + CLEAN_RETRY_MS;
	clean_end(s);
}

void clean_raised(struct store *s, struct part *part)
{
	struct plog *p = part->plog;
	int err;

	PRE(s->clean.part == part && part->e.point.segment_base >= part->clean_base);
	/* A write of the journal may have told an earlier point of the same offset since. */
	if (p->synced.next_offset <= part->e.point.next_offset)
		p->synced = part->e.point;
	err = cleaner_new(p, part->clean_base, s->now_ms, CLEAN_SLOTS_MAX, &s->clean.cleaner);
	if (err)
		clean_give_up(s, err);
	s->clean.tries = 0;
}

static void clean_submit(struct store *s)
{
	int err = store_submit(s, &s->clean.req, s);

	s->clean.is_ready = err == -EAGAIN;
	s->clean.is_busy = !err;
	if (err && err != -EAGAIN)
		store_fail(s, err, "sync", s->clean.part->plog->dir);
}

static void clean_sync(struct store *s)
{
	s->clean.req =
		(struct disk_req){ .op = DISK_OP_SYNC_SEGMENT, .dir = s->clean.part->plog->dir };
	cleaner_fds(s->clean.cleaner, &s->clean.req.fd, &s->clean.req.fd2);
	clean_submit(s);
}

/* Bytes that are not in the page cache: they are read in beside. */
static void clean_warm(struct store *s)
{
	s->clean.tries++;
	s->clean.req = (struct disk_req){ .op = DISK_OP_READ,
					  .fd = s->disk->cold.fd,
					  .pos = s->disk->cold.pos,
					  .len = s->disk->cold.len };
	clean_submit(s);
}

static void clean_tell(struct store *s)
{
	struct cleaner_stats st;

	cleaner_stats(s->clean.cleaner, &st);
	LOG_AT(LOG_INFO, s->clean.part->plog->dir, 0,
	       "cleaned: %u segments, %llu records gone, %llu bytes became %llu", st.segments,
	       (unsigned long long)st.records_gone, (unsigned long long)st.bytes_before,
	       (unsigned long long)st.bytes_after);
	clean_end(s);
}

static void clean_step(struct store *s)
{
	enum cleaner_need need;
	bool nowait = s->disk->nowait;
	struct cleaner_stats before, st;
	int err;

	s->disk->nowait = s->clean.tries < WARM_TRIES_MAX;
	cleaner_stats(s->clean.cleaner, &before);
	err = cleaner_step(s->clean.cleaner, &need);
	cleaner_stats(s->clean.cleaner, &st);
	s->disk->nowait = nowait;
	if (st.set_aside != before.set_aside)
		LOG_AT(LOG_ERROR, s->clean.part->plog->dir, -EIO,
		       "%u damaged segments are not cleaned, others are: %s",
		       st.set_aside - before.set_aside, s->clean.part->plog->fault);
	if (st.unnamed != before.unnamed)
		LOG_AT(LOG_WARN, s->clean.part->plog->dir, 0,
		       "cleaned values find no room for their name: the next start tries again");
	if (err == -EAGAIN) {
		clean_warm(s);
		return;
	}
	s->clean.tries = 0;
	if (err && cleaner_is_committed(s->clean.cleaner)) {
		store_fail(s, err, "rename", s->clean.part->plog->dir);
		return;
	}
	if (err) {
		clean_give_up(s, err);
		return;
	}
	switch (need) {
	case CLEANER_STEP:
		break;
	case CLEANER_SYNC_FILES:
	case CLEANER_SYNC_DIR:
		clean_sync(s);
		break;
	case CLEANER_END:
		clean_tell(s);
		break;
	}
}

void clean_tick(struct store *s)
{
	struct part *part;

	if (s->clean.is_ready) {
		clean_submit(s);
		return;
	}
	if (s->clean.part) {
		if (s->clean.cleaner && !s->clean.is_busy)
			clean_step(s);
		return;
	}
	if (s->mono_ms < s->clean.due_ms)
		return;
	s->clean.due_ms = s->mono_ms + check_ms(s);
	part = find_due(s);
	if (part)
		clean_begin(s, part);
}

int64_t clean_deadline(const struct store *s)
{
	if (s->clean.cleaner && !s->clean.is_busy)
		return s->mono_ms;
	return s->clean.part ? INT64_MAX : s->clean.due_ms;
}

void clean_on_disk(struct store *s)
{
	s->clean.is_busy = false;
	if (s->clean.part->deleted)
		clean_end(s);
	else if (s->clean.req.res < 0 && s->clean.req.op != DISK_OP_READ)
		store_fail(s, (int)s->clean.req.res, "sync", s->clean.part->plog->dir);
}

void clean_deleted(struct store *s, struct part *part)
{
	if (s->clean.part != part || s->clean.is_busy)
		return;
	s->clean.is_ready = false;
	clean_end(s);
}

int clean_stop(struct store *s)
{
	int err = 0;

	if (!s->clean.part)
		return 0;
	if (s->clean.cleaner && !s->clean.part->deleted) {
		err = cleaner_stop(s->clean.cleaner);
		if (err && !cleaner_is_committed(s->clean.cleaner)) {
			LOG_AT(LOG_WARN, s->clean.part->plog->dir, err,
			       "files of a cleaning stay behind");
			err = 0;
		}
	}
	clean_end(s);
	return err;
}

/*
 * What is owed a description, and how it gets one.
 *
 *   .meta   |==== described ====|ddd ddd|            ddd: drafts, in memory only
 *   .data   |========= ... ======:.......|ooooooo|    ooo: owed lines (struct debt)
 *                                  slots    slot      what vouches for them
 *
 * A description is 120 bytes that a sync of a line would write for each of them, into a file of its
 * own, though the journal carries the same bytes. So it is drafted first: made, put into the
 * journal, and written with those behind it. Two things vouch for a draft, each of them alone: the
 * journal, from when its write is on disk; and the slot of the debt that it was, which is not given
 * back before the description stands in .meta. Recovery puts the journal back, and takes what slots
 * vouch for, one behind the other.
 *
 * At most one draft is not in the journal yet, and behind it nothing is owed: who reads a directory
 * and looks at no more than one slot of a partition sees all that was answered.
 */
#include "daemon/store/kept.h"
#include "daemon/store/plog_impl.h"

#include <errno.h>
#include <stdlib.h>

/* Drafts are begun only while so many slots are free: a log holds several. */
#define DRAFT_SLOTS_FREE (DEBT_SLOT_CNT / 2)

bool plog_owes(const struct plog *p)
{
	return p->debt.cnt || p->drafts;
}

void plog_drop_drafts(struct plog *p)
{
	for (unsigned i = 0; p->drafts && i < p->drafts->cnt; i++)
		debt_give_back(p->debts, p->drafts->slots[i]);
	free(p->drafts);
	p->drafts = NULL;
}

/* Describes what is owed, for its place behind all others. */
static void put_description(const struct plog *p, uint8_t *ret, struct batch_head *ret_head)
{
	struct buf b = { .data = ret, .cap = FORMAT_BATCH_LEN };

	*ret_head = (struct batch_head){
		.attr = p->debt.attr,
		.cnt = (uint32_t)p->debt.cnt,
		.meta_pos = plog_meta_end(p),
		.values_hash = p->debt.values_hash,
		.base_offset = p->debt.base_offset,
		.plain_pos = p->end_pos - p->debt.len,
		.data_pos = p->debt.data_pos,
		.plain_len = (uint32_t)p->debt.len,
		.data_len = (uint32_t)p->debt.len,
		.base_ts_ms = p->debt.timestamp_ms,
		.max_ts_ms = p->debt.timestamp_ms,
		.producer_id = -1,
		.base_sequence = -1,
		.producer_epoch = -1,
		.leader_epoch = p->debt.leader_epoch,
	};
	format_put_batch(&b, ret_head, NULL, plog_active(p)->seed);
	ASSERT(b.data == ret && b.len == FORMAT_BATCH_LEN);
}

/* Writes descriptions behind those that are in .meta. Where this fails half-way the same bytes are
 * written over it the next time. */
static int write_descriptions(struct plog *p, const uint8_t *mem, size_t len)
{
	struct segment *seg = plog_active(p);
	struct iovec iov = { .iov_base = (void *)mem, .iov_len = len };
	int r = segment_fd(seg, SEGMENT_META);

	if (r >= 0)
		r = disk_write(p->disk, seg->meta_fd, mem, len, seg->meta_len);
	seg->write_seq++;
	if (r)
		return r;
	kept_put(p->kept, seg->seed, true, seg->meta_len, &iov, 1);
	seg->meta_len += len;
	return 0;
}

/* What was owed is so no more. */
static void end_debt(struct plog *p, const struct batch_head *h)
{
	p->debt_idx = -1;
	p->debt = (struct debt){ 0 };
	segment_index_batch(plog_active(p), h);
}

/* -ENOMEM. */
static int put_draft(struct plog *p)
{
	struct plog_drafts *d = p->drafts ? p->drafts : calloc(1, sizeof(*d));
	struct batch_head h;

	if (!d)
		return -ENOMEM;
	PRE(d->cnt < PLOG_DRAFT_CNT);
	put_description(p, d->mem + d->cnt * FORMAT_BATCH_LEN, &h);
	p->drafts = d;
	d->slots[d->cnt++] = p->debt_idx;
	d->data_len += p->debt.len;
	d->is_stable = false;
	end_debt(p, &h);
	return 0;
}

static int write_drafts(struct plog *p)
{
	int r = write_descriptions(p, p->drafts->mem, p->drafts->cnt * FORMAT_BATCH_LEN);

	if (!r)
		plog_drop_drafts(p);
	return r;
}

static int write_owed(struct plog *p)
{
	uint8_t mem[FORMAT_BATCH_LEN];
	int idx = p->debt_idx, r;
	struct batch_head h;

	put_description(p, mem, &h);
	r = write_descriptions(p, mem, sizeof(mem));
	if (r)
		return r;
	end_debt(p, &h);
	debt_give_back(p->debts, idx);
	return 0;
}

int plog_describe(struct plog *p)
{
	int r = 0;

	if (!plog_owes(p))
		return 0;
	/* One write for all. */
	if (p->drafts && p->debt.cnt && p->drafts->cnt < PLOG_DRAFT_CNT)
		r = put_draft(p);
	if (!r && p->drafts)
		r = write_drafts(p);
	if (!r && p->debt.cnt)
		r = write_owed(p);
	if (r)
		return r;
	/* Of thousands that were written once each would keep one. */
	hash_run_free(p->debt_hash);
	p->debt_hash = NULL;
	return 0;
}

int plog_draft(struct plog *p)
{
	if (!p->debt.cnt)
		return 0;
	ERGO(p->drafts, p->drafts->is_stable && p->drafts->cnt < PLOG_DRAFT_CNT);
	if (p->debts->free_cnt < DRAFT_SLOTS_FREE || put_draft(p))
		return plog_describe(p);
	return 0;
}

void plog_journaled(struct plog *p, const struct plog_point *pt)
{
	if (p->drafts && pt->segment_base == plog_active(p)->base_offset &&
	    pt->meta_len >= plog_meta_end(p))
		p->drafts->is_stable = true;
}

bool plog_drafts_may_stay(const struct plog *p)
{
	return p->drafts && p->drafts->is_stable && p->drafts->cnt < PLOG_DRAFT_CNT &&
	       !p->debt.cnt && !p->undo_owed;
}

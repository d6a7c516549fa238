/*
 * What the files of the plog share: the scanner of descriptions, the cache, small helpers. Nobody
 * else includes this.
 */
#ifndef TOPICFS_STORE_PLOG_IMPL_H
#define TOPICFS_STORE_PLOG_IMPL_H

#include "daemon/store/segment.h"

/* Values are read for checking in pieces of so many bytes: they fit a core's cache. */
#define CHUNK_LEN (256U * 1024U)
/* Descriptions are read in pieces of so many bytes. */
#define META_CHUNK_LEN (32U * 1024U)
/* Readers at so many places, or so many partitions merged, decode no batch twice. */
#define CACHE_SLOT_CNT 32U
/* Decoded batches beyond this many bytes are let go, but for the newest. */
#define CACHE_BYTES_MAX (32U * 1024U * 1024U)

struct cached_batch {
	uint64_t seed, meta_pos, tick;
	size_t mem; /* bytes that it holds */
	struct buf desc, values;
	struct record *recs;
	uint32_t *value_pos;
	uint32_t cap; /* of recs; value_pos has one more */
	struct batch batch;
	bool valid;
};

struct batch_cache {
	struct buf meta;		 /* the scanner's */
	struct buf out_desc, out_values; /* of an append */
	uint8_t *chunk;			 /* CHUNK_LEN bytes, or NULL */
	struct hash_run *run;
	uint64_t tick;
	uint64_t work; /* see plog_work() */
	struct cached_batch slots[CACHE_SLOT_CNT];
};

/* The plog's cache; made where it has none. NULL: no memory. */
struct batch_cache *plog_cache(struct plog *p);
void cached_batch_fini(struct cached_batch *b);
/* The chunk and the running hash of a cache. -ENOMEM. */
MUST_CHECK int batch_cache_scratch(struct batch_cache *c);

/*
 * Walks over descriptions from `pos` to `end`. A description that does not hold is passed: the next
 * whole one behind it is searched, and `gap` says so; the plog's fault names the place.
 */
struct meta_scan {
	struct segment *seg;
	struct buf *buf;  /* borrowed */
	uint64_t buf_pos; /* where in the file buf begins */
	uint64_t pos, end;
	bool strict; /* -EBADMSG instead of passing */
	bool gap;    /* between the batch before and this one stands damage */
	const uint8_t *desc;
};
void meta_scan_init(struct meta_scan *s, struct segment *seg, struct buf *buf, uint64_t pos,
		    uint64_t end);
/* 1 and the next batch; 0 at the end; -EBADMSG where strict; -EAGAIN (nothing has changed), -EIO,
 * -ENOMEM. */
MUST_CHECK int meta_scan_next(struct meta_scan *s, struct batch_head *ret);
/* Whether nothing of a segment holds where its .data is empty. */
bool plog_is_hollow(struct segment *seg);

/* Hash of len bytes of .data at pos. -EBADMSG where the file is shorter. */
MUST_CHECK int data_hash(struct segment *seg, struct batch_cache *c, uint64_t pos, uint64_t len,
			 uint64_t *ret_hash);

/* Notes a fault; returns -EIO. */
int plog_set_fault(struct plog *p, const struct segment *seg, enum segment_file file, uint64_t pos,
		   const char *what);

/* Descriptions that are written together, at most. */
#define PLOG_DRAFT_CNT 8U

/* See plog_owed.c. They are of the active segment, one behind the other from meta_len on. */
struct plog_drafts {
	unsigned cnt;
	bool is_stable;	   /* all of them are in the journal */
	uint64_t data_len; /* of what they describe */
	int slots[PLOG_DRAFT_CNT];
	uint8_t mem[PLOG_DRAFT_CNT * FORMAT_BATCH_LEN];
};

static inline struct segment *plog_active(const struct plog *p)
{
	return p->seg_cnt ? p->segs[p->seg_cnt - 1] : NULL;
}

/* Where .meta of the active segment is going to end, with what is drafted. */
static inline uint64_t plog_meta_end(const struct plog *p)
{
	uint64_t drafted = p->drafts ? p->drafts->cnt * FORMAT_BATCH_LEN : 0;

	return plog_active(p)->meta_len + drafted;
}

/* Where the plain file's part of segment idx ends. Its successor must be loaded. */
static inline uint64_t plog_seg_end(const struct plog *p, uint32_t idx)
{
	return idx + 1 < p->seg_cnt ? p->segs[idx + 1]->base_pos : p->end_pos;
}

/* The segment that holds offset, or would: the last whose base is not beyond it. seg_cnt > 0. */
uint32_t plog_seg_of_offset(const struct plog *p, int64_t offset);
/* The same for a position; reads heads. -EIO also where no segment that is there begins before. */
MUST_CHECK int plog_seg_of_pos(struct plog *p, uint64_t pos, uint32_t *ret_idx);
/* Puts a segment at the end of p->segs. -ENOMEM. */
MUST_CHECK int plog_put_segment(struct plog *p, struct segment *seg);
/* plog_owed.c: forgets them, and gives their slots back. */
void plog_drop_drafts(struct plog *p);
/* Whether there are drafts that one more debt may stand behind. */
bool plog_drafts_may_stay(const struct plog *p);
/* Repeats an undo that failed. */
MUST_CHECK int plog_finish_undo(struct plog *p);
/* The largest timestamp in segment idx. */
MUST_CHECK int plog_seg_max_ts(struct plog *p, uint32_t idx, int64_t *ret);
/* plog_clean.c: seg takes the place of old, which is sealed and of an earlier generation. */
void plog_replace_segment(struct plog *p, struct segment *old, struct segment *seg);
/* Removes a cleaned segment in which nothing stayed, behind another cleaned one. */
void plog_remove_empty(struct plog *p, struct segment *seg);
/* Finishes or forgets what a stop left of cleaning; for what finds no room: p->has_unnamed. */
MUST_CHECK int plog_finish_cleaning(struct plog *p);
/* Of a segment in which cleaning left nothing one file may be gone and the other not: then the
 * other is removed, and *ret_settled set. */
MUST_CHECK int plog_settle_lone_data(struct plog *p, int64_t base, bool *ret_settled);
MUST_CHECK int plog_settle_lone_meta(struct plog *p, int64_t base, bool *ret_settled);
/* plog_extent() within one segment whose bytes end at end_pos. */
MUST_CHECK int segment_extent(struct segment *seg, uint64_t end_pos, uint64_t pos, size_t max_len,
			      struct plog_extent *ret, uint64_t *ret_next);

#endif

/*
 * The log of one partition ("plog"): segments, their indexes, appends, look-ups, verification.
 *
 * A plog knows offsets and positions, not topics' names, waiting readers, fsync or journals:
 * store.h does those with what is offered here. It calls the disk through disk.h only, and never
 * waits for the device but in plog_open() and where disk->nowait is off.
 *
 * Two coordinates. An *offset* numbers records. A *position* is a byte of the plain file
 * (DESIGN 1.3.2): it never changes; what retention or cleaning removed is a hole.
 *
 *      start_offset                       next_offset
 *      start_pos                          end_pos
 *   ....|======= sealed =====|=== active ====|          (.... = hole)
 *                                       |ddd|           ddd: owed, not described yet (single plain
 * lines)
 *
 * Cleaned segments (generation above 0) have gaps in both, and may end before the next one begins.
 *
 * Owed. Single plain lines of one millisecond are described by one batch, late: plog_describe().
 * Every function here that tells an offset's whereabouts or a timestamp describes first, by itself.
 * next_offset, end_pos and plog_append_lines()'s own answer count what is owed.
 *
 * Verification. Bytes are checked against the hashes of their batch before they are given the first
 * time after they were written or the segment was opened; segments remember which stretches are.
 *
 * Errors. -EIO: bytes do not match, plog->fault says file and position in a sentence. -EAGAIN: see
 * disk.h (nothing has changed; do it again when the bytes are there). After a failed append the log
 * is as before: .data is cut before .meta; where even that fails, plog->undo_owed stays set and
 * appends answer -EIO until it succeeded.
 */
#ifndef TOPICFS_STORE_PLOG_H
#define TOPICFS_STORE_PLOG_H

#include "daemon/base/hash.h"
#include "daemon/base/list.h"
#include "daemon/store/debt.h"
#include "daemon/store/disk.h"
#include "daemon/store/format.h"

struct segment; /* segment.h */
struct kept;	/* kept.h */

/* Decoded batches and scratch memory for checking; may be shared by all logs of a thread. */
struct batch_cache;

/* What of the topic's configuration concerns its log. Milliseconds and bytes; -1: no bound. */
struct plog_config {
	int64_t segment_bytes, segment_ms;
	int64_t retention_ms, retention_bytes;
	uint32_t index_interval_bytes;
	bool log_append_time; /* message.timestamp.type */
	/* cleanup.policy=compact: of each key the newest record stays, and retention removes
	 * nothing. Its tombstones stay for delete_retention_ms after they were cleaned first. */
	bool compact;
	int64_t delete_retention_ms;
};

/* A place in the log between two appends: everything before it is meant. Of a log without segments
 * segment_base is -1 and the lengths are 0. */
struct plog_point {
	int64_t segment_base;	     /* base offset of the segment that was active */
	uint64_t meta_len, data_len; /* of that segment's files */
	int64_t next_offset;
	uint64_t end_pos;
	int64_t max_ts_ms; /* of all records before; -1: none */
};

struct plog {
	struct disk *disk;	  /* borrowed */
	struct debt_table *debts; /* borrowed; NULL: every append is described at once */
	const char *dir;	  /* "orders-0", below the data directory; borrowed */
	uint8_t topic_id[16];
	uint32_t partition;
	int32_t leader_epoch;
	struct plog_config config;

	int64_t start_offset, next_offset;
	uint64_t start_pos, end_pos;
	int64_t max_ts_ms; /* of all records ever, -1: none */
	int64_t mtime_ms;  /* clock of the last append (or of creation) */

	/* sealed ones and, last, the active one; ascending; empty before the first append */
	struct segment **segs;
	uint32_t seg_cnt, seg_cap;
	/* segments that retention removed, or cleaning replaced, and a reader still refers to */
	struct list gone;

	struct debt debt;	    /* what is owed; cnt 0: nothing */
	int debt_idx;		    /* slot in debts, -1: none */
	struct plog_drafts *drafts; /* owned; NULL: none */
	struct hash_run *debt_hash;
	bool undo_owed;
	bool tail_missing;     /* the segment in which it ended: it goes on in one of its own */
	int64_t leftover_base; /* files of a roll that failed and could not be removed; -1: none */
	struct batch_cache *cache; /* see plog_init() */
	bool cache_owned;
	bool set_aside;	  /* a segment's name was no file */
	bool has_unnamed; /* some cleaned values have found no room for their name */
	bool dirty;	  /* appended to since the last plog_synced() to the end */
	struct plog_point
		synced;	   /* stable up to here, in place or in the journal; kept by store.c */
	struct kept *kept; /* what was written since the store put it into the journal; or NULL */
	const char *fault; /* the last -EIO, as a sentence; "": none */
	char *fault_mem;   /* owned; NULL until there is one */
	struct list store_link, debt_link; /* store.c's */
	void *owner;			   /* the broker's: the partition that this log is of */
};

/* NULL: no memory. Takes little until it is used. */
struct batch_cache *batch_cache_new(void);
/* Takes NULL. */
void batch_cache_free(struct batch_cache *c);
/* Frees what it holds, but not itself: for idle times. */
void batch_cache_trim(struct batch_cache *c);

/* Prepares the struct (memory only). dir outlives it. A cache that is to be shared is put into
 * p->cache afterwards (borrowed); else the log makes one of its own when it needs one. */
void plog_init(struct plog *p, struct disk *d, struct debt_table *debts, const char *dir,
	       const uint8_t topic_id[16], uint32_t partition, const struct plog_config *config);
/* Frees memory and closes descriptors. All refs must be gone. Takes a plog that was never opened.
 */
void plog_fini(struct plog *p);

struct plog_open_report {
	uint64_t cut_data_bytes, cut_meta_bytes; /* of a torn tail */
	int64_t cut_records;			 /* described ones among them */
	int64_t described_records;		 /* owed ones that the slot vouched for */
	uint32_t segments;
	bool damaged; /* something below the floor does not match; p->fault names it */
};

/*
 * Opens what is in the directory (made where it is missing). *floor is the checkpoint: nothing
 * below it is cut. NULL says that nothing is known, and then the log begins where its first segment
 * does; of a log that is known to have been empty it is a point at segment_base -1, offset 0,
 * position 0, timestamp -1, and what does not follow on from there is cut. Where `clean`, the log
 * ends exactly at *floor and only the active segment's head and lengths are looked at. Otherwise
 * what follows the floor is read and checked; the tail whose hashes do not fit is cut, later
 * segments first, .data before .meta; `owed` (copies from slots, newest first; it is put into
 * another order) says what undescribed bytes may be described. A slot may be taken again only when
 * all logs that it might vouch for have been opened. What was changed or is trusted above the floor
 * is synced when this returns. The floor's log start is given by start_offset and start_pos (0, 0
 * at first): segments wholly below it are removed. A segment whose topic id is not p->topic_id:
 * -ESTALE, nothing is touched. Blocking.
 */
MUST_CHECK int plog_open(struct plog *p, int64_t start_offset, uint64_t start_pos,
			 const struct plog_point *floor, bool clean, struct debt *owed,
			 unsigned owed_cnt, struct plog_open_report *ret);

/* Producer fields of a batch; NULL stands for "none" (-1 all). */
struct plog_producer {
	int64_t id;
	int32_t base_sequence;
	int16_t epoch;
	uint16_t attr; /* BATCH_TRANSACTIONAL | BATCH_CONTROL */
};

struct plog_appended {
	int64_t base_offset;
	int64_t timestamp_ms; /* of the first record */
	uint64_t pos;	      /* position of the first byte in the plain file */
};

/*
 * Appends cnt lines: the pieces of iov together are len bytes, end in '\n', and hold exactly cnt
 * newlines. One line may be described late. 0; -ENOSPC, -EIO, -EMFILE, -ENOMEM and then nothing is
 * stored. A roll that is due happens first. Where late is false, the description is written before
 * this returns.
 */
MUST_CHECK int plog_append_lines(struct plog *p, int64_t now_ms, const struct iovec *iov,
				 int iov_cnt, size_t len, uint32_t cnt, bool late,
				 struct plog_appended *ret);
/* Appends cnt records as one batch. timestamp_ms RECORD_NO_TIMESTAMP: now_ms. Otherwise as above.
 */
MUST_CHECK int plog_append_records(struct plog *p, int64_t now_ms, const struct record *recs,
				   uint32_t cnt, const struct plog_producer *producer,
				   struct plog_appended *ret);
/* Sees that there is room on the disk for `least` bytes more in each file of the last segment, for
 * appends that a full disk must not refuse; asks for `ahead`. 0 where there is no segment. -ENOSPC,
 * and other errors of an append. */
MUST_CHECK int plog_keep_room(struct plog *p, uint64_t least, uint64_t ahead);
/* Describes what is owed, and writes what is drafted; 0 where nothing is. -ENOSPC cannot be (room
 * is allocated beforehand), -EIO. */
MUST_CHECK int plog_describe(struct plog *p);

/*
 * Drafts the description of what is owed: it is made, and counts for plog_draft_point() and
 * plog_stretches(), but is written into .meta later, by plog_describe(). Until then the slots
 * vouch for the bytes. For who is about to put it into the journal.
 */
MUST_CHECK int plog_draft(struct plog *p);
/* The log is stable in the journal up to there. */
void plog_journaled(struct plog *p, const struct plog_point *pt);
/* Whether anything has no description in .meta. */
bool plog_owes(const struct plog *p);

/* Where the log ends now; describes first. */
MUST_CHECK int plog_point(struct plog *p, struct plog_point *ret);
/* The same, but what is owed is drafted only. */
MUST_CHECK int plog_draft_point(struct plog *p, struct plog_point *ret);

/* A stretch of one file, between two points: what an fsync has to make stable. */
struct plog_stretch {
	struct segment *seg;
	const uint8_t *bytes; /* of drafts, which are in no file yet; NULL: as the file has them */
	bool is_meta;
	int fd;
	uint64_t pos;
	size_t len;
};
/*
 * The stretches from `from` to the end, in the order in which they are put back (.meta before .data
 * a segment). At most max; returns how many, or -E2BIG, and their sum of bytes in *ret_bytes. A
 * segment that is newer than `from` and whose head or directory entry is not stable yet
 * (segment->head_synced) is reported by *ret_unsynced_head.
 */
MUST_CHECK int plog_stretches(struct plog *p, const struct plog_point *from,
			      struct plog_stretch *ret, unsigned max, uint64_t *ret_bytes,
			      bool *ret_unsynced_head);

/* What a reader of bytes gets. */
struct plog_extent {
	struct segment *seg; /* borrowed: take a ref (segment_ref) to keep it */
	int fd;		     /* of .data */
	uint64_t file_pos;
	size_t len; /* bytes that lie together from the asked position on, at most what was asked */
};

/*
 * The bytes of the plain file at pos, verified. 0, and ret->len is at least 1. -ENODATA at or past
 * end_pos. -ENXIO where pos is in a hole (*ret_next: where the next bytes begin, or end_pos).
 * -ESTALE where pos lies below start_pos and no removed segment that is still referred to holds it
 * (*ret_next likewise). -EIO, -EAGAIN.
 */
MUST_CHECK int plog_extent(struct plog *p, uint64_t pos, size_t max_len, struct plog_extent *ret,
			   uint64_t *ret_next);
/*
 * The same of a segment that the caller refers to and that cleaning has replaced: its bytes as they
 * were. -ENXIO where it is no such one, or does not hold pos.
 */
MUST_CHECK int plog_extent_held(struct segment *seg, uint64_t pos, size_t max_len,
				struct plog_extent *ret);
/* Bytes of an extent, into memory. -EAGAIN, -EIO. */
MUST_CHECK int plog_extent_read(struct plog *p, const struct plog_extent *e, void *buf);

/* A decoded batch; borrowed from the plog's cache until the next plog_ call on any log. */
struct batch {
	struct batch_head head;
	const struct record
		*recs; /* head.cnt, with offsets and timestamps; their bytes are borrowed too */
	const uint32_t
		*value_pos; /* head.cnt + 1: where each value begins, relative to head.plain_pos */
};

/* The batch that holds offset, or the next one after it where that offset is gone. -ENODATA at or
 * past next_offset; -ESTALE below start_offset; -EIO, -EAGAIN, -ENOMEM. */
MUST_CHECK int plog_batch(struct plog *p, int64_t offset, const struct batch **ret);
/*
 * Where the damage begins, after plog_batch() gave -EIO for an offset, and where the log goes on
 * behind it: *ret_from (behind the offset, where cleaning left nothing in between) and *ret_next.
 * *ret: of the batch in between where only its values do not hold, else NULL; of it keys, headers
 * and what is a tombstone are good, and all values are NULL. Borrowed as that of plog_batch().
 */
MUST_CHECK int plog_pass_damage(struct plog *p, int64_t offset, int64_t *ret_from,
				int64_t *ret_next, const struct batch **ret);
/* What plog_batch() has cost so far, in records decoded, over all plogs that share a cache: whoever
 * asks for many batches at once sees by it when others should have their turn. */
uint64_t plog_work(const struct plog *p);
/* The position of record `offset` (next_offset gives end_pos; one that cleaning removed: of the
 * next). Errors as plog_batch(). */
MUST_CHECK int plog_offset_to_pos(struct plog *p, int64_t offset, uint64_t *ret_pos);
/* The offset of the record that holds position pos (in a hole: the next record's; end_pos:
 * next_offset). */
MUST_CHECK int plog_pos_to_offset(struct plog *p, uint64_t pos, int64_t *ret_offset);
struct plog_cut {
	uint64_t pos; /* of the begin of record off, or the end of the log */
	int64_t off;
	bool is_lines;	 /* [pos, to) is lines of one batch: what ends with '\n' is a record */
	int64_t end_off; /* is_lines: the record behind that batch */
};
/*
 * Where the bytes [from, to) of the plain file, of which record from_off is the first, are cut so
 * that whole records are left: at a position in (from, to], not always the last one; at `from`
 * where none ends there. Where they end inside of a batch of plain lines it is not looked into:
 * then pos is where the batch begins, or from, and the caller finds the last newline before `to`.
 * from >= start_pos; to <= end_pos. -EIO, -EAGAIN, -ENOMEM.
 */
MUST_CHECK int plog_cut(struct plog *p, uint64_t from, int64_t from_off, uint64_t to,
			struct plog_cut *ret);
/* The first offset whose timestamp is ts_ms or later; next_offset where there is none. */
MUST_CHECK int plog_time_to_offset(struct plog *p, int64_t ts_ms, int64_t *ret_offset);

/* The last n records before `offset`: where they begin. Of a log that was never cleaned that is
 * offset - n. *ret_cnt: how many there are, fewer only where the log begins. */
MUST_CHECK int plog_back(struct plog *p, int64_t offset, int64_t n, int64_t *ret_offset,
			 int64_t *ret_cnt);

/* For whoever keeps records in a log: one after the other. Nonzero ends the walk. */
typedef int plog_record_fn(void *ctx, const struct batch_head *head, const struct record *rec);
/* Gives all records from `offset` on; what cleaning removed is passed. The record is borrowed until
 * fn returns. 0, what fn returned, or an error of plog_batch(); *ret_next: the offset behind the
 * last record that was given, or `offset`. */
MUST_CHECK int plog_walk(struct plog *p, int64_t offset, plog_record_fn *fn, void *ctx,
			 int64_t *ret_next);

/* Whether a file of this name (without its directory) is what cleaning left of the segment at
 * *ret_base; generation 0: a .meta. */
bool plog_is_cleaning_name(const char *name, int64_t *ret_base, uint32_t *ret_generation);

/* SEEK_DATA: the first position >= pos that has bytes; -ENXIO at or past end_pos. */
MUST_CHECK int plog_seek_data(struct plog *p, uint64_t pos, uint64_t *ret_pos);
/* Bytes of .data and .meta that are retained (what `size=` in status and retention.bytes count). */
uint64_t plog_bytes(const struct plog *p);
/* Bytes of .data alone (what st_blocks counts). */
uint64_t plog_data_bytes(const struct plog *p);

/*
 * What retention may remove now: the offset and position that the log may begin at, and 1; 0 where
 * nothing is due. Oldest segments whose newest record is older than retention.ms, or that stand
 * beyond retention.bytes. An active segment whose records are all expired is rolled here first.
 * Changes nothing else: the caller makes the new start durable and then calls plog_raise_start().
 */
MUST_CHECK int plog_retention(struct plog *p, int64_t now_ms, int64_t *ret_offset,
			      uint64_t *ret_pos);
/* Moves the start and deletes the segments wholly below it, .data first, then .meta. */
MUST_CHECK int plog_raise_start(struct plog *p, int64_t offset, uint64_t pos);
/* Seals the active segment and begins a new one, for segment.ms, or on demand. No-op on an empty
 * one. */
MUST_CHECK int plog_roll(struct plog *p, int64_t now_ms);
/* Writes out what of the indexes is in memory only. */
MUST_CHECK int plog_flush_indexes(struct plog *p);
/* Closes descriptors of all segments that the present round of the disk has not used, nor anybody
 * refers to; returns how many. */
unsigned plog_relieve(struct plog *p);
/* Closes descriptors of segments that nobody used for a while; returns how many. */
unsigned plog_close_idle(struct plog *p);

#endif

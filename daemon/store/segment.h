/*
 * A segment of a partition's log: its files, what is known of them, its index, and which of its
 * bytes have been checked. The plog is the only user but for references and sync marks.
 *
 * Life: in plog->segs (one reference is the plog's); or, when retention removed it or cleaning
 * replaced it while a reader still referred to it, in plog->gone with its files unlinked and its
 * descriptors open; freed with the last reference.
 *
 * Of a sealed segment nothing is known at first but its base offset, which is its name; head,
 * lengths, index and descriptors come when they are needed first, and all but the head go again
 * when it is idle.
 *
 * Descriptors. One that has written is not closed before a sync of it succeeded: every write and
 * cut raises write_seq; who syncs both files remembers write_seq before, and says afterwards
 * segment_set_synced(seg, that). The index files are outside of this rule, and closed at once:
 * nothing relies on them that their checks do not prove.
 */
#ifndef TOPICFS_STORE_SEGMENT_H
#define TOPICFS_STORE_SEGMENT_H

#include "daemon/store/index.h"
#include "daemon/store/plog.h"

/* Directory, slash, 20 digits, suffix. */
#define SEGMENT_PATH_MAX (TOPIC_DIR_MAX + 96)

enum segment_file { SEGMENT_META, SEGMENT_DATA, SEGMENT_INDEX, SEGMENT_TIMEINDEX };

struct segment {
	struct plog *plog; /* borrowed; outlives it */
	int64_t base_offset;
	uint32_t refs;
	uint32_t readers;     /* so many of them are segment_hold()'s */
	int meta_fd, data_fd; /* -1: not open */
	int index_fd[2];      /* of .index and .timeindex, while they wait for cold pages */

	bool loaded;	  /* the head was read: the next fields hold */
	bool bad_head;	  /* and it was damaged: base_pos is worked out, nothing else is known */
	bool sized;	  /* data_len and meta_len hold */
	bool head_synced; /* head and directory entry are stable */
	bool leftover;	  /* segment_create() failed, and removing what it had made too */
	bool set_aside;	  /* not to be cleaned in this life: damaged, or the next one's head is */
	bool leaving;	  /* its names are about to be another's: no index is written */
	bool used;	  /* since plog_close_idle() looked last */
	uint32_t round;	  /* of the disk, when a descriptor was asked for last */
	uint32_t generation;
	uint64_t base_pos, seed;
	int64_t prev_max_ts_ms, created_ms;
	char *data_name; /* NULL: the usual one; owned */

	uint64_t data_len,
		meta_len; /* bytes that count; files may be longer while an undo is owed */
	uint64_t meta_alloc, data_alloc; /* there is room up to here; 0: not known */
	uint64_t write_seq, synced_seq;

	struct index index;
	bool index_tried;   /* by segment_index_wake() */
	uint64_t *verified; /* one bit a closed granule; owned */
	uint32_t verified_cap;
	/* In the last granule: checked up to this description and this position (relative to
	 * base_pos); counts where it lies behind the granule's begin. */
	uint64_t tail_meta, tail_plain;

	struct list gone_link; /* in plog->gone */
	uint64_t gone_end_pos; /* where it is gone: behind its last byte */
};

/* A segment that is in no list, with one reference; no file is touched. NULL: no memory. */
struct segment *segment_new(struct plog *p, int64_t base_offset);
void segment_ref(struct segment *seg);
/* Frees a removed segment with the last reference. Takes NULL. */
void segment_unref(struct segment *seg);
/* The same for a reader who may come back to it: what it holds can be read whatever retention and
 * cleaning do, and needs no open descriptor as long as the segment has its name. Else who reads a
 * little of each of many partitions would hold all descriptors that there are. */
void segment_hold(struct segment *seg);
/* Takes NULL. */
void segment_unhold(struct segment *seg);

/* Its path below the data directory. */
void segment_path(const struct segment *seg, enum segment_file file, char ret[SEGMENT_PATH_MAX]);
/* The one that it has where its values have their usual name. */
void segment_usual_path(const struct segment *seg, enum segment_file file,
			char ret[SEGMENT_PATH_MAX]);
/* Opens a file on demand and returns its descriptor, or a negative errno. */
MUST_CHECK int segment_fd(struct segment *seg, enum segment_file file);
/* Closes what may be closed (see above); force: also what was written. */
void segment_close(struct segment *seg, bool force);
/* Reads the head and the lengths. A damaged head, or one of another topic or version, is no error
 * here: see bad_head. */
MUST_CHECK int segment_load(struct segment *seg);
/* The same where the log might be cut: -ESTALE: of another topic, -EIO: of another version. */
MUST_CHECK int segment_load_ours(struct segment *seg);
/* Reads the head alone, and tells a .meta that is missing from one whose head does not hold
 * (bad_head). -ESTALE: of another partition. */
MUST_CHECK int segment_peek(struct segment *seg, bool *ret_is_there);
/* The lengths alone. */
MUST_CHECK int segment_size(struct segment *seg);
/* Makes .meta with its head, and .data. On failure nothing is left, or seg->leftover says that a
 * segment_unlink() is owed. */
MUST_CHECK int segment_create(struct segment *seg, uint64_t base_pos, int64_t prev_max_ts_ms,
			      int64_t now_ms);
/* Unlinks the files, .data before .meta; what is missing already is no error. */
MUST_CHECK int segment_unlink(struct segment *seg);
/* Unlinks the index files alone. */
MUST_CHECK int segment_unlink_index(struct segment *seg);
/* Both files have been synced since write_seq was seq. */
void segment_set_synced(struct segment *seg, uint64_t seq);
/* Head and directory are stable. */
void segment_set_head_synced(struct segment *seg);

/* The index in memory, and complete up to `meta_end`. -EAGAIN (what was done stays done), -EIO,
 * -ENOMEM. */
MUST_CHECK int segment_index(struct segment *seg, uint64_t meta_end);
/* Before an append: takes up the index of a segment that was opened, where that costs little, so
 * that it grows with the log. Else it is left to whoever reads. Tried once. */
void segment_index_wake(struct segment *seg);
/* Tells a batch to the index and to the verification marks; an index that is not loaded or not
 * complete is left as it is. */
void segment_index_batch(struct segment *seg, const struct batch_head *h);
/* Writes out what of the index is in memory only. */
MUST_CHECK int segment_index_flush(struct segment *seg);
/* Forgets index and verification. */
void segment_index_drop(struct segment *seg);

/* Of a segment whose index is complete: whether its descriptions reach to the end of its values. Of
 * a cleaned one nothing else tells that its last ones are missing. */
static inline bool segment_is_described(const struct segment *seg)
{
	return seg->index.next.data_pos == seg->data_len;
}

static inline bool segment_is_verified(const struct segment *seg, uint32_t granule)
{
	return granule / 64 < seg->verified_cap &&
	       (seg->verified[granule / 64] >> (granule % 64) & 1);
}
/* -ENOMEM. */
MUST_CHECK int segment_set_verified(struct segment *seg, uint32_t granule);

#endif

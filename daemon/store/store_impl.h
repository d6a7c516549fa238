/*
 * The inside of the store, shared by store.c, unopened.c, delete.c, files.c, recovery.c, sync.c,
 * journaling.c, upkeep.c and cleaning.c. Nobody else includes this.
 *
 * What a partition's fsync goes through (enum fsync_state):
 *
 *            store_fsync            kick: small              write done
 *   F_IDLE ---------------> F_WANT -----------> F_WRITE ---------------------+
 *     ^                       |  kick: large, no ring, new segment           |
 *     |                       +-----------> F_PLACE ---> F_POINT -> F_WRITE -+
 *     |                                     in place     room in             |
 *     |                                     done         the ring            |
 *     +--------------- no ring or full: <---+                                |
 *     +----------------------------------------------------------------------+
 *                        (those who came meanwhile: F_WANT again)
 *
 * A sync in place (part->syncing) is a walk over the segments that are not stable, one request
 * after the other; it serves F_PLACE, the ring's start, retention and shutdown alike.
 *
 * Raising a log start (enum raise_state): R_SYNC (in place) -> R_CKPT_WAIT -> R_CKPT (on its way)
 * -> R_FORGET (waits for the ring) -> R_FORGET_WRITE -> plog_raise_start(). Of a partition that is
 * to be cleaned (part->cleaning) the start stays, and the last step is clean_raised().
 */
#ifndef TOPICFS_STORE_STORE_IMPL_H
#define TOPICFS_STORE_STORE_IMPL_H

#include "daemon/base/sentence.h"
#include "daemon/store/checkpoint.h"
#include "daemon/store/cleaner.h"
#include "daemon/store/journal.h"
#include "daemon/store/segment.h"
#include "daemon/store/store.h"

#include <errno.h>

/* Single plain lines are described at this age. */
#define STORE_DEBT_AGE_MS 5
/* Where that is not possible now, it is tried again after this time. */
#define STORE_DEBT_RETRY_MS 50
/* statfs is asked again after this time, or so many appended bytes. */
#define STORE_SPACE_AGE_MS 100
#define STORE_SPACE_BYTES (16U * MIB)
/* Least reserve, and by how much more must be free before writing goes on: 1/8 of the reserve. */
#define STORE_RESERVE_MIN (64U * MIB)
/* Partitions that the background syncs at one time: leaves a pool thread for who waits. */
#define STORE_SYNCS_BACKGROUND 2U
/* Room allocated ahead in both files of a partition that is fsynced. */
#define STORE_AHEAD_BYTES JOURNAL_FSYNC_MAX
/* Stretches of one fsync: two files each of three segments; more go in place. */
#define STORE_STRETCH_MAX 6U
/* Bytes of the ring that are zeroed by one request. */
#define STORE_ZERO_BYTES (1024U * 1024U)
/* A partition's dirty bytes from which its write-out is worth a request. */
#define STORE_WRITE_OUT_MIN (64U * 1024U)
/*
 * What nobody asks an fsync for is synced in place at this age, or at so many bytes, so that
 * recovery has little to read and descriptors can be closed. A roll counts as many bytes as a
 * sixteenth.
 */
#define STORE_UNSYNCED_MS 30000
#define STORE_UNSYNCED_BYTES (256U * MIB)
/* Partitions from which on a stop has the file system write out all of them at once. */
#define STORE_SYNC_ALL_PARTS 16U
/* Segments that a stop syncs at one time. */
#define STORE_STOP_SYNCS 16U
/* Write-outs under way at one time. */
#define STORE_WRITE_OUTS 8U
/* A checkpoint is due this long after something was synced that it does not tell. */
#define STORE_CHECKPOINT_AGE_MS 5000
/* A step of the wall clock against the other one that is told. */
#define STORE_CLOCK_JUMP_MS 2000
/* Files and directories removed by one tick: unlink of a large one takes milliseconds. */
#define STORE_UNLINKS_A_TICK 16U
/* Descriptors that are closed at a time where all are taken. */
#define STORE_RELIEVE 1024U
/* And partitions that are synced for it, with everything waiting, where no other can be closed. */
#define STORE_RELIEVE_SYNCS 16U
/* Idle descriptors are closed that often. */
#define STORE_IDLE_MS 10000

struct store_note {
	struct list link;
	enum store_event_kind kind;
	uint64_t token;
	struct plog *plog;
	const char *file; /* of STORE_DAMAGED: static */
	int err;
	char *sentence; /* owned, or NULL */
};

enum fsync_state { F_IDLE, F_WANT, F_WRITE, F_PLACE, F_POINT };
enum raise_state { R_NONE, R_SYNC, R_CKPT_WAIT, R_CKPT, R_FORGET, R_FORGET_WRITE };

#define NO_BLOCK UINT64_MAX

struct part;

/* A plog and the way back from it. */
struct plog_box {
	struct plog plog;
	struct part *part;
	char dir[]; /* plog.dir */
};

/* What the store knows of a partition; of most, only the entry. */
struct part {
	struct part *hash_next;
	struct list all;
	struct checkpoint_entry e; /* what the next checkpoint says; e.point: stable in place */
	struct plog *plog;	   /* owned; NULL: not opened in this life */
	bool exact;		   /* not opened: the log ends at e.point */
	bool touched;		   /* appended to in this life */
	bool unmade;		   /* open and empty; its directory comes with the first append */
	bool deleted;		   /* in store->gone: freed when nothing is on its way */
	char *recover_dir;	   /* owned; during the putting back only */
	int debt_slot;		   /* of the life before, not opened since: the first; -1: none */

	enum fsync_state fsync;
	struct list fsync_link;	   /* in store->want, ->points or ->writing, as fsync says */
	struct list next, carried; /* notes: those who wait; those of them who are on their way */
	struct plog_point target;  /* what is on its way */

	bool syncing, sync_again;
	struct list sync_link; /* in store->sync_queue while it waits for a free request, in
				* ->sync_late while there is no room for a description */
	struct plog_point sync_target;
	int64_t sync_base;	  /* segments below are done */
	struct segment *sync_seg; /* referred to while its request is under way */
	uint64_t sync_seq, sync_block;
	struct disk_req req;

	uint64_t ring_first, ring_last; /* blocks with entries not stable in place; NO_BLOCK */
	struct list ring_link;		/* in store->journaled */

	uint64_t dirty_bytes;
	struct list dirty_link;

	struct list
		unsynced_link; /* in store->unsynced while something was appended since a sync */
	int64_t unsynced_ms;   /* mono: since when; INT64_MIN: it is much */
	int64_t unsynced_base; /* the segment that was appended to last */
	uint64_t unsynced_bytes;

	int64_t debt_since_ms;

	enum raise_state raise;
	struct list raise_link; /* in store->raising */
	int64_t raise_offset;	/* while putting back: base of the first segment that stays */
	uint64_t raise_pos;

	bool cleaning;		/* it is store->clean.part; while raise, the start stays */
	int64_t clean_base;	/* segments below are to be cleaned */
	int64_t clean_after_ms; /* mono: not before that again */
};

/* Growth of the ring file. RING_MARK: it is there, and the checkpoint is to say so. */
enum ring_state { RING_NONE, RING_WANTED, RING_ZEROS, RING_DIR, RING_MARK, RING_ON };

struct store {
	struct disk *disk; /* borrowed */
	struct store_config config;
	uint8_t cluster_id[16], directory_id[16], boot_id[16];
	bool clean_start, failed;

	bool lock_direct;	  /* and was opened for direct writes */
	int lock_fd, old_lock_fd; /* the journal's descriptor; -1 */
	enum ring_state ring;
	uint64_t ring_seed; /* what checkpoints say: of the ring that may hold something; 0: none */
	struct journal journal;
	struct disk_req ring_reqs[2];
	bool ring_half;		   /* one of two pieces is on disk */
	unsigned ring_pending;	   /* requests of the write under way */
	unsigned ring_unsubmitted; /* of them, the last ones, that the disk had no room for yet */
	int make_fd;
	uint64_t make_pos, ring_blocks;
	void *zeros; /* owned while the ring is being made */
	struct disk_req make_req;
	uint8_t *scratch;	/* JOURNAL_FSYNC_MAX bytes on their way into the journal; owned */
	struct kept_pool *kept; /* of the logs that go through the journal; owned */

	int ckpt_fd, ckpt_old_fd; /* the old one while a request on it is under way; -1 */
	uint64_t ckpt_sequence, incarnation;
	size_t ckpt_slot_len;
	unsigned ckpt_file; /* rises when the file is replaced */
	struct buf ckpt_buf;
	struct disk_req ckpt_req;
	bool ckpt_busy, ckpt_wanted;
	bool ckpt_held; /* one was there at the start: who is not in it was empty then */
	unsigned ckpt_req_file;
	uint64_t ckpt_start; /* ring start that it makes possible */
	uint64_t ckpt_ring;  /* the ring seed that it tells */
	int64_t ckpt_due_ms; /* mono; 0: nothing new to tell */

	struct batch_cache *cache; /* shared by all logs; owned */
	struct debt_table debts;
	int16_t debt_next[DEBT_SLOT_CNT]; /* the next of the same partition; see part->debt_slot */
	void *debt_mem;			  /* the mapping */
	int debt_fd;

	struct part **buckets;
	uint32_t bucket_cnt, part_cnt, plog_cnt;
	uint32_t unmade_cnt; /* of part_cnt; no checkpoint knows them */
	struct list parts;
	struct list want, points, writing, journaled, raising, dirty, owing, gone;
	struct list sync_queue, sync_late;
	int64_t sync_late_ms; /* not before */
	struct list unsynced; /* by age */
	unsigned syncs;	      /* parts that are syncing */
	bool background;
	uint64_t background_block;

	struct {
		struct disk_req req;
		struct segment *seg; /* referred to while the request is under way; NULL: idle */
	} outs[STORE_WRITE_OUTS];

	struct {
		struct part *part;	 /* being cleaned; NULL: none */
		struct cleaner *cleaner; /* owned; NULL while what it needs is made stable */
		struct disk_req req;
		bool is_busy, is_ready; /* the request is under way; or waits for room */
		unsigned tries;		/* to have bytes read in */
		int64_t due_ms;		/* mono */
	} clean;

	struct list notes, free_notes;
	unsigned reqs_under_way;

	int64_t now_ms, mono_ms, skew_ms; /* as of the last tick; skew_ms = now - mono */
	bool ticked;
	int64_t retention_due_ms, space_due_ms, idle_due_ms;
	int64_t describe_due_ms; /* not before; 0 unless the last try met a full disk or table */
	uint64_t space_bytes;	 /* appended since statfs was asked */
	struct disk_space space;
	bool space_full;
	uint64_t dirty_total;
	bool gone_wanted, gone_syncing; /* "….gone" renames that are not synced yet; being synced */
	char open_fault[SENTENCE_MAX]; /* of store_open_fault() */
	struct buf unswept; /* ids of deleted topics, a directory of which keeps its name */
	bool gone_ready;    /* there are directories to be removed */
	struct disk_req gone_req;
	struct buf
		gone_names; /* of those directories, each with its NUL, as one listing saw them */
	size_t gone_at;	    /* the first that is not done */
	bool gone_failed;   /* one of them could not be removed */
	struct store_stats stats;
};

/* store.c */
struct part *store_part_find(const struct store *s, const uint8_t topic_id[16], uint32_t partition);
MUST_CHECK int store_part_get(struct store *s, const uint8_t topic_id[16], uint32_t partition,
			      struct part **ret);
void store_part_free(struct store *s, struct part *part);
/* Takes it out of the table; it stays in memory. */
void store_part_unlink(struct store *s, struct part *part);
struct part *store_part_of(struct plog *p);
MUST_CHECK int store_note_new(struct store *s, enum store_event_kind kind, uint64_t token,
			      struct store_note **ret);
void store_note_free(struct store *s, struct store_note *n);
void store_tell(struct store *s, enum store_event_kind kind, struct plog *p, int err,
		const char *fmt, ...) PRINTF_LIKE(5, 6);
/* What recovery found of one of the small files: into the log, and an event. */
void store_damage(struct store *s, struct store_open_report *rep, const char *file, const char *fmt,
		  ...) PRINTF_LIKE(4, 5);
void store_fail(struct store *s, int err, const char *what, const char *name);
MUST_CHECK int store_submit(struct store *s, struct disk_req *req, void *ctx);
/* For a stop: the next of the store's requests that is finished, or NULL. Those of others are
 * dropped: who has asked is not there any more. */
struct disk_req *store_reap(struct store *s);
/* The same, and waits for it. One is under way. */
struct disk_req *store_reap_wait(struct store *s);

/* What an open says where there is no file: what stands there instead is not the store's. */
static inline bool store_is_missing(int err)
{
	return err == -ENOENT || disk_is_no_file(err);
}

/* files.c */
void store_hex(const uint8_t id[16], char ret[33]);
MUST_CHECK int store_read_meta(struct store *s, bool *ret_found, struct store_open_report *rep);
MUST_CHECK int store_write_meta(struct store *s);
/* At a start: it is not there any more, once the directory is synced; its room on the disk is. */
MUST_CHECK int store_put_marker_by(struct store *s);
MUST_CHECK int store_write_marker(struct store *s);
/* Whether the clean-shutdown marker is there, and its text. */
MUST_CHECK int store_read_marker(struct store *s, bool *ret_found, struct buf *ret);
/* Whether it is, to the byte, what that life would have left. */
bool store_marker_fits(const struct buf *marker, uint64_t incarnation, const uint8_t boot_id[16]);
bool store_is_partition_dir(const char *name, uint32_t *ret_partition);
/* 1: the data directory has directories of partitions; 0: none. */
MUST_CHECK int store_has_partitions(struct store *s);
/* What a deleted topic has left under a name that another has now, since it could not be
 * renamed. -ESTALE: it is nothing of that kind. */
MUST_CHECK int store_move_deleted(struct store *s, const char *dir, const uint8_t topic_id[16],
				  uint32_t partition);
MUST_CHECK int store_put_partition_id(struct store *s, const char *dir, const uint8_t id[16]);
/* The same where the file says something else: it is not synced, so a crash may leave a part. */
MUST_CHECK int store_mend_partition_id(struct store *s, const char *dir, const uint8_t id[16]);
/* The topic id of a directory: from the head of a segment, else from its own file. -ENOENT: it
 * has none. */
MUST_CHECK int store_get_partition_id(struct store *s, const char *dir, uint8_t ret[16]);

/* recovery.c */
MUST_CHECK int store_lock(struct store *s, struct store_open_report *rep);
MUST_CHECK int store_recover(struct store *s, struct store_open_report *rep);
/* Syncs and drops from the cache what the floor does not cover, before it is trusted. */
MUST_CHECK int store_settle(struct store *s, const char *dir, const struct checkpoint_entry *e);

/* What the slots of the life before say of a partition, newest first; *ret is the caller's.
 * -ENOMEM.
 */
MUST_CHECK int store_debts_get(struct store *s, const struct part *part, struct debt **ret,
			       unsigned *ret_cnt);
/* They may be taken again. */
void store_debts_give_back(struct store *s, struct part *part);

/* What may be otherwise after a while, and harms nothing meanwhile: the slot vouches for what is
 * owed, and half a description is written over by the whole one. */
bool describes_later(int err);

/* sync.c: in place, and the checkpoint */
void sync_begin(struct store *s, struct part *part);
void sync_on_disk(struct store *s, struct part *part);
void sync_pump(struct store *s);
/* At a stop: has all segments synced that are not stable, many at a time. Blocking; no request is
 * under way. What it cannot begin is left to the caller. -EIO and the like: a sync failed. */
MUST_CHECK int sync_segments(struct store *s);
/* Tries again what found no room for a description. */
void sync_late(struct store *s);
void fsync_answer(struct store *s, struct part *part);
void part_synced(struct store *s, struct part *part, const struct plog_point *point);
void ckpt_begin(struct store *s);
void ckpt_on_disk(struct store *s);
MUST_CHECK int ckpt_write_now(struct store *s);
MUST_CHECK int ckpt_grow(struct store *s, uint32_t cnt);

/* journaling.c */
void journal_kick(struct store *s);
void journal_on_disk(struct store *s);
void ring_make_step(struct store *s);
void ring_step(struct store *s);
/* old: the ring that it takes the place of; zeros: none. */
MUST_CHECK int ring_begin(struct store *s, int fd, uint64_t block_cnt,
			  const struct journal_head *old);

/* cleaning.c */
void clean_tick(struct store *s);
/* When clean_tick() wants to be called. */
int64_t clean_deadline(const struct store *s);
void clean_on_disk(struct store *s);
/* All that cleaning needs is stable. */
void clean_raised(struct store *s, struct part *part);
/* The partition is being deleted. */
void clean_deleted(struct store *s, struct part *part);
/* Ends, or takes back, what is begun. Blocking; no request is under way. */
MUST_CHECK int clean_stop(struct store *s);

/* upkeep.c */
/* disk->relieve */
bool store_relieve(void *ctx);
/* After an append of len bytes: the partition is synced in place one day, asked or not. */
void sync_later(struct store *s, struct part *part, size_t len);
/* Begins the syncs that are due by that. */
void sync_aged(struct store *s);
void raise_step(struct store *s, struct part *part);
void gone_step(struct store *s);
void gone_on_disk(struct store *s);
MUST_CHECK int space_check(struct store *s);

#endif

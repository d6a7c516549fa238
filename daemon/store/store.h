/*
 * The store: one data directory with all its partitions, their recovery, fsync, the journal,
 * checkpoints, retention and the disk reserve. No system calls: everything goes through disk.h, and
 * time is an argument. It is driven by one thread:
 *
 *   store_open()            at start-up; blocks; recovers
 *   store_append_*()        at once, into the page cache
 *   store_fsync()           asks; the answer comes later as an event
 *   store_on_disk(req)      whenever disk_reap() gave a request whose owner is STORE_OWNER
 *   store_tick(now)         when store_deadline() has come
 *   store_next_event()      what happened, until it says no more
 *   store_close()           clean shutdown; blocks
 *
 * The data directory:
 *
 *   journal                 redo ring, and the lock (flock on its descriptor) that keeps others out
 *   checkpoint              two slots: log starts and recovery points of all partitions
 *   debts                   mapped slots of what is owed (debt.h)
 *   meta.properties         Kafka's file: version, cluster.id, directory.id (base64url)
 *   clean-shutdown          marker: incarnation, boot id; its removal is synced before appends
 *   TOPIC-PARTITION/        segments, partition.metadata (topic id)
 *   TOPIC-PARTITION.ID.gone/ being deleted
 *   __cluster_metadata-0/   the metadata log, a partition like others, with snapshots beside
 *
 * Anything else there is left alone and noted in the log.
 */
#ifndef TOPICFS_STORE_STORE_H
#define TOPICFS_STORE_STORE_H

#include "daemon/store/plog.h"

#define STORE_OWNER 1U /* disk_req.owner of the store's own requests */
#define STORE_FORMAT_VERSION 1

struct store_config {
	uint64_t journal_bytes;	    /* journal.bytes, 0: none */
	bool refuse_direct;	    /* as if O_DIRECT were refused */
	double reserve_fraction;    /* disk.reserve.percent / 100 */
	uint64_t reserve_bytes;	    /* disk.reserve.bytes: at least that much */
	int64_t retention_check_ms; /* log.retention.check.interval.ms */
	uint64_t dirty_bytes_max;   /* from here on unsynced bytes are written out */
	int64_t clean_check_ms;	    /* how often compacted logs are looked at; 0: 15 s */
};

/* Known to nobody but the store. */
struct store;

struct store_open_report {
	bool clean;		   /* the marker was there */
	bool fresh;		   /* the directory was empty: ids were made now */
	uint64_t put_back_entries; /* of the journal */
	uint64_t put_back_bytes;
	uint64_t cut_bytes, described_records; /* sums over partitions, as they are opened */
	uint32_t damaged;		       /* faults found */
	uint8_t cluster_id[16], directory_id[16];
	char sentence[512]; /* why it failed, or "" */
};

/*
 * Opens the directory behind d: takes the lock, checks the format version, reads the journal, puts
 * back, syncs, begins the ring anew. Partitions are not opened yet. -EBUSY: in use.
 * -EPROTONOSUPPORT: of a newer version (left untouched). ret->sentence says more for every error.
 * Blocking. now_ms: CLOCK_REALTIME. The caller owns *ret_store and ends it with store_close() or
 * store_free().
 */
MUST_CHECK int store_open(struct disk *d, const struct store_config *config, int64_t now_ms,
			  struct store **ret_store, struct store_open_report *ret);
/*
 * Clean shutdown: describes what is owed, flushes indexes, syncs everything in place, writes
 * checkpoint and marker. Blocking. The store is freed in any case; an error says that the next
 * start will recover.
 */
MUST_CHECK int store_close(struct store *s);
/* Frees without a word to the disk (for tests of crashes, and after a failed open). Takes NULL. */
void store_free(struct store *s);

/*
 * The log of a partition, opened (and recovered) at the first call for it, blocking then. topic is
 * used for the directory's name. Made where it is missing, if create. -ENOENT; -ESTALE: the
 * directory holds another topic's id; -EIO with a sentence in *ret_plog's fault where something
 * below the floor is damaged (the plog is given all the same, for what is readable; on every other
 * error *ret_plog is untouched); others of plog_open(). The store owns the plog; it stays until
 * store_delete() or the end.
 */
MUST_CHECK int store_plog(struct store *s, const char *topic, const uint8_t topic_id[16],
			  uint32_t partition, const struct plog_config *config, bool create,
			  struct plog **ret_plog);
/* What the last of those that failed had met: a sentence with file and position; "": not known. */
const char *store_open_fault(const struct store *s);
/* The plog where it is open already, else NULL. */
struct plog *store_plog_opened(struct store *s, const uint8_t topic_id[16], uint32_t partition);
/* Whether the last stop was clean and had the partition open: its files end where the checkpoint
 * says. One that was not opened between a crash and a clean stop is recovered later. */
bool store_was_closed(struct store *s, const uint8_t topic_id[16], uint32_t partition);
/* Whether the store has data (a directory) for this partition. An error: it cannot be told. */
MUST_CHECK int store_has(struct store *s, const char *topic, const uint8_t topic_id[16],
			 uint32_t partition, bool *ret);
/* Whether it must have: the checkpoint tells of records. */
bool store_expects(const struct store *s, const uint8_t topic_id[16], uint32_t partition);
/*
 * Where the log of a partition that is not open begins and ends, as opening it would find it
 * (damage aside). False: that cannot be told without opening it. After a clean stop it can be told
 * of all; after another one of those to which nothing was appended since they were synced.
 */
MUST_CHECK bool store_ends(struct store *s, const char *topic, const uint8_t topic_id[16],
			   uint32_t partition, int64_t *ret_start, int64_t *ret_end);

/*
 * Appends: plog_append_*() behind the disk reserve (-ENOSPC before anything is touched) and with
 * the bookkeeping of debts and dirty bytes.
 */
MUST_CHECK int store_append_lines(struct store *s, struct plog *p, int64_t now_ms,
				  const struct iovec *iov, int iov_cnt, size_t len, uint32_t cnt,
				  bool late, struct plog_appended *ret);
MUST_CHECK int store_append_records(struct store *s, struct plog *p, int64_t now_ms,
				    const struct record *recs, uint32_t cnt,
				    const struct plog_producer *producer,
				    struct plog_appended *ret);
/* The broker's own records: the same past the disk reserve, which is kept for them. */
MUST_CHECK int store_append_internal(struct store *s, struct plog *p, int64_t now_ms,
				     const struct record *recs, uint32_t cnt,
				     struct plog_appended *ret);
/* -ENOSPC where the reserve is reached, else 0. For checking before a write that touches several
 * partitions. */
MUST_CHECK int store_check_space(struct store *s);

/*
 * Makes everything that p holds now stable. 0: it is already. -EINPROGRESS: an event STORE_SYNCED
 * with this token follows, once. All that wait while one write of the journal is under way go with
 * the next.
 */
MUST_CHECK int store_fsync(struct store *s, struct plog *p, int64_t now_ms, uint64_t token);
/* The same for several partitions at once is the caller's: one token each. */

enum store_event_kind {
	STORE_NONE,
	STORE_SYNCED,	    /* token; err -ESTALE: the partition was deleted meanwhile */
	STORE_FAILED,	    /* a sync or journal write failed: stop the process; sentence */
	STORE_START_RAISED, /* retention moved plog's start: waiting readers may care */
	STORE_SPACE,	    /* the reserve was reached, or is free again: sentence */
	STORE_CLOCK,	    /* the clock jumped: sentence */
	STORE_DAMAGED,	    /* a file of the data directory: file, sentence */
};

struct store_event {
	enum store_event_kind kind;
	uint64_t token;
	struct plog *plog;
	const char *file;
	char sentence[256];
	int err;
};

/* Whether there is an event. */
bool store_has_event(const struct store *s);
/* The next event, in order; kind STORE_NONE: no more for now. */
void store_next_event(struct store *s, struct store_event *ret);
/* A finished request whose owner is STORE_OWNER. */
void store_on_disk(struct store *s, struct disk_req *req);
/* What is due by now: describing, background sync, checkpoint, retention, cleaning, reserve.
 * mono_ms is a clock that does not jump (for intervals); now_ms the wall clock. */
void store_tick(struct store *s, int64_t now_ms, int64_t mono_ms);
/* When store_tick() wants to be called next, on the clock of mono_ms. */
int64_t store_deadline(const struct store *s);
/* After a batch of requests has been handled, before the loop sleeps or goes on: starts the journal
 * write for all that wait. Cheap where nothing waits. */
void store_kick(struct store *s);

/*
 * Deletes a topic's partition: its directory is renamed to "….gone" at once (and that synced in the
 * background), then removed. Referred segments stay readable by those who hold them until released;
 * the plog itself is freed when its last ref is gone. No-op where there is none.
 */
MUST_CHECK int store_delete(struct store *s, const char *topic, const uint8_t topic_id[16],
			    uint32_t partition);
/* Removes directories "TOPIC-N" whose id is no topic of the metadata any more, and "….gone" ones.
 * known says whether an id is still a topic's. At start-up, after the metadata were replayed. */
typedef bool store_known_fn(void *ctx, const uint8_t topic_id[16], uint32_t partition);
MUST_CHECK int store_sweep(struct store *s, store_known_fn *known, void *ctx);

struct store_stats {
	uint64_t journal_bytes, journal_used, journal_writes;
	uint64_t syncs_in_place, checkpoints;
	uint64_t free_bytes, reserve_bytes;
	uint64_t put_back_bytes, cut_bytes, described_records, damaged;
	uint64_t segments_deleted, bytes_deleted;
	uint64_t segments_cleaned, bytes_cleaned; /* written anew; what that saved */
	uint32_t plogs;
	bool full;
};
void store_stats(const struct store *s, struct store_stats *ret);
const uint8_t *store_cluster_id(const struct store *s);
const uint8_t *store_directory_id(const struct store *s);
/* The metadata log's snapshots and other small files are written whole: NAME.new, synced, renamed,
 * directory synced. Blocking. */
MUST_CHECK int store_write_file(struct store *s, const char *path, const void *data, size_t len);
/* No file that is read whole is longer: a checkpoint of five million partitions is not. */
#define STORE_FILE_MAX (1024U * MIB)
/* Reads a whole small file into b. -ENOENT, -EIO (also where it is longer than STORE_FILE_MAX,
 * which is logged), -ENOMEM. Blocking. */
MUST_CHECK int store_read_file(struct store *s, const char *path, struct buf *b);

/*
 * The metadata log's snapshots, INDEX-TERM.checkpoint (20 and 10 digits) in p's directory: the
 * numbers of the newest one whose index is below `below` (-ENOENT: none), the removal of those that
 * a stop left unfinished, and of those below index. Blocking.
 */
MUST_CHECK int store_last_snapshot(struct store *s, struct plog *p, uint64_t below,
				   uint64_t *ret_index, uint64_t *ret_term);
MUST_CHECK int store_drop_unfinished(struct store *s, struct plog *p);
MUST_CHECK int store_drop_snapshots(struct store *s, struct plog *p, uint64_t index);
/* Raises p's log start, in the background: made durable, then what lies wholly below is removed.
 * For the metadata log, whose snapshot stands in for what goes. No-op while an earlier one is under
 * way. */
MUST_CHECK int store_raise_start(struct store *s, struct plog *p, int64_t offset, uint64_t pos);

#endif

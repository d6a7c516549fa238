/*
 * A data directory that nobody uses, for topicfs verify and topicfs dump: locked, and shown as
 * recovery would leave it, while nothing in it is changed. Recovery itself (store.h) runs, over an
 * overlay in memory (daemon/store/overlay.h).
 */
#ifndef TOPICFS_DAEMON_OFFLINE_H
#define TOPICFS_DAEMON_OFFLINE_H

#include "daemon/store/store.h"

struct offline {
	struct disk *lower; /* the directory as it is */
	struct disk *disk;  /* the directory as recovery leaves it */
	int lock_fd;	    /* of lower; -1: there is no journal to lock */
	struct store *store;
	struct store_open_report report;
	const char *
		odd; /* where it cannot be opened: what has a file's name and is no file, or NULL */
	bool bad_properties; /* meta.properties is damaged: bad_sentence; made up for in memory */
	char bad_sentence[512];
};

/* What is known of the directory of a partition. */
struct offline_dir {
	char name[TOPIC_DIR_MAX]; /* "orders-0" */
	char topic[TOPIC_NAME_MAX + 1];
	uint32_t partition;
	bool has_id;
	uint8_t topic_id[16];
	bool was_closed;   /* by a clean stop; set by offline_open_dir() */
	struct plog *plog; /* borrowed from the store; NULL: it cannot be opened */
	int err;	   /* of opening it */
	uint64_t cut_bytes, described_records;
};

/*
 * Opens the data directory at path. 0; else a negative errno and a sentence: -EBUSY: in use;
 * -ENOENT, -ENOTDIR: it is none; -EPROTONOSUPPORT: of a newer version; others. The caller ends o
 * with offline_close() in any case.
 */
MUST_CHECK int offline_open(struct offline *o, const char *path, char *sentence, size_t len);
/* 0 or -EIO. */
int offline_close(struct offline *o);
/* The directories of partitions, sorted by name; *ret is owned by the caller (free). -ENOMEM, -EIO.
 */
MUST_CHECK int offline_dirs(struct offline *o, struct offline_dir **ret, size_t *ret_cnt);
/* Recovers the partition in memory; fills the last fields of d. 0: they say what came of it. */
void offline_open_dir(struct offline *o, struct offline_dir *d);
/* Whether name begins with a base offset as segments have it: 20 digits, at most INT64_MAX. What
 * stands behind them is the caller's to look at. */
bool offline_get_base(const char *name, int64_t *ret);
/* Base offsets of the segments in a directory (those with a .meta or a .data), ascending; *ret is
 * owned by the caller. -ENOMEM, -EIO. */
MUST_CHECK int offline_bases(struct disk *d, const char *dir, int64_t **ret, size_t *ret_cnt);
/* Reads a whole file into b (emptied first); NUL-terminated beyond its length. -ENOENT, -EIO,
 * -ENOMEM; -EFBIG beyond max. */
MUST_CHECK int offline_read(struct disk *d, const char *path, size_t max, struct buf *b);

#endif

/*
 * What the files of topicfs verify share: where faults are told and counted.
 */
#ifndef TOPICFS_DAEMON_VERIFY_H
#define TOPICFS_DAEMON_VERIFY_H

#include "daemon/offline.h"

struct verify {
	struct offline o;
	bool clean; /* the marker of a clean shutdown is there */
	uint64_t faults, notes;
	uint64_t partitions, segments, batches, records, bytes;
	int64_t shown_ms; /* when progress was shown last; -1: stderr is no terminal */
};

/* "fault: FILE: position POS: sentence" on stdout. */
void verify_fault(struct verify *v, const char *file, uint64_t pos, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* "note: FILE: sentence". */
void verify_note(struct verify *v, const char *file, const char *fmt, ...) PRINTF_LIKE(3, 4);
/*
 * offline_read(). What is no file, has more than max bytes or cannot be read is told as a fault,
 * and the rest of the directory is still to be looked at: -EBADF. -ENOENT, -ENOMEM and others are
 * not told.
 */
MUST_CHECK int verify_read(struct verify *v, struct disk *d, const char *path, size_t max,
			   struct buf *b);
/* Tells a terminal, at most once a second, what is looked at. */
void verify_progress(struct verify *v, const char *what);

/* All segments of a partition, with their indexes, and how they follow on from each other. 0, -EIO,
 * -ENOMEM, -EMFILE. */
MUST_CHECK int verify_partition(struct verify *v, const struct offline_dir *d);
/* The files of the directory itself: meta.properties, journal, checkpoint, debts, the marker. */
MUST_CHECK int verify_files(struct verify *v);
/* Gives a directory in which nothing tells the topic's id the one that the metadata have for its
 * name, as a broker that opens it does; has_id stays false where there is none. */
MUST_CHECK int verify_name_dir(struct verify *v, struct offline_dir *d);
/* The metadata: log, snapshots, and whether all that they speak of is there. */
MUST_CHECK int verify_metadata(struct verify *v, const struct offline_dir *dirs, size_t cnt);

#endif

/*
 * One pass of cleaning over the sealed segments of a log, in slices. It decides nothing about when
 * (cleaning.c), and by clean.h which records stay; here is the order in which files change.
 *
 *   K_MAP    the keys of all dirty segments, newest offset of each
 *   for each sealed segment from the first on:
 *   K_LOOK   does anything of it go? One that is clean and loses nothing stays as it is.
 *   K_WRITE  what stays is written to BASE.data.N and BASE.meta.new, N the next generation
 *   K_SYNC   both are synced, and the directory               <- stop: forgotten by the next start
 *   K_DIR    BASE.meta.new is renamed to BASE.meta, and the directory synced
 *            BASE.data.N is renamed to BASE.data              <- stop: done by the next start
 *   K_EMPTY  where nothing stayed: the directory is synced, .data (no bytes) and .meta are removed
 *
 * The generation in the head of .meta alone says which values are the segment's, and the rename of
 * .meta is the one moment at which that changes. The log shows the new segment when that rename is
 * stable, so that nobody sees what a power loss takes back. Who has the old one open keeps it: it
 * goes to plog->gone, as what retention removes.
 *
 * A segment that does not hold is set aside: it stays as it is, and the others are cleaned as if it
 * were not there. Its keys do not count, so that no record goes for the sake of one that cannot be
 * read; of a dirty segment descriptions and values are checked before any of its keys do. What it
 * has of a key may be older than a tombstone behind it: those that are cleaned first while it is
 * set aside stay for good.
 *
 * Beforehand the caller has all of the log synced, and made sure that nothing of these segments is
 * put back and no recovery point lies in them: see cleaning.c.
 */
#ifndef TOPICFS_STORE_CLEANER_H
#define TOPICFS_STORE_CLEANER_H

#include "daemon/store/plog.h"

struct cleaner;

/* What the caller is to do before the next step. */
enum cleaner_need {
	CLEANER_STEP,	    /* nothing: there is more to do */
	CLEANER_SYNC_FILES, /* sync both files of cleaner_fds(), and the log's directory */
	CLEANER_SYNC_DIR,   /* sync the log's directory */
	CLEANER_END,	    /* nothing: it is done */
};

struct cleaner_stats {
	uint32_t segments, removed; /* written anew; of them, removed since nothing stayed */
	uint32_t set_aside;	    /* the log's fault says what is wrong with the last one */
	uint32_t unnamed;	    /* whose values keep the name BASE.data.N for now */
	uint64_t bytes_before, bytes_after;
	uint64_t records_gone;
};

/*
 * The segments below `end`, the base offset of one, are to be cleaned, by a map of at most
 * slots_max slots (CLEAN_SLOTS_MAX). It refers to one of them at a time, and must be freed before
 * the log, whose start must not be raised meanwhile. -ENOMEM, or that of the disk.
 */
MUST_CHECK int cleaner_new(struct plog *p, int64_t end, int64_t now_ms, uint32_t slots_max,
			   struct cleaner **ret);
/*
 * Goes on, for about CLEAN_SLICE_BYTES. 0, and *ret says what is needed. -EAGAIN: see disk.h. Any
 * other error: where cleaner_is_committed(), what the disk has is not known and the process must
 * stop; otherwise the segment is as it was, and the caller gives up.
 */
MUST_CHECK int cleaner_step(struct cleaner *c, enum cleaner_need *ret);
/* The descriptors of the files being written. */
void cleaner_fds(const struct cleaner *c, int *ret_data_fd, int *ret_meta_fd);
/* Whether a rename was begun that is not known to be stable. */
bool cleaner_is_committed(const struct cleaner *c);
/* For a stop: ends what was begun, or removes it. Blocking. */
MUST_CHECK int cleaner_stop(struct cleaner *c);
void cleaner_stats(const struct cleaner *c, struct cleaner_stats *ret);
/* Frees memory and closes descriptors; files stay as they are. Takes NULL. */
void cleaner_free(struct cleaner *c);

#endif

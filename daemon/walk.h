/*
 * A walk over the bytes of one segment, batch by batch, for the offline tools: it believes nothing,
 * passes what is damaged, and says where it was. Memory does not grow with the segment:
 * descriptions are read one by one, values in pieces.
 *
 * topicfs itself reads segments through plog.h; this is a second way on purpose, so that the tools
 * do not share the mistakes of what they check.
 */
#ifndef TOPICFS_DAEMON_WALK_H
#define TOPICFS_DAEMON_WALK_H

#include "daemon/base/buf.h"
#include "daemon/base/hash.h"
#include "daemon/store/disk.h"
#include "daemon/store/format.h"

/* "orders-0/00000000000000000000.timeindex" and the NUL. */
#define WALK_PATH_MAX 320

struct walk {
	struct disk *disk; /* borrowed */
	const char *dir;   /* borrowed; "." for the disk's own directory */
	int64_t base_offset;
	int meta_fd, data_fd; /* -1: the file is not there */
	uint64_t meta_size, data_size;
	int head_err; /* 0, -EBADMSG or -EPROTONOSUPPORT: what the head is */
	struct segment_head head;

	uint64_t pos;	     /* in .meta, of the next description */
	const uint8_t *desc; /* of the last batch; borrowed until the next call */
	bool damaged;	     /* something was passed before the last batch (or the end) … */
	uint64_t damage_pos; /* … that begins here */

	struct buf meta;   /* a piece of .meta … */
	uint64_t meta_pos; /* … that begins here */
	uint8_t *chunk;	   /* owned */
	struct hash_run *run;
};

/* suffix: "meta", "data", "index" or "timeindex". */
void walk_path(const char *dir, int64_t base_offset, const char *suffix, char ret[WALK_PATH_MAX]);
/*
 * Opens both files and reads the head. A file that is missing, or a head that does not hold, is no
 * error here: see the fields. -EIO, -ENOMEM, -EMFILE; w is ended with walk_close() in any case.
 */
MUST_CHECK int walk_open(struct walk *w, struct disk *d, const char *dir, int64_t base_offset);
/* Frees and closes. 0 or -EIO. */
int walk_close(struct walk *w);
/* 1 and the next whole description; 0 at the end; -EIO, -ENOMEM. */
MUST_CHECK int walk_next(struct walk *w, struct batch_head *ret);
/*
 * Checks the values of the last batch: that they are there, that they hash to what the description
 * says, and that newlines stand where it says. 0, -EBADMSG, -EIO.
 */
MUST_CHECK int walk_check_values(struct walk *w, const struct batch_head *h);
/* The values of the last batch, into b (which is emptied first). -EBADMSG where the file is
 * shorter; -EIO, -ENOMEM. */
MUST_CHECK int walk_get_values(struct walk *w, const struct batch_head *h, struct buf *b);

#endif

/*
 * A disk over another one that it never changes: what is written, cut, renamed and removed here is
 * kept in memory. So the whole of recovery can run on a data directory and leave it as it was;
 * topicfs verify and topicfs dump look at what that gives.
 *
 * Memory: the pages that were written (of recovery that is at most what the journal puts back), a
 * node for each file that is open or was changed, nothing else. Syncs are answered at once: the
 * lower disk is not asked to write anything. A mapping is a copy of the file. There are no
 * requests; who submits one is answered -EOPNOTSUPP. Locks are always given: the owner of the
 * overlay takes the real one, on the lower disk.
 */
#ifndef TOPICFS_STORE_OVERLAY_H
#define TOPICFS_STORE_OVERLAY_H

#include "daemon/store/disk.h"

/* lower is borrowed until overlay_free(). NULL: no memory. */
struct disk *overlay_new(struct disk *lower);
/* All descriptors must be closed. Takes NULL. */
void overlay_free(struct disk *d);

#endif

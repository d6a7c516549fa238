/*
 * io_uring for the requests that must not take a thread: durable journal writes and reads that
 * warm the page cache. Owned and used by one thread. The kernel completes requests by interrupting
 * that thread (no IORING_SETUP_COOP_TASKRUN or DEFER_TASKRUN), so that a loop that spins on
 * ring_has_finished() sees them without a system call.
 */
#ifndef TOPICFS_IO_RING_H
#define TOPICFS_IO_RING_H

#include "daemon/store/disk.h"

/* Requests under way at one time; one page of submission entries. */
#define IO_RING_ENTRIES 64U
/* Bytes that one page-cache read fetches at most. */
#define IO_RING_SCRATCH (1024U * 1024U)

struct ring; /* hides liburing */

/* -ENOSYS, -EPERM (seccomp, sysctl), -ENOMEM, -EMFILE. event_fd is raised at each completion. */
MUST_CHECK int ring_open(int event_fd, struct ring **ret);
/* Waits for what is under way. Takes NULL. */
void ring_free(struct ring *r);
/* Begins a DISK_OP_READ or DISK_OP_WRITE. -EAGAIN: IO_RING_ENTRIES are under way. */
MUST_CHECK int ring_submit(struct ring *r, struct disk_req *req);
/* The next finished one, or NULL. */
struct disk_req *ring_reap(struct ring *r);
bool ring_has_finished(const struct ring *r);
/* Whether anything is under way. */
bool ring_is_busy(const struct ring *r);

#endif

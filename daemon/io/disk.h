/*
 * The real disk: struct disk_ops (daemon/store/disk.h) over system calls.
 *
 * Paths are opened relative to a descriptor of the data directory. Plain calls run on the calling
 * thread, which is always the same one, the owner. Requests:
 *
 *   DISK_OP_READ, DISK_OP_WRITE     io_uring (ring.h), or the pool where it is refused
 *   all others                      the pool (pool.h): a few threads that block for the owner
 *
 * Both raise one eventfd when something has finished. Descriptors are the process's own.
 */
#ifndef TOPICFS_IO_DISK_H
#define TOPICFS_IO_DISK_H

#include "daemon/store/disk.h"

struct io_disk_config {
	bool refuse_io_uring; /* as if the kernel had none */
	bool refuse_direct;   /* as if the file system refused O_DIRECT */
	unsigned threads;     /* of the pool, 1 to IO_POOL_THREADS_MAX; 0: the default of 3 */
};

/*
 * Opens the directory data_dir, which must exist. A missing io_uring is told in the log, once, and
 * made up for. The caller owns *ret and ends it with io_disk_free(). -ENOENT, -ENOTDIR, -EACCES,
 * -ENOMEM, -EMFILE.
 */
MUST_CHECK int io_disk_open(const char *data_dir, const struct io_disk_config *config,
			    struct disk **ret);
/* Waits for what is under way and drops its results: requests and their memory are the submitter's
 * again, and no more may be submitted. */
void io_disk_stop(struct disk *d);
/* The same, then frees. Takes NULL. */
void io_disk_free(struct disk *d);

/* Becomes readable when a request has finished, and stays so until io_disk_ack(). Borrowed. */
int io_disk_event_fd(struct disk *d);
/* Makes the event fd unreadable again; call it before the disk_reap() loop. One system call. */
void io_disk_ack(struct disk *d);
/* Whether disk_reap() would give something. Looks at memory only. */
bool io_disk_has_finished(struct disk *d);
/* Whether io_uring carries a read or a journal write now. */
bool io_disk_ring_is_busy(struct disk *d);
/* Whether io_uring carries reads and journal writes (for the log and for tests). */
bool io_disk_has_ring(struct disk *d);

#endif

/*
 * The disk, as the store sees it: the one interface behind which every system call on the data
 * directory stands. daemon/io/disk.c does it for real; tests/lib/simdisk.c does it in memory, loses
 * and garbles what was not synced, and fails the n-th call.
 *
 * All paths are relative to the data directory. Descriptors are small numbers that mean something
 * to this disk only. Every function returns 0 (or a count) or a negative errno.
 *
 * Two kinds of calls. The *plain* ones are done at once by the thread that owns the store; they
 * touch the page cache and directories. What may wait for the device is a *request*: it is
 * submitted, goes on beside the owner (io_uring, or a helper thread), and comes back through
 * disk_reap(). A request is owned by the submitter, stays untouched until it is reaped, and is
 * reaped exactly once.
 */
#ifndef TOPICFS_STORE_DISK_H
#define TOPICFS_STORE_DISK_H

#include "daemon/base/assert.h"
#include "daemon/base/list.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

enum disk_open_flags {
	DISK_CREATE = 1, /* make it where it is missing, mode 0640 */
	DISK_EXCL = 2,	 /* with DISK_CREATE: -EEXIST where it is there */
	DISK_RDONLY = 4,
	DISK_DIRECT = 8, /* O_DIRECT|O_DSYNC: buffers, lengths and positions in blocks of 4096 */
};

enum disk_op {
	/* buf, len, pos: a read whose only purpose is to have the pages in the page cache (then buf
	 * is NULL), or of an O_DIRECT descriptor into buf. res: bytes. */
	DISK_OP_READ,
	/* A durable write (descriptor opened with DISK_DIRECT). res: bytes, all of len or an error.
	 */
	DISK_OP_WRITE,
	/* fdatasync(fd). */
	DISK_OP_FDATASYNC,
	/* A segment in place: sync_file_range(fd, WRITE), fdatasync(fd2), fdatasync(fd), where fd
	 * is .data and fd2 is .meta; then, where dir is not NULL, fsync of that directory; and
	 * where dir2 is not NULL of that one too. */
	DISK_OP_SYNC_SEGMENT,
	/* Writes buf to fd at pos and calls fdatasync(fd). */
	DISK_OP_WRITE_SYNC,
	/* sync_file_range(fd, pos, len, WRITE): begins write-out, waits for nothing durable. */
	DISK_OP_WRITE_OUT,
};

struct disk_req {
	enum disk_op op;
	int fd, fd2;
	void *buf; /* borrowed until reaped */
	size_t len;
	uint64_t pos;
	const char *dir, *dir2; /* borrowed until reaped */
	int64_t res;		/* set when reaped: >= 0, or a negative errno */
	unsigned owner;		/* the submitter's: who is to get it */
	void *ctx;		/* the submitter's */
	struct list link;	/* the disk's while under way */
};

struct disk_stat {
	uint64_t size;	 /* bytes */
	uint64_t blocks; /* of 512 bytes */
	int64_t mtime_ms;
	bool is_dir;
	uint64_t ino; /* tells two files of one name apart; 0 on a disk that has none */
};

struct disk_space {
	uint64_t total_bytes, free_bytes; /* free: for an ordinary user */
};

struct disk;

/* Called for each name of a directory ("." and ".." left out), in no order. Nonzero stops the walk
 * and is returned. */
typedef int disk_name_fn(void *ctx, const char *name);

struct disk_ops {
	int (*open)(struct disk *d, const char *path, unsigned flags, int *ret_fd);
	int (*close)(struct disk *d, int fd);
	ssize_t (*read)(struct disk *d, int fd, void *buf, size_t len, uint64_t pos);
	ssize_t (*writev)(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos);
	int (*truncate)(struct disk *d, int fd, uint64_t len);
	int (*allocate)(struct disk *d, int fd, uint64_t pos, uint64_t len);
	int (*fsync)(struct disk *d, int fd);
	int (*stat)(struct disk *d, const char *path, struct disk_stat *ret);
	int (*fstat)(struct disk *d, int fd, struct disk_stat *ret);
	int (*rename)(struct disk *d, const char *from, const char *to);
	int (*unlink)(struct disk *d, const char *path);
	int (*mkdir)(struct disk *d, const char *path);
	int (*rmdir)(struct disk *d, const char *path);
	int (*sync_dir)(struct disk *d, const char *path);
	int (*list)(struct disk *d, const char *path, disk_name_fn *fn, void *ctx);
	int (*map)(struct disk *d, int fd, size_t len, void **ret);
	void (*unmap)(struct disk *d, void *mem, size_t len);
	int (*lock)(struct disk *d, int fd);
	int (*space)(struct disk *d, struct disk_space *ret);
	int (*boot_id)(struct disk *d, uint8_t ret[16]);
	int (*random)(struct disk *d, void *buf, size_t len);
	int (*submit)(struct disk *d, struct disk_req *req);
	struct disk_req *(*reap)(struct disk *d);
	bool (*is_warm)(struct disk *d, int fd, uint64_t pos, size_t len);
	int (*os_fd)(struct disk *d, int fd);
	int (*drop)(struct disk *d, int fd); /* may be NULL: nothing is cached */
	void (*sync_all)(struct disk *d);    /* may be NULL */
	void (*wait)(struct disk *d);	     /* may be NULL: nothing takes time */
};

struct disk {
	const struct disk_ops *ops;
	/* While set, disk_read() never waits for the device: where bytes are not in the page cache
	 * it answers -EAGAIN and says in cold which, so that the caller can submit a DISK_OP_READ
	 * for them and do the whole thing again. Off during recovery and in offline tools. */
	bool nowait;
	struct {
		int fd;
		uint64_t pos;
		size_t len;
	} cold;
	/* Where descriptors have run out: closes some that are not in use and says whether it did;
	 * disk_open() then tries once more. May be NULL. What was opened in the present round (the
	 * owner raises it between two operations) may be in use. */
	bool (*relieve)(void *ctx);
	void *relieve_ctx;
	uint32_t round;
};

/* Opens a file (read-write unless DISK_RDONLY). -ENOENT, -EEXIST, -EMFILE, -ENOSPC, -EIO, -EINVAL
 * (DISK_DIRECT where the file system refuses it). What is no file: -EISDIR, -ELOOP (a symbolic
 * link), -ENODEV (a fifo, a device). */
MUST_CHECK int disk_open(struct disk *d, const char *path, unsigned flags, int *ret_fd);
/* Whether that is why it was not opened. */
static inline bool disk_is_no_file(int err)
{
	return err == -EISDIR || err == -ELOOP || err == -ENODEV;
}
/* Whether there was no room: on the disk, or within a quota. */
static inline bool disk_is_full(int err)
{
	return err == -ENOSPC || err == -EDQUOT;
}
/* What stands in the place of a file and is none is renamed to PATH.foreign, or .foreign1 to
 * .foreign99 where there is one: it may be somebody's, and its place is ours. */
MUST_CHECK int disk_set_aside(struct disk *d, const char *path);
/* Close of a descriptor that was written must come after a successful sync of it. */
MUST_CHECK int disk_close(struct disk *d, int fd);
/* Up to len bytes from pos; fewer only at the end of the file (EINTR and short counts are repeated
 * inside). -EAGAIN as d->nowait says; -EIO. */
MUST_CHECK ssize_t disk_read(struct disk *d, int fd, void *buf, size_t len, uint64_t pos);
/* Exactly len bytes; -EBADMSG where the file ends before. */
MUST_CHECK int disk_read_full(struct disk *d, int fd, void *buf, size_t len, uint64_t pos);
/* All of it, or a negative errno, and then an unknown part may stand there (EINTR and short counts
 * are repeated inside). */
MUST_CHECK int disk_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos);
MUST_CHECK int disk_write(struct disk *d, int fd, const void *buf, size_t len, uint64_t pos);
MUST_CHECK int disk_truncate(struct disk *d, int fd, uint64_t len);
/* fallocate with FALLOC_FL_KEEP_SIZE. 0 where the file system cannot (then nothing is promised). */
MUST_CHECK int disk_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len);
/* A blocking fdatasync: only for start-up, shutdown and offline tools. */
MUST_CHECK int disk_fsync(struct disk *d, int fd);
MUST_CHECK int disk_stat(struct disk *d, const char *path, struct disk_stat *ret);
MUST_CHECK int disk_fstat(struct disk *d, int fd, struct disk_stat *ret);
MUST_CHECK int disk_rename(struct disk *d, const char *from, const char *to);
MUST_CHECK int disk_unlink(struct disk *d, const char *path);
MUST_CHECK int disk_mkdir(struct disk *d, const char *path); /* mode 0750 */
MUST_CHECK int disk_rmdir(struct disk *d, const char *path);
MUST_CHECK int disk_sync_dir(struct disk *d,
			     const char *path); /* blocking; "." is the data directory */
MUST_CHECK int disk_list(struct disk *d, const char *path, disk_name_fn *fn, void *ctx);
/* A shared mapping of the first len bytes of the file, which must be that long. */
MUST_CHECK int disk_map(struct disk *d, int fd, size_t len, void **ret);
void disk_unmap(struct disk *d, void *mem, size_t len);
/* flock(LOCK_EX) on the descriptor: -EWOULDBLOCK where another holds it, for longer than a process
 * that was killed can. */
MUST_CHECK int disk_lock(struct disk *d, int fd);
MUST_CHECK int disk_space(struct disk *d, struct disk_space *ret);
/* Has all of the file system written out, which makes the syncs that follow cheap. No promise. */
void disk_sync_all(struct disk *d);
/* What identifies this boot of the machine (/proc/sys/kernel/random/boot_id). */
MUST_CHECK int disk_boot_id(struct disk *d, uint8_t ret[16]);
/* Seeds and ids (getrandom); the simulated disk draws them from its own seed. */
MUST_CHECK int disk_random(struct disk *d, void *buf, size_t len);
/* Begins a request. -EAGAIN where too many are under way (submit again after a reap). */
MUST_CHECK int disk_submit(struct disk *d, struct disk_req *req);
/* The next finished request, or NULL. Never waits. */
struct disk_req *disk_reap(struct disk *d);
/* Returns when disk_reap() would give something, or earlier. While requests are under way. */
void disk_wait(struct disk *d);
/* Whether these bytes are in the page cache, so that a splice of them would not wait. May guess. */
bool disk_is_warm(struct disk *d, int fd, uint64_t pos, size_t len);
/* The process's own descriptor behind fd, for splice; -1 on a disk that has none. */
int disk_os_fd(struct disk *d, int fd);
/* Forgets what the page cache holds of a file (after a sync of it), so that reads show what the
 * device has: after a failed fsync the cache shows bytes that are nowhere else. Best effort. */
MUST_CHECK int disk_drop(struct disk *d, int fd);

#endif

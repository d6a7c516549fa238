#include "daemon/io/disk.h"

#include "daemon/base/log.h"
#include "daemon/io/pool.h"
#include "daemon/io/ring.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <unistd.h>

/* How long a lock that another process holds is asked for, and how often. */
#define LOCK_WAIT_MS 3000U
#define LOCK_POLL_MS 5U

#define IO_POOL_THREADS_DEFAULT 3U
/* Descriptors that are not given to files. */
#define IO_FD_RESERVE 64U
/* cachestat(2), Linux 6.5; Debian 12's headers do not know it. */
#define IO_SYS_CACHESTAT 451

struct io_disk {
	struct disk d;
	int dir_fd, event_fd;
	rlim_t fd_max; /* descriptors of files are below */
	bool refuse_direct;
	bool no_nowait;	   /* RWF_NOWAIT is not supported here */
	bool no_cachestat; /* nor this */
	struct ring *ring; /* NULL: refused */
	struct pool *pool;
};

static struct io_disk *io_disk_of(struct disk *d)
{
	return CONTAINER_OF(d, struct io_disk, d);
}

static int io_result(int r)
{
	return r < 0 ? -errno : 0;
}

/* Of a file that nobody may change it is told here which one it is. */
static int io_told(const char *path, int err)
{
	if (err == -EPERM || err == -EACCES)
		LOG_AT(LOG_ERROR, path, err, "may not be opened, renamed or removed");
	return err;
}

/* What is no file is not opened: a fifo would wait for its other end, a device may do anything. */
static int io_check_file(struct io_disk *io, const char *path)
{
	struct stat st;
	int err;

	if (fstatat(io->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return errno == ENOENT ? 0 : -errno;
	if (S_ISREG(st.st_mode))
		return 0;
	err = S_ISDIR(st.st_mode) ? -EISDIR : S_ISLNK(st.st_mode) ? -ELOOP : -ENODEV;
	LOG_AT(LOG_ERROR, path, err, "is no regular file: it is not opened");
	return err;
}

static int io_open(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	struct io_disk *io = io_disk_of(d);
	int fd, fl = O_CLOEXEC | O_NOFOLLOW, err;

	if ((flags & DISK_DIRECT) && io->refuse_direct)
		return -EINVAL;
	err = flags & DISK_EXCL ? 0 : io_check_file(io, path);
	if (err)
		return err;
	fl |= flags & DISK_RDONLY ? O_RDONLY : O_RDWR;
	fl |= flags & DISK_CREATE ? O_CREAT : 0;
	fl |= flags & DISK_EXCL ? O_EXCL : 0;
	fl |= flags & DISK_DIRECT ? O_DIRECT | O_DSYNC : 0;
	do
		fd = openat(io->dir_fd, path, fl, 0640);
	while (fd < 0 && errno == EINTR);
	if (fd < 0)
		return io_told(path, -errno);
	/* The last ones are for directories, which are opened to be synced: that must not fail. */
	if ((rlim_t)fd >= io->fd_max) {
		close(fd);
		/* What it has made just now is not left: it is tried again with room. */
		if ((flags & DISK_EXCL) && unlinkat(io->dir_fd, path, 0))
			return -errno;
		return -EMFILE;
	}
	*ret_fd = fd;
	return 0;
}

static int io_close(struct disk *d, int fd)
{
	/* Linux frees the descriptor whatever close() answers; EINTR is no failure of it. */
	int err = io_result(close(fd));

	return err == -EINTR ? 0 : err;
}

static ssize_t io_read_nowait(struct io_disk *io, int fd, void *buf, size_t len, uint64_t pos)
{
	struct iovec iov = { .iov_base = buf, .iov_len = len };
	ssize_t n = preadv2(fd, &iov, 1, (off_t)pos, RWF_NOWAIT);

	if (n >= 0)
		return n;
	if (errno == EOPNOTSUPP || errno == ENOSYS) {
		io->no_nowait = true;
		n = pread(fd, buf, len, (off_t)pos);
		return n < 0 ? -errno : n;
	}
	if (errno == EAGAIN) {
		io->d.cold.fd = fd;
		io->d.cold.pos = pos;
		io->d.cold.len = len;
	}
	return -errno;
}

static ssize_t io_read(struct disk *d, int fd, void *buf, size_t len, uint64_t pos)
{
	struct io_disk *io = io_disk_of(d);
	ssize_t n;

	if (d->nowait && !io->no_nowait)
		return io_read_nowait(io, fd, buf, len, pos);
	n = pread(fd, buf, len, (off_t)pos);
	return n < 0 ? -errno : n;
}

static ssize_t io_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	ssize_t n = cnt == 1 ? pwrite(fd, iov->iov_base, iov->iov_len, (off_t)pos)
			     : pwritev(fd, iov, cnt, (off_t)pos);

	return n < 0 ? -errno : n;
}

static int io_truncate(struct disk *d, int fd, uint64_t len)
{
	int err;

	do
		err = io_result(ftruncate(fd, (off_t)len));
	while (err == -EINTR);
	return err;
}

static int io_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	int err;

	do
		err = io_result(fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)pos, (off_t)len));
	while (err == -EINTR);
	return err == -EOPNOTSUPP || err == -ENOSYS ? 0 : err;
}

static int io_fdatasync(int fd)
{
	int err;

	do
		err = io_result(fdatasync(fd));
	while (err == -EINTR);
	return err;
}

static int io_fsync(struct disk *d, int fd)
{
	return io_fdatasync(fd);
}

static void io_stat_fill(const struct stat *st, struct disk_stat *ret)
{
	ret->size = (uint64_t)st->st_size;
	ret->blocks = (uint64_t)st->st_blocks;
	ret->mtime_ms = (int64_t)st->st_mtim.tv_sec * 1000 + st->st_mtim.tv_nsec / 1000000;
	ret->is_dir = S_ISDIR(st->st_mode);
	ret->ino = st->st_ino;
}

static int io_stat(struct disk *d, const char *path, struct disk_stat *ret)
{
	struct stat st;

	if (fstatat(io_disk_of(d)->dir_fd, path, &st, AT_SYMLINK_NOFOLLOW))
		return -errno;
	io_stat_fill(&st, ret);
	return 0;
}

static int io_fstat(struct disk *d, int fd, struct disk_stat *ret)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	io_stat_fill(&st, ret);
	return 0;
}

static int io_rename(struct disk *d, const char *from, const char *to)
{
	int dir_fd = io_disk_of(d)->dir_fd;

	return io_told(from, io_result(renameat(dir_fd, from, dir_fd, to)));
}

static int io_unlink(struct disk *d, const char *path)
{
	return io_told(path, io_result(unlinkat(io_disk_of(d)->dir_fd, path, 0)));
}

static int io_mkdir(struct disk *d, const char *path)
{
	return io_result(mkdirat(io_disk_of(d)->dir_fd, path, 0750));
}

static int io_rmdir(struct disk *d, const char *path)
{
	return io_result(unlinkat(io_disk_of(d)->dir_fd, path, AT_REMOVEDIR));
}

static int io_open_dir(struct io_disk *io, const char *path)
{
	int fd = openat(io->dir_fd, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 ? -errno : fd;
}

/*
 * Without a descriptor, as where the limit was lowered under a running broker, the whole file
 * system is synced instead, which needs none. A directory of another one has to have its own.
 */
static int io_sync_around(struct io_disk *io, const char *path)
{
	struct stat all, dir;
	int err;

	if (fstat(io->dir_fd, &all) || fstatat(io->dir_fd, path, &dir, 0))
		return -errno;
	if (all.st_dev != dir.st_dev)
		return -EMFILE;
	do
		err = io_result(syncfs(io->dir_fd));
	while (err == -EINTR);
	return err;
}

/* Called by the pool's threads too: dir_fd never changes. */
static int io_sync_path(struct io_disk *io, const char *path)
{
	int err, fd = io_open_dir(io, path);

	if (fd == -EMFILE || fd == -ENFILE)
		return io_sync_around(io, path);
	if (fd < 0)
		return fd;
	do
		err = io_result(fsync(fd));
	while (err == -EINTR);
	if (close(fd) && !err)
		err = -errno;
	/* Some file systems cannot sync directories, and have no need to. */
	return err == -EINVAL ? 0 : err;
}

static int io_sync_dir(struct disk *d, const char *path)
{
	return io_sync_path(io_disk_of(d), path);
}

static int io_list(struct disk *d, const char *path, disk_name_fn *fn, void *ctx)
{
	int err = 0, fd = io_open_dir(io_disk_of(d), path);
	struct dirent *e;
	DIR *dir;

	if (fd < 0)
		return fd;
	dir = fdopendir(fd);
	if (!dir) {
		err = -errno;
		close(fd);
		return err;
	}
	while (!err) {
		errno = 0;
		e = readdir(dir);
		if (!e) {
			err = -errno;
			break;
		}
		if (strcmp(e->d_name, ".") && strcmp(e->d_name, ".."))
			err = fn(ctx, e->d_name);
	}
	closedir(dir);
	return err;
}

static int io_map(struct disk *d, int fd, size_t len, void **ret)
{
	void *mem = mmap(NULL, len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (mem == MAP_FAILED)
		return -errno;
	*ret = mem;
	return 0;
}

static void io_unmap(struct disk *d, void *mem, size_t len)
{
	int err = munmap(mem, len);

	ASSERT(!err);
}

/* Writes under way outlive the process that was killed by some 150 ms, and so does its lock. */
static int io_lock(struct disk *d, int fd)
{
	int r = io_result(flock(fd, LOCK_EX | LOCK_NB));

	for (unsigned waited_ms = 0; r == -EWOULDBLOCK && waited_ms < LOCK_WAIT_MS;
	     waited_ms += LOCK_POLL_MS) {
		if (poll(NULL, 0, LOCK_POLL_MS) < 0 && errno != EINTR)
			return -errno;
		r = io_result(flock(fd, LOCK_EX | LOCK_NB));
	}
	return r;
}

static int io_space(struct disk *d, struct disk_space *ret)
{
	struct statvfs st;

	if (fstatvfs(io_disk_of(d)->dir_fd, &st))
		return -errno;
	ret->total_bytes = (uint64_t)st.f_blocks * st.f_frsize;
	ret->free_bytes = (uint64_t)st.f_bavail * st.f_frsize;
	return 0;
}

static int io_hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

static int io_boot_id(struct disk *d, uint8_t ret[16])
{
	char text[64];
	unsigned digits = 0;
	ssize_t n;
	int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	n = read(fd, text, sizeof(text));
	close(fd);
	if (n < 0)
		return -EIO;
	memset(ret, 0, 16);
	for (ssize_t i = 0; i < n && digits < 32; i++) {
		int v = io_hex(text[i]);

		if (v < 0)
			continue;
		ret[digits / 2] |= (uint8_t)(digits % 2 ? v : v << 4);
		digits++;
	}
	return digits == 32 ? 0 : -EIO;
}

static int io_random(struct disk *d, void *buf, size_t len)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = getrandom((char *)buf + done, len - done, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		done += (size_t)n;
	}
	return 0;
}

static int io_drop(struct disk *d, int fd)
{
	int err = -posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);

	return err == -ESPIPE || err == -EINVAL ? 0 : err;
}

static void io_sync_all(struct disk *d)
{
	if (syncfs(io_disk_of(d)->dir_fd))
		LOG_AT(LOG_WARN, "store", -errno, "the file system was not synced as a whole");
}

static void io_wait(struct disk *d)
{
	struct pollfd pfd = { .fd = io_disk_of(d)->event_fd, .events = POLLIN };

	/* The bound is for what was told before it was looked for. */
	if (!io_disk_has_finished(d) && poll(&pfd, 1, 10) > 0)
		io_disk_ack(d);
}

static int64_t io_do_read(const struct disk_req *req)
{
	char scratch[16384];
	size_t done = 0;

	while (done < req->len) {
		size_t left = req->len - done;
		ssize_t n = req->buf ? pread(req->fd, (char *)req->buf + done, left,
					     (off_t)(req->pos + done))
				     : pread(req->fd, scratch, MIN(left, sizeof(scratch)),
					     (off_t)(req->pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (int64_t)done;
}

static int64_t io_do_write(const struct disk_req *req)
{
	size_t done = 0;

	while (done < req->len) {
		ssize_t n = pwrite(req->fd, (const char *)req->buf + done, req->len - done,
				   (off_t)(req->pos + done));

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n < 0 ? -errno : -EIO;
		done += (size_t)n;
	}
	return (int64_t)done;
}

/* Beginning write-out is a help, not a promise: a file system that cannot is none the worse. */
static int io_write_out(int fd, uint64_t pos, uint64_t len)
{
	int err = io_result(sync_file_range(fd, (off_t)pos, (off_t)len, SYNC_FILE_RANGE_WRITE));

	return err == -ENOSYS || err == -ESPIPE || err == -EINVAL || err == -EINTR ? 0 : err;
}

static int64_t io_do_sync_segment(struct io_disk *io, const struct disk_req *req)
{
	int err = io_write_out(req->fd, 0, 0);

	if (!err)
		err = io_fdatasync(req->fd2);
	if (!err)
		err = io_fdatasync(req->fd);
	if (!err && req->dir)
		err = io_sync_path(io, req->dir);
	if (!err && req->dir2)
		err = io_sync_path(io, req->dir2);
	return err;
}

/* One request, on a thread of the pool. It reads of io only what never changes. */
static void io_work(void *ctx, struct disk_req *req)
{
	struct io_disk *io = ctx;

	switch (req->op) {
	case DISK_OP_READ:
		req->res = io_do_read(req);
		break;
	case DISK_OP_WRITE:
		req->res = io_do_write(req);
		break;
	case DISK_OP_FDATASYNC:
		req->res = io_fdatasync(req->fd);
		break;
	case DISK_OP_SYNC_SEGMENT:
		req->res = io_do_sync_segment(io, req);
		break;
	case DISK_OP_WRITE_SYNC:
		req->res = io_do_write(req);
		if (req->res >= 0) {
			int err = io_fdatasync(req->fd);

			req->res = err ? err : req->res;
		}
		break;
	case DISK_OP_WRITE_OUT:
		req->res = io_write_out(req->fd, req->pos, req->len);
		break;
	}
}

static int io_submit(struct disk *d, struct disk_req *req)
{
	struct io_disk *io = io_disk_of(d);

	if (io->ring && (req->op == DISK_OP_READ || req->op == DISK_OP_WRITE))
		return ring_submit(io->ring, req);
	return pool_submit(io->pool, req);
}

static struct disk_req *io_reap(struct disk *d)
{
	struct io_disk *io = io_disk_of(d);
	struct disk_req *req = io->ring ? ring_reap(io->ring) : NULL;

	return req ? req : pool_reap(io->pool);
}

struct io_cachestat_range {
	uint64_t off, len;
};
struct io_cachestat {
	uint64_t nr_cache, nr_dirty, nr_writeback, nr_evicted, nr_recently_evicted;
};

static bool io_probe(int fd, uint64_t pos)
{
	char byte;
	struct iovec iov = { .iov_base = &byte, .iov_len = 1 };
	ssize_t n = preadv2(fd, &iov, 1, (off_t)pos, RWF_NOWAIT);

	return n >= 0 || errno != EAGAIN;
}

static bool io_is_warm(struct disk *d, int fd, uint64_t pos, size_t len)
{
	struct io_disk *io = io_disk_of(d);
	uint64_t first = pos / 4096, last = (pos + len - 1) / 4096;
	struct io_cachestat_range range = { first * 4096, (last - first + 1) * 4096 };
	struct io_cachestat st;

	if (!len)
		return true;
	if (!io->no_cachestat) {
		if (!syscall(IO_SYS_CACHESTAT, fd, &range, &st, 0))
			return st.nr_cache >= last - first + 1;
		io->no_cachestat = true;
	}
	return io_probe(fd, pos) && io_probe(fd, pos + len - 1);
}

static int io_os_fd(struct disk *d, int fd)
{
	return fd;
}

static const struct disk_ops IO_DISK_OPS = {
	.open = io_open,
	.close = io_close,
	.read = io_read,
	.writev = io_writev,
	.truncate = io_truncate,
	.allocate = io_allocate,
	.fsync = io_fsync,
	.stat = io_stat,
	.fstat = io_fstat,
	.rename = io_rename,
	.unlink = io_unlink,
	.mkdir = io_mkdir,
	.rmdir = io_rmdir,
	.sync_dir = io_sync_dir,
	.list = io_list,
	.map = io_map,
	.unmap = io_unmap,
	.lock = io_lock,
	.space = io_space,
	.boot_id = io_boot_id,
	.random = io_random,
	.submit = io_submit,
	.reap = io_reap,
	.is_warm = io_is_warm,
	.os_fd = io_os_fd,
	.drop = io_drop,
	.sync_all = io_sync_all,
	.wait = io_wait,
};

static rlim_t io_fd_max(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim) || lim.rlim_cur == RLIM_INFINITY)
		return RLIM_INFINITY;
	return lim.rlim_cur - MIN(lim.rlim_cur / 4, IO_FD_RESERVE);
}

int io_disk_open(const char *data_dir, const struct io_disk_config *config, struct disk **ret)
{
	struct io_disk *io = calloc(1, sizeof(*io));
	int err;

	PRE(config->threads <= IO_POOL_THREADS_MAX);
	if (!io)
		return -ENOMEM;
	io->d.ops = &IO_DISK_OPS;
	io->fd_max = io_fd_max();
	io->refuse_direct = config->refuse_direct;
	io->event_fd = -1;
	io->dir_fd = open(data_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (io->dir_fd < 0) {
		err = -errno;
		goto fail;
	}
	io->event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (io->event_fd < 0) {
		err = -errno;
		goto fail;
	}
	err = pool_new(config->threads ? config->threads : IO_POOL_THREADS_DEFAULT, io->event_fd,
		       io_work, io, &io->pool);
	if (err)
		goto fail;
	err = config->refuse_io_uring ? -EPERM : ring_open(io->event_fd, &io->ring);
	if (err)
		LOG_AT(LOG_WARN, "io_uring", err, "not available; a pool of threads does its work");
	*ret = &io->d;
	return 0;
fail:
	io_disk_free(&io->d);
	return err;
}

void io_disk_stop(struct disk *d)
{
	struct io_disk *io = io_disk_of(d);

	ring_free(io->ring);
	io->ring = NULL;
	pool_free(io->pool);
	io->pool = NULL;
}

void io_disk_free(struct disk *d)
{
	struct io_disk *io;

	if (!d)
		return;
	io = io_disk_of(d);
	io_disk_stop(d);
	if (io->event_fd >= 0)
		close(io->event_fd);
	if (io->dir_fd >= 0)
		close(io->dir_fd);
	free(io);
}

int io_disk_event_fd(struct disk *d)
{
	return io_disk_of(d)->event_fd;
}

void io_disk_ack(struct disk *d)
{
	eventfd_t cnt;

	/* -EAGAIN says that it was not raised, which is as good. */
	if (eventfd_read(io_disk_of(d)->event_fd, &cnt))
		ASSERT(errno == EAGAIN || errno == EINTR);
}

bool io_disk_has_finished(struct disk *d)
{
	struct io_disk *io = io_disk_of(d);

	return (io->ring && ring_has_finished(io->ring)) || pool_has_finished(io->pool);
}

bool io_disk_ring_is_busy(struct disk *d)
{
	struct io_disk *io = io_disk_of(d);

	return io->ring && ring_is_busy(io->ring);
}

bool io_disk_has_ring(struct disk *d)
{
	return io_disk_of(d)->ring;
}

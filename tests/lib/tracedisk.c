#include "tests/lib/tracedisk.h"

#include "daemon/base/assert.h"

#include <stdarg.h>
#include <string.h>

#define FDS 1024

/* The disk's own functions, which go on to be called with it: only its table is another one. */
static const struct disk_ops *under;
static FILE *trace;
static char paths[FDS][160];

static void note(const char *path, int64_t res, const char *fmt, ...)
{
	va_list ap;

	if (!trace)
		return;
	va_start(ap, fmt);
	fprintf(trace, "%s ", path);
	vfprintf(trace, fmt, ap);
	fprintf(trace, " = %lld\n", (long long)res);
	fflush(trace);
	va_end(ap);
}

static const char *name(int fd)
{
	ASSERT(fd >= 0 && fd < FDS);
	return paths[fd];
}

static unsigned long long num(uint64_t n)
{
	return n;
}

static int t_open(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	int err = under->open(d, path, flags, ret_fd);

	if (!err) {
		ASSERT(*ret_fd < FDS);
		snprintf(paths[*ret_fd], sizeof(paths[0]), "%s", path);
	}
	if (flags & (DISK_CREATE | DISK_DIRECT))
		note(path, err, "open %u", flags);
	return err;
}

static ssize_t t_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	ssize_t n = under->writev(d, fd, iov, cnt, pos);

	note(name(fd), n, "writev %llu", num(pos));
	return n;
}

static int t_truncate(struct disk *d, int fd, uint64_t len)
{
	int err = under->truncate(d, fd, len);

	note(name(fd), err, "truncate %llu", num(len));
	return err;
}

static int t_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	int err = under->allocate(d, fd, pos, len);

	note(name(fd), err, "allocate %llu %llu", num(pos), num(len));
	return err;
}

static int t_fsync(struct disk *d, int fd)
{
	int err = under->fsync(d, fd);

	note(name(fd), err, "fsync");
	return err;
}

static int t_rename(struct disk *d, const char *from, const char *to)
{
	int err = under->rename(d, from, to);

	note(from, err, "rename %s", to);
	return err;
}

static int t_unlink(struct disk *d, const char *path)
{
	int err = under->unlink(d, path);

	note(path, err, "unlink");
	return err;
}

static int t_mkdir(struct disk *d, const char *path)
{
	int err = under->mkdir(d, path);

	note(path, err, "mkdir");
	return err;
}

static int t_rmdir(struct disk *d, const char *path)
{
	int err = under->rmdir(d, path);

	note(path, err, "rmdir");
	return err;
}

static int t_sync_dir(struct disk *d, const char *path)
{
	int err = under->sync_dir(d, path);

	note(path, err, "sync_dir");
	return err;
}

static int t_map(struct disk *d, int fd, size_t len, void **ret)
{
	int err = under->map(d, fd, len, ret);

	note(name(fd), err, "map %llu", num(len));
	return err;
}

static int t_lock(struct disk *d, int fd)
{
	int err = under->lock(d, fd);

	note(name(fd), err, "lock");
	return err;
}

/* What is submitted, not when it is done: that is the machine's. */
static int t_submit(struct disk *d, struct disk_req *req)
{
	int err = under->submit(d, req);

	switch (req->op) {
	case DISK_OP_READ:
	case DISK_OP_WRITE_OUT:
		break;
	case DISK_OP_WRITE:
		note(name(req->fd), err, "WRITE %llu %llu", num(req->pos), num(req->len));
		break;
	case DISK_OP_WRITE_SYNC:
		note(name(req->fd), err, "WRITE_SYNC %llu %llu", num(req->pos), num(req->len));
		break;
	case DISK_OP_FDATASYNC:
		note(name(req->fd), err, "FDATASYNC");
		break;
	case DISK_OP_SYNC_SEGMENT:
		note(name(req->fd), err, "SYNC_SEGMENT %s %s %s", name(req->fd2),
		     req->dir ? req->dir : "-", req->dir2 ? req->dir2 : "-");
		break;
	}
	return err;
}

void tracedisk_begin(struct disk *d, FILE *out)
{
	static struct disk_ops tracing;

	if (d->ops != &tracing)
		under = d->ops;
	tracing = *under;
	tracing.open = t_open;
	tracing.writev = t_writev;
	tracing.truncate = t_truncate;
	tracing.allocate = t_allocate;
	tracing.fsync = t_fsync;
	tracing.rename = t_rename;
	tracing.unlink = t_unlink;
	tracing.mkdir = t_mkdir;
	tracing.rmdir = t_rmdir;
	tracing.sync_dir = t_sync_dir;
	tracing.map = t_map;
	tracing.lock = t_lock;
	tracing.submit = t_submit;
	d->ops = &tracing;
	trace = out;
}

void tracedisk_end(void)
{
	trace = NULL;
}

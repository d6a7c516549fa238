#include "daemon/store/disk.h"

#include "daemon/base/limits.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <stdio.h>

int disk_open(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	int err = d->ops->open(d, path, flags, ret_fd);

	if ((err == -EMFILE || err == -ENFILE) && d->relieve && d->relieve(d->relieve_ctx))
		err = d->ops->open(d, path, flags, ret_fd);
	return err;
}

int disk_set_aside(struct disk *d, const char *path)
{
	char to[TOPIC_DIR_MAX + 128];

	for (unsigned i = 0; i < 100; i++) {
		struct disk_stat st;
		int n = snprintf(to, sizeof(to), i ? "%s.foreign%u" : "%s.foreign", path, i);
		int err;

		if (n < 0 || (size_t)n >= sizeof(to))
			return -ENAMETOOLONG;
		err = disk_stat(d, to, &st);
		if (!err)
			continue;
		if (err == -ENOENT)
			err = disk_rename(d, path, to);
		if (!err)
			LOG_AT(LOG_ERROR, path, 0, "is no regular file: it is set aside as %s", to);
		return err;
	}
	return -EEXIST;
}

int disk_close(struct disk *d, int fd)
{
	return d->ops->close(d, fd);
}

ssize_t disk_read(struct disk *d, int fd, void *buf, size_t len, uint64_t pos)
{
	size_t done = 0;

	while (done < len) {
		ssize_t n = d->ops->read(d, fd, (char *)buf + done, len - done, pos + done);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return n;
		if (!n)
			break;
		done += (size_t)n;
	}
	return (ssize_t)done;
}

int disk_read_full(struct disk *d, int fd, void *buf, size_t len, uint64_t pos)
{
	ssize_t n = disk_read(d, fd, buf, len, pos);

	if (n < 0)
		return (int)n;
	return (size_t)n == len ? 0 : -EBADMSG;
}

int disk_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	struct iovec left[8];
	int first = 0;

	PRE(cnt > 0 && cnt <= (int)ARRAY_CNT(left));
	for (int i = 0; i < cnt; i++)
		left[i] = iov[i];
	while (first < cnt) {
		ssize_t n = d->ops->writev(d, fd, left + first, cnt - first, pos);

		if (n == -EINTR)
			continue;
		if (n < 0)
			return (int)n;
		/* Bytes were asked for and none taken: no file does that. */
		if (!n)
			return -EIO;
		pos += (uint64_t)n;
		while (first < cnt && (size_t)n >= left[first].iov_len)
			n -= (ssize_t)left[first++].iov_len;
		if (first < cnt) {
			left[first].iov_base = (char *)left[first].iov_base + n;
			left[first].iov_len -= (size_t)n;
		}
	}
	return 0;
}

int disk_write(struct disk *d, int fd, const void *buf, size_t len, uint64_t pos)
{
	struct iovec iov = { .iov_base = (void *)buf, .iov_len = len };

	return disk_writev(d, fd, &iov, 1, pos);
}

int disk_truncate(struct disk *d, int fd, uint64_t len)
{
	return d->ops->truncate(d, fd, len);
}

int disk_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	return d->ops->allocate(d, fd, pos, len);
}

int disk_fsync(struct disk *d, int fd)
{
	return d->ops->fsync(d, fd);
}

int disk_stat(struct disk *d, const char *path, struct disk_stat *ret)
{
	return d->ops->stat(d, path, ret);
}

int disk_fstat(struct disk *d, int fd, struct disk_stat *ret)
{
	return d->ops->fstat(d, fd, ret);
}

int disk_rename(struct disk *d, const char *from, const char *to)
{
	return d->ops->rename(d, from, to);
}

int disk_unlink(struct disk *d, const char *path)
{
	return d->ops->unlink(d, path);
}

int disk_mkdir(struct disk *d, const char *path)
{
	return d->ops->mkdir(d, path);
}

int disk_rmdir(struct disk *d, const char *path)
{
	return d->ops->rmdir(d, path);
}

int disk_sync_dir(struct disk *d, const char *path)
{
	return d->ops->sync_dir(d, path);
}

int disk_list(struct disk *d, const char *path, disk_name_fn *fn, void *ctx)
{
	return d->ops->list(d, path, fn, ctx);
}

int disk_map(struct disk *d, int fd, size_t len, void **ret)
{
	return d->ops->map(d, fd, len, ret);
}

void disk_unmap(struct disk *d, void *mem, size_t len)
{
	d->ops->unmap(d, mem, len);
}

int disk_lock(struct disk *d, int fd)
{
	return d->ops->lock(d, fd);
}

int disk_space(struct disk *d, struct disk_space *ret)
{
	return d->ops->space(d, ret);
}

int disk_boot_id(struct disk *d, uint8_t ret[16])
{
	return d->ops->boot_id(d, ret);
}

int disk_random(struct disk *d, void *buf, size_t len)
{
	return d->ops->random(d, buf, len);
}

int disk_submit(struct disk *d, struct disk_req *req)
{
	return d->ops->submit(d, req);
}

struct disk_req *disk_reap(struct disk *d)
{
	return d->ops->reap(d);
}

bool disk_is_warm(struct disk *d, int fd, uint64_t pos, size_t len)
{
	return d->ops->is_warm(d, fd, pos, len);
}

int disk_os_fd(struct disk *d, int fd)
{
	return d->ops->os_fd(d, fd);
}

void disk_sync_all(struct disk *d)
{
	if (d->ops->sync_all)
		d->ops->sync_all(d);
}

int disk_drop(struct disk *d, int fd)
{
	return d->ops->drop ? d->ops->drop(d, fd) : 0;
}

void disk_wait(struct disk *d)
{
	if (d->ops->wait)
		d->ops->wait(d);
}

#include "tests/lib/simdisk_impl.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static struct simdisk *sim(struct disk *d)
{
	return CONTAINER_OF(d, struct simdisk, disk);
}

uint64_t sim_rnd(struct simdisk *d)
{
	uint64_t z = d->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

static void *must(void *p)
{
	ASSERT(p);
	return p;
}

static struct simname *name_find(struct simdisk *d, const char *path)
{
	uint64_t hash = hash_xxh3(path, strlen(path));

	for (size_t i = 0; i < d->name_cnt; i++)
		if (d->names[i].hash == hash && !strcmp(d->names[i].path, path))
			return &d->names[i];
	return NULL;
}

static struct simname *name_get(struct simdisk *d, const char *path)
{
	struct simname *n = name_find(d, path);

	if (n)
		return n;
	if (d->name_cnt == d->name_cap) {
		d->name_cap = d->name_cap ? d->name_cap * 2 : 16;
		d->names = must(realloc(d->names, d->name_cap * sizeof(*d->names)));
	}
	n = &d->names[d->name_cnt++];
	*n = (struct simname){ .path = must(strdup(path)), .hash = hash_xxh3(path, strlen(path)) };
	return n;
}

/* The part after the last slash, where path lies in dir ("." is the root); else NULL. */
static const char *in_dir(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (!strcmp(dir, "."))
		return strchr(path, '/') ? NULL : path;
	if (strncmp(path, dir, len) || path[len] != '/' || strchr(path + len + 1, '/'))
		return NULL;
	return path + len + 1;
}

struct simfile *sim_lookup(struct simdisk *d, const char *path)
{
	struct simname *n = name_find(d, path);

	return n ? n->cur : NULL;
}

bool sim_has_parent(struct simdisk *d, const char *path, bool stable)
{
	const char *slash = strrchr(path, '/');
	struct simname *n;
	char dir[1024];

	if (!slash)
		return true;
	snprintf(dir, sizeof(dir), "%.*s", (int)(slash - path), path);
	n = name_find(d, dir);
	return n && (stable ? n->stable != NULL : n->cur && n->cur->is_dir);
}

static void trace(struct simdisk *d, const char *op, const char *path, uint64_t pos, uint64_t len)
{
	if (d->trace)
		buf_printf(d->trace, "%s %s %llu %llu\n", op, path ? path : "-",
			   (unsigned long long)pos, (unsigned long long)len);
}

enum may { MAY_IO = 1, MAY_INTR = 2, MAY_SPACE = 4, MAY_FILES = 8, MAY_SHORT = 16 };

/* Counts a call. The error that it is to meet, or 0. */
static int enter(struct simdisk *d, const char *op, const char *path, uint64_t pos, uint64_t len,
		 unsigned may)
{
	bool can;

	trace(d, op, path, pos, len);
	d->calls++;
	if (d->calls > d->stop_at) {
		sim_stop(d);
		return -EIO;
	}
	if (!d->fail_at || d->calls < d->fail_at || d->calls >= d->fail_at + d->fail_cnt)
		return 0;
	can = (d->fail_err == -EIO && may & MAY_IO) || (d->fail_err == -EINTR && may & MAY_INTR) ||
	      (d->fail_err == -ENOSPC && may & MAY_SPACE) ||
	      (d->fail_err == -EMFILE && may & MAY_FILES) ||
	      (d->fail_err == SIMDISK_SHORT && may & MAY_SHORT);
	if (!can)
		return 0;
	d->failed++;
	return d->fail_err;
}

static bool is_full(const struct simdisk *d)
{
	return d->calls > d->full_at;
}

/* Bytes that there is room for. */
static uint64_t space_left(const struct simdisk *d)
{
	return !is_full(d) ? d->space : d->no_names ? 0 : d->freed;
}

static void space_take(struct simdisk *d, uint64_t len)
{
	d->space -= len;
	if (is_full(d))
		d->freed -= len;
}

static void space_give(struct simdisk *d, uint64_t len)
{
	d->space += len;
	if (is_full(d))
		d->freed += len;
}

/* Whether there is room for a name that is not there. */
static bool has_room_for(struct simdisk *d, const char *path)
{
	return !is_full(d) || !d->no_names || sim_lookup(d, path);
}

struct simfd *sim_fd_get(struct simdisk *d, int fd)
{
	ASSERT(fd >= 0 && fd < FD_MAX && d->fds[fd].file);
	return &d->fds[fd];
}

static int sim_open(struct disk *disk, const char *path, unsigned flags, int *ret_fd)
{
	struct simdisk *d = sim(disk);
	struct simfile *f;
	int r = enter(d, "open", path, flags, 0,
		      MAY_IO | MAY_FILES | (flags & DISK_CREATE ? MAY_SPACE : 0)),
	    fd = 0;

	if (r)
		return r;
	if (flags & DISK_DIRECT && d->no_direct)
		return -EINVAL;
	f = sim_lookup(d, path);
	if (f && flags & DISK_EXCL)
		return -EEXIST;
	if (f && f->is_dir)
		return -EISDIR;
	if (!f && (!(flags & DISK_CREATE) || !sim_has_parent(d, path, false)))
		return -ENOENT;
	if (!has_room_for(d, path))
		return -ENOSPC;
	while (fd < FD_MAX && d->fds[fd].file)
		fd++;
	if (fd == FD_MAX)
		return -EMFILE;
	if (!f) {
		struct simname *n = name_get(d, path);

		f = must(calloc(1, sizeof(*f)));
		f->mtime_ms = d->now_ms;
		n->cur = sim_file_ref(f);
	}
	d->fds[fd] = (struct simfd){
		.file = sim_file_ref(f),
		.path = must(strdup(path)),
		.direct = flags & DISK_DIRECT,
	};
	*ret_fd = fd;
	return 0;
}

static void fd_close(struct simdisk *d, int fd)
{
	struct simfd *s = sim_fd_get(d, fd);

	if (s->locks)
		s->file->locked = false;
	sim_file_unref(s->file);
	free(s->path);
	*s = (struct simfd){ 0 };
}

static int sim_close(struct disk *disk, int fd)
{
	struct simdisk *d = sim(disk);

	enter(d, "close", sim_fd_get(d, fd)->path, 0, 0, 0);
	fd_close(d, fd);
	return 0;
}

static ssize_t sim_read(struct disk *disk, int fd, void *buf, size_t len, uint64_t pos)
{
	struct simdisk *d = sim(disk);
	struct simfd *s = sim_fd_get(d, fd);
	struct simfile *f = s->file;
	const uint8_t *from = s->direct ? f->stable : f->cur;
	size_t have = s->direct ? f->stable_len : f->len;
	int r = enter(d, "read", s->path, pos, len, MAY_IO | MAY_INTR | MAY_SHORT);

	if (r && r != SIMDISK_SHORT)
		return r;
	if (disk->nowait && d->cold_one_in && !f->warm && sim_rnd(d) % d->cold_one_in == 0) {
		disk->cold.fd = fd;
		disk->cold.pos = pos;
		disk->cold.len = len;
		return -EAGAIN;
	}
	if (disk->nowait && f->warm && sim_rnd(d) % 8 == 0)
		f->warm = false;
	if (pos >= have)
		return 0;
	len = MIN(len, have - pos);
	if (r == SIMDISK_SHORT && len > 1)
		len /= 2;
	memcpy(buf, from + pos, len);
	return (ssize_t)len;
}

/* How many of len bytes at pos there is room for. */
static size_t take_space(struct simdisk *d, struct simfile *f, uint64_t pos, size_t len)
{
	size_t have = MAX(f->len, f->alloc), need = pos + len > have ? pos + len - have : 0;

	uint64_t left = space_left(d);

	space_take(d, MIN(need, left));
	if (need <= left)
		return len;
	need -= left;
	return need >= len ? 0 : len - need;
}

static ssize_t sim_writev(struct disk *disk, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	struct simdisk *d = sim(disk);
	struct simfd *s = sim_fd_get(d, fd);
	size_t len = 0, done = 0, room;
	int r;

	for (int i = 0; i < cnt; i++)
		len += iov[i].iov_len;
	r = enter(d, "writev", s->path, pos, len, MAY_IO | MAY_INTR | MAY_SPACE | MAY_SHORT);
	if (r == -EINTR || d->calls > d->stop_at)
		return r;
	/* A call that fails with an error had written a part before, in one call that was short. */
	room = take_space(d, s->file, pos,
			  r == -EIO || r == -ENOSPC ? sim_rnd(d) % MAX(len, 1) : len);
	if (r == SIMDISK_SHORT && room > 1)
		room /= 2;
	for (int i = 0; i < cnt && done < room; i++) {
		size_t n = MIN(iov[i].iov_len, room - done);

		sim_put_bytes(d, s->file, iov[i].iov_base, n, pos + done, s->direct);
		done += n;
	}
	if (r && r != SIMDISK_SHORT)
		return r;
	return done || !len ? (ssize_t)done : -ENOSPC;
}

static int sim_truncate(struct disk *disk, int fd, uint64_t len)
{
	struct simdisk *d = sim(disk);
	struct simfile *f = sim_fd_get(d, fd)->file;
	size_t have = MAX(f->len, f->alloc);
	int r = enter(d, "truncate", sim_fd_get(d, fd)->path, 0, len, MAY_IO);

	if (r)
		return r;
	if (len < have)
		space_give(d, have - len);
	sim_file_grow(f, len);
	if (len < f->len)
		memset(f->cur + len, 0, f->len - len);
	sim_file_touch(f, len, f->len);
	f->len = len;
	f->alloc = 0;
	f->mtime_ms = d->now_ms;
	return 0;
}

static int sim_allocate(struct disk *disk, int fd, uint64_t pos, uint64_t len)
{
	struct simdisk *d = sim(disk);
	struct simfile *f = sim_fd_get(d, fd)->file;
	size_t have = MAX(f->len, f->alloc);
	int r = enter(d, "allocate", sim_fd_get(d, fd)->path, pos, len, MAY_IO | MAY_SPACE);

	if (r)
		return r;
	if (pos + len <= have)
		return 0;
	if (pos + len - have > space_left(d))
		return -ENOSPC;
	space_take(d, pos + len - have);
	f->alloc = pos + len;
	return 0;
}

static int sim_fsync(struct disk *disk, int fd)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "fsync", sim_fd_get(d, fd)->path, 0, 0, MAY_IO);

	if (!r)
		sim_file_sync(sim_fd_get(d, fd)->file);
	return r;
}

static void fill_stat(const struct simfile *f, struct disk_stat *ret)
{
	*ret = (struct disk_stat){
		.size = f->len,
		.blocks = (MAX(f->len, f->alloc) + SECTOR - 1) / SECTOR,
		.mtime_ms = f->mtime_ms,
		.is_dir = f->is_dir,
	};
}

static int sim_stat(struct disk *disk, const char *path, struct disk_stat *ret)
{
	struct simdisk *d = sim(disk);
	struct simfile *f = sim_lookup(d, path);
	int r = enter(d, "stat", path, 0, 0, MAY_IO);

	if (r)
		return r;
	if (!f)
		return -ENOENT;
	fill_stat(f, ret);
	return 0;
}

static int sim_fstat(struct disk *disk, int fd, struct disk_stat *ret)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "fstat", sim_fd_get(d, fd)->path, 0, 0, MAY_IO);

	if (!r)
		fill_stat(sim_fd_get(d, fd)->file, ret);
	return r;
}

/* Gives two names one fate. */
static void join_groups(struct simdisk *d, const char *a, const char *b)
{
	uint64_t ga = name_get(d, a)->group, gb = name_get(d, b)->group, g = ++d->group;

	for (size_t i = 0; i < d->name_cnt; i++)
		if ((ga && d->names[i].group == ga) || (gb && d->names[i].group == gb))
			d->names[i].group = g;
	name_get(d, a)->group = g;
	name_get(d, b)->group = g;
}

static void rename_one(struct simdisk *d, const char *from, const char *to)
{
	struct simname *n;
	struct simfile *f;

	name_get(d, to);
	n = name_find(d, from);
	f = n->cur;
	n->cur = NULL;
	n = name_find(d, to);
	sim_file_unref(n->cur);
	n->cur = f;
	join_groups(d, from, to);
}

static int sim_rename(struct disk *disk, const char *from, const char *to)
{
	struct simdisk *d = sim(disk);
	size_t len = strlen(from), cnt = d->name_cnt;
	int r = enter(d, "rename", from, 0, 0, MAY_IO | MAY_SPACE);

	if (r)
		return r;
	if (!sim_lookup(d, from) || !sim_has_parent(d, to, false))
		return -ENOENT;
	if (!has_room_for(d, to))
		return -ENOSPC;
	rename_one(d, from, to);
	for (size_t i = 0; i < cnt; i++) {
		char path[1024], old[1024];

		if (!d->names[i].cur || strncmp(d->names[i].path, from, len) ||
		    d->names[i].path[len] != '/')
			continue;
		snprintf(old, sizeof(old), "%s", d->names[i].path);
		snprintf(path, sizeof(path), "%s%s", to, old + len);
		rename_one(d, old, path);
		join_groups(d, to, path);
	}
	return 0;
}

static int sim_unlink(struct disk *disk, const char *path)
{
	struct simdisk *d = sim(disk);
	struct simname *n = name_find(d, path);
	int r = enter(d, "unlink", path, 0, 0, MAY_IO);

	if (r)
		return r;
	if (!n || !n->cur)
		return -ENOENT;
	if (n->cur->is_dir)
		return -EISDIR;
	if (n->cur->refs - (n->stable == n->cur) == 1)
		space_give(d, MAX(n->cur->len, n->cur->alloc));
	sim_file_unref(n->cur);
	n->cur = NULL;
	return 0;
}

static int sim_mkdir(struct disk *disk, const char *path)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "mkdir", path, 0, 0, MAY_IO | MAY_SPACE);
	struct simname *n;

	if (r)
		return r;
	if (sim_lookup(d, path))
		return -EEXIST;
	if (!sim_has_parent(d, path, false))
		return -ENOENT;
	if (!has_room_for(d, path))
		return -ENOSPC;
	n = name_get(d, path);
	n->cur = must(calloc(1, sizeof(*n->cur)));
	n->cur->refs = 1;
	n->cur->is_dir = true;
	return 0;
}

static int sim_rmdir(struct disk *disk, const char *path)
{
	struct simdisk *d = sim(disk);
	struct simname *n = name_find(d, path);
	int r = enter(d, "rmdir", path, 0, 0, MAY_IO);

	if (r)
		return r;
	if (!n || !n->cur)
		return -ENOENT;
	for (size_t i = 0; i < d->name_cnt; i++)
		if (d->names[i].cur && in_dir(d->names[i].path, path))
			return -ENOTEMPTY;
	sim_file_unref(n->cur);
	n->cur = NULL;
	return 0;
}

void sim_name_sync(struct simname *n)
{
	struct simfile *old = n->stable;

	n->stable = sim_file_ref(n->cur);
	n->group = 0;
	sim_file_unref(old);
}

static void dir_sync(struct simdisk *d, const char *path)
{
	for (size_t i = 0; i < d->name_cnt; i++) {
		uint64_t group = d->names[i].group;

		if (!in_dir(d->names[i].path, path))
			continue;
		sim_name_sync(&d->names[i]);
		for (size_t k = 0; group && k < d->name_cnt; k++)
			if (d->names[k].group == group)
				sim_name_sync(&d->names[k]);
	}
}

static int sim_sync_dir(struct disk *disk, const char *path)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "sync_dir", path, 0, 0, MAY_IO);

	if (r)
		return r;
	if (strcmp(path, ".") && !sim_lookup(d, path))
		return -ENOENT;
	dir_sync(d, path);
	return 0;
}

static int sim_list(struct disk *disk, const char *path, disk_name_fn *fn, void *ctx)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "list", path, 0, 0, MAY_IO | MAY_FILES);

	if (r)
		return r;
	if (strcmp(path, ".") && !sim_lookup(d, path))
		return -ENOENT;
	for (size_t i = 0; !r && i < d->name_cnt; i++) {
		const char *name = d->names[i].cur ? in_dir(d->names[i].path, path) : NULL;

		if (name)
			r = fn(ctx, name);
	}
	return r;
}

static int sim_map(struct disk *disk, int fd, size_t len, void **ret)
{
	struct simdisk *d = sim(disk);
	struct simfile *f = sim_fd_get(d, fd)->file;
	int r = enter(d, "map", sim_fd_get(d, fd)->path, 0, len, MAY_IO);

	if (r)
		return r;
	if (f->len < len)
		return -EINVAL;
	f->mapped = true;
	*ret = f->cur;
	return 0;
}

static void sim_unmap(struct disk *disk, void *mem, size_t len)
{
	trace(sim(disk), "unmap", NULL, 0, len);
}

static int sim_lock(struct disk *disk, int fd)
{
	struct simdisk *d = sim(disk);
	struct simfd *s = sim_fd_get(d, fd);
	int r = enter(d, "lock", s->path, 0, 0, MAY_IO);

	if (r)
		return r;
	if (s->file->locked && !s->locks)
		return -EWOULDBLOCK;
	s->file->locked = s->locks = true;
	return 0;
}

static int sim_space(struct disk *disk, struct disk_space *ret)
{
	struct simdisk *d = sim(disk);
	int r = enter(d, "space", ".", 0, 0, MAY_IO);

	if (!r)
		*ret = (struct disk_space){ .total_bytes = 1ULL << 40,
					    .free_bytes = space_left(d) };
	return r;
}

static int sim_boot_id(struct disk *disk, uint8_t ret[16])
{
	memcpy(ret, sim(disk)->boot_id, 16);
	return 0;
}

static int sim_random(struct disk *disk, void *buf, size_t len)
{
	for (size_t i = 0; i < len; i++)
		((uint8_t *)buf)[i] = (uint8_t)sim_rnd(sim(disk));
	return 0;
}

static int64_t perform(struct simdisk *d, struct disk_req *q)
{
	struct simfd *s = sim_fd_get(d, q->fd);
	static const char *const names[] = {
		"aread", "awrite", "afdatasync", "async_segment", "awrite_sync", "awrite_out",
	};
	int r = enter(d, names[q->op], s->path, q->pos, q->len, MAY_IO);

	if (r)
		return r;
	switch (q->op) {
	case DISK_OP_READ:
		s->file->warm = true;
		if (q->buf)
			return sim_read(&d->disk, q->fd, q->buf, q->len, q->pos);
		return (int64_t)q->len;
	case DISK_OP_WRITE:
		if (take_space(d, s->file, q->pos, q->len) < q->len)
			return -ENOSPC;
		sim_put_bytes(d, s->file, q->buf, q->len, q->pos, true);
		return (int64_t)q->len;
	case DISK_OP_FDATASYNC:
		sim_file_sync(s->file);
		return 0;
	case DISK_OP_SYNC_SEGMENT:
		sim_file_sync(sim_fd_get(d, q->fd2)->file);
		sim_file_sync(s->file);
		if (q->dir)
			dir_sync(d, q->dir);
		if (q->dir2)
			dir_sync(d, q->dir2);
		return 0;
	case DISK_OP_WRITE_SYNC:
		if (take_space(d, s->file, q->pos, q->len) < q->len)
			return -ENOSPC;
		sim_put_bytes(d, s->file, q->buf, q->len, q->pos, false);
		sim_file_sync(s->file);
		return (int64_t)q->len;
	case DISK_OP_WRITE_OUT:
		/* Its descriptor must be open. */
		return sim_fd_get(d, q->fd)->file ? 0 : -EBADF;
	}
	return -EINVAL;
}

static int sim_submit(struct disk *disk, struct disk_req *q)
{
	struct simdisk *d = sim(disk);

	list_init(&q->link);
	if (d->hold_cnt && q->op == DISK_OP_SYNC_SEGMENT) {
		d->hold_cnt--;
		q->res = INT64_MIN;
		list_put(&d->held, &q->link);
		return 0;
	}
	/* Done at once, or when it is reaped. INT64_MIN: not yet. */
	q->res = sim_rnd(d) & 1 ? perform(d, q) : INT64_MIN;
	list_put(&d->pending, &q->link);
	return 0;
}

static struct disk_req *sim_reap(struct disk *disk)
{
	struct simdisk *d = sim(disk);
	unsigned cnt = 0, pick;

	LIST_FOREACH(l, &d->pending)
		cnt++;
	if (!cnt || (d->lazy_one_in && sim_rnd(d) % d->lazy_one_in == 0))
		return NULL;
	pick = sim_rnd(d) % cnt;
	LIST_FOREACH(l, &d->pending) {
		struct disk_req *q = LIST_ENTRY(l, struct disk_req, link);

		if (pick--)
			continue;
		if (q->res == INT64_MIN)
			q->res = perform(d, q);
		list_remove(&q->link);
		return q;
	}
	return NULL;
}

void simdisk_drain(struct simdisk *d)
{
	unsigned lazy = d->lazy_one_in;

	d->lazy_one_in = 0;
	while (sim_reap(&d->disk))
		;
	d->lazy_one_in = lazy;
}

static bool sim_is_warm(struct disk *disk, int fd, uint64_t pos, size_t len)
{
	return !sim(disk)->cold_one_in || sim_fd_get(sim(disk), fd)->file->warm;
}

static int sim_os_fd(struct disk *disk, int fd)
{
	return -1;
}

static const struct disk_ops sim_ops = {
	.open = sim_open,
	.close = sim_close,
	.read = sim_read,
	.writev = sim_writev,
	.truncate = sim_truncate,
	.allocate = sim_allocate,
	.fsync = sim_fsync,
	.stat = sim_stat,
	.fstat = sim_fstat,
	.rename = sim_rename,
	.unlink = sim_unlink,
	.mkdir = sim_mkdir,
	.rmdir = sim_rmdir,
	.sync_dir = sim_sync_dir,
	.list = sim_list,
	.map = sim_map,
	.unmap = sim_unmap,
	.lock = sim_lock,
	.space = sim_space,
	.boot_id = sim_boot_id,
	.random = sim_random,
	.submit = sim_submit,
	.reap = sim_reap,
	.is_warm = sim_is_warm,
	.os_fd = sim_os_fd,
};

struct simdisk *simdisk_new(uint64_t seed)
{
	struct simdisk *d = must(calloc(1, sizeof(*d)));

	d->disk.ops = &sim_ops;
	d->rng = seed;
	d->stop_at = d->full_at = UINT64_MAX;
	d->space = 1ULL << 40;
	list_init(&d->pending);
	list_init(&d->held);
	sim_random(&d->disk, d->boot_id, sizeof(d->boot_id));
	return d;
}

void sim_close_all(struct simdisk *d)
{
	for (int fd = 0; fd < FD_MAX; fd++)
		if (d->fds[fd].file)
			fd_close(d, fd);
}

void simdisk_free(struct simdisk *d)
{
	if (!d)
		return;
	sim_close_all(d);
	for (size_t i = 0; i < d->name_cnt; i++) {
		sim_file_unref(d->names[i].cur);
		sim_file_unref(d->names[i].stable);
		free(d->names[i].path);
	}
	free(d->names);
	free(d);
}

struct disk *simdisk_disk(struct simdisk *d)
{
	return &d->disk;
}

#include "daemon/store/overlay.h"

#include "daemon/base/limits.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define PAGE_LEN 4096U
#define BUCKET_CNT 1024U

struct page {
	uint64_t idx;
	uint8_t mem[PAGE_LEN];
};

/*
 * A name that is open, or is not any more what the lower disk has under it. The bytes of a file are
 * those of its pages; else, below lower_len, those of the lower file; else zeros.
 */
struct node {
	struct list all;
	struct node *hash_next;
	char *path;	  /* owned */
	char *lower_path; /* owned; NULL: nothing of it is on the lower disk */
	bool gone;	  /* the name is not there, whatever the lower disk has */
	bool changed;	  /* must be kept when nobody has it open */
	bool is_dir;
	int lower_fd; /* -1: not open */
	unsigned fds;
	uint64_t size, lower_len, ino, blocks;
	int64_t mtime_ms;
	struct page **pages; /* by idx, ascending */
	size_t page_cnt, page_cap;
};

struct overlay {
	struct disk d;
	struct disk *lower;
	struct node *buckets[BUCKET_CNT];
	struct list nodes;
	struct node **fds; /* NULL: free */
	size_t fd_cnt;
	uint64_t next_ino;
};

static struct overlay *overlay_of(struct disk *d)
{
	return CONTAINER_OF(d, struct overlay, d);
}

/* "./x" and "x" are one name. */
static const char *clean_path(const char *path)
{
	while (path[0] == '.' && path[1] == '/')
		path += 2;
	return path;
}

static unsigned bucket_of(const char *path)
{
	unsigned h = 5381;

	while (*path)
		h = h * 33 + (uint8_t)*path++;
	return h % BUCKET_CNT;
}

static struct node *node_find(struct overlay *o, const char *path)
{
	struct node *n = o->buckets[bucket_of(path)];

	while (n && strcmp(n->path, path) != 0)
		n = n->hash_next;
	return n;
}

static void node_unhash(struct overlay *o, struct node *n)
{
	struct node **at = &o->buckets[bucket_of(n->path)];

	while (*at && *at != n)
		at = &(*at)->hash_next;
	if (*at)
		*at = n->hash_next;
	list_remove(&n->all);
}

static void node_hash(struct overlay *o, struct node *n)
{
	unsigned b = bucket_of(n->path);

	n->hash_next = o->buckets[b];
	o->buckets[b] = n;
	list_put(&o->nodes, &n->all);
}

static void node_free(struct overlay *o, struct node *n)
{
	node_unhash(o, n);
	for (size_t i = 0; i < n->page_cnt; i++)
		free(n->pages[i]);
	free(n->pages);
	free(n->path);
	free(n->lower_path);
	free(n);
}

static struct node *node_new(struct overlay *o, const char *path)
{
	struct node *n = calloc(1, sizeof(*n));

	if (!n)
		return NULL;
	n->path = strdup(path);
	if (!n->path) {
		free(n);
		return NULL;
	}
	n->lower_fd = -1;
	list_init(&n->all);
	node_hash(o, n);
	return n;
}

/* The node of a name, made from the lower disk where there is none yet. -ENOENT where the name is
 * not there; then *ret is its node, or NULL. */
static int node_get(struct overlay *o, const char *path, struct node **ret)
{
	struct disk_stat st = { 0 };
	struct node *n = node_find(o, path);
	int r;

	*ret = n;
	if (n)
		return n->gone ? -ENOENT : 0;
	r = disk_stat(o->lower, path, &st);
	if (r)
		return r;
	n = node_new(o, path);
	if (!n)
		return -ENOMEM;
	n->lower_path = strdup(path);
	if (!n->lower_path) {
		node_free(o, n);
		return -ENOMEM;
	}
	n->is_dir = st.is_dir;
	n->size = n->lower_len = st.size;
	n->ino = st.ino;
	n->blocks = st.blocks;
	n->mtime_ms = st.mtime_ms;
	*ret = n;
	return 0;
}

/* A node that says no more than the lower disk does is let go. */
static int node_put(struct overlay *o, struct node *n)
{
	int r = 0;

	if (n->fds)
		return 0;
	if (n->lower_fd >= 0) {
		r = disk_close(o->lower, n->lower_fd);
		n->lower_fd = -1;
	}
	if (!n->changed)
		node_free(o, n);
	return r;
}

/* Makes a name that was not there an empty file (or directory). */
static int node_make(struct overlay *o, const char *path, bool is_dir, struct node **ret)
{
	struct node *n = *ret ? *ret : node_new(o, path);

	if (!n)
		return -ENOMEM;
	n->gone = false;
	n->changed = true;
	n->is_dir = is_dir;
	n->size = n->lower_len = n->blocks = 0;
	n->ino = (1ULL << 62) + o->next_ino++;
	*ret = n;
	return 0;
}

static int fd_take(struct overlay *o, struct node *n, int *ret_fd)
{
	size_t i = 0;

	while (i < o->fd_cnt && o->fds[i])
		i++;
	if (i == o->fd_cnt) {
		size_t cnt = o->fd_cnt ? o->fd_cnt * 2 : 64;
		struct node **fds = realloc(o->fds, cnt * sizeof(*fds));

		if (!fds)
			return -ENOMEM;
		memset(fds + o->fd_cnt, 0, (cnt - o->fd_cnt) * sizeof(*fds));
		o->fds = fds;
		o->fd_cnt = cnt;
	}
	o->fds[i] = n;
	n->fds++;
	*ret_fd = (int)i;
	return 0;
}

static int ov_open(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	struct overlay *o = overlay_of(d);
	struct node *n;
	int r;

	path = clean_path(path);
	r = node_get(o, path, &n);
	if (!r && (flags & DISK_CREATE) && (flags & DISK_EXCL))
		return -EEXIST;
	if (r == -ENOENT && (flags & DISK_CREATE))
		r = node_make(o, path, false, &n);
	if (!r && n->is_dir)
		r = -EISDIR;
	if (!r && n->lower_path && n->lower_fd < 0)
		r = disk_open(o->lower, n->lower_path, DISK_RDONLY, &n->lower_fd);
	if (!r)
		r = fd_take(o, n, ret_fd);
	if (r && n && !n->gone) {
		int close_err = node_put(o, n);

		r = r ? r : close_err;
	}
	return r;
}

static int ov_close(struct disk *d, int fd)
{
	struct overlay *o = overlay_of(d);
	struct node *n = o->fds[fd];

	o->fds[fd] = NULL;
	n->fds--;
	return node_put(o, n);
}

/* The place of page idx, or where it would stand. */
static size_t page_slot(const struct node *n, uint64_t idx)
{
	size_t lo = 0, hi = n->page_cnt;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (n->pages[mid]->idx < idx)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static struct page *page_find(const struct node *n, uint64_t idx)
{
	size_t at = page_slot(n, idx);

	return at < n->page_cnt && n->pages[at]->idx == idx ? n->pages[at] : NULL;
}

/* The bytes of the lower file, zeros behind its end. */
static int lower_read(struct overlay *o, struct node *n, uint8_t *buf, size_t len, uint64_t pos)
{
	size_t have = pos < n->lower_len ? (size_t)MIN(len, n->lower_len - pos) : 0;
	ssize_t got = 0;

	if (have && n->lower_fd >= 0) {
		got = disk_read(o->lower, n->lower_fd, buf, have, pos);
		if (got < 0)
			return (int)got;
	}
	memset(buf + got, 0, len - (size_t)got);
	return 0;
}

static int page_get(struct overlay *o, struct node *n, uint64_t idx, struct page **ret)
{
	size_t at = page_slot(n, idx);
	struct page *p;
	int r;

	if (at < n->page_cnt && n->pages[at]->idx == idx) {
		*ret = n->pages[at];
		return 0;
	}
	if (n->page_cnt == n->page_cap) {
		size_t cap = n->page_cap ? n->page_cap * 2 : 16;
		struct page **pages = realloc(n->pages, cap * sizeof(*pages));

		if (!pages)
			return -ENOMEM;
		n->pages = pages;
		n->page_cap = cap;
	}
	p = malloc(sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->idx = idx;
	r = lower_read(o, n, p->mem, PAGE_LEN, idx * PAGE_LEN);
	if (r) {
		free(p);
		return r;
	}
	memmove(n->pages + at + 1, n->pages + at, (n->page_cnt - at) * sizeof(*n->pages));
	n->pages[at] = p;
	n->page_cnt++;
	*ret = p;
	return 0;
}

static int read_node(struct overlay *o, struct node *n, uint8_t *buf, size_t len, uint64_t pos)
{
	size_t at = page_slot(n, pos / PAGE_LEN);

	while (len) {
		uint64_t idx = pos / PAGE_LEN;
		size_t in = pos % PAGE_LEN, part = PAGE_LEN - in;
		bool here = at < n->page_cnt && n->pages[at]->idx == idx;

		/* What no page covers is read in one piece. */
		if (!here)
			part = at < n->page_cnt ? n->pages[at]->idx * PAGE_LEN - pos : len;
		part = MIN(part, len);
		if (here) {
			memcpy(buf, n->pages[at]->mem + in, part);
			at++;
		} else {
			int r = lower_read(o, n, buf, part, pos);

			if (r)
				return r;
		}
		buf += part;
		pos += part;
		len -= part;
	}
	return 0;
}

static ssize_t ov_read(struct disk *d, int fd, void *buf, size_t len, uint64_t pos)
{
	struct overlay *o = overlay_of(d);
	struct node *n = o->fds[fd];
	int r;

	if (pos >= n->size)
		return 0;
	len = (size_t)MIN(len, n->size - pos);
	r = read_node(o, n, buf, len, pos);
	return r ? r : (ssize_t)len;
}

static int write_node(struct overlay *o, struct node *n, const uint8_t *data, size_t len,
		      uint64_t pos)
{
	n->changed = true;
	while (len) {
		size_t in = pos % PAGE_LEN, part = MIN(len, PAGE_LEN - in);
		struct page *p;
		int r = page_get(o, n, pos / PAGE_LEN, &p);

		if (r)
			return r;
		memcpy(p->mem + in, data, part);
		data += part;
		pos += part;
		len -= part;
		n->size = MAX(n->size, pos);
	}
	return 0;
}

static ssize_t ov_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	struct overlay *o = overlay_of(d);
	ssize_t done = 0;

	for (int i = 0; i < cnt; i++) {
		int r = write_node(o, o->fds[fd], iov[i].iov_base, iov[i].iov_len,
				   pos + (uint64_t)done);

		if (r)
			return r;
		done += (ssize_t)iov[i].iov_len;
	}
	return done;
}

static int ov_truncate(struct disk *d, int fd, uint64_t len)
{
	struct node *n = overlay_of(d)->fds[fd];
	struct page *p;

	n->changed = true;
	n->lower_len = MIN(n->lower_len, len);
	n->size = len;
	while (n->page_cnt && n->pages[n->page_cnt - 1]->idx * PAGE_LEN >= len)
		free(n->pages[--n->page_cnt]);
	p = page_find(n, len / PAGE_LEN);
	if (p)
		memset(p->mem + len % PAGE_LEN, 0, PAGE_LEN - len % PAGE_LEN);
	return 0;
}

static int ov_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	return 0;
}

static int ov_fsync(struct disk *d, int fd)
{
	return 0;
}

static void node_stat(const struct node *n, struct disk_stat *ret)
{
	*ret = (struct disk_stat){
		.size = n->size,
		.blocks = MAX(n->blocks, n->page_cnt * (PAGE_LEN / 512)),
		.mtime_ms = n->mtime_ms,
		.is_dir = n->is_dir,
		.ino = n->ino,
	};
}

static int ov_stat(struct disk *d, const char *path, struct disk_stat *ret)
{
	struct overlay *o = overlay_of(d);
	struct node *n;

	path = clean_path(path);
	n = node_find(o, path);
	if (!n)
		return disk_stat(o->lower, path, ret);
	if (n->gone)
		return -ENOENT;
	node_stat(n, ret);
	return 0;
}

static int ov_fstat(struct disk *d, int fd, struct disk_stat *ret)
{
	node_stat(overlay_of(d)->fds[fd], ret);
	return 0;
}

/* Takes a name away. Who has it open keeps it, under a name that no one can ask for. */
static int node_remove(struct overlay *o, struct node *n)
{
	struct node *mark;
	char *path = strdup(n->path), *hidden;
	size_t len = strlen(n->path) + 2;

	hidden = path ? malloc(len) : NULL;
	if (!hidden) {
		free(path);
		return -ENOMEM;
	}
	/* No path begins with a slash. */
	hidden[0] = '/';
	memcpy(hidden + 1, n->path, len - 1);
	node_unhash(o, n);
	free(n->path);
	n->path = hidden;
	n->changed = false;
	node_hash(o, n);
	mark = node_new(o, path);
	free(path);
	if (!mark)
		return -ENOMEM;
	mark->gone = mark->changed = true;
	return node_put(o, n);
}

static int ov_unlink(struct disk *d, const char *path)
{
	struct overlay *o = overlay_of(d);
	struct node *n;
	int r = node_get(o, clean_path(path), &n);

	return r ? r : node_remove(o, n);
}

static int ov_rename(struct disk *d, const char *from, const char *to)
{
	struct overlay *o = overlay_of(d);
	struct node *n, *old, *mark;
	char *path = strdup(clean_path(to)), *was;
	int r = path ? node_get(o, clean_path(from), &n) : -ENOMEM;

	/* Of directories nothing that is only looked at is renamed. */
	if (!r && n->is_dir)
		r = -EOPNOTSUPP;
	if (!r) {
		r = node_get(o, path, &old);
		if (!r)
			r = node_remove(o, old);
		r = r == -ENOENT ? 0 : r;
	}
	if (r) {
		free(path);
		return r;
	}
	mark = node_find(o, path);
	if (mark)
		node_free(o, mark);
	was = n->path;
	node_unhash(o, n);
	n->path = path;
	n->changed = true;
	node_hash(o, n);
	mark = node_new(o, was);
	free(was);
	if (!mark)
		return -ENOMEM;
	mark->gone = mark->changed = true;
	return 0;
}

static int ov_mkdir(struct disk *d, const char *path)
{
	struct overlay *o = overlay_of(d);
	struct node *n;
	int r = node_get(o, clean_path(path), &n);

	if (!r)
		return -EEXIST;
	return r == -ENOENT ? node_make(o, clean_path(path), true, &n) : r;
}

static int ov_rmdir(struct disk *d, const char *path)
{
	return ov_unlink(d, path);
}

static int ov_sync_dir(struct disk *d, const char *path)
{
	return 0;
}

struct lister {
	struct overlay *o;
	const char *dir;
	disk_name_fn *fn;
	void *ctx;
};

/* A name of the lower disk: the nodes know better, and are asked afterwards. */
static int on_lower_name(void *ctx, const char *name)
{
	struct lister *l = ctx;
	char path[TOPIC_DIR_MAX + NODE_NAME_MAX + 2];
	int n = strcmp(l->dir, ".") ? snprintf(path, sizeof(path), "%s/%s", l->dir, name)
				    : snprintf(path, sizeof(path), "%s", name);

	if (n < 0 || (size_t)n >= sizeof(path))
		return l->fn(l->ctx, name);
	return node_find(l->o, path) ? 0 : l->fn(l->ctx, name);
}

static int ov_list(struct disk *d, const char *path, disk_name_fn *fn, void *ctx)
{
	struct overlay *o = overlay_of(d);
	struct lister l = { .o = o, .dir = clean_path(path), .fn = fn, .ctx = ctx };
	struct node *dir = node_find(o, l.dir);
	bool at_top = !strcmp(l.dir, ".");
	size_t len = at_top ? 0 : strlen(l.dir);
	int r = dir && dir->gone ? -ENOENT : 0;

	if (!r && !(dir && !dir->lower_path))
		r = disk_list(o->lower, l.dir, on_lower_name, &l);
	if (r)
		return r;
	LIST_FOREACH_SAFE(at, tmp, &o->nodes) {
		const struct node *n = LIST_ENTRY(at, struct node, all);
		const char *name = n->path;

		if (n->gone || *name == '/' || (len && strncmp(name, l.dir, len) != 0))
			continue;
		if (len && name[len] != '/')
			continue;
		name += len ? len + 1 : 0;
		if (strchr(name, '/'))
			continue;
		r = fn(ctx, name);
		if (r)
			return r;
	}
	return 0;
}

static int ov_map(struct disk *d, int fd, size_t len, void **ret)
{
	struct overlay *o = overlay_of(d);
	struct node *n = o->fds[fd];
	void *mem = n->size < len ? NULL : malloc(len);
	int r = mem ? read_node(o, n, mem, len, 0) : n->size < len ? -EINVAL : -ENOMEM;

	if (r) {
		free(mem);
		return r;
	}
	*ret = mem;
	return 0;
}

static void ov_unmap(struct disk *d, void *mem, size_t len)
{
	free(mem);
}

static int ov_lock(struct disk *d, int fd)
{
	return 0;
}

static int ov_space(struct disk *d, struct disk_space *ret)
{
	return disk_space(overlay_of(d)->lower, ret);
}

static int ov_boot_id(struct disk *d, uint8_t ret[16])
{
	return disk_boot_id(overlay_of(d)->lower, ret);
}

static int ov_random(struct disk *d, void *buf, size_t len)
{
	return disk_random(overlay_of(d)->lower, buf, len);
}

static int ov_submit(struct disk *d, struct disk_req *req)
{
	return -EOPNOTSUPP;
}

static struct disk_req *ov_reap(struct disk *d)
{
	return NULL;
}

static bool ov_is_warm(struct disk *d, int fd, uint64_t pos, size_t len)
{
	return true;
}

static int ov_os_fd(struct disk *d, int fd)
{
	return -1;
}

static const struct disk_ops overlay_ops = {
	.open = ov_open,
	.close = ov_close,
	.read = ov_read,
	.writev = ov_writev,
	.truncate = ov_truncate,
	.allocate = ov_allocate,
	.fsync = ov_fsync,
	.stat = ov_stat,
	.fstat = ov_fstat,
	.rename = ov_rename,
	.unlink = ov_unlink,
	.mkdir = ov_mkdir,
	.rmdir = ov_rmdir,
	.sync_dir = ov_sync_dir,
	.list = ov_list,
	.map = ov_map,
	.unmap = ov_unmap,
	.lock = ov_lock,
	.space = ov_space,
	.boot_id = ov_boot_id,
	.random = ov_random,
	.submit = ov_submit,
	.reap = ov_reap,
	.is_warm = ov_is_warm,
	.os_fd = ov_os_fd,
};

struct disk *overlay_new(struct disk *lower)
{
	struct overlay *o = calloc(1, sizeof(*o));

	if (!o)
		return NULL;
	o->d.ops = &overlay_ops;
	o->lower = lower;
	list_init(&o->nodes);
	return &o->d;
}

void overlay_free(struct disk *d)
{
	struct overlay *o;

	if (!d)
		return;
	o = overlay_of(d);
	for (size_t i = 0; i < o->fd_cnt; i++)
		PRE(!o->fds[i]);
	LIST_FOREACH_SAFE(at, tmp, &o->nodes) {
		struct node *n = LIST_ENTRY(at, struct node, all);

		node_free(o, n);
	}
	free(o->fds);
	free(o);
}

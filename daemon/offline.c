#include "daemon/offline.h"

#include "daemon/base/log.h"
#include "daemon/io/disk.h"
#include "daemon/store/overlay.h"
#include "daemon/store/texts.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

/* What stands in for a damaged meta.properties, so that the rest can be looked at. */
static const char NO_PROPERTIES[] = "version=1\ncluster.id=AAAAAAAAAAAAAAAAAAAAAA\n"
				    "directory.id=AAAAAAAAAAAAAAAAAAAAAA\n";

static const struct plog_config plog_config = {
	.segment_bytes = SEGMENT_BYTES_MAX,
	.segment_ms = -1,
	.retention_ms = -1,
	.retention_bytes = -1,
	.index_interval_bytes = INDEX_INTERVAL_BYTES,
};

static int64_t now_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

int offline_read(struct disk *d, const char *path, size_t max, struct buf *b)
{
	struct disk_stat st = { 0 };
	int fd, close_err, r;

	buf_reset(b);
	r = disk_open(d, path, DISK_RDONLY, &fd);
	if (r)
		return r;
	r = disk_fstat(d, fd, &st);
	if (!r && (st.is_dir || st.size > max))
		r = -EFBIG;
	if (!r)
		r = buf_reserve(b, (size_t)st.size + 1);
	if (!r)
		r = disk_read_full(d, fd, b->data, (size_t)st.size, 0);
	if (!r) {
		b->len = (size_t)st.size;
		b->data[b->len] = '\0';
	}
	close_err = disk_close(d, fd);
	r = r == -EBADMSG ? -EIO : r;
	return r ? r : close_err;
}

/* The lock is the one that brokers take: flock on the journal, whose name must still be this
 * file's. */
static int lock(struct offline *o)
{
	for (unsigned tries = 0; tries < 16; tries++) {
		struct disk_stat mine = { 0 }, named = { 0 };
		int r = disk_open(o->lower, "journal", DISK_RDONLY, &o->lock_fd);

		if (r) {
			o->lock_fd = -1;
			return r == -ENOENT ? 0 : r;
		}
		r = disk_lock(o->lower, o->lock_fd);
		if (!r)
			r = disk_fstat(o->lower, o->lock_fd, &mine);
		if (!r)
			r = disk_stat(o->lower, "journal", &named);
		if (!r && mine.ino == named.ino)
			return 0;
		if (disk_close(o->lower, o->lock_fd))
			r = -EIO;
		o->lock_fd = -1;
		if (r == -EWOULDBLOCK)
			return -EBUSY;
		if (r && r != -ENOENT)
			return r;
	}
	return -EBUSY;
}

static int on_known_name(void *ctx, const char *name)
{
	static const char *const KNOWN[] = { "journal", "checkpoint", "debts", "meta.properties" };
	bool *found = ctx;

	for (unsigned i = 0; i < ARRAY_CNT(KNOWN); i++)
		*found |= !strcmp(name, KNOWN[i]);
	return 0;
}

static int put_properties(struct offline *o)
{
	int fd, r = disk_open(o->disk, "meta.properties", DISK_CREATE, &fd), close_err;

	if (r)
		return r;
	r = disk_truncate(o->disk, fd, 0);
	if (!r)
		r = disk_write(o->disk, fd, NO_PROPERTIES, sizeof(NO_PROPERTIES) - 1, 0);
	close_err = disk_close(o->disk, fd);
	return r ? r : close_err;
}

static int recover(struct offline *o)
{
	const struct store_config config = { .retention_check_ms = INT32_MAX };
	struct disk_stat st = { 0 };
	int r = disk_stat(o->lower, "meta.properties", &st);

	if (!r)
		r = store_open(o->disk, &config, now_ms(), &o->store, &o->report);
	if (r != -EBADMSG && r != -ENOENT)
		return r;
	o->bad_properties = true;
	snprintf(o->bad_sentence, sizeof(o->bad_sentence), "%s",
		 r == -ENOENT ? "the file is missing" : o->report.sentence);
	r = put_properties(o);
	return r ? r : store_open(o->disk, &config, now_ms(), &o->store, &o->report);
}

/* Which of the directory's own names is no file's: the first, NULL where there is none. */
static const char *find_odd(struct disk *d)
{
	static const char *const NAMES[] = { "journal", "checkpoint", "meta.properties",
					     "clean-shutdown", "clean-shutdown.new" };

	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		int fd, r = disk_open(d, NAMES[i], DISK_RDONLY, &fd);

		if (disk_is_no_file(r))
			return NAMES[i];
		if (!r && disk_close(d, fd))
			return NULL;
	}
	return NULL;
}

int offline_open(struct offline *o, const char *path, char *sentence, size_t len)
{
	const struct io_disk_config config = { .refuse_io_uring = true,
					       .refuse_direct = true,
					       .threads = 1 };
	bool found = false;
	int r;

	*o = (struct offline){ .lock_fd = -1 };
	/* What recovery would tell in a broker's log is found and told by the caller. */
	log_set_level(LOG_NONE);
	r = io_disk_open(path, &config, &o->lower);
	if (!r)
		r = disk_list(o->lower, ".", on_known_name, &found);
	if (!r && !found)
		r = -ENOENT;
	if (!r)
		r = lock(o);
	if (!r) {
		o->disk = overlay_new(o->lower);
		r = o->disk ? recover(o) : -ENOMEM;
	}
	if (disk_is_no_file(r) && found)
		o->odd = find_odd(o->lower);
	if (r == -EBUSY)
		snprintf(sentence, len, "%s is in use by a running topicfs", path);
	else if (o->odd)
		snprintf(sentence, len, "%s: %s is no regular file", path, o->odd);
	else if (r && o->lower && !found)
		snprintf(sentence, len, "%s is no data directory of topicfs", path);
	else if (r && o->report.sentence[0])
		snprintf(sentence, len, "%s: %s", path, o->report.sentence);
	else if (r)
		snprintf(sentence, len, "%s cannot be opened: %s", path, strerror(-r));
	return r;
}

int offline_close(struct offline *o)
{
	int r = 0;

	store_free(o->store);
	overlay_free(o->disk);
	if (o->lock_fd >= 0)
		r = disk_close(o->lower, o->lock_fd);
	io_disk_free(o->lower);
	return r;
}

struct dirs {
	struct offline_dir *v;
	size_t cnt, cap;
};

static int on_dir(void *ctx, const char *name)
{
	struct dirs *l = ctx;
	struct offline_dir d = { 0 };

	if (!texts_get_dir(name, d.topic, &d.partition))
		return 0;
	snprintf(d.name, sizeof(d.name), "%s", name);
	if (l->cnt == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 16;
		struct offline_dir *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->cnt++] = d;
	return 0;
}

static int dir_cmp(const void *a, const void *b)
{
	const struct offline_dir *x = a, *y = b;
	int r = strcmp(x->topic, y->topic);

	return r ? r : (x->partition > y->partition) - (x->partition < y->partition);
}

/* Whose partition it is: the first head that holds says so, else the file beside the segments. */
static int find_id(struct offline *o, struct offline_dir *d)
{
	char path[TOPIC_DIR_MAX + 64];
	struct segment_head h;
	struct buf b;
	int64_t *bases;
	size_t cnt;
	int r = offline_bases(o->lower, d->name, &bases, &cnt);

	if (r)
		return r == -ENOTDIR || r == -ELOOP || r == -ENOENT ? 0 : r;
	buf_init(&b);
	for (size_t i = 0; i < cnt && !d->has_id; i++) {
		uint8_t head[FORMAT_HEAD_LEN];
		int fd;

		snprintf(path, sizeof(path), "%s/%020lld.meta", d->name, (long long)bases[i]);
		if (disk_open(o->lower, path, DISK_RDONLY, &fd))
			continue;
		d->has_id = !disk_read_full(o->lower, fd, head, sizeof(head), 0) &&
			    !format_get_head(head, sizeof(head), &h);
		if (disk_close(o->lower, fd))
			r = -EIO;
		if (d->has_id)
			memcpy(d->topic_id, h.topic_id, 16);
	}
	free(bases);
	snprintf(path, sizeof(path), "%s/partition.metadata", d->name);
	if (!d->has_id && !offline_read(o->lower, path, 4096, &b))
		d->has_id = !texts_get_partition((const char *)b.data, b.len, d->topic_id);
	buf_fini(&b);
	return r;
}

int offline_dirs(struct offline *o, struct offline_dir **ret, size_t *ret_cnt)
{
	struct dirs l = { 0 };
	int r = disk_list(o->lower, ".", on_dir, &l);

	if (l.cnt)
		qsort(l.v, l.cnt, sizeof(*l.v), dir_cmp);
	for (size_t i = 0; i < l.cnt && !r; i++)
		r = find_id(o, &l.v[i]);
	if (r) {
		free(l.v);
		return r;
	}
	*ret = l.v;
	*ret_cnt = l.cnt;
	return 0;
}

void offline_open_dir(struct offline *o, struct offline_dir *d)
{
	struct store_stats before, after;

	if (!d->has_id)
		return;
	d->was_closed = store_was_closed(o->store, d->topic_id, d->partition);
	store_stats(o->store, &before);
	d->err = store_plog(o->store, d->topic, d->topic_id, d->partition, &plog_config, false,
			    &d->plog);
	store_stats(o->store, &after);
	d->cut_bytes = after.cut_bytes - before.cut_bytes;
	d->described_records = after.described_records - before.described_records;
}

bool offline_get_base(const char *name, int64_t *ret)
{
	if (strspn(name, "0123456789") != 20)
		return false;
	errno = 0;
	*ret = strtoll(name, NULL, 10);
	return !errno;
}

struct bases {
	int64_t *v;
	size_t cnt, cap;
};

static int on_base(void *ctx, const char *name)
{
	struct bases *l = ctx;
	int64_t base;

	if (!offline_get_base(name, &base) ||
	    (strcmp(name + 20, ".meta") != 0 && strcmp(name + 20, ".data") != 0))
		return 0;
	if (l->cnt == l->cap) {
		size_t cap = l->cap ? l->cap * 2 : 64;
		int64_t *v = realloc(l->v, cap * sizeof(*v));

		if (!v)
			return -ENOMEM;
		l->v = v;
		l->cap = cap;
	}
	l->v[l->cnt++] = base;
	return 0;
}

static int base_cmp(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

int offline_bases(struct disk *d, const char *dir, int64_t **ret, size_t *ret_cnt)
{
	struct bases l = { 0 };
	size_t to = 0;
	int r = disk_list(d, dir, on_base, &l);

	if (r) {
		free(l.v);
		return r;
	}
	if (l.cnt)
		qsort(l.v, l.cnt, sizeof(*l.v), base_cmp);
	for (size_t i = 0; i < l.cnt; i++)
		if (!to || l.v[to - 1] != l.v[i])
			l.v[to++] = l.v[i];
	*ret = l.v;
	*ret_cnt = to;
	return 0;
}

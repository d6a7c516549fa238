/*
 * One scenario on the simulated disk and on the real one, each behind a tracing struct disk_ops:
 * the store makes the same calls in the same order and gets the same answers, so that what the
 * sweeps prove on the one holds for the other.
 *
 * What is not the same by nature is made so: names are listed in order, random bytes come from one
 * seed, and requests are handed back in the order in which they were submitted.
 */
#include "daemon/base/log.h"
#include "daemon/io/disk.h"
#include "daemon/metalog.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define FDS 1024
#define FLIGHT 64
#define NAMES 256
#define NOW_MS 1770028200000

struct tracer {
	struct disk disk;
	struct disk *under;
	bool real;
	struct buf out;
	char path[FDS][160];
	struct disk_req *flight[FLIGHT];
	bool arrived[FLIGHT];
	unsigned sent, given; /* of flight, as rings */
	uint64_t rng;
};

static struct tracer *tr(struct disk *d)
{
	return CONTAINER_OF(d, struct tracer, disk);
}

static int64_t note(struct tracer *t, const char *op, const char *path, uint64_t a, uint64_t b,
		    int64_t res)
{
	buf_printf(&t->out, "%s %s %llu %llu = %lld\n", op, path, (unsigned long long)a,
		   (unsigned long long)b, (long long)res);
	return res;
}

static const char *name(struct tracer *t, int fd)
{
	return fd >= 0 && fd < FDS ? t->path[fd] : "-";
}

static int t_open(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	struct tracer *t = tr(d);
	int err = t->under->ops->open(t->under, path, flags, ret_fd);

	if (!err) {
		assert_true(*ret_fd < FDS);
		snprintf(t->path[*ret_fd], sizeof(t->path[0]), "%s", path);
	}
	return (int)note(t, "open", path, flags, 0, err);
}

static int t_close(struct disk *d, int fd)
{
	struct tracer *t = tr(d);

	return (int)note(t, "close", name(t, fd), 0, 0, t->under->ops->close(t->under, fd));
}

static ssize_t t_read(struct disk *d, int fd, void *buf, size_t len, uint64_t pos)
{
	struct tracer *t = tr(d);

	return note(t, "read", name(t, fd), pos, len,
		    t->under->ops->read(t->under, fd, buf, len, pos));
}

static ssize_t t_writev(struct disk *d, int fd, const struct iovec *iov, int cnt, uint64_t pos)
{
	struct tracer *t = tr(d);

	return note(t, "writev", name(t, fd), pos, (uint64_t)cnt,
		    t->under->ops->writev(t->under, fd, iov, cnt, pos));
}

static int t_truncate(struct disk *d, int fd, uint64_t len)
{
	struct tracer *t = tr(d);

	return (int)note(t, "truncate", name(t, fd), len, 0,
			 t->under->ops->truncate(t->under, fd, len));
}

static int t_allocate(struct disk *d, int fd, uint64_t pos, uint64_t len)
{
	struct tracer *t = tr(d);

	return (int)note(t, "allocate", name(t, fd), pos, len,
			 t->under->ops->allocate(t->under, fd, pos, len));
}

static int t_fsync(struct disk *d, int fd)
{
	struct tracer *t = tr(d);

	return (int)note(t, "fsync", name(t, fd), 0, 0, t->under->ops->fsync(t->under, fd));
}

static int t_stat(struct disk *d, const char *path, struct disk_stat *ret)
{
	struct tracer *t = tr(d);
	int err = t->under->ops->stat(t->under, path, ret);

	return (int)note(t, "stat", path, err || ret->is_dir ? 0 : ret->size, 0, err);
}

static int t_fstat(struct disk *d, int fd, struct disk_stat *ret)
{
	struct tracer *t = tr(d);
	int err = t->under->ops->fstat(t->under, fd, ret);

	return (int)note(t, "fstat", name(t, fd), err ? 0 : ret->size, 0, err);
}

static int t_rename(struct disk *d, const char *from, const char *to)
{
	struct tracer *t = tr(d);

	note(t, "rename to", to, 0, 0, 0);
	return (int)note(t, "rename", from, 0, 0, t->under->ops->rename(t->under, from, to));
}

static int t_unlink(struct disk *d, const char *path)
{
	struct tracer *t = tr(d);

	return (int)note(t, "unlink", path, 0, 0, t->under->ops->unlink(t->under, path));
}

static int t_mkdir(struct disk *d, const char *path)
{
	struct tracer *t = tr(d);

	return (int)note(t, "mkdir", path, 0, 0, t->under->ops->mkdir(t->under, path));
}

static int t_rmdir(struct disk *d, const char *path)
{
	struct tracer *t = tr(d);

	return (int)note(t, "rmdir", path, 0, 0, t->under->ops->rmdir(t->under, path));
}

static int t_sync_dir(struct disk *d, const char *path)
{
	struct tracer *t = tr(d);

	return (int)note(t, "sync_dir", path, 0, 0, t->under->ops->sync_dir(t->under, path));
}

struct names {
	char *names[NAMES];
	size_t cnt;
};

static int names_add(void *ctx, const char *n)
{
	struct names *all = ctx;

	assert_true(all->cnt < NAMES);
	all->names[all->cnt] = strdup(n);
	assert_non_null(all->names[all->cnt++]);
	return 0;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int t_list(struct disk *d, const char *path, disk_name_fn *fn, void *ctx)
{
	struct tracer *t = tr(d);
	struct names all = { .cnt = 0 };
	int err = t->under->ops->list(t->under, path, names_add, &all);

	qsort(all.names, all.cnt, sizeof(all.names[0]), by_name);
	note(t, "list", path, all.cnt, 0, err);
	for (size_t i = 0; i < all.cnt; i++) {
		if (!err) {
			note(t, "listed", all.names[i], 0, 0, 0);
			err = fn(ctx, all.names[i]);
		}
		free(all.names[i]);
	}
	return err;
}

static int t_map(struct disk *d, int fd, size_t len, void **ret)
{
	struct tracer *t = tr(d);

	return (int)note(t, "map", name(t, fd), len, 0, t->under->ops->map(t->under, fd, len, ret));
}

static void t_unmap(struct disk *d, void *mem, size_t len)
{
	struct tracer *t = tr(d);

	note(t, "unmap", "-", len, 0, 0);
	t->under->ops->unmap(t->under, mem, len);
}

static int t_lock(struct disk *d, int fd)
{
	struct tracer *t = tr(d);

	return (int)note(t, "lock", name(t, fd), 0, 0, t->under->ops->lock(t->under, fd));
}

static int t_space(struct disk *d, struct disk_space *ret)
{
	struct tracer *t = tr(d);

	return (int)note(t, "space", ".", 0, 0, t->under->ops->space(t->under, ret));
}

static int t_boot_id(struct disk *d, uint8_t ret[16])
{
	struct tracer *t = tr(d);

	return (int)note(t, "boot_id", "-", 0, 0, t->under->ops->boot_id(t->under, ret));
}

static int t_random(struct disk *d, void *buf, size_t len)
{
	struct tracer *t = tr(d);

	for (size_t i = 0; i < len; i++) {
		t->rng = t->rng * 6364136223846793005ULL + 1442695040888963407ULL;
		((uint8_t *)buf)[i] = (uint8_t)(t->rng >> 40);
	}
	return (int)note(t, "random", "-", len, 0, 0);
}

static int t_submit(struct disk *d, struct disk_req *req)
{
	static const char *const OPS[] = { "READ",	   "WRITE",	 "FDATASYNC",
					   "SYNC_SEGMENT", "WRITE_SYNC", "WRITE_OUT" };
	struct tracer *t = tr(d);
	int err = t->under->ops->submit(t->under, req);

	note(t, OPS[req->op], name(t, req->fd), req->pos, req->len, err);
	if (req->op == DISK_OP_SYNC_SEGMENT) {
		note(t, "  and", name(t, req->fd2), 0, 0, 0);
		note(t, "  and", req->dir ? req->dir : "-", req->dir2 != NULL, 0, 0);
	}
	if (!err) {
		assert_true(t->sent - t->given < FLIGHT);
		t->arrived[t->sent % FLIGHT] = false;
		t->flight[t->sent++ % FLIGHT] = req;
	}
	return err;
}

/* Waits for the oldest request. */
static struct disk_req *t_reap(struct disk *d)
{
	struct tracer *t = tr(d);
	struct disk_req *req;

	if (t->given == t->sent)
		return NULL;
	while (!t->arrived[t->given % FLIGHT]) {
		req = t->under->ops->reap(t->under);
		if (!req && t->real) {
			struct pollfd p = { .fd = io_disk_event_fd(t->under), .events = POLLIN };

			assert_int_equal(poll(&p, 1, 10000), 1);
			io_disk_ack(t->under);
			continue;
		}
		assert_non_null(req);
		for (unsigned i = t->given; i != t->sent; i++)
			if (t->flight[i % FLIGHT] == req)
				t->arrived[i % FLIGHT] = true;
	}
	req = t->flight[t->given++ % FLIGHT];
	note(t, "done", name(t, req->fd), req->pos, req->len, req->res);
	return req;
}

static bool t_is_warm(struct disk *d, int fd, uint64_t pos, size_t len)
{
	return true;
}

static int t_os_fd(struct disk *d, int fd)
{
	return -1;
}

static int t_drop(struct disk *d, int fd)
{
	struct tracer *t = tr(d);

	note(t, "drop", name(t, fd), 0, 0, 0);
	return t->under->ops->drop ? t->under->ops->drop(t->under, fd) : 0;
}

static const struct disk_ops TRACING = {
	.open = t_open,
	.close = t_close,
	.read = t_read,
	.writev = t_writev,
	.truncate = t_truncate,
	.allocate = t_allocate,
	.fsync = t_fsync,
	.stat = t_stat,
	.fstat = t_fstat,
	.rename = t_rename,
	.unlink = t_unlink,
	.mkdir = t_mkdir,
	.rmdir = t_rmdir,
	.sync_dir = t_sync_dir,
	.list = t_list,
	.map = t_map,
	.unmap = t_unmap,
	.lock = t_lock,
	.space = t_space,
	.boot_id = t_boot_id,
	.random = t_random,
	.submit = t_submit,
	.reap = t_reap,
	.is_warm = t_is_warm,
	.os_fd = t_os_fd,
	.drop = t_drop,
};

static void pump(struct store *s, struct disk *d)
{
	struct store_event e;
	struct disk_req *req;

	store_kick(s);
	while ((req = disk_reap(d)))
		store_on_disk(s, req);
	for (store_next_event(s, &e); e.kind != STORE_NONE; store_next_event(s, &e)) {
		assert_int_not_equal(e.kind, STORE_FAILED);
		assert_int_equal(e.err, 0);
	}
}

static void append(struct store *s, struct plog *p, unsigned i)
{
	char value[400];
	struct iovec iov = { .iov_base = value, .iov_len = 1 + i * 37 % 390 };
	struct plog_appended a;

	memset(value, 'a' + (int)(i % 26), iov.iov_len);
	value[iov.iov_len - 1] = '\n';
	assert_int_equal(store_append_lines(s, p, NOW_MS, &iov, 1, iov.iov_len, 1, i % 3, &a), 0);
}

/* Appends, fsyncs, rolls, retention, cleaning, checkpoints, a deletion and a stop, clean or not. */
static void life(struct disk *d, unsigned number, bool clean)
{
	static const uint8_t id[16] = { 4, 2 };
	struct store_config sc = { .journal_bytes = 1024 * 1024,
				   .retention_check_ms = 100,
				   .dirty_bytes_max = 8192,
				   .clean_check_ms = 100 };
	struct plog_config pc = { .segment_bytes = 4000,
				  .segment_ms = -1,
				  .retention_ms = -1,
				  .retention_bytes = 9000,
				  .index_interval_bytes = 512 };
	struct store_open_report rep;
	struct plog *plogs[3];
	int64_t mono_ms = 1000;
	struct store_stats st;
	struct store *s;

	assert_int_equal(store_open(d, &sc, NOW_MS, &s, &rep), 0);
	for (unsigned i = 0; i < 3; i++) {
		pc.compact = i == 1;
		assert_int_equal(
			store_plog(s, "orders", id, i, &pc, i < 2 || number != 1, &plogs[i]),
			number == 1 && i == 2 ? -ENOENT : 0);
	}
	for (unsigned i = 0; i < 90; i++) {
		struct plog *p = plogs[i % 2];

		append(s, p, i);
		if (i % 5 == 0) {
			int err = store_fsync(s, p, NOW_MS, i << 1);

			assert_true(!err || err == -EINPROGRESS);
			pump(s, d);
		}
		store_tick(s, NOW_MS, mono_ms += 17);
		pump(s, d);
	}
	if (number == 0)
		assert_int_equal(store_delete(s, "orders", id, 2), 0);
	pump(s, d);
	store_stats(s, &st);
	assert_true(st.segments_cleaned > 0);
	if (clean)
		assert_int_equal(store_close(s), 0);
	else
		store_free(s);
}

static void trace_lives(struct tracer *t)
{
	t->disk.ops = &TRACING;
	t->rng = 1;
	for (unsigned i = 0; i < 3; i++)
		life(&t->disk, i, i != 1);
	assert_int_equal(buf_err(&t->out), 0);
	buf_put_u8(&t->out, 0);
}

/* Fails with the first lines that differ. */
static void compare(const char *sim, const char *real)
{
	unsigned line = 1;
	size_t begin = 0, i = 0;

	for (; sim[i] == real[i]; i++) {
		if (!sim[i])
			return;
		if (sim[i] == '\n') {
			line++;
			begin = i + 1;
		}
	}
	fail_msg("call %u: simulated \"%.*s\", real \"%.*s\"", line,
		 (int)strcspn(sim + begin, "\n"), sim + begin, (int)strcspn(real + begin, "\n"),
		 real + begin);
}

static int remove_below(void *ctx, const char *n)
{
	struct disk *d = ctx;
	struct disk_stat st;
	struct names all = { .cnt = 0 };
	char path[300];
	int err = disk_stat(d, n, &st);

	if (err || !st.is_dir)
		return err ? err : disk_unlink(d, n);
	err = disk_list(d, n, names_add, &all);
	for (size_t i = 0; i < all.cnt; i++) {
		snprintf(path, sizeof(path), "%s/%s", n, all.names[i]);
		err = err ? err : disk_unlink(d, path);
		free(all.names[i]);
	}
	return err ? err : disk_rmdir(d, n);
}

static void test_both_disks_see_the_same_calls(void **state)
{
	struct tracer *sim = calloc(1, sizeof(*sim)), *real = calloc(1, sizeof(*real));
	struct simdisk *sd = simdisk_new(1);
	struct io_disk_config c = { .threads = 2 };
	char dir[] = "same_calls.XXXXXX";
	int fd;

	assert_true(sim && real && sd);
	assert_non_null(mkdtemp(dir));
	assert_int_equal(io_disk_open(dir, &c, &real->under), 0);
	real->real = true;
	/* Where the real one has no O_DIRECT, neither has the other. */
	if (disk_open(real->under, "probe", DISK_CREATE | DISK_DIRECT, &fd))
		simdisk_refuse_direct(sd, true);
	else
		assert_int_equal(disk_close(real->under, fd), 0);
	assert_int_equal(disk_unlink(real->under, "probe"), 0);
	sim->under = simdisk_disk(sd);
	trace_lives(sim);
	trace_lives(real);
	compare((char *)sim->out.data, (char *)real->out.data);
	assert_true(sim->out.len > 20000);
	assert_int_equal(disk_list(real->under, ".", remove_below, real->under), 0);
	io_disk_free(real->under);
	assert_int_equal(rmdir(dir), 0);
	simdisk_free(sd);
	buf_fini(&sim->out);
	buf_fini(&real->out);
	free(sim);
	free(real);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_disks_see_the_same_calls),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

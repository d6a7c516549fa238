/* The real disk in a directory of its own, with io_uring and O_DIRECT and with both refused. */
#include "daemon/base/log.h"
#include "daemon/io/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
	struct disk *d;
	bool refused;
	char dir[32];
};

static int setup_with(void **state, bool refused)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct io_disk_config c = { .refuse_io_uring = refused, .refuse_direct = refused };

	assert_non_null(f);
	f->refused = refused;
	strcpy(f->dir, "io_disk.XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	assert_int_equal(io_disk_open(f->dir, &c, &f->d), 0);
	*state = f;
	return 0;
}

static int setup(void **state)
{
	return setup_with(state, false);
}

static int setup_refused(void **state)
{
	return setup_with(state, true);
}

static int remove_name(void *ctx, const char *name)
{
	return disk_unlink(ctx, name);
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(disk_list(f->d, ".", remove_name, f->d), 0);
	io_disk_free(f->d);
	assert_int_equal(rmdir(f->dir), 0);
	free(f);
	return 0;
}

/* Waits for a request as the broker's loop does. */
static void finish(struct fixture *f, struct disk_req *req)
{
	struct pollfd p = { .fd = io_disk_event_fd(f->d), .events = POLLIN };

	assert_int_equal(disk_submit(f->d, req), 0);
	for (;;) {
		struct disk_req *got;

		assert_int_equal(poll(&p, 1, 10000), 1);
		io_disk_ack(f->d);
		got = disk_reap(f->d);
		if (!got)
			continue;
		assert_ptr_equal(got, req);
		assert_null(disk_reap(f->d));
		assert_false(io_disk_has_finished(f->d));
		return;
	}
}

static int open_new(struct fixture *f, const char *path)
{
	int fd;

	assert_int_equal(disk_open(f->d, path, DISK_CREATE | DISK_EXCL, &fd), 0);
	return fd;
}

static void test_plain_calls(void **state)
{
	struct fixture *f = *state;
	struct disk_stat st;
	struct disk_space space;
	char buf[16];
	int fd = open_new(f, "a"), other;
	struct iovec iov[2] = { { (void *)"hello", 5 }, { (void *)" you", 4 } };

	assert_int_equal(disk_open(f->d, "a", DISK_CREATE | DISK_EXCL, &other), -EEXIST);
	assert_int_equal(disk_open(f->d, "b", 0, &other), -ENOENT);
	assert_int_equal(disk_writev(f->d, fd, iov, 2, 3), 0);
	assert_int_equal(disk_read(f->d, fd, buf, sizeof(buf), 3), 9);
	assert_memory_equal(buf, "hello you", 9);
	assert_int_equal(disk_read_full(f->d, fd, buf, sizeof(buf), 3), -EBADMSG);
	assert_int_equal(disk_truncate(f->d, fd, 5), 0);
	assert_int_equal(disk_allocate(f->d, fd, 0, 1 << 20), 0);
	assert_int_equal(disk_fstat(f->d, fd, &st), 0);
	assert_int_equal(st.size, 5);
	assert_int_equal(disk_fsync(f->d, fd), 0);
	assert_int_equal(disk_drop(f->d, fd), 0);
	assert_int_equal(disk_mkdir(f->d, "dir"), 0);
	assert_int_equal(disk_stat(f->d, "dir", &st), 0);
	assert_true(st.is_dir);
	assert_int_equal(disk_rename(f->d, "a", "dir/a"), 0);
	assert_int_equal(disk_sync_dir(f->d, "dir"), 0);
	assert_int_equal(disk_rmdir(f->d, "dir"), -ENOTEMPTY);
	assert_int_equal(disk_unlink(f->d, "dir/a"), 0);
	assert_int_equal(disk_rmdir(f->d, "dir"), 0);
	assert_int_equal(disk_space(f->d, &space), 0);
	assert_true(space.total_bytes > space.free_bytes && space.free_bytes > 0);
	assert_int_equal(disk_close(f->d, fd), 0);
}

/* A fifo would wait for its other end. */
static void test_what_is_no_file_is_not_opened(void **state)
{
	static const unsigned flags[] = { 0, DISK_CREATE, DISK_RDONLY };
	struct fixture *f = *state;
	char path[64];
	int fd;

	snprintf(path, sizeof(path), "%s/fifo", f->dir);
	assert_int_equal(mkfifo(path, 0600), 0);
	snprintf(path, sizeof(path), "%s/link", f->dir);
	assert_int_equal(symlink("/dev/zero", path), 0);
	assert_int_equal(disk_mkdir(f->d, "dir"), 0);
	for (unsigned i = 0; i < ARRAY_CNT(flags); i++) {
		assert_int_equal(disk_open(f->d, "fifo", flags[i], &fd), -ENODEV);
		assert_int_equal(disk_open(f->d, "link", flags[i], &fd), -ELOOP);
		assert_int_equal(disk_open(f->d, "dir", flags[i], &fd), -EISDIR);
	}
	assert_int_equal(disk_rmdir(f->d, "dir"), 0);
}

static void test_a_lock_keeps_others_out(void **state)
{
	struct fixture *f = *state;
	int a = open_new(f, "lock"), b;

	assert_int_equal(disk_open(f->d, "lock", 0, &b), 0);
	assert_int_equal(disk_lock(f->d, a), 0);
	assert_int_equal(disk_lock(f->d, b), -EWOULDBLOCK);
	assert_int_equal(disk_close(f->d, a), 0);
	assert_int_equal(disk_lock(f->d, b), 0);
	assert_int_equal(disk_close(f->d, b), 0);
}

static void test_a_mapping_is_the_file(void **state)
{
	struct fixture *f = *state;
	int fd = open_new(f, "map");
	char zeros[4096] = { 0 }, got[4];
	void *mem;

	assert_int_equal(disk_write(f->d, fd, zeros, sizeof(zeros), 0), 0);
	assert_int_equal(disk_map(f->d, fd, 4096, &mem), 0);
	memcpy((char *)mem + 100, "abcd", 4);
	assert_int_equal(disk_read_full(f->d, fd, got, 4, 100), 0);
	assert_memory_equal(got, "abcd", 4);
	disk_unmap(f->d, mem, 4096);
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void test_requests(void **state)
{
	struct fixture *f = *state;
	char text[] = "durable", got[8];
	int fd = open_new(f, "data"), fd2 = open_new(f, "meta");
	struct disk_req req = {
		.op = DISK_OP_WRITE_SYNC, .fd = fd, .buf = text, .len = 7, .pos = 2
	};

	finish(f, &req);
	assert_int_equal(req.res, 7);
	assert_int_equal(disk_read_full(f->d, fd, got, 7, 2), 0);
	assert_memory_equal(got, text, 7);
	req = (struct disk_req){ .op = DISK_OP_FDATASYNC, .fd = fd };
	finish(f, &req);
	assert_int_equal(req.res, 0);
	req = (struct disk_req){
		.op = DISK_OP_SYNC_SEGMENT, .fd = fd, .fd2 = fd2, .dir = ".", .dir2 = "."
	};
	finish(f, &req);
	assert_int_equal(req.res, 0);
	req = (struct disk_req){ .op = DISK_OP_SYNC_SEGMENT, .fd = fd, .fd2 = fd2, .dir = "none" };
	finish(f, &req);
	assert_int_equal(req.res, -ENOENT);
	req = (struct disk_req){ .op = DISK_OP_WRITE_OUT, .fd = fd, .len = 9 };
	finish(f, &req);
	assert_int_equal(req.res, 0);
	req = (struct disk_req){ .op = DISK_OP_READ, .fd = fd, .len = 9 };
	finish(f, &req);
	assert_int_equal(req.res, 9);
	assert_true(disk_is_warm(f->d, fd, 0, 9));
	assert_int_equal(disk_close(f->d, fd), 0);
	assert_int_equal(disk_close(f->d, fd2), 0);
}

static void test_direct_writes_and_reads(void **state)
{
	struct fixture *f = *state;
	uint8_t *mem = aligned_alloc(4096, 8192);
	struct disk_req req;
	int fd, err = disk_open(f->d, "ring", DISK_CREATE | DISK_DIRECT, &fd);

	assert_non_null(mem);
	if (f->refused)
		assert_int_equal(err, -EINVAL);
	if (err)
		assert_int_equal(disk_open(f->d, "ring", DISK_CREATE, &fd), 0);
	/* A write alone makes it stable: nothing syncs the ring. */
	if (!err)
		assert_int_equal(fcntl(disk_os_fd(f->d, fd), F_GETFL) & O_DSYNC, O_DSYNC);
	memset(mem, 'x', 8192);
	req = (struct disk_req){ .op = DISK_OP_WRITE, .fd = fd, .buf = mem, .len = 8192 };
	finish(f, &req);
	assert_int_equal(req.res, 8192);
	memset(mem, 0, 8192);
	req = (struct disk_req){
		.op = DISK_OP_READ, .fd = fd, .buf = mem, .len = 4096, .pos = 4096
	};
	finish(f, &req);
	assert_int_equal(req.res, 4096);
	assert_int_equal(mem[0], 'x');
	assert_int_equal(mem[4096], 0);
	free(mem);
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void test_many_requests_come_back_once_each(void **state)
{
	struct fixture *f = *state;
	static struct disk_req reqs[500];
	unsigned sent = 0, done = 0;
	int fd = open_new(f, "many");
	char byte = 'b';

	assert_int_equal(disk_write(f->d, fd, &byte, 1, 0), 0);
	memset(reqs, 0, sizeof(reqs));
	while (done < ARRAY_CNT(reqs)) {
		struct disk_req *got;

		while (sent < ARRAY_CNT(reqs)) {
			reqs[sent] = (struct disk_req){ .op = sent % 2 ? DISK_OP_READ
								       : DISK_OP_WRITE_OUT,
							.fd = fd,
							.len = 1 };
			if (disk_submit(f->d, &reqs[sent]) == -EAGAIN)
				break;
			sent++;
		}
		got = disk_reap(f->d);
		if (!got)
			continue;
		assert_null(got->ctx);
		got->ctx = got;
		assert_int_equal(got->res, got->op == DISK_OP_READ);
		done++;
	}
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void test_cold_bytes_are_told(void **state)
{
	struct fixture *f = *state;
	char block[4096] = "cold";
	struct disk_req req;
	int fd = open_new(f, "cold");
	ssize_t n;

	assert_int_equal(disk_write(f->d, fd, block, sizeof(block), 0), 0);
	assert_int_equal(disk_fsync(f->d, fd), 0);
	assert_int_equal(disk_drop(f->d, fd), 0);
	f->d->nowait = true;
	n = disk_read(f->d, fd, block, sizeof(block), 0);
	/* A file system that keeps everything in memory has nothing cold. */
	if (n == -EAGAIN) {
		assert_int_equal(f->d->cold.fd, fd);
		assert_int_equal(f->d->cold.pos, 0);
		assert_int_equal(f->d->cold.len, sizeof(block));
		req = (struct disk_req){ .op = DISK_OP_READ, .fd = fd, .len = sizeof(block) };
		finish(f, &req);
		n = disk_read(f->d, fd, block, sizeof(block), 0);
	}
	assert_int_equal(n, sizeof(block));
	assert_string_equal(block, "cold");
	f->d->nowait = false;
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void test_boot_id_stays(void **state)
{
	struct fixture *f = *state;
	uint8_t a[16], b[16], none[16] = { 0 };

	assert_int_equal(disk_boot_id(f->d, a), 0);
	assert_int_equal(disk_boot_id(f->d, b), 0);
	assert_memory_equal(a, b, 16);
	assert_memory_not_equal(a, none, 16);
	assert_int_equal(disk_random(f->d, a, 16), 0);
	assert_int_equal(disk_random(f->d, b, 16), 0);
	assert_memory_not_equal(a, b, 16);
}

/* Or who tries again with room would meet it. */
static void test_a_file_beyond_the_limit_is_not_made(void **state)
{
	struct io_disk_config c = { .refuse_io_uring = true };
	char dir[] = "io_disk.XXXXXX", name[16];
	struct rlimit was, few;
	int fds[256], cnt = 0, fd;
	struct disk *d;

	(void)state;
	assert_non_null(mkdtemp(dir));
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &was), 0);
	few = (struct rlimit){ .rlim_cur = 200, .rlim_max = was.rlim_max };
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &few), 0);
	assert_int_equal(io_disk_open(dir, &c, &d), 0);
	do {
		snprintf(name, sizeof(name), "%d", cnt);
		assert_true(cnt < 256);
		fd = disk_open(d, name, DISK_CREATE | DISK_EXCL, &fds[cnt]);
	} while (!fd && ++cnt);
	assert_int_equal(fd, -EMFILE);
	assert_int_equal(disk_unlink(d, name), -ENOENT);
	while (cnt--) {
		snprintf(name, sizeof(name), "%d", cnt);
		assert_int_equal(disk_close(d, fds[cnt]), 0);
		assert_int_equal(disk_unlink(d, name), 0);
	}
	io_disk_free(d);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &was), 0);
	assert_int_equal(rmdir(dir), 0);
}

/* Below what is open: it must not fail, since nothing has failed yet. */
static void test_directories_are_synced_without_a_descriptor(void **state)
{
	struct fixture *f = *state;
	struct disk_req req = { .op = DISK_OP_SYNC_SEGMENT, .dir = "sub", .dir2 = "." };
	struct rlimit lim, low;
	int fd = open_new(f, "data");

	req.fd = req.fd2 = fd;
	assert_int_equal(disk_mkdir(f->d, "sub"), 0);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &lim), 0);
	low = lim;
	low.rlim_cur = 3;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	assert_int_equal(disk_sync_dir(f->d, "."), 0);
	assert_int_equal(disk_sync_dir(f->d, "sub"), 0);
	assert_int_equal(disk_sync_dir(f->d, "missing"), -ENOENT);
	finish(f, &req);
	assert_int_equal(req.res, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &lim), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	assert_int_equal(disk_rmdir(f->d, "sub"), 0);
}

static void test_a_missing_directory_is_refused(void **state)
{
	struct io_disk_config c = { 0 };
	struct disk *d = NULL;

	assert_int_equal(io_disk_open("/nonexistent/data", &c, &d), -ENOENT);
	assert_null(d);
	io_disk_free(NULL);
}

#define BOTH(test)                                                                                 \
	cmocka_unit_test_setup_teardown(test, setup, teardown),                                    \
		cmocka_unit_test_setup_teardown(test, setup_refused, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		BOTH(test_plain_calls),
		BOTH(test_what_is_no_file_is_not_opened),
		BOTH(test_a_lock_keeps_others_out),
		BOTH(test_a_mapping_is_the_file),
		BOTH(test_requests),
		BOTH(test_direct_writes_and_reads),
		BOTH(test_many_requests_come_back_once_each),
		BOTH(test_cold_bytes_are_told),
		BOTH(test_boot_id_stays),
		BOTH(test_directories_are_synced_without_a_descriptor),
		cmocka_unit_test(test_a_file_beyond_the_limit_is_not_made),
		cmocka_unit_test(test_a_missing_directory_is_refused),
	};
	const char *tmp = getenv("TMPDIR");

	log_set_level(LOG_NONE);
	if (chdir(tmp ? tmp : "/tmp"))
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * An overlay shows every change that is made through it, and makes none below.
 */
#include "daemon/io/disk.h"
#include "daemon/store/overlay.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#define BIG 20000U

struct env {
	char dir[64];
	struct disk *lower, *disk;
};

static int open_file(struct disk *d, const char *path, unsigned flags)
{
	int fd = -1;

	assert_int_equal(disk_open(d, path, flags, &fd), 0);
	return fd;
}

static void put(struct disk *d, const char *path, const void *data, size_t len, uint64_t pos)
{
	int fd = open_file(d, path, DISK_CREATE);

	assert_int_equal(disk_write(d, fd, data, len, pos), 0);
	assert_int_equal(disk_close(d, fd), 0);
}

/* The file's bytes, or NULL where it is not there; *ret_len of them. Freed by the caller. */
static uint8_t *get(struct disk *d, const char *path, size_t *ret_len)
{
	uint8_t *mem = malloc(4 * BIG);
	ssize_t n;
	int fd;

	assert_non_null(mem);
	if (disk_open(d, path, DISK_RDONLY, &fd)) {
		free(mem);
		return NULL;
	}
	n = disk_read(d, fd, mem, 4 * BIG, 0);
	assert_true(n >= 0);
	assert_int_equal(disk_close(d, fd), 0);
	*ret_len = (size_t)n;
	return mem;
}

static void assert_bytes(struct disk *d, const char *path, const void *data, size_t len)
{
	size_t got_len = 0;
	uint8_t *got = get(d, path, &got_len);

	assert_non_null(got);
	assert_int_equal(got_len, len);
	assert_memory_equal(got, data, len);
	free(got);
}

static int setup(void **state)
{
	const struct io_disk_config config = { .refuse_io_uring = true, .threads = 1 };
	struct env *e = calloc(1, sizeof(*e));
	uint8_t *big = malloc(BIG);

	assert_non_null(e);
	assert_non_null(big);
	for (size_t i = 0; i < BIG; i++)
		big[i] = (uint8_t)(i / 7);
	snprintf(e->dir, sizeof(e->dir), "/tmp/test_overlay.XXXXXX");
	assert_non_null(mkdtemp(e->dir));
	assert_int_equal(io_disk_open(e->dir, &config, &e->lower), 0);
	assert_int_equal(disk_mkdir(e->lower, "d"), 0);
	put(e->lower, "d/big", big, BIG, 0);
	put(e->lower, "small", "small", 5, 0);
	e->disk = overlay_new(e->lower);
	assert_non_null(e->disk);
	free(big);
	*state = e;
	return 0;
}

/* Below, all is as setup() made it. */
static int teardown(void **state)
{
	struct env *e = *state;
	size_t len = 0;
	uint8_t *big;
	struct disk_stat st;

	overlay_free(e->disk);
	assert_bytes(e->lower, "small", "small", 5);
	big = get(e->lower, "d/big", &len);
	assert_int_equal(len, BIG);
	for (size_t i = 0; i < BIG; i++)
		assert_int_equal(big[i], (uint8_t)(i / 7));
	free(big);
	assert_int_equal(disk_stat(e->lower, "new", &st), -ENOENT);
	assert_int_equal(disk_unlink(e->lower, "d/big"), 0);
	assert_int_equal(disk_rmdir(e->lower, "d"), 0);
	assert_int_equal(disk_unlink(e->lower, "small"), 0);
	io_disk_free(e->lower);
	/* Nothing else was in it. */
	assert_int_equal(rmdir(e->dir), 0);
	free(e);
	return 0;
}

/* Writes and cuts at random places give what they give on a plain array. */
static void test_model(void **state)
{
	struct env *e = *state;
	uint8_t *model = calloc(1, 4 * BIG);
	size_t len = BIG;
	uint32_t rnd = 12345;
	int fd = open_file(e->disk, "d/big", 0);

	assert_non_null(model);
	for (size_t i = 0; i < BIG; i++)
		model[i] = (uint8_t)(i / 7);
	for (unsigned step = 0; step < 400; step++) {
		size_t pos, n;

		rnd = rnd * 1664525 + 1013904223;
		pos = (rnd >> 8) % (2 * BIG);
		rnd = rnd * 1664525 + 1013904223;
		n = (rnd >> 8) % 9000;
		if (rnd % 5 == 0) {
			assert_int_equal(disk_truncate(e->disk, fd, pos), 0);
			if (pos < len)
				memset(model + pos, 0, len - pos);
			len = pos;
		} else if (n) {
			uint8_t bytes[9000];

			memset(bytes, (int)step, n);
			assert_int_equal(disk_write(e->disk, fd, bytes, n, pos), 0);
			memcpy(model + pos, bytes, n);
			len = MAX(len, pos + n);
		}
		assert_bytes(e->disk, "d/big", model, len);
	}
	assert_int_equal(disk_close(e->disk, fd), 0);
	assert_bytes(e->disk, "d/big", model, len);
	free(model);
}

struct names {
	char all[256];
};

static int on_name(void *ctx, const char *name)
{
	struct names *n = ctx;
	size_t len = strlen(n->all);

	snprintf(n->all + len, sizeof(n->all) - len, "<%s>", name);
	return 0;
}

static void assert_list(struct disk *d, const char *dir, const char *yes, const char *no)
{
	struct names n = { "" };

	assert_int_equal(disk_list(d, dir, on_name, &n), 0);
	assert_non_null(strstr(n.all, yes));
	if (no)
		assert_null(strstr(n.all, no));
	/* Each name once. */
	assert_null(strstr(strstr(n.all, yes) + 1, yes));
}

static void test_names(void **state)
{
	struct env *e = *state;
	struct disk_stat st;
	int fd;

	put(e->disk, "d/new", "12", 2, 0);
	assert_list(e->disk, "d", "<new>", NULL);
	assert_list(e->disk, "d", "<big>", NULL);
	assert_int_equal(disk_unlink(e->disk, "d/big"), 0);
	assert_list(e->disk, "d", "<new>", "<big>");
	assert_int_equal(disk_stat(e->disk, "d/big", &st), -ENOENT);
	assert_int_equal(disk_open(e->disk, "d/big", 0, &fd), -ENOENT);
	put(e->disk, "d/big", "again", 5, 0);
	assert_bytes(e->disk, "d/big", "again", 5);

	assert_int_equal(disk_rename(e->disk, "small", "d/new"), 0);
	assert_bytes(e->disk, "d/new", "small", 5);
	assert_int_equal(disk_stat(e->disk, "small", &st), -ENOENT);
	put(e->disk, "small", "other", 5, 0);
	assert_int_equal(disk_rename(e->disk, "d/new", "small"), 0);
	assert_bytes(e->disk, "small", "small", 5);
	assert_list(e->disk, ".", "<small>", "<new>");

	assert_int_equal(disk_mkdir(e->disk, "new"), 0);
	assert_int_equal(disk_mkdir(e->disk, "new"), -EEXIST);
	put(e->disk, "new/x", "x", 1, 0);
	assert_list(e->disk, "new", "<x>", NULL);
	assert_list(e->disk, ".", "<new>", "<x>");
	assert_int_equal(disk_open(e->disk, "new/x", DISK_CREATE | DISK_EXCL, &fd), -EEXIST);
}

/* Who has a file open keeps it when its name goes. */
static void test_open_unlinked(void **state)
{
	struct env *e = *state;
	char bytes[8] = "";
	int fd = open_file(e->disk, "small", 0);

	assert_int_equal(disk_unlink(e->disk, "small"), 0);
	put(e->disk, "small", "fresh", 5, 0);
	assert_int_equal(disk_read(e->disk, fd, bytes, 8, 0), 5);
	assert_string_equal(bytes, "small");
	assert_int_equal(disk_close(e->disk, fd), 0);
	assert_bytes(e->disk, "small", "fresh", 5);
}

/* A mapping is a copy; syncs and locks are granted, requests are not. */
static void test_rest(void **state)
{
	struct env *e = *state;
	struct disk_req req = { .op = DISK_OP_FDATASYNC };
	int fd = open_file(e->disk, "small", 0);
	void *mem;

	assert_int_equal(disk_map(e->disk, fd, 5, &mem), 0);
	assert_memory_equal(mem, "small", 5);
	memset(mem, 'x', 5);
	disk_unmap(e->disk, mem, 5);
	assert_int_equal(disk_map(e->disk, fd, 6, &mem), -EINVAL);
	assert_int_equal(disk_fsync(e->disk, fd), 0);
	assert_int_equal(disk_lock(e->disk, fd), 0);
	assert_int_equal(disk_submit(e->disk, &req), -EOPNOTSUPP);
	assert_int_equal(disk_close(e->disk, fd), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_model, setup, teardown),
		cmocka_unit_test_setup_teardown(test_names, setup, teardown),
		cmocka_unit_test_setup_teardown(test_open_unlinked, setup, teardown),
		cmocka_unit_test_setup_teardown(test_rest, setup, teardown),
	};

	cmocka_set_message_output(CM_OUTPUT_TAP);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

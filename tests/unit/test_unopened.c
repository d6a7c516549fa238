/*
 * What the store tells of logs that are not open: whenever it tells their ends, opening them finds
 * the same; and what was synced, or a clean stop has seen, is told.
 */
#include "tests/lib/store_fixture.h"

#include <sys/uio.h>

#define SEEDS 600
#define PARTS 4U

static bool ends(struct fixture *f, uint32_t partition, int64_t *ret_end)
{
	int64_t start = -1;

	return store_ends(f->s, "orders", ID, partition, &start, ret_end);
}

static void assert_end(struct fixture *f, uint32_t partition, int64_t want)
{
	int64_t end = -1;

	assert_true(ends(f, partition, &end));
	assert_int_equal(end, want);
	assert_int_equal(plog_ok(f, partition, &PLOG)->next_offset, want);
}

static void two_lines(struct fixture *f)
{
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "one\n"), 0);
	assert_int_equal(append(f, p, "two\n"), 0);
}

/* What nobody syncs is synced in place at an age, and the checkpoint tells it. */
static void settle(struct fixture *f)
{
	tick(f, 31000);
	tick(f, 6000);
	tick(f, 1);
}

static void test_a_clean_stop_tells_the_ends(void **state)
{
	struct fixture *f = *state;

	two_lines(f);
	close_ok(f);
	open_ok(f);
	assert_end(f, 0, 2);
	assert_end(f, 1, 0);
}

/* Also where it was another life that had it open, and that is killed, too. */
static void test_a_kill_leaves_the_ends_of_what_was_synced(void **state)
{
	struct fixture *f = *state;

	two_lines(f);
	settle(f);
	for (unsigned i = 0; i < 2; i++) {
		simdisk_kill(f->sim);
		bury(f);
		open_ok(f);
	}
	assert_end(f, 0, 2);
}

static void test_what_was_not_synced_is_looked_for(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"three\n", 6 };
	struct plog_appended a;
	int64_t end;

	for (unsigned late = 0; late < 2; late++) {
		two_lines(f);
		settle(f);
		assert_int_equal(store_append_lines(f->s, plog_ok(f, 0, &PLOG), NOW, &iov, 1, 6, 1,
						    late, &a),
				 0);
		simdisk_kill(f->sim);
		bury(f);
		open_ok(f);
		assert_false(ends(f, 0, &end));
		assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 3 * (late + 1));
		close_ok(f);
	}
}

static void test_a_file_that_is_shorter_is_looked_at(void **state)
{
	struct fixture *f = *state;
	int64_t end;
	int fd;

	two_lines(f);
	settle(f);
	simdisk_kill(f->sim);
	bury(f);
	assert_int_equal(disk_open(f->d, "orders-0/00000000000000000000.data", 0, &fd), 0);
	assert_int_equal(disk_truncate(f->d, fd, 5), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	open_ok(f);
	assert_false(ends(f, 0, &end));
}

static void test_of_an_open_log_nothing_is_told(void **state)
{
	struct fixture *f = *state;
	int64_t end;

	two_lines(f);
	assert_false(ends(f, 0, &end));
}

static uint64_t next(uint64_t *seed)
{
	*seed = *seed * 6364136223846793005U + 1442695040888963407U;
	return *seed >> 33;
}

/* One thing happens: lines of several kinds, an fsync, time. */
static void act(struct fixture *f, uint64_t *seed)
{
	struct plog *p = plog_ok(f, (uint32_t)(next(seed) % PARTS), &PLOG);
	char line[700];
	struct iovec iov = { line, 1 + next(seed) % sizeof(line) };
	struct plog_appended a;

	memset(line, 'x', sizeof(line));
	line[iov.iov_len - 1] = '\n';
	switch (next(seed) % 6) {
	case 0:
	case 1:
	case 2:
		assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, iov.iov_len, 1,
						    next(seed) % 2, &a),
				 0);
		break;
	case 3:
		if (store_fsync(f->s, p, NOW, 1) == -EINPROGRESS && next(seed) % 2)
			pump(f);
		break;
	case 4:
		tick(f, (int64_t)(next(seed) % 3) * 16000 + 6);
		break;
	case 5:
		pump(f);
		break;
	}
}

static void compare(struct fixture *f, unsigned *told)
{
	for (uint32_t i = 0; i < PARTS; i++) {
		int64_t start = -1, end = -1;
		bool is_told = store_ends(f->s, "orders", ID, i, &start, &end);
		struct plog *p = plog_ok(f, i, &PLOG);

		if (!is_told)
			continue;
		assert_int_equal(start, p->start_offset);
		assert_int_equal(end, p->next_offset);
		*told += end > 0;
	}
}

static void test_what_is_told_is_what_opening_finds(void **state)
{
	struct fixture *f = *state;
	unsigned told[3] = { 0 }, how = 0; /* a clean stop, a kill, a power loss */

	for (uint64_t s = 1; s <= SEEDS; s++) {
		uint64_t seed = s;

		open_ok(f);
		compare(f, &told[how]);
		how = (unsigned)(next(&seed) % 3);
		for (uint64_t n = next(&seed) % 24; n; n--)
			act(f, &seed);
		assert_int_equal(f->failed, 0);
		if (how == 0) {
			close_ok(f);
		} else {
			if (how == 1)
				simdisk_kill(f->sim);
			else
				simdisk_crash(f->sim, s);
			bury(f);
		}
	}
	for (unsigned i = 0; i < 3; i++)
		assert_true(told[i] > 0);
}

/* Nobody has used it yet, so there is nothing to be read: that needs no directory. */
static void test_an_unused_partition_is_read_without_room(void **state)
{
	struct fixture *f = *state;
	struct disk_stat st;
	struct plog *p;

	f->config.reserve_bytes = 0;
	open_ok(f);
	tick(f, 1);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	pump(f);
	simdisk_fill_after(f->sim, 0, true);
	for (unsigned life = 0; life < 2; life++) {
		for (uint32_t i = 1; i < 100; i++) {
			p = plog_ok(f, i, &PLOG);
			assert_int_equal(p->start_offset, 0);
			assert_int_equal(p->next_offset, 0);
		}
		assert_int_equal(append(f, p, "line\n"), -ENOSPC);
		for (unsigned i = 0; i < 10; i++)
			tick(f, 5000);
		assert_int_equal(f->failed, 0);
		assert_int_equal(disk_stat(f->d, "orders-99", &st), -ENOENT);
		if (life)
			break;
		simdisk_kill(f->sim);
		bury(f);
		open_ok(f);
	}
	simdisk_fill_after(f->sim, ~0ULL, false);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->synced, 1);
	close_ok(f);
	open_ok(f);
	assert_int_equal(plog_ok(f, 99, &PLOG)->next_offset, 1);
	assert_int_equal(plog_ok(f, 98, &PLOG)->next_offset, 0);
	assert_int_equal(disk_stat(f->d, "orders-98", &st), 0);
}

static const struct disk_ops *real_ops;

static int open_without_room(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	bool is_id = (flags & DISK_CREATE) && strstr(path, "/partition.metadata");

	return is_id ? -ENOSPC : real_ops->open(d, path, flags, ret_fd);
}

/* There was room for the directory, and none for what says whose it is. */
static void test_an_unused_partition_is_deleted_with_its_directory(void **state)
{
	struct fixture *f = *state;
	struct disk_ops ops;
	struct disk_stat st;

	open_ok(f);
	tick(f, 1);
	real_ops = f->d->ops;
	ops = *real_ops;
	ops.open = open_without_room;
	f->d->ops = &ops;
	plog_ok(f, 0, &PLOG);
	assert_int_equal(disk_stat(f->d, "orders-0", &st), 0);
	f->d->ops = real_ops;
	assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
	assert_int_equal(disk_stat(f->d, "orders-0", &st), -ENOENT);
	close_ok(f);
	assert_true(open_ok(f).clean);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_clean_stop_tells_the_ends),
		CASE(test_a_kill_leaves_the_ends_of_what_was_synced),
		CASE(test_what_was_not_synced_is_looked_for),
		CASE(test_a_file_that_is_shorter_is_looked_at),
		CASE(test_of_an_open_log_nothing_is_told),
		CASE(test_what_is_told_is_what_opening_finds),
		CASE(test_an_unused_partition_is_read_without_room),
		CASE(test_an_unused_partition_is_deleted_with_its_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

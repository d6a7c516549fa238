/*
 * What ends: partitions that are deleted, stops, lives that left something behind, lost files.
 */
#include "daemon/store/checkpoint.h"
#include "daemon/store/segment.h"
#include "tests/lib/store_fixture.h"

static bool has(struct fixture *f, const uint8_t id[16])
{
	bool is_there = false;

	assert_int_equal(store_has(f->s, "orders", id, 0, &is_there), 0);
	return is_there;
}

static void test_a_deleted_partition_is_gone(void **state)
{
	struct fixture *f = *state;
	struct plog *p;
	size_t len;
	unsigned names = 0;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_true(has(f, ID));
	assert_false(has(f, OTHER_ID));
	assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
	assert_false(has(f, ID));
	assert_null(simdisk_bytes(f->sim, "orders-0/00000000000000000000.data", &len));
	for (unsigned i = 0; i < 5; i++)
		tick(f, 100);
	assert_int_equal(disk_list(f->d, ".", count_name, &names), 0);
	/* journal, checkpoint, debts, meta.properties, clean-shutdown.new */
	assert_int_equal(names, 5);
}

static int count_gone(void *ctx, const char *name)
{
	size_t len = strlen(name);

	*(unsigned *)ctx += len > 5 && !strcmp(name + len - 5, ".gone");
	return 0;
}

static int submit_never(struct disk *d, struct disk_req *req)
{
	return -EAGAIN;
}

/* And stops no sync of others. */
static void test_a_partition_that_waits_for_its_sync_is_deleted(void **state)
{
	struct fixture *f = *state;
	const struct disk_ops *ops = f->d->ops;
	struct disk_ops busy = *ops;
	struct store_stats stats;
	struct plog *p;

	f->config.journal_bytes = 0;
	open_ok(f);
	tick(f, 1);
	busy.submit = submit_never;
	f->d->ops = &busy;
	for (uint32_t i = 0; i < 2; i++) {
		p = plog_ok(f, i, &PLOG);
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
	}
	store_kick(f->s);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(store_delete(f->s, "orders", ID, i), 0);
	f->d->ops = ops;
	p = plog_ok(f, 2, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	tick(f, 1);
	tick(f, 30001);
	assert_int_equal(f->synced, 2);
	assert_int_equal(p->synced.next_offset, 1);
	tick(f, 1);
	store_stats(f->s, &stats);
	assert_int_equal(stats.plogs, 1);
}

/* What was deleted while one that cannot be removed was being tried. */
static void test_one_that_cannot_be_removed_keeps_no_other(void **state)
{
	struct fixture *f = *state;
	unsigned gone = 0;

	open_ok(f);
	tick(f, 1);
	for (uint32_t i = 0; i < 2; i++)
		assert_int_equal(append(f, plog_ok(f, i, &PLOG), "line\n"), 0);
	assert_int_equal(disk_mkdir(f->d, "orders-0/somebodys"), 0);
	assert_int_equal(store_delete(f->s, "orders", ID, 0), 0);
	pump(f);
	tick(f, 100);
	assert_int_equal(store_delete(f->s, "orders", ID, 1), 0);
	for (unsigned i = 0; i < 5; i++)
		tick(f, 100);
	assert_int_equal(disk_list(f->d, ".", count_gone, &gone), 0);
	assert_int_equal(gone, 1);
}

static void test_partitions_of_a_long_name_are_deleted_one_by_one(void **state)
{
	struct fixture *f = *state;
	char topic[250];
	struct plog *p;
	unsigned gone = 0;

	memset(topic, 't', 249);
	topic[249] = '\0';
	open_ok(f);
	for (uint32_t i = 0; i < 11; i++) {
		assert_int_equal(store_plog(f->s, topic, ID, i, &PLOG, true, &p), 0);
		assert_int_equal(append(f, p, "line\n"), 0);
	}
	for (uint32_t i = 0; i < 11; i++)
		assert_int_equal(store_delete(f->s, topic, ID, i), 0);
	assert_int_equal(disk_list(f->d, ".", count_gone, &gone), 0);
	assert_int_equal(gone, 11);
}

/* A partition is deleted while bytes of it are being written out. */
static void test_a_write_out_keeps_its_descriptor(void **state)
{
	struct fixture *f = *state;
	struct plog *p;
	char line[70000];

	memset(line, 'x', sizeof(line));
	memcpy(line + sizeof(line) - 2, "\n", 2);
	f->config.dirty_bytes_max = 1;
	open_ok(f);
	tick(f, 1);
	/* The simulated disk does some requests at once, and some when they are reaped. */
	for (uint32_t i = 0; i < 8; i++) {
		p = plog_ok(f, i, &PLOG);
		assert_int_equal(append(f, p, line), 0);
		f->mono_ms++;
		store_tick(f->s, NOW, f->mono_ms);
		assert_int_equal(store_delete(f->s, "orders", ID, i), 0);
		pump(f);
		tick(f, 1);
	}
	assert_int_equal(f->failed, 0);
}

static void test_the_checkpoint_grows_while_one_is_being_written(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;
	struct plog *p;

	for (unsigned turn = 0; turn < 4; turn++) {
		open_ok(f);
		tick(f, 1);
		p = plog_ok(f, 0, &PLOG);
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, 1), -EINPROGRESS);
		pump(f);
		/* It is on its way, and has not been reaped. */
		f->mono_ms += 6000;
		store_tick(f->s, NOW, f->mono_ms);
		for (uint32_t i = 0; i < 900U << turn; i++)
			plog_ok(f, i, &PLOG);
		pump(f);
		tick(f, 6000);
		assert_int_equal(f->failed, 0);
		simdisk_kill(f->sim);
		bury(f);
		rep = open_ok(f);
		assert_int_equal(rep.damaged, 0);
		assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, turn + 1);
		close_ok(f);
	}
}

/* The n-th call of a clean stop fails, and then the power goes: what was acknowledged is there,
 * whether the stop called itself clean or not. */
static bool stop_and_lose_power(struct fixture *f, uint64_t nth, int err_told)
{
	const struct batch *b;
	struct plog *p;
	uint64_t failed;
	int err;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 3; i++) {
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i), -EINPROGRESS);
		pump(f);
	}
	assert_int_equal(f->synced, 3);
	simdisk_fail(f->sim, nth, 1, err_told);
	err = store_close(f->s);
	f->s = NULL;
	failed = simdisk_failed_cnt(f->sim);
	simdisk_fail(f->sim, 0, 0, 0);
	assert_true(failed || !err);
	simdisk_crash(f->sim, nth);
	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(p->next_offset, 3);
	for (int64_t o = 0; o < 3; o++)
		assert_int_equal(plog_batch(p, o, &b), 0);
	close_ok(f);
	return failed;
}

static void test_a_stop_that_fails_is_not_clean(void **state)
{
	static const int ERRORS[] = { -EIO, -ENOSPC };

	for (unsigned i = 0; i < ARRAY_CNT(ERRORS); i++) {
		bool more = true;

		for (uint64_t n = 1; more; n++) {
			void *one = NULL;

			assert_int_equal(setup(&one), 0);
			more = stop_and_lose_power(one, n, ERRORS[i]) || n < 40;
			assert_int_equal(teardown(&one), 0);
		}
	}
}

/* Recovery shall have little to read though nobody asks for an fsync, and descriptors be closed. */
static void test_what_nobody_syncs_is_synced_one_day(void **state)
{
	struct fixture *f = *state;
	struct store_stats a, b;
	struct plog_point point;
	struct plog *p;
	char line[1001];

	memset(line, 'x', sizeof(line));
	memcpy(line + 999, "\n", 2);
	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	store_stats(f->s, &a);
	tick(f, 29000);
	store_stats(f->s, &b);
	assert_int_equal(b.syncs_in_place, a.syncs_in_place);
	assert_true(store_deadline(f->s) <= f->mono_ms + 2000);
	tick(f, 2000);
	store_stats(f->s, &b);
	assert_int_equal(b.syncs_in_place, a.syncs_in_place + 1);
	assert_int_equal(p->synced.next_offset, 1);
	/* Three of them roll. */
	for (unsigned i = 0; i < 400; i++)
		assert_int_equal(append(f, p, line), 0);
	tick(f, 1);
	assert_int_equal(plog_point(p, &point), 0);
	assert_int_equal(p->synced.next_offset, point.next_offset);
	for (unsigned i = 0; i < 3; i++)
		tick(f, 11000);
	/* Both locks, checkpoint, debts. */
	assert_int_equal(simdisk_open_cnt(f->sim), 4);
}

static void remove_segments(struct fixture *f, const char *base)
{
	static const char *const SUFFIXES[] = { "data", "meta", "index", "timeindex" };
	char path[64];

	for (unsigned i = 0; i < ARRAY_CNT(SUFFIXES); i++) {
		snprintf(path, sizeof(path), "orders-0/%s.%s", base, SUFFIXES[i]);
		assert_true(disk_unlink(f->d, path) <= 0);
	}
}

/* Every look-up says so, and the log goes on behind what was. */
static void test_a_log_without_its_segments_is_damage(void **state)
{
	const struct plog_config c = PLOG;
	struct fixture *f = *state;
	const struct batch *b;
	struct plog_extent e;
	struct plog *p = NULL;
	uint64_t pos;
	int64_t offset;

	open_ok(f);
	p = plog_ok(f, 0, &c);
	assert_int_equal(append(f, p, "line\n"), 0);
	assert_int_equal(append(f, p, "line\n"), 0);
	close_ok(f);
	remove_segments(f, "00000000000000000000");
	open_ok(f);
	assert_int_equal(store_plog(f->s, "orders", ID, 0, &c, true, &p), -EIO);
	assert_int_equal(p->next_offset, 2);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(plog_batch(p, 0, &b), -EIO);
		assert_int_equal(plog_extent(p, 0, 5, &e, &pos), -EIO);
		assert_int_equal(plog_seek_data(p, 0, &pos), -EIO);
		assert_int_equal(plog_offset_to_pos(p, 1, &pos), -EIO);
		assert_int_equal(plog_pos_to_offset(p, 1, &offset), -EIO);
		assert_int_equal(plog_offset_to_pos(p, p->next_offset, &pos), 0);
		assert_int_equal(append(f, p, "more\n"), 0);
		assert_int_equal(plog_batch(p, 2, &b), 0);
	}
	close_ok(f);
}

/* A line that an fsync put into the ring; then the process is gone. */
static void die_with_a_ring(struct fixture *f)
{
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	/* The first one is synced in place, with its segment. */
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(append(f, p, "line\n"), 0);
		assert_int_equal(store_fsync(f->s, p, NOW, i + 1), -EINPROGRESS);
		pump(f);
	}
	assert_int_equal(f->last_token, 2);
	simdisk_kill(f->sim);
	bury(f);
}

static void put_journal(struct fixture *f, const struct buf *bytes, size_t len)
{
	int fd, r = disk_unlink(f->d, "journal");

	assert_int_equal(r, 0);
	if (!bytes)
		return;
	assert_int_equal(disk_open(f->d, "journal", DISK_CREATE, &fd), 0);
	if (len)
		assert_int_equal(disk_write(f->d, fd, bytes->data, len, 0), 0);
	assert_int_equal(disk_fsync(f->d, fd), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
}

static void copy_journal(struct fixture *f, struct buf *ret)
{
	size_t len;
	uint8_t *bytes = simdisk_bytes(f->sim, "journal", &len);

	buf_init(ret);
	buf_put(ret, bytes, len);
	assert_int_equal(buf_err(ret), 0);
}

/* Told once, and what the files hold is there. */
static void check_missed(struct fixture *f, bool is_missed)
{
	struct store_open_report rep = open_ok(f);

	f->damaged = 0;
	events(f);
	assert_int_equal(rep.damaged, is_missed);
	assert_int_equal(f->damaged, is_missed);
	assert_true(!is_missed || strstr(f->sentence, "begun anew"));
	tick(f, 1); /* a ring is made where none can be used */
	close_ok(f);
	assert_int_equal(open_ok(f).damaged, 0);
	close_ok(f);
}

static void test_a_ring_is_missed(void **state)
{
	struct fixture *f = *state;
	struct buf own, older, foreign;
	void *other = NULL;

	setup(&other);
	die_with_a_ring(other);
	copy_journal(other, &foreign);
	teardown(&other);
	die_with_a_ring(f);
	copy_journal(f, &older);
	for (unsigned i = 0; i < 7; i++) {
		die_with_a_ring(f);
		copy_journal(f, &own);
		switch (i) {
		case 0:
			put_journal(f, NULL, 0);
			break;
		case 1:
			put_journal(f, &own, 0);
			break;
		case 2:
			put_journal(f, &own, own.len / 2);
			break;
		case 3:
			put_journal(f, &foreign, foreign.len);
			break;
		case 4:
			put_journal(f, &older, older.len);
			break;
		default:
			put_journal(f, &own, own.len);
			break;
		}
		check_missed(f, i < 5);
		buf_fini(&own);
	}
	buf_fini(&older);
	buf_fini(&foreign);
}

/* Nothing is missed of a ring that was never in use, nor after a clean stop. */
static void test_a_ring_that_nobody_needs_is_not_missed(void **state)
{
	struct fixture *f = *state;

	open_ok(f);
	simdisk_kill(f->sim);
	bury(f);
	put_journal(f, NULL, 0);
	check_missed(f, false);
	die_with_a_ring(f);
	open_ok(f);
	close_ok(f);
	put_journal(f, NULL, 0);
	check_missed(f, false);
}

/* The checkpoint tells of it before an fsync is answered by it. */
static void test_a_new_ring_is_used_when_it_would_be_missed(void **state)
{
	struct fixture *f = *state;
	struct checkpoint_head h;
	struct store_stats st;
	uint8_t *bytes;
	size_t len;

	open_ok(f);
	for (unsigned i = 0; i < 10; i++) {
		tick(f, 1);
		store_stats(f->s, &st);
		bytes = simdisk_bytes(f->sim, "checkpoint", &len);
		assert_non_null(bytes);
		assert_true(checkpoint_find(bytes, len, &h) >= 0);
		assert_true(!st.journal_bytes || h.ring_seed);
	}
	assert_true(st.journal_bytes);
	close_ok(f);
}

static void test_a_marker_of_another_life_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	struct buf marker;
	uint8_t *bytes;
	size_t len;

	open_ok(f);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	buf_init(&marker);
	bytes = simdisk_bytes(f->sim, "clean-shutdown", &len);
	buf_put(&marker, bytes, len);
	assert_true(open_ok(f).clean);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	open_ok(f);
	assert_int_equal(store_write_file(f->s, "clean-shutdown", marker.data, marker.len), 0);
	buf_fini(&marker);
	simdisk_kill(f->sim);
	bury(f);
	assert_false(open_ok(f).clean);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 2);
}

/* All that a stop writes has its place on the disk, with no byte free at the start, too. */
static void test_a_stop_needs_no_room(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	for (unsigned i = 0; i < 2; i++)
		assert_int_equal(append(f, p, "line\n"), 0);
	simdisk_set_free(f->sim, 0);
	close_ok(f);
	assert_true(open_ok(f).clean);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 2);
	simdisk_set_free(f->sim, 0);
	close_ok(f);
	/* A life that ends by a kill keeps the place, too. */
	assert_true(open_ok(f).clean);
	simdisk_kill(f->sim);
	bury(f);
	assert_false(open_ok(f).clean);
	simdisk_set_free(f->sim, 0);
	close_ok(f);
	assert_true(open_ok(f).clean);
}

static void test_data_without_properties_are_not_taken_for_fresh(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;

	open_ok(f);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	assert_int_equal(disk_unlink(f->d, "meta.properties"), 0);
	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), -EBADMSG);
	assert_non_null(strstr(rep.sentence, "meta.properties"));
	assert_int_equal(disk_unlink(f->d, "checkpoint"), 0);
	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), -EBADMSG);
	f->s = NULL;
}

static void test_each_flipped_bit_of_the_properties_is_found(void **state)
{
	struct fixture *f = *state;
	struct store_open_report rep;
	struct disk_stat st;
	uint8_t byte;
	int fd;

	open_ok(f);
	close_ok(f);
	assert_int_equal(disk_open(f->d, "meta.properties", DISK_CREATE, &fd), 0);
	assert_int_equal(disk_fstat(f->d, fd, &st), 0);
	for (uint64_t bit = 0; bit < 8 * st.size; bit++) {
		assert_int_equal(disk_read_full(f->d, fd, &byte, 1, bit / 8), 0);
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(disk_write(f->d, fd, &byte, 1, bit / 8), 0);
		assert_int_not_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), 0);
		assert_true(strlen(rep.sentence) > 10);
		byte ^= (uint8_t)(1 << bit % 8);
		assert_int_equal(disk_write(f->d, fd, &byte, 1, bit / 8), 0);
	}
	/* Files of early builds end before the checksum, whose line is 26 bytes long. */
	assert_int_equal(disk_truncate(f->d, fd, st.size - 26), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	f->s = NULL;
	open_ok(f);
}

static void test_a_directory_of_another_topic_is_not_served(void **state)
{
	struct fixture *f = *state;
	struct plog *p;

	open_ok(f);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	close_ok(f);
	open_ok(f);
	assert_int_equal(store_plog(f->s, "orders", OTHER_ID, 0, &PLOG, true, &p), -ESTALE);
	assert_int_equal(store_plog(f->s, "nothing", ID, 0, &PLOG, false, &p), -ENOENT);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 1);
}

static void test_single_lines_are_described_in_time(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_true(p->debt.cnt > 0);
	assert_true(store_deadline(f->s) <= f->mono_ms + 5);
	tick(f, 6);
	assert_int_equal(p->debt.cnt, 0);
}

/* What a line's slot vouches for needs no description at once: a full disk is waited for, without
 * a thought in between. */
static const struct disk_ops *whole_ops;

static int open_but_no_id(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	return strstr(path, "partition.metadata") ? -EIO : whole_ops->open(d, path, flags, ret_fd);
}

/* The heads of segments tell whose it is. */
static void test_an_id_that_the_device_does_not_give_keeps_no_log(void **state)
{
	struct fixture *f = *state;
	struct disk_ops ops;

	whole_ops = f->d->ops;
	ops = *whole_ops;
	ops.open = open_but_no_id;
	open_ok(f);
	assert_int_equal(append(f, plog_ok(f, 0, &PLOG), "line\n"), 0);
	close_ok(f);
	f->d->ops = &ops;
	open_ok(f);
	assert_int_equal(plog_ok(f, 0, &PLOG)->next_offset, 1);
	close_ok(f);
	f->d->ops = whole_ops;
}

static void test_a_description_waits_for_room(void **state)
{
	static const int errs[] = { -ENOSPC, -EMFILE };
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "first\n"), 0);
	for (size_t i = 0; i < ARRAY_CNT(errs); i++) {
		assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
		if (errs[i] == -EMFILE) {
			assert_int_equal(disk_close(f->d, p->segs[0]->meta_fd), 0);
			p->segs[0]->meta_fd = -1;
		}
		simdisk_fail(f->sim, 1, 1, errs[i]);
		tick(f, 6);
		assert_int_equal(simdisk_failed_cnt(f->sim), i + 1);
		assert_int_equal(f->failed, 0);
		assert_true(p->debt.cnt > 0);
		assert_true(store_deadline(f->s) > f->mono_ms);
		tick(f, store_deadline(f->s) - f->mono_ms);
		assert_int_equal(p->debt.cnt, 0);
	}
}

/* Neither does a sync in place, which is tried again. */
static void test_a_sync_waits_for_room(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "first\n"), 0);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, true, &a), 0);
	simdisk_fail(f->sim, 1, 8, -ENOSPC);
	tick(f, 30001);
	assert_int_equal(f->failed, 0);
	assert_true(p->debt.cnt > 0);
	assert_int_equal(p->synced.next_offset, 0);
	assert_true(store_deadline(f->s) > f->mono_ms);
	simdisk_fail(f->sim, 0, 0, 0);
	tick(f, store_deadline(f->s) - f->mono_ms);
	assert_int_equal(f->failed, 0);
	assert_int_equal(p->debt.cnt, 0);
	assert_int_equal(p->synced.next_offset, 2);
}

/* Of an attempt to make a larger one. */
static void test_a_checkpoint_is_as_long_as_its_slots(void **state)
{
	struct fixture *f = *state;
	void *zeros = calloc(8, CHECKPOINT_SLOT_MIN);
	size_t len;
	int fd;

	assert_non_null(zeros);
	assert_int_equal(disk_open(f->d, "checkpoint.new", DISK_CREATE, &fd), 0);
	assert_int_equal(disk_write(f->d, fd, zeros, 8 * CHECKPOINT_SLOT_MIN, 0), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	free(zeros);
	open_ok(f);
	assert_non_null(simdisk_bytes(f->sim, "checkpoint", &len));
	assert_int_equal(len, 2 * CHECKPOINT_SLOT_MIN);
	close_ok(f);
	assert_true(open_ok(f).clean);
}

/* Who else has asked for something is not awaited, and is in nobody's way. */
static void test_a_stop_meets_the_request_of_another(void **state)
{
	struct fixture *f = *state;
	struct disk_req req;
	struct plog *p;

	open_ok(f);
	tick(f, 1);
	p = plog_ok(f, 0, &PLOG);
	assert_int_equal(append(f, p, "line\n"), 0);
	req = (struct disk_req){
		.op = DISK_OP_READ, .fd = p->segs[0]->data_fd, .len = 1, .owner = STORE_OWNER + 1
	};
	assert_int_equal(disk_submit(f->d, &req), 0);
	close_ok(f);
	assert_true(open_ok(f).clean);
}

/* A failure that nobody asked for is an event like any other, and there at once. */
static void test_a_failure_in_a_tick_is_an_event(void **state)
{
	struct fixture *f = *state;
	struct iovec iov = { (void *)"late\n", 5 };
	struct plog_appended a;

	open_ok(f);
	tick(f, 1);
	assert_int_equal(
		store_append_lines(f->s, plog_ok(f, 0, &PLOG), NOW, &iov, 1, 5, 1, true, &a), 0);
	assert_false(store_has_event(f->s));
	simdisk_fail(f->sim, 1, 1, -EIO);
	f->mono_ms += 6;
	store_tick(f->s, NOW - 5000 + f->mono_ms, f->mono_ms);
	assert_true(store_has_event(f->s));
	events(f);
	assert_int_equal(f->failed, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_deleted_partition_is_gone),
		CASE(test_a_partition_that_waits_for_its_sync_is_deleted),
		CASE(test_one_that_cannot_be_removed_keeps_no_other),
		CASE(test_partitions_of_a_long_name_are_deleted_one_by_one),
		CASE(test_a_write_out_keeps_its_descriptor),
		CASE(test_the_checkpoint_grows_while_one_is_being_written),
		CASE(test_a_stop_that_fails_is_not_clean),
		CASE(test_what_nobody_syncs_is_synced_one_day),
		CASE(test_a_log_without_its_segments_is_damage),
		CASE(test_a_ring_is_missed),
		CASE(test_a_ring_that_nobody_needs_is_not_missed),
		CASE(test_a_new_ring_is_used_when_it_would_be_missed),
		CASE(test_a_marker_of_another_life_is_not_trusted),
		CASE(test_each_flipped_bit_of_the_properties_is_found),
		CASE(test_a_stop_needs_no_room),
		CASE(test_data_without_properties_are_not_taken_for_fresh),
		CASE(test_a_directory_of_another_topic_is_not_served),
		CASE(test_single_lines_are_described_in_time),
		CASE(test_an_id_that_the_device_does_not_give_keeps_no_log),
		CASE(test_a_description_waits_for_room),
		CASE(test_a_sync_waits_for_room),
		CASE(test_a_checkpoint_is_as_long_as_its_slots),
		CASE(test_a_stop_meets_the_request_of_another),
		CASE(test_a_failure_in_a_tick_is_an_event),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* A change of metadata is appended, made stable, applied, and then answered, in this order. */
#include "daemon/base/log.h"
#include "daemon/metalog.h"
#include "daemon/store/segment.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define NOW 1770028200000

struct fixture {
	struct simdisk *sim;
	struct disk *d;
	struct store *s;
	struct metalog *m;
	unsigned applied;
	int64_t mono_ms;
	uint64_t last_token;
	int last_err;
};

static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
	struct fixture *f = ctx;

	f->applied++;
	f->last_token = token;
	f->last_err = res->err;
}

static void open_ok(struct fixture *f)
{
	struct store_config config = { .reserve_bytes = 1 << 20, .dirty_bytes_max = 1 << 20 };
	struct store_open_report rep;
	char sentence[SENTENCE_MAX];

	assert_int_equal(store_open(f->d, &config, NOW, &f->s, &rep), 0);
	assert_int_equal(metalog_open(f->s, on_applied, f, &f->m, sentence), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->sim = simdisk_new(7);
	f->d = simdisk_disk(f->sim);
	open_ok(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;

	metalog_free(f->m);
	store_free(f->s);
	simdisk_free(f->sim);
	free(f);
	return 0;
}

static void pump(struct fixture *f)
{
	struct disk_req *req;
	struct store_event e;

	store_kick(f->s);
	while ((req = disk_reap(f->d)))
		store_on_disk(f->s, req);
	for (store_next_event(f->s, &e); e.kind != STORE_NONE; store_next_event(f->s, &e)) {
		if (e.kind == STORE_START_RAISED)
			continue;
		assert_int_equal(e.kind, STORE_SYNCED);
		assert_true(e.token & METALOG_TOKEN);
		metalog_on_synced(f->m, e.token);
	}
}

/* And what comes of it in the background. */
static void pump_all(struct fixture *f)
{
	struct disk_req *req;

	pump(f);
	for (unsigned i = 0; i < 4; i++) {
		store_tick(f->s, NOW, f->mono_ms += 1000);
		while ((req = disk_reap(f->d)))
			store_on_disk(f->s, req);
		pump(f);
	}
}

static int propose(struct fixture *f, const char *name, uint8_t number)
{
	struct metadata_cmd cmd = { .kind = METADATA_CREATE,
				    .time_ms = NOW,
				    .topic_id = { number, 1 },
				    .partition_cnt = 1,
				    .mode = 0755 };
	char sentence[SENTENCE_MAX];

	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	return metalog_propose(f->m, &cmd, NOW, number, sentence);
}

static bool is_there(struct fixture *f, const char *name)
{
	return metadata_find_topic(metalog_state(f->m), name) != NULL;
}

static int dead_close(struct disk *d, int fd)
{
	return 0;
}

static void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

static void lose_power(struct fixture *f)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = f->d->ops;

	simdisk_crash(f->sim, 1);
	f->d->ops = &DEAD;
	metalog_free(f->m);
	store_free(f->s);
	f->d->ops = ops;
	open_ok(f);
}

static const struct disk_ops *real_ops;

static int open_without_room(struct disk *d, const char *path, unsigned flags, int *ret_fd)
{
	bool is_id = (flags & DISK_CREATE) && strstr(path, "/partition.metadata");

	return is_id ? -ENOSPC : real_ops->open(d, path, flags, ret_fd);
}

static int mkdir_without_room(struct disk *d, const char *path)
{
	return -ENOSPC;
}

static int set_up_full(void **state, const struct disk_ops *full)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct disk_ops ops;

	assert_non_null(f);
	f->sim = simdisk_new(7);
	f->d = simdisk_disk(f->sim);
	real_ops = f->d->ops;
	ops = *real_ops;
	ops.open = full->open ? full->open : ops.open;
	ops.mkdir = full->mkdir ? full->mkdir : ops.mkdir;
	f->d->ops = &ops;
	open_ok(f);
	f->d->ops = real_ops;
	*state = f;
	return 0;
}

/* Its first start finds no room for all of the log's directory, and some a moment later. */
static int set_up_late_room(void **state)
{
	return set_up_full(state, &(struct disk_ops){ .open = open_without_room });
}

static int set_up_no_room(void **state)
{
	return set_up_full(state, &(struct disk_ops){ .mkdir = mkdir_without_room });
}

static void test_a_change_is_answered_when_it_is_stable(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(propose(f, "orders", 1), -EINPROGRESS);
	assert_int_equal(propose(f, "events", 2), -EINPROGRESS);
	assert_int_equal(f->applied, 0);
	assert_false(is_there(f, "orders"));
	assert_false(metalog_is_idle(f->m));
	pump(f);
	assert_int_equal(f->applied, 2);
	assert_int_equal(f->last_token, 2);
	assert_int_equal(f->last_err, 0);
	assert_true(metalog_is_idle(f->m));
	assert_true(is_there(f, "orders"));
}

static void test_what_was_answered_survives_a_power_loss(void **state)
{
	struct fixture *f = *state;
	uint64_t term = metalog_term(f->m);

	assert_int_equal(propose(f, "orders", 1), -EINPROGRESS);
	pump(f);
	assert_int_equal(f->applied, 1);
	lose_power(f);
	assert_true(is_there(f, "orders"));
	assert_true(metalog_term(f->m) > term);
	assert_int_equal(f->applied, 1);
}

/* A snapshot of the state as it is; its index. */
static uint64_t put_snapshot(struct fixture *f, bool damaged)
{
	uint64_t index = metadata_applied_index(metalog_state(f->m));
	char path[128];
	struct buf b;

	buf_init(&b);
	metadata_encode(metalog_state(f->m), &b);
	assert_int_equal(buf_err(&b), 0);
	if (damaged)
		b.data[b.len / 2] ^= 4;
	snprintf(path, sizeof(path), "%s-0/%020llu-%010u.checkpoint", METALOG_TOPIC,
		 (unsigned long long)index, 1U);
	assert_int_equal(store_write_file(f->s, path, b.data, b.len), 0);
	buf_fini(&b);
	return index;
}

static void begin_log_at(struct fixture *f, uint64_t index)
{
	struct plog *p = store_plog_opened(f->s, metalog_topic_id, 0);
	uint64_t pos;

	assert_int_equal(plog_offset_to_pos(p, (int64_t)index, &pos), 0);
	assert_int_equal(store_raise_start(f->s, p, (int64_t)index, pos), 0);
	for (unsigned i = 0; i < 20; i++) {
		struct disk_req *req;
		struct store_event e;

		store_tick(f->s, NOW + i * 1000, i * 1000);
		while ((req = disk_reap(f->d)))
			store_on_disk(f->s, req);
		do
			store_next_event(f->s, &e);
		while (e.kind != STORE_NONE);
	}
	assert_int_equal(p->start_offset, index);
}

static void test_an_older_snapshot_makes_up_for_a_damaged_one(void **state)
{
	struct fixture *f = *state;
	uint64_t index;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump(f);
	index = put_snapshot(f, false);
	assert_int_equal(propose(f, "b", 2), -EINPROGRESS);
	pump(f);
	put_snapshot(f, true);
	assert_int_equal(propose(f, "c", 3), -EINPROGRESS);
	pump(f);
	begin_log_at(f, index);
	lose_power(f);
	assert_true(is_there(f, "a"));
	assert_true(is_there(f, "b"));
	assert_true(is_there(f, "c"));
}

/* The checkpoint knows where it begins, whatever its directory lacked at first. */
static void test_a_log_that_found_room_later_begins_where_it_was_cut(void **state)
{
	struct fixture *f = *state;
	uint64_t index;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump(f);
	index = put_snapshot(f, false);
	assert_int_equal(propose(f, "b", 2), -EINPROGRESS);
	pump(f);
	begin_log_at(f, index);
	lose_power(f);
	assert_int_equal(store_plog_opened(f->s, metalog_topic_id, 0)->start_offset, index);
	assert_true(is_there(f, "a"));
	assert_true(is_there(f, "b"));
}

/* What a full disk refuses is the change, not the start. */
static void test_a_log_without_a_directory_is_an_empty_one(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump(f);
	lose_power(f);
	assert_true(is_there(f, "a"));
}

static void test_a_damaged_snapshot_that_nothing_makes_up_for_is_named(void **state)
{
	struct store_config config = { .reserve_bytes = 1 << 20, .dirty_bytes_max = 1 << 20 };
	struct fixture *f = *state;
	struct store_open_report rep;
	char sentence[SENTENCE_MAX];
	uint64_t index;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump(f);
	index = put_snapshot(f, true);
	begin_log_at(f, index);
	metalog_free(f->m);
	f->m = NULL;
	assert_int_equal(store_close(f->s), 0);
	assert_int_equal(store_open(f->d, &config, NOW, &f->s, &rep), 0);
	assert_int_equal(metalog_open(f->s, on_applied, f, &f->m, sentence), -EIO);
	assert_non_null(strstr(sentence, "-0000000001.checkpoint is damaged"));
	f->m = NULL;
}

/* So many changes that a snapshot is taken. */
static void take_snapshot(struct fixture *f)
{
	struct metadata_cmd cmd = { .kind = METADATA_PERMS,
				    .topic_id = { 1, 1 },
				    .perms_mask = METADATA_MODE };
	char sentence[SENTENCE_MAX];

	for (unsigned i = 0; i < 5000; i++) {
		cmd.mode = (uint16_t)(0700 + i % 8);
		assert_int_equal(metalog_propose(f->m, &cmd, NOW, 1, sentence), -EINPROGRESS);
		if (i % 100 == 99)
			pump_all(f);
	}
}

/* The newest snapshot below an index, damaged or mended. */
static uint64_t flip_snapshot(struct fixture *f, uint64_t below)
{
	struct plog *p = store_plog_opened(f->s, metalog_topic_id, 0);
	uint64_t index, term;
	char path[128];

	assert_int_equal(store_last_snapshot(f->s, p, below, &index, &term), 0);
	snprintf(path, sizeof(path), "%s-0/%020llu-%010llu.checkpoint", METALOG_TOPIC,
		 (unsigned long long)index, (unsigned long long)term);
	simdisk_flip(f->sim, path, 40, 1);
	return index;
}

static void test_two_snapshots_stay_with_the_log_behind_them(void **state)
{
	struct fixture *f = *state;
	struct plog *p = store_plog_opened(f->s, metalog_topic_id, 0);
	uint64_t newest, older, term;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump_all(f);
	for (unsigned i = 0; i < 4; i++) {
		take_snapshot(f);
		newest = flip_snapshot(f, UINT64_MAX);
		lose_power(f);
		p = store_plog_opened(f->s, metalog_topic_id, 0);
		assert_true(is_there(f, "a"));
		assert_int_equal(metadata_applied_index(metalog_state(f->m)), p->next_offset);
		flip_snapshot(f, UINT64_MAX);
		lose_power(f);
		p = store_plog_opened(f->s, metalog_topic_id, 0);
	}
	assert_int_equal(store_last_snapshot(f->s, p, newest, &older, &term), 0);
	assert_int_equal(p->start_offset, older);
	assert_int_equal(p->segs[0]->base_offset, older);
	assert_int_equal(store_last_snapshot(f->s, p, older, &older, &term), -ENOENT);
}

static void test_an_unfinished_snapshot_is_removed(void **state)
{
	char path[128];
	struct fixture *f = *state;
	struct disk_stat st;
	int fd;

	assert_int_equal(propose(f, "a", 1), -EINPROGRESS);
	pump(f);
	snprintf(path, sizeof(path), "%s-0/%020u-%010u.checkpoint.new", METALOG_TOPIC, 1U, 1U);
	assert_int_equal(disk_open(f->d, path, DISK_CREATE, &fd), 0);
	assert_int_equal(disk_close(f->d, fd), 0);
	lose_power(f);
	assert_int_equal(disk_stat(f->d, path, &st), -ENOENT);
	assert_true(is_there(f, "a"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_a_change_is_answered_when_it_is_stable, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_log_without_a_directory_is_an_empty_one,
						set_up_no_room, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_log_that_found_room_later_begins_where_it_was_cut, set_up_late_room,
			tear_down),
		cmocka_unit_test_setup_teardown(test_what_was_answered_survives_a_power_loss,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_older_snapshot_makes_up_for_a_damaged_one,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			test_a_damaged_snapshot_that_nothing_makes_up_for_is_named, set_up,
			tear_down),
		cmocka_unit_test_setup_teardown(test_two_snapshots_stay_with_the_log_behind_them,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_an_unfinished_snapshot_is_removed, set_up,
						tear_down),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

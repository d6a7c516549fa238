/* What verify says of partitions that nobody opened between a power loss and a clean stop: recovery
 * is still to come, and that is no fault. And of names that are no file's: whatever one of them is,
 * it is told, and the rest is looked at. */
#include "daemon/base/log.h"
#include "daemon/commands.h"
#include "daemon/io/disk.h"
#include "daemon/metalog.h"
#include "daemon/store/checkpoint.h"

#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#define NOW 1770028200000
#define SEGMENT "00000000000000000000"

static const uint8_t ID[16] = { 1, 2, 3 };
static const struct plog_config PLOG = { .segment_bytes = 4000,
					 .segment_ms = -1,
					 .retention_ms = -1,
					 .retention_bytes = -1,
					 .index_interval_bytes = 4096 };

struct fixture {
	char dir[128], said[8192];
	struct disk *d;
	struct store *s;
	uint8_t topic_id[16]; /* of the topic "made" */
};

static void open_ok(struct fixture *f)
{
	const struct io_disk_config io = { .refuse_io_uring = true,
					   .refuse_direct = true,
					   .threads = 1 };
	const struct store_config config = { .reserve_bytes = 1 << 20, .dirty_bytes_max = 1 << 20 };
	struct store_open_report report;

	assert_int_equal(io_disk_open(f->dir, &io, &f->d), 0);
	assert_int_equal(store_open(f->d, &config, NOW, &f->s, &report), 0);
}

/* The process is gone. */
static void die(struct fixture *f)
{
	io_disk_stop(f->d);
	store_free(f->s);
	io_disk_free(f->d);
}

static void stop(struct fixture *f)
{
	assert_int_equal(store_close(f->s), 0);
	io_disk_free(f->d);
}

static void append(struct fixture *f, const char *topic, const uint8_t id[16])
{
	struct iovec iov = { "line\n", 5 };
	struct plog_appended a;
	struct plog *p;

	assert_int_equal(store_plog(f->s, topic, id, 0, &PLOG, true, &p), 0);
	assert_int_equal(store_append_lines(f->s, p, NOW, &iov, 1, 5, 1, false, &a), 0);
}

static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
	struct fixture *f = ctx;

	assert_int_equal(res->err, 0);
	memcpy(f->topic_id, res->topic_id, 16);
}

/* The topic "made" is in the metadata. */
static void make_topic(struct fixture *f)
{
	struct metadata_cmd cmd = { .kind = METADATA_CREATE, .partition_cnt = 1, .mode = 0755 };
	struct pollfd pfd = { .fd = io_disk_event_fd(f->d), .events = POLLIN };
	char sentence[SENTENCE_MAX];
	struct store_event e;
	struct metalog *m;

	snprintf(cmd.name, sizeof(cmd.name), "made");
	assert_int_equal(metalog_open(f->s, on_applied, f, &m, sentence), 0);
	assert_int_equal(disk_random(f->d, cmd.topic_id, 16), 0);
	assert_int_equal(metalog_propose(m, &cmd, NOW, 1, sentence), -EINPROGRESS);
	while (!metalog_is_idle(m)) {
		struct disk_req *req;

		store_kick(f->s);
		assert_int_equal(poll(&pfd, 1, 10000), 1);
		io_disk_ack(f->d);
		while ((req = disk_reap(f->d)))
			store_on_disk(f->s, req);
		for (store_next_event(f->s, &e); e.kind == STORE_SYNCED; store_next_event(f->s, &e))
			metalog_on_synced(m, e.token);
	}
	metalog_free(m);
}

static void garble(struct fixture *f, const char *name, const char *how)
{
	char path[256];
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	file = fopen(path, how);
	assert_non_null(file);
	for (int i = 0; i < 100; i++)
		fputc("\x93*"[i % 2], file);
	assert_int_equal(fclose(file), 0);
}

/* Its exit status; f->said: all that it prints. */
static int run(struct fixture *f, int (*command)(const char *dir))
{
	FILE *out = tmpfile();
	int saved = dup(STDOUT_FILENO), saved_err = dup(STDERR_FILENO), status;
	size_t len;

	assert_non_null(out);
	fflush(stdout);
	assert_true(dup2(fileno(out), STDOUT_FILENO) >= 0);
	assert_true(dup2(fileno(out), STDERR_FILENO) >= 0);
	status = command(f->dir);
	fflush(stdout);
	assert_true(dup2(saved, STDOUT_FILENO) >= 0);
	assert_true(dup2(saved_err, STDERR_FILENO) >= 0);
	close(saved);
	close(saved_err);
	rewind(out);
	len = fread(f->said, 1, sizeof(f->said) - 1, out);
	f->said[len] = 0;
	fclose(out);
	return status;
}

static int verify(struct fixture *f)
{
	return run(f, cmd_verify);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	const char *tmp = getenv("TMPDIR");

	assert_non_null(f);
	snprintf(f->dir, sizeof(f->dir), "%.100s/verify.XXXXXX", tmp ? tmp : "/tmp");
	assert_non_null(mkdtemp(f->dir));
	open_ok(f);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[160];

	snprintf(command, sizeof(command), "rm -r '%s'", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static void test_a_torn_tail_that_is_still_to_be_cut(void **state)
{
	struct fixture *f = *state;

	append(f, "t", ID);
	die(f);
	garble(f, "t-0/" SEGMENT ".data", "ab");
	open_ok(f);
	stop(f);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: t-0: a torn tail: recovery cuts 100 bytes"));
}

static void test_bytes_behind_what_a_clean_stop_closed(void **state)
{
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	garble(f, "t-0/" SEGMENT ".data", "ab");
	assert_int_equal(verify(f), 1);
	assert_non_null(strstr(f->said, "fault: t-0: position 0: the files do not end where"));
}

/* Nothing of the partition was synced, neither its head nor the file of its id. */
static void lose(struct fixture *f, const char *topic, const uint8_t id[16])
{
	char path[64];

	append(f, topic, id);
	die(f);
	snprintf(path, sizeof(path), "%s-0/" SEGMENT ".meta", topic);
	garble(f, path, "wb");
	snprintf(path, sizeof(path), "%s-0/partition.metadata", topic);
	garble(f, path, "wb");
	open_ok(f);
	stop(f);
}

static void test_nothing_that_tells_the_topic(void **state)
{
	struct fixture *f = *state;

	lose(f, "t", ID);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: t-0: nothing in it tells its topic"));
}

static void test_the_metadata_tell_the_topic(void **state)
{
	struct fixture *f = *state;

	make_topic(f);
	lose(f, "made", f->topic_id);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: made-0: a torn tail: recovery cuts "));
	assert_non_null(strstr(f->said, "note: made-0/partition.metadata: is torn"));
}

/* A link stands in the name's place. */
static void put_link(struct fixture *f, const char *name)
{
	char path[256], was[264];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	snprintf(was, sizeof(was), "%s.was", path);
	if (rename(path, was))
		assert_int_equal(errno, ENOENT);
	assert_int_equal(symlink("nowhere", path), 0);
}

/* What was there stands there again. */
static void put_back(struct fixture *f, const char *name)
{
	char path[256], was[264];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	snprintf(was, sizeof(was), "%s.was", path);
	assert_int_equal(rename(was, path), 0);
}

static void assert_told(struct fixture *f, const char *name, const char *what)
{
	char fault[256];

	snprintf(fault, sizeof(fault), "fault: %s: %s\n", name, what);
	if (!strstr(f->said, fault))
		fail_msg("not \"%s\", but \"%s\"", fault, f->said);
}

static void test_what_is_no_file_hides_nothing_else(void **state)
{
	static const char *const NAMES[] = { "t-0/partition.metadata", "clean-shutdown", "debts" };
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		put_link(f, NAMES[i]);
		assert_int_equal(verify(f), 1);
		assert_told(f, NAMES[i], "position 0: is no regular file");
		assert_non_null(strstr(f->said, " 1 records,"));
		put_back(f, NAMES[i]);
	}
	garble(f, "t-0/partition.metadata", "ab");
	for (unsigned i = 0; i < 50; i++)
		garble(f, "t-0/partition.metadata", "ab");
	assert_int_equal(verify(f), 1);
	assert_told(f, "t-0/partition.metadata",
		    "position 4096: is longer than any file of its kind");
	assert_non_null(strstr(f->said, " 1 records,"));
}

/* Recovery, which verify plays before it looks, would have set them aside. */
static void test_a_segments_file_that_is_no_file_after_a_kill(void **state)
{
	static const char *const NAMES[] = { "t-0/" SEGMENT ".index", "t-0/" SEGMENT ".timeindex",
					     "t-0/" SEGMENT ".data", "t-0/" SEGMENT ".meta" };
	struct fixture *f = *state;
	char path[256];

	append(f, "t", ID);
	die(f);
	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		put_link(f, NAMES[i]);
		assert_int_equal(verify(f), 1);
		assert_told(f, NAMES[i], "position 0: is no regular file");
		snprintf(path, sizeof(path), "%s/%s", f->dir, NAMES[i]);
		assert_int_equal(unlink(path), 0);
		if (i >= 2)
			put_back(f, NAMES[i]);
	}
	assert_int_equal(verify(f), 0);
}

static void set_len(struct fixture *f, const char *name, off_t len)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", f->dir, name);
	assert_int_equal(truncate(path, len), 0);
}

/* The second slot is looked for in the middle of the file. */
static void test_a_checkpoint_that_is_not_two_slots(void **state)
{
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	set_len(f, "checkpoint", 2 * CHECKPOINT_SLOT_MIN + 1000);
	assert_int_equal(verify(f), 1);
	assert_told(f, "checkpoint", "position 132072: the file is not as long as two slots");
	open_ok(f);
	append(f, "t", ID);
	stop(f);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, " 2 records,"));
}

/* A start, which prints why it goes no further. */
static int start(const char *dir)
{
	const struct io_disk_config io = { .refuse_io_uring = true, .threads = 1 };
	const struct store_config config = { .reserve_bytes = 1 << 20 };
	struct store_open_report report;
	struct disk *d;
	struct store *s = NULL;
	int r;

	log_set_level(LOG_ERROR);
	assert_int_equal(io_disk_open(dir, &io, &d), 0);
	r = store_open(d, &config, NOW, &s, &report);
	log_set_level(LOG_NONE);
	puts(report.sentence);
	io_disk_stop(d);
	store_free(s);
	io_disk_free(d);
	return r;
}

static void test_what_is_too_long_to_be_read_is_named(void **state)
{
	static const char *const NAMES[] = { "checkpoint", "clean-shutdown" };
	struct fixture *f = *state;
	char unread[64], longer[128];

	stop(f);
	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		snprintf(unread, sizeof(unread), "the file %s cannot be read", NAMES[i]);
		snprintf(longer, sizeof(longer), "%s: is longer than any file of its kind: %s",
			 NAMES[i], "3221225472 bytes");
		set_len(f, NAMES[i], (off_t)3 << 30);
		assert_int_equal(verify(f), 2);
		assert_non_null(strstr(f->said, unread));
		assert_int_equal(run(f, start), -EIO);
		assert_non_null(strstr(f->said, unread));
		assert_non_null(strstr(f->said, longer));
		set_len(f, NAMES[i], 0);
	}
}

static void test_debts_that_are_gone(void **state)
{
	struct fixture *f = *state;
	char path[256];

	append(f, "t", ID);
	die(f);
	set_len(f, "debts", 8192);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: debts: ends at position 8192: what it vouched"));
	snprintf(path, sizeof(path), "%s/debts", f->dir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: debts: ends at position 0: what it vouched"));
	open_ok(f);
	stop(f);
	set_len(f, "debts", (1 << 20) + 7);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: debts: what stands behind position 1048576"));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: debts: is missing; the next start makes it"));
}

static void test_a_snapshot_that_is_no_file(void **state)
{
	struct fixture *f = *state;

	make_topic(f);
	append(f, "made", f->topic_id);
	stop(f);
	put_link(f, METALOG_TOPIC "-0/00000000000000000001.checkpoint");
	assert_int_equal(verify(f), 1);
	assert_told(f, METALOG_TOPIC "-0/00000000000000000001.checkpoint",
		    "position 0: is no regular file");
	assert_non_null(strstr(f->said, " 2 records,"));
}

/* Without these no broker starts, and nothing else can be looked at. */
static void test_what_is_no_file_and_keeps_all_shut_is_named(void **state)
{
	static const char *const NAMES[] = { "journal", "checkpoint", "meta.properties" };
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		put_link(f, NAMES[i]);
		assert_int_equal(verify(f), 1);
		assert_told(f, NAMES[i], "position 0: is no regular file");
		assert_int_equal(run(f, cmd_dump), 2);
		assert_non_null(strstr(f->said, NAMES[i]));
		put_back(f, NAMES[i]);
	}
	assert_int_equal(verify(f), 0);
}

static void test_a_link_that_is_named_like_a_partition(void **state)
{
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	put_link(f, "a-0");
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: a-0: is foreign"));
	assert_int_equal(run(f, cmd_dump), 0);
	assert_non_null(strstr(f->said, "\"value\":\"line\""));
}

/* Somebody moved the partition to another disk. */
static void test_a_directory_that_is_a_link_to_one(void **state)
{
	struct fixture *f = *state;
	char there[256], here[256];

	append(f, "t", ID);
	stop(f);
	snprintf(here, sizeof(here), "%s/t-0", f->dir);
	snprintf(there, sizeof(there), "%s/elsewhere", f->dir);
	assert_int_equal(rename(here, there), 0);
	assert_int_equal(symlink("elsewhere", here), 0);
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, " 1 records,"));
	assert_int_equal(run(f, cmd_dump), 0);
	assert_non_null(strstr(f->said, "\"value\":\"line\""));
}

/* Twenty digits, but no offset. */
static void test_a_name_that_no_segment_has(void **state)
{
	struct fixture *f = *state;

	append(f, "t", ID);
	stop(f);
	garble(f, "t-0/99999999999999999999.meta", "wb");
	assert_int_equal(verify(f), 0);
	assert_non_null(strstr(f->said, "note: t-0: 99999999999999999999.meta in it is foreign"));
	assert_int_equal(run(f, cmd_dump), 0);
	assert_null(strstr(f->said, "fault"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_what_is_no_file_hides_nothing_else, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_segments_file_that_is_no_file_after_a_kill,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_checkpoint_that_is_not_two_slots, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_too_long_to_be_read_is_named, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_debts_that_are_gone, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_snapshot_that_is_no_file, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_what_is_no_file_and_keeps_all_shut_is_named,
						set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_link_that_is_named_like_a_partition, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_directory_that_is_a_link_to_one, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_a_name_that_no_segment_has, set_up, tear_down),
		cmocka_unit_test_setup_teardown(test_a_torn_tail_that_is_still_to_be_cut, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_bytes_behind_what_a_clean_stop_closed, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_nothing_that_tells_the_topic, set_up,
						tear_down),
		cmocka_unit_test_setup_teardown(test_the_metadata_tell_the_topic, set_up,
						tear_down),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

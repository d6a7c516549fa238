#include "daemon/store/plog.h"

#include "daemon/store/segment.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const uint8_t id_a[16] = "topic a's own id", id_b[16] = "topic b's own id";

struct bench {
	struct simdisk *sd;
	struct plog log;
	struct debt_table debts;
	uint8_t *debt_mem;
	struct plog_config config;
	struct plog_open_report report;
};

static int open_as(struct bench *b, const uint8_t id[16], const struct plog_point *floor,
		   bool clean)
{
	struct debt owed[2];
	unsigned cnt = debt_load(b->debt_mem, owed);

	plog_init(&b->log, simdisk_disk(b->sd), &b->debts, "t-0", id, 0, &b->config);
	return plog_open(&b->log, 0, 0, floor, clean, owed, cnt, &b->report);
}

static int set_up(void **state)
{
	struct bench *b = calloc(1, sizeof(*b));

	b->sd = simdisk_new(1);
	b->debt_mem = calloc(1, DEBT_FILE_LEN);
	debt_table_init(&b->debts, b->debt_mem);
	b->config = (struct plog_config){
		.segment_bytes = 1 << 20,
		.segment_ms = -1,
		.retention_ms = -1,
		.retention_bytes = -1,
		.index_interval_bytes = 400,
	};
	*state = b;
	return open_as(b, id_a, NULL, false);
}

static int tear_down(void **state)
{
	struct bench *b = *state;

	plog_fini(&b->log);
	simdisk_free(b->sd);
	free(b->debt_mem);
	free(b);
	return 0;
}

/* The process is killed; the next one opens the log. */
static int reopen(struct bench *b, const struct plog_point *floor)
{
	plog_fini(&b->log);
	simdisk_kill(b->sd);
	return open_as(b, id_a, floor, false);
}

static int try_append(struct bench *b, int64_t now_ms, const char *lines, bool late)
{
	struct iovec iov = { .iov_base = (void *)lines, .iov_len = strlen(lines) };
	struct plog_appended a;

	return plog_append_lines(&b->log, now_ms, &iov, 1, iov.iov_len,
				 (uint32_t)hash_newline_cnt(lines, iov.iov_len), late, &a);
}

static void append(struct bench *b, int64_t now_ms, const char *lines, bool late)
{
	assert_int_equal(try_append(b, now_ms, lines, late), 0);
}

/* A hundred batches "NNN: some text\n" of 15 bytes, in segments of so many batches. */
static void fill(struct bench *b, unsigned per_segment)
{
	for (unsigned i = 0; i < 100; i++) {
		char line[32];

		snprintf(line, sizeof(line), "%03u: some text\n", i);
		if (i && i % per_segment == 0)
			assert_int_equal(plog_roll(&b->log, i), 0);
		append(b, i, line, false);
	}
}

/* One byte at pos, or the error. */
static int read_byte(struct bench *b, uint64_t pos)
{
	struct plog_extent e;
	uint64_t next;
	uint8_t byte;
	int r = plog_extent(&b->log, pos, 1, &e, &next);

	if (!r)
		r = plog_extent_read(&b->log, &e, &byte);
	return r ? r : byte;
}

/* That every line of fill() is there but those from..to, which answer EIO. */
static void check_filled(struct bench *b, unsigned from, unsigned to)
{
	assert_int_equal(b->log.next_offset, 100);
	for (unsigned i = 0; i < 100; i++) {
		const struct batch *batch;
		char line[32];
		int r = plog_batch(&b->log, i, &batch);

		snprintf(line, sizeof(line), "%03u: some text\n", i);
		for (unsigned k = 0; k < 15; k++)
			assert_int_equal(read_byte(b, i * 15 + k),
					 i >= from && i < to ? -EIO : line[k]);
		assert_int_equal(r, i >= from && i < to ? -EIO : 0);
		if (!r)
			assert_memory_equal(batch->recs[0].value, line, 14);
	}
}

static const char *path_of(int64_t base, const char *suffix)
{
	static char path[64];

	snprintf(path, sizeof(path), "t-0/%020lld.%s", (long long)base, suffix);
	return path;
}

static void test_late_line_is_one_call(void **state)
{
	struct bench *b = *state;
	uint64_t calls;

	append(b, 10, "first\n", true);
	calls = simdisk_call_cnt(b->sd);
	for (int i = 0; i < 50; i++)
		append(b, 10, "more\n", true);
	assert_int_equal(simdisk_call_cnt(b->sd) - calls, 50);
	/* A new millisecond: one description, and the line. */
	append(b, 11, "more\n", true);
	assert_int_equal(simdisk_call_cnt(b->sd) - calls, 52);
	assert_int_equal(b->log.next_offset, 52);
}

static void test_lines_are_two_calls(void **state)
{
	struct bench *b = *state;
	uint64_t calls;

	append(b, 10, "a\nb\n", true);
	calls = simdisk_call_cnt(b->sd);
	append(b, 10, "c\nd\n", true);
	assert_int_equal(simdisk_call_cnt(b->sd) - calls, 2);
}

static void test_owed_lines_survive_a_kill(void **state)
{
	struct bench *b = *state;
	const struct batch *batch;

	b->log.leader_epoch = 7;
	append(b, 10, "a\n", true);
	append(b, 10, "b\n", true);
	assert_int_equal(b->log.debt.cnt, 2);
	assert_int_equal(reopen(b, NULL), 0);
	assert_int_equal(b->report.described_records, 2);
	assert_int_equal(b->log.next_offset, 2);
	assert_int_equal(plog_batch(&b->log, 1, &batch), 0);
	assert_int_equal(batch->head.cnt, 2);
	assert_int_equal(batch->head.leader_epoch, 7);
	assert_int_equal(batch->recs[1].timestamp_ms, 10);
}

/* What a cut stopped half-way leaves is values without description, never the other way round. */
static void test_values_are_cut_before_descriptions(void **state)
{
	struct bench *b = *state;
	struct buf calls;
	char data[80], meta[80], *first;

	append(b, 10, "a\n", false);
	append(b, 11, "b\n", false);
	simdisk_flip(b->sd, path_of(0, "data"), 2, 1);
	buf_init(&calls);
	simdisk_trace(b->sd, &calls);
	assert_int_equal(reopen(b, NULL), 0);
	simdisk_trace(b->sd, NULL);
	buf_put_u8(&calls, 0);
	assert_int_equal(b->log.next_offset, 1);
	snprintf(data, sizeof(data), "truncate %s ", path_of(0, "data"));
	snprintf(meta, sizeof(meta), "truncate %s ", path_of(0, "meta"));
	first = strstr((char *)calls.data, "truncate ");
	assert_non_null(first);
	assert_memory_equal(first, data, strlen(data));
	assert_non_null(strstr(first, meta));
	buf_fini(&calls);
}

static void test_owed_lines_that_changed_are_cut(void **state)
{
	struct bench *b = *state;

	append(b, 10, "a\n", true);
	append(b, 10, "b\n", true);
	simdisk_flip(b->sd, path_of(0, "data"), 0, 1);
	assert_int_equal(reopen(b, NULL), 0);
	assert_int_equal(b->report.described_records, 0);
	assert_int_equal(b->log.next_offset, 0);
}

/* The description was written, the values were not. */
static void test_a_refused_append_leaves_nothing(void **state)
{
	struct bench *b = *state;
	size_t data_len, meta_len, len;

	append(b, 10, "a\nb\n", false);
	simdisk_bytes(b->sd, path_of(0, "data"), &data_len);
	simdisk_bytes(b->sd, path_of(0, "meta"), &meta_len);
	simdisk_fail(b->sd, 2, 1, -ENOSPC);
	assert_int_equal(try_append(b, 11, "c\nd\n", false), -ENOSPC);
	simdisk_fail(b->sd, 0, 0, 0);
	simdisk_bytes(b->sd, path_of(0, "data"), &len);
	assert_int_equal(len, data_len);
	simdisk_bytes(b->sd, path_of(0, "meta"), &len);
	assert_int_equal(len, meta_len);
	append(b, 12, "e\n", false);
	assert_int_equal(b->log.next_offset, 3);
}

/* The room of a description is taken before its first line is. */
static void test_description_needs_no_free_space(void **state)
{
	struct bench *b = *state;

	append(b, 10, "a\n", true);
	simdisk_set_free(b->sd, 0);
	assert_int_equal(try_append(b, 10, "b\n", true), -ENOSPC);
	assert_int_equal(plog_describe(&b->log), 0);
	assert_int_equal(try_append(b, 11, "c\nd\n", true), -ENOSPC);
	assert_int_equal(b->log.next_offset, 1);
	simdisk_set_free(b->sd, 1 << 20);
	append(b, 12, "e\n", true);
	assert_int_equal(reopen(b, NULL), 0);
	assert_int_equal(b->log.next_offset, 2);
	assert_int_equal(read_byte(b, 2), 'e');
}

/* Whatever call fails, and however: the log is as before, or the append is whole. */
static void sweep(struct bench *b, int err)
{
	for (uint64_t nth = 1;; nth++) {
		uint64_t failed = simdisk_failed_cnt(b->sd);
		int64_t before = b->log.next_offset;
		int r;

		simdisk_fail(b->sd, nth, 1, err);
		r = try_append(b, 100, "one\ntwo\n", false);
		if (!r)
			r = plog_roll(&b->log, 100);
		if (!r)
			r = try_append(b, 100, "three\n", true);
		simdisk_fail(b->sd, 0, 0, 0);
		append(b, 101, "after\n", true);
		assert_in_range(b->log.next_offset - before, 1, 4);
		before = b->log.next_offset;
		assert_int_equal(reopen(b, NULL), 0);
		assert_int_equal(b->log.next_offset, before);
		for (uint64_t pos = b->log.end_pos - 6; pos < b->log.end_pos; pos++)
			assert_int_equal(read_byte(b, pos), "after\n"[pos + 6 - b->log.end_pos]);
		if (simdisk_failed_cnt(b->sd) == failed && nth > 40)
			return;
	}
}

static void test_nth_call_fails(void **state)
{
	sweep(*state, -EIO);
	sweep(*state, -ENOSPC);
	sweep(*state, -EMFILE);
	sweep(*state, -EINTR);
	sweep(*state, SIMDISK_SHORT);
}

static void test_flipped_value_is_not_served(void **state)
{
	struct bench *b = *state;

	fill(b, 40);
	simdisk_flip(b->sd, path_of(40, "data"), 7 * 15 + 3, 1);
	check_filled(b, 47, 48);
	assert_non_null(strstr(b->log.fault, path_of(40, "data")));
	simdisk_flip(b->sd, path_of(40, "data"), 7 * 15 + 3, 1);
	check_filled(b, 0, 0);
}

static void test_flipped_description_hides_its_bytes_only(void **state)
{
	struct bench *b = *state;

	fill(b, 40);
	for (size_t at = 0; at < FORMAT_BATCH_LEN; at += 13) {
		size_t pos = FORMAT_HEAD_LEN + 7 * FORMAT_BATCH_LEN + at;
		struct plog_point end;

		assert_int_equal(plog_point(&b->log, &end), 0);
		simdisk_flip(b->sd, path_of(40, "meta"), pos, 4);
		assert_int_equal(reopen(b, &end), 0);
		check_filled(b, 47, 48);
		assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
		simdisk_flip(b->sd, path_of(40, "meta"), pos, 4);
	}
}

/* The index that is built anew begins behind it. */
static void test_flipped_first_description(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	uint64_t pos;

	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(40, "meta"), FORMAT_HEAD_LEN + 13, 4);
	assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(40, "index")), 0);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 40, 41);
	assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
	assert_int_equal(plog_seek_data(&b->log, 40 * 15, &pos), 0);
	assert_int_equal(pos, 40 * 15);
}

static void test_index_is_built_again(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	size_t len;

	fill(b, 40);
	assert_int_equal(plog_flush_indexes(&b->log), 0);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_non_null(simdisk_bytes(b->sd, path_of(0, "index"), &len));
	simdisk_flip(b->sd, path_of(0, "index"), INDEX_HEAD_LEN + 2 * INDEX_ENTRY_LEN, 1);
	simdisk_flip(b->sd, path_of(40, "timeindex"), 1, 1);
	assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(80, "index")), 0);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 0, 0);
	for (int64_t ts = 0; ts < 100; ts++) {
		int64_t offset;

		assert_int_equal(plog_time_to_offset(&b->log, ts, &offset), 0);
		assert_int_equal(offset, ts);
	}
}

/* Below the checkpoint nothing is cut: the log goes on behind the damage. */
static void test_damage_below_the_floor_stays(void **state)
{
	struct bench *b = *state;
	struct plog_point end;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(0, "data"), 99 * 15, 1);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(b->report.cut_data_bytes + b->report.cut_meta_bytes, 0);
	check_filled(b, 99, 100);
	append(b, 200, "behind\n", true);
	assert_int_equal(read_byte(b, 1500), 'b');
}

static void test_cut_file_below_the_floor(void **state)
{
	struct bench *b = *state;
	struct disk *d = simdisk_disk(b->sd);
	struct plog_point end;
	int fd;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(disk_open(d, path_of(0, "data"), 0, &fd), 0);
	assert_int_equal(disk_truncate(d, fd, 95 * 15 + 4), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_true(b->report.damaged);
	check_filled(b, 95, 100);
	append(b, 200, "behind\n", true);
	assert_int_equal(read_byte(b, 1500), 'b');
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(read_byte(b, 1500), 'b');
	assert_int_equal(read_byte(b, 1499), -EIO);
}

/* A tail that does not match is cut, with every later segment. */
static void test_torn_tail_is_cut(void **state)
{
	struct bench *b = *state;
	struct plog_point floor = { .segment_base = -1, .max_ts_ms = -1 };
	size_t len;

	fill(b, 40);
	simdisk_flip(b->sd, path_of(40, "data"), 7 * 15 + 3, 1);
	assert_int_equal(reopen(b, &floor), 0);
	assert_false(b->report.damaged);
	assert_int_equal(b->log.next_offset, 47);
	assert_int_equal(b->report.cut_records, 53);
	assert_null(simdisk_bytes(b->sd, path_of(80, "data"), &len));
	assert_null(simdisk_bytes(b->sd, path_of(80, "meta"), &len));
	append(b, 200, "next\n", true);
	assert_int_equal(read_byte(b, 47 * 15), 'n');
}

static void test_missing_files_are_faults(void **state)
{
	static const char *const suffix[] = { "meta", "data" };
	struct bench *b = *state;

	fill(b, 40);
	for (unsigned i = 0; i < 2; i++) {
		struct disk *d = simdisk_disk(b->sd);
		struct plog_point end;

		assert_int_equal(plog_point(&b->log, &end), 0);
		assert_int_equal(disk_rename(d, path_of(40, suffix[i]), "elsewhere"), 0);
		assert_int_equal(reopen(b, &end), 0);
		assert_true(b->report.damaged);
		assert_non_null(strstr(b->log.fault, path_of(40, suffix[i])));
		check_filled(b, 40, 80);
		assert_int_equal(disk_rename(d, "elsewhere", path_of(40, suffix[i])), 0);
	}
}

/* The first segment, the last, and the only one: what they held is neither given nor passed. */
static void test_missing_ends_are_faults(void **state)
{
	struct bench *b = *state;
	struct disk *d = simdisk_disk(b->sd);
	struct plog_point end;

	fill(b, 40);
	for (int64_t base = 0; base <= 80; base += 80) {
		assert_int_equal(plog_point(&b->log, &end), 0);
		assert_int_equal(disk_rename(d, path_of(base, "meta"), "elsewhere"), 0);
		assert_int_equal(reopen(b, &end), 0);
		assert_true(b->report.damaged || !base);
		check_filled(b, (unsigned)base, (unsigned)MIN(base + 40, 100));
		assert_int_equal(disk_rename(d, "elsewhere", path_of(base, "meta")), 0);
		assert_int_equal(reopen(b, &end), 0);
	}
	check_filled(b, 0, 0);
}

static void test_missing_log_is_a_fault(void **state)
{
	struct bench *b = *state;
	struct disk *d = simdisk_disk(b->sd);
	struct plog_point end;
	int64_t offset;
	uint64_t pos;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(disk_unlink(d, path_of(0, "meta")), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_true(b->report.damaged);
	for (unsigned round = 0; round < 2; round++) {
		assert_int_equal(plog_offset_to_pos(&b->log, 3, &pos), -EIO);
		assert_int_equal(plog_pos_to_offset(&b->log, 3, &offset), -EIO);
		assert_int_equal(plog_time_to_offset(&b->log, 3, &offset), round ? 0 : -EIO);
		assert_true(!round || offset == 100);
		for (unsigned i = 0; i < 100; i++) {
			const struct batch *batch;

			assert_int_equal(plog_batch(&b->log, i, &batch), -EIO);
			assert_int_equal(read_byte(b, i * 15), -EIO);
		}
		assert_non_null(strstr(b->log.fault, "missing"));
		/* The log goes on behind it. */
		if (!round)
			append(b, 200, "behind\n", true);
	}
	assert_int_equal(read_byte(b, 1500), 'b');
}

/* Changes eight bytes of a segment's .meta and makes all hashes of its plain descriptions fit. */
static uint64_t forge(struct bench *b, int64_t base, size_t pos, uint64_t value)
{
	size_t len;
	uint8_t *meta = simdisk_bytes(b->sd, path_of(base, "meta"), &len);
	uint64_t was = le64_load(meta + pos);

	le64_store(meta + pos, value);
	le64_store(meta + 8, hash_xxh3(meta + 16, FORMAT_HEAD_LEN - 16));
	for (uint8_t *p = meta + FORMAT_HEAD_LEN; p < meta + len; p += FORMAT_BATCH_LEN)
		le64_store(p + 8,
			   hash_xxh3_seed(p + 16, FORMAT_BATCH_LEN - 16, le64_load(meta + 64)));
	return was;
}

/* A flipped bit can make a version of a head that nobody knows: it spreads no further than any. */
static void test_head_of_a_newer_version(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	size_t len;

	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(40, "meta"), 4, 8);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 40, 80);
	assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
	simdisk_flip(b->sd, path_of(40, "meta"), 4, 8);
	/* Where the log would be cut, nothing is touched. */
	simdisk_flip(b->sd, path_of(80, "meta"), 4, 8);
	assert_int_equal(reopen(b, NULL), -EIO);
	assert_non_null(strstr(b->log.fault, "newer version"));
	assert_non_null(simdisk_bytes(b->sd, path_of(80, "meta"), &len));
	assert_int_equal(len, FORMAT_HEAD_LEN + 20 * FORMAT_BATCH_LEN);
	simdisk_flip(b->sd, path_of(80, "meta"), 4, 8);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 0, 0);
}

/* Descriptions whose hashes fit, and that contradict each other: no writer makes them. */
static void test_descriptions_out_of_order(void **state)
{
	static const size_t fields[] = { 48, 56, 64 }; /* offset, plain position, position */
	struct bench *b = *state;
	struct plog_point end;

	fill(b, 40);
	for (unsigned i = 0; i < ARRAY_CNT(fields); i++) {
		size_t pos = FORMAT_HEAD_LEN + 7 * FORMAT_BATCH_LEN + fields[i];
		uint64_t was;

		assert_int_equal(plog_point(&b->log, &end), 0);
		was = forge(b, 40, pos, 0);
		assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(40, "index")), 0);
		assert_int_equal(reopen(b, &end), 0);
		check_filled(b, 40, 80);
		assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
		forge(b, 40, pos, was);
		assert_int_equal(reopen(b, &end), 0);
		check_filled(b, 0, 0);
		assert_int_equal(plog_flush_indexes(&b->log), 0);
	}
}

/* An index is believed where to look, never what was checked. */
static void test_index_that_tells_too_much(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	uint8_t *meta, *entry;
	size_t len;

	b->log.config.index_interval_bytes = 39 * 135;
	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(40, "meta"), FORMAT_HEAD_LEN + 39 * FORMAT_BATCH_LEN + 13, 4);
	meta = simdisk_bytes(b->sd, path_of(40, "meta"), &len);
	entry = simdisk_bytes(b->sd, path_of(40, "index"), &len) + INDEX_HEAD_LEN + INDEX_ENTRY_LEN;
	assert_int_equal(len, INDEX_HEAD_LEN + 2 * INDEX_ENTRY_LEN);
	le32_store(entry + 12, 5000);
	le32_store(entry + 16, (uint32_t)hash_xxh3_seed(entry, 16, le64_load(meta + 64) + 1));
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 79, 80);
}

/* A cleaned segment may have holes; but the log's end is not behind it in the plain file. */
static void test_append_before_a_forged_place(void **state)
{
	struct bench *b = *state;
	struct plog_point end;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &end), 0);
	forge(b, 0, 36, 1); /* the generation; the base offset stays 0 */
	forge(b, 0, FORMAT_HEAD_LEN + 99 * FORMAT_BATCH_LEN + 56, 1 << 19);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(read_byte(b, 1470), '0');
	append(b, 200, "behind\n", false);
	assert_int_equal(read_byte(b, 1500), -EIO);
	assert_int_equal(read_byte(b, 1506), -EIO);
}

/* A head that contradicts the log's start is refused before anything is cut at it. */
static void test_head_beside_the_start(void **state)
{
	static const uint64_t places[] = { 0, 599, 601, INT64_MAX };
	struct bench *b = *state;

	fill(b, 40);
	assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(0, "meta")), 0);
	for (unsigned i = 0; i < ARRAY_CNT(places); i++) {
		forge(b, 40, 48, places[i]);
		plog_fini(&b->log);
		simdisk_kill(b->sd);
		plog_init(&b->log, simdisk_disk(b->sd), &b->debts, "t-0", id_a, 0, &b->config);
		assert_int_equal(plog_open(&b->log, 40, 600, NULL, false, NULL, 0, &b->report),
				 -EIO);
		assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
	}
	forge(b, 40, 48, 600);
	plog_fini(&b->log);
	plog_init(&b->log, simdisk_disk(b->sd), &b->debts, "t-0", id_a, 0, &b->config);
	assert_int_equal(plog_open(&b->log, 40, 600, NULL, false, NULL, 0, &b->report), 0);
	assert_int_equal(b->log.next_offset, 100);
	assert_int_equal(read_byte(b, 600), '0');
}

/* The same with a hole between two of them, where no description is missing. */
static void test_descriptions_with_a_hole(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	size_t pos = FORMAT_HEAD_LEN + 39 * FORMAT_BATCH_LEN;

	b->config.index_interval_bytes = 39 * 135;
	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	forge(b, 40, pos + 64, 41 * 15);
	forge(b, 40, pos + 56, 81 * 15);
	assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(40, "index")), 0);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 40, 80);
}

/* What is appended behind a damaged last description is found. */
static void test_append_behind_a_flipped_description(void **state)
{
	struct bench *b = *state;
	struct plog_point end;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(0, "meta"), FORMAT_HEAD_LEN + 99 * FORMAT_BATCH_LEN + 13, 4);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 99, 100);
	append(b, 200, "behind\n", true);
	for (unsigned i = 0; i < 2; i++) {
		const struct batch *batch;

		assert_int_equal(read_byte(b, 1500), 'b');
		assert_int_equal(read_byte(b, 1499), -EIO);
		assert_int_equal(plog_batch(&b->log, 100, &batch), 0);
		assert_int_equal(batch->head.plain_pos, 1500);
		assert_int_equal(plog_point(&b->log, &end), 0);
		assert_int_equal(reopen(b, &end), 0);
	}
}

/* A sealed segment that is not this log's (somebody copied files) is a fault like any damage: its
 * readers must not take it for what retention removed. */
static void test_foreign_segment_among_ours(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	uint64_t was;

	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	was = forge(b, 40, 16, 1);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 40, 80);
	assert_non_null(strstr(b->log.fault, path_of(40, "meta")));
	assert_int_equal(reopen(b, NULL), -ESTALE);
	forge(b, 40, 16, was);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 0, 0);
}

/* Batches of two segments are told apart even where a forger gave both one seed. */
static void test_segments_of_one_seed(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	size_t len;

	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	forge(b, 40, 64, le64_load(simdisk_bytes(b->sd, path_of(0, "meta"), &len) + 64));
	assert_int_equal(reopen(b, &end), 0);
	for (int64_t i = 0; i < 40; i++) {
		for (int64_t base = 0; base <= 40; base += 40) {
			const struct batch *batch;

			assert_int_equal(plog_batch(&b->log, base + i, &batch), 0);
			assert_int_equal(batch->head.base_offset, base + i);
		}
	}
}

/* It held no bytes, so that the positions do not tell that it is missing. */
static void test_missing_end_of_control_batches(void **state)
{
	const struct plog_producer producer = { .id = 1, .attr = BATCH_CONTROL };
	const struct record mark = { .value_len = RECORD_NULL, .key_len = RECORD_NULL };
	struct bench *b = *state;
	struct plog_appended a;
	struct plog_point end;

	fill(b, 200);
	assert_int_equal(plog_roll(&b->log, 100), 0);
	assert_int_equal(plog_append_records(&b->log, 100, &mark, 1, &producer, &a), 0);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(disk_unlink(simdisk_disk(b->sd), path_of(100, "meta")), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_true(b->report.damaged);
	for (unsigned i = 0; i < 2; i++) {
		const struct batch *batch;

		append(b, 200, "behind\n", false);
		assert_int_equal(plog_batch(&b->log, 100, &batch), -EIO);
		assert_int_equal(plog_batch(&b->log, 101, &batch), 0);
		assert_int_equal(read_byte(b, 1500), 'b');
		assert_int_equal(plog_point(&b->log, &end), 0);
		assert_int_equal(reopen(b, &end), 0);
	}
}

static void test_damaged_head(void **state)
{
	struct bench *b = *state;
	struct plog_point end;

	fill(b, 40);
	assert_int_equal(plog_point(&b->log, &end), 0);
	simdisk_flip(b->sd, path_of(40, "meta"), 48, 1);
	assert_int_equal(reopen(b, &end), 0);
	check_filled(b, 40, 80);
	/* The active one's: the log goes on in a new segment. */
	simdisk_flip(b->sd, path_of(80, "meta"), 48, 1);
	assert_int_equal(reopen(b, &end), 0);
	assert_true(b->report.damaged);
	check_filled(b, 40, 100);
	append(b, 200, "behind\n", true);
	assert_int_equal(read_byte(b, 1500), 'b');
	assert_int_equal(b->log.segs[b->log.seg_cnt - 1]->base_offset, 100);
}

static void test_foreign_topic_is_not_touched(void **state)
{
	struct bench *b = *state;
	struct buf trace;

	fill(b, 40);
	plog_fini(&b->log);
	simdisk_kill(b->sd);
	buf_init(&trace);
	simdisk_trace(b->sd, &trace);
	assert_int_equal(open_as(b, id_b, NULL, false), -ESTALE);
	simdisk_trace(b->sd, NULL);
	buf_put_u8(&trace, 0);
	assert_null(strstr((char *)trace.data, "unlink"));
	assert_null(strstr((char *)trace.data, "truncate"));
	assert_null(strstr((char *)trace.data, "writev"));
	buf_fini(&trace);
}

static void test_foreign_files_are_left_alone(void **state)
{
	static const char *const names[] = { "t-0/notes.txt", "t-0/00000000000000000000.data.bak",
					     "t-0/1.data", "t-0/99999999999999999999.data" };
	struct bench *b = *state;
	struct disk_stat st;

	fill(b, 40);
	for (unsigned i = 0; i < ARRAY_CNT(names); i++) {
		int fd;

		assert_int_equal(disk_open(simdisk_disk(b->sd), names[i], DISK_CREATE, &fd), 0);
	}
	assert_int_equal(reopen(b, NULL), 0);
	check_filled(b, 0, 0);
	for (unsigned i = 0; i < ARRAY_CNT(names); i++)
		assert_int_equal(disk_stat(simdisk_disk(b->sd), names[i], &st), 0);
}

static void test_retention_and_a_slow_reader(void **state)
{
	struct bench *b = *state;
	struct plog_extent e, e2;
	uint64_t pos, next;
	int64_t offset;
	uint8_t byte;
	size_t len;

	b->log.config.retention_ms = 100;
	fill(b, 40);
	assert_int_equal(plog_extent(&b->log, 41 * 15, 15, &e, &next), 0);
	segment_ref(e.seg);
	assert_int_equal(plog_retention(&b->log, 181, &offset, &pos), 1);
	assert_int_equal(offset, 80);
	assert_int_equal(pos, 80 * 15);
	assert_int_equal(plog_raise_start(&b->log, offset, pos), 0);
	assert_null(simdisk_bytes(b->sd, path_of(40, "data"), &len));
	assert_int_equal(plog_extent(&b->log, 0, 1, &e2, &next), -ESTALE);
	assert_int_equal(next, 80 * 15);
	/* The reader reads its record to the end, and others of that segment. */
	assert_int_equal(plog_extent_read(&b->log,
					  &(struct plog_extent){ e.seg, e.fd, e.file_pos, 1 },
					  &byte),
			 0);
	assert_int_equal(byte, '0');
	assert_int_equal(read_byte(b, 79 * 15 + 1), '7');
	segment_unref(e.seg);
	assert_int_equal(plog_extent(&b->log, 79 * 15, 1, &e2, &next), -ESTALE);
	/* All of it is old: a new segment begins, and then the log is empty. */
	assert_int_equal(plog_retention(&b->log, 1000, &offset, &pos), 1);
	assert_int_equal(offset, 100);
	assert_int_equal(plog_raise_start(&b->log, offset, pos), 0);
	assert_int_equal(plog_data_bytes(&b->log), 0);
	append(b, 1001, "new\n", true);
	assert_int_equal(read_byte(b, 1500), 'n');
}

static void test_stretches_cover_what_is_new(void **state)
{
	struct bench *b = *state;
	struct plog_stretch s[8];
	struct plog_point from;
	uint64_t bytes;
	bool unsynced;

	append(b, 1, "old\n", true);
	assert_int_equal(plog_point(&b->log, &from), 0);
	segment_set_head_synced(b->log.segs[0]);
	assert_int_equal(plog_stretches(&b->log, &from, s, 8, &bytes, &unsynced), 0);
	assert_int_equal(bytes, 0);
	append(b, 2, "new\n", true);
	assert_int_equal(plog_stretches(&b->log, &from, s, 8, &bytes, &unsynced), 2);
	assert_true(s[0].is_meta && !s[1].is_meta);
	assert_int_equal(bytes, FORMAT_BATCH_LEN + 4);
	assert_int_equal(s[1].pos, 4);
	assert_false(unsynced);
	assert_int_equal(plog_roll(&b->log, 3), 0);
	append(b, 3, "newer\n", true);
	assert_int_equal(plog_stretches(&b->log, &from, s, 8, &bytes, &unsynced), 4);
	assert_int_equal(s[2].pos, FORMAT_HEAD_LEN);
	assert_true(unsynced);
	assert_int_equal(plog_stretches(&b->log, &from, s, 3, &bytes, &unsynced), -E2BIG);
}

static void test_clean_start_touches_few_files(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	uint64_t calls;

	fill(b, 10);
	assert_int_equal(plog_flush_indexes(&b->log), 0);
	assert_int_equal(plog_point(&b->log, &end), 0);
	plog_fini(&b->log);
	calls = simdisk_call_cnt(b->sd);
	assert_int_equal(open_as(b, id_a, &end, true), 0);
	/* The listing; the active head (open, read, two lengths, close); the time of its .data. */
	assert_in_range(simdisk_call_cnt(b->sd) - calls, 1, 7);
	assert_int_equal(simdisk_open_cnt(b->sd), 0);
	assert_int_equal(b->report.segments, 10);
	check_filled(b, 0, 0);
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_late_line_is_one_call),
		CASE(test_lines_are_two_calls),
		CASE(test_owed_lines_survive_a_kill),
		CASE(test_values_are_cut_before_descriptions),
		CASE(test_owed_lines_that_changed_are_cut),
		CASE(test_a_refused_append_leaves_nothing),
		CASE(test_description_needs_no_free_space),
		CASE(test_nth_call_fails),
		CASE(test_flipped_value_is_not_served),
		CASE(test_flipped_description_hides_its_bytes_only),
		CASE(test_flipped_first_description),
		CASE(test_index_is_built_again),
		CASE(test_damage_below_the_floor_stays),
		CASE(test_cut_file_below_the_floor),
		CASE(test_torn_tail_is_cut),
		CASE(test_missing_files_are_faults),
		CASE(test_missing_ends_are_faults),
		CASE(test_missing_log_is_a_fault),
		CASE(test_missing_end_of_control_batches),
		CASE(test_head_of_a_newer_version),
		CASE(test_descriptions_out_of_order),
		CASE(test_foreign_segment_among_ours),
		CASE(test_index_that_tells_too_much),
		CASE(test_append_before_a_forged_place),
		CASE(test_head_beside_the_start),
		CASE(test_descriptions_with_a_hole),
		CASE(test_append_behind_a_flipped_description),
		CASE(test_segments_of_one_seed),
		CASE(test_damaged_head),
		CASE(test_foreign_topic_is_not_touched),
		CASE(test_foreign_files_are_left_alone),
		CASE(test_retention_and_a_slow_reader),
		CASE(test_stretches_cover_what_is_new),
		CASE(test_clean_start_touches_few_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

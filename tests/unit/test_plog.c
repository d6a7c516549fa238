#include "tests/lib/plog_fixture.h"

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

#define LARGE_LEN (16U * 1024U)

static void append_large(struct bench *b, unsigned cnt)
{
	char text[LARGE_LEN + 1];

	memset(text, 'x', LARGE_LEN);
	text[LARGE_LEN - 1] = '\n';
	text[LARGE_LEN] = 0;
	while (cnt--)
		append(b, 10, text, false);
}

static unsigned calls_of(const struct buf *calls, const char *what)
{
	const char *at = calls->data ? (const char *)calls->data : "";
	unsigned cnt = 0;

	for (; (at = strstr(at, what)); at++)
		cnt++;
	return cnt;
}

/* As much room is made ahead of large appends as they have taken; lack of it refuses none. */
static void test_large_appends_find_room(void **state)
{
	struct bench *b = *state;
	struct buf calls;

	buf_init(&calls);
	simdisk_trace(b->sd, &calls);
	append_large(b, 8);
	buf_put(&calls, "", 1);
	assert_int_equal(calls_of(&calls, "allocate"), 3);
	simdisk_trace(b->sd, NULL);
	buf_fini(&calls);
	/* Up to 240 KiB. */
	simdisk_set_free(b->sd, 7 * FORMAT_BATCH_LEN);
	append_large(b, 7);
	simdisk_set_free(b->sd, LARGE_LEN + FORMAT_BATCH_LEN);
	append_large(b, 1);
	assert_int_equal(reopen(b, NULL), 0);
	assert_int_equal(b->log.next_offset, 16);
	assert_int_equal(b->log.end_pos, 16 * LARGE_LEN);
}

/* A segment has no more room than it may become long, and a sealed one none that it does not use.
 */
static void test_a_sealed_segment_gives_room_back(void **state)
{
	char allocate[128], cut[128];
	struct bench *b = *state;
	struct buf calls;

	b->log.config.segment_bytes = 3 * LARGE_LEN;
	snprintf(allocate, sizeof(allocate), "allocate %s %u %u\n", path_of(0, "data"), LARGE_LEN,
		 2 * LARGE_LEN);
	snprintf(cut, sizeof(cut), "truncate %s 0 %u\n", path_of(0, "data"), 2 * LARGE_LEN);
	buf_init(&calls);
	simdisk_trace(b->sd, &calls);
	append_large(b, 2);
	buf_put(&calls, "", 1);
	assert_int_equal(calls_of(&calls, allocate), 1);
	buf_reset(&calls);
	append_large(b, 1);
	buf_put(&calls, "", 1);
	assert_int_equal(calls_of(&calls, cut), 1);
	assert_int_equal(b->log.seg_cnt, 2);
	simdisk_trace(b->sd, NULL);
	buf_fini(&calls);
}

/* Whatever call fails, and however: the log is as before, or the append is whole. */
static void sweep(struct bench *b, int err, const char *lines)
{
	for (uint64_t nth = 1;; nth++) {
		uint64_t failed = simdisk_failed_cnt(b->sd);
		int64_t before = b->log.next_offset;
		int r;

		simdisk_fail(b->sd, nth, 1, err);
		r = try_append(b, 100, lines, false);
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
	static const int errs[] = { -EIO, -ENOSPC, -EMFILE, -EINTR, SIMDISK_SHORT };
	char large[LARGE_LEN + 1];

	memset(large, 'x', LARGE_LEN);
	large[0] = large[LARGE_LEN - 1] = '\n';
	large[LARGE_LEN] = 0;
	for (size_t i = 0; i < ARRAY_CNT(errs); i++) {
		sweep(*state, errs[i], "one\ntwo\n");
		/* Room is made ahead, and given back. */
		sweep(*state, errs[i], large);
	}
}

static void test_retention_by_bytes_spares_what_is_owed(void **state)
{
	struct bench *b = *state;
	int64_t offset;
	uint64_t pos;

	b->log.config.retention_bytes = 1 << 20;
	for (int64_t i = 0; i < 3; i++) {
		append(b, i, "one line\n", true);
		assert_int_equal(plog_retention(&b->log, i, &offset, &pos), 0);
	}
	assert_int_equal(b->log.seg_cnt, 1);
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
		CASE(test_large_appends_find_room),
		CASE(test_a_sealed_segment_gives_room_back),
		CASE(test_nth_call_fails),
		CASE(test_retention_by_bytes_spares_what_is_owed),
		CASE(test_retention_and_a_slow_reader),
		CASE(test_stretches_cover_what_is_new),
		CASE(test_clean_start_touches_few_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

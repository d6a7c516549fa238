#include "tests/lib/clean_fixture.h"

/* ---- The map and the rules ---- */

static void test_the_map_knows_the_newest_of_each_key(void **state)
{
	struct clean_map m;
	char key[16];

	assert_int_equal(clean_map_init(&m, 1000, 1 << 20, 7), 0);
	for (int i = 0; i < 3000; i++) {
		int len = snprintf(key, sizeof(key), "key%d", i % 1000);

		assert_int_equal(clean_map_put(&m, key, (size_t)len, i), 0);
	}
	assert_int_equal(m.key_cnt, 1000);
	for (int i = 0; i < 1000; i++) {
		int len = snprintf(key, sizeof(key), "key%d", i);

		assert_int_equal(clean_map_find(&m, key, (size_t)len), 2000 + i);
		assert_int_equal(clean_map_find(&m, key, (size_t)len - 1),
				 i < 10 ? -1 : 2000 + i / 10);
	}
	assert_int_equal(clean_map_find(&m, "", 0), -1);
	assert_int_equal(clean_map_put(&m, "", 0, 5000), 0);
	assert_int_equal(clean_map_find(&m, "", 0), 5000);
	clean_map_fini(&m);
}

static void test_a_full_map_takes_only_keys_that_it_has(void **state)
{
	struct clean_map m;
	int cnt = 0;

	assert_int_equal(clean_map_init(&m, 1000, 64, 7), 0);
	while (!clean_map_put(&m, &cnt, sizeof(cnt), cnt))
		cnt++;
	assert_int_equal(cnt, 48);
	assert_int_equal(clean_map_put(&m, &cnt, sizeof(cnt), 100), -ENOSPC);
	assert_int_equal(clean_map_find(&m, &cnt, sizeof(cnt)), -1);
	cnt = 5;
	assert_int_equal(clean_map_put(&m, &cnt, sizeof(cnt), 100), 0);
	assert_int_equal(clean_map_find(&m, &cnt, sizeof(cnt)), 100);
	clean_map_fini(&m);
}

static void test_it_is_due_when_half_of_the_sealed_bytes_are_dirty(void **state)
{
	assert_false(clean_is_due(0, 0));
	assert_false(clean_is_due(1000, 0));
	assert_false(clean_is_due(1000, 499));
	assert_true(clean_is_due(1000, 500));
	assert_true(clean_is_due(1000, 1000));
}

static void test_tombstones_go_some_time_after_they_were_cleaned_first(void **state)
{
	assert_false(clean_drops_tombstones(0, 0, HOUR, HOUR));
	assert_true(clean_drops_tombstones(1, 0, HOUR, HOUR));
	assert_false(clean_drops_tombstones(1, 1, HOUR, HOUR));
	/* The clock went back. */
	assert_false(clean_drops_tombstones(1, HOUR, 0, 0));
	assert_false(clean_drops_tombstones(3, INT64_MAX, INT64_MAX - 1, 0));
	assert_true(clean_drops_tombstones(1, -5, INT64_MAX, INT64_MAX));
}

/* ---- A log ---- */

static void test_the_newest_of_each_key_stays(void **state)
{
	struct bench *b = *state;
	struct cleaner_stats st;

	put(b, 1, "a=1 b=1 c=1 a=2");
	put(b, 2, "a=3 d=1");
	roll(b);
	put(b, 3, "b=2 e=1 b=3");
	roll(b);
	put(b, 4, "c=2");
	st = clean(b, 10);
	assert_int_equal(st.segments, 2);
	assert_int_equal(st.records_gone, 4);
	/* What is not sealed counts for nothing yet. */
	check_log(b, "2:c=1 4:a=3 5:d=1 7:e=1 8:b=3 9:c=2");
	assert_int_equal(b->log.segs[0]->generation, 1);
	assert_int_equal(b->log.segs[2]->generation, 0);
	assert_int_equal(reopen(b, NULL), 0);
	assert_false(b->report.damaged);
	assert_int_equal(b->report.cut_data_bytes + b->report.cut_meta_bytes, 0);
	check_log(b, "2:c=1 4:a=3 5:d=1 7:e=1 8:b=3 9:c=2");
}

static void test_every_pass_goes_on_where_the_last_one_ended(void **state)
{
	struct bench *b = *state;
	struct cleaner_stats st;

	put(b, 1, "a=1 b=1 c=1");
	roll(b);
	put(b, 2, "a=2");
	roll(b);
	clean(b, 10);
	check_log(b, "1:b=1 2:c=1 3:a=2");
	/* Of the clean segments only those that lose something are written again. */
	put(b, 3, "b=2");
	roll(b);
	st = clean(b, 11);
	assert_int_equal(st.segments, 2);
	assert_int_equal(b->log.segs[0]->generation, 2);
	assert_int_equal(b->log.segs[1]->generation, 1);
	check_log(b, "2:c=1 3:a=2 4:b=2");
	st = clean(b, 12);
	assert_int_equal(st.segments, 0);
}

static void test_lookups_pass_the_gaps(void **state)
{
	struct bench *b = *state;
	const struct batch *batch;
	uint64_t pos, next;
	struct plog_extent e;
	int64_t offset, cnt;

	put(b, 10, "a=1 b=1 c=1"); /* 2 bytes each: 0, 2, 4 */
	put(b, 20, "a=22");	   /* 6 */
	roll(b);
	put(b, 30, "c=33"); /* 9 */
	roll(b);
	clean(b, 40);
	check_log(b, "1:b=1 3:a=22 4:c=33");
	for (int64_t o = 0; o < 5; o++) {
		int64_t want = o < 2 ? 1 : o < 4 ? 3 : 4;

		assert_int_equal(plog_batch(&b->log, o, &batch), 0);
		assert_int_equal(batch->head.base_offset, want);
		assert_int_equal(plog_offset_to_pos(&b->log, o, &pos), 0);
		assert_int_equal(pos, want == 1 ? 2 : want == 3 ? 6 : 9);
	}
	for (uint64_t p = 0; p < 12; p++) {
		bool hole = p < 2 || p == 4 || p == 5;
		uint64_t to = p < 2 ? 2 : 6;

		assert_int_equal(plog_pos_to_offset(&b->log, p, &offset), 0);
		assert_int_equal(offset, p < 4 ? 1 : p < 9 ? 3 : 4);
		assert_int_equal(plog_extent(&b->log, p, 1, &e, &next), hole ? -ENXIO : 0);
		if (hole)
			assert_int_equal(next, to);
		assert_int_equal(plog_seek_data(&b->log, p, &pos), 0);
		assert_int_equal(pos, hole ? to : p);
	}
	for (int64_t t = 0; t < 40; t++) {
		assert_int_equal(plog_time_to_offset(&b->log, t, &offset), 0);
		assert_int_equal(offset, t <= 10 ? 1 : t <= 20 ? 3 : t <= 30 ? 4 : 5);
	}
	for (int64_t n = 1; n < 5; n++) {
		assert_int_equal(plog_back(&b->log, 5, n, &offset, &cnt), 0);
		assert_int_equal(offset, n == 1 ? 4 : n == 2 ? 3 : 1);
		assert_int_equal(cnt, MIN(n, 3));
	}
	assert_int_equal(plog_back(&b->log, 3, 1, &offset, &cnt), 0);
	assert_int_equal(offset, 1);
	assert_int_equal(plog_data_bytes(&b->log), 8);
}

static void test_tombstones(void **state)
{
	struct bench *b = *state;

	put(b, 1, "a=1 b=1");
	roll(b);
	put(b, 2, "a");
	roll(b);
	clean(b, 1000);
	check_log(b, "1:b=1 2:a");
	put(b, 3, "c=1");
	roll(b);
	clean(b, 1000 + HOUR - 1);
	check_log(b, "1:b=1 2:a 3:c=1");
	/* That it was written again in between does not make it younger. */
	put(b, 4, "b=2");
	roll(b);
	clean(b, 1000 + HOUR - 1);
	check_log(b, "2:a 3:c=1 4:b=2");
	put(b, 5, "d=1");
	roll(b);
	clean(b, 1000 + HOUR);
	check_log(b, "3:c=1 4:b=2 5:d=1");
}

static void test_what_has_no_key_stays(void **state)
{
	struct bench *b = *state;

	put(b, 1, "=1 a=1 =2");
	append(b, 2, "line\nanother\n", false);
	put(b, 3, "a=2 =3");
	roll(b);
	clean(b, 10);
	check_log(b, "0:=1 2:=2 3:=line 4:=another 5:a=2 6:=3");
}

static void test_headers_timestamps_and_producers_stay(void **state)
{
	struct bench *b = *state;
	struct plog_producer producer = { .id = 9, .base_sequence = INT32_MAX, .epoch = 3 };
	struct record recs[3] = { rec_of("a", "1\n1"), rec_of("b", "2\n"), rec_of("a", NULL) };
	struct plog_appended a;
	const struct batch *batch;
	struct buf headers;

	buf_init(&headers);
	record_header_put(&headers, "h", 1, "v", 1);
	recs[1].headers = headers.data;
	recs[1].headers_len = (uint32_t)headers.len;
	recs[0].timestamp_ms = 100;
	recs[1].timestamp_ms = 300;
	recs[2].timestamp_ms = 200;
	b->log.leader_epoch = 5;
	assert_int_equal(plog_append_records(&b->log, 1, recs, 3, &producer, &a), 0);
	roll(b);
	clean(b, 10);
	assert_int_equal(plog_batch(&b->log, 0, &batch), 0);
	assert_int_equal(batch->head.base_offset, 1);
	assert_int_equal(batch->head.cnt, 2);
	assert_int_equal(batch->head.plain_pos, 4);
	assert_int_equal(batch->head.base_ts_ms, 200);
	assert_int_equal(batch->head.max_ts_ms, 300);
	assert_int_equal(batch->head.producer_id, 9);
	assert_int_equal(batch->head.base_sequence, 0);
	assert_int_equal(batch->head.producer_epoch, 3);
	assert_int_equal(batch->head.leader_epoch, 5);
	assert_int_equal(batch->recs[0].headers_len, headers.len);
	assert_memory_equal(batch->recs[0].headers, headers.data, headers.len);
	assert_memory_equal(batch->recs[0].value, "2\n", 2);
	assert_int_equal(batch->recs[1].value_len, RECORD_NULL);
	buf_fini(&headers);
}

static void test_a_segment_in_which_nothing_stays_is_removed(void **state)
{
	struct bench *b = *state;
	struct cleaner_stats st;
	uint64_t next;
	struct plog_extent e;

	put(b, 1, "a=1");
	roll(b);
	put(b, 2, "a=2 b=1");
	roll(b);
	put(b, 3, "a=3 b=2");
	roll(b);
	st = clean(b, 10);
	assert_int_equal(st.segments, 3);
	assert_int_equal(st.removed, 1);
	/* The first one is where the log begins. */
	assert_int_equal(b->log.seg_cnt, 3);
	check_log(b, "3:a=3 4:b=2");
	assert_false(exists(b, path_of(1, "data")));
	assert_false(exists(b, path_of(1, "meta")));
	assert_int_equal(plog_extent(&b->log, 3, 10, &e, &next), -ENXIO);
	assert_int_equal(next, 6);
	assert_int_equal(reopen(b, NULL), 0);
	assert_false(b->report.damaged);
	check_log(b, "3:a=3 4:b=2");
}

static void test_who_reads_a_segment_reads_it_to_its_end(void **state)
{
	struct bench *b = *state;
	struct segment *held;
	struct plog_extent e;
	uint64_t next;
	char got[8] = "";

	put(b, 1, "a=11 b=22 a=33");
	roll(b);
	held = b->log.segs[0];
	segment_ref(held);
	assert_int_equal(plog_extent_held(held, 0, 3, &e), -ENXIO);
	clean(b, 10);
	assert_ptr_not_equal(b->log.segs[0], held);
	assert_int_equal(plog_extent(&b->log, 0, 3, &e, &next), -ENXIO);
	plog_close_idle(&b->log);
	plog_close_idle(&b->log);
	assert_int_equal(plog_extent_held(held, 0, 3, &e), 0);
	assert_int_equal(plog_extent_read(&b->log, &e, got), 0);
	assert_memory_equal(got, "11\n", 3);
	assert_int_equal(plog_extent_held(held, 9, 3, &e), -ENXIO);
	segment_unref(held);
	assert_true(list_is_empty(&b->log.gone));
}

/* Its gaps may be of any size, and its last descriptions are missed all the same. */
static void test_a_cleaned_segment_that_was_cut_is_damaged(void **state)
{
	struct bench *b = *state;
	struct plog_point end;
	struct plog_extent e;
	const struct batch *batch;
	uint64_t pos, next;
	int fd;

	put(b, 1, "a=1 b=1");
	put(b, 2, "c=1");
	put(b, 3, "d=1");
	roll(b);
	put(b, 4, "a=2");
	roll(b);
	put(b, 5, "e=1");
	clean(b, 10);
	check_log(b, "1:b=1 2:c=1 3:d=1 4:a=2 5:e=1");
	assert_int_equal(plog_batch(&b->log, 3, &batch), 0);
	pos = batch->head.meta_pos;
	assert_int_equal(plog_offset_to_pos(&b->log, 3, &next), 0);
	assert_int_equal(plog_point(&b->log, &end), 0);
	assert_int_equal(disk_open(b->log.disk, path_of(0, "meta"), 0, &fd), 0);
	assert_int_equal(disk_truncate(b->log.disk, fd, pos), 0);
	assert_int_equal(reopen(b, &end), 0);
	assert_int_equal(plog_batch(&b->log, 2, &batch), 0);
	assert_int_equal(plog_batch(&b->log, 3, &batch), -EIO);
	assert_non_null(strstr(b->log.fault, path_of(0, "meta")));
	assert_int_equal(plog_extent(&b->log, next, 1, &e, &pos), -EIO);
	assert_int_equal(plog_batch(&b->log, 4, &batch), 0);
}

/* 48 keys fit: the first segment alone has more. */
static void test_more_keys_than_the_map_takes(void **state)
{
	struct bench *b = *state;
	struct cleaner_stats st;
	char line[32];

	for (unsigned i = 0; i < 130; i++) {
		snprintf(line, sizeof(line), "%u=%u", i % 60, i);
		put(b, i, i == 129 ? "50" : line);
		if (i == 69 || i == 99)
			roll(b);
	}
	roll(b);
	st = clean_with(b, 1000, 64);
	assert_int_equal(st.segments, 1);
	assert_int_equal(b->log.segs[0]->generation, 1);
	assert_int_equal(b->log.segs[1]->generation, 0);
	/* That segment's tombstones stay for good: older records may be left of their keys. */
	assert_true(b->log.segs[0]->created_ms == INT64_MAX);
	st = clean_with(b, 1000, 64);
	assert_true(b->log.segs[1]->generation > 0);
	assert_int_equal(b->log.segs[2]->generation, 0);
	st = clean_with(b, 1000, 64);
	assert_true(b->log.segs[b->log.seg_cnt - 2]->generation > 0);
	/* The map of the first pass ended before the second 9. */
	check_log_begins(b, "9:9=9 69:9=69 70:10=70 71:11=71 ");
}

static void test_other_names_are_left_alone(void **state)
{
	static const char *const foreign[] = {
		"t-0/00000000000000000000.data.x",  "t-0/00000000000000000000.data.01",
		"t-0/00000000000000000000.data.0",  "t-0/00000000000000000000.data.99999999999",
		"t-0/0000000000000000000.meta.new", "t-0/00000000000000000000.meta.news",
		"t-0/00000000000000000000.data.1x", "t-0/notes",
	};
	struct bench *b = *state;

	put(b, 1, "a=1");
	for (unsigned i = 0; i < ARRAY_CNT(foreign); i++)
		make_file(b, foreign[i], "x");
	assert_int_equal(reopen(b, NULL), 0);
	for (unsigned i = 0; i < ARRAY_CNT(foreign); i++)
		assert_true(exists(b, foreign[i]));
}

/* A .data.N is the segment's where .meta is of generation N, and else is nothing. */
static void test_what_a_stop_left_is_finished_or_forgotten(void **state)
{
	struct bench *b = *state;

	put(b, 1, "a=1 b=1 a=2");
	roll(b);
	put(b, 2, "c=1");
	clean(b, 10);
	for (unsigned n = 1; n < 4; n++) {
		char left[64], data[64];

		snprintf(left, sizeof(left), "t-0/%020d.data.%u", 0, n);
		snprintf(data, sizeof(data), "t-0/%020d.data", 0);
		if (n == 1) {
			assert_int_equal(disk_rename(b->log.disk, data, left), 0);
			make_file(b, data, "old values\n");
		} else {
			make_file(b, left, "of another life\n");
		}
		make_file(b, path_of(0, "meta.new"), "half a head");
		assert_int_equal(reopen(b, NULL), 0);
		assert_false(b->report.damaged);
		assert_false(exists(b, left));
		assert_false(exists(b, path_of(0, "meta.new")));
		check_log(b, "1:b=1 2:a=2 3:c=1");
	}
}

/* The rename of .meta may be in the cache alone: it is made stable before the old values go. */
static void test_the_directory_is_synced_before_values_get_their_name(void **state)
{
	struct bench *b = *state;
	const char *sync, *rename;
	struct buf calls;

	put(b, 1, "a=1 a=2");
	roll(b);
	clean(b, 10);
	assert_int_equal(
		disk_rename(b->log.disk, path_of(0, "data"), "t-0/00000000000000000000.data.1"), 0);
	buf_init(&calls);
	simdisk_trace(b->sd, &calls);
	assert_int_equal(reopen(b, NULL), 0);
	simdisk_trace(b->sd, NULL);
	buf_put_u8(&calls, 0);
	sync = strstr((char *)calls.data, "sync_dir t-0");
	rename = strstr((char *)calls.data, "rename t-0/00000000000000000000.data.1");
	assert_true(sync && rename && sync < rename);
	assert_non_null(strstr(rename, "sync_dir t-0"));
	buf_fini(&calls);
	check_log(b, "1:a=2");
}

static void test_no_index_of_the_old_segment_is_left(void **state)
{
	struct bench *b = *state;
	int64_t offset;

	for (int i = 0; i < 40; i++)
		put(b, i, "a=1 b=1 c=some=longer=value");
	roll(b);
	put(b, 50, "d=1");
	assert_int_equal(plog_time_to_offset(&b->log, 7, &offset), 0);
	assert_int_equal(plog_flush_indexes(&b->log), 0);
	assert_true(exists(b, path_of(0, "index")));
	clean(b, 60);
	assert_false(exists(b, path_of(0, "index")));
	assert_false(exists(b, path_of(0, "timeindex")));
	check_log(b, "117:a=1 118:b=1 119:c=some=longer=value 120:d=1");
	assert_int_equal(plog_time_to_offset(&b->log, 7, &offset), 0);
	assert_int_equal(offset, 117);
}

static void test_retention_removes_nothing_of_a_compacted_log(void **state)
{
	struct bench *b = *state;
	int64_t offset;
	uint64_t pos;

	b->log.config.retention_ms = 1;
	b->log.config.retention_bytes = 1;
	put(b, 1, "a=1");
	roll(b);
	put(b, 2, "b=1");
	roll(b);
	assert_int_equal(plog_retention(&b->log, HOUR, &offset, &pos), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_the_map_knows_the_newest_of_each_key),
		cmocka_unit_test(test_a_full_map_takes_only_keys_that_it_has),
		cmocka_unit_test(test_it_is_due_when_half_of_the_sealed_bytes_are_dirty),
		cmocka_unit_test(test_tombstones_go_some_time_after_they_were_cleaned_first),
		CLEAN_CASE(test_the_newest_of_each_key_stays),
		CLEAN_CASE(test_every_pass_goes_on_where_the_last_one_ended),
		CLEAN_CASE(test_lookups_pass_the_gaps),
		CLEAN_CASE(test_tombstones),
		CLEAN_CASE(test_what_has_no_key_stays),
		CLEAN_CASE(test_headers_timestamps_and_producers_stay),
		CLEAN_CASE(test_a_segment_in_which_nothing_stays_is_removed),
		CLEAN_CASE(test_who_reads_a_segment_reads_it_to_its_end),
		CLEAN_CASE(test_a_cleaned_segment_that_was_cut_is_damaged),
		CLEAN_CASE(test_more_keys_than_the_map_takes),
		CLEAN_CASE(test_other_names_are_left_alone),
		CLEAN_CASE(test_what_a_stop_left_is_finished_or_forgotten),
		CLEAN_CASE(test_the_directory_is_synced_before_values_get_their_name),
		CLEAN_CASE(test_no_index_of_the_old_segment_is_left),
		CLEAN_CASE(test_retention_removes_nothing_of_a_compacted_log),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

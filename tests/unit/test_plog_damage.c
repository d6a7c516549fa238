/*
 * What flipped bits, cut, lost and foreign files make of a partition log.
 */
#include "tests/lib/plog_fixture.h"

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

/* Behind it the log went on in a segment of its own: that is no tail of what is damaged. */
static void test_what_follows_a_cut_file_stays(void **state)
{
	static const char *const suffix[] = { "meta", "data" };
	struct bench *b = *state;
	struct disk *d = simdisk_disk(b->sd);
	struct plog_point floor;
	size_t len;
	int fd;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &floor), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(disk_open(d, path_of(0, suffix[i]), 0, &fd), 0);
		assert_int_equal(disk_truncate(d, fd, 0), 0);
		assert_int_equal(reopen(b, &floor), 0);
		assert_true(b->report.damaged);
		if (!i) {
			append(b, 200, "behind\n", true);
			assert_int_equal(plog_describe(&b->log), 0);
		}
		assert_int_equal(reopen(b, &floor), 0);
		assert_true(b->report.damaged);
		assert_int_equal(b->log.next_offset, 101);
		assert_int_equal(read_byte(b, 1500), 'b');
		assert_int_equal(read_byte(b, 1499), -EIO);
		assert_non_null(simdisk_bytes(b->sd, path_of(100, "data"), &len));
	}
}

/* Where its head is still there, the segment goes on itself. */
static void test_what_follows_a_shorter_file_stays(void **state)
{
	static const char *const suffix[] = { "meta", "data" };
	struct bench *b = *state;
	struct disk *d = simdisk_disk(b->sd);
	struct plog_point floor;
	int fd;

	fill(b, 200);
	assert_int_equal(plog_point(&b->log, &floor), 0);
	for (unsigned i = 0; i < 2; i++) {
		assert_int_equal(disk_open(d, path_of(0, suffix[i]), 0, &fd), 0);
		assert_int_equal(disk_truncate(d, fd, 1000), 0);
		assert_int_equal(disk_close(d, fd), 0);
		assert_int_equal(reopen(b, &floor), 0);
		assert_true(b->report.damaged);
		append(b, 200, "behind\n", true);
		assert_int_equal(plog_describe(&b->log), 0);
		assert_int_equal(reopen(b, &floor), 0);
		assert_int_equal(b->log.seg_cnt, 1);
		assert_int_equal(b->log.next_offset, 101);
		assert_int_equal(read_byte(b, 1500), 'b');
		assert_int_equal(read_byte(b, 1499), -EIO);
	}
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

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_flipped_value_is_not_served),
		CASE(test_flipped_description_hides_its_bytes_only),
		CASE(test_flipped_first_description),
		CASE(test_index_is_built_again),
		CASE(test_damage_below_the_floor_stays),
		CASE(test_what_follows_a_cut_file_stays),
		CASE(test_what_follows_a_shorter_file_stays),
		CASE(test_cut_file_below_the_floor),
		CASE(test_torn_tail_is_cut),
		CASE(test_missing_files_are_faults),
		CASE(test_missing_ends_are_faults),
		CASE(test_missing_log_is_a_fault),
		CASE(test_head_of_a_newer_version),
		CASE(test_descriptions_out_of_order),
		CASE(test_index_that_tells_too_much),
		CASE(test_append_before_a_forged_place),
		CASE(test_head_beside_the_start),
		CASE(test_descriptions_with_a_hole),
		CASE(test_append_behind_a_flipped_description),
		CASE(test_foreign_segment_among_ours),
		CASE(test_segments_of_one_seed),
		CASE(test_missing_end_of_control_batches),
		CASE(test_damaged_head),
		CASE(test_foreign_topic_is_not_touched),
		CASE(test_foreign_files_are_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

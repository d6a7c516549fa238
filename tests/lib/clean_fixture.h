/*
 * A compacted log on the simulated disk, and cleaning it, for unit tests.
 */
#ifndef TOPICFS_TESTS_LIB_CLEAN_FIXTURE_H
#define TOPICFS_TESTS_LIB_CLEAN_FIXTURE_H

#include "tests/lib/plog_fixture.h"

#include "daemon/store/clean.h"
#include "daemon/store/cleaner.h"

#define HOUR 3600000

static inline int set_up_compact(void **state)
{
	int r = set_up(state);
	struct bench *b = *state;

	b->config.compact = b->log.config.compact = true;
	b->config.delete_retention_ms = b->log.config.delete_retention_ms = HOUR;
	return r;
}

#define CLEAN_CASE(t) cmocka_unit_test_setup_teardown(t, set_up_compact, tear_down)

static inline struct record rec_of(const char *key, const char *value)
{
	return (struct record){
		.key = (const uint8_t *)key,
		.key_len = key ? (uint32_t)strlen(key) : RECORD_NULL,
		.value = (const uint8_t *)value,
		.value_len = value ? (uint32_t)strlen(value) : RECORD_NULL,
		.timestamp_ms = RECORD_NO_TIMESTAMP,
	};
}

/* "k=v" sets, "k" is a tombstone, "=v" has no key; all of the list in one batch. */
static inline void put(struct bench *b, int64_t now_ms, const char *list)
{
	struct record recs[32];
	struct plog_appended a;
	char text[1024], *at = text, *word;
	uint32_t cnt = 0;

	snprintf(text, sizeof(text), "%s", list);
	while ((word = strsep(&at, " "))) {
		char *value = strchr(word, '=');

		if (value)
			*value++ = 0;
		recs[cnt++] = rec_of(value && !*word ? NULL : word, value);
	}
	assert_int_equal(plog_append_records(&b->log, now_ms, recs, cnt, NULL, &a), 0);
}

static inline void roll(struct bench *b)
{
	assert_int_equal(plog_roll(&b->log, 1), 0);
}

static inline bool exists(struct bench *b, const char *path)
{
	struct disk_stat st;

	return !disk_stat(b->log.disk, path, &st);
}

static inline void make_file(struct bench *b, const char *path, const char *text)
{
	int fd;

	assert_int_equal(disk_open(b->log.disk, path, DISK_CREATE, &fd), 0);
	assert_int_equal(disk_write(b->log.disk, fd, text, strlen(text), 0), 0);
	assert_int_equal(disk_close(b->log.disk, fd), 0);
}

/* What the store does around a pass. */
static inline int run_cleaner(struct bench *b, struct cleaner *c)
{
	struct disk *d = b->log.disk;
	enum cleaner_need need = CLEANER_STEP;
	int data_fd, meta_fd, r = 0;

	while (!r && need != CLEANER_END) {
		r = cleaner_step(c, &need);
		if (!r && need == CLEANER_SYNC_FILES) {
			cleaner_fds(c, &data_fd, &meta_fd);
			r = disk_fsync(d, data_fd);
			if (!r)
				r = disk_fsync(d, meta_fd);
		}
		if (!r && (need == CLEANER_SYNC_FILES || need == CLEANER_SYNC_DIR))
			r = disk_sync_dir(d, b->log.dir);
	}
	return r;
}

static inline struct cleaner_stats clean_with(struct bench *b, int64_t now_ms, uint32_t slots)
{
	int64_t end = b->log.segs[b->log.seg_cnt - 1]->base_offset;
	struct cleaner_stats st;
	struct cleaner *c;

	assert_int_equal(cleaner_new(&b->log, end, now_ms, slots, &c), 0);
	assert_int_equal(run_cleaner(b, c), 0);
	cleaner_stats(c, &st);
	cleaner_free(c);
	return st;
}

static inline struct cleaner_stats clean(struct bench *b, int64_t now_ms)
{
	return clean_with(b, now_ms, 1 << 20);
}

static inline int print_record(void *ctx, const struct batch_head *head, const struct record *rec)
{
	struct buf *out = ctx;

	buf_printf(out, "%s%lld:", out->len ? " " : "", (long long)rec->offset);
	if (rec->key_len != RECORD_NULL)
		buf_put(out, rec->key, rec->key_len);
	if (rec->value_len != RECORD_NULL) {
		buf_put_u8(out, '=');
		buf_put(out, rec->value, rec->value_len);
	}
	return 0;
}

/* The whole log as "OFFSET:KEY=VALUE …". */
static inline void check_log(struct bench *b, const char *want)
{
	struct buf out;
	int64_t next;

	buf_init(&out);
	assert_int_equal(plog_walk(&b->log, 0, print_record, &out, &next), 0);
	buf_put_u8(&out, 0);
	assert_string_equal(out.data, want);
	assert_true(next <= b->log.next_offset);
	buf_fini(&out);
}

static inline void check_log_begins(struct bench *b, const char *want)
{
	struct buf out;
	int64_t next;

	buf_init(&out);
	assert_int_equal(plog_walk(&b->log, 0, print_record, &out, &next), 0);
	assert_true(out.len > strlen(want));
	assert_memory_equal(out.data, want, strlen(want));
	buf_fini(&out);
}

/* The log as check_log(), read as a start reads __consumer_offsets: past what is damaged. */
static inline void check_readable(struct bench *b, const char *want)
{
	const struct batch *batch;
	int64_t off = 0, from, next;
	struct buf out;

	buf_init(&out);
	while (off < b->log.next_offset) {
		int r = plog_batch(&b->log, off, &batch);

		if (r == -ENODATA)
			break;
		if (r == -EIO) {
			assert_int_equal(plog_pass_damage(&b->log, off, &from, &next, &batch), 0);
			off = next;
			continue;
		}
		assert_int_equal(r, 0);
		for (uint32_t i = 0; i < batch->head.cnt; i++) {
			if (batch->recs[i].offset >= off)
				print_record(&out, &batch->head, &batch->recs[i]);
		}
		off = batch->recs[batch->head.cnt - 1].offset + 1;
	}
	buf_put_u8(&out, 0);
	assert_string_equal(out.data, want);
	buf_fini(&out);
}

#endif

/*
 * A partition log on the simulated disk, for its unit tests.
 */
#ifndef TOPICFS_TESTS_LIB_PLOG_FIXTURE_H
#define TOPICFS_TESTS_LIB_PLOG_FIXTURE_H

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

__attribute__((unused)) static const uint8_t id_a[16] = "topic a's own id",
					     id_b[16] = "topic b's own id";

struct bench {
	struct simdisk *sd;
	struct plog log;
	struct debt_table debts;
	uint8_t *debt_mem;
	struct plog_config config;
	struct plog_open_report report;
};

/* Slots that are looked at; the tests take no more. */
#define FIXTURE_SLOTS 16U

static inline int newest_first(const void *a, const void *b)
{
	const struct debt *x = a, *y = b;

	return (x->sequence < y->sequence) - (x->sequence > y->sequence);
}

static inline int open_as(struct bench *b, const uint8_t id[16], const struct plog_point *floor,
			  bool clean)
{
	struct debt owed[2 * FIXTURE_SLOTS];
	unsigned cnt = 0;

	for (unsigned i = 0; i < FIXTURE_SLOTS; i++)
		cnt += debt_load(b->debt_mem + (size_t)i * DEBT_SLOT_LEN, &owed[cnt]);
	qsort(owed, cnt, sizeof(*owed), newest_first);
	plog_init(&b->log, simdisk_disk(b->sd), &b->debts, "t-0", id, 0, &b->config);
	return plog_open(&b->log, 0, 0, floor, clean, owed, cnt, &b->report);
}

static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
	struct bench *b = *state;

	plog_fini(&b->log);
	simdisk_free(b->sd);
	free(b->debt_mem);
	free(b);
	return 0;
}

/* The process is killed; the next one opens the log. */
static inline int reopen(struct bench *b, const struct plog_point *floor)
{
	plog_fini(&b->log);
	simdisk_kill(b->sd);
	return open_as(b, id_a, floor, false);
}

static inline int try_append(struct bench *b, int64_t now_ms, const char *lines, bool late)
{
	struct iovec iov = { .iov_base = (void *)lines, .iov_len = strlen(lines) };
	struct plog_appended a;

	return plog_append_lines(&b->log, now_ms, &iov, 1, iov.iov_len,
				 (uint32_t)hash_newline_cnt(lines, iov.iov_len), late, &a);
}

static inline void append(struct bench *b, int64_t now_ms, const char *lines, bool late)
{
	assert_int_equal(try_append(b, now_ms, lines, late), 0);
}

/* A hundred batches "NNN: some text\n" of 15 bytes, in segments of so many batches. */
static inline void fill(struct bench *b, unsigned per_segment)
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
static inline int read_byte(struct bench *b, uint64_t pos)
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
static inline void check_filled(struct bench *b, unsigned from, unsigned to)
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

static inline const char *path_of(int64_t base, const char *suffix)
{
	static char path[64];

	snprintf(path, sizeof(path), "t-0/%020lld.%s", (long long)base, suffix);
	return path;
}

#define CASE(t) cmocka_unit_test_setup_teardown(t, set_up, tear_down)

#endif

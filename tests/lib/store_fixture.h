/*
 * A store on the simulated disk, for its unit tests.
 */
#ifndef TOPICFS_TESTS_LIB_STORE_FIXTURE_H
#define TOPICFS_TESTS_LIB_STORE_FIXTURE_H

#include "daemon/base/log.h"
#include "daemon/store/journal.h"
#include "daemon/store/store.h"
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
	struct store_config config;
	int64_t mono_ms;
	unsigned synced, failed, raised, clock, space, damaged;
	uint64_t last_token;
	char sentence[256];
};

static const uint8_t ID[16] = { 1, 2, 3 }, OTHER_ID[16] = { 9, 9 };
static const struct plog_config PLOG = { .segment_bytes = 4000,
					 .segment_ms = -1,
					 .retention_ms = -1,
					 .retention_bytes = -1,
					 .index_interval_bytes = 4096 };

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	assert_non_null(f);
	f->sim = simdisk_new(42);
	f->d = simdisk_disk(f->sim);
	f->config = (struct store_config){
		.journal_bytes = 1 << 20,
		.reserve_bytes = 1 << 20,
		.retention_check_ms = 1000,
		.dirty_bytes_max = 1 << 20,
	};
	f->mono_ms = 5000;
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	store_free(f->s);
	simdisk_free(f->sim);
	free(f);
	return 0;
}

static inline struct store_open_report open_ok(struct fixture *f)
{
	struct store_open_report rep;

	assert_int_equal(store_open(f->d, &f->config, NOW, &f->s, &rep), 0);
	return rep;
}

static inline void close_ok(struct fixture *f)
{
	assert_int_equal(store_close(f->s), 0);
	f->s = NULL;
}

static inline struct plog *plog_ok(struct fixture *f, uint32_t partition,
				   const struct plog_config *c)
{
	struct plog *p;

	assert_int_equal(store_plog(f->s, "orders", ID, partition, c, true, &p), 0);
	return p;
}

static inline void events(struct fixture *f)
{
	struct store_event e;

	for (store_next_event(f->s, &e); e.kind != STORE_NONE; store_next_event(f->s, &e)) {
		f->synced += e.kind == STORE_SYNCED;
		f->failed += e.kind == STORE_FAILED;
		f->raised += e.kind == STORE_START_RAISED;
		f->clock += e.kind == STORE_CLOCK;
		f->space += e.kind == STORE_SPACE;
		f->damaged += e.kind == STORE_DAMAGED;
		if (e.kind == STORE_SYNCED)
			f->last_token = e.token;
		else
			memcpy(f->sentence, e.sentence, sizeof(e.sentence));
	}
}

/* Lets everything happen that is under way. */
static inline void pump(struct fixture *f)
{
	struct disk_req *req;

	store_kick(f->s);
	while ((req = disk_reap(f->d)))
		store_on_disk(f->s, req);
	events(f);
}

static inline void tick(struct fixture *f, int64_t ms)
{
	f->mono_ms += ms;
	store_tick(f->s, NOW - 5000 + f->mono_ms, f->mono_ms);
	pump(f);
}

static inline int dead_close(struct disk *d, int fd)
{
	return 0;
}

static inline void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

/* Frees what a process that stopped had in memory. */
static inline void bury(struct fixture *f)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = f->d->ops;

	f->d->ops = &DEAD;
	store_free(f->s);
	f->d->ops = ops;
	f->s = NULL;
}

static inline int append(struct fixture *f, struct plog *p, const char *line)
{
	struct iovec iov = { (void *)line, strlen(line) };
	struct plog_appended a;

	return store_append_lines(f->s, p, NOW, &iov, 1, iov.iov_len, 1, false, &a);
}

/* A disk_name_fn that counts. */
static inline int count_name(void *ctx, const char *name)
{
	++*(unsigned *)ctx;
	return 0;
}

#define CASE(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

#endif

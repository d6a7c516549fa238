/*
 * The bytes that logs wrote last, kept in memory for the journal, which would read them back from
 * their files otherwise: two system calls for each fsync of a line.
 *
 * A log is given a slot when it goes through the journal (kept_begin); from then on what is written
 * behind that place is kept, of each of the two files of its active segment for itself, for as long
 * as it follows on and fits. Else the file is read, as before anything was kept. Only bytes whose
 * write succeeded are put here, and none of them is ever changed in its file: what a failed append
 * cuts was never put. A segment is known by its seed, which no other has.
 *
 * The slots are few: the log that began longest ago loses its own to the next one that needs one.
 */
#ifndef TOPICFS_STORE_KEPT_H
#define TOPICFS_STORE_KEPT_H

#include "daemon/base/list.h"

#include <stdint.h>
#include <sys/uio.h>

/* A hundred busy logs have one each, twice over. */
#define KEPT_SLOTS 256U
/* Together a page: some descriptions, and the lines of some writers. */
#define KEPT_META_LEN 1024U
#define KEPT_DATA_LEN 2560U

struct kept_run {
	uint64_t pos; /* in the file */
	uint32_t len; /* bytes that are kept */
	bool torn;    /* something behind them is not */
};

struct kept_pool;

struct kept {
	struct list link; /* in pool->slots */
	struct kept_pool *pool;
	struct kept **owner; /* where the log refers to it; NULL: free */
	uint64_t seed;	     /* of the segment */
	struct kept_run meta, data;
	uint8_t meta_mem[KEPT_META_LEN], data_mem[KEPT_DATA_LEN];
};

struct kept_pool {
	struct list slots; /* that were used, the longest ago first */
	uint32_t cnt;	   /* of those; the rest is memory that nobody touched */
	struct kept *mem;  /* KEPT_SLOTS; owned */
};

/* NULL: no memory. */
struct kept_pool *kept_pool_new(void);
/* Takes NULL. No log may refer to it any more. */
void kept_pool_free(struct kept_pool *pool);

/* What is written from these lengths on is kept; what was kept before is forgotten. *owner is the
 * log's reference, which becomes NULL when the slot is taken away. */
void kept_begin(struct kept_pool *pool, struct kept **owner, uint64_t seed, uint64_t meta_len,
		uint64_t data_len);
/* Gives the slot back; harmless where there is none. */
void kept_end(struct kept **owner);
/* Bytes that were written at pos of a file of the log. k may be NULL. */
void kept_put(struct kept *k, uint64_t seed, bool is_meta, uint64_t pos, const struct iovec *iov,
	      int iov_cnt);
/* The bytes at pos, borrowed until the next call on the pool; NULL: not (all) kept. k may be NULL.
 */
const uint8_t *kept_find(const struct kept *k, uint64_t seed, bool is_meta, uint64_t pos,
			 size_t len);

#endif

/*
 * What cleaning decides, without touching anything: when a log is due, which record is the newest
 * of its key, and what of a batch stays. cleaner.h does the work.
 *
 *      cleaned before              dirty                     not sealed
 *   |--- generation > 0 ---|--- generation 0 ----|--------- active ---|
 *                          |<-- the map is of -->|
 *
 * Of a key that stands in the map only the record at the offset that the map tells stays; a key that
 * does not was not written in the dirty part, and before it stands once already. So cleaning all
 * sealed segments from the first on, in order, with one map leaves each key once before the end of
 * the dirty part, however often it is stopped in between.
 *
 * The map knows keys by a 128-bit hash under a seed of its own, which nobody can choose keys for.
 * When it is full the rest of the dirty part waits for the next time: an entry that is missing only
 * keeps records.
 */
#ifndef TOPICFS_STORE_CLEAN_H
#define TOPICFS_STORE_CLEAN_H

#include "daemon/store/format.h"

struct clean_slot {
	uint64_t hash[2];
	uint64_t next; /* offset + 1; 0: free */
};

struct clean_map {
	struct clean_slot *slots; /* owned */
	uint32_t slot_cnt;	  /* a power of two */
	uint32_t key_cnt, key_max;
	uint64_t seed;
};

/* A map for the keys of so many records, or as many as slots_max slots take. -ENOMEM. */
MUST_CHECK int clean_map_init(struct clean_map *m, uint64_t record_cnt, uint32_t slots_max,
			      uint64_t seed);
/* Takes one that is zeros. */
void clean_map_fini(struct clean_map *m);
/* The newest record of the key is at this offset; told in ascending order. -ENOSPC: the map is
 * full. */
MUST_CHECK int clean_map_put(struct clean_map *m, const void *key, size_t len, int64_t offset);
/* The newest offset, or -1. */
int64_t clean_map_find(const struct clean_map *m, const void *key, size_t len);
/* Tells all keys of a checked description. -ENOSPC. */
MUST_CHECK int clean_map_put_batch(struct clean_map *m, const uint8_t *desc,
				   const struct batch_head *h);

/* Whether it is time: at least half of the sealed bytes have never been cleaned. */
bool clean_is_due(uint64_t sealed_bytes, uint64_t dirty_bytes);

/* By what the records of one segment are judged. */
struct clean_rule {
	const struct clean_map *map; /* borrowed */
	bool drop_tombstones;
};

/*
 * Whether tombstones of a segment may go: it was cleaned before, so that nothing older than they is
 * left, and that was delete.retention.ms ago, so that whoever had read such an older record has had
 * that time to see them. created_ms: of a cleaned segment when it was cleaned first.
 */
bool clean_drops_tombstones(uint32_t generation, int64_t created_ms, int64_t now_ms,
			    int64_t delete_retention_ms);

/* How many records of a checked description stay. */
uint32_t clean_count(const struct clean_rule *rule, const uint8_t *desc,
		     const struct batch_head *h);

/* Where the next batch goes. */
struct clean_out {
	struct buf meta, data;	     /* what is to be written behind what was already */
	uint64_t meta_pos, data_pos; /* in the files; move on with each batch */
	uint64_t seed;
};

/*
 * Puts what stays of a batch: runs of consecutive records, as batches of their own, which keep
 * offsets, positions in the plain file, timestamps and all else. values: h->data_len bytes; recs:
 * room for h->cnt records. -EBADMSG where the values do not match the description; -ENOMEM.
 */
MUST_CHECK int clean_put_batch(const struct clean_rule *rule, const uint8_t *desc,
			       const uint8_t *values, const struct batch_head *h,
			       struct record *recs, struct clean_out *out);

#endif

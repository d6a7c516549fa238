/*
 * The index of a segment: one entry for the first batch and for each batch that begins
 * index_interval_bytes of .data and .meta or more behind the last entry's. Entries cut the segment
 * into granules; granule i begins at entry i and ends where the next one begins.
 *
 *      entry 0            entry 1       entry 2          next
 *      |batch|batch|batch|batch        |batch|batch     |
 *      |<-- granule 0 -->|<- gran. 1 ->|<- granule 2 ...
 *
 * On disk it is two files that only grow and are never needed: what is missing, torn or does not
 * match is built again from .meta, from the last good entry on.
 *
 *   .index       head, then for each entry      .timeindex   head, then for each entry
 *     0 u32 offset - base offset                  0 i64 largest timestamp of the segment before
 *     4 u32 position in .meta                           this batch (INT64_MIN: none)
 *     8 u32 position in .data                     8 u32 offset - base offset
 *    12 u32 position in the plain file          12 u32 check
 *           - base position
 *    16 u32 check
 *
 * The head is magic u32 ("TFSI", "TFST"), version u16, head length u16 (16), and u64 XXH3-64 of
 * these eight bytes, seeded with the segment's seed: so an index of another life of the segment is
 * not taken for its own. A check is the lower half of the XXH3-64 of the entry's bytes before it,
 * seeded with the segment's seed plus the entry's number.
 */
#ifndef TOPICFS_STORE_INDEX_H
#define TOPICFS_STORE_INDEX_H

#include "daemon/store/format.h"

#define INDEX_HEAD_LEN 16U
#define INDEX_ENTRY_LEN 20U
#define TIMEINDEX_ENTRY_LEN 16U

struct index_entry {
	uint32_t offset; /* - base offset of the segment */
	uint32_t meta_pos, data_pos;
	uint32_t plain_pos; /* - base position of the segment */
	int64_t max_ts_ms;  /* of the segment's records before this batch; INT64_MIN: none */
};

struct index {
	struct index_entry *entries; /* owned */
	uint32_t cnt, cap;
	uint32_t flushed; /* so many stand on disk */
	bool loaded;
	bool gap; /* damage stands before `next` */
	/* Behind the last batch that was told to index_add(). */
	struct index_entry next;
};

/* An index of an empty segment. It is not loaded. */
void index_init(struct index *x);
/* Frees the memory; as after index_init(). */
void index_fini(struct index *x);
/*
 * Takes the batch at x->next into account. ret_new says whether it begins a granule; forced where
 * `force` is set (behind damage). base_offset and base_pos are the segment's. -ENOMEM, and nothing
 * has changed.
 */
MUST_CHECK int index_add(struct index *x, const struct batch_head *h, int64_t base_offset,
			 uint64_t base_pos, uint32_t interval, bool force, bool *ret_new);
/* Appends the entries from..x->cnt in both stored forms, with the heads where from is 0. */
void index_encode(const struct index *x, uint32_t from, uint64_t seed, struct buf *offsets,
		  struct buf *times);
/* Takes what holds of both stored forms, up to meta_len; x is empty before. -ENOMEM. x->next is
 * then the last entry's batch, which is to be told again. */
MUST_CHECK int index_decode(struct index *x, const void *offsets, size_t offsets_len,
			    const void *times, size_t times_len, uint64_t seed, uint64_t meta_len,
			    uint64_t data_len);

/* The last granule that begins at or before what is asked (0 where none does). x->cnt > 0. */
uint32_t index_find_offset(const struct index *x, uint32_t offset);
uint32_t index_find_pos(const struct index *x, uint64_t plain_pos);
/* The last granule before which no record is as late as ts_ms. */
uint32_t index_find_time(const struct index *x, int64_t ts_ms);

#endif

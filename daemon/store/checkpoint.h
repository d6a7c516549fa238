/*
 * The checkpoint: for each partition where its log begins and up to where it is stable in place.
 * Pure: bytes only. One file of two slots of equal length, written in turn, so that one is always
 * whole; the file is as long as both, allocated beforehand.
 *
 * Slot:
 *    0  u32 magic "TFCP"     4  u16 version (1)      6  u16 zero
 *    8  u64 XXH3-64 of bytes 16 to the end of the last entry
 *   16  u64 sequence (the valid slot of the higher one counts)
 *   24  u64 incarnation: rises at every start      32  u8[16] boot id of that start
 *   48  u32 entry count     52  u32 zero
 *   56  u64 seed of the journal's ring that is in use (0: none): without it something is missing
 *   64  entries of CHECKPOINT_ENTRY_LEN bytes:
 *         0  u8[16] topic id         16  u32 partition      20  u32 flags
 *        24  i64 start offset        32  u64 start position
 *        40  i64 segment base        48  u64 .meta length   56  u64 .data length
 *        64  i64 next offset         72  u64 end position   80  i64 largest timestamp
 */
#ifndef TOPICFS_STORE_CHECKPOINT_H
#define TOPICFS_STORE_CHECKPOINT_H

#include "daemon/store/plog.h"

#define CHECKPOINT_HEAD_LEN 64U
#define CHECKPOINT_ENTRY_LEN 88U
/* The smallest slot: more than 700 partitions. */
#define CHECKPOINT_SLOT_MIN 65536U

enum checkpoint_flags {
	/* The log ends at the point. Counts only beside the clean-shutdown marker. */
	CHECKPOINT_EXACT = 1,
	/* The point says something; else only the log start does. */
	CHECKPOINT_HAS_POINT = 2,
};

struct checkpoint_head {
	uint64_t sequence, incarnation;
	uint8_t boot_id[16];
	uint32_t cnt;
	uint64_t ring_seed;
};

struct checkpoint_entry {
	uint8_t topic_id[16];
	uint32_t partition, flags;
	int64_t start_offset;
	uint64_t start_pos;
	struct plog_point point;
};

/* A slot into b (which is emptied first): begin, entries, end. Errors stick to b. */
void checkpoint_begin(struct buf *b, const struct checkpoint_head *h);
void checkpoint_put(struct buf *b, const struct checkpoint_entry *e);
/* Fills in count and hash. */
void checkpoint_end(struct buf *b);

/* Checks one slot of len bytes. -EBADMSG, -EPROTONOSUPPORT. */
MUST_CHECK int checkpoint_get_head(const void *slot, size_t len, struct checkpoint_head *ret);
/* Entry idx of a checked slot. */
void checkpoint_get(const void *slot, uint32_t idx, struct checkpoint_entry *ret);
/* The slot of a whole file that counts, 0 or 1, and its head. -EBADMSG: neither. */
MUST_CHECK int checkpoint_find(const void *file, size_t len, struct checkpoint_head *ret);
/* Whether a file of so many bytes can be two slots: in any other, one of them may not be found. */
bool checkpoint_is_whole(size_t len);
/* The slot length that so many entries need: a power of two. */
size_t checkpoint_slot_len(uint32_t cnt);

#endif

/*
 * The redo journal: a ring of blocks in the file "journal". Pure: this module lays out bytes and
 * reads them; sync.c writes them, recovery.c puts them back.
 *
 * The file is two head blocks, then `block_cnt` ring blocks, each JOURNAL_BLOCK bytes.
 *
 * Head (both copies alike; the valid one of the higher sequence counts):
 *    0  u32 magic "TFJH"     4  u16 version (1)      6  u16 zero
 *    8  u64 XXH3-64 of bytes 16..4096
 *   16  u64 seed            24  u64 sequence        32  u64 block_cnt
 *   40  u64 seed of the ring before in this file (0: none)                48  zeros
 *
 * Ring block number n (from 0, for the life of the seed) stands in slot n % block_cnt:
 *    0  u64 XXH3-64, seeded with the head's seed, of bytes 8..4096
 *    8  u64 hash of block n - 1 (block 0: the seed)
 *   16  u64 n               24  u64 number of its write
 *   32  u32 index in the write              36  u32 blocks of the write
 *   40  u64 number of the first block that is still needed, as known when this was written
 *   48  u32 payload bytes in this block     52  u32 zero      56  u64 zero
 *   64  payload
 *
 * A write is some blocks in a row; its payload, taken together, is entries:
 *    0  u32 length of the whole entry        4  u8 kind     5  u8 file (0 .meta, 1 .data)
 *    6  u16 zero             8  u8[16] topic id            24  u32 partition
 *   28  u32 generation      32  six u64: for bytes: segment base, position, then zeros; for a
 * point: segment base, .meta length, .data length, next offset, end position, largest timestamp; to
 * forget: base of the first segment that stays, then zeros
 *   80  the bytes
 *
 * A start that a write tells frees its blocks only when that write is on disk. So what recovery
 * finds at the newest block's start is whole: of the blocks from there to the newest, only those of
 * the last write can be missing (its torn end). One that is bad before the first block of a later
 * write is damage, for that write began when the earlier one was stable.
 */
#ifndef TOPICFS_STORE_JOURNAL_H
#define TOPICFS_STORE_JOURNAL_H

#include "daemon/store/plog.h"

#define JOURNAL_BLOCK 4096U
#define JOURNAL_HEAD_LEN (2 * JOURNAL_BLOCK)
#define JOURNAL_BLOCK_HEAD 64U
#define JOURNAL_PAYLOAD (JOURNAL_BLOCK - JOURNAL_BLOCK_HEAD)
#define JOURNAL_ENTRY_LEN 80U
/* Blocks that only entries without bytes (points, "forget") may use; the last of them is for a
 * moved start alone, without which a full ring would stay full. */
#define JOURNAL_RESERVE 8U
/* A ring below this is of no use: one write takes an eighth of it at most. */
#define JOURNAL_BYTES_MIN (1024U * 1024U)
/* A write takes no more than this however large the ring is: memory. */
#define JOURNAL_WRITE_MAX (4U * 1024U * 1024U)

enum journal_kind {
	JOURNAL_BYTES = 1, /* put these bytes at that place */
	JOURNAL_POINT,	   /* the partition is durable up to here */
	JOURNAL_FORGET,	   /* the partition's segments below this one are not to be put back */
};

struct journal_entry {
	enum journal_kind kind;
	uint8_t topic_id[16];
	uint32_t partition, generation;
	bool is_data;
	int64_t segment_base;
	uint64_t pos;
	const uint8_t *bytes; /* borrowed */
	uint32_t len;
	struct plog_point point;
	uint64_t block; /* number of the first block of its write; set by the reader */
};

struct journal_head {
	uint64_t seed, sequence, block_cnt;
	uint64_t prev_seed;
};

/* Fills one head block. */
void journal_put_head(const struct journal_head *h, uint8_t ret[JOURNAL_BLOCK]);
/* The head of two blocks: 0, or -EBADMSG where neither copy holds; -EPROTONOSUPPORT. */
MUST_CHECK int journal_get_head(const uint8_t blocks[JOURNAL_HEAD_LEN], struct journal_head *ret);
/* Whether it is the ring that was in use when a checkpoint told its seed (0: it told none), or one
 * that was begun in its place since. */
static inline bool journal_is_of(const struct journal_head *h, uint64_t seed)
{
	return !seed || h->seed == seed || h->prev_seed == seed;
}
/* Ring blocks of a journal file of so many bytes. */
uint64_t journal_block_cnt(uint64_t file_len);

/* The writer's side. */
struct journal {
	uint64_t seed, block_cnt;
	uint64_t next_block, next_write, prev_hash;
	uint64_t start;	 /* first block still needed; what the next write says */
	uint64_t usable; /* start as the last completed write said it */
	uint64_t told;	 /* start as the write under way says it */
	uint8_t *mem;	 /* blocks of the write being made; owned, aligned to JOURNAL_BLOCK */
	size_t mem_blocks;
	size_t payload_len; /* of the write being made */
};

/* A piece of a write; a write that passes the end of the ring has two. */
struct journal_piece {
	void *buf; /* borrowed until journal_done() */
	size_t len;
	uint64_t pos; /* in the file */
};

/* -ENOMEM. The ring is empty. */
MUST_CHECK int journal_init(struct journal *j, uint64_t seed, uint64_t block_cnt);
void journal_fini(struct journal *j);
/* Payload bytes that still fit into the write being made; is_control: with the reserve. */
size_t journal_room(const struct journal *j, bool is_control);
/* What an entry with so many bytes takes of the payload. */
static inline size_t journal_entry_len(size_t bytes)
{
	return JOURNAL_ENTRY_LEN + bytes;
}
/* Puts an entry's head; e->len bytes must follow by journal_put_bytes(). */
void journal_put_entry(struct journal *j, const struct journal_entry *e);
void journal_put_bytes(struct journal *j, const void *data, size_t len);
/* Forgets what was put behind a former payload_len. */
void journal_rewind(struct journal *j, size_t payload_len);
/* Ends the write (at least one block, even if it is empty) and returns its pieces: 1 or 2. */
unsigned journal_finish(struct journal *j, struct journal_piece ret[2]);
/* The write is on disk; the next may be made. */
void journal_done(struct journal *j);
/* Bytes of the ring that are needed. */
uint64_t journal_used(const struct journal *j);

struct journal_scan {
	uint64_t entries, writes;
	bool damaged;
	uint64_t damage_pos; /* in the file, of the first bad block */
};

/* Nonzero ends the scan and is returned. e is borrowed. */
typedef int journal_entry_fn(void *ctx, const struct journal_entry *e);

/* Gives the entries of a ring in order. ring: the block_cnt ring blocks. 0, -ENOMEM, or what fn
 * returned. Damage is told in *ret, and passed. */
MUST_CHECK int journal_scan(const uint8_t *ring, const struct journal_head *h, journal_entry_fn *fn,
			    void *ctx, struct journal_scan *ret);

#endif

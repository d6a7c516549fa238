/*
 * What is owed: single plain lines that stand in .data and have no description yet (DESIGN 2,
 * "Appends").
 *
 * A slot is 256 bytes of a file that is mapped shared ("debts" in the data directory): two copies
 * of 128 bytes, written in turn by plain stores, so that a process that dies at any instruction
 * leaves one good copy. A copy is
 *
 *    0  u64 XXH3-64 of bytes 8..128      8  u64 sequence (the larger is the newer)
 *   16  u8[16] topic id                 32  u32 partition        36  u32 generation
 *   40  i64 segment base offset         48  i64 base offset of the first owed record
 *   56  u64 position in .data           64  u64 length in .data
 *   72  u64 record count                80  i64 timestamp
 *   88  u64 XXH3-64 of the owed bytes   96  i32 leader epoch     100  u16 attributes of the batch
 *  102  zeros
 */
#ifndef TOPICFS_STORE_DEBT_H
#define TOPICFS_STORE_DEBT_H

#include "daemon/base/assert.h"
#include "daemon/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define DEBT_SLOT_LEN 256U
/* So many slots are looked at at once: a page. */
#define DEBT_RUN 16U
#define DEBT_FILE_LEN (DEBT_SLOT_CNT * DEBT_SLOT_LEN)

struct debt {
	uint64_t sequence;
	uint8_t topic_id[16];
	uint32_t partition, generation;
	int64_t segment_base, base_offset;
	uint64_t data_pos, len, cnt;
	int64_t timestamp_ms;
	uint64_t values_hash;
	int32_t leader_epoch; /* under which they were appended */
	uint16_t attr;	      /* enum batch_attr: what the description will say */
};

/* Which slots are taken. One bit each. */
struct debt_table {
	uint8_t *mem; /* DEBT_FILE_LEN bytes, mapped; borrowed */
	uint64_t sequence;
	uint32_t free_cnt, hint;
	uint64_t taken[DEBT_SLOT_CNT / 64];
};

/* Takes over a mapping whose content has been dealt with (all slots are free; nothing is erased).
 */
void debt_table_init(struct debt_table *t, void *mem);
/* A free slot, or -ENOSPC: describe something first, or describe at once. */
MUST_CHECK int debt_take(struct debt_table *t);
void debt_give_back(struct debt_table *t, int idx);
/* Stores *d over the older copy; sets d->sequence. No system call. */
void debt_store(struct debt_table *t, int idx, struct debt *d);
/* Whether a copy, half a slot, was never stored, as most of the thousands that a start looks at. */
bool debt_is_blank(const void *copy);
/* Whether none of DEBT_RUN slots was ever stored. */
bool debt_run_is_blank(const void *slots);
/* Copies that do not hold become zeros: a torn one vouches for nothing, and is no fault later.
 * Returns whether there was one. */
bool debt_clear_torn(void *slot);
/* Copies that hold, newest first: 0, 1 or 2. For recovery. */
unsigned debt_load(const void *slot, struct debt ret[2]);

#endif

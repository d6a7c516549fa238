/*
 * The bytes of a segment's .meta file: a head, then one description (batch) for each append.
 * docs/disk-format.md is the specification; a change here changes it, the version and the golden
 * files in one commit. All numbers are little-endian.
 *
 * Head, FORMAT_HEAD_LEN bytes, at position 0:
 *
 *    0  u32  magic "TFSH"             4  u16  version (1)       6  u16  head length (256)
 *    8  u64  XXH3-64 of bytes 16..256
 *   16  u8[16] topic id
 *   32  u32  partition               36  u32  generation (0; a cleaned segment's rises)
 *   40  i64  base offset             48  u64  base position in the plain file
 *   56  i64  last timestamp before this segment (largest of all earlier records; -1: none)
 *   64  u64  seed of the description hashes
 *   72  i64  created, milliseconds since the epoch (for segment.ms)
 *   80  u8[64] name of its .data, NUL-padded
 *  144  zeros
 *
 * Description, FORMAT_BATCH_LEN bytes, then the sections:
 *
 *    0  u32  magic "TFSB"             4  u16  version (1)       6  u16  header length (120)
 *    8  u64  XXH3-64, seeded with the head's seed, of bytes 16..total length
 *   16  u32  total length            20  u32  record table length
 *   24  u32  length of keys and headers   28  u32  record count
 *   32  u64  own position in the .meta file
 *   40  u64  XXH3-64 of the values (the bytes of .data that it describes; 0 bytes: of nothing)
 *   48  i64  base offset
 *   56  u64  position in the plain file
 *   64  u64  position in .data
 *   72  u32  length in the plain file     76  u32  length in .data
 *   80  i64  base timestamp (the smallest)  88  i64  maximum timestamp
 *   96  i64  producer id (-1)       104  i32  base sequence (-1)
 *  108  i16  producer epoch (-1)    110  u16  attributes (BATCH_*)
 *  112  i32  partition leader epoch 116  u32  zero
 *  120  record table: FORMAT_ENTRY_LEN bytes a record, unless BATCH_PLAIN
 *         0  u32  value length without the closing newline; RECORD_NULL: tombstone
 *         4  u32  key length; RECORD_NULL: no key
 *         8  u32  headers length    12  u32  zero
 *        16  i64  timestamp - base timestamp
 *       then for each record its key and its headers (record.h), one after the other
 *
 * The values stand in .data in record order, each followed by '\n' (a tombstone is that newline
 * alone). BATCH_PLAIN: lines without keys, headers or newlines inside, all of the base timestamp;
 * there are no sections. A batch is always of consecutive offsets and consecutive positions: a
 * cleaner that removes records from the middle of one writes the runs that stay as batches of their
 * own. A control batch (BATCH_CONTROL) has no bytes in .data; its keys carry what it says.
 */
#ifndef TOPICFS_STORE_FORMAT_H
#define TOPICFS_STORE_FORMAT_H

#include "daemon/store/record.h"

#define FORMAT_VERSION 1
#define FORMAT_HEAD_LEN 256U
#define FORMAT_BATCH_LEN 120U
#define FORMAT_ENTRY_LEN 24U
#define FORMAT_HEAD_MAGIC 0x48534654U
#define FORMAT_BATCH_MAGIC 0x42534654U

enum batch_attr {
	BATCH_PLAIN = 1,	   /* plain lines, no table */
	BATCH_LOG_APPEND_TIME = 2, /* message.timestamp.type=LogAppendTime */
	BATCH_TRANSACTIONAL = 4,
	BATCH_CONTROL = 8,
};

struct segment_head {
	uint8_t topic_id[16];
	uint32_t partition, generation;
	int64_t base_offset;
	uint64_t base_pos;	/* in the plain file */
	int64_t prev_max_ts_ms; /* -1: none */
	uint64_t seed;
	int64_t created_ms;
	char data_name[65]; /* NUL-terminated */
};

struct batch_head {
	uint16_t attr;
	uint32_t total_len, table_len, keys_len, cnt;
	uint64_t meta_pos; /* own position */
	uint64_t values_hash;
	int64_t base_offset;
	uint64_t plain_pos, data_pos;
	uint32_t plain_len, data_len;
	int64_t base_ts_ms, max_ts_ms;
	int64_t producer_id;
	int32_t base_sequence;
	int16_t producer_epoch;
	int32_t leader_epoch;
};

/* Appends FORMAT_HEAD_LEN bytes. */
void format_put_head(struct buf *b, const struct segment_head *h);
/* Checks magic, version, length and hash before it trusts. -EBADMSG; -EPROTONOSUPPORT for a newer
 * version. len may be larger than the head. */
MUST_CHECK int format_get_head(const void *data, size_t len, struct segment_head *ret);

/* Appends a whole description: header, and for recs != NULL the table, keys and headers of h->cnt
 * records. total_len, table_len and keys_len of h are computed here and written back into it. */
void format_put_batch(struct buf *b, struct batch_head *h, const struct record *recs,
		      uint64_t seed);
/*
 * Decodes the header alone from FORMAT_BATCH_LEN bytes that are expected at meta_pos: magic,
 * version, own position, that the lengths agree with each other and with cnt. The hash is not
 * checked here. -EBADMSG.
 */
MUST_CHECK int format_get_batch(const void *data, size_t len, uint64_t meta_pos,
				struct batch_head *ret);
/* Checks hash and sections of a whole description (h->total_len bytes). -EBADMSG. */
MUST_CHECK int format_check_batch(const void *data, const struct batch_head *h, uint64_t seed);

/*
 * Fills recs[0..h->cnt) from a checked description and its values (h->data_len bytes). Pointers
 * borrow both. -EBADMSG where values and table disagree (a value not followed by a newline, lines
 * that do not add up).
 */
MUST_CHECK int format_get_records(const void *desc, const void *values, const struct batch_head *h,
				  struct record *recs);

#endif

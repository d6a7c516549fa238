/*
 * The records of __consumer_offsets. All numbers little-endian; str8, str16: a length of one or two
 * bytes and so many bytes. A key is what the cleaner keeps the newest of; a null value removes it.
 *
 *   key     u8 version (1), u8 type, 16 group id, and of OFFSET and INTENT 16 topic id, u32
 * partition OFFSET  u8 version (1), i64 offset, i32 leader epoch, i64 commit time, i64 delivered
 * offset, u32 delivered count, str16 metadata; where these do not say all of the deliveries, u8
 * count, count x { i64 end, u32 deliveries }: of the records before `end`. STATE   u8 version (1),
 * u64 generation, u64 next member number, u32 broker, u64 incarnation, u16 topic count, count x {
 * 16 id, u32 partitions, str8 name }, u16 member count, count x { u8 flags (1: stream, 2: static,
 * 4: by pattern), u32 uid, u8 strategy (0xff: none), i64 session, rebalance, poll interval, str8
 * id, str8 instance, str8 client id, str8 client host, u16 subscription count, count x str8 (or one
 * str16: the pattern), u32 share count, count x { u16 topic, u32 partition, u8 leaving } } INTENT
 * u8 version (1), i64 offset, 16 dlq topic id, u32 dlq partition, i64 dlq offset: the letter about
 * the record at `offset` is in that partition at that offset or behind it, or not yet written.
 * Removed together with the commit that ends it.
 *
 * Decoders check everything before they believe anything: -EBADMSG; another version:
 * -EPROTONOSUPPORT.
 */
#ifndef TOPICFS_GROUPS_GROUP_RECORD_H
#define TOPICFS_GROUPS_GROUP_RECORD_H

#include "daemon/groups/group.h"

enum group_key_type { GROUP_KEY_OFFSET = 1, GROUP_KEY_STATE, GROUP_KEY_INTENT };
#define GROUP_KEY_LEN_MAX 38

struct group_key {
	enum group_key_type type;
	uint8_t group_id[16], topic_id[16];
	uint32_t partition;
};

struct group_intent {
	int64_t offset;
	uint8_t dlq_topic_id[16];
	uint32_t dlq_partition;
	int64_t dlq_offset;
};

/* ret has GROUP_KEY_LEN_MAX bytes; returns how many are used. */
size_t group_key_encode(const struct group_key *k, uint8_t *ret);
MUST_CHECK int group_key_decode(const void *data, size_t len, struct group_key *ret);
/* Appends; the caller asks buf_err(). */
void group_offset_encode(const struct group_offset *o, struct buf *out);
/* topic_id and partition are the key's; metadata borrows data. */
MUST_CHECK int group_offset_decode(const void *data, size_t len, struct group_offset *ret);
void group_intent_encode(const struct group_intent *i, struct buf *out);
MUST_CHECK int group_intent_decode(const void *data, size_t len, struct group_intent *ret);

/* The group's members, shares and generation as they stand (also what is not written yet). broker,
 * incarnation: of those who write it. */
void group_state_encode(const struct group *g, uint32_t broker, uint64_t incarnation,
			struct buf *out);
/*
 * Takes over what a record says, into a group without connected members (a later record replaces an
 * earlier one). Nobody is connected: static members are GROUP_AWAY with a fresh session timeout,
 * the others are left out, and what they held has no holder; where there were such, the group is
 * unsettled. -EBADMSG, -EPROTONOSUPPORT, -ENOMEM: g is as it was.
 */
MUST_CHECK int group_state_load(struct group *g, const void *data, size_t len, int64_t now_ms);

#endif

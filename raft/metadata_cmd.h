/*
 * The commands of the metadata log, as bytes. All numbers little-endian; str8 is a length byte and
 * so many bytes.
 *
 *   u8  version (1)      u8 kind
 *   16  directory id, u64 incarnation, u64 number of the forwarder; all 0: none
 *   i64 time: the proposer's wall clock, milliseconds
 *   then by kind:
 *   NOOP      nothing
 *   BROKER    u32 node, 16 directory id, u64 incarnation, str8 address, str8 rack
 *   CREATE    16 topic id, u32 partitions, u32 uid, u32 gid, u16 mode, str8 name
 *   DELETE    16 topic id
 *   CONFIG    16 topic id, u8 count, count x { str8 setting, u8 reset, i64 value, u16 length, text
 * } PERMS     16 topic id, u8 mask, u32 uid, u32 gid, u16 mode
 *
 * A command is decoded before it is believed, and checked against the state by
 * metadata_apply(); what is left over at its end is an error. Settings are named, not numbered, so
 * that the table may be put in another order. Another version than 1 is -EPROTONOSUPPORT: a node
 * that cannot understand a command must stop, or its state would differ from the others'.
 */
#ifndef TOPICFS_RAFT_METADATA_CMD_H
#define TOPICFS_RAFT_METADATA_CMD_H

#include "raft/topic_config.h"

#define METADATA_CMD_VERSION 1
/* Of addresses and racks; a length byte. */
#define METADATA_STR_MAX 255

enum metadata_kind {
	METADATA_NOOP = 1, /* a new leader's first entry */
	METADATA_BROKER,   /* a broker starts, or starts again */
	METADATA_CREATE,
	METADATA_DELETE,
	METADATA_CONFIG, /* settings, num.partitions among them */
	METADATA_PERMS,
};

/* Who forwarded a command, and which of its commands it is. A number is never used twice. */
struct metadata_origin {
	uint8_t directory_id[16]; /* all 0: nobody; the command is not remembered */
	uint64_t incarnation, number;
};

enum metadata_perm { METADATA_MODE = 1, METADATA_UID = 2, METADATA_GID = 4 };

/* Of the fields below the common ones, only those of the kind count. */
struct metadata_cmd {
	enum metadata_kind kind;
	struct metadata_origin origin;
	int64_t time_ms;

	uint8_t topic_id[16]; /* CREATE DELETE CONFIG PERMS */
	char name[TOPIC_NAME_MAX + 1];
	uint32_t partition_cnt;
	uint32_t uid, gid;  /* CREATE PERMS */
	uint16_t mode;	    /* CREATE PERMS: 0 to 07777 */
	uint8_t perms_mask; /* PERMS: of enum metadata_perm */

	struct topic_change changes[TOPIC_CHANGE_MAX]; /* texts are borrowed */
	unsigned change_cnt;

	uint32_t node; /* BROKER */
	uint8_t directory_id[16];
	uint64_t incarnation;
	char address[METADATA_STR_MAX + 1], rack[METADATA_STR_MAX + 1];
};

/* Appends the bytes. The caller asks buf_err(). */
void metadata_cmd_encode(const struct metadata_cmd *cmd, struct buf *out);
/*
 * Reads a command; the texts of its changes borrow data. 0, -EBADMSG (not a command), or
 * -EPROTONOSUPPORT (of a newer version, or with a setting or kind that this build does not know).
 */
MUST_CHECK int metadata_cmd_decode(const void *data, size_t len, struct metadata_cmd *ret);
/* "create" for METADATA_CREATE. */
const char *metadata_kind_name(enum metadata_kind kind);

/* The pieces that snapshots share. get: errors stick in the cursor; -EPROTONOSUPPORT for a setting
 * that this build does not know. */
void metadata_put_str(struct buf *out, const char *s);
void metadata_get_str(struct cursor *c, size_t max, char *ret);
void metadata_put_change(struct buf *out, const struct topic_change *change);
MUST_CHECK int metadata_get_change(struct cursor *c, struct topic_change *ret);
/* Copies 16 bytes out of the cursor; zeros after an error. */
void metadata_get_id(struct cursor *c, uint8_t ret[16]);

#endif

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
 *   CONFIG    16 topic id, u8 count, changes
 *   PERMS     16 topic id, u8 mask, u32 uid, u32 gid, u16 mode
 *   GROUP_CREATE     16 group id, u32 uid, u32 gid, u16 mode, str8 name
 *   GROUP_DELETE     16 group id
 *   GROUP_CONFIG     16 group id, u8 count, changes
 *   GROUP_PERMS      16 group id, u8 mask, u32 uid, u32 gid, u16 mode
 *   CREATE_INTERNAL  as CREATE, and behind it u8 count, changes
 *
 * A change is str8 setting, u8 reset, i64 value, u16 length and text.
 *
 * A command is decoded before it is believed, and checked against the state by
 * metadata_apply(); what is left over at its end is an error. Settings are named, not numbered, so
 * that the table may be put in another order. Another version than 1 is -EPROTONOSUPPORT: a node
 * that cannot understand a command must stop, or its state would differ from the others'.
 */
#ifndef TOPICFS_RAFT_METADATA_CMD_H
#define TOPICFS_RAFT_METADATA_CMD_H

#include "raft/group_config.h"
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
	METADATA_GROUP_CREATE,
	METADATA_GROUP_DELETE,
	METADATA_GROUP_CONFIG,
	METADATA_GROUP_PERMS,
	/* A topic of the broker's own with its settings, in one step; CREATE refuses its name. */
	METADATA_CREATE_INTERNAL,
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

	uint8_t topic_id[16];	       /* CREATE DELETE CONFIG PERMS CREATE_INTERNAL */
	uint8_t group_id[16];	       /* GROUP_* */
	char name[TOPIC_NAME_MAX + 1]; /* of what is created */
	uint32_t partition_cnt;	       /* of a new topic */
	uint32_t uid, gid;	       /* what is created; PERMS GROUP_PERMS */
	uint16_t mode;		       /* likewise: 0 to 07777 */
	uint8_t perms_mask;	       /* PERMS GROUP_PERMS: of enum metadata_perm */

	/* CONFIG CREATE_INTERNAL; texts are borrowed */
	struct topic_change changes[TOPIC_CHANGE_MAX];
	unsigned change_cnt;
	/* GROUP_CONFIG; likewise */
	struct group_change group_changes[GROUP_CHANGE_MAX];
	unsigned group_change_cnt;

	uint32_t node; /* BROKER */
	uint8_t directory_id[16];
	uint64_t incarnation;
	char address[METADATA_STR_MAX + 1], rack[METADATA_STR_MAX + 1];
};

static_assert(GROUP_NAME_MAX <= TOPIC_NAME_MAX, "struct metadata_cmd.name has room for both");

/* Appends the bytes. The caller asks buf_err(). */
void metadata_cmd_encode(const struct metadata_cmd *cmd, struct buf *out);
/*
 * Reads a command; the texts of its changes borrow data. 0, -EBADMSG (not a command), or
 * -EPROTONOSUPPORT (of a newer version, or with a setting or kind that this build does not know).
 */
MUST_CHECK int metadata_cmd_decode(const void *data, size_t len, struct metadata_cmd *ret);
/* "create" for METADATA_CREATE. */
const char *metadata_kind_name(enum metadata_kind kind);
/* Whether it is a command on groups: group_id counts, not topic_id. */
bool metadata_kind_is_group(enum metadata_kind kind);
/* The one of the two ids that counts. */
const uint8_t *metadata_cmd_id(const struct metadata_cmd *cmd);

/* The pieces that snapshots share. get: errors stick in the cursor; -EPROTONOSUPPORT for a setting
 * that this build does not know. */
void metadata_put_str(struct buf *out, const char *s);
void metadata_get_str(struct cursor *c, size_t max, char *ret);
void metadata_put_change(struct buf *out, const struct topic_change *change);
MUST_CHECK int metadata_get_change(struct cursor *c, struct topic_change *ret);
void metadata_put_group_change(struct buf *out, const struct group_change *change);
MUST_CHECK int metadata_get_group_change(struct cursor *c, struct group_change *ret);
/* Copies 16 bytes out of the cursor; zeros after an error. */
void metadata_get_id(struct cursor *c, uint8_t ret[16]);

#endif

/*
 * The metadata: topics, groups and brokers of a cluster, and what changes them.
 *
 * A deterministic state machine. metadata_apply() is the only mover: it is given the commands of
 * the metadata log, in order, and whoever is given the same commands (from the beginning, or from a
 * snapshot on) has the same state, byte for byte as metadata_encode() writes it. So it knows no
 * clock, no randomness and no configuration of one broker: ids, times and defaults come inside the
 * commands.
 *
 * Invariants: names are Kafka's; no two topics' names differ in "." and "_" only; no two topics
 * have one id, nor two groups; num.partitions never falls; an applied index never repeats. Topics
 * of the broker's own (topic_name_is_internal()) are made by a command of their own, and only they
 * are compacted; nothing changes or deletes them. What is in a group, its members and offsets, is
 * not here: a group made again under its old name has another id, and so inherits nothing.
 *
 * Repeats. A forwarder (a broker that passes a change on and may not hear the answer) numbers its
 * commands. The last METADATA_ANSWER_CNT answers to each forwarder are part of the state; a command
 * with a number that is among them gets that first answer and changes nothing. A number so old
 * that its answer is gone, and one of an older incarnation, is -ESTALE. Of METADATA_FORWARDER_MAX
 * forwarders the one that was silent for longest is forgotten.
 *
 * Memory. A replica must not end up with another state because it had no memory: running out of it
 * inside metadata_apply() stops the process, which comes back through the log.
 */
#ifndef TOPICFS_RAFT_METADATA_H
#define TOPICFS_RAFT_METADATA_H

#include "raft/catalog.h"
#include "raft/metadata_cmd.h"

/* Brokers that the state holds; a cluster has at most some dozens. */
#define METADATA_BROKER_MAX 1024
/* Forwarders that the state remembers: brokers and mounts, with a reserve for those that left. */
#define METADATA_FORWARDER_MAX 1024
/* More than one forwarder has under way at a time. */
#define METADATA_ANSWER_CNT 128

struct metadata;

struct metadata_topic {
	char name[TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	uint32_t partition_cnt;
	uint32_t uid, gid;
	uint16_t mode;				 /* 0 to 07777 */
	int64_t created_ms, config_ms, perms_ms; /* the latter two: created_ms until changed */
	struct topic_config own;		 /* what was set; see topic_config_merge() */
	struct catalog_entry entry;		 /* metadata.c's */
};

struct metadata_group {
	char name[GROUP_NAME_MAX + 1];
	uint8_t id[16];
	uint32_t uid, gid;
	uint16_t mode;				 /* 0 to 07777 */
	int64_t created_ms, config_ms, perms_ms; /* the latter two: created_ms until changed */
	struct group_config own;		 /* what was set; see group_config_merge() */
	struct catalog_entry entry;		 /* metadata.c's */
};

struct metadata_broker {
	uint32_t node;
	uint8_t directory_id[16];
	uint64_t incarnation;
	char address[METADATA_STR_MAX + 1], rack[METADATA_STR_MAX + 1];
	int64_t registered_ms;
};

/* What a command came to. */
struct metadata_result {
	/*
	 * 0; -EEXIST -EINVAL -ENAMETOOLONG -ENOENT -ENOSPC -EPERM -ESTALE: refused, nothing
	 * changed; -EBADMSG -EPROTONOSUPPORT: no command, or one that this build does not know: the
	 * state is behind the others' now, and the process must stop.
	 */
	int err;
	bool repeated; /* the answer is that of an earlier one; nothing changed */
	enum metadata_kind kind;
	uint8_t topic_id[16];		/* of commands on topics */
	char topic[TOPIC_NAME_MAX + 1]; /* its name; "" where refused or repeated */
	uint8_t group_id[16];		/* of commands on groups */
	char group[GROUP_NAME_MAX + 1]; /* likewise */
	uint32_t partition_cnt;		/* now; of a deleted topic: when it was deleted */
	uint32_t old_partition_cnt;	/* before; 0 for a new topic */
	char sentence[SENTENCE_MAX];	/* why refused, else "" */
};

/* An empty state, applied index 0. Ended with metadata_free(). NULL where there is no memory. */
struct metadata *metadata_new(const uint8_t cluster_id[16]);
/* Takes NULL. */
void metadata_free(struct metadata *md);

/*
 * Applies the command at an index of the log, which must be above all before. Never fails half-way:
 * *ret says what it came to. A command of METADATA_DELETE frees the struct metadata_topic, one of
 * METADATA_GROUP_DELETE the struct metadata_group; all other pointers to these stay valid.
 */
void metadata_apply(struct metadata *md, uint64_t index, uint64_t term, const void *cmd, size_t len,
		    struct metadata_result *ret);
/*
 * What metadata_apply() would say of this command now, without the memory of repeats: so that
 * refusals need no entry in the log. 0 or a negative errno with a sentence.
 */
MUST_CHECK int metadata_check(const struct metadata *md, const struct metadata_cmd *cmd,
			      char ret_sentence[SENTENCE_MAX]);

const uint8_t *metadata_cluster_id(const struct metadata *md);
uint64_t metadata_applied_index(const struct metadata *md);
uint64_t metadata_applied_term(const struct metadata *md);
/* Rises by one with every command that changed a topic, a group or a broker. */
uint64_t metadata_generation(const struct metadata *md);

/* Look-ups; all borrow from the state until the topic, or group, is deleted. NULL: there is none.
 */
const struct metadata_topic *metadata_find_topic(const struct metadata *md, const char *name);
const struct metadata_topic *metadata_find_topic_id(const struct metadata *md,
						    const uint8_t id[16]);
/* Topics in the order of their names (bytes): idx from 0 to cnt - 1, NULL beyond. */
uint32_t metadata_topic_cnt(const struct metadata *md);
const struct metadata_topic *metadata_topic_at(const struct metadata *md, uint32_t idx);
/* The idx of the first topic whose name is behind the given one (which need not exist): where a
 * listing that was interrupted there goes on. */
uint32_t metadata_topic_after(const struct metadata *md, const char *name);
/* The same for groups. */
const struct metadata_group *metadata_find_group(const struct metadata *md, const char *name);
const struct metadata_group *metadata_find_group_id(const struct metadata *md,
						    const uint8_t id[16]);
uint32_t metadata_group_cnt(const struct metadata *md);
const struct metadata_group *metadata_group_at(const struct metadata *md, uint32_t idx);
/* Brokers by node id; and in the order of node ids, NULL beyond the last. */
const struct metadata_broker *metadata_find_broker(const struct metadata *md, uint32_t node);
const struct metadata_broker *metadata_broker_at(const struct metadata *md, uint32_t idx);

/*
 * Appends a snapshot of the whole state: "TFMD", u32 version, u64 length, that many bytes, XXH3-64
 * of all before. metadata_snapshot.c has the rest. The caller asks buf_err().
 */
void metadata_encode(const struct metadata *md, struct buf *out);
/*
 * The state of a snapshot, owned by the caller. -EBADMSG: damaged; -EPROTONOSUPPORT: of a newer
 * version; -ENOMEM. The caller compares metadata_cluster_id() with its own.
 */
MUST_CHECK int metadata_decode(const void *data, size_t len, struct metadata **ret);

#endif

/*
 * What the files of the metadata state machine share (metadata.c, metadata_check.c,
 * metadata_forwarder.c, metadata_snapshot.c). Nobody else includes this.
 */
#ifndef TOPICFS_RAFT_METADATA_STATE_H
#define TOPICFS_RAFT_METADATA_STATE_H

#include "raft/metadata.h"

struct metadata_answer {
	uint64_t number;
	int32_t err;
	uint8_t id[16]; /* of the topic or the group */
	char *sentence; /* owned; NULL: "" */
};

struct metadata_forwarder {
	uint8_t directory_id[16];
	uint64_t incarnation;
	uint64_t last_index; /* of its latest command */
	uint64_t floor;	     /* numbers up to here that are not among answers are too old */
	struct metadata_answer answers[METADATA_ANSWER_CNT]; /* oldest first */
	uint32_t answer_cnt;
};

struct metadata {
	uint8_t cluster_id[16];
	uint64_t applied_index, applied_term, generation;
	struct catalog topics, groups;	 /* own what stands in them */
	struct metadata_broker *brokers; /* in order of node ids */
	uint32_t broker_cnt;
	struct metadata_forwarder **forwarders; /* in order of directory ids */
	uint32_t forwarder_cnt;
};

/* Zeroed memory; stops the process where there is none. */
void *metadata_alloc(size_t cnt, size_t size);
/*
 * Whether a name may stand in the state. 0, -EINVAL, -ENAMETOOLONG with a sentence; that of a topic
 * of the broker's own may.
 */
MUST_CHECK int metadata_check_name(const char *name, char ret_sentence[SENTENCE_MAX]);
MUST_CHECK int metadata_check_group_name(const char *name, char ret_sentence[SENTENCE_MAX]);
/* Whether a topic of that name may have the setting. 0 or -EINVAL with a sentence. */
MUST_CHECK int metadata_check_change(const char *topic, const struct topic_change *change,
				     char ret_sentence[SENTENCE_MAX]);
/* The topic whose name clashes with this one (or is this one), or NULL. */
struct metadata_topic *metadata_clash(const struct metadata *md, const char *name);
/* The topic of that id, or NULL; the group. */
struct metadata_topic *metadata_topic(const struct metadata *md, const uint8_t id[16]);
struct metadata_group *metadata_group(const struct metadata *md, const uint8_t id[16]);
/* Puts a topic, or a group, whose name and id are checked into its catalog. Takes it. */
void metadata_link_topic(struct metadata *md, struct metadata_topic *t);
void metadata_link_group(struct metadata *md, struct metadata_group *g);
void metadata_free_topic(struct metadata_topic *t);
void metadata_free_group(struct metadata_group *g);
/* A place for a broker, or a forwarder, at its index in the order; zeroed. */
struct metadata_broker *metadata_insert_broker(struct metadata *md, uint32_t node);
struct metadata_forwarder *metadata_insert_forwarder(struct metadata *md, const uint8_t id[16]);
/* Remembers an answer; the oldest goes where there is no room. */
void metadata_put_answer(struct metadata_forwarder *f, uint64_t number, int err,
			 const uint8_t id[16], const char *sentence);
/*
 * The forwarder to whom the answer will be given, or NULL where the command is answered without
 * being applied: *ret says how, then (err, repeated, sentence; ret_id).
 */
struct metadata_forwarder *metadata_admit(struct metadata *md, const struct metadata_origin *origin,
					  uint64_t index, struct metadata_result *ret,
					  uint8_t ret_id[16]);
void metadata_free_forwarder(struct metadata_forwarder *f);
bool metadata_is_zero(const uint8_t id[16]);

#endif

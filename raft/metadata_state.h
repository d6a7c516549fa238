/*
 * What the files of the metadata state machine share (metadata.c, metadata_snapshot.c). Nobody else
 * includes this.
 *
 * Topics stand in an array in the order of names, for listings, and in two hash tables (open
 * addressing, linear probing): by name with "." and "_" taken as one letter, so that a clash is a
 * hit there, and by id.
 */
#ifndef TOPICFS_RAFT_METADATA_STATE_H
#define TOPICFS_RAFT_METADATA_STATE_H

#include "raft/metadata.h"

enum topic_key { KEY_NAME, KEY_ID, KEY_CNT };

struct topic_table {
	struct metadata_topic **slots; /* NULL: free; owned array, borrowed topics */
	uint32_t cap;		       /* a power of two, more than twice the topics; or 0 */
};

struct metadata_answer {
	uint64_t number;
	int32_t err;
	uint8_t topic_id[16];
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
	struct metadata_topic **topics; /* in order of names; owned */
	uint32_t topic_cnt, topic_cap;
	struct topic_table tables[KEY_CNT];
	struct metadata_broker *brokers; /* in order of node ids */
	uint32_t broker_cnt;
	struct metadata_forwarder **forwarders; /* in order of directory ids */
	uint32_t forwarder_cnt;
};

/* Zeroed memory; stops the process where there is none. */
void *metadata_alloc(size_t cnt, size_t size);
/* Whether a name may stand in the state. 0, -EINVAL, -ENAMETOOLONG with a sentence. */
MUST_CHECK int metadata_check_name(const char *name, char ret_sentence[SENTENCE_MAX]);
/* The topic whose name clashes with this one (or is this one), or NULL. */
struct metadata_topic *metadata_clash(const struct metadata *md, const char *name);
/* Puts a topic whose name and id are checked into array and tables. Takes it. */
void metadata_link_topic(struct metadata *md, struct metadata_topic *t);
void metadata_free_topic(struct metadata_topic *t);
/* A place for a broker, or a forwarder, at its index in the order; zeroed. */
struct metadata_broker *metadata_insert_broker(struct metadata *md, uint32_t node);
struct metadata_forwarder *metadata_insert_forwarder(struct metadata *md, const uint8_t id[16]);
/* Remembers an answer; the oldest goes where there is no room. */
void metadata_put_answer(struct metadata_forwarder *f, uint64_t number, int err,
			 const uint8_t topic_id[16], const char *sentence);
bool metadata_is_zero(const uint8_t id[16]);

#endif

/*
 * The coordinator of consumer groups: between the metadata (which groups there are), the groups'
 * state machines (daemon/groups/), the topic __consumer_offsets (what of them survives), and the
 * mount.
 *
 * What is told is written first: commits, deliveries, members and assignments are records of the
 * group's partition of __consumer_offsets (murmur2 of its name picks it), appended before anybody
 * hears of them. So a process that dies loses none of it, and what the machine's death takes is the
 * end of that partition: an older state of the group, whose commits name older records.
 *
 * Groups are settled at the end of each round of the loop, and before anything of one is looked at:
 * a hundred members that join at once cost one assignment, and nobody sees a group between two
 * states.
 *
 * A dead letter is three steps, each stable before the next: an intent (where the letter will
 * stand), the letter, the commit that passes the record and ends the intent. A start finishes what
 * a stop interrupted, and looks before it writes whether the letter is there.
 */
#ifndef TOPICFS_DAEMON_COORDINATOR_H
#define TOPICFS_DAEMON_COORDINATOR_H

#include "fusefs/fs.h"
#include "raft/metadata.h"

#define OFFSETS_TOPIC "__consumer_offsets"

struct broker;
struct coordinator;

/* Tokens of store_fsync() that are the coordinator's have this bit; pointers never do, nor have the
 * metadata log's (METALOG_TOKEN) only this one. */
#define COORDINATOR_TOKEN 2U

/*
 * Takes over the metadata's groups and reads __consumer_offsets. clean: nothing was lost at the
 * last stop; else committed offsets behind a log's end are lowered to it. Blocking. On an error
 * sentence (SENTENCE_MAX) says why. Owned by the caller.
 */
MUST_CHECK int coordinator_open(struct broker *b, bool clean, struct coordinator **ret,
				char *sentence);
/* Takes NULL. */
void coordinator_free(struct coordinator *c);
/* Fills the part of the table that is about groups. */
void coordinator_backend(struct backend *ret);

/* A command of the metadata on a group was applied. */
void coordinator_on_applied(struct coordinator *c, const struct metadata_result *res,
			    uint64_t token);
/* A topic was made, grew, or is about to go (t->deleted). */
void coordinator_on_topic(struct coordinator *c, struct be_topic *t);
/* The owner or the mode of a topic has changed. */
void coordinator_on_access(struct coordinator *c, const struct be_topic *t);
/* A log was opened: offsets that should have been lowered at the start are. c may be NULL. */
MUST_CHECK int coordinator_on_opened(struct coordinator *c, struct be_partition *p);
/* A topic could not be made after all. */
void coordinator_on_topic_refused(struct coordinator *c, const struct metadata_result *res);
/* A token with COORDINATOR_TOKEN came back. */
void coordinator_on_synced(struct coordinator *c, uint64_t token);
/* The end of a round: what changed is settled, written and told. Cheap where nothing did. */
void coordinator_step(struct coordinator *c);
/* A write is not done, but gave others a turn: the loop is not to sleep. */
bool coordinator_has_more(const struct coordinator *c);
/* What is due by the clocks. Returns when it wants to be called again, on the monotonic clock in
 * ms. */
int64_t coordinator_tick(struct coordinator *c, int64_t now_ms, int64_t mono_ms);
/* Appends the groups' part of /metrics. */
void coordinator_metrics(struct coordinator *c, struct buf *out);

#endif

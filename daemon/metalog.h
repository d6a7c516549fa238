/*
 * The metadata log of a quorum of one: commands (raft/metadata_cmd.h) are records of the partition
 * __cluster_metadata-0, in the same segment store as all others; the record's offset + 1 is the
 * Raft index and the batch's leader epoch the term. A change is appended, made stable, applied, and
 * then answered, in this order. Snapshots stand beside the segments as INDEX-TERM.checkpoint
 * (Kafka's names). The newest two stay, with the log behind the older one.
 */
#ifndef TOPICFS_DAEMON_METALOG_H
#define TOPICFS_DAEMON_METALOG_H

#include "daemon/store/store.h"
#include "raft/metadata.h"

#define METALOG_TOPIC "__cluster_metadata"
/* Kafka's id of that topic: 00000000-0000-0000-0000-000000000001. */
extern const uint8_t metalog_topic_id[16];

/* Tokens of store_fsync() that are the metadata log's have this bit; pointers never do. */
#define METALOG_TOKEN 1U

struct metalog;

/* Called for each command that was applied after metalog_open() returned. token: that of
 * metalog_propose(). */
typedef void metalog_applied_fn(void *ctx, const struct metadata_result *res, uint64_t token);

/* Opens the log, loads the newest snapshot that holds, replays what follows. Blocking. sentence
 * (room: SENTENCE_MAX) says why it failed; where it did not, what damage an older snapshot has made
 * up for, or "". */
MUST_CHECK int metalog_open(struct store *s, metalog_applied_fn *fn, void *ctx,
			    struct metalog **ret, char *sentence);
/* Takes NULL. */
void metalog_free(struct metalog *m);
struct metadata *metalog_state(struct metalog *m);
/* The term of new commands: above that of every command before. */
uint64_t metalog_term(const struct metalog *m);
/*
 * Checks and appends a command. -EINPROGRESS: fn is called with token when it is stable and
 * applied. 0 never; other errnos: refused, with a sentence; nothing is stored.
 */
MUST_CHECK int metalog_propose(struct metalog *m, const struct metadata_cmd *cmd, int64_t now_ms,
			       uint64_t token, char *sentence);
/* STORE_SYNCED with a token that has METALOG_TOKEN. */
void metalog_on_synced(struct metalog *m, uint64_t token);
/* Commands that wait to be stable. */
bool metalog_is_idle(const struct metalog *m);

#endif

/*
 * One consumer group: its members, who holds which partition, and its committed offsets (DESIGN 4).
 *
 * A pure state machine: events in, a queue of events out; no I/O, no clock (time is an argument, in
 * milliseconds of a clock that does not jump unless a comment says otherwise), no randomness. The
 * coordinator (daemon/coordinator.h) feeds it, writes what has to be written into
 * __consumer_offsets, and tells the mount.
 *
 *                        join, leave, topics change           settle: all targets are met
 *      Empty ----------> PreparingRebalance ---- settle ----------------------> Stable
 *        ^                      ^    |                                             |
 *        |                      |    | settle: a partition waits for its holder    |
 *        |                      |    v                                             |
 *        |                      +-- CompletingRebalance -- last hand-over, settle -+
 *        +--- settle, no members left -------- (from every state)
 *      Dead: the group was deleted.
 *
 * Shares. Every partition of a subscribed topic is a share. It has a holder (who may be given its
 * records) and a target (whom the last assignment gives it). Where they differ the share is
 * *leaving*: its holder is given nothing more of it, and it goes to its target when the holder has
 * dealt with all that it was given of it, leaves, or is expelled. Shares that do not move are not
 * touched.
 *
 * Invariants: a share has at most one holder. The generation rises with each settling that changed
 * what any member holds, never falls, and is written (group_on_written()) before anybody is told.
 * A committed offset moves back only where group_check_commit() allowed it.
 *
 * Members are slots (small numbers, used again); whoever keeps one learns from GROUP_EVENT_EXPELLED
 * and GROUP_EVENT_FENCED that it is not its own any more. Until that event is taken, or the slot
 * left, the slot is nobody's: it holds nothing, and signs of life of it say nothing.
 */
#ifndef TOPICFS_GROUPS_GROUP_H
#define TOPICFS_GROUPS_GROUP_H

#include "daemon/base/assert.h"
#include "daemon/base/buf.h"
#include "daemon/base/limits.h"
#include "daemon/base/sentence.h"
#include "daemon/groups/assign.h"

#include <stdbool.h>
#include <stdint.h>

#define GROUP_NONE UINT32_MAX /* no slot */
/* Members of one group. A state record names them all, and must fit into one append. */
#define GROUP_MEMBER_MAX 4096U
/* What the texts of all members may take in a state record: a join beyond it is refused. */
#define GROUP_TEXT_MAX (8U << 20)
/* Partitions of all topics that a group subscribes. A state record with all of these is below the
 * largest message. */
#define GROUP_SHARE_MAX (1U << 20)

enum group_state {
	GROUP_EMPTY,
	GROUP_PREPARING,  /* PreparingRebalance: something changed, not settled yet */
	GROUP_COMPLETING, /* CompletingRebalance: a share waits for its holder */
	GROUP_STABLE,
	GROUP_DEAD,
};
/* "PreparingRebalance" for GROUP_PREPARING. */
const char *group_state_name(enum group_state s);

enum group_commit_mode { GROUP_NEXT_READ, GROUP_ON_READ, GROUP_MANUAL };
enum group_reset { GROUP_EARLIEST, GROUP_LATEST, GROUP_RESET_NONE };

/* The group's configuration in force. */
struct group_settings {
	enum assign_strategy strategy;
	enum group_reset reset;
	enum group_commit_mode commit;
	int64_t session_timeout_ms, rebalance_timeout_ms, max_poll_interval_ms;
	int64_t max_poll_records, max_deliveries; /* 0: no limit */
};

enum group_liveness {
	GROUP_WAITS,	   /* in a waiting read: no deadline */
	GROUP_BUSY,	   /* has max.poll.interval.ms */
	GROUP_INTERRUPTED, /* its waiting read was interrupted: session.timeout.ms */
	GROUP_AWAY, /* a static member that closed, or whose broker died: session.timeout.ms */
};

/* Who wants to join, and with what. Everything is borrowed. */
struct group_join {
	bool is_stream;			     /* opened topics/T; else through `join` */
	const char *member_id;		     /* wanted; NULL: one is made, "m-7" */
	const char *instance;		     /* NULL: not static */
	const char *client_id, *client_host; /* the process's name, the broker's host */
	uint32_t uid;
	const char *const *topics; /* subscribed by name: topic_cnt of them */
	uint32_t topic_cnt;
	const char *pattern; /* or by a POSIX extended regular expression of the whole name; NULL */
	int strategy;	     /* enum assign_strategy, or -1: the group's */
	/* -1: the group's setting. */
	int64_t session_timeout_ms, rebalance_timeout_ms, max_poll_interval_ms;
	void *owner; /* the coordinator's, not NULL while connected */
};

struct group_member; /* group_impl.h */
struct group;

/* id: the metadata's. Begins Empty, generation 0. What is decided has to be had: takes from the
 * fund, never NULL. */
struct group *group_new(const char *name, const uint8_t id[16], const struct group_settings *set);
/* Takes NULL. */
void group_free(struct group *g);
const uint8_t *group_id(const struct group *g);
void group_set_settings(struct group *g, const struct group_settings *set);
const struct group_settings *group_settings(const struct group *g);
/* Deleted: every member is fenced, nothing can be joined. */
void group_on_deleted(struct group *g);

/* ---- Topics ---- */

/* Whether any member subscribes to a topic of that name. */
bool group_wants(const struct group *g, const char *topic);
/*
 * What the metadata say of a topic that is wanted: its id and number of partitions; 0: there is
 * none (any more). A name whose id changes is another topic: its shares begin without holders.
 * Called for every wanted topic after a join (group_topics_due()) and at every change of the
 * metadata. -ENOMEM: nothing changed.
 */
MUST_CHECK int group_on_topic(struct group *g, const char *topic, const uint8_t id[16],
			      uint32_t part_cnt);
/*
 * A member has come whose topics are not all known: the coordinator calls group_on_topic() for
 * *ret_name (borrowed), or, where that is NULL, for all topics that group_wants() (a pattern).
 * False: nothing is due. What was told is not asked for again.
 */
bool group_topics_due(struct group *g, const char **ret_name);
/*
 * Whether that member may read that topic: what it may not it is not assigned, though it
 * subscribes to it. It may until something else is said; said again after each join and
 * resubscribing, and where the topic was not known yet. Of others, and of topics that it does not
 * subscribe, nothing.
 */
void group_on_access(struct group *g, uint32_t slot, const char *topic, bool may);
/* Whether the member subscribes to a topic of that name. */
bool group_subscribes(const struct group *g, uint32_t slot, const char *topic);
/* The name (borrowed) of the idx-th topic that the member subscribes to and the group knows; NULL
 * beyond the last. */
const char *group_topic_at(const struct group *g, uint32_t slot, uint32_t idx);

/* ---- Membership ---- */

/*
 * 0 and the slot. -EEXIST: another connected member has that id. -EINVAL: no or both of topics and
 * pattern; a strategy that differs from another member's; a pattern that does not compile. -ENOSPC:
 * GROUP_MEMBER_MAX. -ESTALE: deleted. -ENOMEM. sentence (SENTENCE_LEN) says why.
 * An instance that is there already is taken over with all that it holds, without a rebalance where
 * its subscription is the same; its present owner, if connected, is fenced. The member has a new
 * slot and, where it wants no certain one, a new id, so that commits of the one before are refused;
 * the generation stays, the state is to be written.
 */
#define GROUP_SENTENCE_LEN SENTENCE_MAX
MUST_CHECK int group_join(struct group *g, int64_t now_ms, const struct group_join *j,
			  uint32_t *ret_slot, char *ret_sentence);
/* Another subscription of the same member: errors as group_join(), and then nothing changed. The
 * member's id, instance and owner stay what they are, whatever j says. */
MUST_CHECK int group_resubscribe(struct group *g, int64_t now_ms, uint32_t slot,
				 const struct group_join *j, char *ret_sentence);
/* Its file was closed, or its process died: a static one stays GROUP_AWAY, others leave at once. */
void group_leave(struct group *g, int64_t now_ms, uint32_t slot);

/* ---- Signs of life ---- */

void group_on_wait(struct group *g, int64_t now_ms, uint32_t slot);	 /* its read waits */
void group_on_interrupt(struct group *g, int64_t now_ms, uint32_t slot); /* a waiting one ended */
void group_on_sign(struct group *g, int64_t now_ms,
		   uint32_t slot); /* answered, or any other sign */
/* When group_tick() wants to be called, perhaps before anybody runs out; INT64_MAX: never. */
int64_t group_deadline_ms(const struct group *g);
/* Expels who ran out: reasons as GROUP_BUSY, GROUP_INTERRUPTED, GROUP_AWAY and hand-overs have
 * them. */
void group_tick(struct group *g, int64_t now_ms);

/* ---- What members hold ---- */

/* One share as its holder sees it. */
struct group_share {
	const char *topic; /* borrowed until the topic goes */
	const uint8_t *topic_id;
	uint32_t partition;
	uint32_t holder, target; /* slots or GROUP_NONE */
	bool leaving;
	int64_t given; /* behind the last record that the holder was given since it holds this; -1:
			  none */
	int64_t dealt; /* behind the last record that it has dealt with; -1: none */
};
/* The shares of a member (also those that leave), in the order of topic names and partitions: fills
 * up to max, returns how many there are. What is not written yet is not held. */
uint32_t group_shares(const struct group *g, uint32_t slot, struct group_share *ret, uint32_t max);
/* Whether slot holds that share (also while it leaves). *ret may be NULL. */
bool group_holds(const struct group *g, uint32_t slot, const uint8_t topic_id[16],
		 uint32_t partition, struct group_share *ret);
/* The slot of whom group_holds() is true for, or GROUP_NONE. */
uint32_t group_holder(const struct group *g, const uint8_t topic_id[16], uint32_t partition);
/* Records up to `off` (exclusive) were given to it, or fewer than was said before. The share must
 * be held and not leaving, but a record half given is finished also then. Of a share that it does
 * not hold: the process stops. */
void group_on_given(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition,
		    int64_t off);
/* It has dealt with everything before off: a share that leaves is handed over when that is all that
 * was given. Of a share that it does not hold: nothing. */
void group_on_dealt(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition,
		    int64_t off);
/* Its holder was sought elsewhere: what was given before counts as neither given nor dealt with. */
void group_on_seek(struct group *g, uint32_t slot, const uint8_t topic_id[16], uint32_t partition);
/* A `join` member was given the line of the present generation; and then reads (or writes) again,
 * which says that it has dealt with it: what that line took from it is handed over. */
void group_on_line_given(struct group *g, uint32_t slot);
void group_on_line_dealt(struct group *g, int64_t now_ms, uint32_t slot);
/* The generation whose line it was given last; 0: none. */
uint64_t group_line_generation(const struct group *g, uint32_t slot);

/* ---- Settling ---- */

/* Whether group_settle() has something to do. */
bool group_is_unsettled(const struct group *g);
/*
 * Computes the assignment where members, subscriptions or topics changed, hands over what can be
 * handed over, and raises the generation where any member's shares changed. 0, or -ENOMEM (nothing
 * changed, do it again later). Then, where group_is_unwritten(), the state is to be written.
 */
MUST_CHECK int group_settle(struct group *g, int64_t now_ms);
bool group_is_unwritten(const struct group *g);
/* The state was written, as group_state_encode() has just given it: members are told by
 * GROUP_EVENT_ASSIGNED. */
void group_on_written(struct group *g);

/* Generations were told perhaps that nobody knows any more: those to come are beyond `beyond`,
 * which is not told before it is written. Nobody is connected. */
void group_raise(struct group *g, uint64_t beyond);

enum group_event_kind {
	GROUP_EVENT_NONE,
	/* There is a new generation for this member: for those of `join` each, for a stream one
	 * that changes what it holds. */
	GROUP_EVENT_ASSIGNED,
	GROUP_EVENT_EXPELLED, /* it ran out of time: the slot is gone */
	GROUP_EVENT_FENCED,   /* another holds its instance, or the group was deleted: the slot is
				 gone */
};
struct group_event {
	enum group_event_kind kind;
	void *owner;
	const char *why; /* of EXPELLED and FENCED: a sentence, static */
};
/* The next event, in order. Events of an owner whose slot was left are dropped. */
void group_next_event(struct group *g, struct group_event *ret);

enum group_state group_state(const struct group *g);
/* The newest that is written: nobody has been told of another. */
uint64_t group_generation(const struct group *g);
/* The strategy in force: the members' own, else the group's. */
enum assign_strategy group_strategy(const struct group *g);
uint32_t group_member_cnt(const struct group *g);
uint64_t group_rebalance_cnt(const struct group *g); /* settlings that computed an assignment */

/* A member as `state` and `members/ID` show it; texts are borrowed until the next event. */
struct group_member_view {
	uint32_t slot;
	const char *id, *instance /* NULL: none */, *client_id, *client_host;
	uint32_t uid;
	bool is_stream, is_leader; /* the one that joined first */
	enum group_liveness liveness;
	int64_t session_timeout_ms, rebalance_timeout_ms, max_poll_interval_ms;
	uint64_t generation; /* given to it last; a stream: the group's */
	void *owner;	     /* NULL: GROUP_AWAY */
};
/* In the order of joining: the one behind `slot`, GROUP_NONE: the first; false: there is none. */
bool group_member_next(const struct group *g, uint32_t slot, struct group_member_view *ret);
/* By id. */
bool group_member_find(const struct group *g, const char *id, struct group_member_view *ret);
bool group_member_get(const struct group *g, uint32_t slot, struct group_member_view *ret);

/* ---- Committed offsets ---- */

/* How many different counts of deliveries are told apart in one partition. */
#define GROUP_RUN_MAX 8

/* Records before `end` (and behind the run before) that were delivered so often. */
struct group_run {
	int64_t end;
	uint32_t cnt;
};

struct group_offset {
	uint8_t topic_id[16];
	uint32_t partition;
	int64_t offset; /* the next record to be read; -1: none yet (only deliveries are known) */
	int32_t leader_epoch; /* of the record before it (KIP-320); -1: unknown */
	int64_t commit_ms;    /* CLOCK_REALTIME */
	/* The record that was delivered last, where max.deliveries counts, and how often; 0: not
	 * counted. A commit leaves them, a seek sets them to 0. */
	int64_t delivered_off;
	uint32_t delivered_cnt;
	/*
	 * How often each record was delivered. Whoever begins anew begins at what is committed, and
	 * goes on in order; so the counts fall with the offsets, and a run for each count says all:
	 * ends rise, counts fall. Where there would be more than GROUP_RUN_MAX runs, the last ones
	 * are forgotten: those records are counted anew.
	 */
	struct group_run runs[GROUP_RUN_MAX];
	uint32_t run_cnt;
	const char *metadata; /* owned by the group; "" */
	uint32_t metadata_len;
};

/* NULL: none. Borrowed until the next call that changes offsets. */
const struct group_offset *group_offset_find(const struct group *g, const uint8_t topic_id[16],
					     uint32_t partition);
/* All of them, in no order: idx from 0; NULL beyond the last. */
const struct group_offset *group_offset_at(const struct group *g, uint32_t idx);
uint32_t group_offset_cnt(const struct group *g);
/* Stores what was written (copies metadata, which may be the stored entry's own). -ENOMEM, never
 * after group_offset_reserve(). */
MUST_CHECK int group_offset_put(struct group *g, const struct group_offset *o);
/* Before records are written: makes room so that group_offset_put() of these cnt entries, in this
 * order, cannot fail. What an earlier call made room for and was not put is given up. -ENOMEM. */
MUST_CHECK int group_offset_reserve(struct group *g, const struct group_offset *o, uint32_t cnt);
void group_offset_drop(struct group *g, const uint8_t topic_id[16], uint32_t partition);

/* Who commits. */
struct group_who {
	enum {
		GROUP_BY_OTHER,	   /* a process that is no member, or offsets/T/P */
		GROUP_BY_MEMBER,   /* a process that holds a stream: slot */
		GROUP_BY_EXPELLED, /* ... whose member is none any more */
		GROUP_BY_WORDS,	   /* member= generation= */
	} kind;
	uint32_t slot;
	const char *member_id; /* of BY_WORDS */
	uint64_t generation;
};
/*
 * Whether this commit may be stored: 0, or -ESTALE with a sentence (GROUP_SENTENCE_LEN). Of
 * BY_WORDS the member must exist and the generation be the group's; BY_MEMBER must hold the
 * partition; of others, while there are members, the offset may only rise.
 */
MUST_CHECK int group_check_commit(const struct group *g, const struct group_who *who,
				  const uint8_t topic_id[16], uint32_t partition, int64_t offset,
				  char *ret_sentence);
/*
 * Whether who may seek: 0; -EBUSY where the group has members and who is not the member that holds
 * the partition.
 */
MUST_CHECK int group_check_seek(const struct group *g, const struct group_who *who,
				const uint8_t topic_id[16], uint32_t partition);
/*
 * One more delivery of the record at off: fills *ret with the offset's entry as it has to be
 * written before the record is given (its metadata is borrowed from the stored one). False: with
 * this it would have been delivered more often than max.deliveries: it is a dead letter now, and
 * *ret the entry as it stands.
 */
bool group_deliver(const struct group *g, const uint8_t topic_id[16], uint32_t partition,
		   int64_t off, struct group_offset *ret);
/* How often the record at off was delivered. */
uint32_t group_deliveries(const struct group_offset *o, int64_t off);
/* Forgets deliveries of records outside of [from, to). */
void group_deliveries_keep(struct group_offset *o, int64_t from, int64_t to);

#endif

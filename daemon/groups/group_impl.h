/*
 * What the files of a group's state machine share. Nobody else includes this.
 *
 *   group.c           life of the object, liveness and deadlines, events, views
 *   group_subs.c      subscriptions, and which topics each has
 *   group_members.c   joining, taking over, leaving
 *   group_shares.c    topics and their shares: who holds them, what was given, what is dealt with
 *   group_settle.c    targets from the assignors, and the hand-over to them
 *   group_offsets.c   committed offsets, and who may commit
 *   group_record.c    all of that as records
 *
 * Members that subscribe the same share one struct group_sub, so that 500 members of one kind cost
 * one look at each topic's name, and that "the same subscription" is a comparison of pointers.
 *
 * Where memory may run out everything is allocated before the first change.
 */
#ifndef TOPICFS_GROUPS_GROUP_IMPL_H
#define TOPICFS_GROUPS_GROUP_IMPL_H

#include "daemon/base/list.h"
#include "daemon/groups/group.h"
#include "daemon/groups/pattern.h"

#include <stddef.h>

/*
 * A table of what is found by a topic's id and a partition: open addressing, linear probing. Its
 * items, borrowed, begin with these two.
 */
struct group_place {
	uint8_t topic_id[16];
	uint32_t partition;
};
struct group_table {
	const struct group_place **slots; /* NULL: free; owned array */
	uint32_t cap, cnt;		  /* cap: a power of two, at least twice cnt; or 0 */
};
#define GROUP_NO_PARTITION UINT32_MAX

void group_table_fini(struct group_table *t);
/* Room for extra more items. -ENOMEM. */
MUST_CHECK int group_table_reserve(struct group_table *t, uint32_t extra);
/* Where room was made, an item that is not in it. */
void group_table_put(struct group_table *t, const struct group_place *item);
void group_table_remove(struct group_table *t, const struct group_place *item);
const struct group_place *group_table_find(const struct group_table *t, const uint8_t topic_id[16],
					   uint32_t partition);

/* A partition: struct group_share is what others see of it. */
struct group_part {
	struct list node; /* among its holder's, in the order of topic names and partitions */
	struct group_topic *topic;
	uint32_t partition;
	uint32_t holder, target; /* slots or GROUP_NONE */
	bool is_leaving;
	int64_t given, dealt;
	int64_t leave_ms;   /* since when it leaves */
	uint64_t leave_gen; /* the generation that first shows it gone from its holder */
	uint64_t held_gen;  /* the generation that first shows it at its holder */
};

struct group_topic {
	struct group_place place; /* its id; GROUP_NO_PARTITION. In topic_ids where part_cnt > 0 */
	uint32_t part_cnt;	  /* 0: there is no such topic */
	struct group_part *parts; /* owned */
	uint32_t want_cnt;	  /* subscriptions that have it among `known` */
	bool is_told;		  /* what the metadata said of it is the newest */
	uint32_t idx;		  /* among those of an assignment or a record */
	char name[];
};

/* A subscription: one for all members that have the same. */
struct group_sub {
	struct list node;
	uint32_t ref_cnt;
	uint64_t hash;	    /* of text */
	const char **names; /* in order, none twice; owned array into text; NULL: a pattern */
	uint32_t name_cnt;
	const char *pattern; /* into text */
	struct pattern *compiled;
	struct group_topic **known; /* its topics that the group knows, by name; owned array */
	uint32_t known_cnt, known_cap;
	bool is_due;   /* some topics of it may not have been told */
	bool is_hit;   /* scratch of adding a topic */
	uint32_t *idx; /* scratch of an assignment */
	uint32_t idx_cnt;
	size_t text_len;
	char text[]; /* names with their NULs, or '^', the pattern, NUL */
};

struct group_member {
	struct list node;	/* in the order of joining */
	struct list event_node; /* in g->events, where event is not NONE */
	enum group_event_kind event;
	const char *why;
	bool is_gone; /* nobody: only its event is kept */
	bool is_stream;
	bool is_changed; /* what it holds is not what it was last told */
	uint32_t slot, uid;
	uint32_t idx; /* scratch: among the members of an assignment */
	int strategy; /* or -1 */
	int64_t session_timeout_ms, rebalance_timeout_ms,
		max_poll_interval_ms; /* -1: the group's */
	enum group_liveness liveness;
	int64_t since_ms; /* of the last sign of life */
	uint64_t line_gen, line_dealt_gen;
	void *owner;
	struct group_sub *sub; /* a reference; NULL once gone */
	/* Of its topics those that it may not read, by address; owned array. */
	struct group_topic **denied;
	uint32_t denied_cnt, denied_cap;
	struct list parts;    /* what it holds */
	uint32_t undealt_cnt; /* of them: given > dealt */
	uint32_t leaving_cnt;
	const char *id, *instance, *client_id, *client_host; /* into text; instance may be NULL */
	size_t text_len;				     /* what its texts take in a record */
	char text[];
};

struct group_offset_entry;

struct group {
	uint8_t id[16];
	char *name;
	struct group_settings set;
	bool is_dead;
	uint64_t generation;	     /* as it stands */
	uint64_t written_generation; /* as it was written and told */
	uint64_t member_no;	     /* of the last "m-N" */
	uint64_t rebalance_cnt;
	bool needs_assign; /* members, subscriptions, topics or the strategy changed */
	bool is_due;	   /* something can perhaps be handed over */
	bool is_moved;	   /* since the generation was raised members' shares changed */
	bool is_changed;   /* since the last settling what a record holds changed */
	bool is_unwritten;
	int64_t deadline_ms; /* nobody runs out before it */

	struct group_topic **topics; /* by name; owned */
	uint32_t topic_cnt, topic_cap;
	struct group_table topic_ids;
	uint32_t part_cnt, leaving_cnt;

	struct list subs;
	struct list members;
	struct list events;
	struct group_member **slots; /* NULL: free */
	uint32_t slot_cap;
	struct group_member **by_id; /* those that are not gone, by id */
	uint32_t member_cnt, by_id_cap;
	size_t text_len;

	struct group_table offset_table;
	struct group_offset_entry **offsets;
	uint32_t offset_cnt, offset_cap;
	struct list offset_room; /* entries that group_offset_reserve() made */
};

/* ---- group.c ---- */

/* Formats a sentence and returns err. */
int group_refuse(char *ret_sentence, int err, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* The member, or NULL where nobody (any more) has that slot. */
struct group_member *group_slot(const struct group *g, uint32_t slot);
int64_t group_rebalance_timeout(const struct group *g, const struct group_member *m);
/* A member may run out at that time. */
void group_lower_deadline(struct group *g, int64_t at_ms);
void group_set_liveness(struct group *g, int64_t now_ms, struct group_member *m,
			enum group_liveness l);
/* The event of m is that now, in its place of the order if it has one. */
void group_post(struct group *g, struct group_member *m, enum group_event_kind kind,
		const char *why);

/* ---- group_subs.c ---- */

/* The subscription of j, with a reference more. -EINVAL with a sentence, -ENOMEM. */
MUST_CHECK int group_sub_get(struct group *g, const struct group_join *j, struct group_sub **ret,
			     char *ret_sentence);
void group_sub_put(struct group *g, struct group_sub *sub);
/* Whether the member subscribes to the topic and may read it. */
bool group_member_wants(const struct group_member *m, const struct group_topic *t);
bool group_member_may(const struct group_member *m, const struct group_topic *t);
/* Room for a topic of that name in all subscriptions that want it (is_hit says which): -ENOMEM. */
MUST_CHECK int group_subs_reserve(struct group *g, const char *name, uint32_t *ret_cnt);
/* Puts it into those. */
void group_subs_add(struct group *g, struct group_topic *t);

/* ---- group_members.c ---- */

/* Copies what j says and the id into a new member without slot and subscription. NULL: no memory.
 */
struct group_member *group_member_new(const struct group_join *j, const char *id);
/* Frees one that is in no list. */
void group_member_free(struct group *g, struct group_member *m);
/* Room for one member more, beside those that are gone: -ENOMEM. */
MUST_CHECK int group_member_reserve(struct group *g);
/* Gives it a slot and a place as the last that joined. Room was made; takes m and sub. */
void group_member_link(struct group *g, struct group_member *m, struct group_sub *sub);
/* Nobody any more: gives up what it holds; then m is to be freed, or kept for its event. */
void group_member_unlink(struct group *g, struct group_member *m);
/* An empty group of the same name, id and settings. NULL: no memory. */
struct group *group_like(const struct group *from);
/* By id or by instance; NULL. */
struct group_member *group_find_id(const struct group *g, const char *id);
struct group_member *group_find_instance(const struct group *g, const char *instance);

/* ---- group_shares.c ---- */

struct group_topic *group_topic_find(const struct group *g, const char *name);
/* A topic that the group does not know: no partitions. Takes memory first: -ENOMEM. */
MUST_CHECK int group_topic_new(struct group *g, const char *name, struct group_topic **ret);
/* Another number of partitions: new ones have no holder. -ENOMEM. */
MUST_CHECK int group_topic_resize(struct group *g, struct group_topic *t, const uint8_t id[16],
				  uint32_t part_cnt);
/* Removes those that nobody wants and nobody holds. */
void group_topics_drop(struct group *g);
void group_topics_free(struct group *g);
/* Whether its holder has dealt with all of it. */
bool group_part_is_done(const struct group *g, const struct group_part *p);
/* Put behind its others: settling brings them into order. */
void group_part_take(struct group *g, struct group_part *p, struct group_member *m);
void group_part_release(struct group *g, struct group_part *p);
/* Nothing of it counts as given. */
void group_part_forget(struct group *g, struct group_part *p);

/* ---- group_offsets.c ---- */

void group_offsets_free(struct group *g);

#endif

/*
 * What the coordinator's files share.
 */
#ifndef TOPICFS_DAEMON_COORDINATOR_IMPL_H
#define TOPICFS_DAEMON_COORDINATOR_IMPL_H

#include "daemon/base/log.h"
#include "daemon/broker.h"
#include "daemon/coordinator.h"
#include "daemon/groups/group.h"
#include "daemon/groups/group_record.h"
#include "daemon/groups/request.h"

/* Dead letters under way in one broker: each waits for two syncs, and holds up one partition. */
#define LETTER_CNT_MAX 1024U
/* How long a write that failed, of a group's state or behind a letter, is left alone. */
#define RETRY_MS 100
/* Logs that one turn of a write to a group opens: each may wait for the device. */
#define OPENS_A_TURN 2U
/* Positions that one write to seek may ask for: it is done at once in the end, and each line may be
 * about 65536 partitions. */
#define SEEKS_A_WRITE (UINT32_C(1) << 18)
/* One takes some 10 us, where nothing is read from the device. */
#define FINDS_A_TURN 128U
/* More than a group has in one life of the broker; and 2^33 lives stay below 2^53, up to where
 * everybody's JSON counts. */
#define GENERATIONS_PER_LIFE (UINT64_C(1) << 20)

/* A letter that could not be stored: whoever is given the record next is told. */
struct letter_failed {
	int err; /* 0: none */
	uint8_t topic_id[16];
	uint32_t partition;
	int64_t offset;
};

struct coord_group {
	struct be_group be; /* first: the mount's pointer leads here */
	struct group *core;
	struct be_partition *home; /* of __consumer_offsets; NULL: not found yet */
	struct list members;	   /* be_members */
	struct list link;	   /* coordinator's `unsettled`, or alone */
	int64_t deadline_ms;	   /* of core, on the monotonic clock */
	int64_t emptied_ms;	   /* CLOCK_REALTIME: since when it has no members */
	bool asked_for_dlq;	   /* the topic of its letters is being made */
	struct letter_failed failed;
	uint64_t commits, letters;
};

struct be_member {
	struct coord_group *g;
	struct list link; /* g->members */
	void *owner;	  /* the mount's */
	uint32_t slot;	  /* GROUP_NONE: it is no member (expelled, fenced) */
	bool is_stream;
	bool expelled;	/* ESTALE is due, then it joins anew */
	bool fenced;	/* ESTALE until it asks again */
	bool is_barred; /* a stream whose topic may not be read */
	const char *why;
	struct be_caller caller;
	uint32_t *gids; /* supplementary groups; owned */
	unsigned gid_cnt;
	char *topic; /* of a stream; owned */
	/* Of `join`: its first request, and the newest of the later ones; owned. */
	struct join_request first, request;
	char client_id[17];
	int32_t opened_tgid, last_tgid;
	struct be_share *shares; /* as told last; owned */
	unsigned share_cnt, share_cap;
};

enum letter_step {
	LETTER_INTENT,	 /* the intent is being synced, then the letter is due */
	LETTER_APPENDED, /* its sync is due */
	LETTER_STORED,	 /* it is being synced, then the commit is due */
};

struct letter {
	struct list link;
	struct coord_group *g;	    /* NULL: it was deleted meanwhile */
	struct be_topic *from, *to; /* refs */
	uint32_t partition;
	struct group_intent intent;
	enum letter_step step;
	bool is_due;	/* no sync is under way that it waits for: the loop goes on with it */
	bool is_late;	/* it has failed behind the letter, which was said */
	char *reason;	/* owned; any bytes without a NUL */
	uint64_t token; /* of a write to `reject` that waits; 0: none */
};

/* What was looked up in one partition for a write. */
struct coord_found {
	uint64_t serial; /* of the topic */
	uint32_t partition;
	int64_t offset;
};

/*
 * A write about thousands of logs is prepared in turns (coordinator_ahead.c): logs whose ends are
 * not known are opened, positions in them are looked up. Zeroed: nothing is prepared yet.
 */
struct coord_ahead {
	bool begun;
	size_t pos;		   /* the line in the text that comes next */
	uint32_t partition;	   /* and where it is of a whole topic, which one of it */
	uint32_t done_cnt;	   /* partitions that were prepared */
	struct coord_found *found; /* in the order of the lines; owned */
	uint32_t found_cnt, found_cap;
	uint32_t used; /* by the write itself, so far */
};

/* A change that waits for a topic to be made, or for logs to be opened. */
struct coord_wait {
	struct list link;
	struct coord_group *g;	 /* whose file was written; NULL: of a new group */
	enum be_group_file file; /* which */
	struct be_caller caller;
	uint64_t token;
	char *text; /* the new group's name, or what was written; owned */
	size_t len;
	uint32_t mode;
	struct coord_ahead ahead;
};

struct coordinator {
	struct broker *b;
	struct coord_group **groups; /* in the order of names */
	uint32_t group_cnt, group_cap;
	struct serials by_serial; /* also deleted ones that are referred to */
	struct list unsettled, letters;
	struct list new_groups, rejects, openers; /* coord_waits */
	int64_t deadline_ms, expiry_ms;
	bool making_offsets; /* the topic */
	bool may_be_ahead;   /* of logs whose ends were not known, when offsets were lowered */
	bool may_begin;	     /* the same, when members were to begin at their ends */
	unsigned opens_left; /* of logs in this turn */
	unsigned finds_left; /* positions that are looked up in logs in this turn */
	bool is_short;	     /* they did not suffice */
	struct coord_ahead *ahead; /* of the write that is under way, or NULL */
	bool letters_short;	   /* a member waits since too many letters are under way */
	/* A batch under construction; owned. */
	struct buf scratch;
	struct record *recs;
	uint8_t *keys;
	size_t *value_pos;
	uint32_t room_cnt;
	uint32_t letter_cnt;
	uint64_t rebalances, commits, letters_sent, rewound, fenced;
};

/* What a start could not read, and whom it concerns; coordinator_damage.c. */
struct coord_damage {
	uint32_t cnt, home; /* stretches that were passed over; where the last one stands */
	int64_t from, to;
	struct buf lost; /* keys without a later record */
	uint64_t untold; /* more of them */
};

static inline struct coordinator *coordinator_of(void *ctx)
{
	return ((struct broker *)ctx)->groups;
}

static inline struct coord_group *coord_group_of(struct be_group *g)
{
	return CONTAINER_OF(g, struct coord_group, be);
}

/* coordinator.c */
/* Settles, writes and tells; -ENOSPC and others where it cannot be written (nobody is told then).
 */
MUST_CHECK int coord_settle(struct coordinator *c, struct coord_group *g);
/* Something of the group changed: it is settled at the end of the round. */
void coord_touch(struct coordinator *c, struct coord_group *g);
/* A ref of the mount is given back. */
void coord_unref(struct coordinator *c, struct coord_group *g);
struct coord_group *coord_find(struct coordinator *c, const char *name);
/* What metadata say of a topic, told to the group where it is due. */
void coord_tell_topics(struct coordinator *c, struct coord_group *g);
/* Writes to `reject` that waited, for a topic or another letter, are done again. */
void coord_retry_rejects(struct coordinator *c);
/* All members of the group read again. */
void coord_wake(struct coordinator *c, struct coord_group *g);
/* A change that waits, put on that list; copies the text. NULL: no memory. */
struct coord_wait *coord_wait_new(struct list *on, struct coord_group *g, enum be_group_file file,
				  const struct be_caller *caller, const char *text, size_t len,
				  uint64_t token);
void coord_wait_free(struct coord_wait *w);
/* The next turn of a write that waits on c->openers; from there w was taken. -EINPROGRESS: it is
 * there again. */
int coord_write_again(struct coordinator *c, struct coord_wait *w, struct be_why *why);

/* coordinator_ahead.c */
/* One turn. 0: the write can be tried; -EAGAIN: another turn; -ENOMEM. */
MUST_CHECK int coord_ahead_step(struct coordinator *c, struct coord_ahead *a,
				enum be_group_file file, const char *text, size_t len);
/* Begins anew. */
void coord_ahead_reset(struct coord_ahead *a);
/* What a position is in a log with these ends, which is opened only to look into it. -EAGAIN, and
 * c->is_short: not in this turn. */
MUST_CHECK int coord_look_up(struct coordinator *c, struct be_partition *p,
			     const struct position *pos, int64_t start, int64_t end, int64_t *ret,
			     struct be_why *why);

/* coordinator_log.c */
/* The log of the group's partition of __consumer_offsets, opened. -ENOENT: the topic is not there.
 */
MUST_CHECK int coord_home(struct coordinator *c, struct coord_group *g, struct plog **ret);
/*
 * Thousands of logs that are opened at once would keep everybody waiting: a turn opens
 * c->opens_left. -EAGAIN, and c->is_short: that is not enough.
 */
MUST_CHECK int coord_open(struct coordinator *c, struct be_partition *p, struct be_why *why);
/* Where the log of p begins and ends. It is opened for that only where nothing else tells. */
MUST_CHECK int coord_ends(struct coordinator *c, struct be_partition *p, int64_t *ret_start,
			  int64_t *ret_end, struct be_why *why);
/* Appends records to it as one batch. */
MUST_CHECK int coord_append(struct coordinator *c, struct coord_group *g, struct record *recs,
			    uint32_t cnt);
MUST_CHECK int coord_write_state(struct coordinator *c, struct coord_group *g);
/* Writes offsets and takes them over: all or none. */
MUST_CHECK int coord_write_offsets(struct coordinator *c, struct coord_group *g,
				   const struct group_offset *offsets, uint32_t cnt);
/* The same of one, together with the end of an intent. */
MUST_CHECK int coord_end_intent(struct coordinator *c, struct coord_group *g,
				const struct group_offset *o);
MUST_CHECK int coord_write_intent(struct coordinator *c, struct coord_group *g,
				  const struct be_topic *t, uint32_t partition,
				  const struct group_intent *i);
/* An intent comes to nothing. */
MUST_CHECK int coord_drop_intent(struct coordinator *c, struct coord_group *g,
				 const uint8_t topic_id[16], uint32_t partition);
MUST_CHECK int coord_write_null(struct coordinator *c, struct coord_group *g,
				const uint8_t topic_id[16], uint32_t partition);
/* Nulls for offsets (all of the group, or those of one topic) and, `all`, for its state. */
MUST_CHECK int coord_write_nulls(struct coordinator *c, struct coord_group *g,
				 const uint8_t *topic_id, bool all);
MUST_CHECK int coord_load(struct coordinator *c, bool clean, char *sentence);
/* Leader epoch of the record before offset; -1: not known. */
int32_t coord_epoch_before(struct be_partition *p, int64_t offset);
/* A commit of offset, without metadata. What was counted of deliveries behind it stays. */
struct group_offset coord_commit(const struct coordinator *c, const struct coord_group *g,
				 struct be_partition *p, int64_t offset);

/* coordinator_access.c */
/* Whether the caller may do that (bits of one rwx) with the topic, by its supplementary groups too
 * where its pid is known. Nobody may with an internal one. */
bool coord_may(const struct be_caller *c, const struct be_topic *t, uint32_t bits);
/* Whether it may join the group, and read the topic: -EACCES. */
MUST_CHECK int access_group(const struct be_member *m, struct be_why *why);
MUST_CHECK int access_topic(const struct be_member *m, const struct be_topic *t,
			    struct be_why *why);
/* Tells the group what of all that the member subscribes it may read; what each member may of this
 * topic. */
void access_on_member(struct coordinator *c, struct be_member *m);
void access_on_topic(struct coordinator *c, struct coord_group *g, const struct be_topic *t);

/* coordinator_member.c */
void coord_members_backend(struct backend *ret);
void coord_on_events(struct coordinator *c, struct coord_group *g);
/* The log of p was opened: where a member was to begin at its end that is committed. */
void coord_begin_late(struct coordinator *c, struct coord_group *g, struct be_partition *p);
void member_free(struct be_member *m);
/* The stream of the caller's process. Of several the one that holds p, where p is not NULL and one
 * does. NULL: none. */
struct be_member *coord_member_of(struct coord_group *g, int32_t tgid,
				  const struct be_partition *p);
/* The same, where what it opened `join` for counts, too. */
struct be_member *coord_own_member(struct coord_group *g, int32_t tgid,
				   const struct be_partition *p);

/* coordinator_offset.c */
void coord_offsets_backend(struct backend *ret);
int coord_write(void *ctx, struct be_group *bg, enum be_group_file file, const struct be_caller *c,
		struct be_topic *t, uint32_t partition, const char *text, size_t len,
		uint64_t token, struct be_why *why);

/* coordinator_letter.c */
/*
 * The record at off of p goes to the group's dead letters, and its offset is committed.
 * -EINPROGRESS: it is under way (the member is told by fs_on_member(), a write by its token).
 * -ENOENT and others: refused, with why.
 */
MUST_CHECK int letter_begin(struct coordinator *c, struct coord_group *g, struct be_partition *p,
			    int64_t off, const char *reason, size_t reason_len, uint64_t token,
			    struct be_why *why);
bool letter_is_under_way(const struct coordinator *c, const struct coord_group *g,
			 const struct be_partition *p);
/* The topic for the group's letters; -EINPROGRESS where it is being made. */
MUST_CHECK int letter_topic(struct coordinator *c, struct coord_group *g, struct be_topic **ret,
			    struct be_why *why);
/* Goes on with letters whose step is due. */
void letters_step(struct coordinator *c);
/* A topic was made: members that wait for it as the topic of their letters go on. */
void coord_wake_letters(struct coordinator *c, struct coord_group *g, const struct be_topic *t);
void letters_forget(struct coordinator *c, struct coord_group *g);
void letter_free(struct coordinator *c, struct letter *l);
/* At a start: the step that a stop interrupted. Blocking. */
MUST_CHECK int letter_resume(struct coordinator *c, struct coord_group *g, struct be_topic *t,
			     uint32_t partition, const struct group_intent *i);

/* coordinator_text.c */
void coord_texts_backend(struct backend *ret);
/* The line of the present generation, for `join`. */
void coord_line(struct coordinator *c, struct be_member *m, struct buf *out);

/* coordinator_damage.c */
void coord_damage_init(struct coord_damage *d);
void coord_damage_fini(struct coord_damage *d);
/* The records from offset `from` up to `to` cannot be read: told at once. */
void coord_damage_found(struct coordinator *c, struct coord_damage *d, const struct be_partition *p,
			int64_t from, int64_t to);
/* A record of that key was among them; or any of the group's may have been. */
void coord_damage_key(struct coord_damage *d, struct coord_group *g, const struct group_key *key);
void coord_damage_any(struct coord_damage *d, struct coord_group *g);
/* A later record of that key holds. */
void coord_damage_mended(struct coord_damage *d, const struct coord_group *g,
			 const struct group_key *key);
/* When all was read: what counts now, a line a key. */
void coord_damage_tell(struct coordinator *c, const struct coord_damage *d);

#endif

/*
 * What the mount asks of the broker. The composition root (daemon/broker.c) fills the table; fusefs
 * never includes raft or replication.
 *
 * Everything runs on the one thread that owns the mount. A change that cannot be answered at once
 * returns -EINPROGRESS and is answered later through fs_on_done() with the token that was given.
 *
 * Topics and partitions are objects of the broker. A pointer to one stays good while the holder has
 * a ref of the topic; `deleted` says that the topic is gone (every later use is ESTALE).
 */
#ifndef TOPICFS_FUSEFS_BACKEND_H
#define TOPICFS_FUSEFS_BACKEND_H

#include "daemon/base/limits.h"
#include "daemon/store/plog.h"

struct be_topic;

struct be_partition {
	struct be_topic *topic;
	uint32_t number;
	struct plog *log; /* NULL until be->open_log() */
	/* What the broker knows of the ends of a log that is not open, and has not asked yet. */
	bool has_asked, has_ends;
	int64_t start_offset, end_offset;
	int64_t first_offset; /* of what is appended in this life, where log is */
	/* fusefs: parked reads and poll handles that wait for more of this partition */
	struct list waiting;
	struct list feeds; /* fusefs: group streams that hold it */
	/* fusefs: bytes appended lately, for the sticky partitioner; halved as it goes */
	uint64_t load;
	/* counters for metrics and top */
	uint64_t records_in, bytes_in, records_out, bytes_out;
};

enum be_acks { BE_ACKS_0, BE_ACKS_1, BE_ACKS_ALL };

struct be_topic {
	char name[TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	uint64_t serial; /* unique in this process; part of directory node ids */
	struct be_partition **parts;
	uint32_t part_cnt;
	uint32_t uid, gid, mode; /* mode: permission bits only */
	int64_t created_ms, changed_ms;
	enum be_acks acks;
	uint32_t max_message_bytes;
	uint32_t min_insync_replicas;
	int64_t ts_before_max_ms, ts_after_max_ms; /* message.timestamp.*.max.ms */
	char **hot_keys;			   /* hot_key_cnt of them */
	uint32_t hot_key_cnt;
	bool internal; /* the broker's own: nobody else writes, changes or deletes it */
	bool deleted;
	unsigned refs;
	/* fusefs: the sticky partition of `all` and how much it has taken */
	uint32_t sticky;
	uint64_t sticky_bytes;
	struct list waiting; /* fusefs: readers of `all` */
};

struct be_caller {
	uint32_t uid, gid;
	int32_t pid;  /* the thread's, as FUSE tells it */
	int32_t tgid; /* its process; 0: not asked for */
};

/* Sentences for /errors; filled by whoever refuses. */
struct be_why {
	char text[400];
};

/* A consumer group (DESIGN 4). As with topics: a pointer stays good while the holder has a ref. */
struct be_group {
	char name[TOPIC_NAME_MAX + 1];
	uint8_t id[16];
	uint64_t serial; /* unique in this process; part of directory node ids */
	uint32_t uid, gid, mode;
	int64_t created_ms, changed_ms;
	int64_t max_poll_records; /* 0: no limit */
	bool counts_deliveries;	  /* max.deliveries is set: one read gives one record */
	bool commits_on_read;
	bool deleted;
	unsigned refs;
};

/* A member that is connected: an open stream, or an open `join` that was written to. The broker's.
 */
struct be_member;

/* A partition that a member may read. */
struct be_share {
	struct be_partition *part; /* borrowed while the share is held */
	uint64_t since; /* the generation that gave it: another number is another holding of it */
	bool leaving;	/* nothing new is to be given; a record half given is finished */
};

/* Control files of a group that are written. */
enum be_group_file { BE_GROUP_COMMIT, BE_GROUP_SEEK, BE_GROUP_REJECT, BE_GROUP_OFFSET };

enum be_text {
	BE_TEXT_CONFIG, /* of a topic */
	BE_TEXT_STATUS, /* of a topic */
	BE_TEXT_BROKERS,
	BE_TEXT_CONTROLLER,
	BE_TEXT_PARTITIONS,
	BE_TEXT_JOBS, /* cluster/control, read */
	BE_TEXT_METRICS,
	BE_TEXT_GROUP_CONFIG,
	BE_TEXT_GROUP_STATE,
	BE_TEXT_GROUP_LAG,
};

struct be_perm {
	bool set_mode, set_uid, set_gid;
	uint32_t mode, uid, gid;
};

struct backend {
	void *ctx;
	int64_t (*now_ms)(void *ctx); /* CLOCK_REALTIME */

	/* Topics by name, serial, and in name order after a name ("" for the first). NULL: none. */
	struct be_topic *(*topic_find)(void *ctx, const char *name);
	struct be_topic *(*topic_by_serial)(void *ctx, uint64_t serial);
	struct be_topic *(*topic_next)(void *ctx, const char *after);
	/* Gives a ref back; the last one of a deleted topic frees it. */
	void (*topic_unref)(void *ctx, struct be_topic *t);

	/* Changes of the metadata. 0 done, -EINPROGRESS, or an errno with why. */
	int (*topic_create)(void *ctx, const char *name, const struct be_caller *c, uint32_t mode,
			    uint64_t token, struct be_why *why);
	int (*topic_delete)(void *ctx, struct be_topic *t, const struct be_caller *c,
			    uint64_t token, struct be_why *why);
	int (*topic_config)(void *ctx, struct be_topic *t, const struct be_caller *c,
			    const char *text, size_t len, uint64_t token, struct be_why *why);
	int (*topic_perm)(void *ctx, struct be_topic *t, const struct be_caller *c,
			  const struct be_perm *perm, uint64_t token, struct be_why *why);
	int (*cluster_control)(void *ctx, const struct be_caller *c, const char *text, size_t len,
			       uint64_t token, struct be_why *why);

	/* Makes p->log usable (opens, recovers). 0, -EIO, -EHOSTUNREACH. */
	int (*open_log)(void *ctx, struct be_partition *p, struct be_why *why);
	/* Where the log of p begins and ends, where that can be told without opening it. */
	bool (*log_ends)(void *ctx, struct be_partition *p, int64_t *ret_start, int64_t *ret_end);
	/* Whether an append would be refused now: EROFS, ENOSPC. Nothing is stored. */
	int (*check_append)(void *ctx, struct be_partition *p, struct be_why *why);
	/* As plog_append_*(). After 0 the caller wakes readers. late: nobody is told offsets. */
	int (*append_lines)(void *ctx, struct be_partition *p, const struct iovec *iov, int iov_cnt,
			    size_t len, uint32_t cnt, bool late, struct plog_appended *ret,
			    struct be_why *why);
	int (*append_records)(void *ctx, struct be_partition *p, const struct record *recs,
			      uint32_t cnt, struct plog_appended *ret, struct be_why *why);
	/* Everything that p holds now on stable storage: 0, -EINPROGRESS (token), or an errno. */
	int (*fsync)(void *ctx, struct be_partition *p, uint64_t token);
	/* Bytes of a file that are not in the page cache are read in; then fs_on_done(token). The
	 * disk's `cold` says which. 0: retry at once (with waiting); -EINPROGRESS. */
	int (*warm)(void *ctx, struct plog *log, uint64_t token);

	/* Appends the text to out. t is NULL where it is not a topic's. 0 or an errno. */
	int (*text)(void *ctx, enum be_text what, struct be_topic *t, struct buf *out);
	/* For statfs. */
	void (*space)(void *ctx, struct disk_space *ret);

	/* ---- Groups: as topics ---- */
	struct be_group *(*group_find)(void *ctx, const char *name);
	struct be_group *(*group_by_serial)(void *ctx, uint64_t serial);
	struct be_group *(*group_next)(void *ctx, const char *after);
	void (*group_unref)(void *ctx, struct be_group *g);
	int (*group_create)(void *ctx, const char *name, const struct be_caller *c, uint32_t mode,
			    uint64_t token, struct be_why *why);
	int (*group_delete)(void *ctx, struct be_group *g, const struct be_caller *c,
			    uint64_t token, struct be_why *why);
	int (*group_config)(void *ctx, struct be_group *g, const struct be_caller *c,
			    const char *text, size_t len, uint64_t token, struct be_why *why);
	int (*group_perm)(void *ctx, struct be_group *g, const struct be_caller *c,
			  const struct be_perm *perm, uint64_t token, struct be_why *why);
	/*
	 * A write to a control file; of BE_GROUP_OFFSET t and partition say which. Applied whole or
	 * not at all. c->tgid must be known. 0, -EINPROGRESS (token) or an errno with why.
	 */
	int (*group_write)(void *ctx, struct be_group *g, enum be_group_file file,
			   const struct be_caller *c, struct be_topic *t, uint32_t partition,
			   const char *text, size_t len, uint64_t token, struct be_why *why);
	/* Everything committed in this group on stable storage: as fsync. */
	int (*group_fsync)(void *ctx, struct be_group *g, uint64_t token);
	/* config, state and lag; and one member by id ("self": the caller's own; c->tgid must be
	 * known). -ENOENT: no such member. */
	int (*group_text)(void *ctx, enum be_text what, struct be_group *g, struct buf *out);
	/* state and lag tell of many logs. Opens at most max of those whose ends nothing else
	 * tells, from *next on (0 first), and says whether one is left: the next call goes on
	 * there. */
	bool (*group_open_logs)(void *ctx, struct be_group *g, uint32_t *next, unsigned max);
	int (*member_text)(void *ctx, struct be_group *g, const char *id, const struct be_caller *c,
			   struct buf *out);
	/* The id of the member behind *slot (UINT32_MAX: of the first) in the order of joining, and
	 * its slot; NULL: there is none. */
	const char *(*member_id_next)(void *ctx, struct be_group *g, uint32_t *slot);
	/* The text of offsets/T/P: empty where nothing is committed. */
	int (*offset_text)(void *ctx, struct be_group *g, struct be_topic *t, uint32_t partition,
			   struct buf *out);
	/* Whether anything of the topic, or of that partition, is committed: for listings. */
	bool (*has_offsets)(void *ctx, struct be_group *g, struct be_topic *t);
	bool (*has_offset)(void *ctx, struct be_group *g, struct be_topic *t, uint32_t partition);

	/* ---- Members ---- */
	/*
	 * Opens topics/T as a stream: joins. The topic need not exist. owner: the mount's, given
	 * back by fs_on_member(). -EACCES, -ENOENT (the group is gone), -ENOSPC, -ENOMEM.
	 */
	int (*member_open)(void *ctx, struct be_group *g, const char *topic,
			   const struct be_caller *c, void *owner, struct be_member **ret,
			   struct be_why *why);
	/*
	 * A write to `join`. *m NULL: joins, and *m is the member then; else the subscription
	 * changes, or (an empty line) it is a sign of life. -EINVAL, -EEXIST, -EACCES, -ESTALE.
	 */
	int (*member_join)(void *ctx, struct be_group *g, const char *text, size_t len,
			   const struct be_caller *c, void *owner, struct be_member **m,
			   struct be_why *why);
	/* The file was closed (RELEASE). Frees m. */
	void (*member_close)(void *ctx, struct be_member *m);
	/*
	 * A read of its file begins, by that process: a sign of life, and the group is settled.
	 * -ESTALE with why: it was expelled (once: it has joined anew by then) or fenced (each
	 * time), or the group was deleted.
	 */
	int (*member_begin)(void *ctx, struct be_member *m, int32_t tgid, struct be_why *why);
	/* Whether member_begin() would refuse: poll says readable then. */
	bool (*member_refuses)(void *ctx, struct be_member *m);
	/* The read is parked; was interrupted while it was parked; is answered. */
	void (*member_waits)(void *ctx, struct be_member *m);
	void (*member_interrupted)(void *ctx, struct be_member *m);
	void (*member_answered)(void *ctx, struct be_member *m);
	/* Of `join`: appends the line of the present generation where it was not given yet (and
	 * counts it as given). -ENOMSG: there is none. */
	int (*member_line)(void *ctx, struct be_member *m, struct buf *out);
	bool (*member_has_line)(void *ctx, struct be_member *m);
	/* Of a stream: what it holds, up to max; returns how many there are. */
	unsigned (*member_shares)(void *ctx, struct be_member *m, struct be_share *ret,
				  unsigned max);
	/* Nothing of what it holds is at hand: -ENOMSG, it waits; -EACCES with why: its topic may
	 * not be read, and nothing will come. */
	int (*member_idle)(void *ctx, struct be_member *m, struct be_why *why);
	/*
	 * Where a share that is new to this stream begins: the committed offset, or by
	 * auto.offset.reset. 0; -ESTALE with why: retention removed it, or reset is none: said
	 * once, *ret is where it goes on. -EACCES, -EIO, -EAGAIN (cold).
	 */
	int (*member_position)(void *ctx, struct be_member *m, struct be_partition *p,
			       int64_t *ret_offset, struct be_why *why);
	/*
	 * The record at off is about to be given, where counts_deliveries. 0: it is counted;
	 * -ENOMSG: it is a dead letter now, and is passed; -EINPROGRESS: fs_on_member() says when
	 * to try again; others: not given.
	 */
	int (*member_deliver)(void *ctx, struct be_member *m, struct be_partition *p, int64_t off,
			      struct be_why *why);
	/* Records before off are given now (before the answer). An error of `on-read`: not given.
	 * Where it does not commit, off may be larger than that, and is told again when it is
	 * known.
	 */
	int (*member_given)(void *ctx, struct be_member *m, struct be_partition *p, int64_t off,
			    struct be_why *why);
	/* Records before off were dealt with: committed in `next-read`, and what waits for it is
	 * handed over. What could not be committed is tried again with the next. */
	void (*member_dealt)(void *ctx, struct be_member *m, struct be_partition *p, int64_t off);
};

#endif

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
	/* fusefs: parked reads and poll handles that wait for more of this partition */
	struct list waiting;
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
	bool deleted;
	unsigned refs;
	/* fusefs: the sticky partition of `all` and how much it has taken */
	uint32_t sticky;
	uint64_t sticky_bytes;
	struct list waiting; /* fusefs: readers of `all` */
};

struct be_caller {
	uint32_t uid, gid;
	int32_t pid;
};

/* Sentences for /errors; filled by whoever refuses. */
struct be_why {
	char text[400];
};

enum be_text {
	BE_TEXT_CONFIG, /* of a topic */
	BE_TEXT_STATUS, /* of a topic */
	BE_TEXT_BROKERS,
	BE_TEXT_CONTROLLER,
	BE_TEXT_PARTITIONS,
	BE_TEXT_JOBS, /* cluster/control, read */
	BE_TEXT_METRICS,
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
	/* Whether an append of len bytes would be refused now: EROFS, ENOSPC, ESTALE. Nothing is
	 * stored. */
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
};

#endif

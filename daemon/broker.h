/*
 * The broker: topics as the mount sees them (be_topic), made from the metadata; appends, fsyncs and
 * texts. The composition root: it alone knows the store, the metadata and the mount.
 *
 * One thread drives everything (loop.c). Nothing here waits for the device after broker_start().
 */
#ifndef TOPICFS_DAEMON_BROKER_H
#define TOPICFS_DAEMON_BROKER_H

#include "daemon/base/serials.h"
#include "daemon/commands.h"
#include "daemon/metalog.h"
#include "fusefs/fs.h"

#define BROKER_OWNER 2U /* disk_req.owner of reads that warm the page cache */

/* Durations in microseconds, in powers of two: bucket i counts those below 1 << i. */
#define HISTOGRAM_CNT 26
struct histogram {
	uint64_t buckets[HISTOGRAM_CNT], cnt, sum_us;
};

struct coordinator;
struct topic_map; /* broker_topics.c */

/* A line for /errors that came before there was one. */
struct broker_note {
	struct list link;
	int err;
	uint32_t uid;
	char *path, *sentence; /* owned */
};

/* Logs that are opened in one tick because nobody has asked for them yet. */
#define OPEN_BATCH 16
/* They end at the first that takes the thread beyond this, and it rests for so many times that:
 * for more while requests keep coming, but they are opened all the same. */
#define OPEN_SLICE_US 500
#define OPEN_SHARE 4
#define OPEN_SHARE_BUSY 200
/* Without a request for so long nobody is in a hurry. */
#define OPEN_QUIET_US 20000

struct broker {
	const struct broker_options *options; /* borrowed */
	struct topic_config topic_defaults;
	struct disk *disk;   /* borrowed */
	struct store *store; /* borrowed */
	struct metalog *meta;
	struct coordinator *groups;
	struct fs *fs; /* borrowed; NULL until the mount is there */
	struct store_open_report report;
	uint64_t incarnation;
	struct serials topics; /* be_topics, also deleted ones that are referred to */
	struct topic_map *map; /* those that are not deleted, by id */
	/* Where the opening of logs in the background has got to. */
	uint64_t open_serial; /* the topic's */
	int64_t open_due_us;  /* mono: when the next of them are opened */
	uint32_t open_partition;
	uint32_t orphans;  /* partitions that stand beside metadata that say nothing */
	bool ready;	   /* this broker's registration was applied */
	struct list notes; /* broker_notes, until there is a mount */
	/* The clocks as of broker_clock(): once for each round of the loop, since asking costs as
	 * much as a tenth of an append. */
	int64_t now_ms, mono_us;
	int64_t request_us; /* mono: when the last request came */
	struct histogram appends, fsyncs;
	uint64_t ticks_start, ticks_per_us; /* of the processor's counter */
	int64_t ticks_start_us;
	int64_t started_ms;
	/* fsync start times by token, for the histogram; a small ring. */
	struct {
		uint64_t token;
		int64_t us;
	} starts[256];
};

/*
 * Reads the metadata, makes the topics, registers this broker (a new incarnation) and waits for
 * that to be stable. Blocking. On an error sentence (SENTENCE_MAX) says why.
 */
MUST_CHECK int broker_start(struct broker *b, const struct broker_options *options,
			    struct disk *disk, struct store *store,
			    const struct store_open_report *report, char *sentence);
void broker_fini(struct broker *b);
/* The table that the mount is given. */
void broker_backend(struct broker *b, struct backend *ret);
/* Handles finished requests and events of the store. 0, or -EIO: a sync failed, the process must
 * stop. */
MUST_CHECK int broker_step(struct broker *b);
/* Looks at the clocks. */
void broker_clock(struct broker *b);
/* What is due: the store's ticks, and a few logs that nobody has opened yet. Returns the next time
 * at which it wants to be called, on CLOCK_MONOTONIC in ms. */
int64_t broker_tick(struct broker *b);

/* What nobody has asked for, and everybody must hear of: damage. Into the log, and into /errors for
 * uid (0: root alone), there as soon as there is a mount. path: what it is about. */
void broker_tell(struct broker *b, int err, uint32_t uid, const char *path, const char *fmt, ...)
	PRINTF_LIKE(5, 6);

int64_t broker_now_ms(void);  /* CLOCK_REALTIME */
int64_t broker_mono_us(void); /* CLOCK_MONOTONIC */
void histogram_put(struct histogram *h, int64_t us);

/* Checks and appends a command to the metadata log: as metalog_propose(), at the round's time. */
MUST_CHECK int broker_propose(struct broker *b, struct metadata_cmd *cmd, uint64_t token,
			      struct be_why *why);
/* As backend.check_append. */
MUST_CHECK int broker_check_append(void *ctx, struct be_partition *p, struct be_why *why);
/* As backend.topic_create. */
MUST_CHECK int broker_topic_create(void *ctx, const char *name, const struct be_caller *c,
				   uint32_t mode, uint64_t token, struct be_why *why);

/* broker_topics.c; several are those of struct backend */
MUST_CHECK int broker_topics_init(struct broker *b);
void broker_topics_fini(struct broker *b);
/* The topic that the metadata say is there now. */
struct be_topic *broker_topic_add(struct broker *b, const struct metadata_topic *mt);
/* Takes over what the metadata say of the topic now. */
void broker_topic_refresh(struct broker *b, struct be_topic *t, const struct metadata_topic *mt);
/* Its readers are woken, its logs removed. */
void broker_topic_remove(struct broker *b, struct be_topic *t);
struct be_topic *broker_topic_by_id(struct broker *b, const uint8_t id[16]);
struct be_topic *broker_topic_find(void *ctx, const char *name);
struct be_topic *broker_topic_by_serial(void *ctx, uint64_t serial);
struct be_topic *broker_topic_next(void *ctx, const char *after);
void broker_topic_unref(void *ctx, struct be_topic *t);
MUST_CHECK int broker_open_log(void *ctx, struct be_partition *p, struct be_why *why);
MUST_CHECK bool broker_log_ends(void *ctx, struct be_partition *p, int64_t *ret_start,
				int64_t *ret_end);

/* broker_text.c */
int broker_text(void *ctx, enum be_text what, struct be_topic *t, struct buf *out);
/* metrics.c */
void broker_metrics(struct broker *b, struct buf *out);
/* The lines that begin a family of metrics; unit "" where it has none. */
void metrics_family(struct buf *out, const char *name, const char *type, const char *unit,
		    const char *help);

#endif

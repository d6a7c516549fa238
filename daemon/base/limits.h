/*
 * Every bound of the broker, with its reason. Nothing grows without one of these.
 */
#ifndef TOPICFS_BASE_LIMITS_H
#define TOPICFS_BASE_LIMITS_H

#include <assert.h>
#include <stdint.h>

#define KIB 1024ULL
#define MIB (1024ULL * KIB)
#define GIB (1024ULL * MIB)

/* What the kernel hands over in one WRITE request whatever the buffer's alignment: 255 pages. */
#define ATOMIC_WRITE_MAX 1044480U
static_assert(ATOMIC_WRITE_MAX == 255 * 4096, "255 pages");

/* The FUSE max_write that is asked for. Larger than ATOMIC_WRITE_MAX so that a longer msg record
 * is seen whole and refused with EMSGSIZE. */
#define FUSE_WRITE_MAX (1024U * 1024U)

/* Kafka's default of max.message.bytes. */
#define MESSAGE_MAX_DEFAULT 1048588U
/* The largest max.message.bytes that can be set; a kept tail is at most that long. */
#define MESSAGE_MAX_LIMIT (64U * 1024U * 1024U)

/* Kafka's bound on topic names: a directory name must hold "NAME-PARTITION". */
#define TOPIC_NAME_MAX 249
/* "NAME-PARTITION", a ".gone" behind it, and the NUL. */
#define TOPIC_DIR_MAX 272
#define TOPIC_CNT_MAX (1U << 16)
#define PARTITION_CNT_MAX (1U << 16)
/* The same for consumer groups, whose names may be parts of topics' names (GROUP.dlq), for the ids
 * of their members, and for instances. */
#define GROUP_NAME_MAX TOPIC_NAME_MAX
#define GROUP_CNT_MAX (1U << 16)
/* Of session.timeout.ms and the like: shorter ones would expel members that merely wait for a
 * processor. */
#define GROUP_TIMEOUT_MIN_MS 100
/* Topics that one member subscribes by name, and bytes of a pattern instead. */
#define GROUP_TOPIC_MAX 1024U
#define GROUP_PATTERN_MAX 1024U
/* Largest name that the mount resolves (NAME_MAX of Linux). */
#define NODE_NAME_MAX 255

/* A segment's files are addressed by 32 bits, as Kafka's are. */
#define SEGMENT_BYTES_MAX 2147483647U

/* One index entry for each so many bytes of .data and .meta (Kafka's index.interval.bytes). */
#define INDEX_INTERVAL_BYTES 4096U

/* What a waiting stream gives at once; see FUSE.md: a full answer of max_read makes the kernel ask
 * again inside one read(2). */
#define STREAM_ANSWER_MAX ATOMIC_WRITE_MAX
/* How far a stream's handle can seek back. */
#define STREAM_WINDOW_BYTES (1024U * 1024U)

/* Unsynced bytes up to which an fsync goes through the journal. */
#define JOURNAL_FSYNC_MAX (1024U * 1024U)

/* Memory that is put by (fund.h): the largest change, a topic of PARTITION_CNT_MAX partitions, and
 * tables that grow for it. More than 32 MiB, since blocks up to that size change how glibc's
 * malloc() gets the later ones. */
#define FUND_BYTES (40 * MIB)

/* Partitions that owe the description of single plain lines at one time. */
#define DEBT_SLOT_CNT 4096U

/* Slots of the map by which a log is cleaned, 24 bytes each; three quarters are used. What has more
 * keys takes several passes. */
#define CLEAN_SLOTS_MAX (1U << 20)
/* So many bytes are cleaned at a time by the thread that also serves: well below a millisecond. */
#define CLEAN_SLICE_BYTES (128U * 1024U)

#endif

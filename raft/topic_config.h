/*
 * The configuration of topics: the table of names (Kafka's), their values, and the text of a
 * topic's `config` file.
 *
 * Three kinds of struct topic_config, one type:
 *   - *defaults*: every field has a value, from the broker's configuration (daemon/config.h) or
 *     topic_config_defaults(); set is 0.
 *   - a topic's *own*: only the fields whose bit is in set have a value, the others are 0. It owns
 *     its text and is kept in the metadata (raft/metadata.h).
 *   - *effective*: own values over defaults, made by topic_config_merge(); borrows its text.
 *
 * num.partitions is a setting here, but its value is the topic's partition count, which the
 * metadata keep; an own config only remembers in set whether it was ever set by hand.
 */
#ifndef TOPICFS_RAFT_TOPIC_CONFIG_H
#define TOPICFS_RAFT_TOPIC_CONFIG_H

#include "daemon/base/limits.h"
#include "raft/setting.h"

enum topic_setting {
	TOPIC_NUM_PARTITIONS,
	TOPIC_REPLICATION_FACTOR,
	TOPIC_MIN_INSYNC_REPLICAS,
	TOPIC_ACKS,
	TOPIC_RETENTION_MS,
	TOPIC_RETENTION_BYTES,
	TOPIC_SEGMENT_BYTES,
	TOPIC_SEGMENT_MS,
	TOPIC_MAX_MESSAGE_BYTES,
	TOPIC_TIMESTAMP_TYPE,
	TOPIC_TIMESTAMP_BEFORE_MAX_MS,
	TOPIC_TIMESTAMP_AFTER_MAX_MS,
	TOPIC_INDEX_INTERVAL_BYTES,
	TOPIC_HOT_KEYS,
	TOPIC_CLEANUP_POLICY,
	TOPIC_DELETE_RETENTION_MS,
	TOPIC_FILE_DELETE_DELAY_MS,
	TOPIC_COMPRESSION_TYPE,
	TOPIC_UNCLEAN_LEADER_ELECTION,
	TOPIC_SETTING_CNT
};

enum topic_acks { ACKS_0, ACKS_1, ACKS_ALL };
/* Only topics of the broker's own are compacted: metadata_check() sees to it. */
enum topic_cleanup { CLEANUP_DELETE, CLEANUP_COMPACT };
enum topic_timestamp_type { TIMESTAMP_CREATE, TIMESTAMP_LOG_APPEND };

/* Bytes of hot.keys: a list for people, looked through at each keyed record. */
#define HOT_KEYS_MAX 1024

struct topic_config {
	uint32_t set; /* bit i: setting i is the topic's own */
	int64_t num_partitions;
	int64_t replication_factor;
	int64_t min_insync_replicas;
	int64_t acks;			       /* enum topic_acks */
	int64_t retention_ms, retention_bytes; /* -1: no bound */
	int64_t segment_bytes, segment_ms;
	int64_t max_message_bytes;
	int64_t timestamp_type;					 /* enum topic_timestamp_type */
	int64_t timestamp_before_max_ms, timestamp_after_max_ms; /* INT64_MAX: no bound */
	int64_t index_interval_bytes;
	char *hot_keys;		/* "a,b", without empty items; NULL: none */
	int64_t cleanup_policy; /* enum topic_cleanup */
	int64_t delete_retention_ms, file_delete_delay_ms;
	int64_t compression_type, unclean_leader_election;
};

static_assert(TOPIC_SETTING_CNT <= 32, "struct topic_config.set has a bit for each");

/* The table, indexed by enum topic_setting. */
extern const struct setting topic_settings[TOPIC_SETTING_CNT];
/* The broker's setting that gives the default, "" where there is none. */
const char *topic_setting_broker_name(enum topic_setting s);

/* One setting to change. */
struct topic_change {
	enum topic_setting setting;
	bool reset;	  /* "name=": back to the default */
	int64_t num;	  /* of num.partitions the default where reset */
	const char *text; /* hot.keys, borrowed from what was parsed; text_len 0: none */
	size_t text_len;
};

/* A setting that stands twice in one write counts once, the last time. */
#define TOPIC_CHANGE_MAX TOPIC_SETTING_CNT

/*
 * Parses what was written to `config`: "name=value" lines, blanks around both trimmed; blank lines
 * and lines that begin with '#' are passed over. All or none: 0 and the changes in table order
 * (*ret_cnt may be 0), or -EINVAL and the sentence for /errors. defaults: the broker's.
 */
MUST_CHECK int topic_config_parse(const char *text, size_t len, const struct topic_config *defaults,
				  struct topic_change ret_changes[TOPIC_CHANGE_MAX],
				  unsigned *ret_cnt, char ret_sentence[SENTENCE_MAX]);
/*
 * Checks a change that did not come from topic_config_parse() here (but from a stored command)
 * against the table. 0 or -EINVAL with a sentence.
 */
MUST_CHECK int topic_change_check(const struct topic_change *change,
				  char ret_sentence[SENTENCE_MAX]);
/*
 * Applies one checked change to an own config. Of num.partitions only the bit changes; a reset of
 * it clears the bit. Out of memory stops the process (raft/metadata.h says why).
 */
void topic_config_put(struct topic_config *own, const struct topic_change *change);

/* Kafka's defaults where Kafka has the thing. Nothing is owned. */
void topic_config_defaults(struct topic_config *ret);
/* Own values over defaults; num_partitions is partition_cnt. Borrows own's text until own changes.
 */
void topic_config_merge(const struct topic_config *own, const struct topic_config *defaults,
			uint32_t partition_cnt, struct topic_config *ret);
/*
 * Appends the text of `config`: every setting in force, those that are set first, as lines that
 * topic_config_parse() takes back. (Writing a default back makes it the topic's own.) effective:
 * from topic_config_merge().
 */
void topic_config_print(const struct topic_config *effective, struct buf *out);
/* Frees the text of an own config. Takes NULL. */
void topic_config_fini(struct topic_config *own);

#endif

/*
 * The configuration of consumer groups: the table of names (Kafka's, where Kafka has the thing),
 * their values, and the text of a group's `config` file. It is made as a topic's is
 * (raft/topic_config.h), but the broker's configuration gives no defaults: they are the table's.
 *
 * Two kinds of struct group_config, one type:
 *   - a group's *own*: only the fields whose bit is in set have a value, the others are 0. It owns
 *     its text and is kept in the metadata (raft/metadata.h).
 *   - *effective*: own values over defaults, made by group_config_merge(); borrows its text.
 *
 * A record that is set aside goes to the topic `dlq`, or where that is not set to GROUP.dlq. Groups
 * may have names that topics cannot have; such a one must set `dlq` before `max.deliveries`.
 */
#ifndef TOPICFS_RAFT_GROUP_CONFIG_H
#define TOPICFS_RAFT_GROUP_CONFIG_H

#include "daemon/base/limits.h"
#include "raft/setting.h"

enum group_setting {
	GROUP_ASSIGNMENT_STRATEGY,
	GROUP_AUTO_OFFSET_RESET,
	GROUP_COMMIT,
	GROUP_SESSION_TIMEOUT_MS,
	GROUP_REBALANCE_TIMEOUT_MS,
	GROUP_MAX_POLL_INTERVAL_MS,
	GROUP_MAX_POLL_RECORDS,
	GROUP_MAX_DELIVERIES,
	GROUP_DLQ,
	GROUP_SETTING_CNT
};

/* The values of assignment.strategy, auto.offset.reset and commit; in the order of daemon/groups.
 */
enum group_config_strategy {
	STRATEGY_RANGE,
	STRATEGY_ROUNDROBIN,
	STRATEGY_STICKY,
	STRATEGY_COOPERATIVE_STICKY
};
enum group_config_reset { RESET_EARLIEST, RESET_LATEST, RESET_NONE };
enum group_config_commit { COMMIT_NEXT_READ, COMMIT_ON_READ, COMMIT_MANUAL };

struct group_config {
	uint32_t set;		   /* bit i: setting i is the group's own */
	int64_t strategy;	   /* enum group_config_strategy */
	int64_t auto_offset_reset; /* enum group_config_reset */
	int64_t commit;		   /* enum group_config_commit */
	int64_t session_timeout_ms, rebalance_timeout_ms, max_poll_interval_ms;
	int64_t max_poll_records, max_deliveries; /* 0: no limit */
	char *dlq;				  /* a topic's name; NULL: GROUP.dlq */
};

static_assert(GROUP_SETTING_CNT <= 32, "struct group_config.set has a bit for each");

/* The table, indexed by enum group_setting. */
extern const struct setting group_setting_table[GROUP_SETTING_CNT];

/* One setting to change. */
struct group_change {
	enum group_setting setting;
	bool reset; /* "name=": back to the default */
	int64_t num;
	const char *text; /* dlq, borrowed from what was parsed; text_len 0: none */
	size_t text_len;
};

/* A setting that stands twice in one write counts once, the last time. */
#define GROUP_CHANGE_MAX GROUP_SETTING_CNT

/*
 * Parses what was written to `config`: "name=value" lines, blanks around both trimmed; blank lines
 * and lines that begin with '#' are passed over. All or none: 0 and the changes in table order
 * (*ret_cnt may be 0), or -EINVAL and the sentence for /errors.
 */
MUST_CHECK int group_config_parse(const char *text, size_t len,
				  struct group_change ret_changes[GROUP_CHANGE_MAX],
				  unsigned *ret_cnt, char ret_sentence[SENTENCE_MAX]);
/*
 * Checks a change that did not come from group_config_parse() here (but from a stored command)
 * against the table. 0 or -EINVAL with a sentence.
 */
MUST_CHECK int group_change_check(const struct group_change *change,
				  char ret_sentence[SENTENCE_MAX]);
/*
 * Whether checked changes leave the own config of the group of that name sound: where
 * max.deliveries is set there is a topic for the dead letters. 0 or -EINVAL with a sentence.
 */
MUST_CHECK int group_changes_fit(const char *group, const struct group_config *own,
				 const struct group_change *changes, unsigned cnt,
				 char ret_sentence[SENTENCE_MAX]);
/*
 * Applies one checked change to an own config. Out of memory stops the process (raft/metadata.h
 * says why).
 */
void group_config_put(struct group_config *own, const struct group_change *change);

/* Own values over defaults. Borrows own's text until own changes. */
void group_config_merge(const struct group_config *own, struct group_config *ret);
/*
 * The topic of the group's dead letters: what dlq says, else GROUP.dlq. -EINVAL with a sentence
 * where that is no topic's name (then dlq must be set). config: own or effective.
 */
MUST_CHECK int group_config_dlq(const struct group_config *config, const char *group,
				char ret_topic[TOPIC_NAME_MAX + 1],
				char ret_sentence[SENTENCE_MAX]);
/*
 * Appends all settings, own ones first, as "name=value" lines that group_config_parse() takes back.
 * effective: from group_config_merge(). dlq is shown as group_config_dlq() says it; empty where
 * there is none.
 */
void group_config_print(const struct group_config *effective, const char *group, struct buf *out);
/* Frees the text of an own config. Takes NULL. */
void group_config_fini(struct group_config *own);

#endif

/*
 * The broker's configuration: names (Kafka's where Kafka has the thing), types, bounds, defaults.
 *
 * Values come from the defaults, then from the file of --config, then from --set; later ones win.
 * What the broker refuses to use (io.refuse) may also come from the environment. An unknown name or
 * a bad value is refused at the start, with a sentence that names the nearest known one.
 */
#ifndef TOPICFS_DAEMON_CONFIG_H
#define TOPICFS_DAEMON_CONFIG_H

#include "raft/topic_config.h"

/* Bits of config.io_refuse: what is treated as if the kernel refused it. */
enum config_refuse { REFUSE_IO_URING = 1, REFUSE_O_DIRECT = 2, REFUSE_SPLICE = 4 };

/* The environment variable that adds to io.refuse. */
#define CONFIG_REFUSE_ENV "TOPICFS_REFUSE"

struct config {
	/* What topics start from; see config_topic_defaults(). */
	int64_t num_partitions, replication_factor, min_insync_replicas;
	int64_t retention_ms, retention_minutes, retention_hours, retention_bytes;
	int64_t segment_bytes, roll_ms, roll_hours;
	int64_t message_max_bytes, index_interval_bytes;
	int64_t timestamp_type, timestamp_before_max_ms, timestamp_after_max_ms;
	/* What the broker itself does. */
	int64_t retention_check_ms;
	int64_t request_timeout_ms;
	int64_t journal_bytes; /* 0: no journal */
	int64_t disk_reserve_percent, disk_reserve_bytes;
	int64_t io_threads;
	/* Of __consumer_offsets, when it is made; and how long offsets of empty groups are kept. */
	int64_t offsets_partitions, offsets_segment_bytes;
	int64_t offsets_retention_minutes, offsets_retention_check_ms;
	unsigned io_refuse; /* of enum config_refuse */
	/* Bit i: setting i of the table was given by hand. Which of log.retention.ms, .minutes and
	 * .hours counts depends on it. */
	uint64_t set;
};

/* All defaults. Nothing is owned. */
void config_init(struct config *c);
/*
 * Sets one value from "NAME=VALUE" (as --set takes it; blanks around both are cut off; an empty
 * VALUE returns to the default). 0 or -EINVAL with a sentence.
 */
MUST_CHECK int config_set(struct config *c, const char *line, size_t len,
			  char ret_sentence[SENTENCE_MAX]);
/* Sets what the text of a --config file says: "NAME=VALUE" lines, blank lines, '#' comments. 0 or
 * -EINVAL with a sentence; some values may have been set then. */
MUST_CHECK int config_parse(struct config *c, const char *text, size_t len,
			    char ret_sentence[SENTENCE_MAX]);
/* Reads the file at path and parses it. Errors of open and read too, with a sentence. */
MUST_CHECK int config_read(struct config *c, const char *path, char ret_sentence[SENTENCE_MAX]);
/* Adds "io_uring,o_direct,splice" (any of them; "" none) to io_refuse. -EINVAL with a sentence. */
MUST_CHECK int config_refuse(struct config *c, const char *list, size_t len,
			     char ret_sentence[SENTENCE_MAX]);
/* What topics get where nothing is set: as Kafka derives it (milliseconds before minutes before
 * hours; -1 for retention means without end). Nothing is owned. */
void config_topic_defaults(const struct config *c, struct topic_config *ret);
/* Appends a list of all names: default, bounds and meaning. */
void config_help(struct buf *out);

#endif

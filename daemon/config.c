#include "daemon/config.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#define FIELD(f) .field = offsetof(struct config, f)

#define HOUR_MS (3600LL * 1000)
#define MINUTE_MS (60LL * 1000)

/* Most bytes of a --config file: some hundred settings with long comments. */
#define CONFIG_FILE_MAX (1024U * 1024U)

/* The broker's view of a day is bounded so that hours and minutes fit into milliseconds. */
#define HOURS_MAX INT32_MAX

static const char *const timestamp_choices[] = { "CreateTime", "LogAppendTime", NULL };
/* The one setting whose value is no number here: a list, kept as bits. */
#define REFUSE_NAME "io.refuse"

/* clang-format off */
static const struct setting settings[] = {
	{ "num.partitions", SETTING_NUM, 1, PARTITION_CNT_MAX, 1, NULL, FIELD(num_partitions),
	  "partitions of a new topic" },
	{ "default.replication.factor", SETTING_NUM, 1, 1, 1, NULL, FIELD(replication_factor),
	  "replicas of a partition; one broker, one replica" },
	{ "min.insync.replicas", SETTING_NUM, 1, INT32_MAX, 1, NULL, FIELD(min_insync_replicas),
	  "appends are refused while fewer replicas are in sync" },
	{ "log.retention.ms", SETTING_NUM, -1, INT64_MAX, -1, NULL, FIELD(retention_ms),
	  "segments older than this are deleted, -1: never; where it is not set,"
	  " log.retention.minutes counts" },
	{ "log.retention.minutes", SETTING_NUM, -1, INT32_MAX, -1, NULL,
	  FIELD(retention_minutes),
	  "the same in minutes; where it is not set, log.retention.hours counts" },
	{ "log.retention.hours", SETTING_NUM, -1, HOURS_MAX, 168, NULL, FIELD(retention_hours),
	  "the same in hours" },
	{ "log.retention.bytes", SETTING_NUM, -1, INT64_MAX, -1, NULL, FIELD(retention_bytes),
	  "oldest segments are deleted while a partition is larger, -1: never" },
	{ "log.retention.check.interval.ms", SETTING_NUM, 1, INT64_MAX, 300000, NULL,
	  FIELD(retention_check_ms), "how often retention is looked at" },
	{ "log.segment.bytes", SETTING_NUM, 1024, SEGMENT_BYTES_MAX, GIB, NULL,
	  FIELD(segment_bytes), "a new segment is begun at this size" },
	{ "log.roll.ms", SETTING_NUM, 1, INT64_MAX, 168 * HOUR_MS, NULL, FIELD(roll_ms),
	  "a new segment is begun at this age; where it is not set, log.roll.hours counts" },
	{ "log.roll.hours", SETTING_NUM, 1, HOURS_MAX, 168, NULL, FIELD(roll_hours),
	  "the same in hours" },
	{ "message.max.bytes", SETTING_NUM, 0, MESSAGE_MAX_LIMIT, MESSAGE_MAX_DEFAULT, NULL,
	  FIELD(message_max_bytes), "a longer record is refused" },
	{ "log.index.interval.bytes", SETTING_NUM, 0, INT32_MAX, INDEX_INTERVAL_BYTES, NULL,
	  FIELD(index_interval_bytes), "one index entry for so many bytes of a segment" },
	{ "log.message.timestamp.type", SETTING_CHOICE, 0, 0, TIMESTAMP_CREATE,
	  timestamp_choices, FIELD(timestamp_type), "whose clock stamps a record" },
	{ "log.message.timestamp.before.max.ms", SETTING_NUM, 0, INT64_MAX, INT64_MAX, NULL,
	  FIELD(timestamp_before_max_ms), "how far in the past a given timestamp may lie" },
	{ "log.message.timestamp.after.max.ms", SETTING_NUM, 0, INT64_MAX, INT64_MAX, NULL,
	  FIELD(timestamp_after_max_ms), "how far in the future a given timestamp may lie" },
	{ "request.timeout.ms", SETTING_NUM, 1, INT32_MAX, 30000, NULL,
	  FIELD(request_timeout_ms), "how long a write waits for its outcome" },
	{ "journal.bytes", SETTING_NUM, 0, 16 * GIB, 64 * MIB, NULL, FIELD(journal_bytes),
	  "size of the journal that makes fsync of small appends cheap, 0: none" },
	{ "disk.reserve.percent", SETTING_NUM, 0, 90, 2, NULL, FIELD(disk_reserve_percent),
	  "appends are refused (ENOSPC) while less of the disk is free" },
	{ "disk.reserve.bytes", SETTING_NUM, 0, INT64_MAX, 64 * MIB, NULL,
	  FIELD(disk_reserve_bytes), "and while fewer bytes than this are free" },
	{ "io.threads", SETTING_NUM, 1, 64, 4, NULL, FIELD(io_threads),
	  "threads for disk calls that may wait, where io_uring cannot be used" },
	{ "offsets.topic.num.partitions", SETTING_NUM, 1, PARTITION_CNT_MAX, 50, NULL,
	  FIELD(offsets_partitions), "partitions of __consumer_offsets, when it is made" },
	{ "offsets.topic.segment.bytes", SETTING_NUM, 1024, SEGMENT_BYTES_MAX, 4 * MIB, NULL,
	  FIELD(offsets_segment_bytes), "its segments: small ones are cleaned and read sooner" },
	{ "offsets.retention.minutes", SETTING_NUM, 1, INT32_MAX, 10080, NULL,
	  FIELD(offsets_retention_minutes),
	  "how long the offsets of a group without members are kept" },
	{ "offsets.retention.check.interval.ms", SETTING_NUM, 1, INT64_MAX, 600000, NULL,
	  FIELD(offsets_retention_check_ms), "how often that is looked at" },
};

static const struct { const char *name; unsigned bit; } refusables[] = {
	{ "io_uring", REFUSE_IO_URING },
	{ "o_direct", REFUSE_O_DIRECT },
	{ "splice", REFUSE_SPLICE },
};

#define WITH_CLUSTER "known, but not in this build; it comes with clusters of several brokers"

static const struct setting_refusal refusals[] = {
	{ "log.dir", NULL, "is given by --data" },
	{ "log.dirs", NULL, "is given by --data" },
	{ "node.id", NULL, "is given by --node" },
	{ "broker.id", NULL, "is given by --node" },
	{ "broker.rack", NULL, "is given by --rack" },
	{ "listeners", NULL, WITH_CLUSTER },
	{ "advertised.listeners", NULL, WITH_CLUSTER },
	{ "controller.quorum.voters", NULL, WITH_CLUSTER },
	{ "replica.lag.time.max.ms", NULL, WITH_CLUSTER },
	{ "broker.session.timeout.ms", NULL, WITH_CLUSTER },
	{ "auto.leader.rebalance.enable", NULL, WITH_CLUSTER },
	{ "unclean.leader.election.enable", NULL, WITH_CLUSTER },
	{ "log.cleanup.policy", NULL, "known, but this build cannot compact topics yet" },
	{ "compression.type", NULL, "known, but not in this build" },
	{ "transaction.timeout.ms", NULL, "known, but not in this build" },
	{ "log.flush.interval.messages", NULL, "known, but not in this build" },
	{ "log.flush.interval.ms", NULL, "known, but not in this build" },
	{ "auto.create.topics.enable", NULL, "topics are made with mkdir only" },
	{ "delete.topic.enable", NULL, "who owns a topic can always delete it" },
};
/* clang-format on */

static_assert(ARRAY_CNT(settings) <= 64, "struct config.set has a bit for each");

static bool is_set(const struct config *c, const char *name)
{
	int idx = setting_find(settings, ARRAY_CNT(settings), name, strlen(name));

	ASSERT(idx >= 0);
	return c->set >> idx & 1;
}

/*
 * Settings that Kafka leaves without a value unless somebody gives one; what counts then is another
 * setting. Their table default is never used.
 */
static bool is_optional(const struct setting *s)
{
	return s->field == offsetof(struct config, retention_ms) ||
	       s->field == offsetof(struct config, retention_minutes) ||
	       s->field == offsetof(struct config, roll_ms);
}

void config_init(struct config *c)
{
	*c = (struct config){ 0 };
	for (size_t i = 0; i < ARRAY_CNT(settings); i++)
		*setting_num(&settings[i], c) = settings[i].def;
}

static bool equals(const char *word, const char *text, size_t len)
{
	return strlen(word) == len && !memcmp(word, text, len);
}

int config_refuse(struct config *c, const char *list, size_t len, char ret_sentence[SENTENCE_MAX])
{
	unsigned bits = 0;

	for (size_t pos = 0; pos < len;) {
		const char *comma = memchr(list + pos, ',', len - pos);
		size_t item_len = comma ? (size_t)(comma - list) - pos : len - pos;
		unsigned bit = 0;

		for (size_t i = 0; i < ARRAY_CNT(refusables); i++)
			if (equals(refusables[i].name, list + pos, item_len))
				bit = refusables[i].bit;
		if (!bit)
			return sentence_refuse(ret_sentence,
					       REFUSE_NAME " takes a list of io_uring, o_direct,"
							   " splice, not \"%.*s\"",
					       (int)MIN(item_len, (size_t)64), list + pos);
		bits |= bit;
		pos += item_len + 1;
	}
	c->io_refuse |= bits;
	return 0;
}

static int refuse_unknown(const struct setting_line *l, char ret_sentence[SENTENCE_MAX])
{
	static const struct setting refuse_setting = { .name = REFUSE_NAME };
	const struct setting_refusal *r =
		setting_find_refusal(refusals, ARRAY_CNT(refusals), l->name, l->name_len, "", 0);
	const char *nearest;

	if (r)
		return sentence_refuse(ret_sentence, "%s: %s", r->name, r->why);
	nearest = setting_nearest(settings, ARRAY_CNT(settings), l->name, l->name_len);
	if (!nearest)
		nearest = setting_nearest(&refuse_setting, 1, l->name, l->name_len);
	return sentence_refuse(ret_sentence, "unknown setting \"%.*s\"%s%s%s",
			       (int)MIN(l->name_len, (size_t)64), l->name,
			       nearest ? " (did you mean \"" : "", nearest ? nearest : "",
			       nearest ? "\"?)" : "; topicfs broker --help lists the settings");
}

static int set_line(struct config *c, const struct setting_line *l, char ret_sentence[SENTENCE_MAX])
{
	int idx = setting_find(settings, ARRAY_CNT(settings), l->name, l->name_len);
	const struct setting *s = &settings[idx < 0 ? 0 : idx];
	int64_t value;
	int err;

	if (equals(REFUSE_NAME, l->name, l->name_len)) {
		unsigned before = c->io_refuse;

		c->io_refuse = 0;
		err = config_refuse(c, l->value, l->value_len, ret_sentence);
		if (err)
			c->io_refuse = before;
		return err;
	}
	if (idx < 0)
		return refuse_unknown(l, ret_sentence);
	if (!l->value_len) {
		*setting_num(s, c) = s->def;
		c->set &= ~(1ULL << idx);
		return 0;
	}
	err = setting_parse(s, l->value, l->value_len, &value, ret_sentence);
	if (err)
		return err;
	*setting_num(s, c) = value;
	c->set |= 1ULL << idx;
	return 0;
}

int config_parse(struct config *c, const char *text, size_t len, char ret_sentence[SENTENCE_MAX])
{
	struct setting_line line;
	size_t pos = 0;
	int more;

	while ((more = setting_next_line(text, len, &pos, &line, ret_sentence)) > 0) {
		int err = set_line(c, &line, ret_sentence);

		if (err)
			return err;
	}
	return more;
}

int config_set(struct config *c, const char *text, size_t len, char ret_sentence[SENTENCE_MAX])
{
	struct setting_line line;
	size_t pos = 0;
	int more = setting_next_line(text, len, &pos, &line, ret_sentence);

	if (more < 0)
		return more;
	if (!more || pos < len)
		return sentence_refuse(ret_sentence, "\"%.*s\" is not NAME=VALUE",
				       (int)MIN(len, (size_t)64), text);
	return set_line(c, &line, ret_sentence);
}

static int read_fd(int fd, struct buf *b)
{
	while (b->len <= CONFIG_FILE_MAX) {
		ssize_t len;

		if (buf_reserve(b, 4096))
			return -ENOMEM;
		len = read(fd, b->data + b->len, 4096);
		if (len < 0 && errno == EINTR)
			continue;
		if (len <= 0)
			return len ? -errno : 0;
		b->len += (size_t)len;
	}
	return -EFBIG;
}

int config_read(struct config *c, const char *path, char ret_sentence[SENTENCE_MAX])
{
	char sentence[SENTENCE_MAX];
	struct buf b;
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	int err = fd < 0 ? -errno : 0;

	buf_init(&b);
	if (!err) {
		err = read_fd(fd, &b);
		close(fd);
	}
	if (err) {
		sentence_refuse(ret_sentence, "cannot read %s: %s", path, strerror(-err));
	} else {
		err = config_parse(c, (const char *)b.data, b.len, sentence);
		if (err)
			sentence_refuse(ret_sentence, "%s: %.200s", path, sentence);
	}
	buf_fini(&b);
	return err;
}

void config_topic_defaults(const struct config *c, struct topic_config *ret)
{
	struct topic_config t;

	topic_config_defaults(&t);
	t.num_partitions = c->num_partitions;
	t.replication_factor = c->replication_factor;
	t.min_insync_replicas = c->min_insync_replicas;
	if (is_set(c, "log.retention.ms"))
		t.retention_ms = c->retention_ms;
	else if (is_set(c, "log.retention.minutes"))
		t.retention_ms = c->retention_minutes < 0 ? -1 : c->retention_minutes * MINUTE_MS;
	else
		t.retention_ms = c->retention_hours < 0 ? -1 : c->retention_hours * HOUR_MS;
	t.retention_bytes = c->retention_bytes;
	t.segment_bytes = c->segment_bytes;
	t.segment_ms = is_set(c, "log.roll.ms") ? c->roll_ms : c->roll_hours * HOUR_MS;
	t.max_message_bytes = c->message_max_bytes;
	t.timestamp_type = c->timestamp_type;
	t.timestamp_before_max_ms = c->timestamp_before_max_ms;
	t.timestamp_after_max_ms = c->timestamp_after_max_ms;
	t.index_interval_bytes = c->index_interval_bytes;
	*ret = t;
}

void config_help(struct buf *out)
{
	for (size_t i = 0; i < ARRAY_CNT(settings); i++) {
		const struct setting *s = &settings[i];

		if (is_optional(s))
			buf_printf(out, "  %s=  [", s->name);
		else if (s->type == SETTING_CHOICE)
			buf_printf(out, "  %s=%s  [", s->name, s->choices[s->def]);
		else
			buf_printf(out, "  %s=%" PRId64 "  [", s->name, s->def);
		setting_print_bounds(s, out);
		buf_printf(out, "]\n        %s\n", s->help);
	}
	buf_put_str(out, "  " REFUSE_NAME "=  [a list of io_uring, o_direct, splice]\n"
			 "        do without these; " CONFIG_REFUSE_ENV
			 " in the environment adds to it\n");
}

#include "raft/topic_config.h"
#include "daemon/base/fund.h"

#include <errno.h>
#include <stdlib.h>

#define FIELD(f) .field = offsetof(struct topic_config, f)

#define DAY_MS (24LL * 3600 * 1000)

static const char *const acks_choices[] = { "0", "1", "all", NULL };
static const char *const timestamp_choices[] = { "CreateTime", "LogAppendTime", NULL };
static const char *const cleanup_choices[] = { "delete", "compact", NULL };
static const char *const compression_choices[] = { "uncompressed", NULL };
static const char *const false_choices[] = { "false", NULL };

/* clang-format off */
const struct setting topic_settings[TOPIC_SETTING_CNT] = {
	[TOPIC_NUM_PARTITIONS] = {
		.name = "num.partitions", .type = SETTING_NUM, .min = 1, .max = PARTITION_CNT_MAX,
		.def = 1, FIELD(num_partitions),
		.help = "How many partitions the topic has; only grows" },
	[TOPIC_REPLICATION_FACTOR] = {
		.name = "replication.factor", .type = SETTING_NUM, .min = 1, .max = 1, .def = 1,
		FIELD(replication_factor),
		.help = "On how many brokers each partition is kept; one broker, one replica" },
	[TOPIC_MIN_INSYNC_REPLICAS] = {
		.name = "min.insync.replicas", .type = SETTING_NUM, .min = 1, .max = INT32_MAX,
		.def = 1, FIELD(min_insync_replicas),
		.help = "Appends are refused (EROFS) while fewer replicas than this are in sync" },
	[TOPIC_ACKS] = {
		.name = "acks", .type = SETTING_CHOICE, .choices = acks_choices, .def = ACKS_ALL,
		FIELD(acks),
		.help = "When write() returns: 0 accepted in memory, 1 in the leader's log, all in"
			" every in-sync replica" },
	[TOPIC_RETENTION_MS] = {
		.name = "retention.ms", .type = SETTING_NUM, .min = -1, .max = INT64_MAX,
		.def = 7 * DAY_MS, FIELD(retention_ms),
		.help = "Segments whose newest record is older are deleted; -1 keeps them" },
	[TOPIC_RETENTION_BYTES] = {
		.name = "retention.bytes", .type = SETTING_NUM, .min = -1, .max = INT64_MAX,
		.def = -1, FIELD(retention_bytes),
		.help = "Oldest segments are deleted while a partition has more bytes than this,"
			" .data and .meta together; -1 keeps them" },
	[TOPIC_SEGMENT_BYTES] = {
		.name = "segment.bytes", .type = SETTING_NUM, .min = 1024,
		.max = SEGMENT_BYTES_MAX, .def = GIB, FIELD(segment_bytes),
		.help = "A segment is closed and a new one begun at this size, .data and .meta"
			" together (Kafka 3 takes 14 and more, Kafka 4 1048576 and more)" },
	[TOPIC_SEGMENT_MS] = {
		.name = "segment.ms", .type = SETTING_NUM, .min = 1, .max = INT64_MAX,
		.def = 7 * DAY_MS, FIELD(segment_ms),
		.help = "A segment is closed and a new one begun at this age" },
	[TOPIC_MAX_MESSAGE_BYTES] = {
		.name = "max.message.bytes", .type = SETTING_NUM, .min = 0,
		.max = MESSAGE_MAX_LIMIT, .def = MESSAGE_MAX_DEFAULT, FIELD(max_message_bytes),
		.help = "A longer record is refused (EMSGSIZE)" },
	[TOPIC_TIMESTAMP_TYPE] = {
		.name = "message.timestamp.type", .type = SETTING_CHOICE,
		.choices = timestamp_choices, .def = TIMESTAMP_CREATE, FIELD(timestamp_type),
		.help = "Whether a record keeps the timestamp that its writer gave it, or takes the"
			" broker's clock at the append" },
	[TOPIC_TIMESTAMP_BEFORE_MAX_MS] = {
		.name = "message.timestamp.before.max.ms", .type = SETTING_NUM, .min = 0,
		.max = INT64_MAX, .def = INT64_MAX, FIELD(timestamp_before_max_ms),
		.help = "A record whose given timestamp lies further in the past is refused" },
	[TOPIC_TIMESTAMP_AFTER_MAX_MS] = {
		.name = "message.timestamp.after.max.ms", .type = SETTING_NUM, .min = 0,
		.max = INT64_MAX, .def = INT64_MAX, FIELD(timestamp_after_max_ms),
		.help = "A record whose given timestamp lies further in the future is refused"
			" (Kafka 3's default; Kafka 4 has 3600000)" },
	[TOPIC_INDEX_INTERVAL_BYTES] = {
		.name = "index.interval.bytes", .type = SETTING_NUM, .min = 0, .max = INT32_MAX,
		.def = INDEX_INTERVAL_BYTES, FIELD(index_interval_bytes),
		.help = "One index entry for each so many bytes of a segment" },
	[TOPIC_HOT_KEYS] = {
		.name = "hot.keys", .type = SETTING_TEXT, .max = HOT_KEYS_MAX, FIELD(hot_keys),
		.help = "Keys, with commas between, whose records are spread over all partitions;"
			" the order of those keys is given up" },
	[TOPIC_CLEANUP_POLICY] = {
		.name = "cleanup.policy", .type = SETTING_CHOICE, .choices = cleanup_choices,
		.offered_cnt = 1, .def = CLEANUP_DELETE, FIELD(cleanup_policy),
		.help = "What is done with old segments" },
	[TOPIC_DELETE_RETENTION_MS] = {
		.name = "delete.retention.ms", .type = SETTING_NUM, .min = 0, .max = INT64_MAX,
		.def = DAY_MS, FIELD(delete_retention_ms),
		.help = "How long compaction keeps tombstones; cleanup.policy=delete has none to"
			" keep" },
	[TOPIC_FILE_DELETE_DELAY_MS] = {
		.name = "file.delete.delay.ms", .type = SETTING_NUM, .min = 0, .max = 0, .def = 0,
		FIELD(file_delete_delay_ms),
		.help = "Files of deleted segments go at once; open readers keep what they read" },
	[TOPIC_COMPRESSION_TYPE] = {
		.name = "compression.type", .type = SETTING_CHOICE,
		.choices = compression_choices, .def = 0, FIELD(compression_type),
		.help = "How closed segments are stored" },
	[TOPIC_UNCLEAN_LEADER_ELECTION] = {
		.name = "unclean.leader.election.enable", .type = SETTING_CHOICE,
		.choices = false_choices, .def = 0, FIELD(unclean_leader_election),
		.help = "Whether a replica that lacks records may lead" },
};

static const char *const broker_names[TOPIC_SETTING_CNT] = {
	[TOPIC_NUM_PARTITIONS] = "num.partitions",
	[TOPIC_REPLICATION_FACTOR] = "default.replication.factor",
	[TOPIC_MIN_INSYNC_REPLICAS] = "min.insync.replicas",
	[TOPIC_RETENTION_MS] = "log.retention.ms",
	[TOPIC_RETENTION_BYTES] = "log.retention.bytes",
	[TOPIC_SEGMENT_BYTES] = "log.segment.bytes",
	[TOPIC_SEGMENT_MS] = "log.roll.ms",
	[TOPIC_MAX_MESSAGE_BYTES] = "message.max.bytes",
	[TOPIC_TIMESTAMP_TYPE] = "log.message.timestamp.type",
	[TOPIC_TIMESTAMP_BEFORE_MAX_MS] = "log.message.timestamp.before.max.ms",
	[TOPIC_TIMESTAMP_AFTER_MAX_MS] = "log.message.timestamp.after.max.ms",
	[TOPIC_INDEX_INTERVAL_BYTES] = "log.index.interval.bytes",
};

#define NO_COMPACTION "known, but this build cannot compact topics yet; it takes delete"
#define NO_ZSTD "known, but not in this build; it takes uncompressed"
#define NO_CODEC "values are stored as they were written; it takes uncompressed"
#define NOT_HERE "known, but not in this build"
#define WITH_CLUSTER "known, but not in this build; it comes with clusters of several brokers"

/* What Kafka or a later build knows. "cannot compact" sentences name the policy that was asked. */
static const struct setting_refusal refusals[] = {
	{ "cleanup.policy", "compact", NO_COMPACTION },
	{ "cleanup.policy", "compact,delete", NO_COMPACTION },
	{ "cleanup.policy", "delete,compact", NO_COMPACTION },
	{ "compression.type", "zstd", NO_ZSTD },
	{ "compression.type", "producer", NO_CODEC },
	{ "compression.type", "gzip", NO_CODEC },
	{ "compression.type", "snappy", NO_CODEC },
	{ "compression.type", "lz4", NO_CODEC },
	{ "unclean.leader.election.enable", "true", WITH_CLUSTER },
	{ "schema", NULL, NOT_HERE },
	{ "compression.gzip.level", NULL, NOT_HERE },
	{ "compression.lz4.level", NULL, NOT_HERE },
	{ "compression.zstd.level", NULL, NOT_HERE },
	{ "flush.messages", NULL, "known, but not in this build; fsync a partition instead" },
	{ "flush.ms", NULL, "known, but not in this build; fsync a partition instead" },
	{ "follower.replication.throttled.replicas", NULL, WITH_CLUSTER },
	{ "leader.replication.throttled.replicas", NULL, WITH_CLUSTER },
	{ "local.retention.bytes", NULL, NOT_HERE },
	{ "local.retention.ms", NULL, NOT_HERE },
	{ "max.compaction.lag.ms", NULL, NOT_HERE },
	{ "message.downconversion.enable", NULL, NOT_HERE },
	{ "message.format.version", NULL, NOT_HERE },
	{ "message.timestamp.difference.max.ms", NULL,
	  "Kafka's older name; use message.timestamp.before.max.ms and"
	  " message.timestamp.after.max.ms" },
	{ "min.cleanable.dirty.ratio", NULL, NOT_HERE },
	{ "min.compaction.lag.ms", NULL, NOT_HERE },
	{ "preallocate", NULL, NOT_HERE },
	{ "remote.storage.enable", NULL, NOT_HERE },
	{ "segment.index.bytes", NULL, NOT_HERE },
	{ "segment.jitter.ms", NULL, NOT_HERE },
};
/* clang-format on */

const char *topic_setting_broker_name(enum topic_setting s)
{
	PRE(s < TOPIC_SETTING_CNT);
	return broker_names[s] ? broker_names[s] : "";
}

/* A list without empty items: "a,,b" would be a hot empty key, which nobody means. */
static int check_hot_keys(const char *text, size_t len, char ret_sentence[SENTENCE_MAX])
{
	if (len > HOT_KEYS_MAX)
		return sentence_refuse(ret_sentence, "hot.keys takes at most %d bytes",
				       HOT_KEYS_MAX);
	for (size_t i = 0; i <= len && len; i++) {
		bool ends = i == len || text[i] == ',';

		if (ends && (!i || text[i - 1] == ','))
			return sentence_refuse(ret_sentence, "hot.keys holds an empty key");
		if (i < len && (text[i] == '\n' || !text[i]))
			return sentence_refuse(ret_sentence, "hot.keys holds a line feed or NUL");
	}
	return 0;
}

static int parse_line(const struct setting_line *l, const struct topic_config *defaults,
		      struct topic_change *ret, char ret_sentence[SENTENCE_MAX])
{
	int idx = setting_find(topic_settings, TOPIC_SETTING_CNT, l->name, l->name_len);
	const struct setting_refusal *r;
	struct topic_change c = { 0 };
	int err;

	if (idx < 0)
		return setting_refuse_unknown(topic_settings, TOPIC_SETTING_CNT, refusals,
					      ARRAY_CNT(refusals), l->name, l->name_len,
					      ret_sentence);
	r = setting_find_refusal(refusals, ARRAY_CNT(refusals), l->name, l->name_len, l->value,
				 l->value_len);
	if (r)
		return sentence_refuse(ret_sentence, "%s=%s: %s", r->name, r->value, r->why);
	c.setting = (enum topic_setting)idx;
	c.reset = !l->value_len;
	if (c.reset) {
		if (c.setting == TOPIC_NUM_PARTITIONS)
			c.num = defaults->num_partitions;
		*ret = c;
		return 0;
	}
	if (c.setting == TOPIC_HOT_KEYS) {
		c.text = l->value;
		c.text_len = l->value_len;
		err = check_hot_keys(c.text, c.text_len, ret_sentence);
	} else {
		err = setting_parse(&topic_settings[idx], l->value, l->value_len, &c.num,
				    ret_sentence);
	}
	if (!err)
		*ret = c;
	return err;
}

int topic_config_parse(const char *text, size_t len, const struct topic_config *defaults,
		       struct topic_change ret_changes[TOPIC_CHANGE_MAX], unsigned *ret_cnt,
		       char ret_sentence[SENTENCE_MAX])
{
	struct topic_change changes[TOPIC_SETTING_CNT], change;
	struct setting_line line;
	uint32_t seen = 0;
	unsigned cnt = 0;
	size_t pos = 0;
	int more, err;

	while ((more = setting_next_line(text, len, &pos, &line, ret_sentence)) > 0) {
		err = parse_line(&line, defaults, &change, ret_sentence);
		if (err)
			return err;
		changes[change.setting] = change;
		seen |= 1U << change.setting;
	}
	if (more < 0)
		return more;
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++)
		if (seen >> i & 1)
			ret_changes[cnt++] = changes[i];
	*ret_cnt = cnt;
	return 0;
}

int topic_change_check(const struct topic_change *change, char ret_sentence[SENTENCE_MAX])
{
	const struct setting *s;

	if ((unsigned)change->setting >= TOPIC_SETTING_CNT)
		return sentence_refuse(ret_sentence, "no such setting");
	s = &topic_settings[change->setting];
	if (s->type == SETTING_TEXT)
		return check_hot_keys(change->text, change->text_len, ret_sentence);
	if (change->reset && change->setting != TOPIC_NUM_PARTITIONS)
		return 0;
	if (!setting_is_valid(s, change->num))
		return sentence_refuse(ret_sentence, "%s: %lld is out of bounds", s->name,
				       (long long)change->num);
	return 0;
}

void topic_config_put(struct topic_config *own, const struct topic_change *change)
{
	const struct setting *s = &topic_settings[change->setting];
	bool reset = change->reset;

	PRE(change->setting < TOPIC_SETTING_CNT);
	if (s->type == SETTING_TEXT) {
		reset |= !change->text_len;
		free(own->hot_keys);
		own->hot_keys = NULL;
		if (!reset)
			own->hot_keys = fund_strndup(change->text, change->text_len);
	} else if (change->setting != TOPIC_NUM_PARTITIONS) {
		*setting_num(s, own) = reset ? 0 : change->num;
	}
	if (reset)
		own->set &= ~(1U << change->setting);
	else
		own->set |= 1U << change->setting;
}

void topic_config_defaults(struct topic_config *ret)
{
	*ret = (struct topic_config){ 0 };
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++)
		if (topic_settings[i].type != SETTING_TEXT)
			*setting_num(&topic_settings[i], ret) = topic_settings[i].def;
}

void topic_config_merge(const struct topic_config *own, const struct topic_config *defaults,
			uint32_t partition_cnt, struct topic_config *ret)
{
	struct topic_config c = *defaults;

	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++) {
		const struct setting *s = &topic_settings[i];

		if (own->set >> i & 1 && s->type != SETTING_TEXT)
			*setting_num(s, &c) = setting_get_num(s, own);
	}
	if (own->set >> TOPIC_HOT_KEYS & 1)
		c.hot_keys = own->hot_keys;
	c.num_partitions = partition_cnt;
	c.set = own->set;
	*ret = c;
}

void topic_config_print(const struct topic_config *effective, struct buf *out)
{
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++) {
			const struct setting *s = &topic_settings[i];
			bool is_text = s->type == SETTING_TEXT;

			if ((effective->set >> i & 1) == round)
				continue;
			setting_print(s, is_text ? 0 : setting_get_num(s, effective),
				      is_text ? effective->hot_keys : NULL, out);
		}
	}
}

void topic_config_fini(struct topic_config *own)
{
	if (!own)
		return;
	free(own->hot_keys);
	*own = (struct topic_config){ 0 };
}

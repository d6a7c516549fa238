#include "raft/group_config.h"

#include "daemon/base/fund.h"
#include "daemon/base/name.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define FIELD(f) .field = offsetof(struct group_config, f)

static const char *const strategy_choices[] = { "range", "roundrobin", "sticky",
						"cooperative-sticky", NULL };
static const char *const reset_choices[] = { "earliest", "latest", "none", NULL };
static const char *const commit_choices[] = { "next-read", "on-read", "manual", NULL };

/* clang-format off */
const struct setting group_setting_table[GROUP_SETTING_CNT] = {
	[GROUP_ASSIGNMENT_STRATEGY] = {
		.name = "assignment.strategy", .type = SETTING_CHOICE,
		.choices = strategy_choices, .def = STRATEGY_COOPERATIVE_STICKY, FIELD(strategy),
		.help = "How partitions are shared among the members; join may ask for another" },
	[GROUP_AUTO_OFFSET_RESET] = {
		.name = "auto.offset.reset", .type = SETTING_CHOICE, .choices = reset_choices,
		.def = RESET_EARLIEST, FIELD(auto_offset_reset),
		.help = "Where a partition without a committed offset is begun; none: the first"
			" read is refused (ESTALE)" },
	[GROUP_COMMIT] = {
		.name = "commit", .type = SETTING_CHOICE, .choices = commit_choices,
		.def = COMMIT_NEXT_READ, FIELD(commit),
		.help = "What commits a record: the read behind it (at least once), the read that"
			" gives it (at most once), or a line in commit alone" },
	[GROUP_SESSION_TIMEOUT_MS] = {
		.name = "session.timeout.ms", .type = SETTING_NUM,
		.min = GROUP_TIMEOUT_MIN_MS, .max = INT32_MAX,
		.def = 45000, FIELD(session_timeout_ms),
		.help = "How long a member whose waiting read was interrupted, or a static one that"
			" closed its file, keeps its partitions" },
	[GROUP_REBALANCE_TIMEOUT_MS] = {
		.name = "rebalance.timeout.ms", .type = SETTING_NUM,
		.min = GROUP_TIMEOUT_MIN_MS, .max = INT32_MAX,
		.def = 60000, FIELD(rebalance_timeout_ms),
		.help = "How long a member may take to hand over a partition" },
	[GROUP_MAX_POLL_INTERVAL_MS] = {
		.name = "max.poll.interval.ms", .type = SETTING_NUM,
		.min = GROUP_TIMEOUT_MIN_MS, .max = INT32_MAX,
		.def = 300000, FIELD(max_poll_interval_ms),
		.help = "How long a member that was given records may work on them without a"
			" read" },
	[GROUP_MAX_POLL_RECORDS] = {
		.name = "max.poll.records", .type = SETTING_NUM, .min = 0, .max = INT32_MAX,
		.def = 0, FIELD(max_poll_records),
		.help = "Records that one read gives at most; 0: no limit" },
	[GROUP_MAX_DELIVERIES] = {
		.name = "max.deliveries", .type = SETTING_NUM, .min = 0, .max = INT32_MAX,
		.def = 0, FIELD(max_deliveries),
		.help = "A record that was given so often without a commit becomes a dead letter;"
			" then one read gives one record; 0: no limit" },
	[GROUP_DLQ] = {
		.name = "dlq", .type = SETTING_TEXT, .max = TOPIC_NAME_MAX, FIELD(dlq),
		.help = "The topic of the dead letters, made when missing; GROUP.dlq where it is"
			" not set" },
};

/* What a Kafka consumer has and a group here has elsewhere, or has no use for. */
static const struct setting_refusal refusals[] = {
	{ "auto.commit.interval.ms", NULL, "reading on commits; see commit" },
	{ "consumer.heartbeat.interval.ms", NULL, "an open file needs no heartbeat" },
	{ "consumer.session.timeout.ms", NULL, "use session.timeout.ms" },
	{ "enable.auto.commit", NULL, "use commit=next-read, or commit=manual" },
	{ "fetch.max.bytes", NULL, "a read gives what its buffer holds" },
	{ "fetch.max.wait.ms", NULL,
	  "a read waits for the next record, or not at all (O_NONBLOCK)" },
	{ "fetch.min.bytes", NULL, "a read gives what there is" },
	{ "group.id", NULL, "is the name of the directory" },
	{ "group.instance.id", NULL, "is given by instance=NAME in join" },
	{ "heartbeat.interval.ms", NULL, "an open file needs no heartbeat" },
	{ "isolation.level", NULL, "known, but not in this build" },
	{ "offsets.retention.minutes", NULL, "is a setting of the broker" },
	{ "partition.assignment.strategy", NULL, "use assignment.strategy" },
};
/* clang-format on */

/* A slice of an own name in sentences is cut to that. */
static int shown(size_t len)
{
	return (int)MIN(len, (size_t)64);
}

static int check_dlq(const char *text, size_t len, char ret_sentence[SENTENCE_MAX])
{
	char name[TOPIC_NAME_MAX + 1];

	if (!len)
		return 0;
	if (topic_name_check_len(text, len))
		return sentence_refuse(ret_sentence, "dlq takes a topic's name, not \"%.*s\"",
				       shown(len), text);
	memcpy(name, text, len);
	name[len] = '\0';
	if (topic_name_is_internal(name))
		return sentence_refuse(ret_sentence, "dlq: \"%s\" is reserved for the broker",
				       name);
	return 0;
}

static int parse_line(const struct setting_line *l, struct group_change *ret,
		      char ret_sentence[SENTENCE_MAX])
{
	int idx = setting_find(group_setting_table, GROUP_SETTING_CNT, l->name, l->name_len),
	    err = 0;
	struct group_change c = { 0 };

	if (idx < 0)
		return setting_refuse_unknown(group_setting_table, GROUP_SETTING_CNT, refusals,
					      ARRAY_CNT(refusals), l->name, l->name_len,
					      ret_sentence);
	c.setting = (enum group_setting)idx;
	c.reset = !l->value_len;
	if (c.setting == GROUP_DLQ) {
		c.text = l->value;
		c.text_len = l->value_len;
		err = check_dlq(c.text, c.text_len, ret_sentence);
	} else if (!c.reset) {
		err = setting_parse(&group_setting_table[idx], l->value, l->value_len, &c.num,
				    ret_sentence);
	}
	if (!err)
		*ret = c;
	return err;
}

int group_config_parse(const char *text, size_t len,
		       struct group_change ret_changes[GROUP_CHANGE_MAX], unsigned *ret_cnt,
		       char ret_sentence[SENTENCE_MAX])
{
	struct group_change changes[GROUP_SETTING_CNT], change;
	struct setting_line line;
	uint32_t seen = 0;
	unsigned cnt = 0;
	size_t pos = 0;
	int more, err;

	while ((more = setting_next_line(text, len, &pos, &line, ret_sentence)) > 0) {
		err = parse_line(&line, &change, ret_sentence);
		if (err)
			return err;
		changes[change.setting] = change;
		seen |= 1U << change.setting;
	}
	if (more < 0)
		return more;
	for (unsigned i = 0; i < GROUP_SETTING_CNT; i++)
		if (seen >> i & 1)
			ret_changes[cnt++] = changes[i];
	*ret_cnt = cnt;
	return 0;
}

int group_change_check(const struct group_change *change, char ret_sentence[SENTENCE_MAX])
{
	const struct setting *s;

	if ((unsigned)change->setting >= GROUP_SETTING_CNT)
		return sentence_refuse(ret_sentence, "no such setting");
	s = &group_setting_table[change->setting];
	if (s->type == SETTING_TEXT)
		return check_dlq(change->text, change->text_len, ret_sentence);
	if (!change->reset && !setting_is_valid(s, change->num))
		return sentence_refuse(ret_sentence, "%s: %lld is out of bounds", s->name,
				       (long long)change->num);
	return 0;
}

static int default_dlq(const char *group, char ret_topic[TOPIC_NAME_MAX + 1],
		       char ret_sentence[SENTENCE_MAX])
{
	char name[GROUP_NAME_MAX + sizeof(".dlq")];

	PRE(strlen(group) <= GROUP_NAME_MAX);
	snprintf(name, sizeof(name), "%s.dlq", group);
	if (topic_name_check(name) || topic_name_is_internal(name))
		return sentence_refuse(ret_sentence, "dlq must be set: \"%s\" is no topic's name",
				       name);
	snprintf(ret_topic, TOPIC_NAME_MAX + 1, "%.*s", TOPIC_NAME_MAX, name);
	return 0;
}

int group_changes_fit(const char *group, const struct group_config *own,
		      const struct group_change *changes, unsigned cnt,
		      char ret_sentence[SENTENCE_MAX])
{
	bool is_limited = own->max_deliveries > 0, has_dlq = own->dlq;
	char topic[TOPIC_NAME_MAX + 1];

	for (unsigned i = 0; i < cnt; i++) {
		const struct group_change *c = &changes[i];

		if (c->setting == GROUP_MAX_DELIVERIES)
			is_limited = !c->reset && c->num > 0;
		else if (c->setting == GROUP_DLQ)
			has_dlq = !c->reset && c->text_len;
	}
	return is_limited && !has_dlq ? default_dlq(group, topic, ret_sentence) : 0;
}

void group_config_put(struct group_config *own, const struct group_change *change)
{
	const struct setting *s = &group_setting_table[change->setting];
	bool reset = change->reset;

	PRE(change->setting < GROUP_SETTING_CNT);
	if (s->type == SETTING_TEXT) {
		reset |= !change->text_len;
		free(own->dlq);
		own->dlq = NULL;
		if (!reset)
			own->dlq = fund_strndup(change->text, change->text_len);
	} else {
		*setting_num(s, own) = reset ? 0 : change->num;
	}
	if (reset)
		own->set &= ~(1U << change->setting);
	else
		own->set |= 1U << change->setting;
}

void group_config_merge(const struct group_config *own, struct group_config *ret)
{
	struct group_config c = { .set = own->set, .dlq = own->dlq };

	for (unsigned i = 0; i < GROUP_SETTING_CNT; i++) {
		const struct setting *s = &group_setting_table[i];

		if (s->type != SETTING_TEXT)
			*setting_num(s, &c) = own->set >> i & 1 ? setting_get_num(s, own) : s->def;
	}
	*ret = c;
}

int group_config_dlq(const struct group_config *config, const char *group,
		     char ret_topic[TOPIC_NAME_MAX + 1], char ret_sentence[SENTENCE_MAX])
{
	if (!config->dlq)
		return default_dlq(group, ret_topic, ret_sentence);
	snprintf(ret_topic, TOPIC_NAME_MAX + 1, "%s", config->dlq);
	return 0;
}

void group_config_print(const struct group_config *effective, const char *group, struct buf *out)
{
	char dlq[TOPIC_NAME_MAX + 1], sentence[SENTENCE_MAX];

	if (group_config_dlq(effective, group, dlq, sentence))
		*dlq = '\0';
	for (unsigned round = 0; round < 2; round++) {
		for (unsigned i = 0; i < GROUP_SETTING_CNT; i++) {
			const struct setting *s = &group_setting_table[i];

			if ((effective->set >> i & 1) == round)
				continue;
			setting_print(s,
				      s->type == SETTING_TEXT ? 0 : setting_get_num(s, effective),
				      dlq, out);
		}
	}
}

void group_config_fini(struct group_config *own)
{
	if (!own)
		return;
	free(own->dlq);
	*own = (struct group_config){ 0 };
}

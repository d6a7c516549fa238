/*
 * What may be done to the metadata: metadata_check(), which metadata_apply() asks before it moves
 * anything and the broker before it logs a command.
 */
#include "daemon/base/name.h"
#include "raft/metadata_state.h"

#include <errno.h>

int metadata_check_name(const char *name, char ret_sentence[SENTENCE_MAX])
{
	int err = topic_name_check(name);

	if (err == -ENAMETOOLONG)
		sentence_refuse(ret_sentence, "a topic's name has at most %d characters",
				TOPIC_NAME_MAX);
	else if (err && (!*name || !strcmp(name, ".") || !strcmp(name, "..")))
		sentence_refuse(ret_sentence, "\"%s\" is no topic's name", name);
	else if (err)
		sentence_refuse(ret_sentence, "a topic's name is made of letters, digits, \".\", "
					      "\"_\" and \"-\"");
	return err;
}

int metadata_check_group_name(const char *name, char ret_sentence[SENTENCE_MAX])
{
	int err = group_name_check(name);

	if (err == -ENAMETOOLONG)
		sentence_refuse(ret_sentence, "a group's name has at most %d bytes",
				GROUP_NAME_MAX);
	else if (err && (!*name || !strcmp(name, ".") || !strcmp(name, "..")))
		sentence_refuse(ret_sentence, "\"%s\" is no group's name", name);
	else if (err)
		sentence_refuse(ret_sentence, "a group's name is UTF-8 without control characters "
					      "and \"/\"");
	return err;
}

int metadata_check_change(const char *topic, const struct topic_change *change,
			  char ret_sentence[SENTENCE_MAX])
{
	int err = topic_change_check(change, ret_sentence);

	if (!err && change->setting == TOPIC_CLEANUP_POLICY && change->num == CLEANUP_COMPACT &&
	    !topic_name_is_internal(topic))
		err = sentence_refuse(ret_sentence,
				      "cleanup.policy=compact is for topics of the broker's own");
	return err;
}

static int check_broker(const struct metadata *md, const struct metadata_cmd *cmd,
			char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_broker *same_node = metadata_find_broker(md, cmd->node);

	if (metadata_is_zero(cmd->directory_id))
		return sentence_refuse(ret_sentence, "a broker without a directory id");
	for (uint32_t i = 0; i < md->broker_cnt; i++) {
		const struct metadata_broker *b = &md->brokers[i];

		if (memcmp(b->directory_id, cmd->directory_id, 16))
			continue;
		if (b->node != cmd->node)
			return sentence_refuse(ret_sentence,
					       "this data directory belongs to node %u, not %u",
					       b->node, cmd->node);
		if (cmd->incarnation >= b->incarnation)
			continue;
		sentence_refuse(ret_sentence, "node %u has started again since", cmd->node);
		return -ESTALE;
	}
	if (!same_node && md->broker_cnt == METADATA_BROKER_MAX) {
		sentence_refuse(ret_sentence, "the cluster has %d brokers, the most it can have",
				METADATA_BROKER_MAX);
		return -ENOSPC;
	}
	return 0;
}

static int check_create(const struct metadata *md, const struct metadata_cmd *cmd,
			char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_topic *clash;
	bool is_internal = topic_name_is_internal(cmd->name);
	int err = metadata_check_name(cmd->name, ret_sentence);

	if (err)
		return err;
	if (is_internal && cmd->kind == METADATA_CREATE) {
		sentence_refuse(ret_sentence, "\"%s\" is reserved for the broker", cmd->name);
		return -EPERM;
	}
	if (!is_internal && cmd->kind == METADATA_CREATE_INTERNAL)
		return sentence_refuse(ret_sentence, "\"%s\" is no topic of the broker's own",
				       cmd->name);
	clash = metadata_clash(md, cmd->name);
	if (clash && !strcmp(clash->name, cmd->name)) {
		sentence_refuse(ret_sentence, "topic %s exists", cmd->name);
		return -EEXIST;
	}
	if (clash) {
		sentence_refuse(ret_sentence,
				"topic %s exists, and names that differ only in \".\" and \"_\""
				" clash",
				clash->name);
		return -EEXIST;
	}
	if (metadata_is_zero(cmd->topic_id) || metadata_topic(md, cmd->topic_id)) {
		sentence_refuse(ret_sentence, "the topic id is in use");
		return -EEXIST;
	}
	if (!cmd->partition_cnt || cmd->partition_cnt > PARTITION_CNT_MAX || cmd->mode > 07777)
		return sentence_refuse(ret_sentence, "a topic has 1 to %u partitions",
				       PARTITION_CNT_MAX);
	if (metadata_topic_cnt(md) == TOPIC_CNT_MAX) {
		sentence_refuse(ret_sentence, "there are %u topics, the most there can be",
				TOPIC_CNT_MAX);
		return -ENOSPC;
	}
	return 0;
}

/* Changes of a topic that has so many partitions. */
static int check_changes(const char *topic, uint32_t partition_cnt, const struct metadata_cmd *cmd,
			 char ret_sentence[SENTENCE_MAX])
{
	for (unsigned i = 0; i < cmd->change_cnt; i++) {
		const struct topic_change *c = &cmd->changes[i];
		int err = metadata_check_change(topic, c, ret_sentence);

		if (err)
			return err;
		if (c->setting != TOPIC_NUM_PARTITIONS)
			continue;
		if (c->num >= partition_cnt) {
			partition_cnt = (uint32_t)c->num;
			continue;
		}
		sentence_refuse(ret_sentence, "num.partitions only grows: it is %u, and %s%lld",
				partition_cnt, c->reset ? "the default is " : "cannot be ",
				(long long)c->num);
		return -EPERM;
	}
	return 0;
}

static int check_perms(const struct metadata_cmd *cmd, char ret_sentence[SENTENCE_MAX])
{
	if (cmd->perms_mask & ~(METADATA_MODE | METADATA_UID | METADATA_GID))
		return sentence_refuse(ret_sentence, "permissions that this build does not know");
	if (cmd->perms_mask & METADATA_MODE && cmd->mode > 07777)
		return sentence_refuse(ret_sentence, "mode %o is out of bounds",
				       (unsigned)cmd->mode);
	return 0;
}

/* Commands on a topic that exists. */
static int check_topic(const struct metadata *md, const struct metadata_cmd *cmd,
		       char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_topic *t = metadata_topic(md, cmd->topic_id);

	if (!t) {
		sentence_refuse(ret_sentence, "the topic is gone");
		return -ENOENT;
	}
	if (topic_name_is_internal(t->name)) {
		sentence_refuse(ret_sentence, "topic %s is the broker's own", t->name);
		return -EPERM;
	}
	if (cmd->kind == METADATA_CONFIG)
		return check_changes(t->name, t->partition_cnt, cmd, ret_sentence);
	return cmd->kind == METADATA_PERMS ? check_perms(cmd, ret_sentence) : 0;
}

static int check_group_create(const struct metadata *md, const struct metadata_cmd *cmd,
			      char ret_sentence[SENTENCE_MAX])
{
	int err = metadata_check_group_name(cmd->name, ret_sentence);

	if (err)
		return err;
	if (metadata_find_group(md, cmd->name)) {
		sentence_refuse(ret_sentence, "group %s exists", cmd->name);
		return -EEXIST;
	}
	if (metadata_is_zero(cmd->group_id) || metadata_group(md, cmd->group_id)) {
		sentence_refuse(ret_sentence, "the group id is in use");
		return -EEXIST;
	}
	if (cmd->mode > 07777)
		return sentence_refuse(ret_sentence, "mode %o is out of bounds",
				       (unsigned)cmd->mode);
	if (metadata_group_cnt(md) == GROUP_CNT_MAX) {
		sentence_refuse(ret_sentence, "there are %u groups, the most there can be",
				GROUP_CNT_MAX);
		return -ENOSPC;
	}
	return 0;
}

/* Commands on a group that exists. */
static int check_group(const struct metadata *md, const struct metadata_cmd *cmd,
		       char ret_sentence[SENTENCE_MAX])
{
	const struct metadata_group *g = metadata_group(md, cmd->group_id);

	if (!g) {
		sentence_refuse(ret_sentence, "the group is gone");
		return -ENOENT;
	}
	if (cmd->kind == METADATA_GROUP_PERMS)
		return check_perms(cmd, ret_sentence);
	if (cmd->kind == METADATA_GROUP_DELETE)
		return 0;
	for (unsigned i = 0; i < cmd->group_change_cnt; i++) {
		int err = group_change_check(&cmd->group_changes[i], ret_sentence);

		if (err)
			return err;
	}
	return group_changes_fit(g->name, &g->own, cmd->group_changes, cmd->group_change_cnt,
				 ret_sentence);
}

int metadata_check(const struct metadata *md, const struct metadata_cmd *cmd,
		   char ret_sentence[SENTENCE_MAX])
{
	int err;

	switch (cmd->kind) {
	case METADATA_NOOP:
		return 0;
	case METADATA_BROKER:
		return check_broker(md, cmd, ret_sentence);
	case METADATA_CREATE:
		return check_create(md, cmd, ret_sentence);
	case METADATA_CREATE_INTERNAL:
		err = check_create(md, cmd, ret_sentence);
		return err ? err : check_changes(cmd->name, cmd->partition_cnt, cmd, ret_sentence);
	case METADATA_DELETE:
	case METADATA_CONFIG:
	case METADATA_PERMS:
		return check_topic(md, cmd, ret_sentence);
	case METADATA_GROUP_CREATE:
		return check_group_create(md, cmd, ret_sentence);
	case METADATA_GROUP_DELETE:
	case METADATA_GROUP_CONFIG:
	case METADATA_GROUP_PERMS:
		return check_group(md, cmd, ret_sentence);
	}
	return sentence_refuse(ret_sentence, "no such command");
}

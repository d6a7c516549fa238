#include "raft/metadata_cmd.h"

#include <errno.h>

void metadata_put_str(struct buf *out, const char *s)
{
	size_t len = strlen(s);

	PRE(len <= METADATA_STR_MAX);
	buf_put_u8(out, (uint8_t)len);
	buf_put(out, s, len);
}

void metadata_get_str(struct cursor *c, size_t max, char *ret)
{
	size_t len = cur_get_u8(c);
	const char *s = len <= max ? cur_get(c, len) : NULL;

	*ret = '\0';
	if (!s || memchr(s, '\0', len)) {
		c->err = -EBADMSG;
		return;
	}
	memcpy(ret, s, len);
	ret[len] = '\0';
}

void metadata_get_id(struct cursor *c, uint8_t ret[16])
{
	const void *id = cur_get(c, 16);

	if (id)
		memcpy(ret, id, 16);
	else
		memset(ret, 0, 16);
}

static void put_change(struct buf *out, const struct setting *s, bool reset, int64_t num,
		       const char *text, size_t text_len)
{
	if (reset)
		text_len = 0;
	PRE(text_len <= UINT16_MAX);
	metadata_put_str(out, s->name);
	buf_put_u8(out, reset);
	buf_put_le64(out, (uint64_t)num);
	buf_put_le16(out, (uint16_t)text_len);
	buf_put(out, text, text_len);
}

/* The index of the setting in the table, or a negative errno. */
static int get_change(struct cursor *c, const struct setting *table, size_t cnt, bool *ret_reset,
		      int64_t *ret_num, const char **ret_text, size_t *ret_text_len)
{
	char name[METADATA_STR_MAX + 1];
	uint8_t reset;
	int idx;

	metadata_get_str(c, METADATA_STR_MAX, name);
	reset = cur_get_u8(c);
	*ret_reset = reset != 0;
	*ret_num = (int64_t)cur_get_le64(c);
	*ret_text_len = cur_get_le16(c);
	*ret_text = cur_get(c, *ret_text_len);
	if (reset > 1)
		c->err = -EBADMSG;
	if (c->err)
		return c->err;
	idx = setting_find(table, cnt, name, strlen(name));
	return idx < 0 ? -EPROTONOSUPPORT : idx;
}

void metadata_put_change(struct buf *out, const struct topic_change *change)
{
	PRE(change->setting < TOPIC_SETTING_CNT);
	put_change(out, &topic_settings[change->setting], change->reset, change->num, change->text,
		   change->text_len);
}

int metadata_get_change(struct cursor *c, struct topic_change *ret)
{
	int idx = get_change(c, topic_settings, TOPIC_SETTING_CNT, &ret->reset, &ret->num,
			     &ret->text, &ret->text_len);

	if (idx < 0)
		return idx;
	ret->setting = (enum topic_setting)idx;
	return 0;
}

void metadata_put_group_change(struct buf *out, const struct group_change *change)
{
	PRE(change->setting < GROUP_SETTING_CNT);
	put_change(out, &group_setting_table[change->setting], change->reset, change->num,
		   change->text, change->text_len);
}

int metadata_get_group_change(struct cursor *c, struct group_change *ret)
{
	int idx = get_change(c, group_setting_table, GROUP_SETTING_CNT, &ret->reset, &ret->num,
			     &ret->text, &ret->text_len);

	if (idx < 0)
		return idx;
	ret->setting = (enum group_setting)idx;
	return 0;
}

static void put_broker(struct buf *out, const struct metadata_cmd *cmd)
{
	buf_put_le32(out, cmd->node);
	buf_put(out, cmd->directory_id, 16);
	buf_put_le64(out, cmd->incarnation);
	metadata_put_str(out, cmd->address);
	metadata_put_str(out, cmd->rack);
}

static void put_owner(struct buf *out, const struct metadata_cmd *cmd)
{
	buf_put_le32(out, cmd->uid);
	buf_put_le32(out, cmd->gid);
	buf_put_le16(out, cmd->mode);
}

static void put_changes(struct buf *out, const struct metadata_cmd *cmd)
{
	PRE(cmd->change_cnt <= TOPIC_CHANGE_MAX);
	buf_put_u8(out, (uint8_t)cmd->change_cnt);
	for (unsigned i = 0; i < cmd->change_cnt; i++)
		metadata_put_change(out, &cmd->changes[i]);
}

static void put_group_changes(struct buf *out, const struct metadata_cmd *cmd)
{
	PRE(cmd->group_change_cnt <= GROUP_CHANGE_MAX);
	buf_put_u8(out, (uint8_t)cmd->group_change_cnt);
	for (unsigned i = 0; i < cmd->group_change_cnt; i++)
		metadata_put_group_change(out, &cmd->group_changes[i]);
}

static bool has_id(enum metadata_kind kind)
{
	return kind != METADATA_NOOP && kind != METADATA_BROKER;
}

void metadata_cmd_encode(const struct metadata_cmd *cmd, struct buf *out)
{
	buf_put_u8(out, METADATA_CMD_VERSION);
	buf_put_u8(out, (uint8_t)cmd->kind);
	buf_put(out, cmd->origin.directory_id, 16);
	buf_put_le64(out, cmd->origin.incarnation);
	buf_put_le64(out, cmd->origin.number);
	buf_put_le64(out, (uint64_t)cmd->time_ms);
	if (has_id(cmd->kind))
		buf_put(out, metadata_cmd_id(cmd), 16);
	switch (cmd->kind) {
	case METADATA_NOOP:
	case METADATA_DELETE:
	case METADATA_GROUP_DELETE:
		break;
	case METADATA_BROKER:
		put_broker(out, cmd);
		break;
	case METADATA_CREATE:
	case METADATA_CREATE_INTERNAL:
		buf_put_le32(out, cmd->partition_cnt);
		put_owner(out, cmd);
		metadata_put_str(out, cmd->name);
		if (cmd->kind == METADATA_CREATE_INTERNAL)
			put_changes(out, cmd);
		break;
	case METADATA_GROUP_CREATE:
		put_owner(out, cmd);
		metadata_put_str(out, cmd->name);
		break;
	case METADATA_CONFIG:
		put_changes(out, cmd);
		break;
	case METADATA_GROUP_CONFIG:
		put_group_changes(out, cmd);
		break;
	case METADATA_PERMS:
	case METADATA_GROUP_PERMS:
		buf_put_u8(out, cmd->perms_mask);
		put_owner(out, cmd);
		break;
	}
}

static int get_changes(struct cursor *c, struct metadata_cmd *cmd)
{
	unsigned cnt = cur_get_u8(c);

	if (cnt > TOPIC_CHANGE_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < cnt; i++) {
		int err = metadata_get_change(c, &cmd->changes[i]);

		if (err)
			return err;
	}
	cmd->change_cnt = cnt;
	return 0;
}

static int get_group_changes(struct cursor *c, struct metadata_cmd *cmd)
{
	unsigned cnt = cur_get_u8(c);

	if (cnt > GROUP_CHANGE_MAX)
		return -EBADMSG;
	for (unsigned i = 0; i < cnt; i++) {
		int err = metadata_get_group_change(c, &cmd->group_changes[i]);

		if (err)
			return err;
	}
	cmd->group_change_cnt = cnt;
	return 0;
}

static void get_owner(struct cursor *c, struct metadata_cmd *cmd)
{
	cmd->uid = cur_get_le32(c);
	cmd->gid = cur_get_le32(c);
	cmd->mode = cur_get_le16(c);
}

static int get_payload(struct cursor *c, struct metadata_cmd *cmd)
{
	switch (cmd->kind) {
	case METADATA_NOOP:
	case METADATA_DELETE:
	case METADATA_GROUP_DELETE:
		return 0;
	case METADATA_BROKER:
		cmd->node = cur_get_le32(c);
		metadata_get_id(c, cmd->directory_id);
		cmd->incarnation = cur_get_le64(c);
		metadata_get_str(c, METADATA_STR_MAX, cmd->address);
		metadata_get_str(c, METADATA_STR_MAX, cmd->rack);
		return 0;
	case METADATA_CREATE:
	case METADATA_CREATE_INTERNAL:
		cmd->partition_cnt = cur_get_le32(c);
		get_owner(c, cmd);
		metadata_get_str(c, TOPIC_NAME_MAX, cmd->name);
		return cmd->kind == METADATA_CREATE_INTERNAL ? get_changes(c, cmd) : 0;
	case METADATA_GROUP_CREATE:
		get_owner(c, cmd);
		metadata_get_str(c, GROUP_NAME_MAX, cmd->name);
		return 0;
	case METADATA_CONFIG:
		return get_changes(c, cmd);
	case METADATA_GROUP_CONFIG:
		return get_group_changes(c, cmd);
	case METADATA_PERMS:
	case METADATA_GROUP_PERMS:
		cmd->perms_mask = cur_get_u8(c);
		get_owner(c, cmd);
		return 0;
	}
	return -EPROTONOSUPPORT;
}

int metadata_cmd_decode(const void *data, size_t len, struct metadata_cmd *ret)
{
	struct metadata_cmd cmd = { 0 };
	struct cursor c;
	uint8_t version;
	int err;

	cur_init(&c, data, len);
	version = cur_get_u8(&c);
	cmd.kind = (enum metadata_kind)cur_get_u8(&c);
	metadata_get_id(&c, cmd.origin.directory_id);
	cmd.origin.incarnation = cur_get_le64(&c);
	cmd.origin.number = cur_get_le64(&c);
	cmd.time_ms = (int64_t)cur_get_le64(&c);
	if (c.err)
		return -EBADMSG;
	if (version != METADATA_CMD_VERSION || cmd.kind < METADATA_NOOP ||
	    cmd.kind > METADATA_CREATE_INTERNAL)
		return -EPROTONOSUPPORT;
	if (has_id(cmd.kind))
		metadata_get_id(&c, metadata_kind_is_group(cmd.kind) ? cmd.group_id : cmd.topic_id);
	err = get_payload(&c, &cmd);
	if (err)
		return err;
	if (c.err || cur_left(&c))
		return -EBADMSG;
	*ret = cmd;
	return 0;
}

const char *metadata_kind_name(enum metadata_kind kind)
{
	switch (kind) {
	case METADATA_NOOP:
		return "noop";
	case METADATA_BROKER:
		return "broker";
	case METADATA_CREATE:
		return "create";
	case METADATA_DELETE:
		return "delete";
	case METADATA_CONFIG:
		return "config";
	case METADATA_PERMS:
		return "perms";
	case METADATA_GROUP_CREATE:
		return "group-create";
	case METADATA_GROUP_DELETE:
		return "group-delete";
	case METADATA_GROUP_CONFIG:
		return "group-config";
	case METADATA_GROUP_PERMS:
		return "group-perms";
	case METADATA_CREATE_INTERNAL:
		return "create-internal";
	}
	return "unknown";
}

const uint8_t *metadata_cmd_id(const struct metadata_cmd *cmd)
{
	return metadata_kind_is_group(cmd->kind) ? cmd->group_id : cmd->topic_id;
}

bool metadata_kind_is_group(enum metadata_kind kind)
{
	return kind >= METADATA_GROUP_CREATE && kind <= METADATA_GROUP_PERMS;
}

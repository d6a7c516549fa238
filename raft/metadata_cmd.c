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

void metadata_put_change(struct buf *out, const struct topic_change *change)
{
	size_t text_len = change->reset ? 0 : change->text_len;

	PRE(change->setting < TOPIC_SETTING_CNT && text_len <= UINT16_MAX);
	metadata_put_str(out, topic_settings[change->setting].name);
	buf_put_u8(out, change->reset);
	buf_put_le64(out, (uint64_t)change->num);
	buf_put_le16(out, (uint16_t)text_len);
	buf_put(out, change->text, text_len);
}

int metadata_get_change(struct cursor *c, struct topic_change *ret)
{
	char name[METADATA_STR_MAX + 1];
	uint8_t reset;
	int idx;

	metadata_get_str(c, METADATA_STR_MAX, name);
	reset = cur_get_u8(c);
	*ret = (struct topic_change){ .reset = reset != 0, .num = (int64_t)cur_get_le64(c) };
	ret->text_len = cur_get_le16(c);
	ret->text = cur_get(c, ret->text_len);
	if (reset > 1)
		c->err = -EBADMSG;
	if (c->err)
		return c->err;
	idx = setting_find(topic_settings, TOPIC_SETTING_CNT, name, strlen(name));
	if (idx < 0)
		return -EPROTONOSUPPORT;
	ret->setting = (enum topic_setting)idx;
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

void metadata_cmd_encode(const struct metadata_cmd *cmd, struct buf *out)
{
	buf_put_u8(out, METADATA_CMD_VERSION);
	buf_put_u8(out, (uint8_t)cmd->kind);
	buf_put(out, cmd->origin.directory_id, 16);
	buf_put_le64(out, cmd->origin.incarnation);
	buf_put_le64(out, cmd->origin.number);
	buf_put_le64(out, (uint64_t)cmd->time_ms);
	if (cmd->kind != METADATA_NOOP && cmd->kind != METADATA_BROKER)
		buf_put(out, cmd->topic_id, 16);
	switch (cmd->kind) {
	case METADATA_NOOP:
	case METADATA_DELETE:
		break;
	case METADATA_BROKER:
		put_broker(out, cmd);
		break;
	case METADATA_CREATE:
		buf_put_le32(out, cmd->partition_cnt);
		buf_put_le32(out, cmd->uid);
		buf_put_le32(out, cmd->gid);
		buf_put_le16(out, cmd->mode);
		metadata_put_str(out, cmd->name);
		break;
	case METADATA_CONFIG:
		PRE(cmd->change_cnt <= TOPIC_CHANGE_MAX);
		buf_put_u8(out, (uint8_t)cmd->change_cnt);
		for (unsigned i = 0; i < cmd->change_cnt; i++)
			metadata_put_change(out, &cmd->changes[i]);
		break;
	case METADATA_PERMS:
		buf_put_u8(out, cmd->perms_mask);
		buf_put_le32(out, cmd->uid);
		buf_put_le32(out, cmd->gid);
		buf_put_le16(out, cmd->mode);
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

static int get_payload(struct cursor *c, struct metadata_cmd *cmd)
{
	switch (cmd->kind) {
	case METADATA_NOOP:
	case METADATA_DELETE:
		return 0;
	case METADATA_BROKER:
		cmd->node = cur_get_le32(c);
		metadata_get_id(c, cmd->directory_id);
		cmd->incarnation = cur_get_le64(c);
		metadata_get_str(c, METADATA_STR_MAX, cmd->address);
		metadata_get_str(c, METADATA_STR_MAX, cmd->rack);
		return 0;
	case METADATA_CREATE:
		cmd->partition_cnt = cur_get_le32(c);
		cmd->uid = cur_get_le32(c);
		cmd->gid = cur_get_le32(c);
		cmd->mode = cur_get_le16(c);
		metadata_get_str(c, TOPIC_NAME_MAX, cmd->name);
		return 0;
	case METADATA_CONFIG:
		return get_changes(c, cmd);
	case METADATA_PERMS:
		cmd->perms_mask = cur_get_u8(c);
		cmd->uid = cur_get_le32(c);
		cmd->gid = cur_get_le32(c);
		cmd->mode = cur_get_le16(c);
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
	    cmd.kind > METADATA_PERMS)
		return -EPROTONOSUPPORT;
	if (cmd.kind != METADATA_NOOP && cmd.kind != METADATA_BROKER)
		metadata_get_id(&c, cmd.topic_id);
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
	}
	return "unknown";
}

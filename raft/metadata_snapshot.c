/*
 * Snapshots of the metadata. All numbers little-endian; str8 is a length byte and so many bytes.
 *
 *   "TFMD", u32 version (1), u64 length of the payload, payload, u64 XXH3-64 of all before
 *
 * The payload:
 *   16 cluster id, u64 applied index, u64 term, u64 generation
 *   u32 count, topics in the order of names:
 *       str8 name, 16 id, u32 partitions, u32 uid, u32 gid, u16 mode,
 *       i64 created, i64 config changed, i64 permissions changed,
 *       u8 count, own settings in the order of the table as in a CONFIG command (metadata_cmd.h)
 *   u32 count, brokers in the order of node ids:
 *       u32 node, 16 directory id, u64 incarnation, i64 registered, str8 address, str8 rack
 *   u32 count, forwarders in the order of directory ids:
 *       16 directory id, u64 incarnation, u64 last index, u64 floor, u32 count, answers:
 *           u64 number, i32 errno, 16 topic id, u16 length, sentence
 *
 * One state has one encoding. The decoder believes nothing but the checksum's arithmetic: orders,
 * bounds and clashes are checked again, so that a wrong snapshot is -EBADMSG and never a broken
 * invariant.
 */
#include "daemon/base/hash.h"
#include "raft/metadata_state.h"

#include <errno.h>

#define SNAPSHOT_MAGIC 0x444d4654U /* "TFMD" */
#define SNAPSHOT_VERSION 1
#define SNAPSHOT_HEAD_LEN 16
#define SNAPSHOT_SUM_LEN 8

static void put_topic(struct buf *out, const struct metadata_topic *t)
{
	unsigned cnt = (unsigned)__builtin_popcount(t->own.set);

	metadata_put_str(out, t->name);
	buf_put(out, t->id, 16);
	buf_put_le32(out, t->partition_cnt);
	buf_put_le32(out, t->uid);
	buf_put_le32(out, t->gid);
	buf_put_le16(out, t->mode);
	buf_put_le64(out, (uint64_t)t->created_ms);
	buf_put_le64(out, (uint64_t)t->config_ms);
	buf_put_le64(out, (uint64_t)t->perms_ms);
	buf_put_u8(out, (uint8_t)cnt);
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++) {
		struct topic_change c = { .setting = (enum topic_setting)i };

		if (!(t->own.set >> i & 1))
			continue;
		if (i == TOPIC_NUM_PARTITIONS) {
			c.num = t->partition_cnt;
		} else if (topic_settings[i].type == SETTING_TEXT) {
			c.text = t->own.hot_keys;
			c.text_len = strlen(c.text);
		} else {
			c.num = setting_get_num(&topic_settings[i], &t->own);
		}
		metadata_put_change(out, &c);
	}
}

static void put_forwarder(struct buf *out, const struct metadata_forwarder *f)
{
	buf_put(out, f->directory_id, 16);
	buf_put_le64(out, f->incarnation);
	buf_put_le64(out, f->last_index);
	buf_put_le64(out, f->floor);
	buf_put_le32(out, f->answer_cnt);
	for (uint32_t i = 0; i < f->answer_cnt; i++) {
		const struct metadata_answer *a = &f->answers[i];
		size_t len = a->sentence ? strlen(a->sentence) : 0;

		buf_put_le64(out, a->number);
		buf_put_le32(out, (uint32_t)a->err);
		buf_put(out, a->topic_id, 16);
		buf_put_le16(out, (uint16_t)len);
		buf_put(out, a->sentence, len);
	}
}

void metadata_encode(const struct metadata *md, struct buf *out)
{
	size_t start = out->len;

	buf_put_le32(out, SNAPSHOT_MAGIC);
	buf_put_le32(out, SNAPSHOT_VERSION);
	buf_put_le64(out, 0);
	buf_put(out, md->cluster_id, 16);
	buf_put_le64(out, md->applied_index);
	buf_put_le64(out, md->applied_term);
	buf_put_le64(out, md->generation);
	buf_put_le32(out, md->topic_cnt);
	for (uint32_t i = 0; i < md->topic_cnt; i++)
		put_topic(out, md->topics[i]);
	buf_put_le32(out, md->broker_cnt);
	for (uint32_t i = 0; i < md->broker_cnt; i++) {
		const struct metadata_broker *b = &md->brokers[i];

		buf_put_le32(out, b->node);
		buf_put(out, b->directory_id, 16);
		buf_put_le64(out, b->incarnation);
		buf_put_le64(out, (uint64_t)b->registered_ms);
		metadata_put_str(out, b->address);
		metadata_put_str(out, b->rack);
	}
	buf_put_le32(out, md->forwarder_cnt);
	for (uint32_t i = 0; i < md->forwarder_cnt; i++)
		put_forwarder(out, md->forwarders[i]);
	if (out->err)
		return;
	buf_set_le64(out, start + 8, out->len - start - SNAPSHOT_HEAD_LEN);
	buf_put_le64(out, hash_xxh3(out->data + start, out->len - start));
}

/* Whether put_topic() would write it so: a text has no number, a number no text. */
static bool is_canonical(const struct topic_change *change)
{
	return topic_settings[change->setting].type == SETTING_TEXT ? !change->num
								    : !change->text_len;
}

static int get_own(struct cursor *c, struct metadata_topic *t)
{
	char sentence[SENTENCE_MAX];
	unsigned cnt = cur_get_u8(c);

	if (cnt > TOPIC_SETTING_CNT)
		return -EBADMSG;
	for (unsigned i = 0; i < cnt; i++) {
		struct topic_change change;
		int err = metadata_get_change(c, &change);

		if (err)
			return err;
		if (change.reset || !is_canonical(&change) ||
		    topic_change_check(&change, sentence) ||
		    topic_change_check_for(t->name, &change, sentence) ||
		    t->own.set >> change.setting ||
		    (change.setting == TOPIC_NUM_PARTITIONS && change.num != t->partition_cnt))
			return -EBADMSG;
		topic_config_put(&t->own, &change);
		if (!(t->own.set >> change.setting))
			return -EBADMSG;
	}
	return 0;
}

static int get_topic(struct cursor *c, struct metadata *md)
{
	struct metadata_topic *t = metadata_alloc(1, sizeof(*t));
	char sentence[SENTENCE_MAX];
	int err;

	metadata_get_str(c, TOPIC_NAME_MAX, t->name);
	metadata_get_id(c, t->id);
	t->partition_cnt = cur_get_le32(c);
	t->uid = cur_get_le32(c);
	t->gid = cur_get_le32(c);
	t->mode = cur_get_le16(c);
	t->created_ms = (int64_t)cur_get_le64(c);
	t->config_ms = (int64_t)cur_get_le64(c);
	t->perms_ms = (int64_t)cur_get_le64(c);
	err = get_own(c, t);
	if (!err && (c->err || metadata_check_name(t->name, sentence) || metadata_is_zero(t->id) ||
		     !t->partition_cnt || t->partition_cnt > PARTITION_CNT_MAX || t->mode > 07777 ||
		     metadata_clash(md, t->name) || metadata_find_topic_id(md, t->id) ||
		     metadata_topic_after(md, t->name) != md->topic_cnt))
		err = -EBADMSG;
	if (err)
		metadata_free_topic(t);
	else
		metadata_link_topic(md, t);
	return err;
}

static int get_broker(struct cursor *c, struct metadata *md)
{
	struct metadata_broker b = { .node = cur_get_le32(c) };
	uint32_t cnt = md->broker_cnt;

	metadata_get_id(c, b.directory_id);
	b.incarnation = cur_get_le64(c);
	b.registered_ms = (int64_t)cur_get_le64(c);
	metadata_get_str(c, METADATA_STR_MAX, b.address);
	metadata_get_str(c, METADATA_STR_MAX, b.rack);
	if (c->err || metadata_is_zero(b.directory_id) ||
	    (cnt && md->brokers[cnt - 1].node >= b.node))
		return -EBADMSG;
	for (uint32_t i = 0; i < cnt; i++)
		if (!memcmp(md->brokers[i].directory_id, b.directory_id, 16))
			return -EBADMSG;
	*metadata_insert_broker(md, b.node) = b;
	return 0;
}

static int get_answer(struct cursor *c, struct metadata_forwarder *f)
{
	uint64_t number = cur_get_le64(c);
	int32_t err = (int32_t)cur_get_le32(c);
	char sentence[SENTENCE_MAX];
	uint8_t topic_id[16];
	const char *text;
	size_t len;

	metadata_get_id(c, topic_id);
	len = cur_get_le16(c);
	text = cur_get(c, len);
	if (c->err || len >= SENTENCE_MAX || memchr(text, '\0', len) || err > 0 || err < -4095)
		return -EBADMSG;
	memcpy(sentence, text, len);
	sentence[len] = '\0';
	for (uint32_t i = 0; i < f->answer_cnt; i++)
		if (f->answers[i].number == number)
			return -EBADMSG;
	metadata_put_answer(f, number, err, topic_id, sentence);
	return 0;
}

static int get_forwarder(struct cursor *c, struct metadata *md)
{
	struct metadata_forwarder *f;
	uint64_t incarnation, last_index, floor;
	uint8_t id[16];
	uint32_t cnt;

	metadata_get_id(c, id);
	incarnation = cur_get_le64(c);
	last_index = cur_get_le64(c);
	floor = cur_get_le64(c);
	cnt = cur_get_le32(c);
	if (c->err || metadata_is_zero(id) || cnt > METADATA_ANSWER_CNT ||
	    last_index > md->applied_index ||
	    (md->forwarder_cnt &&
	     memcmp(md->forwarders[md->forwarder_cnt - 1]->directory_id, id, 16) >= 0))
		return -EBADMSG;
	f = metadata_insert_forwarder(md, id);
	f->incarnation = incarnation;
	f->last_index = last_index;
	f->floor = floor;
	for (uint32_t i = 0; i < cnt; i++) {
		int err = get_answer(c, f);

		if (err)
			return err;
	}
	return 0;
}

/* A counted list of one kind. */
static int get_list(struct cursor *c, struct metadata *md, uint32_t max,
		    int (*get)(struct cursor *, struct metadata *))
{
	uint32_t cnt = cur_get_le32(c);
	int err = cnt > max ? -EBADMSG : 0;

	for (uint32_t i = 0; i < cnt && !err; i++)
		err = get(c, md);
	return err;
}

/* Checks what stands around the payload and points the cursor at it. */
static int open_envelope(const uint8_t *data, size_t len, struct cursor *ret_payload)
{
	struct cursor c;
	uint32_t magic, version;
	uint64_t payload_len;

	cur_init(&c, data, len);
	magic = cur_get_le32(&c);
	version = cur_get_le32(&c);
	payload_len = cur_get_le64(&c);
	if (c.err || magic != SNAPSHOT_MAGIC || !version)
		return -EBADMSG;
	if (version > SNAPSHOT_VERSION)
		return -EPROTONOSUPPORT;
	if (len < SNAPSHOT_HEAD_LEN + SNAPSHOT_SUM_LEN ||
	    payload_len != len - SNAPSHOT_HEAD_LEN - SNAPSHOT_SUM_LEN ||
	    le64_load(data + len - SNAPSHOT_SUM_LEN) != hash_xxh3(data, len - SNAPSHOT_SUM_LEN))
		return -EBADMSG;
	cur_init(ret_payload, data + SNAPSHOT_HEAD_LEN, payload_len);
	return 0;
}

int metadata_decode(const void *data, size_t len, struct metadata **ret)
{
	struct metadata *md;
	struct cursor c;
	uint8_t cluster_id[16];
	int err = open_envelope(data, len, &c);

	if (err)
		return err;
	metadata_get_id(&c, cluster_id);
	md = metadata_new(cluster_id);
	if (!md)
		return -ENOMEM;
	md->applied_index = cur_get_le64(&c);
	md->applied_term = cur_get_le64(&c);
	md->generation = cur_get_le64(&c);
	err = get_list(&c, md, TOPIC_CNT_MAX, get_topic);
	if (!err)
		err = get_list(&c, md, METADATA_BROKER_MAX, get_broker);
	if (!err)
		err = get_list(&c, md, METADATA_FORWARDER_MAX, get_forwarder);
	if (!err && (c.err || cur_left(&c)))
		err = -EBADMSG;
	if (err)
		metadata_free(md);
	else
		*ret = md;
	return err;
}

#include "daemon/store/format.h"

#include "daemon/base/hash.h"
#include "daemon/base/limits.h"

#include <errno.h>

#define BATCH_ATTRS (BATCH_PLAIN | BATCH_LOG_APPEND_TIME | BATCH_TRANSACTIONAL | BATCH_CONTROL)

void format_put_head(struct buf *b, const struct segment_head *h)
{
	size_t at = b->len, name_len = strlen(h->data_name);

	PRE(name_len < sizeof(h->data_name));
	buf_put_le32(b, FORMAT_HEAD_MAGIC);
	buf_put_le16(b, FORMAT_VERSION);
	buf_put_le16(b, FORMAT_HEAD_LEN);
	buf_put_le64(b, 0);
	buf_put(b, h->topic_id, sizeof(h->topic_id));
	buf_put_le32(b, h->partition);
	buf_put_le32(b, h->generation);
	buf_put_le64(b, (uint64_t)h->base_offset);
	buf_put_le64(b, h->base_pos);
	buf_put_le64(b, (uint64_t)h->prev_max_ts_ms);
	buf_put_le64(b, h->seed);
	buf_put_le64(b, (uint64_t)h->created_ms);
	buf_put(b, h->data_name, name_len);
	buf_put_zero(b, FORMAT_HEAD_LEN - 80 - name_len);
	if (buf_err(b))
		return;
	POST(b->len - at == FORMAT_HEAD_LEN);
	buf_set_le64(b, at + 8, hash_xxh3(b->data + at + 16, FORMAT_HEAD_LEN - 16));
}

int format_get_head(const void *data, size_t len, struct segment_head *ret)
{
	struct segment_head h;
	struct cursor c;
	uint16_t version, head_len;
	uint64_t hash;

	if (len < FORMAT_HEAD_LEN)
		return -EBADMSG;
	cur_init(&c, data, FORMAT_HEAD_LEN);
	if (cur_get_le32(&c) != FORMAT_HEAD_MAGIC)
		return -EBADMSG;
	version = cur_get_le16(&c);
	head_len = cur_get_le16(&c);
	hash = cur_get_le64(&c);
	if (version > FORMAT_VERSION)
		return -EPROTONOSUPPORT;
	if (version != FORMAT_VERSION || head_len != FORMAT_HEAD_LEN ||
	    hash != hash_xxh3((const uint8_t *)data + 16, FORMAT_HEAD_LEN - 16))
		return -EBADMSG;
	memcpy(h.topic_id, cur_get(&c, 16), 16);
	h.partition = cur_get_le32(&c);
	h.generation = cur_get_le32(&c);
	h.base_offset = (int64_t)cur_get_le64(&c);
	h.base_pos = cur_get_le64(&c);
	h.prev_max_ts_ms = (int64_t)cur_get_le64(&c);
	h.seed = cur_get_le64(&c);
	h.created_ms = (int64_t)cur_get_le64(&c);
	memcpy(h.data_name, cur_get(&c, 64), 64);
	h.data_name[64] = 0;
	if (h.base_offset < 0 || h.base_pos > INT64_MAX || !h.data_name[0] ||
	    strchr(h.data_name, '/'))
		return -EBADMSG;
	*ret = h;
	return 0;
}

static void put_sections(struct buf *b, const struct batch_head *h, const struct record *recs)
{
	for (uint32_t i = 0; i < h->cnt; i++) {
		const struct record *r = &recs[i];

		buf_put_le32(b, r->value_len);
		buf_put_le32(b, r->key_len);
		buf_put_le32(b, r->headers_len);
		buf_put_le32(b, 0);
		buf_put_le64(b, (uint64_t)r->timestamp_ms - (uint64_t)h->base_ts_ms);
	}
	for (uint32_t i = 0; i < h->cnt; i++) {
		if (recs[i].key_len != RECORD_NULL && recs[i].key_len)
			buf_put(b, recs[i].key, recs[i].key_len);
		if (recs[i].headers_len)
			buf_put(b, recs[i].headers, recs[i].headers_len);
	}
}

static uint32_t keys_len(const struct batch_head *h, const struct record *recs)
{
	uint64_t sum = 0;

	for (uint32_t i = 0; i < h->cnt; i++) {
		sum += recs[i].key_len == RECORD_NULL ? 0 : recs[i].key_len;
		sum += recs[i].headers_len;
	}
	PRE(sum <= SEGMENT_BYTES_MAX);
	return (uint32_t)sum;
}

void format_put_batch(struct buf *b, struct batch_head *h, const struct record *recs, uint64_t seed)
{
	size_t at = b->len;

	PRE(h->cnt > 0);
	PRE(!(h->attr & BATCH_PLAIN) == (recs != NULL));
	PRE((uint64_t)h->cnt * FORMAT_ENTRY_LEN <= SEGMENT_BYTES_MAX || !recs);
	h->table_len = recs ? h->cnt * FORMAT_ENTRY_LEN : 0;
	h->keys_len = recs ? keys_len(h, recs) : 0;
	h->total_len = FORMAT_BATCH_LEN + h->table_len + h->keys_len;
	if (buf_reserve(b, h->total_len))
		return;
	buf_put_le32(b, FORMAT_BATCH_MAGIC);
	buf_put_le16(b, FORMAT_VERSION);
	buf_put_le16(b, FORMAT_BATCH_LEN);
	buf_put_le64(b, 0);
	buf_put_le32(b, h->total_len);
	buf_put_le32(b, h->table_len);
	buf_put_le32(b, h->keys_len);
	buf_put_le32(b, h->cnt);
	buf_put_le64(b, h->meta_pos);
	buf_put_le64(b, h->values_hash);
	buf_put_le64(b, (uint64_t)h->base_offset);
	buf_put_le64(b, h->plain_pos);
	buf_put_le64(b, h->data_pos);
	buf_put_le32(b, h->plain_len);
	buf_put_le32(b, h->data_len);
	buf_put_le64(b, (uint64_t)h->base_ts_ms);
	buf_put_le64(b, (uint64_t)h->max_ts_ms);
	buf_put_le64(b, (uint64_t)h->producer_id);
	buf_put_le32(b, (uint32_t)h->base_sequence);
	buf_put_le16(b, (uint16_t)h->producer_epoch);
	buf_put_le16(b, h->attr);
	buf_put_le32(b, (uint32_t)h->leader_epoch);
	buf_put_le32(b, 0);
	if (recs)
		put_sections(b, h, recs);
	if (buf_err(b))
		return;
	POST(b->len - at == h->total_len);
	buf_set_le64(b, at + 8, hash_xxh3_seed(b->data + at + 16, h->total_len - 16, seed));
}

static bool head_agrees(const struct batch_head *h)
{
	uint64_t total = (uint64_t)FORMAT_BATCH_LEN + h->table_len + h->keys_len;

	if (h->attr & ~BATCH_ATTRS || !h->cnt || h->total_len != total ||
	    h->total_len > SEGMENT_BYTES_MAX || h->data_len > SEGMENT_BYTES_MAX ||
	    h->plain_len != h->data_len)
		return false;
	if (h->base_offset < 0 || h->base_offset > INT64_MAX - h->cnt ||
	    h->plain_pos > INT64_MAX - (uint64_t)SEGMENT_BYTES_MAX ||
	    h->data_pos > INT64_MAX - (uint64_t)SEGMENT_BYTES_MAX || h->max_ts_ms < h->base_ts_ms)
		return false;
	if (h->attr & BATCH_CONTROL ? h->data_len != 0 : h->data_len < h->cnt)
		return false;
	if (h->attr & BATCH_PLAIN)
		return !(h->attr & BATCH_CONTROL) && !h->table_len && !h->keys_len &&
		       h->max_ts_ms == h->base_ts_ms;
	return h->table_len == (uint64_t)h->cnt * FORMAT_ENTRY_LEN;
}

int format_get_batch(const void *data, size_t len, uint64_t meta_pos, struct batch_head *ret)
{
	struct batch_head h;
	struct cursor c;

	if (len < FORMAT_BATCH_LEN)
		return -EBADMSG;
	cur_init(&c, data, FORMAT_BATCH_LEN);
	if (cur_get_le32(&c) != FORMAT_BATCH_MAGIC || cur_get_le16(&c) != FORMAT_VERSION ||
	    cur_get_le16(&c) != FORMAT_BATCH_LEN)
		return -EBADMSG;
	cur_get_le64(&c);
	h.total_len = cur_get_le32(&c);
	h.table_len = cur_get_le32(&c);
	h.keys_len = cur_get_le32(&c);
	h.cnt = cur_get_le32(&c);
	h.meta_pos = cur_get_le64(&c);
	h.values_hash = cur_get_le64(&c);
	h.base_offset = (int64_t)cur_get_le64(&c);
	h.plain_pos = cur_get_le64(&c);
	h.data_pos = cur_get_le64(&c);
	h.plain_len = cur_get_le32(&c);
	h.data_len = cur_get_le32(&c);
	h.base_ts_ms = (int64_t)cur_get_le64(&c);
	h.max_ts_ms = (int64_t)cur_get_le64(&c);
	h.producer_id = (int64_t)cur_get_le64(&c);
	h.base_sequence = (int32_t)cur_get_le32(&c);
	h.producer_epoch = (int16_t)cur_get_le16(&c);
	h.attr = cur_get_le16(&c);
	h.leader_epoch = (int32_t)cur_get_le32(&c);
	if (h.meta_pos != meta_pos || !head_agrees(&h))
		return -EBADMSG;
	*ret = h;
	return 0;
}

/* Whether these bytes are headers in stored form and nothing else. */
static bool headers_are_whole(const void *data, uint32_t len)
{
	struct cursor c;

	cur_init(&c, data, len);
	while (cur_left(&c)) {
		const uint8_t *name, *value;
		uint32_t name_len, value_len;

		if (record_header_next(&c, &name, &name_len, &value, &value_len))
			return false;
	}
	return true;
}

/* Differences of timestamps wrap around, so that any two can stand in one batch. */
static int64_t entry_ts(const uint8_t *entry, const struct batch_head *h)
{
	return (int64_t)((uint64_t)h->base_ts_ms + le64_load(entry + 16));
}

int format_check_batch(const void *data, const struct batch_head *h, uint64_t seed)
{
	const uint8_t *p = data, *e = p + FORMAT_BATCH_LEN, *keys = e + h->table_len;
	uint64_t keys_left = h->keys_len, values = 0;
	int64_t max_ts = INT64_MIN;

	if (le64_load(p + 8) != hash_xxh3_seed(p + 16, h->total_len - 16, seed))
		return -EBADMSG;
	if (h->attr & BATCH_PLAIN)
		return 0;
	for (uint32_t i = 0; i < h->cnt; i++, e += FORMAT_ENTRY_LEN) {
		uint32_t value_len = le32_load(e), key_len = le32_load(e + 4);
		uint32_t headers_len = le32_load(e + 8);
		int64_t ts;

		values += value_len == RECORD_NULL ? 1 : (uint64_t)value_len + 1;
		key_len = key_len == RECORD_NULL ? 0 : key_len;
		if ((uint64_t)key_len + headers_len > keys_left)
			return -EBADMSG;
		if (!headers_are_whole(keys + key_len, headers_len))
			return -EBADMSG;
		keys += key_len + (size_t)headers_len;
		keys_left -= key_len + (uint64_t)headers_len;
		ts = entry_ts(e, h);
		max_ts = MAX(max_ts, ts);
		if (h->attr & BATCH_CONTROL && value_len != RECORD_NULL)
			return -EBADMSG;
	}
	if (keys_left || max_ts != h->max_ts_ms)
		return -EBADMSG;
	return h->attr & BATCH_CONTROL || values == h->data_len ? 0 : -EBADMSG;
}

/* Lines end at their newlines. */
static int get_lines(const uint8_t *values, const struct batch_head *h, struct record *recs)
{
	const uint8_t *p = values, *end = values + h->data_len;

	for (uint32_t i = 0; i < h->cnt; i++) {
		const uint8_t *nl = p < end ? memchr(p, '\n', (size_t)(end - p)) : NULL;

		if (!nl)
			return -EBADMSG;
		recs[i] = (struct record){
			.value = p,
			.value_len = (uint32_t)(nl - p),
			.key_len = RECORD_NULL,
			.timestamp_ms = h->base_ts_ms,
			.offset = h->base_offset + i,
		};
		p = nl + 1;
	}
	return p == end ? 0 : -EBADMSG;
}

int format_get_records(const void *desc, const void *values, const struct batch_head *h,
		       struct record *recs)
{
	const uint8_t *e = (const uint8_t *)desc + FORMAT_BATCH_LEN, *keys = e + h->table_len;
	const uint8_t *v = values;

	if (h->attr & BATCH_PLAIN)
		return get_lines(values, h, recs);
	for (uint32_t i = 0; i < h->cnt; i++, e += FORMAT_ENTRY_LEN) {
		struct record *r = &recs[i];
		uint32_t len;

		*r = (struct record){
			.value_len = le32_load(e),
			.key_len = le32_load(e + 4),
			.headers_len = le32_load(e + 8),
			.timestamp_ms = entry_ts(e, h),
			.offset = h->base_offset + i,
		};
		if (r->key_len != RECORD_NULL) {
			r->key = keys;
			keys += r->key_len;
		}
		if (r->headers_len) {
			r->headers = keys;
			keys += r->headers_len;
		}
		if (h->attr & BATCH_CONTROL)
			continue;
		len = r->value_len == RECORD_NULL ? 0 : r->value_len;
		if (v[len] != '\n')
			return -EBADMSG;
		r->value = r->value_len == RECORD_NULL ? NULL : v;
		v += len + (size_t)1;
	}
	return 0;
}

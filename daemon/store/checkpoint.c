#include "daemon/store/checkpoint.h"

#include <errno.h>

#define CHECKPOINT_MAGIC 0x50434654U /* "TFCP" */
#define CHECKPOINT_VERSION 1

void checkpoint_begin(struct buf *b, const struct checkpoint_head *h)
{
	buf_reset(b);
	buf_put_le32(b, CHECKPOINT_MAGIC);
	buf_put_le16(b, CHECKPOINT_VERSION);
	buf_put_le16(b, 0);
	buf_put_le64(b, 0);
	buf_put_le64(b, h->sequence);
	buf_put_le64(b, h->incarnation);
	buf_put(b, h->boot_id, 16);
	buf_put_zero(b, 8);
	buf_put_le64(b, h->ring_seed);
}

void checkpoint_put(struct buf *b, const struct checkpoint_entry *e)
{
	buf_put(b, e->topic_id, 16);
	buf_put_le32(b, e->partition);
	buf_put_le32(b, e->flags);
	buf_put_le64(b, (uint64_t)e->start_offset);
	buf_put_le64(b, e->start_pos);
	buf_put_le64(b, (uint64_t)e->point.segment_base);
	buf_put_le64(b, e->point.meta_len);
	buf_put_le64(b, e->point.data_len);
	buf_put_le64(b, (uint64_t)e->point.next_offset);
	buf_put_le64(b, e->point.end_pos);
	buf_put_le64(b, (uint64_t)e->point.max_ts_ms);
}

void checkpoint_end(struct buf *b)
{
	if (b->err)
		return;
	ASSERT((b->len - CHECKPOINT_HEAD_LEN) % CHECKPOINT_ENTRY_LEN == 0);
	buf_set_le32(b, 48, (uint32_t)((b->len - CHECKPOINT_HEAD_LEN) / CHECKPOINT_ENTRY_LEN));
	buf_set_le64(b, 8, hash_xxh3(b->data + 16, b->len - 16));
}

int checkpoint_get_head(const void *slot, size_t len, struct checkpoint_head *ret)
{
	const uint8_t *p = slot;
	uint32_t cnt;
	size_t end;

	if (len < CHECKPOINT_HEAD_LEN || le32_load(p) != CHECKPOINT_MAGIC)
		return -EBADMSG;
	if (le16_load(p + 4) > CHECKPOINT_VERSION)
		return -EPROTONOSUPPORT;
	if (le16_load(p + 4) != CHECKPOINT_VERSION)
		return -EBADMSG;
	cnt = le32_load(p + 48);
	end = CHECKPOINT_HEAD_LEN + (size_t)cnt * CHECKPOINT_ENTRY_LEN;
	if (end > len || le64_load(p + 8) != hash_xxh3(p + 16, end - 16))
		return -EBADMSG;
	ret->sequence = le64_load(p + 16);
	ret->incarnation = le64_load(p + 24);
	memcpy(ret->boot_id, p + 32, 16);
	ret->cnt = cnt;
	ret->ring_seed = le64_load(p + 56);
	return 0;
}

void checkpoint_get(const void *slot, uint32_t idx, struct checkpoint_entry *ret)
{
	const uint8_t *p =
		(const uint8_t *)slot + CHECKPOINT_HEAD_LEN + (size_t)idx * CHECKPOINT_ENTRY_LEN;

	memcpy(ret->topic_id, p, 16);
	ret->partition = le32_load(p + 16);
	ret->flags = le32_load(p + 20);
	ret->start_offset = (int64_t)le64_load(p + 24);
	ret->start_pos = le64_load(p + 32);
	ret->point.segment_base = (int64_t)le64_load(p + 40);
	ret->point.meta_len = le64_load(p + 48);
	ret->point.data_len = le64_load(p + 56);
	ret->point.next_offset = (int64_t)le64_load(p + 64);
	ret->point.end_pos = le64_load(p + 72);
	ret->point.max_ts_ms = (int64_t)le64_load(p + 80);
}

int checkpoint_find(const void *file, size_t len, struct checkpoint_head *ret)
{
	struct checkpoint_head h[2];
	size_t half = len / 2;
	int err0 = checkpoint_get_head(file, half, &h[0]);
	int err1 = checkpoint_get_head((const uint8_t *)file + half, half, &h[1]);
	int slot;

	if (err0 && err1)
		return err0 == -EPROTONOSUPPORT ? err0 : err1;
	slot = err0 || (!err1 && h[1].sequence > h[0].sequence);
	*ret = h[slot];
	return slot;
}

bool checkpoint_is_whole(size_t len)
{
	return len >= 2 * (size_t)CHECKPOINT_SLOT_MIN && !(len & (len - 1));
}

size_t checkpoint_slot_len(uint32_t cnt)
{
	size_t need = CHECKPOINT_HEAD_LEN + (size_t)cnt * CHECKPOINT_ENTRY_LEN;
	size_t len = CHECKPOINT_SLOT_MIN;

	while (len < need)
		len *= 2;
	return len;
}

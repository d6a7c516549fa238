#include "daemon/store/index.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define INDEX_MAGIC 0x49534654U
#define TIMEINDEX_MAGIC 0x54534654U
#define INDEX_VERSION 1

void index_init(struct index *x)
{
	*x = (struct index){ .next = { .meta_pos = FORMAT_HEAD_LEN, .max_ts_ms = INT64_MIN } };
}

void index_fini(struct index *x)
{
	free(x->entries);
	index_init(x);
}

static int index_grow(struct index *x, uint32_t cap)
{
	struct index_entry *e;

	if (cap <= x->cap)
		return 0;
	cap = MAX(cap, x->cap + x->cap / 2);
	e = realloc(x->entries, cap * sizeof(*e));
	if (!e)
		return -ENOMEM;
	x->entries = e;
	x->cap = cap;
	return 0;
}

int index_add(struct index *x, const struct batch_head *h, int64_t base_offset, uint64_t base_pos,
	      uint32_t interval, bool force, bool *ret_new)
{
	struct index_entry at = {
		.offset = (uint32_t)(h->base_offset - base_offset),
		.meta_pos = (uint32_t)h->meta_pos,
		.data_pos = (uint32_t)h->data_pos,
		.plain_pos = (uint32_t)(h->plain_pos - base_pos),
		.max_ts_ms = x->next.max_ts_ms,
	};
	bool is_new = !x->cnt;

	PRE(h->meta_pos >= x->next.meta_pos);
	if (x->cnt) {
		const struct index_entry *last = &x->entries[x->cnt - 1];
		uint64_t len =
			(uint64_t)(at.meta_pos - last->meta_pos) + (at.data_pos - last->data_pos);

		is_new = at.meta_pos > last->meta_pos && (force || len >= interval);
	}
	if (is_new) {
		int r = index_grow(x, x->cnt + 1);

		if (r)
			return r;
		x->entries[x->cnt++] = at;
	}
	x->next = (struct index_entry){
		.offset = at.offset + h->cnt,
		.meta_pos = at.meta_pos + h->total_len,
		.data_pos = at.data_pos + h->data_len,
		.plain_pos = at.plain_pos + h->plain_len,
		.max_ts_ms = MAX(at.max_ts_ms, h->max_ts_ms),
	};
	*ret_new = is_new;
	return 0;
}

static void put_head(struct buf *b, uint32_t magic, uint64_t seed)
{
	size_t at = b->len;

	buf_put_le32(b, magic);
	buf_put_le16(b, INDEX_VERSION);
	buf_put_le16(b, INDEX_HEAD_LEN);
	if (!buf_err(b))
		buf_put_le64(b, hash_xxh3_seed(b->data + at, 8, seed));
}

static bool head_holds(const uint8_t *p, size_t len, uint32_t magic, uint64_t seed)
{
	return len >= INDEX_HEAD_LEN && le32_load(p) == magic &&
	       le16_load(p + 4) == INDEX_VERSION && le16_load(p + 6) == INDEX_HEAD_LEN &&
	       le64_load(p + 8) == hash_xxh3_seed(p, 8, seed);
}

void index_encode(const struct index *x, uint32_t from, uint64_t seed, struct buf *offsets,
		  struct buf *times)
{
	if (!from) {
		put_head(offsets, INDEX_MAGIC, seed);
		put_head(times, TIMEINDEX_MAGIC, seed);
	}
	for (uint32_t i = from; i < x->cnt; i++) {
		const struct index_entry *e = &x->entries[i];
		uint8_t mem[INDEX_ENTRY_LEN];

		le32_store(mem, e->offset);
		le32_store(mem + 4, e->meta_pos);
		le32_store(mem + 8, e->data_pos);
		le32_store(mem + 12, e->plain_pos);
		le32_store(mem + 16, (uint32_t)hash_xxh3_seed(mem, 16, seed + i));
		buf_put(offsets, mem, INDEX_ENTRY_LEN);
		le64_store(mem, (uint64_t)e->max_ts_ms);
		le32_store(mem + 8, e->offset);
		le32_store(mem + 12, (uint32_t)hash_xxh3_seed(mem, 12, seed + i));
		buf_put(times, mem, TIMEINDEX_ENTRY_LEN);
	}
}

/* Whether entry i of both files is whole, and follows the one before. */
static bool entry_decode(const struct index *x, uint32_t i, const uint8_t *o, const uint8_t *t,
			 uint64_t seed, struct index_entry *ret)
{
	const struct index_entry *last = i ? &x->entries[i - 1] : NULL;

	if (le32_load(o + 16) != (uint32_t)hash_xxh3_seed(o, 16, seed + i) ||
	    le32_load(t + 12) != (uint32_t)hash_xxh3_seed(t, 12, seed + i))
		return false;
	*ret = (struct index_entry){
		.offset = le32_load(o),
		.meta_pos = le32_load(o + 4),
		.data_pos = le32_load(o + 8),
		.plain_pos = le32_load(o + 12),
		.max_ts_ms = (int64_t)le64_load(t),
	};
	if (le32_load(t + 8) != ret->offset)
		return false;
	if (!last)
		return ret->meta_pos >= FORMAT_HEAD_LEN;
	return ret->offset > last->offset && ret->meta_pos > last->meta_pos &&
	       ret->data_pos >= last->data_pos && ret->plain_pos >= last->plain_pos &&
	       ret->max_ts_ms >= last->max_ts_ms;
}

int index_decode(struct index *x, const void *offsets, size_t offsets_len, const void *times,
		 size_t times_len, uint64_t seed, uint64_t meta_len, uint64_t data_len)
{
	const uint8_t *o = offsets, *t = times;
	size_t cnt;

	PRE(!x->cnt);
	if (!head_holds(o, offsets_len, INDEX_MAGIC, seed) ||
	    !head_holds(t, times_len, TIMEINDEX_MAGIC, seed))
		return 0;
	cnt = MIN((offsets_len - INDEX_HEAD_LEN) / INDEX_ENTRY_LEN,
		  (times_len - INDEX_HEAD_LEN) / TIMEINDEX_ENTRY_LEN);
	cnt = MIN(cnt, (size_t)(meta_len / FORMAT_BATCH_LEN));
	if (cnt && index_grow(x, (uint32_t)cnt))
		return -ENOMEM;
	for (uint32_t i = 0; i < cnt; i++) {
		struct index_entry e;

		if (!entry_decode(x, i, o + INDEX_HEAD_LEN + (size_t)i * INDEX_ENTRY_LEN,
				  t + INDEX_HEAD_LEN + (size_t)i * TIMEINDEX_ENTRY_LEN, seed, &e) ||
		    e.meta_pos >= meta_len || e.data_pos > data_len)
			break;
		x->entries[x->cnt++] = e;
	}
	if (x->cnt)
		x->next = x->entries[x->cnt - 1];
	x->flushed = x->cnt;
	return 0;
}

uint32_t index_find_offset(const struct index *x, uint32_t offset)
{
	uint32_t lo = 0, hi = x->cnt;

	PRE(x->cnt > 0);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (x->entries[mid].offset <= offset)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t index_find_pos(const struct index *x, uint64_t plain_pos)
{
	uint32_t lo = 0, hi = x->cnt;

	PRE(x->cnt > 0);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (x->entries[mid].plain_pos <= plain_pos)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

uint32_t index_find_time(const struct index *x, int64_t ts_ms)
{
	uint32_t lo = 0, hi = x->cnt;

	PRE(x->cnt > 0);
	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (x->entries[mid].max_ts_ms < ts_ms)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

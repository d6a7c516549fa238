#include "daemon/store/clean.h"

#include "daemon/base/hash.h"

#include <errno.h>
#include <stdlib.h>

#define SLOTS_MIN 64U

int clean_map_init(struct clean_map *m, uint64_t record_cnt, uint32_t slots_max, uint64_t seed)
{
	uint32_t cnt = SLOTS_MIN;

	while (cnt < slots_max && cnt / 4 * 3 < record_cnt)
		cnt *= 2;
	*m = (struct clean_map){ .slot_cnt = cnt, .key_max = cnt / 4 * 3, .seed = seed };
	m->slots = calloc(cnt, sizeof(*m->slots));
	return m->slots ? 0 : -ENOMEM;
}

void clean_map_fini(struct clean_map *m)
{
	free(m->slots);
	*m = (struct clean_map){ 0 };
}

/* The slot of the key, or the free one in which it would stand. */
static struct clean_slot *find_slot(const struct clean_map *m, const void *key, size_t len,
				    uint64_t ret_hash[2])
{
	uint32_t i;

	PRE(m->key_cnt < m->slot_cnt);
	hash_xxh3_128(key, len, m->seed, ret_hash);
	i = (uint32_t)ret_hash[0] & (m->slot_cnt - 1);
	while (m->slots[i].next && (m->slots[i].hash[0] != ret_hash[0] ||
				    m->slots[i].hash[1] != ret_hash[1]))
		i = (i + 1) & (m->slot_cnt - 1);
	return &m->slots[i];
}

int clean_map_put(struct clean_map *m, const void *key, size_t len, int64_t offset)
{
	uint64_t hash[2];
	struct clean_slot *s = find_slot(m, key, len, hash);

	PRE(offset >= 0);
	if (!s->next) {
		if (m->key_cnt == m->key_max)
			return -ENOSPC;
		m->key_cnt++;
		s->hash[0] = hash[0];
		s->hash[1] = hash[1];
	}
	s->next = MAX(s->next, (uint64_t)offset + 1);
	return 0;
}

int64_t clean_map_find(const struct clean_map *m, const void *key, size_t len)
{
	uint64_t hash[2];

	return (int64_t)find_slot(m, key, len, hash)->next - 1;
}

/* A walk over the keys of a description. */
struct keys {
	const uint8_t *entry, *at;
	uint32_t i, cnt;
	/* Of the present record: */
	const uint8_t *key;
	uint32_t key_len; /* RECORD_NULL: none */
	bool is_tombstone;
};

static struct keys keys_of(const uint8_t *desc, const struct batch_head *h)
{
	return (struct keys){
		.entry = desc + FORMAT_BATCH_LEN,
		.at = desc + FORMAT_BATCH_LEN + h->table_len,
		.cnt = h->cnt,
	};
}

/* Whether records of the batch have keys by which they are judged: a control batch says something
 * about others. */
static bool is_judged(const struct batch_head *h)
{
	return !(h->attr & (BATCH_PLAIN | BATCH_CONTROL));
}

static bool keys_next(struct keys *k)
{
	if (k->i == k->cnt)
		return false;
	k->is_tombstone = le32_load(k->entry) == RECORD_NULL;
	k->key_len = le32_load(k->entry + 4);
	k->key = k->at;
	k->at += (k->key_len == RECORD_NULL ? 0 : k->key_len) + (size_t)le32_load(k->entry + 8);
	k->entry += FORMAT_ENTRY_LEN;
	k->i++;
	return true;
}

int clean_map_put_batch(struct clean_map *m, const uint8_t *desc, const struct batch_head *h)
{
	struct keys k = keys_of(desc, h);

	if (!is_judged(h))
		return 0;
	while (keys_next(&k)) {
		int64_t offset = h->base_offset + k.i - 1;

		if (k.key_len != RECORD_NULL && clean_map_put(m, k.key, k.key_len, offset))
			return -ENOSPC;
	}
	return 0;
}

bool clean_is_due(uint64_t sealed_bytes, uint64_t dirty_bytes)
{
	PRE(dirty_bytes <= sealed_bytes);
	return dirty_bytes && dirty_bytes >= sealed_bytes - dirty_bytes;
}

bool clean_drops_tombstones(uint32_t generation, int64_t created_ms, int64_t now_ms,
			    int64_t delete_retention_ms)
{
	/* A clock that went back makes them younger, which only keeps them. */
	return generation && now_ms >= created_ms &&
	       (uint64_t)now_ms - (uint64_t)created_ms >= (uint64_t)MAX(delete_retention_ms, 0);
}

static bool stays(const struct clean_rule *rule, int64_t offset, const void *key, uint32_t key_len,
		  bool is_tombstone)
{
	int64_t newest;

	if (key_len == RECORD_NULL)
		return true;
	newest = clean_map_find(rule->map, key, key_len);
	if (newest > offset)
		return false;
	return !is_tombstone || !rule->drop_tombstones;
}

uint32_t clean_count(const struct clean_rule *rule, const uint8_t *desc, const struct batch_head *h)
{
	struct keys k = keys_of(desc, h);
	uint32_t cnt = 0;

	if (!is_judged(h))
		return h->cnt;
	while (keys_next(&k))
		cnt += stays(rule, h->base_offset + k.i - 1, k.key, k.key_len, k.is_tombstone);
	return cnt;
}

/* Bytes of a record in .data. */
static uint32_t stored_len(const struct batch_head *h, const struct record *r)
{
	if (h->attr & BATCH_CONTROL)
		return 0;
	return (r->value_len == RECORD_NULL ? 0 : r->value_len) + 1;
}

/* Sequences go on at 0 behind the largest. */
static int32_t sequence_after(int32_t base, uint32_t cnt)
{
	return base < 0 ? base : (int32_t)(((uint32_t)base + cnt) & INT32_MAX);
}

/* cnt records from `first` on, whose values begin at pos of those of the batch, and are len bytes.
 */
static void put_run(struct clean_out *out, const struct batch_head *h, const struct record *recs,
		    uint32_t first, uint32_t cnt, const uint8_t *values, uint32_t pos, uint32_t len)
{
	struct batch_head n = *h;

	n.cnt = cnt;
	n.base_offset += first;
	n.plain_pos += pos;
	n.plain_len = n.data_len = len;
	n.meta_pos = out->meta_pos;
	n.data_pos = out->data_pos;
	n.values_hash = hash_xxh3(values + pos, len);
	n.base_sequence = sequence_after(h->base_sequence, first);
	n.base_ts_ms = n.max_ts_ms = recs[first].timestamp_ms;
	for (uint32_t i = 1; i < cnt; i++) {
		n.base_ts_ms = MIN(n.base_ts_ms, recs[first + i].timestamp_ms);
		n.max_ts_ms = MAX(n.max_ts_ms, recs[first + i].timestamp_ms);
	}
	format_put_batch(&out->meta, &n, h->attr & BATCH_PLAIN ? NULL : recs + first, out->seed);
	if (len)
		buf_put(&out->data, values + pos, len);
	out->meta_pos += n.total_len;
	out->data_pos += len;
}

int clean_put_batch(const struct clean_rule *rule, const uint8_t *desc, const uint8_t *values,
		    const struct batch_head *h, struct record *recs, struct clean_out *out)
{
	uint32_t first = 0, cnt = 0, begin = 0, pos = 0;
	int r;

	/* Damage must not get a checksum that holds. */
	if (hash_xxh3(values, h->data_len) != h->values_hash)
		return -EBADMSG;
	r = format_get_records(desc, values, h, recs);
	for (uint32_t i = 0; !r && i < h->cnt; i++) {
		const struct record *rec = &recs[i];

		if (!is_judged(h) || stays(rule, rec->offset, rec->key, rec->key_len,
					   rec->value_len == RECORD_NULL)) {
			if (!cnt++) {
				first = i;
				begin = pos;
			}
		} else if (cnt) {
			put_run(out, h, recs, first, cnt, values, begin, pos - begin);
			cnt = 0;
		}
		pos += stored_len(h, rec);
	}
	if (!r && cnt)
		put_run(out, h, recs, first, cnt, values, begin, pos - begin);
	if (!r)
		r = buf_err(&out->meta) ? buf_err(&out->meta) : buf_err(&out->data);
	return r;
}

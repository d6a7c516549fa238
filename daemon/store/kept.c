#include "daemon/store/kept.h"

#include "daemon/base/assert.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

static_assert(sizeof(struct kept) <= 4096, "a slot is a page");

struct kept_pool *kept_pool_new(void)
{
	struct kept_pool *pool = calloc(1, sizeof(*pool));

	if (!pool)
		return NULL;
	list_init(&pool->slots);
	pool->mem = calloc(KEPT_SLOTS, sizeof(*pool->mem));
	if (!pool->mem) {
		free(pool);
		return NULL;
	}
	return pool;
}

void kept_pool_free(struct kept_pool *pool)
{
	if (!pool)
		return;
	for (uint32_t i = 0; i < pool->cnt; i++)
		PRE(!pool->mem[i].owner);
	free(pool->mem);
	free(pool);
}

static struct kept *slot_get(struct kept_pool *pool)
{
	struct kept *k = pool->cnt ? LIST_ENTRY(pool->slots.next, struct kept, link) : NULL;

	/* Those that were given back come first. */
	if (k && !k->owner)
		return k;
	if (pool->cnt < KEPT_SLOTS) {
		k = &pool->mem[pool->cnt++];
		k->pool = pool;
		list_init(&k->link);
		return k;
	}
	*k->owner = NULL;
	return k;
}

void kept_begin(struct kept_pool *pool, struct kept **owner, uint64_t seed, uint64_t meta_len,
		uint64_t data_len)
{
	struct kept *k = *owner ? *owner : slot_get(pool);

	*owner = k;
	k->owner = owner;
	k->seed = seed;
	k->meta = (struct kept_run){ .pos = meta_len };
	k->data = (struct kept_run){ .pos = data_len };
	list_remove(&k->link);
	list_put(&pool->slots, &k->link);
}

void kept_end(struct kept **owner)
{
	struct kept *k = *owner;

	if (!k)
		return;
	PRE(k->owner == owner);
	*owner = NULL;
	k->owner = NULL;
	list_remove(&k->link);
	list_put(k->pool->slots.next, &k->link);
}

void kept_put(struct kept *k, uint64_t seed, bool is_meta, uint64_t pos, const struct iovec *iov,
	      int iov_cnt)
{
	struct kept_run *run;
	uint8_t *mem;
	size_t max, len = 0;

	if (!k || k->seed != seed)
		return;
	run = is_meta ? &k->meta : &k->data;
	mem = is_meta ? k->meta_mem : k->data_mem;
	max = is_meta ? KEPT_META_LEN : KEPT_DATA_LEN;
	for (int i = 0; i < iov_cnt; i++)
		len += iov[i].iov_len;
	run->torn = run->torn || pos != run->pos + run->len || len > max - run->len;
	if (run->torn)
		return;
	for (int i = 0; i < iov_cnt; i++) {
		memcpy(mem + run->len, iov[i].iov_base, iov[i].iov_len);
		run->len += (uint32_t)iov[i].iov_len;
	}
}

const uint8_t *kept_find(const struct kept *k, uint64_t seed, bool is_meta, uint64_t pos,
			 size_t len)
{
	const struct kept_run *run;

	if (!k || k->seed != seed)
		return NULL;
	run = is_meta ? &k->meta : &k->data;
	if (pos < run->pos || pos - run->pos > run->len || len > run->len - (pos - run->pos))
		return NULL;
	return (is_meta ? k->meta_mem : k->data_mem) + (pos - run->pos);
}

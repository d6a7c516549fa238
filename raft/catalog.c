#include "raft/catalog.h"

#include "daemon/base/assert.h"
#include "daemon/base/fund.h"
#include "daemon/base/hash.h"

#include <stdlib.h>
#include <string.h>

#define CAP_MIN 64U

static char fold(char c)
{
	return c == '.' ? '_' : c;
}

/* Of any length: a look-up may bring a name that no object can have. */
static uint64_t hash_name(const struct catalog *c, const char *name)
{
	char folded[256];
	size_t len = strlen(name);

	if (!c->folds || len > sizeof(folded))
		return hash_xxh3(name, len);
	for (size_t i = 0; i < len; i++)
		folded[i] = fold(name[i]);
	return hash_xxh3(folded, len);
}

static bool is_same_name(const struct catalog *c, const char *a, const char *b)
{
	if (!c->folds)
		return !strcmp(a, b);
	while (*a && fold(*a) == fold(*b))
		a++, b++;
	return fold(*a) == fold(*b);
}

void catalog_fini(struct catalog *c)
{
	for (enum catalog_key key = 0; key < CATALOG_KEY_CNT; key++)
		free(c->tables[key].slots);
	free(c->entries);
	*c = (struct catalog){ .folds = c->folds };
}

static void table_put(struct catalog_table *t, enum catalog_key key, struct catalog_entry *e)
{
	uint32_t i = (uint32_t)e->hash[key] & (t->cap - 1);

	while (t->slots[i])
		i = (i + 1) & (t->cap - 1);
	t->slots[i] = e;
}

/* Room for one entry more with at most half of the slots in use. */
static void table_reserve(struct catalog *c, enum catalog_key key)
{
	struct catalog_table *t = &c->tables[key];
	uint32_t cap = t->cap ? t->cap : CAP_MIN;

	while (cap < 2 * (c->cnt + 1))
		cap *= 2;
	if (cap == t->cap)
		return;
	free(t->slots);
	t->slots = fund_calloc(cap, sizeof(struct catalog_entry *));
	t->cap = cap;
	for (uint32_t i = 0; i < c->cnt; i++)
		table_put(t, key, c->entries[i]);
}

/* Takes an entry out and moves those behind it that would not be found across the gap. */
static void table_remove(struct catalog_table *t, enum catalog_key key,
			 const struct catalog_entry *e)
{
	uint32_t mask = t->cap - 1, gap = (uint32_t)e->hash[key] & mask;

	while (t->slots[gap] != e) {
		ASSERT(t->slots[gap]);
		gap = (gap + 1) & mask;
	}
	for (uint32_t i = (gap + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
		uint32_t home = (uint32_t)t->slots[i]->hash[key] & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = t->slots[i];
		gap = i;
	}
	t->slots[gap] = NULL;
}

struct catalog_entry *catalog_find(const struct catalog *c, const char *name)
{
	const struct catalog_table *t = &c->tables[CATALOG_NAME];
	uint64_t hash;

	if (!c->cnt)
		return NULL;
	hash = hash_name(c, name);
	for (uint32_t i = (uint32_t)hash & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (t->slots[i]->hash[CATALOG_NAME] == hash &&
		    is_same_name(c, t->slots[i]->name, name))
			return t->slots[i];
	return NULL;
}

struct catalog_entry *catalog_find_id(const struct catalog *c, const uint8_t id[16])
{
	const struct catalog_table *t = &c->tables[CATALOG_ID];
	uint64_t hash;

	if (!c->cnt)
		return NULL;
	hash = hash_xxh3(id, 16);
	for (uint32_t i = (uint32_t)hash & (t->cap - 1); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (!memcmp(t->slots[i]->id, id, 16))
			return t->slots[i];
	return NULL;
}

struct catalog_entry *catalog_at(const struct catalog *c, uint32_t idx)
{
	return idx < c->cnt ? c->entries[idx] : NULL;
}

uint32_t catalog_after(const struct catalog *c, const char *name)
{
	uint32_t low = 0, high = c->cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (strcmp(c->entries[mid]->name, name) > 0)
			high = mid;
		else
			low = mid + 1;
	}
	return low;
}

void catalog_put(struct catalog *c, struct catalog_entry *e, const char *name, const uint8_t id[16])
{
	uint32_t idx = catalog_after(c, name);

	PRE(!catalog_find(c, name) && !catalog_find_id(c, id));
	e->name = name;
	e->id = id;
	e->hash[CATALOG_NAME] = hash_name(c, name);
	e->hash[CATALOG_ID] = hash_xxh3(id, 16);
	if (c->cnt == c->cap) {
		c->cap = c->cap ? 2 * c->cap : CAP_MIN;
		c->entries = fund_realloc(c->entries, c->cap, sizeof(struct catalog_entry *));
	}
	for (enum catalog_key key = 0; key < CATALOG_KEY_CNT; key++) {
		table_reserve(c, key);
		table_put(&c->tables[key], key, e);
	}
	memmove(c->entries + idx + 1, c->entries + idx,
		(c->cnt - idx) * sizeof(struct catalog_entry *));
	c->entries[idx] = e;
	c->cnt++;
}

void catalog_remove(struct catalog *c, struct catalog_entry *e)
{
	uint32_t idx = catalog_after(c, e->name) - 1;

	ASSERT(c->entries[idx] == e);
	for (enum catalog_key key = 0; key < CATALOG_KEY_CNT; key++)
		table_remove(&c->tables[key], key, e);
	c->cnt--;
	memmove(c->entries + idx, c->entries + idx + 1,
		(c->cnt - idx) * sizeof(struct catalog_entry *));
}

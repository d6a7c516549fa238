#include "daemon/base/hash.h"
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <stdlib.h>

static uint32_t home(const struct group_table *t, const uint8_t topic_id[16], uint32_t partition)
{
	return (uint32_t)hash_xxh3_seed(topic_id, 16, partition) & (t->cap - 1);
}

void group_table_fini(struct group_table *t)
{
	free(t->slots);
	*t = (struct group_table){ 0 };
}

static void put(struct group_table *t, const struct group_place *item)
{
	uint32_t i = home(t, item->topic_id, item->partition);

	while (t->slots[i])
		i = (i + 1) & (t->cap - 1);
	t->slots[i] = item;
}

int group_table_reserve(struct group_table *t, uint32_t extra)
{
	struct group_table n = { .cap = t->cap ? t->cap : 8, .cnt = t->cnt };

	while (n.cap / 2 < (uint64_t)t->cnt + extra) {
		if (n.cap > UINT32_MAX / 2)
			return -ENOMEM;
		n.cap *= 2;
	}
	if (n.cap == t->cap)
		return 0;
	n.slots = calloc(n.cap, sizeof(struct group_place *));
	if (!n.slots)
		return -ENOMEM;
	for (uint32_t i = 0; i < t->cap; i++)
		if (t->slots[i])
			put(&n, t->slots[i]);
	free(t->slots);
	*t = n;
	return 0;
}

void group_table_put(struct group_table *t, const struct group_place *item)
{
	PRE(t->cnt < t->cap / 2);
	put(t, item);
	t->cnt++;
}

/* Those behind it that would not be found across the gap move into it. */
void group_table_remove(struct group_table *t, const struct group_place *item)
{
	uint32_t mask = t->cap - 1, gap = home(t, item->topic_id, item->partition);

	while (t->slots[gap] != item) {
		ASSERT(t->slots[gap]);
		gap = (gap + 1) & mask;
	}
	for (uint32_t i = (gap + 1) & mask; t->slots[i]; i = (i + 1) & mask) {
		const struct group_place *p = t->slots[i];

		if (((i - home(t, p->topic_id, p->partition)) & mask) < ((i - gap) & mask))
			continue;
		t->slots[gap] = p;
		gap = i;
	}
	t->slots[gap] = NULL;
	t->cnt--;
}

const struct group_place *group_table_find(const struct group_table *t, const uint8_t topic_id[16],
					   uint32_t partition)
{
	if (!t->cap)
		return NULL;
	for (uint32_t i = home(t, topic_id, partition); t->slots[i]; i = (i + 1) & (t->cap - 1))
		if (t->slots[i]->partition == partition &&
		    !memcmp(t->slots[i]->topic_id, topic_id, 16))
			return t->slots[i];
	return NULL;
}

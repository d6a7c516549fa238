/*
 * Which partition takes a record (DESIGN 3): murmur2 of the key as Kafka does it, the sticky
 * partitioner of KIP-794 for records without one, and hot keys, which are spread by a hash of their
 * value.
 */
#include "fusefs/fs.h"

#include "daemon/base/hash.h"

/* KIP-794: a partition is left after batch.size bytes. */
#define STICKY_BYTES (16 * KIB)
/* Loads are halved when one reaches this, so that old traffic fades. */
#define LOAD_MAX (64 * MIB)

static bool is_hot(const struct be_topic *t, const void *key, size_t len)
{
	for (uint32_t i = 0; i < t->hot_key_cnt; i++) {
		if (strlen(t->hot_keys[i]) == len && !memcmp(t->hot_keys[i], key, len))
			return true;
	}
	return false;
}

uint32_t partition_of_key(const struct be_topic *t, const void *key, size_t key_len,
			  const void *value, size_t value_len)
{
	uint32_t p = hash_partition(key, key_len, t->part_cnt);

	if (!t->hot_key_cnt || !is_hot(t, key, key_len))
		return p;
	return (uint32_t)((p + hash_xxh3(value, value_len) % t->part_cnt) % t->part_cnt);
}

/* The partition that took the fewest bytes lately; the one after the present on a tie. */
static uint32_t least_loaded(const struct be_topic *t)
{
	uint32_t best = (t->sticky + 1) % t->part_cnt;

	for (uint32_t i = 0; i < t->part_cnt; i++) {
		uint32_t p = (t->sticky + 1 + i) % t->part_cnt;

		if (t->parts[p]->load < t->parts[best]->load)
			best = p;
	}
	return best;
}

uint32_t partition_sticky(struct be_topic *t, size_t len)
{
	if (t->sticky >= t->part_cnt || t->sticky_bytes >= STICKY_BYTES) {
		t->sticky = least_loaded(t);
		t->sticky_bytes = 0;
	}
	t->sticky_bytes += len;
	return t->sticky;
}

void partition_loaded(struct be_partition *p, size_t len)
{
	struct be_topic *t = p->topic;

	p->load += len;
	if (p->load < LOAD_MAX)
		return;
	for (uint32_t i = 0; i < t->part_cnt; i++)
		t->parts[i]->load /= 2;
}

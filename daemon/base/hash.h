/*
 * Hashes and byte scans of the hot path. The vector width is chosen at run time.
 *
 * XXH3-64 is the checksum of everything on disk (https://xxhash.com, the frozen XXH3 of 0.8).
 * murmur2 is the one of Kafka's org.apache.kafka.common.utils.Utils.murmur2: seed 0x9747b28c.
 */
#ifndef TOPICFS_BASE_HASH_H
#define TOPICFS_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>

uint64_t hash_xxh3(const void *data, size_t len);
uint64_t hash_xxh3_seed(const void *data, size_t len, uint64_t seed);

/* XXH3-128: the low and the high half. For telling keys apart in memory; it is in no file. */
void hash_xxh3_128(const void *data, size_t len, uint64_t seed, uint64_t ret[2]);

/* A running XXH3-64 (seed 0): hash_run_get() over pieces equals hash_xxh3() over their
 * concatenation. */
struct hash_run;
/* NULL where there is no memory. */
struct hash_run *hash_run_new(void);
void hash_run_free(struct hash_run *r);
void hash_run_reset(struct hash_run *r);
void hash_run_put(struct hash_run *r, const void *data, size_t len);
uint64_t hash_run_get(const struct hash_run *r);

/* Kafka's murmur2 of a key. */
int32_t hash_murmur2(const void *data, size_t len);
/* Kafka's partition of a key: (murmur2(key) & 0x7fffffff) % partition_cnt. */
uint32_t hash_partition(const void *key, size_t len, uint32_t partition_cnt);

/* How many bytes equal '\n'. */
size_t hash_newline_cnt(const void *data, size_t len);

#endif

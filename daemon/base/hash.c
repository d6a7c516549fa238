#include "daemon/base/hash.h"

#include "daemon/base/assert.h"
#include "daemon/base/buf.h"

#include <stdlib.h>
#include <xxhash.h>
#if defined(__x86_64__)
#include <immintrin.h>
#include <xxh_x86dispatch.h>
#endif

uint64_t hash_xxh3(const void *data, size_t len)
{
	return XXH3_64bits(data, len);
}

uint64_t hash_xxh3_seed(const void *data, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(data, len, seed);
}

void hash_xxh3_128(const void *data, size_t len, uint64_t seed, uint64_t ret[2])
{
	XXH128_hash_t h = XXH3_128bits_withSeed(data, len, seed);

	ret[0] = h.low64;
	ret[1] = h.high64;
}

/* The library's state is opaque here and aligned by its own allocator. */
struct hash_run *hash_run_new(void)
{
	XXH3_state_t *s = XXH3_createState();

	if (s)
		XXH3_64bits_reset(s);
	return (struct hash_run *)s;
}

void hash_run_free(struct hash_run *r)
{
	if (r)
		XXH3_freeState((XXH3_state_t *)r);
}

void hash_run_reset(struct hash_run *r)
{
	XXH3_64bits_reset((XXH3_state_t *)r);
}

void hash_run_put(struct hash_run *r, const void *data, size_t len)
{
	XXH3_64bits_update((XXH3_state_t *)r, data, len);
}

uint64_t hash_run_get(const struct hash_run *r)
{
	return XXH3_64bits_digest((const XXH3_state_t *)r);
}

int32_t hash_murmur2(const void *data, size_t len)
{
	const uint8_t *p = data;
	const uint32_t m = 0x5bd1e995;
	uint32_t h = 0x9747b28cU ^ (uint32_t)len;

	for (; len >= 4; p += 4, len -= 4) {
		uint32_t k = le32_load(p);

		k *= m;
		k ^= k >> 24;
		k *= m;
		h *= m;
		h ^= k;
	}
	switch (len) {
	case 3:
		h ^= (uint32_t)p[2] << 16;
		__attribute__((fallthrough));
	case 2:
		h ^= (uint32_t)p[1] << 8;
		__attribute__((fallthrough));
	case 1:
		h ^= p[0];
		h *= m;
		break;
	default:
		break;
	}
	h ^= h >> 13;
	h *= m;
	h ^= h >> 15;
	return (int32_t)h;
}

uint32_t hash_partition(const void *key, size_t len, uint32_t partition_cnt)
{
	PRE(partition_cnt > 0);
	return ((uint32_t)hash_murmur2(key, len) & 0x7fffffffU) % partition_cnt;
}

static size_t newline_cnt_plain(const uint8_t *p, size_t len)
{
	size_t cnt = 0;

	for (size_t i = 0; i < len; i++)
		cnt += p[i] == '\n';
	return cnt;
}

#if defined(__x86_64__)
/* Compares 32 bytes at a time; the byte-wide counters are summed (psadbw) before they overflow. */
__attribute__((target("avx2"))) static size_t newline_cnt_avx2(const uint8_t *p, size_t len)
{
	const __m256i nl = _mm256_set1_epi8('\n'), zero = _mm256_setzero_si256();
	__m256i sum = zero;
	size_t i = 0;

	while (len - i >= 32) {
		size_t rounds = MIN((len - i) / 32, (size_t)255);
		__m256i cnt = zero;

		for (size_t r = 0; r < rounds; r++, i += 32) {
			__m256i v = _mm256_loadu_si256((const __m256i *)(p + i));

			cnt = _mm256_sub_epi8(cnt, _mm256_cmpeq_epi8(v, nl));
		}
		sum = _mm256_add_epi64(sum, _mm256_sad_epu8(cnt, zero));
	}
	return (size_t)_mm256_extract_epi64(sum, 0) + (size_t)_mm256_extract_epi64(sum, 1) +
	       (size_t)_mm256_extract_epi64(sum, 2) + (size_t)_mm256_extract_epi64(sum, 3) +
	       newline_cnt_plain(p + i, len - i);
}
#endif

size_t hash_newline_cnt(const void *data, size_t len)
{
#if defined(__x86_64__)
	if (len >= 64 && __builtin_cpu_supports("avx2"))
		return newline_cnt_avx2(data, len);
#endif
	return newline_cnt_plain(data, len);
}

/* murmur2 against Kafka's vectors, newline counts against a loop, and running hashes. */
#include "daemon/base/hash.h"

#include "daemon/base/assert.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

static const struct {
	const char *key;
	size_t len;
	int32_t hash;
} vectors[] = {
	/* UtilsTest.testMurmur2 */
	{ "21", 2, -973932308 },
	{ "foobar", 6, -790332482 },
	{ "a-little-bit-long-string", 24, -985981536 },
	{ "a-little-bit-longer-string", 26, -1486304829 },
	{ "lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", 48, -58897971 },
	{ "abc", 3, 479470107 },
	/* The empty key, and "kafka", as Kafka's C clients check them. */
	{ "", 0, 275646681 },
	{ "kafka", 5, -798503068 },
	/* Bytes above 127, which are negative in Java and masked there: from a port of the Java. */
	{ "\xff", 1, -311467685 },
	{ "\x80\xff", 2, -80095470 },
	{ "\xff\xfe\xfd", 3, 998637092 },
	{ "\xff\xff\xff\xff", 4, 644171429 },
	{ "Größe", 7, -255045697 },
	{ "日本語", 9, 1431860170 },
};

static void test_murmur2(void **state)
{
	uint8_t all[256];

	for (size_t i = 0; i < ARRAY_CNT(vectors); i++)
		assert_int_equal(hash_murmur2(vectors[i].key, vectors[i].len), vectors[i].hash);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = (uint8_t)i;
	assert_int_equal(hash_murmur2(all, sizeof(all)), -1948347274);
}

/* The hash does not depend on where the key lies. */
static void test_murmur2_alignment(void **state)
{
	uint8_t space[64];

	for (size_t i = 0; i < ARRAY_CNT(vectors); i++) {
		for (size_t at = 0; at < 8; at++) {
			memset(space, 0xa5, sizeof(space));
			memcpy(space + at, vectors[i].key, vectors[i].len);
			assert_int_equal(hash_murmur2(space + at, vectors[i].len), vectors[i].hash);
		}
	}
}

static void test_partition(void **state)
{
	/* The sign bit is cut off, not turned. */
	assert_int_equal(hash_partition("21", 2, 1000), (-973932308 & 0x7fffffff) % 1000);
	assert_int_equal(hash_partition("abc", 3, 7), 479470107 % 7);
	assert_int_equal(hash_partition("", 0, 1), 0);
	for (uint32_t cnt = 1; cnt < 100; cnt++) {
		for (size_t i = 0; i < ARRAY_CNT(vectors); i++)
			assert_true(hash_partition(vectors[i].key, vectors[i].len, cnt) < cnt);
	}
}

static size_t newlines_by_loop(const uint8_t *p, size_t len)
{
	size_t cnt = 0;

	for (size_t i = 0; i < len; i++)
		cnt += p[i] == '\n';
	return cnt;
}

/* Each begin and each length around the vector's width; the bytes beside are newlines. */
static void test_newlines_alignment(void **state)
{
	enum { MAX = 300 };
	uint8_t space[MAX + 128];
	uint32_t seed = 1;

	for (size_t at = 0; at < 64; at++) {
		for (size_t len = 0; len <= MAX; len++) {
			memset(space, '\n', sizeof(space));
			for (size_t i = 0; i < len; i++) {
				seed = seed * 1664525 + 1013904223;
				space[at + i] = seed >> 30 ? (uint8_t)(seed >> 20) : '\n';
			}
			assert_int_equal(hash_newline_cnt(space + at, len),
					 newlines_by_loop(space + at, len));
		}
	}
}

/* More newlines in one lane than a byte counts to, and lengths around the point where the lanes are
 * summed. */
static void test_newlines_long(void **state)
{
	const size_t step = 255 * 32;
	uint8_t *p = malloc(4 * step);

	assert_non_null(p);
	memset(p, '\n', 4 * step);
	for (size_t rounds = 1; rounds <= 3; rounds++) {
		for (size_t len = rounds * step - 70; len <= rounds * step + 70; len++)
			assert_int_equal(hash_newline_cnt(p, len), len);
	}
	memset(p, '\n' + 1, 4 * step);
	assert_int_equal(hash_newline_cnt(p, 4 * step), 0);
	memset(p, '\n' | 0x80, 4 * step);
	assert_int_equal(hash_newline_cnt(p, 4 * step), 0);
	free(p);
}

/* The published value of XXH3-64 of nothing: what is on disk has to mean the same for ever. */
static void test_xxh3_is_xxh3(void **state)
{
	assert_true(hash_xxh3("", 0) == 0x2d06800538d394c2ULL);
	assert_true(hash_xxh3_seed("topicfs", 7, 0) == hash_xxh3("topicfs", 7));
	assert_true(hash_xxh3_seed("topicfs", 7, 1) != hash_xxh3("topicfs", 7));
}

/* Put in pieces of any size, the running hash is that of the whole; asking changes nothing. */
static void test_running_hash(void **state)
{
	enum { LEN = 5000 };
	static const size_t pieces[] = { 1, 3, 16, 64, 100, 240, 241, 256, 1024, LEN };
	struct hash_run *r = hash_run_new();
	uint8_t data[LEN];

	assert_non_null(r);
	for (size_t i = 0; i < LEN; i++)
		data[i] = (uint8_t)(i * 131 >> 3);
	assert_true(hash_run_get(r) == hash_xxh3("", 0));
	for (size_t k = 0; k < ARRAY_CNT(pieces); k++) {
		hash_run_reset(r);
		for (size_t at = 0; at < LEN;) {
			size_t len = MIN(pieces[k], LEN - at);

			hash_run_put(r, data + at, len);
			at += len;
			assert_true(hash_run_get(r) == hash_xxh3(data, at));
		}
	}
	hash_run_free(r);
	hash_run_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_murmur2),	      cmocka_unit_test(test_murmur2_alignment),
		cmocka_unit_test(test_partition),     cmocka_unit_test(test_newlines_alignment),
		cmocka_unit_test(test_newlines_long), cmocka_unit_test(test_xxh3_is_xxh3),
		cmocka_unit_test(test_running_hash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

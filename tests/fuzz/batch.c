/*
 * Descriptions of batches, with their values. The input is
 *
 *   u8 flags (FIX_...), le16 length of the description, the description, the values
 *
 * What is taken is in bounds, and encodes to the same description.
 */
#include "daemon/base/hash.h"
#include "daemon/store/format.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

#define SEED 0x1234567890abcdefULL

enum fix { FIX_LENGTHS = 1, FIX_KEYS = 2, FIX_VALUES = 4 };

static bool is_inside(const uint8_t *p, size_t len, const uint8_t *mem, size_t mem_len)
{
	return !len || (p >= mem && len <= mem_len && p - mem <= (ptrdiff_t)(mem_len - len));
}

/* The same description, but for its hash and the zeros that nobody reads. */
static void check_same(const uint8_t *a, const uint8_t *b, const struct batch_head *h)
{
	size_t keys_at = FORMAT_BATCH_LEN + h->table_len;

	CHECK(!memcmp(a, b, 8));
	CHECK(!memcmp(a + 16, b + 16, FORMAT_BATCH_LEN - 20));
	for (size_t at = FORMAT_BATCH_LEN; at < keys_at; at += FORMAT_ENTRY_LEN) {
		CHECK(!memcmp(a + at, b + at, 12));
		CHECK(!memcmp(a + at + 16, b + at + 16, 8));
	}
	CHECK(!memcmp(a + keys_at, b + keys_at, h->keys_len));
}

static void check_records(const uint8_t *desc, const uint8_t *values, const struct batch_head *h,
			  const struct record *recs)
{
	struct batch_head copy = *h;
	uint64_t plain = 0;
	struct buf b;

	for (uint32_t i = 0; i < h->cnt; i++) {
		const struct record *r = &recs[i];
		uint32_t len = r->value_len == RECORD_NULL ? 0 : r->value_len;

		CHECK(r->offset == h->base_offset + i);
		CHECK(r->timestamp_ms <= h->max_ts_ms);
		CHECK(is_inside(r->value, len, values, h->data_len));
		CHECK(r->key_len == RECORD_NULL ||
		      is_inside(r->key, r->key_len, desc, h->total_len));
		CHECK(is_inside(r->headers, r->headers_len, desc, h->total_len));
		if (h->attr & BATCH_PLAIN)
			CHECK(!memchr(r->value, '\n', len));
		if (!(h->attr & BATCH_CONTROL))
			CHECK(values[plain + len] == '\n');
		plain += len + (uint64_t)1;
	}
	CHECK(h->attr & BATCH_CONTROL ? !h->data_len : plain == h->data_len);
	buf_init(&b);
	format_put_batch(&b, &copy, h->attr & BATCH_PLAIN ? NULL : recs, SEED);
	CHECK(!buf_err(&b) && b.len == h->total_len);
	CHECK(!format_check_batch(b.data, h, SEED));
	check_same(desc, b.data, h);
	buf_fini(&b);
}

/* Values are given the newlines that the table wants. */
static void fix_values(const uint8_t *desc, uint8_t *values, const struct batch_head *h)
{
	uint64_t at = 0;

	if (h->attr & BATCH_CONTROL)
		return;
	if (h->attr & BATCH_PLAIN) {
		for (uint64_t i = 0; i < h->data_len; i++)
			if (values[i] == '\n')
				values[i] = ' ';
		for (uint32_t i = 0; i + 1 < h->cnt; i++)
			values[i] = '\n';
		values[h->data_len - 1] = '\n';
		return;
	}
	for (uint32_t i = 0; i < h->cnt; i++) {
		uint32_t len = le32_load(desc + FORMAT_BATCH_LEN + (size_t)i * FORMAT_ENTRY_LEN);

		at += len == RECORD_NULL ? 0 : len;
		values[at++] = '\n';
	}
}

static void try_values(const uint8_t *desc, const struct batch_head *h, unsigned flags,
		       struct fuzz_input in)
{
	size_t have;
	const uint8_t *given = fuzz_bytes(&in, in.len, &have);
	uint8_t *values;
	struct record *recs;

	if (h->data_len > 1 << 16)
		return;
	values = fuzz_copy(NULL, 0);
	values = realloc(values, h->data_len ? h->data_len : 1);
	recs = calloc(h->cnt, sizeof(*recs));
	CHECK(values && recs);
	memset(values, '\n', h->data_len);
	if (have && h->data_len)
		memcpy(values, given, MIN(have, h->data_len));
	if (flags & FIX_VALUES)
		fix_values(desc, values, h);
	if (!format_get_records(desc, values, h, recs))
		check_records(desc, values, h, recs);
	else
		CHECK(!(flags & FIX_VALUES));
	free(values);
	free(recs);
}

static void try_batch(const uint8_t *data, size_t len, unsigned flags, struct fuzz_input in)
{
	uint8_t *desc = fuzz_copy(data, len);
	struct batch_head h;

	if (format_get_batch(desc, len, len < 40 ? 0 : le64_load(desc + 32), &h) ||
	    h.total_len > len) {
		free(desc);
		return;
	}
	CHECK(h.total_len >= FORMAT_BATCH_LEN && h.cnt > 0);
	CHECK(h.base_offset >= 0 && h.base_offset + (int64_t)h.cnt > h.base_offset);
	desc = realloc(desc, h.total_len);
	CHECK(desc);
	if (format_check_batch(desc, &h, SEED))
		le64_store(desc + 8, hash_xxh3_seed(desc + 16, h.total_len - 16, SEED));
	if (!format_check_batch(desc, &h, SEED))
		try_values(desc, &h, flags, in);
	free(desc);
}

/* The lengths of the header are made to agree; with FIX_KEYS those of keys and headers, too. */
static void fix_lengths(uint8_t *desc, size_t len, unsigned flags)
{
	uint32_t room = (uint32_t)(len - FORMAT_BATCH_LEN), cnt = le32_load(desc + 28);
	bool is_plain = le16_load(desc + 110) & BATCH_PLAIN;
	uint32_t table_len = 0, values = 0;

	le32_store(desc, FORMAT_BATCH_MAGIC);
	le16_store(desc + 4, FORMAT_VERSION);
	le16_store(desc + 6, FORMAT_BATCH_LEN);
	if (!is_plain) {
		cnt = MIN(cnt, room / FORMAT_ENTRY_LEN);
		table_len = cnt * FORMAT_ENTRY_LEN;
	}
	for (uint32_t i = 0; flags & FIX_KEYS && i < table_len / FORMAT_ENTRY_LEN; i++) {
		uint8_t *e = desc + FORMAT_BATCH_LEN + (size_t)i * FORMAT_ENTRY_LEN;
		uint32_t left = room - table_len, key_len = le32_load(e + 4);
		bool is_last = i + 1 == table_len / FORMAT_ENTRY_LEN;

		if (le32_load(e) != RECORD_NULL)
			le32_store(e, le32_load(e) & 0xff);
		values += le32_load(e) == RECORD_NULL ? 1 : le32_load(e) + 1;
		le32_store(e + 4, is_last ? left : key_len == RECORD_NULL ? key_len : 0);
		le32_store(e + 8, 0);
	}
	le32_store(desc + 16, (uint32_t)len - (is_plain ? room : 0));
	le32_store(desc + 20, table_len);
	le32_store(desc + 24, is_plain ? 0 : room - table_len);
	le32_store(desc + 28, cnt);
	if (flags & FIX_KEYS)
		le32_store(desc + 76, is_plain ? cnt + 1 : values);
	le32_store(desc + 72, le32_load(desc + 76));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	unsigned flags = fuzz_u8(&in);
	size_t want = fuzz_le16(&in), desc_len;
	const uint8_t *desc = fuzz_bytes(&in, want, &desc_len);
	uint8_t *fixed;

	try_batch(desc, desc_len, flags, in);
	if (desc_len < FORMAT_BATCH_LEN || !(flags & (FIX_LENGTHS | FIX_KEYS)))
		return 0;
	fixed = fuzz_copy(desc, desc_len);
	fix_lengths(fixed, desc_len, flags);
	try_batch(fixed, desc_len, flags, in);
	free(fixed);
	return 0;
}

/*
 * Index files. The input is
 *
 *   le32 length of .meta, le32 length of .data, le16 length of the first file, both files
 *
 * tried as it is, and with checks that fit. What is taken ascends, is in bounds, and is the same
 * when it is written; look-ups agree with a walk.
 */
#include "daemon/store/index.h"
#include "daemon/base/hash.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

#define SEED 0x1234567890abcdefULL

struct files {
	uint8_t *offsets, *times;
	size_t offsets_len, times_len;
	uint64_t meta_len, data_len;
};

static void check_order(const struct index *x, const struct files *f)
{
	for (uint32_t i = 0; i < x->cnt; i++) {
		const struct index_entry *e = &x->entries[i], *last = e - 1;

		CHECK(e->meta_pos >= FORMAT_HEAD_LEN && e->meta_pos < f->meta_len);
		CHECK(e->data_pos <= f->data_len);
		if (i)
			CHECK(e->offset > last->offset && e->meta_pos > last->meta_pos &&
			      e->data_pos >= last->data_pos && e->plain_pos >= last->plain_pos &&
			      e->max_ts_ms >= last->max_ts_ms);
	}
}

static void check_find(const struct index *x, uint64_t what)
{
	uint32_t by_offset = 0, by_pos = 0, by_time = 0;

	for (uint32_t i = 0; i < x->cnt; i++) {
		if (x->entries[i].offset <= (uint32_t)what)
			by_offset = i;
		if (x->entries[i].plain_pos <= what)
			by_pos = i;
		if (x->entries[i].max_ts_ms < (int64_t)what)
			by_time = i;
	}
	CHECK(index_find_offset(x, (uint32_t)what) == by_offset);
	CHECK(index_find_pos(x, what) == by_pos);
	CHECK(index_find_time(x, (int64_t)what) == by_time);
}

static void try_index(const struct files *f)
{
	struct buf offsets, times;
	struct index x;

	index_init(&x);
	CHECK(!index_decode(&x, f->offsets, f->offsets_len, f->times, f->times_len, SEED,
			    f->meta_len, f->data_len));
	CHECK(x.flushed == x.cnt);
	check_order(&x, f);
	if (x.cnt) {
		const struct index_entry *mid = &x.entries[x.cnt / 2];

		CHECK(x.next.meta_pos == x.entries[x.cnt - 1].meta_pos);
		check_find(&x, mid->offset);
		check_find(&x, mid->plain_pos);
		check_find(&x, (uint64_t)mid->max_ts_ms + 1);
		check_find(&x, 0);
		buf_init(&offsets);
		buf_init(&times);
		index_encode(&x, 0, SEED, &offsets, &times);
		CHECK(offsets.len <= f->offsets_len && times.len <= f->times_len);
		CHECK(!memcmp(offsets.data, f->offsets, offsets.len));
		CHECK(!memcmp(times.data, f->times, times.len));
		buf_fini(&offsets);
		buf_fini(&times);
	}
	index_fini(&x);
}

static void fix_file(uint8_t *p, size_t len, const char *magic, size_t entry_len)
{
	if (len < INDEX_HEAD_LEN)
		return;
	memcpy(p, magic, 4);
	le16_store(p + 4, 1);
	le16_store(p + 6, INDEX_HEAD_LEN);
	le64_store(p + 8, hash_xxh3_seed(p, 8, SEED));
	for (size_t i = 0; i < (len - INDEX_HEAD_LEN) / entry_len; i++) {
		uint8_t *e = p + INDEX_HEAD_LEN + i * entry_len;

		le32_store(e + entry_len - 4, (uint32_t)hash_xxh3_seed(e, entry_len - 4, SEED + i));
	}
}

/* The offsets of both files are made alike. */
static void fix_offsets(struct files *f)
{
	size_t cnt = MIN((f->offsets_len - INDEX_HEAD_LEN) / INDEX_ENTRY_LEN,
			 (f->times_len - INDEX_HEAD_LEN) / TIMEINDEX_ENTRY_LEN);

	for (size_t i = 0; i < cnt; i++)
		memcpy(f->times + INDEX_HEAD_LEN + i * TIMEINDEX_ENTRY_LEN + 8,
		       f->offsets + INDEX_HEAD_LEN + i * INDEX_ENTRY_LEN, 4);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	struct files f = { .meta_len = fuzz_le32(&in), .data_len = fuzz_le32(&in) };
	size_t first = fuzz_le16(&in);
	const uint8_t *p = fuzz_bytes(&in, first, &f.offsets_len);

	f.offsets = fuzz_copy(p, f.offsets_len);
	p = fuzz_bytes(&in, in.len, &f.times_len);
	f.times = fuzz_copy(p, f.times_len);
	try_index(&f);
	if (f.offsets_len >= INDEX_HEAD_LEN && f.times_len >= INDEX_HEAD_LEN)
		fix_offsets(&f);
	fix_file(f.offsets, f.offsets_len, "TFSI", INDEX_ENTRY_LEN);
	fix_file(f.times, f.times_len, "TFST", TIMEINDEX_ENTRY_LEN);
	try_index(&f);
	free(f.offsets);
	free(f.times);
	return 0;
}

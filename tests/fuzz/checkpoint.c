/* Checkpoints, as they are and with hashes that fit: the valid slot of the higher number counts,
 * and what is taken is the same when it is written. */
#include "daemon/store/checkpoint.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

static void check_slot(const uint8_t *slot, size_t len, const struct checkpoint_head *h)
{
	struct buf b;
	size_t end = CHECKPOINT_HEAD_LEN + (size_t)h->cnt * CHECKPOINT_ENTRY_LEN;

	CHECK(end <= len && checkpoint_slot_len(h->cnt) >= end);
	buf_init(&b);
	checkpoint_begin(&b, h);
	for (uint32_t i = 0; i < h->cnt; i++) {
		struct checkpoint_entry e;

		checkpoint_get(slot, i, &e);
		checkpoint_put(&b, &e);
	}
	checkpoint_end(&b);
	CHECK(!buf_err(&b) && b.len == end);
	/* But for the hash and the zeros that nobody reads. */
	CHECK(!memcmp(b.data + 16, slot + 16, 36));
	CHECK(!memcmp(b.data + CHECKPOINT_HEAD_LEN, slot + CHECKPOINT_HEAD_LEN,
		      end - CHECKPOINT_HEAD_LEN));
	buf_fini(&b);
}

static void try_file(const uint8_t *file, size_t len)
{
	uint8_t *copy = fuzz_copy(file, len);
	struct checkpoint_head h = { 0 }, each = { 0 };
	int slot = checkpoint_find(copy, len, &h);
	size_t half = len / 2;

	for (int i = 0; i < 2; i++) {
		if (checkpoint_get_head(copy + (size_t)i * half, half, &each)) {
			CHECK(slot != i);
			continue;
		}
		CHECK(slot >= 0 && h.sequence >= each.sequence);
		check_slot(copy + (size_t)i * half, half, &each);
	}
	free(copy);
}

static void fix_slot(uint8_t *p, size_t len)
{
	uint32_t max, cnt;

	if (len < CHECKPOINT_HEAD_LEN)
		return;
	max = (uint32_t)((len - CHECKPOINT_HEAD_LEN) / CHECKPOINT_ENTRY_LEN);
	memcpy(p, "TFCP", 4);
	le16_store(p + 4, 1);
	cnt = MIN(max, le32_load(p + 48));
	le32_store(p + 48, cnt);
	le64_store(p + 8, hash_xxh3(p + 16, CHECKPOINT_HEAD_LEN + cnt * CHECKPOINT_ENTRY_LEN - 16));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *file = fuzz_copy(data, len);

	try_file(file, len);
	for (size_t i = 0; i < 2; i++) {
		fix_slot(file + i * (len / 2), len / 2);
		try_file(file, len);
	}
	free(file);
	return 0;
}

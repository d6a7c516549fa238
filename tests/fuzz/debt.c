/* A slot of what is owed, as it is and with hashes that fit: the newest copy comes first, and what
 * is stored again is newer and the same. */
#include "daemon/store/debt.h"
#include "daemon/base/buf.h"
#include "daemon/base/hash.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

#define COPY_LEN (DEBT_SLOT_LEN / 2)
/* Where what a copy says ends. */
#define SAYS_END 102

static bool is_copy(const struct debt *d, const uint8_t *p)
{
	return d->sequence == le64_load(p + 8) && !memcmp(d->topic_id, p + 16, 16) &&
	       d->partition == le32_load(p + 32) && d->generation == le32_load(p + 36) &&
	       d->segment_base == (int64_t)le64_load(p + 40) &&
	       d->base_offset == (int64_t)le64_load(p + 48) && d->data_pos == le64_load(p + 56) &&
	       d->len == le64_load(p + 64) && d->cnt == le64_load(p + 72) &&
	       d->timestamp_ms == (int64_t)le64_load(p + 80) &&
	       d->values_hash == le64_load(p + 88) &&
	       d->leader_epoch == (int32_t)le32_load(p + 96) && d->attr == le16_load(p + 100);
}

static void try_store(uint8_t *mem, struct debt *d)
{
	struct debt before = *d, got[2];
	struct debt_table t;
	unsigned cnt;
	int idx;

	debt_table_init(&t, mem);
	CHECK(t.sequence >= before.sequence);
	idx = debt_take(&t);
	CHECK(idx == 0);
	/* Numbers that would wrap around are never reached. */
	if (t.sequence > UINT64_MAX - 2)
		return;
	debt_store(&t, idx, d);
	CHECK(d->sequence > before.sequence);
	cnt = debt_load(mem, got);
	CHECK(cnt >= 1 && got[0].sequence == d->sequence);
	got[0].sequence = before.sequence;
	CHECK(is_copy(&got[0], mem + (before.sequence & 1) * COPY_LEN));
	/* The copy before it is still there. */
	CHECK(cnt == 2 && got[1].sequence == before.sequence);
	debt_give_back(&t, idx);
	CHECK(t.free_cnt == DEBT_SLOT_CNT);
}

static void try_slot(const uint8_t slot[DEBT_SLOT_LEN])
{
	static uint8_t mem[DEBT_FILE_LEN];
	uint8_t *copy = fuzz_copy(slot, DEBT_SLOT_LEN);
	struct debt got[2];
	unsigned cnt;

	memset(got, 0, sizeof(got));
	cnt = debt_load(copy, got);
	CHECK(cnt <= 2);
	if (cnt == 2)
		CHECK(got[0].sequence >= got[1].sequence);
	for (unsigned i = 0; i < cnt; i++)
		CHECK(is_copy(&got[i], copy) || is_copy(&got[i], copy + COPY_LEN));
	/* As the process itself leaves it: a copy stands where its number says. */
	if (cnt) {
		memset(mem, 0, DEBT_SLOT_LEN);
		for (unsigned i = 0; i < 2; i++)
			if (le64_load(copy + (size_t)i * COPY_LEN + 8) == got[0].sequence)
				memcpy(mem + (got[0].sequence & 1) * COPY_LEN,
				       copy + (size_t)i * COPY_LEN, COPY_LEN);
		if (debt_load(mem, got) == 1)
			try_store(mem, &got[0]);
	}
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t slot[DEBT_SLOT_LEN] = { 0 };

	memcpy(slot, data, MIN(len, sizeof(slot)));
	try_slot(slot);
	for (unsigned i = 0; i < 2; i++) {
		uint8_t *p = slot + (size_t)i * COPY_LEN;

		memset(p + SAYS_END, 0, COPY_LEN - SAYS_END);
		le64_store(p, hash_xxh3(p + 8, COPY_LEN - 8));
		try_slot(slot);
	}
	return 0;
}

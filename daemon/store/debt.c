#include "daemon/store/debt.h"

#include "daemon/base/buf.h"
#include "daemon/base/hash.h"

#include <assert.h>
#include <errno.h>

#define COPY_LEN (DEBT_SLOT_LEN / 2)

static_assert(DEBT_SLOT_CNT % DEBT_RUN == 0, "slots are looked at in whole runs");

bool debt_is_blank(const void *copy)
{
	uint64_t all = 0;

	for (size_t i = 0; i < COPY_LEN; i += sizeof(all))
		all |= le64_load((const uint8_t *)copy + i);
	return !all;
}

bool debt_run_is_blank(const void *slots)
{
	static const uint8_t zeros[DEBT_RUN * DEBT_SLOT_LEN];

	return !memcmp(slots, zeros, sizeof(zeros));
}

static bool copy_decode(const uint8_t *p, struct debt *ret)
{
	uint8_t mem[COPY_LEN];

	/* Most were never stored. */
	if (!le64_load(p + 8))
		return false;
	memcpy(mem, p, COPY_LEN);
	if (!le64_load(mem + 8) || le64_load(mem) != hash_xxh3(mem + 8, COPY_LEN - 8))
		return false;
	ret->sequence = le64_load(mem + 8);
	memcpy(ret->topic_id, mem + 16, 16);
	ret->partition = le32_load(mem + 32);
	ret->generation = le32_load(mem + 36);
	ret->segment_base = (int64_t)le64_load(mem + 40);
	ret->base_offset = (int64_t)le64_load(mem + 48);
	ret->data_pos = le64_load(mem + 56);
	ret->len = le64_load(mem + 64);
	ret->cnt = le64_load(mem + 72);
	ret->timestamp_ms = (int64_t)le64_load(mem + 80);
	ret->values_hash = le64_load(mem + 88);
	ret->leader_epoch = (int32_t)le32_load(mem + 96);
	ret->attr = le16_load(mem + 100);
	return true;
}

void debt_table_init(struct debt_table *t, void *mem)
{
	*t = (struct debt_table){ .mem = mem, .free_cnt = DEBT_SLOT_CNT };
	/* New copies must be newer than all that stand there, in whatever slot. */
	for (size_t pos = 0; pos < DEBT_FILE_LEN; pos += COPY_LEN) {
		struct debt d;

		if (le64_load(t->mem + pos + 8) > t->sequence && copy_decode(t->mem + pos, &d))
			t->sequence = d.sequence;
	}
}

int debt_take(struct debt_table *t)
{
	if (!t->free_cnt)
		return -ENOSPC;
	for (uint32_t i = 0; i < DEBT_SLOT_CNT / 64; i++) {
		uint32_t word = (t->hint + i) % (DEBT_SLOT_CNT / 64);
		uint64_t left = ~t->taken[word];

		if (!left)
			continue;
		int bit = __builtin_ctzll(left);

		t->taken[word] |= 1ULL << bit;
		t->free_cnt--;
		t->hint = word;
		return (int)word * 64 + bit;
	}
	ASSERT(!"free slots are counted wrongly");
	return -ENOSPC;
}

void debt_give_back(struct debt_table *t, int idx)
{
	uint64_t bit = 1ULL << (idx % 64);

	PRE(idx >= 0 && idx < (int)DEBT_SLOT_CNT && (t->taken[idx / 64] & bit));
	t->taken[idx / 64] &= ~bit;
	t->free_cnt++;
	t->hint = (uint32_t)idx / 64;
}

void debt_store(struct debt_table *t, int idx, struct debt *d)
{
	uint8_t mem[COPY_LEN] = { 0 };

	PRE(idx >= 0 && idx < (int)DEBT_SLOT_CNT);
	/* The parity of its sequence says which copy it is, so that the two take turns. */
	t->sequence++;
	if (!((t->sequence ^ d->sequence) & 1))
		t->sequence++;
	d->sequence = t->sequence;
	le64_store(mem + 8, d->sequence);
	memcpy(mem + 16, d->topic_id, 16);
	le32_store(mem + 32, d->partition);
	le32_store(mem + 36, d->generation);
	le64_store(mem + 40, (uint64_t)d->segment_base);
	le64_store(mem + 48, (uint64_t)d->base_offset);
	le64_store(mem + 56, d->data_pos);
	le64_store(mem + 64, d->len);
	le64_store(mem + 72, d->cnt);
	le64_store(mem + 80, (uint64_t)d->timestamp_ms);
	le64_store(mem + 88, d->values_hash);
	le32_store(mem + 96, (uint32_t)d->leader_epoch);
	le16_store(mem + 100, d->attr);
	le64_store(mem, hash_xxh3(mem + 8, COPY_LEN - 8));
	memcpy(t->mem + (size_t)idx * DEBT_SLOT_LEN + (d->sequence & 1) * COPY_LEN, mem, COPY_LEN);
}

bool debt_clear_torn(void *slot)
{
	bool torn = false;
	struct debt d;

	for (unsigned i = 0; i < 2; i++) {
		uint8_t *copy = (uint8_t *)slot + (size_t)i * COPY_LEN;

		if (!debt_is_blank(copy) && !copy_decode(copy, &d)) {
			memset(copy, 0, COPY_LEN);
			torn = true;
		}
	}
	return torn;
}

unsigned debt_load(const void *slot, struct debt ret[2])
{
	unsigned cnt = 0;

	for (unsigned i = 0; i < 2; i++)
		cnt += copy_decode((const uint8_t *)slot + (size_t)i * COPY_LEN, &ret[cnt]);
	if (cnt == 2 && ret[1].sequence > ret[0].sequence) {
		struct debt d = ret[0];

		ret[0] = ret[1];
		ret[1] = d;
	}
	return cnt;
}

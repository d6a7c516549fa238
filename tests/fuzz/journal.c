/*
 * The journal. The input is a number of rounds for the writer, then what is done to the ring
 * behind its back:
 *
 *   u8 rounds, for each: u8 entries, for each: u8 kind, le16 length; u8 how the start moves
 *   then patches: u8 what, u8 block, le16 position, le64 value
 *
 * Without patches the reader gives what the writer put, from the start on. With patches that break
 * hashes it gives none that was not put. With patches whose hashes are made to fit it may give
 * anything, in bounds and in time.
 */
#include "daemon/store/journal.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define BLOCKS 64U
#define SEED 0x1234567890abcdefULL
#define ENTRIES_MAX 512U

struct put {
	enum journal_kind kind;
	uint64_t block;
	uint32_t len, number;
};

struct run {
	struct journal j;
	uint8_t *ring;
	struct put puts[ENTRIES_MAX];
	unsigned put_cnt, at;
	bool forged;	/* blocks with hashes that fit were made */
	uint64_t first; /* block from which on all must come */
	unsigned got;
};

static int on_entry(void *ctx, const struct journal_entry *e)
{
	struct run *r = ctx;
	uint32_t sum = 0;

	CHECK(e->kind >= JOURNAL_BYTES && e->kind <= JOURNAL_FORGET);
	for (uint32_t i = 0; i < e->len; i++)
		sum += e->bytes[i];
	r->got++;
	if (r->forged)
		return sum == UINT32_MAX;
	/* The number of an entry stands in its partition; they come in order. */
	while (r->at < r->put_cnt && r->puts[r->at].number != e->partition)
		r->at++;
	CHECK(r->at < r->put_cnt);
	CHECK(r->puts[r->at].kind == e->kind && r->puts[r->at].len == e->len);
	CHECK(r->puts[r->at].block == e->block);
	CHECK(sum == (e->len & 0xffffff) * (e->partition & 0xff));
	r->at++;
	return 0;
}

static void put_entry(struct run *r, struct fuzz_input *in)
{
	static uint8_t bytes[UINT16_MAX];
	uint8_t kind = fuzz_u8(in);
	struct journal_entry e = { .kind = JOURNAL_BYTES + (enum journal_kind)(kind % 3),
				   .partition = r->put_cnt,
				   .point = { 1, 2, 3, 4, 5, 6 } };

	if (e.kind == JOURNAL_BYTES) {
		e.len = fuzz_le16(in) % (kind & 0x80 ? UINT16_MAX : 200);
		e.is_data = kind & 0x40;
	}
	if (r->put_cnt == ENTRIES_MAX ||
	    journal_room(&r->j, e.kind != JOURNAL_BYTES) < journal_entry_len(e.len))
		return;
	r->puts[r->put_cnt++] = (struct put){
		.kind = e.kind, .block = r->j.next_block, .len = e.len, .number = e.partition
	};
	memset(bytes, (int)(e.partition & 0xff), e.len);
	journal_put_entry(&r->j, &e);
	journal_put_bytes(&r->j, bytes, e.len);
}

static void write_round(struct run *r, struct fuzz_input *in)
{
	struct journal_piece p[2];
	unsigned entries = fuzz_u8(in) % 16, cnt;
	uint8_t move;

	/* A write takes a block even where it says nothing; the start must leave one. */
	if (journal_used(&r->j) / JOURNAL_BLOCK >= BLOCKS - 1)
		return;
	for (unsigned i = 0; i < entries; i++)
		put_entry(r, in);
	move = fuzz_u8(in);
	if (move & 1) /* all that was written before is in place */
		r->j.start = r->j.next_block;
	cnt = journal_finish(&r->j, p);
	for (unsigned i = 0; i < cnt; i++)
		memcpy(r->ring + (p[i].pos - JOURNAL_HEAD_LEN), p[i].buf, p[i].len);
	journal_done(&r->j);
	r->first = r->j.start;
}

/* Done to one block; hashes are made to fit again where it says so. */
static bool patch(struct run *r, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in), *b = r->ring + fuzz_u8(in) % BLOCKS * (size_t)JOURNAL_BLOCK;
	size_t pos = fuzz_le16(in) % (JOURNAL_BLOCK - 7);
	uint64_t value = fuzz_le64(in);

	/* The fields, rather than the payload. */
	if (what & 0x40)
		pos = pos % JOURNAL_BLOCK_HEAD & ~(size_t)7;
	switch (what & 3) {
	case 0:
		b[pos] ^= (uint8_t)value;
		break;
	case 1:
		le64_store(b + pos, value);
		break;
	case 2:
		memcpy(b, r->ring + value % BLOCKS * JOURNAL_BLOCK, JOURNAL_BLOCK);
		break;
	default:
		le32_store(b + (pos & ~(size_t)3), (uint32_t)value);
		break;
	}
	if (!(what & 0x80))
		return false;
	le64_store(b, hash_xxh3_seed(b + 8, JOURNAL_BLOCK - 8, SEED));
	return true;
}

static void scan(struct run *r)
{
	struct journal_head h = { .seed = SEED, .sequence = 1, .block_cnt = BLOCKS };
	struct journal_scan got;

	r->at = r->got = 0;
	CHECK(!journal_scan(r->ring, &h, on_entry, r, &got));
	CHECK(got.entries == r->got);
	if (got.damaged)
		CHECK(got.damage_pos >= JOURNAL_HEAD_LEN &&
		      got.damage_pos < JOURNAL_HEAD_LEN + BLOCKS * JOURNAL_BLOCK);
}

static void try_head(struct fuzz_input in)
{
	uint8_t blocks[JOURNAL_HEAD_LEN] = { 0 };
	struct journal_head h = { .seed = fuzz_le64(&in), .sequence = fuzz_le64(&in) }, got;
	size_t pos;

	h.block_cnt = fuzz_le64(&in);
	journal_put_head(&h, blocks);
	h.sequence = fuzz_le64(&in);
	journal_put_head(&h, blocks + JOURNAL_BLOCK);
	pos = fuzz_le16(&in) % JOURNAL_HEAD_LEN;
	blocks[pos] ^= fuzz_u8(&in);
	CHECK(!journal_get_head(blocks, &got));
	CHECK(got.seed == h.seed && got.block_cnt == h.block_cnt);
	blocks[(pos + JOURNAL_BLOCK) % JOURNAL_HEAD_LEN] ^= fuzz_u8(&in);
	if (!journal_get_head(blocks, &got))
		CHECK(got.seed == h.seed && got.block_cnt == h.block_cnt);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct run r;
	struct fuzz_input in = { data, len };
	unsigned rounds, expected = 0;

	try_head(in);
	r = (struct run){ .ring = calloc(BLOCKS, JOURNAL_BLOCK) };
	CHECK(r.ring && !journal_init(&r.j, SEED, BLOCKS));
	rounds = fuzz_u8(&in) % 32;
	for (unsigned i = 0; i < rounds; i++)
		write_round(&r, &in);
	for (unsigned i = 0; i < r.put_cnt; i++)
		expected += r.puts[i].block >= r.first;
	scan(&r);
	CHECK(r.got == expected);
	for (unsigned i = 0; i < 32 && in.len; i++) {
		r.forged |= patch(&r, &in);
		scan(&r);
	}
	journal_fini(&r.j);
	free(r.ring);
	return 0;
}

#include "daemon/store/journal.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

#define BLOCKS 128U
#define SEED 0x1234567890abcdefULL

struct ring {
	struct journal j;
	struct journal_head head;
	uint8_t mem[BLOCKS * JOURNAL_BLOCK];
};

/* What a scan gave: the positions of bytes entries, in order. */
struct got {
	uint64_t pos[4096];
	unsigned cnt, points, forgets;
	bool bytes_hold;
};

static struct ring *ring_new(void)
{
	struct ring *r = calloc(1, sizeof(*r));

	assert_non_null(r);
	r->head = (struct journal_head){ .seed = SEED, .sequence = 1, .block_cnt = BLOCKS };
	assert_int_equal(journal_init(&r->j, SEED, BLOCKS), 0);
	return r;
}

static void ring_free(struct ring *r)
{
	journal_fini(&r->j);
	free(r);
}

/* One entry with len bytes that follow from pos. */
static void put(struct ring *r, uint64_t pos, uint32_t len)
{
	struct journal_entry e = { .kind = JOURNAL_BYTES, .pos = pos, .len = len, .is_data = true };
	uint8_t *bytes = malloc(len + 1);

	assert_non_null(bytes);
	memset(bytes, (int)(pos & 0xff), len);
	journal_put_entry(&r->j, &e);
	journal_put_bytes(&r->j, bytes, len);
	free(bytes);
}

static void put_mark(struct ring *r, enum journal_kind kind)
{
	struct journal_entry e = { .kind = kind, .point = { 1, 2, 3, 4, 5, 6 } };

	journal_put_entry(&r->j, &e);
}

/* Writes to the ring; only the first `keep` blocks of it. */
static void flush_some(struct ring *r, size_t keep)
{
	struct journal_piece p[2];
	unsigned cnt = journal_finish(&r->j, p);

	for (unsigned i = 0; i < cnt; i++) {
		size_t len = MIN(p[i].len, keep * JOURNAL_BLOCK);

		memcpy(r->mem + p[i].pos - JOURNAL_HEAD_LEN, p[i].buf, len);
		keep -= len / JOURNAL_BLOCK;
	}
	journal_done(&r->j);
}

static int on_entry(void *ctx, const struct journal_entry *e)
{
	struct got *g = ctx;

	if (e->kind == JOURNAL_POINT) {
		assert_int_equal(e->point.segment_base, 1);
		assert_int_equal(e->point.max_ts_ms, 6);
		g->points++;
	} else if (e->kind == JOURNAL_FORGET) {
		g->forgets++;
	} else {
		for (uint32_t i = 0; i < e->len; i++)
			g->bytes_hold &= e->bytes[i] == (uint8_t)e->pos;
		g->pos[g->cnt++] = e->pos;
	}
	return 0;
}

static struct journal_scan scan(struct ring *r, struct got *g)
{
	struct journal_scan s;

	*g = (struct got){ .bytes_hold = true };
	assert_int_equal(journal_scan(r->mem, &r->head, on_entry, g, &s), 0);
	assert_true(g->bytes_hold);
	return s;
}

static void test_head_survives_the_loss_of_one_copy(void **state)
{
	uint8_t blocks[JOURNAL_HEAD_LEN];
	struct journal_head h = { .seed = 1, .sequence = 7, .block_cnt = 99 }, got;

	journal_put_head(&h, blocks);
	h.sequence = 8;
	h.seed = 2;
	journal_put_head(&h, blocks + JOURNAL_BLOCK);
	assert_int_equal(journal_get_head(blocks, &got), 0);
	assert_int_equal(got.seed, 2);
	blocks[JOURNAL_BLOCK + 30] ^= 1;
	assert_int_equal(journal_get_head(blocks, &got), 0);
	assert_int_equal(got.seed, 1);
	assert_int_equal(got.block_cnt, 99);
	blocks[20] ^= 1;
	assert_int_equal(journal_get_head(blocks, &got), -EBADMSG);
}

static void test_an_empty_ring_has_no_entries(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));
	struct journal_scan s = scan(r, g);

	assert_int_equal(s.entries, 0);
	assert_false(s.damaged);
	free(g);
	ring_free(r);
}

static void test_what_was_put_comes_back_in_order(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));

	put(r, 1, 10);
	put(r, 2, 9000);
	put_mark(r, JOURNAL_POINT);
	flush_some(r, BLOCKS);
	put_mark(r, JOURNAL_FORGET);
	put(r, 3, 0);
	flush_some(r, BLOCKS);
	assert_int_equal(scan(r, g).writes, 2);
	assert_int_equal(g->cnt, 3);
	assert_int_equal(g->pos[0], 1);
	assert_int_equal(g->pos[2], 3);
	assert_int_equal(g->points, 1);
	assert_int_equal(g->forgets, 1);
	free(g);
	ring_free(r);
}

static void test_it_wraps_and_forgets_what_the_start_passed(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));

	for (uint64_t i = 0; i < 10 * BLOCKS; i++) {
		/* Five blocks that are needed, always. */
		r->j.start = r->j.next_block > 5 ? r->j.next_block - 5 : 0;
		put(r, i, 5000);
		flush_some(r, BLOCKS);
		scan(r, g);
		assert_true(g->cnt >= 1 && g->pos[g->cnt - 1] == i);
		for (unsigned k = 1; k < g->cnt; k++)
			assert_int_equal(g->pos[k], g->pos[k - 1] + 1);
	}
	free(g);
	ring_free(r);
}

static void test_a_full_ring_has_room_for_marks_alone(void **state)
{
	struct ring *r = ring_new();
	uint64_t n = 0;

	while (journal_room(&r->j, false) >= journal_entry_len(100)) {
		put(r, n++, 100);
		flush_some(r, BLOCKS);
	}
	assert_int_equal(n, BLOCKS - JOURNAL_RESERVE);
	assert_true(journal_room(&r->j, true) >= journal_entry_len(0));
	/* A moved start frees nothing before it is told by a write that ended. */
	r->j.start = r->j.next_block;
	assert_int_equal(journal_room(&r->j, false), 0);
	put_mark(r, JOURNAL_POINT);
	flush_some(r, BLOCKS);
	assert_true(journal_room(&r->j, false) >= journal_entry_len(100));
	ring_free(r);
}

/* Else it would stay full for ever. */
static void test_the_last_block_is_for_a_moved_start(void **state)
{
	struct ring *r = ring_new();
	struct journal_piece pieces[2];
	uint64_t n = 0;

	while (journal_room(&r->j, true) >= journal_entry_len(0)) {
		put_mark(r, JOURNAL_POINT);
		flush_some(r, BLOCKS);
		n++;
	}
	assert_int_equal(n, BLOCKS - 1);
	r->j.start = 1;
	assert_int_equal(journal_finish(&r->j, pieces), 1);
	assert_int_equal(journal_room(&r->j, true), 0);
	journal_done(&r->j);
	assert_int_equal(journal_used(&r->j), (BLOCKS - 1) * JOURNAL_BLOCK);
	ring_free(r);
}

static void test_a_torn_end_is_no_damage(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));
	struct journal_scan s;

	put(r, 1, 100);
	flush_some(r, BLOCKS);
	put(r, 2, 9000);
	flush_some(r, 2);
	s = scan(r, g);
	assert_false(s.damaged);
	assert_int_equal(g->cnt, 1);
	free(g);
	ring_free(r);
}

static void test_a_bad_block_before_a_later_write_is_damage(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));
	struct journal_scan s;

	for (uint64_t i = 0; i < 5; i++) {
		put(r, i, 5000);
		flush_some(r, BLOCKS);
	}
	r->mem[5 * JOURNAL_BLOCK + 1000] ^= 4; /* the second block of write 2 */
	s = scan(r, g);
	assert_true(s.damaged);
	assert_int_equal(s.damage_pos, JOURNAL_HEAD_LEN + 5 * JOURNAL_BLOCK);
	assert_int_equal(g->cnt, 4);
	assert_int_equal(g->pos[1], 1);
	assert_int_equal(g->pos[2], 3);
	free(g);
	ring_free(r);
}

static void test_blocks_of_an_older_life_are_not_read(void **state)
{
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));

	put(r, 1, 100);
	flush_some(r, BLOCKS);
	r->head.seed++;
	assert_int_equal(scan(r, g).entries, 0);
	free(g);
	ring_free(r);
}

/* Numbers that no writer gives are not followed, however well their hash fits. */
static void test_a_block_beyond_the_ring_is_none(void **state)
{
	static const uint64_t laps[] = { 1, 1000, UINT64_MAX / BLOCKS };
	struct ring *r = ring_new();
	struct got *g = malloc(sizeof(*g));
	uint8_t *b = r->mem + 2 * JOURNAL_BLOCK;

	for (uint64_t i = 0; i < 3; i++) {
		put(r, i, 100);
		flush_some(r, BLOCKS);
	}
	for (unsigned i = 0; i < ARRAY_CNT(laps); i++) {
		struct journal_scan s;

		le64_store(b + 16, 2 + laps[i] * BLOCKS);
		le64_store(b, hash_xxh3_seed(b + 8, JOURNAL_BLOCK - 8, SEED));
		s = scan(r, g);
		assert_false(s.damaged);
		assert_int_equal(g->cnt, 2);
	}
	free(g);
	ring_free(r);
}

/* Each block is good and in its place, but they are of two writes. */
static void test_blocks_of_two_writes_make_none(void **state)
{
	struct ring *r = ring_new(), *other = ring_new();
	struct got *g = malloc(sizeof(*g));

	put(r, 1, 5000);
	flush_some(r, BLOCKS);
	put(other, 2, 5000);
	flush_some(other, BLOCKS);
	assert_int_equal(scan(r, g).entries, 1);
	memcpy(r->mem + JOURNAL_BLOCK, other->mem + JOURNAL_BLOCK, JOURNAL_BLOCK);
	assert_int_equal(scan(r, g).entries, 0);
	free(g);
	ring_free(other);
	ring_free(r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_head_survives_the_loss_of_one_copy),
		cmocka_unit_test(test_an_empty_ring_has_no_entries),
		cmocka_unit_test(test_what_was_put_comes_back_in_order),
		cmocka_unit_test(test_it_wraps_and_forgets_what_the_start_passed),
		cmocka_unit_test(test_a_full_ring_has_room_for_marks_alone),
		cmocka_unit_test(test_the_last_block_is_for_a_moved_start),
		cmocka_unit_test(test_a_torn_end_is_no_damage),
		cmocka_unit_test(test_a_bad_block_before_a_later_write_is_damage),
		cmocka_unit_test(test_blocks_of_an_older_life_are_not_read),
		cmocka_unit_test(test_a_block_beyond_the_ring_is_none),
		cmocka_unit_test(test_blocks_of_two_writes_make_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "daemon/store/journal.h"

#include <errno.h>
#include <stdlib.h>

#define JOURNAL_MAGIC 0x484a4654U /* "TFJH" */
#define JOURNAL_VERSION 1

void journal_put_head(const struct journal_head *h, uint8_t ret[JOURNAL_BLOCK])
{
	memset(ret, 0, JOURNAL_BLOCK);
	le32_store(ret, JOURNAL_MAGIC);
	le16_store(ret + 4, JOURNAL_VERSION);
	le64_store(ret + 16, h->seed);
	le64_store(ret + 24, h->sequence);
	le64_store(ret + 32, h->block_cnt);
	le64_store(ret + 40, h->prev_seed);
	le64_store(ret + 8, hash_xxh3(ret + 16, JOURNAL_BLOCK - 16));
}

static int journal_get_head_copy(const uint8_t *b, struct journal_head *ret)
{
	if (le32_load(b) != JOURNAL_MAGIC)
		return -EBADMSG;
	if (le16_load(b + 4) > JOURNAL_VERSION)
		return -EPROTONOSUPPORT;
	if (le16_load(b + 4) != JOURNAL_VERSION ||
	    le64_load(b + 8) != hash_xxh3(b + 16, JOURNAL_BLOCK - 16))
		return -EBADMSG;
	ret->seed = le64_load(b + 16);
	ret->sequence = le64_load(b + 24);
	ret->block_cnt = le64_load(b + 32);
	ret->prev_seed = le64_load(b + 40);
	return 0;
}

int journal_get_head(const uint8_t blocks[JOURNAL_HEAD_LEN], struct journal_head *ret)
{
	struct journal_head h[2];
	int err0 = journal_get_head_copy(blocks, &h[0]);
	int err1 = journal_get_head_copy(blocks + JOURNAL_BLOCK, &h[1]);

	if (err0 && err1)
		return err0 == -EPROTONOSUPPORT ? err0 : err1;
	if (err0 || (!err1 && h[1].sequence > h[0].sequence))
		*ret = h[1];
	else
		*ret = h[0];
	return 0;
}

uint64_t journal_block_cnt(uint64_t file_len)
{
	return file_len < JOURNAL_BYTES_MIN ? 0 : file_len / JOURNAL_BLOCK - 2;
}

int journal_init(struct journal *j, uint64_t seed, uint64_t block_cnt)
{
	PRE(block_cnt >= 8 * JOURNAL_RESERVE);
	*j = (struct journal){ .seed = seed, .block_cnt = block_cnt, .prev_hash = seed };
	j->mem_blocks = MIN(block_cnt / 8, JOURNAL_WRITE_MAX / JOURNAL_BLOCK);
	j->mem = aligned_alloc(JOURNAL_BLOCK, j->mem_blocks * JOURNAL_BLOCK);
	return j->mem ? 0 : -ENOMEM;
}

void journal_fini(struct journal *j)
{
	free(j->mem);
	*j = (struct journal){ 0 };
}

uint64_t journal_used(const struct journal *j)
{
	return (j->next_block - j->usable) * JOURNAL_BLOCK;
}

size_t journal_room(const struct journal *j, bool is_control)
{
	uint64_t free_blocks = j->block_cnt - (j->next_block - j->usable);
	uint64_t kept = is_control ? 1 : JOURNAL_RESERVE;
	uint64_t blocks = free_blocks > kept ? free_blocks - kept : 0;
	size_t room = (size_t)MIN(blocks, j->mem_blocks) * JOURNAL_PAYLOAD;

	return room > j->payload_len ? room - j->payload_len : 0;
}

void journal_put_bytes(struct journal *j, const void *data, size_t len)
{
	const uint8_t *src = data;

	PRE(len <= j->mem_blocks * JOURNAL_PAYLOAD - j->payload_len);
	while (len) {
		size_t block = j->payload_len / JOURNAL_PAYLOAD;
		size_t in = j->payload_len % JOURNAL_PAYLOAD;
		size_t n = MIN(len, JOURNAL_PAYLOAD - in);

		memcpy(j->mem + block * JOURNAL_BLOCK + JOURNAL_BLOCK_HEAD + in, src, n);
		j->payload_len += n;
		src += n;
		len -= n;
	}
}

void journal_put_entry(struct journal *j, const struct journal_entry *e)
{
	uint8_t b[JOURNAL_ENTRY_LEN] = { 0 };

	ERGO(e->kind != JOURNAL_BYTES, !e->len);
	le32_store(b, JOURNAL_ENTRY_LEN + e->len);
	b[4] = (uint8_t)e->kind;
	b[5] = e->is_data;
	memcpy(b + 8, e->topic_id, 16);
	le32_store(b + 24, e->partition);
	le32_store(b + 28, e->generation);
	if (e->kind != JOURNAL_POINT) {
		le64_store(b + 32, (uint64_t)e->segment_base);
		le64_store(b + 40, e->pos);
	} else {
		le64_store(b + 32, (uint64_t)e->point.segment_base);
		le64_store(b + 40, e->point.meta_len);
		le64_store(b + 48, e->point.data_len);
		le64_store(b + 56, (uint64_t)e->point.next_offset);
		le64_store(b + 64, e->point.end_pos);
		le64_store(b + 72, (uint64_t)e->point.max_ts_ms);
	}
	journal_put_bytes(j, b, sizeof(b));
}

void journal_rewind(struct journal *j, size_t payload_len)
{
	PRE(payload_len <= j->payload_len);
	j->payload_len = payload_len;
}

unsigned journal_finish(struct journal *j, struct journal_piece ret[2])
{
	size_t cnt = MAX(1, (j->payload_len + JOURNAL_PAYLOAD - 1) / JOURNAL_PAYLOAD);
	uint64_t slot = j->next_block % j->block_cnt;
	size_t first = MIN(cnt, j->block_cnt - slot);

	PRE(cnt <= j->block_cnt - (j->next_block - j->usable));
	for (size_t i = 0; i < cnt; i++) {
		uint8_t *b = j->mem + i * JOURNAL_BLOCK;
		size_t len = MIN(JOURNAL_PAYLOAD, j->payload_len - i * JOURNAL_PAYLOAD);

		memset(b, 0, JOURNAL_BLOCK_HEAD);
		memset(b + JOURNAL_BLOCK_HEAD + len, 0, JOURNAL_PAYLOAD - len);
		le64_store(b + 8, j->prev_hash);
		le64_store(b + 16, j->next_block + i);
		le64_store(b + 24, j->next_write);
		le32_store(b + 32, (uint32_t)i);
		le32_store(b + 36, (uint32_t)cnt);
		le64_store(b + 40, j->start);
		le32_store(b + 48, (uint32_t)len);
		j->prev_hash = hash_xxh3_seed(b + 8, JOURNAL_BLOCK - 8, j->seed);
		le64_store(b, j->prev_hash);
	}
	j->next_block += cnt;
	j->next_write++;
	j->told = j->start;
	j->payload_len = 0;
	ret[0] = (struct journal_piece){ j->mem, first * JOURNAL_BLOCK,
					 JOURNAL_HEAD_LEN + slot * JOURNAL_BLOCK };
	ret[1] = (struct journal_piece){ j->mem + first * JOURNAL_BLOCK,
					 (cnt - first) * JOURNAL_BLOCK, JOURNAL_HEAD_LEN };
	return first < cnt ? 2 : 1;
}

void journal_done(struct journal *j)
{
	POST(j->told >= j->usable && j->told <= j->next_block);
	j->usable = j->told;
}

struct scan {
	const uint8_t *ring;
	const struct journal_head *h;
	struct journal_scan *ret;
	journal_entry_fn *fn;
	void *ctx;
	struct buf payload;
};

static const uint8_t *scan_slot(const struct scan *sc, uint64_t number)
{
	return sc->ring + (size_t)(number % sc->h->block_cnt) * JOURNAL_BLOCK;
}

/* Whether a slot's own hash and fields hold. All blocks that are needed are in the ring, so that
 * none is further from its start than the ring is long. */
static bool scan_is_good(const struct scan *sc, const uint8_t *b)
{
	uint64_t number = le64_load(b + 16), start = le64_load(b + 40);

	return le64_load(b) == hash_xxh3_seed(b + 8, JOURNAL_BLOCK - 8, sc->h->seed) &&
	       le32_load(b + 32) < le32_load(b + 36) && le32_load(b + 32) <= number &&
	       le32_load(b + 48) <= JOURNAL_PAYLOAD && number <= INT64_MAX && start <= number &&
	       number - start < sc->h->block_cnt && scan_slot(sc, number) == b;
}

static void scan_damage(struct scan *sc, uint64_t number)
{
	if (!sc->ret->damaged)
		sc->ret->damage_pos =
			JOURNAL_HEAD_LEN + (number % sc->h->block_cnt) * JOURNAL_BLOCK;
	sc->ret->damaged = true;
}

/* Takes one entry out of c. -EBADMSG where it is none. */
static int scan_entry(struct cursor *c, struct journal_entry *e)
{
	uint32_t len = cur_get_le32(c);
	uint8_t kind = cur_get_u8(c), file = cur_get_u8(c);
	const void *id;
	uint64_t v[6];

	cur_get_le16(c);
	id = cur_get(c, 16);
	e->partition = cur_get_le32(c);
	e->generation = cur_get_le32(c);
	for (unsigned i = 0; i < ARRAY_CNT(v); i++)
		v[i] = cur_get_le64(c);
	if (c->err || len < JOURNAL_ENTRY_LEN || kind < JOURNAL_BYTES || kind > JOURNAL_FORGET)
		return -EBADMSG;
	e->kind = kind;
	e->is_data = file == 1;
	memcpy(e->topic_id, id, 16);
	e->segment_base = (int64_t)v[0];
	e->pos = v[1];
	e->point = (struct plog_point){ (int64_t)v[0], v[1], v[2],
					(int64_t)v[3], v[4], (int64_t)v[5] };
	e->len = len - JOURNAL_ENTRY_LEN;
	e->bytes = cur_get(c, e->len);
	return c->err;
}

static int scan_write(struct scan *sc, uint64_t first)
{
	struct cursor c;
	struct journal_entry e;

	cur_init(&c, sc->payload.data, sc->payload.len);
	sc->ret->writes++;
	while (cur_left(&c)) {
		int err = scan_entry(&c, &e);

		if (err) {
			scan_damage(sc, first);
			return 0;
		}
		e.block = first;
		sc->ret->entries++;
		err = sc->fn(sc->ctx, &e);
		if (err)
			return err;
	}
	return 0;
}

/* Collects the write that begins with block `first` into the payload. True: it is whole. Else
 * *ret_bad is its first bad block. */
static bool scan_collect(struct scan *sc, uint64_t first, uint64_t *ret_bad)
{
	uint32_t cnt = 1;

	buf_reset(&sc->payload);
	for (uint32_t i = 0; i < cnt; i++) {
		const uint8_t *b = scan_slot(sc, first + i);

		*ret_bad = first + i;
		if (!scan_is_good(sc, b) || le64_load(b + 16) != first + i ||
		    le32_load(b + 32) != i)
			return false;
		if (i && le64_load(b + 8) != le64_load(scan_slot(sc, first + i - 1)))
			return false;
		if (!i)
			cnt = le32_load(b + 36);
		buf_put(&sc->payload, b + JOURNAL_BLOCK_HEAD, le32_load(b + 48));
	}
	*ret_bad = first + cnt;
	return true;
}

/* The first block at or behind `from` that begins a write, up to `last`; UINT64_MAX: none. */
static uint64_t scan_next_write(const struct scan *sc, uint64_t from, uint64_t last)
{
	for (uint64_t n = from; n <= last; n++) {
		const uint8_t *b = scan_slot(sc, n);

		if (scan_is_good(sc, b) && le64_load(b + 16) == n && !le32_load(b + 32))
			return n;
	}
	return UINT64_MAX;
}

/* The newest good block, or NULL: the ring is empty. */
static const uint8_t *scan_newest(const struct scan *sc)
{
	const uint8_t *newest = NULL;

	for (uint64_t i = 0; i < sc->h->block_cnt; i++) {
		const uint8_t *b = scan_slot(sc, i);

		if (scan_is_good(sc, b) && (!newest || le64_load(b + 16) > le64_load(newest + 16)))
			newest = b;
	}
	return newest;
}

/* Whether a block behind `bad` belongs to a write that began after it: then it is damage. */
static bool scan_is_damage(const struct scan *sc, uint64_t bad, uint64_t last)
{
	for (uint64_t n = bad + 1; n <= last; n++) {
		const uint8_t *b = scan_slot(sc, n);

		if (scan_is_good(sc, b) && le64_load(b + 16) == n && n - le32_load(b + 32) > bad)
			return true;
	}
	return false;
}

int journal_scan(const uint8_t *ring, const struct journal_head *h, journal_entry_fn *fn, void *ctx,
		 struct journal_scan *ret)
{
	struct scan sc = { .ring = ring, .h = h, .ret = ret, .fn = fn, .ctx = ctx };
	const uint8_t *newest = scan_newest(&sc);
	uint64_t at, last, bad;
	int err = 0;

	*ret = (struct journal_scan){ 0 };
	if (!newest)
		return 0;
	last = le64_load(newest + 16);
	at = le64_load(newest + 40);
	buf_init(&sc.payload);
	while (!err && at <= last) {
		bool whole = scan_collect(&sc, at, &bad);

		err = buf_err(&sc.payload);
		if (err)
			break;
		if (whole) {
			err = scan_write(&sc, at);
			at = bad;
		} else {
			/* The torn end is not passed over: nothing behind it was answered. */
			if (!scan_is_damage(&sc, bad, last))
				break;
			scan_damage(&sc, bad);
			at = scan_next_write(&sc, bad + 1, last);
		}
	}
	buf_fini(&sc.payload);
	return err;
}

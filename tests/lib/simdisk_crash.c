#include "tests/lib/simdisk_impl.h"

/* Writes under way reach the device or not. */
static void finish_pending(struct simdisk *d, bool crash)
{
	LIST_FOREACH_SAFE(l, tmp, &d->pending) {
		struct disk_req *q = LIST_ENTRY(l, struct disk_req, link);

		list_remove(&q->link);
		if (q->res != INT64_MIN || (q->op != DISK_OP_WRITE && q->op != DISK_OP_WRITE_SYNC))
			continue;
		if (!crash && sim_rnd(d) & 1)
			continue;
		for (size_t at = 0; at < q->len; at += SECTOR)
			if (!crash || sim_rnd(d) & 1)
				sim_put_bytes(d, sim_fd_get(d, q->fd)->file, (uint8_t *)q->buf + at,
					      MIN(SECTOR, q->len - at), q->pos + at,
					      q->op == DISK_OP_WRITE);
	}
}

static void settle(struct simdisk *d)
{
	sim_close_all(d);
	d->stop_at = UINT64_MAX;
	d->fail_at = 0;
}

void simdisk_kill(struct simdisk *d)
{
	finish_pending(d, false);
	settle(d);
}

/* Only what was being changed: a sector that is written again keeps its other bytes. */
static void garble(struct simdisk *d, struct simfile *f, size_t at, size_t n)
{
	size_t end = at + n;

	while (f->cur[at] == f->stable[at])
		at++;
	while (f->cur[end - 1] == f->stable[end - 1])
		end--;
	for (; at < end; at++)
		f->stable[at] = (uint8_t)sim_rnd(d);
}

static void file_crash(struct simdisk *d, struct simfile *f)
{
	size_t len, lo = MIN(f->len, f->stable_len), hi = MAX(f->len, f->stable_len);

	switch (sim_rnd(d) % 3) {
	case 0:
		len = f->stable_len;
		break;
	case 1:
		len = f->len;
		break;
	default:
		len = lo + sim_rnd(d) % (hi - lo + 1);
		break;
	}
	for (size_t at = 0; at < f->cap; at += SECTOR) {
		size_t n = MIN(SECTOR, f->cap - at);

		if (!memcmp(f->cur + at, f->stable + at, n))
			continue;
		switch (sim_rnd(d) % 5) {
		case 0:
		case 1:
			memcpy(f->stable + at, f->cur + at, n);
			break;
		case 2:
			garble(d, f, at, n);
			break;
		default:
			break;
		}
	}
	if (len < f->cap)
		memset(f->stable + len, 0, f->cap - len);
	f->stable_len = f->len = len;
	if (f->cap)
		memcpy(f->cur, f->stable, f->cap);
	f->alloc = MAX(f->alloc, len);
}

void simdisk_crash(struct simdisk *d, uint64_t seed)
{
	uint64_t salt;

	d->rng ^= seed * 0x2545f4914f6cdd1dULL;
	salt = sim_rnd(d);
	finish_pending(d, true);
	settle(d);
	for (size_t i = 0; i < d->name_cnt; i++) {
		struct simname *n = &d->names[i];
		uint64_t coin = n->group ? (n->group * salt) >> 40 : sim_rnd(d);

		if (n->cur != n->stable && coin & 1)
			sim_name_sync(n);
	}
	for (size_t i = 0; i < d->name_cnt; i++) {
		struct simname *n = &d->names[i];
		struct simfile *old = n->cur;

		if (n->stable && !sim_has_parent(d, n->path, true)) {
			sim_file_unref(n->stable);
			n->stable = NULL;
		}
		n->cur = sim_file_ref(n->stable);
		n->group = 0;
		sim_file_unref(old);
	}
	for (size_t i = 0; i < d->name_cnt; i++)
		if (d->names[i].cur && !d->names[i].cur->is_dir)
			file_crash(d, d->names[i].cur);
	for (size_t i = 0; i < sizeof(d->boot_id); i++)
		d->boot_id[i] = (uint8_t)sim_rnd(d);
}

void simdisk_fail(struct simdisk *d, uint64_t nth, uint64_t cnt, int err)
{
	d->fail_at = nth ? d->calls + nth : 0;
	d->fail_cnt = cnt;
	d->fail_err = err;
}

uint64_t simdisk_call_cnt(const struct simdisk *d)
{
	return d->calls;
}

uint64_t simdisk_failed_cnt(const struct simdisk *d)
{
	return d->failed;
}

void simdisk_stop_after(struct simdisk *d, uint64_t cnt)
{
	d->stop_at = cnt == UINT64_MAX ? cnt : d->calls + cnt;
}

void simdisk_set_free(struct simdisk *d, uint64_t bytes)
{
	d->space = bytes;
}

void simdisk_set_cold(struct simdisk *d, unsigned one_in)
{
	d->cold_one_in = one_in;
}

void simdisk_refuse_direct(struct simdisk *d, bool refuse)
{
	d->no_direct = refuse;
}

void simdisk_set_now(struct simdisk *d, int64_t now_ms)
{
	d->now_ms = now_ms;
}

void simdisk_trace(struct simdisk *d, struct buf *b)
{
	d->trace = b;
}

uint8_t *simdisk_bytes(struct simdisk *d, const char *path, size_t *ret_len)
{
	struct simfile *f = sim_lookup(d, path);

	if (!f)
		return NULL;
	*ret_len = f->len;
	return f->cur;
}

void simdisk_flip(struct simdisk *d, const char *path, size_t pos, uint8_t mask)
{
	struct simfile *f = sim_lookup(d, path);

	ASSERT(f && pos < f->len);
	f->cur[pos] ^= mask;
	if (pos < f->stable_len)
		f->stable[pos] ^= mask;
}

unsigned simdisk_open_cnt(const struct simdisk *d)
{
	unsigned cnt = 0;

	for (int fd = 0; fd < FD_MAX; fd++)
		cnt += d->fds[fd].file != NULL;
	return cnt;
}

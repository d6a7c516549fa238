#include "tests/lib/simdisk_impl.h"

#include <errno.h>
#include <stdlib.h>

static void late_put(struct simdisk *d, const struct disk_req *q)
{
	struct simlate *l = &d->late[d->late_cnt++];

	ASSERT(d->late_cnt <= LATE_MAX);
	*l = (struct simlate){ .file = sim_file_ref(sim_fd_get(d, q->fd)->file),
			       .data = malloc(q->len),
			       .len = q->len,
			       .pos = q->pos,
			       .durable = q->op == DISK_OP_WRITE };
	ASSERT(l->data);
	memcpy(l->data, q->buf, q->len);
}

void simdisk_hold_syncs(struct simdisk *d, unsigned cnt)
{
	d->hold_cnt = cnt;
}

void simdisk_let_go(struct simdisk *d)
{
	d->hold_cnt = 0;
	LIST_FOREACH_SAFE(l, tmp, &d->held) {
		list_remove(l);
		list_put(&d->pending, l);
	}
}

/* Writes that nobody has waited for yet: what becomes of them is seen when the process is gone. */
static void pending_stop(struct simdisk *d)
{
	simdisk_let_go(d);
	LIST_FOREACH(l, &d->pending) {
		struct disk_req *q = LIST_ENTRY(l, struct disk_req, link);

		if (q->res != INT64_MIN)
			continue;
		if (q->op == DISK_OP_WRITE || q->op == DISK_OP_WRITE_SYNC)
			late_put(d, q);
		q->res = -EIO;
	}
}

/* Of a mapped MiB a few slots are used: all is looked at, and little copied. */
static size_t used_len(const struct simfile *f)
{
	static const uint8_t zeros[16384];
	size_t len = f->cap;

	while (len >= sizeof(zeros) && !memcmp(f->cur + len - sizeof(zeros), zeros, sizeof(zeros)))
		len -= sizeof(zeros);
	return len;
}

void sim_stop(struct simdisk *d)
{
	if (d->stopped)
		return;
	d->stopped = true;
	pending_stop(d);
	for (size_t i = 0; i < d->name_cnt; i++) {
		struct simfile *f = d->names[i].cur;

		if (!f || !f->mapped || !f->cap)
			continue;
		f->kept_len = used_len(f);
		f->kept = malloc(f->kept_len + 1);
		ASSERT(f->kept);
		memcpy(f->kept, f->cur, f->kept_len);
	}
}

/* A choice of cnt; where the fate of all is the same, that one. */
static uint64_t choose(struct simdisk *d, uint64_t cnt, uint64_t lose, uint64_t keep,
		       uint64_t garble)
{
	uint64_t mixed = sim_rnd(d) % cnt;

	switch (d->fate) {
	case SIMDISK_MIXED:
		return mixed;
	case SIMDISK_LOSE:
		return lose;
	case SIMDISK_KEEP:
		return keep;
	case SIMDISK_GARBLE:
		return garble;
	}
	return mixed;
}

/* Writes under way reach the device or not. */
static void finish_pending(struct simdisk *d, bool crash)
{
	pending_stop(d);
	LIST_FOREACH_SAFE(l, tmp, &d->pending)
		list_remove(l);
	for (unsigned i = 0; i < d->late_cnt; i++) {
		struct simlate *l = &d->late[i];
		bool lost = !crash && sim_rnd(d) & 1;

		for (size_t at = 0; at < l->len && !lost; at += SECTOR)
			if (!crash || choose(d, 2, 0, 1, 1))
				sim_put_bytes(d, l->file, l->data + at, MIN(SECTOR, l->len - at),
					      l->pos + at, l->durable);
		sim_file_unref(l->file);
		free(l->data);
	}
	d->late_cnt = 0;
}

static void settle(struct simdisk *d)
{
	sim_close_all(d);
	for (size_t i = 0; i < d->name_cnt; i++) {
		struct simfile *f = d->names[i].cur;
		size_t len;

		if (!f || !f->kept)
			continue;
		len = used_len(f);
		memcpy(f->cur, f->kept, f->kept_len);
		if (len > f->kept_len)
			memset(f->cur + f->kept_len, 0, len - f->kept_len);
		free(f->kept);
		f->kept = NULL;
	}
	d->stop_at = UINT64_MAX;
	d->fail_at = 0;
	d->stopped = false;
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

	if (f->mapped)
		sim_file_touch(f, 0, f->cap);

	switch (choose(d, 3, 0, 1, 1)) {
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
	for (size_t at = f->dirty / SECTOR * SECTOR; at < f->dirty_end; at += SECTOR) {
		size_t n;

		while (at + 32 * SECTOR < f->dirty_end &&
		       !memcmp(f->cur + at, f->stable + at, 32 * SECTOR))
			at += 32 * SECTOR;
		n = MIN(SECTOR, f->cap - at);
		if (!memcmp(f->cur + at, f->stable + at, n))
			continue;
		switch (choose(d, 5, 4, 0, 2)) {
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
	/* A sector that was written out whole may reach beyond both ends. */
	hi = MIN(MAX(hi, (f->dirty_end + SECTOR - 1) / SECTOR * SECTOR), f->cap);
	if (len < hi)
		memset(f->stable + len, 0, hi - len);
	sim_file_touch(f, len, hi);
	if (f->dirty_end)
		memcpy(f->cur + f->dirty, f->stable + f->dirty, f->dirty_end - f->dirty);
	f->dirty = f->dirty_end = 0;
	f->stable_len = f->len = len;
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

		if (d->fate != SIMDISK_MIXED)
			coin = d->fate != SIMDISK_LOSE;
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

void simdisk_fill_after(struct simdisk *d, uint64_t cnt, bool names)
{
	d->full_at = cnt == UINT64_MAX ? cnt : d->calls + cnt;
	d->freed = 0;
	d->no_names = names;
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
	/* It lives on: what it has done since a stop counts. */
	for (size_t i = 0; i < d->name_cnt; i++) {
		struct simfile *f = d->names[i].cur;

		if (f) {
			free(f->kept);
			f->kept = NULL;
		}
	}
	d->stopped = false;
	d->stop_at = cnt == UINT64_MAX ? cnt : d->calls + cnt;
}

bool simdisk_is_stopped(const struct simdisk *d)
{
	return d->stopped;
}

bool simdisk_has_pending(const struct simdisk *d)
{
	return !list_is_empty(&d->pending);
}

void simdisk_set_fate(struct simdisk *d, enum simdisk_fate fate)
{
	d->fate = fate;
}

void simdisk_set_lazy(struct simdisk *d, unsigned one_in)
{
	d->lazy_one_in = one_in;
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
	sim_file_touch(f, 0, f->len); /* the caller may damage it */
	*ret_len = f->len;
	return f->cur;
}

void simdisk_flip(struct simdisk *d, const char *path, size_t pos, uint8_t mask)
{
	struct simfile *f = sim_lookup(d, path);

	ASSERT(f && pos < f->len);
	f->cur[pos] ^= mask;
	sim_file_touch(f, pos, pos + 1);
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

/* The contents of the files of the simulated disk: the cached one and the stable one. */
#include "tests/lib/simdisk_impl.h"

#include <stdlib.h>

static uint8_t *zeroed(size_t len)
{
	uint8_t *mem = calloc(1, len);

	ASSERT(mem);
	return mem;
}

void sim_file_unref(struct simfile *f)
{
	if (!f || --f->refs)
		return;
	free(f->cur);
	free(f->stable);
	free(f->kept);
	free(f);
}

struct simfile *sim_file_ref(struct simfile *f)
{
	if (f)
		f->refs++;
	return f;
}

static uint8_t *grown(uint8_t *mem, size_t len, size_t new_cap)
{
	uint8_t *more = zeroed(new_cap);

	if (len)
		memcpy(more, mem, len);
	free(mem);
	return more;
}

void sim_file_grow(struct simfile *f, size_t need)
{
	size_t cap = MAX(f->cap, 256U);

	if (need <= f->cap)
		return;
	ASSERT(!f->mapped);
	while (cap < need)
		cap *= 2;
	f->cur = grown(f->cur, f->len, cap);
	f->stable = grown(f->stable, f->stable_len, cap);
	f->cap = cap;
}

void sim_file_touch(struct simfile *f, size_t from, size_t to)
{
	if (from >= to)
		return;
	f->dirty = f->dirty_end ? MIN(f->dirty, from) : from;
	f->dirty_end = MAX(f->dirty_end, to);
}

void sim_file_sync(struct simfile *f)
{
	if (f->mapped)
		sim_file_touch(f, 0, f->cap);
	if (f->dirty_end)
		memcpy(f->stable + f->dirty, f->cur + f->dirty, f->dirty_end - f->dirty);
	f->dirty = f->dirty_end = 0;
	f->stable_len = f->len;
}

void sim_put_bytes(struct simdisk *d, struct simfile *f, const void *data, size_t len, uint64_t pos,
		   bool durable)
{
	if (!len)
		return;
	sim_file_grow(f, pos + len);
	memcpy(f->cur + pos, data, len);
	f->len = MAX(f->len, pos + len);
	f->mtime_ms = d->now_ms;
	if (durable) {
		memcpy(f->stable + pos, data, len);
		f->stable_len = MAX(f->stable_len, pos + len);
	} else {
		sim_file_touch(f, pos, pos + len);
	}
}

/* Heads of .meta files: whatever is taken is in bounds, and is what was written. */
#include "daemon/base/hash.h"
#include "daemon/store/format.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

/* Where the zeros begin that nobody reads, and the name. */
#define NAME_AT 80
#define NAME_LEN 64

static void try_head(const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_copy(data, len);
	struct segment_head h, again;
	struct buf b;

	if (format_get_head(copy, len, &h)) {
		free(copy);
		return;
	}
	CHECK(h.base_offset >= 0 && h.base_pos <= INT64_MAX);
	CHECK(h.data_name[0] && !strchr(h.data_name, '/'));
	buf_init(&b);
	format_put_head(&b, &h);
	CHECK(b.len == FORMAT_HEAD_LEN);
	CHECK(!memcmp(b.data + 16, copy + 16, NAME_AT - 16));
	CHECK(!strncmp((char *)b.data + NAME_AT, (char *)copy + NAME_AT, NAME_LEN));
	CHECK(!format_get_head(b.data, b.len, &again));
	CHECK(!strcmp(again.data_name, h.data_name));
	/* One flipped bit is seen. */
	b.data[b.data[20] % FORMAT_HEAD_LEN] ^= (uint8_t)(1U << (b.data[21] & 7));
	CHECK(format_get_head(b.data, b.len, &again));
	buf_fini(&b);
	free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t mem[FORMAT_HEAD_LEN] = { 0 };

	try_head(data, len);
	memcpy(mem, data, MIN(len, sizeof(mem)));
	le32_store(mem, FORMAT_HEAD_MAGIC);
	le16_store(mem + 4, FORMAT_VERSION);
	le16_store(mem + 6, FORMAT_HEAD_LEN);
	le64_store(mem + 8, hash_xxh3(mem + 16, sizeof(mem) - 16));
	try_head(mem, sizeof(mem));
	return 0;
}

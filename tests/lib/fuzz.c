#include "tests/lib/fuzz.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void fuzz_fail(const char *expr, const char *file, int line)
{
	fprintf(stderr, "%s:%d: does not hold: %s\n", file, line, expr);
	abort();
}

const uint8_t *fuzz_bytes(struct fuzz_input *in, size_t len, size_t *ret_len)
{
	const uint8_t *p = in->data;

	len = MIN(len, in->len);
	if (len) {
		in->data += len;
		in->len -= len;
	}
	*ret_len = len;
	return p;
}

static uint64_t number(struct fuzz_input *in, size_t len)
{
	uint8_t mem[8] = { 0 };
	size_t have;
	const uint8_t *p = fuzz_bytes(in, len, &have);

	if (have)
		memcpy(mem, p, have);
	return le64_load(mem);
}

uint8_t fuzz_u8(struct fuzz_input *in)
{
	return (uint8_t)number(in, 1);
}

uint16_t fuzz_le16(struct fuzz_input *in)
{
	return (uint16_t)number(in, 2);
}

uint32_t fuzz_le32(struct fuzz_input *in)
{
	return (uint32_t)number(in, 4);
}

uint64_t fuzz_le64(struct fuzz_input *in)
{
	return number(in, 8);
}

void *fuzz_copy(const void *data, size_t len)
{
	/* Of nothing a byte would be allocated all the same: its address is no place to read. */
	uint8_t *mem = malloc(len ? len : 1);

	ASSERT(mem);
	if (len)
		memcpy(mem, data, len);
	return mem;
}

char *fuzz_string(const void *data, size_t len)
{
	char *mem = malloc(len + 1);

	ASSERT(mem);
	if (len)
		memcpy(mem, data, len);
	mem[len] = '\0';
	return mem;
}

bool fuzz_equal(const void *a, size_t a_len, const void *b, size_t b_len)
{
	return a_len == b_len && (!a_len || !memcmp(a, b, a_len));
}

/* Headers of records in their stored form: what is taken apart is the same put together. */
#include "daemon/store/record.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_copy(data, len);
	struct cursor c;
	struct buf b;

	buf_init(&b);
	cur_init(&c, copy, len);
	while (cur_left(&c)) {
		const uint8_t *name = NULL, *value = NULL;
		uint32_t name_len = 0, value_len = 0;
		size_t at = c.pos;

		if (record_header_next(&c, &name, &name_len, &value, &value_len)) {
			CHECK(!cur_left(&c));
			break;
		}
		CHECK(name >= copy + at && name + name_len <= copy + len);
		CHECK(value_len == RECORD_NULL ||
		      (value >= name + name_len && value + value_len <= copy + len));
		record_header_put(&b, name, name_len, value, value_len);
		CHECK(!buf_err(&b) && b.len == c.pos && !memcmp(b.data, copy, b.len));
	}
	buf_fini(&b);
	free(copy);
	return 0;
}

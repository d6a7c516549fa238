/*
 * Records as JSON. An input that begins with '{' is a line: what decodes, encodes, and decodes to
 * the same record. Any other is a record,
 *
 *   u8 flags, le16 value length, value, u8 key length, key, then headers: u8 flags, u8 and u8
 *   lengths, name and value
 *
 * which encodes, and decodes to the same.
 */
#include "daemon/store/json.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

#define TOPIC "t\"ö\n"

static bool is_same(const struct record *a, const struct record *b)
{
	uint32_t value_len = a->value_len == RECORD_NULL ? 0 : a->value_len;
	uint32_t key_len = a->key_len == RECORD_NULL ? 0 : a->key_len;

	return a->value_len == b->value_len && a->key_len == b->key_len &&
	       a->headers_len == b->headers_len && a->timestamp_ms == b->timestamp_ms &&
	       fuzz_equal(a->value, value_len, b->value, value_len) &&
	       fuzz_equal(a->key, key_len, b->key, key_len) &&
	       fuzz_equal(a->headers, a->headers_len, b->headers, b->headers_len);
}

/* Encodes, decodes, and encodes again. */
static void check_round(struct record *r)
{
	struct buf line, arena, again;
	struct json_record jr;
	struct record got;
	char err[JSON_ERR_LEN];

	if (r->timestamp_ms < 0)
		r->timestamp_ms = 0;
	r->offset = 7;
	buf_init(&line);
	buf_init(&arena);
	buf_init(&again);
	json_put_record(&line, TOPIC, 3, r);
	CHECK(!buf_err(&line) && line.data[line.len - 1] == '\n');
	CHECK(!memchr(line.data, '\n', line.len - 1));
	CHECK(!json_get_record(line.data, line.len, &arena, &jr, err, sizeof(err)));
	CHECK(jr.has_partition && jr.partition == 3);
	json_record_view(&jr, &arena, &got);
	CHECK(is_same(r, &got));
	got.offset = 7;
	json_put_record(&again, TOPIC, 3, &got);
	CHECK(fuzz_equal(line.data, line.len, again.data, again.len));
	buf_fini(&line);
	buf_fini(&arena);
	buf_fini(&again);
}

static void try_line(const uint8_t *data, size_t len)
{
	uint8_t *line = fuzz_copy(data, len);
	char err[JSON_ERR_LEN] = "";
	struct json_record jr;
	struct record r;
	struct buf arena;
	int rc;

	buf_init(&arena);
	buf_put_str(&arena, "before");
	rc = json_get_record(line, len, &arena, &jr, err, sizeof(err));
	CHECK(!memcmp(arena.data, "before", 6));
	if (rc) {
		CHECK(rc == -EINVAL && arena.len == 6);
		CHECK(*err && strnlen(err, sizeof(err)) < sizeof(err));
	} else {
		json_record_view(&jr, &arena, &r);
		CHECK(r.timestamp_ms >= 0 || r.timestamp_ms == RECORD_NO_TIMESTAMP);
		check_round(&r);
	}
	buf_fini(&arena);
	free(line);
}

static void try_record(const uint8_t *data, size_t len)
{
	struct fuzz_input in = { data, len };
	uint8_t flags = fuzz_u8(&in);
	struct record r = { .timestamp_ms = (int64_t)fuzz_le16(&in) << (flags & 31) };
	size_t value_len = fuzz_le16(&in), key_len = fuzz_u8(&in);
	struct buf headers;

	r.value = fuzz_bytes(&in, value_len, &value_len);
	r.value_len = flags & 0x80 ? RECORD_NULL : (uint32_t)value_len;
	r.key = fuzz_bytes(&in, key_len, &key_len);
	r.key_len = flags & 0x40 ? RECORD_NULL : (uint32_t)key_len;
	buf_init(&headers);
	while (in.len) {
		uint8_t header_flags = fuzz_u8(&in);
		size_t name_len = fuzz_u8(&in) % 16, header_len = fuzz_u8(&in) % 16;
		const uint8_t *name = fuzz_bytes(&in, name_len, &name_len);
		const uint8_t *value = fuzz_bytes(&in, header_len, &header_len);

		record_header_put(&headers, name, (uint32_t)name_len, value,
				  header_flags & 1 ? RECORD_NULL : (uint32_t)header_len);
	}
	CHECK(!buf_err(&headers));
	r.headers = headers.data;
	r.headers_len = (uint32_t)headers.len;
	check_round(&r);
	buf_fini(&headers);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	try_line(data, len);
	if (len && data[0] != '{')
		try_record(data, len);
	return 0;
}

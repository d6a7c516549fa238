/* Growing buffers and cursors: bytes as they lie, and errors that stick. */
#include "daemon/base/buf.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static void test_numbers_are_little_endian(void **state)
{
	static const uint8_t expected[] = { 0x01, 0x03, 0x02, 0x07, 0x06, 0x05, 0x04, 0x0f,
					    0x0e, 0x0d, 0x0c, 0x0b, 0x0a, 0x09, 0x08 };
	struct cursor c;
	struct buf b;

	buf_init(&b);
	buf_put_u8(&b, 0x01);
	buf_put_le16(&b, 0x0203);
	buf_put_le32(&b, 0x04050607);
	buf_put_le64(&b, 0x08090a0b0c0d0e0fULL);
	assert_int_equal(buf_err(&b), 0);
	assert_int_equal(b.len, sizeof(expected));
	assert_memory_equal(b.data, expected, sizeof(expected));
	cur_init(&c, b.data, b.len);
	assert_int_equal(cur_get_u8(&c), 0x01);
	assert_int_equal(cur_get_le16(&c), 0x0203);
	assert_int_equal(cur_get_le32(&c), 0x04050607);
	assert_true(cur_get_le64(&c) == 0x08090a0b0c0d0e0fULL);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(c.err, 0);
	buf_fini(&b);
}

static void test_text_and_bytes(void **state)
{
	struct buf b;

	buf_init(&b);
	buf_put_str(&b, "ab");
	buf_put(&b, "c\0d", 3);
	buf_put_zero(&b, 2);
	buf_printf(&b, "%d-%s", 42, "x");
	buf_put(&b, NULL, 0);
	buf_put_zero(&b, 0);
	buf_put_str(&b, "");
	assert_int_equal(b.len, 11);
	assert_memory_equal(b.data,
			    "abc\0d\0\0"
			    "42-x",
			    11);
	buf_fini(&b);
}

/* Whatever the sizes, everything is where it was put. */
static void test_growth(void **state)
{
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < 3000; i++) {
		buf_put_le32(&b, (uint32_t)i);
		buf_printf(&b, "%*s", (int)(i % 70), "");
	}
	assert_int_equal(buf_err(&b), 0);
	for (size_t i = 0, pos = 0; i < 3000; pos += 4 + i % 70, i++)
		assert_int_equal(le32_load(b.data + pos), i);
	buf_fini(&b);
}

static void test_reserve_and_reset(void **state)
{
	const uint8_t *data;
	struct buf b;

	buf_init(&b);
	assert_null(b.data);
	assert_int_equal(buf_reserve(&b, 1000), 0);
	data = b.data;
	assert_true(b.cap >= 1000 && b.len == 0);
	buf_put_zero(&b, 1000);
	assert_ptr_equal(b.data, data);
	buf_reset(&b);
	assert_int_equal(b.len, 0);
	assert_ptr_equal(b.data, data);
	buf_fini(&b);
	assert_null(b.data);
	buf_fini(&b);
	buf_fini(NULL);
}

static void test_set_and_consume(void **state)
{
	struct buf b;

	buf_init(&b);
	buf_put_str(&b, "head");
	buf_put_zero(&b, 12);
	buf_put_str(&b, "tail");
	buf_set_le32(&b, 4, 0x64636261);
	buf_set_le64(&b, 8, 0x6c6b6a6968676665ULL);
	assert_int_equal(b.len, 20);
	assert_memory_equal(b.data, "headabcdefghijkltail", 20);
	buf_consume(&b, 0);
	buf_consume(&b, 16);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "tail", 4);
	buf_consume(&b, 4);
	assert_int_equal(b.len, 0);
	buf_fini(&b);
}

/* A failure to grow leaves the bytes, sticks through later puts, and goes with a reset. */
static void test_failure_sticks(void **state)
{
	struct buf b;

	buf_init(&b);
	buf_put_str(&b, "kept");
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOMEM);
	assert_int_equal(buf_err(&b), -ENOMEM);
	buf_put_str(&b, "x");
	buf_put_zero(&b, 5);
	buf_put_le64(&b, 1);
	buf_printf(&b, "%d", 5);
	buf_set_le32(&b, 100, 5);
	assert_int_equal(buf_reserve(&b, 0), -ENOMEM);
	assert_int_equal(b.len, 4);
	assert_memory_equal(b.data, "kept", 4);
	buf_reset(&b);
	assert_int_equal(buf_err(&b), 0);
	buf_put_str(&b, "again");
	assert_int_equal(b.len, 5);
	buf_fini(&b);
}

static void test_reserve_too_much(void **state)
{
	struct buf b;

	buf_init(&b);
	assert_int_equal(buf_reserve(&b, SIZE_MAX / 2 + 1), -ENOMEM);
	assert_null(b.data);
	buf_fini(&b);
}

/* A read past the end takes nothing, gives zero, and all later ones do. */
static void test_cursor_past_the_end(void **state)
{
	const uint8_t data[] = { 1, 2, 3, 4, 5, 6, 7 };
	struct cursor c;

	cur_init(&c, data, sizeof(data));
	assert_int_equal(cur_get_le32(&c), 0x04030201);
	assert_int_equal(cur_left(&c), 3);
	assert_int_equal(cur_get_le32(&c), 0);
	assert_int_equal(c.err, -EBADMSG);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(cur_get_u8(&c), 0);
	assert_null(cur_get(&c, 1));
	assert_null(cur_get(&c, 0));
}

static void test_cursor_bytes(void **state)
{
	const uint8_t data[] = { 1, 2, 3 };
	struct cursor c;

	cur_init(&c, data, sizeof(data));
	assert_ptr_equal(cur_get(&c, 2), data);
	assert_ptr_equal(cur_get(&c, 0), data + 2);
	assert_ptr_equal(cur_get(&c, 1), data + 2);
	assert_int_equal(c.err, 0);
	assert_null(cur_get(&c, SIZE_MAX));
	assert_int_equal(c.err, -EBADMSG);
	cur_init(&c, NULL, 0);
	assert_int_equal(cur_left(&c), 0);
	assert_int_equal(cur_get_le16(&c), 0);
	assert_int_equal(c.err, -EBADMSG);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_numbers_are_little_endian),
		cmocka_unit_test(test_text_and_bytes),
		cmocka_unit_test(test_growth),
		cmocka_unit_test(test_reserve_and_reset),
		cmocka_unit_test(test_set_and_consume),
		cmocka_unit_test(test_failure_sticks),
		cmocka_unit_test(test_reserve_too_much),
		cmocka_unit_test(test_cursor_past_the_end),
		cmocka_unit_test(test_cursor_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Strict UTF-8 against the definition: a sequence is valid when it is how a code point is encoded.
 */
#include "daemon/base/utf8.h"

#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

static size_t encode(uint32_t c, uint8_t ret[4])
{
	if (c < 0x80) {
		ret[0] = (uint8_t)c;
		return 1;
	}
	if (c < 0x800) {
		ret[0] = (uint8_t)(0xc0 | c >> 6);
		ret[1] = (uint8_t)(0x80 | (c & 0x3f));
		return 2;
	}
	if (c < 0x10000) {
		ret[0] = (uint8_t)(0xe0 | c >> 12);
		ret[1] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
		ret[2] = (uint8_t)(0x80 | (c & 0x3f));
		return 3;
	}
	ret[0] = (uint8_t)(0xf0 | c >> 18);
	ret[1] = (uint8_t)(0x80 | (c >> 12 & 0x3f));
	ret[2] = (uint8_t)(0x80 | (c >> 6 & 0x3f));
	ret[3] = (uint8_t)(0x80 | (c & 0x3f));
	return 4;
}

static void test_every_code_point(void **state)
{
	for (uint32_t c = 0; c < 0x1fffff; c++) {
		bool valid = c <= 0x10ffff && (c < 0xd800 || c > 0xdfff);
		uint8_t text[4];
		size_t len = encode(c, text);

		assert_int_equal(utf8_char_len(text, len), valid ? len : 0);
		for (size_t cut = 1; cut < len; cut++)
			assert_int_equal(utf8_char_len(text, cut), 0);
	}
}

/* Of all pairs and triples of bytes exactly the encodings are valid; so nothing overlong is. */
static void test_every_triple(void **state)
{
	size_t pairs = 0, triples = 0;
	uint8_t text[3];

	for (uint32_t v = 0; v < 1U << 24; v++) {
		text[0] = (uint8_t)(v >> 16);
		text[1] = (uint8_t)(v >> 8);
		text[2] = (uint8_t)v;
		triples += utf8_char_len(text, 3) == 3;
		pairs += text[2] == 0 && utf8_char_len(text, 2) == 2;
	}
	assert_int_equal(pairs, 0x800 - 0x80);
	assert_int_equal(triples, 0x10000 - 0x800 - 0x800);
}

static void test_overlong_of_four(void **state)
{
	size_t cnt = 0;

	for (unsigned lead = 0xf0; lead <= 0xff; lead++) {
		for (unsigned second = 0; second <= 0xff; second++) {
			const uint8_t text[] = { (uint8_t)lead, (uint8_t)second, 0x80, 0x80 };

			cnt += utf8_char_len(text, 4) == 4;
		}
	}
	assert_int_equal(cnt, (0x110000 - 0x10000) >> 12);
}

/* One bad byte is found wherever it stands. */
static void test_bad_byte_anywhere(void **state)
{
	uint8_t text[70];

	for (size_t len = 0; len <= sizeof(text); len++) {
		memset(text, 'a', sizeof(text));
		assert_true(utf8_is_valid(text, len));
		for (size_t i = 0; i < len; i++) {
			text[i] = 0xff;
			assert_false(utf8_is_valid(text, len));
			text[i] = 0xc3;
			assert_false(utf8_is_valid(text, len));
			if (i + 1 < len) {
				text[i + 1] = 0xa9;
				assert_true(utf8_is_valid(text, len));
				text[i + 1] = 'a';
			}
			text[i] = 'a';
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_code_point),
		cmocka_unit_test(test_every_triple),
		cmocka_unit_test(test_overlong_of_four),
		cmocka_unit_test(test_bad_byte_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

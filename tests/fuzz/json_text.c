/* Strings of JSON, base64 and UTF-8 from any bytes. */
#include "daemon/store/json_text.h"
#include "daemon/base/utf8.h"
#include "tests/lib/fuzz.h"

#include <stdlib.h>

static void check_string(const uint8_t *data, size_t len)
{
	struct buf strict, lenient;
	bool is_text;

	buf_init(&strict);
	buf_init(&lenient);
	buf_put_str(&strict, "x");
	is_text = json_text_put(&strict, data, len);
	CHECK(is_text == utf8_is_valid(data, len));
	CHECK(is_text || strict.len == 1);
	json_put_string(&lenient, data, len);
	CHECK(lenient.len >= 2 && lenient.data[0] == '"' && lenient.data[lenient.len - 1] == '"');
	CHECK(utf8_is_valid(lenient.data, lenient.len));
	CHECK(json_text_is_paired(lenient.data, lenient.len));
	for (size_t i = 0; i < lenient.len; i++)
		CHECK(lenient.data[i] >= ' ');
	if (is_text)
		CHECK(fuzz_equal(strict.data + 1, strict.len - 1, lenient.data, lenient.len));
	buf_fini(&strict);
	buf_fini(&lenient);
}

static void check_base64(const uint8_t *data, size_t len)
{
	struct buf text, bytes;

	buf_init(&text);
	buf_init(&bytes);
	json_text_put_base64(&text, data, len);
	CHECK(text.len == (len + 2) / 3 * 4 + 2);
	CHECK(json_text_get_base64(&bytes, text.data + 1, text.len - 2));
	CHECK(fuzz_equal(bytes.data, bytes.len, data, len));
	/* Strict: what is taken is the one text of these bytes. */
	buf_reset(&bytes);
	if (json_text_get_base64(&bytes, data, len)) {
		buf_reset(&text);
		json_text_put_base64(&text, bytes.data, bytes.len);
		CHECK(fuzz_equal(text.data + 1, text.len - 2, data, len));
	}
	buf_fini(&text);
	buf_fini(&bytes);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy = fuzz_copy(data, len);

	check_string(copy, len);
	check_base64(copy, len);
	json_text_is_paired(copy, len);
	free(copy);
	return 0;
}

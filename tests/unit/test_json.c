/* Records as JSON: what is printed to the byte, what is read and refused, and both in a circle. */
#include "daemon/store/json.h"

#include "daemon/base/limits.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define HEAD "{\"topic\":\"orders\",\"partition\":0,\"offset\":7,\"timestamp\":1770028200123,"

static struct record record_of(const char *key, const char *value)
{
	return (struct record){
		.value = (const uint8_t *)value,
		.value_len = value ? (uint32_t)strlen(value) : RECORD_NULL,
		.key = (const uint8_t *)key,
		.key_len = key ? (uint32_t)strlen(key) : RECORD_NULL,
		.timestamp_ms = 1770028200123,
		.offset = 7,
	};
}

static void assert_text(struct buf *b, const char *text)
{
	assert_int_equal(buf_err(b), 0);
	buf_put_u8(b, 0);
	assert_string_equal((char *)b->data, text);
	buf_fini(b);
}

static void assert_printed(const struct record *r, const char *text)
{
	struct buf b;

	buf_init(&b);
	json_put_record(&b, "orders", 0, r);
	assert_text(&b, text);
}

static void test_print_plain(void **state)
{
	struct record r = record_of("k", "v");

	assert_printed(&r, HEAD "\"key\":\"k\",\"value\":\"v\",\"headers\":{}}\n");
	r = record_of(NULL, NULL);
	assert_printed(&r, HEAD "\"key\":null,\"value\":null,\"headers\":{}}\n");
	r = record_of("", "");
	assert_printed(&r, HEAD "\"key\":\"\",\"value\":\"\",\"headers\":{}}\n");
}

static void test_print_escapes(void **state)
{
	struct record r = record_of("a\"b\\c/", "\b\t\n\f\r\x01\x1f\x7f ä€😀");

	assert_printed(&r, HEAD "\"key\":\"a\\\"b\\\\c/\",\"value\":\"\\b\\t\\n\\f\\r\\u0001\\u001f"
				"\x7f ä€😀\",\"headers\":{}}\n");
	r = record_of(NULL, NULL);
	r.value = (const uint8_t *)"a\0b";
	r.value_len = 3;
	assert_printed(&r, HEAD "\"key\":null,\"value\":\"a\\u0000b\",\"headers\":{}}\n");
}

static void test_print_base64(void **state)
{
	static const struct {
		const char *raw, *base64;
	} cases[] = {
		{ "\xff", "/w==" },
		{ "\xff\xfe", "//4=" },
		{ "ab\xff", "YWL/" },
		{ "\xc0\x80", "wIA=" },		    /* overlong */
		{ "\xed\xa0\x80", "7aCA" },	    /* a surrogate */
		{ "\xf4\x90\x80\x80", "9JCAgA==" }, /* beyond U+10FFFF */
		{ "a long clean beginning and then \xe2\x82",
		  "YSBsb25nIGNsZWFuIGJlZ2lubmluZyBhbmQgdGhlbiDigg==" },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct record r = record_of(cases[i].raw, cases[i].raw);
		char text[512];

		snprintf(text, sizeof(text),
			 HEAD "\"key_base64\":\"%s\",\"value_base64\":\"%s\",\"headers\":{}}\n",
			 cases[i].base64, cases[i].base64);
		assert_printed(&r, text);
	}
}

struct header_case {
	const char *name, *value;
};

static void assert_headers(const struct header_case *h, size_t cnt, const char *text)
{
	struct record r = record_of(NULL, "v");
	char line[1024];
	struct buf b;

	buf_init(&b);
	for (size_t i = 0; i < cnt; i++) {
		record_header_put(&b, h[i].name, (uint32_t)strlen(h[i].name), h[i].value,
				  h[i].value ? (uint32_t)strlen(h[i].value) : RECORD_NULL);
	}
	r.headers = b.data;
	r.headers_len = (uint32_t)b.len;
	snprintf(line, sizeof(line), HEAD "\"key\":null,\"value\":\"v\",\"headers\":%s}\n", text);
	assert_printed(&r, line);
	buf_fini(&b);
}

static void test_print_headers(void **state)
{
	const struct header_case distinct[] = { { "a", "1" }, { "", "\"" }, { "ä", NULL } };
	const struct header_case repeated[] = { { "a", "1" }, { "b", NULL }, { "a", "2" } };
	const struct header_case binary[] = { { "a", "\xff" }, { "\xfe", "x" } };

	assert_headers(distinct, 3, "{\"a\":\"1\",\"\":\"\\\"\",\"ä\":null}");
	assert_headers(repeated, 3,
		       "[{\"name\":\"a\",\"value\":\"1\"},{\"name\":\"b\",\"value\":null},"
		       "{\"name\":\"a\",\"value\":\"2\"}]");
	assert_headers(binary, 2,
		       "[{\"name\":\"a\",\"value_base64\":\"/w==\"},"
		       "{\"name_base64\":\"/g==\",\"value\":\"x\"}]");
}

static void test_print_malformed_headers(void **state)
{
	struct record r = record_of(NULL, "v");

	r.headers = (const uint8_t *)"\x05\0\0";
	r.headers_len = 3;
	assert_printed(&r, HEAD "\"key\":null,\"value\":\"v\",\"headers\":null}\n");
}

static void test_print_ack_and_string(void **state)
{
	struct buf b;

	buf_init(&b);
	json_put_ack(&b, "orders", 65535, INT64_MAX, 0);
	assert_text(&b, "{\"topic\":\"orders\",\"partition\":65535,\"offset\":9223372036854775807,"
			"\"timestamp\":0}\n");
	json_put_string(&b, "a\xff\n\xe2\x82z", 6);
	assert_text(&b, "\"a\xef\xbf\xbd\\n\xef\xbf\xbd\xef\xbf\xbdz\"");
	json_put_string(&b, NULL, 0);
	assert_text(&b, "\"\"");
	json_text_put_i64(&b, INT64_MIN);
	assert_text(&b, "-9223372036854775808");
}

/* Reading */

struct input {
	struct buf arena;
	struct json_record jr;
	struct record r;
};

static void input_open(struct input *in, const char *line, size_t len)
{
	char err[JSON_ERR_LEN] = "";

	buf_init(&in->arena);
	if (json_get_record(line, len, &in->arena, &in->jr, err, sizeof(err)))
		fail_msg("%s: %s", line, err);
	json_record_view(&in->jr, &in->arena, &in->r);
}

static void assert_bytes(const uint8_t *data, uint32_t len, const char *expected,
			 size_t expected_len)
{
	if (!expected) {
		assert_true(len == RECORD_NULL);
		return;
	}
	assert_int_equal(len, expected_len);
	if (len)
		assert_memory_equal(data, expected, len);
}

static void assert_value(const char *line, const char *value, size_t value_len)
{
	struct input in;

	input_open(&in, line, strlen(line));
	assert_bytes(in.r.value, in.r.value_len, value, value_len);
	assert_true(in.r.key_len == RECORD_NULL);
	assert_int_equal(in.r.headers_len, 0);
	assert_true(in.r.timestamp_ms == RECORD_NO_TIMESTAMP);
	assert_true(in.r.offset == -1);
	assert_false(in.jr.has_partition);
	buf_fini(&in.arena);
}

static void test_read_values(void **state)
{
	static const struct {
		const char *line, *value;
	} cases[] = {
		{ "{\"value\":\"v\"}", "v" },
		{ "{\"value\":\"v\"}\n", "v" },
		{ " { \"value\" : \"\" } \r\n", "" },
		{ "{\"value\":null}", NULL },
		{ "{\"value\":true}", "true" },
		{ "{\"value\":false}", "false" },
		{ "{\"value\":1}", "1" },
		{ "{\"value\":-0.10e+05 }", "-0.10e+05" },
		{ "{\"value\":123456789012345678901234567890.000}",
		  "123456789012345678901234567890.000" },
		{ "{\"value\":{}}", "{}" },
		{ "{\"value\": [ 1 ,\t{\"a\": \"\\u0041\"} ] }", "[ 1 ,\t{\"a\": \"\\u0041\"} ]" },
		{ "{\"value\":{ "
		  "\"value\":{\"key\":5,\"key\":[]}},\"offset\":[{}],\"topic\":{\"a\":[1]}}",
		  "{ \"value\":{\"key\":5,\"key\":[]}}" },
		{ "{\"topic\":null,\"offset\":\"x\",\"value\":[\"ä\"]}", "[\"ä\"]" },
		{ "{\"value\":\"\\u00e4\\u20ac\\ud83d\\ude00\\\"\\\\\\/\\b\\f\\n\\r\\t\"}",
		  "ä€😀\"\\/\b\f\n\r\t" },
		{ "{\"value\":\"\\\\ud800\"}", "\\ud800" },
		{ "{\"\\u0076alue\":\"v\"}", "v" },
		{ "{\"value_base64\":\"\"}", "" },
		{ "{\"value_base64\":\"/w==\"}", "\xff" },
		{ "{\"value_base64\":\"//4=\"}", "\xff\xfe" },
		{ "{\"value_base64\":\"YW\\u004c\\/\"}", "ab\xff" },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		assert_value(cases[i].line, cases[i].value,
			     cases[i].value ? strlen(cases[i].value) : 0);
	}
	assert_value("{\"value\":\"a\\u0000b\"}", "a\0b", 3);
}

static void test_read_members(void **state)
{
	const char *line =
		HEAD "\"key\":\"k\",\"value\":\"v\",\"headers\":{\"a\":\"1\",\"b\":null}}\n";
	struct input in;
	struct cursor c;
	const uint8_t *name, *value;
	uint32_t name_len, value_len;

	input_open(&in, line, strlen(line));
	assert_bytes(in.r.key, in.r.key_len, "k", 1);
	assert_bytes(in.r.value, in.r.value_len, "v", 1);
	assert_true(in.r.timestamp_ms == 1770028200123);
	assert_true(in.jr.has_partition);
	assert_int_equal(in.jr.partition, 0);
	cur_init(&c, in.r.headers, in.r.headers_len);
	assert_int_equal(record_header_next(&c, &name, &name_len, &value, &value_len), 0);
	assert_bytes(name, name_len, "a", 1);
	assert_bytes(value, value_len, "1", 1);
	assert_int_equal(record_header_next(&c, &name, &name_len, &value, &value_len), 0);
	assert_bytes(name, name_len, "b", 1);
	assert_true(value_len == RECORD_NULL);
	assert_int_equal(cur_left(&c), 0);
	buf_fini(&in.arena);
}

static void test_read_header_list(void **state)
{
	const char *line = "{\"headers\":[{\"value\":\"1\",\"name\":\"a\"},"
			   "{\"name_base64\":\"/g==\",\"value_base64\":\"/w==\"},"
			   "{\"name\":\"a\",\"value\":null},{\"name\":\"\",\"value\":\"\"}],"
			   "\"value\":1}";
	struct buf expected;
	struct input in;

	buf_init(&expected);
	record_header_put(&expected, "a", 1, "1", 1);
	record_header_put(&expected, "\xfe", 1, "\xff", 1);
	record_header_put(&expected, "a", 1, NULL, RECORD_NULL);
	record_header_put(&expected, "", 0, "", 0);
	input_open(&in, line, strlen(line));
	assert_bytes(in.r.headers, in.r.headers_len, (char *)expected.data, expected.len);
	buf_fini(&in.arena);
	buf_fini(&expected);
}

static void test_read_timestamps(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} cases[] = {
		{ "0", 0 },
		{ "9223372036854775807", INT64_MAX },
		{ "\"2026-02-02T10:30:00.123Z\"", 1770028200123 },
		{ "\"2026-02-02T12:30:00.123+02:00\"", 1770028200123 },
		{ "\"1970-01-01T00:00:00Z\"", 0 },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		struct input in;
		char line[128];

		snprintf(line, sizeof(line), "{\"value\":1,\"timestamp\":%s,\"partition\":65535}",
			 cases[i].text);
		input_open(&in, line, strlen(line));
		assert_true(in.r.timestamp_ms == cases[i].ms);
		assert_int_equal(in.jr.partition, 65535);
		buf_fini(&in.arena);
	}
}

static void assert_refused(const char *line, size_t len, const char *sentence)
{
	char err[JSON_ERR_LEN] = "";
	struct json_record jr, untouched;
	struct buf arena;

	memset(&untouched, 0x5a, sizeof(untouched));
	jr = untouched;
	buf_init(&arena);
	buf_put_str(&arena, "before");
	if (json_get_record(line, len, &arena, &jr, err, sizeof(err)) != -EINVAL)
		fail_msg("%s is taken", line);
	if (!strstr(err, sentence))
		fail_msg("%s: \"%s\" where \"%s\" was expected", line, err, sentence);
	assert_memory_equal(&jr, &untouched, sizeof(jr));
	assert_int_equal(arena.len, 6);
	buf_fini(&arena);
}

static void test_refusals_of_syntax(void **state)
{
	static const char *const lines[] = {
		"",
		"{",
		"{\"value\":1}}",
		"{\"value\":}",
		"{\"value\":1",
		"{\"value\":1,}",
		"{\"value\":01}",
		"{\"value\":1.}",
		"{\"value\":+1}",
		"{\"value\":NaN}",
		"{'value':1}",
		"{\"value\":1} x",
		"{\"value\":1}{\"value\":1}",
		"{\"value\":1 \"key\":null}",
		"{\"value\":[1,]}",
		"{\"value\":{\"a\"}}",
		"{\"value\":\"a}",
		"{\"value\":\"a\nb\"}",
		"{\"value\":\"a\tb\"}",
		"{\"value\":\"\\x41\"}",
		"{\"value\":\"\\u12g4\"}",
		"{\"value\":\"\\u12\"}",
		"{\"value\":/*c*/1}",
		"\\",
		"{\"value\":\"\\\"}",
		"\xef\xbb\xbf{\"value\":1}",
	};

	for (size_t i = 0; i < ARRAY_CNT(lines); i++)
		assert_refused(lines[i], strlen(lines[i]), "line is not a JSON object: ");
	assert_refused("{\"value\":1}\0", 12, "line is not a JSON object: ");
	assert_refused("{\"value\":\"\0\"}", 13, "line is not a JSON object: ");
	assert_refused("[1]", 3, "line is not a JSON object: it is another JSON value");
	assert_refused("5", 1, "line is not a JSON object: ");
	assert_refused("\"value\"", 7, "line is not a JSON object: it is another JSON value");
}

static void test_refusals_of_members(void **state)
{
	static const struct {
		const char *line, *sentence;
	} cases[] = {
		{ "{}", "member \"value\" (or \"value_base64\") is missing" },
		{ "{\"key\":\"k\"}", "is missing" },
		{ "{\"valeu\":1}", "unknown member \"valeu\"; did you mean \"value\"?" },
		{ "{\"value\":1,\"\":1}", "unknown member \"\"" },
		{ "{\"value\":1,\"zzzz\":{}}", "unknown member \"zzzz\"" },
		{ "{\"value\":1,\"VALUE\":1}", "unknown member \"VALUE\"" },
		{ "{\"value\":1,\"value\\u0000\":1}", "unknown member \"value\"" },
		{ "{\"value\":1,\"value\":1}", "member \"value\" is there twice" },
		{ "{\"value\":1,\"\\u0076alue\":1}", "member \"value\" is there twice" },
		{ "{\"value\":1,\"topic\":1,\"topic\":1}", "member \"topic\" is there twice" },
		{ "{\"value\":1,\"value_base64\":\"\"}", "value and value_base64 exclude" },
		{ "{\"value\":1,\"key\":null,\"key_base64\":\"\"}", "key and key_base64 exclude" },
		{ "{\"value\":1,\"key\":5}", "key is neither a string nor null" },
		{ "{\"value\":1,\"key\":{}}", "key is neither a string nor null" },
		{ "{\"value_base64\":null}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"/w=\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"/w\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"/x==\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"//5=\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"/===\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"====\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"/w==/w==\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\"_-A=\"}", "value_base64 is no string of base64" },
		{ "{\"value_base64\":\" /w=\"}", "value_base64 is no string of base64" },
		{ "{\"value\":1,\"key_base64\":\"x\"}", "key_base64 is no string of base64" },
		{ "{\"value\":1,\"timestamp\":-1}", "timestamp -1 is no whole number" },
		{ "{\"value\":1,\"timestamp\":1.5}", "timestamp 1.5 is no whole number" },
		{ "{\"value\":1,\"timestamp\":1e3}", "timestamp 1e3 is no whole number" },
		{ "{\"value\":1,\"timestamp\":9223372036854775808}", "is no whole number" },
		{ "{\"value\":1,\"timestamp\":null}", "timestamp is neither" },
		{ "{\"value\":1,\"timestamp\":\"yesterday\"}", "timestamp is neither" },
		{ "{\"value\":1,\"timestamp\":\"1969-12-31T23:59:59.999Z\"}", "lies before 1970" },
		{ "{\"value\":1,\"partition\":\"0\"}", "partition is no whole number" },
		{ "{\"value\":1,\"partition\":-1}", "partition is no whole number" },
		{ "{\"value\":1,\"partition\":1.0}", "partition is no whole number" },
		{ "{\"value\":1,\"partition\":65536}", "partition is no whole number" },
		{ "{\"value\":1,\"partition\":null}", "partition is no whole number" },
		{ "{\"value\":\"\\ud800\"}", "half a surrogate pair" },
		{ "{\"value\":\"\\udc00\"}", "half a surrogate pair" },
		{ "{\"value\":\"\\ud800\\ud800\"}", "half a surrogate pair" },
		{ "{\"value\":\"\\ud800x\\udc00\"}", "half a surrogate pair" },
		{ "{\"value\":\"\\ud83d\\n\"}", "half a surrogate pair" },
		{ "{\"value\":[\"\\udfff\"]}", "half a surrogate pair" },
		{ "{\"value\":\"\xff\"}", "not UTF-8" },
		{ "{\"value\":\"\xc0\x80\"}", "not UTF-8" },
		{ "{\"value\":\"\xed\xa0\x80\"}", "not UTF-8" },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++)
		assert_refused(cases[i].line, strlen(cases[i].line), cases[i].sentence);
}

static void test_refusals_of_headers(void **state)
{
	static const struct {
		const char *headers, *sentence;
	} cases[] = {
		{ "null", "headers is neither an object nor a list" },
		{ "\"a\"", "headers is neither an object nor a list" },
		{ "{\"a\":1}", "header \"a\" is neither a string nor null" },
		{ "{\"a\":{}}", "header \"a\" is neither a string nor null" },
		{ "{\"a\":[\"b\"]}", "header \"a\" is neither a string nor null" },
		{ "{\"\":true}", "header \"\" is neither a string nor null" },
		{ "{\"a\":\"1\",\"b\":null,\"a\":\"2\"}", "headers holds a name twice" },
		{ "[\"a\"]", "headers holds something else than" },
		{ "[[]]", "headers holds something else than" },
		{ "[null]", "headers holds something else than" },
		{ "[{}]", "not exactly one of name and name_base64" },
		{ "[{\"value\":\"a\"}]", "not exactly one of name and name_base64" },
		{ "[{\"name\":\"a\",\"name_base64\":\"\",\"value\":\"a\"}]",
		  "not exactly one of name and name_base64" },
		{ "[{\"name\":\"a\"}]", "not exactly one of value and value_base64" },
		{ "[{\"name\":\"a\",\"value\":null,\"value_base64\":\"\"}]",
		  "not exactly one of value and value_base64" },
		{ "[{\"name\":null,\"value\":\"a\"}]", "the name of a header is no string" },
		{ "[{\"name\":\"a\",\"value\":5}]", "the value of a header is neither" },
		{ "[{\"name\":\"a\",\"value\":[]}]", "the value of a header is neither" },
		{ "[{\"name\":\"a\",\"name\":\"a\"}]", "member \"name\" is there twice" },
		{ "[{\"nam\":\"a\"}]", "unknown member \"nam\"; did you mean \"name\"?" },
		{ "[{\"name_base64\":\"x\"}]", "name_base64 of a header is no string of base64" },
		{ "[{\"value_base64\":5}]", "value_base64 of a header is no string of base64" },
	};

	for (size_t i = 0; i < ARRAY_CNT(cases); i++) {
		char line[256];

		snprintf(line, sizeof(line), "{\"value\":1,\"headers\":%s}", cases[i].headers);
		assert_refused(line, strlen(line), cases[i].sentence);
	}
}

static void test_depth(void **state)
{
	char line[2 * JSON_DEPTH_MAX + 32] = "{\"value\":";
	size_t head = strlen(line);

	for (int depth = JSON_DEPTH_MAX - 1; depth <= JSON_DEPTH_MAX; depth++) {
		size_t len = head;

		memset(line + len, '[', (size_t)depth);
		len += (size_t)depth;
		memset(line + len, ']', (size_t)depth);
		len += (size_t)depth;
		line[len++] = '}';
		line[len] = '\0';
		if (depth == JSON_DEPTH_MAX)
			assert_refused(line, len, "nested deeper than 128");
		else
			assert_value(line, line + head, len - head - 1);
	}
}

static void test_err_is_optional_and_cut(void **state)
{
	const char *line = "{\"valeu\":1}";
	struct json_record jr;
	struct buf arena;
	char err[8];

	buf_init(&arena);
	assert_int_equal(json_get_record(line, strlen(line), &arena, &jr, NULL, 0), -EINVAL);
	assert_int_equal(json_get_record(line, strlen(line), &arena, &jr, err, sizeof(err)),
			 -EINVAL);
	assert_string_equal(err, "unknown");
	buf_fini(&arena);
}

/* More headers than are compared by pairs. */
static void test_many_headers(void **state)
{
	struct buf line, twice, printed;
	struct input in;

	buf_init(&line);
	buf_put_str(&line, "{\"value\":1,\"headers\":{");
	for (int i = 0; i < 5000; i++)
		buf_printf(&line, "\"name%d\":\"%d\",", i, i);
	buf_init(&twice);
	buf_put(&twice, line.data, line.len);
	buf_put_str(&line, "\"last\":null}}");
	buf_put_str(&twice, "\"name4321\":null}}");
	input_open(&in, (char *)line.data, line.len);
	buf_init(&printed);
	json_put_record(&printed, "t", 0, &in.r);
	assert_non_null(memmem(printed.data, printed.len, "\"headers\":{\"name0\":\"0\",", 23));
	assert_non_null(memmem(printed.data, printed.len, ",\"last\":null}}\n", 15));
	buf_put_u8(&twice, 0);
	assert_refused((char *)twice.data, twice.len - 1, "headers holds a name twice");
	buf_fini(&printed);
	buf_fini(&in.arena);
	buf_fini(&line);
	buf_fini(&twice);
}

/* Properties, under a seed that is printed and can be given as SEED. */

static uint64_t random_next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static uint64_t seed_get(void)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL);

	print_message("SEED=%llu\n", (unsigned long long)seed);
	return seed;
}

/* Bytes of one of four kinds: ASCII, anything below 128, UTF-8, anything. */
static void random_bytes(uint64_t *s, struct buf *b, size_t len)
{
	static const char *const chars[] = { "ä", "€", "😀", "\"", "\\", "\n", "x", "\x7f" };
	uint64_t kind = random_next(s) % 4;

	for (size_t i = 0; i < len; i++) {
		uint64_t v = random_next(s);

		if (kind == 0)
			buf_put_u8(b, (uint8_t)(' ' + v % 95));
		else if (kind == 1)
			buf_put_u8(b, (uint8_t)(v % 128));
		else if (kind == 2)
			buf_put_str(b, chars[v % ARRAY_CNT(chars)]);
		else
			buf_put_u8(b, (uint8_t)v);
	}
}

static struct json_span random_span(uint64_t *s, struct buf *b)
{
	struct json_span span = { .pos = b->len, .len = RECORD_NULL };

	if (random_next(s) % 8) {
		random_bytes(s, b, random_next(s) % 80);
		span.len = (uint32_t)(b->len - span.pos);
	}
	return span;
}

static void random_record(uint64_t *s, struct buf *b, struct json_record *jr)
{
	struct buf name, value;
	uint64_t cnt = random_next(s) % 2 ? random_next(s) % 24 : 0;

	*jr = (struct json_record){ .timestamp_ms = (int64_t)(random_next(s) >> 1) };
	jr->value = random_span(s, b);
	jr->key = random_span(s, b);
	jr->headers.pos = b->len;
	buf_init(&name);
	buf_init(&value);
	for (; cnt; cnt--) {
		bool is_null = random_next(s) % 4 == 0;

		buf_reset(&name);
		buf_reset(&value);
		random_bytes(s, &name, random_next(s) % 6);
		random_bytes(s, &value, random_next(s) % 20);
		record_header_put(b, name.data, (uint32_t)name.len, value.data,
				  is_null ? RECORD_NULL : (uint32_t)value.len);
	}
	jr->headers.len = (uint32_t)(b->len - jr->headers.pos);
	buf_fini(&name);
	buf_fini(&value);
}

static void assert_same_bytes(const uint8_t *a, uint32_t a_len, const uint8_t *b, uint32_t b_len)
{
	assert_int_equal(a_len, b_len);
	if (a_len && a_len != RECORD_NULL)
		assert_memory_equal(a, b, a_len);
}

/* Many records share an arena, which moves while they are decoded. */
static void test_round_trip(void **state)
{
	enum { RECORD_CNT = 20000 };
	uint64_t s = seed_get();
	struct json_record *sent = calloc(RECORD_CNT, sizeof(*sent));
	struct json_record *got = calloc(RECORD_CNT, sizeof(*got));
	struct buf source, arena, line;
	char err[JSON_ERR_LEN];

	buf_init(&source);
	buf_init(&arena);
	buf_init(&line);
	for (size_t i = 0; i < RECORD_CNT; i++) {
		struct record r;

		random_record(&s, &source, &sent[i]);
		json_record_view(&sent[i], &source, &r);
		buf_reset(&line);
		json_put_record(&line, "orders", (uint32_t)i, &r);
		assert_ptr_equal(memchr(line.data, '\n', line.len), line.data + line.len - 1);
		if (json_get_record(line.data, line.len, &arena, &got[i], err, sizeof(err)))
			fail_msg("%.*s: %s", (int)line.len, (char *)line.data, err);
	}
	for (size_t i = 0; i < RECORD_CNT; i++) {
		struct record a, b;

		json_record_view(&sent[i], &source, &a);
		json_record_view(&got[i], &arena, &b);
		assert_same_bytes(a.value, a.value_len, b.value, b.value_len);
		assert_same_bytes(a.key, a.key_len, b.key, b.key_len);
		assert_same_bytes(a.headers, a.headers_len, b.headers, b.headers_len);
		assert_true(a.timestamp_ms == b.timestamp_ms);
		assert_true(got[i].has_partition && got[i].partition == i);
	}
	buf_fini(&source);
	buf_fini(&arena);
	buf_fini(&line);
	free(sent);
	free(got);
}

static void mutate(uint64_t *s, uint8_t *p, size_t *len)
{
	static const char tokens[] = "{}[]\",:\\u0dDeE+-.truefalsn \n\xff\xc3\0";
	uint64_t v = random_next(s);
	size_t at = v >> 8 & 0xffff, from = v >> 24 & 0xffff;

	if (!*len)
		return;
	at %= *len;
	from %= *len;
	switch (v % 5) {
	case 0:
		p[at] = (uint8_t)(v >> 40);
		break;
	case 1:
		p[at] = (uint8_t)tokens[(v >> 40) % (sizeof(tokens) - 1)];
		break;
	case 2: /* a piece out */
		memmove(p + MIN(at, from), p + MAX(at, from), *len - MAX(at, from));
		*len -= MAX(at, from) - MIN(at, from);
		break;
	case 3: /* a piece over another */
		memmove(p + at, p + from, MIN(*len - MAX(at, from), (size_t)16));
		break;
	default:
		*len = at;
		break;
	}
}

/* Whatever comes in, it is a record or a refusal with a sentence; and a record prints and reads as
 * itself. Each line stands in memory of its own size, for the sanitizer's sake. */
static void test_mutations(void **state)
{
	uint64_t s = seed_get();
	struct buf source, line, arena;
	unsigned taken = 0, refused = 0;

	buf_init(&source);
	buf_init(&line);
	buf_init(&arena);
	for (int i = 0; i < 60000; i++) {
		char err[JSON_ERR_LEN] = "";
		struct json_record jr, again;
		struct record r;
		uint8_t *exact;
		int rc;

		buf_reset(&source);
		buf_reset(&line);
		buf_reset(&arena);
		random_record(&s, &source, &jr);
		json_record_view(&jr, &source, &r);
		json_put_record(&line, "orders", 3, &r);
		for (uint64_t cnt = random_next(&s) % 4; cnt; cnt--)
			mutate(&s, line.data, &line.len);
		exact = malloc(line.len + !line.len);
		memcpy(exact, line.data, line.len);
		rc = json_get_record(exact, line.len, &arena, &jr, err, sizeof(err));
		free(exact);
		assert_true(rc == 0 || rc == -EINVAL);
		if (rc) {
			assert_true(err[0] && strlen(err) < sizeof(err) && !arena.len);
			refused++;
			continue;
		}
		taken++;
		json_record_view(&jr, &arena, &r);
		buf_reset(&line);
		json_put_record(&line, "orders", 3, &r);
		if (jr.timestamp_ms == RECORD_NO_TIMESTAMP)
			continue;
		assert_int_equal(
			json_get_record(line.data, line.len, &arena, &again, err, sizeof(err)), 0);
		assert_true(again.value.len == jr.value.len && again.key.len == jr.key.len);
	}
	assert_true(taken > 1000 && refused > 1000);
	buf_fini(&source);
	buf_fini(&line);
	buf_fini(&arena);
}

/* A special byte is found at each place of a long span, and nothing beside it changes. */
static void test_special_anywhere(void **state)
{
	static const char *const specials[] = { "\"", "\\", "\n", "\x1f", "ä", "\xff" };
	uint8_t text[80];
	struct buf b, back;

	buf_init(&b);
	buf_init(&back);
	for (size_t len = 2; len <= sizeof(text); len++) {
		for (size_t at = 0; at + 2 <= len; at++) {
			for (size_t i = 0; i < ARRAY_CNT(specials); i++) {
				struct json_record jr;
				struct record r = { .value = text,
						    .value_len = (uint32_t)len,
						    .key_len = RECORD_NULL };

				memset(text, 'a', sizeof(text));
				memcpy(text + at, specials[i], strlen(specials[i]));
				buf_reset(&b);
				buf_reset(&back);
				json_put_record(&b, "t", 0, &r);
				assert_int_equal(
					json_get_record(b.data, b.len, &back, &jr, NULL, 0), 0);
				json_record_view(&jr, &back, &r);
				assert_same_bytes(r.value, r.value_len, text, (uint32_t)len);
			}
		}
	}
	buf_fini(&b);
	buf_fini(&back);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_print_plain),
		cmocka_unit_test(test_print_escapes),
		cmocka_unit_test(test_print_base64),
		cmocka_unit_test(test_print_headers),
		cmocka_unit_test(test_print_malformed_headers),
		cmocka_unit_test(test_print_ack_and_string),
		cmocka_unit_test(test_read_values),
		cmocka_unit_test(test_read_members),
		cmocka_unit_test(test_read_header_list),
		cmocka_unit_test(test_read_timestamps),
		cmocka_unit_test(test_refusals_of_syntax),
		cmocka_unit_test(test_refusals_of_members),
		cmocka_unit_test(test_refusals_of_headers),
		cmocka_unit_test(test_depth),
		cmocka_unit_test(test_err_is_optional_and_cut),
		cmocka_unit_test(test_many_headers),
		cmocka_unit_test(test_round_trip),
		cmocka_unit_test(test_mutations),
		cmocka_unit_test(test_special_anywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

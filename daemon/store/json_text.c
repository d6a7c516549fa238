#include "daemon/store/json_text.h"

#include "daemon/base/utf8.h"

#include <string.h>
#if defined(__SSE2__)
#include <emmintrin.h>
#endif

/* What copy_clean may write beyond what it says it copied. */
#define COPY_SLACK 16
/* The longest escape: \u001f */
#define ESCAPE_LEN 6

/*
 * Copies the bytes before the first one that is not plain ASCII (a quote, a backslash, a control
 * character, part of a longer character). Returns how many those are; COPY_SLACK bytes behind them
 * may be written too.
 */
static size_t copy_clean(uint8_t *out, const uint8_t *p, size_t len)
{
	size_t i = 0;

#if defined(__SSE2__)
	const __m128i space = _mm_set1_epi8(0x20), quote = _mm_set1_epi8('"'),
		      backslash = _mm_set1_epi8('\\');

	while (i < len) {
		size_t cnt = MIN(len - i, (size_t)16);
		uint8_t tail[16] = { 0 };
		__m128i v, special;
		unsigned mask;

		if (cnt == 16) {
			v = _mm_loadu_si128((const __m128i *)(p + i));
		} else {
			memcpy(tail, p + i, cnt);
			v = _mm_loadu_si128((const __m128i *)tail);
		}
		_mm_storeu_si128((__m128i *)(out + i), v);
		/* As signed numbers, bytes of 0x80 and more are below the space, too. The zeros
		 * behind a tail end it. */
		special = _mm_or_si128(
			_mm_cmplt_epi8(v, space),
			_mm_or_si128(_mm_cmpeq_epi8(v, quote), _mm_cmpeq_epi8(v, backslash)));
		mask = (unsigned)_mm_movemask_epi8(special);
		if (mask)
			return i + (size_t)__builtin_ctz(mask);
		i += cnt;
	}
#else
	for (; i < len && p[i] >= 0x20 && p[i] < 0x80 && p[i] != '"' && p[i] != '\\'; i++)
		out[i] = p[i];
#endif
	return i;
}

/* Writes at most ESCAPE_LEN bytes. */
static uint8_t *put_escape(uint8_t *out, uint8_t c)
{
	static const char letters[0x20] = {
		['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'
	};
	static const char hex[] = "0123456789abcdef";

	*out++ = '\\';
	if (c >= 0x20 || letters[c]) {
		*out++ = c >= 0x20 ? c : (uint8_t)letters[c];
		return out;
	}
	memcpy(out, "u00", 3);
	out[3] = (uint8_t)hex[c >> 4];
	out[4] = (uint8_t)hex[c & 15];
	return out + 5;
}

/*
 * Appends a string with its quotes, in one pass. Where the bytes turn out not to be UTF-8, false is
 * returned and b is as it was, or, with lossy, U+FFFD is put for each such byte. Invariant of the
 * loop: there is room for the rest unescaped, one escape, the slack and the closing quote.
 */
static bool put_text(struct buf *b, const uint8_t *p, size_t len, bool lossy)
{
	const size_t spare = ESCAPE_LEN + COPY_SLACK + 2, mark = b->len;
	const uint8_t *end = p + len;
	uint8_t *out;

	if (buf_reserve(b, len + spare))
		return true;
	out = b->data + b->len;
	*out++ = '"';
	while (p < end) {
		size_t cnt = copy_clean(out, p, (size_t)(end - p));

		p += cnt;
		out += cnt;
		if (p == end)
			break;
		cnt = *p < 0x80 ? 0 : utf8_char_len(p, (size_t)(end - p));
		if (cnt) {
			do {
				memcpy(out, p, cnt);
				out += cnt;
				p += cnt;
				cnt = p < end && *p >= 0x80 ? utf8_char_len(p, (size_t)(end - p))
							    : 0;
			} while (cnt);
			continue;
		}
		if (*p >= 0x80 && !lossy) {
			b->len = mark;
			return false;
		}
		if (*p >= 0x80) {
			memcpy(out, "\xef\xbf\xbd", 3);
			out += 3;
			p++;
		} else {
			out = put_escape(out, *p++);
		}
		b->len = (size_t)(out - b->data);
		if (buf_reserve(b, (size_t)(end - p) + spare))
			return true;
		out = b->data + b->len;
	}
	*out++ = '"';
	b->len = (size_t)(out - b->data);
	return true;
}

bool json_text_put(struct buf *out, const void *data, size_t len)
{
	return put_text(out, data, len, false);
}

void json_put_string(struct buf *out, const void *data, size_t len)
{
	bool complete = put_text(out, data, len, true);

	POST(complete);
}

void json_text_put_base64(struct buf *b, const void *data, size_t len)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const uint8_t *p = data;
	uint8_t *out;

	if (buf_reserve(b, (len + 2) / 3 * 4 + 2))
		return;
	out = b->data + b->len;
	*out++ = '"';
	for (; len; p += 3) {
		size_t cnt = MIN(len, (size_t)3);
		uint32_t v = (uint32_t)p[0] << 16 | (cnt > 1 ? (uint32_t)p[1] << 8 : 0) |
			     (cnt > 2 ? p[2] : 0);

		*out++ = (uint8_t)digits[v >> 18];
		*out++ = (uint8_t)digits[v >> 12 & 63];
		*out++ = cnt > 1 ? (uint8_t)digits[v >> 6 & 63] : '=';
		*out++ = cnt > 2 ? (uint8_t)digits[v & 63] : '=';
		len -= cnt;
	}
	*out++ = '"';
	b->len = (size_t)(out - b->data);
}

void json_text_put_i64(struct buf *b, int64_t v)
{
	uint64_t u = v < 0 ? -(uint64_t)v : (uint64_t)v;
	char text[20], *p = text + sizeof(text);

	do {
		*--p = (char)('0' + u % 10);
		u /= 10;
	} while (u);
	if (v < 0)
		*--p = '-';
	buf_put(b, p, (size_t)(text + sizeof(text) - p));
}

static int base64_digit(uint8_t c)
{
	if (c >= 'A' && c <= 'Z')
		return c - 'A';
	if (c >= 'a' && c <= 'z')
		return c - 'a' + 26;
	if (c >= '0' && c <= '9')
		return c - '0' + 52;
	return c == '+' ? 62 : c == '/' ? 63 : -1;
}

bool json_text_get_base64(struct buf *out, const void *text, size_t len)
{
	const uint8_t *p = text;

	if (len % 4)
		return false;
	for (; len; p += 4, len -= 4) {
		size_t pad = len > 4 ? 0 : p[3] != '=' ? 0 : p[2] != '=' ? 1 : 2;
		uint32_t v = 0;
		uint8_t raw[3];

		for (size_t i = 0; i < 4 - pad; i++) {
			int digit = base64_digit(p[i]);

			if (digit < 0)
				return false;
			v |= (uint32_t)digit << (18 - 6 * i);
		}
		if (v & ((1U << 8 * pad) - 1))
			return false;
		raw[0] = (uint8_t)(v >> 16);
		raw[1] = (uint8_t)(v >> 8);
		raw[2] = (uint8_t)v;
		buf_put(out, raw, 3 - pad);
	}
	return true;
}

/* The four hexadecimal digits at p; -1 where they are none. */
static int hex4(const uint8_t *p)
{
	int v = 0;

	for (int i = 0; i < 4; i++) {
		int digit = p[i] >= '0' && p[i] <= '9'		       ? p[i] - '0'
			    : (p[i] | 32) >= 'a' && (p[i] | 32) <= 'f' ? (p[i] | 32) - 'a' + 10
								       : -1;

		if (digit < 0)
			return -1;
		v = v << 4 | digit;
	}
	return v;
}

bool json_text_is_paired(const void *text, size_t len)
{
	const uint8_t *p = text, *end = p + len;

	while ((p = memchr(p, '\\', (size_t)(end - p)))) {
		int unit = end - p >= 6 && p[1] == 'u' ? hex4(p + 2) : -1;

		if (unit < 0xd800 || unit > 0xdfff) {
			p += MIN(end - p, 2);
			continue;
		}
		if (unit > 0xdbff || end - p < 12 || p[6] != '\\' || p[7] != 'u')
			return false;
		unit = hex4(p + 8);
		if (unit < 0xdc00 || unit > 0xdfff)
			return false;
		p += 12;
	}
	return true;
}

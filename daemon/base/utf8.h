/*
 * UTF-8, strictly (RFC 3629): no overlong forms, no surrogates, nothing beyond U+10FFFF.
 */
#ifndef TOPICFS_BASE_UTF8_H
#define TOPICFS_BASE_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* How many bytes the character at p has, of which len (at least 1) may be looked at: 1 to 4; 0
 * where no valid character starts there or where it is cut off. */
static inline size_t utf8_char_len(const uint8_t *p, size_t len)
{
	uint8_t c = p[0], low = 0x80, high = 0xbf;
	size_t cnt;

	if (c < 0x80)
		return 1;
	if (c < 0xc2 || c > 0xf4)
		return 0;
	cnt = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	if (len < cnt)
		return 0;
	/* The second byte keeps overlong forms (E0, F0), surrogates (ED) and what lies beyond
	 * U+10FFFF (F4) out. */
	if (c == 0xe0)
		low = 0xa0;
	else if (c == 0xed)
		high = 0x9f;
	else if (c == 0xf0)
		low = 0x90;
	else if (c == 0xf4)
		high = 0x8f;
	if (p[1] < low || p[1] > high)
		return 0;
	for (size_t i = 2; i < cnt; i++) {
		if ((p[i] & 0xc0) != 0x80)
			return 0;
	}
	return cnt;
}

bool utf8_is_valid(const void *data, size_t len);

#endif

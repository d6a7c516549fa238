#include "daemon/base/utf8.h"

#include <string.h>

bool utf8_is_valid(const void *data, size_t len)
{
	const uint8_t *p = data, *end = p + len;

	while (p < end) {
		size_t cnt;

		/* Most text is ASCII: eight bytes at a time while none has its high bit set. */
		while (end - p >= 8) {
			uint64_t word;

			memcpy(&word, p, sizeof(word));
			if (word & 0x8080808080808080ULL)
				break;
			p += 8;
		}
		if (p == end)
			break;
		cnt = utf8_char_len(p, (size_t)(end - p));
		if (!cnt)
			return false;
		p += cnt;
	}
	return true;
}

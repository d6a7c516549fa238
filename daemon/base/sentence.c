#include "daemon/base/sentence.h"

#include "daemon/base/utf8.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int sentence_refuse(char ret_sentence[SENTENCE_MAX], const char *fmt, ...)
{
	uint8_t *c = (uint8_t *)ret_sentence;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret_sentence, SENTENCE_MAX, fmt, ap);
	va_end(ap);
	while (*c) {
		size_t len = utf8_char_len(c, strlen((char *)c));

		/* C2 and a byte below A0 are the control characters beyond ASCII. */
		if (!len || *c < ' ' || *c == 0x7f || (*c == 0xc2 && c[1] < 0xa0))
			*c++ = '?';
		else
			c += len;
	}
	return -EINVAL;
}

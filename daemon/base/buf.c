#include "daemon/base/buf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

void buf_init(struct buf *b)
{
	*b = (struct buf){ 0 };
}

void buf_fini(struct buf *b)
{
	if (!b)
		return;
	free(b->data);
	buf_init(b);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

int buf_reserve(struct buf *b, size_t len)
{
	size_t need = b->len + len, cap = b->cap ? b->cap : 64;
	uint8_t *data;

	if (b->err)
		return b->err;
	if (need < len || need > SIZE_MAX / 2)
		return b->err = -ENOMEM;
	if (need <= b->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	data = realloc(b->data, cap);
	if (!data)
		return b->err = -ENOMEM;
	b->data = data;
	b->cap = cap;
	return 0;
}

int buf_err(const struct buf *b)
{
	return b->err;
}

void buf_put(struct buf *b, const void *data, size_t len)
{
	if (!len || buf_reserve(b, len))
		return;
	memcpy(b->data + b->len, data, len);
	b->len += len;
}

void buf_put_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_put_zero(struct buf *b, size_t len)
{
	if (!len || buf_reserve(b, len))
		return;
	memset(b->data + b->len, 0, len);
	b->len += len;
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int len;

	va_start(ap, fmt);
	len = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	ASSERT(len >= 0);
	if (buf_reserve(b, (size_t)len + 1))
		return;
	va_start(ap, fmt);
	vsnprintf((char *)b->data + b->len, (size_t)len + 1, fmt, ap);
	va_end(ap);
	b->len += (size_t)len;
}

void buf_put_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

void buf_put_le16(struct buf *b, uint16_t v)
{
	uint8_t raw[2];

	le16_store(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_put_le32(struct buf *b, uint32_t v)
{
	uint8_t raw[4];

	le32_store(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_put_le64(struct buf *b, uint64_t v)
{
	uint8_t raw[8];

	le64_store(raw, v);
	buf_put(b, raw, sizeof(raw));
}

void buf_set_le32(struct buf *b, size_t pos, uint32_t v)
{
	if (b->err)
		return;
	PRE(pos + 4 <= b->len);
	le32_store(b->data + pos, v);
}

void buf_set_le64(struct buf *b, size_t pos, uint64_t v)
{
	if (b->err)
		return;
	PRE(pos + 8 <= b->len);
	le64_store(b->data + pos, v);
}

void buf_consume(struct buf *b, size_t len)
{
	PRE(len <= b->len);
	if (!len)
		return;
	memmove(b->data, b->data + len, b->len - len);
	b->len -= len;
}

void cur_init(struct cursor *c, const void *data, size_t len)
{
	*c = (struct cursor){ .data = data, .len = len };
}

size_t cur_left(const struct cursor *c)
{
	return c->err ? 0 : c->len - c->pos;
}

const void *cur_get(struct cursor *c, size_t len)
{
	const void *p;

	if (c->err || len > c->len - c->pos) {
		c->err = -EBADMSG;
		return NULL;
	}
	p = c->data + c->pos;
	c->pos += len;
	return p;
}

uint8_t cur_get_u8(struct cursor *c)
{
	const uint8_t *p = cur_get(c, 1);

	return p ? *p : 0;
}

uint16_t cur_get_le16(struct cursor *c)
{
	const void *p = cur_get(c, 2);

	return p ? le16_load(p) : 0;
}

uint32_t cur_get_le32(struct cursor *c)
{
	const void *p = cur_get(c, 4);

	return p ? le32_load(p) : 0;
}

uint64_t cur_get_le64(struct cursor *c)
{
	const void *p = cur_get(c, 8);

	return p ? le64_load(p) : 0;
}

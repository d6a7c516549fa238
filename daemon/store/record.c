#include "daemon/store/record.h"

#include <errno.h>

int record_header_next(struct cursor *c, const uint8_t **ret_name, uint32_t *ret_name_len,
		       const uint8_t **ret_value, uint32_t *ret_value_len)
{
	uint32_t name_len = cur_get_le32(c), value_len = cur_get_le32(c);
	const uint8_t *name = cur_get(c, name_len);
	const uint8_t *value = cur_get(c, value_len == RECORD_NULL ? 0 : value_len);

	if (c->err)
		return c->err;
	*ret_name = name;
	*ret_name_len = name_len;
	*ret_value = value;
	*ret_value_len = value_len;
	return 0;
}

void record_header_put(struct buf *b, const void *name, uint32_t name_len, const void *value,
		       uint32_t value_len)
{
	buf_put_le32(b, name_len);
	buf_put_le32(b, value_len);
	buf_put(b, name, name_len);
	if (value_len != RECORD_NULL)
		buf_put(b, value, value_len);
}

int record_copy(struct record *r, struct buf *b)
{
	size_t key_len = r->key_len == RECORD_NULL ? 0 : r->key_len, start = b->len;
	size_t value_len = r->value_len == RECORD_NULL ? 0 : r->value_len;
	int err = buf_reserve(b, key_len + value_len + r->headers_len);

	if (err)
		return err;
	buf_put(b, r->value, value_len);
	buf_put(b, r->key, key_len);
	buf_put(b, r->headers, r->headers_len);
	r->value = b->data + start;
	r->key = r->value + value_len;
	r->headers = r->key + key_len;
	return 0;
}

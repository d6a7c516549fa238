/*
 * A growing byte buffer with cursors. Every format of topicfs is written and read through these,
 * never by casting structs: all numbers are little-endian, whatever the machine.
 *
 * Writing: buf_put_* append at the end. Growing can fail; a failure sticks (buf->err = -ENOMEM),
 * the later puts do nothing, and the writer asks once at the end with buf_err().
 *
 * Reading: struct cursor walks over bytes that it borrows. A read past the end returns zero and
 * sticks (cur->err = -EBADMSG), so a decoder checks once, before it trusts what it read.
 */
#ifndef TOPICFS_BASE_BUF_H
#define TOPICFS_BASE_BUF_H

#include "daemon/base/assert.h"

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t len, cap;
	int err; /* 0 or -ENOMEM, sticky */
};

/* An empty buffer; it owns no memory until something is put. */
void buf_init(struct buf *b);
/* Frees the memory. Takes NULL. */
void buf_fini(struct buf *b);
/* Empties the buffer and clears a sticky error; keeps the memory. */
void buf_reset(struct buf *b);
/* Makes room for len more bytes. 0 or -ENOMEM (sticky). */
int buf_reserve(struct buf *b, size_t len);
/* 0, or the sticky error. */
MUST_CHECK int buf_err(const struct buf *b);

void buf_put(struct buf *b, const void *data, size_t len);
void buf_put_str(struct buf *b, const char *s);
void buf_put_zero(struct buf *b, size_t len);
void buf_printf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void buf_put_u8(struct buf *b, uint8_t v);
void buf_put_le16(struct buf *b, uint16_t v);
void buf_put_le32(struct buf *b, uint32_t v);
void buf_put_le64(struct buf *b, uint64_t v);
/* Overwrites four or eight bytes that were put before, at pos. */
void buf_set_le32(struct buf *b, size_t pos, uint32_t v);
void buf_set_le64(struct buf *b, size_t pos, uint64_t v);
/* Removes the first len bytes and moves the rest to the front. */
void buf_consume(struct buf *b, size_t len);

struct cursor {
	const uint8_t *data; /* borrowed */
	size_t len, pos;
	int err; /* 0 or -EBADMSG, sticky */
};

void cur_init(struct cursor *c, const void *data, size_t len);
/* Bytes not read yet; 0 after an error. */
size_t cur_left(const struct cursor *c);
uint8_t cur_get_u8(struct cursor *c);
uint16_t cur_get_le16(struct cursor *c);
uint32_t cur_get_le32(struct cursor *c);
uint64_t cur_get_le64(struct cursor *c);
/* Borrows len bytes of what the cursor walks over; NULL where so many are not left. */
const void *cur_get(struct cursor *c, size_t len);

/* The same for fixed places in memory. */
static inline void le16_store(void *p, uint16_t v)
{
	memcpy(p, &v, sizeof(v));
}
static inline void le32_store(void *p, uint32_t v)
{
	memcpy(p, &v, sizeof(v));
}
static inline void le64_store(void *p, uint64_t v)
{
	memcpy(p, &v, sizeof(v));
}
static inline uint16_t le16_load(const void *p)
{
	uint16_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}
static inline uint32_t le32_load(const void *p)
{
	uint32_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}
static inline uint64_t le64_load(const void *p)
{
	uint64_t v;
	memcpy(&v, p, sizeof(v));
	return v;
}
static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__,
	      "the loads and stores above are plain copies; a big-endian machine needs swaps here");

#endif

/*
 * One record, as it is handed to the log and as it comes out of it. It owns nothing: key, value and
 * headers are borrowed from whoever made it, as long as that one says.
 *
 * Headers travel in their stored form, repeated for each header in order:
 *
 *   le32 name length | le32 value length, RECORD_NULL for a null value | name | value
 */
#ifndef TOPICFS_STORE_RECORD_H
#define TOPICFS_STORE_RECORD_H

#include "daemon/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* A length that says: no key, a null value (tombstone), no header value. */
#define RECORD_NULL 0xffffffffU
/* A timestamp that says: the broker's clock at the append. */
#define RECORD_NO_TIMESTAMP (-1)

struct record {
	const uint8_t *value;
	uint32_t value_len; /* bytes, without a closing newline; RECORD_NULL: tombstone */
	const uint8_t *key;
	uint32_t key_len;	/* RECORD_NULL: no key; an empty key has length 0 */
	const uint8_t *headers; /* stored form, see above */
	uint32_t headers_len;	/* 0: none */
	int64_t timestamp_ms;	/* since the epoch */
	int64_t offset;		/* -1 before the append */
};

/* Takes the next header from c (its stored form). 0, or -EBADMSG where it is malformed. The
 * pointers borrow c's bytes; *ret_value_len is RECORD_NULL for a null value. */
MUST_CHECK int record_header_next(struct cursor *c, const uint8_t **ret_name,
				  uint32_t *ret_name_len, const uint8_t **ret_value,
				  uint32_t *ret_value_len);
/* Copies the record's bytes to the end of b, and lets it borrow them there (until b is changed).
 * -ENOMEM. */
MUST_CHECK int record_copy(struct record *r, struct buf *b);
/* Appends one header in stored form. value_len may be RECORD_NULL. */
void record_header_put(struct buf *b, const void *name, uint32_t name_len, const void *value,
		       uint32_t value_len);

#endif

/*
 * The pieces that JSON is made of: strings, numbers, base64 (RFC 4648). Records in JSON are json.h.
 *
 * Strings are on the path of every record that is read as JSON: clean spans are found and copied in
 * one pass, 16 bytes at a time. Escaped are the quote, the backslash and control characters, these
 * with their short forms (\n) where they have one; everything else stands as it is.
 */
#ifndef TOPICFS_STORE_JSON_TEXT_H
#define TOPICFS_STORE_JSON_TEXT_H

#include "daemon/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* Appends bytes as a JSON string with its quotes. False, and out as it was, where they are not
 * strict UTF-8. (True after a failure to grow, which sticks in out.) */
MUST_CHECK bool json_text_put(struct buf *out, const void *data, size_t len);

/* The same for any bytes: each that is not UTF-8 becomes U+FFFD. */
void json_put_string(struct buf *out, const void *data, size_t len);

/* Appends a decimal number. */
void json_text_put_i64(struct buf *out, int64_t v);

/* Appends bytes as a JSON string of base64, with quotes and padding. */
void json_text_put_base64(struct buf *out, const void *data, size_t len);

/* Appends what a text of base64 (without quotes) means. Strict: whole groups of four, padding where
 * it belongs, no spaces, unused bits zero; else false, with some bytes appended. */
MUST_CHECK bool json_text_get_base64(struct buf *out, const void *text, size_t len);

/* Whether in a text of JSON each escaped half of a surrogate pair (\ud83d) has its other half
 * behind it. What else may be wrong with the text is not looked at. */
bool json_text_is_paired(const void *text, size_t len);

#endif

/*
 * Records as lines of JSON, both ways.
 *
 * What is printed, one line a record, members always in this order:
 *
 *   {"topic":"orders","partition":0,"offset":7,"timestamp":1770028200123,
 *    "key":K,"value":V,"headers":H}
 *
 *   V  a string; null for a tombstone. Bytes that are not strict UTF-8 stand in a member of another
 *      name instead, "value_base64":"…" (RFC 4648, with padding).
 *   K  the same: a string, null for no key, or "key_base64".
 *   H  {} for none; {"name":"value",…} where the names are distinct and all of it is UTF-8; else a
 *      list of {"name":…,"value":…}, with "name_base64" and "value_base64" as above. A null value
 *      of a header is null in both.
 *
 * What is read is the same, in any order, all members but the value optional:
 *
 *   value | value_base64       exactly one. A value that is no string is kept as its JSON text,
 *                              byte for byte as written; null is a tombstone
 *   key | key_base64           at most one; key is a string or null
 *   headers                    an object, or a list of objects, as printed
 *   timestamp                  milliseconds since 1970 as an integer, or an RFC 3339 string
 *   partition                  an integer; handed on
 *   topic, offset              anything; ignored
 *
 * Any other member, or the same one twice, is refused, and so are text behind the object, bytes
 * that are not UTF-8, surrogates without their other half, and nesting beyond JSON_DEPTH_MAX. (What
 * is nested in a value that is kept as text, or in what is ignored, is checked for its syntax
 * only.) Encoding and decoding again gives the same record.
 *
 * yajl is used in json.c and nowhere else. It accepts more than is wanted (overlong UTF-8, lone
 * surrogates), so that is checked before it sees the line.
 */
#ifndef TOPICFS_STORE_JSON_H
#define TOPICFS_STORE_JSON_H

#include "daemon/base/buf.h"
#include "daemon/store/json_text.h"
#include "daemon/store/record.h"

#include <stdbool.h>
#include <stdint.h>

/* Objects and lists within each other, the line's own included. Deeper values are no data. */
#define JSON_DEPTH_MAX 128

/* Room for any sentence of json_get_record; a longer one is cut. */
#define JSON_ERR_LEN 256

/*
 * Appends the record and a newline. topic is NUL-terminated. Headers that are not in their stored
 * form (see record.h) are printed as "headers":null, which is not accepted as input. Failures to
 * grow stick in out, as everywhere.
 */
void json_put_record(struct buf *out, const char *topic, uint32_t partition,
		     const struct record *r);

/* Appends the answer to a produced record: {"topic":…,"partition":…,"offset":…,"timestamp":…} and a
 * newline. */
void json_put_ack(struct buf *out, const char *topic, uint32_t partition, int64_t offset,
		  int64_t timestamp_ms);

/* Bytes within an arena. */
struct json_span {
	size_t pos;
	uint32_t len; /* RECORD_NULL: null */
};

/* A decoded record; it keeps positions, since the arena may move while more is put into it. */
struct json_record {
	struct json_span value, key;
	struct json_span headers; /* stored form; len 0: none */
	int64_t timestamp_ms;	  /* or RECORD_NO_TIMESTAMP */
	bool has_partition;
	uint32_t partition; /* below PARTITION_CNT_MAX */
};

/*
 * Decodes one line (a closing newline may be there). What it holds is appended to arena, which
 * stays as it was on failure, so many lines may share one. 0; -EINVAL with a sentence about the
 * line in err (NUL-terminated, without a newline, may quote bytes of the line); -ENOMEM.
 */
MUST_CHECK int json_get_record(const void *line, size_t len, struct buf *arena,
			       struct json_record *ret_record, char *err, size_t err_len);

/* The record as the log takes it, offset -1; it borrows arena until that is changed. */
void json_record_view(const struct json_record *jr, const struct buf *arena,
		      struct record *ret_record);

#endif

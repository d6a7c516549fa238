#include "daemon/store/json.h"

#include "daemon/base/hash.h"
#include "daemon/base/limits.h"
#include "daemon/base/name.h"
#include "daemon/base/rfc3339.h"
#include "daemon/base/utf8.h"
#include "daemon/store/json_text.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yajl/yajl_parse.h>

/* Writing */

#define PUT_LITERAL(b, text) buf_put(b, text, sizeof(text) - 1)

/* Appends NAME": and the bytes, or NAME_base64": and their encoding. name is what precedes, such as
 * ,"key without the closing quote. */
static void put_member(struct buf *b, const char *name, const uint8_t *data, uint32_t len)
{
	const size_t mark = b->len;

	buf_put_str(b, name);
	if (len == RECORD_NULL) {
		PUT_LITERAL(b, "\":null");
		return;
	}
	PUT_LITERAL(b, "\":");
	if (json_text_put(b, data, len))
		return;
	b->len = mark;
	buf_put_str(b, name);
	PUT_LITERAL(b, "_base64\":");
	json_text_put_base64(b, data, len);
}

struct header {
	const uint8_t *name, *value;
	uint32_t name_len, value_len;
};

static bool header_next(struct cursor *c, struct header *h)
{
	return cur_left(c) &&
	       !record_header_next(c, &h->name, &h->name_len, &h->value, &h->value_len);
}

static int compare_u64(const void *a, const void *b)
{
	uint64_t x = le64_load(a), y = le64_load(b);

	return (x > y) - (x < y);
}

/* Names by pairs up to this many headers, by sorted hashes beyond, so that a record of very many
 * headers takes no square time. */
#define PAIRWISE_MAX 16

/*
 * 1 where no two headers (well-formed, in stored form) have one name, 0 where two have, or -ENOMEM.
 * Equal hashes pass for equal names: both directions decide by this function, so what it gets wrong
 * is printed as a list and never read as an object.
 */
static int names_are_distinct(const uint8_t *headers, size_t len)
{
	struct header first[PAIRWISE_MAX], h;
	struct cursor c;
	struct buf hashes;
	size_t cnt = 0;
	int ret = 1;

	buf_init(&hashes);
	cur_init(&c, headers, len);
	for (; header_next(&c, &h); cnt++) {
		for (size_t i = 0; cnt < PAIRWISE_MAX && i < cnt; i++) {
			if (first[i].name_len == h.name_len &&
			    !memcmp(first[i].name, h.name, h.name_len))
				return 0;
		}
		if (cnt < PAIRWISE_MAX)
			first[cnt] = h;
	}
	if (cnt <= PAIRWISE_MAX)
		return 1;
	cur_init(&c, headers, len);
	while (header_next(&c, &h))
		buf_put_le64(&hashes, hash_xxh3(h.name, h.name_len));
	if (buf_err(&hashes)) {
		ret = buf_err(&hashes);
	} else {
		qsort(hashes.data, cnt, 8, compare_u64);
		for (size_t i = 1; i < cnt && ret; i++)
			ret = compare_u64(hashes.data + i * 8 - 8, hashes.data + i * 8) != 0;
	}
	buf_fini(&hashes);
	return ret;
}

static void put_headers(struct buf *b, const uint8_t *headers, size_t len)
{
	const char *separator = "";
	struct cursor c;
	struct header h;
	bool is_object = true;

	cur_init(&c, headers, len);
	while (header_next(&c, &h)) {
		is_object = is_object && utf8_is_valid(h.name, h.name_len) &&
			    (h.value_len == RECORD_NULL || utf8_is_valid(h.value, h.value_len));
	}
	if (c.err) {
		PUT_LITERAL(b, "null");
		return;
	}
	is_object = is_object && names_are_distinct(headers, len) == 1;
	buf_put_str(b, is_object ? "{" : "[");
	cur_init(&c, headers, len);
	while (header_next(&c, &h)) {
		buf_put_str(b, separator);
		separator = ",";
		if (is_object) {
			bool is_text = json_text_put(b, h.name, h.name_len);

			ASSERT(is_text);
			PUT_LITERAL(b, ":");
			if (h.value_len == RECORD_NULL)
				PUT_LITERAL(b, "null");
			else
				is_text = json_text_put(b, h.value, h.value_len);
			ASSERT(is_text);
			continue;
		}
		put_member(b, "{\"name", h.name, h.name_len);
		put_member(b, ",\"value", h.value, h.value_len);
		PUT_LITERAL(b, "}");
	}
	buf_put_str(b, is_object ? "}" : "]");
}

/* What a record and an acknowledgement begin with. */
static void put_place(struct buf *b, const char *topic, uint32_t partition, int64_t offset,
		      int64_t timestamp_ms)
{
	PUT_LITERAL(b, "{\"topic\":");
	json_put_string(b, topic, strlen(topic));
	PUT_LITERAL(b, ",\"partition\":");
	json_text_put_i64(b, partition);
	PUT_LITERAL(b, ",\"offset\":");
	json_text_put_i64(b, offset);
	PUT_LITERAL(b, ",\"timestamp\":");
	json_text_put_i64(b, timestamp_ms);
}

void json_put_record(struct buf *out, const char *topic, uint32_t partition, const struct record *r)
{
	put_place(out, topic, partition, r->offset, r->timestamp_ms);
	put_member(out, ",\"key", r->key, r->key_len);
	put_member(out, ",\"value", r->value, r->value_len);
	PUT_LITERAL(out, ",\"headers\":");
	if (r->headers_len)
		put_headers(out, r->headers, r->headers_len);
	else
		PUT_LITERAL(out, "{}");
	PUT_LITERAL(out, "}\n");
}

void json_put_ack(struct buf *out, const char *topic, uint32_t partition, int64_t offset,
		  int64_t timestamp_ms)
{
	put_place(out, topic, partition, offset, timestamp_ms);
	PUT_LITERAL(out, "}\n");
}

/*
 * Reading
 *
 * yajl's callbacks are turned into tokens, and where the last one was says what the next may be:
 *
 *              {              key             scalar
 *   PLACE_LINE ──> PLACE_RECORD ──> PLACE_MEMBER ──> back to PLACE_RECORD
 *                    │ }                 │ { or [ of a value that is text, or ignored
 *                    v                   ├──> PLACE_NESTED ──> its end: PLACE_RECORD
 *                  PLACE_END             │ { of headers
 *                                        ├──> PLACE_HEADERS ──> }: PLACE_RECORD
 *                                        │ [ of headers          {
 *                                        └──> PLACE_HEADER_LIST <──> PLACE_HEADER
 *                                               ]: PLACE_RECORD   }
 *
 * yajl has already seen to it that names and values take turns and brackets match.
 */
enum place {
	PLACE_LINE,
	PLACE_RECORD,
	PLACE_MEMBER,
	PLACE_NESTED,
	PLACE_HEADERS,
	PLACE_HEADER_LIST,
	PLACE_HEADER,
	PLACE_END,
};

enum token_type {
	TOKEN_NULL,
	TOKEN_BOOL,
	TOKEN_NUMBER,
	TOKEN_STRING,
	TOKEN_KEY,
	TOKEN_MAP,
	TOKEN_MAP_END,
	TOKEN_LIST,
	TOKEN_LIST_END,
};

struct token {
	enum token_type type;
	const uint8_t *text; /* of a scalar: as written, but strings and keys decoded */
	size_t len;
};

enum member {
	MEMBER_VALUE,
	MEMBER_VALUE_BASE64,
	MEMBER_KEY,
	MEMBER_KEY_BASE64,
	MEMBER_HEADERS,
	MEMBER_TIMESTAMP,
	MEMBER_PARTITION,
	MEMBER_TOPIC,
	MEMBER_OFFSET,
	MEMBER_CNT,
};
static const char *const member_names[MEMBER_CNT] = {
	"value",     "value_base64", "key",   "key_base64", "headers",
	"timestamp", "partition",    "topic", "offset",
};

enum header_member {
	HEADER_NAME,
	HEADER_NAME_BASE64,
	HEADER_VALUE,
	HEADER_VALUE_BASE64,
	HEADER_MEMBER_CNT,
};
static const char *const header_names[HEADER_MEMBER_CNT] = {
	"name",
	"name_base64",
	"value",
	"value_base64",
};

struct decoder {
	yajl_handle yajl;
	const uint8_t *line;
	struct buf *arena; /* borrowed */
	char *err;
	size_t err_len;
	int rc; /* 0 or what stopped it */
	struct json_record rec;
	enum place place;
	unsigned depth;	      /* open objects and lists */
	unsigned seen;	      /* bits of enum member */
	enum member member;   /* whose value is awaited or nested */
	size_t nested_pos;    /* where the nested value begins in line */
	unsigned header_seen; /* bits of enum header_member */
	enum header_member header_member;
	struct buf scratch; /* owned; a header's parts until it is complete */
	struct json_span header_name, header_value; /* in scratch */
};

/* Stops the decoder with a sentence; returns what tells yajl to stop. */
PRINTF_LIKE(2, 3) static int refuse(struct decoder *d, const char *fmt, ...)
{
	va_list ap;

	d->rc = -EINVAL;
	if (d->err_len) {
		va_start(ap, fmt);
		vsnprintf(d->err, d->err_len, fmt, ap);
		va_end(ap);
	}
	return 0;
}

/* How much of a text is quoted in a sentence. */
#define QUOTE_MAX 48
#define QUOTE(t) (int)MIN((t)->len, (size_t)QUOTE_MAX), (const char *)(t)->text

static bool unsigned_number(const uint8_t *text, size_t len, int64_t max, int64_t *ret)
{
	int64_t v = 0;

	for (size_t i = 0; i < len; i++) {
		int digit = text[i] - '0';

		if (digit < 0 || digit > 9 || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return len > 0;
}

static struct json_span put_span(struct buf *b, const void *data, size_t len)
{
	struct json_span s = { .pos = b->len, .len = (uint32_t)len };

	buf_put(b, data, len);
	return s;
}

/* Decodes t, which has to be a string of base64, into b. what and name are for the sentence. */
static int get_base64_span(struct decoder *d, const struct token *t, struct buf *b,
			   const char *name, struct json_span *ret)
{
	const size_t pos = b->len;

	if (t->type != TOKEN_STRING || !json_text_get_base64(b, t->text, t->len))
		return refuse(d, "%s is no string of base64 (RFC 4648, with padding)", name);
	*ret = (struct json_span){ .pos = pos, .len = (uint32_t)(b->len - pos) };
	return 1;
}

/* Finds t among names, marks it in seen, and refuses what is unknown or there already. */
static int find_member(struct decoder *d, const struct token *t, const char *const names[],
		       size_t cnt, unsigned *seen, unsigned *ret_idx)
{
	char word[QUOTE_MAX + 1];
	const char *nearest;

	for (unsigned i = 0; i < cnt; i++) {
		if (strlen(names[i]) != t->len || memcmp(names[i], t->text, t->len))
			continue;
		if (*seen & 1U << i)
			return refuse(d, "member \"%s\" is there twice", names[i]);
		*seen |= 1U << i;
		*ret_idx = i;
		return 1;
	}
	snprintf(word, sizeof(word), "%.*s", QUOTE(t));
	nearest = name_nearest(word, names, cnt);
	if (nearest)
		return refuse(d, "unknown member \"%s\"; did you mean \"%s\"?", word, nearest);
	return refuse(d, "unknown member \"%s\"", word);
}

static int on_record_key(struct decoder *d, const struct token *t)
{
	unsigned idx = 0;

	if (!find_member(d, t, member_names, MEMBER_CNT, &d->seen, &idx))
		return 0;
	if ((d->seen & 1U << MEMBER_VALUE) && (d->seen & 1U << MEMBER_VALUE_BASE64))
		return refuse(d, "value and value_base64 exclude each other");
	if ((d->seen & 1U << MEMBER_KEY) && (d->seen & 1U << MEMBER_KEY_BASE64))
		return refuse(d, "key and key_base64 exclude each other");
	d->member = (enum member)idx;
	d->place = PLACE_MEMBER;
	return 1;
}

static int on_record_end(struct decoder *d)
{
	if (!(d->seen & (1U << MEMBER_VALUE | 1U << MEMBER_VALUE_BASE64)))
		return refuse(d, "member \"value\" (or \"value_base64\") is missing");
	d->place = PLACE_END;
	return 1;
}

static int on_timestamp(struct decoder *d, const struct token *t)
{
	int64_t ms = 0;

	if (t->type == TOKEN_NUMBER) {
		if (!unsigned_number(t->text, t->len, INT64_MAX, &ms))
			return refuse(d, "timestamp %.*s is no whole number of milliseconds",
				      QUOTE(t));
	} else if (t->type != TOKEN_STRING || rfc3339_decode((const char *)t->text, t->len, &ms)) {
		return refuse(d, "timestamp is neither a number of milliseconds nor an RFC 3339 "
				 "time such as \"2026-02-02T10:30:00Z\"");
	}
	if (ms < 0)
		return refuse(d, "timestamp \"%.*s\" lies before 1970", QUOTE(t));
	d->rec.timestamp_ms = ms;
	return 1;
}

static int on_partition(struct decoder *d, const struct token *t)
{
	int64_t partition = 0;

	if (t->type != TOKEN_NUMBER ||
	    !unsigned_number(t->text, t->len, PARTITION_CNT_MAX - 1, &partition))
		return refuse(d, "partition is no whole number from 0 to %u",
			      PARTITION_CNT_MAX - 1);
	d->rec.has_partition = true;
	d->rec.partition = (uint32_t)partition;
	return 1;
}

/* A scalar, or the beginning of an object or list, as the awaited member's value. */
static int on_member(struct decoder *d, const struct token *t)
{
	bool is_nested = t->type == TOKEN_MAP || t->type == TOKEN_LIST;

	d->place = PLACE_RECORD;
	switch (d->member) {
	case MEMBER_VALUE:
	case MEMBER_TOPIC:
	case MEMBER_OFFSET:
		if (is_nested) {
			d->nested_pos = yajl_get_bytes_consumed(d->yajl) - 1;
			d->place = PLACE_NESTED;
		} else if (d->member == MEMBER_VALUE && t->type != TOKEN_NULL) {
			d->rec.value = put_span(d->arena, t->text, t->len);
		}
		return 1;
	case MEMBER_VALUE_BASE64:
		return get_base64_span(d, t, d->arena, "value_base64", &d->rec.value);
	case MEMBER_KEY:
		if (t->type == TOKEN_STRING)
			d->rec.key = put_span(d->arena, t->text, t->len);
		else if (t->type != TOKEN_NULL)
			return refuse(d, "key is neither a string nor null");
		return 1;
	case MEMBER_KEY_BASE64:
		return get_base64_span(d, t, d->arena, "key_base64", &d->rec.key);
	case MEMBER_HEADERS:
		if (!is_nested)
			return refuse(d, "headers is neither an object nor a list");
		d->rec.headers.pos = d->arena->len;
		d->place = t->type == TOKEN_MAP ? PLACE_HEADERS : PLACE_HEADER_LIST;
		return 1;
	case MEMBER_TIMESTAMP:
		return on_timestamp(d, t);
	case MEMBER_PARTITION:
		return on_partition(d, t);
	case MEMBER_CNT:
		break;
	}
	ASSERT(!"a member without a rule");
	return 0;
}

static int on_nested(struct decoder *d)
{
	/* The record itself is the one level that stays open. */
	if (d->depth > 1)
		return 1;
	if (d->member == MEMBER_VALUE)
		d->rec.value = put_span(d->arena, d->line + d->nested_pos,
					yajl_get_bytes_consumed(d->yajl) - d->nested_pos);
	d->place = PLACE_RECORD;
	return 1;
}

static int on_headers_end(struct decoder *d)
{
	d->rec.headers.len = (uint32_t)(d->arena->len - d->rec.headers.pos);
	d->place = PLACE_RECORD;
	return 1;
}

/* Puts the header whose parts are in scratch; returns what yajl goes by. */
static int header_put(struct decoder *d)
{
	const uint8_t *parts = d->scratch.data;
	const struct json_span *name = &d->header_name, *value = &d->header_value;

	d->rc = buf_err(&d->scratch);
	if (d->rc)
		return 0;
	record_header_put(d->arena, name->len ? parts + name->pos : NULL, name->len,
			  value->len && value->len != RECORD_NULL ? parts + value->pos : NULL,
			  value->len);
	return 1;
}

static int on_headers(struct decoder *d, const struct token *t)
{
	int distinct;

	switch (t->type) {
	case TOKEN_KEY:
		buf_reset(&d->scratch);
		d->header_name = put_span(&d->scratch, t->text, t->len);
		d->header_value = (struct json_span){ .len = RECORD_NULL };
		return 1;
	case TOKEN_STRING:
		d->header_value = put_span(&d->scratch, t->text, t->len);
		return header_put(d);
	case TOKEN_NULL:
		return header_put(d);
	case TOKEN_MAP_END:
		if (buf_err(d->arena))
			return 0;
		distinct = names_are_distinct(d->arena->data + d->rec.headers.pos,
					      d->arena->len - d->rec.headers.pos);
		if (distinct < 0)
			return d->rc = distinct, 0;
		if (!distinct)
			return refuse(d, "headers holds a name twice; repeated headers are written "
					 "as a list of {\"name\":…,\"value\":…}");
		return on_headers_end(d);
	default:
		return refuse(d, "header \"%.*s\" is neither a string nor null",
			      (int)MIN(d->header_name.len, (uint32_t)QUOTE_MAX),
			      d->scratch.len ? (const char *)d->scratch.data : "");
	}
}

static int on_header_list(struct decoder *d, const struct token *t)
{
	if (t->type == TOKEN_LIST_END)
		return on_headers_end(d);
	if (t->type != TOKEN_MAP)
		return refuse(d, "headers holds something else than {\"name\":…,\"value\":…}");
	buf_reset(&d->scratch);
	d->header_seen = 0;
	d->header_value = (struct json_span){ .len = RECORD_NULL };
	d->place = PLACE_HEADER;
	return 1;
}

static int on_header_value(struct decoder *d, const struct token *t)
{
	switch (d->header_member) {
	case HEADER_NAME:
		if (t->type != TOKEN_STRING)
			return refuse(d, "the name of a header is no string");
		d->header_name = put_span(&d->scratch, t->text, t->len);
		return 1;
	case HEADER_NAME_BASE64:
		return get_base64_span(d, t, &d->scratch, "name_base64 of a header",
				       &d->header_name);
	case HEADER_VALUE:
		if (t->type == TOKEN_STRING)
			d->header_value = put_span(&d->scratch, t->text, t->len);
		else if (t->type != TOKEN_NULL)
			return refuse(d, "the value of a header is neither a string nor null");
		return 1;
	case HEADER_VALUE_BASE64:
		return get_base64_span(d, t, &d->scratch, "value_base64 of a header",
				       &d->header_value);
	case HEADER_MEMBER_CNT:
		break;
	}
	ASSERT(!"a header's member without a rule");
	return 0;
}

static int on_header(struct decoder *d, const struct token *t)
{
	const unsigned names = 1U << HEADER_NAME | 1U << HEADER_NAME_BASE64;
	const unsigned values = 1U << HEADER_VALUE | 1U << HEADER_VALUE_BASE64;
	unsigned idx = 0;

	if (t->type == TOKEN_KEY) {
		if (!find_member(d, t, header_names, HEADER_MEMBER_CNT, &d->header_seen, &idx))
			return 0;
		d->header_member = (enum header_member)idx;
		return 1;
	}
	if (t->type != TOKEN_MAP_END)
		return on_header_value(d, t);
	if (__builtin_popcount(d->header_seen & names) != 1)
		return refuse(d, "a header has not exactly one of name and name_base64");
	if (__builtin_popcount(d->header_seen & values) != 1)
		return refuse(d, "a header has not exactly one of value and value_base64");
	d->place = PLACE_HEADER_LIST;
	return header_put(d);
}

static int on_token(struct decoder *d, enum token_type type, const void *text, size_t len)
{
	const struct token t = { .type = type, .text = text, .len = len };

	if ((type == TOKEN_MAP || type == TOKEN_LIST) && ++d->depth > JSON_DEPTH_MAX)
		return refuse(d, "objects and lists are nested deeper than %d", JSON_DEPTH_MAX);
	if (type == TOKEN_MAP_END || type == TOKEN_LIST_END)
		d->depth--;
	switch (d->place) {
	case PLACE_LINE:
		if (type != TOKEN_MAP)
			return refuse(d, "line is not a JSON object: it is another JSON value");
		d->place = PLACE_RECORD;
		return 1;
	case PLACE_RECORD:
		return type == TOKEN_KEY ? on_record_key(d, &t) : on_record_end(d);
	case PLACE_MEMBER:
		return on_member(d, &t);
	case PLACE_NESTED:
		return on_nested(d);
	case PLACE_HEADERS:
		return on_headers(d, &t);
	case PLACE_HEADER_LIST:
		return on_header_list(d, &t);
	case PLACE_HEADER:
		return on_header(d, &t);
	case PLACE_END:
		break;
	}
	ASSERT(!"a token behind the end");
	return 0;
}

static int on_null(void *ctx)
{
	return on_token(ctx, TOKEN_NULL, "null", 4);
}

static int on_boolean(void *ctx, int value)
{
	return on_token(ctx, TOKEN_BOOL, value ? "true" : "false", value ? 4 : 5);
}

static int on_number(void *ctx, const char *text, size_t len)
{
	return on_token(ctx, TOKEN_NUMBER, text, len);
}

static int on_string(void *ctx, const unsigned char *text, size_t len)
{
	return on_token(ctx, TOKEN_STRING, text, len);
}

static int on_map(void *ctx)
{
	return on_token(ctx, TOKEN_MAP, NULL, 0);
}

static int on_key(void *ctx, const unsigned char *text, size_t len)
{
	return on_token(ctx, TOKEN_KEY, text, len);
}

static int on_map_end(void *ctx)
{
	return on_token(ctx, TOKEN_MAP_END, NULL, 0);
}

static int on_list(void *ctx)
{
	return on_token(ctx, TOKEN_LIST, NULL, 0);
}

static int on_list_end(void *ctx)
{
	return on_token(ctx, TOKEN_LIST_END, NULL, 0);
}

static const yajl_callbacks callbacks = {
	.yajl_null = on_null,
	.yajl_boolean = on_boolean,
	.yajl_number = on_number,
	.yajl_string = on_string,
	.yajl_start_map = on_map,
	.yajl_map_key = on_key,
	.yajl_end_map = on_map_end,
	.yajl_start_array = on_list,
	.yajl_end_array = on_list_end,
};

/* Turns what yajl says about the syntax into our sentence. */
static void refuse_syntax(struct decoder *d, size_t len)
{
	unsigned char *text = yajl_get_error(d->yajl, 0, d->line, len);
	size_t text_len = text ? strlen((char *)text) : 0;

	while (text_len && (text[text_len - 1] == '\n' || text[text_len - 1] == '.'))
		text_len--;
	refuse(d, "line is not a JSON object: %.*s", (int)text_len, text ? (char *)text : "");
	if (text)
		yajl_free_error(d->yajl, text);
}

static void parse(struct decoder *d, size_t len)
{
	yajl_status status;

	if (len >= RECORD_NULL) {
		refuse(d, "line is too long");
		return;
	}
	if (!utf8_is_valid(d->line, len)) {
		refuse(d, "line is not UTF-8; bytes that are not go into value_base64");
		return;
	}
	if (!json_text_is_paired(d->line, len)) {
		refuse(d, "line has a \\u escape that is half a surrogate pair");
		return;
	}
	d->yajl = yajl_alloc(&callbacks, NULL, d);
	if (!d->yajl) {
		d->rc = -ENOMEM;
		return;
	}
	yajl_config(d->yajl, yajl_dont_validate_strings, 1);
	status = yajl_parse(d->yajl, d->line, len);
	if (status == yajl_status_ok)
		status = yajl_complete_parse(d->yajl);
	if (status != yajl_status_ok && !d->rc && !buf_err(d->arena))
		refuse_syntax(d, len);
	yajl_free(d->yajl);
}

int json_get_record(const void *line, size_t len, struct buf *arena, struct json_record *ret_record,
		    char *err, size_t err_len)
{
	const size_t mark = arena->len;
	struct decoder d = {
		.line = line,
		.arena = arena,
		.err = err,
		.err_len = err_len,
		.rec = { .value = { .len = RECORD_NULL },
			 .key = { .len = RECORD_NULL },
			 .timestamp_ms = RECORD_NO_TIMESTAMP },
		.place = PLACE_LINE,
	};

	buf_init(&d.scratch);
	parse(&d, len);
	if (!d.rc)
		d.rc = buf_err(arena);
	buf_fini(&d.scratch);
	if (d.rc) {
		arena->len = mark;
		return d.rc;
	}
	POST(d.place == PLACE_END && !d.depth);
	*ret_record = d.rec;
	return 0;
}

static const uint8_t *span_view(const struct json_span *s, const struct buf *arena)
{
	if (!s->len || s->len == RECORD_NULL)
		return NULL;
	PRE(s->pos <= arena->len && s->len <= arena->len - s->pos);
	return arena->data + s->pos;
}

void json_record_view(const struct json_record *jr, const struct buf *arena,
		      struct record *ret_record)
{
	*ret_record = (struct record){
		.value = span_view(&jr->value, arena),
		.value_len = jr->value.len,
		.key = span_view(&jr->key, arena),
		.key_len = jr->key.len,
		.headers = span_view(&jr->headers, arena),
		.headers_len = jr->headers.len,
		.timestamp_ms = jr->timestamp_ms,
		.offset = -1,
	};
}

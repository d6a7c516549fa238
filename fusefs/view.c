#include "fusefs/view.h"

#include "daemon/base/limits.h"
#include "daemon/base/rfc3339.h"

#include <errno.h>
#include <string.h>

/* A decimal number without leading zeros, of exactly len characters and at most max. */
static bool number(const char *text, size_t len, int64_t max, int64_t *ret)
{
	int64_t v = 0;

	if (!len || (len > 1 && text[0] == '0'))
		return false;
	for (size_t i = 0; i < len; i++) {
		int digit = text[i] - '0';

		if (digit < 0 || digit > 9 || v > (max - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = v;
	return true;
}

static bool is_word(const char *text, size_t len, const char *word)
{
	return len == strlen(word) && !memcmp(text, word, len);
}

int position_parse(const char *text, size_t len, bool allow_offset, struct position *ret_position)
{
	struct position p = { .kind = POSITION_NONE };

	if (is_word(text, len, "earliest"))
		p.kind = POSITION_EARLIEST;
	else if (is_word(text, len, "latest"))
		p.kind = POSITION_LATEST;
	else if (len && text[0] == '-' && number(text + 1, len - 1, INT64_MAX, &p.value))
		p.kind = POSITION_LAST_N;
	else if (len && text[0] == 't' && number(text + 1, len - 1, INT64_MAX, &p.value))
		p.kind = POSITION_TIME_MS;
	else if (allow_offset && number(text, len, INT64_MAX, &p.value))
		p.kind = POSITION_OFFSET;
	else if (!rfc3339_decode(text, len, &p.value))
		p.kind = POSITION_TIME_MS;
	else
		return -EINVAL;
	POST(p.kind != POSITION_NONE);
	*ret_position = p;
	return 0;
}

enum view_format view_cut_format(const char *name, size_t *len)
{
	static const struct {
		const char *suffix;
		enum view_format format;
	} formats[] = {
		{ ".lines", VIEW_LINES },
		{ ".json", VIEW_JSON },
		{ ".msg", VIEW_MSG },
	};

	for (size_t i = 0; i < ARRAY_CNT(formats); i++) {
		size_t suffix_len = strlen(formats[i].suffix);

		if (*len >= suffix_len &&
		    !memcmp(name + *len - suffix_len, formats[i].suffix, suffix_len)) {
			*len -= suffix_len;
			return formats[i].format;
		}
	}
	return VIEW_LINES;
}

/* What stands between "@" and the format. */
static int parse_ends(const char *text, size_t len, struct view *v)
{
	const char *dots = memmem(text, len, "..", 2);
	size_t from_len = dots ? (size_t)(dots - text) : len;
	bool allow_offset = v->what == VIEW_PARTITION;
	int rc = position_parse(text, from_len, allow_offset, &v->from);

	v->has_at = true;
	v->is_range = dots != NULL;
	if (rc || !dots || from_len + 2 == len)
		return rc;
	return position_parse(dots + 2, len - from_len - 2, allow_offset, &v->to);
}

int view_parse(const char *name, struct view *ret_view)
{
	struct view v = { .from = { .kind = POSITION_EARLIEST } };
	size_t len = strlen(name), what_len;
	const char *at;
	int64_t partition = 0;

	v.format = view_cut_format(name, &len);
	at = memchr(name, '@', len);
	what_len = at ? (size_t)(at - name) : len;
	if (is_word(name, what_len, "all"))
		v.what = VIEW_ALL;
	else if (number(name, what_len, PARTITION_CNT_MAX - 1, &partition))
		v.what = VIEW_PARTITION;
	else
		return -ENOENT;
	v.partition = (uint32_t)partition;
	if (at) {
		if (parse_ends(at + 1, len - what_len - 1, &v))
			return -ENOENT;
	} else {
		v.is_plain = v.what == VIEW_PARTITION && v.format == VIEW_LINES;
		v.is_range = !v.is_plain;
	}
	POST(v.partition < PARTITION_CNT_MAX);
	*ret_view = v;
	return 0;
}

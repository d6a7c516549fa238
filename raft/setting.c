#include "raft/setting.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

/* Names in sentences are cut to so many bytes. */
#define NAME_SHOWN_MAX 64
#define NAME_COMPARED_MAX 63

static int shown(size_t len)
{
	return (int)MIN(len, (size_t)NAME_SHOWN_MAX);
}

int sentence_refuse(char ret_sentence[SENTENCE_MAX], const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(ret_sentence, SENTENCE_MAX, fmt, ap);
	va_end(ap);
	for (char *c = ret_sentence; *c; c++)
		if (*c < ' ' || *c == 0x7f)
			*c = '?';
	return -EINVAL;
}

/* Strict: an optional minus and digits, nothing else. */
static bool parse_num(const char *text, size_t len, int64_t *ret)
{
	bool negative = len && *text == '-';
	uint64_t v = 0, limit = (uint64_t)INT64_MAX + negative;

	if (negative)
		text++, len--;
	if (!len)
		return false;
	for (size_t i = 0; i < len; i++) {
		uint64_t digit = (uint64_t)(text[i] - '0');

		if (text[i] < '0' || text[i] > '9' || v > (limit - digit) / 10)
			return false;
		v = v * 10 + digit;
	}
	*ret = negative ? (int64_t)(0 - v) : (int64_t)v;
	return true;
}

/* How many choices people have. */
static int choice_cnt(const struct setting *s)
{
	int cnt = 0;

	while (s->choices[cnt])
		cnt++;
	POST(cnt > (int)s->own_cnt);
	return cnt - (int)s->own_cnt;
}

static bool parse_choice(const struct setting *s, const char *text, size_t len, int64_t *ret)
{
	for (int i = 0; i < choice_cnt(s); i++) {
		if (strlen(s->choices[i]) != len || memcmp(s->choices[i], text, len))
			continue;
		*ret = i;
		return true;
	}
	return false;
}

int setting_parse(const struct setting *s, const char *text, size_t len, int64_t *ret,
		  char ret_sentence[SENTENCE_MAX])
{
	struct buf bounds;
	int64_t v = 0;
	bool ok = false;

	switch (s->type) {
	case SETTING_NUM:
		ok = parse_num(text, len, &v) && setting_is_valid(s, v);
		break;
	case SETTING_CHOICE:
		ok = parse_choice(s, text, len, &v);
		break;
	case SETTING_TEXT:
		ok = len <= (uint64_t)s->max;
		break;
	}
	if (ok) {
		*ret = v;
		return 0;
	}
	buf_init(&bounds);
	setting_print_bounds(s, &bounds);
	sentence_refuse(ret_sentence, "%s takes %.*s, not \"%.*s\"", s->name, (int)bounds.len,
			(const char *)bounds.data, shown(len), text);
	buf_fini(&bounds);
	return -EINVAL;
}

bool setting_is_valid(const struct setting *s, int64_t value)
{
	PRE(s->type != SETTING_TEXT);
	if (s->type == SETTING_NUM)
		return value >= s->min && value <= s->max;
	for (int64_t i = 0; s->choices[i]; i++)
		if (i == value)
			return true;
	return false;
}

void setting_print(const struct setting *s, int64_t value, const char *text, struct buf *out)
{
	switch (s->type) {
	case SETTING_NUM:
		buf_printf(out, "%s=%" PRId64 "\n", s->name, value);
		break;
	case SETTING_CHOICE:
		PRE(setting_is_valid(s, value));
		buf_printf(out, "%s=%s\n", s->name, s->choices[value]);
		break;
	case SETTING_TEXT:
		buf_printf(out, "%s=%s\n", s->name, text ? text : "");
		break;
	}
}

void setting_print_bounds(const struct setting *s, struct buf *out)
{
	switch (s->type) {
	case SETTING_NUM:
		if (s->min == s->max)
			buf_printf(out, "%" PRId64 " only", s->min);
		else
			buf_printf(out, "%" PRId64 " to %" PRId64, s->min, s->max);
		break;
	case SETTING_CHOICE:
		for (int i = 0; i < choice_cnt(s); i++)
			buf_printf(out, "%s%s", i ? " | " : "", s->choices[i]);
		if (choice_cnt(s) == 1)
			buf_put_str(out, " only");
		break;
	case SETTING_TEXT:
		buf_printf(out, "at most %" PRId64 " bytes", s->max);
		break;
	}
}

int setting_find(const struct setting *table, size_t cnt, const char *name, size_t len)
{
	for (size_t i = 0; i < cnt; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, name, len))
			return (int)i;
	return -1;
}

const struct setting_refusal *setting_find_refusal(const struct setting_refusal *table, size_t cnt,
						   const char *name, size_t name_len,
						   const char *value, size_t value_len)
{
	for (const struct setting_refusal *r = table; r < table + cnt; r++) {
		if (strlen(r->name) != name_len || memcmp(r->name, name, name_len))
			continue;
		if (!r->value ||
		    (strlen(r->value) == value_len && !memcmp(r->value, value, value_len)))
			return r;
	}
	return NULL;
}

unsigned setting_distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	/* Three rows of the classic table: a swap looks two rows back. */
	unsigned rows[3][NAME_COMPARED_MAX + 1];

	a_len = MIN(a_len, (size_t)NAME_COMPARED_MAX);
	b_len = MIN(b_len, (size_t)NAME_COMPARED_MAX);
	for (unsigned j = 0; j <= b_len; j++)
		rows[0][j] = j;
	for (unsigned i = 1; i <= a_len; i++) {
		unsigned *row = rows[i % 3], *above = rows[(i + 2) % 3];
		unsigned *two_above = rows[(i + 1) % 3];

		row[0] = i;
		for (unsigned j = 1; j <= b_len; j++) {
			unsigned d = above[j - 1] + (a[i - 1] != b[j - 1]);

			d = MIN(d, MIN(above[j], row[j - 1]) + 1);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
				d = MIN(d, two_above[j - 2] + 1);
			row[j] = d;
		}
	}
	return rows[a_len % 3][b_len];
}

const char *setting_nearest(const struct setting *table, size_t cnt, const char *name, size_t len)
{
	const char *nearest = NULL;
	unsigned best = (unsigned)MAX(MIN(len, (size_t)NAME_COMPARED_MAX) / 3, (size_t)1) + 1;

	for (size_t i = 0; i < cnt; i++) {
		unsigned d = setting_distance(name, len, table[i].name, strlen(table[i].name));

		if (d >= best)
			continue;
		best = d;
		nearest = table[i].name;
	}
	return nearest;
}

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static void trim(const char **text, size_t *len)
{
	while (*len && is_space((*text)[0]))
		(*text)++, (*len)--;
	while (*len && is_space((*text)[*len - 1]))
		(*len)--;
}

int setting_next_line(const char *text, size_t len, size_t *pos, struct setting_line *ret,
		      char ret_sentence[SENTENCE_MAX])
{
	while (*pos < len) {
		const char *line = text + *pos;
		const char *newline = memchr(line, '\n', len - *pos);
		size_t line_len = newline ? (size_t)(newline - line) : len - *pos;
		const char *equals;

		*pos += line_len + (newline != NULL);
		trim(&line, &line_len);
		if (!line_len || *line == '#')
			continue;
		if (memchr(line, '\0', line_len))
			return sentence_refuse(ret_sentence, "a line holds a NUL byte");
		equals = memchr(line, '=', line_len);
		if (!equals || equals == line)
			return sentence_refuse(ret_sentence, "\"%.*s\" is not name=value",
					       shown(line_len), line);
		*ret = (struct setting_line){ .name = line, .value = equals + 1 };
		ret->name_len = (size_t)(equals - line);
		ret->value_len = line_len - ret->name_len - 1;
		trim(&ret->name, &ret->name_len);
		trim(&ret->value, &ret->value_len);
		return 1;
	}
	return 0;
}

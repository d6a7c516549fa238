#include "daemon/base/name.h"

#include "daemon/base/utf8.h"

#include <errno.h>
#include <string.h>

static bool is_topic_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

int topic_name_check_len(const char *name, size_t len)
{
	if (len > TOPIC_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || (len <= 2 && !memcmp(name, "..", len)))
		return -EINVAL;
	for (size_t i = 0; i < len; i++) {
		if (!is_topic_char(name[i]))
			return -EINVAL;
	}
	return 0;
}

int topic_name_check(const char *name)
{
	return topic_name_check_len(name, strlen(name));
}

bool topic_name_collides(const char *a, const char *b)
{
	for (; *a && *b; a++, b++) {
		if ((*a == '.' ? '_' : *a) != (*b == '.' ? '_' : *b))
			return false;
	}
	return *a == *b;
}

bool topic_name_is_internal(const char *name)
{
	static const char *const names[] = { "__cluster_metadata", "__consumer_offsets",
					     "__transaction_state" };

	for (size_t i = 0; i < ARRAY_CNT(names); i++) {
		if (topic_name_collides(name, names[i]))
			return true;
	}
	return false;
}

int group_name_check(const char *name)
{
	const uint8_t *p = (const uint8_t *)name;
	size_t len = strlen(name);

	if (len > GROUP_NAME_MAX)
		return -ENAMETOOLONG;
	if (!len || !strcmp(name, ".") || !strcmp(name, ".."))
		return -EINVAL;
	while (len) {
		size_t cnt = utf8_char_len(p, len);

		/* U+0080 to U+009F steer terminals as ESC does. */
		if (!cnt || *p < ' ' || *p == 0x7f || *p == '/' || (*p == 0xc2 && p[1] < 0xa0))
			return -EINVAL;
		p += cnt;
		len -= cnt;
	}
	return 0;
}

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

/*
 * The edit distance in which two neighbours swapped count once, and no letter is edited twice
 * ("optimal string alignment"). Three rows of the table are enough: row i needs i - 1 and, for a
 * swap, i - 2.
 */
static unsigned distance(const char *a, size_t a_len, const char *b, size_t b_len)
{
	unsigned rows[3][NAME_NEAREST_MAX + 1];

	PRE(b_len <= NAME_NEAREST_MAX);
	for (size_t j = 0; j <= b_len; j++)
		rows[0][j] = (unsigned)j;
	for (size_t i = 1; i <= a_len; i++) {
		const unsigned *above2 = rows[(i + 1) % 3], *above = rows[(i - 1) % 3];
		unsigned *row = rows[i % 3];

		row[0] = (unsigned)i;
		for (size_t j = 1; j <= b_len; j++) {
			char x = lower(a[i - 1]), y = lower(b[j - 1]);

			row[j] = MIN(above[j], row[j - 1]) + 1;
			row[j] = MIN(row[j], above[j - 1] + (x != y));
			if (i > 1 && j > 1 && x == lower(b[j - 2]) && y == lower(a[i - 2]))
				row[j] = MIN(row[j], above2[j - 2] + 1);
		}
	}
	return rows[a_len % 3][b_len];
}

const char *name_nearest(const char *word, const char *const names[], size_t cnt)
{
	size_t word_len = strnlen(word, NAME_NEAREST_MAX + 1);
	const char *nearest = NULL;
	unsigned least = 0;

	if (!word_len || word_len > NAME_NEAREST_MAX)
		return NULL;
	for (size_t i = 0; i < cnt; i++) {
		size_t len = strnlen(names[i], NAME_NEAREST_MAX + 1);
		unsigned d;

		if (len > NAME_NEAREST_MAX)
			continue;
		d = distance(word, word_len, names[i], len);
		if (d > MAX(word_len, len) / 3 || (nearest && d >= least))
			continue;
		nearest = names[i];
		least = d;
	}
	return nearest;
}

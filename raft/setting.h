/*
 * Settings with names: what topics (raft/topic_config.h) and the broker (daemon/config.h) share.
 *
 * A table of struct setting describes the settings; their values live in a struct of int64_t
 * fields (and char * for texts) at setting->field. Text comes from people: what does not parse is
 * refused with one sentence that names the setting, what it got and what it takes.
 */
#ifndef TOPICFS_RAFT_SETTING_H
#define TOPICFS_RAFT_SETTING_H

#include "daemon/base/assert.h"
#include "daemon/base/buf.h"

/* Room for a sentence with its NUL. A longer one is cut. */
#define SENTENCE_MAX 320

enum setting_type {
	SETTING_NUM,	/* a decimal number from min to max */
	SETTING_CHOICE, /* one of choices; the value is its index */
	SETTING_TEXT,	/* any text without a line feed, at most max bytes */
};

struct setting {
	const char *name;
	enum setting_type type;
	int64_t min, max, def;	    /* of NUM; CHOICE: def only; TEXT: max only, no default */
	const char *const *choices; /* ends with NULL */
	unsigned own_cnt; /* so many, the last ones, are for the broker itself: never parsed */
	size_t field;	  /* offset of the value in the owner's struct */
	const char *help; /* one line, ends without a full stop */
};

/* A name or a value that is known but refused, and why. */
struct setting_refusal {
	const char *name;  /* of the setting */
	const char *value; /* NULL: every value */
	const char *why;   /* follows "NAME: " or "NAME=VALUE: " */
};

/*
 * Writes the sentence (bytes that are no printable text become '?') and returns -EINVAL, so that a
 * parser can say `return sentence_refuse(...)`.
 */
int sentence_refuse(char ret_sentence[SENTENCE_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);

/*
 * Parses the len bytes of a value of NUM or CHOICE; of TEXT only the length is checked and *ret is
 * 0. -EINVAL with a sentence.
 */
MUST_CHECK int setting_parse(const struct setting *s, const char *text, size_t len, int64_t *ret,
			     char ret_sentence[SENTENCE_MAX]);
/* Whether a value (from a stored command, say) is within the table's bounds. Not of TEXT. */
bool setting_is_valid(const struct setting *s, int64_t value);
/* Appends "name=value\n". text is the value of a TEXT; NULL: empty. */
void setting_print(const struct setting *s, int64_t value, const char *text, struct buf *out);
/* Appends what the setting takes: "-1 to 100", "0 | 1 | all" or "text". */
void setting_print_bounds(const struct setting *s, struct buf *out);
/* The index of the setting of that name, or -1. */
int setting_find(const struct setting *table, size_t cnt, const char *name, size_t len);
/* The refusal for that name and value, or NULL. */
const struct setting_refusal *setting_find_refusal(const struct setting_refusal *table, size_t cnt,
						   const char *name, size_t name_len,
						   const char *value, size_t value_len);

/*
 * How far apart two names are: insertions, deletions, changes and swaps of neighbours. Names
 * longer than 63 bytes are compared by their first 63.
 */
unsigned setting_distance(const char *a, size_t a_len, const char *b, size_t b_len);
/*
 * The name of the table that is nearest to the given one, or NULL where none is near enough to
 * have been meant (a third of the letters wrong, at least one may be).
 */
const char *setting_nearest(const struct setting *table, size_t cnt, const char *name, size_t len);

/* One "name=value" line, spaces and tabs around both cut off. Everything is borrowed. */
struct setting_line {
	const char *name, *value;
	size_t name_len, value_len;
};

/*
 * Takes the next line that is neither blank nor a comment (first character '#') from the text at
 * *pos, and moves *pos behind it. 1: a line; 0: the end; -EINVAL with a sentence: a line that has
 * no '=' or no name, or holds a NUL byte.
 */
MUST_CHECK int setting_next_line(const char *text, size_t len, size_t *pos,
				 struct setting_line *ret, char ret_sentence[SENTENCE_MAX]);

static inline int64_t *setting_num(const struct setting *s, void *values)
{
	PRE(s->type != SETTING_TEXT);
	return (int64_t *)((char *)values + s->field);
}

static inline int64_t setting_get_num(const struct setting *s, const void *values)
{
	PRE(s->type != SETTING_TEXT);
	return *(const int64_t *)((const char *)values + s->field);
}

#endif

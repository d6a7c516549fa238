#include "daemon/groups/pattern.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

/* How large a pattern is when it is written out. */
struct scan {
	const char *c;				/* what comes next */
	unsigned depth;				/* open groups */
	uint32_t pieces[PATTERN_DEPTH_MAX + 1]; /* of each of them, so far */
	uint32_t last;				/* of what a repetition would repeat; 0: nothing */
};

/* Adds a piece that is made of that many. */
static void put(struct scan *s, uint32_t pieces)
{
	s->pieces[s->depth] += pieces;
	s->last = pieces;
}

/* Behind the "]". A wrong bracket ends where the pattern does; regcomp() does not take it. */
static void skip_bracket(struct scan *s)
{
	const char *c = s->c + 1;

	c += *c == '^';
	c += *c == ']';
	while (*c && *c != ']') {
		if (*c == '[' && (c[1] == ':' || c[1] == '.' || c[1] == '=')) {
			const char end[] = { c[1], ']', '\0' };

			c = strstr(c + 2, end);
			if (!c) {
				s->c += strlen(s->c);
				return;
			}
			c++;
		}
		c++;
	}
	s->c = c + (*c == ']');
}

/* The number at *c; of those beyond the bound one is as good as another. */
static uint32_t take_num(const char **c)
{
	uint32_t v = 0;

	for (; **c >= '0' && **c <= '9'; (*c)++)
		v = MIN(v * 10 + (uint32_t)(**c - '0'), PATTERN_PIECES_MAX + 1);
	return v;
}

/*
 * How often what stands before a repetition is written out for it, and goes behind it; 0 where
 * there is none. What may be absent counts twice, since it costs twice as many states.
 */
static uint32_t take_repetition(struct scan *s)
{
	const char *c = s->c + 1;
	uint32_t low, high;

	if (*s->c == '*' || *s->c == '+' || *s->c == '?') {
		s->c++;
		return c[-1] == '*' ? 1 : 2;
	}
	if (*s->c != '{')
		return 0;
	low = high = take_num(&c);
	if (*c == ',') {
		c++;
		high = *c == '}' ? low + 1 : take_num(&c);
	}
	if (*c != '}')
		return 0;
	s->c = c + 1;
	return MAX(high == low ? high : 2 * high, 1U);
}

/* Takes what comes next. False where it is refused. */
static bool step(struct scan *s)
{
	uint32_t times = take_repetition(s);

	if (times) {
		s->last = MAX(s->last, 1U);
		s->pieces[s->depth] += s->last * times - s->last;
		s->last *= times;
		return true;
	}
	switch (*s->c) {
	case '(':
		if (s->depth == PATTERN_DEPTH_MAX)
			return false;
		s->pieces[++s->depth] = 0;
		s->last = 0;
		break;
	case ')':
		if (s->depth) {
			s->depth--;
			put(s, s->pieces[s->depth + 1] + 1);
		}
		break;
	case '|':
		s->last = 0;
		break;
	case '[':
		skip_bracket(s);
		put(s, 1);
		return true;
	case '\\':
		if (s->c[1] >= '0' && s->c[1] <= '9')
			return false;
		s->c += s->c[1] != '\0';
		put(s, 1);
		break;
	default:
		put(s, 1);
		break;
	}
	s->c++;
	return true;
}

/* Every count is below the bound before a step, and a step multiplies by less than it twice over.
 */
static_assert((uint64_t)PATTERN_PIECES_MAX * 4 * PATTERN_PIECES_MAX < UINT32_MAX,
	      "no sum of pieces overflows");

static bool is_bounded(const char *pattern)
{
	struct scan s = { .c = pattern };

	while (*s.c) {
		if (!step(&s) || s.pieces[s.depth] > PATTERN_PIECES_MAX ||
		    s.last > PATTERN_PIECES_MAX)
			return false;
	}
	return true;
}

int pattern_compile(const char *pattern, regex_t *ret, char ret_sentence[SENTENCE_MAX])
{
	char why[128];
	int r;

	if (!*pattern || strlen(pattern) > GROUP_PATTERN_MAX)
		return sentence_refuse(ret_sentence, "a pattern has 1 to %u bytes",
				       GROUP_PATTERN_MAX);
	if (!is_bounded(pattern))
		return sentence_refuse(ret_sentence,
				       "pattern=%.64s would take too long: it has references back, "
				       "or repetitions of repetitions",
				       pattern);
	r = regcomp(ret, pattern, REG_EXTENDED);
	if (r == REG_ESPACE)
		return -ENOMEM;
	if (!r)
		return 0;
	regerror(r, NULL, why, sizeof(why));
	return sentence_refuse(ret_sentence, "pattern=%.64s: %s", pattern, why);
}

/* Of all matches regexec() gives the longest of those that begin first: that is the whole name
 * where the whole name matches. */
bool pattern_is_match(const regex_t *regex, const char *name)
{
	regmatch_t at;

	return !regexec(regex, name, 1, &at, 0) && !at.rm_so && (size_t)at.rm_eo == strlen(name);
}

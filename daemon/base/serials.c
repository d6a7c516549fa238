#include "daemon/base/serials.h"

#include "daemon/base/fund.h"

#include <stdlib.h>
#include <string.h>

/* Index of the first one with this number or a higher one. */
static size_t index_from(const struct serials *s, uint64_t number)
{
	size_t lo = 0, hi = s->cnt;

	while (lo < hi) {
		size_t mid = lo + (hi - lo) / 2;

		if (s->v[mid].number < number)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

uint64_t serials_add(struct serials *s, void *what)
{
	PRE(what);
	if (s->cnt == s->cap) {
		s->cap = s->cap ? s->cap * 2 : 64;
		s->v = fund_realloc(s->v, s->cap, sizeof(*s->v));
	}
	s->v[s->cnt++] = (struct serial){ .number = ++s->last, .what = what };
	return s->last;
}

void *serials_from(const struct serials *s, uint64_t number)
{
	size_t i = index_from(s, number);

	return i < s->cnt ? s->v[i].what : NULL;
}

void *serials_find(const struct serials *s, uint64_t number)
{
	size_t i = index_from(s, number);

	return i < s->cnt && s->v[i].number == number ? s->v[i].what : NULL;
}

void serials_remove(struct serials *s, uint64_t number)
{
	size_t i = index_from(s, number);

	PRE(i < s->cnt && s->v[i].number == number);
	s->cnt--;
	memmove(s->v + i, s->v + i + 1, (s->cnt - i) * sizeof(*s->v));
}

void serials_fini(struct serials *s)
{
	free(s->v);
	*s = (struct serials){ 0 };
}

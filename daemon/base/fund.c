#include "daemon/base/fund.h"

#include "daemon/base/limits.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

static void *fund;

int fund_fill(void)
{
	if (!fund)
		fund = malloc(FUND_BYTES);
	return fund ? 0 : -ENOMEM;
}

/* Whether there is hope for another try. */
static bool give_back(void)
{
	bool had = fund != NULL;

	free(fund);
	fund = NULL;
	return had;
}

void *fund_malloc(size_t len)
{
	void *p = malloc(len);

	return p || !give_back() ? p : malloc(len);
}

void *fund_calloc(size_t cnt, size_t len)
{
	void *p = calloc(cnt, len);

	if (!p && give_back())
		p = calloc(cnt, len);
	ASSERT(p);
	return p;
}

void *fund_realloc(void *old, size_t cnt, size_t len)
{
	void *p = reallocarray(old, cnt, len);

	if (!p && give_back())
		p = reallocarray(old, cnt, len);
	ASSERT(p);
	return p;
}

char *fund_strndup(const char *s, size_t max)
{
	char *p = strndup(s, max);

	if (!p && give_back())
		p = strndup(s, max);
	ASSERT(p);
	return p;
}

#include "tests/lib/simmemory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

static uint64_t made, fails_at;

void simmemory_fail(uint64_t nth)
{
	fails_at = nth ? made + nth : 0;
}

uint64_t simmemory_cnt(void)
{
	return made;
}

bool simmemory_has_failed(void)
{
	return fails_at && made >= fails_at;
}

static bool is_out(void)
{
	if (++made != fails_at)
		return false;
	errno = ENOMEM;
	return true;
}

void *simmemory_malloc(size_t len)
{
	return is_out() ? NULL : malloc(len);
}

void *simmemory_calloc(size_t cnt, size_t len)
{
	return is_out() ? NULL : calloc(cnt, len);
}

void *simmemory_realloc(void *old, size_t len)
{
	return is_out() ? NULL : realloc(old, len);
}

void *simmemory_reallocarray(void *old, size_t cnt, size_t len)
{
	return is_out() ? NULL : reallocarray(old, cnt, len);
}

void *simmemory_aligned_alloc(size_t align, size_t len)
{
	return is_out() ? NULL : aligned_alloc(align, len);
}

char *simmemory_strdup(const char *s)
{
	return is_out() ? NULL : strdup(s);
}

char *simmemory_strndup(const char *s, size_t len)
{
	return is_out() ? NULL : strndup(s, len);
}

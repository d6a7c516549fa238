#include "daemon/base/assert.h"

#include <stdio.h>
#include <stdlib.h>

_Noreturn void assert_fail(const char *what, const char *expr, const char *file, int line,
			   const char *func)
{
	fprintf(stderr, "%s:%d: %s: %s failed: %s\n", file, line, func, what, expr);
	abort();
}

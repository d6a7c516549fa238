/*
 * Assertions. They stay on in every build: a broken invariant stops the process, bad input never
 * does (that is a negative errno). An expression must have no side effect.
 */
#ifndef TOPICFS_BASE_ASSERT_H
#define TOPICFS_BASE_ASSERT_H

#include <assert.h>

/* Prints "file:line: function: what: expression" to stderr and aborts. */
_Noreturn void assert_fail(const char *what, const char *expr, const char *file, int line,
			   const char *func);

#define ASSERT_IMPL(what, x)                                                                       \
	do {                                                                                       \
		if (__builtin_expect(!(x), 0))                                                     \
			assert_fail(what, #x, __FILE__, __LINE__, __func__);                       \
	} while (0)

#define ASSERT(x) ASSERT_IMPL("assertion", x)
/* What the caller owes. */
#define PRE(x) ASSERT_IMPL("precondition", x)
/* What the function promises. */
#define POST(x) ASSERT_IMPL("postcondition", x)
/* Implication: where a holds, b holds. */
#define ERGO(a, b) ASSERT_IMPL("implication", !(a) || (b))

#define MUST_CHECK __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define ARRAY_CNT(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define CONTAINER_OF(ptr, type, member) ((type *)((char *)(ptr)-offsetof(type, member)))

#endif

/*
 * Sums of a clock and a duration that somebody set, who may mean "never" by the largest number.
 */
#ifndef TOPICFS_BASE_CLOCK_H
#define TOPICFS_BASE_CLOCK_H

#include <stdint.h>

/* a + b, at most INT64_MAX; both in the same unit, a of a clock (at least 0). */
static inline int64_t clock_add(int64_t a, int64_t b)
{
	return b > 0 && a > INT64_MAX - b ? INT64_MAX : a + b;
}

#endif

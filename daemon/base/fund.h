/*
 * Memory that is put by for what must not fail: what was decided and is stable (a change of the
 * metadata) has to be carried out, and what was stored has to be answered. Whoever decides or
 * stores fills the fund first and refuses with ENOMEM where that fails, before anything is done;
 * what follows takes its memory as usual, and where there is none, from the fund.
 *
 * It is one block that nobody touches, so it costs no memory until it is given back to the
 * allocator. There is one for the process, as there is one allocator, and the thread that owns
 * everything uses it.
 */
#ifndef TOPICFS_BASE_FUND_H
#define TOPICFS_BASE_FUND_H

#include "daemon/base/assert.h"

#include <stddef.h>

/* Fills the fund. Costs nothing where it is full. -ENOMEM. */
MUST_CHECK int fund_fill(void);
/* As malloc(), with the fund to fall back on. NULL where that does not suffice. */
void *fund_malloc(size_t len);
/* The same for what is decided: never NULL, since where that does not suffice the process stops. */
void *fund_calloc(size_t cnt, size_t len);
void *fund_realloc(void *old, size_t cnt, size_t len);
char *fund_strndup(const char *s, size_t max);

#endif

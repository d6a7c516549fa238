/*
 * Large blocks that are freed are kept for who allocates the next one of that length. A sweep makes
 * thousands of stores, each with a few MiB; the sanitizer's allocator takes them from the kernel
 * and gives them back every time, which was a third of the sweep.
 *
 * Nothing is called: a program that is linked with it (pool_TESTS in the Makefile) has malloc() and
 * its like replaced in all that is linked statically. A block stays one of the sanitizer's
 * allocator, so that what is written before or behind it, and what leaks, is found as ever (with
 * the stack of who had it first). While it is kept it is poisoned, and it is not the next to be
 * given: who uses what was freed meets "use-after-poison". A second free() aborts.
 */
#ifndef TOPICFS_TESTS_LIB_BLOCKPOOL_H
#define TOPICFS_TESTS_LIB_BLOCKPOOL_H

#include <stddef.h>

/* Others are none of its business. */
#define BLOCKPOOL_LEN_MIN (32U << 10)
#define BLOCKPOOL_LEN_MAX (16U << 20)

void *__wrap_malloc(size_t len);
void *__wrap_calloc(size_t cnt, size_t len);
void *__wrap_aligned_alloc(size_t align, size_t len);
void *__wrap_realloc(void *old, size_t len);
void *__wrap_reallocarray(void *old, size_t cnt, size_t len);
void __wrap_free(void *mem);

#endif

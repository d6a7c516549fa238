/*
 * Memory that runs out. The archives of a program that is linked with this have their calls of
 * malloc() and its kin renamed to the functions of simmemory.c (see the Makefile), so that the n-th
 * allocation of the broker fails while the test's own do not.
 */
#ifndef TOPICFS_TESTS_SIMMEMORY_H
#define TOPICFS_TESTS_SIMMEMORY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The nth allocation from now on fails (1: the next); 0: none does. */
void simmemory_fail(uint64_t nth);
/* Allocations so far. */
uint64_t simmemory_cnt(void);
/* Whether the one that was to fail has. */
bool simmemory_has_failed(void);

void *simmemory_malloc(size_t len);
void *simmemory_calloc(size_t cnt, size_t len);
void *simmemory_realloc(void *old, size_t len);
void *simmemory_reallocarray(void *old, size_t cnt, size_t len);
void *simmemory_aligned_alloc(size_t align, size_t len);
char *simmemory_strdup(const char *s);
char *simmemory_strndup(const char *s, size_t len);

#endif

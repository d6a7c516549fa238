/*
 * The main program of a model that runs seed after seed, with one process for each core:
 *
 *   PROGRAM [COUNT [FIRST_SEED]]
 *
 * COUNT seeds (short_cnt) from 1 (TOPICFS_SEED) on, all of them, however long they take: fewer are
 * a failure. With TOPICFS_LONG and without COUNT, seeds without end from one that is printed, for
 * half an hour (TOPICFS_LONG_SECONDS). Speaks TAP.
 */
#ifndef TOPICFS_TESTS_LIB_SEEDS_H
#define TOPICFS_TESTS_LIB_SEEDS_H

#include <stdint.h>

/* One seed; a failure prints it and aborts. */
typedef void seeds_fn(uint64_t seed);

/* For main() to return. */
int seeds_main(int argc, char **argv, uint64_t short_cnt, seeds_fn *fn);

#endif

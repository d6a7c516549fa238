/*
 * The main program of a model that runs seed after seed, with one process for each core:
 *
 *   PROGRAM [COUNT [FIRST_SEED]]
 *
 * COUNT seeds (10,000) from 1 (TOPICFS_SEED) on, or those that fit into short_seconds; with
 * TOPICFS_LONG without end from a seed that is printed, for half an hour (TOPICFS_LONG_SECONDS).
 * Speaks TAP.
 */
#ifndef TOPICFS_TESTS_LIB_SEEDS_H
#define TOPICFS_TESTS_LIB_SEEDS_H

#include <stdint.h>

/* One seed; a failure prints it and aborts. */
typedef void seeds_fn(uint64_t seed);

/* For main() to return. */
int seeds_main(int argc, char **argv, unsigned short_seconds, seeds_fn *fn);

#endif

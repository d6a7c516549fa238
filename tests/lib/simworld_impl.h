/*
 * What the files of the simulated world share.
 */
#ifndef TOPICFS_TESTS_SIMWORLD_IMPL_H
#define TOPICFS_TESTS_SIMWORLD_IMPL_H

#include "tests/lib/simworld.h"

#define VALUE_MAX 200000

/* The value of a record, into a buffer of VALUE_MAX. Its length. */
size_t world_value(uint32_t id, char *buf);
/* A partition has grown: by records of the plan, in its order. */
void world_grow(struct world *w, unsigned k, unsigned part, int64_t by);
/* Compares what the broker has now with what it must have; fails. Takes over what was open. */
void world_check(struct world *w);

#endif

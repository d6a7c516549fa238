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

/* simworld_group.c: calls of groups */
bool world_is_group_call(const struct call *q);
/* Whether the call can be made now; it may be passed instead (ret_skips). */
bool world_group_is_ready(struct world *w, struct world_client *c, bool *ret_skips);
uint64_t world_group_send(struct world *w, struct world_client *c);
/* What the request that was sent may come to; err: -EINPROGRESS where it is not answered yet. */
void world_group_sent(struct world *w, struct world_client *c, int err);
bool world_group_expects(const struct world *w, const struct world_client *c, int err);
/* Whether the answer is one that rules may give. */
bool world_group_may_refuse(const struct world_client *c, int err);
/* True: the call has another request. ret_skips: on to the close of its stream. */
bool world_group_take(struct world *w, struct world_client *c, int err, const uint8_t *data,
		      size_t len, bool *ret_skips);
/* A read that waits for what nobody will write is interrupted. */
void world_group_interrupt(struct world *w);

/* simworld_kept.c: what groups keep */
/* Looks at all groups; within one life nothing moves back. */
void world_kept_observe(struct world *w);
/* At the beginning of a life: what the stop may have left of them; fails. */
void world_kept_check(struct world *w);
/* Where the record stands. */
bool world_find_record(const struct world *w, uint32_t id, unsigned *ret_topic, unsigned *ret_part,
		       int64_t *ret_off);
/* A group was made: takes its id; it is empty. */
void world_kept_made(struct world *w, unsigned g);

#endif

/*
 * What the files of assign share: the problem in its canonical form. Members and topics are
 * numbered in their order here, partitions one topic after another; so nothing below depends on the
 * order in which the caller gave them.
 */
#ifndef TOPICFS_GROUPS_ASSIGN_IMPL_H
#define TOPICFS_GROUPS_ASSIGN_IMPL_H

#include "daemon/groups/assign.h"

struct assign_chunk;

struct assign_problem {
	uint32_t topic_cnt, member_cnt, part_cnt;
	uint32_t *first;     /* of a topic: its first partition; topic_cnt + 1 entries */
	uint32_t *topic;     /* of a partition */
	uint32_t *sub_first; /* of a topic: where its subscribers begin; topic_cnt + 1 entries */
	uint32_t *subs;	     /* subscribers, ascending within each topic */
	uint32_t *home;	     /* of a partition: who owns it now, or ASSIGN_NONE */
	uint32_t *owner;     /* of a partition: the result; ASSIGN_NONE to begin with */
	struct assign_chunk *chunks; /* owned: all memory of one computation */
};

/* Zeroed memory that lasts as long as the problem; NULL where there is none. */
void *assign_take(struct assign_problem *x, size_t cnt, size_t size);

static inline uint32_t assign_sub_cnt(const struct assign_problem *x, uint32_t t)
{
	return x->sub_first[t + 1] - x->sub_first[t];
}

static inline uint32_t assign_part_cnt(const struct assign_problem *x, uint32_t t)
{
	return x->first[t + 1] - x->first[t];
}

/* The three below fill x->owner. -ENOMEM. */
MUST_CHECK int assign_sticky(struct assign_problem *x);
/* Where all who subscribe to anything subscribe to the same. */
MUST_CHECK int assign_even(struct assign_problem *x, const uint32_t *members, uint32_t member_cnt);
MUST_CHECK int assign_flow(struct assign_problem *x);

#endif

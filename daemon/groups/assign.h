/*
 * Who of a consumer group reads which partition: Kafka's assignment strategies.
 *
 * A function of its arguments: no state, no clock, no chance. The order in which topics and members
 * are given does not matter, so that every coordinator comes to the same result. Members are
 * ordered as Kafka orders them: those with an instance id first, by it, then the others by member
 * id; strings in the order of Java's, that is by UTF-16 code units. Topics are ordered by name.
 *
 * ASSIGN_RANGE, ASSIGN_ROUNDROBIN: exactly what Kafka's RangeAssignor (where no member names a
 * rack) and RoundRobinAssignor give. What members own already does not count.
 *
 * ASSIGN_STICKY, ASSIGN_COOPERATIVE_STICKY: both the same. What they promise, in this order:
 *
 * 1. Valid: each partition of a topic that has subscribers belongs to one of them.
 * 2. Balanced: the largest number of partitions that a member has is as small as any valid
 *    assignment can make it, among those the second largest, and so on. So no partition, and no
 *    chain of partitions, can be shifted such that a member with two more than another gives one to
 *    it.
 * 3. Fewest moves: no valid and balanced assignment takes fewer partitions away from their owners.
 *    It follows that moves never make a circle (one from A to B, one from B to A, over however many
 *    members and topics): without it there would be fewer.
 *
 * It follows that the result, given as what is owned, comes out again.
 *
 * The owner of a partition is the member that claims it with the newest generation. Where several
 * do with the same, none is. A member that does not subscribe to the topic any more is no owner.
 * Where all members subscribe to the same topics the result is also the one of Kafka's
 * AbstractStickyAssignor, but for the choice of who has one more where several could.
 *
 * That a partition that moves is withheld until its owner has given it up is not known here: the
 * group's state machine sees to it.
 */
#ifndef TOPICFS_GROUPS_ASSIGN_H
#define TOPICFS_GROUPS_ASSIGN_H

#include "daemon/base/assert.h"

#include <stddef.h>
#include <stdint.h>

/* The owner of a partition that nobody reads. */
#define ASSIGN_NONE UINT32_MAX

enum assign_strategy {
	ASSIGN_RANGE,
	ASSIGN_ROUNDROBIN,
	ASSIGN_STICKY,
	ASSIGN_COOPERATIVE_STICKY,
};

struct assign_topic {
	const char *name; /* no two have the same */
	uint32_t partition_cnt;
};

struct assign_part {
	uint32_t topic_idx, partition;
};

struct assign_member {
	const char *id;		 /* no two have the same */
	const char *instance_id; /* or NULL */
	/* Subscriptions: indices of topics, ascending, none twice. */
	const uint32_t *topic_idx;
	size_t topic_cnt;
	/* What it claims to own. Partitions that do not exist (any more) are passed over. */
	const struct assign_part *owned;
	size_t owned_cnt;
	/* In which generation it came to own them; anything older than all others for unknown. */
	int64_t owned_generation;
};

/*
 * ret_owner gets, for each partition of each topic, one topic after the other as they are given,
 * the index of its member or ASSIGN_NONE. -ENOMEM; -E2BIG for 2^32 partitions or subscriptions.
 */
MUST_CHECK int assign_compute(enum assign_strategy strategy, const struct assign_topic *topics,
			      size_t topic_cnt, const struct assign_member *members,
			      size_t member_cnt, uint32_t *ret_owner);

/* The name that stands in a group's config: "range" and so on. */
const char *assign_strategy_name(enum assign_strategy strategy);

#endif

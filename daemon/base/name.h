/*
 * Names: the rules for topics (Kafka's), consumer groups and directories of partitions, and the
 * known name that somebody who mistyped one may have meant.
 */
#ifndef TOPICFS_BASE_NAME_H
#define TOPICFS_BASE_NAME_H

#include "daemon/base/assert.h"
#include "daemon/base/limits.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * A topic's name is 1 to TOPIC_NAME_MAX of [A-Za-z0-9._-], and neither "." nor "..". 0;
 * -ENAMETOOLONG where it is too long, whatever it holds; else -EINVAL.
 */
MUST_CHECK int topic_name_check(const char *name);
/* The same of exactly len bytes. */
MUST_CHECK int topic_name_check_len(const char *name, size_t len);
/*
 * Whether only the broker may make a topic of that name: those in which it keeps its own records
 * (__consumer_offsets, say), and what clashes with them. Other names that begin with "__" are
 * anybody's.
 */
bool topic_name_is_internal(const char *name);

/*
 * A group's name is 1 to GROUP_NAME_MAX bytes of UTF-8 without control characters and "/", and
 * neither "." nor "..": Kafka takes any text, but it has to be a directory's name that people can
 * read. 0; -ENAMETOOLONG where it is too long, whatever it holds; else -EINVAL.
 */
MUST_CHECK int group_name_check(const char *name);

/* Whether two topics cannot exist beside each other: Kafka's metric names turn "." into "_", so
 * names that differ only in these clash. Equal names clash too. */
bool topic_name_collides(const char *a, const char *b);

/* Longer words than this have no nearest name. */
#define NAME_NEAREST_MAX 128

/*
 * The one of cnt names that word is most likely a slip of: the least number of letters added, left
 * out, changed or swapped with their neighbour, case aside; at most a third of the longer one's
 * length. Of equally near ones the first. NULL where none is near. The result borrows from names.
 */
const char *name_nearest(const char *word, const char *const names[], size_t cnt);

#endif

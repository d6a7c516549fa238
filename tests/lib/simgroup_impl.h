/* What simgroup.c (the coordinator) and simgroup_client.c (the processes) share. */
#ifndef TOPICFS_TESTS_SIMGROUP_IMPL_H
#define TOPICFS_TESTS_SIMGROUP_IMPL_H

#include "tests/lib/simgroup.h"

/* Writes an offset's record: false where that failed. Then makes it the group's: false where the
 * broker dies meanwhile. */
bool sg_write_offset(struct sg_world *w, const struct group_offset *o);
bool sg_put_offset(struct sg_world *w, const struct group_offset *o);
/* False: the broker died. */
bool sg_settle(struct sg_world *w);
/* Joins. Whether an instance came back to a group at rest with the subscription that it had: then
 * the generation stays. */
bool sg_join(struct sg_world *w, struct sg_client *c);
/* The group is told of the topics that are due, and what of all that the client subscribes it may
 * read. */
void sg_tell_access(struct sg_world *w, struct sg_client *c);
/* Remembers what an instance subscribes. */
void sg_note_sub(struct sg_world *w, const struct sg_client *c);
void sg_commit_late(struct sg_world *w, const struct sg_client *c);
struct group_join sg_words(const struct sg_client *c);
/* It gave a sign of life. */
void sg_sign(struct sg_world *w, struct sg_client *c);
void sg_forget(struct sg_world *w, struct sg_client *c);
void sg_lose_all(struct sg_client *c);

#endif

/*
 * The pattern by which a member subscribes: a regular expression as Perl and Java have them (man
 * pcre2pattern) that has to match the whole name of a topic.
 *
 * It comes from whoever may join, and is compiled and run by the one thread of the broker, so that
 * a match ends after PATTERN_STEPS_MAX steps of the engine: a few hundred microseconds. What has
 * not matched by then does not. Groups are not captured, unless by a name.
 */
#ifndef TOPICFS_GROUPS_PATTERN_H
#define TOPICFS_GROUPS_PATTERN_H

#include "daemon/base/limits.h"
#include "daemon/base/sentence.h"

#include <stdbool.h>

/* A pattern that does not go back takes one for each byte of a name and each of its branches. */
#define PATTERN_STEPS_MAX 10000U
/* Groups within groups. */
#define PATTERN_DEPTH_MAX 32U

struct pattern;

/*
 * 0: the caller ends it with pattern_free(). -EINVAL with a sentence: no such expression, or one
 * that is longer than GROUP_PATTERN_MAX or too large. -ENOMEM.
 */
MUST_CHECK int pattern_compile(const char *text, struct pattern **ret,
			       char ret_sentence[SENTENCE_MAX]);
/* NULL is none. */
void pattern_free(struct pattern *p);
/* Takes no memory. */
bool pattern_is_match(const struct pattern *p, const char *name);

#endif

/*
 * The pattern by which a member subscribes: a POSIX extended regular expression that has to match
 * the whole name of a topic.
 *
 * It comes from whoever may join, and is compiled and run by the one thread of the broker.
 * regcomp() writes repetitions out (a+ as aa*, and so once more for each + around it), so that
 * fifty bytes can take it minutes and gigabytes. A pattern is therefore refused where it would grow
 * beyond PATTERN_PIECES_MAX, which is matched in a tenth of a second at worst; so are references
 * back, which extended expressions do not have.
 */
#ifndef TOPICFS_GROUPS_PATTERN_H
#define TOPICFS_GROUPS_PATTERN_H

#include "daemon/base/limits.h"
#include "daemon/base/sentence.h"

#include <regex.h>
#include <stdbool.h>

/* Characters, brackets and the like, each as often as it stands there when all is written out. */
#define PATTERN_PIECES_MAX 1024U
/* Groups within groups. */
#define PATTERN_DEPTH_MAX 32U

/*
 * 0: the caller ends it with regfree(). -EINVAL with a sentence: no such expression, or one that is
 * longer than GROUP_PATTERN_MAX or too large. -ENOMEM.
 */
MUST_CHECK int pattern_compile(const char *pattern, regex_t *ret, char ret_sentence[SENTENCE_MAX]);
bool pattern_is_match(const regex_t *regex, const char *name);

#endif

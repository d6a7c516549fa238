/*
 * Why something was refused, in one sentence for /errors: what an errno cannot carry.
 */
#ifndef TOPICFS_BASE_SENTENCE_H
#define TOPICFS_BASE_SENTENCE_H

#include "daemon/base/assert.h"

/* Room for a sentence with its NUL. A longer one is cut. */
#define SENTENCE_MAX 320

/*
 * Writes the sentence (what is no printable UTF-8 becomes '?', byte by byte) and returns -EINVAL,
 * so that a parser can say `return sentence_refuse(...)`.
 */
int sentence_refuse(char ret_sentence[SENTENCE_MAX], const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif

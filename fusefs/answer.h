/*
 * An answer to a READ that is made of stretches of .data: gathered, cut, looked up in the page
 * cache, and sent by splice where it is long.
 */
#ifndef TOPICFS_FUSEFS_ANSWER_H
#define TOPICFS_FUSEFS_ANSWER_H

#include "fusefs/fs.h"

#define ANSWER_EXTENT_CNT_MAX 16U

struct answer {
	struct plog_extent extents[ANSWER_EXTENT_CNT_MAX];
	size_t zero_len[ANSWER_EXTENT_CNT_MAX]; /* where nonzero, a hole instead of an extent */
	unsigned cnt;
	size_t len;
};

/* Adds what stands at position pos of the plain file, at most max bytes. As plog_extent(); -E2BIG
 * where there is no room for one more. */
MUST_CHECK int answer_add(struct answer *a, struct plog *log, uint64_t pos, size_t max,
			  uint64_t *ret_next);
/* Adds NUL bytes, at most max; there must be room. */
void answer_add_hole(struct answer *a, size_t max);
/* Keeps the first len bytes. */
void answer_cut(struct answer *a, size_t len);
/* Whether a splice of the answer, which ends at position plain_end of log, would find all its
 * pages. Sets the disk's `cold` where not. */
bool answer_is_warm(struct fs *fs, const struct answer *a, const struct plog *log,
		    uint64_t plain_end);
/* Whether it is better copied than spliced: then answer_copy() comes before answer_send(). */
bool answer_is_short(struct fs *fs, const struct answer *a);
/* Reads the bytes into fs->scratch. -EAGAIN: some of them are cold. */
MUST_CHECK int answer_copy(struct fs *fs, const struct answer *a);
/* Answers the request. copied: what answer_copy() has read. */
void answer_send(struct fs *fs, fuse_req_t req, const struct answer *a, bool copied);

#endif

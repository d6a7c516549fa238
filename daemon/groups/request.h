/*
 * What is written into a group's control files. Each write stands alone; its last line needs no
 * newline; blank lines are passed over, and so are blanks (spaces, tabs, a CR at the end) around
 * words. A write is parsed whole before any of it is applied.
 *
 *   commit       [member=NAME generation=N] TOPIC PARTITION OFFSET [METADATA]
 *   offsets/T/P  OFFSET [METADATA]
 *   seek         TOPIC[ PARTITION] POSITION
 *   reject       TOPIC PARTITION OFFSET [REASON]
 *   join         topics=A,B|pattern=REGEX [member=NAME] [instance=NAME] [strategy=S]
 *                [session.timeout.ms=N] [rebalance.timeout.ms=N] [max.poll.interval.ms=N]
 *                or an empty line: a sign of life
 *
 * commit, seek and reject take any number of lines. METADATA and REASON are the rest of the line
 * behind one blank, byte for byte, so that what is read is what was written; nothing but blanks is
 * nothing. Numbers are decimal, without sign and leading zeros. NAMEs are those of members and
 * instances: they name files, too.
 *
 * Pure. What is parsed borrows the text, but for struct join_request, which owns its copies. Every
 * error is -EINVAL (or -ENOMEM) with a sentence that names the line.
 */
#ifndef TOPICFS_GROUPS_REQUEST_H
#define TOPICFS_GROUPS_REQUEST_H

#include "daemon/base/limits.h"
#include "daemon/base/sentence.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define REQUEST_SENTENCE_LEN SENTENCE_MAX
/* Kafka's default of offset.metadata.max.bytes. */
#define OFFSET_METADATA_MAX 4096U

/* Walks over the lines of one write. */
struct request_lines {
	const char *text; /* borrowed */
	size_t len, pos;
	unsigned line; /* of the one given last, from 1 */
};

void request_lines_init(struct request_lines *l, const char *text, size_t len);

struct commit_line {
	bool has_words; /* member= and generation= */
	char member[GROUP_NAME_MAX + 1];
	uint64_t generation;
	char topic[TOPIC_NAME_MAX + 1];
	uint32_t partition;
	int64_t offset;
	const char *metadata; /* borrows the text */
	size_t metadata_len;
};
/* 1: there is one; 0: no more; -EINVAL; -ENOENT: a partition that no topic can have. So the others.
 */
MUST_CHECK int commit_line_next(struct request_lines *l, struct commit_line *ret,
				char *ret_sentence);
/* The text of offsets/T/P: offset and metadata are filled, the rest is zero. 0 or -EINVAL. */
MUST_CHECK int offset_line_parse(const char *text, size_t len, struct commit_line *ret,
				 char *ret_sentence);

struct seek_line {
	char topic[TOPIC_NAME_MAX + 1];
	bool has_partition; /* else all of the topic */
	uint32_t partition;
	const char *position; /* borrows the text; not parsed yet; without blanks */
	size_t position_len;
};
MUST_CHECK int seek_line_next(struct request_lines *l, struct seek_line *ret, char *ret_sentence);

struct reject_line {
	char topic[TOPIC_NAME_MAX + 1];
	uint32_t partition;
	int64_t offset;
	const char *reason; /* borrows the text; reason_len 0: none */
	size_t reason_len;
};
MUST_CHECK int reject_line_next(struct request_lines *l, struct reject_line *ret,
				char *ret_sentence);

struct join_request {
	bool is_sign;				 /* an empty line; nothing else is set */
	const char *member, *instance, *pattern; /* NULL: not given; the pattern compiles */
	const char *const *topics;		 /* topic_cnt, ascending, each once */
	uint32_t topic_cnt;
	int strategy; /* 0 range, 1 roundrobin, 2 sticky, 3 cooperative-sticky, or -1 */
	int64_t session_timeout_ms, rebalance_timeout_ms, max_poll_interval_ms; /* -1: not given */
	void *owned; /* what the pointers above borrow */
};
/* 0, -EINVAL, -ENOMEM. After 0 the caller ends it with join_request_fini(). */
MUST_CHECK int join_request_parse(const char *text, size_t len, struct join_request *ret,
				  char *ret_sentence);
/* Takes a zeroed one, too. */
void join_request_fini(struct join_request *r);

#endif

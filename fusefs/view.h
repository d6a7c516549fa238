/*
 * The names below a topic that select what of it is seen, where that starts, and in which format:
 *
 *   NAME     = PARTITION [ "@" POSITION [ ".." [ POSITION ] ] ] [ "." FORMAT ]
 *   PARTITION= a number, or "all"
 *   POSITION = earliest | latest | OFFSET | -N | RFC 3339 time | tMILLISECONDS
 *   FORMAT   = lines (the default) | json | msg
 *
 *   0  0.lines           the plain file: seekable, growing
 *   0@1234  all@latest   a stream: starts there and waits at the end
 *   0@100..200  0@-10..  a range: both ends are fixed at open, the second is exclusive
 *   all  all.json  0.msg a range of everything
 *
 * The grammar has one reading: no position ends in a format's name or holds two dots in a row, so
 * the format is cut off first ("0@2026-02-02T10:00:00.5Z.json"), then the two ends are told apart.
 * Numbers are decimal, without sign, spaces or leading zeros, so that a thing has one name. `all`
 * has no offsets: neither "all@5" nor "all@-5..5" resolves.
 *
 * Pure: whether the partition exists and where a position lies is decided by others.
 */
#ifndef TOPICFS_FUSEFS_VIEW_H
#define TOPICFS_FUSEFS_VIEW_H

#include "daemon/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum position_kind {
	POSITION_NONE,	   /* left out */
	POSITION_EARLIEST, /* the first retained record */
	POSITION_LATEST,   /* behind the last record */
	POSITION_OFFSET,   /* value: the offset, 0 or more */
	POSITION_LAST_N,   /* value: how many of the last records, 0 or more */
	POSITION_TIME_MS,  /* value: since the epoch, negative before it; the first record of that
			    * time or later */
};

struct position {
	enum position_kind kind;
	int64_t value; /* 0 where the kind has none */
};

enum view_what { VIEW_PARTITION, VIEW_ALL };
enum view_format { VIEW_LINES, VIEW_JSON, VIEW_MSG };

struct view {
	enum view_what what;
	uint32_t partition; /* below PARTITION_CNT_MAX; 0 with VIEW_ALL */
	enum view_format format;
	bool is_plain;	      /* "N" or "N.lines": the seekable, growing file */
	bool has_at;	      /* an "@" was given */
	bool is_range;	      /* ends in EOF: ".." was given, or no "@" and not plain */
	struct position from; /* EARLIEST where no "@" was given */
	struct position to;   /* exclusive; NONE (the end of the log) where left out */
};

/*
 * Parses a name below a topic. 0; -ENOENT where it is no such name, which includes numbers that do
 * not fit and partitions that can never exist.
 */
MUST_CHECK int view_parse(const char *name, struct view *ret_view);

/* Cuts ".FORMAT" off the end of a name of *len characters; one without it is lines. */
enum view_format view_cut_format(const char *name, size_t *len);

/*
 * Parses exactly len characters as a POSITION; never gives POSITION_NONE. allow_offset says whether
 * a bare offset has a meaning (not for `all`, nor for a topic as a whole). 0 or -EINVAL.
 */
MUST_CHECK int position_parse(const char *text, size_t len, bool allow_offset,
			      struct position *ret_position);

#endif

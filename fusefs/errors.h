/*
 * What stands behind /errors: the last refusals of this mount, one line each, since an errno
 * carries no text:
 *
 *   2026-02-02T10:30:00.123Z EINVAL uid=1000 pid=4711 topics/orders/config: unknown setting "x"
 *
 * Path and sentence may hold anything that a caller can put into a name or a value; control
 * characters (DEL and U+0080 to U+009F included) and bytes that are not UTF-8 are printed as \xNN,
 * so that a line is a line and a terminal is left alone. The newest ERRORS_LINE_CNT lines are kept,
 * fewer where they exceed ERRORS_BYTES together. Each caller is shown the lines of its own uid,
 * root all.
 *
 * Beside the lines stands one counter for each errno, for the metrics; it counts what was put, kept
 * or not.
 *
 * All memory is taken at the start. One thread uses a ring.
 */
#ifndef TOPICFS_FUSEFS_ERRORS_H
#define TOPICFS_FUSEFS_ERRORS_H

#include "daemon/base/buf.h"

#include <stdbool.h>
#include <stdint.h>

/* As many as somebody scrolls back through. */
#define ERRORS_LINE_CNT 4096U
#define ERRORS_BYTES (1024U * 1024U)
/* A longer line, its newline included, is cut and ends in "...". */
#define ERRORS_LINE_MAX 4096U
/* Errnos are below this; Linux's own (133 at most) are. */
#define ERRORS_ERRNO_CNT 256U

struct errors;

/* NULL without memory. */
struct errors *errors_new(void);
/* Takes NULL. */
void errors_free(struct errors *e);

/*
 * Adds a line. err is an errno, negative or not; path (from the mount's root, without a slash in
 * front) and sentence are NUL-terminated, the sentence without a closing newline.
 */
void errors_put(struct errors *e, int64_t now_ms, int err, uint32_t uid, uint32_t pid,
		const char *path, const char *sentence);

/* Appends the lines that uid may see, the oldest first. Failures to grow stick in out. */
void errors_text(const struct errors *e, uint32_t uid, bool is_root, struct buf *out);

/*
 * The same from line number seq on (0: from the first), and the number that the next line will
 * have: so a reader who was given everything can ask for what came since.
 */
uint64_t errors_text_since(const struct errors *e, uint64_t seq, uint32_t uid, bool is_root,
			   struct buf *out);

/* How often err (negative or not) was put since the start; 0 for what is no errno. */
uint64_t errors_cnt(const struct errors *e, int err);

#endif

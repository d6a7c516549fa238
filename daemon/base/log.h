/*
 * The broker's log on stderr: one line an event,
 *
 *   2026-02-02T10:30:00.123Z INFO orders-0: rolled at offset 17
 *   2026-02-02T10:30:00.123Z ERROR orders-0: write of 00000000000000000000.data failed: ENOSPC
 *
 * time, level, object, sentence, errno. None for a record. Equal lines (same place in the source)
 * beyond LOG_BURST in ten seconds are counted and told in one line when the ten seconds end.
 * Only the owner of an event logs it (the one who decides what an error means).
 */
#ifndef TOPICFS_BASE_LOG_H
#define TOPICFS_BASE_LOG_H

#include "daemon/base/assert.h"

#include <stdint.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR, LOG_NONE };

#define LOG_BURST 10

/* Only events of this level and above are printed. The one mutable global of the tree. */
void log_set_level(enum log_level level);
/* "debug" "info" "warn" "error". 0 or -EINVAL. */
MUST_CHECK int log_parse_level(const char *s, enum log_level *ret_level);

/* One counter a call site; zero-initialised, static. */
struct log_site {
	int64_t since_ms;
	unsigned cnt, dropped;
};

/* err is 0 or a negative errno, printed by its name. */
void log_event(struct log_site *site, enum log_level level, const char *object, int err,
	       const char *fmt, ...) PRINTF_LIKE(5, 6);

/* "ENOSPC" for 28 or -28; "E28" where the C library has no name. */
const char *log_errno_name(int err);

#define LOG_AT(level, object, err, ...)                                                            \
	do {                                                                                       \
		static struct log_site log_site_;                                                  \
		log_event(&log_site_, level, object, err, __VA_ARGS__);                            \
	} while (0)

#endif

/*
 * RFC 3339 times <-> milliseconds since the epoch (UTC). Pure; no libc time zone is consulted.
 */
#ifndef TOPICFS_BASE_RFC3339_H
#define TOPICFS_BASE_RFC3339_H

#include "daemon/base/assert.h"

#include <stddef.h>
#include <stdint.h>

/* "2026-02-02T10:30:00.123Z" */
#define RFC3339_LEN 24

/* Writes RFC3339_LEN characters and a NUL. Years beyond 0..9999 are clamped. */
void rfc3339_encode(int64_t ms, char ret_text[RFC3339_LEN + 1]);

/*
 * Parses exactly len characters: date, "T" or "t" (or a space, as the RFC allows), time, optional
 * fraction (cut to milliseconds, towards the past), and "Z", "z" or a numeric offset. A leap
 * second (:60) counts as the first moment of the next minute. -EINVAL for anything else, also for
 * days that do not exist.
 */
MUST_CHECK int rfc3339_decode(const char *text, size_t len, int64_t *ret_ms);

#endif

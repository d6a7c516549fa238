#include "daemon/base/log.h"

#include "daemon/base/rfc3339.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static enum log_level log_level = LOG_INFO;

void log_set_level(enum log_level level)
{
	log_level = level;
}

static const char *const level_names[] = {
	[LOG_DEBUG] = "DEBUG", [LOG_INFO] = "INFO", [LOG_WARN] = "WARN", [LOG_ERROR] = "ERROR"
};

int log_parse_level(const char *s, enum log_level *ret_level)
{
	for (unsigned i = 0; i < ARRAY_CNT(level_names); i++) {
		if (!strcasecmp(s, level_names[i])) {
			*ret_level = (enum log_level)i;
			return 0;
		}
	}
	return -EINVAL;
}

const char *log_errno_name(int err)
{
	const char *name = strerrorname_np(err < 0 ? -err : err);

	return name ? name : "E?";
}

/* False where this site has said enough for now. Tells what was held back when it may speak again.
 */
static bool site_may_speak(struct log_site *site, int64_t now_ms, unsigned *ret_dropped)
{
	*ret_dropped = 0;
	if (now_ms - site->since_ms >= 10000 || now_ms < site->since_ms) {
		*ret_dropped = site->dropped;
		*site = (struct log_site){ .since_ms = now_ms };
	}
	if (site->cnt < LOG_BURST) {
		site->cnt++;
		return true;
	}
	site->dropped++;
	return false;
}

void log_event(struct log_site *site, enum log_level level, const char *object, int err,
	       const char *fmt, ...)
{
	struct timespec ts;
	char line[2048], when[RFC3339_LEN + 1];
	unsigned dropped;
	int64_t now_ms;
	size_t len;
	va_list ap;

	if (level < log_level || level >= LOG_NONE)
		return;
	clock_gettime(CLOCK_REALTIME, &ts);
	now_ms = ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
	if (!site_may_speak(site, now_ms, &dropped))
		return;
	rfc3339_encode(now_ms, when);
	len = (size_t)snprintf(line, sizeof(line), "%s %s %s: ", when, level_names[level], object);
	va_start(ap, fmt);
	if (len < sizeof(line))
		len += (size_t)vsnprintf(line + len, sizeof(line) - len, fmt, ap);
	va_end(ap);
	if (err && len < sizeof(line))
		len += (size_t)snprintf(line + len, sizeof(line) - len, ": %s",
					log_errno_name(err));
	if (dropped && len < sizeof(line))
		len += (size_t)snprintf(line + len, sizeof(line) - len,
					" (%u more like this in the last ten seconds)", dropped);
	len = MIN(len, sizeof(line) - 2);
	for (size_t i = 0; i < len; i++) {
		if ((unsigned char)line[i] < ' ')
			line[i] = '?';
	}
	line[len++] = '\n';
	/* One write, so that lines of several processes on one stderr do not mix. Nobody is left
	 * to be told that the log itself failed. */
	if (write(STDERR_FILENO, line, len) < 0)
		return;
}

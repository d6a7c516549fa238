/*
 * One round of the thread that owns everything: requests, finished disk work, what is due. Where
 * requests come from is the caller's, so that a round runs without a kernel, too.
 */
#ifndef TOPICFS_DAEMON_ROUND_H
#define TOPICFS_DAEMON_ROUND_H

#include "daemon/broker.h"

/* Requests that are handled before the disk and the clock are looked at again. */
#define ROUND_BURST 64

struct round {
	struct broker *broker; /* borrowed, as are all others */
	struct fs *fs;
	/* Handles one request: 1; 0: none is there; -ENODEV: nothing more will come. */
	int (*next_request)(void *ctx);
	/* Whether disk_reap() may have something. */
	bool (*has_finished)(void *ctx);
	void *ctx;
	/* On the monotonic clock: when the next tick is due, when the last was. */
	int64_t deadline_ms, ticked_ms;
};

/* Does what is due, and learns when something is due next. */
void round_tick(struct round *r);
/* One round; *ret_cnt: what was handled in it. 0; -ENODEV: unmounted; -EIO: the process must stop.
 */
MUST_CHECK int round_turn(struct round *r, unsigned *ret_cnt);

#endif

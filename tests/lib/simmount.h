/*
 * The whole of `topicfs broker` (cmd_broker: start, loop, end) without a kernel: what daemon/io and
 * fusefs/session.c define is defined here, over a simulated disk and a mount whose requests a test
 * makes; and the clocks and poll(2), so that time is virtual and one seed gives one run. A program
 * that uses this is linked with it in their place; all else comes from the archives of the binary,
 * libfuse included.
 *
 * There is one at a time, since the functions that it stands in for are given no context.
 */
#ifndef TOPICFS_TESTS_SIMMOUNT_H
#define TOPICFS_TESTS_SIMMOUNT_H

#include "daemon/broker.h"
#include "tests/lib/simdisk.h"

struct simmount {
	struct disk *disk;   /* borrowed; what the broker is given as its data directory */
	struct simdisk *sim; /* borrowed; NULL: the disk is none of those, and never stops */
	uint64_t rnd;	     /* of the times between calls */
	uint32_t pid;	     /* who makes the next request; 0: this process */
	bool awake;	     /* sleeps end at once, so that little time passes */
	/* Asked for each request that the broker would read. Sends one and returns true, or says
	 * that there is none for now. Not asked when the disk has stopped. */
	bool (*next)(void *ctx);
	/* The answer; not called for what comes after the disk's stop. err: 0 or negative. */
	void (*answered)(void *ctx, uint64_t unique, int err, const void *data, size_t len);
	void *ctx;
	/* Where the disk is a real one: waits for finished requests; else NULL. */
	bool (*finished)(void *ctx);

	int64_t now_us; /* virtual time since the start */
	bool ends;	/* SIGTERM was asked for */
	bool hangs;	/* the broker waited for long without anything left to wait for */
	uint64_t idle;	/* sleeps since anything happened */
	struct fs *fs;	/* while it is mounted */
	struct fuse_session *se;
	uint64_t unique;
};

/* Runs the broker until it ends. The exit status. m is in use until then. */
int simmount_run(struct simmount *m, const struct broker_options *o);
/* Runs `topicfs verify` on the disk; its words go to out (emptied first). The exit status. */
int simmount_verify(struct simmount *m, struct buf *out);
/* SIGTERM, at the broker's next look. */
void simmount_end(struct simmount *m);
/* From next(): hands a request to libfuse. The answer may come before this returns. Returns the
 * number that the answer will have. op: FUSE_MKDIR, ...; body and more are what follows the head.
 */
uint64_t simmount_send(struct simmount *m, uint32_t op, uint64_t node, const void *body, size_t len,
		       const void *more, size_t more_len);
int64_t simmount_now_ms(const struct simmount *m);

#endif

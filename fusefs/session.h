/*
 * The mount itself: libfuse's session, driven by the caller's own loop. Everything that amends
 * libfuse is in session.c, and gated on what the kernel offers.
 */
#ifndef TOPICFS_FUSEFS_SESSION_H
#define TOPICFS_FUSEFS_SESSION_H

#include "daemon/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct fs;
struct session;

struct session_why {
	char text[400]; /* one sentence that says what to do */
};

/*
 * Looks at the mount point before anything else is begun: makes the directory where it is missing,
 * takes away a stale mount of a broker that died, and refuses what is mounted otherwise (-EBUSY;
 * also where it does not answer), a missing /dev/fuse (-ENODEV), a kernel that would abort waiting
 * readers (-EOPNOTSUPP). dir must be absolute.
 */
MUST_CHECK int session_prepare(const char *dir, struct session_why *why);
/* Mounts. -EPERM with a sentence; -ENOMEM. The session is the caller's; fs outlives it. */
MUST_CHECK int session_mount(struct fs *fs, const char *dir, bool no_splice, struct session **ret,
			     struct session_why *why);
/* The descriptor to poll for requests. */
int session_fd(const struct session *s);
/* Handles one request without waiting. 1: one was handled; 0: none is there; -ENODEV: the mount was
 * taken away, nothing more will come. */
int session_step(struct session *s);
/* The process of a thread (FUSE tells threads); the thread itself where /proc does not know it. */
int32_t session_tgid(int32_t tid);
/* The supplementary groups of a thread, owned by the caller: -ENOMEM. Its name as ps shows it, cut.
 */
MUST_CHECK int session_groups(int32_t tid, uint32_t **ret, unsigned *ret_cnt);
void session_comm(int32_t tid, char *ret, size_t len);
/* Detaches the mount: no new opens; what is open goes on until session_free(). */
void session_detach(struct session *s);
/* Ends it. Takes NULL. */
void session_free(struct session *s);

#endif

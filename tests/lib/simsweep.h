/*
 * Sweeps over scenarios of the simulated world (simworld.h): each is stopped at its n-th disk call,
 * or its n-th call or allocation fails; then it recovers, is compared, goes on and ends.
 */
#ifndef TOPICFS_TESTS_SIMSWEEP_H
#define TOPICFS_TESTS_SIMSWEEP_H

#include "tests/lib/simworld.h"

#include <fcntl.h>

#define LIVES 4
#define END                                                                                        \
	{                                                                                          \
		CALL_END, 0, NULL, 0, 0, 0                                                         \
	}
#define MKDIR(t)                                                                                   \
	{                                                                                          \
		CALL_MKDIR, t, NULL, 0, 0, 0                                                       \
	}
#define RMDIR(t)                                                                                   \
	{                                                                                          \
		CALL_RMDIR, t, NULL, 0, 0, 0                                                       \
	}
#define CONFIG(t, parts, max, more)                                                                \
	{                                                                                          \
		CALL_CONFIG, t, more, parts, max, 0                                                \
	}
#define CHMOD(t, mode)                                                                             \
	{                                                                                          \
		CALL_CHMOD, t, NULL, mode, 0, 0                                                    \
	}
#define OPEN(t, name)                                                                              \
	{                                                                                          \
		CALL_OPEN, t, name, 0, 0, 0                                                        \
	}
#define OPEN_SYNC(t, name)                                                                         \
	{                                                                                          \
		CALL_OPEN, t, name, 0, 0, O_DSYNC                                                  \
	}
#define WRITE(t, cnt, len)                                                                         \
	{                                                                                          \
		CALL_WRITE, t, NULL, cnt, len, 0                                                   \
	}
#define TAIL(t)                                                                                    \
	{                                                                                          \
		CALL_TAIL, t, NULL, 0, 0, 0                                                        \
	}
#define FSYNC(t)                                                                                   \
	{                                                                                          \
		CALL_FSYNC, t, NULL, 0, 0, 0                                                       \
	}
#define TRUNCATE(t)                                                                                \
	{                                                                                          \
		CALL_TRUNCATE, t, NULL, 0, 0, 0                                                    \
	}
#define READ(t)                                                                                    \
	{                                                                                          \
		CALL_READ, t, NULL, 0, 0, 0                                                        \
	}
#define CLOSE(t)                                                                                   \
	{                                                                                          \
		CALL_CLOSE, t, NULL, 0, 0, 0                                                       \
	}
#define PAUSE(ms)                                                                                  \
	{                                                                                          \
		CALL_PAUSE, 0, NULL, ms, 0, 0                                                      \
	}
#define ROOM                                                                                       \
	{                                                                                          \
		CALL_ROOM, 0, NULL, 0, 0, 0                                                        \
	}
#define GROUP_MKDIR(g)                                                                             \
	{                                                                                          \
		CALL_GROUP_MKDIR, 0, NULL, 0, 0, g                                                 \
	}
#define GROUP_RMDIR(g)                                                                             \
	{                                                                                          \
		CALL_GROUP_RMDIR, 0, NULL, 0, 0, g                                                 \
	}
#define GROUP_CONFIG(g, deliveries, text)                                                          \
	{                                                                                          \
		CALL_GROUP_CONFIG, 0, text, deliveries, 0, g                                       \
	}
#define COMMIT(g, t, part, off)                                                                    \
	{                                                                                          \
		CALL_COMMIT, t, NULL, part, off, g                                                 \
	}
#define COMMIT_FSYNC(g, t, part, off)                                                              \
	{                                                                                          \
		CALL_COMMIT_FSYNC, t, NULL, part, off, g                                           \
	}
#define COMMIT_DSYNC(g, t, part, off)                                                              \
	{                                                                                          \
		CALL_COMMIT_DSYNC, t, NULL, part, off, g                                           \
	}
#define OFFSET(g, t, part, off)                                                                    \
	{                                                                                          \
		CALL_OFFSET, t, NULL, part, off, g                                                 \
	}
#define SEEK(g, t, part, off)                                                                      \
	{                                                                                          \
		CALL_SEEK, t, NULL, part, off, g                                                   \
	}
#define COMMIT_WORDS(g, t, part, off)                                                              \
	{                                                                                          \
		CALL_COMMIT_WORDS, t, NULL, part, off, g | CALL_MAY_REFUSE                         \
	}
#define REJECT(g, t, part, off)                                                                    \
	{                                                                                          \
		CALL_REJECT, t, NULL, part, off, g | CALL_MAY_REFUSE                               \
	}
#define STREAM(g, t, format)                                                                       \
	{                                                                                          \
		CALL_STREAM, t, format, 0, 0, g                                                    \
	}
#define STREAM_READ(g)                                                                             \
	{                                                                                          \
		CALL_STREAM_READ, 0, NULL, 0, 0, g                                                 \
	}
#define STREAM_READ_LINE(g)                                                                        \
	{                                                                                          \
		CALL_STREAM_READ, 0, NULL, 0, 1, g                                                 \
	}
#define JOIN(g, request)                                                                           \
	{                                                                                          \
		CALL_JOIN, 0, request, 0, 0, g                                                     \
	}
#define JOIN_READ(g)                                                                               \
	{                                                                                          \
		CALL_JOIN_READ, 0, NULL, 0, 0, g                                                   \
	}
#define STREAM_CLOSE(g)                                                                            \
	{                                                                                          \
		CALL_STREAM_CLOSE, 0, NULL, 0, 0, g                                                \
	}

struct scenario {
	const char *topics[WORLD_TOPICS];
	struct {
		const struct call *const *programs;
		const char *settings; /* of the broker, in this life and those after it */
		bool killed;	      /* ends by a kill; else by SIGTERM */
	} lives[LIVES];		      /* as many as have programs */
	const char *groups[WORLD_GROUPS];
	unsigned swept;			       /* the first life whose calls are counted */
	const struct call *const *after;       /* also done behind the stop, where topic 0 is */
	bool (*covers)(const struct world *w); /* whether it came to what it is there for */
};

/* Stops the scenario at its n-th call, by a kill and by each kind of power loss: `cases` of them,
 * drawn by a seed that is printed, or with TOPICFS_LONG all. */
void sweep_stops(const struct scenario *s, const char *name, uint64_t cases);
/* Stops it at each of its calls, by a power loss that takes all that is not synced. */
void sweep_losses(const struct scenario *s, const char *name);
/* From now on they draw under this seed, one in which something was found once; 0: no more. */
void sweep_seed(uint64_t seed);
/* The n-th call fails with err; with -ENOMEM the n-th allocation. */
void sweep_fails(const struct scenario *s, const char *name, uint64_t cases, int err);
/* The first life of the scenario ends by SIGTERM, a kill or a power loss; the second finds the disk
 * full from the n-th call of its start on, for every n. It starts, gives what was acknowledged and
 * tells writers of ENOSPC until its programs make room (ROOM), or says what it had no room for. Of
 * the calls `make test` looks at one in so many, in some of these ways. */
void sweep_full(const struct scenario *s, const char *name, unsigned one_in);
#endif

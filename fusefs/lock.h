/*
 * The locks of flock(2) and fcntl(2). Each look-up of a file gives a fresh node id, so the kernel
 * cannot see that two opens lock the same file; here locks belong to what the file is.
 *
 * An object is whatever the caller gives one 64-bit key. Its flock and its fcntl (POSIX) locks are
 * separate spaces that do not see each other. An owner is the kernel's lock owner: of an open file
 * for flock, of a process's file table for POSIX.
 *
 *   POSIX  ranges [start, end], both inclusive. A lock replaces what its owner had there: parts of
 *          other kind are cut, split or upgraded, neighbours of the same kind become one.
 *   flock  the whole object. Another kind is a conversion: as on Linux the old lock goes first, so
 *          a conversion that is refused or waits has lost it.
 *
 * Who cannot have a lock at once may wait, under a ticket (a number of the caller's, in use once at
 * a time). Waiters stand in the order in which they came; when locks went, lock_grant() grants what
 * became free, first come first, each that conflicts with no lock in force. A newcomer does not
 * queue behind waiters that it does not conflict with: as on Linux, readers can starve a writer.
 * There are no callbacks: after each call that may free something (marked "frees" below) the
 * caller takes the granted tickets with lock_grant() until it gives none.
 *
 * A POSIX wait that would close a circle of owners, each waiting for the next, is -EDEADLK. (flock
 * has no such promise, here as on Linux.)
 *
 * Invariants: two locks in force on one object and space that overlap are both shared or have one
 * owner; the POSIX ranges of one owner do not overlap, and touch only where they differ in kind.
 * One thread uses a table.
 */
#ifndef TOPICFS_FUSEFS_LOCK_H
#define TOPICFS_FUSEFS_LOCK_H

#include "daemon/base/assert.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Locks in force and waiters of a mount together: beyond it locks are -ENOLCK. One costs about 140
 * bytes, so a program that takes all there is takes 9 MiB. */
#define LOCK_CNT_MAX 65536U

enum lock_space { LOCK_SPACE_POSIX, LOCK_SPACE_FLOCK };
enum lock_kind { LOCK_KIND_NONE, LOCK_KIND_SHARED, LOCK_KIND_EXCLUSIVE };

/* What is asked for, and what is told of a lock in force. */
struct lock {
	uint64_t key; /* the object */
	enum lock_space space;
	enum lock_kind kind; /* NONE: unlock */
	uint64_t owner;
	uint32_t pid;
	uint64_t start, end; /* inclusive, start <= end; ignored for flock */
};

struct lock_table;

/* A table of at most cnt_max locks and waiters (LOCK_CNT_MAX but in tests). NULL without memory. */
struct lock_table *lock_new(uint32_t cnt_max);
/* Frees it with all that is in it. Takes NULL. */
void lock_free(struct lock_table *t);

/* F_GETLK: the first lock in force that keeps want from being set; kind NONE where none does. */
void lock_find(const struct lock_table *t, const struct lock *want, struct lock *ret_lock);

/* Sets or removes (kind NONE) a lock without waiting. 0; -EAGAIN where another's is in the way;
 * -ENOLCK where the table is full (removing the middle of a range needs a place, too). Frees. */
MUST_CHECK int lock_set(struct lock_table *t, const struct lock *want);

/* The same (kind is not NONE), but waits under ticket where another's lock is in the way. 0 where
 * it is set; -EINPROGRESS where it waits; -EDEADLK; -ENOLCK. Frees (a conversion of flock). */
MUST_CHECK int lock_wait(struct lock_table *t, const struct lock *want, uint64_t ticket);

/* Ends a wait. False where no such ticket waits (any more): it was granted, and was or will be
 * given by lock_grant(). */
bool lock_cancel(struct lock_table *t, uint64_t ticket);

/* Removes all locks of an owner on an object: at FLUSH (POSIX) and RELEASE (flock). Waiters stay.
 * Frees. */
void lock_drop(struct lock_table *t, uint64_t key, enum lock_space space, uint64_t owner);

/* Grants one waiter that has become free, and gives its ticket. False where there is none (left).
 * *ret_err is 0, the lock is set, or -ENOLCK, the wait is over without it. Frees. */
bool lock_grant(struct lock_table *t, uint64_t *ret_ticket, int *ret_err);

/* How many locks are in force, and how many wait. */
void lock_cnt(const struct lock_table *t, uint32_t *ret_set, uint32_t *ret_waiting);

#endif

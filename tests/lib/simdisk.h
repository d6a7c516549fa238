/*
 * A disk in memory behind struct disk_ops, for tests: deterministic under a seed, it forgets what
 * was not synced, and fails when told to.
 *
 * Every file has two contents, the cached one that calls see and the stable one; a sync copies.
 * Every name has a cached and a stable meaning; disk_sync_dir() copies. simdisk_crash() is a power
 * loss: of each sector of 512 bytes that differs, the old or the new bytes or garbage stay, of each
 * length the old, the new or one between, and of each name the old or the new meaning (both names
 * of a rename share their fate). simdisk_kill() ends the process only: all of the cache stays. Both
 * close every descriptor; writes under way are then done in part (crash: by sectors; kill: wholly
 * or not). Mapped memory stays where it is.
 */
#ifndef TOPICFS_TESTS_SIMDISK_H
#define TOPICFS_TESTS_SIMDISK_H

#include "daemon/base/buf.h"
#include "daemon/store/disk.h"

struct simdisk;

struct simdisk *simdisk_new(uint64_t seed);
void simdisk_free(struct simdisk *d);
/* For the functions of disk.h. */
struct disk *simdisk_disk(struct simdisk *d);

void simdisk_crash(struct simdisk *d, uint64_t seed);
/* What becomes of what was not synced, at every crash from now on. */
enum simdisk_fate { SIMDISK_MIXED, SIMDISK_LOSE, SIMDISK_KEEP, SIMDISK_GARBLE };
void simdisk_set_fate(struct simdisk *d, enum simdisk_fate fate);
void simdisk_kill(struct simdisk *d);

/* An error for simdisk_fail(): reads and writes do half of what they are asked. */
#define SIMDISK_SHORT (-10000)
/* From the nth call on (1: the next), cnt calls fail with err; 0 ends it. Calls that cannot meet an
 * error (-EINTR, -EMFILE, -ENOSPC, a short count) do not. A write that fails is done in part. */
void simdisk_fail(struct simdisk *d, uint64_t nth, uint64_t cnt, int err);
/* After so many more calls the disk is full: nothing is left but what is cut and removed from then
 * on; or, where `names` is set, not even that, as if somebody else took it at once, and no name is
 * made. What a file has can be written over. ~0: it never is; what was free before is free. */
void simdisk_fill_after(struct simdisk *d, uint64_t cnt, bool names);
/* Calls so far. */
uint64_t simdisk_call_cnt(const struct simdisk *d);
/* How many calls failed because they were told to. */
uint64_t simdisk_failed_cnt(const struct simdisk *d);
/* From now on, so many calls succeed, and then every one fails with -EIO without any effect, as if
 * the process were gone: the state for simdisk_kill() or _crash() between two calls. ~0: never. A
 * process that had met such an end lives on. */
void simdisk_stop_after(struct simdisk *d, uint64_t cnt);
/* Whether a call came after those. What the process does to mapped memory from then on is undone
 * by simdisk_kill() and _crash(). */
bool simdisk_is_stopped(const struct simdisk *d);
/* Whether requests are under way, or finished and not reaped. */
bool simdisk_has_pending(const struct simdisk *d);
/* Finishes what is under way; nobody gets the results. */
void simdisk_drain(struct simdisk *d);
/* One disk_reap() in so many gives nothing, as if all took longer; 0: none. */
void simdisk_set_lazy(struct simdisk *d, unsigned one_in);
/* The next cnt syncs of a segment in place take until simdisk_let_go(). */
void simdisk_hold_syncs(struct simdisk *d, unsigned cnt);
void simdisk_let_go(struct simdisk *d);
/* Bytes that can still be stored. */
void simdisk_set_free(struct simdisk *d, uint64_t bytes);
/* While disk->nowait is set, one read in so many meets cold pages; 0: none. */
void simdisk_set_cold(struct simdisk *d, unsigned one_in);
/* O_DIRECT is refused. */
void simdisk_refuse_direct(struct simdisk *d, bool refuse);
/* The clock behind st_mtime. */
void simdisk_set_now(struct simdisk *d, int64_t now_ms);
/* One line a call ("writev PATH POS LEN") is appended to b, which is borrowed; NULL ends it. */
void simdisk_trace(struct simdisk *d, struct buf *b);

/* The cached content of a file, borrowed until the next call; NULL where there is none. For looking
 * at it, and for damaging it (then stable and cached content). */
uint8_t *simdisk_bytes(struct simdisk *d, const char *path, size_t *ret_len);
void simdisk_flip(struct simdisk *d, const char *path, size_t pos, uint8_t mask);
/* Open descriptors. */
unsigned simdisk_open_cnt(const struct simdisk *d);

#endif

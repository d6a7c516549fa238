/*
 * What the files of the simulated disk share.
 */
#ifndef TOPICFS_TESTS_SIMDISK_IMPL_H
#define TOPICFS_TESTS_SIMDISK_IMPL_H

#include "tests/lib/simdisk.h"

#define SECTOR 512U
#define FD_MAX 1024

struct simfile {
	uint8_t *cur, *stable;
	size_t len, stable_len, cap; /* both buffers have cap bytes, zeroed behind their lengths */
	size_t dirty, dirty_end;     /* what may differ, where it is not mapped; none: both 0 */
	size_t alloc;		     /* room that was allocated beyond the length */
	unsigned refs;		     /* names (cached and stable) and descriptors */
	bool is_dir, mapped, warm, locked;
	uint8_t *kept; /* what was mapped, as of the stop; behind kept_len: zeros */
	size_t kept_len;
	int64_t mtime_ms;
};

struct simname {
	char *path;
	uint64_t hash; /* of the path */
	struct simfile *cur, *stable;
	uint64_t group; /* names that share their fate at a crash; 0: alone */
};

struct simfd {
	struct simfile *file;
	char *path;
	bool direct, locks;
};

/* A write that was under way when the calls ended. */
struct simlate {
	struct simfile *file; /* a ref */
	uint8_t *data;	      /* owned */
	size_t len;
	uint64_t pos;
	bool durable;
};
#define LATE_MAX 16

struct simdisk {
	struct disk disk;
	struct simname *names;
	size_t name_cnt, name_cap;
	struct simfd fds[FD_MAX];
	int fd_top;
	uint64_t rng, group, calls, failed, fail_at, fail_cnt, stop_at, full_at, freed, space;
	int fail_err;
	unsigned cold_one_in;
	bool no_direct, stopped, no_names;
	unsigned lazy_one_in;
	enum simdisk_fate fate;
	struct simlate late[LATE_MAX];
	unsigned late_cnt;
	int64_t now_ms;
	uint8_t boot_id[16];
	struct buf *trace;
	struct list pending, held;
	unsigned hold_cnt; /* syncs that are still to be held */
};

uint64_t sim_rnd(struct simdisk *d);
void sim_file_unref(struct simfile *f);
struct simfile *sim_file_ref(struct simfile *f);
struct simfile *sim_lookup(struct simdisk *d, const char *path);
bool sim_has_parent(struct simdisk *d, const char *path, bool stable);
struct simfd *sim_fd_get(struct simdisk *d, int fd);
/* Room for so many bytes. */
void sim_file_grow(struct simfile *f, size_t need);
void sim_file_sync(struct simfile *f);
/* The cached bytes from `from` to `to` differ from the stable ones, perhaps. */
void sim_file_touch(struct simfile *f, size_t from, size_t to);
void sim_put_bytes(struct simdisk *d, struct simfile *f, const void *data, size_t len, uint64_t pos,
		   bool durable);
void sim_name_sync(struct simname *n);
void sim_close_all(struct simdisk *d);
/* The calls end here: keeps what is in memory that the process may still change. */
void sim_stop(struct simdisk *d);

#endif

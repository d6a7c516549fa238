/*
 * What the files of the model share. model_plog.c is the program; model_clean.c has what cleaning
 * does to the array, model_journal.c what the journal holds.
 */
#ifndef TOPICFS_TESTS_SIM_MODEL_PLOG_H
#define TOPICFS_TESTS_SIM_MODEL_PLOG_H

#include "daemon/store/cleaner.h"
#include "daemon/store/plog.h"
#include "daemon/store/segment.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define RECORDS_MAX 4096U
#define VALUE_MAX 3000U

enum fate { STAYS, GOING, GONE };

struct model_record {
	enum fate fate;
	uint8_t *value;
	uint32_t value_len; /* RECORD_NULL: tombstone */
	uint8_t key[16];
	uint32_t key_len;
	bool has_header;
	int64_t ts_ms;
	uint64_t pos;
};

struct model_entry {
	int64_t base;
	bool is_meta;
	uint64_t pos;
	size_t len;
	uint8_t *bytes;
};

/* The journal: entries that are on disk, and behind them those of a write that is under way. */
struct model_ring {
	struct model_entry entries[64];
	unsigned cnt, pending;
	bool under_way;
	struct plog_point point, target; /* of the former; and with the latter */
};

struct model {
	uint64_t seed, rng;
	unsigned op;
	struct simdisk *sd;
	struct disk *disk;
	struct plog log;
	struct debt_table debts;
	void *debt_mem;
	int debt_fd;
	struct plog_config config;
	struct model_record recs[RECORDS_MAX];
	uint32_t cnt;
	uint64_t end_pos;
	int64_t now_ms;
	int64_t start_offset;
	uint64_t start_pos;
	struct plog_point floor;
	struct model_ring ring;
	int ring_fd;
	bool has_put_back;	 /* and the newest slot alone is looked at */
	bool stopping;		 /* the disk is about to be gone */
	struct cleaner *cleaner; /* a pass is under way */
	enum cleaner_need need;	 /* before its next step */
};

uint32_t below(struct model *m, uint64_t n);
/* Prints where, and aborts. */
_Noreturn void fail_at(struct model *m, int line, const char *what, int64_t a, int64_t b);

#define CHECK(m, x)                                                                                \
	do {                                                                                       \
		if (!(x))                                                                          \
			fail_at(m, __LINE__, #x, 0, 0);                                            \
	} while (0)
#define CHECK_EQ(m, a, b)                                                                          \
	do {                                                                                       \
		int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                      \
		if (a_ != b_)                                                                      \
			fail_at(m, __LINE__, #a " == " #b, a_, b_);                                \
	} while (0)

/* Whether a call that returned r is to be looked at no further: it failed as it may. */
bool gave_up(struct model *m, int r);
/* Has the pages that the disk missed read in. */
void warm(struct model *m);

/* Does a look-up until pages are warm. */
#define WARM(m, r, call)                                                                           \
	do {                                                                                       \
		(r) = (call);                                                                      \
		if ((r) == -EAGAIN)                                                                \
			warm(m);                                                                   \
	} while ((r) == -EAGAIN)

/* What the store does for an fsync in place, and for a checkpoint. */
int sync_all(struct model *m);
void do_kill(struct model *m);

/* model_clean.c: a pass, or some steps of one. */
void do_clean(struct model *m);
/* A pass ends with the process; of an orderly one it is told to the disk. */
int end_cleaning(struct model *m, bool orderly);
/* Of what was to go: whether it is there. */
void take_fates(struct model *m);
/* That nothing that stays has a byte in a hole, and that it was never so short. */
void expect_hole(struct model *m, uint64_t pos, uint64_t next);
/* That got is the first record from offset on that is there. */
void expect_next(struct model *m, int64_t offset, int64_t got);

/* model_journal.c: an fsync goes into the journal, or one that is under way ends. */
void do_journal(struct model *m);
/* Everything is stable in place up to there: the journal begins anew. */
void begin_ring(struct model *m, const struct plog_point *point);
/* Before the log is opened: the write under way is on disk or not, and bytes are put back. */
void put_back(struct model *m);

#endif

/*
 * A group in a world of its own (tests/sim/model_groups.c): a coordinator that does what
 * daemon/coordinator does with it, a partition of __consumer_offsets in an array, topics whose
 * records are numbers, and processes that read, stall and die. Virtual time, one seed.
 *
 * The world knows at every moment what the processes know (what they were given and have not dealt
 * with, what their lines say), and checks by that alone, not by what the group says of itself:
 *
 * - Nobody is given a partition that another still works on, and in one generation nobody is told
 * to have what another was told to have; generations never fall, whatever is killed.
 * - What a holder is given goes on where it was, without a gap; a holder that comes new begins at
 *   the committed offset.
 * - A committed offset covers only what was dealt with, does not move back, and is what was written
 *   when the broker comes back.
 * - Who was expelled or fenced commits nothing. Nobody is expelled before its time, nor kept after.
 * - A member is told to have, and is given, only what its user may read.
 * - What does not move is not touched.
 */
#ifndef TOPICFS_TESTS_SIMGROUP_H
#define TOPICFS_TESTS_SIMGROUP_H

#include "daemon/groups/group_record.h"

#include <stdio.h>
#include <stdlib.h>

#define SG_TOPICS 4U
#define SG_PARTS 6U
#define SG_RECORDS 160
#define SG_CLIENTS 8U
#define SG_KEYS 1024U
#define SG_SUBS 6U
#define SG_USERS 2U

/* One partition, and all that is known about it. */
struct sg_part {
	int64_t end;
	int64_t committed; /* as it was written; -1: never */
	bool processed[SG_RECORDS];
	uint32_t delivered[SG_RECORDS]; /* as often as it was written */
	uint64_t told_generation;	/* the newest in which somebody was told to have it */
	char told[GROUP_NAME_MAX + 1];	/* ... and who */
};

struct sg_topic {
	char name[8];
	uint8_t id[16];
	uint32_t part_cnt; /* 0: there is none */
	uint32_t readers;  /* a bit for each user that may read it */
	struct sg_part parts[SG_PARTS];
};

/* What a process knows of one partition. */
struct sg_view {
	int64_t given, dealt; /* a stream; -1 */
	int64_t pos;	      /* a `join`: where it works */
	bool is_mine;	      /* a `join`: it works on it */
	bool is_in_line;      /* ... and its newest line says so */
};

struct sg_client {
	bool is_open, is_stream, is_stalled, is_waiting, is_interrupted, is_expelled;
	uint32_t slot, sub;
	const char *instance; /* or NULL */
	int64_t session_ms, rebalance_ms, poll_ms;
	int64_t sign_ms; /* of its last sign of life */
	int64_t owes_ms; /* since when it owes a hand-over; -1 */
	uint64_t line_generation;
	char id[GROUP_NAME_MAX + 1]; /* while it is a member; then of the member that it was */
	struct sg_view views[SG_TOPICS][SG_PARTS];
};

struct sg_entry {
	uint8_t key[GROUP_KEY_LEN_MAX];
	size_t key_len;
	struct buf value;
};

struct sg_world {
	uint64_t seed, rng;
	unsigned op;
	int64_t now_ms;
	bool is_calm;	/* nothing fails any more */
	bool is_killed; /* the broker is dead: everything returns up to the step */
	struct group_settings set;
	struct group *g;
	struct sg_topic topics[SG_TOPICS];
	struct sg_client clients[SG_CLIENTS];
	uint32_t instance_subs[2], written_subs[2]; /* of "one" and "two" */
	uint32_t instance_barred[2]; /* a bit for each topic that its last member might not read */
	uint64_t id_cnt;	     /* of topics */
	uint64_t told_generation;
	struct sg_entry entries[SG_KEYS]; /* what is written */
	uint32_t entry_cnt;
};

uint32_t sg_below(struct sg_world *w, uint32_t n);
_Noreturn void sg_fail(struct sg_world *w, const char *file, int line, const char *what, int64_t a,
		       int64_t b);

#define SG_CHECK(w, x)                                                                             \
	do {                                                                                       \
		if (!(x))                                                                          \
			sg_fail(w, __FILE__, __LINE__, #x, 0, 0);                                  \
	} while (0)
#define SG_EQ(w, a, b)                                                                             \
	do {                                                                                       \
		int64_t a_ = (int64_t)(a), b_ = (int64_t)(b);                                      \
		if (a_ != b_)                                                                      \
			sg_fail(w, __FILE__, __LINE__, #a " == " #b, a_, b_);                      \
	} while (0)

void sg_init(struct sg_world *w, uint64_t seed);
void sg_fini(struct sg_world *w);
/* Whether a subscription (0 to SG_SUBS - 1) has a topic. */
bool sg_wants(uint32_t sub, const char *topic);
/* Whether the client's user (they take turns) may read it. */
bool sg_may(const struct sg_world *w, const struct sg_client *c, const struct sg_topic *t);

/* ---- What happens (the broker lives) ---- */

/* Opens its file: joins. Its kind, instance, subscription and times are set. */
void sg_open(struct sg_world *w, struct sg_client *c);
/* Its process dies, or closes the file. */
void sg_close(struct sg_world *w, struct sg_client *c);
/* Its process asks for records, or for a line. */
void sg_read(struct sg_world *w, struct sg_client *c);
/* A process with lines works on one of its partitions, and commits. */
void sg_work(struct sg_world *w, struct sg_client *c);
/* Its process is stopped; a read that waits is interrupted. */
void sg_stall(struct sg_world *w, struct sg_client *c);
void sg_resubscribe(struct sg_world *w, struct sg_client *c, uint32_t sub);
void sg_seek(struct sg_world *w, struct sg_client *c);
/* A process that is no member tries to commit. */
void sg_commit_by_other(struct sg_world *w);
/* A topic has so many partitions now; is_new: it is another of that name. */
void sg_set_topic(struct sg_world *w, struct sg_topic *t, uint32_t part_cnt, bool is_new);
/* Its owner or mode has changed. */
void sg_set_readers(struct sg_world *w, struct sg_topic *t, uint32_t readers);
void sg_append(struct sg_world *w, struct sg_topic *t, uint32_t partition, int64_t cnt);
/* The end of each round of the loop: what is due, settling, events, reads that wait. */
void sg_round(struct sg_world *w);
/* After the broker was killed: it comes back. */
void sg_restart(struct sg_world *w);

/* Everything came to rest: nothing leaves, every wanted partition has a holder, all is done. */
void sg_check_rest(struct sg_world *w);

#endif

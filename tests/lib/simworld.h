/*
 * Programs on a simulated mount (simmount.h), and what they may expect: each is a list of calls,
 * and has one under way at a time; in which order they get their turn is drawn from a seed. What
 * was asked for and what was answered is kept, and compared with what a broker shows later.
 */
#ifndef TOPICFS_TESTS_SIMWORLD_H
#define TOPICFS_TESTS_SIMWORLD_H

#include "tests/lib/simmount.h"

#define WORLD_TOPICS 6
#define WORLD_PARTS 4 /* of which contents are kept */
#define WORLD_RECORDS 1200
#define WORLD_CLIENTS 8
#define WORLD_PLAN 64
#define WORLD_GROUPS 4
#define WORLD_GIVEN 128 /* records that a stream remembers */

enum call_kind {
	CALL_END,      /* the program is done */
	CALL_MKDIR,    /* topic */
	CALL_RMDIR,    /* topic */
	CALL_CONFIG,   /* cnt: num.partitions, len: max.message.bytes, in one write; and text */
	CALL_CHMOD,    /* cnt: the mode */
	CALL_OPEN,     /* topic, text: the name of the file, flags: O_DSYNC or 0 */
	CALL_WRITE,    /* cnt records with len more bytes each */
	CALL_TAIL,     /* a line without its newline */
	CALL_FSYNC,    /* of the open file, as all below */
	CALL_TRUNCATE, /* to 0 */
	CALL_READ,     /* what is read are records that were written, in their order */
	CALL_CLOSE,
	CALL_PAUSE, /* cnt ms */
	CALL_ROOM,  /* the disk is not full any more (simdisk_fill_after) */
	/* Of groups; flags: the group's index, and CALL_MAY_REFUSE where rules may refuse it. */
	CALL_GROUP_MKDIR,
	CALL_GROUP_RMDIR,
	CALL_GROUP_CONFIG, /* text: settings; cnt: max.deliveries among them */
	/* Each opens its file, writes one line, closes: topic, cnt: partition, len: offset. */
	CALL_COMMIT,
	CALL_COMMIT_FSYNC, /* ... and fsync, before it closes */
	CALL_COMMIT_DSYNC, /* ... by a descriptor with O_DSYNC */
	CALL_OFFSET,	   /* offsets/T/P */
	CALL_SEEK,
	CALL_COMMIT_WORDS, /* ... with the words of the group's newest line of `join` */
	CALL_REJECT,
	CALL_STREAM,	   /* opens topics/T; text: its format, "" or ".json" */
	CALL_STREAM_READ,  /* behind all that was given; len 1: behind the first record only */
	CALL_JOIN,	   /* opens join and writes the text */
	CALL_JOIN_READ,	   /* one line */
	CALL_STREAM_CLOSE, /* of a join, too */
};

#define CALL_MAY_REFUSE 0x100

struct call {
	enum call_kind kind;
	unsigned topic;
	const char *text;
	unsigned cnt, len;
	int flags;
};

struct world_part {
	uint32_t ids[WORLD_RECORDS], batches[WORLD_RECORDS];
	int64_t cnt, acked, start;
};

struct world_state {
	uint32_t part_cnt, max_bytes, mode;
};

enum topic_state { TOPIC_NONE, TOPIC_ASKED, TOPIC_THERE, TOPIC_DYING, TOPIC_GONE };

struct world_topic {
	char name[16];
	enum topic_state state;
	uint8_t id[16];
	/* What was answered, and what was asked for beside it (one change at a time). */
	struct world_state now, asked;
	bool has_asked;
	struct world_part parts[WORLD_PARTS];
};

/* What a group has of one partition, as it was seen last. */
struct world_commit {
	bool is_there;
	int64_t offset, delivered_off;
	uint32_t delivered_cnt;
	int64_t commit_ms;
	int64_t synced; /* covered by an fsync; -1: nothing */
	int64_t back;	/* somebody has asked to move it back to there; -1: nobody */
};

enum world_rejected { NOT_REJECTED, REJECT_ASKED, REJECT_ANSWERED };

struct world_group {
	char name[16];
	enum topic_state state;
	uint8_t id[16];
	uint64_t generation; /* the newest that anybody was told */
	bool lost_power;     /* since then */
	/* `max.deliveries`: as it is, and as a write that a stop kept from its answer may have
	 * made it. */
	unsigned max_deliveries, max_asked;
	/* `commit`: as it is, and as somebody has asked for at least. */
	bool on_read, manual, may_on_read;
	/* What the newest line of a `join` said, and whether the broker stopped uncleanly since. */
	char member[24];
	uint64_t line_generation;
	bool is_line_old;
	unsigned line_commits; /* that were taken */
	/* When it had members last: as was seen, and as the broker may think at most. */
	bool has_members;
	int64_t peopled_ms, peopled_max_ms;
	struct world_commit commits[WORLD_TOPICS][WORLD_PARTS];
	/* By record: answers that gave it, the same since the last power loss; whether anybody has
	 * said that it is dealt with; letters about it. */
	uint8_t given[WORLD_RECORDS], counted[WORLD_RECORDS], dealt[WORLD_RECORDS];
	uint8_t rejected[WORLD_RECORDS], letters[WORLD_RECORDS];
};

/* A group's stream that a program has open. */
struct world_stream {
	bool is_open, is_interrupted;
	unsigned group, topic;
	uint64_t file, fh, pos;
	uint32_t ids[WORLD_GIVEN];
	uint64_t ends[WORLD_GIVEN]; /* where they end in the stream */
	unsigned cnt, dealt;
};

/* A record that a call may append. part -1: all such ones go to one partition. */
struct planned {
	uint32_t id, topic;
	int part;
};

struct world_client {
	const struct call *at; /* NULL: none */
	unsigned step;	       /* requests of the call that were answered */
	uint64_t unique;       /* under way; 0: none */
	int64_t until_ms;
	uint64_t node, file, fh;
	bool is_open, is_sync;
	unsigned topic;
	char name[32];
	struct planned tail, old_tail; /* id 0: none; the old one counts where a write fails */
	bool tail_refused;	       /* what came behind it was: its close drops it and says so */
	int64_t cover[WORLD_PARTS];
	unsigned sent; /* records of the write that is under way */
	struct world_stream stream;
	/* Of a group's file that one call opens, writes and closes. */
	uint64_t dir, group_file, group_fh;
	int group_err;
	int64_t commit_cover[WORLD_TOPICS][WORLD_PARTS];
};

struct world {
	struct simdisk *sim;
	struct simmount m;
	struct broker_options options;
	struct world_topic topics[WORLD_TOPICS];
	struct world_group groups[WORLD_GROUPS];
	struct world_client clients[WORLD_CLIENTS];
	struct planned plan[WORLD_PLAN];
	unsigned plan_cnt;
	uint32_t next_id, next_batch, grown;
	uint64_t rnd, label;
	bool ending;  /* SIGTERM was asked for in the life that is compared */
	bool ended;   /* the last life came to a clean end */
	bool stuck;   /* the programs wait for a topic that nobody makes */
	bool served;  /* the mount was there once */
	bool begun;   /* ... in this life */
	bool checks;  /* the next life begins with a comparison */
	bool power;   /* ... after a power loss */
	bool killed;  /* this life ends by a kill when its programs are done */
	int may_fail; /* answers may be this negative errno, or what it leads to; 0: none fails */
	bool full;    /* the disk is, or will be: who writes may be told -ENOSPC, and nobody else */
	unsigned refused;
	unsigned met; /* of these, with may_fail itself */
	unsigned stops;
	struct {
		uint64_t unique;
		int err;
		_Alignas(8) uint8_t data[4096];
		size_t len;
	} got[WORLD_CLIENTS];
	unsigned got_cnt;
	struct store_stats stats; /* as of the last round */
	uint64_t most_used;	  /* of the journal */
	uint64_t compared_call;	  /* of the disk, when the life's comparison was done */
	uint64_t letters;	  /* in this life */
};

/* topics: their names (topic numbers are indexes); the same name may stand there twice. */
struct world *world_new(uint64_t seed, const char *const *topics);
void world_free(struct world *w);
/* One life of the broker with these programs (up to WORLD_CLIENTS, a NULL ends them), ended by
 * SIGTERM when they are done. The exit status. After a clean end all is acknowledged. */
int world_live(struct world *w, const struct call *const *programs);
/* The process or the machine is gone; what was lost is known when the next life begins. */
void world_stop(struct world *w, bool power, uint64_t seed);
/* Fails, with the case's number. */
void world_fail(const struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);

#endif

/*
 * Streams of a group: groups/G/topics/T. Who holds one open is a member of the group (DESIGN 4).
 *
 * A stream gives records of the partitions that its member holds, one partition an answer, in turn.
 * What was given it keeps as *spans*: which stretch of the stream is which records.
 *
 *      span 0        span 1    span 2          frontier
 *   |-------------|---------|---------------|
 *    orders-0      orders-3  orders-0
 *    17 .. 200     4 .. 9    200 .. 310
 *
 * A read at position off says that every record that ends at or before off has been dealt with:
 * the broker is told so before anything else. A read at the frontier then gives new records; one
 * before it (a shell seeks back to the end of its line) gives the old bytes again.
 *
 * So all that was given is dealt with before more is given, and what is not is the last answer at
 * most. An answer ends at the end of a record, but where one is longer than the answer: the next
 * reads give the rest of it, whatever has become of the partition. Answers to `cat` where one
 * partition is held end anywhere (*open*), for the next goes on there; should it not, then what was
 * begun is a half, too.
 *
 * To the record, but late. The broker is told at once what the reader has dealt with where he waits
 * or owes a hand-over; else within the millisecond, before anybody looks at the group, when the
 * partition or the file is given up, and when the broker has nothing else to do (member_flush()):
 * who reads on and on would have a commit for each answer, a tenth of its cost. And where an answer
 * ends within a batch of plain lines, it is not asked at once which record that is: the give is
 * *vague* until then. So only the broker's own death loses it, and what was dealt with in that
 * millisecond is given again.
 *
 * A *give* is a partition that the stream holds; after it is lost it lives on while spans name it.
 */
#ifndef TOPICFS_FUSEFS_MEMBER_H
#define TOPICFS_FUSEFS_MEMBER_H

#include "fusefs/answer.h"

struct give {
	struct list feed; /* part->feeds, while it is held */
	struct handle *h;
	struct be_partition *part; /* holds a ref of its topic */
	uint64_t since;		   /* see struct be_share */
	bool held, leaving, seen;
	bool positioned, has_pos;
	bool is_vague;	/* the next record is that at pos, and `next` is that or one before */
	bool has_dealt; /* what ends at or before dealt_pos is dealt with, and was not told */
	int64_t next;	/* the record that is given next; where positioned */
	uint64_t pos;	/* its position in the plain file; where has_pos */
	uint64_t dealt_pos;
	int64_t counted; /* up to where records_out has it */
	int64_t seek_to; /* the owner has sought: where it goes on at the next read; -1: not */
	int64_t told;	 /* where it began, or what member_dealt() was told last */
	bool is_late;	 /* it was not told that yet */
	uint32_t spans;	 /* how many name it */
};

struct span {
	uint64_t start, end; /* in the stream */
	struct give *g;
	int64_t from, to; /* records; of one that is not given to its end `to` is `from` */
	bool is_from_vague, is_vague; /* `from`, `to` are those or earlier ones */
	bool is_void;		      /* sought away: being read on says nothing of it */
	/* lines: */
	uint64_t plain; /* position of its begin in the plain file */
	struct segment *seg;
};

struct stream {
	struct list owing; /* fs->owing: gives are late, or have_dealt */
	struct handle *h;
	struct give **held; /* held_cnt, in the order of the member's shares */
	struct be_share *shares;
	unsigned held_cnt, share_cap;
	unsigned turn; /* whose answer is next */
	struct span *spans;
	uint32_t span_cnt, span_cap;
	uint32_t dealt_cnt; /* the first of them that are dealt with */
	bool sought;
	int due; /* an errno for the next read, and its sentence */
	struct be_why due_why;
	/* lines: a record that is given in parts, or may be (half_end 0); NULL: none */
	struct give *half;
	int64_t half_off;
	uint64_t half_pos, half_end;
};

/* One READ on its way. */
struct take {
	struct fs *fs;
	fuse_req_t req;
	struct handle *h;
	struct parked *p;
	size_t size;
	uint64_t off;
	unsigned opens; /* of logs whose ends nothing else tells: see TURN_LOGS */
	bool is_turn;	/* that is all for now: it is done again when others had their turn */
	struct be_why why;
};

MUST_CHECK int member_open(struct fs *fs, struct handle *h, const struct be_caller *c,
			   struct be_why *why);
/* Leaves, also of a `join`. Harmless where nothing was joined. */
void member_close(struct fs *fs, struct handle *h);
/* Tells the broker what has been dealt with as far as it is known. */
void member_tell(struct fs *fs, struct handle *h);
/* The same, to the record. */
void member_flush(struct fs *fs, struct handle *h);
void member_flush_all(struct fs *fs);
/* One READ of a stream; answers or parks. */
void member_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		 unsigned flags, struct parked *p);
bool member_ready(struct fs *fs, struct handle *h);
/* A read of a member's file was answered; was interrupted while it waited. */
void member_read_ends(struct fs *fs, struct handle *h);
void member_interrupted(struct fs *fs, struct handle *h);
/* Streams that hold the partition read again: at once, or in the next fs_step(). */
void member_wake_feeds(struct fs *fs, struct be_partition *part, bool now);
/* Whose feed it is. */
struct handle *member_of_feed(const struct list *feed);

/* member_span.c */
/* Room for cnt more spans: -ENOMEM. */
MUST_CHECK int span_reserve(struct stream *s, uint32_t cnt);
/* Adds one at the frontier's side; takes a ref of its segment (may be NULL). There must be room. */
void span_put(struct stream *s, const struct span *sp);
/* Takes the last one away. */
void span_drop_last(struct fs *fs, struct stream *s);
/* The span that holds off: the last that begins at or before it. span_cnt where none does. */
uint32_t span_find(const struct stream *s, uint64_t off);
/* Forgets what lies more than a window behind the frontier. */
void span_cut(struct fs *fs, struct handle *h);
/* Tells the broker what a read at off says. */
void span_deal(struct fs *fs, struct handle *h, uint64_t off);
/* What lies behind off is void: its partitions go back. */
void span_seek(struct fs *fs, struct handle *h, uint64_t off);
void give_lost(struct give *g);
/* Learns which record a vague give is at. */
MUST_CHECK int give_resolve(struct give *g);
/* Frees it where nobody names it any more. */
void give_unref(struct fs *fs, struct stream *s, struct give *g);

/* How many records one answer may hold; 0: any number. */
int64_t member_limit(const struct handle *h);
/* Counts the delivery of record off where that is asked for, and tells the broker that everything
 * before `to` is given. 0: to be answered now. 1: passed, a dead letter. Others: not given. */
MUST_CHECK int member_give(struct take *t, struct give *g, int64_t off, int64_t to);
/* Retention was faster: goes on at the oldest record. Returns -ESTALE with the sentence. */
int member_overtaken(struct take *t, struct give *g);

/* member_lines.c: as member_window.c */
MUST_CHECK int lines_give(struct take *t, struct give *g);
MUST_CHECK int lines_half(struct take *t);
/* Learns which record the last answer ended in, where that is not known: it is a half then, or
 * there is none. Its partition is not the next, or not the member's any more. */
MUST_CHECK int lines_close(struct take *t);
MUST_CHECK int lines_old(struct take *t);

/* member_window.c: json and msg */
/* Answers with new records of g. 0: answered; 1: nothing of g, try again; or why not. */
MUST_CHECK int records_give(struct take *t, struct give *g);
/* Answers with what was given before, or rendered already. */
MUST_CHECK int records_old(struct take *t);

#endif

/*
 * The mount's own state: nodes, open files ("handles"), parked requests. Everything here belongs to
 * the one thread that owns the mount; there are no locks.
 *
 * Node ids. Directories and the few fixed files have ids that follow from what they are, for a
 * directory must keep its id or the kernel loses paths. Every look-up of a topic's file makes a
 * fresh node, so that each open has a kernel inode, and so a lock, of its own (FUSE.md, "Appends to
 * one inode are serialised"):
 *
 *   1 .. 15                    fixed: enum node_kind
 *   kind << 56 | serial        a topic's or a group's directories, by its serial
 *   kind << 56 | group's serial << 28 | topic's serial     groups/G/offsets/T
 *   1 << 63 | gen << 32 | idx  a slot of the node table
 *
 * A request that waits is a `struct parked`: it holds no thread. It is answered exactly once, by
 * whichever comes first of: more data, a finished sync or change, an interrupt, the topic's
 * deletion, the end of the broker.
 */
#ifndef TOPICFS_FUSEFS_FS_H
#define TOPICFS_FUSEFS_FS_H

#include "fusefs/backend.h"
#include "fusefs/errors.h"
#include "fusefs/lock.h"
#include "fusefs/view.h"

#include <fuse3/fuse_lowlevel.h>
#include <sys/stat.h>

enum node_kind {
	NODE_NONE,
	NODE_ROOT, /* FUSE_ROOT_ID */
	NODE_TOPICS,
	NODE_CLUSTER,
	NODE_README,
	NODE_METRICS,
	NODE_ERRORS,
	NODE_BROKERS,
	NODE_CONTROLLER,
	NODE_PARTITIONS,
	NODE_CONTROL,
	NODE_GROUPS,
	NODE_FIXED_END,
	NODE_TOPIC = 16, /* by serial */
	NODE_BY_KEY,
	NODE_GROUP, /* by the group's */
	NODE_STREAMS,
	NODE_OFFSETS,
	NODE_MEMBERS,
	NODE_OFFSETS_TOPIC, /* by both */
	NODE_DATA = 32,	    /* by table: N and all, with position and format */
	NODE_KEY,
	NODE_CONFIG,
	NODE_STATUS,
	NODE_STREAM, /* of a group: groups/G/topics/T, with format */
	NODE_JOIN,
	NODE_COMMIT,
	NODE_SEEK,
	NODE_REJECT,
	NODE_OFFSET, /* groups/G/offsets/T/P: view.partition */
	NODE_MEMBER,
	NODE_GROUP_CONFIG,
	NODE_STATE,
	NODE_LAG,
};

struct node {
	uint32_t gen;
	uint32_t opens;	  /* open files, and opens that are under way */
	uint64_t lookups; /* that the kernel has not forgotten */
	struct list idle; /* fs->idle_nodes, while opens is 0 */
	enum node_kind kind;
	struct be_topic *topic; /* hold refs, or NULL */
	struct be_group *group;
	struct view view; /* NODE_DATA, NODE_STREAM, NODE_OFFSET */
	char *name;	  /* owned; the name it was looked up by */
	uint32_t idx, next_free;
};

/* What a node id names. */
struct where {
	enum node_kind kind;
	struct be_topic *topic; /* borrowed from the request's node; NULL where it is of none */
	struct be_group *group; /* the same */
	struct node *node;	/* NULL for directories and fixed files */
};

enum read_mode {
	READ_NONE,
	READ_TEXT,    /* a snapshot made at open */
	READ_PLAIN,   /* the growing file */
	READ_LINES,   /* a stream or range of one partition in lines */
	READ_WINDOW,  /* json, msg, and everything of `all` */
	READ_ANSWERS, /* a produce file opened read-write */
	READ_MEMBER,  /* a group's stream */
	READ_JOIN,    /* `join`, opened read-write */
};

/* A stretch of a stream's positions that runs along the plain file. */
struct run {
	uint64_t stream_pos, plain_pos;
};
#define RUN_CNT_MAX 16U

/* One partition of a READ_WINDOW handle. */
struct feed {
	struct be_partition *part;
	int64_t next, stop; /* offsets; stop -1: a stream */
	int64_t end, back;  /* the log's end at open; how far find_ends() has walked back from it */
	int64_t wait_ts_ms; /* records before that time are passed (a time in the future); -1: none
			     */
	bool stale;	    /* ESTALE is due once */
	bool has_ts;
	int64_t ts_ms; /* of record `next`, where has_ts */
};

#define HANDLE_MAGIC 0x68646c65U
#define PARKED_MAGIC 0x7061726bU

struct waiter {
	struct list link;
	bool is_poll;
};

struct handle {
	uint32_t magic;
	enum node_kind kind;
	struct be_topic *topic; /* hold refs, or NULL */
	struct be_group *group;
	struct be_partition *part; /* NODE_DATA of one partition */
	struct view view;
	char *name; /* owned copy, for by-key and sentences */
	bool can_read, can_write;
	uint32_t uid;
	struct list link;  /* fs->handles */
	struct node *node; /* held; NULL for what has an id of its own */

	/* producing */
	struct buf tail; /* a line without its newline yet */
	int tail_err;	 /* the write behind it was refused with this; the last close drops it */
	bool skipping;	 /* in the middle of a line that was refused */
	size_t refused_len;
	uint64_t refused_hash; /* of the write that was refused; refused_len 0: none */
	/* A sync follows the append: it is described at once, since what is left to be done after
	 * it could fail, and a write that is refused leaves no record. */
	bool at_once;
	struct buf answers;
	size_t answers_given;
	bool answers_lost;

	/* reading */
	enum read_mode mode;
	bool begun, streaming;
	bool resolved; /* lines streams: the first position is known */
	struct position from;
	bool is_range, stale_due;
	uint64_t frontier;  /* stream position behind the last byte given */
	uint64_t end_plain; /* ranges in lines */
	int64_t end_off;
	struct run runs[RUN_CNT_MAX];
	unsigned run_cnt;
	struct segment *held[2]; /* refs */
	struct buf text;	 /* READ_TEXT; the window of READ_WINDOW */
	uint64_t text_start;	 /* position of text.data[0] */
	uint64_t errors_seq;
	struct feed *feeds;
	unsigned feed_cnt;
	/* Times, of each partition by itself; `-N` of `all` */
	enum { FIND_DONE, FIND_EACH, FIND_STOP, FIND_FROM } finding;
	int64_t find_left; /* FIND_EACH: the next feed; else records still to step back over */
	uint64_t work, work_max; /* see window.c: a read is done in several goes */
	uint64_t *marks;	 /* msg: starts of the records in the window; mark_cnt of them */
	size_t mark_cnt, mark_cap;
	/* groups */
	struct be_member *member; /* a stream, or a `join` that was written to */
	struct stream *stream;	  /* READ_MEMBER: member.h */
	struct list waiting;	  /* reads and poll handles that wait for this member */
	int32_t tid, tgid;	  /* the thread that was asked about last, and its process */

	int32_t last_reader; /* thread; 0: none yet */
	int32_t last_tgid;   /* its process, once it was asked for */
	bool is_polled;

	uint64_t *lock_owners; /* of fcntl locks set through this; lock_owner_cnt of them */
	unsigned lock_owner_cnt;

	struct waiter poll_wait;
	struct fuse_pollhandle *poll;
	struct list parked; /* this handle's parked requests */
};

enum park_kind { PARK_DATA, PARK_WARM, PARK_SYNC, PARK_CHANGE, PARK_LOCK, PARK_OPEN };

struct parked {
	struct waiter wait; /* first: wakers see this */
	uint32_t magic;
	enum park_kind kind;
	fuse_req_t req; /* NULL once answered */
	struct handle *h;
	struct list link; /* h->parked, or fs->changes */
	size_t size;	  /* of the read, or what the write answers with */
	uint64_t off;
	unsigned flags;
	unsigned pending; /* PARK_SYNC: partitions still under way */
	unsigned tries;
	int err;
	bool is_write;
	/* PARK_CHANGE, and nodeid of PARK_OPEN: */
	bool is_mkdir;
	bool syncs; /* a write to a group's file, by O_SYNC: then what it changed is made stable */
	char name[NODE_NAME_MAX + 1];
	uint64_t nodeid;
	int32_t pid;
	struct node *node; /* PARK_OPEN: held, or NULL */
};

/* A process that was refused an unlink below a topic or a group (DESIGN 1.4). */
struct remover {
	int32_t tgid;
	uint64_t nodeid; /* of its directory */
	int64_t until_ms;
};
#define REMOVER_CNT 64U
#define PARKED_CNT_MAX 65536U
#define HANDLE_CNT_MAX 262144U
/* Nodes of names that nobody has open. The kernel forgets them when it is short of memory, which
 * may be never; a node that has been looked up as long ago as this is forgotten here: the kernel
 * looks up a name before each use, and does so again at ESTALE. */
#define IDLE_NODES_MAX 16384U

/* Logs that one turn of an open, or of a read of `all`, opens: each may wait for the device. */
#define OPEN_LOGS 2U

/* Names with "@" whose node is remembered. */
#define SHARED_NODE_CNT 256U

struct fs {
	struct backend be;
	struct disk *disk; /* borrowed: for nowait */
	struct fuse_session *se;
	struct errors *errors;
	struct lock_table *locks;
	struct list handles, changes, listings;
	struct list owing; /* streams that have not told the broker all: member.h */
	int64_t owing_ms;  /* since when */
	struct list again; /* reads and opens that are not done, but gave the others a turn */
	struct node **node_chunks;
	uint32_t node_cnt, node_cap, node_free, node_gen;
	struct list idle_nodes; /* the oldest first */
	uint32_t idle_cnt;
	uint64_t shared_nodes[SHARED_NODE_CNT]; /* node ids by the hash of topic and name */
	uint32_t handle_cnt, parked_cnt;
	struct remover removers[REMOVER_CNT];
	unsigned remover_next;
	uint32_t uid, gid; /* of the mount's own directories */
	int64_t born_ms;
	bool no_splice;
	bool ends;			 /* tails were ended: nothing is written any more */
	uint64_t lookups, reads, writes; /* requests of each kind so far */
	struct list free_parked;
	uint8_t *scratch; /* SCRATCH_LEN, for copied reads */
	struct {
		uint64_t seed, pos; /* of a segment, and where in its .data */
		size_t len;
	} copied; /* what stands in scratch; len 0: something else */
};
#define SCRATCH_LEN FUSE_WRITE_MAX

static inline struct fs *fs_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

/* node.c */
/* Resolves a node id. False: unknown (answer ENOENT or ESTALE). */
bool node_find(struct fs *fs, uint64_t nodeid, struct where *ret);
/*
 * A fresh node of what's kind; takes refs of its topic and group (either may be NULL). -ENOMEM. A
 * name with "@" is only read, so its look-ups may share a node: where the last one's is still
 * known, it is given again. The oldest node that nobody has open goes where there are
 * IDLE_NODES_MAX.
 */
MUST_CHECK int node_new(struct fs *fs, const struct where *what, const struct view *view,
			const char *name, uint64_t *ret_nodeid);
void node_forget(struct fs *fs, uint64_t nodeid, uint64_t lookups);
/* It stays while it is held, or open. Both take NULL. */
void node_hold(struct fs *fs, struct node *n);
void node_unhold(struct fs *fs, struct node *n);
void node_fini(struct fs *fs);
/* The node of a directory of a topic or a group. */
uint64_t node_dir_id(enum node_kind kind, uint64_t serial);
/* That of offsets/T; 0 where the serials are too large for one. */
uint64_t node_offsets_id(const struct be_group *g, const struct be_topic *t);
/* Whether its topic or its group was deleted. */
static inline bool where_is_gone(const struct where *w)
{
	return (w->topic && w->topic->deleted) || (w->group && w->group->deleted);
}
/* The path below the mount point, for /errors: "topics/orders/0@latest". */
void node_path(const struct where *w, const char *child, char *buf, size_t len);
/* st_ino: the same for every node of one object. */
uint64_t node_ino(const struct where *w);

/* fs.c */
/* Answers a request with an error and writes its line into /errors. err is negative. */
void fs_refuse(fuse_req_t req, int err, const struct where *w, const char *child, const char *fmt,
	       ...) PRINTF_LIKE(5, 6);
void fs_refuse_handle(fuse_req_t req, int err, const struct handle *h, const char *fmt, ...)
	PRINTF_LIKE(4, 5);
/* The line without an answer (last close). */
void fs_note(struct fs *fs, int err, const struct be_caller *c, const struct handle *h,
	     const char *sentence);
/* A line about what no request has met: for uid, by nobody. path: whatever it is about. */
void fs_tell(struct fs *fs, int err, uint32_t uid, const char *path, const char *sentence);
void fs_caller(fuse_req_t req, struct be_caller *ret);
void topic_ref(struct be_topic *t);
void group_ref(struct be_group *g);
/* Parks a request; NULL where there are too many (answered with ENOMEM already). */
struct parked *park(struct fs *fs, fuse_req_t req, enum park_kind kind, struct handle *h);
/* Takes it out of every list and gives its memory back; it must have been answered. */
void unpark(struct fs *fs, struct parked *p);
/* More data in this partition: its waiting readers read again, poll handles are told. Group streams
 * do so in the next fs_step(), since their reads ask the groups' coordinator, who may be the
 * caller. */
void fs_wake(struct fs *fs, struct be_partition *part);
/* The same, of which nothing happens before the next fs_step(): for who may be in the middle of a
 * read, whose bytes and descriptors another read must not touch. */
void fs_wake_later(struct fs *fs, struct be_partition *part);
void fs_wake_list(struct fs *fs, struct list *waiting);
/* Goes on with what gave way to others. False: there is nothing of that kind. */
bool fs_step(struct fs *fs);
/* Whether fs_step() has something to do. */
bool fs_has_more(const struct fs *fs);
/* Nothing else is to be done for a moment. Returns in how many ms the next round is due at the
 * latest, INT64_MAX where none is; 0: something was done that others may have to go on with. */
int64_t fs_idle(struct fs *fs);
/* A token came back. why may be NULL. */
void fs_on_done(struct fs *fs, uint64_t token, int err, const struct be_why *why);
/* The topic is gone: its waiting readers are answered with ESTALE. */
void fs_on_topic_deleted(struct fs *fs, struct be_topic *t);
/* Something of this member has changed (its shares, a new generation, expelled, fenced, a
 * dead-letter topic is there now): its waiting reads read again, poll handles are told. */
void fs_on_member(struct fs *fs, void *owner);
/* The process that owns the stream has sought: what lies behind the position of its next read is
 * void, and partition p goes on at off there. */
void fs_on_member_seek(struct fs *fs, void *owner, struct be_partition *p, int64_t off);
/* The group is gone: waiting reads of its files are answered. */
void fs_on_group_deleted(struct fs *fs, struct be_group *g);
/* The end of the broker: tails become records, everything that waits is answered, and later writes
 * are refused, since one may hold the rest of a line whose begin is a record now. */
void fs_shutdown(struct fs *fs);
MUST_CHECK int fs_init(struct fs *fs, const struct backend *be, struct disk *disk);
void fs_fini(struct fs *fs);
/* Errors are refused later with this text where the log itself has a sentence. */
const char *fs_log_fault(const struct be_partition *part, int err);

/* handle.c */
MUST_CHECK int handle_new(struct fs *fs, const struct where *w, int flags, struct handle **ret);
void handle_free(struct fs *fs, struct handle *h);
struct handle *handle_of(const struct fuse_file_info *fi);
struct handle *handle_of_fh(uint64_t fh);
void handle_path(const struct handle *h, char *buf, size_t len);
/* The process of a thread; the last answer is kept. */
int32_t handle_tgid(struct handle *h, int32_t tid);

/* produce.c */
void produce_write(struct fs *fs, fuse_req_t req, struct handle *h, const char *data, size_t len,
		   int flags);
/* A write of whole lines whose answer needs nothing but the append: done, or nothing has changed
 * and produce_write() is to be asked. */
bool produce_at_once(struct fs *fs, struct handle *h, const char *data, size_t len, int flags);
/* Ends the kept tail: it becomes a record. 0 or an errno with why. */
MUST_CHECK int produce_end_tail(struct fs *fs, struct handle *h, struct be_why *why);
/* The same at the last close, where a tail is dropped whose line was refused since. */
MUST_CHECK int produce_close_tail(struct fs *fs, struct handle *h, struct be_why *why);
/* What a waiting tail would meet now. */
MUST_CHECK int produce_check(struct fs *fs, struct handle *h, struct be_why *why);
void produce_fsync(struct fs *fs, fuse_req_t req, struct handle *h);
void produce_answers(struct fs *fs, fuse_req_t req, struct handle *h, size_t size);
/* Bytes that wait in the answers. */
size_t produce_answers_len(const struct handle *h);

/* partition.c: where a record goes */
uint32_t partition_of_key(const struct be_topic *t, const void *key, size_t key_len,
			  const void *value, size_t value_len);
/* The sticky partition for len more bytes without a key. */
uint32_t partition_sticky(struct be_topic *t, size_t len);
/* Tells the partitioner what was appended. */
void partition_loaded(struct be_partition *p, size_t len);

/* consume.c */
/* So often are the pages of one read asked for; then it waits for the device. */
#define WARM_TRIES_MAX 3U
MUST_CHECK int consume_open(struct fs *fs, struct handle *h, struct be_why *why);
/* One READ request; answers or parks. p is NULL for a new request. */
void consume_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		  unsigned flags, struct parked *p);
/* Parks (or keeps parked) a read until there is more, or answers EAGAIN. */
void consume_wait(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		  unsigned flags, struct parked *p);
/* Has the pages read that the disk said were cold, then repeats the read. */
void consume_warm(struct fs *fs, fuse_req_t req, struct handle *h, struct plog *log, size_t size,
		  uint64_t off, unsigned flags, struct parked *p);
/* Parks a read that goes on when the others have had their turn. */
void consume_again(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		   unsigned flags, struct parked *p);
/* Whether a read at the frontier would not wait. */
bool consume_ready(struct fs *fs, struct handle *h);
/* Where its waiting reads and poll handles stand. */
struct list *consume_list(struct handle *h);
void consume_close(struct fs *fs, struct handle *h);
/* An errno for a read that was new or parked. */
void consume_fail(struct fs *fs, fuse_req_t req, struct handle *h, struct parked *p, int err,
		  const char *sentence);
/* Ends the parking of a read that is about to be answered. Takes NULL. */
void consume_unpark(struct fs *fs, struct parked *p);
/* Offsets of a position in one partition, as they stand now. */
MUST_CHECK int consume_position(struct plog *log, const struct position *pos, int64_t *ret_offset);

/* window.c */
MUST_CHECK int window_open(struct fs *fs, struct handle *h, struct be_why *why);
void window_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off,
		 unsigned flags, struct parked *p);
bool window_ready(struct fs *fs, struct handle *h);
/* Appends one record. */
void window_render(struct buf *out, enum view_format format, const struct be_partition *part,
		   const struct record *r);
void window_close(struct handle *h);

/* text.c */
MUST_CHECK int text_open(struct fs *fs, struct handle *h, const struct where *w,
			 const struct be_caller *c);
void text_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off);
/* The length that stat shows. */
uint64_t text_len(struct fs *fs, const struct where *w, uint32_t uid);
extern const char text_readme[];

/* ops_name.c, ops_file.c */
extern const struct fuse_lowlevel_ops fs_ops;
void ops_set_names(struct fuse_lowlevel_ops *ops);
void ops_set_files(struct fuse_lowlevel_ops *ops);
void fs_attr(struct fs *fs, const struct where *w, uint32_t uid, struct stat *ret);
/* The answer to a mkdir whose topic or group is there now. */
void ops_mkdir_done(struct fs *fs, struct parked *p);
/* Puts an entry into a directory's listing. */
struct listing;
void ops_list_name(fuse_req_t req, struct listing *l, const char *name, uint64_t ino, bool dir);
/* Goes on with an open that gave the others a turn; p is answered, or waits for its next one. */
void ops_open_again(struct fs *fs, struct parked *p);
/*
 * Whether what is in a file takes the logs of many partitions, and not all are open. Opens some of
 * them; *at: how far it was with those of the topic whose serial is *serial, in the order of their
 * names, or with those of a group. Both 0 at first.
 */
bool ops_must_open(struct fs *fs, const struct where *w, uint64_t *serial, uint32_t *at);
/* Directories that are open still. */
void ops_free_listings(struct fs *fs);

#endif

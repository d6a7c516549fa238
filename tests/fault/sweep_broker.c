/*
 * The whole broker on a simulated disk: start, loop, appends, fsyncs, changes of topics and the end
 * run as in the binary; only daemon/io, the kernel's side of the mount, and time are replaced
 * (tests/lib/simmount.h). Programs write, sync, make, change and delete (tests/lib/simworld.h); the
 * scenario is stopped at its n-th disk call by a kill, or by a power loss that loses, keeps or
 * garbles what was not synced, or some of each. Then `topicfs verify`, the broker's own recovery
 * (every third is stopped, too), and the comparison:
 *
 *   kill         each record whose write was answered is there
 *   power loss   each record whose fsync was answered is there
 *   both         no record torn, doubled or out of order; a write is there whole or not at all; a
 *                topic whose mkdir was answered is there, one whose rmdir was is not, its
 *                configuration and mode are those that were answered, or asked for, wholly
 *
 * Then more is written, the broker ends, and starts once more.
 *
 * And: the n-th call fails, with each error. EINTR and short counts nobody notices; with the others
 * answers are errors of DESIGN's table, a refused write has stored nothing, and what was answered
 * survives. And the n-th allocation fails (tests/lib/simmemory.h): one request at most is ENOMEM,
 * the broker serves on.
 *
 * `make test` looks at as many cases as fit into its time, drawn by a seed that is printed;
 * TOPICFS_LONG at all of them.
 */
#include "tests/lib/simmemory.h"
#include "tests/lib/simworld.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

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

struct scenario {
	const char *topics[WORLD_TOPICS];
	struct {
		const struct call *const *programs;
		const char *settings;	       /* of the broker, in this life and those after it */
		bool killed;		       /* ends by a kill; else by SIGTERM */
	} lives[LIVES];			       /* as many as have programs */
	unsigned swept;			       /* the first life whose calls are counted */
	bool (*covers)(const struct world *w); /* whether it came to what it is there for */
};

/* ---- Several writers, all formats, tails, changes of topics, a clean stop in between ---- */

static const struct call lines[] = {
	MKDIR(0),
	OPEN(0, "0"),
	WRITE(0, 3, 0),
	FSYNC(0),
	WRITE(0, 1, 0),
	WRITE(0, 1, 0),
	TRUNCATE(0),
	WRITE(0, 5, 100),
	TAIL(0),
	FSYNC(0),
	WRITE(0, 1, 0),
	TAIL(0),
	WRITE(0, 2, 0),
	FSYNC(0),
	PAUSE(40),
	WRITE(0, 1, 0),
	TAIL(0),
	CLOSE(0),
	OPEN(0, "0@earliest.."),
	READ(0),
	CLOSE(0),
	END,
};
static const struct call json[] = {
	OPEN(0, "1.json"), WRITE(0, 2, 0),  FSYNC(0), TAIL(0), WRITE(0, 1, 0),
	FSYNC(0),	   WRITE(0, 4, 50), CLOSE(0), END,
};
static const struct call all_json[] = {
	OPEN(0, "all.json"),
	WRITE(0, 6, 0),
	FSYNC(0),
	WRITE(0, 7, 30),
	WRITE(0, 3, 0),
	FSYNC(0),
	TAIL(0),
	CLOSE(0),
	END,
};
static const struct call msg[] = {
	OPEN(0, "2.msg"), WRITE(0, 1, 200), WRITE(0, 1, 10), FSYNC(0), WRITE(0, 1, 900),
	PAUSE(20),	  WRITE(0, 1, 10),  FSYNC(0),	     CLOSE(0), END,
};
static const struct call all_sync[] = {
	OPEN_SYNC(0, "all"), WRITE(0, 1, 0), WRITE(0, 2, 400), TAIL(0), WRITE(0, 1, 0), END,
};
static const struct call changes[] = {
	MKDIR(1),
	CHMOD(1, 0700),
	OPEN(1, "0"),
	WRITE(1, 2, 0),
	FSYNC(1),
	CLOSE(1),
	CONFIG(1, 4, 5000, "segment.bytes=1024\n"),
	OPEN(1, "3"),
	WRITE(1, 4, 100),
	FSYNC(1),
	TAIL(1),
	CLOSE(1),
	RMDIR(1),
	MKDIR(2),
	OPEN(2, "0"),
	WRITE(2, 2, 0),
	FSYNC(2),
	CLOSE(2),
	END,
};
static const struct call *const writers_1[] = {
	lines, json, all_json, msg, all_sync, changes, NULL
};
static const struct call again[] = {
	OPEN(0, "0"), WRITE(0, 2, 0), FSYNC(0), WRITE(0, 9, 120), WRITE(0, 1, 0), TAIL(0),
	FSYNC(0),     CLOSE(0),	      MKDIR(3), CHMOD(2, 0711),	  RMDIR(2),	  END,
};
static const struct call *const writers_2[] = { again, all_json, all_sync, NULL };

static bool covers_writers(const struct world *w)
{
	return w->topics[0].parts[0].cnt > 30 && w->topics[1].state == TOPIC_GONE &&
	       w->topics[2].state == TOPIC_GONE && w->topics[3].state == TOPIC_THERE;
}

static const struct scenario writers = {
	.topics = { "orders", "b", "b", "c" },
	.lives = { { writers_1,
		     "num.partitions=3\nlog.segment.bytes=1500\n"
		     "journal.bytes=1048576\n",
		     false },
		   { writers_2, "", false } },
	.covers = covers_writers,
};

static const struct scenario in_place = {
	.topics = { "orders", "b", "b", "c" },
	.lives = { { writers_1, "num.partitions=3\nlog.segment.bytes=1500\njournal.bytes=0\n",
		     false },
		   { writers_2, "", false } },
	.covers = covers_writers,
};

/* ---- Writes that are answered when they are stable, and lines that fsync ends ---- */

static const struct call synced[] = {
	MKDIR(0),
	OPEN_SYNC(0, "0"),
	WRITE(0, 1, 0),
	WRITE(0, 3, 20),
	WRITE(0, 1, 0),
	TAIL(0),
	WRITE(0, 1, 0),
	CLOSE(0),
	OPEN(0, "1"),
	TAIL(0),
	FSYNC(0),
	WRITE(0, 1, 0),
	TAIL(0),
	FSYNC(0),
	WRITE(0, 2, 0),
	CLOSE(0),
	END,
};
static const struct call synced_all[] = {
	OPEN_SYNC(0, "all"), WRITE(0, 1, 0), TAIL(0),  WRITE(0, 1, 0), TAIL(0),
	WRITE(0, 2, 0),	     TAIL(0),	     FSYNC(0), CLOSE(0),       END,
};
static const struct call owing[] = {
	OPEN(0, "1"),	WRITE(0, 1, 0), WRITE(0, 1, 0), WRITE(0, 1, 0),
	WRITE(0, 1, 0), WRITE(0, 1, 0), CLOSE(0),	END,
};
static const struct call *const synced_1[] = { synced, synced_all, owing, NULL };

static const struct scenario synced_writes = {
	.topics = { "t" },
	.lives = { { synced_1, "num.partitions=2\njournal.bytes=1048576\n", false } },
};

/* ---- Nobody asks for anything when what is due fails ---- */

static const struct call resting[] = {
	MKDIR(0), OPEN(0, "0"), WRITE(0, 2, 0), WRITE(0, 1, 0), PAUSE(60000), CLOSE(0), END,
};
static const struct call *const resting_1[] = { resting, NULL };

static const struct scenario at_rest = {
	.topics = { "t" },
	.lives = { { resting_1, "num.partitions=1\njournal.bytes=0\n", false } },
};

/* ---- Rolls and retention, while time passes: checkpoints, syncs of what nobody syncs ---- */

static const struct call rolling[] = {
	MKDIR(0),	 OPEN(0, "0"),	  WRITE(0, 8, 90), WRITE(0, 8, 90), FSYNC(0), PAUSE(300),
	WRITE(0, 9, 90), WRITE(0, 9, 90), PAUSE(6000),	   WRITE(0, 9, 90), FSYNC(0), PAUSE(700),
	WRITE(0, 9, 90), WRITE(0, 1, 0),  PAUSE(33000),	   WRITE(0, 3, 0),  CLOSE(0), END,
};
static const struct call follower[] = {
	OPEN(0, "1"),
	WRITE(0, 9, 90),
	PAUSE(100),
	WRITE(0, 9, 90),
	WRITE(0, 1, 0),
	PAUSE(12000),
	OPEN(0, "0@earliest.."),
	READ(0),
	CLOSE(0),
	OPEN(0, "1"),
	WRITE(0, 9, 90),
	WRITE(0, 9, 90),
	FSYNC(0),
	PAUSE(500),
	TAIL(0),
	END,
};
static const struct call *const rolls_1[] = { rolling, follower, NULL };

static bool covers_rolls(const struct world *w)
{
	return w->topics[0].parts[0].start > 0 && w->topics[0].parts[1].start > 0;
}

static const struct scenario rolls = {
	.topics = { "t" },
	.lives = { { rolls_1,
		     "num.partitions=2\nlog.segment.bytes=1500\nlog.retention.bytes=4000\n"
		     "log.retention.check.interval.ms=50\njournal.bytes=1048576\n",
		     false } },
	.covers = covers_rolls,
};

/* ---- The ring fills: its begin moves, large fsyncs go in place ---- */

#define FILL(cnt) WRITE(0, cnt, 30000), FSYNC(0)

#define FILL_MUCH WRITE(0, 4, 55000), FSYNC(0)

/* clang-format off */
static const struct call filling[] = {
	MKDIR(0), OPEN(0, "0"), FILL(2), FILL(2), FILL(2), FILL_MUCH, FILL(1), FILL(2), FILL_MUCH,
	FILL(2), WRITE(0, 1, 0), FSYNC(0), CLOSE(0), END,
};
static const struct call filling_too[] = {
	OPEN(0, "1"), FILL(2), FILL(2), FILL_MUCH, FILL(1), FILL(2), FILL_MUCH, FILL(2),
	WRITE(0, 1, 0), FSYNC(0), FILL(2), END,
};
/* clang-format on */
static const struct call *const full_1[] = { filling, filling_too, NULL };

static bool covers_full(const struct world *w)
{
	/* Its begin has had to move, and what is too large for one write of it goes in place. */
	return w->most_used * 4 > w->stats.journal_bytes && w->stats.syncs_in_place > 3;
}

static const struct scenario full = {
	.topics = { "t" },
	.lives = { { full_1, "num.partitions=2\njournal.bytes=1048576\n", false } },
	.covers = covers_full,
};

/* ---- The journal is made anew with another size at a start ---- */

static const struct call sizes_a[] = {
	MKDIR(0),	   OPEN(0, "0"), WRITE(0, 3, 0), FSYNC(0),
	WRITE(0, 1, 9000), FSYNC(0),	 WRITE(0, 1, 0), END,
};
static const struct call sizes_b[] = {
	OPEN(0, "1"), WRITE(0, 2, 0), FSYNC(0), WRITE(0, 2, 0), FSYNC(0), CLOSE(0), END,
};
static const struct call *const sizes_1[] = { sizes_a, sizes_b, NULL };
static const struct call *const sizes_2[] = { sizes_b, NULL };

static const struct scenario sizes = {
	.topics = { "t" },
	.lives = { { sizes_1, "num.partitions=2\njournal.bytes=1048576\n", true },
		   { sizes_2, "journal.bytes=2097152\n", true },
		   { sizes_2, "journal.bytes=0\n", true },
		   { sizes_2, "journal.bytes=1048576\n", false } },
	.swept = 1,
};

/* ---- The checkpoint outgrows its slots ---- */

static const struct call growing[] = {
	MKDIR(0),    OPEN(0, "0"),   WRITE(0, 3, 0), FSYNC(0),
	PAUSE(6000), WRITE(0, 1, 0), CLOSE(0),	     END,
};
static const struct call growing_more[] = {
	OPEN(0, "0"), WRITE(0, 2, 0), FSYNC(0), PAUSE(5200),  WRITE(0, 2, 0), FSYNC(0), CLOSE(0),
	OPEN(1, "1"), WRITE(1, 2, 0), FSYNC(1), PAUSE(11000), WRITE(1, 2, 0), FSYNC(1), END,
};
static const struct call growing_wide[] = { MKDIR(1), END };
static const struct call *const growth_1[] = { growing, NULL };
static const struct call *const growth_2[] = { growing_more, growing_wide, NULL };

static bool covers_growth(const struct world *w)
{
	/* One slot has room for 744. */
	return w->stats.plogs > 750 && w->stats.checkpoints > 2;
}

static const struct scenario growth = {
	.topics = { "t", "wide" },
	.lives = { { growth_1, "num.partitions=2\njournal.bytes=1048576\n", false },
		   { growth_2, "num.partitions=760\n", false } },
	.swept = 1,
	.covers = covers_growth,
};

/* ---- Cases ---- */

static const struct call after_a[] = {
	MKDIR(5), OPEN(5, "0"), WRITE(5, 2, 0), FSYNC(5), TAIL(5), END,
};
static const struct call after_b[] = {
	OPEN(0, "0"), WRITE(0, 1, 0), WRITE(0, 2, 0), FSYNC(0), CLOSE(0), END,
};
static const struct call *const after[] = { after_a, NULL };
static const struct call *const after_both[] = { after_a, after_b, NULL };
static const struct call *const nothing[] = { NULL };

enum stop { STOP_KILL, STOP_MIXED, STOP_LOSE, STOP_KEEP, STOP_GARBLE, STOP_CNT };

static void configure(struct world *w, const char *settings)
{
	char sentence[SENTENCE_MAX];

	assert_int_equal(config_parse(&w->options.config, settings, strlen(settings), sentence), 0);
}

static struct world *case_new(const struct scenario *s, uint64_t seed, uint64_t label)
{
	struct world *w = world_new(seed, s->topics);

	w->label = label;
	snprintf(w->topics[5].name, sizeof(w->topics[5].name), "after");
	simdisk_set_lazy(w->sim, 3);
	return w;
}

/* The lives up to the stop, or all of them. The last exit status. */
static int lives(struct world *w, const struct scenario *s,
		 void (*arm)(struct world *, uint64_t, int), uint64_t n, int err)
{
	int status = 0;

	for (unsigned i = 0; i < LIVES && s->lives[i].programs; i++) {
		configure(w, s->lives[i].settings);
		w->killed = s->lives[i].killed;
		if (i == s->swept && arm)
			arm(w, n, err);
		status = world_live(w, s->lives[i].programs);
		if (w->killed && w->m.hangs)
			world_stop(w, false, n);
		else if (status || simdisk_is_stopped(w->sim))
			break;
	}
	return status;
}

/* Of what a stop left, it says what it says, since a topic whose first segment and id are garbled
 * is not known to it; of what recovery left, that nothing is wrong. */
static void verify(struct world *w, int worst)
{
	struct buf out;
	int status;

	buf_init(&out);
	status = simmount_verify(&w->m, &out);
	if (status > worst)
		world_fail(w, "verify: %d: %.400s", status,
			   strstr((char *)out.data, "fault:") ? strstr((char *)out.data, "fault:")
							      : (char *)out.data);
	buf_fini(&out);
}

/* What comes after a stop. */
static void recover(struct world *w, bool power, uint64_t n)
{
	world_stop(w, power, n);
	w->may_fail = 0;
	if (n % 3 == 0) {
		simdisk_stop_after(w->sim, 1 + n * 7 % 83);
		world_live(w, nothing);
		if (simdisk_is_stopped(w->sim))
			world_stop(w, power, n + 1);
		w->power = power;
	}
	simdisk_stop_after(w->sim, UINT64_MAX);
	if (w->served && n % 2)
		verify(w, 1);
	if (world_live(w, w->topics[0].state >= TOPIC_THERE ? after_both : after))
		world_fail(w, "the broker does not start, or end");
	verify(w, 0);
	if (world_live(w, nothing))
		world_fail(w, "the broker does not start again, or end");
	if (simdisk_open_cnt(w->sim))
		world_fail(w, "%u descriptors stay open", simdisk_open_cnt(w->sim));
}

static void arm_stop(struct world *w, uint64_t n, int err)
{
	simdisk_stop_after(w->sim, n);
}

/* The n-th disk call fails, or with -ENOMEM the n-th allocation. */
static void arm_fail(struct world *w, uint64_t n, int err)
{
	if (err == -ENOMEM)
		simmemory_fail(n);
	else
		simdisk_fail(w->sim, n, 1, err);
}

static void disarm(struct world *w)
{
	simmemory_fail(0);
	simdisk_fail(w->sim, 0, 0, 0);
}

/* How many disk calls the swept part has, or allocations; the scenario is what it should be. */
static uint64_t count(const struct scenario *s, uint64_t seed, bool memory)
{
	struct world *w = case_new(s, seed, 0);
	uint64_t begin = UINT64_MAX, cnt;

	for (unsigned i = 0; i < LIVES && s->lives[i].programs; i++) {
		configure(w, s->lives[i].settings);
		w->killed = s->lives[i].killed;
		if (i == s->swept)
			begin = memory ? simmemory_cnt() : simdisk_call_cnt(w->sim);
		if (world_live(w, s->lives[i].programs) && !w->killed)
			world_fail(w, "life %u of the scenario fails", i);
		if (s->lives[i].killed)
			world_stop(w, false, 1);
	}
	assert_int_equal(w->refused, 0);
	cnt = (memory ? simmemory_cnt() : simdisk_call_cnt(w->sim)) - begin;
	if (s->covers && !s->covers(w))
		world_fail(w,
			   "the scenario does not come to what it is there for: %llu of %llu, %llu "
			   "in place",
			   (unsigned long long)w->most_used,
			   (unsigned long long)w->stats.journal_bytes,
			   (unsigned long long)w->stats.syncs_in_place);
	assert_int_equal(world_live(w, nothing), 0);
	world_free(w);
	return cnt;
}

static uint64_t env_number(const char *name, uint64_t otherwise)
{
	const char *text = getenv(name);

	return text ? strtoull(text, NULL, 10) : otherwise;
}

/* Which calls of a scenario are looked at: `cases` of them, or all. */
struct draw {
	uint64_t seed, n, calls, stride;
};

static struct draw draw_begin(const struct scenario *s, const char *name, uint64_t cases,
			      bool memory)
{
	struct draw d = { .seed = env_number("TOPICFS_SEED", (uint64_t)getpid()) };

	d.calls = count(s, d.seed, memory);
	d.stride = getenv("TOPICFS_LONG") ? 1 : MAX(d.calls / cases, 1U);
	d.n = d.seed % d.stride;
	printf("# %s: seed %llu, every %lluth of %llu %s\n", name, (unsigned long long)d.seed,
	       (unsigned long long)d.stride, (unsigned long long)d.calls,
	       memory ? "allocations" : "calls");
	return d;
}

static void sweep(const struct scenario *s, const char *name, uint64_t cases)
{
	struct draw d = draw_begin(s, name, cases, false);

	for (unsigned i = 0; d.n <= d.calls; d.n += d.stride, i++) {
		enum stop first = d.stride > 1 ? i % STOP_CNT : STOP_KILL;
		enum stop last = d.stride > 1 ? first : STOP_GARBLE;

		for (enum stop how = first; how <= last; how++) {
			struct world *w;

			if (env_number("SWEEP_CASE", d.n * 10 + how) != d.n * 10 + how)
				continue;
			w = case_new(s, d.seed, d.n * 10 + how);
			simdisk_set_fate(w->sim, how == STOP_LOSE     ? SIMDISK_LOSE
						 : how == STOP_KEEP   ? SIMDISK_KEEP
						 : how == STOP_GARBLE ? SIMDISK_GARBLE
								      : SIMDISK_MIXED);
			lives(w, s, arm_stop, d.n, 0);
			recover(w, how != STOP_KILL, d.n);
			world_free(w);
		}
	}
}

/* Whoever asked is told, or nobody notices; what was answered survives a power loss. */
static void fail_each(const struct scenario *s, const char *name, uint64_t cases, int err)
{
	struct draw d = draw_begin(s, name, cases, err == -ENOMEM);

	for (d.n++; d.n <= d.calls; d.n += d.stride) {
		bool unseen = err == -EINTR || err == SIMDISK_SHORT;
		struct world *w;
		int status;

		if (env_number("SWEEP_CASE", d.n) != d.n)
			continue;
		w = case_new(s, d.seed, d.n);
		w->may_fail = unseen ? 0 : err;
		status = lives(w, s, arm_fail, d.n, err);
		if (unseen && (status || w->refused))
			world_fail(w, "status %d, %u refusals", status, w->refused);
		/* Nobody but who asked for what there is no room for is told; it serves on. */
		if (err != -EIO && !unseen && ((status && w->begun && !w->ending) || w->met > 1))
			world_fail(w, "status %d, %u refusals", status, w->met);
		disarm(w);
		recover(w, true, d.n * 3 + 1);
		world_free(w);
	}
}

static void test_stop_at_each_call(void **state)
{
	sweep(&writers, "writers", 240);
}

static void test_stop_without_a_journal(void **state)
{
	sweep(&in_place, "in place", 70);
}

static void test_stop_while_segments_roll_and_go(void **state)
{
	sweep(&rolls, "rolls", 100);
}

static void test_stop_while_the_ring_fills(void **state)
{
	sweep(&full, "filling ring", 40);
}

static void test_stop_while_the_journal_is_made_anew(void **state)
{
	sweep(&sizes, "another journal", 70);
}

static void test_stop_while_the_checkpoint_grows(void **state)
{
	sweep(&growth, "growing checkpoint", 6);
}

static void test_each_call_fails_with_eio(void **state)
{
	fail_each(&writers, "EIO", 80, -EIO);
	fail_each(&rolls, "EIO", 30, -EIO);
}

static void test_a_synced_write_that_is_refused_leaves_nothing(void **state)
{
	fail_each(&synced_writes, "synced, EIO", 120, -EIO);
	fail_each(&synced_writes, "synced, ENOSPC", 40, -ENOSPC);
}

static void test_a_failure_while_nobody_asks_is_met(void **state)
{
	fail_each(&at_rest, "at rest, EIO", 100, -EIO);
	fail_each(&at_rest, "at rest, ENOSPC", 40, -ENOSPC);
}

static void test_each_call_fails_with_enospc(void **state)
{
	fail_each(&writers, "ENOSPC", 50, -ENOSPC);
	fail_each(&rolls, "ENOSPC", 20, -ENOSPC);
}

static void test_each_call_fails_with_emfile(void **state)
{
	fail_each(&writers, "EMFILE", 50, -EMFILE);
	fail_each(&rolls, "EMFILE", 20, -EMFILE);
}

static void test_each_allocation_fails(void **state)
{
	fail_each(&writers, "ENOMEM", 110, -ENOMEM);
	fail_each(&rolls, "ENOMEM", 25, -ENOMEM);
}

static void test_nobody_notices_eintr_or_a_short_count(void **state)
{
	fail_each(&writers, "EINTR", 40, -EINTR);
	fail_each(&writers, "short counts", 40, SIMDISK_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_at_each_call),
		cmocka_unit_test(test_stop_without_a_journal),
		cmocka_unit_test(test_stop_while_segments_roll_and_go),
		cmocka_unit_test(test_stop_while_the_ring_fills),
		cmocka_unit_test(test_stop_while_the_journal_is_made_anew),
		cmocka_unit_test(test_stop_while_the_checkpoint_grows),
		cmocka_unit_test(test_each_call_fails_with_eio),
		cmocka_unit_test(test_a_synced_write_that_is_refused_leaves_nothing),
		cmocka_unit_test(test_a_failure_while_nobody_asks_is_met),
		cmocka_unit_test(test_each_call_fails_with_enospc),
		cmocka_unit_test(test_each_call_fails_with_emfile),
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_nobody_notices_eintr_or_a_short_count),
	};
	const char *only = getenv("SWEEP_ONLY");

	if (only)
		cmocka_set_test_filter(only);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

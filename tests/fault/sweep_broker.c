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
#include "tests/lib/simsweep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

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

static void test_stop_at_each_call(void **state)
{
	sweep_stops(&writers, "writers", 240);
}

static void test_stop_without_a_journal(void **state)
{
	sweep_stops(&in_place, "in place", 70);
}

static void test_stop_while_segments_roll_and_go(void **state)
{
	sweep_stops(&rolls, "rolls", 100);
}

static void test_stop_while_the_ring_fills(void **state)
{
	sweep_stops(&full, "filling ring", 40);
}

static void test_stop_while_the_journal_is_made_anew(void **state)
{
	sweep_stops(&sizes, "another journal", 70);
}

static void test_stop_while_the_checkpoint_grows(void **state)
{
	sweep_stops(&growth, "growing checkpoint", 6);
}

static void test_each_call_fails_with_eio(void **state)
{
	sweep_fails(&writers, "EIO", 80, -EIO);
	sweep_fails(&rolls, "EIO", 30, -EIO);
}

static void test_a_synced_write_that_is_refused_leaves_nothing(void **state)
{
	sweep_fails(&synced_writes, "synced, EIO", 120, -EIO);
	sweep_fails(&synced_writes, "synced, ENOSPC", 40, -ENOSPC);
	/* A description that is left for later, and then fails. */
	sweep_seed(4);
	sweep_fails(&synced_writes, "synced, EIO", 1000, -EIO);
	sweep_seed(0);
}

static void test_a_failure_while_nobody_asks_is_met(void **state)
{
	sweep_fails(&at_rest, "at rest, EIO", 100, -EIO);
	sweep_fails(&at_rest, "at rest, ENOSPC", 40, -ENOSPC);
}

static void test_each_call_fails_with_enospc(void **state)
{
	sweep_fails(&writers, "ENOSPC", 50, -ENOSPC);
	sweep_fails(&rolls, "ENOSPC", 20, -ENOSPC);
}

static void test_each_call_fails_with_emfile(void **state)
{
	sweep_fails(&writers, "EMFILE", 50, -EMFILE);
	sweep_fails(&rolls, "EMFILE", 20, -EMFILE);
}

static void test_each_allocation_fails(void **state)
{
	sweep_fails(&writers, "ENOMEM", 110, -ENOMEM);
	sweep_fails(&rolls, "ENOMEM", 25, -ENOMEM);
}

static void test_nobody_notices_eintr_or_a_short_count(void **state)
{
	sweep_fails(&writers, "EINTR", 40, -EINTR);
	sweep_fails(&writers, "short counts", 40, SIMDISK_SHORT);
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

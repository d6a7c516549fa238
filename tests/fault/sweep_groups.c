/*
 * Consumer groups on a simulated disk and mount: as sweep_broker.c, with programs that make, remove
 * and configure groups, read their streams, commit, seek and reject (tests/lib/simworld_group.c).
 * The scenario is stopped at its n-th disk call, and compared (tests/lib/simworld_kept.c):
 *
 *   kill         no committed offset that was seen has moved back; the generation has not fallen;
 *                deliveries are not fewer
 *   power loss   what the last fsync of `commit` covered is committed, or the log's end is; a
 *                record whose `reject` was answered is a letter; no generation comes again
 *   both         nothing is committed beyond a log's end; each record before a committed offset has
 *                been dealt with, or is a dead letter; no record is two; none is one that was
 *                neither rejected nor delivered so often; of a group or a topic that is gone
 *                nothing is kept; a group that was made again is empty
 *
 * And the n-th call, or the n-th allocation, fails.
 */
#include "tests/lib/simsweep.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

/* ---- Commits: by reading on and through the commit file; a topic grows, goes, is made again ----
 */

static const struct call producer[] = {
	MKDIR(0),
	OPEN(0, "0"),
	WRITE(0, 4, 0),
	FSYNC(0),
	WRITE(0, 2, 0),
	WRITE(0, 1, 0),
	CLOSE(0),
	OPEN(0, "1"),
	WRITE(0, 3, 0),
	WRITE(0, 2, 0),
	CLOSE(0),
	CONFIG(0, 3, 5000, ""),
	OPEN(0, "2"),
	WRITE(0, 4, 0),
	FSYNC(0),
	CLOSE(0),
	END,
};
static const struct call worker[] = {
	GROUP_MKDIR(0),	     STREAM(0, 0, ""),	  STREAM_READ(0),
	STREAM_READ_LINE(0), STREAM_READ_LINE(0), STREAM_READ(0),
	STREAM_READ(0),	     STREAM_READ(0),	  STREAM_READ(0),
	STREAM_CLOSE(0),     STREAM(0, 0, ""),	  STREAM_READ(0),
	STREAM_READ(0),	     STREAM_CLOSE(0),	  END,
};
static const struct call worker_too[] = {
	PAUSE(3), STREAM(0, 0, ".json"), STREAM_READ(0), STREAM_READ(0), STREAM_CLOSE(0), END,
};
/* A group of its own: what it has is moved by files alone. */
static const struct call committer[] = {
	GROUP_MKDIR(1),
	OPEN(0, "1"),
	WRITE(0, 5, 0),
	CLOSE(0),
	COMMIT(1, 0, 1, 1),
	COMMIT_FSYNC(1, 0, 1, 2),
	COMMIT(1, 0, 1, 3),
	OFFSET(1, 0, 1, 4),
	COMMIT_DSYNC(1, 0, 1, 5),
	SEEK(1, 0, 1, 2),
	COMMIT_FSYNC(1, 0, 1, 3),
	COMMIT(1, 0, 1, 5),
	END,
};
static const struct call remover[] = {
	MKDIR(1),	  OPEN(1, "0"),
	WRITE(1, 3, 0),	  CLOSE(1),
	GROUP_MKDIR(2),	  STREAM(2, 1, ""),
	STREAM_READ(2),	  STREAM_READ(2),
	STREAM_CLOSE(2),  COMMIT_FSYNC(2, 1, 0, 2),
	RMDIR(1),	  MKDIR(2),
	OPEN(2, "0"),	  WRITE(2, 2, 0),
	CLOSE(2),	  STREAM(2, 2, ""),
	STREAM_READ(2),	  STREAM_READ(2),
	STREAM_CLOSE(2),  COMMIT(2, 2, 0, 1),
	GROUP_RMDIR(2),	  GROUP_MKDIR(3),
	STREAM(3, 2, ""), STREAM_READ(3),
	STREAM_CLOSE(3),  END,
};
static const struct call *const commits_1[] = { producer,  worker,  worker_too,
						committer, remover, NULL };
static const struct call again[] = {
	OPEN(0, "0"),	    WRITE(0, 3, 0), CLOSE(0),	    STREAM(0, 0, ""),
	STREAM_READ(0),	    STREAM_READ(0), STREAM_READ(0), STREAM_CLOSE(0),
	COMMIT(1, 0, 1, 5), GROUP_RMDIR(1), RMDIR(2),	    END,
};
static const struct call *const commits_2[] = { again, NULL };

static const struct call after_topic[] = { MKDIR(5), OPEN(5, "0"), WRITE(5, 2, 0), FSYNC(5), END };
static const struct call after_write[] = {
	OPEN(0, "0"), WRITE(0, 2, 0), CLOSE(0), OPEN(0, "1"), WRITE(0, 2, 0), CLOSE(0), END,
};
static const struct call after_read[] = {
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	COMMIT_FSYNC(0, 0, 0, 1),
	END,
};
static const struct call *const after_groups[] = { after_topic, after_write, after_read, NULL };

static bool covers_commits(const struct world *w)
{
	return w->groups[0].commits[0][2].offset > 0 && w->groups[0].commits[0][0].offset > 4 &&
	       w->groups[3].given[1] + w->groups[3].state >= TOPIC_THERE &&
	       w->groups[1].state == TOPIC_GONE && w->groups[2].state == TOPIC_GONE;
}

static const struct scenario commits = {
	.topics = { "orders", "b", "b" },
	.groups = { "billing", "files", "g", "g" },
	.lives = { { commits_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\njournal.bytes=1048576\n",
		     false },
		   { commits_2, "", false } },
	.after = after_groups,
	.covers = covers_commits,
};

/* ---- Dead letters: workers that close without a commit, and rejects ---- */

static const struct call letters_writer[] = {
	MKDIR(0), OPEN(0, "0"), WRITE(0, 2, 0), WRITE(0, 1, 0), WRITE(0, 4, 0),
	CLOSE(0), OPEN(0, "1"), WRITE(0, 4, 0), CLOSE(0),	END,
};
static const struct call poisoned[] = {
	GROUP_MKDIR(0),
	GROUP_CONFIG(0, 2, "max.deliveries=2\n"),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	END,
};
static const struct call rejecter[] = {
	GROUP_MKDIR(1),
	PAUSE(5),
	OPEN(0, "1"),
	WRITE(0, 3, 0),
	CLOSE(0),
	REJECT(1, 0, 1, 0),
	COMMIT(1, 0, 1, 2),
	REJECT(1, 0, 1, 2),
	COMMIT_FSYNC(1, 0, 1, 3),
	END,
};
static const struct call rejecter_too[] = {
	PAUSE(6),	    OPEN(0, "0"), WRITE(0, 3, 0), CLOSE(0), REJECT(1, 0, 0, 0),
	REJECT(1, 0, 0, 2), END,
};
static const struct call rejecter_third[] = {
	PAUSE(6),	    OPEN(0, "1"), WRITE(0, 3, 0), CLOSE(0), REJECT(1, 0, 1, 1),
	REJECT(1, 0, 1, 3), END,
};
static const struct call *const letters_1[] = { letters_writer, poisoned,	rejecter,
						rejecter_too,	rejecter_third, NULL };

static bool covers_letters(const struct world *w)
{
	return w->letters >= 4 && w->groups[0].commits[0][0].offset > 1;
}

static const struct scenario letters = {
	.topics = { "orders" },
	.groups = { "billing", "g" },
	.lives = { { letters_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\njournal.bytes=1048576\n",
		     false } },
	.after = after_groups,
	.covers = covers_letters,
};

/* One letter alone: nothing else has its intent synced. */
static const struct call lone_writer[] = {
	MKDIR(0), OPEN(0, "0"), WRITE(0, 3, 0), FSYNC(0), CLOSE(0), END,
};
static const struct call lone_poisoned[] = {
	GROUP_MKDIR(0),	  GROUP_CONFIG(0, 1, "max.deliveries=1\n"),
	PAUSE(4),	  STREAM(0, 0, ""),
	STREAM_READ(0),	  STREAM_CLOSE(0),
	STREAM(0, 0, ""), STREAM_READ(0),
	STREAM_CLOSE(0),  END,
};
static const struct call *const lone_1[] = { lone_writer, lone_poisoned, NULL };
/* Whoever is given the record once more does not deal with it either: that would be another letter.
 */
static const struct call lone_again[] = {
	STREAM(0, 0, ""), STREAM_READ(0),   STREAM_CLOSE(0), STREAM(0, 0, ""), STREAM_READ(0),
	STREAM_CLOSE(0),  STREAM(0, 0, ""), STREAM_READ(0),  STREAM_CLOSE(0),  END,
};
static const struct call *const after_lone[] = { after_topic, lone_again, NULL };

static bool covers_lone(const struct world *w)
{
	return w->letters >= 1;
}

static const struct scenario lone_letter = {
	.topics = { "orders" },
	.groups = { "billing" },
	.lives = { { lone_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\n"
		     "journal.bytes=0\n",
		     true } },
	.after = after_lone,
	.covers = covers_lone,
};

/* ---- __consumer_offsets rolls and is cleaned ---- */

static const struct call cleaned[] = {
	MKDIR(0),
	OPEN(0, "0"),
	WRITE(0, 9, 0),
	CLOSE(0),
	GROUP_MKDIR(0),
	GROUP_CONFIG(0, 2, "max.deliveries=2\n"),
	GROUP_MKDIR(1),
	COMMIT(1, 0, 0, 1),
	COMMIT(1, 0, 0, 2),
	COMMIT_FSYNC(1, 0, 0, 3),
	COMMIT(1, 0, 0, 4),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	COMMIT(1, 0, 0, 5),
	COMMIT(1, 0, 0, 6),
	COMMIT(1, 0, 0, 7),
	COMMIT_FSYNC(1, 0, 0, 8),
	PAUSE(16000),
	COMMIT(1, 0, 0, 9),
	GROUP_RMDIR(1),
	GROUP_MKDIR(2),
	COMMIT(2, 0, 0, 1),
	COMMIT(2, 0, 0, 2),
	COMMIT(2, 0, 0, 3),
	COMMIT(2, 0, 0, 4),
	COMMIT(2, 0, 0, 5),
	PAUSE(16000),
	COMMIT_FSYNC(2, 0, 0, 6),
	END,
};
static const struct call *const cleaned_1[] = { cleaned, NULL };

static bool covers_cleaned(const struct world *w)
{
	return w->stats.segments_cleaned > 1;
}

static const struct scenario cleaning = {
	.topics = { "orders" },
	.groups = { "billing", "g", "g" },
	.lives = { { cleaned_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\n"
		     "offsets.topic.segment.bytes=1024\njournal.bytes=1048576\n",
		     false } },
	.after = after_groups,
	.covers = covers_cleaned,
};

/* ---- All ways of committing: on-read, by hand, in the name of a member; and who stays away ----
 */

static const struct call modes_writer[] = {
	MKDIR(0), OPEN(0, "0"), WRITE(0, 5, 0), FSYNC(0), WRITE(0, 3, 0), CLOSE(0), END,
};
static const struct call once[] = {
	GROUP_MKDIR(0),
	GROUP_CONFIG(0, 0, "commit=on-read\nmax.poll.records=2\n"),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	STREAM(0, 0, ""),
	STREAM_READ(0),
	STREAM_READ(0),
	STREAM_CLOSE(0),
	END,
};
static const struct call once_too[] = {
	PAUSE(4), STREAM(0, 0, ".json"), STREAM_READ(0), STREAM_READ(0), STREAM_CLOSE(0), END,
};
static const struct call by_hand[] = {
	GROUP_MKDIR(1),
	GROUP_CONFIG(1, 0, "commit=manual\n"),
	STREAM(1, 0, ""),
	STREAM_READ(1),
	STREAM_READ(1),
	COMMIT(1, 0, 0, 1),
	STREAM_READ(1),
	COMMIT_FSYNC(1, 0, 0, 2),
	COMMIT(1, 0, 0, 3),
	STREAM_CLOSE(1),
	END,
};
static const struct call by_words[] = {
	GROUP_MKDIR(2),
	JOIN(2, "topics=orders instance=one"),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 1),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 2),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 3),
	STREAM_CLOSE(2),
	JOIN(2, "topics=orders instance=one"),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 4),
	COMMIT_FSYNC(2, 0, 0, 4),
	END,
};
static const struct call by_words_too[] = {
	PAUSE(5),
	JOIN(2, "pattern=o.* member=two instance=two session.timeout.ms=100"),
	JOIN_READ(2),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 1),
	STREAM_CLOSE(2),
	END,
};
static const struct call *const modes_1[] = { modes_writer, once,	  once_too, by_hand,
					      by_words,	    by_words_too, NULL };
static const struct call by_words_again[] = {
	COMMIT_WORDS(2, 0, 0, 5),
	JOIN(2, "topics=orders instance=one"),
	COMMIT_WORDS(2, 0, 0, 6),
	JOIN_READ(2),
	COMMIT_WORDS(2, 0, 0, 7),
	STREAM_CLOSE(2),
	END,
};
static const struct call once_again[] = {
	STREAM(0, 0, ""), STREAM_READ(0), STREAM_READ(0), STREAM_CLOSE(0), END,
};
static const struct call *const modes_2[] = { once_again, by_words_again, NULL };
static const struct call *const after_modes[] = { after_topic, after_write, once_too,
						  by_words_again, NULL };

static bool covers_modes(const struct world *w)
{
	return w->groups[0].commits[0][0].offset > 0 && w->groups[1].commits[0][0].offset == 3 &&
	       w->groups[2].commits[0][0].offset >= 4 && w->groups[2].line_commits;
}

static const struct scenario modes = {
	.topics = { "orders" },
	.groups = { "once", "hand", "words" },
	.lives = { { modes_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\njournal.bytes=1048576\n",
		     false },
		   { modes_2, "", false } },
	.after = after_modes,
	.covers = covers_modes,
};

/* ---- Offsets expire: of a group that never had members, of one that had, over restarts ---- */

static const struct call expires[] = {
	MKDIR(0),
	OPEN(0, "0"),
	WRITE(0, 5, 0),
	CLOSE(0),
	GROUP_MKDIR(0),
	COMMIT(0, 0, 0, 3),
	GROUP_MKDIR(1),
	STREAM(1, 0, ""),
	STREAM_READ(1),
	STREAM_READ(1),
	STREAM_CLOSE(1),
	PAUSE(30000),
	COMMIT_FSYNC(1, 0, 0, 3),
	END,
};
static const struct call *const expires_1[] = { expires, NULL };
static const struct call waits[] = { PAUSE(45000), END };
static const struct call *const expires_2[] = { waits, NULL };
static const struct call *const after_expiry[] = { after_topic, after_write, waits, NULL };

static bool covers_expiry(const struct world *w)
{
	return !w->groups[0].commits[0][0].is_there && !w->groups[1].commits[0][0].is_there;
}

static const struct scenario expiry = {
	.topics = { "orders" },
	.groups = { "files", "members" },
	.lives = { { expires_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\njournal.bytes=1048576\n"
		     "offsets.retention.minutes=1\noffsets.retention.check.interval.ms=1000\n",
		     false },
		   { expires_2, "", false },
		   { expires_2, "", true } },
	.after = after_expiry,
	.covers = covers_expiry,
};

/* ---- Members that come one by one: each makes the group's record longer ---- */

static const struct call members_first[] = { MKDIR(0), GROUP_MKDIR(0), END };
static const struct call *const members_1[] = { members_first, NULL };
static const struct call static_member[] = {
	JOIN(0, "topics=orders instance=one"),
	JOIN_READ(0),
	STREAM_CLOSE(0),
	END,
};
static const struct call static_too[] = {
	PAUSE(4), JOIN(0, "topics=orders instance=two"), JOIN_READ(0), STREAM_CLOSE(0), END,
};
static const struct call *const members_2[] = { static_member, static_too, NULL };

static const struct scenario members = {
	.topics = { "orders" },
	.groups = { "g" },
	.lives = { { members_1,
		     "num.partitions=2\noffsets.topic.num.partitions=1\njournal.bytes=1048576\n",
		     false },
		   { members_2, "", false } },
	.swept = 1,
	.after = after_groups,
};

static void test_a_record_is_whole_or_not_written(void **state)
{
	sweep_fails(&members, "members, ENOMEM", UINT64_MAX, -ENOMEM);
}

static void test_stop_among_all_ways_of_committing(void **state)
{
	sweep_stops(&modes, "ways of committing", 200);
}

static void test_stop_while_offsets_expire(void **state)
{
	sweep_stops(&expiry, "expiry", 60);
}

static void test_stop_among_commits(void **state)
{
	sweep_stops(&commits, "commits", 200);
}

static void test_stop_among_dead_letters(void **state)
{
	sweep_stops(&letters, "dead letters", 200);
}

static void test_nothing_unsynced_is_left_of_a_letter(void **state)
{
	sweep_losses(&lone_letter, "a lone letter");
}

static void test_stop_while_offsets_are_cleaned(void **state)
{
	sweep_stops(&cleaning, "cleaned offsets", 80);
}

static void test_each_call_fails_with_eio(void **state)
{
	sweep_fails(&commits, "commits, EIO", 60, -EIO);
	sweep_fails(&letters, "dead letters, EIO", 60, -EIO);
	sweep_fails(&cleaning, "cleaned offsets, EIO", 30, -EIO);
}

static void test_each_call_fails_with_enospc(void **state)
{
	sweep_fails(&commits, "commits, ENOSPC", 40, -ENOSPC);
	sweep_fails(&letters, "dead letters, ENOSPC", 40, -ENOSPC);
}

static void test_each_call_fails_with_emfile(void **state)
{
	sweep_fails(&commits, "commits, EMFILE", 30, -EMFILE);
	sweep_fails(&letters, "dead letters, EMFILE", 30, -EMFILE);
}

static void test_each_allocation_fails(void **state)
{
	sweep_fails(&commits, "commits, ENOMEM", 150, -ENOMEM);
	sweep_fails(&letters, "dead letters, ENOMEM", 150, -ENOMEM);
}

static void test_nobody_notices_eintr_or_a_short_count(void **state)
{
	sweep_fails(&letters, "dead letters, EINTR", 30, -EINTR);
	sweep_fails(&letters, "dead letters, short counts", 30, SIMDISK_SHORT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_stop_among_commits),
		cmocka_unit_test(test_stop_among_dead_letters),
		cmocka_unit_test(test_stop_among_all_ways_of_committing),
		cmocka_unit_test(test_stop_while_offsets_expire),
		cmocka_unit_test(test_nothing_unsynced_is_left_of_a_letter),
		cmocka_unit_test(test_stop_while_offsets_are_cleaned),
		cmocka_unit_test(test_each_call_fails_with_eio),
		cmocka_unit_test(test_each_call_fails_with_enospc),
		cmocka_unit_test(test_each_call_fails_with_emfile),
		cmocka_unit_test(test_each_allocation_fails),
		cmocka_unit_test(test_a_record_is_whole_or_not_written),
		cmocka_unit_test(test_nobody_notices_eintr_or_a_short_count),
	};
	const char *only = getenv("SWEEP_ONLY");

	if (only)
		cmocka_set_test_filter(only);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

/*
 * The whole broker on a simulated disk (as in sweep_broker.c) that is full from the n-th call of a
 * start on, for every n, behind a clean stop, a kill, and each kind of power loss: no file grows,
 * and in every second case no name is made either, whatever is removed meanwhile.
 *
 * The start succeeds, and all that was acknowledged is read while writers are told of ENOSPC; or it
 * ends with an error that names the file. When there is room again writing goes on by itself, or
 * the next start is as any other. Nothing that was acknowledged is lost, and `verify` finds
 * nothing.
 */
#include "daemon/base/log.h"
#include "tests/lib/simsweep.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>

static const struct call lines[] = {
	MKDIR(0), OPEN(0, "0"),	  WRITE(0, 3, 0), FSYNC(0),	   WRITE(0, 1, 0), WRITE(0, 5, 100),
	FSYNC(0), WRITE(0, 1, 0), FSYNC(0),	  WRITE(0, 4, 90), WRITE(0, 1, 0), WRITE(0, 1, 0),
	END,
};
static const struct call others[] = {
	OPEN(0, "1"),	WRITE(0, 6, 90), FSYNC(0), WRITE(0, 1, 0), CLOSE(0),
	OPEN(0, "all"), WRITE(0, 2, 0),	 FSYNC(0), WRITE(0, 1, 0), END,
};
static const struct call changes[] = {
	MKDIR(1), OPEN(1, "0"), WRITE(1, 2, 0), FSYNC(1), CLOSE(1), RMDIR(1), MKDIR(2), END,
};
static const struct call *const before[] = { lines, others, changes, NULL };

static const struct call at_full[] = {
	OPEN(0, "0@earliest.."),
	READ(0),
	CLOSE(0),
	OPEN(0, "0"),
	WRITE(0, 1, 0),
	WRITE(0, 2, 900),
	FSYNC(0),
	CLOSE(0),
	OPEN(0, "1.json"),
	WRITE(0, 2, 200),
	FSYNC(0),
	CLOSE(0),
	MKDIR(3),
	OPEN(3, "0"),
	WRITE(3, 1, 0),
	FSYNC(3),
	CLOSE(3),
	CONFIG(0, 3, 5000, "segment.bytes=1400\n"),
	PAUSE(9000),
	OPEN(0, "0@earliest.."),
	READ(0),
	CLOSE(0),
	ROOM,
	PAUSE(6000),
	OPEN(0, "0"),
	WRITE(0, 1, 0),
	WRITE(0, 9, 200),
	FSYNC(0),
	CLOSE(0),
	OPEN(0, "1"),
	WRITE(0, 1, 0),
	FSYNC(0),
	CLOSE(0),
	MKDIR(4),
	OPEN(4, "1"),
	WRITE(4, 2, 0),
	FSYNC(4),
	CLOSE(4),
	END,
};
static const struct call *const full_life[] = { at_full, NULL };

static const struct scenario ring = {
	.topics = { "t", "b", "c", "d", "e" },
	.lives = { { before,
		     "num.partitions=2\nlog.segment.bytes=1500\njournal.bytes=1048576\n"
		     "disk.reserve.percent=0\ndisk.reserve.bytes=0\n",
		     false },
		   { full_life, "", false } },
};

static const struct scenario in_place = {
	.topics = { "t", "b", "c", "d", "e" },
	.lives = { { before,
		     "num.partitions=2\nlog.segment.bytes=1500\njournal.bytes=0\n"
		     "disk.reserve.percent=0\ndisk.reserve.bytes=0\n",
		     false },
		   { full_life, "", false } },
};

static void test_full_while_it_starts(void **state)
{
	sweep_full(&ring, "full", 1);
}

static void test_full_without_a_journal(void **state)
{
	sweep_full(&in_place, "full, in place", 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_full_while_it_starts),
		cmocka_unit_test(test_full_without_a_journal),
	};
	const char *only = getenv("SWEEP_ONLY");

	if (only)
		cmocka_set_test_filter(only);
	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

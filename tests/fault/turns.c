/*
 * The whole broker (tests/lib/simmount.h) and requests that are made one by one, with a look at it
 * in between: what a stop does with those that wait, that none keeps the others waiting, and what
 * is left of one whose memory ran out.
 */
#include "tests/lib/simmemory.h"
#include "tests/lib/simmount.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#define NO_ANSWER 1

struct turns {
	struct simmount m;
	unsigned step;
	bool pauses;
	uint64_t dir, file; /* nodes */
	uint64_t fh[2];
	unsigned opened;
	bool opens;    /* the last request was an open */
	uint64_t last; /* the request that is looked at */
	int err;       /* its answer, or NO_ANSWER */
	uint32_t open_cnt;
	int64_t find_cnt;
	uint64_t fails;	 /* which allocation of a write */
	char given[256]; /* by the last answer */
};

static void answered(void *ctx, uint64_t unique, int err, const void *data, size_t len)
{
	struct turns *t = ctx;
	const struct fuse_entry_out *e = data;
	const struct fuse_open_out *o = data;

	if (unique != t->last)
		return;
	t->err = err;
	snprintf(t->given, sizeof(t->given), "%.*s", (int)len, err ? "" : (const char *)data);
	if (!err && len == sizeof(*e) && !t->dir)
		t->dir = e->nodeid;
	else if (!err && len == sizeof(*e))
		t->file = e->nodeid;
	else if (!err && len == sizeof(*o) && t->opens)
		t->fh[t->opened++] = o->fh;
}

/* The answer may come before this returns. */
static void ask(struct turns *t, uint32_t op, uint64_t node, const void *body, size_t len,
		const char *more)
{
	t->last = t->m.unique + 1;
	t->err = NO_ANSWER;
	t->opens = op == FUSE_OPEN;
	simmount_send(&t->m, op, node, body, len, more, *more ? strlen(more) + 1 : 0);
}

static void ask_mkdir(struct turns *t, const char *name)
{
	struct fuse_mkdir_in in = { .mode = 0755 };

	ask(t, FUSE_MKDIR, NODE_TOPICS, &in, sizeof(in), name);
}

static void ask_name(struct turns *t, const char *name)
{
	ask(t, FUSE_LOOKUP, t->dir, name, strlen(name) + 1, "");
}

static void ask_open(struct turns *t, int flags)
{
	struct fuse_open_in in = { .flags = (uint32_t)flags };

	ask(t, FUSE_OPEN, t->file, &in, sizeof(in), "");
}

static void ask_read(struct turns *t)
{
	struct fuse_read_in in = { .fh = t->fh[0], .size = 4096 };

	ask(t, FUSE_READ, t->file, &in, sizeof(in), "");
}

static void ask_write(struct turns *t, unsigned i, const char *text)
{
	struct fuse_write_in in = { .fh = t->fh[i], .size = (uint32_t)strlen(text) };

	t->last = t->m.unique + 1;
	t->err = NO_ANSWER;
	t->opens = false;
	simmount_send(&t->m, FUSE_WRITE, t->file, &in, sizeof(in), text, in.size);
}

static void ask_release(struct turns *t, unsigned i)
{
	struct fuse_release_in in = { .fh = t->fh[i] };

	ask(t, FUSE_RELEASE, t->file, &in, sizeof(in), "");
}

static void run(struct turns *t, bool (*next)(void *ctx))
{
	struct simdisk *sim = simdisk_new(1);
	struct broker_options options = {
		.mount = "/mnt", .data = ".", .node = 1, .rack = "", .log_level = LOG_NONE
	};

	*t = (struct turns){ .m = { .disk = simdisk_disk(sim),
				    .sim = sim,
				    .next = next,
				    .answered = answered,
				    .ctx = t } };
	config_init(&options.config);
	assert_int_equal(simmount_run(&t->m, &options), 0);
	simdisk_free(sim);
}

/* ---- A stop, and a lock that somebody waits for ---- */

static void ask_flock(struct turns *t, unsigned i)
{
	struct fuse_lk_in in = { .fh = t->fh[i],
				 .lk = { .end = INT64_MAX, .type = F_WRLCK },
				 .lk_flags = FUSE_LK_FLOCK };

	ask(t, FUSE_SETLKW, t->file, &in, sizeof(in), "");
}

static void look(struct turns *t)
{
	struct fuse_getattr_in in = { 0 };

	simmount_send(&t->m, FUSE_GETATTR, NODE_ROOT, &in, sizeof(in), "", 0);
}

static bool next_of_locks(void *ctx)
{
	struct turns *t = ctx;

	/* One request a round. */
	t->pauses = !t->pauses;
	if (t->pauses)
		return false;
	if (t->step && t->err == NO_ANSWER) {
		/* Somebody else asks all the while, so that the stop has another round. */
		look(t);
		return true;
	}
	switch (t->step++) {
	case 0:
		ask_mkdir(t, "t");
		return true;
	case 1:
		ask_name(t, "0");
		return true;
	case 2:
	case 3:
		ask_open(t, O_RDWR);
		return true;
	case 4:
		ask_flock(t, 0);
		return true;
	case 5:
		ask_flock(t, 1);
		simmount_end(&t->m);
		return true;
	case 6:
		assert_int_equal(t->err, -ENOTCONN);
		ask_release(t, 0);
		return true;
	case 7:
		assert_int_equal(t->err, 0);
		ask_release(t, 1);
		return true;
	default:
		return false;
	}
}

static void test_lock_at_a_stop(void **state)
{
	struct turns t;

	run(&t, next_of_locks);
	assert_int_equal(t.step, 9);
	assert_int_equal(t.err, 0);
}

/* ---- A topic that grows by much, under a stream of all of it ---- */

#define PARTS 400U
#define OPENS_A_TURN 2U

static uint32_t open_cnt(const struct turns *t)
{
	const struct backend *be = &t->m.fs->be;
	struct be_topic *topic = be->topic_find(be->ctx, "t");
	uint32_t cnt = 0;

	for (uint32_t i = 0; topic && i < topic->part_cnt; i++)
		cnt += topic->parts[i]->log != NULL;
	return cnt;
}

static bool next_of_growth(void *ctx)
{
	struct turns *t = ctx;
	const struct broker *broker = t->m.fs->be.ctx;
	uint32_t before = t->open_cnt;

	t->open_cnt = open_cnt(t);
	if (t->step > 6)
		assert_true(t->open_cnt <= before + OPENS_A_TURN);
	if (t->step && t->step != 4 && t->err == NO_ANSWER)
		return false;
	switch (t->step++) {
	case 0:
		ask_mkdir(t, "t");
		return true;
	case 1:
		ask_name(t, "all@latest");
		return true;
	case 2:
		ask_open(t, O_RDONLY);
		return true;
	case 3: /* it waits */
		ask_read(t);
		return true;
	case 4:
		ask_name(t, "config");
		return true;
	case 5:
		ask_open(t, O_WRONLY);
		return true;
	case 6:
		/* Logs that nobody has used are opened at leisure: that is done. */
		if (serials_from(&broker->topics, broker->open_serial)) {
			t->step--;
			return false;
		}
		ask_write(t, 1, "num.partitions=400\n");
		return true;
	case 7:
		assert_int_equal(t->err, 0);
		return false;
	default:
		if (t->open_cnt == PARTS)
			simmount_end(&t->m);
		return false;
	}
}

static void test_growth_in_turns(void **state)
{
	struct turns t;

	run(&t, next_of_growth);
	assert_int_equal(t.open_cnt, PARTS);
}

/* ---- A time that is looked up in many partitions ---- */

#define FINDS_A_TURN 100

/* How many partitions the open stream has looked it up in. */
static int64_t find_cnt(const struct turns *t)
{
	const struct handle *h;

	if (list_is_empty(&t->m.fs->handles))
		return 0;
	h = LIST_ENTRY(t->m.fs->handles.next, struct handle, link);
	return h->finding == FIND_EACH ? h->find_left : h->feed_cnt;
}

static bool next_of_finding(void *ctx)
{
	struct turns *t = ctx;

	if (t->step > 5) {
		int64_t before = t->find_cnt;

		t->find_cnt = find_cnt(t);
		assert_true(t->find_cnt <= before + FINDS_A_TURN);
	}
	if (t->step && t->err == NO_ANSWER)
		return false;
	switch (t->step++) {
	case 0:
		ask_mkdir(t, "t");
		return true;
	case 1:
		ask_name(t, "config");
		return true;
	case 2:
		ask_open(t, O_WRONLY);
		return true;
	case 3:
		ask_write(t, 0, "num.partitions=400\n");
		return true;
	case 4:
		ask_release(t, 0);
		t->opened = 0;
		return true;
	case 5:
		ask_name(t, "all@2026-01-01T00:00:00Z..2026-02-01T00:00:00Z");
		return true;
	case 6:
		ask_open(t, O_RDONLY);
		return true;
	case 7:
		ask_read(t);
		return true;
	case 8:
		assert_int_equal(t->err, 0);
		assert_int_equal(find_cnt(t), PARTS);
		simmount_end(&t->m);
		return false;
	default:
		return false;
	}
}

static void test_finding_in_turns(void **state)
{
	struct turns t;

	run(&t, next_of_finding);
	assert_int_equal(t.find_cnt, PARTS);
}

/* ---- Answers of a file that is opened read-write ---- */

/* The first writes find no memory for what is kept for those that follow; theirs is for answers. */
#define FAILS_EACH 8U
#define FAILS_MAX (4 * FAILS_EACH)

/* What was written is answered wholly, or the reader is told that it is not. */
static void check_answer(const struct turns *t)
{
	const char *end = strrchr(t->given, '\n');

	if (t->err)
		assert_int_equal(t->err, -ESTALE);
	else
		assert_true(!strncmp(t->given, "{\"topic\":\"t\",", 13) && end && !end[1]);
}

static bool next_of_answers(void *ctx)
{
	struct turns *t = ctx;
	bool is_refused;

	if (t->step && t->err == NO_ANSWER)
		return false;
	switch (t->step++) {
	case 0:
		ask_mkdir(t, "t");
		return true;
	case 1:
		ask_name(t, "0");
		return true;
	case 2:
		t->opened = 0;
		ask_open(t, O_RDWR);
		return true;
	case 3:
		simmemory_fail(t->fails++ % FAILS_EACH + 1);
		ask_write(t, 0, "line\n");
		simmemory_fail(0);
		return true;
	case 4:
		is_refused = t->err;
		assert_true(!is_refused || t->err == -ENOMEM);
		ask_read(t);
		if (!is_refused)
			check_answer(t);
		return true;
	case 5:
		ask_release(t, 0);
		t->step = t->fails < FAILS_MAX ? 2 : 6;
		return true;
	default:
		simmount_end(&t->m);
		return false;
	}
}

static void test_answers_without_memory(void **state)
{
	struct turns t;

	run(&t, next_of_answers);
	assert_int_equal(t.fails, FAILS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock_at_a_stop),
		cmocka_unit_test(test_growth_in_turns),
		cmocka_unit_test(test_finding_in_turns),
		cmocka_unit_test(test_answers_without_memory),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

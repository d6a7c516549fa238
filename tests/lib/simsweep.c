#include "tests/lib/simsweep.h"

#include "daemon/base/log.h"
#include "tests/lib/simmemory.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

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

static bool hearing; /* the broker's errors are told */

static void set_fate(struct world *w, enum stop how)
{
	simdisk_set_fate(w->sim, how == STOP_LOSE     ? SIMDISK_LOSE
				 : how == STOP_KEEP   ? SIMDISK_KEEP
				 : how == STOP_GARBLE ? SIMDISK_GARBLE
						      : SIMDISK_MIXED);
}

static void configure(struct world *w, const char *settings)
{
	char sentence[SENTENCE_MAX];

	assert_int_equal(config_parse(&w->options.config, settings, strlen(settings), sentence), 0);
}

static struct world *case_new(const struct scenario *s, uint64_t seed, uint64_t label)
{
	struct world *w = world_new(seed, s->topics);

	for (unsigned i = 0; i < WORLD_GROUPS && s->groups[i]; i++)
		snprintf(w->groups[i].name, sizeof(w->groups[i].name), "%s", s->groups[i]);
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
static void recover(struct world *w, const struct scenario *s, bool power, uint64_t n)
{
	const struct call *const *both = s->after ? s->after : after_both;

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
	if (world_live(w, w->topics[0].state >= TOPIC_THERE ? both : after))
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

static uint64_t seed_fixed;

void sweep_seed(uint64_t seed)
{
	seed_fixed = seed;
}

static struct draw draw_begin(const struct scenario *s, const char *name, uint64_t cases,
			      bool memory)
{
	struct draw d = { .seed = seed_fixed ? seed_fixed
					     : env_number("TOPICFS_SEED", (uint64_t)getpid()) };

	d.calls = count(s, d.seed, memory);
	d.stride = getenv("TOPICFS_LONG") ? 1 : MAX(d.calls / cases, 1U);
	d.n = d.seed % d.stride;
	printf("# %s: seed %llu, every %lluth of %llu %s\n", name, (unsigned long long)d.seed,
	       (unsigned long long)d.stride, (unsigned long long)d.calls,
	       memory ? "allocations" : "calls");
	return d;
}

void sweep_stops(const struct scenario *s, const char *name, uint64_t cases)
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
			set_fate(w, how);
			lives(w, s, arm_stop, d.n, 0);
			recover(w, s, how != STOP_KILL, d.n);
			world_free(w);
		}
	}
}

void sweep_losses(const struct scenario *s, const char *name)
{
	uint64_t seed = env_number("TOPICFS_SEED", (uint64_t)getpid());
	uint64_t calls = count(s, seed, false);

	printf("# %s: seed %llu, each of %llu calls\n", name, (unsigned long long)seed,
	       (unsigned long long)calls);
	for (uint64_t n = 1; n <= calls; n++) {
		struct world *w = case_new(s, seed, n);

		simdisk_set_fate(w->sim, SIMDISK_LOSE);
		lives(w, s, arm_stop, n, 0);
		recover(w, s, true, n);
		world_free(w);
	}
}

/* Whoever asked is told, or nobody notices; what was answered survives a power loss. */
void sweep_fails(const struct scenario *s, const char *name, uint64_t cases, int err)
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
		recover(w, s, true, d.n * 3 + 1);
		world_free(w);
	}
}

/* ---- A disk that is full while the broker starts ---- */

/* The first life, up to how it ends; STOP_CNT: by SIGTERM. */
static void live_before(struct world *w, const struct scenario *s, enum stop how, uint64_t cnt)
{
	configure(w, s->lives[0].settings);
	set_fate(w, how);
	if (how != STOP_CNT)
		simdisk_stop_after(w->sim, cnt);
	if (world_live(w, s->lives[0].programs) && how == STOP_CNT)
		world_fail(w, "the first life fails");
	if (how != STOP_CNT)
		world_stop(w, how != STOP_KILL, cnt);
	configure(w, s->lives[1].settings);
}

#define FULL_HOWS (STOP_CNT + 1) /* with a clean stop */

struct full_case {
	const struct scenario *s;
	uint64_t seed, label, n, cnt; /* cnt: the calls of the first life */
	enum stop how;
	bool names;
};

/* Up to the end of the full life. Whether it came to serving. */
static struct world *live_full(const struct full_case *c, bool *ret_served)
{
	struct world *w = case_new(c->s, c->seed, c->label);
	int status;

	/* The log is silent for a while where it has said the same before. */
	w->m.now_us = ((int64_t)c->label * 2 + hearing) * 3600 * 1000000;
	live_before(w, c->s, c->how, c->cnt);
	w->full = true;
	w->options.log_level = hearing ? LOG_ERROR : LOG_NONE;
	simdisk_fill_after(w->sim, c->n, c->names);
	status = world_live(w, c->s->lives[1].programs);
	simdisk_fill_after(w->sim, UINT64_MAX, false);
	if (w->begun ? status || w->full : !status)
		world_fail(w, "status %d, served: %d, has room: %d", status, w->begun, !w->full);
	w->full = false;
	w->options.log_level = LOG_NONE;
	*ret_served = w->begun;
	return w;
}

/* A power loss may have taken the room that was allocated ahead. */
static bool must_serve(const struct full_case *c)
{
	return !c->names && (c->how == STOP_CNT || c->how == STOP_KILL);
}

/* Once more, for what it says: what there was no room for, and where. */
static void hear(const struct full_case *c)
{
	static const char *const files[] = { "journal", "checkpoint",	  "meta.properties",
					     "debts",	"clean-shutdown", "metadata-0",
					     ".meta",	".data",	  ".checkpoint" };
	int saved = dup(STDERR_FILENO), file = memfd_create("log", 0);
	bool served, names = false;
	char text[4096] = "";
	struct world *w;

	assert_true(saved >= 0 && file >= 0 && dup2(file, STDERR_FILENO) >= 0);
	hearing = true;
	w = live_full(c, &served);
	hearing = false;
	assert_true(dup2(saved, STDERR_FILENO) >= 0);
	assert_true(pread(file, text, sizeof(text) - 1, 0) >= 0);
	close(saved);
	close(file);
	for (unsigned i = 0; i < ARRAY_CNT(files); i++)
		names |= strstr(text, files[i]) != NULL;
	if (getenv("SWEEP_TELL"))
		fprintf(stderr, "%llu: %s", (unsigned long long)w->label, text);
	if (served || must_serve(c) || !names || !strstr(text, "ERROR") || !strstr(text, "ENOSPC"))
		world_fail(w, "it does not start, and says: %.400s", text);
	world_free(w);
}

static uint64_t full_calls(const struct scenario *s, uint64_t seed, enum stop how,
			   uint64_t *ret_cnt)
{
	struct world *w = case_new(s, seed, 0);
	uint64_t before;

	live_before(w, s, how, *ret_cnt);
	before = simdisk_call_cnt(w->sim);
	if (how == STOP_CNT)
		*ret_cnt = before;
	assert_int_equal(world_live(w, s->lives[1].programs), 0);
	before = w->compared_call - before;
	world_free(w);
	return before;
}

/* Of the calls of one round in so many one case each, under a seed of its own; all of all calls
 * with TOPICFS_LONG. */
static bool is_drawn(const struct full_case *c, uint64_t n, unsigned one_in)
{
	uint64_t round = n / (2 * FULL_HOWS);

	return env_number("SWEEP_CASE", c->label) == c->label &&
	       (getenv("TOPICFS_LONG") ||
		(round % one_in == 0 && n % FULL_HOWS == c->how && n / FULL_HOWS % 2 == c->names));
}

void sweep_full(const struct scenario *s, const char *name, unsigned one_in)
{
	struct full_case c = { .s = s, .seed = env_number("TOPICFS_SEED", 1) };
	unsigned served = 0, ended = 0;
	uint64_t life = 0;

	full_calls(s, c.seed, STOP_CNT, &life);
	for (unsigned i = 0; i < 2 * FULL_HOWS; i++) {
		uint64_t late = life - 20, calls;

		c.how = i / 2;
		c.names = i % 2;
		calls = full_calls(s, c.seed, c.how, &late);
		for (c.n = 0; c.n < calls; c.n++) {
			struct world *w;
			bool ok;

			c.label = c.n * 2 * FULL_HOWS + i;
			if (!is_drawn(&c, c.n, one_in))
				continue;
			c.cnt = c.n / (2 * FULL_HOWS) % 3 ? late : life / 2 + c.n * 13 % (life / 2);
			w = live_full(&c, &ok);
			*(ok ? &served : &ended) += 1;
			if (!ok)
				hear(&c);
			recover(w, s, c.how != STOP_CNT && c.how != STOP_KILL, c.label);
			world_free(w);
		}
	}
	printf("# %s: seed %llu, %u starts served, %u ended\n", name, (unsigned long long)c.seed,
	       served, ended);
	assert_true(served > 0);
}

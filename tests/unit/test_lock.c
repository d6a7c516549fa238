/* flock and fcntl locks: ranges, conversions, waiting, circles, bounds; and random calls against a
 * model that keeps one cell for each byte and owner. */
#include "fusefs/lock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <cmocka.h>

#define KEY 7
#define NONE LOCK_KIND_NONE
#define SHARED LOCK_KIND_SHARED
#define EXCLUSIVE LOCK_KIND_EXCLUSIVE
#define EOF_END UINT64_MAX

static struct lock posix(uint64_t owner, enum lock_kind kind, uint64_t start, uint64_t end)
{
	return (struct lock){ .key = KEY,
			      .space = LOCK_SPACE_POSIX,
			      .kind = kind,
			      .owner = owner,
			      .pid = (uint32_t)owner + 1000,
			      .start = start,
			      .end = end };
}

static struct lock flock_of(uint64_t owner, enum lock_kind kind)
{
	return (struct lock){ .key = KEY, .space = LOCK_SPACE_FLOCK, .kind = kind, .owner = owner };
}

static int set(struct lock_table *t, struct lock l)
{
	return lock_set(t, &l);
}

static int wait_for(struct lock_table *t, struct lock l, uint64_t ticket)
{
	return lock_wait(t, &l, ticket);
}

static struct lock find(struct lock_table *t, struct lock l)
{
	struct lock ret;

	lock_find(t, &l, &ret);
	return ret;
}

/* The next granted ticket, 0 for none. */
static uint64_t grant(struct lock_table *t)
{
	uint64_t ticket = 0;
	int err = 1;

	if (!lock_grant(t, &ticket, &err))
		return 0;
	assert_int_equal(err, 0);
	return ticket;
}

static void assert_cnt(struct lock_table *t, uint32_t set_cnt, uint32_t waiting_cnt)
{
	uint32_t s, w;

	lock_cnt(t, &s, &w);
	assert_int_equal(s, set_cnt);
	assert_int_equal(w, waiting_cnt);
}

static int table_open(void **state)
{
	*state = lock_new(64);
	return *state ? 0 : -1;
}

static int table_close(void **state)
{
	lock_free(*state);
	return 0;
}

static void test_conflicts(void **state)
{
	struct lock_table *t = *state;
	struct lock other = posix(2, EXCLUSIVE, 5, 5);

	assert_int_equal(set(t, posix(1, SHARED, 0, 9)), 0);
	assert_int_equal(set(t, posix(2, SHARED, 5, 14)), 0);
	assert_int_equal(set(t, posix(2, EXCLUSIVE, 9, 9)), -EAGAIN);
	assert_int_equal(set(t, posix(2, EXCLUSIVE, 10, 10)), 0);
	assert_int_equal(set(t, posix(1, SHARED, 10, 10)), -EAGAIN);
	other.key = KEY + 1;
	assert_int_equal(set(t, other), 0);
	assert_int_equal(set(t, flock_of(3, EXCLUSIVE)), 0);
	assert_int_equal(grant(t), 0);
}

static void test_find_tells_who(void **state)
{
	struct lock_table *t = *state;
	struct lock l;

	assert_int_equal(set(t, posix(1, EXCLUSIVE, 10, EOF_END)), 0);
	l = find(t, posix(2, SHARED, 0, 10));
	assert_int_equal(l.kind, EXCLUSIVE);
	assert_int_equal(l.pid, 1001);
	assert_true(l.start == 10 && l.end == EOF_END && l.owner == 1);
	assert_int_equal(find(t, posix(2, SHARED, 0, 9)).kind, NONE);
	assert_int_equal(find(t, posix(1, EXCLUSIVE, 0, EOF_END)).kind, NONE);
	l = posix(2, SHARED, 0, EOF_END);
	l.key++;
	assert_int_equal(find(t, l).kind, NONE);
}

static void test_split_and_join(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, posix(1, EXCLUSIVE, 0, EOF_END)), 0);
	assert_cnt(t, 1, 0);
	assert_int_equal(set(t, posix(1, NONE, 10, 19)), 0);
	assert_cnt(t, 2, 0);
	assert_int_equal(find(t, posix(2, SHARED, 10, 19)).kind, NONE);
	assert_true(find(t, posix(2, SHARED, 19, 20)).start == 20);
	assert_true(find(t, posix(2, SHARED, 9, 10)).end == 9);
	assert_int_equal(set(t, posix(1, EXCLUSIVE, 10, 19)), 0);
	assert_cnt(t, 1, 0);
	/* A downgrade in the middle. */
	assert_int_equal(set(t, posix(1, SHARED, 10, 19)), 0);
	assert_cnt(t, 3, 0);
	assert_int_equal(set(t, posix(2, SHARED, 10, 19)), 0);
	assert_int_equal(set(t, posix(1, EXCLUSIVE, 10, 19)), -EAGAIN);
	assert_cnt(t, 4, 0);
	assert_int_equal(set(t, posix(2, NONE, 0, EOF_END)), 0);
	assert_int_equal(set(t, posix(1, EXCLUSIVE, 5, 25)), 0);
	assert_cnt(t, 1, 0);
	assert_int_equal(set(t, posix(1, NONE, 0, EOF_END)), 0);
	assert_cnt(t, 0, 0);
	/* Neighbours of one kind are one. */
	assert_int_equal(set(t, posix(1, SHARED, 0, 4)), 0);
	assert_int_equal(set(t, posix(1, SHARED, 10, EOF_END)), 0);
	assert_int_equal(set(t, posix(1, SHARED, 5, 9)), 0);
	assert_cnt(t, 1, 0);
}

static void test_wait_and_grant(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, posix(1, EXCLUSIVE, 0, 99)), 0);
	assert_int_equal(wait_for(t, posix(2, SHARED, 0, 9), 12), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(3, SHARED, 5, 9), 13), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(4, EXCLUSIVE, 5, 9), 14), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(5, EXCLUSIVE, 50, 50), 15), -EINPROGRESS);
	assert_cnt(t, 1, 4);
	assert_int_equal(grant(t), 0);
	assert_int_equal(set(t, posix(1, NONE, 0, 9)), 0);
	assert_int_equal(grant(t), 12);
	assert_int_equal(grant(t), 13);
	assert_int_equal(grant(t), 0);
	lock_drop(t, KEY, LOCK_SPACE_POSIX, 1);
	assert_int_equal(grant(t), 15);
	assert_int_equal(grant(t), 0);
	lock_drop(t, KEY, LOCK_SPACE_POSIX, 2);
	assert_int_equal(grant(t), 0);
	lock_drop(t, KEY, LOCK_SPACE_POSIX, 3);
	assert_int_equal(grant(t), 14);
	assert_int_equal(find(t, posix(9, SHARED, 7, 7)).owner, 4);
	assert_cnt(t, 2, 0);
}

/* A downgrade lets readers in, too. */
static void test_downgrade_frees(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, posix(1, EXCLUSIVE, 0, 9)), 0);
	assert_int_equal(wait_for(t, posix(2, SHARED, 0, 9), 12), -EINPROGRESS);
	assert_int_equal(set(t, posix(1, SHARED, 0, 9)), 0);
	assert_int_equal(grant(t), 12);
	assert_int_equal(grant(t), 0);
}

static void test_cancel(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, posix(1, EXCLUSIVE, 0, 9)), 0);
	assert_int_equal(wait_for(t, posix(2, EXCLUSIVE, 0, 9), 12), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(3, EXCLUSIVE, 0, 9), 13), -EINPROGRESS);
	assert_true(lock_cancel(t, 12));
	assert_false(lock_cancel(t, 12));
	assert_false(lock_cancel(t, 99));
	assert_int_equal(set(t, posix(1, NONE, 0, 9)), 0);
	/* Cancelled between the unlock and the grant: the last one goes, and the object with it. */
	assert_true(lock_cancel(t, 13));
	assert_int_equal(grant(t), 0);
	assert_cnt(t, 0, 0);
	assert_int_equal(wait_for(t, posix(2, EXCLUSIVE, 0, 9), 12), 0);
}

static void test_circles(void **state)
{
	struct lock_table *t = *state;

	for (uint64_t owner = 0; owner < 4; owner++)
		assert_int_equal(set(t, posix(owner, EXCLUSIVE, owner, owner)), 0);
	assert_int_equal(wait_for(t, posix(0, EXCLUSIVE, 1, 1), 10), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(1, SHARED, 2, 2), 11), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(2, SHARED, 0, 0), 12), -EDEADLK);
	assert_int_equal(wait_for(t, posix(2, SHARED, 1, 1), 12), -EDEADLK);
	assert_int_equal(wait_for(t, posix(2, SHARED, 3, 3), 12), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(3, EXCLUSIVE, 0, 3), 13), -EDEADLK);
	assert_int_equal(wait_for(t, posix(4, EXCLUSIVE, 0, 3), 14), -EINPROGRESS);
	assert_true(lock_cancel(t, 12));
	assert_int_equal(wait_for(t, posix(3, EXCLUSIVE, 0, 0), 13), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(2, EXCLUSIVE, 3, 3), 12), -EDEADLK);
}

/* Two readers who both want to write. */
static void test_circle_of_upgrades(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, posix(1, SHARED, 0, 9)), 0);
	assert_int_equal(set(t, posix(2, SHARED, 0, 9)), 0);
	assert_int_equal(wait_for(t, posix(1, EXCLUSIVE, 0, 9), 11), -EINPROGRESS);
	assert_int_equal(wait_for(t, posix(2, EXCLUSIVE, 0, 9), 12), -EDEADLK);
	lock_drop(t, KEY, LOCK_SPACE_POSIX, 2);
	assert_int_equal(grant(t), 11);
	assert_cnt(t, 1, 0);
}

/* Circles over several objects. */
static void test_circle_of_objects(void **state)
{
	struct lock_table *t = *state;
	struct lock a = posix(1, EXCLUSIVE, 0, EOF_END), b = posix(2, EXCLUSIVE, 0, EOF_END);

	b.key = KEY + 1;
	assert_int_equal(set(t, a), 0);
	assert_int_equal(set(t, b), 0);
	a.key = KEY + 1;
	b.key = KEY;
	assert_int_equal(wait_for(t, a, 11), -EINPROGRESS);
	assert_int_equal(wait_for(t, b, 12), -EDEADLK);
	assert_int_equal(set(t, b), -EAGAIN);
}

static void test_flock(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, flock_of(1, SHARED)), 0);
	assert_int_equal(set(t, flock_of(2, SHARED)), 0);
	assert_int_equal(set(t, flock_of(1, SHARED)), 0);
	assert_cnt(t, 2, 0);
	assert_int_equal(set(t, flock_of(3, EXCLUSIVE)), -EAGAIN);
	/* A conversion loses the shared lock first; the other one can convert then. */
	assert_int_equal(wait_for(t, flock_of(1, EXCLUSIVE), 11), -EINPROGRESS);
	assert_cnt(t, 1, 1);
	assert_int_equal(wait_for(t, flock_of(2, EXCLUSIVE), 12), 0);
	assert_int_equal(grant(t), 0);
	lock_drop(t, KEY, LOCK_SPACE_FLOCK, 2);
	assert_int_equal(grant(t), 11);
	assert_int_equal(set(t, flock_of(2, SHARED)), -EAGAIN);
	assert_int_equal(set(t, flock_of(1, SHARED)), 0);
	assert_int_equal(set(t, flock_of(2, SHARED)), 0);
	assert_int_equal(set(t, flock_of(1, NONE)), 0);
	assert_int_equal(set(t, flock_of(1, NONE)), 0);
	assert_cnt(t, 1, 0);
}

/* A waiting flock conversion lets those in who waited for the old lock. */
static void test_flock_conversion_frees(void **state)
{
	struct lock_table *t = *state;

	assert_int_equal(set(t, flock_of(1, SHARED)), 0);
	assert_int_equal(wait_for(t, flock_of(2, EXCLUSIVE), 12), -EINPROGRESS);
	assert_int_equal(set(t, flock_of(3, SHARED)), 0);
	assert_int_equal(set(t, flock_of(1, EXCLUSIVE)), -EAGAIN);
	assert_int_equal(grant(t), 0);
	assert_int_equal(set(t, flock_of(3, NONE)), 0);
	assert_int_equal(grant(t), 12);
}

static void test_bound(void **state)
{
	struct lock_table *t = lock_new(4);
	uint64_t ticket = 0;
	int err = 0;

	assert_non_null(t);
	assert_int_equal(set(t, posix(1, EXCLUSIVE, 0, 9)), 0);
	assert_int_equal(wait_for(t, posix(2, EXCLUSIVE, 5, 9), 12), -EINPROGRESS);
	assert_int_equal(set(t, posix(1, EXCLUSIVE, 20, 29)), 0);
	assert_int_equal(set(t, posix(3, SHARED, 40, 49)), 0);
	assert_int_equal(set(t, posix(3, SHARED, 60, 69)), -ENOLCK);
	assert_int_equal(wait_for(t, posix(3, SHARED, 0, 0), 13), -ENOLCK);
	assert_int_equal(set(t, posix(1, NONE, 3, 4)), -ENOLCK);
	/* What needs no place works: joining, upgrading, unlocking an end. */
	assert_int_equal(set(t, posix(3, SHARED, 50, 59)), 0);
	assert_int_equal(set(t, posix(3, EXCLUSIVE, 40, 59)), 0);
	assert_int_equal(set(t, posix(1, NONE, 4, 9)), 0);
	assert_true(lock_grant(t, &ticket, &err));
	assert_int_equal(ticket, 12);
	assert_int_equal(err, 0);
	assert_cnt(t, 4, 0);
	/* A waiter whose lock would split its own in three finds no place for it. */
	assert_int_equal(set(t, posix(3, NONE, 0, EOF_END)), 0);
	assert_int_equal(set(t, posix(1, NONE, 20, 29)), 0);
	assert_int_equal(set(t, posix(2, NONE, 0, EOF_END)), 0);
	assert_int_equal(set(t, posix(1, NONE, 0, EOF_END)), 0);
	assert_int_equal(set(t, posix(1, SHARED, 0, 99)), 0);
	assert_int_equal(set(t, posix(2, SHARED, 10, 19)), 0);
	assert_int_equal(wait_for(t, posix(1, EXCLUSIVE, 10, 19), 11), -EINPROGRESS);
	assert_int_equal(set(t, posix(3, SHARED, 200, 209)), 0);
	assert_int_equal(set(t, posix(2, EXCLUSIVE, 300, 309)), -ENOLCK);
	lock_drop(t, KEY, LOCK_SPACE_POSIX, 2);
	assert_int_equal(set(t, posix(2, EXCLUSIVE, 300, 309)), 0);
	assert_true(lock_grant(t, &ticket, &err));
	assert_int_equal(ticket, 11);
	assert_int_equal(err, -ENOLCK);
	assert_cnt(t, 3, 0);
	lock_free(t);
	lock_free(NULL);
}

static void test_freed_with_all_in_it(void **state)
{
	struct lock_table *t = lock_new(LOCK_CNT_MAX);
	struct lock l = posix(1, EXCLUSIVE, 0, 9);

	assert_non_null(t);
	for (l.key = 0; l.key < LOCK_CNT_MAX; l.key++)
		assert_int_equal(lock_set(t, &l), 0);
	assert_int_equal(lock_set(t, &l), -ENOLCK);
	lock_free(t);
}

/* Against a model */

#define OWNERS 4
#define CELLS 16
#define TICKETS 64

struct model {
	enum lock_kind cells[OWNERS][CELLS]; /* what each owner holds on each byte */
	struct lock waiting[TICKETS];
	uint64_t tickets[TICKETS]; /* in the order of their coming */
	size_t waiting_cnt;
};

static bool model_conflicts(const struct model *m, const struct lock *l)
{
	for (uint64_t o = 0; o < OWNERS; o++) {
		for (uint64_t c = l->start; o != l->owner && c <= l->end; c++) {
			if (m->cells[o][c] == EXCLUSIVE ||
			    (m->cells[o][c] == SHARED && l->kind == EXCLUSIVE))
				return true;
		}
	}
	return false;
}

static void model_apply(struct model *m, const struct lock *l)
{
	for (uint64_t c = l->start; c <= l->end; c++)
		m->cells[l->owner][c] = l->kind;
}

static void model_remove(struct model *m, size_t i)
{
	m->waiting_cnt--;
	memmove(m->waiting + i, m->waiting + i + 1, (m->waiting_cnt - i) * sizeof(m->waiting[0]));
	memmove(m->tickets + i, m->tickets + i + 1, (m->waiting_cnt - i) * sizeof(m->tickets[0]));
}

/* Whether a waits for b, directly or through others. An owner waits once at most here. */
static bool model_waits_for(const struct model *m, const struct lock *l, uint64_t target,
			    unsigned depth)
{
	for (uint64_t o = 0; o < OWNERS && depth; o++) {
		struct model only = { 0 };

		memcpy(only.cells[o], m->cells[o], sizeof(only.cells[o]));
		if (o == l->owner || !model_conflicts(&only, l))
			continue;
		if (o == target)
			return true;
		for (size_t i = 0; i < m->waiting_cnt; i++) {
			if (m->waiting[i].owner == o &&
			    model_waits_for(m, &m->waiting[i], target, depth - 1))
				return true;
		}
	}
	return false;
}

/* What is granted now, in order; the same tickets have to come out of the table. */
static void model_grant(struct model *m, struct lock_table *t)
{
	for (size_t i = 0; i < m->waiting_cnt;) {
		if (model_conflicts(m, &m->waiting[i])) {
			i++;
			continue;
		}
		assert_int_equal(grant(t), m->tickets[i]);
		model_apply(m, &m->waiting[i]);
		model_remove(m, i);
		i = 0;
	}
	assert_int_equal(grant(t), 0);
}

static bool model_is_waiting(const struct model *m, uint64_t owner)
{
	for (size_t i = 0; i < m->waiting_cnt; i++) {
		if (m->waiting[i].owner == owner)
			return true;
	}
	return false;
}

/* The number of ranges, as joined as can be, is the number of the table's locks. */
static void model_check(const struct model *m, struct lock_table *t)
{
	uint32_t ranges = 0;

	for (uint64_t o = 0; o < OWNERS; o++) {
		for (uint64_t c = 0; c < CELLS; c++) {
			enum lock_kind kind = m->cells[o][c];

			ranges += kind != NONE && (!c || m->cells[o][c - 1] != kind);
		}
	}
	assert_cnt(t, ranges, (uint32_t)m->waiting_cnt);
	for (uint64_t c = 0; c < CELLS; c++) {
		for (uint64_t o = 0; o < OWNERS; o++) {
			struct lock l = posix(o, c % 2 ? SHARED : EXCLUSIVE, c, c);

			assert_int_equal(find(t, l).kind != NONE, model_conflicts(m, &l));
		}
	}
}

static uint64_t random_next(uint64_t *s)
{
	uint64_t z = *s += 0x9e3779b97f4a7c15ULL;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ z >> 27) * 0x94d049bb133111ebULL;
	return z ^ z >> 31;
}

static void model_step(struct model *m, struct lock_table *t, uint64_t v, uint64_t ticket)
{
	uint64_t a = v >> 8 & 15, b = v >> 12 & 15, owner = v >> 16 & 3;
	struct lock l = posix(owner, (enum lock_kind)(v >> 20 & 0xff) % 3, MIN(a, b), MAX(a, b));
	bool is_free = l.kind == NONE || !model_conflicts(m, &l);

	if (model_is_waiting(m, owner)) {
		/* As a process does that is interrupted, or exits. */
		for (size_t i = 0; v % 4 == 0 && i < m->waiting_cnt; i++) {
			if (m->waiting[i].owner != owner)
				continue;
			assert_true(lock_cancel(t, m->tickets[i]));
			model_remove(m, i);
		}
	} else if (v % 16 == 0) {
		lock_drop(t, KEY, LOCK_SPACE_POSIX, owner);
		memset(m->cells[owner], 0, sizeof(m->cells[owner]));
	} else if (v % 2 || l.kind == NONE) {
		assert_int_equal(set(t, l), is_free ? 0 : -EAGAIN);
		if (is_free)
			model_apply(m, &l);
	} else if (is_free) {
		assert_int_equal(wait_for(t, l, ticket), 0);
		model_apply(m, &l);
	} else if (model_waits_for(m, &l, owner, OWNERS + 1)) {
		assert_int_equal(wait_for(t, l, ticket), -EDEADLK);
	} else {
		assert_int_equal(wait_for(t, l, ticket), -EINPROGRESS);
		m->waiting[m->waiting_cnt] = l;
		m->tickets[m->waiting_cnt++] = ticket;
	}
}

static void test_against_model(void **state)
{
	const char *text = getenv("SEED");
	uint64_t seed = text ? strtoull(text, NULL, 0) : (uint64_t)time(NULL), s = seed;
	struct lock_table *t = lock_new(256);
	struct model m = { 0 };

	print_message("SEED=%llu\n", (unsigned long long)seed);
	for (uint64_t i = 1; i <= 30000; i++) {
		model_step(&m, t, random_next(&s), i);
		model_grant(&m, t);
		model_check(&m, t);
	}
	lock_free(t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_conflicts, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_find_tells_who, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_split_and_join, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_wait_and_grant, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_downgrade_frees, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_cancel, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_circles, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_circle_of_upgrades, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_circle_of_objects, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_flock, table_open, table_close),
		cmocka_unit_test_setup_teardown(test_flock_conversion_frees, table_open,
						table_close),
		cmocka_unit_test(test_bound),
		cmocka_unit_test(test_freed_with_all_in_it),
		cmocka_unit_test(test_against_model),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "fusefs/lock.h"

#include "daemon/base/list.h"

#include <errno.h>
#include <stdlib.h>

/* A lock in force or a waiter, or free. */
struct entry {
	struct list in_object; /* object.set or object.waiting; free entries: table.free */
	struct list in_owner;  /* waiters of the POSIX space: table.owners */
	struct list in_ticket; /* waiters: table.tickets */
	struct object *object;
	struct lock lock;
	uint64_t ticket; /* of a waiter */
	uint64_t visit;	 /* of a waiter: the last search for a circle that came by */
	struct list in_search;
};

/* Something with locks or waiters. It exists while it has any. */
struct object {
	struct list in_bucket;
	struct list in_freed; /* table.freed while a lock went and waiters were not looked at since
			       */
	struct list set, waiting;
	uint64_t key;
};

/* Powers of two; a full table has some 16 entries in a bucket. */
#define BUCKET_CNT 4096U

/* How many locks a search for a circle of waiting owners looks at before it takes it that there is
 * none: real circles are short, and a search must not hold the mount up. */
#define SEARCH_MAX 65536U

struct lock_table {
	struct entry *entries; /* owned */
	uint32_t cnt_max, set_cnt, waiting_cnt;
	struct list free; /* entries that were used before */
	uint32_t fresh;	  /* entries from here on were never used */
	struct list freed;
	uint64_t visit;
	struct list objects[BUCKET_CNT], owners[BUCKET_CNT], tickets[BUCKET_CNT];
};

static uint32_t bucket_of(uint64_t key)
{
	return (uint32_t)((key * 0x9e3779b97f4a7c15ULL) >> 52) % BUCKET_CNT;
}

struct lock_table *lock_new(uint32_t cnt_max)
{
	struct lock_table *t = calloc(1, sizeof(*t));

	if (!t)
		return NULL;
	t->entries = calloc(cnt_max, sizeof(*t->entries));
	if (!t->entries) {
		free(t);
		return NULL;
	}
	t->cnt_max = cnt_max;
	list_init(&t->free);
	list_init(&t->freed);
	for (size_t i = 0; i < BUCKET_CNT; i++) {
		list_init(&t->objects[i]);
		list_init(&t->owners[i]);
		list_init(&t->tickets[i]);
	}
	return t;
}

void lock_free(struct lock_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < BUCKET_CNT; i++) {
		LIST_FOREACH_SAFE(pos, next, &t->objects[i])
			free(LIST_ENTRY(pos, struct object, in_bucket));
	}
	free(t->entries);
	free(t);
}

static uint32_t free_cnt(const struct lock_table *t)
{
	return t->cnt_max - t->set_cnt - t->waiting_cnt;
}

static struct object *object_find(const struct lock_table *t, uint64_t key)
{
	LIST_FOREACH(pos, &t->objects[bucket_of(key)]) {
		struct object *o = LIST_ENTRY(pos, struct object, in_bucket);

		if (o->key == key)
			return o;
	}
	return NULL;
}

/* NULL without memory. */
static struct object *object_get(struct lock_table *t, uint64_t key)
{
	struct object *o = object_find(t, key);

	if (o)
		return o;
	o = malloc(sizeof(*o));
	if (!o)
		return NULL;
	o->key = key;
	list_init(&o->in_freed);
	list_init(&o->set);
	list_init(&o->waiting);
	list_init(&o->in_bucket);
	list_put(&t->objects[bucket_of(key)], &o->in_bucket);
	return o;
}

/* Frees the object where nothing is left of it. */
static void object_put(struct object *o)
{
	if (!list_is_empty(&o->set) || !list_is_empty(&o->waiting))
		return;
	list_remove(&o->in_freed);
	list_remove(&o->in_bucket);
	free(o);
}

/* There has to be a free one. */
static struct entry *entry_get(struct lock_table *t, struct object *o, const struct lock *l)
{
	struct entry *e;

	PRE(free_cnt(t) > 0);
	if (list_is_empty(&t->free)) {
		ASSERT(t->fresh < t->cnt_max);
		e = &t->entries[t->fresh++];
	} else {
		e = LIST_ENTRY(t->free.next, struct entry, in_object);
		list_remove(&e->in_object);
	}
	*e = (struct entry){ .object = o, .lock = *l };
	list_init(&e->in_object);
	list_init(&e->in_owner);
	list_init(&e->in_ticket);
	list_init(&e->in_search);
	return e;
}

static void entry_put(struct lock_table *t, struct entry *e)
{
	list_remove(&e->in_object);
	list_remove(&e->in_owner);
	list_remove(&e->in_ticket);
	list_remove(&e->in_search);
	e->object = NULL;
	list_put(&t->free, &e->in_object);
}

static void set_put(struct lock_table *t, struct object *o, const struct lock *l)
{
	struct entry *e = entry_get(t, o, l);

	list_put(&o->set, &e->in_object);
	t->set_cnt++;
}

/* Has the object's waiters looked at by the next lock_grant(). */
static void mark_freed(struct lock_table *t, struct object *o)
{
	if (list_is_empty(&o->in_freed) && !list_is_empty(&o->waiting))
		list_put(&t->freed, &o->in_freed);
}

static void set_remove(struct lock_table *t, struct entry *e)
{
	mark_freed(t, e->object);
	entry_put(t, e);
	t->set_cnt--;
}

static bool is_own(const struct lock *held, const struct lock *want)
{
	return held->space == want->space && held->owner == want->owner;
}

static bool overlaps(const struct lock *a, const struct lock *b)
{
	return a->start <= b->end && b->start <= a->end;
}

/* Overlaps, or begins right behind the other's end. */
static bool touches(const struct lock *a, const struct lock *b)
{
	return overlaps(a, b) || (a->end != UINT64_MAX && a->end + 1 == b->start) ||
	       (b->end != UINT64_MAX && b->end + 1 == a->start);
}

static bool conflicts(const struct lock *held, const struct lock *want)
{
	return held->space == want->space && held->owner != want->owner && overlaps(held, want) &&
	       want->kind != LOCK_KIND_NONE &&
	       (held->kind == LOCK_KIND_EXCLUSIVE || want->kind == LOCK_KIND_EXCLUSIVE);
}

static const struct entry *find_conflict(const struct object *o, const struct lock *want)
{
	LIST_FOREACH(pos, &o->set) {
		const struct entry *e = LIST_ENTRY(pos, struct entry, in_object);

		if (conflicts(&e->lock, want))
			return e;
	}
	return NULL;
}

/* flock's locks are ranges of everything. */
static struct lock normal(const struct lock *want)
{
	struct lock l = *want;

	if (l.space == LOCK_SPACE_FLOCK) {
		l.start = 0;
		l.end = UINT64_MAX;
	}
	PRE(l.start <= l.end);
	return l;
}

void lock_find(const struct lock_table *t, const struct lock *want, struct lock *ret_lock)
{
	struct lock l = normal(want);
	const struct object *o = object_find(t, l.key);
	const struct entry *e = o ? find_conflict(o, &l) : NULL;

	if (e) {
		*ret_lock = e->lock;
		return;
	}
	*ret_lock = l;
	ret_lock->kind = LOCK_KIND_NONE;
}

/*
 * What putting want (of either space, in conflict with nobody) would do to the owner's locks.
 * ret_joined is want with those of its kind that it touches. A lock of another kind that it lies
 * within falls into two pieces, at most one does.
 */
static void plan(const struct object *o, const struct lock *want, struct lock *ret_joined,
		 unsigned *ret_gone, bool *ret_splits, bool *ret_is_there)
{
	struct lock joined = *want;
	unsigned gone = 0;

	*ret_splits = *ret_is_there = false;
	LIST_FOREACH(pos, &o->set) {
		const struct lock *l = &LIST_ENTRY(pos, struct entry, in_object)->lock;

		if (!is_own(l, want) || !touches(l, want))
			continue;
		if (l->kind == want->kind) {
			*ret_is_there |= l->start <= want->start && l->end >= want->end;
			joined.start = MIN(joined.start, l->start);
			joined.end = MAX(joined.end, l->end);
			gone++;
		} else if (overlaps(l, want)) {
			gone += l->start >= want->start && l->end <= want->end;
			*ret_splits |= l->start < want->start && l->end > want->end;
		}
	}
	*ret_joined = joined;
	*ret_gone = gone;
}

/* Cuts want out of e, an own lock of another kind that overlaps it. */
static void cut(struct lock_table *t, struct entry *e, const struct lock *want)
{
	struct lock right = e->lock;
	bool has_left = e->lock.start<want->start, has_right = e->lock.end> want->end;

	if (!has_left && !has_right) {
		set_remove(t, e);
		return;
	}
	mark_freed(t, e->object);
	if (!has_left) {
		e->lock.start = want->end + 1;
		return;
	}
	e->lock.end = want->start - 1;
	if (has_right) {
		right.start = want->end + 1;
		set_put(t, e->object, &right);
	}
}

/* Puts want, which conflicts with nobody's lock, over what its owner has. 0 or -ENOLCK. */
static int apply(struct lock_table *t, struct object *o, const struct lock *want)
{
	struct lock joined;
	unsigned gone, needed;
	bool splits, is_there;

	plan(o, want, &joined, &gone, &splits, &is_there);
	if (is_there)
		return 0;
	needed = (want->kind != LOCK_KIND_NONE) + splits;
	if (needed > free_cnt(t) + gone)
		return -ENOLCK;
	/* What is joined goes first, so that its places serve for the pieces of what is cut. */
	LIST_FOREACH_SAFE(pos, next, &o->set) {
		struct entry *e = LIST_ENTRY(pos, struct entry, in_object);

		if (is_own(&e->lock, want) && e->lock.kind == want->kind && touches(&e->lock, want))
			set_remove(t, e);
	}
	LIST_FOREACH_SAFE(pos, next, &o->set) {
		struct entry *e = LIST_ENTRY(pos, struct entry, in_object);

		if (is_own(&e->lock, want) && e->lock.kind != want->kind &&
		    overlaps(&e->lock, want))
			cut(t, e, want);
	}
	if (want->kind != LOCK_KIND_NONE)
		set_put(t, o, &joined);
	return 0;
}

/* Removes the owner's locks on o. */
static void drop(struct lock_table *t, struct object *o, enum lock_space space, uint64_t owner)
{
	LIST_FOREACH_SAFE(pos, next, &o->set) {
		struct entry *e = LIST_ENTRY(pos, struct entry, in_object);

		if (e->lock.space == space && e->lock.owner == owner)
			set_remove(t, e);
	}
}

/* A conversion of flock lets go of the old lock first, unless it is of that kind already. */
static void convert(struct lock_table *t, struct object *o, const struct lock *want)
{
	struct lock joined;
	unsigned gone;
	bool splits, is_there;

	plan(o, want, &joined, &gone, &splits, &is_there);
	if (want->space == LOCK_SPACE_FLOCK && want->kind != LOCK_KIND_NONE && !is_there)
		drop(t, o, want->space, want->owner);
}

int lock_set(struct lock_table *t, const struct lock *want)
{
	struct lock l = normal(want);
	struct object *o;
	int rc;

	if (l.kind == LOCK_KIND_NONE && !object_find(t, l.key))
		return 0;
	o = object_get(t, l.key);
	if (!o)
		return -ENOLCK;
	convert(t, o, &l);
	rc = find_conflict(o, &l) ? -EAGAIN : apply(t, o, &l);
	object_put(o);
	return rc;
}

static struct entry *waiter_find(const struct lock_table *t, uint64_t ticket)
{
	LIST_FOREACH(pos, &t->tickets[bucket_of(ticket)]) {
		struct entry *e = LIST_ENTRY(pos, struct entry, in_ticket);

		if (e->ticket == ticket)
			return e;
	}
	return NULL;
}

/*
 * Whether want's owner, waiting, would wait for itself: for a lock whose owner waits for a lock …
 * whose owner it is. A breadth-first walk over waiters; each is looked at once.
 */
static bool closes_circle(struct lock_table *t, const struct object *o, const struct lock *want)
{
	struct list todo;
	const struct lock *w = want;
	unsigned budget = SEARCH_MAX;
	bool found = false;

	list_init(&todo);
	t->visit++;
	while (!found && budget) {
		LIST_FOREACH(pos, &o->set) {
			const struct lock *l = &LIST_ENTRY(pos, struct entry, in_object)->lock;

			if (!budget || !--budget)
				break;
			if (!conflicts(l, w))
				continue;
			found = found || l->owner == want->owner;
			LIST_FOREACH(pos2, &t->owners[bucket_of(l->owner)]) {
				struct entry *e = LIST_ENTRY(pos2, struct entry, in_owner);

				if (e->lock.owner != l->owner || e->visit == t->visit)
					continue;
				e->visit = t->visit;
				list_put(&todo, &e->in_search);
			}
		}
		if (list_is_empty(&todo))
			break;
		w = &LIST_ENTRY(todo.next, struct entry, in_search)->lock;
		o = LIST_ENTRY(todo.next, struct entry, in_search)->object;
		list_remove(todo.next);
	}
	LIST_FOREACH_SAFE(pos, next, &todo)
		list_remove(pos);
	return found;
}

int lock_wait(struct lock_table *t, const struct lock *want, uint64_t ticket)
{
	struct lock l = normal(want);
	struct object *o = object_get(t, l.key);
	struct entry *e;
	int rc;

	PRE(l.kind != LOCK_KIND_NONE);
	PRE(!waiter_find(t, ticket));
	if (!o)
		return -ENOLCK;
	convert(t, o, &l);
	if (!find_conflict(o, &l)) {
		rc = apply(t, o, &l);
		goto out;
	}
	rc = -EDEADLK;
	if (l.space == LOCK_SPACE_POSIX && closes_circle(t, o, &l))
		goto out;
	rc = -ENOLCK;
	if (!free_cnt(t))
		goto out;
	rc = -EINPROGRESS;
	e = entry_get(t, o, &l);
	e->ticket = ticket;
	list_put(&o->waiting, &e->in_object);
	list_put(&t->tickets[bucket_of(ticket)], &e->in_ticket);
	if (l.space == LOCK_SPACE_POSIX)
		list_put(&t->owners[bucket_of(l.owner)], &e->in_owner);
	t->waiting_cnt++;
out:
	object_put(o);
	return rc;
}

static void waiter_remove(struct lock_table *t, struct entry *e)
{
	entry_put(t, e);
	t->waiting_cnt--;
}

bool lock_cancel(struct lock_table *t, uint64_t ticket)
{
	struct entry *e = waiter_find(t, ticket);
	struct object *o;

	if (!e)
		return false;
	o = e->object;
	waiter_remove(t, e);
	object_put(o);
	return true;
}

void lock_drop(struct lock_table *t, uint64_t key, enum lock_space space, uint64_t owner)
{
	struct object *o = object_find(t, key);

	if (!o)
		return;
	drop(t, o, space, owner);
	object_put(o);
}

bool lock_grant(struct lock_table *t, uint64_t *ret_ticket, int *ret_err)
{
	while (!list_is_empty(&t->freed)) {
		struct object *o = LIST_ENTRY(t->freed.next, struct object, in_freed);

		LIST_FOREACH(pos, &o->waiting) {
			struct entry *e = LIST_ENTRY(pos, struct entry, in_object);
			struct lock l = e->lock;

			if (find_conflict(o, &l))
				continue;
			*ret_ticket = e->ticket;
			/* Its own place serves for the lock. */
			waiter_remove(t, e);
			*ret_err = apply(t, o, &l);
			object_put(o);
			return true;
		}
		list_remove(&o->in_freed);
		object_put(o);
	}
	return false;
}

void lock_cnt(const struct lock_table *t, uint32_t *ret_set, uint32_t *ret_waiting)
{
	*ret_set = t->set_cnt;
	*ret_waiting = t->waiting_cnt;
}

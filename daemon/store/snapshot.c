/*
 * Snapshots of the metadata log: small files beside its segments, named INDEX-TERM.checkpoint as
 * Kafka names them. What is in them is their writer's.
 */
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool parse_name(const char *name, uint64_t *ret_index, uint64_t *ret_term)
{
	char again[64];
	unsigned long long index, term;

	if (sscanf(name, "%20llu-%10llu.checkpoint", &index, &term) != 2)
		return false;
	snprintf(again, sizeof(again), "%020llu-%010llu.checkpoint", index, term);
	if (strcmp(again, name))
		return false;
	*ret_index = index;
	*ret_term = term;
	return true;
}

/* The newest and the oldest snapshot below `below`, of one walk through the directory. */
struct search {
	bool found;
	uint64_t index, term, below, old_index, old_term;
};

static int look_at(void *ctx, const char *name)
{
	struct search *s = ctx;
	uint64_t index, term;

	if (!parse_name(name, &index, &term) || index >= s->below)
		return 0;
	if (!s->found || index > s->index) {
		s->index = index;
		s->term = term;
	}
	if (!s->found || index < s->old_index) {
		s->old_index = index;
		s->old_term = term;
	}
	s->found = true;
	return 0;
}

int store_last_snapshot(struct store *s, struct plog *p, uint64_t below, uint64_t *ret_index,
			uint64_t *ret_term)
{
	struct search found = { .below = below };
	int r = disk_list(s->disk, p->dir, look_at, &found);

	if (r)
		return r;
	if (!found.found)
		return -ENOENT;
	*ret_index = found.index;
	*ret_term = found.term;
	return 0;
}

static int drop(struct store *s, const char *path)
{
	int r = disk_unlink(s->disk, path);

	return r == -EISDIR ? disk_set_aside(s->disk, path) : r;
}

int store_drop_snapshots(struct store *s, struct plog *p, uint64_t index)
{
	for (;;) {
		struct search found = { .below = index };
		char path[TOPIC_DIR_MAX + 64];
		int r = disk_list(s->disk, p->dir, look_at, &found);

		if (r || !found.found)
			return r;
		snprintf(path, sizeof(path), "%s/%020llu-%010llu.checkpoint", p->dir,
			 (unsigned long long)found.old_index, (unsigned long long)found.old_term);
		r = drop(s, path);
		if (r)
			return r;
	}
}

/* One name of a snapshot that was never finished; what a listing walks over must not change. */
static int find_unfinished(void *ctx, const char *name)
{
	static const char end[] = ".checkpoint.new";
	size_t len = strlen(name);

	if (len <= strlen(end) || strcmp(name + len - strlen(end), end) || len >= 64)
		return 0;
	memcpy(ctx, name, len + 1);
	return 1;
}

int store_drop_unfinished(struct store *s, struct plog *p)
{
	char name[64], path[TOPIC_DIR_MAX + 66];
	int r;

	while ((r = disk_list(s->disk, p->dir, find_unfinished, name)) == 1) {
		snprintf(path, sizeof(path), "%s/%s", p->dir, name);
		r = drop(s, path);
		if (r)
			return r;
	}
	/* A directory for which there was no room yet holds nothing. */
	return r == -ENOENT ? 0 : r;
}

int store_raise_start(struct store *s, struct plog *p, int64_t offset, uint64_t pos)
{
	struct part *part = store_part_of(p);
	int r;

	if (part->raise != R_NONE || part->cleaning || offset <= p->start_offset)
		return 0;
	r = plog_roll(p, s->now_ms);
	if (r)
		return r;
	part->raise_offset = offset;
	part->raise_pos = pos;
	part->raise = R_SYNC;
	list_put(&s->raising, &part->raise_link);
	sync_begin(s, part);
	return 0;
}

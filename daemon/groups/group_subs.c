/*
 * Subscriptions: names, or a pattern. `known` of a subscription are the group's topics that it
 * wants, kept up to date when a topic or a subscription comes, so that nothing is matched when the
 * group settles. A topic that no subscription knows any more is forgotten once nobody holds
 * anything of it; until then what is known of it may be out of date, as its changes are not told.
 */
#include "daemon/base/fund.h"
#include "daemon/base/hash.h"
#include "daemon/groups/group_impl.h"

#include <errno.h>
#include <stdlib.h>

static int by_text(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static bool wants(const struct group_sub *sub, const char *name)
{
	if (sub->pattern)
		return pattern_is_match(sub->compiled, name);
	return bsearch(&name, sub->names, sub->name_cnt, sizeof(*sub->names), by_text);
}

bool group_wants(const struct group *g, const char *topic)
{
	LIST_FOREACH(pos, &g->subs)
		if (wants(LIST_ENTRY(pos, struct group_sub, node), topic))
			return true;
	return false;
}

static void sub_free(struct group_sub *sub)
{
	if (!sub)
		return;
	pattern_free(sub->compiled);
	free(sub->names);
	free(sub->known);
	free(sub);
}

static struct group_sub *sub_alloc(size_t text_len)
{
	struct group_sub *sub = calloc(1, sizeof(*sub) + text_len);

	if (sub) {
		list_init(&sub->node);
		sub->text_len = text_len;
		sub->is_due = true;
	}
	return sub;
}

static struct group_sub *pattern_new(const char *pattern)
{
	size_t len = strlen(pattern);
	struct group_sub *sub = sub_alloc(1 + len + 1);

	if (!sub)
		return NULL;
	/* No topic's name begins so: the texts of names and of patterns are never the same. */
	sub->text[0] = '^';
	memcpy(sub->text + 1, pattern, len + 1);
	sub->pattern = sub->text + 1;
	return sub;
}

static struct group_sub *names_new(const char *const *topics, uint32_t cnt)
{
	const char **names = malloc(cnt * sizeof(*names));
	struct group_sub *sub = NULL;
	uint32_t kept = 0;
	size_t len = 0;

	if (!names)
		return NULL;
	memcpy(names, topics, cnt * sizeof(*names));
	qsort(names, cnt, sizeof(*names), by_text);
	for (uint32_t i = 0; i < cnt; i++)
		if (!kept || strcmp(names[kept - 1], names[i])) {
			names[kept++] = names[i];
			len += strlen(names[i]) + 1;
		}
	sub = sub_alloc(len);
	if (!sub) {
		free(names);
		return NULL;
	}
	len = 0;
	for (uint32_t i = 0; i < kept; i++) {
		size_t one = strlen(names[i]) + 1;

		memcpy(sub->text + len, names[i], one);
		names[i] = sub->text + len;
		len += one;
	}
	sub->names = names;
	sub->name_cnt = kept;
	return sub;
}

static struct group_sub *find_same(const struct group *g, const struct group_sub *sub)
{
	LIST_FOREACH(pos, &g->subs) {
		struct group_sub *s = LIST_ENTRY(pos, struct group_sub, node);

		if (s->hash == sub->hash && s->text_len == sub->text_len &&
		    !memcmp(s->text, sub->text, s->text_len))
			return s;
	}
	return NULL;
}

static int known_reserve(struct group_sub *sub, uint32_t cnt)
{
	uint32_t cap = MAX(cnt, sub->known_cap * 2);
	struct group_topic **known;

	if (cnt <= sub->known_cap)
		return 0;
	known = realloc(sub->known, cap * sizeof(struct group_topic *));
	if (!known)
		return -ENOMEM;
	sub->known = known;
	sub->known_cap = cap;
	return 0;
}

/* Finds what the group knows of it already. */
static int know(struct group *g, struct group_sub *sub)
{
	int r = known_reserve(sub, sub->pattern ? g->topic_cnt : MIN(sub->name_cnt, g->topic_cnt));

	if (r)
		return r;
	for (uint32_t i = 0; i < g->topic_cnt; i++)
		if (wants(sub, g->topics[i]->name))
			sub->known[sub->known_cnt++] = g->topics[i];
	for (uint32_t i = 0; i < sub->known_cnt; i++)
		sub->known[i]->want_cnt++;
	return 0;
}

static int check_names(const struct group_join *j, char *ret_sentence)
{
	if (!j->pattern == !j->topic_cnt)
		return group_refuse(ret_sentence, -EINVAL,
				    "a member subscribes either by topics or by a pattern");
	if (j->topic_cnt > GROUP_TOPIC_MAX)
		return group_refuse(ret_sentence, -EINVAL,
				    "a member subscribes at most %u topics by name",
				    GROUP_TOPIC_MAX);
	for (uint32_t i = 0; i < j->topic_cnt; i++)
		if (!*j->topics[i] || strlen(j->topics[i]) > TOPIC_NAME_MAX)
			return group_refuse(ret_sentence, -EINVAL,
					    "a topic's name has 1 to %d bytes", TOPIC_NAME_MAX);
	return 0;
}

int group_sub_get(struct group *g, const struct group_join *j, struct group_sub **ret,
		  char *ret_sentence)
{
	struct group_sub *sub, *same;
	int r = check_names(j, ret_sentence);

	if (r)
		return r;
	sub = j->pattern ? pattern_new(j->pattern) : names_new(j->topics, j->topic_cnt);
	if (!sub)
		return -ENOMEM;
	sub->hash = hash_xxh3(sub->text, sub->text_len);
	same = find_same(g, sub);
	if (same) {
		sub_free(sub);
		same->ref_cnt++;
		*ret = same;
		return 0;
	}
	r = sub->pattern ? pattern_compile(sub->pattern, &sub->compiled, ret_sentence) : 0;
	if (!r)
		r = know(g, sub);
	if (r) {
		sub_free(sub);
		return r;
	}
	list_put(&g->subs, &sub->node);
	sub->ref_cnt = 1;
	*ret = sub;
	return 0;
}

void group_sub_put(struct group *g, struct group_sub *sub)
{
	if (!sub || --sub->ref_cnt)
		return;
	for (uint32_t i = 0; i < sub->known_cnt; i++)
		if (!--sub->known[i]->want_cnt)
			sub->known[i]->is_told = false;
	list_remove(&sub->node);
	sub_free(sub);
}

/* The first of the known topics whose name is not before this one. */
static uint32_t known_from(const struct group_sub *sub, const char *name)
{
	uint32_t lo = 0, hi = sub->known_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (strcmp(sub->known[mid]->name, name) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

static bool knows(const struct group_sub *sub, const struct group_topic *t)
{
	uint32_t i = known_from(sub, t->name);

	return i < sub->known_cnt && sub->known[i] == t;
}

bool group_subscribes(const struct group *g, uint32_t slot, const char *topic)
{
	const struct group_member *m = group_slot(g, slot);

	return m && wants(m->sub, topic);
}

const char *group_topic_at(const struct group *g, uint32_t slot, uint32_t idx)
{
	const struct group_member *m = group_slot(g, slot);

	return m && idx < m->sub->known_cnt ? m->sub->known[idx]->name : NULL;
}

/* ---- What members may read ---- */

/* The first of those denied whose address is not before this one. */
static uint32_t denied_from(const struct group_member *m, const struct group_topic *t)
{
	uint32_t lo = 0, hi = m->denied_cnt;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if ((uintptr_t)m->denied[mid] < (uintptr_t)t)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo;
}

bool group_member_may(const struct group_member *m, const struct group_topic *t)
{
	uint32_t i = denied_from(m, t);

	return i == m->denied_cnt || m->denied[i] != t;
}

bool group_member_wants(const struct group_member *m, const struct group_topic *t)
{
	return knows(m->sub, t) && group_member_may(m, t);
}

void group_on_access(struct group *g, uint32_t slot, const char *topic, bool may)
{
	struct group_member *m = group_slot(g, slot);
	struct group_topic *t = group_topic_find(g, topic);
	uint32_t i;

	if (!m || !t || !knows(m->sub, t) || group_member_may(m, t) == may)
		return;
	i = denied_from(m, t);
	if (may) {
		m->denied_cnt--;
		memmove(m->denied + i, m->denied + i + 1, (m->denied_cnt - i) * sizeof(*m->denied));
	} else {
		if (m->denied_cnt == m->denied_cap) {
			/* It is decided: somebody must not read it. */
			m->denied_cap = m->denied_cap ? m->denied_cap * 2 : 4;
			m->denied = fund_realloc(m->denied, m->denied_cap, sizeof(*m->denied));
		}
		memmove(m->denied + i + 1, m->denied + i, (m->denied_cnt - i) * sizeof(*m->denied));
		m->denied[i] = t;
		m->denied_cnt++;
	}
	g->needs_assign = true;
}

int group_subs_reserve(struct group *g, const char *name, uint32_t *ret_cnt)
{
	uint32_t cnt = 0;

	LIST_FOREACH(pos, &g->subs) {
		struct group_sub *sub = LIST_ENTRY(pos, struct group_sub, node);

		sub->is_hit = wants(sub, name);
		if (!sub->is_hit)
			continue;
		cnt++;
		if (known_reserve(sub, sub->known_cnt + 1))
			return -ENOMEM;
	}
	*ret_cnt = cnt;
	return 0;
}

void group_subs_add(struct group *g, struct group_topic *t)
{
	LIST_FOREACH(pos, &g->subs) {
		struct group_sub *sub = LIST_ENTRY(pos, struct group_sub, node);
		uint32_t i;

		if (!sub->is_hit)
			continue;
		ASSERT(sub->known_cnt < sub->known_cap);
		i = known_from(sub, t->name);
		memmove(sub->known + i + 1, sub->known + i,
			(sub->known_cnt - i) * sizeof(*sub->known));
		sub->known[i] = t;
		sub->known_cnt++;
		t->want_cnt++;
	}
}

bool group_topics_due(struct group *g, const char **ret_name)
{
	LIST_FOREACH(pos, &g->subs) {
		struct group_sub *sub = LIST_ENTRY(pos, struct group_sub, node);

		if (!sub->is_due)
			continue;
		for (uint32_t i = 0; i < sub->name_cnt; i++) {
			const struct group_topic *t = group_topic_find(g, sub->names[i]);

			if (!t || !t->is_told) {
				*ret_name = sub->names[i];
				return true;
			}
		}
		sub->is_due = false;
		if (sub->pattern) {
			*ret_name = NULL;
			return true;
		}
	}
	return false;
}

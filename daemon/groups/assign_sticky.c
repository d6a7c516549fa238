/*
 * The sticky strategies where all subscribe to the same: everybody can have everything, so only the
 * numbers count. Of N partitions and M members, N mod M have one more than N / M, those first that
 * own more than that now; everybody keeps up to that number, and what is left is dealt round.
 */
#include "daemon/groups/assign_impl.h"

#include <errno.h>
#include <stdbool.h>

/* Whether all who subscribe to anything (topics without partitions aside) subscribe to the same;
 * then they are the subscribers of *ret_topic. */
static bool is_even(const struct assign_problem *x, bool *is_busy, uint32_t *ret_topic)
{
	uint32_t busy_cnt = 0, sample = 0;

	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		if (assign_part_cnt(x, t) == 0)
			continue;
		for (uint32_t i = x->sub_first[t]; i < x->sub_first[t + 1]; i++) {
			busy_cnt += !is_busy[x->subs[i]];
			is_busy[x->subs[i]] = true;
			sample = t;
		}
	}
	if (busy_cnt == 0)
		return false;
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		uint32_t sub_cnt = assign_sub_cnt(x, t);

		if (assign_part_cnt(x, t) != 0 && sub_cnt != 0 && sub_cnt != busy_cnt)
			return false;
	}
	*ret_topic = sample;
	return true;
}

int assign_sticky(struct assign_problem *x)
{
	bool *is_busy = assign_take(x, x->member_cnt, sizeof(*is_busy));
	uint32_t t;

	if (!is_busy)
		return -ENOMEM;
	if (is_even(x, is_busy, &t))
		return assign_even(x, x->subs + x->sub_first[t], assign_sub_cnt(x, t));
	return assign_flow(x);
}

/* The partitions that are to be had, those with small numbers first: what members keep is then
 * spread over the topics. */
static int by_number(struct assign_problem *x, uint32_t **ret_parts, uint32_t *ret_cnt)
{
	uint32_t longest = 0, cnt = 0, *begin, *parts;

	for (uint32_t t = 0; t < x->topic_cnt; t++)
		longest = MAX(longest, assign_part_cnt(x, t));
	begin = assign_take(x, (size_t)longest + 1, sizeof(*begin));
	parts = assign_take(x, x->part_cnt, sizeof(*parts));
	if (!begin || !parts)
		return -ENOMEM;
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		for (uint32_t i = 0; assign_sub_cnt(x, t) && i < assign_part_cnt(x, t); i++)
			begin[i + 1]++;
	}
	for (uint32_t i = 0; i < longest; i++)
		begin[i + 1] += begin[i];
	cnt = begin[longest];
	for (uint32_t t = 0; t < x->topic_cnt; t++) {
		for (uint32_t i = 0; assign_sub_cnt(x, t) && i < assign_part_cnt(x, t); i++)
			parts[begin[i]++] = x->first[t] + i;
	}
	*ret_parts = parts;
	*ret_cnt = cnt;
	return 0;
}

/* The next partition from p on that somebody could have and nobody has. */
static uint32_t next_free(const struct assign_problem *x, uint32_t p)
{
	while (p < x->part_cnt && (x->owner[p] != ASSIGN_NONE || !assign_sub_cnt(x, x->topic[p])))
		p++;
	return p;
}

/* Round and round among those with less than `share`, as long as there are some; then one more for
 * each who has `share`, those who kept it first. line is scratch space for all members. */
static void deal(struct assign_problem *x, const uint32_t *members, uint32_t member_cnt,
		 uint32_t share, uint32_t *load, uint32_t *line)
{
	uint32_t low_cnt = 0, full_cnt = 0, *low = line, *full = line + member_cnt;
	uint32_t p = next_free(x, 0);

	for (uint32_t i = 0; i < member_cnt; i++) {
		if (load[members[i]] < share)
			low[low_cnt++] = members[i];
		else if (load[members[i]] == share)
			full[full_cnt++] = members[i];
	}
	while (low_cnt) {
		uint32_t still = 0;

		for (uint32_t i = 0; i < low_cnt; i++) {
			ASSERT(p < x->part_cnt);
			x->owner[p] = low[i];
			p = next_free(x, p + 1);
			if (++load[low[i]] < share)
				low[still++] = low[i];
			else
				full[full_cnt++] = low[i];
		}
		low_cnt = still;
	}
	for (uint32_t i = 0; p < x->part_cnt; i++) {
		ASSERT(i < full_cnt);
		x->owner[p] = full[i];
		load[full[i]]++;
		p = next_free(x, p + 1);
	}
}

int assign_even(struct assign_problem *x, const uint32_t *members, uint32_t member_cnt)
{
	uint32_t *load = assign_take(x, x->member_cnt, sizeof(*load));
	uint32_t *quota = assign_take(x, x->member_cnt, sizeof(*quota));
	uint32_t *line = assign_take(x, (size_t)member_cnt * 2, sizeof(*line));
	uint32_t *parts = NULL, part_cnt = 0, share, longer;
	int err;

	PRE(member_cnt > 0);
	if (!load || !quota || !line)
		return -ENOMEM;
	err = by_number(x, &parts, &part_cnt);
	if (err)
		return err;
	share = part_cnt / member_cnt;
	longer = part_cnt % member_cnt;
	for (uint32_t i = 0; i < part_cnt; i++) {
		if (x->home[parts[i]] != ASSIGN_NONE)
			load[x->home[parts[i]]]++;
	}
	/* From the last, as it happens to come out in the example of Kafka's test. */
	for (uint32_t i = member_cnt; i-- > 0;) {
		quota[members[i]] = share + (load[members[i]] > share && longer > 0);
		longer -= quota[members[i]] > share;
		load[members[i]] = 0;
	}
	for (uint32_t i = 0; i < part_cnt; i++) {
		uint32_t home = x->home[parts[i]];

		if (home != ASSIGN_NONE && load[home] < quota[home]) {
			x->owner[parts[i]] = home;
			load[home]++;
		}
	}
	deal(x, members, member_cnt, share, load, line);
	return 0;
}

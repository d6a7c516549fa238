/*
 * What the unit tests of a group share: a group under test, members that are called by letters, and
 * words for what is done with them.
 */
#ifndef TOPICFS_TESTS_GROUP_FIXTURE_H
#define TOPICFS_TESTS_GROUP_FIXTURE_H

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/groups/group.h"

static const uint8_t group_uuid[16] = "the group's id";
static const uint8_t orders[16] = "orders' id";
static const uint8_t bills[16] = "bills' id";
static const uint8_t other_orders[16] = "another id";

static const struct group_settings settings = {
	.strategy = ASSIGN_COOPERATIVE_STICKY,
	.session_timeout_ms = 45000,
	.rebalance_timeout_ms = 60000,
	.max_poll_interval_ms = 300000,
};

static struct group *g;
static char sentence[GROUP_SENTENCE_LEN];
/* Owners are places in here: 'a' owns &owners['a']. */
static char owners[128];

static inline int setup(void **state)
{
	g = group_new("billing", group_uuid, &settings);
	assert_non_null(g);
	return 0;
}

static inline int teardown(void **state)
{
	group_free(g);
	g = NULL;
	return 0;
}

/* ---- Words of the tests ---- */

#define JOIN_BY(strategy_, session_, ...)                                                          \
	((struct group_join){ .strategy = (strategy_),                                             \
			      .session_timeout_ms = (session_),                                    \
			      .rebalance_timeout_ms = -1,                                          \
			      .max_poll_interval_ms = -1,                                          \
			      __VA_ARGS__ })
#define JOIN(...) JOIN_BY(-1, -1, __VA_ARGS__)

static const char *const topic_orders[] = { "orders" };
static const char *const topic_both[] = { "orders", "bills" };

static inline int try_join(char owner, struct group_join j, uint32_t *ret)
{
	j.owner = &owners[(int)owner];
	if (!j.pattern && !j.topics) {
		j.topics = topic_orders;
		j.topic_cnt = 1;
	}
	return group_join(g, 0, &j, ret, sentence);
}

static inline uint32_t join(char owner, struct group_join j)
{
	uint32_t slot = GROUP_NONE;

	assert_int_equal(try_join(owner, j, &slot), 0);
	assert_string_equal(sentence, "");
	return slot;
}

static inline uint32_t stream(char owner)
{
	return join(owner, JOIN(.is_stream = true));
}

static inline void topic(const char *name, const uint8_t id[16], uint32_t part_cnt)
{
	assert_int_equal(group_on_topic(g, name, id, part_cnt), 0);
}

static inline void settle_at(int64_t now_ms)
{
	assert_int_equal(group_settle(g, now_ms), 0);
	assert_false(group_is_unsettled(g));
	if (group_is_unwritten(g))
		group_on_written(g);
	assert_false(group_is_unwritten(g));
}

static inline void settle(void)
{
	settle_at(0);
}

/* "orders:0,1 bills:0*": what a member holds, the star where it leaves. */
static inline const char *held(uint32_t slot)
{
	static char text[4096];
	struct group_share s[64];
	uint32_t cnt = group_shares(g, slot, s, ARRAY_CNT(s));
	size_t len = 0;

	text[0] = '\0';
	for (uint32_t i = 0; i < cnt; i++) {
		bool is_same = i && !strcmp(s[i - 1].topic, s[i].topic);

		assert_int_equal(s[i].holder, slot);
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%s%s%s%u%s",
					is_same ? ","
					: i	? " "
						: "",
					is_same ? "" : s[i].topic, is_same ? "" : ":",
					s[i].partition, s[i].leaving ? "*" : "");
	}
	return text;
}

static inline void given(uint32_t slot, uint32_t partition, int64_t off)
{
	group_on_given(g, slot, orders, partition, off);
}

static inline void dealt(uint32_t slot, uint32_t partition, int64_t off)
{
	group_on_dealt(g, slot, orders, partition, off);
}

/* The next event, as "a assigned". */
static inline const char *event(void)
{
	static const char *const kinds[] = { "none", "assigned", "expelled", "fenced" };
	static char text[64];
	struct group_event e;

	group_next_event(g, &e);
	if (e.kind == GROUP_EVENT_NONE)
		return "none";
	snprintf(text, sizeof(text), "%c %s", (int)((char *)e.owner - owners), kinds[e.kind]);
	assert_true(e.kind == GROUP_EVENT_ASSIGNED || *e.why);
	return text;
}

static inline void no_events(void)
{
	while (strcmp(event(), "none"))
		;
}

static inline const char *state(void)
{
	return group_state_name(group_state(g));
}

static inline const char *id_of(uint32_t slot)
{
	struct group_member_view v;

	assert_true(group_member_get(g, slot, &v));
	return v.id;
}

/* A stream has been given records of all its partitions up to off. */
static inline void give_all(uint32_t slot, int64_t off)
{
	struct group_share s[64];
	uint32_t cnt = group_shares(g, slot, s, ARRAY_CNT(s));

	for (uint32_t i = 0; i < cnt; i++)
		if (!s[i].leaving)
			group_on_given(g, slot, s[i].topic_id, s[i].partition, off);
}

/* Ticks at the deadlines until now, as the coordinator does. */
static inline void tick_until(int64_t now_ms)
{
	while (group_deadline_ms(g) <= now_ms)
		group_tick(g, group_deadline_ms(g));
}

static inline void put_offset(const uint8_t id[16], uint32_t partition, int64_t offset,
			      const char *meta)
{
	struct group_offset o = { .partition = partition,
				  .offset = offset,
				  .leader_epoch = 3,
				  .commit_ms = 1000,
				  .delivered_off = -1,
				  .metadata = meta,
				  .metadata_len = (uint32_t)strlen(meta) };

	memcpy(o.topic_id, id, 16);
	assert_int_equal(group_offset_put(g, &o), 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif

/*
 * Keys and values of __consumer_offsets. The first byte says what the rest is. What decodes encodes
 * to the same; a state that was loaded is one whose record loads to the same, and that settles.
 */
#include "daemon/groups/group_record.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static const struct group_settings settings = {
	.strategy = ASSIGN_COOPERATIVE_STICKY,
	.session_timeout_ms = 45000,
	.rebalance_timeout_ms = 60000,
	.max_poll_interval_ms = 300000,
};
static const uint8_t group_uuid[16] = "the group's id";

static bool is_refused(int r)
{
	CHECK(!r || r == -EBADMSG || r == -EPROTONOSUPPORT);
	return r;
}

static void check_key(const uint8_t *data, size_t len)
{
	uint8_t again[GROUP_KEY_LEN_MAX];
	struct group_key k;

	if (is_refused(group_key_decode(data, len, &k)))
		return;
	CHECK(fuzz_equal(again, group_key_encode(&k, again), data, len));
}

static void check_offset(const uint8_t *data, size_t len)
{
	struct group_offset o = { .partition = 7 };
	struct buf b;

	if (is_refused(group_offset_decode(data, len, &o)))
		return;
	CHECK(o.partition == 7);
	buf_init(&b);
	group_offset_encode(&o, &b);
	CHECK(!buf_err(&b) && fuzz_equal(b.data, b.len, data, len));
	buf_fini(&b);
}

static void check_intent(const uint8_t *data, size_t len)
{
	struct group_intent i;
	struct buf b;

	if (is_refused(group_intent_decode(data, len, &i)))
		return;
	buf_init(&b);
	group_intent_encode(&i, &b);
	CHECK(!buf_err(&b) && fuzz_equal(b.data, b.len, data, len));
	buf_fini(&b);
}

static struct group *new_group(void)
{
	struct group *g = group_new("fuzzed", group_uuid, &settings);

	CHECK(g);
	return g;
}

/* What g says of itself, loaded into another group, is what that says of itself. */
static void check_again(const struct group *g, struct buf *first)
{
	struct group *again = new_group();
	struct buf b;

	buf_reset(first);
	group_state_encode(g, 1, 2, first);
	CHECK(!buf_err(first));
	CHECK(!group_state_load(again, first->data, first->len, 0));
	CHECK(group_generation(again) == group_generation(g));
	CHECK(group_member_cnt(again) == group_member_cnt(g));
	buf_init(&b);
	group_state_encode(again, 1, 2, &b);
	CHECK(!buf_err(&b) && fuzz_equal(b.data, b.len, first->data, first->len));
	buf_fini(&b);
	group_free(again);
}

static void check_state(const uint8_t *data, size_t len)
{
	struct group *g = new_group();
	struct group_member_view v;
	struct buf b;

	buf_init(&b);
	if (!is_refused(group_state_load(g, data, len, 0))) {
		uint64_t generation = group_generation(g);

		for (v.slot = GROUP_NONE; group_member_next(g, v.slot, &v);)
			CHECK(v.liveness == GROUP_AWAY && v.instance && !v.owner);
		check_again(g, &b);
		CHECK(!group_settle(g, 0));
		CHECK(group_state(g) == (group_member_cnt(g) ? GROUP_STABLE : GROUP_EMPTY));
		if (group_is_unwritten(g))
			group_on_written(g);
		CHECK(group_generation(g) >= generation);
		/* Larger ones are not read. */
		if (group_generation(g) <= INT64_MAX)
			check_again(g, &b);
		/* Nobody comes back. */
		while (group_deadline_ms(g) < INT64_MAX)
			group_tick(g, group_deadline_ms(g));
		for (v.slot = GROUP_NONE; group_member_next(g, v.slot, &v);)
			CHECK(v.session_timeout_ms == INT64_MAX);
	}
	buf_fini(&b);
	group_free(g);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	uint8_t *copy;

	if (!len)
		return 0;
	copy = fuzz_copy(data + 1, len - 1);
	switch (*data % 4) {
	case 0:
		check_key(copy, len - 1);
		break;
	case 1:
		check_offset(copy, len - 1);
		break;
	case 2:
		check_intent(copy, len - 1);
		break;
	default:
		check_state(copy, len - 1);
		break;
	}
	free(copy);
	return 0;
}

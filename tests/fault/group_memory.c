/*
 * Memory runs out under a group: each allocation of each call fails once. The call says -ENOMEM and
 * the group is what it was; done again with memory it does what it does where nothing failed.
 */
#include "daemon/groups/group_record.h"
#include "tests/lib/group_fixture.h"
#include "tests/lib/simmemory.h"

/* ---- A group in the middle of its life ---- */

/* A record of another state of it, to be loaded. */
static struct buf record;

static void begin(void)
{
	assert_int_equal(setup(NULL), 0);
	join('a', JOIN(.is_stream = true));
	group_leave(g, 0, join('b', JOIN(.instance = "one", .pattern = "o.*")));
	topic("orders", orders, 3);
	settle();
	put_offset(orders, 0, 5, "note");
}

static void everything(struct buf *out)
{
	buf_reset(out);
	group_state_encode(g, 1, 1, out);
	for (uint32_t i = 0; i < group_offset_cnt(g); i++)
		group_offset_encode(group_offset_at(g, i), out);
	buf_put_u8(out, (uint8_t)group_state(g));
	buf_put_u8(out, group_is_unsettled(g));
	buf_put_le32(out, group_member_cnt(g));
	buf_put_le64(out, (uint64_t)group_deadline_ms(g));
	buf_put_u8(out, group_wants(g, "bills"));
	assert_int_equal(buf_err(out), 0);
}

static void check_call(void (*prepare)(void), int (*call)(void))
{
	struct buf before = { 0 }, after = { 0 }, expected = { 0 };
	unsigned n = 0;
	int r;

	begin();
	prepare();
	assert_int_equal(call(), 0);
	everything(&expected);
	teardown(NULL);
	do {
		begin();
		prepare();
		everything(&before);
		simmemory_fail(++n);
		r = call();
		simmemory_fail(0);
		everything(&after);
		if (r) {
			assert_int_equal(r, -ENOMEM);
			assert_int_equal(after.len, before.len);
			assert_memory_equal(after.data, before.data, before.len);
			assert_int_equal(call(), 0);
			everything(&after);
		}
		assert_int_equal(after.len, expected.len);
		assert_memory_equal(after.data, expected.data, expected.len);
		teardown(NULL);
	} while (r);
	/* It did need memory. */
	assert_true(n > 1);
	buf_fini(&before);
	buf_fini(&after);
	buf_fini(&expected);
}

/* ---- The calls ---- */

static void nothing(void)
{
}

static void fill_slots(void)
{
	join('x', JOIN());
	join('y', JOIN());
}

static int join_names(void)
{
	uint32_t slot;

	return try_join('c', JOIN(.topics = topic_both, .topic_cnt = 2), &slot);
}

static int join_pattern(void)
{
	uint32_t slot;

	return try_join('c', JOIN(.pattern = "[ob].*"), &slot);
}

static int take_over(void)
{
	uint32_t slot;

	return try_join('c', JOIN(.instance = "one", .topics = topic_both, .topic_cnt = 2), &slot);
}

static int resubscribe(void)
{
	struct group_join j = JOIN(.pattern = "b.*");

	return group_resubscribe(g, 0, 0, &j, sentence);
}

static void subscribe_both(void)
{
	assert_int_equal(join_names(), 0);
	assert_int_equal(join_pattern(), 0);
}

static int new_topic(void)
{
	return group_on_topic(g, "bills", bills, 2);
}

static int grow_topic(void)
{
	return group_on_topic(g, "orders", orders, 7);
}

static int replace_topic(void)
{
	return group_on_topic(g, "orders", other_orders, 2);
}

static int settle_once(void)
{
	return group_settle(g, 0);
}

static int reserve(void)
{
	struct group_offset o[40] = { 0 };

	for (uint32_t i = 0; i < ARRAY_CNT(o); i++)
		o[i] = (struct group_offset){ .partition = i, .metadata = "" };
	return group_offset_reserve(g, o, ARRAY_CNT(o));
}

static int put(void)
{
	struct group_offset o = { .partition = 9, .metadata = "x", .metadata_len = 1 };

	return group_offset_put(g, &o);
}

static void only_the_static(void)
{
	group_leave(g, 0, 0);
	settle();
	no_events();
}

static int load(void)
{
	return group_state_load(g, record.data, record.len, 0);
}

static void test_joining(void **state_)
{
	check_call(nothing, join_names);
	check_call(fill_slots, join_names);
	check_call(nothing, join_pattern);
	check_call(nothing, take_over);
	check_call(nothing, resubscribe);
}

static void test_topics(void **state_)
{
	check_call(subscribe_both, new_topic);
	check_call(nothing, grow_topic);
	check_call(nothing, replace_topic);
}

static void test_settling(void **state_)
{
	check_call(subscribe_both, settle_once);
}

static void test_offsets(void **state_)
{
	check_call(nothing, reserve);
	check_call(nothing, put);
}

static void test_loading(void **state_)
{
	begin();
	join('c', JOIN(.instance = "two", .topics = topic_both, .topic_cnt = 2));
	join('d', JOIN(.instance = "three", .pattern = "[a-z]*"));
	topic("bills", bills, 5);
	settle();
	group_state_encode(g, 1, 1, &record);
	assert_int_equal(buf_err(&record), 0);
	teardown(NULL);
	check_call(only_the_static, load);
	buf_fini(&record);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_joining),	 cmocka_unit_test(test_topics),
		cmocka_unit_test(test_settling), cmocka_unit_test(test_offsets),
		cmocka_unit_test(test_loading),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

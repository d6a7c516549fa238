#include "tests/lib/group_fixture.h"

/* ---- Membership and assignment ---- */

static void test_a_group_begins_empty(void **state_)
{
	assert_string_equal(state(), "Empty");
	assert_int_equal(group_generation(g), 0);
	assert_false(group_is_unsettled(g));
	assert_false(group_is_unwritten(g));
	assert_int_equal(group_deadline_ms(g), INT64_MAX);
	assert_string_equal(event(), "none");
}

static void test_the_first_member_is_given_all(void **state_)
{
	uint32_t a = stream('a');

	assert_string_equal(state(), "PreparingRebalance");
	topic("orders", orders, 3);
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0,1,2");
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(event(), "a assigned");
	assert_string_equal(event(), "none");
}

static void test_nobody_holds_what_is_not_written(void **state_)
{
	uint32_t a = stream('a');

	topic("orders", orders, 2);
	assert_int_equal(group_settle(g, 0), 0);
	assert_true(group_is_unwritten(g));
	assert_string_equal(held(a), "");
	assert_false(group_holds(g, a, orders, 0, NULL));
	assert_int_equal(group_generation(g), 0);
	assert_string_equal(event(), "none");
	group_on_written(g);
	assert_string_equal(held(a), "orders:0,1");
	assert_true(group_holds(g, a, orders, 0, NULL));
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(event(), "a assigned");
}

static void test_what_was_not_told_moves_at_once(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	assert_int_equal(group_settle(g, 0), 0);
	b = stream('b');
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
	assert_int_equal(group_generation(g), 2);
}

static void test_a_member_without_partitions_is_a_generation(void **state_)
{
	uint32_t a = stream('a');

	settle();
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(held(a), "");
	assert_string_equal(state(), "Stable");
	assert_string_equal(event(), "a assigned");
}

static void test_a_partition_that_was_not_given_moves_at_once(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	given(a, 0, 5);
	b = stream('b');
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
}

static void test_a_stream_hands_over_what_it_has_dealt_with(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	assert_string_equal(state(), "CompletingRebalance");
	assert_int_equal(group_generation(g), 2);
	assert_string_equal(held(a), "orders:0,1*");
	assert_string_equal(held(b), "");
	dealt(a, 1, 4);
	assert_false(group_is_unsettled(g));
	dealt(a, 1, 5);
	assert_true(group_is_unsettled(g));
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
	assert_int_equal(group_generation(g), 3);
	assert_int_equal(group_rebalance_cnt(g), 2);
}

static void test_a_record_half_given_is_dealt_with_first(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	given(a, 1, 6);
	dealt(a, 1, 5);
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	dealt(a, 1, 6);
	settle();
	assert_string_equal(held(b), "orders:1");
}

static void test_a_waiting_stream_has_dealt_with_all(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 4);
	settle();
	give_all(a, 5);
	group_on_wait(g, 0, a);
	b = stream('b');
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0,1");
	assert_string_equal(held(b), "orders:2,3");
}

static void test_waiting_hands_over_what_leaves(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	assert_string_equal(held(b), "");
	group_on_wait(g, 0, a);
	settle();
	assert_string_equal(held(b), "orders:1");
}

static void test_a_seek_makes_void_what_was_given(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	group_on_seek(g, a, orders, 1);
	settle();
	assert_string_equal(held(b), "orders:1");
}

static void test_a_member_of_join_hands_over_behind_the_line(void **state_)
{
	uint32_t a = join('a', JOIN(.client_id = "worker")), b;

	topic("orders", orders, 2);
	settle();
	assert_int_equal(group_line_generation(g, a), 0);
	group_on_line_given(g, a);
	assert_int_equal(group_line_generation(g, a), 1);
	b = join('b', JOIN());
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	/* It reads behind the line of generation 1, which gave it both. */
	group_on_line_dealt(g, 0, a);
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	group_on_line_given(g, a);
	assert_int_equal(group_line_generation(g, a), 2);
	assert_false(group_is_unsettled(g));
	group_on_line_dealt(g, 0, a);
	settle();
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
	assert_int_equal(group_generation(g), 3);
}

static void test_a_member_of_join_without_a_line_hands_over_at_once(void **state_)
{
	uint32_t a = join('a', JOIN()), b;

	topic("orders", orders, 2);
	settle();
	b = join('b', JOIN());
	settle();
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
}

static void test_a_partition_may_come_back_while_it_leaves(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	group_leave(g, 0, b);
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_string_equal(state(), "Stable");
	assert_int_equal(group_generation(g), 3);
	/* Nothing of it was void meanwhile. */
	struct group_share s;

	assert_true(group_holds(g, a, orders, 1, &s));
	assert_int_equal(s.given, 5);
}

static void test_what_leaves_goes_to_the_newest_target(void **state_)
{
	uint32_t a = stream('a'), b, c;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	group_leave(g, 0, b);
	c = stream('c');
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	dealt(a, 1, 5);
	settle();
	assert_string_equal(held(c), "orders:1");
}

static void test_a_third_member_moves_nothing_that_is_on_its_way(void **state_)
{
	uint32_t a = stream('a'), b, c;
	struct group_share s[8];
	uint32_t to_b = 0, to_c = 0;

	topic("orders", orders, 6);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	assert_string_equal(held(a), "orders:0,1,2,3*,4*,5*");
	c = stream('c');
	settle();
	for (uint32_t i = 0; i < group_shares(g, a, s, 8); i++) {
		to_b += s[i].leaving && s[i].target == b && s[i].partition >= 3;
		to_c += s[i].leaving && s[i].target == c;
	}
	assert_int_equal(to_b, 2);
	assert_int_equal(to_c, 2);
	group_on_wait(g, 0, a);
	settle();
	assert_int_equal(group_shares(g, b, NULL, 0), 2);
	assert_int_equal(group_shares(g, c, NULL, 0), 2);
}

static void test_what_does_not_move_is_not_touched(void **state_)
{
	uint32_t a = stream('a'), b = stream('b'), leaving = 0;
	struct group_share s;

	topic("orders", orders, 4);
	settle();
	give_all(a, 7);
	give_all(b, 7);
	stream('c');
	settle();
	for (uint32_t p = 0; p < 4; p++) {
		assert_true(group_holds(g, a, orders, p, &s) || group_holds(g, b, orders, p, &s));
		assert_int_equal(s.given, 7);
		leaving += s.leaving;
	}
	assert_int_equal(leaving, 1);
}

static void test_leaving_gives_to_the_others(void **state_)
{
	uint32_t a = stream('a'), b = stream('b');

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	group_leave(g, 0, a);
	assert_false(group_holds(g, a, orders, 0, NULL));
	settle();
	assert_string_equal(held(b), "orders:0,1");
	assert_int_equal(group_member_cnt(g), 1);
	group_leave(g, 0, b);
	assert_string_equal(state(), "PreparingRebalance");
	settle();
	assert_string_equal(state(), "Empty");
	assert_int_equal(group_generation(g), 3);
}

static void test_range_moves_by_the_same_rules(void **state_)
{
	uint32_t b = join('b', JOIN_BY(ASSIGN_RANGE, -1, .is_stream = true, .member_id = "b")), a;

	topic("orders", orders, 3);
	settle();
	give_all(b, 5);
	a = join('a', JOIN(.is_stream = true, .member_id = "a"));
	settle();
	assert_int_equal(group_strategy(g), ASSIGN_RANGE);
	assert_string_equal(held(b), "orders:0*,1*,2");
	group_on_wait(g, 0, b);
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_string_equal(held(b), "orders:2");
}

static void test_members_are_ordered_by_instance_then_by_id(void **state_)
{
	uint32_t m = join('m', JOIN_BY(ASSIGN_RANGE, -1, .is_stream = true, .member_id = "a")),
		 i = join('i', JOIN(.is_stream = true, .instance = "z"));

	topic("orders", orders, 2);
	settle();
	assert_string_equal(held(i), "orders:0");
	assert_string_equal(held(m), "orders:1");
}

static void test_several_topics_and_subscriptions(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .topics = topic_both, .topic_cnt = 2)), b;

	topic("orders", orders, 2);
	topic("bills", bills, 2);
	settle();
	assert_string_equal(held(a), "bills:0,1 orders:0,1");
	b = stream('b');
	settle();
	assert_string_equal(held(a), "bills:0,1");
	assert_string_equal(held(b), "orders:0,1");
}

static void test_another_subscription_gives_up_the_old_one(void **state_)
{
	uint32_t a = stream('a');
	struct group_join j = JOIN(.topics = (const char *const[]){ "bills" }, .topic_cnt = 1);

	topic("orders", orders, 1);
	settle();
	give_all(a, 5);
	assert_int_equal(group_resubscribe(g, 0, a, &j, sentence), 0);
	assert_false(group_wants(g, "orders"));
	topic("bills", bills, 1);
	settle();
	assert_string_equal(held(a), "bills:0 orders:0*");
	dealt(a, 0, 5);
	settle();
	assert_string_equal(held(a), "bills:0");
	assert_string_equal(state(), "Stable");
}

static void test_the_same_subscription_again_changes_nothing(void **state_)
{
	uint32_t a = join('a', JOIN());
	struct group_join j = JOIN(.topics = topic_orders, .topic_cnt = 1);

	topic("orders", orders, 1);
	settle();
	assert_int_equal(group_resubscribe(g, 0, a, &j, sentence), 0);
	settle();
	assert_int_equal(group_generation(g), 1);
	assert_int_equal(group_rebalance_cnt(g), 1);
}

/* ---- Topics ---- */

static void test_a_topic_that_grows_is_shared_anew(void **state_)
{
	uint32_t a = stream('a'), b = stream('b');
	struct group_share s;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	topic("orders", orders, 2);
	assert_false(group_is_unsettled(g));
	topic("orders", orders, 4);
	settle();
	assert_string_equal(held(a), "orders:0,2");
	assert_string_equal(held(b), "orders:1,3");
	assert_true(group_holds(g, a, orders, 0, &s));
	assert_int_equal(s.given, 5);
	assert_int_equal(group_generation(g), 2);
}

static void test_a_deleted_topic_is_held_by_nobody(void **state_)
{
	uint32_t a = stream('a');

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	topic("orders", orders, 0);
	assert_false(group_holds(g, a, orders, 0, NULL));
	settle();
	assert_string_equal(held(a), "");
	assert_string_equal(state(), "Stable");
	assert_int_equal(group_generation(g), 2);
	assert_int_equal(group_member_cnt(g), 1);
	topic("orders", other_orders, 1);
	settle();
	assert_string_equal(held(a), "orders:0");
}

static void test_a_topic_made_again_is_another(void **state_)
{
	uint32_t a = stream('a');
	struct group_share s;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	topic("orders", other_orders, 2);
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_false(group_holds(g, a, orders, 0, NULL));
	assert_true(group_holds(g, a, other_orders, 0, &s));
	assert_int_equal(s.given, -1);
}

static void test_topics_are_asked_for_once(void **state_)
{
	const char *name;

	assert_false(group_topics_due(g, &name));
	join('a', JOIN(.topics = topic_both, .topic_cnt = 2));
	assert_true(group_topics_due(g, &name));
	assert_string_equal(name, "bills");
	topic("bills", bills, 0);
	assert_true(group_topics_due(g, &name));
	assert_string_equal(name, "orders");
	topic("orders", orders, 1);
	assert_false(group_topics_due(g, &name));
	stream('b');
	assert_false(group_topics_due(g, &name));
	join('c', JOIN(.pattern = "o.*"));
	assert_true(group_topics_due(g, &name));
	assert_null(name);
	assert_false(group_topics_due(g, &name));
	join('d', JOIN(.pattern = "o.*"));
	assert_false(group_topics_due(g, &name));
}

static void test_what_nobody_wanted_for_a_while_is_asked_for_again(void **state_)
{
	uint32_t a = stream('a'), b;
	const char *name;

	topic("orders", orders, 1);
	settle();
	give_all(a, 5);
	struct group_join j = JOIN(.topics = (const char *const[]){ "bills" }, .topic_cnt = 1);

	assert_int_equal(group_resubscribe(g, 0, a, &j, sentence), 0);
	topic("bills", bills, 1);
	settle();
	b = stream('b');
	assert_true(group_topics_due(g, &name));
	assert_string_equal(name, "orders");
	topic("orders", other_orders, 1);
	settle();
	assert_true(group_holds(g, b, other_orders, 0, NULL));
	assert_string_equal(held(a), "bills:0");
}

static void test_patterns_match_whole_names(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .pattern = "ord|orders"));

	assert_true(group_wants(g, "orders"));
	assert_true(group_wants(g, "ord"));
	assert_false(group_wants(g, "orders2"));
	assert_false(group_wants(g, "my-ord"));
	topic("orders2", bills, 1);
	topic("orders", orders, 1);
	settle();
	assert_string_equal(held(a), "orders:0");
}

static void test_patterns_that_cost_too_much_are_refused(void **state_)
{
	static const char *const bad[] = {
		"(a*)\\1",  "((a{1,99}){1,99}){1,99}",
		"(",	    "((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+",
		"a{70000}", "x{99999999999999999999}",
		""
	};
	uint32_t slot;

	for (size_t i = 0; i < ARRAY_CNT(bad); i++) {
		assert_int_equal(try_join('a', JOIN(.pattern = bad[i]), &slot), -EINVAL);
		assert_string_not_equal(sentence, "");
	}
	assert_int_equal(group_member_cnt(g), 0);
	assert_false(group_is_unsettled(g));
	join('a', JOIN(.pattern = "[a-z]{1,20}\\.log"));
}

/* ---- Size ---- */

static void test_many_members_settle(void **state_)
{
	enum { MEMBERS = 500, PARTS = 1000 };
	static uint32_t slots[MEMBERS];
	uint32_t total = 0;

	for (uint32_t i = 0; i < MEMBERS; i++)
		slots[i] = stream('a');
	topic("orders", orders, PARTS);
	settle();
	for (uint32_t i = 0; i < MEMBERS; i++)
		assert_int_equal(group_shares(g, slots[i], NULL, 0), 2);
	for (uint32_t i = 0; i < MEMBERS; i += 2)
		group_leave(g, 0, slots[i]);
	settle();
	for (uint32_t i = 1; i < MEMBERS; i += 2)
		total += group_shares(g, slots[i], NULL, 0);
	assert_int_equal(total, PARTS);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_a_group_begins_empty),
		CASE(test_the_first_member_is_given_all),
		CASE(test_nobody_holds_what_is_not_written),
		CASE(test_what_was_not_told_moves_at_once),
		CASE(test_a_member_without_partitions_is_a_generation),
		CASE(test_a_partition_that_was_not_given_moves_at_once),
		CASE(test_a_stream_hands_over_what_it_has_dealt_with),
		CASE(test_a_record_half_given_is_dealt_with_first),
		CASE(test_a_waiting_stream_has_dealt_with_all),
		CASE(test_waiting_hands_over_what_leaves),
		CASE(test_a_seek_makes_void_what_was_given),
		CASE(test_a_member_of_join_hands_over_behind_the_line),
		CASE(test_a_member_of_join_without_a_line_hands_over_at_once),
		CASE(test_a_partition_may_come_back_while_it_leaves),
		CASE(test_what_leaves_goes_to_the_newest_target),
		CASE(test_a_third_member_moves_nothing_that_is_on_its_way),
		CASE(test_what_does_not_move_is_not_touched),
		CASE(test_leaving_gives_to_the_others),
		CASE(test_range_moves_by_the_same_rules),
		CASE(test_members_are_ordered_by_instance_then_by_id),
		CASE(test_several_topics_and_subscriptions),
		CASE(test_another_subscription_gives_up_the_old_one),
		CASE(test_the_same_subscription_again_changes_nothing),
		CASE(test_a_topic_that_grows_is_shared_anew),
		CASE(test_a_deleted_topic_is_held_by_nobody),
		CASE(test_a_topic_made_again_is_another),
		CASE(test_topics_are_asked_for_once),
		CASE(test_what_nobody_wanted_for_a_while_is_asked_for_again),
		CASE(test_patterns_match_whole_names),
		CASE(test_patterns_that_cost_too_much_are_refused),
		CASE(test_many_members_settle),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

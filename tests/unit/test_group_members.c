#include "tests/lib/group_fixture.h"

/* ---- Who may join ---- */

static void test_joins_that_are_refused_change_nothing(void **state_)
{
	char long_id[GROUP_NAME_MAX + 2];
	uint32_t slot = 77;

	memset(long_id, 'x', sizeof(long_id) - 1);
	long_id[sizeof(long_id) - 1] = '\0';
	join('a', JOIN_BY(ASSIGN_RANGE, -1, .member_id = "worker"));
	settle();
	assert_int_equal(try_join('b', JOIN(.member_id = "worker"), &slot), -EEXIST);
	assert_string_equal(sentence, "there is a member worker");
	assert_int_equal(try_join('b', JOIN_BY(ASSIGN_STICKY, -1), &slot), -EINVAL);
	assert_string_equal(sentence, "member worker asked for the strategy range");
	assert_int_equal(
		try_join('b', JOIN(.pattern = "a", .topics = topic_orders, .topic_cnt = 1), &slot),
		-EINVAL);
	assert_int_equal(try_join('b', JOIN(.topics = topic_orders), &slot), -EINVAL);
	assert_int_equal(try_join('b', JOIN(.member_id = long_id), &slot), -EINVAL);
	assert_int_equal(try_join('b', JOIN(.instance = long_id), &slot), -EINVAL);
	assert_int_equal(slot, 77);
	assert_int_equal(group_member_cnt(g), 1);
	assert_false(group_is_unsettled(g));
}

static void test_ids_are_numbers_that_never_come_again(void **state_)
{
	uint32_t a = stream('a'), b;

	assert_string_equal(id_of(a), "m-1");
	group_leave(g, 0, a);
	join('x', JOIN(.member_id = "m-2"));
	b = stream('b');
	assert_string_equal(id_of(b), "m-3");
}

static void test_a_group_has_no_more_members_than_its_record_holds(void **state_)
{
	uint32_t slot;

	for (uint32_t i = 0; i < GROUP_MEMBER_MAX; i++)
		stream('a');
	assert_int_equal(try_join('b', JOIN(), &slot), -ENOSPC);
	assert_string_equal(sentence, "a group has at most 4096 members");
}

static void test_subscriptions_have_a_bound_together(void **state_)
{
	static char names[GROUP_TOPIC_MAX][GROUP_NAME_MAX + 1];
	const char *topics[GROUP_TOPIC_MAX];
	uint32_t cnt = 0, slot;
	int r;

	for (uint32_t i = 0; i < GROUP_TOPIC_MAX; i++) {
		memset(names[i], 'x', GROUP_NAME_MAX);
		snprintf(names[i], sizeof(names[i]), "%0248u", i);
		topics[i] = names[i];
	}
	do
		r = try_join('a', JOIN(.topics = topics, .topic_cnt = GROUP_TOPIC_MAX), &slot);
	while (!r && ++cnt < 100);
	assert_int_equal(r, -ENOSPC);
	assert_int_equal(group_member_cnt(g), cnt);
	assert_int_equal(cnt, GROUP_TEXT_MAX / (GROUP_TOPIC_MAX * GROUP_NAME_MAX + 67));
}

static void test_an_explicit_strategy_goes_before_the_groups(void **state_)
{
	struct group_settings s = settings;
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	assert_int_equal(group_strategy(g), ASSIGN_COOPERATIVE_STICKY);
	b = join('b', JOIN_BY(ASSIGN_ROUNDROBIN, -1));
	assert_int_equal(group_strategy(g), ASSIGN_ROUNDROBIN);
	settle();
	s.strategy = ASSIGN_RANGE;
	group_set_settings(g, &s);
	assert_false(group_is_unsettled(g));
	group_leave(g, 0, b);
	assert_int_equal(group_strategy(g), ASSIGN_RANGE);
	settle();
	s.strategy = ASSIGN_STICKY;
	group_set_settings(g, &s);
	assert_string_equal(state(), "PreparingRebalance");
	settle();
	assert_string_equal(held(a), "orders:0,1");
}

/* ---- Static members ---- */

static void test_an_instance_that_comes_back_has_its_shares(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b = stream('b'), c;
	struct group_share s;

	topic("orders", orders, 2);
	settle();
	no_events();
	give_all(a, 5);
	group_leave(g, 100, a);
	assert_false(group_is_unsettled(g));
	assert_int_equal(group_member_cnt(g), 2);
	c = join('c', JOIN(.is_stream = true, .instance = "one"));
	settle();
	assert_string_equal(held(c), "orders:0");
	assert_string_equal(held(b), "orders:1");
	assert_int_equal(group_generation(g), 1);
	assert_int_equal(group_rebalance_cnt(g), 1);
	/* What the process before it was given is void. */
	assert_true(group_holds(g, c, orders, 0, &s));
	assert_int_equal(s.given, -1);
	assert_string_equal(id_of(c), "m-3");
	assert_string_equal(event(), "c assigned");
	assert_string_equal(event(), "none");
}

static void test_a_new_id_of_an_instance_is_written(void **state_)
{
	uint32_t a = join('a', JOIN(.instance = "one"));

	settle();
	group_leave(g, 0, a);
	join('b', JOIN(.instance = "one"));
	assert_int_equal(group_settle(g, 0), 0);
	assert_true(group_is_unwritten(g));
}

static void test_an_instance_with_another_subscription_rebalances(void **state_)
{
	uint32_t a = join('a', JOIN(.instance = "one", .is_stream = true));

	topic("orders", orders, 1);
	settle();
	group_leave(g, 0, a);
	a = join('a', JOIN(.instance = "one", .is_stream = true,
			   .topics = (const char *const[]){ "bills" }, .topic_cnt = 1));
	assert_string_equal(state(), "PreparingRebalance");
	topic("bills", bills, 1);
	settle();
	assert_string_equal(held(a), "bills:0");
}

static void test_a_second_holder_fences_the_first(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b;
	struct group_who who = { .kind = GROUP_BY_WORDS, .member_id = "m-1", .generation = 1 };

	topic("orders", orders, 1);
	settle();
	no_events();
	give_all(a, 5);
	assert_int_equal(group_check_commit(g, &who, orders, 0, 1, sentence), 0);
	b = join('b', JOIN(.is_stream = true, .instance = "one"));
	assert_int_not_equal(a, b);
	settle();
	assert_string_equal(held(b), "orders:0");
	assert_string_equal(held(a), "");
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(event(), "a fenced");
	assert_string_equal(event(), "b assigned");
	assert_int_equal(group_check_commit(g, &who, orders, 0, 1, sentence), -ESTALE);
	assert_string_equal(sentence, "there is no member m-1");
}

static void test_a_chosen_id_is_fenced_by_the_generation(void **state_)
{
	struct group_who who = { .kind = GROUP_BY_WORDS, .member_id = "w", .generation = 1 };

	join('a', JOIN(.instance = "one", .member_id = "w"));
	settle();
	join('b', JOIN(.instance = "one", .member_id = "w"));
	settle();
	assert_int_equal(group_generation(g), 2);
	assert_int_equal(group_check_commit(g, &who, orders, 0, 1, sentence), -ESTALE);
	assert_int_equal(group_member_cnt(g), 1);
}

static void test_an_instance_that_goes_gives_up_what_leaves(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	assert_string_equal(held(a), "orders:0,1*");
	group_leave(g, 0, a);
	settle();
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
}

static void test_who_is_away_gives_up_at_once(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	group_leave(g, 0, a);
	b = stream('b');
	settle();
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(b), "orders:1");
}

static void test_an_instance_is_away_for_its_session_only(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b = stream('b');

	topic("orders", orders, 2);
	settle();
	no_events();
	group_on_wait(g, 0, b);
	group_leave(g, 1000, a);
	group_tick(g, 45999);
	assert_int_equal(group_member_cnt(g), 2);
	group_tick(g, 46000);
	assert_int_equal(group_member_cnt(g), 1);
	settle();
	assert_string_equal(held(b), "orders:0,1");
	assert_string_equal(event(), "b assigned");
	assert_string_equal(event(), "none");
}

/* ---- Liveness ---- */

static void test_a_busy_member_has_the_poll_interval(void **state_)
{
	uint32_t a = stream('a');

	settle();
	no_events();
	group_on_sign(g, 1000, a);
	tick_until(300999);
	assert_int_equal(group_member_cnt(g), 1);
	assert_int_equal(group_deadline_ms(g), 301000);
	group_tick(g, 301000);
	assert_int_equal(group_member_cnt(g), 0);
	assert_string_equal(event(), "a expelled");
	assert_int_equal(group_deadline_ms(g), INT64_MAX);
}

static void test_a_waiting_member_has_no_deadline(void **state_)
{
	uint32_t a = stream('a');

	settle();
	group_on_wait(g, 0, a);
	tick_until(INT64_MAX - 1);
	assert_int_equal(group_member_cnt(g), 1);
	assert_int_equal(group_deadline_ms(g), INT64_MAX);
}

static void test_an_interrupted_member_has_its_session(void **state_)
{
	uint32_t a = join('a', JOIN_BY(-1, 100, .is_stream = true));

	settle();
	group_on_wait(g, 0, a);
	group_on_interrupt(g, 5000, a);
	tick_until(5099);
	assert_int_equal(group_member_cnt(g), 1);
	group_on_wait(g, 5099, a);
	tick_until(10000);
	assert_int_equal(group_member_cnt(g), 1);
	group_on_interrupt(g, 10000, a);
	tick_until(10100);
	assert_int_equal(group_member_cnt(g), 0);
}

static void test_who_owes_has_the_rebalance_timeout(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle_at(1000);
	no_events();
	/* Signs of life do not count here. */
	group_on_sign(g, 60000, a);
	tick_until(60999);
	assert_int_equal(group_member_cnt(g), 2);
	tick_until(61000);
	assert_int_equal(group_member_cnt(g), 1);
	assert_string_equal(event(), "a expelled");
	settle();
	assert_string_equal(held(b), "orders:0,1");
}

static void test_who_has_dealt_with_it_owes_nothing(void **state_)
{
	uint32_t a = stream('a');

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	stream('b');
	settle_at(1000);
	dealt(a, 1, 5);
	tick_until(61000);
	assert_int_equal(group_member_cnt(g), 2);
}

static void test_an_expelled_member_holds_nothing_and_commits_nothing(void **state_)
{
	uint32_t a = stream('a'), b = stream('b');
	struct group_who who = { .kind = GROUP_BY_MEMBER, .slot = a };

	topic("orders", orders, 2);
	settle();
	no_events();
	give_all(a, 5);
	group_on_wait(g, 0, b);
	tick_until(300000);
	assert_string_equal(event(), "a expelled");
	assert_string_equal(event(), "none");
	assert_int_equal(group_check_commit(g, &who, orders, 0, 5, sentence), -ESTALE);
	dealt(a, 0, 5);
	settle();
	assert_string_equal(held(b), "orders:0,1");
	/* It comes back as another. */
	a = stream('a');
	settle();
	assert_string_equal(id_of(a), "m-3");
	assert_string_equal(held(a), "orders:1");
}

static void test_a_slot_whose_event_waits_is_nobodys(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 1);
	settle();
	tick_until(300000);
	b = stream('b');
	assert_int_not_equal(a, b);
	group_on_sign(g, 300000, a);
	group_on_wait(g, 300000, a);
	group_on_interrupt(g, 300000, a);
	assert_int_equal(group_shares(g, a, NULL, 0), 0);
	/* Its file is closed before the event was taken. */
	group_leave(g, 300000, a);
	settle();
	assert_string_equal(event(), "b assigned");
	assert_string_equal(event(), "none");
	assert_int_equal(stream('c'), a);
}

static void test_settings_in_force_change_deadlines(void **state_)
{
	struct group_settings s = settings;

	stream('a');
	settle();
	s.max_poll_interval_ms = 1000;
	group_set_settings(g, &s);
	assert_int_equal(group_deadline_ms(g), 1000);
	s.max_poll_interval_ms = 2000;
	group_set_settings(g, &s);
	assert_int_equal(group_deadline_ms(g), 2000);
}

/* ---- Events and views ---- */

static void test_who_is_not_concerned_is_not_woken(void **state_)
{
	uint32_t a = stream('a');

	topic("orders", orders, 2);
	settle();
	stream('b');
	settle();
	no_events();
	join('c', JOIN());
	join('d', JOIN(.topics = (const char *const[]){ "bills" }, .topic_cnt = 1));
	settle();
	/* Each of `join` has a line for each generation. */
	assert_string_equal(event(), "c assigned");
	assert_string_equal(event(), "d assigned");
	assert_string_equal(event(), "none");
	group_leave(g, 0, a);
	settle();
	/* c takes what a had. */
	assert_string_equal(event(), "c assigned");
	assert_string_equal(event(), "d assigned");
	assert_string_equal(event(), "none");
}

static void test_events_of_a_slot_that_was_left_are_dropped(void **state_)
{
	uint32_t a = stream('a');

	settle();
	group_leave(g, 0, a);
	assert_string_equal(event(), "none");
}

static void test_deletion_fences_everybody(void **state_)
{
	uint32_t a = stream('a'), slot;
	struct group_who who = { .kind = GROUP_BY_OTHER };

	join('b', JOIN(.instance = "one"));
	group_leave(g, 0, join('c', JOIN(.instance = "two")));
	topic("orders", orders, 1);
	settle();
	no_events();
	group_on_deleted(g);
	assert_string_equal(state(), "Dead");
	assert_string_equal(event(), "a fenced");
	assert_string_equal(event(), "b fenced");
	assert_string_equal(event(), "none");
	assert_string_equal(held(a), "");
	assert_int_equal(try_join('d', JOIN(), &slot), -ESTALE);
	assert_int_equal(group_check_commit(g, &who, orders, 0, 1, sentence), -ESTALE);
	assert_false(group_is_unsettled(g));
}

static void test_views_show_members_in_the_order_of_joining(void **state_)
{
	struct group_member_view v;
	uint32_t a;

	stream('z');
	a = join('a', JOIN_BY(-1, 5, .member_id = "a", .instance = "i", .client_id = "cat",
			      .client_host = "host", .uid = 7));
	settle();
	group_on_line_given(g, a);
	assert_true(group_member_next(g, GROUP_NONE, &v));
	assert_string_equal(v.id, "m-1");
	assert_true(v.is_leader);
	assert_int_equal(v.generation, 1);
	assert_null(v.instance);
	assert_true(group_member_next(g, v.slot, &v));
	assert_string_equal(v.id, "a");
	assert_string_equal(v.instance, "i");
	assert_string_equal(v.client_id, "cat");
	assert_string_equal(v.client_host, "host");
	assert_false(v.is_leader);
	assert_int_equal(v.uid, 7);
	assert_int_equal(v.session_timeout_ms, 5);
	assert_int_equal(v.rebalance_timeout_ms, 60000);
	assert_int_equal(v.generation, 1);
	assert_ptr_equal(v.owner, &owners['a']);
	assert_false(group_member_next(g, a, &v));
	assert_false(group_member_next(g, 77, &v));
	assert_true(group_member_find(g, "a", &v));
	assert_int_equal(v.slot, a);
	assert_false(group_member_find(g, "b", &v));
	/* An instance that comes back has its place again. */
	group_leave(g, 0, a);
	assert_true(group_member_get(g, a, &v));
	assert_null(v.owner);
	assert_int_equal(v.liveness, GROUP_AWAY);
	stream('y');
	join('a', JOIN(.instance = "i", .member_id = "again"));
	assert_true(group_member_next(g, GROUP_NONE, &v));
	assert_true(group_member_next(g, v.slot, &v));
	assert_string_equal(v.id, "again");
}

static void test_what_comes_between_is_in_its_place(void **state_)
{
	uint32_t a = join('a', JOIN_BY(ASSIGN_ROUNDROBIN, -1)), b = join('b', JOIN());

	topic("orders", orders, 6);
	settle();
	assert_string_equal(held(a), "orders:0,2,4");
	group_leave(g, 0, b);
	settle();
	assert_string_equal(held(a), "orders:0,1,2,3,4,5");
}

/* ---- What members may read ---- */

static void test_a_member_is_given_only_what_it_may_read(void **state_)
{
	uint32_t a = join('a', JOIN(.pattern = ".*")), b = join('b', JOIN(.pattern = ".*"));

	topic("bills", bills, 2);
	topic("orders", orders, 2);
	assert_true(group_subscribes(g, a, "bills"));
	assert_string_equal(group_topic_at(g, a, 0), "bills");
	assert_string_equal(group_topic_at(g, a, 1), "orders");
	assert_null(group_topic_at(g, a, 2));
	group_on_access(g, a, "bills", false);
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_string_equal(held(b), "bills:0,1");
	/* Said again it is nothing new. */
	group_on_access(g, a, "bills", false);
	group_on_access(g, b, "orders", true);
	assert_false(group_is_unsettled(g));
	/* What nobody may read nobody holds. */
	group_on_access(g, b, "bills", false);
	settle();
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
	group_on_access(g, a, "bills", true);
	settle();
	assert_string_equal(held(a), "bills:0,1");
	assert_string_equal(held(b), "orders:0,1");
}

static void test_what_may_not_be_read_any_more_is_handed_over(void **state_)
{
	uint32_t a = stream('a'), b;

	topic("orders", orders, 1);
	settle();
	b = stream('b');
	settle();
	given(a, 0, 5);
	group_on_access(g, a, "orders", false);
	settle();
	assert_string_equal(held(a), "orders:0*");
	dealt(a, 0, 5);
	settle();
	assert_string_equal(held(a), "");
	assert_string_equal(held(b), "orders:0");
}

static void test_what_a_member_may_not_goes_with_it(void **state_)
{
	uint32_t a = join('a', JOIN(.instance = "one")), slot;

	topic("orders", orders, 1);
	group_on_access(g, a, "orders", false);
	settle();
	assert_string_equal(held(a), "");
	/* The one who comes may be another user. */
	group_leave(g, 0, a);
	a = join('b', JOIN(.instance = "one"));
	settle();
	assert_string_equal(held(a), "orders:0");
	group_on_access(g, a, "orders", false);
	settle();
	assert_string_equal(held(a), "");
	/* A new subscription is looked at anew. */
	assert_int_equal(group_resubscribe(g, 0, a, &JOIN(.pattern = "orders"), sentence), 0);
	topic("orders", orders, 1);
	settle();
	assert_string_equal(held(a), "orders:0");
	/* Nobody, and what is not subscribed. */
	group_on_access(g, 77, "orders", false);
	group_on_access(g, a, "bills", false);
	assert_false(group_subscribes(g, a, "bills"));
	assert_false(group_subscribes(g, 77, "orders"));
	assert_null(group_topic_at(g, 77, 0));
	assert_false(group_is_unsettled(g));
	/* Slots are used again. */
	group_on_access(g, a, "orders", false);
	group_leave(g, 0, a);
	tick_until(1 << 30);
	settle();
	slot = stream('c');
	topic("orders", orders, 1);
	settle();
	assert_string_equal(held(slot), "orders:0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_joins_that_are_refused_change_nothing),
		CASE(test_ids_are_numbers_that_never_come_again),
		CASE(test_a_group_has_no_more_members_than_its_record_holds),
		CASE(test_subscriptions_have_a_bound_together),
		CASE(test_an_explicit_strategy_goes_before_the_groups),
		CASE(test_an_instance_that_comes_back_has_its_shares),
		CASE(test_a_new_id_of_an_instance_is_written),
		CASE(test_an_instance_with_another_subscription_rebalances),
		CASE(test_a_second_holder_fences_the_first),
		CASE(test_a_chosen_id_is_fenced_by_the_generation),
		CASE(test_an_instance_that_goes_gives_up_what_leaves),
		CASE(test_who_is_away_gives_up_at_once),
		CASE(test_an_instance_is_away_for_its_session_only),
		CASE(test_a_busy_member_has_the_poll_interval),
		CASE(test_a_waiting_member_has_no_deadline),
		CASE(test_an_interrupted_member_has_its_session),
		CASE(test_who_owes_has_the_rebalance_timeout),
		CASE(test_who_has_dealt_with_it_owes_nothing),
		CASE(test_an_expelled_member_holds_nothing_and_commits_nothing),
		CASE(test_a_slot_whose_event_waits_is_nobodys),
		CASE(test_settings_in_force_change_deadlines),
		CASE(test_who_is_not_concerned_is_not_woken),
		CASE(test_events_of_a_slot_that_was_left_are_dropped),
		CASE(test_deletion_fences_everybody),
		CASE(test_views_show_members_in_the_order_of_joining),
		CASE(test_what_comes_between_is_in_its_place),
		CASE(test_a_member_is_given_only_what_it_may_read),
		CASE(test_what_may_not_be_read_any_more_is_handed_over),
		CASE(test_what_a_member_may_not_goes_with_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

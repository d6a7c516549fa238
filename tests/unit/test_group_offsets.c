#include "tests/lib/group_fixture.h"

static void test_offsets_are_kept_by_topic_and_partition(void **state_)
{
	const struct group_offset *o;

	assert_null(group_offset_find(g, orders, 0));
	for (uint32_t i = 0; i < 100; i++)
		put_offset(orders, i, i, "m");
	put_offset(bills, 0, 77, "");
	put_offset(orders, 5, 500, "longer than before");
	assert_int_equal(group_offset_cnt(g), 101);
	o = group_offset_find(g, orders, 5);
	assert_int_equal(o->offset, 500);
	assert_string_equal(o->metadata, "longer than before");
	assert_int_equal(group_offset_find(g, bills, 0)->offset, 77);
	for (uint32_t i = 0; i < 100; i += 2)
		group_offset_drop(g, orders, i);
	group_offset_drop(g, orders, 0);
	assert_int_equal(group_offset_cnt(g), 51);
	for (uint32_t i = 0; i < 100; i++)
		assert_int_equal(!group_offset_find(g, orders, i), i % 2 == 0);
	for (uint32_t i = 0; i < 51; i++)
		assert_non_null(group_offset_at(g, i));
	assert_null(group_offset_at(g, 51));
}

static void test_an_entry_may_be_put_with_its_own_metadata(void **state_)
{
	struct group_offset o;

	put_offset(orders, 0, 1, "mine");
	o = *group_offset_find(g, orders, 0);
	o.offset = 2;
	assert_int_equal(group_offset_put(g, &o), 0);
	assert_string_equal(group_offset_find(g, orders, 0)->metadata, "mine");
	assert_int_equal(group_offset_find(g, orders, 0)->offset, 2);
}

static void test_room_that_was_made_is_used_in_order(void **state_)
{
	struct group_offset o[3] = {
		{ .partition = 0, .offset = 1, .metadata = "abc", .metadata_len = 3 },
		{ .partition = 1, .offset = 2, .metadata = "" },
		{ .partition = 0, .offset = 3, .metadata = "defg", .metadata_len = 4 },
	};

	assert_int_equal(group_offset_reserve(g, o, 3), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(group_offset_put(g, &o[i]), 0);
	assert_int_equal(group_offset_cnt(g), 2);
	assert_string_equal(group_offset_find(g, o[0].topic_id, 0)->metadata, "defg");
	/* Room that is not used is given up. */
	assert_int_equal(group_offset_reserve(g, o, 3), 0);
	put_offset(orders, 9, 9, "x");
	assert_int_equal(group_offset_cnt(g), 3);
}

static void test_words_name_a_member_and_the_present_generation(void **state_)
{
	struct group_who who = { .kind = GROUP_BY_WORDS, .member_id = "m-1", .generation = 1 };

	join('a', JOIN());
	topic("orders", orders, 1);
	settle();
	put_offset(orders, 0, 10, "");
	assert_int_equal(group_check_commit(g, &who, orders, 0, 5, sentence), 0);
	who.generation = 2;
	assert_int_equal(group_check_commit(g, &who, orders, 0, 15, sentence), -ESTALE);
	assert_string_equal(sentence, "the generation is 1, not 2");
	who.generation = 1;
	who.member_id = "m-2";
	assert_int_equal(group_check_commit(g, &who, orders, 0, 15, sentence), -ESTALE);
	assert_string_equal(sentence, "there is no member m-2");
}

static void test_a_member_commits_what_it_holds(void **state_)
{
	uint32_t a = stream('a'), b;
	struct group_who who = { .kind = GROUP_BY_MEMBER, .slot = a };

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	b = stream('b');
	settle();
	/* Also while it owes it. */
	assert_int_equal(group_check_commit(g, &who, orders, 1, 5, sentence), 0);
	dealt(a, 1, 5);
	settle();
	assert_int_equal(group_check_commit(g, &who, orders, 0, 5, sentence), 0);
	assert_int_equal(group_check_commit(g, &who, orders, 1, 5, sentence), -ESTALE);
	assert_string_equal(sentence, "this member does not hold orders/1");
	who.slot = b;
	assert_int_equal(group_check_commit(g, &who, orders, 1, 0, sentence), 0);
	who.kind = GROUP_BY_EXPELLED;
	assert_int_equal(group_check_commit(g, &who, orders, 1, 5, sentence), -ESTALE);
}

static void test_others_move_forward_only(void **state_)
{
	struct group_who who = { .kind = GROUP_BY_OTHER };

	put_offset(orders, 0, 10, "");
	assert_int_equal(group_check_commit(g, &who, orders, 0, 5, sentence), 0);
	group_leave(g, 0, join('a', JOIN(.instance = "one")));
	topic("orders", orders, 1);
	settle();
	assert_int_equal(group_check_commit(g, &who, orders, 0, 5, sentence), -ESTALE);
	assert_string_equal(sentence, "orders/0 is committed up to 10: while the group has "
				      "members only they move it back");
	assert_int_equal(group_check_commit(g, &who, orders, 0, 10, sentence), 0);
	assert_int_equal(group_check_commit(g, &who, orders, 0, 11, sentence), 0);
	assert_int_equal(group_check_commit(g, &who, bills, 0, 0, sentence), 0);
}

static void test_who_may_seek(void **state_)
{
	struct group_who other = { .kind = GROUP_BY_OTHER };
	struct group_who member = { .kind = GROUP_BY_MEMBER };
	struct group_who words = { .kind = GROUP_BY_WORDS, .member_id = "m-1", .generation = 1 };

	assert_int_equal(group_check_seek(g, &other, orders, 0), 0);
	member.slot = stream('a');
	stream('b');
	topic("orders", orders, 2);
	settle();
	assert_int_equal(group_check_seek(g, &other, orders, 0), -EBUSY);
	assert_int_equal(group_check_seek(g, &member, orders, 0), 0);
	assert_int_equal(group_check_seek(g, &member, orders, 1), -EBUSY);
	assert_int_equal(group_check_seek(g, &member, bills, 0), -EBUSY);
	assert_int_equal(group_check_seek(g, &words, orders, 0), 0);
	words.generation = 0;
	assert_int_equal(group_check_seek(g, &words, orders, 0), -EBUSY);
	group_leave(g, 0, 1);
	settle();
	assert_int_equal(group_check_seek(g, &member, orders, 1), 0);
}

static void test_deliveries_are_counted_up_to_their_bound(void **state_)
{
	struct group_settings s = settings;
	struct group_offset o;

	s.max_deliveries = 2;
	group_set_settings(g, &s);
	assert_true(group_deliver(g, orders, 0, 7, &o));
	assert_int_equal(o.offset, -1);
	assert_int_equal(o.delivered_off, 7);
	assert_int_equal(o.delivered_cnt, 1);
	assert_memory_equal(o.topic_id, orders, 16);
	assert_int_equal(group_offset_put(g, &o), 0);
	assert_true(group_deliver(g, orders, 0, 7, &o));
	assert_int_equal(o.delivered_cnt, 2);
	assert_int_equal(group_offset_put(g, &o), 0);
	assert_false(group_deliver(g, orders, 0, 7, &o));
	assert_int_equal(o.delivered_cnt, 2);
	assert_true(group_deliver(g, orders, 0, 8, &o));
	assert_int_equal(o.delivered_cnt, 1);
	/* A commit is kept by what counts deliveries. */
	put_offset(orders, 0, 8, "note");
	assert_true(group_deliver(g, orders, 0, 8, &o));
	assert_int_equal(o.offset, 8);
	assert_int_equal(o.metadata_len, 4);
}

static void deliver_up_to(int64_t to)
{
	struct group_offset o;

	for (int64_t off = 0; off < to; off++) {
		assert_true(group_deliver(g, orders, 0, off, &o));
		assert_int_equal(group_offset_put(g, &o), 0);
	}
}

/* Who commits by hand may read on before he does: each record has a count of its own. */
static void test_deliveries_are_counted_of_each_record(void **state_)
{
	struct group_settings s = settings;
	const struct group_offset *now;
	struct group_offset o;

	s.max_deliveries = 3;
	group_set_settings(g, &s);
	deliver_up_to(5);
	deliver_up_to(2);
	deliver_up_to(3);
	now = group_offset_find(g, orders, 0);
	assert_int_equal(now->run_cnt, 3);
	for (int64_t off = 0; off < 6; off++)
		assert_int_equal(group_deliveries(now, off), off < 2 ? 3 : off < 3 ? 2 : off < 5);
	assert_false(group_deliver(g, orders, 0, 0, &o));
	assert_false(group_deliver(g, orders, 0, 1, &o));
	assert_true(group_deliver(g, orders, 0, 2, &o));
	assert_int_equal(o.run_cnt, 2);
	assert_int_equal(o.runs[0].end, 3);
	/* What is committed needs no count, nor what a log has lost. */
	group_deliveries_keep(&o, 3, INT64_MAX);
	assert_int_equal(o.run_cnt, 1);
	assert_int_equal(o.delivered_cnt, 0);
	assert_int_equal(group_deliveries(&o, 4), 1);
	group_deliveries_keep(&o, 0, 4);
	assert_int_equal(group_deliveries(&o, 3), 1);
	assert_int_equal(group_deliveries(&o, 4), 0);
	group_deliveries_keep(&o, 0, 0);
	assert_int_equal(o.run_cnt, 0);
}

/* More counts than there is room for: none is too high. */
static void test_forgotten_runs_count_anew(void **state_)
{
	struct group_settings s = settings;
	const struct group_offset *now;

	s.max_deliveries = 100;
	group_set_settings(g, &s);
	for (int64_t n = 20; n > 0; n--)
		deliver_up_to(n);
	now = group_offset_find(g, orders, 0);
	assert_int_equal(now->run_cnt, GROUP_RUN_MAX);
	for (int64_t off = 0; off < 20; off++) {
		assert_true(group_deliveries(now, off) <= 20 - off);
		assert_true(off >= GROUP_RUN_MAX || group_deliveries(now, off) == 20 - off);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_offsets_are_kept_by_topic_and_partition),
		CASE(test_an_entry_may_be_put_with_its_own_metadata),
		CASE(test_room_that_was_made_is_used_in_order),
		CASE(test_words_name_a_member_and_the_present_generation),
		CASE(test_a_member_commits_what_it_holds),
		CASE(test_others_move_forward_only),
		CASE(test_who_may_seek),
		CASE(test_deliveries_are_counted_up_to_their_bound),
		CASE(test_deliveries_are_counted_of_each_record),
		CASE(test_forgotten_runs_count_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

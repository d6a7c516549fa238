#include "daemon/groups/group_record.h"
#include "tests/lib/group_fixture.h"

static struct buf out;

static int setup_buf(void **state_)
{
	buf_init(&out);
	return setup(state_);
}

static int teardown_buf(void **state_)
{
	buf_fini(&out);
	return teardown(state_);
}

static void encode(void)
{
	buf_reset(&out);
	group_state_encode(g, 7, 99, &out);
	assert_int_equal(buf_err(&out), 0);
}

/* The broker dies and comes back with what was encoded last. */
static void reload(int64_t now_ms)
{
	group_free(g);
	g = group_new("billing", group_uuid, &settings);
	assert_non_null(g);
	assert_int_equal(group_state_load(g, out.data, out.len, now_ms), 0);
}

static uint32_t slot_of(const char *id)
{
	struct group_member_view v;

	assert_true(group_member_find(g, id, &v));
	return v.slot;
}

static void test_keys_have_their_bytes(void **state_)
{
	static const uint8_t expected[] = "\1\1the group's id\0\0orders' id\0\0\0\0\0\0\5\0\0";
	struct group_key k = { .type = GROUP_KEY_OFFSET, .partition = 5 }, again;
	uint8_t data[GROUP_KEY_LEN_MAX];

	memcpy(k.group_id, group_uuid, 16);
	memcpy(k.topic_id, orders, 16);
	assert_int_equal(group_key_encode(&k, data), 38);
	assert_memory_equal(data, expected, 38);
	assert_int_equal(group_key_decode(data, 38, &again), 0);
	assert_memory_equal(&again, &k, sizeof(k));
	k = (struct group_key){ .type = GROUP_KEY_STATE };
	memcpy(k.group_id, group_uuid, 16);
	assert_int_equal(group_key_encode(&k, data), 18);
	assert_int_equal(group_key_decode(data, 18, &again), 0);
	assert_memory_equal(&again, &k, sizeof(k));
}

static void test_keys_that_are_none_are_refused(void **state_)
{
	struct group_key k = { .type = GROUP_KEY_INTENT, .partition = 5 };
	uint8_t data[GROUP_KEY_LEN_MAX + 1] = { 0 };

	assert_int_equal(group_key_encode(&k, data), 38);
	for (size_t len = 0; len <= sizeof(data); len++)
		assert_int_equal(group_key_decode(data, len, &k), len == 38 ? 0 : -EBADMSG);
	data[1] = 4;
	assert_int_equal(group_key_decode(data, 38, &k), -EBADMSG);
	data[1] = 1;
	data[0] = 2;
	assert_int_equal(group_key_decode(data, 38, &k), -EPROTONOSUPPORT);
	data[0] = 1;
	data[36] = 1;
	assert_int_equal(group_key_decode(data, 38, &k), -EBADMSG);
}

static void test_runs_of_deliveries_come_back(void **state_)
{
	struct group_offset o = { .offset = 3,
				  .delivered_off = 4,
				  .delivered_cnt = 2,
				  .runs = { { 5, 2 }, { 9, 1 } },
				  .run_cnt = 2,
				  .metadata = "" },
			    again = { .partition = 9 };
	size_t fixed = 1 + 8 + 4 + 8 + 8 + 4 + 2;

	group_offset_encode(&o, &out);
	assert_int_equal(out.len, fixed + 1 + 2 * 12);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), 0);
	assert_int_equal(again.run_cnt, 2);
	assert_memory_equal(again.runs, o.runs, sizeof(o.runs[0]) * 2);
	for (size_t len = fixed + 1; len < out.len; len++)
		assert_int_equal(group_offset_decode(out.data, len, &again), -EBADMSG);
	out.data[fixed] = 3;
	assert_int_equal(group_offset_decode(out.data, out.len, &again), -EBADMSG);
	/* Ends rise, counts fall. */
	buf_reset(&out);
	o.runs[1].end = 5;
	group_offset_encode(&o, &out);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), -EBADMSG);
	buf_reset(&out);
	o.runs[1] = (struct group_run){ 9, 2 };
	group_offset_encode(&o, &out);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), -EBADMSG);
	/* One run that the fixed part says needs no room. */
	buf_reset(&out);
	o.run_cnt = 1;
	group_offset_encode(&o, &out);
	assert_int_equal(out.len, fixed);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), 0);
	assert_int_equal(again.run_cnt, 1);
	assert_int_equal(again.runs[0].end, 5);
}

static void test_offsets_come_back(void **state_)
{
	struct group_offset o = { .offset = 77,
				  .leader_epoch = -1,
				  .commit_ms = 1234,
				  .delivered_off = 77,
				  .delivered_cnt = 2,
				  .metadata = "note",
				  .metadata_len = 4 },
			    again = { .partition = 9 };

	group_offset_encode(&o, &out);
	assert_int_equal(out.len, 1 + 8 + 4 + 8 + 8 + 4 + 2 + 4);
	for (size_t len = 1; len < out.len; len++)
		assert_int_equal(group_offset_decode(out.data, len, &again), -EBADMSG);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), 0);
	assert_int_equal(again.partition, 9);
	assert_int_equal(again.offset, 77);
	assert_int_equal(again.leader_epoch, -1);
	assert_int_equal(again.commit_ms, 1234);
	assert_int_equal(again.delivered_off, 77);
	assert_int_equal(again.delivered_cnt, 2);
	assert_int_equal(again.metadata_len, 4);
	assert_memory_equal(again.metadata, "note", 4);
	out.data[0] = 2;
	assert_int_equal(group_offset_decode(out.data, out.len, &again), -EPROTONOSUPPORT);
	buf_reset(&out);
	o.metadata_len = 0;
	group_offset_encode(&o, &out);
	assert_int_equal(group_offset_decode(out.data, out.len, &again), 0);
	assert_string_equal(again.metadata, "");
}

static void test_intents_come_back(void **state_)
{
	struct group_intent i = { .offset = 5, .dlq_partition = 3, .dlq_offset = 12 }, again;

	memcpy(i.dlq_topic_id, orders, 16);
	group_intent_encode(&i, &out);
	assert_int_equal(out.len, 37);
	for (size_t len = 1; len < out.len; len++)
		assert_int_equal(group_intent_decode(out.data, len, &again), -EBADMSG);
	assert_int_equal(group_intent_decode(out.data, out.len, &again), 0);
	assert_int_equal(again.offset, 5);
	assert_int_equal(again.dlq_partition, 3);
	assert_int_equal(again.dlq_offset, 12);
	assert_memory_equal(again.dlq_topic_id, orders, 16);
}

static void test_a_state_has_its_bytes(void **state_)
{
	static const uint8_t expected[] = "\1"
					  "\1\0\0\0\0\0\0\0" /* generation */
					  "\1\0\0\0\0\0\0\0" /* member number */
					  "\7\0\0\0"
					  "\x63\0\0\0\0\0\0\0"
					  "\1\0" /* topics */
					  "orders' id\0\0\0\0\0\0"
					  "\2\0\0\0"
					  "\6orders"
					  "\1\0" /* members */
					  "\3\5\0\0\0\xff"
					  "\xff\xff\xff\xff\xff\xff\xff\xff"
					  "\xff\xff\xff\xff\xff\xff\xff\xff"
					  "\xff\xff\xff\xff\xff\xff\xff\xff"
					  "\3m-1\3one\3cat\4host"
					  "\1\0\6orders" /* subscription */
					  "\2\0\0\0"	 /* shares */
					  "\0\0\0\0\0\0\0"
					  "\0\0\1\0\0\0";

	join('a', JOIN(.is_stream = true, .instance = "one", .uid = 5, .client_id = "cat",
		       .client_host = "host"));
	topic("orders", orders, 2);
	settle();
	encode();
	assert_int_equal(out.len, sizeof(expected));
	assert_memory_equal(out.data, expected, sizeof(expected));
}

static void test_static_members_come_back_away(void **state_)
{
	struct group_member_view v;
	uint32_t a = join('a', JOIN_BY(ASSIGN_RANGE, 5000, .is_stream = true, .instance = "one",
				       .client_id = "cat"));

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	encode();
	reload(1000);
	assert_false(group_is_unsettled(g));
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(state(), "Stable");
	assert_true(group_member_find(g, "m-1", &v));
	assert_int_equal(v.liveness, GROUP_AWAY);
	assert_null(v.owner);
	assert_string_equal(v.client_id, "cat");
	assert_string_equal(held(v.slot), "orders:0,1");
	assert_int_equal(group_strategy(g), ASSIGN_RANGE);
	assert_int_equal(group_deadline_ms(g), 6000);
	/* It comes back without a rebalance. */
	a = join('b', JOIN_BY(ASSIGN_RANGE, 5000, .is_stream = true, .instance = "one"));
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_int_equal(group_generation(g), 1);
	assert_string_equal(id_of(a), "m-2");
	assert_string_equal(event(), "b assigned");
}

static void test_others_are_gone_with_their_broker(void **state_)
{
	uint32_t a;

	join('a', JOIN(.is_stream = true, .instance = "one"));
	stream('b');
	topic("orders", orders, 2);
	settle();
	encode();
	reload(0);
	assert_true(group_is_unsettled(g));
	assert_int_equal(group_member_cnt(g), 1);
	a = slot_of("m-1");
	assert_string_equal(held(a), "orders:0");
	settle();
	assert_string_equal(held(a), "orders:0,1");
	assert_int_equal(group_generation(g), 2);
	/* Numbers of members go on. */
	assert_string_equal(id_of(stream('c')), "m-3");
}

static void test_generations_go_on_after_all_members_are_gone(void **state_)
{
	stream('a');
	topic("orders", orders, 2);
	settle();
	encode();
	reload(0);
	settle();
	assert_string_equal(state(), "Empty");
	assert_int_equal(group_generation(g), 2);
	stream('b');
	settle();
	assert_int_equal(group_generation(g), 3);
}

static void test_what_was_leaving_waits_for_nobody(void **state_)
{
	uint32_t a = join('a', JOIN(.is_stream = true, .instance = "one")), b;

	topic("orders", orders, 2);
	settle();
	give_all(a, 5);
	join('b', JOIN(.is_stream = true, .instance = "two"));
	settle();
	assert_string_equal(state(), "CompletingRebalance");
	encode();
	reload(0);
	assert_true(group_is_unsettled(g));
	settle();
	a = slot_of("m-1");
	b = slot_of("m-2");
	assert_string_equal(state(), "Stable");
	assert_string_equal(held(a), "orders:0");
	assert_string_equal(held(b), "orders:1");
	assert_int_equal(group_generation(g), 3);
}

static void test_topics_are_asked_for_after_a_load(void **state_)
{
	const char *name;

	join('a', JOIN(.instance = "one"));
	topic("orders", orders, 2);
	settle();
	encode();
	reload(0);
	assert_true(group_topics_due(g, &name));
	assert_string_equal(name, "orders");
	topic("orders", other_orders, 1);
	assert_false(group_topics_due(g, &name));
	settle();
	assert_true(group_holds(g, slot_of("m-1"), other_orders, 0, NULL));
}

static void test_a_later_record_replaces_an_earlier(void **state_)
{
	struct buf first;

	join('a', JOIN(.instance = "one"));
	join('b', JOIN(.instance = "two", .pattern = "b.*"));
	put_offset(orders, 0, 5, "");
	settle();
	encode();
	buf_init(&first);
	buf_put(&first, out.data, out.len);
	reload(0);
	put_offset(orders, 0, 5, "");
	group_tick(g, 45000);
	settle();
	encode();
	assert_int_equal(group_state_load(g, first.data, first.len, 0), 0);
	assert_int_equal(group_member_cnt(g), 2);
	assert_true(group_wants(g, "bills"));
	assert_int_equal(group_state_load(g, out.data, out.len, 0), 0);
	assert_int_equal(group_member_cnt(g), 0);
	assert_false(group_wants(g, "bills"));
	/* Offsets are other records. */
	assert_int_equal(group_offset_cnt(g), 1);
	buf_fini(&first);
}

static void test_a_record_that_is_no_good_changes_nothing(void **state_)
{
	struct buf good;

	join('a', JOIN(.instance = "one"));
	join('b', JOIN(.instance = "two", .pattern = "b.*"));
	topic("orders", orders, 9);
	settle();
	encode();
	reload(0);
	buf_init(&good);
	buf_put(&good, out.data, out.len);
	for (size_t len = 0; len < good.len; len++)
		assert_int_equal(group_state_load(g, good.data, len, 0), -EBADMSG);
	buf_put_u8(&good, 0);
	assert_int_equal(group_state_load(g, good.data, good.len, 0), -EBADMSG);
	good.data[0] = 2;
	assert_int_equal(group_state_load(g, good.data, good.len, 0), -EPROTONOSUPPORT);
	buf_fini(&good);
	assert_string_equal(held(slot_of("m-1")), "orders:0,1,2,3,4,5,6,7,8");
}

/* A state with one static member and one share, whose parts a test may spoil. */
struct parts {
	uint64_t generation;
	const char *topic, *id, *instance, *client, *sub;
	uint8_t flags, strategy;
	uint32_t partitions, partition;
	int64_t session;
	unsigned repeats; /* how often the member stands there */
};
static const struct parts fine = { .generation = 1,
				   .topic = "orders",
				   .id = "m-1",
				   .instance = "one",
				   .client = "",
				   .sub = "orders",
				   .flags = 2,
				   .strategy = 0xff,
				   .partitions = 1,
				   .session = -1,
				   .repeats = 1 };

static void put_text(const char *s)
{
	buf_put_u8(&out, (uint8_t)strlen(s));
	buf_put_str(&out, s);
}

static int load_parts(struct parts p)
{
	struct group *fresh = group_new("g", group_uuid, &settings);
	int r;

	buf_reset(&out);
	buf_put_u8(&out, 1);
	buf_put_le64(&out, p.generation);
	buf_put_zero(&out, 8 + 4 + 8);
	buf_put_le16(&out, 1);
	buf_put(&out, orders, 16);
	buf_put_le32(&out, p.partitions);
	put_text(p.topic);
	buf_put_le16(&out, (uint16_t)p.repeats);
	for (unsigned i = 0; i < p.repeats; i++) {
		buf_put_u8(&out, p.flags);
		buf_put_le32(&out, 0);
		buf_put_u8(&out, p.strategy);
		buf_put_le64(&out, (uint64_t)p.session);
		buf_put_zero(&out, 16);
		put_text(p.id);
		put_text(p.instance);
		put_text(p.client);
		put_text("");
		buf_put_le16(&out, p.flags & 4 ? (uint16_t)strlen(p.sub) : 1);
		if (p.flags & 4)
			buf_put_str(&out, p.sub);
		else
			put_text(p.sub);
		buf_put_le32(&out, 1);
		buf_put_le16(&out, 0);
		buf_put_le32(&out, p.partition);
		buf_put_u8(&out, 0);
	}
	r = group_state_load(fresh, out.data, out.len, 0);
	group_free(fresh);
	return r;
}

#define SPOILT(...)                                                                                \
	do {                                                                                       \
		struct parts p_ = fine;                                                            \
		__VA_ARGS__;                                                                       \
		assert_int_equal(load_parts(p_), -EBADMSG);                                        \
	} while (0)

static void test_every_part_of_a_state_is_checked(void **state_)
{
	char longest[256];

	memset(longest, 'x', 255);
	longest[255] = '\0';
	assert_int_equal(load_parts(fine), 0);
	SPOILT(p_.generation = UINT64_MAX);
	SPOILT(p_.topic = "");
	SPOILT(p_.topic = longest);
	SPOILT(p_.id = "");
	SPOILT(p_.id = longest);
	SPOILT(p_.instance = "");
	SPOILT(p_.instance = longest);
	SPOILT(p_.client = longest);
	SPOILT(p_.flags = 0);
	SPOILT(p_.flags = 8 | 2);
	SPOILT(p_.flags = 4 | 2, p_.sub = "(");
	SPOILT(p_.flags = 4 | 2, p_.sub = "");
	SPOILT(p_.sub = "");
	SPOILT(p_.sub = longest);
	SPOILT(p_.strategy = 4);
	SPOILT(p_.partitions = 0);
	SPOILT(p_.partitions = PARTITION_CNT_MAX + 1);
	SPOILT(p_.partition = 1);
	SPOILT(p_.session = -2);
	/* Two members of one name, that hold the same share. */
	SPOILT(p_.repeats = 2);
}

#undef CASE
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup_buf, teardown_buf)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(test_keys_have_their_bytes),
		CASE(test_keys_that_are_none_are_refused),
		CASE(test_offsets_come_back),
		CASE(test_runs_of_deliveries_come_back),
		CASE(test_intents_come_back),
		CASE(test_a_state_has_its_bytes),
		CASE(test_static_members_come_back_away),
		CASE(test_others_are_gone_with_their_broker),
		CASE(test_generations_go_on_after_all_members_are_gone),
		CASE(test_what_was_leaving_waits_for_nobody),
		CASE(test_topics_are_asked_for_after_a_load),
		CASE(test_a_later_record_replaces_an_earlier),
		CASE(test_a_record_that_is_no_good_changes_nothing),
		CASE(test_every_part_of_a_state_is_checked),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* Groups as objects of the metadata, and the topics of the broker's own that they need. */
#include "tests/lib/metadata_fixture.h"

static struct metadata_cmd create_cmd(const char *name, uint32_t number)
{
	struct metadata_cmd cmd = { .kind = METADATA_GROUP_CREATE,
				    .time_ms = NOW_MS,
				    .uid = 1000,
				    .gid = 100,
				    .mode = 0750 };

	le32_store(cmd.group_id, number + 1);
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	return cmd;
}

static int create(struct metadata *md, const char *name, uint32_t number)
{
	struct metadata_cmd cmd = create_cmd(name, number);

	return apply(md, &cmd);
}

static struct metadata_cmd group_cmd(const struct metadata *md, const char *name,
				     enum metadata_kind kind)
{
	struct metadata_cmd cmd = { .kind = kind, .time_ms = NOW_MS + 1 };
	const struct metadata_group *g = metadata_find_group(md, name);

	assert_non_null(g);
	memcpy(cmd.group_id, g->id, 16);
	return cmd;
}

static struct metadata *restore(const struct metadata *md)
{
	struct metadata *ret = NULL;
	struct buf b, again;

	buf_init(&b);
	buf_init(&again);
	metadata_encode(md, &b);
	assert_int_equal(metadata_decode(b.data, b.len, &ret), 0);
	metadata_encode(ret, &again);
	assert_int_equal(b.len, again.len);
	assert_memory_equal(b.data, again.data, b.len);
	buf_fini(&b);
	buf_fini(&again);
	return ret;
}

static void test_groups_are_found_by_name_and_id_and_in_order(void **state)
{
	struct metadata *md = fresh();
	const struct metadata_group *g;

	assert_int_equal(create(md, "b", 2), 0);
	assert_int_equal(result.kind, METADATA_GROUP_CREATE);
	assert_string_equal(result.group, "b");
	assert_int_equal(le32_load(result.group_id), 3);
	assert_string_equal(result.topic, "");
	assert_int_equal(create(md, "a", 1), 0);
	assert_int_equal(create(md, "grün weiß", 3), 0);
	assert_int_equal(metadata_group_cnt(md), 3);
	assert_string_equal(metadata_group_at(md, 0)->name, "a");
	assert_string_equal(metadata_group_at(md, 2)->name, "grün weiß");
	assert_null(metadata_group_at(md, 3));
	g = metadata_find_group(md, "grün weiß");
	assert_non_null(g);
	assert_int_equal(g->uid, 1000);
	assert_int_equal(g->gid, 100);
	assert_int_equal(g->mode, 0750);
	assert_int_equal(g->created_ms, NOW_MS);
	assert_ptr_equal(metadata_find_group_id(md, g->id), g);
	assert_null(metadata_find_topic_id(md, g->id));
	assert_null(metadata_find_topic(md, "a"));
	assert_int_equal(metadata_generation(md), 3);
	metadata_free(md);
}

static void test_names_are_refused(void **state)
{
	struct metadata *md = fresh();

	assert_int_equal(create(md, "", 1), -EINVAL);
	assert_int_equal(create(md, "..", 1), -EINVAL);
	assert_string_equal(result.sentence, "\"..\" is no group's name");
	assert_int_equal(create(md, "a/b", 1), -EINVAL);
	assert_int_equal(create(md, "new\nline", 1), -EINVAL);
	assert_string_equal(result.sentence,
			    "a group's name is UTF-8 without control characters and \"/\"");
	assert_int_equal(create(md, "\xff", 1), -EINVAL);
	assert_int_equal(create(md, "a.b", 1), 0);
	assert_int_equal(create(md, "a.b", 2), -EEXIST);
	assert_string_equal(result.sentence, "group a.b exists");
	/* Kafka has no clash of "." and "_" for groups. */
	assert_int_equal(create(md, "a_b", 2), 0);
	assert_int_equal(create(md, "other", 2), -EEXIST);
	assert_string_equal(result.sentence, "the group id is in use");
	assert_int_equal(metadata_generation(md), 2);
	metadata_free(md);
}

/* The name is free, and what is made under it is another group. */
static void test_a_deleted_group_is_gone(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "g", 1), 0);
	cmd = group_cmd(md, "g", METADATA_GROUP_CONFIG);
	cmd.group_change_cnt = 1;
	cmd.group_changes[0] =
		(struct group_change){ .setting = GROUP_COMMIT, .num = COMMIT_MANUAL };
	assert_int_equal(apply(md, &cmd), 0);
	cmd.kind = METADATA_GROUP_DELETE;
	assert_int_equal(apply(md, &cmd), 0);
	assert_string_equal(result.group, "g");
	assert_null(metadata_find_group(md, "g"));
	assert_null(metadata_find_group_id(md, cmd.group_id));
	assert_int_equal(apply(md, &cmd), -ENOENT);
	assert_string_equal(result.sentence, "the group is gone");
	assert_int_equal(create(md, "g", 2), 0);
	assert_int_equal(metadata_find_group(md, "g")->own.set, 0);
	assert_int_equal(apply(md, &cmd), -ENOENT);
	metadata_free(md);
}

static void test_permissions_change_as_masked(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "g", 1), 0);
	cmd = group_cmd(md, "g", METADATA_GROUP_PERMS);
	cmd.perms_mask = METADATA_MODE | METADATA_GID;
	cmd.mode = 0700;
	cmd.uid = 5;
	cmd.gid = 6;
	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(metadata_find_group(md, "g")->mode, 0700);
	assert_int_equal(metadata_find_group(md, "g")->uid, 1000);
	assert_int_equal(metadata_find_group(md, "g")->gid, 6);
	assert_int_equal(metadata_find_group(md, "g")->perms_ms, NOW_MS + 1);
	assert_int_equal(metadata_find_group(md, "g")->config_ms, NOW_MS);
	cmd.mode = 010000;
	assert_int_equal(apply(md, &cmd), -EINVAL);
	metadata_free(md);
}

static void test_settings_are_all_or_none(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "g", 1), 0);
	cmd = group_cmd(md, "g", METADATA_GROUP_CONFIG);
	cmd.group_change_cnt = 2;
	cmd.group_changes[0] = (struct group_change){ .setting = GROUP_MAX_DELIVERIES, .num = 3 };
	cmd.group_changes[1] =
		(struct group_change){ .setting = GROUP_SESSION_TIMEOUT_MS, .num = 99 };
	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_int_equal(metadata_find_group(md, "g")->own.set, 0);
	cmd.group_changes[1].num = 100;
	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(metadata_find_group(md, "g")->own.max_deliveries, 3);
	assert_int_equal(metadata_find_group(md, "g")->own.session_timeout_ms, 100);
	assert_int_equal(metadata_find_group(md, "g")->config_ms, NOW_MS + 1);
	metadata_free(md);
}

static void test_dead_letters_need_a_topic(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "a b", 1), 0);
	cmd = group_cmd(md, "a b", METADATA_GROUP_CONFIG);
	cmd.group_change_cnt = 1;
	cmd.group_changes[0] = (struct group_change){ .setting = GROUP_MAX_DELIVERIES, .num = 3 };
	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_string_equal(result.sentence, "dlq must be set: \"a b.dlq\" is no topic's name");
	cmd.group_change_cnt = 2;
	cmd.group_changes[1] =
		(struct group_change){ .setting = GROUP_DLQ, .text = "dead", .text_len = 4 };
	assert_int_equal(apply(md, &cmd), 0);
	assert_string_equal(metadata_find_group(md, "a b")->own.dlq, "dead");
	cmd.group_change_cnt = 1;
	cmd.group_changes[0] = (struct group_change){ .setting = GROUP_DLQ, .reset = true };
	assert_int_equal(apply(md, &cmd), -EINVAL);
	metadata_free(md);
}

static void test_repeats_get_the_first_answer(void **state)
{
	struct metadata *md = fresh(), *copy;
	struct metadata_cmd cmd = create_cmd("g", 1);

	memcpy(cmd.origin.directory_id, "directory id one", 16);
	cmd.origin.incarnation = 1;
	cmd.origin.number = 7;
	assert_int_equal(apply(md, &cmd), 0);
	copy = restore(md);
	metadata_free(md);
	assert_int_equal(apply(copy, &cmd), 0);
	assert_true(result.repeated);
	assert_memory_equal(result.group_id, cmd.group_id, 16);
	assert_int_equal(metadata_group_cnt(copy), 1);
	metadata_free(copy);
}

/* Bytes that older builds wrote: where this fails, the version must rise. */
static void test_version_2_stays_as_it_is(void **state)
{
	static const uint8_t made[] =
		"\x01\x07" /* version, GROUP_CREATE */
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" /* origin */
		"\x04\0\0\0\0\0\0\0"						   /* time */
		"the group's id 1"
		"\xe8\x03\0\0\x64\0\0\0\xed\x01" /* uid, gid, mode */
		"\x07"
		"billing";
	static const uint8_t configured[] =
		"\x01\x09" /* version, GROUP_CONFIG */
		"\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"
		"\x05\0\0\0\0\0\0\0"
		"the group's id 1"
		"\x02" /* changes */
		"\x06"
		"commit\0\x02\0\0\0\0\0\0\0\0\0"
		"\x03"
		"dlq\0\0\0\0\0\0\0\0\0\x04\0"
		"dead";
	static const uint8_t group[] =
		"\x01\0\0\0" /* count */
		"\x07"
		"billing"
		"the group's id 1"
		"\xe8\x03\0\0\x64\0\0\0\xed\x01"
		"\x04\0\0\0\0\0\0\0\x05\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0" /* times */
		"\x02"
		"\x06"
		"commit\0\x02\0\0\0\0\0\0\0\0\0"
		"\x03"
		"dlq\0\0\0\0\0\0\0\0\0\x04\0"
		"dead";
	struct metadata *md = fresh();
	struct buf b;

	metadata_apply(md, 1, 1, made, sizeof(made) - 1, &result);
	assert_int_equal(result.err, 0);
	metadata_apply(md, 2, 1, configured, sizeof(configured) - 1, &result);
	assert_int_equal(result.err, 0);
	buf_init(&b);
	metadata_encode(md, &b);
	assert_int_equal(le32_load(b.data + 4), 2);
	/* Envelope and numbers, three empty lists, the groups, the hash. */
	assert_int_equal(b.len, 16 + 40 + 12 + sizeof(group) - 1 + 8);
	assert_memory_equal(b.data + 68, group, sizeof(group) - 1);
	buf_fini(&b);
	metadata_free(restore(md));
	metadata_free(md);
}

/* Two groups in a snapshot, one byte changed and the hash made to fit. */
static void damaged(size_t at, uint8_t byte, int expected)
{
	struct metadata *md = fresh(), *got = NULL;
	struct buf b;

	assert_int_equal(create(md, "a", 1), 0);
	assert_int_equal(create(md, "b", 2), 0);
	buf_init(&b);
	metadata_encode(md, &b);
	b.data[16 + 40 + 12 + at] = byte;
	buf_set_le64(&b, b.len - 8, hash_xxh3(b.data, b.len - 8));
	assert_int_equal(metadata_decode(b.data, b.len, &got), expected);
	metadata_free(got);
	metadata_free(md);
	buf_fini(&b);
}

static void test_wrong_groups_in_a_snapshot_are_noticed(void **state)
{
	/* A group without settings: 2 name, 16 id, 10 owner, 24 times, 1 count. */
	const size_t first = 4, second = first + 53;

	damaged(first + 1, 'a', 0);
	damaged(0, 1, -EBADMSG);	   /* one is left over */
	damaged(0, 3, -EBADMSG);	   /* one is missing */
	damaged(first + 1, 'b', -EBADMSG); /* the name stands twice */
	damaged(first + 1, 'c', -EBADMSG); /* not in order */
	damaged(first + 1, '/', -EBADMSG);
	damaged(first + 2, 0, -EBADMSG);     /* no id */
	damaged(second + 2, 2, -EBADMSG);    /* the other's id */
	damaged(first + 27, 0x10, -EBADMSG); /* mode */
}

static void test_many_groups(void **state)
{
	struct metadata *md = fresh();
	char name[32];

	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "group %08x", i * 2654435761U);
		assert_int_equal(create(md, name, i), 0);
	}
	metadata_free(restore(md));
	for (uint32_t i = 0; i < 10000; i += 2) {
		struct metadata_cmd cmd;

		snprintf(name, sizeof(name), "group %08x", i * 2654435761U);
		cmd = group_cmd(md, name, METADATA_GROUP_DELETE);
		assert_int_equal(apply(md, &cmd), 0);
	}
	assert_int_equal(metadata_group_cnt(md), 5000);
	for (uint32_t i = 0; i < 10000; i++) {
		snprintf(name, sizeof(name), "group %08x", i * 2654435761U);
		assert_int_equal(metadata_find_group(md, name) != NULL, i % 2);
	}
	metadata_free(md);
}

/* ---- Topics of the broker's own ---- */

static struct metadata_cmd topic_create_cmd(const char *name, uint32_t number)
{
	struct metadata_cmd cmd = { .kind = METADATA_CREATE, .partition_cnt = 1, .mode = 0755 };

	le32_store(cmd.topic_id, number + 1);
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	return cmd;
}

static int create_topic(struct metadata *md, const char *name, uint32_t number)
{
	struct metadata_cmd cmd = topic_create_cmd(name, number);

	return apply(md, &cmd);
}

static struct metadata_cmd topic_cmd(const struct metadata *md, const char *name,
				     enum metadata_kind kind)
{
	struct metadata_cmd cmd = { .kind = kind };
	const struct metadata_topic *t = metadata_find_topic(md, name);

	assert_non_null(t);
	memcpy(cmd.topic_id, t->id, 16);
	return cmd;
}

static struct metadata_cmd internal_cmd(const char *name, uint32_t number)
{
	struct metadata_cmd cmd = topic_create_cmd(name, number);

	cmd.kind = METADATA_CREATE_INTERNAL;
	cmd.partition_cnt = 50;
	cmd.mode = 0600;
	cmd.change_cnt = 2;
	cmd.changes[0] = (struct topic_change){ .setting = TOPIC_RETENTION_MS, .num = -1 };
	cmd.changes[1] =
		(struct topic_change){ .setting = TOPIC_CLEANUP_POLICY, .num = CLEANUP_COMPACT };
	return cmd;
}

/* Names that only begin alike, or clash with nothing, are anybody's. */
static void test_reserved_names_are_the_brokers(void **state)
{
	static const char *const reserved[] = { "__cluster_metadata", "__consumer_offsets",
						"__transaction_state", "__consumer.offsets" };
	struct metadata *md = fresh();

	for (unsigned i = 0; i < ARRAY_CNT(reserved); i++) {
		assert_int_equal(create_topic(md, reserved[i], 1), -EPERM);
		assert_non_null(strstr(result.sentence, "is reserved for the broker"));
	}
	assert_int_equal(create_topic(md, "__consumer_offset", 1), 0);
	assert_int_equal(create_topic(md, "__mine", 2), 0);
	metadata_free(md);
}

static void test_an_internal_topic_comes_with_its_settings_and_stays(void **state)
{
	static const enum metadata_kind changes[] = { METADATA_DELETE, METADATA_CONFIG,
						      METADATA_PERMS };
	struct metadata *md = fresh(), *copy;
	struct metadata_cmd cmd = internal_cmd("__consumer_offsets", 1);
	const struct metadata_topic *t;

	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(result.kind, METADATA_CREATE_INTERNAL);
	assert_string_equal(result.topic, "__consumer_offsets");
	assert_int_equal(result.partition_cnt, 50);
	assert_int_equal(apply(md, &cmd), -EEXIST);
	copy = restore(md);
	metadata_free(md);
	t = metadata_find_topic(copy, "__consumer_offsets");
	assert_non_null(t);
	assert_int_equal(t->own.cleanup_policy, CLEANUP_COMPACT);
	assert_int_equal(t->own.retention_ms, -1);
	assert_int_equal(t->own.set, 1U << TOPIC_RETENTION_MS | 1U << TOPIC_CLEANUP_POLICY);
	for (unsigned i = 0; i < ARRAY_CNT(changes); i++) {
		cmd = topic_cmd(copy, "__consumer_offsets", changes[i]);
		assert_int_equal(apply(copy, &cmd), -EPERM);
		assert_string_equal(result.sentence,
				    "topic __consumer_offsets is the broker's own");
	}
	metadata_free(copy);
}

static void test_only_internal_topics_are_compacted(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd = internal_cmd("orders", 1), config;

	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_string_equal(result.sentence, "\"orders\" is no topic of the broker's own");
	assert_int_equal(create_topic(md, "orders", 1), 0);
	config = topic_cmd(md, "orders", METADATA_CONFIG);
	config.change_cnt = 1;
	config.changes[0] = cmd.changes[1];
	assert_int_equal(apply(md, &config), -EINVAL);
	assert_string_equal(result.sentence,
			    "cleanup.policy=compact is for topics of the broker's own");
	config.changes[0].num = CLEANUP_DELETE;
	assert_int_equal(apply(md, &config), 0);
	cmd = internal_cmd("__consumer_offsets", 2);
	cmd.changes[0].num = -2;
	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_null(metadata_find_topic(md, "__consumer_offsets"));
	metadata_free(md);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_groups_are_found_by_name_and_id_and_in_order),
		cmocka_unit_test(test_names_are_refused),
		cmocka_unit_test(test_a_deleted_group_is_gone),
		cmocka_unit_test(test_permissions_change_as_masked),
		cmocka_unit_test(test_settings_are_all_or_none),
		cmocka_unit_test(test_dead_letters_need_a_topic),
		cmocka_unit_test(test_repeats_get_the_first_answer),
		cmocka_unit_test(test_version_2_stays_as_it_is),
		cmocka_unit_test(test_wrong_groups_in_a_snapshot_are_noticed),
		cmocka_unit_test(test_many_groups),
		cmocka_unit_test(test_reserved_names_are_the_brokers),
		cmocka_unit_test(test_an_internal_topic_comes_with_its_settings_and_stays),
		cmocka_unit_test(test_only_internal_topics_are_compacted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

#include "tests/lib/metadata_fixture.h"

static struct metadata_cmd create_cmd(const char *name, uint32_t number, uint32_t partition_cnt)
{
	struct metadata_cmd cmd = { .kind = METADATA_CREATE,
				    .time_ms = NOW_MS,
				    .partition_cnt = partition_cnt,
				    .uid = 1000,
				    .gid = 100,
				    .mode = 0755 };

	le32_store(cmd.topic_id, number + 1);
	snprintf(cmd.name, sizeof(cmd.name), "%s", name);
	return cmd;
}

static int create(struct metadata *md, const char *name, uint32_t number)
{
	struct metadata_cmd cmd = create_cmd(name, number, 1);

	return apply(md, &cmd);
}

static struct metadata_cmd topic_cmd(const struct metadata *md, const char *name,
				     enum metadata_kind kind)
{
	struct metadata_cmd cmd = { .kind = kind, .time_ms = NOW_MS + 1 };
	const struct metadata_topic *t = metadata_find_topic(md, name);

	assert_non_null(t);
	memcpy(cmd.topic_id, t->id, 16);
	return cmd;
}

static int set_num(struct metadata *md, const char *name, enum topic_setting setting, bool reset,
		   int64_t num)
{
	struct metadata_cmd cmd = topic_cmd(md, name, METADATA_CONFIG);

	cmd.change_cnt = 1;
	cmd.changes[0] = (struct topic_change){ .setting = setting, .reset = reset, .num = num };
	return apply(md, &cmd);
}

static bool is_same(const struct metadata *a, const struct metadata *b)
{
	struct buf x, y;
	bool same;

	buf_init(&x);
	buf_init(&y);
	metadata_encode(a, &x);
	metadata_encode(b, &y);
	assert_int_equal(buf_err(&x) | buf_err(&y), 0);
	same = x.len == y.len && !memcmp(x.data, y.data, x.len);
	buf_fini(&x);
	buf_fini(&y);
	return same;
}

static struct metadata *restore(const struct metadata *md)
{
	struct metadata *ret = NULL;
	struct buf b;

	buf_init(&b);
	metadata_encode(md, &b);
	assert_int_equal(metadata_decode(b.data, b.len, &ret), 0);
	buf_fini(&b);
	return ret;
}

static void test_topics_are_found_by_name_and_id_and_in_order(void **state)
{
	struct metadata *md = fresh();
	const struct metadata_topic *t;

	assert_int_equal(create(md, "b", 2), 0);
	assert_string_equal(result.topic, "b");
	assert_int_equal(result.partition_cnt, 1);
	assert_int_equal(result.old_partition_cnt, 0);
	assert_int_equal(create(md, "a", 1), 0);
	assert_int_equal(create(md, "c.x", 3), 0);
	assert_int_equal(metadata_topic_cnt(md), 3);
	assert_string_equal(metadata_topic_at(md, 0)->name, "a");
	assert_string_equal(metadata_topic_at(md, 2)->name, "c.x");
	assert_null(metadata_topic_at(md, 3));
	assert_int_equal(metadata_topic_after(md, "a"), 1);
	assert_int_equal(metadata_topic_after(md, "aa"), 1);
	assert_int_equal(metadata_topic_after(md, ""), 0);
	t = metadata_find_topic(md, "c.x");
	assert_non_null(t);
	assert_int_equal(t->uid, 1000);
	assert_int_equal(t->created_ms, NOW_MS);
	assert_ptr_equal(metadata_find_topic_id(md, t->id), t);
	assert_null(metadata_find_topic(md, "c_x"));
	assert_int_equal(metadata_generation(md), 3);
	metadata_free(md);
}

static void test_names_are_refused(void **state)
{
	struct metadata *md = fresh();
	char name[TOPIC_NAME_MAX + 1];

	memset(name, 'n', TOPIC_NAME_MAX);
	name[TOPIC_NAME_MAX] = '\0';
	assert_int_equal(create(md, name, 1), 0);
	assert_int_equal(create(md, "", 2), -EINVAL);
	assert_int_equal(create(md, ".", 2), -EINVAL);
	assert_int_equal(create(md, "..", 2), -EINVAL);
	assert_int_equal(create(md, "a b", 2), -EINVAL);
	assert_int_equal(create(md, "a/b", 2), -EINVAL);
	assert_int_equal(create(md, "a.b_c", 2), 0);
	assert_int_equal(create(md, "a.b_c", 3), -EEXIST);
	assert_string_equal(result.sentence, "topic a.b_c exists");
	assert_int_equal(create(md, "a_b.c", 3), -EEXIST);
	assert_string_equal(result.sentence, "topic a.b_c exists, and names that differ only in "
					     "\".\" and \"_\" clash");
	assert_int_equal(create(md, "other", 2), -EEXIST);
	assert_int_equal(metadata_generation(md), 2);
	metadata_free(md);
}

static void test_partitions_only_grow(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "t", 1), 0);
	assert_int_equal(set_num(md, "t", TOPIC_NUM_PARTITIONS, false, 4), 0);
	assert_int_equal(result.old_partition_cnt, 1);
	assert_int_equal(result.partition_cnt, 4);
	assert_int_equal(set_num(md, "t", TOPIC_NUM_PARTITIONS, false, 3), -EPERM);
	assert_string_equal(result.sentence, "num.partitions only grows: it is 4, and cannot be 3");
	assert_int_equal(set_num(md, "t", TOPIC_NUM_PARTITIONS, true, 1), -EPERM);
	assert_int_equal(set_num(md, "t", TOPIC_NUM_PARTITIONS, false, 1 << 20), -EINVAL);
	assert_int_equal(set_num(md, "t", TOPIC_NUM_PARTITIONS, true, 4), 0);
	assert_int_equal(metadata_find_topic(md, "t")->own.set, 0);
	assert_int_equal(metadata_find_topic(md, "t")->partition_cnt, 4);
	/* Nor within one command. */
	cmd = topic_cmd(md, "t", METADATA_CONFIG);
	cmd.change_cnt = 2;
	cmd.changes[0] = (struct topic_change){ .setting = TOPIC_NUM_PARTITIONS, .num = 6 };
	cmd.changes[1] = (struct topic_change){ .setting = TOPIC_NUM_PARTITIONS, .num = 5 };
	assert_int_equal(apply(md, &cmd), -EPERM);
	assert_int_equal(metadata_find_topic(md, "t")->partition_cnt, 4);
	metadata_free(md);
}

static void test_settings_are_all_or_none(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "t", 1), 0);
	cmd = topic_cmd(md, "t", METADATA_CONFIG);
	cmd.change_cnt = 2;
	cmd.changes[0] = (struct topic_change){ .setting = TOPIC_RETENTION_MS, .num = 5 };
	cmd.changes[1] = (struct topic_change){ .setting = TOPIC_SEGMENT_MS, .num = 0 };
	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_int_equal(metadata_find_topic(md, "t")->own.set, 0);
	cmd.changes[1].num = 9;
	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(metadata_find_topic(md, "t")->own.retention_ms, 5);
	assert_int_equal(metadata_find_topic(md, "t")->own.segment_ms, 9);
	assert_int_equal(metadata_find_topic(md, "t")->config_ms, NOW_MS + 1);
	metadata_free(md);
}

static void test_permissions_change_as_masked(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "t", 1), 0);
	cmd = topic_cmd(md, "t", METADATA_PERMS);
	cmd.perms_mask = METADATA_MODE;
	cmd.mode = 0700;
	cmd.uid = 5;
	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(metadata_find_topic(md, "t")->mode, 0700);
	assert_int_equal(metadata_find_topic(md, "t")->uid, 1000);
	assert_int_equal(metadata_find_topic(md, "t")->perms_ms, NOW_MS + 1);
	cmd.mode = 010000;
	assert_int_equal(apply(md, &cmd), -EINVAL);
	cmd.perms_mask = 8;
	assert_int_equal(apply(md, &cmd), -EINVAL);
	metadata_free(md);
}

static void test_a_deleted_topic_is_gone_and_its_name_free(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd;

	assert_int_equal(create(md, "t", 1), 0);
	cmd = topic_cmd(md, "t", METADATA_DELETE);
	assert_int_equal(apply(md, &cmd), 0);
	assert_string_equal(result.topic, "t");
	assert_int_equal(result.partition_cnt, 1);
	assert_null(metadata_find_topic(md, "t"));
	assert_int_equal(apply(md, &cmd), -ENOENT);
	assert_int_equal(create(md, "t", 2), 0);
	assert_int_equal(apply(md, &cmd), -ENOENT);
	metadata_free(md);
}

static struct metadata_cmd broker_cmd(uint32_t node, const char *directory, uint64_t incarnation)
{
	struct metadata_cmd cmd = { .kind = METADATA_BROKER,
				    .node = node,
				    .incarnation = incarnation,
				    .address = "127.0.0.1:0" };

	memcpy(cmd.directory_id, directory, 16);
	return cmd;
}

static void test_brokers_are_pairs_of_node_and_directory(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd = broker_cmd(2, "directory id two", 1);

	assert_int_equal(apply(md, &cmd), 0);
	cmd = broker_cmd(1, "directory id one", 3);
	assert_int_equal(apply(md, &cmd), 0);
	assert_int_equal(metadata_broker_at(md, 0)->node, 1);
	assert_int_equal(metadata_find_broker(md, 1)->incarnation, 3);
	cmd.incarnation = 2;
	assert_int_equal(apply(md, &cmd), -ESTALE);
	cmd = broker_cmd(3, "directory id one", 4);
	assert_int_equal(apply(md, &cmd), -EINVAL);
	assert_string_equal(result.sentence, "this data directory belongs to node 1, not 3");
	cmd = broker_cmd(1, "directory id new", 1);
	assert_int_equal(apply(md, &cmd), 0);
	assert_memory_equal(metadata_find_broker(md, 1)->directory_id, "directory id new", 16);
	assert_null(metadata_broker_at(md, 2));
	metadata_free(md);
}

static void stamp(struct metadata_cmd *cmd, const char *directory, uint64_t incarnation,
		  uint64_t number)
{
	memcpy(cmd->origin.directory_id, directory, 16);
	cmd->origin.incarnation = incarnation;
	cmd->origin.number = number;
}

static void test_repeats_get_the_first_answer(void **state)
{
	struct metadata *md = fresh(), *copy;
	struct metadata_cmd cmd = create_cmd("t", 1, 1), del;

	stamp(&cmd, "directory id one", 1, 7);
	assert_int_equal(apply(md, &cmd), 0);
	assert_false(result.repeated);
	assert_int_equal(apply(md, &cmd), 0);
	assert_true(result.repeated);
	assert_memory_equal(result.topic_id, cmd.topic_id, 16);
	stamp(&cmd, "directory id one", 1, 8);
	assert_int_equal(apply(md, &cmd), -EEXIST);
	del = topic_cmd(md, "t", METADATA_DELETE);
	assert_int_equal(apply(md, &del), 0);
	/* The topic is gone, the answers stay: also in a snapshot. */
	copy = restore(md);
	assert_int_equal(apply(copy, &cmd), -EEXIST);
	assert_string_equal(result.sentence, "topic t exists");
	assert_true(result.repeated);
	metadata_free(copy);
	stamp(&cmd, "directory id one", 0, 9);
	assert_int_equal(apply(md, &cmd), -ESTALE);
	stamp(&cmd, "directory id one", 2, 7);
	assert_int_equal(apply(md, &cmd), 0);
	assert_false(result.repeated);
	metadata_free(md);
}

static void test_answers_are_bounded_and_old_numbers_refused(void **state)
{
	struct metadata *md = fresh();
	struct metadata_cmd cmd = { .kind = METADATA_NOOP };

	for (uint64_t i = 1; i <= METADATA_ANSWER_CNT + 2; i++) {
		stamp(&cmd, "directory id one", 1, i);
		assert_int_equal(apply(md, &cmd), 0);
	}
	stamp(&cmd, "directory id one", 1, 2);
	assert_int_equal(apply(md, &cmd), -ESTALE);
	stamp(&cmd, "directory id one", 1, 3);
	assert_int_equal(apply(md, &cmd), 0);
	assert_true(result.repeated);
	/* One more forwarder than fit: the one that was silent for longest goes. */
	for (uint32_t i = 0; i < METADATA_FORWARDER_MAX; i++) {
		char id[17];

		snprintf(id, sizeof(id), "forwarder %6u", i);
		stamp(&cmd, id, 1, 1);
		assert_int_equal(apply(md, &cmd), 0);
	}
	stamp(&cmd, "directory id one", 1, 3);
	assert_int_equal(apply(md, &cmd), 0);
	assert_false(result.repeated);
	metadata_free(md);
}

static void test_what_is_no_command_changes_nothing(void **state)
{
	struct metadata *md = fresh();
	uint8_t raw[64] = { METADATA_CMD_VERSION + 1, METADATA_NOOP };

	metadata_apply(md, 1, 1, raw, sizeof(raw), &result);
	assert_int_equal(result.err, -EPROTONOSUPPORT);
	raw[0] = METADATA_CMD_VERSION;
	metadata_apply(md, 2, 1, raw, sizeof(raw), &result);
	assert_int_equal(result.err, -EBADMSG);
	metadata_apply(md, 3, 1, raw, 3, &result);
	assert_int_equal(result.err, -EBADMSG);
	raw[1] = METADATA_CREATE_INTERNAL + 1;
	metadata_apply(md, 4, 1, raw, 42, &result);
	assert_int_equal(result.err, -EPROTONOSUPPORT);
	assert_int_equal(metadata_generation(md), 0);
	assert_int_equal(metadata_applied_index(md), 4);
	metadata_free(md);
}

/* ---- Random commands ---- */

/* xorshift64*: the tests' own dice, printed by their seed. */
static uint64_t dice_state;

static uint32_t dice(uint32_t sides)
{
	dice_state ^= dice_state >> 12;
	dice_state ^= dice_state << 25;
	dice_state ^= dice_state >> 27;
	return (uint32_t)((dice_state * 0x2545f4914f6cdd1dULL) >> 33) % sides;
}

static void random_changes(struct metadata_cmd *cmd)
{
	cmd->change_cnt = dice(4);
	for (unsigned i = 0; i < cmd->change_cnt; i++) {
		struct topic_change *c = &cmd->changes[i];

		c->setting = (enum topic_setting)dice(TOPIC_SETTING_CNT);
		c->reset = !dice(3);
		c->num = (int64_t)dice(12) - 1;
		if (c->setting == TOPIC_HOT_KEYS && !c->reset) {
			c->text = "one,two,three";
			c->text_len = dice(14);
		}
	}
}

static void random_group_changes(struct metadata_cmd *cmd)
{
	cmd->group_change_cnt = dice(4);
	for (unsigned i = 0; i < cmd->group_change_cnt; i++) {
		struct group_change *c = &cmd->group_changes[i];

		c->setting = (enum group_setting)dice(GROUP_SETTING_CNT);
		c->reset = !dice(3);
		c->num = dice(2) ? dice(5) : 98 + dice(5);
		if (c->setting == GROUP_DLQ && !c->reset) {
			c->num = 0;
			c->text = "dead.letters";
			c->text_len = dice(13);
		}
	}
}

static struct metadata_cmd random_cmd(void)
{
	static const char letters[] = "ab._-";
	struct metadata_cmd cmd = { .kind = (enum metadata_kind)(1 + dice(11)),
				    .time_ms = (int64_t)dice(1000),
				    .partition_cnt = dice(4),
				    .uid = dice(3),
				    .gid = dice(3),
				    .mode = (uint16_t)dice(010010),
				    .perms_mask = (uint8_t)dice(9),
				    .node = dice(4),
				    .incarnation = dice(4) };
	unsigned name_len = dice(5);

	for (unsigned i = 0; i < name_len; i++)
		cmd.name[i] = letters[dice(5)];
	if (cmd.kind == METADATA_GROUP_CREATE && name_len)
		cmd.name[0] = " g/\n"[dice(4)];
	if (cmd.kind == METADATA_CREATE_INTERNAL && dice(2))
		snprintf(cmd.name, sizeof(cmd.name), "__consumer_offsets");
	le32_store(cmd.topic_id, dice(60));
	le32_store(cmd.group_id, dice(60));
	cmd.directory_id[3] = (uint8_t)dice(5);
	snprintf(cmd.rack, sizeof(cmd.rack), "rack%u", dice(3));
	if (cmd.kind == METADATA_CONFIG || cmd.kind == METADATA_CREATE_INTERNAL)
		random_changes(&cmd);
	if (cmd.kind == METADATA_GROUP_CONFIG)
		random_group_changes(&cmd);
	cmd.origin.directory_id[0] = (uint8_t)dice(4);
	cmd.origin.incarnation = dice(40) / 39;
	cmd.origin.number = dice(4000);
	return cmd;
}

/* Replicas that get the same commands, one of them through snapshots, are equal all the way. */
static void run_replicas(uint64_t seed)
{
	struct metadata *a = fresh(), *b = metadata_new(cluster_id), *restored;

	dice_state = seed;
	for (unsigned i = 0; i < 3000; i++) {
		struct metadata_cmd cmd = random_cmd();
		struct metadata_result first;
		char sentence[SENTENCE_MAX];
		int checked = metadata_check(a, &cmd, sentence);

		apply(a, &cmd);
		first = result;
		assert_true(first.repeated || first.err == checked || first.err == -ESTALE);
		next_index--;
		apply(b, &cmd);
		assert_memory_equal(&first, &result, sizeof(first));
		if (dice(100))
			continue;
		restored = restore(b);
		metadata_free(b);
		b = restored;
		assert_true(is_same(a, b));
	}
	assert_true(is_same(a, b));
	assert_true(metadata_generation(a) > 100);
	assert_true(metadata_topic_cnt(a) > 0);
	assert_true(metadata_group_cnt(a) > 0);
	for (uint32_t i = 0; i + 1 < metadata_topic_cnt(a); i++)
		assert_true(strcmp(metadata_topic_at(a, i)->name,
				   metadata_topic_at(a, i + 1)->name) < 0);
	for (uint32_t i = 0; i < metadata_topic_cnt(a); i++) {
		const struct metadata_topic *t = metadata_topic_at(a, i);

		assert_ptr_equal(metadata_find_topic(a, t->name), t);
		assert_ptr_equal(metadata_find_topic_id(a, t->id), t);
	}
	metadata_free(a);
	metadata_free(b);
}

static void test_replicas_are_equal(void **state)
{
	for (uint64_t seed = 1; seed <= 8; seed++) {
		print_message("seed %llu\n", (unsigned long long)seed);
		run_replicas(seed * 0x9e3779b97f4a7c15ULL);
	}
}

/* ---- Damaged bytes ---- */

static struct metadata *sample(void)
{
	struct metadata *md = fresh();

	dice_state = 42;
	while (next_index < 400) {
		struct metadata_cmd cmd = random_cmd();

		apply(md, &cmd);
	}
	return md;
}

static void test_every_damaged_byte_of_a_snapshot_is_noticed(void **state)
{
	struct metadata *md = sample(), *ret = NULL;
	struct buf b;

	buf_init(&b);
	metadata_encode(md, &b);
	for (size_t i = 0; i < b.len; i++) {
		b.data[i] ^= (uint8_t)(1 + dice(255));
		assert_int_not_equal(metadata_decode(b.data, b.len, &ret), 0);
		buf_reset(&b);
		metadata_encode(md, &b);
	}
	for (size_t len = 0; len < b.len; len += 1 + dice(9))
		assert_int_not_equal(metadata_decode(b.data, len, &ret), 0);
	assert_null(ret);
	buf_fini(&b);
	metadata_free(md);
}

/* With the checksum made to fit, a decoder that is fooled must still give a sound state. */
static void test_wrong_snapshots_with_right_checksums_are_harmless(void **state)
{
	struct metadata *md = sample();
	struct buf good, bad, again;
	unsigned taken = 0;

	buf_init(&good);
	buf_init(&bad);
	buf_init(&again);
	metadata_encode(md, &good);
	for (unsigned i = 0; i < 20000; i++) {
		struct metadata *ret = NULL;

		buf_reset(&bad);
		buf_put(&bad, good.data, good.len);
		for (unsigned k = dice(3) + 1; k; k--)
			bad.data[16 + dice((uint32_t)good.len - 24)] = (uint8_t)dice(256);
		le64_store(bad.data + bad.len - 8, hash_xxh3(bad.data, bad.len - 8));
		if (metadata_decode(bad.data, bad.len, &ret))
			continue;
		taken++;
		buf_reset(&again);
		metadata_encode(ret, &again);
		assert_int_equal(again.len, bad.len);
		assert_memory_equal(again.data, bad.data, bad.len);
		metadata_free(ret);
	}
	assert_true(taken > 0);
	buf_fini(&good);
	buf_fini(&bad);
	buf_fini(&again);
	metadata_free(md);
}

/* One state has one encoding: a setting's number says nothing beside a text, nor the reverse. */
static void test_a_snapshot_with_idle_fields_is_none(void **state)
{
	static const struct {
		enum topic_setting setting;
		const char *text;
		size_t at; /* of what is changed, behind the setting's name */
	} cases[] = {
		{ TOPIC_HOT_KEYS, "a,b", 1 }, /* the number */
		{ TOPIC_RETENTION_MS, NULL,
		  9 }, /* the length of a text that is taken from behind */
	};

	for (unsigned i = 0; i < ARRAY_CNT(cases); i++) {
		struct metadata *md = fresh(), *got = NULL;
		const char *name = topic_settings[cases[i].setting].name;
		struct metadata_cmd cmd;
		struct buf b;
		uint8_t *at;

		assert_int_equal(create(md, "orders", 1), 0);
		cmd = topic_cmd(md, "orders", METADATA_CONFIG);
		cmd.change_cnt = 1;
		cmd.changes[0] = (struct topic_change){ .setting = cases[i].setting, .num = 1 };
		if (cases[i].text) {
			cmd.changes[0].text = cases[i].text;
			cmd.changes[0].text_len = strlen(cases[i].text);
		}
		assert_int_equal(apply(md, &cmd), 0);
		buf_init(&b);
		metadata_encode(md, &b);
		at = memmem(b.data, b.len, name, strlen(name));
		assert_non_null(at);
		at[strlen(name) + cases[i].at] += 4;
		if (!cases[i].text) { /* room for the text, before the two empty lists */
			size_t pos = (size_t)(at - b.data) + strlen(name) + 11;

			buf_put_zero(&b, 4);
			memmove(b.data + pos + 4, b.data + pos, b.len - pos - 4);
			memcpy(b.data + pos, "text", 4);
			buf_set_le64(&b, 8, le64_load(b.data + 8) + 4);
		}
		buf_set_le64(&b, b.len - 8, hash_xxh3(b.data, b.len - 8));
		assert_int_equal(metadata_decode(b.data, b.len, &got), -EBADMSG);
		buf_fini(&b);
		metadata_free(md);
	}
}

static void test_a_newer_snapshot_is_refused_as_such(void **state)
{
	struct metadata *md = fresh(), *ret = NULL;
	struct buf b;

	buf_init(&b);
	metadata_encode(md, &b);
	le32_store(b.data + 4, 3);
	assert_int_equal(metadata_decode(b.data, b.len, &ret), -EPROTONOSUPPORT);
	buf_fini(&b);
	metadata_free(md);
}

static void test_mutated_commands_are_harmless(void **state)
{
	struct metadata *md = sample();
	struct buf b;

	buf_init(&b);
	for (unsigned i = 0; i < 20000; i++) {
		struct metadata_cmd cmd = random_cmd();
		uint8_t *exact;
		size_t len;

		buf_reset(&b);
		metadata_cmd_encode(&cmd, &b);
		for (unsigned k = dice(4); k; k--)
			b.data[dice((uint32_t)b.len)] = (uint8_t)dice(256);
		len = dice(4) ? b.len : dice((uint32_t)b.len + 1);
		/* A copy of exactly that length, so that a sanitizer sees a read beyond it. */
		exact = malloc(len ? len : 1);
		memcpy(exact, b.data, len);
		metadata_apply(md, next_index++, 1, exact, len, &result);
		free(exact);
	}
	buf_fini(&b);
	metadata_free(md);
}

static void test_commands_are_decoded_as_they_were_encoded(void **state)
{
	struct buf a, b;

	dice_state = 7;
	buf_init(&a);
	buf_init(&b);
	for (unsigned i = 0; i < 5000; i++) {
		struct metadata_cmd cmd = random_cmd(), back;

		buf_reset(&a);
		buf_reset(&b);
		metadata_cmd_encode(&cmd, &a);
		assert_int_equal(metadata_cmd_decode(a.data, a.len, &back), 0);
		metadata_cmd_encode(&back, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.data, b.data, a.len);
	}
	buf_fini(&a);
	buf_fini(&b);
}

/* The snapshot of a state without groups, as it was before there were any. */
static void as_version_1(struct buf *b)
{
	assert_int_equal(le32_load(b->data + b->len - 12), 0);
	b->len -= 4;
	le32_store(b->data + 4, 1);
	buf_set_le64(b, 8, b->len - 24);
	buf_set_le64(b, b->len - 8, hash_xxh3(b->data, b->len - 8));
}

/* Bytes that older builds wrote: where this fails, the version must rise. */
static void test_version_1_stays_as_it_is(void **state)
{
	static const uint8_t set_retention[] =
		"\x01\x05"	     /* version, CONFIG */
		"directory id one"   /* origin */
		"\x02\0\0\0\0\0\0\0" /* incarnation */
		"\x03\0\0\0\0\0\0\0" /* number */
		"\x04\0\0\0\0\0\0\0" /* time */
		"the topic's id 1"
		"\x02" /* changes */
		"\x0cretention.ms\0\xff\xff\xff\xff\xff\xff\xff\xff\0\0"
		"\x08hot.keys\0\0\0\0\0\0\0\0\0\x03\0a,b";
	struct metadata *md = fresh(), *old = NULL;
	struct metadata_cmd cmd = create_cmd("orders", 0, 2);
	struct buf b;

	memcpy(cmd.topic_id, "the topic's id 1", 16);
	assert_int_equal(apply(md, &cmd), 0);
	cmd = broker_cmd(1, "directory id one", 2);
	assert_int_equal(apply(md, &cmd), 0);
	metadata_apply(md, next_index++, 1, set_retention, sizeof(set_retention) - 1, &result);
	assert_int_equal(result.err, 0);
	assert_int_equal(metadata_find_topic(md, "orders")->own.retention_ms, -1);
	assert_string_equal(metadata_find_topic(md, "orders")->own.hot_keys, "a,b");
	buf_init(&b);
	metadata_encode(md, &b);
	assert_int_equal(b.len, 308 + 4);
	as_version_1(&b);
	assert_int_equal(b.len, 308);
	assert_int_equal(le64_load(b.data + b.len - 8), 0x497a5d96cad61b8dULL);
	assert_int_equal(metadata_decode(b.data, b.len, &old), 0);
	assert_true(is_same(md, old));
	metadata_free(old);
	buf_fini(&b);
	metadata_free(md);
}

static void test_many_topics(void **state)
{
	struct metadata *md = fresh(), *copy;
	char name[32];

	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "topic-%08x", i * 2654435761U);
		assert_int_equal(create(md, name, i), 0);
	}
	copy = restore(md);
	assert_true(is_same(md, copy));
	metadata_free(copy);
	for (uint32_t i = 0; i < 20000; i += 2) {
		struct metadata_cmd cmd;

		snprintf(name, sizeof(name), "topic-%08x", i * 2654435761U);
		cmd = topic_cmd(md, name, METADATA_DELETE);
		assert_int_equal(apply(md, &cmd), 0);
	}
	for (uint32_t i = 0; i < 20000; i++) {
		snprintf(name, sizeof(name), "topic-%08x", i * 2654435761U);
		assert_int_equal(metadata_find_topic(md, name) != NULL, i % 2);
	}
	metadata_free(md);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_topics_are_found_by_name_and_id_and_in_order),
		cmocka_unit_test(test_names_are_refused),
		cmocka_unit_test(test_partitions_only_grow),
		cmocka_unit_test(test_settings_are_all_or_none),
		cmocka_unit_test(test_permissions_change_as_masked),
		cmocka_unit_test(test_a_deleted_topic_is_gone_and_its_name_free),
		cmocka_unit_test(test_brokers_are_pairs_of_node_and_directory),
		cmocka_unit_test(test_repeats_get_the_first_answer),
		cmocka_unit_test(test_answers_are_bounded_and_old_numbers_refused),
		cmocka_unit_test(test_what_is_no_command_changes_nothing),
		cmocka_unit_test(test_replicas_are_equal),
		cmocka_unit_test(test_every_damaged_byte_of_a_snapshot_is_noticed),
		cmocka_unit_test(test_wrong_snapshots_with_right_checksums_are_harmless),
		cmocka_unit_test(test_a_snapshot_with_idle_fields_is_none),
		cmocka_unit_test(test_a_newer_snapshot_is_refused_as_such),
		cmocka_unit_test(test_mutated_commands_are_harmless),
		cmocka_unit_test(test_commands_are_decoded_as_they_were_encoded),
		cmocka_unit_test(test_version_1_stays_as_it_is),
		cmocka_unit_test(test_many_topics),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

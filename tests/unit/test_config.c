#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "daemon/config.h"

static struct config config;
static char sentence[SENTENCE_MAX];

static int init(void **state)
{
	config_init(&config);
	return 0;
}

static int set(const char *line)
{
	return config_set(&config, line, strlen(line), sentence);
}

static void refused(const char *line, const char *expected)
{
	assert_int_equal(set(line), -EINVAL);
	assert_string_equal(sentence, expected);
}

static struct topic_config topic_defaults(void)
{
	struct topic_config ret;

	config_topic_defaults(&config, &ret);
	return ret;
}

static void test_defaults_are_kafkas(void **state)
{
	assert_int_equal(topic_defaults().retention_ms, 604800000);
	assert_int_equal(topic_defaults().segment_ms, 604800000);
	assert_int_equal(topic_defaults().segment_bytes, 1073741824);
	assert_int_equal(topic_defaults().max_message_bytes, 1048588);
	assert_int_equal(topic_defaults().acks, ACKS_ALL);
	assert_int_equal(config.retention_check_ms, 300000);
	assert_int_equal(config.request_timeout_ms, 30000);
	assert_int_equal(config.disk_reserve_percent, 2);
	assert_int_equal(config.disk_reserve_bytes, 64 << 20);
}

static void test_milliseconds_count_before_minutes_before_hours(void **state)
{
	assert_int_equal(set("log.retention.hours=1"), 0);
	assert_int_equal(topic_defaults().retention_ms, 3600000);
	assert_int_equal(set("log.retention.minutes=2"), 0);
	assert_int_equal(topic_defaults().retention_ms, 120000);
	assert_int_equal(set("log.retention.ms=3"), 0);
	assert_int_equal(topic_defaults().retention_ms, 3);
	assert_int_equal(set("log.retention.ms=-1"), 0);
	assert_int_equal(topic_defaults().retention_ms, -1);
	assert_int_equal(set("log.retention.ms="), 0);
	assert_int_equal(topic_defaults().retention_ms, 120000);
	assert_int_equal(set("log.roll.hours=2"), 0);
	assert_int_equal(topic_defaults().segment_ms, 7200000);
	assert_int_equal(set("log.roll.ms=50"), 0);
	assert_int_equal(topic_defaults().segment_ms, 50);
	assert_int_equal(set("log.retention.minutes="), 0);
	assert_int_equal(set("log.retention.hours=-1"), 0);
	assert_int_equal(topic_defaults().retention_ms, -1);
}

static void test_refusals_name_the_nearest(void **state)
{
	refused("log.retention.m=5",
		"unknown setting \"log.retention.m\" (did you mean \"log.retention.ms\"?)");
	refused("io.refuze=splice", "unknown setting \"io.refuze\" (did you mean \"io.refuse\"?)");
	refused("zzz=5", "unknown setting \"zzz\"; topicfs broker --help lists the settings");
	refused("io.threads=0", "io.threads takes 1 to 64, not \"0\"");
	refused("log.dirs=/x", "log.dirs: is given by --data");
	refused("num.partitions", "\"num.partitions\" is not name=value");
	refused("", "\"\" is not NAME=VALUE");
	refused("num.partitions=1\nio.threads=1",
		"\"num.partitions=1?io.threads=1\" is not NAME=VALUE");
	refused("io.refuse=io_uring,fsync",
		"io.refuse takes a list of io_uring, o_direct, splice, not \"fsync\"");
}

static void test_refusals_of_the_kernel_add_up(void **state)
{
	assert_int_equal(set("io.refuse=io_uring,splice"), 0);
	assert_int_equal(config.io_refuse, REFUSE_IO_URING | REFUSE_SPLICE);
	assert_int_equal(config_refuse(&config, "o_direct", 8, sentence), 0);
	assert_int_equal(config.io_refuse, REFUSE_IO_URING | REFUSE_SPLICE | REFUSE_O_DIRECT);
	assert_int_equal(config_refuse(&config, "", 0, sentence), 0);
	assert_int_equal(set("io.refuse="), 0);
	assert_int_equal(config.io_refuse, 0);
}

static void test_a_file_is_read_and_its_name_told(void **state)
{
	char path[] = "/tmp/topicfs-config-XXXXXX", expected[SENTENCE_MAX];
	int fd = mkstemp(path);
	const char text[] = "# settings\n\nnum.partitions = 3\njournal.bytes=0\nnonsense=1\n";

	assert_true(fd >= 0);
	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	assert_int_equal(config_read(&config, path, sentence), -EINVAL);
	snprintf(expected, sizeof(expected),
		 "%s: unknown setting \"nonsense\"; topicfs broker --help lists the settings",
		 path);
	assert_string_equal(sentence, expected);
	assert_int_equal(ftruncate(fd, (off_t)strlen(text) - 11), 0);
	assert_int_equal(config_read(&config, path, sentence), 0);
	assert_int_equal(config.num_partitions, 3);
	assert_int_equal(config.journal_bytes, 0);
	assert_int_equal(close(fd), 0);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(config_read(&config, path, sentence), -ENOENT);
}

/* What gives a topic's setting its default is a setting of the broker, with the same bounds. */
static void test_broker_names_of_topic_settings_exist(void **state)
{
	for (unsigned i = 0; i < TOPIC_SETTING_CNT; i++) {
		const char *name = topic_setting_broker_name((enum topic_setting)i);
		const struct setting *s = &topic_settings[i];
		struct topic_config t;
		char line[128];

		if (!*name || s->type != SETTING_NUM)
			continue;
		config_init(&config);
		snprintf(line, sizeof(line), "%s=%lld", name, (long long)s->max);
		assert_int_equal(set(line), 0);
		config_topic_defaults(&config, &t);
		assert_int_equal(setting_get_num(s, &t), s->max);
		snprintf(line, sizeof(line), "%s=%lld", name, (long long)s->min);
		assert_int_equal(set(line), 0);
		config_topic_defaults(&config, &t);
		assert_int_equal(setting_get_num(s, &t), s->min);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_defaults_are_kafkas, init),
		cmocka_unit_test_setup(test_milliseconds_count_before_minutes_before_hours, init),
		cmocka_unit_test_setup(test_refusals_name_the_nearest, init),
		cmocka_unit_test_setup(test_refusals_of_the_kernel_add_up, init),
		cmocka_unit_test_setup(test_a_file_is_read_and_its_name_told, init),
		cmocka_unit_test_setup(test_broker_names_of_topic_settings_exist, init),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

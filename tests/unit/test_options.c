#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "daemon/options.h"

#define ARGS_MAX 16

static struct options options;
static char *out_text, *err_text;
static const char *refuse_env;

static int clear(void **state)
{
	free(out_text);
	free(err_text);
	out_text = err_text = NULL;
	refuse_env = NULL;
	return 0;
}

/* Parses the words of a line; they stay valid until the next call. */
static void parse(const char *line)
{
	static char copy[512];
	char *argv[ARGS_MAX + 1] = { "topicfs" };
	size_t out_len, err_len;
	FILE *out, *err;
	int argc = 1;

	free(out_text);
	free(err_text);
	out = open_memstream(&out_text, &out_len);
	err = open_memstream(&err_text, &err_len);
	assert_true(out && err && strlen(line) < sizeof(copy));
	strcpy(copy, line);
	for (char *word = strtok(copy, " "); word; word = strtok(NULL, " ")) {
		assert_true(argc < ARGS_MAX);
		argv[argc++] = word;
	}
	options_parse(argc, argv, refuse_env, out, err, &options);
	fclose(out);
	fclose(err);
}

static void refused(const char *line, const char *expected)
{
	parse(line);
	assert_int_equal(options.command, COMMAND_NONE);
	assert_int_equal(options.status, EXIT_USAGE);
	assert_string_equal(out_text, "");
	if (strncmp(err_text, expected, strlen(expected)))
		assert_string_equal(err_text, expected);
	assert_int_equal(err_text[strlen(expected)], '\n');
}

static void test_broker_takes_its_options(void **state)
{
	parse("broker --mount m --data=d --node 7 --rack r1 --set num.partitions=3 "
	      "--set io.threads=2 --log-level warn");
	assert_string_equal(err_text, "");
	assert_int_equal(options.command, COMMAND_BROKER);
	assert_string_equal(options.broker.mount, "m");
	assert_string_equal(options.broker.data, "d");
	assert_string_equal(options.broker.rack, "r1");
	assert_int_equal(options.broker.node, 7);
	assert_int_equal(options.broker.config.num_partitions, 3);
	assert_int_equal(options.broker.config.io_threads, 2);
	assert_int_equal(options.broker.log_level, LOG_WARN);
	parse("broker --mount m --data d");
	assert_int_equal(options.broker.node, 1);
	assert_string_equal(options.broker.rack, "");
	assert_int_equal(options.broker.config.num_partitions, 1);
	assert_int_equal(options.broker.log_level, LOG_INFO);
}

static void test_the_environment_adds_refusals(void **state)
{
	refuse_env = "o_direct";
	parse("broker --mount m --data d --set io.refuse=splice");
	assert_int_equal(options.command, COMMAND_BROKER);
	assert_int_equal(options.broker.config.io_refuse, REFUSE_O_DIRECT | REFUSE_SPLICE);
	refuse_env = "disk";
	refused("broker --mount m --data d",
		"topicfs broker: TOPICFS_REFUSE: io.refuse takes a list of io_uring, o_direct, "
		"splice, not \"disk\"");
}

static void test_broker_refusals(void **state)
{
	refused("broker --mount m", "topicfs broker: --mount DIR and --data DIR are needed");
	refused("broker --mount m --data", "topicfs broker: option '--data' needs a value");
	refused("broker --colour=red", "topicfs broker: unknown option '--colour'");
	refused("broker -x", "topicfs broker: unknown option '-x'");
	refused("broker m d", "topicfs broker: 'm' is no option");
	refused("broker --mount m extra --data d", "topicfs broker: 'extra' is no option");
	refused("broker --mount m --data d --node 0",
		"topicfs broker: --node takes a number from 1 to 2147483647, not '0'");
	refused("broker --mount m --data d --rack=a\nid=2",
		"topicfs broker: --rack takes at most 255 bytes of UTF-8 without blanks");
	refused("broker --mount m --data d --rack=\xff",
		"topicfs broker: --rack takes at most 255 bytes of UTF-8 without blanks");
	refused("broker --mount m --data d --log-level loud",
		"topicfs broker: --log-level takes debug, info, warn or error, not 'loud'");
	refused("broker --mount m --data d --set num.partition=3",
		"topicfs broker: --set num.partition=3: unknown setting \"num.partition\" (did you "
		"mean \"num.partitions\"?)");
	refused("broker --mount m --data d --config /nonexistent/file",
		"topicfs broker: cannot read /nonexistent/file: No such file or directory");
	refused("broker --mount m --data d --listen localhost:9",
		"topicfs broker: --listen is not in this build: it opens no port; brokers of a "
		"cluster come later");
}

static void test_unknown_commands(void **state)
{
	refused("", "topicfs: a command is missing");
	refused("brokre", "topicfs: unknown command 'brokre'; did you mean 'broker'?");
	refused("serve-me", "topicfs: unknown command 'serve-me'");
	refused("--verbose", "topicfs: unknown option '--verbose'");
	refused("rescue d --yes",
		"topicfs rescue: not in this build: a cluster of one has no majority to lose");
	refused("mount --mount m --bootstrap h:1",
		"topicfs mount: not in this build: it comes with clusters of several brokers");
}

static void test_help_and_version(void **state)
{
	static const char *const lines[] = { "--help",
					     "--version",
					     "broker --help",
					     "mount --help",
					     "cert --help",
					     "rescue --help",
					     "verify --help",
					     "dump --help",
					     "bench --help",
					     "top --help",
					     "broker --mount m --help",
					     "bench append --help",
					     "dump d --help",
					     "verify d --help",
					     "top m --help" };

	for (size_t i = 0; i < ARRAY_CNT(lines); i++) {
		parse(lines[i]);
		assert_int_equal(options.command, COMMAND_NONE);
		assert_int_equal(options.status, 0);
		assert_string_equal(err_text, "");
		assert_true(strlen(out_text) > 10);
	}
	parse("broker --help");
	assert_non_null(strstr(out_text, "\n  log.retention.hours=168  [-1 to 2147483647]\n"));
	assert_non_null(strstr(out_text, "\n  io.refuse="));
	parse("broker --mount --help --data d");
	assert_int_equal(options.command, COMMAND_BROKER);
	assert_string_equal(options.broker.mount, "--help");
}

static void test_the_other_commands(void **state)
{
	parse("verify data");
	assert_int_equal(options.command, COMMAND_VERIFY);
	assert_string_equal(options.path, "data");
	parse("dump -- --odd");
	assert_int_equal(options.command, COMMAND_DUMP);
	assert_string_equal(options.path, "--odd");
	refused("verify", "topicfs verify: takes exactly one data directory");
	refused("dump a b", "topicfs dump: takes exactly one data directory or .meta file");
	refused("verify --all d", "topicfs verify: unknown option '--all'");
	parse("bench appends --dir x");
	assert_int_equal(options.command, COMMAND_BENCH);
	assert_int_equal(options.argc, 4);
	assert_string_equal(options.argv[0], "bench");
	parse("top");
	assert_int_equal(options.command, COMMAND_TOP);
	assert_null(options.top.mount);
	assert_int_equal(options.top.interval_ms, 1000);
	assert_int_equal(options.top.cnt, 0);
	parse("top --interval 5 --count 2 mnt");
	assert_string_equal(options.top.mount, "mnt");
	assert_int_equal(options.top.interval_ms, 5000);
	assert_int_equal(options.top.cnt, 2);
	/* Options may stand behind what is no option, in the GNU manner. */
	parse("top mnt --count 3 --interval 4");
	assert_string_equal(options.top.mount, "mnt");
	assert_int_equal(options.top.interval_ms, 4000);
	assert_int_equal(options.top.cnt, 3);
	refused("top a --count 3 b", "topicfs top: takes one mount point");
	refused("verify d --all", "topicfs verify: unknown option '--all'");
	refused("top --interval 0", "topicfs top: --interval takes 1 to 3600 seconds, not '0'");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_broker_takes_its_options, clear, clear),
		cmocka_unit_test_setup_teardown(test_the_environment_adds_refusals, clear, clear),
		cmocka_unit_test_setup_teardown(test_broker_refusals, clear, clear),
		cmocka_unit_test_setup_teardown(test_unknown_commands, clear, clear),
		cmocka_unit_test_setup_teardown(test_help_and_version, clear, clear),
		cmocka_unit_test_setup_teardown(test_the_other_commands, clear, clear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

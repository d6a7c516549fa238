/*
 * Commands that this build does not have yet: they say so and fail.
 */
#include "daemon/commands.h"

static int absent(const char *name)
{
	fprintf(stderr, "topicfs: %s is not in this build\n", name);
	return EXIT_USAGE;
}

int cmd_bench(int argc, char **argv)
{
	return absent("bench");
}

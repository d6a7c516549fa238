#include "daemon/commands.h"

#include <stdlib.h>

int main(int argc, char **argv)
{
	struct options o;

	options_parse(argc, argv, getenv(CONFIG_REFUSE_ENV), stdout, stderr, &o);
	switch (o.command) {
	case COMMAND_NONE:
		return o.status;
	case COMMAND_BROKER:
		return cmd_broker(&o.broker);
	case COMMAND_VERIFY:
		return cmd_verify(o.path);
	case COMMAND_DUMP:
		return cmd_dump(o.path);
	case COMMAND_BENCH:
		return cmd_bench(o.argc, o.argv);
	case COMMAND_TOP:
		return cmd_top(&o.top);
	}
	return EXIT_USAGE;
}

/*
 * The subcommands. Each returns the exit status of the process.
 */
#ifndef TOPICFS_DAEMON_COMMANDS_H
#define TOPICFS_DAEMON_COMMANDS_H

#include "daemon/options.h"

/* Serves until SIGTERM or SIGINT. 0: a clean end; 1: anything else, told in the log. */
int cmd_broker(const struct broker_options *options);
/* Checks every batch of a data directory; a line on stdout for each fault. 0; 1: faults; 2: the
 * directory is in use or absent. */
int cmd_verify(const char *dir);
/* Batches and records of a data directory or one .meta file as JSON lines on stdout. As above. */
int cmd_dump(const char *path);
/* Figures beside the native file system's. argv[0] is "bench"; parses its own arguments. */
int cmd_bench(int argc, char **argv);
/* What flows, live. */
int cmd_top(const struct top_options *options);

#endif

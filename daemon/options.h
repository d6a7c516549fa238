/*
 * The command line (DESIGN 9): subcommands with long options in the GNU manner.
 */
#ifndef TOPICFS_DAEMON_OPTIONS_H
#define TOPICFS_DAEMON_OPTIONS_H

#include "daemon/base/log.h"
#include "daemon/config.h"

#include <stdio.h>

#define TOPICFS_VERSION "0.1.0"

/* What is wrong with a command line ends in this exit status. */
#define EXIT_USAGE 2

enum command {
	COMMAND_NONE, /* nothing is left to do: help was printed, or a refusal */
	COMMAND_BROKER,
	COMMAND_VERIFY,
	COMMAND_DUMP,
	COMMAND_BENCH,
	COMMAND_TOP,
};

/* Strings are borrowed from argv and live as long as the process. */
struct broker_options {
	const char *mount, *data;
	uint32_t node;	      /* 1 where it is not given */
	const char *rack;     /* "" where it is not given */
	struct config config; /* file, --set and environment are in it */
	enum log_level log_level;
};

struct top_options {
	const char *mount;    /* NULL: the one topicfs mount of this machine */
	uint32_t interval_ms; /* between two pictures */
	uint32_t cnt;	      /* pictures; 0: until it is stopped */
};

struct options {
	enum command command;
	int status; /* exit status where command is COMMAND_NONE */
	struct broker_options broker;
	struct top_options top;
	const char *path; /* of VERIFY and DUMP */
	int argc;	  /* of BENCH: what follows, argv[0] is "bench" */
	char **argv;
};

/*
 * Parses a command line. Help and version go to out, refusals to err ("topicfs: …", then exit
 * status 2). refuse_env: the value of CONFIG_REFUSE_ENV, or NULL. Reads the file of --config.
 */
void options_parse(int argc, char **argv, const char *refuse_env, FILE *out, FILE *err,
		   struct options *ret);

#endif

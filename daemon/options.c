#include "daemon/options.h"

#include "daemon/base/utf8.h"

#include <errno.h>
#include <getopt.h>
#include <stdlib.h>

#define TOP_INTERVAL_MS 1000
#define TOP_INTERVAL_MAX_S 3600

/* The parse of one command line: where it writes and what it fills. */
struct parse {
	FILE *out, *err;
	const char *name;	/* of the subcommand, "" before it is known */
	const char *refuse_env; /* what the environment refuses, or NULL */
	struct options *ret;
};

struct subcommand {
	const char *name;
	const char *usage; /* what follows the name */
	const char *about; /* one line, for the list of commands */
	const char *help;  /* the options; printed by --help */
	/* NULL: not in this build, and why says what then */
	void (*parse)(struct parse *p, int argc, char **argv);
	const char *why;
};

/* Says what is wrong and that the command line is at its end. */
static void refuse(struct parse *p, const char *fmt, ...) PRINTF_LIKE(2, 3);
static void refuse(struct parse *p, const char *fmt, ...)
{
	va_list ap;

	fprintf(p->err, "topicfs%s%s: ", *p->name ? " " : "", p->name);
	va_start(ap, fmt);
	vfprintf(p->err, fmt, ap);
	va_end(ap);
	fprintf(p->err, "\nTry 'topicfs%s%s --help'.\n", *p->name ? " " : "", p->name);
	p->ret->command = COMMAND_NONE;
	p->ret->status = EXIT_USAGE;
}

/* What getopt_long answers for long options; above every letter. */
enum long_option {
	OPT_HELP = 256,
	OPT_MOUNT,
	OPT_DATA,
	OPT_NODE,
	OPT_LISTEN,
	OPT_CLUSTER,
	OPT_CERTS,
	OPT_RACK,
	OPT_CONFIG,
	OPT_SET,
	OPT_LOG_LEVEL,
	OPT_INTERVAL,
	OPT_COUNT,
};

/* What getopt answered with '?' or ':'. A getopt_long that saw an unknown long option leaves
 * optopt 0 and its text in argv[optind - 1]. */
static void refuse_option(struct parse *p, int answer, char **argv)
{
	const char *text = argv[optind - 1];

	if (answer == ':')
		refuse(p, "option '%s' needs a value", text);
	else if (optopt >= OPT_HELP)
		refuse(p, "option '%.*s' takes no value", (int)strcspn(text, "="), text);
	else if (optopt)
		refuse(p, "unknown option '-%c'", optopt);
	else
		refuse(p, "unknown option '%.*s'", (int)strcspn(text, "="), text);
}

static bool parse_u32(const char *text, uint32_t min, uint32_t max, uint32_t *ret)
{
	char *end;
	unsigned long v;

	if (*text < '0' || *text > '9')
		return false;
	errno = 0;
	v = strtoul(text, &end, 10);
	if (errno || *end || v < min || v > max)
		return false;
	*ret = (uint32_t)v;
	return true;
}

/* ---- broker ---- */

static const struct option broker_table[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "mount", required_argument, NULL, OPT_MOUNT },
	{ "data", required_argument, NULL, OPT_DATA },
	{ "node", required_argument, NULL, OPT_NODE },
	{ "listen", required_argument, NULL, OPT_LISTEN },
	{ "cluster", required_argument, NULL, OPT_CLUSTER },
	{ "certs", required_argument, NULL, OPT_CERTS },
	{ "rack", required_argument, NULL, OPT_RACK },
	{ "config", required_argument, NULL, OPT_CONFIG },
	{ "set", required_argument, NULL, OPT_SET },
	{ "log-level", required_argument, NULL, OPT_LOG_LEVEL },
	{ NULL, 0, NULL, 0 },
};

static const char broker_help[] =
	"  --mount DIR          where the topics appear; made where it is missing\n"
	"  --data DIR           where they are kept; made where it is missing\n"
	"  --node ID            this broker's number, 1 to 2147483647 (default 1)\n"
	"  --rack NAME          where this broker stands\n"
	"  --config FILE        settings, one NAME=VALUE a line; '#' begins a comment\n"
	"  --set NAME=VALUE     one setting; stronger than the file, may be repeated\n"
	"  --log-level LEVEL    debug, info (default), warn or error\n"
	"  --listen HOST:PORT, --cluster ID@HOST:PORT,..., --certs DIR\n"
	"                       not in this build, which serves one broker\n"
	"  --help\n"
	"\n"
	"The broker stays in the foreground, logs to stderr, prints a line 'ready' there when the\n"
	"mount can be used, and ends on SIGTERM or SIGINT. Settings (default, bounds, meaning):\n"
	"\n";

static void print_help(FILE *out, const struct subcommand *c)
{
	struct buf b;

	fprintf(out, "Usage: topicfs %s%s%s\n%s.\n\n%s", c->name, *c->usage ? " " : "", c->usage,
		c->about, c->help);
	if (c->help != broker_help)
		return;
	buf_init(&b);
	config_help(&b);
	fwrite(b.data, 1, b.len, out);
	buf_fini(&b);
}

/* What an option leaves for the end, when all are known: settings in their order of rank. */
struct broker_sources {
	const char *file;
	unsigned set_cnt;
	char **sets; /* --set values, in order; borrowed pointers in an array of argc */
};

/* It stands in one line with other words. */
static bool is_rack(const char *text)
{
	size_t len = strlen(text);

	for (const char *c = text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			return false;
	return len <= 255 && utf8_is_valid(text, len);
}

/* One option of broker. False: refused. */
static bool take_broker_option(struct parse *p, int option, struct broker_sources *sources)
{
	struct broker_options *b = &p->ret->broker;

	switch (option) {
	case OPT_MOUNT:
		b->mount = optarg;
		return true;
	case OPT_DATA:
		b->data = optarg;
		return true;
	case OPT_RACK:
		b->rack = optarg;
		if (is_rack(optarg))
			return true;
		refuse(p, "--rack takes at most 255 bytes of UTF-8 without blanks");
		return false;
	case OPT_NODE:
		if (parse_u32(optarg, 1, INT32_MAX, &b->node))
			return true;
		refuse(p, "--node takes a number from 1 to %d, not '%s'", INT32_MAX, optarg);
		return false;
	case OPT_CONFIG:
		sources->file = optarg;
		return true;
	case OPT_SET:
		sources->sets[sources->set_cnt++] = optarg;
		return true;
	case OPT_LOG_LEVEL:
		if (!log_parse_level(optarg, &b->log_level))
			return true;
		refuse(p, "--log-level takes debug, info, warn or error, not '%s'", optarg);
		return false;
	case OPT_LISTEN:
		refuse(p, "--listen is not in this build: it opens no port; brokers of a cluster"
			  " come later");
		return false;
	case OPT_CLUSTER:
		refuse(p, "--cluster is not in this build: this broker is a cluster of one");
		return false;
	case OPT_CERTS:
		refuse(p, "--certs is not in this build: it opens no port that they would guard");
		return false;
	default:
		return false;
	}
}

/* File before --set before the environment's refusals. False: refused. */
static bool read_sources(struct parse *p, const struct broker_sources *sources)
{
	struct config *c = &p->ret->broker.config;
	char sentence[SENTENCE_MAX];

	if (sources->file && config_read(c, sources->file, sentence)) {
		refuse(p, "%s", sentence);
		return false;
	}
	for (unsigned i = 0; i < sources->set_cnt; i++) {
		if (!config_set(c, sources->sets[i], strlen(sources->sets[i]), sentence))
			continue;
		refuse(p, "--set %s: %s", sources->sets[i], sentence);
		return false;
	}
	if (p->refuse_env && config_refuse(c, p->refuse_env, strlen(p->refuse_env), sentence)) {
		refuse(p, CONFIG_REFUSE_ENV ": %s", sentence);
		return false;
	}
	return true;
}

static bool take_broker_options(struct parse *p, int argc, char **argv,
				struct broker_sources *sources)
{
	int option;

	while ((option = getopt_long(argc, argv, ":", broker_table, NULL)) != -1) {
		if (option == '?' || option == ':') {
			refuse_option(p, option, argv);
			return false;
		}
		if (!take_broker_option(p, option, sources))
			return false;
	}
	if (optind < argc) {
		refuse(p, "'%s' is no option", argv[optind]);
		return false;
	}
	return true;
}

static void parse_broker(struct parse *p, int argc, char **argv)
{
	struct broker_options *b = &p->ret->broker;
	struct broker_sources sources = { 0 };

	*b = (struct broker_options){ .node = 1, .rack = "", .log_level = LOG_INFO };
	config_init(&b->config);
	sources.sets = calloc((size_t)argc, sizeof(*sources.sets));
	ASSERT(sources.sets);
	if (take_broker_options(p, argc, argv, &sources)) {
		if (!b->mount || !b->data)
			refuse(p, "--mount DIR and --data DIR are needed");
		else if (!*b->mount || !*b->data)
			refuse(p, "--mount and --data take the name of a directory");
		else if (read_sources(p, &sources))
			p->ret->command = COMMAND_BROKER;
	}
	free(sources.sets);
}

/* ---- verify, dump, bench, top ---- */

static const struct option help_table[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ NULL, 0, NULL, 0 },
};

static void parse_path(struct parse *p, int argc, char **argv, const char *what,
		       enum command command)
{
	int option = getopt_long(argc, argv, ":", help_table, NULL);

	if (option != -1) {
		refuse_option(p, option, argv);
	} else if (argc - optind != 1) {
		refuse(p, "takes exactly one %s", what);
	} else {
		p->ret->path = argv[optind];
		p->ret->command = command;
	}
}

static void parse_verify(struct parse *p, int argc, char **argv)
{
	parse_path(p, argc, argv, "data directory", COMMAND_VERIFY);
}

static void parse_dump(struct parse *p, int argc, char **argv)
{
	parse_path(p, argc, argv, "data directory or .meta file", COMMAND_DUMP);
}

static void parse_bench(struct parse *p, int argc, char **argv)
{
	p->ret->argc = argc;
	p->ret->argv = argv;
	p->ret->command = COMMAND_BENCH;
}

static const struct option top_table[] = {
	{ "help", no_argument, NULL, OPT_HELP },
	{ "mount", required_argument, NULL, OPT_MOUNT },
	{ "interval", required_argument, NULL, OPT_INTERVAL },
	{ "count", required_argument, NULL, OPT_COUNT },
	{ NULL, 0, NULL, 0 },
};

static void parse_top(struct parse *p, int argc, char **argv)
{
	struct top_options *t = &p->ret->top;
	uint32_t seconds = 0;
	int option;

	*t = (struct top_options){ .interval_ms = TOP_INTERVAL_MS };
	while ((option = getopt_long(argc, argv, ":", top_table, NULL)) != -1) {
		if (option == '?' || option == ':') {
			refuse_option(p, option, argv);
			return;
		}
		if (option == OPT_MOUNT) {
			t->mount = optarg;
		} else if (option == OPT_INTERVAL) {
			if (!parse_u32(optarg, 1, TOP_INTERVAL_MAX_S, &seconds)) {
				refuse(p, "--interval takes 1 to %d seconds, not '%s'",
				       TOP_INTERVAL_MAX_S, optarg);
				return;
			}
			t->interval_ms = seconds * 1000;
		} else if (!parse_u32(optarg, 0, UINT32_MAX, &t->cnt)) {
			refuse(p, "--count takes a number, not '%s'", optarg);
			return;
		}
	}
	if (argc - optind > (t->mount ? 0 : 1)) {
		refuse(p, "takes one mount point");
		return;
	}
	if (optind < argc)
		t->mount = argv[optind];
	p->ret->command = COMMAND_TOP;
}

/* ---- The list ---- */

#define HELP_ONLY "  --help\n"

static const struct subcommand subcommands[] = {
	{ "broker", "--mount DIR --data DIR [OPTION]...",
	  "Serve topics: mount them as directories, keep them in a data directory", broker_help,
	  parse_broker, NULL },
	{ "mount", "--mount DIR --bootstrap HOST:PORT,...",
	  "The same name space on a host without storage (not in this build)", HELP_ONLY, NULL,
	  "it comes with clusters of several brokers" },
	{ "cert", "DIR ID@HOST...", "Make certificates for brokers (not in this build)", HELP_ONLY,
	  NULL, "this build opens no port; certificates come with clusters of several brokers" },
	{ "rescue", "DIR [--yes]", "Make a survivor the only voter (not in this build)", HELP_ONLY,
	  NULL, "a cluster of one has no majority to lose" },
	{ "verify", "DIR", "Check every batch of a data directory that is not in use",
	  "A line for each fault. Exit status: 0 sound, 1 faults, 2 in use or absent.\n"
	  "\n" HELP_ONLY,
	  parse_verify, NULL },
	{ "dump", "DIR|FILE.meta", "Print batches and records as JSON lines",
	  "Each line is an object whose first member is its \"type\": segment, batch, record (as\n"
	  "the mount's json form prints it), command and snapshot (of the metadata), fault.\n"
	  "Exit status: 0, 1 faults, 2 in use or absent.\n"
	  "\n" HELP_ONLY,
	  parse_dump, NULL },
	{ "bench", "[WORKLOAD] [OPTION]...", "Figures beside the native file system's",
	  "Workloads (all of them, where none is named):\n"
	  "  append   a line of 100 bytes each write()\n"
	  "  bulk     64 KiB of lines each write()\n"
	  "  read     128 KiB each read(), from the page cache\n"
	  "  fsync    a line of 100 bytes, then fsync(), each time\n"
	  "\n"
	  "  --dir DIR      where to work (default $TMPDIR, else /tmp)\n"
	  "  --pairs N      runs of each side, 1 to 99 (default 5)\n"
	  "  --seconds S    one run, 0.05 to 60 (default 0.5)\n" HELP_ONLY,
	  parse_bench, NULL },
	{ "top", "[--interval SECONDS] [--count N] [MOUNT]",
	  "Show what flows, lags and is out of sync, live",
	  "  --mount DIR          the mount point; the same as MOUNT\n"
	  "  --interval SECONDS   between two pictures (default 1)\n"
	  "  --count N            end after N pictures (default 0: never)\n" HELP_ONLY,
	  parse_top, NULL },
};

static void print_global_help(FILE *out)
{
	fputs("Usage: topicfs COMMAND [OPTION]...\n"
	      "A log whose topics are directories and whose partitions are files.\n\n",
	      out);
	for (size_t i = 0; i < ARRAY_CNT(subcommands); i++)
		fprintf(out, "  %-8s %s\n", subcommands[i].name, subcommands[i].about);
	fputs("\n  --help     this text; 'topicfs COMMAND --help' says more\n"
	      "  --version  the version\n",
	      out);
}

/* Whether --help stands among the options, before a "--" and as no other option's value. */
static bool wants_help(int argc, char **argv, const struct subcommand *c)
{
	const struct option *table = c->parse == parse_broker ? broker_table
				     : c->parse == parse_top  ? top_table
							      : help_table;
	bool found = false;
	int option;

	if (c->parse == parse_bench) {
		for (int i = 1; i < argc && strcmp(argv[i], "--") != 0; i++)
			found |= !strcmp(argv[i], "--help");
		return found;
	}
	optind = 0;
	opterr = 0;
	while (!found && (option = getopt_long(argc, argv, ":", table, NULL)) != -1)
		found = option == OPT_HELP;
	optind = 0;
	return found;
}

static const char *nearest_subcommand(const char *name)
{
	const char *nearest = NULL;
	unsigned best = 3;

	for (size_t i = 0; i < ARRAY_CNT(subcommands); i++) {
		unsigned d = setting_distance(name, strlen(name), subcommands[i].name,
					      strlen(subcommands[i].name));

		if (d >= best)
			continue;
		best = d;
		nearest = subcommands[i].name;
	}
	return nearest;
}

static void parse_subcommand(struct parse *p, int argc, char **argv)
{
	const char *name = argv[0], *nearest;

	for (const struct subcommand *c = subcommands; c < subcommands + ARRAY_CNT(subcommands);
	     c++) {
		if (strcmp(c->name, name))
			continue;
		p->name = c->name;
		if (wants_help(argc, argv, c)) {
			print_help(p->out, c);
			return;
		}
		if (c->parse)
			c->parse(p, argc, argv);
		else
			refuse(p, "not in this build: %s", c->why);
		return;
	}
	nearest = nearest_subcommand(name);
	if (nearest)
		refuse(p, "unknown command '%s'; did you mean '%s'?", name, nearest);
	else
		refuse(p, "unknown command '%s'", name);
}

void options_parse(int argc, char **argv, const char *refuse_env, FILE *out, FILE *err,
		   struct options *ret)
{
	struct parse p = {
		.out = out, .err = err, .name = "", .refuse_env = refuse_env, .ret = ret
	};

	*ret = (struct options){ .command = COMMAND_NONE };
	if (argc < 2)
		refuse(&p, "a command is missing");
	else if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h"))
		print_global_help(out);
	else if (!strcmp(argv[1], "--version"))
		fprintf(out, "topicfs %s\n", TOPICFS_VERSION);
	else if (argv[1][0] == '-')
		refuse(&p, "unknown option '%s'", argv[1]);
	else
		parse_subcommand(&p, argc - 1, argv + 1);
}

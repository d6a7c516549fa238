/*
 * The broker over a simulated disk, under a script that a mount case plays on a real one:
 *
 *   simulated SCRIPT TRACE
 *
 * A line of the script is a step; the next one begins when it was answered. What the disk is asked
 * for goes to TRACE, as build/tests/mount/traced has it (tests/lib/tracedisk.h).
 *
 *   start NAME=VALUE...   a life of the broker, with these settings
 *   ring                  until the journal's ring is there
 *   gone                  until nothing is left of topics that were deleted
 *   mkdir|rmdir TOPIC
 *   config TOPIC TEXT...  lines of config, in one write
 *   open H TOPIC FILE     H: a digit; FILE ends in "!" where it is opened O_DSYNC
 *   write H CNT LEN       so many lines of so many letters, in one write
 *   part H LEN            letters without a newline
 *   fsync|close H
 *   stop|kill             SIGTERM, SIGKILL
 */
#include "tests/lib/simmount.h"
#include "tests/lib/tracedisk.h"

#include "daemon/base/log.h"

#include <fcntl.h>
#include <linux/fuse.h>
#include <stdio.h>
#include <stdlib.h>

#define HANDLES 10
#define WORDS 12
#define TEXT_MAX 200000

struct player {
	struct simmount m;
	struct broker_options options;
	FILE *script;
	char line[500], *word[WORDS];
	unsigned word_cnt, sub; /* sub: requests of the step that were answered */
	uint64_t unique;	/* under way; 0: none */
	bool killed, no_direct;
	struct {
		uint64_t node, fh;
		bool sync;
	} h[HANDLES];
	uint64_t node;
};

/* The next step into p->word; false at the end. */
static bool next_step(struct player *p)
{
	char *rest = p->line;

	if (!fgets(p->line, sizeof(p->line), p->script))
		return false;
	p->word_cnt = p->sub = 0;
	while (p->word_cnt < WORDS && (p->word[p->word_cnt] = strtok_r(rest, " \n", &rest)))
		p->word_cnt++;
	ASSERT(p->word_cnt > 0);
	return true;
}

static bool is_step(const struct player *p, const char *name)
{
	return !strcmp(p->word[0], name);
}

static unsigned number(const struct player *p, unsigned idx)
{
	ASSERT(idx < p->word_cnt);
	return (unsigned)strtoul(p->word[idx], NULL, 10);
}

static void send(struct player *p, uint32_t op, uint64_t node, const void *body, size_t len,
		 const void *more, size_t more_len)
{
	/* The answer may come before this returns. */
	p->unique = p->m.unique + 1;
	simmount_send(&p->m, op, node, body, len, more, more_len);
}

static void send_name(struct player *p, uint32_t op, uint64_t dir, const char *name)
{
	struct fuse_mkdir_in in = { .mode = 0755 };

	send(p, op, dir, &in, op == FUSE_MKDIR ? sizeof(in) : 0, name, strlen(name) + 1);
}

static void send_write(struct player *p, unsigned h, const char *text, size_t len)
{
	struct fuse_write_in in = { .fh = p->h[h].fh, .size = (uint32_t)len };

	in.flags = O_WRONLY | (p->h[h].sync ? O_DSYNC : 0);
	send(p, FUSE_WRITE, p->h[h].node, &in, sizeof(in), text, len);
}

static void send_text(struct player *p, unsigned h)
{
	static char text[TEXT_MAX];
	bool part = is_step(p, "part");
	unsigned cnt = part ? 1 : number(p, 2), each = number(p, part ? 2 : 3);
	size_t len = 0;

	for (unsigned i = 0; i < cnt; i++) {
		ASSERT(len + each + 1 < sizeof(text));
		memset(text + len, 'x', each);
		len += each;
		if (!part)
			text[len++] = '\n';
	}
	send_write(p, h, text, len);
}

static void send_config(struct player *p)
{
	char text[400] = "";

	for (unsigned i = 2; i < p->word_cnt; i++) {
		strcat(text, p->word[i]);
		strcat(text, "\n");
	}
	send_write(p, 0, text, strlen(text));
}

/* Look-ups and an open into handle h. */
static void send_open(struct player *p, unsigned h, const char *topic, const char *file)
{
	char name[100];
	struct fuse_open_in in = { .flags = O_WRONLY };

	PRE(topic && file);
	snprintf(name, sizeof(name), "%.*s", (int)strcspn(file, "!"), file);
	p->h[h].sync = strchr(file, '!') != NULL;
	if (p->sub == 0)
		send_name(p, FUSE_LOOKUP, NODE_TOPICS, topic);
	else if (p->sub == 1)
		send_name(p, FUSE_LOOKUP, p->node, name);
	else
		send(p, FUSE_OPEN, p->h[h].node, &in, sizeof(in), "", 0);
}

static void send_close(struct player *p, unsigned h, bool flush)
{
	struct fuse_flush_in in = { .fh = p->h[h].fh };
	struct fuse_release_in rel = { .fh = p->h[h].fh };

	if (flush)
		send(p, FUSE_FLUSH, p->h[h].node, &in, sizeof(in), "", 0);
	else
		send(p, FUSE_RELEASE, p->h[h].node, &rel, sizeof(rel), "", 0);
}

/* The step's next request; false: it has none. */
static bool send_next(struct player *p)
{
	struct fuse_fsync_in sync = { 0 };
	unsigned h = p->word_cnt > 1 ? number(p, 1) % HANDLES : 0;

	if (is_step(p, "config")) {
		if (p->sub < 3)
			send_open(p, 0, p->word[1], "config");
		else if (p->sub == 3)
			send_config(p);
		else if (p->sub < 6)
			send_close(p, 0, p->sub == 4);
		return p->sub < 6 || p->unique;
	}
	if (is_step(p, "open")) {
		if (p->sub < 3)
			send_open(p, h, p->word[2], p->word[3]);
		else
			return false;
		return true;
	}
	if (p->sub == (is_step(p, "close") ? 2 : 1))
		return false;
	sync.fh = p->h[h].fh;
	if (is_step(p, "mkdir") || is_step(p, "rmdir"))
		send_name(p, is_step(p, "mkdir") ? FUSE_MKDIR : FUSE_RMDIR, NODE_TOPICS,
			  p->word[1]);
	else if (is_step(p, "write") || is_step(p, "part"))
		send_text(p, h);
	else if (is_step(p, "fsync"))
		send(p, FUSE_FSYNC, p->h[h].node, &sync, sizeof(sync), "", 0);
	else if (is_step(p, "close"))
		send_close(p, h, p->sub == 0);
	else
		ASSERT(!"a step that is known");
	return true;
}

static void answered(void *ctx, uint64_t unique, int err, const void *data, size_t len)
{
	struct player *p = ctx;
	bool config = is_step(p, "config");
	const struct fuse_entry_out *e = data;
	const struct fuse_open_out *o = data;
	unsigned h;

	if (!p->unique || unique != p->unique)
		return;
	if (err)
		fprintf(stderr, "%s %s: %s\n", p->word[0], p->word[1], strerror(-err));
	ASSERT(!err);
	p->unique = 0;
	h = config ? 0 : number(p, 1) % HANDLES;
	if ((config || is_step(p, "open")) && p->sub == 0)
		p->node = e->nodeid;
	else if ((config || is_step(p, "open")) && p->sub == 1)
		p->h[h].node = e->nodeid;
	else if ((config || is_step(p, "open")) && p->sub == 2)
		p->h[h].fh = o->fh;
	p->sub++;
}

static bool has_ring(const struct player *p)
{
	const struct broker *b = p->m.fs->be.ctx;
	struct store_stats stats;

	store_stats(b->store, &stats);
	return stats.journal_bytes > 0;
}

static int is_gone(void *ctx, const char *name)
{
	size_t len = strlen(name);

	(void)ctx;
	return len > 5 && !strcmp(name + len - 5, ".gone");
}

/* Whether the step is one that waits, and does so. */
static bool waits(struct player *p)
{
	if (is_step(p, "ring"))
		return !has_ring(p);
	return is_step(p, "gone") && disk_list(p->m.disk, ".", is_gone, NULL);
}

/* Whether the step makes no requests. */
static bool is_mute(const struct player *p)
{
	return is_step(p, "start") || is_step(p, "ring") || is_step(p, "gone");
}

static bool next(void *ctx)
{
	struct player *p = ctx;

	if (p->unique || is_step(p, "stop") || is_step(p, "kill"))
		return false;
	for (;;) {
		if (waits(p))
			return false;
		if (!is_mute(p) && send_next(p))
			return true;
		ASSERT(next_step(p));
		if (is_step(p, "stop") || is_step(p, "kill"))
			break;
	}
	if (is_step(p, "stop"))
		simmount_end(&p->m);
	p->killed = is_step(p, "kill");
	if (p->killed) {
		simdisk_stop_after(p->m.sim, 0);
		tracedisk_end();
		p->m.hangs = true;
	}
	return false;
}

static void live(struct player *p, FILE *trace)
{
	char text[400] = "", sentence[SENTENCE_MAX];

	for (unsigned i = 1; i < p->word_cnt; i++) {
		strcat(text, p->word[i]);
		strcat(text, "\n");
	}
	config_init(&p->options.config);
	if (p->no_direct)
		p->options.config.io_refuse = REFUSE_O_DIRECT;
	ASSERT(!config_parse(&p->options.config, text, strlen(text), sentence));
	tracedisk_begin(p->m.disk, trace);
	p->m.disk->nowait = false;
	p->killed = false;
	ASSERT(!simmount_run(&p->m, &p->options) || p->killed);
	if (p->killed)
		simdisk_kill(p->m.sim);
	simdisk_stop_after(p->m.sim, UINT64_MAX);
}

int main(int argc, char **argv)
{
	struct player p = { .script = argc == 3 ? fopen(argv[1], "r") : NULL };
	FILE *trace = argc == 3 ? fopen(argv[2], "w") : NULL;
	const char *refused;

	if (!p.script || !trace)
		return 2;
	p.m = (struct simmount){ .sim = simdisk_new(1), .next = next, .answered = answered };
	p.m.disk = simdisk_disk(p.m.sim);
	p.m.ctx = &p;
	p.m.awake = true;
	refused = getenv(CONFIG_REFUSE_ENV);
	p.no_direct = refused && strstr(refused, "o_direct");
	simdisk_refuse_direct(p.m.sim, p.no_direct);
	p.options = (struct broker_options){
		.mount = "/mnt", .data = ".", .node = 1, .rack = "", .log_level = LOG_NONE
	};
	while (next_step(&p)) {
		ASSERT(is_step(&p, "start"));
		live(&p, trace);
	}
	simdisk_free(p.m.sim);
	fclose(p.script);
	return fclose(trace) ? 1 : 0;
}

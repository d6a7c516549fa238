/*
 * Small text files: README, config, status, metrics, errors and cluster/. A handle reads the text
 * as it was at open; of errors, what was added since is read on at the end, so that tail -f works.
 */
#include "fusefs/group.h"
#include "fusefs/member.h"

#include <errno.h>

const char text_readme[] =
	"topicfs: a log you can cat\n"
	"==========================\n"
	"\n"
	"A topic is a directory, a partition is an append-only file. What appends produces, what "
	"reads\n"
	"consumes. Every line is a record.\n"
	"\n"
	"Make, fill, read\n"
	"  mkdir topics/orders                 a topic with one partition\n"
	"  echo hello >> topics/orders/0       one record (> does the same: nothing is ever "
	"overwritten)\n"
	"  cat topics/orders/0                 all records of partition 0; tail, grep, wc, less "
	"work too\n"
	"  tail -f topics/orders/0             follow it\n"
	"  cat topics/orders/0@latest          a stream: waits for new records without polling\n"
	"  rmdir topics/orders                 delete it (rm -r destroys nothing)\n"
	"\n"
	"Files of a topic\n"
	"  0 1 2 ...     the partitions            all           append: the broker chooses the "
	"partition;\n"
	"  by-key/KEY    append with this key                    read: all partitions, merged by "
	"time\n"
	"  config        name=value lines; write some to change  status        leader, offsets, "
	"sizes\n"
	"\n"
	"Names that select (not listed by ls)\n"
	"  NAME[@POSITION[..[POSITION]]][.FORMAT]      NAME is a partition or all\n"
	"  POSITION   earliest  latest  OFFSET  -N (the last N)  2026-02-02T10:00:00Z  "
	"tMILLISECONDS\n"
	"  FORMAT     lines (default)  json (one object a line)  msg (one read or write is one "
	"record)\n"
	"  0@100         a stream from offset 100 that never ends    0@-10..     the last ten, "
	"then EOF\n"
	"  0@100..200    a range that ends                           all.json    everything, as "
	"JSON\n"
	"\n"
	"Promises\n"
	"  One write of up to 1044480 bytes is atomic: its lines are consecutive records, all or "
	"none.\n"
	"  fsync, O_SYNC and O_DSYNC return when the records are on stable storage.\n"
	"  A line without newline waits for its rest, fsync, or the last close.\n"
	"  A stream that retention overtook reads ESTALE once, and goes on at the oldest record.\n"
	"\n"
	"Consumer groups\n"
	"  mkdir groups/billing                       a group; whoever opens a stream of it is a "
	"member\n"
	"  while read -r line; do ...; done < groups/billing/topics/orders\n"
	"      Started twice, the two share the partitions; what one leaves undone the other goes "
	"on with.\n"
	"      Asking for the next line commits the last: every record is dealt with at least "
	"once.\n"
	"  cat groups/billing/lag                     how far behind; also state, members, "
	"offsets/orders/0\n"
	"  echo 'orders 0 earliest' > groups/billing/seek      start over (while nobody reads)\n"
	"  echo 'orders 0 1' > groups/billing/commit          commit by hand; reject sets a "
	"record "
	"aside\n"
	"\n"
	"More keys and formats\n"
	"  echo '{\"key\":\"k1\",\"value\":\"v\",\"headers\":{\"h\":\"x\"}}' >> "
	"topics/orders/all.json\n"
	"  echo retention.ms=86400000 > topics/orders/config\n"
	"\n"
	"When something is refused\n"
	"  tail errors        the last refusals of yours, each with its reason in a sentence\n"
	"  cat metrics        OpenMetrics text          cat cluster/brokers   who serves this "
	"mount\n";

static int fill(struct fs *fs, const struct where *w, const struct be_caller *c, struct buf *out,
		uint64_t *ret_seq)
{
	enum be_text what;

	/* Metrics tell what groups have committed, too. */
	if (w->group || w->kind == NODE_METRICS)
		member_flush_all(fs);
	if (w->group)
		return group_fill(fs, w, c, out);
	switch (w->kind) {
	case NODE_README:
		buf_put_str(out, text_readme);
		return buf_err(out);
	case NODE_ERRORS:
		*ret_seq = errors_text_since(fs->errors, *ret_seq, c->uid, c->uid == 0, out);
		return buf_err(out);
	case NODE_METRICS:
		what = BE_TEXT_METRICS;
		break;
	case NODE_BROKERS:
		what = BE_TEXT_BROKERS;
		break;
	case NODE_CONTROLLER:
		what = BE_TEXT_CONTROLLER;
		break;
	case NODE_PARTITIONS:
		what = BE_TEXT_PARTITIONS;
		break;
	case NODE_CONTROL:
		what = BE_TEXT_JOBS;
		break;
	case NODE_CONFIG:
		what = BE_TEXT_CONFIG;
		break;
	case NODE_STATUS:
		what = BE_TEXT_STATUS;
		break;
	default:
		return -EINVAL;
	}
	return fs->be.text(fs->be.ctx, what, w->topic, out);
}

int text_open(struct fs *fs, struct handle *h, const struct where *w, const struct be_caller *c)
{
	h->mode = READ_TEXT;
	return fill(fs, w, c, &h->text, &h->errors_seq);
}

/* What a handle has read of errors is kept as far as the ring itself goes back. */
static int errors_more(struct fs *fs, struct handle *h)
{
	struct where w = { .kind = h->kind };
	struct be_caller c = { .uid = h->uid };

	if (h->text.len >= 2 * ERRORS_BYTES) {
		h->text_start += h->text.len - ERRORS_BYTES;
		buf_consume(&h->text, h->text.len - ERRORS_BYTES);
	}
	return fill(fs, &w, &c, &h->text, &h->errors_seq);
}

void text_read(struct fs *fs, fuse_req_t req, struct handle *h, size_t size, uint64_t off)
{
	size_t len, pos;

	/* Opened read-write it is a stream: the kernel tells no position. */
	if (h->can_write) {
		off = h->frontier;
		h->frontier += MIN(size, h->text.len - MIN(off, h->text.len));
	}
	if (h->kind == NODE_ERRORS && off >= h->text_start + h->text.len && errors_more(fs, h)) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	if (off < h->text_start) {
		fuse_reply_err(req, ESPIPE);
		return;
	}
	pos = (size_t)MIN(off - h->text_start, h->text.len);
	len = MIN(h->text.len - pos, size);
	fuse_reply_buf(req, len ? (char *)h->text.data + pos : NULL, len);
}

uint64_t text_len(struct fs *fs, const struct where *w, uint32_t uid)
{
	struct be_caller c = { .uid = uid };
	uint64_t len, seq = 0, serial = 0;
	struct buf text;
	uint32_t at = 0;

	/* Made anew at each look: like the files of /proc, metrics has no size. Nor have others as
	 * long as logs are to be opened for them. */
	if (w->kind == NODE_METRICS || ops_must_open(fs, w, &serial, &at))
		return 0;
	buf_init(&text);
	len = fill(fs, w, &c, &text, &seq) ? 0 : text.len;
	buf_fini(&text);
	return len;
}

/*
 * The broker's core on a simulated disk: requests go through libfuse into the code that the binary
 * runs for them, in the rounds of its loop; only the kernel and the disk are replaced. A scenario
 * is stopped after its n-th disk call, for every n, by a kill or a power loss; then the broker
 * starts again, and a topic whose mkdir was answered is there, with each line whose fsync (kill:
 * whose write) was answered.
 */
#include "daemon/options.h"
#include "daemon/round.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define ROUNDS_MAX 50
#define LINES 12
/* No answer came: the disk is gone, or the broker stopped. */
#define NO_ANSWER (-9999)

struct life {
	struct simdisk *sim;
	struct disk *disk;
	struct store *store;
	struct broker broker;
	struct fs fs;
	struct fuse_session *se;
	struct round round;
	struct broker_options options;
	char request[1024], answer[1024];
	size_t request_len, answer_len;
	uint64_t unique, answered;
	int err;
	bool made; /* mkdir was answered */
	int64_t written, synced;
};

static ssize_t on_answer(int fd, struct iovec *iov, int cnt, void *ctx)
{
	struct fs *fs = ctx;
	struct life *r = CONTAINER_OF(fs, struct life, fs);
	const struct fuse_out_header *h = iov[0].iov_base;
	ssize_t len = (ssize_t)iov[0].iov_len;

	r->answered = h->unique;
	r->err = h->error;
	r->answer_len = 0;
	for (int i = 1; i < cnt; i++) {
		assert_true(r->answer_len + iov[i].iov_len <= sizeof(r->answer));
		memcpy(r->answer + r->answer_len, iov[i].iov_base, iov[i].iov_len);
		r->answer_len += iov[i].iov_len;
		len += (ssize_t)iov[i].iov_len;
	}
	return len;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *ctx)
{
	errno = EAGAIN;
	return -1;
}

static int next_request(void *ctx)
{
	struct life *r = ctx;
	struct fuse_buf b = { .size = r->request_len, .mem = r->request };

	if (!r->request_len)
		return 0;
	r->request_len = 0;
	fuse_session_process_buf(r->se, &b);
	return 1;
}

static bool has_finished(void *ctx)
{
	return true;
}

/* One request; the negative errno that it was answered with, or NO_ANSWER. */
static int call(struct life *r, uint32_t op, uint64_t node, const void *body, size_t len,
		const void *more, size_t more_len)
{
	struct fuse_in_header h = { .opcode = op, .unique = ++r->unique, .nodeid = node };
	unsigned cnt;

	r->request_len = sizeof(h) + len + more_len;
	h.len = (uint32_t)r->request_len;
	memcpy(r->request, &h, sizeof(h));
	memcpy(r->request + sizeof(h), body, len);
	memcpy(r->request + sizeof(h) + len, more, more_len);
	for (unsigned i = 0; i < ROUNDS_MAX && r->answered != r->unique; i++)
		if (round_turn(&r->round, &cnt))
			break;
	return r->answered == r->unique ? r->err : NO_ANSWER;
}

static int run_start(struct life *r)
{
	static const struct fuse_custom_io io = { .writev = on_answer, .read = no_read };
	struct store_config sc = { .journal_bytes = 1 << 20, .dirty_bytes_max = 8192 };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION, .minor = 31 };
	char *argv[] = { "sweep", NULL }, sentence[SENTENCE_MAX];
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_lowlevel_ops ops = { 0 };
	struct store_open_report rep;
	struct backend be;
	unsigned cnt;
	int err = store_open(r->disk, &sc, broker_now_ms(), &r->store, &rep);

	if (err) {
		r->store = NULL;
		return err;
	}
	err = broker_start(&r->broker, &r->options, r->disk, r->store, &rep, sentence);
	if (err)
		return err;
	broker_backend(&r->broker, &be);
	assert_int_equal(fs_init(&r->fs, &be, r->disk), 0);
	r->broker.fs = &r->fs;
	ops_set_names(&ops);
	ops_set_files(&ops);
	r->se = r->fs.se = fuse_session_new(&args, &ops, sizeof(ops), &r->fs);
	fuse_opt_free_args(&args);
	assert_non_null(r->se);
	assert_int_equal(fuse_session_custom_io(r->se, &io, open("/dev/null", O_RDWR)), 0);
	r->round = (struct round){ &r->broker, &r->fs, next_request, has_finished, r, 0, 0 };
	for (unsigned i = 0; i < ROUNDS_MAX && !r->broker.ready; i++)
		if (round_turn(&r->round, &cnt))
			return -EIO;
	return r->broker.ready ? call(r, FUSE_INIT, 0, &init, sizeof(init), "", 0) : -EIO;
}

static void scenario(struct life *r)
{
	struct fuse_mkdir_in mk = { .mode = 0755 };
	struct fuse_open_in o = { .flags = O_WRONLY };
	struct fuse_write_in w = { 0 };
	struct fuse_fsync_in s = { 0 };
	uint64_t node;
	char line[64];

	if (run_start(r) || call(r, FUSE_MKDIR, NODE_TOPICS, &mk, sizeof(mk), "t", 2))
		return;
	r->made = true;
	node = ((struct fuse_entry_out *)(void *)r->answer)->nodeid;
	if (call(r, FUSE_LOOKUP, node, "0", 2, "", 0))
		return;
	node = ((struct fuse_entry_out *)(void *)r->answer)->nodeid;
	if (call(r, FUSE_OPEN, node, &o, sizeof(o), "", 0))
		return;
	w.fh = s.fh = ((struct fuse_open_out *)(void *)r->answer)->fh;
	for (int i = 0; i < LINES; i++) {
		w.size = (uint32_t)snprintf(line, sizeof(line), "line %d\n", i);
		if (call(r, FUSE_WRITE, node, &w, sizeof(w), line, w.size))
			return;
		r->written++;
		if (i % 3 == 0 && !call(r, FUSE_FSYNC, node, &s, sizeof(s), "", 0))
			r->synced = r->written;
	}
}

static int dead_close(struct disk *d, int fd)
{
	return 0;
}

static void dead_unmap(struct disk *d, void *mem, size_t len)
{
}

static void run_stop(struct life *r, bool power_loss, uint64_t seed)
{
	static const struct disk_ops DEAD = { .close = dead_close, .unmap = dead_unmap };
	const struct disk_ops *ops = r->disk->ops;

	if (power_loss)
		simdisk_crash(r->sim, seed);
	else
		simdisk_kill(r->sim);
	r->disk->ops = &DEAD;
	if (r->se) {
		fs_fini(&r->fs);
		fuse_session_destroy(r->se);
	}
	broker_fini(&r->broker);
	store_free(r->store);
	r->disk->ops = ops;
	r->broker = (struct broker){ 0 };
	r->store = NULL;
	r->se = NULL;
	r->disk->nowait = false;
}

static void check(struct life *r, bool power_loss)
{
	struct be_topic *t = r->fs.be.topic_find(&r->broker, "t");
	struct be_why why;
	struct plog *log;

	if (!t) {
		assert_false(r->made);
		return;
	}
	assert_int_equal(r->fs.be.open_log(&r->broker, t->parts[0], &why), 0);
	log = t->parts[0]->log;
	assert_true(log->next_offset >= (power_loss ? r->synced : r->written));
	assert_true(log->next_offset <= r->written + 1);
	for (int64_t at = 0; at < log->next_offset; at++) {
		const struct batch *b;
		const struct record *rec;
		char want[64];
		int len = snprintf(want, sizeof(want), "line %lld", (long long)at);

		assert_int_equal(plog_batch(log, at, &b), 0);
		rec = &b->recs[at - b->head.base_offset];
		assert_int_equal(rec->value_len, len);
		assert_memory_equal(rec->value, want, (size_t)len);
	}
}

/* Whether all of the scenario was done before the nth call. */
static bool one(uint64_t n, bool power_loss)
{
	struct life *r = calloc(1, sizeof(*r));
	bool ended;

	assert_non_null(r);
	r->sim = simdisk_new(n);
	r->disk = simdisk_disk(r->sim);
	r->options = (struct broker_options){ .node = 1, .rack = "" };
	config_init(&r->options.config);
	simdisk_stop_after(r->sim, n);
	scenario(r);
	ended = r->written == LINES && r->synced == LINES - 2;
	run_stop(r, power_loss, n);
	assert_int_equal(run_start(r), 0);
	check(r, power_loss);
	run_stop(r, false, n);
	simdisk_free(r->sim);
	free(r);
	return ended;
}

static void test_kill_after_each_call(void **state)
{
	for (uint64_t n = 1; !one(n, false); n++)
		;
}

static void test_power_loss_after_each_call(void **state)
{
	for (uint64_t n = 1; !one(n, true); n++)
		;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kill_after_each_call),
		cmocka_unit_test(test_power_loss_after_each_call),
	};

	log_set_level(LOG_NONE);
	return cmocka_run_group_tests(tests, NULL, NULL);
}

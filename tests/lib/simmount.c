#include "tests/lib/simmount.h"

#include "daemon/commands.h"
#include "daemon/io/disk.h"
#include "fusefs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define SESSION_FD 100001
#define EVENT_FD 100002
#define EPOCH_US 1770028200000000LL
/* A broker that sleeps so often while nothing is under way will do so for ever. */
#define IDLE_MAX 20000

static struct simmount *mount_now;

int64_t simmount_now_ms(const struct simmount *m)
{
	return (EPOCH_US + m->now_us) / 1000;
}

static bool is_stopped(const struct simmount *m)
{
	return m->sim && simdisk_is_stopped(m->sim);
}

/* ---- daemon/io/disk.h ---- */

int io_disk_open(const char *data_dir, const struct io_disk_config *config, struct disk **ret)
{
	*ret = mount_now->disk;
	return 0;
}

void io_disk_stop(struct disk *d)
{
	if (mount_now->sim)
		simdisk_drain(mount_now->sim);
}

void io_disk_free(struct disk *d)
{
	if (d)
		io_disk_stop(d);
}

int io_disk_event_fd(struct disk *d)
{
	return EVENT_FD;
}

void io_disk_ack(struct disk *d)
{
}

bool io_disk_has_finished(struct disk *d)
{
	struct simmount *m = mount_now;

	return m->finished ? m->finished(m->ctx) : simdisk_has_pending(m->sim);
}

bool io_disk_ring_is_busy(struct disk *d)
{
	return true;
}

bool io_disk_has_ring(struct disk *d)
{
	return true;
}

/* ---- fusefs/session.h ---- */

int session_prepare(const char *dir, struct session_why *why)
{
	return 0;
}

static ssize_t on_answer(int fd, struct iovec *iov, int cnt, void *ctx)
{
	struct simmount *m = mount_now;
	struct fuse_out_header h;
	size_t len = 0, pos = 0;
	uint8_t *all;

	for (int i = 0; i < cnt; i++)
		len += iov[i].iov_len;
	all = malloc(len);
	ASSERT(all && len >= sizeof(h));
	for (int i = 0; i < cnt; i++) {
		memcpy(all + pos, iov[i].iov_base, iov[i].iov_len);
		pos += iov[i].iov_len;
	}
	memcpy(&h, all, sizeof(h));
	if (!is_stopped(m) && h.unique)
		m->answered(m->ctx, h.unique, h.error, all + sizeof(h), len - sizeof(h));
	free(all);
	return (ssize_t)len;
}

static ssize_t no_read(int fd, void *buf, size_t len, void *ctx)
{
	errno = EAGAIN;
	return -1;
}

uint64_t simmount_send(struct simmount *m, uint32_t op, uint64_t node, const void *body, size_t len,
		       const void *more, size_t more_len)
{
	struct fuse_in_header h = { .opcode = op, .unique = ++m->unique, .nodeid = node };
	struct fuse_buf b = { .size = sizeof(h) + len + more_len };
	uint8_t *all = malloc(b.size);
	uint64_t unique = m->unique;

	ASSERT(all);
	h.len = (uint32_t)b.size;
	h.pid = m->pid ? m->pid : (uint32_t)getpid();
	memcpy(all, &h, sizeof(h));
	memcpy(all + sizeof(h), body, len);
	memcpy(all + sizeof(h) + len, more, more_len);
	b.mem = all;
	fuse_session_process_buf(m->se, &b);
	free(all);
	return unique;
}

int session_mount(struct fs *fs, const char *dir, bool no_splice, struct session **ret,
		  struct session_why *why)
{
	static const struct fuse_custom_io io = { .writev = on_answer, .read = no_read };
	struct fuse_init_in init = { .major = FUSE_KERNEL_VERSION, .minor = 31 };
	struct simmount *m = mount_now;
	char *argv[] = { "topicfs", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(1, argv);
	struct fuse_lowlevel_ops ops = { 0 };

	ops_set_names(&ops);
	ops_set_files(&ops);
	m->se = fs->se = fuse_session_new(&args, &ops, sizeof(ops), fs);
	fuse_opt_free_args(&args);
	ASSERT(m->se && !fuse_session_custom_io(m->se, &io, open("/dev/null", O_RDWR)));
	m->fs = fs;
	m->unique = 0;
	simmount_send(m, FUSE_INIT, 0, &init, sizeof(init), "", 0);
	*ret = (struct session *)m;
	return 0;
}

int session_fd(const struct session *s)
{
	return SESSION_FD;
}

int session_step(struct session *s)
{
	struct simmount *m = mount_now;

	if (is_stopped(m) || m->hangs)
		return -ENODEV;
	if (!m->next(m->ctx))
		return 0;
	m->idle = 0;
	return 1;
}

int32_t session_tgid(int32_t tid)
{
	return tid;
}

int session_groups(int32_t tid, uint32_t **ret, unsigned *ret_cnt)
{
	(void)tid;
	*ret = NULL;
	*ret_cnt = 0;
	return 0;
}

void session_comm(int32_t tid, char *ret, size_t len)
{
	snprintf(ret, len, "sim%d", tid);
}

void session_detach(struct session *s)
{
}

void session_free(struct session *s)
{
	struct simmount *m = mount_now;

	if (!s)
		return;
	fuse_session_destroy(m->se);
	m->se = NULL;
	m->fs = NULL;
}

/* ---- the machine ---- */

int clock_gettime(clockid_t id, struct timespec *ret)
{
	int64_t us = EPOCH_US;

	if (mount_now) {
		mount_now->now_us += 3;
		us += mount_now->now_us;
	}
	if (id != CLOCK_REALTIME)
		us -= EPOCH_US - 1000000000;
	ret->tv_sec = us / 1000000;
	ret->tv_nsec = us % 1000000 * 1000;
	return 0;
}

/* A sleep: as long as was asked for, or until the next thing finishes. */
int poll(struct pollfd *fds, nfds_t cnt, int timeout_ms)
{
	struct simmount *m = mount_now;
	bool finished = io_disk_has_finished(m->disk);
	int hits = 0;

	m->rnd = m->rnd * 6364136223846793005ULL + 1442695040888963407ULL;
	m->now_us += 20 + (int64_t)(m->rnd >> 33) % 400;
	if (++m->idle > IDLE_MAX)
		m->hangs = true;
	ASSERT(m->idle < 2 * IDLE_MAX);
	for (nfds_t i = 0; i < cnt; i++) {
		fds[i].revents = 0;
		if (fds[i].fd == EVENT_FD && finished) {
			fds[i].revents = POLLIN;
		} else if (fds[i].fd < SESSION_FD && m->ends) {
			fds[i].revents = POLLIN;
			m->ends = false;
			raise(SIGTERM);
		}
		hits += fds[i].revents != 0;
	}
	if (!hits && timeout_ms > 0 && !m->awake)
		m->now_us += 1 + (int64_t)(m->rnd >> 40) % timeout_ms * 1000;
	return hits;
}

void simmount_end(struct simmount *m)
{
	m->ends = true;
}

int simmount_run(struct simmount *m, const struct broker_options *o)
{
	int status;

	mount_now = m;
	m->idle = 0;
	m->ends = m->hangs = false;
	status = cmd_broker(o);
	ASSERT(!m->fs);
	mount_now = NULL;
	return status;
}

/* cmd_verify() prints. */
int simmount_verify(struct simmount *m, struct buf *out)
{
	FILE *f = tmpfile();
	int saved = dup(STDOUT_FILENO), status;
	ssize_t len;

	ASSERT(f && saved >= 0);
	fflush(stdout);
	ASSERT(dup2(fileno(f), STDOUT_FILENO) >= 0);
	mount_now = m;
	status = cmd_verify("data");
	mount_now = NULL;
	fflush(stdout);
	ASSERT(dup2(saved, STDOUT_FILENO) >= 0);
	close(saved);
	buf_reset(out);
	ASSERT(!buf_reserve(out, 65536));
	len = pread(fileno(f), out->data, 65535, 0);
	out->len = len > 0 ? (size_t)len : 0;
	out->data[out->len] = 0;
	fclose(f);
	return status;
}

#include "fusefs/session.h"

#include "daemon/base/log.h"
#include "fusefs/fs.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE_LEN 4096U
#define CACHE_LINE_LEN 64U
/* What stands before the bytes of a write. */
#define WRITE_HEAD_LEN (sizeof(struct fuse_in_header) + sizeof(struct fuse_write_in))
/* More than a request can have: max_write and a page. What is never used takes no memory. */
#define REQUEST_LEN_MAX (2 * FUSE_WRITE_MAX)
/* How long a mount that is there already has to answer. */
#define ANSWER_MS 5000

struct session {
	struct fuse_session *se;
	struct fs *fs;
	void *room; /* owned: where requests are read to */
	struct fuse_buf buf;
	char *dir;
	bool detached, ended;
};

static void on_init(void *userdata, struct fuse_conn_info *conn)
{
	struct fs *fs = userdata;
	unsigned want = FUSE_CAP_ATOMIC_O_TRUNC | FUSE_CAP_POSIX_LOCKS | FUSE_CAP_FLOCK_LOCKS |
			FUSE_CAP_ASYNC_READ | FUSE_CAP_PARALLEL_DIROPS;

	if (!fs->no_splice)
		want |= FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE;
	/* Requests are read into memory, since every byte of a write is looked at. */
	conn->want = want & conn->capable;
	conn->max_write = FUSE_WRITE_MAX;
	conn->max_read = FUSE_WRITE_MAX; /* as the mount option says */
	/* RELEASE is a background request: it must never queue behind others (FUSE.md, "Closing").
	 */
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

static void on_log(enum fuse_log_level level, const char *fmt, va_list ap)
{
	char text[512];
	size_t len;

	vsnprintf(text, sizeof(text), fmt, ap);
	len = strlen(text);
	while (len && text[len - 1] == '\n')
		text[--len] = 0;
	LOG_AT(level <= FUSE_LOG_WARNING ? LOG_WARN : LOG_DEBUG, "libfuse", 0, "%s", text);
}

/* The type of what is mounted exactly at dir ("" where nothing is), the topmost last. */
static void mounted_type(const char *dir, char *ret_type, size_t len)
{
	FILE *f = fopen("/proc/self/mountinfo", "re");
	char *line = NULL;
	size_t cap = 0;

	*ret_type = 0;
	if (!f)
		return;
	while (getline(&line, &cap, f) > 0) {
		char at[4096], type[64], path[4096], *dash = strstr(line, " - ");
		size_t n = 0;

		if (!dash || sscanf(line, "%*s %*s %*s %*s %4095s", at) != 1 ||
		    sscanf(dash, " - %63s", type) != 1)
			continue;
		/* Spaces and the like stand there as \ooo. */
		for (char *p = at; *p; p++) {
			if (*p == '\\' && p[1] && p[2] && p[3]) {
				path[n++] =
					(char)((p[1] - '0') * 64 + (p[2] - '0') * 8 + p[3] - '0');
				p += 3;
			} else {
				path[n++] = *p;
			}
		}
		path[n] = 0;
		if (!strcmp(path, dir))
			snprintf(ret_type, len, "%s", type);
	}
	free(line);
	fclose(f);
}

static int run_fusermount(const char *dir)
{
	pid_t pid = fork();
	int status = 0;

	if (pid < 0)
		return -errno;
	if (!pid) {
		execlp("fusermount3", "fusermount3", "-u", "-z", "-q", "--", dir, (char *)NULL);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return WIFEXITED(status) && !WEXITSTATUS(status) ? 0 : -EPERM;
}

static int detach(const char *dir)
{
	if (!umount2(dir, MNT_DETACH | UMOUNT_NOFOLLOW))
		return 0;
	return run_fusermount(dir);
}

/* An administrator's bound on the age of requests would abort the mount under its waiting readers.
 */
static bool has_request_timeout(void)
{
	unsigned seconds = 0;
	FILE *f = fopen("/proc/sys/fs/fuse/max_request_timeout", "re");

	if (!f)
		return false;
	if (fscanf(f, "%u", &seconds) != 1)
		seconds = 0;
	fclose(f);
	return seconds != 0;
}

/*
 * What stat() says of a mount point, 0 or a negative errno; -ETIMEDOUT: nothing, for the broker
 * that serves it is stopped or waits. It would wait for ever, and is not to be interrupted by every
 * signal: so a child asks, which ends with this process. The mount of a broker that died answers
 * at once, so the time only matters where one lives.
 */
static int ask_mount(const char *dir)
{
	struct pollfd pfd = { .events = POLLIN };
	int fds[2], answer = -ETIMEDOUT;
	struct stat st;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC))
		return -errno;
	pid = fork();
	if (!pid) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		answer = stat(dir, &st) ? -errno : 0;
		_exit(write(fds[1], &answer, sizeof(answer)) != sizeof(answer));
	}
	close(fds[1]);
	pfd.fd = fds[0];
	if (pid < 0 || (poll(&pfd, 1, ANSWER_MS) > 0 &&
			read(fds[0], &answer, sizeof(answer)) != sizeof(answer)))
		answer = -EAGAIN;
	close(fds[0]);
	if (pid > 0) {
		kill(pid, SIGKILL);
		/* One that the kernel does not let go is left to init. */
		waitpid(pid, NULL, answer == -ETIMEDOUT ? WNOHANG : 0);
	}
	return answer;
}

/* Takes away mounts of brokers that died. -EBUSY: something else is mounted there. */
static int clear_mount_point(const char *dir, struct session_why *why)
{
	char type[64];
	int r;

	for (;;) {
		mounted_type(dir, type, sizeof(type));
		if (!*type)
			return 0;
		r = !strcmp(type, "fuse.topicfs") || !strcmp(type, "fuse") ? ask_mount(dir) : 0;
		if (r != -ENOTCONN)
			break;
		LOG_AT(LOG_INFO, dir, 0, "a mount left by a broker that died is replaced");
		r = detach(dir);
		if (r) {
			snprintf(why->text, sizeof(why->text),
				 "%s: the mount of a broker that died cannot be taken away (%s): "
				 "run fusermount3 -uz on it as the user who mounted it",
				 dir, strerror(-r));
			return r;
		}
	}
	snprintf(why->text, sizeof(why->text),
		 "%s: something of type %s is mounted there already%s; unmount it first or choose "
		 "another directory",
		 dir, type,
		 r == -ETIMEDOUT ? ", by a process that is stopped or waits, as it does not answer"
				 : "");
	return -EBUSY;
}

int session_prepare(const char *dir, struct session_why *why)
{
	struct stat st;
	int r = clear_mount_point(dir, why);

	if (r)
		return r;
	r = stat(dir, &st) ? -errno : 0;
	if (r == -ENOENT)
		r = mkdir(dir, 0755) || stat(dir, &st) ? -errno : 0;
	if (r || !S_ISDIR(st.st_mode)) {
		r = r ? r : -ENOTDIR;
		snprintf(why->text, sizeof(why->text), "%s: cannot be mounted on: %s", dir,
			 strerror(-r));
		return r;
	}
	if (access("/dev/fuse", F_OK)) {
		snprintf(why->text, sizeof(why->text),
			 "/dev/fuse is missing: load the module (modprobe fuse), or start the "
			 "container with --device /dev/fuse");
		return -ENODEV;
	}
	if (has_request_timeout()) {
		snprintf(why->text, sizeof(why->text),
			 "the sysctl fs.fuse.max_request_timeout is set: it would abort the mount "
			 "under its waiting readers; set it to 0");
		return -EOPNOTSUPP;
	}
	return 0;
}

static bool user_allows_other(void)
{
	FILE *f = fopen("/etc/fuse.conf", "re");
	char line[256];
	bool found = false;

	while (f && fgets(line, sizeof(line), f)) {
		char word[64];

		if (sscanf(line, " %63s", word) == 1 && !strcmp(word, "user_allow_other"))
			found = true;
	}
	if (f)
		fclose(f);
	return found;
}

static void why_not_mounted(const char *dir, struct session_why *why)
{
	if (access("/dev/fuse", R_OK | W_OK))
		snprintf(
			why->text, sizeof(why->text),
			"%s: /dev/fuse cannot be opened by this user (%s): run as root, or ask for "
			"chmod 666 /dev/fuse",
			dir, strerror(errno));
	else if (geteuid() && access("/usr/bin/fusermount3", X_OK) &&
		 access("/bin/fusermount3", X_OK))
		snprintf(why->text, sizeof(why->text),
			 "%s: fusermount3 is missing: install the package fuse3, or run as root",
			 dir);
	else
		snprintf(why->text, sizeof(why->text),
			 "%s: the mount is not permitted here: run as root, or give the container "
			 "the capability SYS_ADMIN and the device /dev/fuse",
			 dir);
}

static void set_ops(struct fuse_lowlevel_ops *ops)
{
	*ops = (struct fuse_lowlevel_ops){ .init = on_init };
	ops_set_names(ops);
	ops_set_files(ops);
}

/*
 * Room for a request in which the bytes of a write begin with a cache line: hashing and counting
 * newlines by 64 bytes at a time takes half as long again where each load is of two lines. A small
 * request lies within one page, since the kernel looks up each page that it copies to.
 */
static int make_room(struct session *s)
{
	size_t lines = (WRITE_HEAD_LEN + CACHE_LINE_LEN - 1) / CACHE_LINE_LEN;

	s->room = aligned_alloc(PAGE_LEN, PAGE_LEN + REQUEST_LEN_MAX);
	if (!s->room)
		return -ENOMEM;
	s->buf.mem = (char *)s->room + lines * CACHE_LINE_LEN - WRITE_HEAD_LEN;
	return 0;
}

int session_mount(struct fs *fs, const char *dir, bool no_splice, struct session **ret,
		  struct session_why *why)
{
	char opts[128];
	char *argv[] = { "topicfs", "-o", opts, NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, argv);
	struct fuse_lowlevel_ops ops;
	struct session *s = calloc(1, sizeof(*s));
	int flags;

	if (!s)
		return -ENOMEM;
	s->fs = fs;
	s->dir = strdup(dir);
	fs->no_splice = no_splice;
	fs->uid = geteuid();
	fs->gid = getegid();
	snprintf(opts, sizeof(opts),
		 "default_permissions,fsname=topicfs,subtype=topicfs,max_read=%u%s", FUSE_WRITE_MAX,
		 !geteuid() || user_allows_other() ? ",allow_other" : "");
	fuse_set_log_func(on_log);
	set_ops(&ops);
	s->se = s->dir && !make_room(s) ? fuse_session_new(&args, &ops, sizeof(ops), fs) : NULL;
	fuse_opt_free_args(&args);
	if (!s->se)
		goto fail;
	if (fuse_session_mount(s->se, dir)) {
		fuse_session_destroy(s->se);
		s->se = NULL;
		why_not_mounted(dir, why);
		goto fail;
	}
	fs->se = s->se;
	flags = fcntl(fuse_session_fd(s->se), F_GETFL);
	if (flags < 0 || fcntl(fuse_session_fd(s->se), F_SETFL, flags | O_NONBLOCK) < 0) {
		snprintf(why->text, sizeof(why->text), "%s: fcntl: %s", dir, strerror(errno));
		session_free(s);
		return -EPERM;
	}
	*ret = s;
	return 0;
fail:
	free(s->room);
	free(s->dir);
	free(s);
	return *why->text ? -EPERM : -ENOMEM;
}

int32_t session_tgid(int32_t tid)
{
	char path[64], line[128];
	int32_t tgid = tid;
	FILE *f;

	/* Most are the first of their process, and of that the kernel says so at once. */
	if (!syscall(SYS_tgkill, tid, tid, 0) || errno == EPERM)
		return tid;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	if (!f)
		return tid;
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "Tgid: %d", &tgid) == 1)
			break;
	}
	fclose(f);
	return tgid;
}

/* The numbers of a text with blanks between. */
static int parse_groups(const char *text, uint32_t **ret, unsigned *ret_cnt)
{
	/* Each takes a digit and a blank at least. */
	uint32_t *gids = malloc((strlen(text) / 2 + 1) * sizeof(*gids));
	unsigned cnt = 0;
	char *end;

	if (!gids)
		return -ENOMEM;
	for (unsigned long gid = strtoul(text, &end, 10); end != text;
	     gid = strtoul(text, &end, 10)) {
		gids[cnt++] = (uint32_t)gid;
		text = end;
	}
	*ret = gids;
	*ret_cnt = cnt;
	return 0;
}

int session_groups(int32_t tid, uint32_t **ret, unsigned *ret_cnt)
{
	char path[64], *line = NULL;
	size_t cap = 0;
	int r = 0;
	FILE *f;

	*ret = NULL;
	*ret_cnt = 0;
	snprintf(path, sizeof(path), "/proc/%d/status", tid);
	f = fopen(path, "re");
	while (f && getline(&line, &cap, f) > 0) {
		if (strncmp(line, "Groups:", 7) != 0)
			continue;
		r = parse_groups(line + 7, ret, ret_cnt);
		break;
	}
	free(line);
	if (f)
		fclose(f);
	return r;
}

void session_comm(int32_t tid, char *ret, size_t len)
{
	char path[64];
	FILE *f;

	*ret = 0;
	snprintf(path, sizeof(path), "/proc/%d/comm", tid);
	f = fopen(path, "re");
	if (f && fgets(ret, (int)len, f))
		ret[strcspn(ret, "\n")] = 0;
	if (f)
		fclose(f);
}

int session_fd(const struct session *s)
{
	return fuse_session_fd(s->se);
}

/*
 * The commonest request is a write of lines that is answered at once. It needs nothing of what
 * libfuse keeps of a request: an allocation, a list for interrupts, and their locks. An interrupt
 * of it cannot come any more when it is answered, for the kernel takes that back.
 */
static bool write_at_once(struct session *s)
{
	const struct fuse_in_header *in = s->buf.mem;
	const struct fuse_write_in *w = (const void *)(in + 1);
	struct {
		struct fuse_out_header head;
		struct fuse_write_out write;
	} out;

	if (in->opcode != FUSE_WRITE || s->buf.size < WRITE_HEAD_LEN ||
	    w->size != s->buf.size - WRITE_HEAD_LEN)
		return false;
	if (!produce_at_once(s->fs, handle_of_fh(w->fh), (const char *)(w + 1), w->size,
			     (int)w->flags))
		return false;
	out.head = (struct fuse_out_header){ .len = sizeof(out), .unique = in->unique };
	out.write = (struct fuse_write_out){ .size = w->size };
	/* Who asked may be gone: then nobody waits for the answer. */
	if (write(fuse_session_fd(s->se), &out, sizeof(out)) < 0 && errno != ENOENT)
		LOG_AT(LOG_WARN, s->dir, -errno, "a write could not be answered");
	return true;
}

int session_step(struct session *s)
{
	ssize_t n;

	if (s->ended)
		return -ENODEV;
	n = read(fuse_session_fd(s->se), s->buf.mem, REQUEST_LEN_MAX);
	if (n < 0 && (errno == EAGAIN || errno == EINTR || errno == ENOENT))
		return errno != EAGAIN;
	if (n < (ssize_t)sizeof(struct fuse_in_header) || fuse_session_exited(s->se)) {
		s->ended = true;
		return -ENODEV;
	}
	s->buf.size = (size_t)n;
	if (!write_at_once(s))
		fuse_session_process_buf(s->se, &s->buf);
	return 1;
}

void session_detach(struct session *s)
{
	char type[64];
	int r;

	if (s->detached)
		return;
	/* Where somebody else unmounted it, there is nothing of ours to take away. */
	mounted_type(s->dir, type, sizeof(type));
	if (strcmp(type, "fuse.topicfs") != 0) {
		s->detached = true;
		return;
	}
	r = detach(s->dir);
	if (r)
		LOG_AT(LOG_WARN, s->dir, r, "cannot be unmounted; it is closed all the same");
	s->detached = !r;
}

/*
 * Ends the connection of a mount that is detached already. fuse_session_unmount() would unmount
 * what stands at the mount point by now, unless poll says POLLERR of the device: so does a pipe
 * that nobody reads. In the device's place it closes that, and libfuse frees what it holds.
 */
static void close_device(struct fuse_session *se)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC)) {
		close(fuse_session_fd(se));
		return;
	}
	close(fds[0]);
	if (dup2(fds[1], fuse_session_fd(se)) >= 0)
		fuse_session_unmount(se);
	close(fds[1]);
}

void session_free(struct session *s)
{
	if (!s)
		return;
	session_detach(s);
	if (s->detached)
		close_device(s->se);
	else
		fuse_session_unmount(s->se);
	fuse_session_destroy(s->se);
	free(s->room);
	free(s->dir);
	free(s);
}

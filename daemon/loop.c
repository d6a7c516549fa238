/*
 * `topicfs broker`: start, the one thread's loop, and the end.
 *
 * The thread that owns the mount owns everything. It reads /dev/fuse without waiting, spins a
 * little while requests keep coming (FUSE.md: one thread that spins a little beats many that
 * sleep), and sleeps in poll on the mount, the disk's finished requests, and signals.
 */
#include "daemon/coordinator.h"
#include "daemon/io/disk.h"
#include "daemon/round.h"
#include "fusefs/session.h"

#include "daemon/base/log.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

/* Empty reads of /dev/fuse before the thread sleeps; measured in FUSE.md. */
#define SPIN_MAX 200
/* Sleeps one after the other from which on it does so at once; and how often it still spins. */
#define SPIN_VAIN 8U
#define SPIN_RETRY 256U
/*
 * While the journal is being written nothing else comes for a while, and spinning takes the core
 * from the writers and from the disk's interrupts: it cost a quarter of the rate of one writer that
 * syncs each line (docs/performance.md).
 */
#define SPIN_DISK_MAX 1
/* How long a stop waits for what is under way. */
#define STOP_MS 3000
/* Signals are looked for at least that often. */
#define SIGNAL_MS 50
/*
 * Unsynced bytes from which they are written out, so that no append meets the kernel's own bound (a
 * fifth of the memory by default). Writing out earlier costs: at 64 MiB it took three quarters of
 * the rate of 1 MiB writes.
 */
#define UNSYNCED_BYTES_MAX (512 * MIB)
#define UNSYNCED_MEMORY_SHARE 32

struct server {
	struct broker broker;
	struct fs fs;
	struct disk *disk;
	struct store *store;
	struct session *session;
	int signal_fd;
	struct round round;
	int64_t looked_ms; /* when signals were looked for last, on the monotonic clock */
	bool has_fs;
	char *mount, *data;
};

/* Tells the service manager (sd_notify(3): one datagram to the socket it named). */
static void notify_manager(const char *state)
{
	const char *path = getenv("NOTIFY_SOCKET");
	struct sockaddr_un addr = { .sun_family = AF_UNIX };
	size_t len = path ? strlen(path) : 0;
	int fd;

	if (!len || len >= sizeof(addr.sun_path))
		return;
	memcpy(addr.sun_path, path, len);
	if (*path == '@')
		addr.sun_path[0] = 0;
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return;
	if (sendto(fd, state, strlen(state), 0, (struct sockaddr *)&addr,
		   (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len)) < 0)
		LOG_AT(LOG_WARN, "service", -errno, "the service manager was not told");
	close(fd);
}

/* Nothing is served yet, and recovery bears an end at any point. */
static void on_early_signal(int number)
{
	static const char text[] = "INFO broker: ended by a signal before it was ready\n";

	(void)number;
	_exit(write(STDERR_FILENO, text, sizeof(text) - 1) < 0);
}

static void signal_set(sigset_t *ret)
{
	struct sigaction hup;

	sigemptyset(ret);
	sigaddset(ret, SIGINT);
	sigaddset(ret, SIGTERM);
	/* Its terminal was closed; nohup says that this does not concern it. */
	if (!sigaction(SIGHUP, NULL, &hup) && hup.sa_handler != SIG_IGN)
		sigaddset(ret, SIGHUP);
}

/* Until take_signals() a signal ends the process at once, whatever it waits for: a handler does so
 * even for the first process of a container. */
static int catch_early_signals(void)
{
	struct sigaction early = { .sa_handler = on_early_signal },
			 ignored = { .sa_handler = SIG_IGN };
	sigset_t set;
	int r = sigaction(SIGPIPE, &ignored, NULL);

	signal_set(&set);
	for (int number = 1; !r && number < NSIG; number++)
		if (sigismember(&set, number) == 1)
			r = sigaction(number, &early, NULL);
	return r ? -errno : 0;
}

/* From now on they are read from a descriptor. */
static int take_signals(void)
{
	sigset_t set;

	signal_set(&set);
	if (sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void raise_file_limit(void)
{
	struct rlimit lim;

	if (getrlimit(RLIMIT_NOFILE, &lim))
		return;
	lim.rlim_cur = lim.rlim_max;
	if (setrlimit(RLIMIT_NOFILE, &lim))
		LOG_AT(LOG_WARN, "broker", -errno, "the limit of open files could not be raised");
}

/* "a/b", allocated; NULL where there is no memory. */
static char *join(const char *a, const char *b)
{
	size_t len = strlen(a) + strlen(b) + 2;
	char *all = malloc(len);

	if (all)
		snprintf(all, len, "%s/%s", strcmp(a, "/") ? a : "", b);
	return all;
}

/* An absolute path for something that may not exist yet; its parent must. */
static char *absolute(const char *path)
{
	char cwd[PATH_MAX];

	if (*path == '/')
		return strdup(path);
	return getcwd(cwd, sizeof(cwd)) ? join(cwd, path) : NULL;
}

/* Without dots and links, as /proc/self/mountinfo has it, though the last name may be a stale
 * mount. */
static char *canonical(const char *path)
{
	char *all = absolute(path), *slash, *dir, *ret = NULL;
	size_t len = all ? strlen(all) : 0;

	/* "/." is the same, but realpath() would ask the mount. */
	while (len > 1 && (all[len - 1] == '/' || (all[len - 1] == '.' && all[len - 2] == '/')))
		all[--len] = 0;
	slash = all ? strrchr(all, '/') : NULL;
	if (!slash || !strcmp(slash, "/..") || !slash[1]) {
		ret = all ? realpath(all, NULL) : NULL;
		free(all);
		return ret;
	}
	*slash = 0;
	dir = realpath(*all ? all : "/", NULL);
	if (dir)
		ret = join(dir, slash + 1);
	free(dir);
	free(all);
	return ret;
}

/* Whether the mount would lie over the data directory. */
static bool hides(const char *mount, const char *data)
{
	char *path = canonical(data);
	size_t len = strlen(mount);
	bool r = path && !strncmp(path, mount, len) && (!path[len] || path[len] == '/');

	free(path);
	return r;
}

static uint64_t unsynced_bytes_max(void)
{
	long pages = sysconf(_SC_PHYS_PAGES);
	uint64_t memory = pages > 0 ? (uint64_t)pages * 4096 : GIB;

	return MIN(UNSYNCED_BYTES_MAX, memory / UNSYNCED_MEMORY_SHARE);
}

/* Makes the data directory where it is missing. Its name is stable before anything in it is, also
 * where the start that made it was ended before that. */
static int make_data(const char *data)
{
	char *above;
	int fd, r = 0;

	if (mkdir(data, 0750) && errno != EEXIST)
		return -errno;
	above = join(data, "..");
	if (!above)
		return -ENOMEM;
	fd = open(above, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	free(above);
	/* Some file systems cannot sync directories, or cannot change, and have no need to; and who
	 * may not read what is above has made it all the same. */
	if (fd < 0)
		return errno == EACCES ? 0 : -errno;
	if (fsync(fd) && errno != EINVAL && errno != EROFS)
		r = -errno;
	close(fd);
	return r;
}

static int open_store(struct server *s, const struct broker_options *o,
		      struct store_open_report *report)
{
	struct io_disk_config io = { .refuse_io_uring = o->config.io_refuse & REFUSE_IO_URING,
				     .refuse_direct = o->config.io_refuse & REFUSE_O_DIRECT,
				     .threads = (unsigned)o->config.io_threads };
	struct store_config config = {
		.journal_bytes = (uint64_t)o->config.journal_bytes,
		.refuse_direct = io.refuse_direct,
		.reserve_fraction = (double)o->config.disk_reserve_percent / 100,
		.reserve_bytes = (uint64_t)o->config.disk_reserve_bytes,
		.retention_check_ms = o->config.retention_check_ms,
		.dirty_bytes_max = unsynced_bytes_max(),
	};
	int r;

	r = make_data(s->data);
	if (!r)
		r = io_disk_open(s->data, &io, &s->disk);
	if (r) {
		LOG_AT(LOG_ERROR, s->data, r, "the data directory cannot be opened");
		return r;
	}
	r = store_open(s->disk, &config, broker_now_ms(), &s->store, report);
	if (r)
		LOG_AT(LOG_ERROR, s->data, r, "%s",
		       *report->sentence ? report->sentence : "the data directory cannot be used");
	return r;
}

/* Finished requests until `until` says so; for the start, where nothing else is going on. */
static int wait_ready(struct server *s)
{
	struct pollfd pfd = { .fd = io_disk_event_fd(s->disk), .events = POLLIN };

	while (!s->broker.ready) {
		broker_clock(&s->broker);
		store_kick(s->store);
		if (broker_step(&s->broker))
			return -EIO;
		if (s->broker.ready)
			break;
		if (poll(&pfd, 1, 100) < 0 && errno != EINTR)
			return -errno;
		io_disk_ack(s->disk);
		broker_tick(&s->broker);
	}
	return 0;
}

static int start(struct server *s, const struct broker_options *o)
{
	struct store_open_report report = { 0 };
	char sentence[SENTENCE_MAX] = "";
	struct session_why why = { 0 };
	struct backend be;
	int r;

	s->mount = canonical(o->mount);
	s->data = absolute(o->data);
	if (!s->mount || !s->data) {
		LOG_AT(LOG_ERROR, s->mount ? o->data : o->mount, -ENOENT, "no such path");
		return -ENOENT;
	}
	r = session_prepare(s->mount, &why);
	if (r) {
		LOG_AT(LOG_ERROR, "mount", r, "%s", why.text);
		return r;
	}
	if (hides(s->mount, s->data)) {
		LOG_AT(LOG_ERROR, s->data, -EINVAL, "the mount %s would hide the data directory",
		       s->mount);
		return -EINVAL;
	}
	r = open_store(s, o, &report);
	if (r)
		return r;
	r = broker_start(&s->broker, o, s->disk, s->store, &report, sentence);
	if (r) {
		LOG_AT(LOG_ERROR, "metadata", r, "%s", sentence);
		return r;
	}
	broker_backend(&s->broker, &be);
	r = fs_init(&s->fs, &be, s->disk);
	if (r)
		return r;
	s->has_fs = true;
	s->broker.fs = &s->fs;
	r = wait_ready(s);
	if (r)
		return r;
	s->signal_fd = take_signals();
	if (s->signal_fd < 0) {
		LOG_AT(LOG_ERROR, "broker", s->signal_fd, "no signalfd");
		return s->signal_fd;
	}
	r = session_mount(&s->fs, s->mount, o->config.io_refuse & REFUSE_SPLICE, &s->session, &why);
	if (r)
		LOG_AT(LOG_ERROR, "mount", r, "%s", why.text);
	return r;
}

static int64_t mono_ms(const struct server *s)
{
	return s->broker.mono_us / 1000;
}

static int next_request(void *ctx)
{
	struct server *s = ctx;

	return session_step(s->session);
}

static bool has_finished(void *ctx)
{
	struct server *s = ctx;

	return io_disk_has_finished(s->disk);
}

static int sleep_until(struct server *s, int64_t deadline, bool *ret_stop)
{
	struct pollfd pfd[] = { { .fd = session_fd(s->session), .events = POLLIN },
				{ .fd = io_disk_event_fd(s->disk), .events = POLLIN },
				{ .fd = s->signal_fd, .events = POLLIN } };
	int64_t left = deadline - broker_mono_us() / 1000;
	struct signalfd_siginfo info;

	if (poll(pfd, ARRAY_CNT(pfd), (int)MAX(MIN(left, 1000), 0)) < 0 && errno != EINTR)
		return -errno;
	if (pfd[1].revents)
		io_disk_ack(s->disk);
	if (pfd[2].revents && read(s->signal_fd, &info, sizeof(info)) == sizeof(info)) {
		LOG_AT(LOG_INFO, "broker", 0, "stopping: signal %u from process %u", info.ssi_signo,
		       info.ssi_pid);
		*ret_stop = true;
	}
	return 0;
}

/* Something gave others a turn, and goes on at once. */
static bool has_more(const struct server *s)
{
	return fs_has_more(&s->fs) || coordinator_has_more(s->broker.groups);
}

/*
 * How long to spin. A client on this core cannot ask while we spin, and at times the scheduler
 * leaves us there: each of its requests would wait for that. So who had to sleep in the end some
 * times one after the other does so at once, until a spin, which is tried now and then, finds a
 * request.
 */
static unsigned spin_max(unsigned vain)
{
	return vain < SPIN_VAIN || vain % SPIN_RETRY == 0 ? SPIN_MAX : 1;
}

static int serve(struct server *s)
{
	unsigned spins = 0, vain = 0, cnt;
	bool slept = false;
	int64_t deadline, left;
	bool stop = false;
	int r = 0;

	s->round = (struct round){ .broker = &s->broker,
				   .fs = &s->fs,
				   .next_request = next_request,
				   .has_finished = has_finished,
				   .ctx = s };
	broker_clock(&s->broker);
	round_tick(&s->round);
	while (!stop) {
		r = round_turn(&s->round, &cnt);
		if (r)
			break;
		if (cnt && slept)
			vain++;
		else if (cnt && spins)
			vain = 0;
		slept = slept && !cnt;
		spins = cnt ? 0 : spins + 1;
		/* Signals are looked for even while requests never cease. */
		if (spins < (io_disk_ring_is_busy(s->disk) ? SPIN_DISK_MAX : spin_max(vain)) &&
		    mono_ms(s) - s->looked_ms < SIGNAL_MS)
			continue;
		/* What the last requests left to be done has a time now. */
		left = cnt ? 0 : fs_idle(&s->fs);
		if (!cnt)
			round_tick(&s->round);
		deadline = left < INT64_MAX ? MIN(s->round.deadline_ms, mono_ms(s) + left)
					    : s->round.deadline_ms;
		r = sleep_until(s, cnt || has_more(s) ? 0 : deadline, &stop);
		if (r)
			break;
		broker_clock(&s->broker);
		s->looked_ms = mono_ms(s);
		slept = slept || spins >= spin_max(vain);
		spins = spin_max(vain) - 1;
	}
	if (r == -ENODEV)
		LOG_AT(LOG_WARN, "mount", 0, "somebody unmounted it; the broker ends");
	return r == -ENODEV ? 0 : r;
}

static bool something_waits(const struct server *s)
{
	if (!metalog_is_idle(s->broker.meta) || !list_is_empty(&s->fs.changes))
		return true;
	LIST_FOREACH(pos, &s->fs.handles) {
		if (!list_is_empty(&LIST_ENTRY(pos, struct handle, link)->parked))
			return true;
	}
	return false;
}

/* A clean end: nothing new comes in, what was accepted is finished, what waits is answered. */
static int stop(struct server *s)
{
	int64_t until = broker_mono_us() / 1000 + STOP_MS;
	struct pollfd pfd = { .fd = io_disk_event_fd(s->disk), .events = POLLIN };
	unsigned cnt;
	int r = 0;

	session_detach(s->session);
	while (!r && broker_mono_us() / 1000 < until) {
		r = round_turn(&s->round, &cnt);
		if (r == -ENODEV)
			r = 0;
		fs_shutdown(&s->fs);
		if (cnt)
			continue;
		if (!something_waits(s))
			break;
		if (poll(&pfd, 1, 10) > 0)
			io_disk_ack(s->disk);
	}
	return r;
}

static int finish(struct server *s, int r)
{
	int r2 = 0;

	if (s->session && r != -EIO)
		r = stop(s) ? -EIO : r;
	else if (s->session)
		session_detach(s->session);
	/* Open files hold segments, so they go before the store. */
	if (s->has_fs)
		fs_fini(&s->fs);
	if (s->store && r != -EIO && s->session) {
		r2 = store_close(s->store);
		if (r2)
			LOG_AT(LOG_ERROR, "store", r2, "no clean end: the next start will recover");
	} else if (s->store) {
		/* What is under way uses the store's memory. */
		io_disk_stop(s->disk);
		store_free(s->store);
	}
	session_free(s->session);
	broker_fini(&s->broker);
	io_disk_free(s->disk);
	free(s->mount);
	free(s->data);
	if (s->signal_fd >= 0)
		close(s->signal_fd);
	return r || r2 ? 1 : 0;
}

int cmd_broker(const struct broker_options *o)
{
	struct server s = { .signal_fd = -1 };
	int64_t began = broker_mono_us();
	int r;

	log_set_level(o->log_level);
	raise_file_limit();
	r = catch_early_signals();
	if (!r)
		r = start(&s, o);
	if (!r) {
		LOG_AT(LOG_INFO, "broker", 0, "broker %u serves %s on %s, started in %lld ms",
		       o->node, s.data, s.mount, (long long)((broker_mono_us() - began) / 1000));
		LOG_AT(LOG_INFO, "broker", 0, "ready");
		notify_manager("READY=1");
		r = serve(&s);
		notify_manager("STOPPING=1");
	}
	r = finish(&s, r);
	LOG_AT(LOG_INFO, "broker", 0, r ? "ended after an error" : "ended");
	return r;
}

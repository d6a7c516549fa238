/*
 * Two reference file systems for the benchmark, each the fastest that so simple a program can be.
 *
 *	ref empty MOUNTPOINT			answers writes and drops them
 *	ref forward MOUNTPOINT DIR		appends to the file of the same name in DIR
 *
 * *empty* is what it costs to be a FUSE file system at all; *forward* adds one pwrite to a file,
 * without any structure, check or index. What topicfs costs above *forward* is the log.
 *
 * One thread receives, works and answers. It reads /dev/fuse without blocking and gives up the core
 * only after SPINS_MAX empty reads in a row, so that a client that sends its next request at once
 * finds it awake. Every look-up answers a fresh nodeid (entry_timeout 0, the same st_ino), so that
 * each open has a kernel inode, and with it an inode lock, of its own. Nodeid layout: the low
 * FILE_BITS bits are the file's slot + 1, the others a serial number; 1 is the root.
 *
 * A read of *empty* returns the last write if the handle has not seen it, and else waits for the
 * next write, whose handler answers every waiting reader before the writer.
 *
 * The program stops on SIGTERM, SIGINT, SIGHUP or when the mount goes away.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <fuse3/fuse_lowlevel.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	SPINS_MAX = 200,
	FILE_BITS = 12,
	FILES_MAX = (1 << FILE_BITS) - 1,
	NAME_LEN_MAX = 63,
	LAST_LEN_MAX = 256,
	MAX_WRITE = 1 << 20,
	/* A pipe holds at most 1 MiB with the header, so a longer answer would be copied. */
	READ_LEN_MAX = 512 << 10,
};

/* An open of a file of *empty*; owned by the kernel's fi->fh until RELEASE. */
struct handle {
	struct file *file;
	uint64_t seq_seen;
};

/* A read of *empty* that waits; owned by the list of its file until it is answered. */
struct waiter {
	struct waiter *next;
	struct file *file;
	struct handle *handle;
	fuse_req_t req;
	size_t len;
};

struct file {
	char name[NAME_LEN_MAX + 1]; /* empty: the slot is free */
	int fd;			     /* forward: the backing file, else -1 */
	off_t size;
	uint32_t opens;
	bool unlinked;
	uint64_t seq; /* empty: number of writes */
	size_t last_len;
	char last[LAST_LEN_MAX];
	struct waiter *waiting;
};

struct ref {
	bool forward;
	int dir_fd;
	uint64_t serial;
	struct file files[FILES_MAX];
};

static struct ref *ref_of(fuse_req_t req)
{
	return fuse_req_userdata(req);
}

static struct file *file_of(fuse_req_t req, fuse_ino_t ino)
{
	uint64_t slot = ino & ((1u << FILE_BITS) - 1);

	assert(ino != FUSE_ROOT_ID && slot > 0);
	return &ref_of(req)->files[slot - 1];
}

static void fill_stat(fuse_req_t req, fuse_ino_t ino, struct stat *ret_st)
{
	*ret_st = (struct stat){ .st_nlink = 1, .st_blksize = 128 << 10 };
	if (ino == FUSE_ROOT_ID) {
		ret_st->st_ino = FUSE_ROOT_ID;
		ret_st->st_mode = S_IFDIR | 0777;
		return;
	}
	ret_st->st_ino = (ino & ((1u << FILE_BITS) - 1)) + 1;
	ret_st->st_mode = S_IFREG | 0666;
	ret_st->st_size = file_of(req, ino)->size;
	ret_st->st_blocks = (ret_st->st_size + 511) / 512;
}

/* Frees the slot of an unlinked file once nobody has it open. */
static void file_put(struct file *file)
{
	if (!file->unlinked || file->opens > 0)
		return;
	if (file->fd >= 0)
		close(file->fd);
	*file = (struct file){ .fd = -1 };
}

/* Finds a file by name, opening it the first time; 0 or negative errno. */
static int file_find(struct ref *ref, const char *name, size_t *ret_slot)
{
	size_t free_slot = FILES_MAX;
	struct stat st = { 0 };
	int fd = -1;

	if (strlen(name) > NAME_LEN_MAX)
		return -ENAMETOOLONG;
	for (size_t i = 0; i < FILES_MAX; i++) {
		if (ref->files[i].name[0] == '\0') {
			if (free_slot == FILES_MAX)
				free_slot = i;
		} else if (!ref->files[i].unlinked && strcmp(ref->files[i].name, name) == 0) {
			*ret_slot = i;
			return 0;
		}
	}
	if (free_slot == FILES_MAX)
		return -ENFILE;
	if (ref->forward) {
		fd = openat(ref->dir_fd, name, O_RDWR | O_CLOEXEC | O_NOFOLLOW);
		if (fd < 0)
			return -errno;
		if (fstat(fd, &st) < 0) {
			int err = -errno;

			close(fd);
			return err;
		}
	}
	ref->files[free_slot] = (struct file){ .fd = fd, .size = st.st_size };
	memcpy(ref->files[free_slot].name, name, strlen(name) + 1);
	*ret_slot = free_slot;
	return 0;
}

static void op_init(void *userdata, struct fuse_conn_info *conn)
{
	conn->want |= conn->capable & (FUSE_CAP_SPLICE_WRITE | FUSE_CAP_SPLICE_MOVE);
	conn->want &= ~(unsigned)(FUSE_CAP_SPLICE_READ | FUSE_CAP_AUTO_INVAL_DATA);
	conn->max_write = MAX_WRITE;
	conn->max_background = 65535;
	conn->congestion_threshold = 65535;
}

static void op_lookup(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct fuse_entry_param entry = { 0 };
	struct ref *ref = ref_of(req);
	size_t slot = 0;
	int r = file_find(ref, name, &slot);

	if (r < 0) {
		fuse_reply_err(req, -r);
		return;
	}
	entry.ino = (++ref->serial << FILE_BITS) | (slot + 1);
	fill_stat(req, entry.ino, &entry.attr);
	fuse_reply_entry(req, &entry);
}

static void op_forget(fuse_req_t req, fuse_ino_t ino, uint64_t lookups)
{
	fuse_reply_none(req);
}

static void op_getattr(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct stat st;

	fill_stat(req, ino, &st);
	fuse_reply_attr(req, &st, 0.0);
}

static void op_getxattr(fuse_req_t req, fuse_ino_t ino, const char *name, size_t size)
{
	fuse_reply_err(req, ENOSYS);
}

static void op_open(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *file = file_of(req, ino);

	if (!ref_of(req)->forward) {
		struct handle *handle = malloc(sizeof(*handle));

		if (!handle) {
			fuse_reply_err(req, ENOMEM);
			return;
		}
		*handle = (struct handle){ .file = file, .seq_seen = file->seq };
		fi->fh = (uintptr_t)handle;
	}
	file->opens++;
	fi->direct_io = 1;
	fuse_reply_open(req, fi);
}

static void op_release(fuse_req_t req, fuse_ino_t ino, struct fuse_file_info *fi)
{
	struct file *file = file_of(req, ino);

	if (!ref_of(req)->forward) {
		struct handle *handle = (struct handle *)(uintptr_t)fi->fh;

		free(handle);
	}
	file->opens--;
	file_put(file);
	fuse_reply_err(req, 0);
}

static void op_unlink(fuse_req_t req, fuse_ino_t parent, const char *name)
{
	struct ref *ref = ref_of(req);
	size_t slot = 0;
	int r = file_find(ref, name, &slot);

	if (r == 0 && ref->forward && unlinkat(ref->dir_fd, name, 0) < 0)
		r = -errno;
	fuse_reply_err(req, -r);
	if (r == 0) {
		ref->files[slot].unlinked = true;
		file_put(&ref->files[slot]);
	}
}

/* Answers all who wait for a write to this file; what they get is the write itself. */
static void wake_all(struct file *file, const char *buf, size_t size)
{
	struct waiter *waiter = file->waiting;

	file->waiting = NULL;
	while (waiter) {
		struct waiter *next = waiter->next;

		waiter->handle->seq_seen = file->seq;
		fuse_reply_buf(waiter->req, buf, size < waiter->len ? size : waiter->len);
		free(waiter);
		waiter = next;
	}
}

static void op_write_empty(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size, off_t pos,
			   struct fuse_file_info *fi)
{
	struct file *file = file_of(req, ino);

	file->seq++;
	file->last_len = size < LAST_LEN_MAX ? size : LAST_LEN_MAX;
	memcpy(file->last, buf, file->last_len);
	if (file->waiting)
		wake_all(file, buf, size);
	fuse_reply_write(req, size);
}

static void op_write_forward(fuse_req_t req, fuse_ino_t ino, const char *buf, size_t size,
			     off_t pos, struct fuse_file_info *fi)
{
	struct file *file = file_of(req, ino);
	ssize_t n = pwrite(file->fd, buf, size, file->size);

	if (n < 0) {
		fuse_reply_err(req, errno);
		return;
	}
	file->size += n;
	fuse_reply_write(req, (size_t)n);
}

/* FUSE_INTERRUPT for a read that waits: it ends with EINTR and leaves the list. */
static void on_interrupt(fuse_req_t req, void *data)
{
	struct waiter *waiter = data;
	struct waiter **link = &waiter->file->waiting;

	while (*link != waiter)
		link = &(*link)->next;
	*link = waiter->next;
	free(waiter);
	fuse_reply_err(req, EINTR);
}

static void op_read_empty(fuse_req_t req, fuse_ino_t ino, size_t size, off_t pos,
			  struct fuse_file_info *fi)
{
	struct handle *handle = (struct handle *)(uintptr_t)fi->fh;
	struct file *file = handle->file;
	struct waiter *waiter;

	if (handle->seq_seen != file->seq) {
		handle->seq_seen = file->seq;
		fuse_reply_buf(req, file->last, size < file->last_len ? size : file->last_len);
		return;
	}
	waiter = malloc(sizeof(*waiter));
	if (!waiter) {
		fuse_reply_err(req, ENOMEM);
		return;
	}
	*waiter = (struct waiter){
		.next = file->waiting, .file = file, .handle = handle, .req = req, .len = size
	};
	file->waiting = waiter;
	/* Last, because it calls back at once when the interrupt has overtaken us. */
	fuse_req_interrupt_func(req, on_interrupt, waiter);
}

static void op_read_forward(fuse_req_t req, fuse_ino_t ino, size_t size, off_t pos,
			    struct fuse_file_info *fi)
{
	struct fuse_bufvec vec = FUSE_BUFVEC_INIT(size < READ_LEN_MAX ? size : READ_LEN_MAX);
	struct file *file = file_of(req, ino);

	if (pos >= file->size) {
		fuse_reply_buf(req, NULL, 0);
		return;
	}
	if ((off_t)vec.buf[0].size > file->size - pos)
		vec.buf[0].size = (size_t)(file->size - pos);
	vec.buf[0].flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK;
	vec.buf[0].fd = file->fd;
	vec.buf[0].pos = pos;
	fuse_reply_data(req, &vec, FUSE_BUF_SPLICE_MOVE);
}

static void op_fsync_empty(fuse_req_t req, fuse_ino_t ino, int datasync, struct fuse_file_info *fi)
{
	fuse_reply_err(req, 0);
}

static void op_fsync_forward(fuse_req_t req, fuse_ino_t ino, int datasync,
			     struct fuse_file_info *fi)
{
	fuse_reply_err(req, fdatasync(file_of(req, ino)->fd) < 0 ? errno : 0);
}

static const struct fuse_lowlevel_ops empty_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.getxattr = op_getxattr,
	.open = op_open,
	.release = op_release,
	.unlink = op_unlink,
	.read = op_read_empty,
	.write = op_write_empty,
	.fsync = op_fsync_empty,
};

static const struct fuse_lowlevel_ops forward_ops = {
	.init = op_init,
	.lookup = op_lookup,
	.forget = op_forget,
	.getattr = op_getattr,
	.getxattr = op_getxattr,
	.open = op_open,
	.release = op_release,
	.unlink = op_unlink,
	.read = op_read_forward,
	.write = op_write_forward,
	.fsync = op_fsync_forward,
};

/* Serves until the mount goes away or a signal ends it; 0 or negative errno. */
static int serve(struct fuse_session *se)
{
	struct fuse_buf buf = { 0 };
	int fd = fuse_session_fd(se);
	int flags = fcntl(fd, F_GETFL);
	int spins = 0, r = 0;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0)
		return -errno;
	while (!fuse_session_exited(se)) {
		r = fuse_session_receive_buf(se, &buf);
		if (r > 0) {
			fuse_session_process_buf(se, &buf);
			spins = 0;
		} else if (r == -EAGAIN) {
			struct pollfd pfd = { .fd = fd, .events = POLLIN };

			if (++spins < SPINS_MAX)
				continue;
			/* The time-out bounds a signal that comes just before poll. */
			if (poll(&pfd, 1, 1000) < 0 && errno != EINTR) {
				r = -errno;
				break;
			}
			spins = 0;
		} else if (r != -EINTR) {
			break;
		}
	}
	free(buf.mem);
	return r == -EAGAIN || r == -EINTR || r > 0 ? 0 : r;
}

/* Mounts, says so, and serves; returns the exit code. */
static int run(struct ref *ref, const char *mount_point, char *program)
{
	char *fuse_argv[] = { program, "-o", "fsname=topicfs-bench,allow_other", NULL };
	struct fuse_args args = FUSE_ARGS_INIT(3, fuse_argv);
	const struct fuse_lowlevel_ops *ops = ref->forward ? &forward_ops : &empty_ops;
	struct fuse_session *se = fuse_session_new(&args, ops, sizeof(*ops), ref);
	int r = 1;

	if (!se)
		goto out_args;
	if (fuse_set_signal_handlers(se) == 0 && fuse_session_mount(se, mount_point) == 0) {
		/* When whoever started it dies, it must not stay behind. */
		if (prctl(PR_SET_PDEATHSIG, SIGTERM) == 0)
			fprintf(stderr, "ready\n");
		r = serve(se) < 0;
		fuse_session_unmount(se);
		fuse_remove_signal_handlers(se);
	}
	fuse_session_destroy(se);
out_args:
	fuse_opt_free_args(&args);
	return r;
}

int main(int argc, char **argv)
{
	bool empty = argc == 3 && strcmp(argv[1], "empty") == 0;
	bool forward = argc == 4 && strcmp(argv[1], "forward") == 0;
	struct ref *ref;
	int r = 1;

	if (!empty && !forward) {
		fprintf(stderr, "usage: ref empty MOUNTPOINT | ref forward MOUNTPOINT DIR\n");
		return 2;
	}
	ref = calloc(1, sizeof(*ref));
	if (!ref)
		return 1;
	ref->forward = forward;
	if (forward)
		ref->dir_fd = open(argv[3], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (forward && ref->dir_fd < 0)
		perror(argv[3]);
	else
		r = run(ref, argv[2], argv[0]);
	free(ref);
	return r;
}

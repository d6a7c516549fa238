#include "daemon/io/ring.h"

#include <errno.h>
#include <liburing.h>
#include <stdlib.h>
#include <sys/mman.h>

struct ring {
	struct io_uring uring;
	unsigned under_way;
	void *scratch; /* where bytes go that nobody wants; owned */
};

int ring_open(int event_fd, struct ring **ret)
{
	struct ring *r = calloc(1, sizeof(*r));
	int err;

	if (!r)
		return -ENOMEM;
	r->scratch = mmap(NULL, IO_RING_SCRATCH, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (r->scratch == MAP_FAILED) {
		err = -ENOMEM;
		goto free_ring;
	}
	err = io_uring_queue_init(IO_RING_ENTRIES, &r->uring, 0);
	if (err)
		goto unmap;
	err = io_uring_register_eventfd(&r->uring, event_fd);
	if (err)
		goto exit_uring;
	*ret = r;
	return 0;
exit_uring:
	io_uring_queue_exit(&r->uring);
unmap:
	munmap(r->scratch, IO_RING_SCRATCH);
free_ring:
	free(r);
	return err;
}

void ring_free(struct ring *r)
{
	struct io_uring_cqe *cqe;

	if (!r)
		return;
	while (r->under_way) {
		int err = io_uring_wait_cqe(&r->uring, &cqe);

		if (err == -EINTR)
			continue;
		if (err)
			break;
		io_uring_cqe_seen(&r->uring, cqe);
		r->under_way--;
	}
	io_uring_queue_exit(&r->uring);
	munmap(r->scratch, IO_RING_SCRATCH);
	free(r);
}

/* Hands the part of req that is not done yet (req->res bytes are) to the kernel. */
static int ring_start(struct ring *r, struct disk_req *req)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&r->uring);
	size_t done = (size_t)req->res;
	int n;

	if (!sqe)
		return -EAGAIN;
	if (req->op == DISK_OP_WRITE)
		io_uring_prep_write(sqe, req->fd, (char *)req->buf + done,
				    (unsigned)(req->len - done), req->pos + done);
	else if (req->buf)
		io_uring_prep_read(sqe, req->fd, (char *)req->buf + done,
				   (unsigned)(req->len - done), req->pos + done);
	else
		io_uring_prep_read(sqe, req->fd, r->scratch,
				   (unsigned)MIN(req->len, IO_RING_SCRATCH), req->pos);
	io_uring_sqe_set_data(sqe, req);
	do
		n = io_uring_submit(&r->uring);
	while (n == -EINTR);
	/* An entry that could not be handed over now stays queued and goes with the next; that
	 * happens under memory pressure only, and ring_reap() tries again. */
	return n < 0 && n != -EAGAIN && n != -EBUSY ? n : 0;
}

int ring_submit(struct ring *r, struct disk_req *req)
{
	int err;

	PRE(req->op == DISK_OP_READ || req->op == DISK_OP_WRITE);
	if (r->under_way == IO_RING_ENTRIES)
		return -EAGAIN;
	req->res = 0;
	err = ring_start(r, req);
	if (!err)
		r->under_way++;
	return err;
}

/* Takes a completion into req. True: req is finished; false: the rest of it was begun. */
static bool ring_finish(struct ring *r, struct disk_req *req, int res)
{
	bool again = res == -EINTR || res == -EAGAIN;

	if (res > 0) {
		req->res += res;
		again = req->buf && (size_t)req->res < req->len;
	} else if (!again && (res < 0 || req->op == DISK_OP_WRITE)) {
		req->res = res < 0 ? res : -EIO;
	}
	if (again) {
		int err = ring_start(r, req);

		if (!err)
			return false;
		req->res = err;
	}
	return true;
}

struct disk_req *ring_reap(struct ring *r)
{
	struct io_uring_cqe *cqe;

	if (r->under_way && io_uring_sq_ready(&r->uring)) {
		int n = io_uring_submit(&r->uring);

		ASSERT(n >= 0 || n == -EAGAIN || n == -EBUSY || n == -EINTR);
	}
	while (r->under_way && !io_uring_peek_cqe(&r->uring, &cqe)) {
		struct disk_req *req = io_uring_cqe_get_data(cqe);
		int res = cqe->res;

		io_uring_cqe_seen(&r->uring, cqe);
		if (ring_finish(r, req, res)) {
			r->under_way--;
			return req;
		}
	}
	return NULL;
}

bool ring_is_busy(const struct ring *r)
{
	return r->under_way;
}

bool ring_has_finished(const struct ring *r)
{
	return r->under_way && io_uring_cq_ready(&r->uring);
}

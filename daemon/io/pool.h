/*
 * A few threads that perform requests which block: syncs in place, and everything where io_uring is
 * refused. They start when the first request comes, and block all signals.
 *
 *   owner:   pool_submit -> [todo] -> thread -> [done] -> pool_reap     both lists under one lock
 */
#ifndef TOPICFS_IO_POOL_H
#define TOPICFS_IO_POOL_H

#include "daemon/store/disk.h"

#define IO_POOL_THREADS_MAX 4U
/* Requests taken at one time; beyond, the submitter is told to come back. */
#define IO_POOL_REQS_MAX 4096U

struct pool;

/* Performs one request and sets req->res; called on the pool's threads. */
typedef void pool_work_fn(void *ctx, struct disk_req *req);

/* event_fd is raised at each completion; ctx is borrowed until pool_free(). */
MUST_CHECK int pool_new(unsigned threads, int event_fd, pool_work_fn *work, void *ctx,
			struct pool **ret);
/* Waits for what is under way and for the threads. Takes NULL. */
void pool_free(struct pool *p);
/* -EAGAIN: too many, or no thread could be started. */
MUST_CHECK int pool_submit(struct pool *p, struct disk_req *req);
struct disk_req *pool_reap(struct pool *p);
bool pool_has_finished(const struct pool *p);

#endif

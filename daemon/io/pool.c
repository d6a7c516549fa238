#include "daemon/io/pool.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/eventfd.h>

struct pool {
	pthread_mutex_t lock; /* guards todo, done, stop and idle */
	pthread_cond_t more;
	struct list todo, done;
	bool stop;
	unsigned idle;
	atomic_uint done_cnt; /* length of done, readable without the lock */

	/* The owner's alone. */
	unsigned under_way, started, threads_max;
	pthread_t threads[IO_POOL_THREADS_MAX];
	int event_fd; /* borrowed */
	pool_work_fn *work;
	void *ctx;
};

static void pool_raise(struct pool *p)
{
	int err = eventfd_write(p->event_fd, 1);

	/* The counter cannot overflow: it is read long before 2^64 completions. */
	ASSERT(!err);
}

static void *pool_thread(void *arg)
{
	struct pool *p = arg;

	pthread_mutex_lock(&p->lock);
	for (;;) {
		struct list *node;

		p->idle++;
		while (list_is_empty(&p->todo) && !p->stop)
			pthread_cond_wait(&p->more, &p->lock);
		p->idle--;
		if (list_is_empty(&p->todo))
			break;
		node = p->todo.next;
		list_remove(node);
		pthread_mutex_unlock(&p->lock);
		p->work(p->ctx, LIST_ENTRY(node, struct disk_req, link));
		pthread_mutex_lock(&p->lock);
		list_put(&p->done, node);
		atomic_fetch_add_explicit(&p->done_cnt, 1, memory_order_release);
		pool_raise(p);
	}
	pthread_mutex_unlock(&p->lock);
	return NULL;
}

int pool_new(unsigned threads, int event_fd, pool_work_fn *work, void *ctx, struct pool **ret)
{
	struct pool *p;

	PRE(threads >= 1 && threads <= IO_POOL_THREADS_MAX);
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	pthread_mutex_init(&p->lock, NULL);
	pthread_cond_init(&p->more, NULL);
	list_init(&p->todo);
	list_init(&p->done);
	p->threads_max = threads;
	p->event_fd = event_fd;
	p->work = work;
	p->ctx = ctx;
	*ret = p;
	return 0;
}

void pool_free(struct pool *p)
{
	if (!p)
		return;
	pthread_mutex_lock(&p->lock);
	p->stop = true;
	pthread_cond_broadcast(&p->more);
	pthread_mutex_unlock(&p->lock);
	for (unsigned i = 0; i < p->started; i++)
		pthread_join(p->threads[i], NULL);
	pthread_cond_destroy(&p->more);
	pthread_mutex_destroy(&p->lock);
	free(p);
}

/* A further thread, with all signals blocked: they are the owner's. */
static int pool_start_thread(struct pool *p)
{
	sigset_t all, old;
	int err;

	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &old);
	err = -pthread_create(&p->threads[p->started], NULL, pool_thread, p);
	pthread_sigmask(SIG_SETMASK, &old, NULL);
	if (!err)
		p->started++;
	return err;
}

int pool_submit(struct pool *p, struct disk_req *req)
{
	bool busy;

	if (p->under_way == IO_POOL_REQS_MAX)
		return -EAGAIN;
	pthread_mutex_lock(&p->lock);
	busy = !p->idle || !list_is_empty(&p->todo);
	pthread_mutex_unlock(&p->lock);
	if (busy && p->started < p->threads_max) {
		int err = pool_start_thread(p);

		if (err && !p->started)
			return err;
	}
	pthread_mutex_lock(&p->lock);
	list_put(&p->todo, &req->link);
	pthread_cond_signal(&p->more);
	pthread_mutex_unlock(&p->lock);
	p->under_way++;
	return 0;
}

struct disk_req *pool_reap(struct pool *p)
{
	struct list *node = NULL;

	if (!pool_has_finished(p))
		return NULL;
	pthread_mutex_lock(&p->lock);
	if (!list_is_empty(&p->done)) {
		node = p->done.next;
		list_remove(node);
		atomic_fetch_sub_explicit(&p->done_cnt, 1, memory_order_relaxed);
	}
	pthread_mutex_unlock(&p->lock);
	if (!node)
		return NULL;
	p->under_way--;
	return LIST_ENTRY(node, struct disk_req, link);
}

bool pool_has_finished(const struct pool *p)
{
	return atomic_load_explicit(&p->done_cnt, memory_order_acquire) > 0;
}

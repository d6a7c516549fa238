#include "fusefs/member.h"
#include "fusefs/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>

int handle_new(struct fs *fs, const struct where *w, int flags, struct handle **ret)
{
	struct handle *h;

	if (fs->handle_cnt >= HANDLE_CNT_MAX)
		return -ENFILE;
	h = calloc(1, sizeof(*h));
	if (!h)
		return -ENOMEM;
	h->magic = HANDLE_MAGIC;
	h->kind = w->kind;
	h->can_read = (flags & O_ACCMODE) != O_WRONLY;
	h->can_write = (flags & O_ACCMODE) != O_RDONLY;
	list_init(&h->link);
	list_init(&h->parked);
	list_init(&h->poll_wait.link);
	list_init(&h->waiting);
	h->poll_wait.is_poll = true;
	h->name = strdup(w->node ? w->node->name : "");
	if (!h->name) {
		free(h);
		return -ENOMEM;
	}
	if (w->node)
		h->view = w->node->view;
	h->node = w->node;
	node_hold(fs, h->node);
	h->topic = w->topic;
	topic_ref(h->topic);
	h->group = w->group;
	group_ref(h->group);
	list_put(&fs->handles, &h->link);
	fs->handle_cnt++;
	*ret = h;
	return 0;
}

void handle_free(struct fs *fs, struct handle *h)
{
	if (!h)
		return;
	PRE(list_is_empty(&h->parked));
	list_remove(&h->link);
	list_remove(&h->poll_wait.link);
	if (h->poll)
		fuse_pollhandle_destroy(h->poll);
	consume_close(fs, h);
	member_close(fs, h);
	buf_fini(&h->tail);
	buf_fini(&h->answers);
	buf_fini(&h->text);
	free(h->lock_owners);
	free(h->name);
	node_unhold(fs, h->node);
	if (h->topic)
		fs->be.topic_unref(fs->be.ctx, h->topic);
	if (h->group)
		fs->be.group_unref(fs->be.ctx, h->group);
	h->magic = 0;
	free(h);
	fs->handle_cnt--;
}

struct handle *handle_of_fh(uint64_t fh)
{
	struct handle *h = (struct handle *)(uintptr_t)fh;

	PRE(h && h->magic == HANDLE_MAGIC);
	return h;
}

struct handle *handle_of(const struct fuse_file_info *fi)
{
	return handle_of_fh(fi->fh);
}

int32_t handle_tgid(struct handle *h, int32_t tid)
{
	if (h->tid != tid) {
		h->tid = tid;
		h->tgid = session_tgid(tid);
	}
	return h->tgid;
}

void handle_path(const struct handle *h, char *buf, size_t len)
{
	struct node n = { .name = h->name };
	struct where w = { .kind = h->kind, .topic = h->topic, .group = h->group, .node = &n };

	node_path(&w, NULL, buf, len);
}

#include "fusefs/answer.h"

#include "daemon/store/segment.h"

#include <errno.h>

/* Answers up to this size are copied: a splice would cost more. */
#define COPY_MAX (8 * KIB)
/* Bytes this near to the end were written a moment ago: nobody asks whether they are cached. */
#define RECENT_BYTES (4 * MIB)

static const uint8_t zeros[64 * KIB];

int answer_add(struct answer *a, struct plog *log, uint64_t pos, size_t max, uint64_t *ret_next)
{
	struct plog_extent *e = &a->extents[a->cnt];
	int r;

	if (a->cnt == ANSWER_EXTENT_CNT_MAX)
		return -E2BIG;
	r = plog_extent(log, pos, max, e, ret_next);
	if (r)
		return r;
	a->zero_len[a->cnt++] = 0;
	a->len += e->len;
	return 0;
}

void answer_add_hole(struct answer *a, size_t max)
{
	size_t len = MIN(max, sizeof(zeros));

	PRE(a->cnt < ANSWER_EXTENT_CNT_MAX);
	a->zero_len[a->cnt++] = len;
	a->len += len;
}

void answer_cut(struct answer *a, size_t len)
{
	PRE(len <= a->len);
	while (a->len > len) {
		size_t *last = a->zero_len[a->cnt - 1] ? &a->zero_len[a->cnt - 1]
						       : &a->extents[a->cnt - 1].len;
		size_t cut = MIN(*last, a->len - len);

		*last -= cut;
		a->len -= cut;
		if (!*last)
			a->cnt--;
	}
}

bool answer_is_warm(struct fs *fs, const struct answer *a, const struct plog *log,
		    uint64_t plain_end)
{
	if (log->end_pos - MIN(plain_end, log->end_pos) < RECENT_BYTES)
		return true;
	for (unsigned i = 0; i < a->cnt; i++) {
		const struct plog_extent *e = &a->extents[i];

		if (a->zero_len[i] || disk_is_warm(fs->disk, e->fd, e->file_pos, e->len))
			continue;
		fs->disk->cold.fd = e->fd;
		fs->disk->cold.pos = e->file_pos;
		fs->disk->cold.len = e->len;
		return false;
	}
	return true;
}

bool answer_is_short(struct fs *fs, const struct answer *a)
{
	return a->len <= COPY_MAX || disk_os_fd(fs->disk, a->extents[0].fd) < 0;
}

int answer_copy(struct fs *fs, const struct answer *a)
{
	const struct plog_extent *first = &a->extents[0];
	bool is_one = a->cnt == 1 && !a->zero_len[0];
	size_t len = 0;

	/* A thousand readers that wait at one place are given the same bytes one after the other,
	 * and what stands at a place of a segment never changes. */
	if (is_one && fs->copied.len == first->len && fs->copied.pos == first->file_pos &&
	    fs->copied.seed == first->seg->seed)
		return 0;
	fs->copied.len = 0;
	for (unsigned i = 0; i < a->cnt; i++) {
		const struct plog_extent *e = &a->extents[i];
		int r = 0;

		if (a->zero_len[i])
			memset(fs->scratch + len, 0, a->zero_len[i]);
		else
			r = plog_extent_read(e->seg->plog, e, fs->scratch + len);
		if (r)
			return r;
		len += a->zero_len[i] ? a->zero_len[i] : e->len;
	}
	if (is_one) {
		fs->copied.seed = first->seg->seed;
		fs->copied.pos = first->file_pos;
		fs->copied.len = len;
	}
	return 0;
}

static void send_spliced(struct fs *fs, fuse_req_t req, const struct answer *a)
{
	union {
		struct fuse_bufvec v;
		char room[sizeof(struct fuse_bufvec) +
			  ANSWER_EXTENT_CNT_MAX * sizeof(struct fuse_buf)];
	} u = { .v = { .count = a->cnt } };
	struct fuse_buf *bufs = u.v.buf; /* goes on in room */

	for (unsigned i = 0; i < a->cnt; i++) {
		struct fuse_buf *b = &bufs[i];

		if (a->zero_len[i]) {
			*b = (struct fuse_buf){ .size = a->zero_len[i], .mem = (void *)zeros };
			continue;
		}
		*b = (struct fuse_buf){ .size = a->extents[i].len,
					.flags = FUSE_BUF_IS_FD | FUSE_BUF_FD_SEEK |
						 FUSE_BUF_FD_RETRY,
					.fd = disk_os_fd(fs->disk, a->extents[i].fd),
					.pos = (off_t)a->extents[i].file_pos };
	}
	fuse_reply_data(req, &u.v, fs->no_splice ? FUSE_BUF_NO_SPLICE : 0);
}

void answer_send(struct fs *fs, fuse_req_t req, const struct answer *a, bool copied)
{
	if (copied)
		fuse_reply_buf(req, (char *)fs->scratch, a->len);
	else
		send_spliced(fs, req, a);
}

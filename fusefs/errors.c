#include "fusefs/errors.h"

#include "daemon/base/log.h"
#include "daemon/base/rfc3339.h"
#include "daemon/base/utf8.h"

#include <stdio.h>
#include <stdlib.h>

static_assert(ERRORS_LINE_MAX <= ERRORS_BYTES, "a line fits into an empty ring");

struct error_line {
	uint32_t pos, len; /* in bytes, where it may go on at the beginning */
	uint32_t uid;
};

/* Lines lie behind each other in bytes, which is a circle; so do their places in lines. */
struct errors {
	struct error_line lines[ERRORS_LINE_CNT];
	uint32_t first, cnt;	    /* of lines */
	uint64_t total;		    /* lines ever put: the number of the next one */
	uint32_t end_pos, byte_cnt; /* where the next line begins, and what all of them take */
	uint64_t cnts[ERRORS_ERRNO_CNT];
	uint8_t bytes[ERRORS_BYTES];
};

struct errors *errors_new(void)
{
	return calloc(1, sizeof(struct errors));
}

void errors_free(struct errors *e)
{
	free(e);
}

static uint32_t errno_of(int err)
{
	uint32_t u = err < 0 ? -(uint32_t)err : (uint32_t)err;

	return u < ERRORS_ERRNO_CNT ? u : 0;
}

uint64_t errors_cnt(const struct errors *e, int err)
{
	uint32_t idx = errno_of(err);

	return idx ? e->cnts[idx] : 0;
}

/* One line as it is made: bytes that do not fit any more are only noted. */
struct line {
	char text[ERRORS_LINE_MAX];
	uint32_t len;
	bool is_cut;
};

#define CUT_MARK "...\n"
#define LINE_ROOM (ERRORS_LINE_MAX - (sizeof(CUT_MARK) - 1))

/* Either all of it or nothing, so that no character and no escape is torn. */
static void line_put(struct line *l, const char *text, size_t len)
{
	l->is_cut = l->is_cut || len > LINE_ROOM - l->len;
	if (l->is_cut)
		return;
	memcpy(l->text + l->len, text, len);
	l->len += (uint32_t)len;
}

static void line_put_escaped(struct line *l, const char *text)
{
	static const char hex[] = "0123456789abcdef";
	const uint8_t *p = (const uint8_t *)text, *end = p + strlen(text);

	while (p < end && !l->is_cut) {
		size_t len = utf8_char_len(p, (size_t)(end - p)), cnt = len ? len : 1;
		bool is_control = *p < 0x20 || *p == 0x7f || (*p == 0xc2 && len && p[1] < 0xa0);

		if (len && !is_control) {
			line_put(l, (const char *)p, len);
		} else {
			char escape[8];

			for (size_t i = 0; i < cnt; i++) {
				memcpy(escape + i * 4, "\\x", 2);
				escape[i * 4 + 2] = hex[p[i] >> 4];
				escape[i * 4 + 3] = hex[p[i] & 15];
			}
			line_put(l, escape, cnt * 4);
		}
		p += cnt;
	}
}

static void line_make(struct line *l, int64_t now_ms, int err, uint32_t uid, uint32_t pid,
		      const char *path, const char *sentence)
{
	char when[RFC3339_LEN + 1], head[128];
	int len;

	l->len = 0;
	l->is_cut = false;
	rfc3339_encode(now_ms, when);
	len = snprintf(head, sizeof(head), "%s %s uid=%u pid=%u ", when, log_errno_name(err), uid,
		       pid);
	ASSERT(len > 0 && (size_t)len < sizeof(head));
	line_put(l, head, (size_t)len);
	line_put_escaped(l, path);
	line_put(l, ": ", 2);
	line_put_escaped(l, sentence);
	if (l->is_cut) {
		memcpy(l->text + l->len, CUT_MARK, sizeof(CUT_MARK) - 1);
		l->len += sizeof(CUT_MARK) - 1;
	} else {
		l->text[l->len++] = '\n';
	}
	POST(l->len <= ERRORS_LINE_MAX);
}

static void drop_oldest(struct errors *e)
{
	PRE(e->cnt > 0);
	e->byte_cnt -= e->lines[e->first].len;
	e->first = (e->first + 1) % ERRORS_LINE_CNT;
	e->cnt--;
}

void errors_put(struct errors *e, int64_t now_ms, int err, uint32_t uid, uint32_t pid,
		const char *path, const char *sentence)
{
	struct line l;
	uint32_t head_len;

	e->cnts[errno_of(err)]++;
	line_make(&l, now_ms, err, uid, pid, path, sentence);
	while (e->cnt == ERRORS_LINE_CNT || e->byte_cnt + l.len > ERRORS_BYTES)
		drop_oldest(e);
	head_len = MIN(l.len, ERRORS_BYTES - e->end_pos);
	memcpy(e->bytes + e->end_pos, l.text, head_len);
	memcpy(e->bytes, l.text + head_len, l.len - head_len);
	e->lines[(e->first + e->cnt) % ERRORS_LINE_CNT] = (struct error_line){
		.pos = e->end_pos,
		.len = l.len,
		.uid = uid,
	};
	e->cnt++;
	e->total++;
	e->byte_cnt += l.len;
	e->end_pos = (e->end_pos + l.len) % ERRORS_BYTES;
}

void errors_text(const struct errors *e, uint32_t uid, bool is_root, struct buf *out)
{
	errors_text_since(e, 0, uid, is_root, out);
}

uint64_t errors_text_since(const struct errors *e, uint64_t seq, uint32_t uid, bool is_root,
			   struct buf *out)
{
	uint64_t oldest = e->total - e->cnt;

	for (uint64_t n = MAX(seq, oldest); n < e->total; n++) {
		const struct error_line *l = &e->lines[(e->first + (n - oldest)) % ERRORS_LINE_CNT];
		uint32_t head_len = MIN(l->len, ERRORS_BYTES - l->pos);

		if (!is_root && l->uid != uid)
			continue;
		buf_put(out, e->bytes + l->pos, head_len);
		buf_put(out, e->bytes, l->len - head_len);
	}
	return e->total;
}

/* Names below a topic: what is understood can be written in one way, which is understood alike. */
#include "fusefs/view.h"
#include "daemon/base/limits.h"
#include "daemon/base/rfc3339.h"
#include "tests/lib/fuzz.h"

#include <errno.h>
#include <stdlib.h>

static void put_position(struct buf *b, const struct position *p)
{
	char text[RFC3339_LEN + 1];

	switch (p->kind) {
	case POSITION_NONE:
		break;
	case POSITION_EARLIEST:
		buf_put_str(b, "earliest");
		break;
	case POSITION_LATEST:
		buf_put_str(b, "latest");
		break;
	case POSITION_OFFSET:
		buf_printf(b, "%lld", (long long)p->value);
		break;
	case POSITION_LAST_N:
		buf_printf(b, "-%lld", (long long)p->value);
		break;
	case POSITION_TIME_MS:
		if (p->value >= 0) {
			buf_printf(b, "t%lld", (long long)p->value);
			break;
		}
		rfc3339_encode(p->value, text);
		buf_put_str(b, text);
		break;
	}
}

static void put_view(struct buf *b, const struct view *v)
{
	static const char *const formats[] = { ".lines", ".json", ".msg" };

	if (v->what == VIEW_ALL)
		buf_put_str(b, "all");
	else
		buf_printf(b, "%u", v->partition);
	if (v->has_at) {
		buf_put_str(b, "@");
		put_position(b, &v->from);
		if (v->is_range)
			buf_put_str(b, "..");
		put_position(b, &v->to);
	}
	buf_put_str(b, formats[v->format]);
	buf_put_u8(b, 0);
}

static bool position_is(const struct position *a, const struct position *b)
{
	return a->kind == b->kind && a->value == b->value;
}

static bool is_sane(const struct position *p, enum view_what what)
{
	if (p->kind == POSITION_OFFSET && (what == VIEW_ALL || p->value < 0))
		return false;
	return p->kind != POSITION_LAST_N || p->value >= 0;
}

static void check_view(const struct view *v)
{
	struct view again;
	struct buf b;

	CHECK(v->partition < PARTITION_CNT_MAX);
	CHECK(v->from.kind != POSITION_NONE);
	CHECK(v->is_plain == (v->what == VIEW_PARTITION && v->format == VIEW_LINES && !v->has_at));
	CHECK(v->is_range || v->to.kind == POSITION_NONE);
	CHECK(is_sane(&v->from, v->what) && is_sane(&v->to, v->what));
	buf_init(&b);
	put_view(&b, v);
	CHECK(!buf_err(&b));
	/* A time before the year 0 can be meant (by an offset) but not be written. */
	if (v->from.value >= -62167219200000 && v->to.value >= -62167219200000) {
		CHECK(!view_parse((char *)b.data, &again));
		CHECK(again.what == v->what && again.partition == v->partition &&
		      again.format == v->format && again.is_plain == v->is_plain &&
		      again.has_at == v->has_at && again.is_range == v->is_range);
		CHECK(position_is(&again.from, &v->from) && position_is(&again.to, &v->to));
	}
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	char *name = fuzz_string(data, len), *text = fuzz_copy(data, len);
	struct position with, without;
	struct view v;
	int err = view_parse(name, &v), err_with = position_parse(text, len, true, &with),
	    err_without = position_parse(text, len, false, &without);

	CHECK(!err || err == -ENOENT);
	if (!err)
		check_view(&v);
	CHECK(!err_with || (err_with == -EINVAL && err_without == -EINVAL));
	if (!err_with)
		CHECK(with.kind != POSITION_NONE && is_sane(&with, VIEW_PARTITION));
	if (!err_without)
		CHECK(position_is(&with, &without) && is_sane(&without, VIEW_ALL));
	free(name);
	free(text);
	return 0;
}

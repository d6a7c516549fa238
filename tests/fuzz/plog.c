/*
 * The directory of a partition with anything in it. The input is a script:
 *
 *   u8 flags (HAS_...), u8 segments, for each: u8 batches, for each: u8 kind, u8 records, u8 length
 *   le16 floor: at which batch the checkpoint says the log is stable
 *   then patches: u8 what, u8 file, le16 position, le32 value
 *
 * The files are written as the log writes them, patched, and where the flags say so their hashes
 * are made to fit again. Then the log is opened and read.
 *
 * Whatever stands there: no byte and no record is given but those of a description that holds, from
 * the place that it names, and with the hash that it tells; look-ups end, and stay in the log's
 * bounds; the log can be appended to, and cleaned; and what recovery left needs no recovery.
 */
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/store/cleaner.h"
#include "daemon/store/segment.h"
#include "tests/lib/fuzz.h"
#include "tests/lib/simdisk.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#define DIR "t-3"
#define SEGS_MAX 3U
#define BATCHES_MAX 8U
#define KIND_CNT 4U
#define PATCHES_MAX 32U
/* Steps of a look at the whole log. */
#define STEPS_MAX 200U
/* Files beyond this are of no use to a fuzzer. */
#define FILE_LEN_MAX (1U << 17)

enum has {
	HAS_FLOOR = 1,
	HAS_CLEAN = 2,
	HAS_INDEX = 4,
	HAS_OWED = 8,
	HAS_START = 16,	       /* the log begins at its second segment */
	HAS_HASHES = 32,       /* of heads, descriptions and indexes: fit after the patches */
	HAS_VALUE_HASHES = 64, /* of values, too */
	HAS_CLEANED = 128,     /* generation 1 */
};

struct image {
	struct buf files[KIND_CNT]; /* by enum segment_file */
	bool gone[KIND_CNT];
	int64_t base_offset;
	uint64_t base_pos, seed;
	struct index index;
};

struct run {
	unsigned flags;
	struct image images[SEGS_MAX];
	unsigned seg_cnt;
	int64_t next_offset, max_ts_ms;
	uint64_t end_pos;
	struct plog_point points[SEGS_MAX * BATCHES_MAX + 1];
	unsigned point_cnt;
	struct debt owed;
	struct simdisk *sd;
	struct plog_config config;
};

static const uint8_t topic_id[16] = "a fuzzer's topic";
static const char *const suffixes[KIND_CNT] = { "meta", "data", "index", "timeindex" };

static void make_head(struct run *r, struct image *m)
{
	struct segment_head h = {
		.partition = 3,
		.generation = r->flags & HAS_CLEANED ? 1 : 0,
		.base_offset = m->base_offset,
		.base_pos = m->base_pos,
		.prev_max_ts_ms = r->max_ts_ms,
		.seed = m->seed,
		.created_ms = 1,
	};

	memcpy(h.topic_id, topic_id, 16);
	snprintf(h.data_name, sizeof(h.data_name), "%020" PRId64 ".data", m->base_offset);
	format_put_head(&m->files[SEGMENT_META], &h);
}

static void make_values(struct image *m, const struct record *recs, uint32_t cnt, bool is_control)
{
	for (uint32_t i = 0; i < cnt && !is_control; i++) {
		if (recs[i].value_len != RECORD_NULL)
			buf_put(&m->files[SEGMENT_DATA], recs[i].value, recs[i].value_len);
		buf_put_u8(&m->files[SEGMENT_DATA], '\n');
	}
}

static void make_batch(struct run *r, struct image *m, struct fuzz_input *in)
{
	static const uint8_t text[256] = "values of records, of which the first bytes are text";
	uint8_t kind = fuzz_u8(in), cnt = fuzz_u8(in) % 16 + 1, len = fuzz_u8(in);
	bool is_plain = kind & 1, is_control = (kind & 7) == 6, is_new;
	struct batch_head h = {
		.attr = is_plain     ? BATCH_PLAIN
			: is_control ? BATCH_CONTROL
				     : 0,
		.cnt = cnt,
		.meta_pos = m->files[SEGMENT_META].len,
		.base_offset = r->next_offset,
		.plain_pos = r->end_pos,
		.data_pos = m->files[SEGMENT_DATA].len,
		.base_ts_ms = 1000 + kind,
		.max_ts_ms = 1000 + kind,
		.producer_id = -1,
	};
	struct record recs[16];

	for (uint32_t i = 0; i < cnt; i++) {
		recs[i] = (struct record){ .value = text,
					   .value_len = is_plain ? len % 48 : len,
					   .key = text,
					   .key_len = kind & 8 ? len % 8 : RECORD_NULL,
					   .timestamp_ms = h.base_ts_ms };
		if (is_control || (kind & 16 && !is_plain))
			recs[i].value_len = RECORD_NULL;
	}
	make_values(m, recs, cnt, is_control);
	h.data_len = h.plain_len = (uint32_t)(m->files[SEGMENT_DATA].len - h.data_pos);
	h.values_hash = hash_xxh3(m->files[SEGMENT_DATA].data + h.data_pos, h.data_len);
	format_put_batch(&m->files[SEGMENT_META], &h, is_plain ? NULL : recs, m->seed);
	CHECK(!index_add(&m->index, &h, m->base_offset, m->base_pos, 200, false, &is_new));
	r->next_offset += cnt;
	r->end_pos += h.plain_len;
	r->max_ts_ms = MAX(r->max_ts_ms, h.max_ts_ms);
}

static void note_point(struct run *r, const struct image *m)
{
	r->points[r->point_cnt++] = (struct plog_point){
		.segment_base = m->base_offset,
		.meta_len = m->files[SEGMENT_META].len,
		.data_len = m->files[SEGMENT_DATA].len,
		.next_offset = r->next_offset,
		.end_pos = r->end_pos,
		.max_ts_ms = r->max_ts_ms,
	};
}

/* Two lines behind the last batch, and the slot that vouches for them. */
static void make_owed(struct run *r, struct image *m)
{
	r->owed = (struct debt){
		.sequence = 1,
		.partition = 3,
		.generation = r->flags & HAS_CLEANED ? 1 : 0,
		.segment_base = m->base_offset,
		.base_offset = r->next_offset,
		.data_pos = m->files[SEGMENT_DATA].len,
		.len = 8,
		.cnt = 2,
		.timestamp_ms = 2000,
		.values_hash = hash_xxh3("one\ntwo\n", 8),
		.attr = BATCH_PLAIN,
	};
	memcpy(r->owed.topic_id, topic_id, 16);
	buf_put_str(&m->files[SEGMENT_DATA], "one\ntwo\n");
}

static void make_segment(struct run *r, struct fuzz_input *in)
{
	struct image *m = &r->images[r->seg_cnt++];
	unsigned batches = fuzz_u8(in) % (BATCHES_MAX + 1);

	*m = (struct image){ .base_offset = r->next_offset,
			     .base_pos = r->end_pos,
			     .seed = 0x1000 + r->seg_cnt };
	index_init(&m->index);
	make_head(r, m);
	for (unsigned i = 0; i < batches; i++) {
		make_batch(r, m, in);
		note_point(r, m);
	}
	if (r->flags & HAS_INDEX)
		index_encode(&m->index, 0, m->seed, &m->files[SEGMENT_INDEX],
			     &m->files[SEGMENT_TIMEINDEX]);
	else
		m->gone[SEGMENT_INDEX] = m->gone[SEGMENT_TIMEINDEX] = true;
	index_fini(&m->index);
}

static void put_text(struct buf *b, uint32_t value)
{
	if (b->len < FILE_LEN_MAX)
		buf_put_le32(b, value);
}

static void patch(struct run *r, struct fuzz_input *in)
{
	uint8_t what = fuzz_u8(in), file = fuzz_u8(in);
	struct image *m = &r->images[file / KIND_CNT % r->seg_cnt];
	struct buf *b = &m->files[file % KIND_CNT];
	size_t pos = fuzz_le16(in);
	uint32_t value = fuzz_le32(in);

	pos = b->len ? pos % b->len : 0;
	switch (what % 8) {
	case 0:
		if (b->len)
			b->data[pos] ^= (uint8_t)value;
		break;
	case 1:
		if (b->len >= pos + 4)
			le32_store(b->data + pos, value);
		break;
	case 2:
		if (b->len >= pos + 8)
			le64_store(b->data + pos, (uint64_t)(int64_t)(int32_t)value);
		break;
	case 3:
		b->len = pos;
		break;
	case 4:
		put_text(b, value);
		break;
	case 5: /* a piece again, at the end */
		value = MIN(value & 0xfff, (uint32_t)(b->len - pos));
		if (b->len < FILE_LEN_MAX && value && !buf_reserve(b, value))
			buf_put(b, b->data + pos, value);
		break;
	case 6:
		m->gone[file % KIND_CNT] = true;
		break;
	default:
		if (b->len >= pos + 4)
			le32_store(b->data + pos, le32_load(b->data + pos) + value);
		break;
	}
}

static void fit_descriptions(struct run *r, struct image *m)
{
	struct buf *meta = &m->files[SEGMENT_META], *data = &m->files[SEGMENT_DATA];
	uint64_t seed;

	if (meta->len < FORMAT_HEAD_LEN)
		return;
	/* Nobody writes segments whose .data has another name, and recovery knows none. */
	memset(meta->data + 80, 0, 64);
	snprintf((char *)meta->data + 80, 64, "%020" PRId64 ".data", m->base_offset);
	le64_store(meta->data + 8, hash_xxh3(meta->data + 16, FORMAT_HEAD_LEN - 16));
	seed = le64_load(meta->data + 64);
	for (size_t at = FORMAT_HEAD_LEN; at + FORMAT_BATCH_LEN <= meta->len;) {
		uint8_t *p = meta->data + at;
		uint32_t len = le32_load(p + 16), data_len = le32_load(p + 76);
		uint64_t data_pos = le64_load(p + 64);

		if (len < FORMAT_BATCH_LEN || len > meta->len - at)
			break;
		if (r->flags & HAS_VALUE_HASHES && data_pos <= data->len &&
		    data_len <= data->len - data_pos)
			le64_store(p + 40,
				   hash_xxh3(data->len ? data->data + data_pos : p, data_len));
		le64_store(p + 8, hash_xxh3_seed(p + 16, len - 16, seed));
		at += len;
	}
	for (unsigned k = SEGMENT_INDEX; k < KIND_CNT; k++) {
		struct buf *b = &m->files[k];
		size_t entry_len = k == SEGMENT_INDEX ? INDEX_ENTRY_LEN : TIMEINDEX_ENTRY_LEN;

		for (size_t i = 0; INDEX_HEAD_LEN + (i + 1) * entry_len <= b->len; i++) {
			uint8_t *e = b->data + INDEX_HEAD_LEN + i * entry_len;

			le32_store(e + entry_len - 4,
				   (uint32_t)hash_xxh3_seed(e, entry_len - 4, seed + i));
		}
	}
}

static void put_files(struct run *r)
{
	struct disk *d = simdisk_disk(r->sd);
	char path[SEGMENT_PATH_MAX];
	int fd;

	CHECK(!disk_mkdir(d, DIR));
	for (unsigned i = 0; i < r->seg_cnt * KIND_CNT; i++) {
		struct image *m = &r->images[i / KIND_CNT];
		struct buf *b = &m->files[i % KIND_CNT];

		CHECK(!buf_err(b));
		if (m->gone[i % KIND_CNT])
			continue;
		snprintf(path, sizeof(path), DIR "/%020" PRId64 ".%s", m->base_offset,
			 suffixes[i % KIND_CNT]);
		CHECK(!disk_open(d, path, DISK_CREATE, &fd));
		CHECK(!b->len || !disk_write(d, fd, b->data, b->len, 0));
		CHECK(!disk_close(d, fd));
	}
}

/* The files of a segment as they stand on the disk. */
struct shown {
	const uint8_t *meta, *data;
	size_t meta_len, data_len;
};

static void show(struct run *r, const struct segment *seg, struct shown *ret)
{
	char path[SEGMENT_PATH_MAX];

	*ret = (struct shown){ 0 };
	segment_path(seg, SEGMENT_META, path);
	ret->meta = simdisk_bytes(r->sd, path, &ret->meta_len);
	segment_path(seg, SEGMENT_DATA, path);
	ret->data = simdisk_bytes(r->sd, path, &ret->data_len);
	if (!ret->meta)
		ret->meta_len = 0;
	if (!ret->data)
		ret->data_len = 0;
}

/* Whether a description at this place holds, and the values that it describes, too. */
static bool holds(const struct segment *seg, const struct shown *f, size_t at,
		  struct batch_head *ret)
{
	if (f->meta_len < at + FORMAT_BATCH_LEN ||
	    format_get_batch(f->meta + at, FORMAT_BATCH_LEN, at, ret) ||
	    ret->total_len > f->meta_len - at || format_check_batch(f->meta + at, ret, seg->seed))
		return false;
	if (!ret->data_len)
		return true;
	return ret->data_pos <= f->data_len && ret->data_len <= f->data_len - ret->data_pos &&
	       hash_xxh3(f->data + ret->data_pos, ret->data_len) == ret->values_hash;
}

/* Up to where the file's bytes from file_pos on, as those of pos on, are vouched for. */
static uint64_t vouched(const struct segment *seg, const struct shown *f, uint64_t pos,
			uint64_t file_pos)
{
	for (size_t at = FORMAT_HEAD_LEN; at + FORMAT_BATCH_LEN <= f->meta_len; at++) {
		struct batch_head h;

		if (le32_load(f->meta + at) == FORMAT_BATCH_MAGIC && holds(seg, f, at, &h) &&
		    pos >= h.plain_pos && pos < h.plain_pos + h.plain_len &&
		    file_pos == h.data_pos + (pos - h.plain_pos))
			return h.plain_pos + h.plain_len;
	}
	return pos;
}

static void check_extent(struct run *r, uint64_t pos, const struct plog_extent *e)
{
	struct shown f;
	uint64_t at = pos;

	show(r, e->seg, &f);
	while (at < pos + e->len) {
		uint64_t end = vouched(e->seg, &f, at, e->file_pos + (at - pos));

		CHECK(end > at);
		at = end;
	}
}

static void read_bytes(struct run *r, struct plog *p)
{
	static uint8_t mem[FILE_LEN_MAX * 2];
	uint64_t pos = p->start_pos, next = 0;
	struct plog_extent e;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		int rc = plog_extent(p, pos, i % 3 ? sizeof(mem) : 40, &e, &next);

		if (rc == -ENODATA) {
			CHECK(pos >= p->end_pos);
			return;
		}
		CHECK(pos < p->end_pos);
		CHECK(!rc || rc == -EIO || rc == -ENXIO || rc == -ESTALE);
		if (rc == -EIO)
			CHECK(*p->fault);
		if (rc == -ENXIO)
			CHECK(next > pos);
		if (rc) {
			pos = rc == -ENXIO ? next : pos + 1 + (p->end_pos - pos) / 16;
			continue;
		}
		CHECK(e.len >= 1 && e.len <= sizeof(mem));
		check_extent(r, pos, &e);
		CHECK(!plog_extent_read(p, &e, mem));
		pos += e.len;
	}
}

static void check_batch(const struct batch *b)
{
	const struct batch_head *h = &b->head;
	struct buf values;

	buf_init(&values);
	for (uint32_t i = 0; i < h->cnt; i++) {
		const struct record *rec = &b->recs[i];

		CHECK(rec->offset == h->base_offset + i);
		CHECK(b->value_pos[i] == values.len);
		if (rec->value_len != RECORD_NULL)
			buf_put(&values, rec->value, rec->value_len);
		if (!(h->attr & BATCH_CONTROL))
			buf_put_u8(&values, '\n');
	}
	CHECK(b->value_pos[h->cnt] == values.len && values.len == h->data_len);
	CHECK(h->attr & BATCH_CONTROL || hash_xxh3(values.data, values.len) == h->values_hash);
	buf_fini(&values);
}

static void read_batches(struct plog *p)
{
	int64_t offset = p->start_offset;

	for (unsigned i = 0; i < STEPS_MAX; i++) {
		const struct batch *b;
		int rc = plog_batch(p, offset, &b);

		if (offset >= p->next_offset) {
			CHECK(rc == -ENODATA);
			return;
		}
		CHECK(!rc || rc == -EIO || rc == -ENODATA);
		if (rc) {
			offset += 1 + (p->next_offset - offset) / 16;
			continue;
		}
		CHECK(b->head.base_offset + b->head.cnt > offset);
		check_batch(b);
		offset = b->head.base_offset + b->head.cnt;
	}
}

static void look_up(struct plog *p, uint64_t what)
{
	int64_t offset = p->start_offset, found, cnt;
	uint64_t pos = p->start_pos, found_pos;
	int rc;

	if (p->next_offset > p->start_offset)
		offset += (int64_t)(what % (uint64_t)(p->next_offset - p->start_offset));
	if (p->end_pos > p->start_pos)
		pos += what % (p->end_pos - p->start_pos);
	rc = plog_offset_to_pos(p, offset, &found_pos);
	CHECK(!rc || rc == -EIO);
	rc = plog_pos_to_offset(p, pos, &found);
	CHECK(!rc || rc == -EIO);
	rc = plog_time_to_offset(p, (int64_t)(what % 1100), &found);
	CHECK(!rc || rc == -EIO);
	if (!rc)
		CHECK(found >= p->start_offset);
	rc = plog_seek_data(p, pos, &found_pos);
	CHECK(!rc || rc == -EIO || rc == -ENXIO);
	if (!rc)
		CHECK(found_pos >= pos && found_pos < p->end_pos);
	rc = plog_back(p, offset, (int64_t)(what % 50), &found, &cnt);
	CHECK(!rc || rc == -EIO);
	if (!rc)
		CHECK(found >= p->start_offset && found <= offset && cnt <= offset - found);
}

static void append(struct run *r, struct plog *p)
{
	char line[] = "a line that is appended\n", mem[sizeof(line)];
	struct iovec iov = { .iov_base = line, .iov_len = sizeof(line) - 1 };
	struct plog_appended a;
	struct plog_extent e;
	uint64_t next;
	int rc = plog_append_lines(p, 5000, &iov, 1, sizeof(line) - 1, 1, false, &a);

	if (rc)
		return;
	CHECK(a.base_offset == p->next_offset - 1 && a.pos + sizeof(line) - 1 == p->end_pos);
	rc = plog_extent(p, a.pos, sizeof(mem), &e, &next);
	if (!rc)
		check_extent(r, a.pos, &e);
	/* Where heads or descriptions contradict each other, another place may be found, or none.
	 */
	if (r->flags & HAS_HASHES || (rc == -EIO && p->segs[p->seg_cnt - 1]->bad_head))
		return;
	CHECK(!rc && e.len == sizeof(line) - 1);
	CHECK(!plog_extent_read(p, &e, mem) && !memcmp(mem, line, sizeof(line) - 1));
}

/* A pass, as far as it comes. Then nothing stable lies before the last segment. */
static void clean(struct plog *p, struct plog_point *ret)
{
	enum cleaner_need need = CLEANER_STEP;
	struct cleaner *c;
	int rc = plog_roll(p, 5000);

	if (!rc)
		rc = plog_point(p, ret);
	if (rc || !p->seg_cnt)
		return;
	CHECK(!cleaner_new(p, ret->segment_base, 6000, 64, &c));
	while (!rc && need != CLEANER_END)
		rc = cleaner_step(c, &need);
	CHECK(!rc || (rc == -EIO && *p->fault && !cleaner_is_committed(c)));
	CHECK(!cleaner_stop(c));
	cleaner_free(c);
}

static void start(struct run *r, struct plog *p)
{
	plog_init(p, simdisk_disk(r->sd), NULL, DIR, topic_id, 3, &r->config);
}

/* What recovery left is whole: the next one changes nothing. */
static void check_again(struct run *r, int64_t start_offset, uint64_t start_pos,
			const struct plog_point *floor)
{
	struct plog_open_report first, second;
	struct plog a, b;
	int rc, rc2;

	start(r, &a);
	start(r, &b);
	rc = plog_open(&a, start_offset, start_pos, floor, false, NULL, 0, &first);
	simdisk_kill(r->sd);
	rc2 = plog_open(&b, start_offset, start_pos, floor, false, NULL, 0, &second);
	CHECK(rc == rc2);
	if (!rc) {
		CHECK(a.start_offset == b.start_offset && a.next_offset == b.next_offset &&
		      a.end_pos == b.end_pos && a.max_ts_ms == b.max_ts_ms);
		CHECK(!second.cut_data_bytes && !second.cut_meta_bytes);
	}
	/* Its descriptors were closed by the kill. */
	for (uint32_t i = 0; i < a.seg_cnt; i++)
		a.segs[i]->meta_fd = a.segs[i]->data_fd = -1;
	plog_fini(&a);
	plog_fini(&b);
}

static void try_log(struct run *r, const struct plog_point *floor)
{
	bool has_start = r->flags & HAS_START && r->seg_cnt > 1;
	int64_t start_offset = has_start ? r->images[1].base_offset : 0;
	uint64_t start_pos = has_start ? r->images[1].base_pos : 0;
	bool has_owed = r->flags & HAS_OWED;
	struct plog_open_report report;
	struct plog_point point;
	struct plog p;
	int rc;

	start(r, &p);
	rc = plog_open(&p, start_offset, start_pos, floor, r->flags & HAS_CLEAN, &r->owed, has_owed,
		       &report);
	if (!rc) {
		CHECK(p.next_offset >= p.start_offset && p.end_pos >= p.start_pos);
		if (report.damaged)
			CHECK(*p.fault);
		read_bytes(r, &p);
		read_batches(&p);
		for (unsigned i = 0; i < 4; i++)
			look_up(&p, i * 7919);
		append(r, &p);
		read_batches(&p);
		if (r->flags & HAS_CLEANED) {
			point = floor ? *floor : (struct plog_point){ .segment_base = -1 };
			clean(&p, &point);
			floor = &point;
			read_bytes(r, &p);
			read_batches(&p);
			look_up(&p, 7919);
		}
		CHECK(!plog_flush_indexes(&p) || *p.fault);
	} else {
		CHECK(rc == -ESTALE || rc == -EIO || rc == -EPROTONOSUPPORT);
	}
	plog_fini(&p);
	check_again(r, start_offset, start_pos, floor);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct run r;
	struct fuzz_input in = { data, len };
	const struct plog_point *floor = NULL;
	unsigned segs;

	log_set_level(LOG_NONE);
	r = (struct run){ .flags = fuzz_u8(&in), .max_ts_ms = -1, .sd = simdisk_new(1) };
	CHECK(r.sd);
	r.config = (struct plog_config){ .segment_bytes = 1 << 20,
					 .segment_ms = -1,
					 .retention_ms = -1,
					 .retention_bytes = -1,
					 .index_interval_bytes = 200,
					 .compact = r.flags & HAS_CLEANED };
	segs = fuzz_u8(&in) % SEGS_MAX + 1;
	for (unsigned i = 0; i < segs; i++)
		make_segment(&r, &in);
	if (r.flags & HAS_OWED)
		make_owed(&r, &r.images[r.seg_cnt - 1]);
	if (r.flags & HAS_FLOOR && r.point_cnt)
		floor = &r.points[fuzz_le16(&in) % r.point_cnt];
	for (unsigned i = 0; i < PATCHES_MAX && in.len; i++)
		patch(&r, &in);
	for (unsigned i = 0; i < r.seg_cnt && r.flags & HAS_HASHES; i++)
		fit_descriptions(&r, &r.images[i]);
	put_files(&r);
	try_log(&r, floor);
	for (unsigned i = 0; i < r.seg_cnt * KIND_CNT; i++)
		buf_fini(&r.images[i / KIND_CNT].files[i % KIND_CNT]);
	simdisk_free(r.sd);
	return 0;
}

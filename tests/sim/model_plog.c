/*
 * The partition log against an array, under a seed: random appends, look-ups, rolls, retention or
 * cleaning, idle closes, restarts after a clean stop, a kill and a power loss, failing calls, cold
 * pages. tests/lib/seeds.h says which seeds. A failure prints its seed; "model_plog 1 SEED" repeats
 * it alone.
 */
#include "tests/sim/model_plog.h"

#include "tests/lib/seeds.h"

#define OPS 120U
#define SEEDS 10000

static const uint8_t topic_id[16] = "model's topic id";

static uint64_t rnd(struct model *m)
{
	uint64_t z = m->rng += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	return z ^ (z >> 31);
}

uint32_t below(struct model *m, uint64_t n)
{
	return (uint32_t)(rnd(m) % n);
}

_Noreturn void fail_at(struct model *m, int line, const char *what, int64_t a, int64_t b)
{
	fprintf(stderr,
		"seed %" PRIu64 " op %u line %d: %s (%" PRId64 ", %" PRId64 "); fault: %s\n",
		m->seed, m->op, line, what, a, b, m->log.fault);
	abort();
}

/* Whether a call that returned r is to be looked at no further: it failed as it may. */
bool gave_up(struct model *m, int r)
{
	if (r >= 0)
		return false;
	if (m->stopping || simdisk_failed_cnt(m->sd))
		return true;
	fail_at(m, __LINE__, "a call failed", r, 0);
}

void warm(struct model *m)
{
	struct disk_req q = {
		.op = DISK_OP_READ,
		.fd = m->disk->cold.fd,
		.pos = m->disk->cold.pos,
		.len = m->disk->cold.len,
	};
	int r = disk_submit(m->disk, &q);

	CHECK_EQ(m, r, 0);
	CHECK(m, disk_reap(m->disk) == &q);
}

static void forget_from(struct model *m, uint32_t cnt)
{
	while (m->cnt > cnt)
		free(m->recs[--m->cnt].value);
	m->end_pos = 0;
	if (m->cnt) {
		const struct model_record *r = &m->recs[m->cnt - 1];

		m->end_pos = r->pos + (r->value_len == RECORD_NULL ? 0 : r->value_len) + 1;
	}
}

static void remember(struct model *m, const struct record *r)
{
	struct model_record *n = &m->recs[m->cnt];

	CHECK(m, m->cnt < RECORDS_MAX);
	*n = (struct model_record){
		.value_len = r->value_len,
		.key_len = r->key_len,
		.has_header = r->headers_len,
		.ts_ms = r->timestamp_ms,
		.pos = m->end_pos,
	};
	if (r->value_len != RECORD_NULL) {
		n->value = malloc(r->value_len + 1);
		memcpy(n->value, r->value, r->value_len);
	}
	if (r->key_len != RECORD_NULL)
		memcpy(n->key, r->key, r->key_len);
	m->cnt++;
	m->end_pos += (r->value_len == RECORD_NULL ? 0 : r->value_len) + 1;
}

static uint32_t random_value(struct model *m, uint8_t *to, bool lines)
{
	uint32_t len = below(m, 4) ? below(m, 120) : below(m, VALUE_MAX);

	for (uint32_t i = 0; i < len; i++)
		to[i] = lines || below(m, 20) ? (uint8_t)('a' + below(m, 26)) : '\n';
	return len;
}

static void do_append_lines(struct model *m, uint32_t cnt)
{
	static uint8_t mem[64 * (VALUE_MAX + 1)];
	struct record recs[64];
	struct plog_appended a;
	size_t len = 0, cut;
	struct iovec iov[2];
	bool late = below(m, 4) != 0;
	int r;

	for (uint32_t i = 0; i < cnt; i++) {
		recs[i] = (struct record){
			.value = mem + len,
			.value_len = random_value(m, mem + len, true),
			.key_len = RECORD_NULL,
			.timestamp_ms = m->now_ms,
		};
		len += recs[i].value_len;
		mem[len++] = '\n';
	}
	cut = below(m, 2) ? 0 : below(m, len + 1);
	iov[0] = (struct iovec){ .iov_base = mem, .iov_len = cut };
	iov[1] = (struct iovec){ .iov_base = mem + cut, .iov_len = len - cut };
	r = plog_append_lines(&m->log, m->now_ms, cut ? iov : iov + 1, cut ? 2 : 1, len, cnt, late,
			      &a);
	if (gave_up(m, r))
		return;
	CHECK_EQ(m, a.base_offset, m->cnt);
	CHECK_EQ(m, a.pos, m->end_pos);
	CHECK_EQ(m, a.timestamp_ms, m->now_ms);
	for (uint32_t i = 0; i < cnt; i++)
		remember(m, &recs[i]);
}

/* Lines that are fsynced one by one; now and then a few before one. */
static void do_fsyncs(struct model *m)
{
	for (uint32_t i = below(m, 12); i && m->cnt + 64 < RECORDS_MAX; i--) {
		do_append_lines(m, 1);
		if (below(m, 5))
			do_journal(m);
		if (below(m, 5))
			do_journal(m);
	}
}

static void do_append_records(struct model *m)
{
	static uint8_t mem[16][VALUE_MAX + 1], keys[16][16];
	struct record recs[16];
	uint32_t cnt = 1 + below(m, 16);
	struct plog_appended a;
	struct buf headers;
	int r;

	buf_init(&headers);
	record_header_put(&headers, "name", 4, "value", below(m, 2) ? 5 : RECORD_NULL);
	for (uint32_t i = 0; i < cnt; i++) {
		recs[i] = (struct record){
			.value = mem[i],
			.value_len =
				below(m, 8) ? random_value(m, mem[i], below(m, 2)) : RECORD_NULL,
			.key = keys[i],
			.key_len = below(m, 3) ? below(m, 16) : RECORD_NULL,
			.timestamp_ms = m->now_ms + below(m, 2000) - 1000,
		};
		for (uint32_t k = 0; k < 16; k++)
			keys[i][k] = (uint8_t)rnd(m);
		if (m->config.compact && recs[i].key_len != RECORD_NULL) {
			recs[i].key_len = below(m, 4);
			memset(keys[i], (int)below(m, 3), sizeof(keys[i]));
		}
		if (!below(m, 3)) {
			recs[i].headers = headers.data;
			recs[i].headers_len = (uint32_t)headers.len;
		}
	}
	r = plog_append_records(&m->log, m->now_ms, recs, cnt, NULL, &a);
	if (!gave_up(m, r)) {
		CHECK_EQ(m, a.base_offset, m->cnt);
		CHECK_EQ(m, a.pos, m->end_pos);
		for (uint32_t i = 0; i < cnt; i++)
			remember(m, &recs[i]);
	}
	buf_fini(&headers);
}

static void expect_bytes(struct model *m, uint64_t pos, const uint8_t *bytes, size_t len)
{
	uint32_t lo = 0, hi = m->cnt;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (m->recs[mid].pos <= pos)
			lo = mid;
		else
			hi = mid;
	}
	for (; len; lo++) {
		const struct model_record *r = &m->recs[lo];
		uint32_t value_len = r->value_len == RECORD_NULL ? 0 : r->value_len;
		uint64_t at = pos - r->pos;
		size_t n = MIN(len, value_len - at);

		CHECK(m, r->fate != GONE && at <= value_len);
		if ((n && memcmp(bytes, r->value + at, n) != 0) || (n < len && bytes[n] != '\n'))
			fail_at(m, __LINE__, "a byte differs", (int64_t)pos, lo);
		n += n < len;
		bytes += n;
		pos += n;
		len -= n;
	}
}

/* Reads from pos up to len bytes. */
static void read_at(struct model *m, uint64_t pos, size_t len)
{
	static uint8_t mem[1 << 16];
	struct plog_extent e;
	uint64_t next;
	int r;

	while (len) {
		WARM(m, r, plog_extent(&m->log, pos, MIN(len, sizeof(mem)), &e, &next));
		if (pos >= m->end_pos) {
			CHECK_EQ(m, r, -ENODATA);
			return;
		}
		if (r == -ENXIO) {
			expect_hole(m, pos, next);
			len -= MIN(len, next - pos);
			pos = next;
			continue;
		}
		if (gave_up(m, r))
			return;
		CHECK(m, e.len > 0 && e.len <= len);
		WARM(m, r, plog_extent_read(&m->log, &e, mem));
		if (gave_up(m, r))
			return;
		expect_bytes(m, pos, mem, e.len);
		pos += e.len;
		len -= e.len;
	}
}

static void do_read(struct model *m)
{
	uint64_t span = m->end_pos - m->start_pos;

	read_at(m, m->start_pos + (span ? rnd(m) % span : 0), 1 + below(m, 20000));
}

static void do_batch(struct model *m)
{
	int64_t offset = m->start_offset + below(m, m->cnt - (uint64_t)m->start_offset + 1);
	const struct batch *b;
	int r;

	WARM(m, r, plog_batch(&m->log, offset, &b));
	if (offset == m->cnt) {
		CHECK(m, r == -ENODATA || simdisk_failed_cnt(m->sd) || m->stopping);
		return;
	}
	if (gave_up(m, r))
		return;
	CHECK(m, offset < b->head.base_offset + b->head.cnt);
	expect_next(m, offset, MAX(offset, b->head.base_offset));
	for (uint32_t i = 0; i < b->head.cnt; i++) {
		const struct model_record *want = &m->recs[b->head.base_offset + i];
		const struct record *got = &b->recs[i];

		CHECK_EQ(m, got->offset, b->head.base_offset + i);
		if (got->offset < m->start_offset)
			continue;
		CHECK(m, want->fate != GONE);
		CHECK_EQ(m, got->timestamp_ms, want->ts_ms);
		CHECK_EQ(m, got->value_len, want->value_len);
		CHECK_EQ(m, got->key_len, want->key_len);
		CHECK_EQ(m, got->headers_len != 0, want->has_header);
		CHECK_EQ(m, b->head.plain_pos + b->value_pos[i], want->pos);
		if (want->value_len != RECORD_NULL)
			CHECK(m, !memcmp(got->value, want->value, want->value_len));
		if (want->key_len != RECORD_NULL)
			CHECK(m, !memcmp(got->key, want->key, want->key_len));
	}
}

/* Where the last n records begin, when it is known which are there. */
static void find_back(struct model *m)
{
	int64_t n = 1 + below(m, 50), at = m->cnt, left = n, offset, cnt;
	int r;

	for (uint32_t i = 0; i < m->cnt; i++)
		if (m->recs[i].fate == GOING)
			return;
	WARM(m, r, plog_back(&m->log, m->cnt, n, &offset, &cnt));
	if (gave_up(m, r))
		return;
	while (left && at > m->start_offset)
		left -= m->recs[--at].fate == STAYS;
	CHECK_EQ(m, cnt, n - left);
	/* Where it begins there may be nothing before the first one. */
	for (; offset < at; offset++)
		CHECK(m, m->recs[offset].fate == GONE);
	for (; offset > at; at++)
		CHECK(m, m->recs[at].fate == GONE);
}

static void do_find(struct model *m)
{
	int64_t offset, ts = m->now_ms - 3000 + below(m, 4000), want;
	uint64_t pos;
	int r;

	want = m->start_offset;
	while (want < m->cnt && (m->recs[want].ts_ms < ts || m->recs[want].fate != STAYS))
		want++;
	WARM(m, r, plog_time_to_offset(&m->log, ts, &offset));
	if (!gave_up(m, r) && offset != want) {
		CHECK(m, offset >= m->start_offset && offset < want);
		CHECK(m, m->recs[offset].fate == GOING && m->recs[offset].ts_ms >= ts);
	}
	if (m->start_offset == m->cnt)
		return;
	want = m->start_offset + below(m, m->cnt - (uint64_t)m->start_offset);
	WARM(m, r, plog_offset_to_pos(&m->log, want, &pos));
	if (!gave_up(m, r)) {
		for (offset = want; offset < m->cnt && m->recs[offset].pos < pos;)
			offset++;
		expect_next(m, want, offset);
		CHECK_EQ(m, pos, m->recs[offset].pos);
	}
	pos = m->recs[want].pos;
	if (m->recs[want].value_len != RECORD_NULL)
		pos += below(m, m->recs[want].value_len + 1);
	WARM(m, r, plog_pos_to_offset(&m->log, pos, &offset));
	if (!gave_up(m, r))
		expect_next(m, want, offset);
	find_back(m);
}

/* Bytes from a record on are cut where a record ends; not at all only where the first is longer. */
static void do_cut(struct model *m)
{
	struct plog_cut cut = { 0 };
	int64_t from;
	uint64_t to;
	int r;

	if (m->start_offset == m->cnt)
		return;
	from = m->start_offset + below(m, m->cnt - (uint64_t)m->start_offset);
	to = m->recs[from].pos + 1 + below(m, m->end_pos - m->recs[from].pos);
	WARM(m, r, plog_cut(&m->log, m->recs[from].pos, from, to, &cut));
	if (gave_up(m, r))
		return;
	CHECK(m, cut.off >= from && cut.off <= m->cnt && cut.pos <= to);
	/* Where it is cut in a gap, the record behind is the next one that is there. */
	for (uint32_t i = 0; i < m->cnt; i++)
		CHECK(m, m->recs[i].pos < cut.pos || i >= cut.off || m->recs[i].fate != STAYS);
	CHECK(m, cut.pos <= (cut.off < m->cnt ? m->recs[cut.off].pos : m->end_pos));
	if (cut.is_lines)
		CHECK(m, cut.end_off <= m->cnt && (cut.end_off < m->cnt ? m->recs[cut.end_off].pos
									: m->end_pos) > to);
	else if (cut.pos == m->recs[from].pos)
		CHECK(m, (from + 1 < m->cnt ? m->recs[from + 1].pos : m->end_pos) > to);
}

/* What the store does for an fsync in place, and for a checkpoint. */
int sync_all(struct model *m)
{
	struct plog_point point;
	int r = plog_point(&m->log, &point);

	for (uint32_t i = 0; !r && i < m->log.seg_cnt; i++) {
		struct segment *seg = m->log.segs[i];
		uint64_t seq = seg->write_seq;

		if (seg->write_seq == seg->synced_seq && seg->head_synced)
			continue;
		int data_fd = segment_fd(seg, SEGMENT_DATA),
		    meta_fd = segment_fd(seg, SEGMENT_META);

		r = data_fd < 0 ? data_fd : meta_fd < 0 ? meta_fd : disk_fsync(m->disk, meta_fd);
		if (!r)
			r = disk_fsync(m->disk, data_fd);
		if (!r)
			r = disk_sync_dir(m->disk, m->log.dir);
		if (!r) {
			segment_set_synced(seg, seq);
			segment_set_head_synced(seg);
		}
	}
	if (!r) {
		m->floor = point;
		begin_ring(m, &point);
	}
	return r;
}

/* What retention by bytes leaves is no less than it says. */
static void check_left(struct model *m, int64_t offset)
{
	int64_t left = 0;

	for (uint32_t i = 0; i < m->log.seg_cnt; i++) {
		const struct segment *seg = m->log.segs[i];

		if (seg->base_offset >= offset)
			left += seg->sized ? (int64_t)(seg->data_len + seg->meta_len) : INT32_MAX;
	}
	CHECK(m, left >= m->config.retention_bytes);
}

static void do_retention(struct model *m)
{
	int64_t offset, oldest;
	uint64_t pos;
	int r;

	WARM(m, r, plog_retention(&m->log, m->now_ms, &offset, &pos));
	if (gave_up(m, r) || !r)
		return;
	CHECK(m, offset > m->start_offset && offset <= m->cnt);
	CHECK_EQ(m, pos, offset < m->cnt ? m->recs[offset].pos : m->end_pos);
	/* By time alone: nothing that goes is young. */
	if (m->config.retention_ms < 0)
		check_left(m, offset);
	for (oldest = m->start_offset; m->config.retention_bytes < 0 && oldest < offset; oldest++)
		CHECK(m, m->recs[oldest].ts_ms < m->now_ms - m->config.retention_ms);
	r = sync_all(m);
	if (gave_up(m, r))
		return;
	m->start_offset = offset;
	m->start_pos = pos;
	r = plog_raise_start(&m->log, offset, pos);
	if (gave_up(m, r))
		return;
	CHECK_EQ(m, m->log.segs[0]->base_offset, offset);
}

static int newest_first(const void *a, const void *b)
{
	const struct debt *x = a, *y = b;

	return (x->sequence < y->sequence) - (x->sequence > y->sequence);
}

/* Whether one of its copies has a sequence: of thousands few have. */
static bool slot_is_used(const uint8_t *slot)
{
	return le64_load(slot + 8) || le64_load(slot + DEBT_SLOT_LEN / 2 + 8);
}

/* What slots say, newest first; all of them, or the slot that was written last alone. */
static unsigned collect_owed(struct model *m, struct debt *ret, bool newest_alone)
{
	unsigned cnt = 0, newest = 0, newest_cnt = 0;
	struct debt d[2];

	for (uint32_t i = 0; i < DEBT_SLOT_CNT; i++) {
		const uint8_t *slot = (uint8_t *)m->debt_mem + (size_t)i * DEBT_SLOT_LEN;
		unsigned n;

		if (!slot_is_used(slot))
			continue;
		n = debt_load(slot, d);
		if (n && (!newest_cnt || d[0].sequence > ret[newest].sequence)) {
			newest = cnt;
			newest_cnt = n;
		}
		memcpy(&ret[cnt], d, n * sizeof(*d));
		cnt += n;
	}
	if (newest_alone) {
		memmove(ret, &ret[newest], newest_cnt * sizeof(*ret));
		return newest_cnt;
	}
	qsort(ret, cnt, sizeof(*ret), newest_first);
	return cnt;
}

static void map_debts(struct model *m)
{
	int r = disk_open(m->disk, "debts", DISK_CREATE, &m->debt_fd);

	CHECK_EQ(m, r, 0);
	r = disk_truncate(m->disk, m->debt_fd, DEBT_FILE_LEN);
	CHECK_EQ(m, r, 0);
	r = disk_map(m->disk, m->debt_fd, DEBT_FILE_LEN, &m->debt_mem);
	CHECK_EQ(m, r, 0);
}

/* What store_settle() does before a log is recovered: what a recovery that was stopped has cut or
 * removed is not stable. */
static void settle(struct model *m)
{
	static const char *const suffixes[] = { "data", "meta" };

	for (unsigned i = 0; i < 2 && m->floor.segment_base >= 0; i++) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "t-0/%020" PRId64 ".%s", m->floor.segment_base,
			 suffixes[i]);
		if (disk_open(m->disk, path, 0, &fd))
			continue;
		CHECK_EQ(m, disk_fsync(m->disk, fd), 0);
		CHECK_EQ(m, disk_close(m->disk, fd), 0);
	}
	CHECK_EQ(m, disk_sync_dir(m->disk, "t-0"), 0);
}

static void open_log(struct model *m, bool clean, struct plog_open_report *ret)
{
	static struct debt owed[2 * DEBT_SLOT_CNT];
	unsigned owed_cnt;
	int r;

	m->stopping = false;
	simdisk_stop_after(m->sd, UINT64_MAX);
	simdisk_fail(m->sd, 0, 0, 0);
	map_debts(m);
	owed_cnt = clean ? 0 : collect_owed(m, owed, m->has_put_back);
	plog_init(&m->log, m->disk, &m->debts, "t-0", topic_id, 0, &m->config);
	/* A recovery that is stopped itself is repeated. */
	if (!clean && below(m, 2)) {
		simdisk_stop_after(m->sd, below(m, 12));
		r = plog_open(&m->log, m->start_offset, m->start_pos, &m->floor, clean, owed,
			      owed_cnt, ret);
		plog_fini(&m->log);
		simdisk_kill(m->sd);
		map_debts(m);
		owed_cnt = collect_owed(m, owed, m->has_put_back);
		plog_init(&m->log, m->disk, &m->debts, "t-0", topic_id, 0, &m->config);
	}
	if (!clean)
		settle(m);
	r = plog_open(&m->log, m->start_offset, m->start_pos, &m->floor, clean, owed, owed_cnt,
		      ret);
	CHECK_EQ(m, r, 0);
	CHECK(m, !ret->damaged);
	debt_table_init(&m->debts, m->debt_mem);
	begin_ring(m, &m->floor);
	m->has_put_back = false;
	r = disk_open(m->disk, "ring", DISK_CREATE, &m->ring_fd);
	CHECK_EQ(m, r, 0);
}

static void check_all(struct model *m)
{
	bool nowait = m->disk->nowait;

	CHECK_EQ(m, m->log.next_offset, m->cnt);
	CHECK_EQ(m, m->log.end_pos, m->end_pos);
	CHECK_EQ(m, m->log.start_offset, m->start_offset);
	m->disk->nowait = false;
	take_fates(m);
	read_at(m, m->start_pos, m->end_pos - m->start_pos);
	m->disk->nowait = nowait;
}

static void do_restart(struct model *m)
{
	struct plog_open_report report;
	int r = end_cleaning(m, true);

	if (!r)
		r = plog_flush_indexes(&m->log);
	if (!r)
		r = sync_all(m);
	if (gave_up(m, r))
		return;
	plog_fini(&m->log);
	r = disk_close(m->disk, m->debt_fd);
	CHECK_EQ(m, r, 0);
	r = disk_close(m->disk, m->ring_fd);
	CHECK_EQ(m, r, 0);
	CHECK_EQ(m, simdisk_open_cnt(m->sd), 0);
	open_log(m, true, &report);
	/* What a failed call left behind and could not be removed goes now. */
	if (!simdisk_failed_cnt(m->sd))
		CHECK_EQ(m, report.cut_data_bytes + report.cut_meta_bytes, 0);
	check_all(m);
}

/* The disk is there again. */
static void put_back_ring(struct model *m)
{
	simdisk_stop_after(m->sd, UINT64_MAX);
	simdisk_fail(m->sd, 0, 0, 0);
	put_back(m);
	/* No more than one slot is needed then. */
	m->has_put_back = below(m, 2);
}

void do_kill(struct model *m)
{
	struct plog_open_report report;

	end_cleaning(m, false);
	plog_fini(&m->log);
	simdisk_kill(m->sd);
	/* Of what was drafted the slots vouch for all where there is no journal any more. */
	if (below(m, 2))
		put_back_ring(m);
	open_log(m, false, &report);
	check_all(m);
}

static void do_crash(struct model *m)
{
	struct plog_open_report report;

	end_cleaning(m, false);
	plog_fini(&m->log);
	simdisk_crash(m->sd, rnd(m));
	put_back_ring(m);
	open_log(m, false, &report);
	CHECK(m, m->log.next_offset >= m->floor.next_offset && m->log.next_offset <= m->cnt);
	forget_from(m, (uint32_t)m->log.next_offset);
	check_all(m);
}

static void do_fault(struct model *m)
{
	static const int errs[] = { -EIO, -ENOSPC, -EINTR, -EMFILE, SIMDISK_SHORT };

	if (m->stopping)
		return;
	if (below(m, 2)) {
		simdisk_fail(m->sd, 1 + below(m, 20), 1 + below(m, 3),
			     errs[below(m, ARRAY_CNT(errs))]);
	} else {
		simdisk_stop_after(m->sd, below(m, 30));
		m->stopping = true;
	}
}

static void step(struct model *m)
{
	int r = 0;

	if (!below(m, 3))
		m->now_ms += below(m, 20) ? below(m, 50) : (int64_t)below(m, 4000) - 1000;
	simdisk_set_now(m->sd, m->now_ms);
	if (!below(m, 3))
		do_journal(m);
	if (!below(m, 4))
		do_fsyncs(m);
	switch (below(m, m->stopping ? 20 : 32)) {
	case 0 ... 7:
		if (m->cnt + 64 < RECORDS_MAX)
			do_append_lines(m, below(m, 3) ? 1 : 1 + below(m, 30));
		break;
	case 8 ... 9:
		if (m->cnt + 64 < RECORDS_MAX)
			do_append_records(m);
		break;
	case 10:
		r = plog_roll(&m->log, m->now_ms);
		gave_up(m, r);
		break;
	case 11:
		if (m->config.compact)
			do_clean(m);
		else
			do_retention(m);
		break;
	case 12:
		r = sync_all(m);
		gave_up(m, r);
		break;
	case 13:
		plog_close_idle(&m->log);
		r = plog_flush_indexes(&m->log);
		gave_up(m, r);
		break;
	case 14:
		do_kill(m);
		break;
	case 15:
		do_crash(m);
		break;
	case 16:
		do_restart(m);
		break;
	case 17:
		do_fault(m);
		break;
	case 18 ... 23:
		do_read(m);
		break;
	case 24 ... 27:
		do_batch(m);
		break;
	default:
		do_find(m);
		do_cut(m);
		break;
	}
}

static void run(struct model *m, uint64_t seed)
{
	struct plog_open_report report;

	*m = (struct model){ .seed = seed, .rng = seed, .now_ms = 1000000 };
	m->sd = simdisk_new(seed);
	m->disk = simdisk_disk(m->sd);
	m->config = (struct plog_config){
		.segment_bytes = 1000 + below(m, 60000),
		.segment_ms = below(m, 2) ? -1 : 500 + (int64_t)below(m, 5000),
		.retention_ms = below(m, 2) ? -1 : 1000 + (int64_t)below(m, 3000),
		.retention_bytes = below(m, 2) ? -1 : 5000 + (int64_t)below(m, 60000),
		.index_interval_bytes = 100 + below(m, 4000),
		.compact = below(m, 2),
		.delete_retention_ms = below(m, 3000),
	};
	m->floor = (struct plog_point){ .segment_base = -1, .max_ts_ms = -1 };
	begin_ring(m, &m->floor);
	simdisk_set_cold(m->sd, below(m, 2) ? 0 : 3);
	/* The store makes the directory and the slots stable before anything is appended. */
	open_log(m, true, &report);
	int r = disk_sync_dir(m->disk, ".");

	CHECK_EQ(m, r, 0);
	r = disk_fsync(m->disk, m->debt_fd);
	CHECK_EQ(m, r, 0);
	m->disk->nowait = true;
	for (m->op = 0; m->op < OPS; m->op++)
		step(m);
	do_kill(m);
	plog_fini(&m->log);
	begin_ring(m, &m->floor);
	simdisk_free(m->sd);
	forget_from(m, 0);
}

static void run_seed(uint64_t seed)
{
	struct model *m = calloc(1, sizeof(*m));

	if (!m)
		abort();
	run(m, seed);
	free(m);
}

int main(int argc, char **argv)
{
	return seeds_main(argc, argv, SEEDS, run_seed);
}

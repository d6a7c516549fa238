#include "daemon/store/store.h"

#include "daemon/base/fund.h"
#include "daemon/base/log.h"
#include "daemon/store/kept.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STORE_BUCKETS_MIN 256U

static uint32_t part_hash(const uint8_t topic_id[16], uint32_t partition)
{
	return (uint32_t)hash_xxh3_seed(topic_id, 16, partition);
}

struct part *store_part_find(const struct store *s, const uint8_t topic_id[16], uint32_t partition)
{
	uint32_t h = part_hash(topic_id, partition) & (s->bucket_cnt - 1);

	for (struct part *p = s->buckets[h]; p; p = p->hash_next)
		if (p->e.partition == partition && !memcmp(p->e.topic_id, topic_id, 16))
			return p;
	return NULL;
}

static int buckets_grow(struct store *s, uint32_t cnt)
{
	struct part **buckets = calloc(cnt, sizeof(struct part *));

	if (!buckets)
		return -ENOMEM;
	free(s->buckets);
	s->buckets = buckets;
	s->bucket_cnt = cnt;
	LIST_FOREACH(node, &s->parts) {
		struct part *p = LIST_ENTRY(node, struct part, all);
		uint32_t h = part_hash(p->e.topic_id, p->e.partition) & (cnt - 1);

		p->hash_next = buckets[h];
		buckets[h] = p;
	}
	return 0;
}

int store_part_get(struct store *s, const uint8_t topic_id[16], uint32_t partition,
		   struct part **ret)
{
	struct part *p = store_part_find(s, topic_id, partition);
	uint32_t h;

	if (p) {
		*ret = p;
		return 0;
	}
	if (s->part_cnt >= s->bucket_cnt) {
		int err = buckets_grow(s, s->bucket_cnt * 2);

		if (err)
			return err;
	}
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	memcpy(p->e.topic_id, topic_id, 16);
	p->e.partition = partition;
	p->e.point.max_ts_ms = p->e.point.segment_base = -1;
	p->ring_first = p->ring_last = NO_BLOCK;
	p->debt_slot = -1;
	list_init(&p->fsync_link);
	list_init(&p->next);
	list_init(&p->carried);
	list_init(&p->sync_link);
	list_init(&p->ring_link);
	list_init(&p->dirty_link);
	list_init(&p->unsynced_link);
	list_init(&p->raise_link);
	h = part_hash(topic_id, partition) & (s->bucket_cnt - 1);
	p->hash_next = s->buckets[h];
	s->buckets[h] = p;
	list_put(&s->parts, &p->all);
	s->part_cnt++;
	*ret = p;
	return 0;
}

/* Takes it out of the table; it stays in memory. */
void store_part_unlink(struct store *s, struct part *part)
{
	struct part **at =
		&s->buckets[part_hash(part->e.topic_id, part->e.partition) & (s->bucket_cnt - 1)];

	while (*at != part)
		at = &(*at)->hash_next;
	*at = part->hash_next;
	list_remove(&part->all);
	s->part_cnt--;
	s->unmade_cnt -= part->unmade;
}

static void notes_free(struct list *head)
{
	LIST_FOREACH_SAFE(node, tmp, head) {
		struct store_note *n = LIST_ENTRY(node, struct store_note, link);

		list_remove(node);
		free(n->sentence);
		free(n);
	}
}

void store_part_free(struct store *s, struct part *part)
{
	free(part->recover_dir);
	notes_free(&part->next);
	notes_free(&part->carried);
	if (part->sync_seg)
		segment_unref(part->sync_seg);
	if (part->plog) {
		list_remove(&part->plog->debt_link);
		plog_fini(part->plog);
		free(CONTAINER_OF(part->plog, struct plog_box, plog));
		s->plog_cnt--;
	}
	free(part);
}

struct part *store_part_of(struct plog *p)
{
	return CONTAINER_OF(p, struct plog_box, plog)->part;
}

int store_note_new(struct store *s, enum store_event_kind kind, uint64_t token,
		   struct store_note **ret)
{
	struct store_note *n;

	if (list_is_empty(&s->free_notes)) {
		n = fund_malloc(sizeof(*n));
		if (!n)
			return -ENOMEM;
		list_init(&n->link);
	} else {
		n = LIST_ENTRY(s->free_notes.next, struct store_note, link);
		list_remove(&n->link);
	}
	n->kind = kind;
	n->token = token;
	n->plog = NULL;
	n->file = "";
	n->err = 0;
	n->sentence = NULL;
	*ret = n;
	return 0;
}

void store_note_free(struct store *s, struct store_note *n)
{
	free(n->sentence);
	n->sentence = NULL;
	list_remove(&n->link);
	list_put(&s->free_notes, &n->link);
}

/* Queues an event. Where there is no memory for it the log still has it. */
void store_tell(struct store *s, enum store_event_kind kind, struct plog *p, int err,
		const char *fmt, ...)
{
	struct store_note *n;
	char *text = NULL;
	va_list args;

	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	if (text && *text)
		LOG_AT(kind == STORE_FAILED ? LOG_ERROR : LOG_WARN, p ? p->dir : "store", err, "%s",
		       text);
	if (store_note_new(s, kind, 0, &n)) {
		free(text);
		return;
	}
	n->plog = p;
	n->err = err;
	n->sentence = text;
	list_put(&s->notes, &n->link);
}

/* A sync or a write of the journal failed: what the disk has is not known any more. */
void store_fail(struct store *s, int err, const char *what, const char *name)
{
	if (!s->failed)
		store_tell(s, STORE_FAILED, NULL, err,
			   "%s of %s failed: the process must stop and recover", what, name);
	s->failed = true;
}

int store_submit(struct store *s, struct disk_req *req, void *ctx)
{
	int err;

	req->owner = STORE_OWNER;
	req->ctx = ctx;
	list_init(&req->link);
	err = disk_submit(s->disk, req);
	if (!err)
		s->reqs_under_way++;
	return err;
}

struct disk_req *store_reap(struct store *s)
{
	struct disk_req *req = disk_reap(s->disk);

	while (req && req->owner != STORE_OWNER)
		req = disk_reap(s->disk);
	s->reqs_under_way -= req != NULL;
	return req;
}

struct disk_req *store_reap_wait(struct store *s)
{
	struct disk_req *req;

	PRE(s->reqs_under_way);
	while (!(req = store_reap(s)))
		disk_wait(s->disk);
	return req;
}

static struct store *store_new(struct disk *d, const struct store_config *config)
{
	struct store *s = calloc(1, sizeof(*s));

	if (!s)
		return NULL;
	s->disk = d;
	d->relieve = store_relieve;
	d->relieve_ctx = s;
	s->config = *config;
	s->lock_fd = s->old_lock_fd = s->make_fd = s->ckpt_fd = s->ckpt_old_fd = s->debt_fd = -1;
	list_init(&s->parts);
	list_init(&s->want);
	list_init(&s->points);
	list_init(&s->writing);
	list_init(&s->sync_queue);
	list_init(&s->sync_late);
	list_init(&s->journaled);
	list_init(&s->raising);
	list_init(&s->dirty);
	list_init(&s->unsynced);
	list_init(&s->owing);
	list_init(&s->gone);
	list_init(&s->notes);
	list_init(&s->free_notes);
	buf_init(&s->ckpt_buf);
	buf_init(&s->gone_names);
	buf_init(&s->unswept);
	s->cache = batch_cache_new();
	s->scratch = malloc(JOURNAL_FSYNC_MAX);
	s->kept = kept_pool_new();
	if (!s->scratch || !s->cache || !s->kept || buckets_grow(s, STORE_BUCKETS_MIN)) {
		store_free(s);
		return NULL;
	}
	return s;
}

static void parts_free(struct store *s, struct list *head)
{
	LIST_FOREACH_SAFE(node, tmp, head) {
		list_remove(node);
		store_part_free(s, LIST_ENTRY(node, struct part, all));
	}
}

static void fd_free(struct store *s, int fd)
{
	if (fd >= 0 && disk_close(s->disk, fd))
		LOG_AT(LOG_WARN, "store", 0, "a descriptor could not be closed");
}

void store_free(struct store *s)
{
	if (!s)
		return;
	s->disk->relieve = NULL;
	for (unsigned i = 0; i < STORE_WRITE_OUTS; i++)
		segment_unref(s->outs[i].seg);
	cleaner_free(s->clean.cleaner);
	parts_free(s, &s->parts);
	parts_free(s, &s->gone);
	notes_free(&s->notes);
	notes_free(&s->free_notes);
	if (s->debt_mem)
		disk_unmap(s->disk, s->debt_mem, DEBT_FILE_LEN);
	fd_free(s, s->debt_fd);
	fd_free(s, s->ckpt_fd);
	fd_free(s, s->ckpt_old_fd);
	fd_free(s, s->make_fd);
	fd_free(s, s->old_lock_fd);
	/* Last: it is the lock. */
	fd_free(s, s->lock_fd);
	journal_fini(&s->journal);
	buf_fini(&s->ckpt_buf);
	buf_fini(&s->gone_names);
	buf_fini(&s->unswept);
	batch_cache_free(s->cache);
	kept_pool_free(s->kept);
	free(s->zeros);
	free(s->scratch);
	free(s->buckets);
	free(s);
}

/* Only a directory that has no data yet is given ids. */
static int check_fresh(struct store *s, struct store_open_report *rep)
{
	struct disk_stat st = { 0 };
	int err = disk_stat(s->disk, "checkpoint", &st);

	if (err == -ENOENT) {
		err = store_has_partitions(s);
		if (err <= 0)
			return err;
	}
	if (err >= 0) {
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "meta.properties is missing, but there are data: restore it");
		err = -EBADMSG;
	}
	return err;
}

static int store_open_locked(struct store *s, bool found, struct store_open_report *rep)
{
	int err;

	if (!found) {
		err = check_fresh(s, rep);
		if (err)
			return err;
		rep->fresh = true;
		err = disk_random(s->disk, s->cluster_id, 16);
		if (!err)
			err = disk_random(s->disk, s->directory_id, 16);
		if (!err)
			err = store_write_meta(s);
		if (err)
			return err;
	}
	memcpy(rep->cluster_id, s->cluster_id, 16);
	memcpy(rep->directory_id, s->directory_id, 16);
	return store_recover(s, rep);
}

int store_open(struct disk *d, const struct store_config *config, int64_t now_ms,
	       struct store **ret_store, struct store_open_report *ret)
{
	struct store *s = store_new(d, config);
	bool found;
	int err;

	*ret = (struct store_open_report){ 0 };
	if (!s)
		return -ENOMEM;
	s->now_ms = now_ms;
	err = store_read_meta(s, &found, ret);
	if (!err)
		err = store_lock(s, ret);
	/* Again under the lock: another may have been here in between. */
	if (!err)
		err = store_read_meta(s, &found, ret);
	if (!err)
		err = store_open_locked(s, found, ret);
	if (err) {
		if (!ret->sentence[0])
			snprintf(ret->sentence, sizeof(ret->sentence),
				 "the data directory cannot be opened: %s", log_errno_name(err));
		store_free(s);
		return err;
	}
	*ret_store = s;
	return 0;
}

/* Makes stable what recovery cut or described: a later journal entry must not meet the old tail. */
static int plog_settle(struct store *s, struct plog *p)
{
	bool has_new = false;

	for (uint32_t i = p->seg_cnt; i-- > 0;) {
		struct segment *seg = p->segs[i];
		uint64_t seq = seg->write_seq;
		int meta, data, err;

		if (seq == seg->synced_seq && seg->head_synced)
			continue;
		data = segment_fd(seg, SEGMENT_DATA);
		meta = data < 0 ? data : segment_fd(seg, SEGMENT_META);
		err = meta < 0 ? meta : disk_fsync(s->disk, data);
		if (!err)
			err = disk_fsync(s->disk, meta);
		if (err)
			return err;
		has_new = has_new || !seg->head_synced;
		segment_set_synced(seg, seq);
		segment_set_head_synced(seg);
	}
	return has_new ? disk_sync_dir(s->disk, p->dir) : 0;
}

/* After it was opened a log is stable as it stands: what recovery found was synced before it was
 * trusted, and what it changed is synced here. */
static int part_take_point(struct store *s, struct part *part, bool clean, bool changed)
{
	struct plog *p = part->plog;
	struct plog_point point;
	int err = changed ? plog_settle(s, p) : 0;

	if (!err)
		err = plog_point(p, &point);
	if (err)
		return err;
	if (p->seg_cnt)
		segment_set_head_synced(p->segs[p->seg_cnt - 1]);
	p->synced = point;
	if (!clean && !part->unmade)
		part_synced(s, part, &point);
	return 0;
}

static int part_open(struct store *s, struct part *part, const char *dir, bool made,
		     const struct plog_config *config)
{
	size_t dir_len = strlen(dir) + 1;
	struct plog_box *box = calloc(1, sizeof(*box) + dir_len);
	struct checkpoint_entry *e = &part->e;
	bool clean = s->clean_start && part->exact;
	/* A partition that a whole checkpoint does not know was made after it, and began empty. */
	bool has_floor = e->flags & CHECKPOINT_HAS_POINT || (s->ckpt_held && !e->start_offset);
	struct plog_open_report rep = { 0 };
	struct debt *owed = NULL;
	unsigned owed_cnt = 0;
	/* In a directory that was just made nothing is trusted; its first segment has it synced. */
	int err = clean || made ? 0 : store_settle(s, dir, e);

	if (!err && !clean)
		err = store_debts_get(s, part, &owed, &owed_cnt);
	if (!box || err) {
		free(box);
		free(owed);
		return box ? err : -ENOMEM;
	}
	box->part = part;
	memcpy(box->dir, dir, dir_len);
	plog_init(&box->plog, s->disk, s->debt_mem ? &s->debts : NULL, box->dir, e->topic_id,
		  e->partition, config);
	list_init(&box->plog.debt_link);
	list_init(&box->plog.store_link);
	box->plog.cache = s->cache;
	err = plog_open(&box->plog, e->start_offset, e->start_pos, has_floor ? &e->point : NULL,
			clean, owed, owed_cnt, &rep);
	free(owed);
	if (err) {
		snprintf(s->open_fault, sizeof(s->open_fault), "%s", box->plog.fault);
		plog_fini(&box->plog);
		free(box);
		return err;
	}
	store_debts_give_back(s, part);
	part->plog = &box->plog;
	s->plog_cnt++;
	err = part_take_point(s, part, clean,
			      rep.cut_data_bytes || rep.cut_meta_bytes || rep.described_records);
	if (err)
		store_fail(s, err, "sync", dir);
	s->stats.cut_bytes += rep.cut_data_bytes + rep.cut_meta_bytes;
	s->stats.described_records += (uint64_t)rep.described_records;
	s->stats.damaged += rep.damaged;
	if (rep.cut_data_bytes || rep.cut_meta_bytes)
		LOG_AT(LOG_WARN, dir, 0, "recovery cut %llu bytes of a torn tail",
		       (unsigned long long)(rep.cut_data_bytes + rep.cut_meta_bytes));
	if (rep.damaged)
		LOG_AT(LOG_ERROR, dir, -EIO, "%s", box->plog.fault);
	return !err && rep.damaged ? -EIO : err;
}

static int dir_make(struct store *s, const char *dir, const uint8_t topic_id[16])
{
	int err = ckpt_grow(s, s->part_cnt - s->unmade_cnt + 1);

	if (!err)
		err = disk_mkdir(s->disk, dir);
	if (!err)
		err = store_put_partition_id(s, dir, topic_id);
	return err;
}

static void set_unmade(struct store *s, struct part *part, bool unmade)
{
	s->unmade_cnt += (uint32_t)unmade - (uint32_t)part->unmade;
	part->unmade = unmade;
}

/* The first append makes what is missing. */
static int part_make(struct store *s, struct plog *p)
{
	struct part *part = store_part_of(p);
	int err = part->unmade ? dir_make(s, p->dir, p->topic_id) : 0;

	/* An earlier try has made it: the heads of segments tell whose it is. */
	if (err && err != -EEXIST)
		return err;
	set_unmade(s, part, false);
	return 0;
}

int store_plog(struct store *s, const char *topic, const uint8_t topic_id[16], uint32_t partition,
	       const struct plog_config *config, bool create, struct plog **ret_plog)
{
	struct part *part = store_part_find(s, topic_id, partition);
	struct disk_stat st = { 0 };
	char dir[TOPIC_DIR_MAX];
	uint8_t id[16];
	bool nowait = s->disk->nowait, made = false, unmade = false;
	int err;

	if (part && part->plog) {
		*ret_plog = part->plog;
		return 0;
	}
	if (snprintf(dir, sizeof(dir), "%s-%u", topic, partition) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	s->disk->nowait = false;
	s->open_fault[0] = 0;
	err = disk_stat(s->disk, dir, &st);
	if (err == -ENOENT && create) {
		err = dir_make(s, dir, topic_id);
		made = true;
		/* Readers need nothing of a partition that nobody has used. */
		unmade = disk_is_full(err) && (!part || (!part->e.flags && !part->e.start_offset));
		err = unmade ? 0 : err;
	} else if (!err) {
		err = store_get_partition_id(s, dir, id);
		if (err == -ENOENT) {
			LOG_AT(LOG_WARN, dir, 0,
			       "partition.metadata is missing or damaged at position 0: written "
			       "anew");
			err = store_put_partition_id(s, dir, topic_id);
			/* It is no directory, nor a link to one. */
			if (err == -ENOTDIR || err == -ELOOP || err == -ENOENT) {
				err = disk_set_aside(s->disk, dir);
				if (!err)
					err = dir_make(s, dir, topic_id);
			}
			/* It is empty, and readers need no more; the heads of segments tell. */
			err = disk_is_full(err) ? 0 : err;
		} else if (!err && memcmp(id, topic_id, 16)) {
			err = create ? store_move_deleted(s, dir, id, partition) : -ESTALE;
			made = !err;
			if (!err)
				err = dir_make(s, dir, topic_id);
		}
	}
	if (!err)
		err = store_part_get(s, topic_id, partition, &part);
	if (!err)
		set_unmade(s, part, unmade);
	if (!err && !made)
		err = store_mend_partition_id(s, dir, topic_id);
	if (!err)
		err = part_open(s, part, dir, made, config);
	s->disk->nowait = nowait;
	if (part && part->plog && (!err || err == -EIO))
		*ret_plog = part->plog;
	return err;
}

const char *store_open_fault(const struct store *s)
{
	return s->open_fault;
}

struct plog *store_plog_opened(struct store *s, const uint8_t topic_id[16], uint32_t partition)
{
	struct part *part = store_part_find(s, topic_id, partition);

	return part ? part->plog : NULL;
}

/* Books an append: debts, dirty bytes, the reserve. */
static void part_appended(struct store *s, struct plog *p, size_t len)
{
	struct part *part = store_part_of(p);

	part->touched = true;
	part->dirty_bytes += len;
	s->dirty_total += len;
	s->space_bytes += len;
	if (list_is_empty(&part->dirty_link))
		list_put(&s->dirty, &part->dirty_link);
	sync_later(s, part, len);
	if (!plog_owes(p)) {
		if (!list_is_empty(&p->debt_link))
			list_remove(&p->debt_link);
	} else if (list_is_empty(&p->debt_link) || part->debt_since_ms != p->debt.timestamp_ms) {
		list_remove(&p->debt_link);
		part->debt_since_ms = p->debt.timestamp_ms;
		list_put(&s->owing, &p->debt_link);
	}
}

int store_append_lines(struct store *s, struct plog *p, int64_t now_ms, const struct iovec *iov,
		       int iov_cnt, size_t len, uint32_t cnt, bool late, struct plog_appended *ret)
{
	int err = s->failed ? -EIO : space_check(s);

	if (!err)
		err = part_make(s, p);
	if (!err)
		err = plog_append_lines(p, now_ms, iov, iov_cnt, len, cnt, late, ret);
	if (!err)
		part_appended(s, p, len + FORMAT_BATCH_LEN);
	return err;
}

static int append_records(struct store *s, struct plog *p, int64_t now_ms,
			  const struct record *recs, uint32_t cnt,
			  const struct plog_producer *producer, struct plog_appended *ret)
{
	size_t len = FORMAT_BATCH_LEN;
	int err = part_make(s, p);

	if (!err)
		err = plog_append_records(p, now_ms, recs, cnt, producer, ret);
	if (err)
		return err;
	for (uint32_t i = 0; i < cnt; i++)
		len += FORMAT_ENTRY_LEN + 1 + recs[i].headers_len +
		       (recs[i].value_len == RECORD_NULL ? 0 : recs[i].value_len) +
		       (recs[i].key_len == RECORD_NULL ? 0 : recs[i].key_len);
	part_appended(s, p, len);
	return 0;
}

int store_append_records(struct store *s, struct plog *p, int64_t now_ms, const struct record *recs,
			 uint32_t cnt, const struct plog_producer *producer,
			 struct plog_appended *ret)
{
	int err = s->failed ? -EIO : space_check(s);

	return err ? err : append_records(s, p, now_ms, recs, cnt, producer, ret);
}

int store_append_internal(struct store *s, struct plog *p, int64_t now_ms,
			  const struct record *recs, uint32_t cnt, struct plog_appended *ret)
{
	return s->failed ? -EIO : append_records(s, p, now_ms, recs, cnt, NULL, ret);
}

bool store_has_event(const struct store *s)
{
	return !list_is_empty(&s->notes);
}

void store_next_event(struct store *s, struct store_event *ret)
{
	struct store_note *n;

	ret->kind = STORE_NONE;
	if (list_is_empty(&s->notes))
		return;
	n = LIST_ENTRY(s->notes.next, struct store_note, link);
	ret->kind = n->kind;
	ret->token = n->token;
	ret->plog = n->plog;
	ret->file = n->file;
	ret->err = n->err;
	ret->sentence[0] = '\0';
	if (n->sentence)
		snprintf(ret->sentence, sizeof(ret->sentence), "%s", n->sentence);
	store_note_free(s, n);
}

/* Writes what is in memory only. An index that is not written is built again by whoever needs it.
 */
static int part_write(struct part *part)
{
	struct plog *p = part->plog;
	int err = plog_describe(p);

	if (!err && plog_flush_indexes(p))
		LOG_AT(LOG_WARN, p->dir, 0, "an index could not be written");
	return err;
}

static int part_close(struct store *s, struct part *part)
{
	struct plog *p = part->plog;
	struct plog_point point;
	int err = plog_point(p, &point);

	if (!err)
		err = plog_settle(s, p);
	part->exact = !err;
	if (!err && !part->unmade)
		part_synced(s, part, &point);
	return err;
}

/* Requests of ours that are under way are waited for; nothing new is begun. */
static void store_drain(struct store *s)
{
	while (s->reqs_under_way) {
		struct disk_req *req = store_reap_wait(s);

		if (req->res < 0 && req != &s->make_req && req->op != DISK_OP_READ)
			store_fail(s, (int)req->res, "sync", "what was under way");
	}
}

int store_close(struct store *s)
{
	unsigned unsynced = 0;
	int err = 0;

	s->disk->nowait = false;
	store_drain(s);
	err = s->failed ? -EIO : clean_stop(s);
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		s->disk->round++; /* nobody holds a descriptor of the one before */
		if (part->plog && !err)
			err = part_write(part);
		unsynced += !list_is_empty(&part->unsynced_link);
	}
	/* A help: many small syncs are one. What failed is told by the sync of each. */
	if (!err && unsynced >= STORE_SYNC_ALL_PARTS)
		disk_sync_all(s->disk);
	if (!err)
		err = sync_segments(s);
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		s->disk->round++;
		if (part->plog && !err)
			err = part_close(s, part);
	}
	if (!err)
		err = disk_sync_dir(s->disk, ".");
	if (!err)
		err = ckpt_write_now(s);
	if (!err && s->debt_mem)
		err = disk_fsync(s->disk, s->debt_fd);
	if (!err)
		err = store_write_marker(s);
	if (err)
		LOG_AT(LOG_ERROR, "store", err, "no clean shutdown: the next start will recover");
	store_free(s);
	return err;
}

void store_stats(const struct store *s, struct store_stats *ret)
{
	*ret = s->stats;
	ret->journal_bytes = s->ring == RING_ON ? s->journal.block_cnt * JOURNAL_BLOCK : 0;
	ret->journal_used = s->ring == RING_ON ? journal_used(&s->journal) : 0;
	ret->free_bytes = s->space.free_bytes;
	ret->plogs = s->plog_cnt;
	ret->full = s->space_full;
}

const uint8_t *store_cluster_id(const struct store *s)
{
	return s->cluster_id;
}

const uint8_t *store_directory_id(const struct store *s)
{
	return s->directory_id;
}

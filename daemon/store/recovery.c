/*
 * Start-up: lock, marker, checkpoint, debts, journal. What a journal entry says is put back before
 * any partition is opened; the partitions themselves are recovered as they are opened.
 *
 * The order at the end matters. Put back and synced; then the checkpoint, which takes over the
 * points that the ring told; then the ring's new seed, which makes the old entries unreadable; then
 * a checkpoint that tells this seed; then the removal of the marker. A crash between any two of
 * them repeats what was done, and everything here may be done twice.
 */
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Files that are held open while entries are put back. */
#define PUT_BACK_FILES 64U

static int lock_open(struct store *s, int *ret_fd)
{
	int err = s->config.refuse_direct
			  ? -EINVAL
			  : disk_open(s->disk, "journal", DISK_CREATE | DISK_DIRECT, ret_fd);

	s->lock_direct = !err;
	if (err == -EINVAL || err == -EOPNOTSUPP)
		err = disk_open(s->disk, "journal", DISK_CREATE, ret_fd);
	return err;
}

/*
 * The lock is on the descriptor through which the ring is written. Whoever makes a new ring holds
 * the lock of both files when it renames; so who got the lock of a file that has no name any more
 * looks again.
 */
int store_lock(struct store *s, struct store_open_report *rep)
{
	for (unsigned tries = 0; tries < 16; tries++) {
		struct disk_stat mine = { 0 }, named = { 0 };
		int fd, err = lock_open(s, &fd);

		if (err) {
			snprintf(rep->sentence, sizeof(rep->sentence),
				 "the file journal cannot be opened: %s", log_errno_name(err));
			return err;
		}
		err = disk_lock(s->disk, fd);
		if (!err)
			err = disk_fstat(s->disk, fd, &mine);
		if (!err)
			err = disk_stat(s->disk, "journal", &named);
		if (!err && mine.ino == named.ino) {
			s->lock_fd = fd;
			return 0;
		}
		if (disk_close(s->disk, fd))
			LOG_AT(LOG_WARN, "journal", 0, "a descriptor could not be closed");
		if (err == -EWOULDBLOCK) {
			snprintf(rep->sentence, sizeof(rep->sentence),
				 "the data directory is in use by another topicfs");
			return -EBUSY;
		}
		if (err && err != -ENOENT)
			return err;
	}
	return -EBUSY;
}

static int load_entries(struct store *s, const uint8_t *slot, uint32_t cnt)
{
	for (uint32_t i = 0; i < cnt; i++) {
		struct checkpoint_entry e;
		struct part *part;
		int err;

		checkpoint_get(slot, i, &e);
		err = store_part_get(s, e.topic_id, e.partition, &part);
		if (err)
			return err;
		part->e = e;
		part->exact = s->clean_start && (e.flags & CHECKPOINT_EXACT);
		part->e.flags &= ~(uint32_t)CHECKPOINT_EXACT;
	}
	return 0;
}

void store_damage(struct store *s, struct store_open_report *rep, const char *file, const char *fmt,
		  ...)
{
	struct store_note *n;
	char *text = NULL;
	va_list args;

	rep->damaged++;
	va_start(args, fmt);
	if (vasprintf(&text, fmt, args) < 0)
		text = NULL;
	va_end(args);
	LOG_AT(LOG_ERROR, file, 0, "%s", text ? text : "is damaged");
	if (!text || store_note_new(s, STORE_DAMAGED, 0, &n)) {
		free(text);
		return;
	}
	n->file = file;
	n->err = -EIO;
	n->sentence = text;
	list_put(&s->notes, &n->link);
}

static void ckpt_is_lost(struct store *s, struct store_open_report *rep, const char *why)
{
	s->clean_start = false;
	store_damage(s, rep, "checkpoint", "%s: all partitions are recovered from their begin",
		     why);
}

/* Of a directory that has partitions it was written before the first of them was made. */
static int ckpt_missing(struct store *s, struct store_open_report *rep)
{
	int r = rep->fresh ? 0 : store_has_partitions(s);

	if (r > 0)
		ckpt_is_lost(s, rep, "missing or empty");
	s->clean_start = false;
	return MIN(r, 0);
}

static int unread(struct store_open_report *rep, const char *file, int err)
{
	snprintf(rep->sentence, sizeof(rep->sentence), "the file %s cannot be read: %s", file,
		 log_errno_name(err));
	return err;
}

static int load_marker(struct store *s, struct buf *b, struct store_open_report *rep)
{
	int err = store_read_marker(s, &s->clean_start, b);

	return err ? unread(rep, "clean-shutdown", err) : 0;
}

/* The other slot counts; one that a crash has torn looks the same. */
static void tell_slot(const struct buf *b, int slot)
{
	static const uint8_t zeros[CHECKPOINT_HEAD_LEN];
	size_t half = b->len / 2, pos = slot ? 0 : half;
	struct checkpoint_head h;

	if (!checkpoint_is_whole(b->len))
		LOG_AT(LOG_WARN, "checkpoint", 0,
		       "%zu bytes are not two slots: one that is found counts, and it is made anew",
		       b->len);
	else if (half >= sizeof(zeros) && memcmp(b->data + pos, zeros, sizeof(zeros)) != 0 &&
		 checkpoint_get_head(b->data + pos, half, &h))
		LOG_AT(LOG_WARN, "checkpoint", 0,
		       "the slot at position %zu does not match its checksum; the other one counts",
		       pos);
}

static int load_checkpoint(struct store *s, const struct buf *marker, struct store_open_report *rep)
{
	struct checkpoint_head h;
	struct buf b;
	int slot, err;

	buf_init(&b);
	err = store_read_file(s, "checkpoint", &b);
	if (err || !b.len) {
		buf_fini(&b);
		return !err || err == -ENOENT ? ckpt_missing(s, rep)
					      : unread(rep, "checkpoint", err);
	}
	slot = checkpoint_find(b.data, b.len, &h);
	if (slot >= 0) {
		tell_slot(&b, slot);
		s->ckpt_held = true;
		/* One of another length is made anew. */
		s->ckpt_slot_len = checkpoint_is_whole(b.len) ? b.len / 2 : 0;
		s->ckpt_sequence = h.sequence;
		s->incarnation = h.incarnation;
		/* A marker of another life came here with a copy, or a start went no further. */
		if (s->clean_start && !store_marker_fits(marker, h.incarnation, h.boot_id)) {
			s->clean_start = false;
			LOG_AT(LOG_WARN, "clean-shutdown", 0,
			       "is not of the life that wrote the checkpoint: recovery runs");
		}
		s->ring_seed = h.ring_seed;
		err = load_entries(s, b.data + (size_t)slot * (b.len / 2), h.cnt);
		if (!err)
			err = disk_open(s->disk, "checkpoint", 0, &s->ckpt_fd);
	} else if (slot == -EPROTONOSUPPORT) {
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "the checkpoint is of a newer version");
		err = slot;
	} else {
		ckpt_is_lost(s, rep, "neither slot holds");
		err = 0;
	}
	buf_fini(&b);
	return err;
}

static int newest_first(const void *a, const void *b)
{
	const struct debt *x = a, *y = b;

	return (x->sequence < y->sequence) - (x->sequence > y->sequence);
}

/* Slots of partitions that are not opened yet stay taken until they are: all that name one, since a
 * partition may have had several at once, and which of them say something is seen when it is
 * opened. */
static int keep_debts(struct store *s)
{
	struct debt got[2];

	for (int i = 0; i < (int)DEBT_SLOT_CNT; i++) {
		uint8_t *slot = (uint8_t *)s->debt_mem + (size_t)i * DEBT_SLOT_LEN;
		struct part *part;
		int err;

		if (i % (int)DEBT_RUN == 0 && debt_run_is_blank(slot)) {
			i += (int)DEBT_RUN - 1;
			continue;
		}
		/* A process that was killed may have torn one; a clean stop leaves none. */
		if (debt_clear_torn(slot) && s->clean_start)
			LOG_AT(LOG_WARN, "debts", 0,
			       "a copy of the slot at position %zu does not match its checksum",
			       (size_t)i * DEBT_SLOT_LEN);
		if (!debt_load(slot, got))
			continue;
		s->debts.sequence = MAX(s->debts.sequence, got[0].sequence);
		part = store_part_find(s, got[0].topic_id, got[0].partition);
		/* One that the checkpoint does not know was perhaps never opened by the life that
		 * stopped cleanly, after another was killed. */
		if (s->clean_start && part && part->exact)
			continue;
		err = store_part_get(s, got[0].topic_id, got[0].partition, &part);
		if (err)
			return err;
		s->debt_next[i] = (int16_t)part->debt_slot;
		part->debt_slot = i;
		s->debts.taken[i / 64] |= 1ULL << (i % 64);
		s->debts.free_cnt--;
	}
	return 0;
}

int store_debts_get(struct store *s, const struct part *part, struct debt **ret, unsigned *ret_cnt)
{
	unsigned slots = 0, cnt = 0;
	struct debt *v, got[2];

	for (int i = part->debt_slot; i >= 0; i = s->debt_next[i])
		slots++;
	*ret = NULL;
	*ret_cnt = 0;
	if (!slots)
		return 0;
	v = calloc(2 * (size_t)slots, sizeof(*v));
	if (!v)
		return -ENOMEM;
	for (int i = part->debt_slot; i >= 0; i = s->debt_next[i]) {
		unsigned n = debt_load((uint8_t *)s->debt_mem + (size_t)i * DEBT_SLOT_LEN, got);

		for (unsigned k = 0; k < n; k++)
			if (got[k].partition == part->e.partition &&
			    !memcmp(got[k].topic_id, part->e.topic_id, 16))
				v[cnt++] = got[k];
	}
	qsort(v, cnt, sizeof(*v), newest_first);
	*ret = v;
	*ret_cnt = cnt;
	return 0;
}

void store_debts_give_back(struct store *s, struct part *part)
{
	for (int i = part->debt_slot; i >= 0; i = s->debt_next[i])
		debt_give_back(&s->debts, i);
	part->debt_slot = -1;
}

/* The file as it is to be: what an earlier life has put there stays. */
static int fill_debts(struct store *s)
{
	struct disk_stat st = { 0 };
	int err = disk_fstat(s->disk, s->debt_fd, &st);
	size_t len = err ? 0 : DEBT_FILE_LEN - MIN(st.size, DEBT_FILE_LEN);
	void *zeros;

	if (!len)
		return err;
	/* Who wrote a checkpoint had made it before. */
	if (s->ckpt_sequence)
		LOG_AT(LOG_WARN, "debts", 0,
		       "ends at position %llu: what it vouched for behind that is lost; made anew",
		       (unsigned long long)st.size);
	zeros = calloc(1, len);
	err = zeros ? disk_write(s->disk, s->debt_fd, zeros, len, st.size) : -ENOMEM;
	free(zeros);
	/* A page that has no block yet would end the process when it is stored to. */
	return err ? err : disk_fsync(s->disk, s->debt_fd);
}

/*
 * Where there is no room for the file, or something else has its name, or it cannot be mapped here
 * (-ENODEV), every line is described at once: slower, no less safe. Any other error may pass, and
 * the lines that the file vouches for would be cut without it: the start fails, and the next one
 * has them.
 */
static int open_debts(struct store *s, struct store_open_report *rep)
{
	int err = disk_open(s->disk, "debts", DISK_CREATE, &s->debt_fd);

	if (!err)
		err = fill_debts(s);
	if (!err)
		err = disk_map(s->disk, s->debt_fd, DEBT_FILE_LEN, &s->debt_mem);
	if (err) {
		s->debt_mem = NULL;
		if (!disk_is_full(err) && !disk_is_no_file(err)) {
			snprintf(rep->sentence, sizeof(rep->sentence),
				 "the file debts cannot be opened, and lines that it vouches for "
				 "would be lost: %s",
				 log_errno_name(err));
			return err;
		}
		LOG_AT(LOG_WARN, "debts", err, "not available: every line is described at once");
		return 0;
	}
	debt_table_init(&s->debts, s->debt_mem);
	return keep_debts(s);
}

struct put_back {
	struct store *s;
	struct store_open_report *rep;
	bool second; /* pass */
	struct {
		struct part *part;
		int64_t base;
		bool is_data;
		int fd;
	} files[PUT_BACK_FILES];
	unsigned file_cnt, hit;
	char path[SEGMENT_PATH_MAX]; /* opened last */
};

static int put_back_sync(struct put_back *pb)
{
	int err = 0;

	for (unsigned i = 0; i < pb->file_cnt; i++) {
		int sync_err = disk_fsync(pb->s->disk, pb->files[i].fd);
		int close_err = disk_close(pb->s->disk, pb->files[i].fd);

		if (!err)
			err = sync_err ? sync_err : close_err;
	}
	pb->file_cnt = 0;
	return err;
}

/* The file that an entry names. */
static int put_back_fd(struct put_back *pb, struct part *part, const struct journal_entry *e,
		       int *ret_fd)
{
	int err;

	for (unsigned k = 0; k < pb->file_cnt; k++) {
		unsigned i = (pb->hit + k) % pb->file_cnt;

		if (pb->files[i].part == part && pb->files[i].base == e->segment_base &&
		    pb->files[i].is_data == e->is_data) {
			pb->hit = i;
			*ret_fd = pb->files[i].fd;
			return 0;
		}
	}
	if (pb->file_cnt == PUT_BACK_FILES) {
		err = put_back_sync(pb);
		if (err)
			return err;
	}
	snprintf(pb->path, sizeof(pb->path), "%s/%020lld.%s", part->recover_dir,
		 (long long)e->segment_base, e->is_data ? "data" : "meta");
	err = disk_open(pb->s->disk, pb->path, 0, ret_fd);
	if (err)
		return err;
	pb->hit = pb->file_cnt++;
	pb->files[pb->hit].part = part;
	pb->files[pb->hit].base = e->segment_base;
	pb->files[pb->hit].is_data = e->is_data;
	pb->files[pb->hit].fd = *ret_fd;
	return 0;
}

static int put_back_bytes(struct put_back *pb, struct part *part, const struct journal_entry *e)
{
	int fd, err;

	/* The partition was deleted since. */
	if (!part->recover_dir)
		return 0;
	err = put_back_fd(pb, part, e, &fd);
	if (store_is_missing(err))
		err = -ENOENT;
	if (err == -ENOENT && e->segment_base < part->e.start_offset)
		return 0;
	if (err == -ENOENT) {
		pb->rep->damaged++;
		LOG_AT(LOG_ERROR, part->recover_dir, 0,
		       "the journal names segment %lld, which is not there",
		       (long long)e->segment_base);
		return 0;
	}
	if (!err)
		err = disk_write(pb->s->disk, fd, e->bytes, e->len, e->pos);
	if (!err) {
		pb->rep->put_back_entries++;
		pb->rep->put_back_bytes += e->len;
	}
	return err;
}

/* First pass: points, and from where on each partition has segments (in raise_offset). Second:
 * bytes.
 */
static int put_back_entry(void *ctx, const struct journal_entry *e)
{
	struct put_back *pb = ctx;
	struct part *part;
	int err = store_part_get(pb->s, e->topic_id, e->partition, &part);

	if (err)
		return err;
	if (pb->second) {
		if (e->kind != JOURNAL_BYTES || e->segment_base < part->raise_offset)
			return 0;
		return put_back_bytes(pb, part, e);
	}
	if (e->kind == JOURNAL_FORGET)
		part->raise_offset = MAX(part->raise_offset, e->segment_base);
	else if (e->kind == JOURNAL_POINT)
		part->target = e->point;
	return 0;
}

static int find_dir(void *ctx, const char *name)
{
	struct store *s = ctx;
	struct part *part;
	uint32_t partition;
	uint8_t id[16];
	int err;

	if (!store_is_partition_dir(name, &partition))
		return 0;
	err = store_get_partition_id(s, name, id);
	if (err == -ENOENT || err == -ENOTDIR)
		return 0;
	if (err)
		return err;
	part = store_part_find(s, id, partition);
	if (!part || part->recover_dir)
		return 0;
	part->recover_dir = strdup(name);
	return part->recover_dir ? 0 : -ENOMEM;
}

/* The points of the ring become floors; the marks of the passes go. */
static void take_points(struct store *s)
{
	LIST_FOREACH(node, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);
		bool has = part->e.flags & CHECKPOINT_HAS_POINT;

		if (part->target.next_offset > 0 &&
		    (!has || part->target.next_offset > part->e.point.next_offset)) {
			part->e.point = part->target;
			part->e.flags |= CHECKPOINT_HAS_POINT;
		}
		part->target = (struct plog_point){ 0 };
		part->raise_offset = 0;
		free(part->recover_dir);
		part->recover_dir = NULL;
	}
}

static int put_back_all(struct store *s, const uint8_t *ring, const struct journal_head *h,
			struct store_open_report *rep)
{
	struct put_back *pb = calloc(1, sizeof(*pb));
	struct journal_scan scan;
	int err, sync_err;

	if (!pb)
		return -ENOMEM;
	pb->s = s;
	pb->rep = rep;
	err = journal_scan(ring, h, put_back_entry, pb, &scan);
	if (!err && scan.entries)
		err = disk_list(s->disk, ".", find_dir, s);
	pb->second = true;
	if (!err)
		err = journal_scan(ring, h, put_back_entry, pb, &scan);
	sync_err = put_back_sync(pb);
	if (!err)
		err = sync_err;
	if (!err && scan.damaged)
		store_damage(s, rep, "journal",
			     "damaged at position %llu; what stands behind it was put back",
			     (unsigned long long)scan.damage_pos);
	if (err)
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "the journal's entries cannot be put back%s%s: %s",
			 *pb->path ? ", the last was for " : "", pb->path, log_errno_name(err));
	free(pb);
	take_points(s);
	return err;
}

static int read_ring(struct store *s, const struct journal_head *h, struct store_open_report *rep)
{
	size_t len = (size_t)h->block_cnt * JOURNAL_BLOCK;
	uint8_t *ring = aligned_alloc(JOURNAL_BLOCK, len);
	int err;

	if (!ring)
		return -ENOMEM;
	err = disk_read_full(s->disk, s->lock_fd, ring, len, JOURNAL_HEAD_LEN);
	if (!err)
		err = put_back_all(s, ring, h, rep);
	else
		snprintf(rep->sentence, sizeof(rep->sentence), "the journal cannot be read: %s",
			 log_errno_name(err));
	free(ring);
	return err;
}

/* What a stop has left that was no clean one, and the ring is not there that it was in. */
static const char LOST[] = "what an fsync put there alone is lost; it is begun anew";

/* The head of the ring that is there, and the blocks that the file has; 0: it holds none. */
static int read_head(struct store *s, struct store_open_report *rep, uint64_t *ret_blocks,
		     struct journal_head *ret)
{
	uint8_t *heads = aligned_alloc(JOURNAL_BLOCK, JOURNAL_HEAD_LEN);
	int err = heads ? 0 : -ENOMEM;

	/* A process that was killed may have left head and name in the cache alone, and the
	 * checkpoint is to tell of them. */
	if (!err && !s->clean_start)
		err = disk_fsync(s->disk, s->lock_fd);
	if (!err && !s->clean_start)
		err = disk_sync_dir(s->disk, ".");
	if (!err)
		err = disk_read_full(s->disk, s->lock_fd, heads, JOURNAL_HEAD_LEN, 0);
	if (!err)
		err = journal_get_head(heads, ret);
	if (!err && memcmp(heads, heads + JOURNAL_BLOCK, JOURNAL_BLOCK) != 0)
		LOG_AT(LOG_WARN, "journal", 0,
		       "the copies of its head at positions 0 and %u differ; one holds",
		       JOURNAL_BLOCK);
	if (!err && ret->block_cnt > *ret_blocks)
		err = -EBADMSG;
	free(heads);
	if (err == -EBADMSG) {
		store_damage(s, rep, "journal", "its head at position 0 is damaged; %s",
			     s->clean_start ? "it is begun anew" : LOST);
		*ret = (struct journal_head){ 0 };
		err = 0;
	}
	return err;
}

/*
 * *ret_blocks: of the ring that the file can hold, 0: none. *ret: the head of the ring that was in
 * use, or zeros. Where the stop was a clean one, nobody needs what is in it.
 */
static int recover_journal(struct store *s, struct store_open_report *rep, uint64_t *ret_blocks,
			   struct journal_head *ret)
{
	struct disk_stat st = { 0 };
	int err = disk_fstat(s->disk, s->lock_fd, &st);

	*ret = (struct journal_head){ 0 };
	*ret_blocks = err ? 0 : journal_block_cnt(st.size);
	if (err)
		return err;
	if (*ret_blocks) {
		err = read_head(s, rep, ret_blocks, ret);
	} else if (st.size) {
		/* The file gets its name when it is whole; before, an empty one is the lock. */
		store_damage(s, rep, "journal", "ends at position %llu; %s",
			     (unsigned long long)st.size,
			     s->clean_start ? "it is begun anew" : LOST);
	} else if (s->ring_seed && !s->clean_start) {
		store_damage(s, rep, "journal", "is missing or empty; %s", LOST);
	}
	if (!err && ret->block_cnt && !journal_is_of(ret, s->ring_seed)) {
		if (!s->clean_start)
			store_damage(s, rep, "journal",
				     "is not the one that was in use: it is not put back, and %s",
				     LOST);
		*ret = (struct journal_head){ 0 };
	}
	s->ring_seed = ret->seed;
	if (!err && !s->clean_start && ret->block_cnt)
		err = read_ring(s, ret, rep);
	return err;
}

/* The ring that is there begins anew; where none is or it has another size, one is to be made. */
static int begin_ring(struct store *s, uint64_t blocks, const struct journal_head *old)
{
	uint64_t wanted = journal_block_cnt(s->config.journal_bytes);
	uint64_t told = s->ring_seed;
	int err = blocks ? ring_begin(s, s->lock_fd, blocks, old) : 0;

	if (err)
		return err;
	if (!s->lock_direct || !wanted) {
		s->ring = RING_NONE;
		if (wanted)
			LOG_AT(LOG_WARN, "journal", 0,
			       "O_DIRECT is refused here: every fsync goes in place");
		else if (s->config.journal_bytes)
			LOG_AT(LOG_WARN, "journal", 0,
			       "journal.bytes is below %u: there is none, and every fsync goes in "
			       "place",
			       JOURNAL_BYTES_MIN);
	} else {
		s->ring = wanted == blocks ? RING_ON : RING_WANTED;
	}
	s->ring_seed = s->ring == RING_ON ? s->journal.seed : 0;
	if (s->ring != RING_ON && blocks)
		journal_fini(&s->journal);
	s->ring_blocks = wanted;
	/* Before it is used: or nobody would miss it. */
	return s->ring_seed == told ? 0 : ckpt_write_now(s);
}

struct foreign {
	unsigned cnt;
	char first[128];
};

static int foreign_name(void *ctx, const char *name)
{
	static const char *const KNOWN[] = { "journal",	       "journal.new",
					     "checkpoint",     "checkpoint.new",
					     "debts",	       "meta.properties",
					     "clean-shutdown", "meta.properties.new",
					     "lost+found",     "clean-shutdown.new" };
	struct foreign *f = ctx;
	size_t len = strlen(name);
	uint32_t partition;

	for (unsigned i = 0; i < ARRAY_CNT(KNOWN); i++)
		if (!strcmp(name, KNOWN[i]))
			return 0;
	if (store_is_partition_dir(name, &partition) ||
	    (len > 5 && !strcmp(name + len - 5, ".gone")))
		return 0;
	if (!f->cnt++)
		snprintf(f->first, sizeof(f->first), "%s", name);
	return 0;
}

static int note_foreign(struct store *s)
{
	struct foreign f = { 0 };
	int err = disk_list(s->disk, ".", foreign_name, &f);

	if (!err && f.cnt)
		LOG_AT(LOG_WARN, "store", 0,
		       "%u foreign names in the data directory are left alone; one is \"%s\"",
		       f.cnt, f.first);
	return err;
}

int store_recover(struct store *s, struct store_open_report *rep)
{
	struct journal_head old;
	uint64_t blocks;
	struct buf marker;
	int err = disk_boot_id(s->disk, s->boot_id);

	buf_init(&marker);
	if (!err)
		err = load_marker(s, &marker, rep);
	s->ckpt_held = rep->fresh;
	if (!err)
		err = load_checkpoint(s, &marker, rep);
	buf_fini(&marker);
	if (!err)
		err = recover_journal(s, rep, &blocks, &old);
	if (!err)
		err = open_debts(s, rep);
	rep->clean = s->clean_start;
	if (err)
		return err;
	s->incarnation++;
	err = ckpt_write_now(s);
	if (!err)
		err = begin_ring(s, blocks, &old);
	if (!err) {
		err = store_put_marker_by(s);
		/* Directories of partitions that a killed process made are synced by this too. */
		if (!err)
			err = disk_sync_dir(s->disk, ".");
	}
	if (!err)
		err = note_foreign(s);
	s->stats.put_back_bytes = rep->put_back_bytes;
	s->stats.damaged = rep->damaged;
	return err;
}

struct settle {
	struct buf names; /* NUL-terminated, one after the other */
	int64_t base;
};

static int settle_name(void *ctx, const char *name)
{
	struct settle *st = ctx;
	size_t len = strlen(name);

	if (len < 25 || name[20] != '.' || strspn(name, "0123456789") != 20)
		return 0;
	if (strcmp(name + 20, ".meta") && strncmp(name + 20, ".data", 5))
		return 0;
	if (strtoll(name, NULL, 10) >= st->base)
		buf_put(&st->names, name, len + 1);
	return 0;
}

int store_settle(struct store *s, const char *dir, const struct checkpoint_entry *e)
{
	struct settle st = { .base = e->flags & CHECKPOINT_HAS_POINT ? e->point.segment_base : 0 };
	char path[SEGMENT_PATH_MAX];
	int err;

	buf_init(&st.names);
	err = disk_list(s->disk, dir, settle_name, &st);
	if (!err)
		err = buf_err(&st.names);
	for (size_t at = 0; !err && at < st.names.len;) {
		const char *name = (const char *)st.names.data + at;
		int fd, close_err;

		snprintf(path, sizeof(path), "%s/%s", dir, name);
		err = disk_open(s->disk, path, DISK_RDONLY, &fd);
		at += strlen(name) + 1;
		if (disk_is_no_file(err)) {
			err = 0;
			continue;
		}
		if (err)
			break;
		err = disk_fsync(s->disk, fd);
		if (!err)
			err = disk_drop(s->disk, fd);
		close_err = disk_close(s->disk, fd);
		if (!err)
			err = close_err;
	}
	if (!err)
		err = disk_sync_dir(s->disk, dir);
	buf_fini(&st.names);
	return err;
}

/*
 * topicfs verify: the files of the data directory that are no segments, and the metadata.
 */
#include "daemon/metalog.h"
#include "daemon/store/checkpoint.h"
#include "daemon/store/journal.h"
#include "daemon/store/texts.h"
#include "daemon/verify.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static bool is_zero(const uint8_t *p, size_t len)
{
	return !len || (!p[0] && !memcmp(p, p + 1, len - 1));
}

/* ---- journal ---- */

static int on_entry(void *ctx, const struct journal_entry *e)
{
	return 0;
}

static int check_ring(struct verify *v, const struct journal_head *h)
{
	size_t len = (size_t)h->block_cnt * JOURNAL_BLOCK;
	uint8_t *ring = malloc(len);
	struct journal_scan scan;
	int r;

	if (!ring)
		return -ENOMEM;
	r = disk_read_full(v->o.lower, v->o.lock_fd, ring, len, JOURNAL_HEAD_LEN);
	if (!r)
		r = journal_scan(ring, h, on_entry, NULL, &scan);
	if (!r && scan.damaged)
		verify_fault(v, "journal", scan.damage_pos,
			     "a block before the last write does not match its checksum");
	free(ring);
	return r;
}

/* The seed of the ring that a stop has left in use; 0: none, or it is not known. */
static int ring_in_use(struct verify *v, uint64_t *ret)
{
	struct checkpoint_head h;
	struct buf b;
	int r;

	*ret = 0;
	if (v->clean)
		return 0;
	buf_init(&b);
	r = offline_read(v->o.lower, "checkpoint", STORE_FILE_MAX, &b);
	if (!r && checkpoint_find(b.data, b.len, &h) >= 0)
		*ret = h.ring_seed;
	buf_fini(&b);
	return r == -ENOENT ? 0 : r;
}

static int check_journal(struct verify *v)
{
	uint8_t heads[JOURNAL_HEAD_LEN], twice[JOURNAL_HEAD_LEN];
	struct disk_stat st = { 0 };
	struct journal_head h, one;
	uint64_t blocks, in_use;
	int r;

	if (v->o.lock_fd < 0) {
		verify_fault(v, "journal", 0, "the file is missing");
		return 0;
	}
	r = ring_in_use(v, &in_use);
	if (!r)
		r = disk_fstat(v->o.lower, v->o.lock_fd, &st);
	blocks = r ? 0 : journal_block_cnt(st.size);
	if (!r && !blocks && st.size)
		verify_fault(v, "journal", st.size, "the file is shorter than any journal");
	else if (!r && !st.size && in_use)
		verify_fault(v, "journal", 0, "the file is empty, but was in use");
	if (r || !blocks)
		return r;
	r = disk_read_full(v->o.lower, v->o.lock_fd, heads, sizeof(heads), 0);
	if (r)
		return r;
	for (unsigned i = 0; i < 2; i++) {
		memcpy(twice, heads + i * JOURNAL_BLOCK, JOURNAL_BLOCK);
		memcpy(twice + JOURNAL_BLOCK, heads + i * JOURNAL_BLOCK, JOURNAL_BLOCK);
		if (journal_get_head(twice, &one))
			verify_fault(v, "journal", i * JOURNAL_BLOCK,
				     "copy %u of the head does not match its checksum", i);
	}
	if (journal_get_head(heads, &h))
		return 0;
	if (h.block_cnt > blocks) {
		verify_fault(v, "journal", st.size, "the file is shorter than its head says");
		return 0;
	}
	if (!journal_is_of(&h, in_use)) {
		verify_fault(v, "journal", 16, "it is not the one that was in use");
		return 0;
	}
	return check_ring(v, &h);
}

/* ---- checkpoint and marker ---- */

static void check_slot(struct verify *v, const uint8_t *slot, size_t len, unsigned idx, bool other)
{
	struct checkpoint_head h;
	static const char SENTENCE[] = "slot %u does not match its checksum";

	if (is_zero(slot, len) || !checkpoint_get_head(slot, len, &h))
		return;
	/* The one that was being written when the process ended. */
	if (!v->clean && other)
		verify_note(v, "checkpoint", "slot %u, at position %zu, was torn off", idx,
			    idx * len);
	else
		verify_fault(v, "checkpoint", idx * len, SENTENCE, idx);
}

static void check_marker(struct verify *v, const struct buf *text, const struct checkpoint_head *h)
{
	struct marker_text m;

	if (texts_get_marker((const char *)text->data, text->len, &m))
		verify_fault(v, "clean-shutdown", 0, "is malformed");
	else if (m.incarnation + 1 == h->incarnation)
		verify_note(v, "clean-shutdown", "the start after it was broken off");
	else if (m.incarnation != h->incarnation || memcmp(m.boot_id, h->boot_id, 16) != 0)
		verify_fault(v, "clean-shutdown", strlen("incarnation="),
			     "is not of the life that wrote the checkpoint");
}

static int check_checkpoint(struct verify *v)
{
	struct checkpoint_head h, other;
	struct buf b, marker;
	size_t half;
	int slot, r;

	buf_init(&b);
	buf_init(&marker);
	r = verify_read(v, v->o.lower, "checkpoint", STORE_FILE_MAX, &b);
	if (r == -ENOENT) {
		verify_fault(v, "checkpoint", 0, "the file is missing");
		r = 0;
		goto out;
	}
	if (r)
		goto out;
	half = b.len / 2;
	if (b.len && !checkpoint_is_whole(b.len))
		verify_fault(v, "checkpoint", b.len, "the file is not as long as two slots");
	for (unsigned i = 0; i < 2; i++)
		check_slot(v, b.data + i * half, half, i,
			   !checkpoint_get_head(b.data + (1 - i) * half, half, &other));
	slot = checkpoint_find(b.data, b.len, &h);
	if (slot < 0 && is_zero(b.data, b.len))
		verify_fault(v, "checkpoint", 0, "is empty");
	r = verify_read(v, v->o.lower, "clean-shutdown", 4096, &marker);
	if (!r && slot >= 0)
		check_marker(v, &marker, &h);
	r = r == -ENOENT ? 0 : r;
out:
	buf_fini(&b);
	buf_fini(&marker);
	return r == -EBADF ? 0 : r;
}

/* ---- debts ---- */

static int check_debts(struct verify *v)
{
	const size_t len = DEBT_SLOT_LEN / 2;
	uint8_t slot[DEBT_SLOT_LEN];
	struct debt got[2];
	struct buf b;
	int r;

	buf_init(&b);
	r = verify_read(v, v->o.lower, "debts", STORE_FILE_MAX, &b);
	if (!r && b.len < DEBT_FILE_LEN && v->clean)
		verify_fault(v, "debts", b.len, "the file is shorter than %u bytes", DEBT_FILE_LEN);
	else if (r == -ENOENT && v->clean)
		verify_note(v, "debts", "is missing; the next start makes it");
	else if (r == -ENOENT || (!r && b.len < DEBT_FILE_LEN))
		/* No fault: where there was no room for it that is all there ever was. */
		verify_note(v, "debts",
			    "ends at position %zu: what it vouched for behind that is lost", b.len);
	else if (!r && b.len > DEBT_FILE_LEN)
		verify_note(v, "debts", "what stands behind position %u is nobody's",
			    DEBT_FILE_LEN);
	for (size_t pos = 0; !r && pos + len <= b.len; pos += len) {
		if (debt_is_blank(b.data + pos))
			continue;
		memset(slot, 0, sizeof(slot));
		memcpy(slot, b.data + pos, len);
		if (debt_load(slot, got))
			continue;
		if (v->clean)
			verify_fault(v, "debts", pos, "a copy does not match its checksum");
		else
			verify_note(v, "debts", "the copy at position %zu was torn off", pos);
	}
	buf_fini(&b);
	return r == -ENOENT || r == -EBADF ? 0 : r;
}

/* ---- meta.properties ---- */

static int check_properties(struct verify *v)
{
	struct meta_text m;
	struct buf b;
	size_t pos;
	int r;

	if (v->o.bad_properties)
		return 0;
	buf_init(&b);
	r = verify_read(v, v->o.lower, "meta.properties", 4096, &b);
	if (!r && texts_get_meta((const char *)b.data, b.len, &m, &pos))
		verify_fault(v, "meta.properties", pos, "this line is missing or malformed");
	buf_fini(&b);
	return r == -EBADF ? 0 : r;
}

int verify_files(struct verify *v)
{
	int r = check_properties(v);

	if (!r)
		r = check_journal(v);
	if (!r)
		r = check_checkpoint(v);
	return r ? r : check_debts(v);
}

/* ---- metadata ---- */

static int on_snapshot(void *ctx, const char *name)
{
	struct verify *v = ctx;
	char path[TOPIC_DIR_MAX + 64];
	const char *dot = strrchr(name, '.');
	struct metadata *md;
	struct buf b;
	int r;

	if (!dot || strcmp(dot, ".checkpoint") != 0 || strspn(name, "0123456789") != 20)
		return 0;
	snprintf(path, sizeof(path), "%s-0/%.60s", METALOG_TOPIC, name);
	buf_init(&b);
	r = verify_read(v, v->o.disk, path, STORE_FILE_MAX, &b);
	if (!r) {
		r = metadata_decode(b.data, b.len, &md);
		if (!r) {
			if (!v->o.bad_properties &&
			    memcmp(metadata_cluster_id(md), store_cluster_id(v->o.store), 16) != 0)
				verify_fault(v, "meta.properties", 0,
					     "the cluster id is another than that of %s", path);
			metadata_free(md);
		} else if (r != -ENOMEM) {
			verify_fault(v, path, 0, "the snapshot %s",
				     r == -EPROTONOSUPPORT ? "is of a newer version"
							   : "does not match its checksum");
			r = 0;
		}
	}
	buf_fini(&b);
	return r == -EBADF ? 0 : r;
}

static void on_applied(void *ctx, const struct metadata_result *res, uint64_t token)
{
}

static bool is_metalog(const uint8_t id[16])
{
	return !memcmp(id, metalog_topic_id, 16);
}

/* Partitions that the checkpoint knows, that belong to a topic, and that are not there. */
static int check_missing(struct verify *v, const struct metadata *md,
			 const struct offline_dir *dirs, size_t cnt)
{
	struct checkpoint_head h;
	struct buf b;
	int slot, r;

	buf_init(&b);
	r = offline_read(v->o.lower, "checkpoint", STORE_FILE_MAX, &b);
	slot = r ? r : checkpoint_find(b.data, b.len, &h);
	for (uint32_t i = 0; slot >= 0 && i < h.cnt; i++) {
		const struct metadata_topic *t;
		struct checkpoint_entry e;
		char name[TOPIC_DIR_MAX];
		size_t d = 0;

		checkpoint_get(b.data + (size_t)slot * (b.len / 2), i, &e);
		t = metadata_find_topic_id(md, e.topic_id);
		if ((!t && !is_metalog(e.topic_id)) || e.point.next_offset <= 0)
			continue;
		while (d < cnt && (dirs[d].partition != e.partition || !dirs[d].has_id ||
				   memcmp(dirs[d].topic_id, e.topic_id, 16) != 0))
			d++;
		if (d < cnt)
			continue;
		snprintf(name, sizeof(name), "%s-%u", t ? t->name : METALOG_TOPIC, e.partition);
		verify_fault(v, name, 0,
			     "the directory is missing; the checkpoint says that the log ends at "
			     "offset %lld",
			     (long long)e.point.next_offset);
	}
	buf_fini(&b);
	return r == -ENOENT ? 0 : r;
}

static void check_topics(struct verify *v, const struct metadata *md,
			 const struct offline_dir *dirs, size_t cnt)
{
	const uint8_t *directory_id = store_directory_id(v->o.store);
	const struct metadata_broker *broker;
	uint32_t i = 0;

	for (size_t d = 0; d < cnt; d++)
		if (dirs[d].has_id && !is_metalog(dirs[d].topic_id) &&
		    !metadata_find_topic_id(md, dirs[d].topic_id))
			verify_note(v, dirs[d].name,
				    "belongs to no topic; the next start removes it");
	while ((broker = metadata_broker_at(md, i)) &&
	       memcmp(broker->directory_id, directory_id, 16) != 0)
		i++;
	if (i && !broker && !v->o.bad_properties)
		verify_fault(v, "meta.properties", 0,
			     "the directory id is that of no broker in the metadata");
}

int verify_name_dir(struct verify *v, struct offline_dir *d)
{
	const struct metadata_topic *t;
	char sentence[SENTENCE_MAX];
	struct metalog *m;
	int r = metalog_open(v->o.store, on_applied, NULL, &m, sentence);

	if (r)
		return r == -ENOMEM ? r : 0;
	t = metadata_find_topic(metalog_state(m), d->topic);
	if (t && d->partition < t->partition_cnt) {
		memcpy(d->topic_id, t->id, 16);
		d->has_id = true;
	}
	metalog_free(m);
	return 0;
}

int verify_metadata(struct verify *v, const struct offline_dir *dirs, size_t cnt)
{
	char sentence[SENTENCE_MAX];
	struct metalog *m;
	int r = disk_list(v->o.disk, METALOG_TOPIC "-0", on_snapshot, v);

	if (r && r != -ENOENT)
		return r;
	r = metalog_open(v->o.store, on_applied, NULL, &m, sentence);
	if (r == -ENOMEM)
		return r;
	if (r) {
		/* Damage has been told already, where it is. */
		if (!v->faults || r != -EIO)
			verify_fault(v, METALOG_TOPIC "-0", 0, "%s", sentence);
		return 0;
	}
	check_topics(v, metalog_state(m), dirs, cnt);
	r = check_missing(v, metalog_state(m), dirs, cnt);
	metalog_free(m);
	return r;
}

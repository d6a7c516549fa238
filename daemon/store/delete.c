/*
 * Deleting partitions: the directory is renamed at once, and its files go bit by bit (upkeep.c).
 */
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>

/* Takes a partition out of use. Those who wait for its fsync are told that it is gone. */
static void part_delete(struct store *s, struct part *part)
{
	struct list *heads[2] = { &part->carried, &part->next };

	for (unsigned i = 0; i < 2; i++)
		LIST_FOREACH_SAFE(node, tmp, heads[i]) {
			LIST_ENTRY(node, struct store_note, link)->err = -ESTALE;
			list_remove(node);
			list_put(&s->notes, node);
		}
	store_part_unlink(s, part);
	part->deleted = true;
	if (part->fsync != F_WRITE)
		list_remove(&part->fsync_link);
	/* One that waits for a free request ends when it gets its turn. */
	if (!part->syncing)
		list_remove(&part->sync_link);
	list_remove(&part->ring_link);
	list_remove(&part->dirty_link);
	list_remove(&part->unsynced_link);
	list_remove(&part->raise_link);
	part->raise = R_NONE;
	clean_deleted(s, part);
	s->dirty_total -= part->dirty_bytes;
	if (part->plog)
		list_remove(&part->plog->debt_link);
	store_debts_give_back(s, part);
	list_put(&s->gone, &part->all);
}

static int dir_rename_gone(struct store *s, const char *dir, const uint8_t topic_id[16],
			   uint32_t partition)
{
	char gone[TOPIC_DIR_MAX + 32], hex[33];
	int err;

	store_hex(topic_id, hex);
	/* Eight digits of the id: the name must fit into NAME_MAX, however long the topic's is. */
	hex[8] = '\0';
	snprintf(gone, sizeof(gone), "%.220s.%s-%u.gone", dir, hex, partition);
	err = disk_rename(s->disk, dir, gone);
	if (!err)
		s->gone_wanted = true;
	return err == -ENOENT ? 0 : err;
}

/* A directory of this deleted topic keeps its name. */
static void put_unswept(struct store *s, const uint8_t topic_id[16])
{
	struct buf *ids = &s->unswept;

	if (ids->len && !memcmp(ids->data + ids->len - 16, topic_id, 16))
		return;
	buf_put(ids, topic_id, 16);
	if (buf_err(ids))
		LOG_AT(LOG_WARN, "delete", -ENOMEM, "what stays is removed at the next start");
}

int store_move_deleted(struct store *s, const char *dir, const uint8_t topic_id[16],
		       uint32_t partition)
{
	for (size_t at = 0; at < s->unswept.len; at += 16)
		if (!memcmp(s->unswept.data + at, topic_id, 16))
			return dir_rename_gone(s, dir, topic_id, partition);
	return -ESTALE;
}

int store_delete(struct store *s, const char *topic, const uint8_t topic_id[16], uint32_t partition)
{
	struct part *part = store_part_find(s, topic_id, partition);
	char dir[TOPIC_DIR_MAX];
	uint8_t id[16];
	int err = 0;

	if (snprintf(dir, sizeof(dir), "%s-%u", topic, partition) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	err = store_get_partition_id(s, dir, id);
	/* One that is open was looked at then; a full disk may have kept it from being told. */
	if (err == -ENOENT && part && part->plog)
		err = dir_rename_gone(s, dir, topic_id, partition);
	else if (err == -ENOENT)
		err = 0;
	else if (!err && !memcmp(id, topic_id, 16))
		err = dir_rename_gone(s, dir, topic_id, partition);
	/* Nobody asks for it again: whoever makes the topic anew moves what stays, or a start. */
	if (err)
		put_unswept(s, topic_id);
	if (part)
		part_delete(s, part);
	gone_step(s);
	return err;
}

struct sweep {
	struct store *s;
	store_known_fn *known;
	void *ctx;
};

static int sweep_name(void *ctx, const char *name)
{
	struct sweep *sw = ctx;
	uint8_t id[16];
	uint32_t partition;
	size_t len = strlen(name);
	int err;

	if (len > 5 && !strcmp(name + len - 5, ".gone")) {
		sw->s->gone_ready = true;
		return 0;
	}
	if (!store_is_partition_dir(name, &partition))
		return 0;
	err = store_get_partition_id(sw->s, name, id);
	if (err || sw->known(sw->ctx, id, partition))
		return err == -ENOENT || err == -ENOTDIR ? 0 : err;
	err = dir_rename_gone(sw->s, name, id, partition);
	/* A full disk keeps nobody from starting. */
	if (disk_is_full(err)) {
		LOG_AT(LOG_WARN, name, err, "a deleted topic's: it is removed at a later start");
		put_unswept(sw->s, id);
		err = 0;
	}
	return err;
}

int store_sweep(struct store *s, store_known_fn *known, void *ctx)
{
	struct sweep sw = { s, known, ctx };
	int err = disk_list(s->disk, ".", sweep_name, &sw);

	LIST_FOREACH_SAFE(node, tmp, &s->parts) {
		struct part *part = LIST_ENTRY(node, struct part, all);

		if (!part->plog && !known(ctx, part->e.topic_id, part->e.partition))
			part_delete(s, part);
	}
	gone_step(s);
	return err;
}

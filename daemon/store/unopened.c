/*
 * What is known of logs that are not open. Opening thousands of them would keep everybody waiting,
 * after an unclean stop for the device, too.
 */
#include "daemon/store/segment.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>

bool store_was_closed(struct store *s, const uint8_t topic_id[16], uint32_t partition)
{
	struct part *part = store_part_find(s, topic_id, partition);

	return s->clean_start && part && part->exact;
}

int store_has(struct store *s, const char *topic, const uint8_t topic_id[16], uint32_t partition,
	      bool *ret)
{
	char dir[TOPIC_DIR_MAX];
	uint8_t id[16];
	int err;

	if (store_plog_opened(s, topic_id, partition)) {
		*ret = true;
		return 0;
	}
	if (snprintf(dir, sizeof(dir), "%s-%u", topic, partition) >= (int)sizeof(dir))
		return -ENAMETOOLONG;
	err = store_get_partition_id(s, dir, id);
	if (err && err != -ENOENT)
		return err;
	*ret = !err && !memcmp(id, topic_id, 16);
	return 0;
}

bool store_expects(const struct store *s, const uint8_t topic_id[16], uint32_t partition)
{
	const struct part *part = store_part_find(s, topic_id, partition);

	return part && part->e.point.next_offset > 0;
}

#define MISSING (-1)

/* Whether a file of the segment is that long. */
static bool has_length(struct store *s, const char *dir, int64_t base, const char *suffix,
		       int64_t len)
{
	char path[SEGMENT_PATH_MAX];
	struct disk_stat st = { 0 };
	int r;

	snprintf(path, sizeof(path), "%s/%020lld.%s", dir, (long long)base, suffix);
	r = disk_stat(s->disk, path, &st);
	return len == MISSING ? r == -ENOENT : !r && st.size == (uint64_t)len;
}

/*
 * After an unclean stop: nothing was written behind the point. Whatever is, also an owed line, is
 * bytes behind it in the files of its segment, or a segment that begins there.
 */
static bool ends_at_point(struct store *s, const char *topic, const struct checkpoint_entry *e)
{
	const struct plog_point *at = &e->point;
	char dir[TOPIC_DIR_MAX];

	if (snprintf(dir, sizeof(dir), "%s-%u", topic, e->partition) >= (int)sizeof(dir))
		return false;
	if (at->segment_base >= 0 &&
	    !(has_length(s, dir, at->segment_base, "meta", (int64_t)at->meta_len) &&
	      has_length(s, dir, at->segment_base, "data", (int64_t)at->data_len)))
		return false;
	return at->segment_base == at->next_offset ||
	       (has_length(s, dir, at->next_offset, "meta", MISSING) &&
		has_length(s, dir, at->next_offset, "data", MISSING));
}

bool store_ends(struct store *s, const char *topic, const uint8_t topic_id[16], uint32_t partition,
		int64_t *ret_start, int64_t *ret_end)
{
	const struct part *part = store_part_find(s, topic_id, partition);
	const struct checkpoint_entry *e = part ? &part->e : NULL;
	bool is_there = true;

	if (part && part->plog)
		return false;
	if (!e || !(e->flags & CHECKPOINT_HAS_POINT || e->start_offset)) {
		*ret_start = *ret_end = 0;
		return !store_has(s, topic, topic_id, partition, &is_there) && !is_there;
	}
	if (!(e->flags & CHECKPOINT_HAS_POINT))
		return false;
	if (!(s->clean_start && part->exact) && !ends_at_point(s, topic, e))
		return false;
	*ret_start = e->start_offset;
	*ret_end = MAX(e->point.next_offset, e->start_offset);
	return true;
}

/*
 * Small files of the data directory: written whole, renamed into place.
 *
 * Their bytes are those of texts.h. While the broker runs, clean-shutdown stands by as
 * clean-shutdown.new, so that a stop needs no room on the disk. partition.metadata is not synced by
 * itself; the heads of segments are what counts.
 */
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"
#include "daemon/store/texts.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define MARKER "clean-shutdown"
#define MARKER_NEW "clean-shutdown.new"

void store_hex(const uint8_t id[16], char ret[33])
{
	for (unsigned i = 0; i < 16; i++)
		snprintf(ret + 2 * i, 3, "%02x", id[i]);
}

int store_read_file(struct store *s, const char *path, struct buf *b)
{
	struct disk_stat st = { 0 };
	int fd, err = disk_open(s->disk, path, DISK_RDONLY, &fd);
	int close_err;

	if (err)
		return err;
	err = disk_fstat(s->disk, fd, &st);
	if (!err && st.is_dir)
		err = -EIO;
	if (!err && st.size > STORE_FILE_MAX) {
		LOG_AT(LOG_ERROR, path, 0, "is longer than any file of its kind: %llu bytes",
		       (unsigned long long)st.size);
		err = -EIO;
	}
	buf_reset(b);
	if (!err)
		err = buf_reserve(b, st.size + 1);
	if (!err)
		err = disk_read_full(s->disk, fd, b->data, st.size, 0);
	if (!err) {
		b->len = st.size;
		b->data[b->len] = '\0';
	}
	close_err = disk_close(s->disk, fd);
	if (err == -EBADMSG)
		err = -EIO;
	return err ? err : close_err;
}

static int write_and_sync(struct store *s, const char *path, const void *data, size_t len,
			  bool sync)
{
	int fd, err = disk_open(s->disk, path, DISK_CREATE, &fd);
	int close_err;

	if (disk_is_no_file(err) && !disk_set_aside(s->disk, path))
		err = disk_open(s->disk, path, DISK_CREATE, &fd);
	if (err)
		return err;
	err = disk_truncate(s->disk, fd, 0);
	if (!err && len)
		err = disk_write(s->disk, fd, data, len, 0);
	if (!err && sync)
		err = disk_fsync(s->disk, fd);
	close_err = disk_close(s->disk, fd);
	return err ? err : close_err;
}

int store_write_file(struct store *s, const char *path, const void *data, size_t len)
{
	char tmp[SEGMENT_PATH_MAX], dir[SEGMENT_PATH_MAX];
	int n = snprintf(tmp, sizeof(tmp), "%s.new", path);
	char *slash;
	int err;

	if (n < 0 || (size_t)n >= sizeof(tmp))
		return -ENAMETOOLONG;
	memcpy(dir, path, strlen(path) + 1);
	slash = strrchr(dir, '/');
	if (slash)
		*slash = '\0';
	else
		memcpy(dir, ".", 2);
	err = write_and_sync(s, tmp, data, len, true);
	if (!err)
		err = disk_rename(s->disk, tmp, path);
	if (!err)
		return disk_sync_dir(s->disk, dir);
	if (disk_unlink(s->disk, tmp))
		return err;
	return err;
}

static int parse_meta(struct store *s, const struct buf *b, struct store_open_report *rep)
{
	struct meta_text m;
	size_t pos;
	int err = texts_get_meta((const char *)b->data, b->len, &m, &pos);

	if (err == -EPROTONOSUPPORT)
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "the data directory has format version %u, and this topicfs knows %d: it "
			 "is left untouched; use the topicfs that wrote it, or a newer one",
			 m.version, STORE_FORMAT_VERSION);
	else if (err)
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "meta.properties is damaged at position %zu: version, cluster.id, "
			 "directory.id or the checksum of these lines does not hold",
			 pos);
	if (err)
		return err;
	memcpy(s->cluster_id, m.cluster_id, 16);
	memcpy(s->directory_id, m.directory_id, 16);
	return 0;
}

int store_read_meta(struct store *s, bool *ret_found, struct store_open_report *rep)
{
	struct buf b;
	int err;

	buf_init(&b);
	err = store_read_file(s, "meta.properties", &b);
	*ret_found = !err;
	if (!err)
		err = parse_meta(s, &b, rep);
	else if (err == -ENOENT)
		err = 0;
	else
		snprintf(rep->sentence, sizeof(rep->sentence), "meta.properties cannot be read");
	buf_fini(&b);
	return err;
}

int store_write_meta(struct store *s)
{
	char text[TEXTS_MAX];
	struct meta_text m;

	memcpy(m.cluster_id, s->cluster_id, 16);
	memcpy(m.directory_id, s->directory_id, 16);
	return store_write_file(s, "meta.properties", text, texts_put_meta(&m, text));
}

static size_t marker_text(const struct store *s, uint64_t incarnation, char ret[TEXTS_MAX])
{
	struct marker_text m = { .incarnation = incarnation };

	memcpy(m.boot_id, s->boot_id, 16);
	return texts_put_marker(&m, ret);
}

/* What the stop is going to write into has to be a file. -ENOENT: there is none. */
static int check_marker_new(struct store *s)
{
	int fd, err = disk_open(s->disk, MARKER_NEW, 0, &fd);

	if (disk_is_no_file(err))
		err = disk_set_aside(s->disk, MARKER_NEW) ? err : -ENOENT;
	return err ? err : disk_close(s->disk, fd);
}

int store_put_marker_by(struct store *s)
{
	struct disk_stat st = { 0 };
	char text[TEXTS_MAX];
	int err = disk_stat(s->disk, MARKER, &st);

	if (!err) {
		/* Were both names of one file, the rename would leave both. */
		err = disk_unlink(s->disk, MARKER_NEW);
		if (err == -EISDIR)
			err = disk_set_aside(s->disk, MARKER_NEW);
		if (err && err != -ENOENT)
			return err;
		err = disk_rename(s->disk, MARKER, MARKER_NEW);
		/* No room for the name: the place is given up, and the stop tries again. */
		return disk_is_full(err) ? disk_unlink(s->disk, MARKER) : err;
	}
	if (err == -ENOENT)
		err = check_marker_new(s);
	if (err != -ENOENT)
		return err;
	/* Of no life. Where there is no room, the stop tries again. */
	err = write_and_sync(s, MARKER_NEW, text, marker_text(s, 0, text), false);
	return disk_is_full(err) ? 0 : err;
}

int store_write_marker(struct store *s)
{
	char text[TEXTS_MAX];
	size_t n = marker_text(s, s->incarnation, text);
	int close_err, fd, err = disk_open(s->disk, MARKER_NEW, DISK_CREATE, &fd);

	if (err)
		return err;
	/* Not emptied before: its block is what a full disk has no other of. */
	err = disk_write(s->disk, fd, text, n, 0);
	if (!err)
		err = disk_truncate(s->disk, fd, n);
	if (!err)
		err = disk_fsync(s->disk, fd);
	close_err = disk_close(s->disk, fd);
	if (!err)
		err = close_err;
	if (!err)
		err = disk_rename(s->disk, MARKER_NEW, MARKER);
	return err ? err : disk_sync_dir(s->disk, ".");
}

int store_read_marker(struct store *s, bool *ret_found, struct buf *ret)
{
	int err = store_read_file(s, MARKER, ret);

	/* It vouches for nothing, and a stop needs its place. */
	if (disk_is_no_file(err))
		err = disk_set_aside(s->disk, MARKER) ? err : -ENOENT;
	*ret_found = !err;
	return err == -ENOENT ? 0 : err;
}

bool store_marker_fits(const struct buf *marker, uint64_t incarnation, const uint8_t boot_id[16])
{
	struct marker_text m;

	return !texts_get_marker((const char *)marker->data, marker->len, &m) &&
	       m.incarnation == incarnation && !memcmp(m.boot_id, boot_id, 16);
}

bool store_is_partition_dir(const char *name, uint32_t *ret_partition)
{
	char topic[TOPIC_NAME_MAX + 1];

	return texts_get_dir(name, topic, ret_partition);
}

static int partition_name(void *ctx, const char *name)
{
	uint32_t partition;

	return store_is_partition_dir(name, &partition);
}

int store_has_partitions(struct store *s)
{
	return disk_list(s->disk, ".", partition_name, NULL);
}

static void partition_id_path(const char *dir, char ret[SEGMENT_PATH_MAX])
{
	snprintf(ret, SEGMENT_PATH_MAX, "%s/partition.metadata", dir);
}

int store_put_partition_id(struct store *s, const char *dir, const uint8_t id[16])
{
	char path[SEGMENT_PATH_MAX], text[TEXTS_MAX];

	partition_id_path(dir, path);
	return write_and_sync(s, path, text, texts_put_partition(id, text), false);
}

int store_mend_partition_id(struct store *s, const char *dir, const uint8_t id[16])
{
	char path[SEGMENT_PATH_MAX];
	uint8_t got[16];
	struct buf b;
	bool same, is_unread;
	int err;

	partition_id_path(dir, path);
	buf_init(&b);
	err = store_read_file(s, path, &b);
	same = !err && !texts_get_partition((const char *)b.data, b.len, got) &&
	       !memcmp(got, id, 16);
	buf_fini(&b);
	if (same || (err && err != -EIO && !store_is_missing(err)))
		return err;
	is_unread = err == -EIO;
	LOG_AT(LOG_WARN, path, 0, "%s: written anew from the id of the topic",
	       is_unread ? "the device does not give it"
	       : err	 ? "missing"
			 : "damaged at position 0");
	if (!store_put_partition_id(s, dir, id))
		return 0;
	/* Without it the heads of segments tell; a full disk must not keep the log from readers. */
	err = disk_unlink(s->disk, path);
	return is_unread || err == -ENOENT || err == -EISDIR ? 0 : err;
}

static int first_meta(void *ctx, const char *name)
{
	char *first = ctx;
	size_t len = strlen(name);

	if (len == 25 && !strcmp(name + 20, ".meta") && (!*first || strcmp(name, first) < 0))
		memcpy(first, name, len + 1);
	return 0;
}

static int id_of_segments(struct store *s, const char *dir, uint8_t ret[16])
{
	char first[32] = "", path[SEGMENT_PATH_MAX];
	uint8_t head[FORMAT_HEAD_LEN];
	struct segment_head h;
	int fd, close_err, err = disk_list(s->disk, dir, first_meta, first);

	/* What is no directory, or a link to none, is nobody's. */
	if (err)
		return err == -ENOTDIR || err == -ELOOP ? -ENOENT : err;
	if (!*first)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", dir, first);
	err = disk_open(s->disk, path, DISK_RDONLY, &fd);
	if (err)
		return store_is_missing(err) ? -ENOENT : err;
	err = disk_read_full(s->disk, fd, head, sizeof(head), 0);
	if (!err)
		err = format_get_head(head, sizeof(head), &h);
	if (!err)
		memcpy(ret, h.topic_id, 16);
	close_err = disk_close(s->disk, fd);
	if (err == -EBADMSG || err == -EPROTONOSUPPORT)
		return -ENOENT;
	return err ? err : close_err;
}

int store_get_partition_id(struct store *s, const char *dir, uint8_t ret[16])
{
	char path[SEGMENT_PATH_MAX];
	struct buf b;
	int err = id_of_segments(s, dir, ret);

	if (err != -ENOENT)
		return err;
	buf_init(&b);
	partition_id_path(dir, path);
	err = store_read_file(s, path, &b);
	/* What the device does not give is damage as any other. */
	if (store_is_missing(err) || err == -ENOTDIR || err == -EIO ||
	    (!err && texts_get_partition((const char *)b.data, b.len, ret)))
		err = -ENOENT;
	buf_fini(&b);
	return err;
}

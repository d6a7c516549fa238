/*
 * Small files of the data directory: written whole, renamed into place.
 *
 * meta.properties is Kafka's file of that name:
 *
 *   version=1
 *   cluster.id=…          22 characters of base64url without padding, as Kafka writes ids
 *   directory.id=…
 *   checksum=…            XXH3-64 of the lines above, 16 hexadecimal digits; early files have none
 *
 * clean-shutdown: "incarnation=N\nboot.id=HEX\n". While the broker runs it stands by as
 * clean-shutdown.new, so that a stop needs no room on the disk. TOPIC-PARTITION/partition.metadata
 * is Kafka's too: "version: 0\ntopic_id: BASE64URL\n"; it is not synced by itself, the heads of
 * segments are what counts.
 */
#include "daemon/base/hash.h"
#include "daemon/base/log.h"
#include "daemon/store/store_impl.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#define STORE_FILE_MAX (64U * MIB)

#define MARKER "clean-shutdown"
#define MARKER_NEW "clean-shutdown.new"

static const char BASE64URL[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

static void id_encode(const uint8_t id[16], char ret[23])
{
	uint32_t acc = 0;
	unsigned bits = 0, n = 0;

	for (unsigned i = 0; i < 16; i++) {
		acc = acc << 8 | id[i];
		for (bits += 8; bits >= 6; bits -= 6)
			ret[n++] = BASE64URL[acc >> (bits - 6) & 63];
	}
	ret[n++] = BASE64URL[acc << (6 - bits) & 63];
	ret[n] = '\0';
	POST(n == 22);
}

static int id_decode(const char *text, size_t len, uint8_t ret[16])
{
	uint8_t id[16];
	uint32_t acc = 0;
	unsigned bits = 0, n = 0;

	if (len != 22)
		return -EBADMSG;
	for (size_t i = 0; i < len; i++) {
		const char *at = text[i] ? strchr(BASE64URL, text[i]) : NULL;

		if (!at)
			return -EBADMSG;
		acc = acc << 6 | (uint32_t)(at - BASE64URL);
		bits += 6;
		if (bits >= 8) {
			bits -= 8;
			id[n++] = (uint8_t)(acc >> bits);
		}
	}
	memcpy(ret, id, 16);
	return 0;
}

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
	if (!err && (st.is_dir || st.size > STORE_FILE_MAX))
		err = -EIO;
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

/* The value of "name=" (or "name: ") at a line's begin; NULL: there is none. */
static const char *property(const char *text, const char *name, size_t *ret_len)
{
	size_t len = strlen(name);

	for (const char *line = text; line && *line;) {
		const char *end = strchr(line, '\n');

		if (!strncmp(line, name, len)) {
			*ret_len = end ? (size_t)(end - line) - len : strlen(line + len);
			return line + len;
		}
		line = end ? end + 1 : NULL;
	}
	return NULL;
}

/* Whether what follows the first three lines is nothing, or the checksum of them. */
static bool meta_sum_fits(const char *text)
{
	const char *end = text;
	char want[32];

	for (unsigned i = 0; i < 3; i++) {
		end = strchr(end, '\n');
		if (!end++)
			return false;
	}
	snprintf(want, sizeof(want), "checksum=%016llx\n",
		 (unsigned long long)hash_xxh3(text, (size_t)(end - text)));
	return !*end || !strcmp(end, want);
}

static int parse_meta(struct store *s, const char *text, struct store_open_report *rep)
{
	size_t version_len, cluster_len, directory_len;
	const char *version = property(text, "version=", &version_len);
	const char *cluster = property(text, "cluster.id=", &cluster_len);
	const char *directory = property(text, "directory.id=", &directory_len);
	long n = version ? strtol(version, NULL, 10) : 0;

	if (n > STORE_FORMAT_VERSION) {
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "the data directory has format version %ld, and this topicfs knows %d: it "
			 "is "
			 "left untouched; use the topicfs that wrote it, or a newer one",
			 n, STORE_FORMAT_VERSION);
		return -EPROTONOSUPPORT;
	}
	if (n < 1 || !cluster || !directory || id_decode(cluster, cluster_len, s->cluster_id) ||
	    id_decode(directory, directory_len, s->directory_id)) {
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "meta.properties is damaged: version, cluster.id or directory.id is "
			 "missing or malformed");
		return -EBADMSG;
	}
	if (!meta_sum_fits(text)) {
		snprintf(rep->sentence, sizeof(rep->sentence),
			 "meta.properties is damaged: its lines do not fit their checksum");
		return -EBADMSG;
	}
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
		err = parse_meta(s, (const char *)b.data, rep);
	else if (err == -ENOENT)
		err = 0;
	else
		snprintf(rep->sentence, sizeof(rep->sentence), "meta.properties cannot be read");
	buf_fini(&b);
	return err;
}

int store_write_meta(struct store *s)
{
	char text[160], cluster[23], directory[23];
	int n;

	id_encode(s->cluster_id, cluster);
	id_encode(s->directory_id, directory);
	n = snprintf(text, sizeof(text), "version=%d\ncluster.id=%s\ndirectory.id=%s\n",
		     STORE_FORMAT_VERSION, cluster, directory);
	n += snprintf(text + n, sizeof(text) - (size_t)n, "checksum=%016llx\n",
		      (unsigned long long)hash_xxh3(text, (size_t)n));
	return store_write_file(s, "meta.properties", text, (size_t)n);
}

static int marker_text(const uint8_t boot_id[16], uint64_t incarnation, char ret[96])
{
	char boot[33];

	store_hex(boot_id, boot);
	return snprintf(ret, 96, "incarnation=%llu\nboot.id=%s\n", (unsigned long long)incarnation,
			boot);
}

int store_put_marker_by(struct store *s)
{
	struct disk_stat st = { 0 };
	char text[96];
	int err = disk_stat(s->disk, MARKER, &st);

	if (!err) {
		/* Were both names of one file, the rename would leave both. */
		err = disk_unlink(s->disk, MARKER_NEW);
		return err && err != -ENOENT ? err : disk_rename(s->disk, MARKER, MARKER_NEW);
	}
	if (err == -ENOENT)
		err = disk_stat(s->disk, MARKER_NEW, &st);
	if (err != -ENOENT)
		return err;
	/* Of no life. Where there is no room, the stop tries again. */
	err = write_and_sync(s, MARKER_NEW, text, (size_t)marker_text(s->boot_id, 0, text), false);
	return err == -ENOSPC ? 0 : err;
}

int store_write_marker(struct store *s)
{
	char text[96];
	int n = marker_text(s->boot_id, s->incarnation, text), close_err;
	int fd, err = disk_open(s->disk, MARKER_NEW, DISK_CREATE, &fd);

	if (err)
		return err;
	/* Not emptied before: its block is what a full disk has no other of. */
	err = disk_write(s->disk, fd, text, (size_t)n, 0);
	if (!err)
		err = disk_truncate(s->disk, fd, (uint64_t)n);
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

	*ret_found = !err;
	return err == -ENOENT ? 0 : err;
}

bool store_marker_fits(const struct buf *marker, uint64_t incarnation, const uint8_t boot_id[16])
{
	char text[96];
	int n = marker_text(boot_id, incarnation, text);

	return marker->len == (size_t)n && !memcmp(marker->data, text, marker->len);
}

bool store_is_partition_dir(const char *name, uint32_t *ret_partition)
{
	const char *dash = strrchr(name, '-');
	char *end;
	unsigned long n;

	if (!dash || dash == name || dash[1] < '0' || dash[1] > '9' ||
	    (dash[1] == '0' && dash[2]) || dash - name > TOPIC_NAME_MAX)
		return false;
	n = strtoul(dash + 1, &end, 10);
	if (*end || n >= PARTITION_CNT_MAX)
		return false;
	*ret_partition = (uint32_t)n;
	return true;
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

static int partition_id_text(const char *dir, const uint8_t id[16], char path[SEGMENT_PATH_MAX],
			     char text[64])
{
	char id_text[23];

	id_encode(id, id_text);
	snprintf(path, SEGMENT_PATH_MAX, "%s/partition.metadata", dir);
	return snprintf(text, 64, "version: 0\ntopic_id: %s\n", id_text);
}

int store_put_partition_id(struct store *s, const char *dir, const uint8_t id[16])
{
	char path[SEGMENT_PATH_MAX], text[64];
	int n = partition_id_text(dir, id, path, text);

	return write_and_sync(s, path, text, (size_t)n, false);
}

int store_mend_partition_id(struct store *s, const char *dir, const uint8_t id[16])
{
	char path[SEGMENT_PATH_MAX], text[64];
	int n = partition_id_text(dir, id, path, text), err;
	struct buf b;
	bool same;

	buf_init(&b);
	err = store_read_file(s, path, &b);
	same = !err && b.len == (size_t)n && !memcmp(b.data, text, b.len);
	buf_fini(&b);
	if (same || (err && err != -ENOENT))
		return err;
	LOG_AT(LOG_WARN, path, 0, "%s: written anew from the id of the topic",
	       err ? "missing" : "damaged at position 0");
	if (!write_and_sync(s, path, text, (size_t)n, false))
		return 0;
	/* Without it the heads of segments tell; a full disk must not keep the log from readers. */
	err = disk_unlink(s->disk, path);
	return err == -ENOENT ? 0 : err;
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

	if (err)
		return err;
	if (!*first)
		return -ENOENT;
	snprintf(path, sizeof(path), "%s/%s", dir, first);
	err = disk_open(s->disk, path, DISK_RDONLY, &fd);
	if (err)
		return err;
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
	const char *id;
	size_t len;
	int err = id_of_segments(s, dir, ret);

	if (err != -ENOENT)
		return err;
	buf_init(&b);
	snprintf(path, sizeof(path), "%s/partition.metadata", dir);
	err = store_read_file(s, path, &b);
	if (!err) {
		id = property((const char *)b.data, "topic_id: ", &len);
		if (!id || id_decode(id, len, ret))
			err = -ENOENT;
	}
	buf_fini(&b);
	return err;
}

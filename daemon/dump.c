/*
 * topicfs dump: batches and records as JSON lines. Members stand in a fixed order, "type" first:
 *
 *   {"type":"segment",…}    a .meta, from its head
 *   {"type":"batch",…}      one description; "crc_ok":false: the values do not match it, and its
 *                           records are not printed
 *   {"type":"record",…}     what the mount's json form prints, behind "type"
 *   {"type":"command",…}    a record of the metadata log, decoded
 *   {"type":"snapshot",…}   of the metadata, in numbers
 *   {"type":"fault",…}      what does not hold: file, position, reason
 *
 * A directory is shown as recovery would leave it (offline.h); a single .meta as it stands.
 */
#include "daemon/base/log.h"
#include "daemon/commands.h"
#include "daemon/io/disk.h"
#include "daemon/metalog.h"
#include "daemon/offline.h"
#include "daemon/store/json.h"
#include "daemon/store/texts.h"
#include "daemon/walk.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Lines are handed to stdio in pieces of about so many bytes. */
#define OUT_LEN (64U * 1024U)

struct dump {
	struct buf out, values;
	struct record *recs;
	uint32_t recs_cap;
	bool faults;
};

/* What is dumped now. */
struct source {
	struct disk *disk;
	const char *dir;   /* on the disk */
	const char *shown; /* what a user calls it: "orders-0" */
	const char *topic;
	uint32_t partition;
	bool is_metalog;
};

static int flush(struct dump *d)
{
	int r = buf_err(&d->out);

	if (!r && d->out.len && fwrite(d->out.data, 1, d->out.len, stdout) != d->out.len)
		r = -errno;
	buf_reset(&d->out);
	return r;
}

static int flush_some(struct dump *d)
{
	return d->out.len >= OUT_LEN || d->out.err ? flush(d) : 0;
}

static void put_name(struct buf *b, const char *name)
{
	buf_printf(b, ",\"%s\":", name);
}

static void put_i64(struct buf *b, const char *name, int64_t v)
{
	put_name(b, name);
	json_text_put_i64(b, v);
}

static void put_str(struct buf *b, const char *name, const char *v)
{
	put_name(b, name);
	json_put_string(b, v, strlen(v));
}

static void put_bool(struct buf *b, const char *name, bool v)
{
	put_name(b, name);
	buf_put_str(b, v ? "true" : "false");
}

static void put_id(struct buf *b, const char *name, const uint8_t id[16])
{
	put_name(b, name);
	buf_put_u8(b, '"');
	for (unsigned i = 0; i < 16; i++)
		buf_printf(b, "%02x", id[i]);
	buf_put_u8(b, '"');
}

static void put_hash(struct buf *b, const char *name, uint64_t hash)
{
	buf_printf(b, ",\"%s\":\"%016llx\"", name, (unsigned long long)hash);
}

static void put_begin(struct dump *d, const char *type)
{
	buf_printf(&d->out, "{\"type\":\"%s\"", type);
}

static void put_end(struct dump *d)
{
	buf_put_str(&d->out, "}\n");
}

static void put_fault(struct dump *d, const char *file, uint64_t pos, const char *reason)
{
	put_begin(d, "fault");
	put_str(&d->out, "file", file);
	put_i64(&d->out, "position", (int64_t)pos);
	put_str(&d->out, "reason", reason);
	put_end(d);
	d->faults = true;
}

static void put_where(struct dump *d, const struct source *s, int64_t segment)
{
	put_str(&d->out, "topic", s->topic);
	put_i64(&d->out, "partition", s->partition);
	put_i64(&d->out, "segment", segment);
}

static void put_segment(struct dump *d, const struct source *s, const struct walk *w)
{
	const struct segment_head *h = &w->head;

	put_begin(d, "segment");
	put_where(d, s, w->base_offset);
	put_id(&d->out, "topic_id", h->topic_id);
	put_i64(&d->out, "generation", h->generation);
	put_i64(&d->out, "base_offset", h->base_offset);
	put_i64(&d->out, "base_pos", (int64_t)h->base_pos);
	put_i64(&d->out, "prev_max_timestamp", h->prev_max_ts_ms);
	put_hash(&d->out, "seed", h->seed);
	put_i64(&d->out, "created", h->created_ms);
	put_str(&d->out, "data_name", h->data_name);
	put_i64(&d->out, "meta_bytes", (int64_t)w->meta_size);
	put_i64(&d->out, "data_bytes", (int64_t)w->data_size);
	put_end(d);
}

static void put_attributes(struct buf *b, uint16_t attr)
{
	static const char *const NAMES[] = { "plain", "log_append_time", "transactional",
					     "control" };
	const char *comma = "";

	buf_put_str(b, ",\"attributes\":[");
	for (unsigned i = 0; i < ARRAY_CNT(NAMES); i++) {
		if (!(attr >> i & 1))
			continue;
		buf_printf(b, "%s\"%s\"", comma, NAMES[i]);
		comma = ",";
	}
	buf_put_u8(b, ']');
}

static void put_batch(struct dump *d, const struct source *s, const struct walk *w,
		      const struct batch_head *h, bool values_ok)
{
	struct buf *b = &d->out;

	put_begin(d, "batch");
	put_where(d, s, w->base_offset);
	put_i64(b, "meta_pos", (int64_t)h->meta_pos);
	put_i64(b, "total_len", h->total_len);
	put_i64(b, "base_offset", h->base_offset);
	put_i64(b, "count", h->cnt);
	put_i64(b, "plain_pos", (int64_t)h->plain_pos);
	put_i64(b, "data_pos", (int64_t)h->data_pos);
	put_i64(b, "data_len", h->data_len);
	put_attributes(b, h->attr);
	put_i64(b, "base_timestamp", h->base_ts_ms);
	put_i64(b, "max_timestamp", h->max_ts_ms);
	put_i64(b, "leader_epoch", h->leader_epoch);
	put_i64(b, "producer_id", h->producer_id);
	put_i64(b, "producer_epoch", h->producer_epoch);
	put_i64(b, "base_sequence", h->base_sequence);
	put_hash(b, "values_hash", h->values_hash);
	put_bool(b, "crc_ok", values_ok);
	put_end(d);
}

/* ---- Metadata ---- */

static void put_change(struct buf *b, const struct setting *s, bool reset, int64_t num,
		       const char *text, size_t text_len)
{
	buf_printf(b, "\"%s\":", s->name);
	if (reset)
		buf_put_str(b, "null");
	else if (s->type == SETTING_TEXT)
		json_put_string(b, text, text_len);
	else if (s->type == SETTING_CHOICE && setting_is_valid(s, num))
		json_put_string(b, s->choices[num], strlen(s->choices[num]));
	else
		json_text_put_i64(b, num);
}

static void put_changes(struct buf *b, const struct metadata_cmd *c)
{
	put_name(b, "settings");
	buf_put_u8(b, '{');
	for (unsigned i = 0; i < c->change_cnt; i++) {
		const struct topic_change *t = &c->changes[i];

		buf_put_str(b, i ? "," : "");
		put_change(b, &topic_settings[t->setting], t->reset, t->num, t->text, t->text_len);
	}
	buf_put_u8(b, '}');
}

static void put_group_changes(struct buf *b, const struct metadata_cmd *c)
{
	put_name(b, "settings");
	buf_put_u8(b, '{');
	for (unsigned i = 0; i < c->group_change_cnt; i++) {
		const struct group_change *g = &c->group_changes[i];

		buf_put_str(b, i ? "," : "");
		put_change(b, &group_setting_table[g->setting], g->reset, g->num, g->text,
			   g->text_len);
	}
	buf_put_u8(b, '}');
}

static void put_perms(struct buf *b, const struct metadata_cmd *c, unsigned mask)
{
	if (mask & METADATA_UID)
		put_i64(b, "uid", c->uid);
	if (mask & METADATA_GID)
		put_i64(b, "gid", c->gid);
	if (mask & METADATA_MODE)
		buf_printf(b, ",\"mode\":\"%04o\"", c->mode);
}

static void put_payload(struct buf *b, const struct metadata_cmd *c)
{
	switch (c->kind) {
	case METADATA_NOOP:
		break;
	case METADATA_BROKER:
		put_i64(b, "node", c->node);
		put_id(b, "directory_id", c->directory_id);
		put_i64(b, "incarnation", (int64_t)c->incarnation);
		put_str(b, "address", c->address);
		put_str(b, "rack", c->rack);
		break;
	case METADATA_CREATE:
	case METADATA_CREATE_INTERNAL:
		put_str(b, "name", c->name);
		put_id(b, "topic_id", c->topic_id);
		put_i64(b, "partitions", c->partition_cnt);
		put_perms(b, c, METADATA_UID | METADATA_GID | METADATA_MODE);
		if (c->kind == METADATA_CREATE_INTERNAL)
			put_changes(b, c);
		break;
	case METADATA_GROUP_CREATE:
		put_str(b, "name", c->name);
		put_id(b, "group_id", c->group_id);
		put_perms(b, c, METADATA_UID | METADATA_GID | METADATA_MODE);
		break;
	case METADATA_GROUP_DELETE:
		put_id(b, "group_id", c->group_id);
		break;
	case METADATA_GROUP_CONFIG:
		put_id(b, "group_id", c->group_id);
		put_group_changes(b, c);
		break;
	case METADATA_GROUP_PERMS:
		put_id(b, "group_id", c->group_id);
		put_perms(b, c, c->perms_mask);
		break;
	case METADATA_DELETE:
		put_id(b, "topic_id", c->topic_id);
		break;
	case METADATA_CONFIG:
		put_id(b, "topic_id", c->topic_id);
		put_changes(b, c);
		break;
	case METADATA_PERMS:
		put_id(b, "topic_id", c->topic_id);
		put_perms(b, c, c->perms_mask);
		break;
	}
}

static void put_command(struct dump *d, const struct batch_head *h, const struct record *rec)
{
	struct buf *b = &d->out;
	struct metadata_cmd *c = malloc(sizeof(*c));
	int r = c ? metadata_cmd_decode(rec->value,
					rec->value_len == RECORD_NULL ? 0 : rec->value_len, c)
		  : -ENOMEM;

	put_begin(d, "command");
	put_i64(b, "index", rec->offset + 1);
	put_i64(b, "term", h->leader_epoch);
	put_i64(b, "timestamp", rec->timestamp_ms);
	if (!r) {
		put_str(b, "kind", metadata_kind_name(c->kind));
		put_i64(b, "time", c->time_ms);
		if (c->origin.number) {
			put_id(b, "origin", c->origin.directory_id);
			put_i64(b, "origin_number", (int64_t)c->origin.number);
		}
		put_payload(b, c);
	} else {
		put_str(b, "kind", r == -EPROTONOSUPPORT ? "newer" : "malformed");
		put_name(b, "value_base64");
		json_text_put_base64(b, rec->value, rec->value ? rec->value_len : 0);
		d->faults = true;
	}
	put_end(d);
	free(c);
}

struct snapshots {
	struct dump *d;
	struct disk *disk;
};

static int on_snapshot(void *ctx, const char *name)
{
	struct snapshots *s = ctx;
	char path[128];
	const char *dot = strrchr(name, '.');
	struct metadata *md;
	struct buf *b = &s->d->out, file;
	int r;

	if (!dot || strcmp(dot, ".checkpoint") != 0 || strspn(name, "0123456789") != 20)
		return 0;
	snprintf(path, sizeof(path), METALOG_TOPIC "-0/%.80s", name);
	buf_init(&file);
	r = offline_read(s->disk, path, 1024 * MIB, &file);
	if (!r)
		r = metadata_decode(file.data, file.len, &md);
	buf_fini(&file);
	if (r == -ENOMEM)
		return r;
	if (r) {
		put_fault(s->d, path, 0, "the snapshot cannot be read");
		return 0;
	}
	put_begin(s->d, "snapshot");
	put_str(b, "file", path);
	put_id(b, "cluster_id", metadata_cluster_id(md));
	put_i64(b, "index", (int64_t)metadata_applied_index(md));
	put_i64(b, "term", (int64_t)metadata_applied_term(md));
	put_i64(b, "topics", metadata_topic_cnt(md));
	put_i64(b, "groups", metadata_group_cnt(md));
	put_end(s->d);
	metadata_free(md);
	return 0;
}

/* ---- Records ---- */

/* The record's own line, with "type" before the first member. */
static void put_record(struct dump *d, const struct source *s, const struct record *rec)
{
	size_t at = d->out.len;

	put_begin(d, "record");
	json_put_record(&d->out, s->topic, s->partition, rec);
	if (d->out.err)
		return;
	at = at + strlen("{\"type\":\"record\"");
	ASSERT(d->out.data[at] == '{');
	d->out.data[at] = ',';
}

static int put_records(struct dump *d, const struct source *s, struct walk *w,
		       const struct batch_head *h)
{
	int r = walk_get_values(w, h, &d->values);

	if (r)
		return r;
	if (h->cnt > d->recs_cap) {
		struct record *recs = realloc(d->recs, h->cnt * sizeof(*recs));

		if (!recs)
			return -ENOMEM;
		d->recs = recs;
		d->recs_cap = h->cnt;
	}
	r = format_get_records(w->desc, d->values.data, h, d->recs);
	for (uint32_t i = 0; i < h->cnt && !r; i++) {
		if (s->is_metalog && !(h->attr & BATCH_CONTROL))
			put_command(d, h, &d->recs[i]);
		else
			put_record(d, s, &d->recs[i]);
		r = flush_some(d);
	}
	return r;
}

static int dump_batches(struct dump *d, const struct source *s, struct walk *w, const char *meta,
			const char *data)
{
	struct batch_head h;
	int r, ok;

	while ((r = walk_next(w, &h)) >= 0) {
		if (w->damaged)
			put_fault(d, meta, w->damage_pos,
				  "the description does not match its checksum");
		if (!r)
			return 0;
		ok = walk_check_values(w, &h);
		if (ok && ok != -EBADMSG && ok != -EIO)
			return ok;
		put_batch(d, s, w, &h, !ok);
		if (ok)
			put_fault(d, data, h.data_pos, "the values do not match their checksum");
		else
			r = put_records(d, s, w, &h);
		if (r < 0)
			return r;
		r = flush_some(d);
		if (r)
			return r;
	}
	return r;
}

static int dump_segment(struct dump *d, const struct source *s, int64_t base)
{
	char meta[WALK_PATH_MAX], data[WALK_PATH_MAX];
	struct walk w;
	int close_err, r = walk_open(&w, s->disk, s->dir, base);

	walk_path(s->shown, base, "meta", meta);
	walk_path(s->shown, base, "data", data);
	if (!r && w.meta_fd < 0) {
		put_fault(d, meta, 0, "the file is missing");
	} else if (!r && w.head_err) {
		put_fault(d, meta, 0,
			  w.head_err == -EPROTONOSUPPORT ? "the head is of a newer version"
							 : "the head does not match its checksum");
	} else if (!r) {
		put_segment(d, s, &w);
		r = dump_batches(d, s, &w, meta, data);
	}
	close_err = walk_close(&w);
	return r ? r : close_err;
}

static int dump_partition(struct dump *d, struct offline *o, struct offline_dir *dir)
{
	struct source s = { o->disk, dir->name, dir->name, dir->topic, dir->partition, false };
	struct snapshots snapshots = { d, o->disk };
	int64_t *bases;
	size_t cnt;
	int r;

	offline_open_dir(o, dir);
	s.is_metalog = !strcmp(dir->topic, METALOG_TOPIC);
	r = offline_bases(o->disk, dir->name, &bases, &cnt);
	if (r)
		return r == -ENOTDIR || r == -ELOOP || r == -ENOENT ? 0 : r;
	if (s.is_metalog)
		r = disk_list(o->disk, dir->name, on_snapshot, &snapshots);
	for (size_t i = 0; i < cnt && !r; i++)
		r = dump_segment(d, &s, bases[i]);
	free(bases);
	if (dir->plog) {
		plog_close_idle(dir->plog);
		plog_close_idle(dir->plog);
	}
	return r;
}

static int dump_dir(struct dump *d, const char *path, int *ret_status)
{
	struct offline_dir *dirs = NULL;
	struct offline o;
	char sentence[1024];
	size_t cnt = 0;
	int close_err, r = offline_open(&o, path, sentence, sizeof(sentence));

	if (r) {
		fprintf(stderr, "topicfs: %s\n", sentence);
		*ret_status = 2;
		r = 0;
	} else {
		r = offline_dirs(&o, &dirs, &cnt);
	}
	for (size_t i = 0; i < cnt && !r; i++)
		r = dump_partition(d, &o, &dirs[i]);
	free(dirs);
	close_err = offline_close(&o);
	return r ? r : close_err;
}

/* ---- A single file ---- */

/* Whether the data directory around the partition's directory, if it is one, is in use. */
static bool is_in_use(const char *partition_dir)
{
	const struct io_disk_config config = { .refuse_io_uring = true, .threads = 1 };
	struct disk *disk;
	char *path = NULL;
	bool in_use = false;
	int fd;
	struct buf b;

	buf_init(&b);
	buf_printf(&b, "%s/..", partition_dir);
	buf_put_u8(&b, 0);
	path = (char *)b.data;
	if (!buf_err(&b) && !io_disk_open(path, &config, &disk)) {
		if (!disk_open(disk, "journal", DISK_RDONLY, &fd)) {
			in_use = disk_lock(disk, fd) == -EWOULDBLOCK;
			if (disk_close(disk, fd))
				in_use = true;
		}
		io_disk_free(disk);
	}
	buf_fini(&b);
	return in_use;
}

/* The last name of a path that was resolved. */
static const char *last_name(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash ? slash + 1 : path;
}

static int dump_file(struct dump *d, const char *path, int *ret_status)
{
	const struct io_disk_config config = { .refuse_io_uring = true, .threads = 1 };
	char *full = realpath(path, NULL), topic[TOPIC_NAME_MAX + 1];
	const char *name = full ? last_name(full) : "";
	struct source s = { .topic = topic };
	uint32_t partition;
	int64_t base;
	int r;

	*ret_status = 2;
	if (!full || !offline_get_base(name, &base) || strcmp(name + 20, ".meta") != 0) {
		fprintf(stderr, "topicfs: %s: %s\n", path,
			full ? "is neither a data directory nor a .meta file" : strerror(errno));
		free(full);
		return 0;
	}
	full[name - full - 1] = '\0';
	if (is_in_use(full)) {
		fprintf(stderr, "topicfs: %s is in a data directory that is in use\n", path);
		free(full);
		return 0;
	}
	/* A file that was copied elsewhere has no topic but what its directory is called. */
	if (!texts_get_dir(last_name(full), topic, &partition)) {
		snprintf(topic, sizeof(topic), "%.*s", TOPIC_NAME_MAX, last_name(full));
		partition = 0;
	}
	s.partition = partition;
	s.dir = s.shown = ".";
	s.is_metalog = !strcmp(topic, METALOG_TOPIC);
	r = io_disk_open(*full ? full : "/", &config, &s.disk);
	if (!r) {
		*ret_status = 0;
		r = dump_segment(d, &s, base);
		io_disk_free(s.disk);
	}
	free(full);
	return r;
}

int cmd_dump(const char *path)
{
	size_t len = strlen(path);
	struct dump d = { 0 };
	int status = 0, r;

	buf_init(&d.out);
	buf_init(&d.values);
	log_set_level(LOG_NONE);
	if (len > 5 && !strcmp(path + len - 5, ".meta"))
		r = dump_file(&d, path, &status);
	else
		r = dump_dir(&d, path, &status);
	if (!r)
		r = flush(&d);
	if (!r && fflush(stdout))
		r = -errno;
	/* Whoever reads may have enough: then there is nothing to say. */
	if (r && r != -EPIPE)
		fprintf(stderr, "topicfs: dump cannot go on: %s\n", strerror(-r));
	buf_fini(&d.out);
	buf_fini(&d.values);
	free(d.recs);
	if (status)
		return status;
	return r || d.faults;
}

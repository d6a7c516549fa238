#include "daemon/metalog.h"

#include "daemon/base/fund.h"
#include "daemon/base/log.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

const uint8_t metalog_topic_id[16] = { [15] = 1 };

/* A snapshot is taken when so many commands follow the last one. */
#define SNAPSHOT_COMMANDS 5000

/*
 * A start appends a command, and readers must be served though the disk is full: so there is room
 * ahead, which new topics and groups leave to starts (a command takes some hundred bytes at most).
 */
#define ROOM_LEAST (8U * KIB)
#define ROOM_AHEAD (64U * KIB)

static const struct plog_config log_config = { .segment_bytes = 16 * (int64_t)MIB,
					       .segment_ms = -1,
					       .retention_ms = -1,
					       .retention_bytes = -1,
					       .index_interval_bytes = INDEX_INTERVAL_BYTES };

struct pending {
	struct pending *next;
	uint64_t index, token;
	struct buf cmd;
};

struct metalog {
	struct store *store;
	struct plog *log;
	struct metadata *md;
	uint64_t term, snapshot_index; /* the last one, or the last try */
	uint64_t good_index;	       /* of the newest snapshot that can be read; 0: none */
	struct pending *first, **last;
	metalog_applied_fn *fn;
	void *ctx;
};

static void snapshot_path(uint64_t index, uint64_t term, char *path, size_t len)
{
	snprintf(path, len, "%s-0/%020llu-%010llu.checkpoint", METALOG_TOPIC,
		 (unsigned long long)index, (unsigned long long)term);
}

/* 0; -EIO where it is damaged, -EPROTONOSUPPORT where it is of a newer version, or another errno.
 */
static int read_snapshot(struct metalog *m, const char *path, uint64_t index)
{
	struct metadata *md = NULL;
	struct buf b;
	int r;

	buf_init(&b);
	r = store_read_file(m->store, path, &b);
	if (!r)
		r = metadata_decode(b.data, b.len, &md);
	buf_fini(&b);
	if (!r && memcmp(metadata_cluster_id(md), store_cluster_id(m->store), 16) != 0)
		r = -EBADMSG;
	if (r) {
		metadata_free(md);
		return r == -EBADMSG || disk_is_no_file(r) ? -EIO : r;
	}
	metadata_free(m->md);
	m->md = md;
	m->snapshot_index = m->good_index = index;
	return 0;
}

/*
 * The newest snapshot that can be read: an older one, or none, and the log make up for a damaged
 * one, unless the log begins behind them (replay() says so). sentence then names the newest damaged
 * one.
 */
static int load_snapshot(struct metalog *m, char *sentence)
{
	uint64_t index, term, below = UINT64_MAX;
	char path[128];
	int r;

	for (;;) {
		r = store_last_snapshot(m->store, m->log, below, &index, &term);
		if (r)
			return r == -ENOENT ? 0 : r;
		snapshot_path(index, term, path, sizeof(path));
		r = read_snapshot(m, path, index);
		if (r != -EIO) {
			if (r)
				snprintf(sentence, SENTENCE_MAX, "%s: %s", path,
					 r == -EPROTONOSUPPORT ? "it is of a newer version"
							       : log_errno_name(r));
			return r;
		}
		LOG_AT(LOG_ERROR, path, r,
		       "the snapshot is damaged; an older one or the log itself is tried");
		if (!*sentence)
			snprintf(sentence, SENTENCE_MAX, "%s is damaged", path);
		below = index;
	}
}

static int replay(struct metalog *m, char *sentence)
{
	int64_t off = (int64_t)metadata_applied_index(m->md);
	struct metadata_result res;
	const struct batch *b;
	int r;

	if (off < m->log->start_offset) {
		size_t len = strlen(sentence);

		snprintf(sentence + len, SENTENCE_MAX - len,
			 "%sthe metadata log begins at %lld, but the snapshot before it ends at "
			 "%lld",
			 len ? ", and " : "", (long long)m->log->start_offset, (long long)off);
		return -EIO;
	}
	while (off < m->log->next_offset) {
		r = plog_batch(m->log, off, &b);
		if (r) {
			snprintf(sentence, SENTENCE_MAX, "metadata log at offset %lld: %.200s",
				 (long long)off,
				 *m->log->fault ? m->log->fault : log_errno_name(r));
			return r;
		}
		for (uint32_t i = (uint32_t)(off - b->head.base_offset); i < b->head.cnt; i++) {
			const struct record *rec = &b->recs[i];

			metadata_apply(m->md, (uint64_t)rec->offset + 1,
				       (uint64_t)b->head.leader_epoch, rec->value, rec->value_len,
				       &res);
			if (res.err == -EBADMSG || res.err == -EPROTONOSUPPORT) {
				snprintf(sentence, SENTENCE_MAX,
					 "metadata log at offset %lld: a command that this version "
					 "does not know",
					 (long long)rec->offset);
				return res.err;
			}
			off = rec->offset + 1;
		}
	}
	return 0;
}

int metalog_open(struct store *s, metalog_applied_fn *fn, void *ctx, struct metalog **ret,
		 char *sentence)
{
	struct metalog *m = calloc(1, sizeof(*m));
	int r;

	*sentence = 0;
	if (!m)
		return -ENOMEM;
	m->store = s;
	m->fn = fn;
	m->ctx = ctx;
	m->last = &m->first;
	m->md = fund_fill() ? NULL : metadata_new(store_cluster_id(s));
	r = m->md ? store_plog(s, METALOG_TOPIC, metalog_topic_id, 0, &log_config, true, &m->log)
		  : -ENOMEM;
	if (r && m->log && *m->log->fault)
		snprintf(sentence, SENTENCE_MAX, "metadata log: %.250s", m->log->fault);
	if (!r)
		r = load_snapshot(m, sentence);
	if (!r)
		r = replay(m, sentence);
	if (!r)
		r = store_drop_unfinished(s, m->log);
	if (r) {
		if (!*sentence)
			snprintf(sentence, SENTENCE_MAX, "the metadata cannot be read: %s",
				 log_errno_name(r));
		metalog_free(m);
		return r;
	}
	m->term = metadata_applied_term(m->md) + 1;
	m->log->leader_epoch = (int32_t)m->term;
	*ret = m;
	return 0;
}

void metalog_free(struct metalog *m)
{
	if (!m)
		return;
	while (m->first) {
		struct pending *p = m->first;

		m->first = p->next;
		buf_fini(&p->cmd);
		free(p);
	}
	metadata_free(m->md);
	free(m);
}

struct metadata *metalog_state(struct metalog *m)
{
	return m->md;
}

uint64_t metalog_term(const struct metalog *m)
{
	return m->term;
}

bool metalog_is_idle(const struct metalog *m)
{
	return !m->first;
}

/* The room that is there is for a start, and for what frees some. */
static int check_room(struct metalog *m, const struct metadata_cmd *cmd, char *sentence)
{
	int r = plog_keep_room(m->log, ROOM_LEAST, ROOM_AHEAD);

	if (!r || (cmd->kind != METADATA_CREATE && cmd->kind != METADATA_CREATE_INTERNAL &&
		   cmd->kind != METADATA_GROUP_CREATE))
		return 0;
	snprintf(sentence, SENTENCE_MAX,
		 "the metadata log has no room left but for the next start: %s", log_errno_name(r));
	return r;
}

int metalog_propose(struct metalog *m, const struct metadata_cmd *cmd, int64_t now_ms,
		    uint64_t token, char *sentence)
{
	struct plog_appended done;
	struct record rec = { .key_len = RECORD_NULL, .timestamp_ms = now_ms };
	struct pending *p;
	int r = metadata_check(m->md, cmd, sentence);

	/* Once it is stable it is carried out, and that takes memory. */
	if (!r)
		r = fund_fill();
	if (!r)
		r = check_room(m, cmd, sentence);
	if (r)
		return r;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	metadata_cmd_encode(cmd, &p->cmd);
	r = buf_err(&p->cmd);
	rec.value = p->cmd.data;
	rec.value_len = (uint32_t)p->cmd.len;
	/* Past the reserve: what is deleted and configured must be possible on a full disk. */
	if (!r)
		r = store_append_internal(m->store, m->log, now_ms, &rec, 1, &done);
	if (r) {
		snprintf(sentence, SENTENCE_MAX, "the metadata log in %s cannot be written: %s",
			 m->log->dir, log_errno_name(r));
		buf_fini(&p->cmd);
		free(p);
		return r;
	}
	p->index = (uint64_t)done.base_offset + 1;
	p->token = token;
	*m->last = p;
	m->last = &p->next;
	/* An error leaves the answer to the next change, or to the end of a store that failed. */
	r = store_fsync(m->store, m->log, now_ms, p->index << 1 | METALOG_TOKEN);
	if (!r)
		metalog_on_synced(m, p->index << 1 | METALOG_TOKEN);
	return -EINPROGRESS;
}

/* What the snapshot before the newest one makes up for. That one stays, with the log behind it: so
 * damage in one file is never the end of all. */
static int drop_before(struct metalog *m, uint64_t index)
{
	uint64_t pos;
	int r;

	if (!index)
		return 0;
	r = plog_offset_to_pos(m->log, (int64_t)index, &pos);
	if (!r)
		r = store_raise_start(m->store, m->log, (int64_t)index, pos);
	return r ? r : store_drop_snapshots(m->store, m->log, index);
}

static void take_snapshot(struct metalog *m)
{
	uint64_t index = metadata_applied_index(m->md), term = metadata_applied_term(m->md);
	char path[128];
	struct buf b;
	int r;

	buf_init(&b);
	metadata_encode(m->md, &b);
	snapshot_path(index, term, path, sizeof(path));
	r = buf_err(&b);
	if (!r)
		r = store_write_file(m->store, path, b.data, b.len);
	buf_fini(&b);
	if (r) {
		LOG_AT(LOG_WARN, "metadata", r, "snapshot at index %llu was not taken",
		       (unsigned long long)index);
	} else {
		r = drop_before(m, m->good_index);
		if (r)
			LOG_AT(LOG_WARN, "metadata", r, "what is older than two snapshots stays");
		m->good_index = index;
	}
	m->snapshot_index = index; /* or the next try comes after as many commands again */
}

void metalog_on_synced(struct metalog *m, uint64_t token)
{
	uint64_t index = token >> 1;

	while (m->first && m->first->index <= index) {
		struct pending *p = m->first;
		struct metadata_result res;

		m->first = p->next;
		if (!m->first)
			m->last = &m->first;
		metadata_apply(m->md, p->index, m->term, p->cmd.data, p->cmd.len, &res);
		m->fn(m->ctx, &res, p->token);
		buf_fini(&p->cmd);
		free(p);
	}
	if (!m->first && metadata_applied_index(m->md) - m->snapshot_index >= SNAPSHOT_COMMANDS)
		take_snapshot(m);
}

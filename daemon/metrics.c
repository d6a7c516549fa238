/*
 * /metrics: OpenMetrics 1.0 text (https://prometheus.io/docs/specs/om/open_metrics_spec/).
 * Everything is counted where it happens, by plain additions; the text is made when somebody reads.
 */
#include "daemon/broker.h"
#include "daemon/coordinator.h"

#include "daemon/base/log.h"

void metrics_family(struct buf *out, const char *name, const char *type, const char *unit,
		    const char *help)
{
	buf_printf(out, "# TYPE %s %s\n", name, type);
	if (*unit)
		buf_printf(out, "# UNIT %s %s\n", name, unit);
	buf_printf(out, "# HELP %s %s\n", name, help);
}

struct topic_sum {
	uint64_t records_in, bytes_in, records_out, bytes_out, retained_bytes, partitions;
	uint64_t segments;
};

static void sum_topic(const struct be_topic *t, struct topic_sum *ret)
{
	*ret = (struct topic_sum){ .partitions = t->part_cnt };
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		const struct be_partition *p = t->parts[i];

		ret->records_in += p->records_in;
		ret->bytes_in += p->bytes_in;
		ret->records_out += p->records_out;
		ret->bytes_out += p->bytes_out;
		if (p->log) {
			ret->retained_bytes += plog_bytes(p->log);
			ret->segments += p->log->seg_cnt;
		}
	}
}

enum topic_metric {
	RECORDS_IN,
	BYTES_IN,
	RECORDS_OUT,
	BYTES_OUT,
	RETAINED,
	PARTITIONS,
	SEGMENTS,
	METRIC_CNT
};

static const struct {
	const char *name, *suffix, *type, *unit, *help;
} topic_metrics[METRIC_CNT] = {
	[RECORDS_IN] = { "topicfs_topic_records_in", "_total", "counter", "",
			 "Records appended since the start." },
	[BYTES_IN] = { "topicfs_topic_in_bytes", "_total", "counter", "bytes",
		       "Bytes of values appended since the start." },
	[RECORDS_OUT] = { "topicfs_topic_records_out", "_total", "counter", "",
			  "Records given one by one (json, msg, all); lines are counted in "
			  "bytes." },
	[BYTES_OUT] = { "topicfs_topic_out_bytes", "_total", "counter", "bytes",
			"Bytes given to readers of single partitions since the start." },
	[RETAINED] = { "topicfs_topic_retained_bytes", "", "gauge", "bytes",
		       "Bytes of the segments of opened logs." },
	[PARTITIONS] = { "topicfs_topic_partitions", "", "gauge", "", "Partitions." },
	[SEGMENTS] = { "topicfs_topic_segments", "", "gauge", "", "Segments of opened logs." },
};

static uint64_t topic_value(const struct topic_sum *s, enum topic_metric m)
{
	switch (m) {
	case RECORDS_IN:
		return s->records_in;
	case BYTES_IN:
		return s->bytes_in;
	case RECORDS_OUT:
		return s->records_out;
	case BYTES_OUT:
		return s->bytes_out;
	case RETAINED:
		return s->retained_bytes;
	case PARTITIONS:
		return s->partitions;
	case SEGMENTS:
		return s->segments;
	case METRIC_CNT:
		break;
	}
	return 0;
}

static void put_topics(struct broker *b, struct buf *out)
{
	for (int m = 0; m < METRIC_CNT; m++) {
		metrics_family(out, topic_metrics[m].name, topic_metrics[m].type,
			       topic_metrics[m].unit, topic_metrics[m].help);
		for (size_t i = 0; i < b->topics.cnt; i++) {
			const struct be_topic *t = b->topics.v[i].what;
			struct topic_sum sum;

			if (t->deleted)
				continue;
			sum_topic(t, &sum);
			buf_printf(out, "%s%s{topic=\"%s\"} %llu\n", topic_metrics[m].name,
				   topic_metrics[m].suffix, t->name,
				   (unsigned long long)topic_value(&sum, (enum topic_metric)m));
		}
	}
}

static void put_histogram(struct buf *out, const char *name, const char *help,
			  const struct histogram *h)
{
	uint64_t sum = 0;

	metrics_family(out, name, "histogram", "seconds", help);
	for (unsigned i = 0; i < HISTOGRAM_CNT - 1; i++) {
		sum += h->buckets[i];
		buf_printf(out, "%s_bucket{le=\"%.6f\"} %llu\n", name, (double)(1ULL << i) / 1e6,
			   (unsigned long long)sum);
	}
	buf_printf(out, "%s_bucket{le=\"+Inf\"} %llu\n", name, (unsigned long long)h->cnt);
	buf_printf(out, "%s_count %llu\n%s_sum %.6f\n", name, (unsigned long long)h->cnt, name,
		   (double)h->sum_us / 1e6);
}

static void put_one(struct buf *out, const char *name, const char *type, const char *unit,
		    const char *help, uint64_t value)
{
	metrics_family(out, name, type, unit, help);
	buf_printf(out, "%s%s %llu\n", name, *type == 'c' ? "_total" : "",
		   (unsigned long long)value);
}

static void put_refusals(struct broker *b, struct buf *out)
{
	metrics_family(out, "topicfs_refusals", "counter", "",
		       "Requests refused since the start, by errno.");
	for (int err = 1; err < (int)ERRORS_ERRNO_CNT; err++) {
		uint64_t cnt = errors_cnt(b->fs->errors, err);

		if (cnt)
			buf_printf(out, "topicfs_refusals_total{errno=\"%s\"} %llu\n",
				   log_errno_name(err), (unsigned long long)cnt);
	}
}

static void put_store(struct broker *b, struct buf *out)
{
	struct store_stats st;

	store_stats(b->store, &st);
	put_one(out, "topicfs_disk_free_bytes", "gauge", "bytes",
		"Free room on the data directory's file system.", st.free_bytes);
	put_one(out, "topicfs_disk_reserve_bytes", "gauge", "bytes",
		"Room that writes are refused to keep free.", st.reserve_bytes);
	put_one(out, "topicfs_disk_full", "gauge", "", "1 while writes are refused with ENOSPC.",
		st.full);
	put_one(out, "topicfs_journal_bytes", "gauge", "bytes", "Size of the journal's ring.",
		st.journal_bytes);
	put_one(out, "topicfs_journal_used_bytes", "gauge", "bytes",
		"Part of the ring that holds what is not synced in place.", st.journal_used);
	put_one(out, "topicfs_journal_writes", "counter", "", "Writes of the journal.",
		st.journal_writes);
	put_one(out, "topicfs_syncs_in_place", "counter", "", "Segments synced in place.",
		st.syncs_in_place);
	put_one(out, "topicfs_checkpoints", "counter", "", "Checkpoints written.", st.checkpoints);
	put_one(out, "topicfs_segments_deleted", "counter", "", "Segments that retention removed.",
		st.segments_deleted);
	put_one(out, "topicfs_segments_cleaned", "counter", "",
		"Segments of compacted logs that were written anew.", st.segments_cleaned);
	put_one(out, "topicfs_recovery_put_back_bytes", "gauge", "bytes",
		"Bytes that the last start put back from the journal.", st.put_back_bytes);
	put_one(out, "topicfs_recovery_cut_bytes", "gauge", "bytes",
		"Bytes of torn tails that recovery cut.", st.cut_bytes);
	put_one(out, "topicfs_recovery_described_records", "gauge", "",
		"Records that recovery described.", st.described_records);
	put_one(out, "topicfs_damage", "counter", "", "Damaged places found.", st.damaged);
	put_one(out, "topicfs_logs_open", "gauge", "", "Partition logs that are open.", st.plogs);
}

static unsigned waiting_cnt(const struct fs *fs)
{
	unsigned cnt = 0;

	LIST_FOREACH(pos, &fs->handles) {
		const struct handle *h = LIST_ENTRY(pos, const struct handle, link);

		LIST_FOREACH(p, &h->parked)
			cnt++;
	}
	return cnt;
}

void broker_metrics(struct broker *b, struct buf *out)
{
	metrics_family(out, "topicfs_build", "info", "", "Version.");
	buf_printf(out, "topicfs_build_info{version=\"%s\"} 1\n", TOPICFS_VERSION);
	put_topics(b, out);
	put_histogram(out, "topicfs_append_seconds", "Time that appends took in the broker.",
		      &b->appends);
	put_histogram(out, "topicfs_fsync_seconds", "Time from an fsync to its answer.",
		      &b->fsyncs);
	put_refusals(b, out);
	metrics_family(out, "topicfs_requests", "counter", "", "Requests of the mount, by kind.");
	buf_printf(out, "topicfs_requests_total{kind=\"lookup\"} %llu\n",
		   (unsigned long long)b->fs->lookups);
	buf_printf(out, "topicfs_requests_total{kind=\"read\"} %llu\n",
		   (unsigned long long)b->fs->reads);
	buf_printf(out, "topicfs_requests_total{kind=\"write\"} %llu\n",
		   (unsigned long long)b->fs->writes);
	put_one(out, "topicfs_requests_parked", "gauge", "", "Requests that wait.",
		waiting_cnt(b->fs));
	put_one(out, "topicfs_files_open", "gauge", "", "Open files of the mount.",
		b->fs->handle_cnt);
	put_store(b, out);
	coordinator_metrics(b->groups, out);
	put_one(out, "topicfs_start_timestamp_seconds", "gauge", "seconds",
		"When this broker was started.", (uint64_t)(b->started_ms / 1000));
	buf_put_str(out, "# EOF\n");
}

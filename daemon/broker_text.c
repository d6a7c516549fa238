/*
 * The texts of the mount that the broker knows: config, status, cluster/.
 */
#include "daemon/broker.h"

#include <errno.h>

static void put_status(struct broker *b, struct be_topic *t, const char *prefix, struct buf *out)
{
	struct backend be;
	struct be_why why;

	broker_backend(b, &be);
	for (uint32_t i = 0; i < t->part_cnt; i++) {
		struct be_partition *p = t->parts[i];
		unsigned node = b->options->node;

		if (be.open_log(b, p, &why))
			continue;
		/* It tells offsets, so what is owed is described first; what that fails with the
		 * next append meets too. */
		if (plog_describe(p->log))
			continue;
		if (*prefix)
			buf_printf(out, "topic=%s ", t->name);
		buf_printf(out,
			   "partition=%u leader=%u epoch=%d replicas=%u isr=%u elr= start=%lld "
			   "end=%lld hw=%lld size=%llu",
			   i, node, p->log->leader_epoch, node, node,
			   (long long)p->log->start_offset, (long long)p->log->next_offset,
			   (long long)p->log->next_offset, (unsigned long long)plog_bytes(p->log));
		for (uint32_t k = 0; k < t->hot_key_cnt; k++)
			buf_printf(out, "%s%s", k ? "," : " unordered=", t->hot_keys[k]);
		buf_put_u8(out, '\n');
	}
}

static void put_config(struct broker *b, struct be_topic *t, struct buf *out)
{
	const struct metadata_topic *mt = metadata_find_topic_id(metalog_state(b->meta), t->id);
	struct topic_config c;

	if (!mt)
		return;
	topic_config_merge(&mt->own, &b->topic_defaults, mt->partition_cnt, &c);
	topic_config_print(&c, out);
}

int broker_text(void *ctx, enum be_text what, struct be_topic *t, struct buf *out)
{
	struct broker *b = ctx;
	struct metadata *md = metalog_state(b->meta);
	const struct metadata_topic *mt;

	switch (what) {
	case BE_TEXT_CONFIG:
		put_config(b, t, out);
		break;
	case BE_TEXT_STATUS:
		put_status(b, t, "", out);
		break;
	case BE_TEXT_PARTITIONS:
		for (uint32_t i = 0; (mt = metadata_topic_at(md, i)); i++) {
			struct backend be;

			broker_backend(b, &be);
			put_status(b, be.topic_find(b, mt->name), "topic", out);
		}
		break;
	case BE_TEXT_BROKERS:
		buf_printf(out, "id=%u address= state=up rack=%s\n", b->options->node,
			   b->options->rack);
		break;
	case BE_TEXT_CONTROLLER:
		buf_printf(out, "id=%u term=%llu\n", b->options->node,
			   (unsigned long long)metalog_term(b->meta));
		break;
	case BE_TEXT_JOBS: /* with one broker nothing ever runs */
		break;
	case BE_TEXT_METRICS:
		broker_metrics(b, out);
		break;
	case BE_TEXT_GROUP_CONFIG:
	case BE_TEXT_GROUP_STATE:
	case BE_TEXT_GROUP_LAG:
		return -EINVAL; /* the coordinator's */
	}
	return buf_err(out);
}

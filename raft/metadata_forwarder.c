/*
 * Forwarders and the answers that they were given: what keeps a command that comes twice from being
 * applied twice (raft/metadata.h has the rules).
 */
#include "daemon/base/fund.h"
#include "raft/metadata_state.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* The forwarder of that directory id, or NULL and the index where it would stand. */
static struct metadata_forwarder *find_forwarder(const struct metadata *md, const uint8_t id[16],
						 uint32_t *ret_idx)
{
	uint32_t low = 0, high = md->forwarder_cnt;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		int order = memcmp(md->forwarders[mid]->directory_id, id, 16);

		if (!order)
			return md->forwarders[mid];
		if (order > 0)
			high = mid;
		else
			low = mid + 1;
	}
	*ret_idx = low;
	return NULL;
}

void metadata_free_forwarder(struct metadata_forwarder *f)
{
	for (uint32_t i = 0; i < f->answer_cnt; i++)
		free(f->answers[i].sentence);
	free(f);
}

static void forget_silent_forwarder(struct metadata *md)
{
	uint32_t idx = 0;

	for (uint32_t i = 1; i < md->forwarder_cnt; i++)
		if (md->forwarders[i]->last_index < md->forwarders[idx]->last_index)
			idx = i;
	metadata_free_forwarder(md->forwarders[idx]);
	md->forwarder_cnt--;
	memmove(md->forwarders + idx, md->forwarders + idx + 1,
		(md->forwarder_cnt - idx) * sizeof(*md->forwarders));
}

struct metadata_forwarder *metadata_insert_forwarder(struct metadata *md, const uint8_t id[16])
{
	struct metadata_forwarder *f = metadata_alloc(1, sizeof(*f));
	uint32_t idx = 0;

	if (!md->forwarders)
		md->forwarders = metadata_alloc(METADATA_FORWARDER_MAX, sizeof(*md->forwarders));
	if (md->forwarder_cnt == METADATA_FORWARDER_MAX)
		forget_silent_forwarder(md);
	ASSERT(!find_forwarder(md, id, &idx));
	memcpy(f->directory_id, id, 16);
	memmove(md->forwarders + idx + 1, md->forwarders + idx,
		(md->forwarder_cnt - idx) * sizeof(*md->forwarders));
	md->forwarders[idx] = f;
	md->forwarder_cnt++;
	return f;
}

void metadata_put_answer(struct metadata_forwarder *f, uint64_t number, int err,
			 const uint8_t id[16], const char *sentence)
{
	struct metadata_answer a = { .number = number, .err = err };

	memcpy(a.id, id, 16);
	if (*sentence)
		a.sentence = fund_strndup(sentence, SENTENCE_MAX);
	if (f->answer_cnt == METADATA_ANSWER_CNT) {
		f->floor = MAX(f->floor, f->answers[0].number);
		free(f->answers[0].sentence);
		f->answer_cnt--;
		memmove(f->answers, f->answers + 1, f->answer_cnt * sizeof(*f->answers));
	}
	f->answers[f->answer_cnt++] = a;
}

struct metadata_forwarder *metadata_admit(struct metadata *md, const struct metadata_origin *origin,
					  uint64_t index, struct metadata_result *ret,
					  uint8_t ret_id[16])
{
	uint32_t idx;
	struct metadata_forwarder *f = find_forwarder(md, origin->directory_id, &idx);

	if (!f) {
		f = metadata_insert_forwarder(md, origin->directory_id);
		f->incarnation = origin->incarnation;
	}
	f->last_index = index;
	if (origin->incarnation < f->incarnation) {
		sentence_refuse(ret->sentence, "the broker that asked has restarted since");
		ret->err = -ESTALE;
		return NULL;
	}
	if (origin->incarnation > f->incarnation) {
		for (uint32_t i = 0; i < f->answer_cnt; i++)
			free(f->answers[i].sentence);
		f->answer_cnt = 0;
		f->floor = 0;
		f->incarnation = origin->incarnation;
	}
	for (uint32_t i = 0; i < f->answer_cnt; i++) {
		const struct metadata_answer *a = &f->answers[i];

		if (a->number != origin->number)
			continue;
		ret->err = a->err;
		ret->repeated = true;
		memcpy(ret_id, a->id, 16);
		snprintf(ret->sentence, SENTENCE_MAX, "%s", a->sentence ? a->sentence : "");
		return NULL;
	}
	if (f->floor && origin->number <= f->floor) {
		sentence_refuse(ret->sentence, "the answer to this change is no longer kept");
		ret->err = -ESTALE;
		return NULL;
	}
	return f;
}

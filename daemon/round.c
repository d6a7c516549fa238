#include "daemon/round.h"
#include "daemon/coordinator.h"

void round_tick(struct round *r)
{
	r->deadline_ms = broker_tick(r->broker);
	/* What came of it is for the next round, which is not to wait for a request. */
	if (store_has_event(r->broker->store))
		r->deadline_ms = r->broker->mono_us / 1000;
	r->ticked_ms = r->broker->mono_us / 1000;
}

int round_turn(struct round *r, unsigned *ret_cnt)
{
	struct broker *b = r->broker;
	int64_t mono_ms;
	int err;

	*ret_cnt = 0;
	broker_clock(b);
	r->fs->disk->round++; /* what was due holds no descriptor */
	while (*ret_cnt < ROUND_BURST && (err = r->next_request(r->ctx)) != 0) {
		if (err < 0)
			return err;
		++*ret_cnt;
		r->fs->disk->round++; /* the request before holds no descriptor */
	}
	if (*ret_cnt)
		b->request_us = b->mono_us;
	*ret_cnt += fs_step(r->fs);
	if (*ret_cnt || r->has_finished(r->ctx) || store_has_event(b->store)) {
		err = broker_step(b);
		if (err)
			return err;
	}
	coordinator_step(b->groups);
	/* All that asked for an fsync in this round go together. */
	if (*ret_cnt < ROUND_BURST)
		store_kick(b->store);
	mono_ms = b->mono_us / 1000;
	if (mono_ms >= r->deadline_ms || (*ret_cnt && mono_ms != r->ticked_ms))
		round_tick(r);
	return 0;
}

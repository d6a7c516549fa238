#include "daemon/round.h"

void round_tick(struct round *r)
{
	r->deadline_ms = broker_tick(r->broker);
	r->ticked_ms = r->broker->mono_us / 1000;
}

int round_turn(struct round *r, unsigned *ret_cnt)
{
	struct broker *b = r->broker;
	int64_t mono_ms;
	int err;

	*ret_cnt = 0;
	broker_clock(b);
	while (*ret_cnt < ROUND_BURST && (err = r->next_request(r->ctx)) != 0) {
		if (err < 0)
			return err;
		++*ret_cnt;
		r->fs->disk->round++; /* the request before holds no descriptor */
	}
	if (*ret_cnt)
		b->request_us = b->mono_us;
	*ret_cnt += fs_step(r->fs);
	if (r->has_finished(r->ctx) || *ret_cnt) {
		err = broker_step(b);
		if (err)
			return err;
	}
	/* All that asked for an fsync in this round go together. */
	if (*ret_cnt < ROUND_BURST)
		store_kick(b->store, b->now_ms);
	mono_ms = b->mono_us / 1000;
	if (mono_ms >= r->deadline_ms || (*ret_cnt && mono_ms != r->ticked_ms))
		round_tick(r);
	return 0;
}

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A leaky bucket that may go into debt by one packet (and by all sound): the
 * next waits until it is paid. The queue is in order, for a late packet is
 * worth less to a decoder than a lost one to be asked for.
 *
 * What is dropped here leaves a gap in the outer SEQ, on purpose. What a
 * receiver did not want is taken out of its numbering (mdd/flow.h), for it
 * misses nothing; who loses a part of a picture must see that, or it decodes
 * rubbish instead of asking for a key frame.
 */
#include "mdd/pace.h"

static uint64_t
rate(const struct mdd_pace *p)
{
	uint64_t bps = p->bps * MDD_PACE_FACTOR;

	return bps < MDD_PACE_LEAST ? MDD_PACE_LEAST : bps;
}

void
mdd_pace_init(struct mdd_pace *p, struct mdd_pace_item *item, unsigned room)
{
	*p = (struct mdd_pace){ .room = room, .item = item };
}

void
mdd_pace_rate(struct mdd_pace *p, uint64_t bps)
{
	p->bps = bps;
}

static void
earn(struct mdd_pace *p, int64_t now_us)
{
	int64_t us = now_us - p->at_us, most, burst;

	most = MDD_PACE_BURST * 8;
	burst = (int64_t)(rate(p) * MDD_PACE_MS / 1000);
	if (burst > most)
		most = burst;
	if (p->at_us == 0 || us > 1000000)
		p->credit = most;
	else if (us > 0)
		p->credit += (int64_t)(rate(p) * (uint64_t)us / 1000000);
	if (p->credit > most)
		p->credit = most;
	if (us > 0 || p->at_us == 0)
		p->at_us = now_us;
}

bool
mdd_pace_now(struct mdd_pace *p, unsigned octets, bool sound, int64_t now_us)
{
	if (p->bps == 0)
		return true;
	earn(p, now_us);
	if (!sound && (p->n > 0 || p->credit <= 0))
		return false;
	p->credit -= (int64_t)octets * 8;
	/* Sound is little; a lie about it costs its teller no more than a
	 * second of pictures. */
	if (p->credit < -(int64_t)rate(p))
		p->credit = -(int64_t)rate(p);
	return true;
}

bool
mdd_pace_put(struct mdd_pace *p, const struct mdd_pace_item *item)
{
	if (p->n == p->room)
		return false;
	p->item[(p->first + p->n++) % p->room] = *item;
	return true;
}

bool
mdd_pace_take(struct mdd_pace *p, struct mdd_pace_item *item, int64_t now_us,
    uint64_t *stale)
{
	earn(p, now_us);
	while (p->n > 0) {
		*item = p->item[p->first];
		if (now_us / 1000 - item->at_ms > MDD_PACE_AGE_MS) {
			p->first = (p->first + 1) % p->room;
			p->n--;
			(*stale)++;
			continue;
		}
		if (p->bps != 0 && p->credit <= 0)
			return false;
		p->credit -= (int64_t)item->octets * 8;
		p->first = (p->first + 1) % p->room;
		p->n--;
		return true;
	}
	return false;
}

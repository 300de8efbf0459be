/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Between the packet road and the parts that only count (mdd/bwe.c,
 * mdd/pace.c, perc/twcc.c). A packet that goes again keeps its number, for it
 * keeps its octets; so what it tells the estimate is said once, and a number
 * that is told twice counts the first time.
 */
#include "mdd/cc.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "mdd/beat.h"
#include "mdd/worker.h"

#define SOUND_MAX 400 /* octets that are sound when nothing tells */
#define ITEMS_MAX 8   /* elements of one extension block */

static int64_t
now_us(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

/*
 * Nothing waits before the road has once shown that it is narrower than what
 * comes: there is no probing (mdd/bwe.c), so the estimate of a leg that was
 * quiet says nothing, and a stream that begins would be held to it.
 */
static void
pace_set(struct mdd_leg *leg)
{
	mdd_pace_rate(&leg->cc->pace, leg->bwe.slow ? leg->bwe.bps : 0);
}

static unsigned
sent_room(bool link)
{
	return link ? MDD_CC_LINK : MDD_CC_SENT;
}

static unsigned
pace_room(bool link)
{
	return link ? MDD_PACE_LINK : MDD_PACE_QUEUE;
}

size_t
mdd_cc_memory(bool link)
{
	return sizeof(struct mdd_cc) +
	    sent_room(link) * sizeof(struct mdd_cc_sent) +
	    pace_room(link) * sizeof(struct mdd_pace_item);
}

void
mdd_cc_open(struct mdd_leg *leg)
{
	uint8_t id = leg->plan != NULL ? leg->plan->ext[PERC_HDREXT_TWCC]
	    : leg->twcc		       ? PERC_HDREXT_TWCC
				       : 0;
	bool link = leg->link != NULL;

	mdd_bwe_init(&leg->bwe);
	if (id == 0 || leg->cc != NULL ||
	    (leg->cc = calloc(1, mdd_cc_memory(link))) == NULL)
		return;
	leg->cc->id = id;
	leg->cc->mask = (uint16_t)(sent_room(link) - 1);
	/* what waits stands behind what was sent */
	mdd_pace_init(&leg->cc->pace,
	    (struct mdd_pace_item *)(void *)&leg->cc->sent[sent_room(link)],
	    pace_room(link));
	pace_set(leg);
}

void
mdd_cc_close(struct mdd_leg *leg)
{
	free(leg->cc);
	leg->cc = NULL;
}

/* ---- the packet road --------------------------------------------------------
 */

bool
mdd_cc_stamp(const struct mdd_cc *cc, const uint8_t *p,
    const struct perc_rtp *h, uint16_t tseq, struct perc_rewrite *w,
    uint8_t ext[static PERC_HDREXT_MAX])
{
	const uint8_t number[2] = { (uint8_t)(tseq >> 8), (uint8_t)tseq };
	const uint8_t *block = w->set_ext ? w->ext : p + h->fixed_len;
	size_t len = w->set_ext ? w->extlen : h->header_len - h->fixed_len;
	struct perc_hdrext_item item[ITEMS_MAX + 1];
	struct perc_hdrext_iter it = { 0 };
	unsigned n = 0, profile;

	if (block != NULL && len > PERC_HDREXT_HEAD) {
		profile = (unsigned)block[0] << 8 | block[1];
		it.p = block + PERC_HDREXT_HEAD;
		it.left = len - PERC_HDREXT_HEAD;
		it.two = (profile & PERC_HDREXT_TWO_MASK) == PERC_HDREXT_TWO;
		if (!it.two && profile != PERC_HDREXT_ONE)
			return false;
		while (n < ITEMS_MAX && perc_hdrext_next(&it, &item[n]))
			n += item[n].id != cc->id;
	}
	item[n++] = (struct perc_hdrext_item){
		.id = cc->id, .len = sizeof(number), .data = number
	};
	if (perc_hdrext_put(ext, PERC_HDREXT_MAX, item, n, &w->extlen) != 0)
		return false;
	w->set_ext = true;
	w->ext = ext;
	return true;
}

void
mdd_cc_sent(struct mdd_cc *cc, uint16_t tseq, size_t n)
{
	cc->sent[tseq & cc->mask] = (struct mdd_cc_sent){
		.at_us = now_us(), .tseq = tseq, .octets = (uint16_t)n
	};
	cc->next = (uint16_t)(tseq + 1);
}

static bool
is_sound(const struct mdd_staged *k)
{
	return k->src->sight.media == MDD_MEDIA_AUDIO ||
	    (k->src->sight.media == MDD_MEDIA_UNKNOWN && k->n <= SOUND_MAX);
}

bool
mdd_cc_wait(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_staged *k, uint16_t seq)
{
	struct mdd_pace_item item = { .number = k->number,
		.seq = seq,
		.place = (uint16_t)(k->src - k->room->src),
		.octets = (uint16_t)(k->n + k->taillen),
		.at_ms = w->now_ms };

	if (k->number == 0 ||
	    mdd_pace_now(&to->cc->pace, item.octets, is_sound(k), now_us()))
		return false;
	if (!mdd_pace_put(&to->cc->pace, &item))
		w->count[MDD_PACE_DROPPED]++;
	else
		w->count[MDD_PACE_WAITED]++;
	mdd_beat_start(w, to);
	return true;
}

void
mdd_cc_seen(struct mdd_worker *w, struct mdd_leg *leg, const struct perc_rtp *h,
    const uint8_t *p)
{
	struct perc_hdrext_item x;

	if (!h->extension || !perc_hdrext_find(h, p, PERC_HDREXT_TWCC, &x) ||
	    x.len != 2)
		return;
	leg->cc->media = h->ssrc;
	perc_twcc_seen(
	    &leg->cc->log, (uint16_t)(x.data[0] << 8 | x.data[1]), now_us());
	mdd_beat_start(w, leg);
}

/* ---- feedback ---------------------------------------------------------------
 */

void
mdd_cc_feedback(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms)
{
	struct perc_twcc_item item[PERC_TWCC_MAX];
	struct mdd_cc *cc = leg->cc;
	unsigned at, lost = 0;
	int i, n;

	if (cc != NULL && !mdd_damp_work(w, leg, 0, now_ms))
		return;
	if (cc == NULL || (n = perc_twcc_get(k, item)) < 0) {
		w->count[MDD_RTCP_IGNORED]++;
		return;
	}
	w->count[MDD_CC_TOLD]++;
	for (i = 0; i < n; i++) {
		at = item[i].tseq & cc->mask;
		if (cc->sent[at].at_us == 0 ||
		    cc->sent[at].tseq != item[i].tseq)
			continue; /* of no packet of ours, or told before */
		if (item[i].came)
			mdd_bwe_came(&leg->bwe, cc->sent[at].at_us,
			    item[i].at_us, cc->sent[at].octets);
		else
			lost++;
		cc->sent[at].at_us = 0;
	}
	mdd_bwe_lost(&leg->bwe, lost);
	leg->bwe.bps = mdd_bwe_update(&leg->bwe, now_ms,
	    leg->report.rtt_ms > 0 ? leg->report.rtt_ms : 100);
	pace_set(leg);
	/* A link is not held to what it was never seen to be too much for. */
	mdd_select_rate(
	    leg, leg->link == NULL || leg->bwe.slow ? leg->bwe.bps : 0);
}

static bool
feedback_send(struct mdd_worker *w, struct mdd_leg *leg)
{
	uint8_t buf[MDD_RTCP_MAX + 400];
	struct perc_wire out;

	perc_wire_writer(&out, buf, sizeof(buf));
	perc_wire_put_u32(&out, 0x80c90001);
	perc_wire_put_u32(&out, MDD_RTCP_SSRC);
	if (!perc_twcc_put(&leg->cc->log, &out, MDD_RTCP_SSRC, leg->cc->media))
		return false;
	mdd_rtcp_send(w, leg, buf, out.pos);
	return true;
}

static bool
feedback_due(const struct mdd_cc *cc, int64_t now_ms)
{
	unsigned n = perc_twcc_pending(&cc->log);

	return n >= MDD_CC_FB_MANY ||
	    (n > 0 && now_ms - cc->told_ms >= MDD_CC_FB_MS);
}

bool
mdd_cc_beat(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	struct mdd_pace_item item;
	struct mdd_cc *cc = leg->cc;
	uint64_t stale = 0;

	if (cc == NULL)
		return false;
	while (
	    cc->pace.n > 0 && mdd_pace_take(&cc->pace, &item, now_us(), &stale))
		mdd_media_release(w, leg, &item, now_ms);
	w->count[MDD_PACE_DROPPED] += stale;
	while (feedback_due(cc, now_ms) && feedback_send(w, leg))
		cc->told_ms = now_ms;
	return cc->pace.n > 0 || perc_twcc_pending(&cc->log) > 0;
}

void
mdd_cc_tick(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	const struct mdd_report *r = &leg->report;
	uint64_t octets = leg->sent_octets - leg->sent_before;
	bool fresh = now_ms - r->loss_ms < 2000;

	leg->sent_before = leg->sent_octets;
	leg->sent_bps = octets * 8; /* a tick is a second */
	if (leg->cc != NULL ||
	    (leg->link != NULL && leg->link->kind == MDD_LINK_LOCAL))
		return;
	mdd_select_rate(leg,
	    mdd_bwe_report(&leg->bwe, fresh ? r->loss : 0,
		now_ms - r->remb_ms < 5000 ? r->remb_bps : 0, leg->sent_bps,
		now_ms));
}

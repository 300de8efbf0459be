/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 3550 appendices A.1, A.3 and A.8, without A.1's probation: a hop's
 * packets are authenticated before they come here. A distributor is not told
 * which clock a payload type has, so the rate is found from two sender
 * reports, which give both clocks, and taken as the nearest usual one; until
 * then jitter is reported as 0.
 */
#include "perc/reception.h"

#include <string.h>

#define RECEPTION_JUMP 3000 /* MAX_DROPOUT of appendix A.1 */

static void
reception_begin(struct perc_reception *r, uint16_t seq)
{
	r->base = r->top = seq;
	r->received = r->expected_before = r->received_before = 0;
	r->started = true;
}

static void
jitter_step(struct perc_reception *r, const struct perc_rtp *h, int64_t now_ms)
{
	int64_t d;

	if (r->rate != 0 && r->ts_ms != 0 && h->ts != r->ts) {
		d = (now_ms - r->ts_ms) * r->rate / 1000 -
		    (int32_t)(h->ts - r->ts);
		if (d < 0)
			d = -d;
		if (d < 10 * (int64_t)r->rate) /* or it was away */
			r->jitter += (uint32_t)d - ((r->jitter + 8) >> 4);
	}
	r->ts = h->ts;
	r->ts_ms = now_ms;
}

void
perc_reception_packet(
    struct perc_reception *r, const struct perc_rtp *h, int64_t now_ms)
{
	int16_t d = (int16_t)(uint16_t)(h->seq - (uint16_t)r->top);

	if (!r->started || d > RECEPTION_JUMP || d < -RECEPTION_JUMP) {
		reception_begin(r, h->seq);
		r->ts_ms = 0;
		d = 0;
	} else if (d > 0)
		r->top += (uint32_t)d;
	r->received++;
	r->fresh = true;
	if (d >= 0)
		jitter_step(r, h, now_ms);
}

static uint32_t
rate_usual(uint64_t hz)
{
	static const uint32_t usual[] = { 8000, 16000, 32000, 44100, 48000,
		90000 };
	size_t i;

	for (i = 0; i < sizeof(usual) / sizeof(usual[0]); i++)
		if (hz > usual[i] - usual[i] / 30 &&
		    hz < usual[i] + usual[i] / 30)
			return usual[i];
	return 0;
}

void
perc_reception_sr(
    struct perc_reception *r, const struct perc_rtcp_sr *sr, int64_t now_ms)
{
	uint64_t ntp = (sr->ntp - r->sr_ntp) >> 16; /* 65536ths of a second */
	uint64_t rtp = (uint32_t)(sr->rtp - r->sr_rtp);
	uint32_t rate;

	if (r->sr_ntp != 0 && sr->ntp > r->sr_ntp && ntp > 6554 &&
	    ntp < 65536 * 60 && (rate = rate_usual((rtp << 16) / ntp)) != 0)
		r->rate = rate;
	r->sr_ntp = sr->ntp;
	r->sr_rtp = sr->rtp;
	r->sr_ms = now_ms;
}

/* RFC 3550 appendix A.3 */
static void
loss_put(struct perc_reception *r, struct perc_rtcp_block *b)
{
	uint32_t expected = r->top - r->base + 1;
	int64_t lost = (int64_t)expected - r->received;
	uint32_t more = expected - r->expected_before;
	int64_t gone = (int64_t)more - (r->received - r->received_before);

	if (lost > 0x7fffff)
		lost = 0x7fffff;
	if (lost < -0x800000)
		lost = -0x800000;
	b->lost = (int32_t)lost;
	b->fraction = more == 0 || gone <= 0
	    ? 0
	    : (uint8_t)(gone * 256 / more > 255 ? 255 : gone * 256 / more);
	r->expected_before = expected;
	r->received_before = r->received;
}

bool
perc_reception_block(struct perc_reception *r, uint32_t ssrc, int64_t now_ms,
    struct perc_rtcp_block *b)
{
	if (!r->started || !r->fresh)
		return false;
	memset(b, 0, sizeof(*b));
	b->ssrc = ssrc;
	loss_put(r, b);
	b->top = r->top;
	b->jitter = r->jitter >> 4;
	if (r->sr_ntp != 0) {
		b->lsr = (uint32_t)(r->sr_ntp >> 16);
		b->dlsr = perc_rtcp_from_ms(now_ms - r->sr_ms);
	}
	r->fresh = false;
	return true;
}

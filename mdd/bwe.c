/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A queue that grows somewhere on the road delays each packet more than the
 * one before, long before any is lost. One difference says little (a burst, a
 * radio that waits), so that a line is fitted to the last twenty and its slope
 * compared with a threshold; the threshold follows what the road does by
 * itself, or a TCP flow beside us would take everything.
 *
 * There is no padding to probe with: the one SSRC of a stream cannot carry it
 * (RFC 8723 section 4). So the estimate grows beyond what is sent, up to a
 * bound, and a layer that then does not fit is found out by its delay.
 */
#include "mdd/bwe.h"

#include <string.h>

#define GROUP_US     5000
#define BURST_US     5000   /* between two packets of a burst ... */
#define BURST_MAX_US 100000 /* ... and all of it */
#define SMOOTHING    0.9
#define GAIN	     4.0
#define DELTAS_MAX   60
#define THRESHOLD    12.5
#define THRESHOLD_LO 6.0
#define THRESHOLD_HI 600.0
#define K_UP	     0.0087
#define K_DOWN	     0.039
#define OVER_US	     10000
#define CUT	     0.85
#define GROW	     1.08 /* a second, far from the link's end */
#define GROW_LOSS    1.05
#define ACKED_US     500000
#define AHEAD	     8 /* times what arrives that the estimate may be */
#define LOSS_MS	     1000
#define LOSS_LEAST   20 /* packets that make a share */

void
mdd_bwe_init(struct mdd_bwe *b)
{
	memset(b, 0, sizeof(*b));
	b->bps = MDD_BWE_START;
	b->threshold = THRESHOLD;
}

static double
slope(const struct mdd_bwe *b)
{
	double mx = 0, my = 0, num = 0, den = 0, d;
	unsigned i;

	for (i = 0; i < b->points; i++) {
		mx += b->point[i].x / b->points;
		my += b->point[i].y / b->points;
	}
	for (i = 0; i < b->points; i++) {
		d = b->point[i].x - mx;
		num += d * (b->point[i].y - my);
		den += d * d;
	}
	return den > 0 ? num / den : 0;
}

static void
threshold_move(struct mdd_bwe *b, double trend, int64_t at_us)
{
	double size = trend < 0 ? -trend : trend;
	double ms = (double)(at_us - b->threshold_us) / 1000;

	if (b->threshold_us == 0 || ms > 100)
		ms = b->threshold_us == 0 ? 0 : 100;
	b->threshold_us = at_us;
	if (size > b->threshold + 15) /* a jump is no habit */
		return;
	b->threshold +=
	    (size < b->threshold ? K_DOWN : K_UP) * (size - b->threshold) * ms;
	if (b->threshold < THRESHOLD_LO)
		b->threshold = THRESHOLD_LO;
	if (b->threshold > THRESHOLD_HI)
		b->threshold = THRESHOLD_HI;
}

static void
detect(struct mdd_bwe *b, double trend, int64_t at_us)
{
	if (trend > b->threshold) {
		if (b->over_us == 0)
			b->over_us = at_us;
		if (at_us - b->over_us >= OVER_US && trend >= b->trend)
			b->signal = MDD_BWE_OVER;
	} else {
		b->over_us = 0;
		b->signal =
		    trend < -b->threshold ? MDD_BWE_UNDER : MDD_BWE_NORMAL;
	}
	b->trend = trend;
	threshold_move(b, trend, at_us);
}

/* Two groups are whole: one more point. */
static void
group_end(struct mdd_bwe *b)
{
	double d;

	if (b->before.used) {
		d = (double)((b->now.at_us - b->before.at_us) -
			(b->now.send_us - b->before.send_us)) /
		    1000;
		b->delay += d;
		b->smooth = b->deltas == 0
		    ? b->delay
		    : SMOOTHING * b->smooth + (1 - SMOOTHING) * b->delay;
		if (b->deltas++ == 0)
			b->first_us = b->now.at_us;
		b->point[b->at].x = (double)(b->now.at_us - b->first_us) / 1000;
		b->point[b->at].y = b->smooth;
		b->at = (b->at + 1) % MDD_BWE_POINTS;
		if (b->points < MDD_BWE_POINTS)
			b->points++;
		if (b->points == MDD_BWE_POINTS)
			detect(b,
			    slope(b) * GAIN *
				(b->deltas < DELTAS_MAX ? b->deltas
							: DELTAS_MAX),
			    b->now.at_us);
	}
	b->before = b->now;
}

static void
acked_count(struct mdd_bwe *b, int64_t at_us, unsigned n)
{
	int64_t us;
	uint64_t bps;

	if (b->window_us == 0 || at_us < b->window_us)
		b->window_us = at_us;
	us = at_us - b->window_us;
	if (us >= ACKED_US) {
		bps = b->window_octets * 8 * 1000000 / (uint64_t)us;
		b->acked = b->acked == 0 ? bps : (b->acked + bps) / 2;
		b->window_us = at_us;
		b->window_octets = 0;
	}
	b->window_octets += n;
}

/*
 * What was held up somewhere (a receiver or a radio that stood still) comes at
 * once afterwards, sooner behind each other than it left. Such a burst is one
 * group (draft-ietf-rmcat-gcc-02 section 5.2), or each stop of a machine would
 * look like a queue that grew.
 */
static bool
group_takes(const struct mdd_bwe_group *g, int64_t send_us, int64_t at_us)
{
	int64_t after = at_us - g->at_us;

	if (send_us < g->first_us)
		return false;
	if (send_us - g->first_us <= GROUP_US)
		return true;
	return after >= -BURST_US && after <= BURST_US &&
	    after < send_us - g->send_us && at_us - g->burst_us < BURST_MAX_US;
}

void
mdd_bwe_came(struct mdd_bwe *b, int64_t send_us, int64_t at_us, unsigned n)
{
	b->came++;
	acked_count(b, at_us, n);
	if (b->now.used && group_takes(&b->now, send_us, at_us)) {
		if (at_us - b->now.at_us > BURST_US)
			b->now.burst_us = at_us; /* it begins within a group */
		b->now.send_us = send_us;
		if (at_us > b->now.at_us)
			b->now.at_us = at_us;
		return;
	}
	if (b->now.used)
		group_end(b);
	b->now = (struct mdd_bwe_group){ .first_us = send_us,
		.send_us = send_us,
		.burst_us = at_us,
		.at_us = at_us,
		.used = true };
}

void
mdd_bwe_lost(struct mdd_bwe *b, unsigned n)
{
	b->lost += n;
}

static uint64_t
within(double bps)
{
	if (bps < MDD_BWE_MIN)
		return MDD_BWE_MIN;
	return bps > MDD_BWE_MAX ? MDD_BWE_MAX : (uint64_t)bps;
}

static void
cut(struct mdd_bwe *b, double to, int64_t now_ms)
{
	if (to < (double)b->bps)
		b->bps = within(to);
	b->cut_ms = b->grow_ms = now_ms;
	b->slow = true;
	b->link = b->acked;
}

/* Near the link's end a packet for each round trip, else 8 % a second. */
static void
grow(struct mdd_bwe *b, int64_t now_ms, int64_t rtt_ms)
{
	double s = (double)(now_ms - b->grow_ms) / 1000, to;

	if (b->grow_ms == 0 || s > 1)
		s = b->grow_ms == 0 ? 0 : 1;
	b->grow_ms = now_ms;
	if (b->slow && b->link > 0 && b->bps < b->link + b->link / 2)
		to = (double)b->bps + s * 1000 / (double)(rtt_ms + 100) * 9600;
	else
		to = (double)b->bps * (1 + (GROW - 1) * s);
	if (b->acked > 0 && to > (double)b->acked * AHEAD + 100000)
		to = (double)b->acked * AHEAD + 100000;
	if (to > (double)b->bps)
		b->bps = within(to);
}

/* A tenth lost is a queue that overflows; a few are a radio's. */
static void
loss_weigh(struct mdd_bwe *b, int64_t now_ms)
{
	unsigned all = b->came + b->lost;
	double share, to;

	if (b->loss_ms == 0)
		b->loss_ms = now_ms;
	if (now_ms - b->loss_ms < LOSS_MS || all < LOSS_LEAST)
		return;
	share = (double)b->lost / all;
	b->came = b->lost = 0;
	b->loss_ms = now_ms;
	b->lossy = share > 0.02;
	if (share <= 0.1)
		return;
	to = (double)b->bps * (1 - share / 2);
	/* More than arrives at the end of a full queue never will. */
	if (b->acked > 0 && to > (double)b->acked)
		to = (double)b->acked;
	cut(b, to, now_ms);
}

uint64_t
mdd_bwe_update(struct mdd_bwe *b, int64_t now_ms, int64_t rtt_ms)
{
	loss_weigh(b, now_ms);
	switch (b->signal) {
	case MDD_BWE_OVER:
		/* Once for what is on its way; then look again. */
		if (now_ms - b->cut_ms >= rtt_ms + 100)
			cut(b, CUT * (double)(b->acked > 0 ? b->acked : b->bps),
			    now_ms);
		break;
	case MDD_BWE_NORMAL:
		if (b->lossy)
			b->grow_ms = now_ms;
		else
			grow(b, now_ms, rtt_ms);
		break;
	case MDD_BWE_UNDER: /* the queue empties: let it */
		b->grow_ms = now_ms;
		break;
	}
	return b->bps;
}

uint64_t
mdd_bwe_report(struct mdd_bwe *b, unsigned loss, uint64_t remb,
    uint64_t sent_bps, int64_t now_ms)
{
	if (loss > 25) { /* of 256: a tenth */
		if (b->grow_ms == 0 || b->bps > sent_bps)
			b->bps = within((double)sent_bps);
		b->bps = within((double)b->bps * (1 - (double)loss / 512));
		b->grow_ms = now_ms;
	} else if (b->grow_ms != 0 && loss <= 5) {
		b->bps = within((double)b->bps * GROW_LOSS);
		if (b->bps > AHEAD * sent_bps + 100000)
			b->grow_ms = 0; /* forgotten */
	}
	if (b->grow_ms == 0)
		return remb;
	return remb != 0 && remb < b->bps ? remb : b->bps;
}

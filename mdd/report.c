/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Only the counts of an SR change on the way: RTP timestamps never do, so the
 * source's own relation of NTP and RTP time stays the right one, and lips stay
 * with voices. The price is that LSR of a receiver's report is a time of the
 * source's clock, which says nothing here: so each leg remembers when which SR
 * went to it, and the round trip is found by that (RFC 3550 section 6.4.1).
 */
#include "mdd/report.h"

#include <string.h>

#include "mdd/worker.h"

#define RR_HEAD	     8
#define RR_BLOCKS    31 /* of one RR; who is left out comes next */
#define LOSS_KEEP_MS 1500
#define RTT_MAX_MS   10000
#define REMB_FCI     16 /* "REMB", count, exponent, mantissa: up to there */

/* ---- what comes -----------------------------------------------------------
 */

static void
rtt_take(struct mdd_report *r, const struct perc_rtcp_block *b, int64_t now_ms)
{
	int64_t ms;
	unsigned i;

	if (b->lsr == 0)
		return;
	for (i = 0; i < MDD_REPORT_SRS; i++)
		if (r->sr[i].ssrc == b->ssrc && r->sr[i].lsr == b->lsr)
			break;
	if (i == MDD_REPORT_SRS)
		return;
	ms = now_ms - r->sr[i].at_ms - perc_rtcp_to_ms(b->dlsr);
	if (ms < 0 || ms > RTT_MAX_MS)
		return;
	ms = ms == 0 ? 1 : ms;
	r->rtt_ms = r->rtt_ms == 0 ? ms : (7 * r->rtt_ms + ms) / 8;
}

static void
blocks_take(struct mdd_leg *leg, const struct perc_rtcp *k, int64_t now_ms)
{
	struct mdd_report *r = &leg->report;
	struct perc_rtcp_block b;
	struct perc_wire in;
	const uint8_t *p;
	unsigned i, n;

	if ((p = perc_rtcp_blocks(k, &n)) == NULL || n == 0)
		return;
	perc_wire_reader(&in, p, (size_t)n * PERC_RTCP_BLOCK_LEN);
	if (now_ms - r->loss_ms > LOSS_KEEP_MS) {
		r->loss = 0;
		r->loss_ms = now_ms;
	}
	for (i = 0; i < n; i++) {
		perc_rtcp_block_get(&b, &in);
		rtt_take(r, &b, now_ms);
		/* The worst: an application beside the agent tells of what it
		 * has after repair. */
		if (b.fraction > r->loss)
			r->loss = b.fraction;
	}
}

/* draft-alvestrand-rmcat-remb-03 section 2.2 */
static void
remb_take(struct mdd_leg *leg, const struct perc_rtcp *k, int64_t now_ms)
{
	struct perc_wire in;
	uint32_t word;

	if (k->n < 12 + 8 || memcmp(k->p + 12, "REMB", 4) != 0)
		return;
	perc_wire_reader(&in, k->p + REMB_FCI, 4);
	word = perc_wire_get_u32(&in);
	leg->report.remb_bps = (uint64_t)(word & 0x3ffff) << (word >> 18 & 63);
	leg->report.remb_ms = now_ms;
}

void
mdd_report_input(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms)
{
	struct perc_rtcp_sr sr;
	int i;

	if (k->n < RR_HEAD)
		return;
	i = mdd_leg_index(leg, k->ssrc);
	if (i < 0 && (leg->link == NULL || k->ssrc != MDD_RTCP_SSRC))
		return; /* another distributor reports in its own name */
	if (i >= 0 && perc_rtcp_sr_get(&sr, k))
		perc_reception_sr(
		    &mdd_leg_in(leg, (unsigned)i)->rx, &sr, now_ms);
	if (k->type == PERC_RTCP_SR || k->type == PERC_RTCP_RR)
		blocks_take(leg, k, now_ms);
	else if (k->type == PERC_RTCP_PSFB && k->count == PERC_RTCP_AFB)
		remb_take(leg, k, now_ms);
}

/* ---- what goes on -----------------------------------------------------------
 */

/* Does `to` see anything of this source of from's? What sends no RTP (yet) is
 * told to all. */
static bool
is_seen(const struct mdd_leg *to, struct mdd_leg *from, unsigned i)
{
	const struct mdd_source *s = mdd_leg_src(from, i);

	return !mdd_leg_in(from, i)->rx.started ||
	    to->tally[s - from->room->src].ssrc == s->ssrc;
}

static void
sr_for(struct mdd_leg *to, const struct mdd_tally *t, const struct perc_rtcp *k,
    struct perc_wire *out, int64_t now_ms)
{
	struct mdd_report *r = &to->report;
	struct perc_rtcp_sr sr;
	unsigned i;

	if (!perc_rtcp_sr_get(&sr, k))
		return;
	sr.packets = t->ssrc == k->ssrc ? t->packets : 0;
	sr.octets = t->ssrc == k->ssrc ? t->octets : 0;
	perc_rtcp_sr_put(out, k->ssrc, &sr);
	i = r->srs++ % MDD_REPORT_SRS;
	r->sr[i].ssrc = k->ssrc;
	r->sr[i].lsr = (uint32_t)(sr.ntp >> 16);
	r->sr[i].at_ms = now_ms;
}

size_t
mdd_report_for(struct mdd_leg *to, struct mdd_leg *from, const uint8_t *c,
    size_t n, uint8_t *out, int64_t now_ms)
{
	struct perc_wire w;
	struct perc_rtcp k;
	size_t at, head = 0;
	int i;

	perc_wire_writer(&w, out, n);
	for (at = 0; perc_rtcp_next(&k, c + at, n - at); at += k.n) {
		i = mdd_leg_index(from, k.ssrc);
		if (i < 0 || k.type == PERC_RTCP_BYE) {
			perc_wire_put_bytes(&w, k.p, k.n);
			head += i < 0 ? k.n : 0; /* our own RR */
		} else if (!is_seen(to, from, (unsigned)i))
			continue;
		else if (k.type == PERC_RTCP_SR)
			sr_for(to,
			    &to->tally[mdd_leg_src(from, (unsigned)i) -
				from->room->src],
			    &k, &w, now_ms);
		else
			perc_wire_put_bytes(&w, k.p, k.n);
	}
	return w.err == 0 && w.pos > head ? w.pos : 0;
}

/* ---- our own
 * ------------------------------------------------------------------
 */

static void
rr_send(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms)
{
	uint8_t buf[RR_HEAD + RR_BLOCKS * PERC_RTCP_BLOCK_LEN];
	struct perc_rtcp_block b;
	struct mdd_source *s;
	struct perc_wire out;
	unsigned i = 0, n = 0;
	size_t at;

	perc_wire_writer(&out, buf, sizeof(buf));
	at = perc_rtcp_open(&out, 0, PERC_RTCP_RR);
	perc_wire_put_u32(&out, MDD_RTCP_SSRC);
	while (n < RR_BLOCKS && (s = mdd_leg_source_next(leg, &i)) != NULL)
		if (perc_reception_block(
			&mdd_leg_in(leg, i - 1)->rx, s->ssrc, now_ms, &b)) {
			perc_rtcp_block_put(&out, &b);
			n++;
		}
	if (n == 0)
		return;
	perc_rtcp_close(&out, at);
	buf[at] = (uint8_t)(0x80 | n);
	mdd_rtcp_send(w, leg, buf, out.pos);
}

void
mdd_report_tick(struct mdd_worker *w, int64_t now_ms)
{
	struct mdd_leg *leg;
	size_t i;

	for (i = 0; i < w->legs.limits.max_legs; i++) {
		leg = &w->legs.pool[i];
		if (leg->state != MDD_LEG_UP)
			continue;
		rr_send(w, leg, now_ms);
		mdd_cc_tick(w, leg, now_ms);
	}
}

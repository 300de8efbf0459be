/* SPDX-License-Identifier: Apache-2.0 */
/*
 * SR and RR end at each hop (RFC 8723 section 6). Towards a sender we are the
 * receiver and report what came from it; towards a receiver a source's SR goes
 * on with that source's clocks and the counts of what this receiver was sent.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/rtcp.h"

struct mdd_worker;
struct mdd_leg;

/* What one leg was sent of one source. A place of the room's sources may be
 * given to another SSRC; then it begins anew. */
struct mdd_tally {
	uint32_t ssrc, packets, octets;
};

static inline void
mdd_tally_add(struct mdd_tally *t, uint32_t ssrc, size_t octets)
{
	if (t->ssrc != ssrc)
		*t = (struct mdd_tally){ .ssrc = ssrc };
	t->packets++;
	t->octets += (uint32_t)octets;
}

#define MDD_REPORT_SRS 8 /* SRs of which a leg's answer is recognised */

struct mdd_report { /* of one leg */
	struct {
		uint32_t ssrc, lsr;
		int64_t at_ms;
	} sr[MDD_REPORT_SRS];
	unsigned srs;
	int64_t rtt_ms;	    /* 0: not known */
	unsigned loss;	    /* of 256, the worst of the last reports */
	int64_t loss_ms;    /* when that was */
	uint64_t remb_bps;  /* the receiver's own estimate; 0: none ... */
	int64_t remb_ms;    /* ... at that time */
};

/* One packet of leg's compound: what concerns this hop is taken from it. */
void mdd_report_input(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms);
/* The compound c (n octets) of `from` as `to` is to have it, into out of as
 * much room. 0: there is nothing in it for this one. */
size_t mdd_report_for(struct mdd_leg *to, struct mdd_leg *from,
    const uint8_t *c, size_t n, uint8_t *out, int64_t now_ms);
/* Once a second: receiver reports to all who sent. */
void mdd_report_tick(struct mdd_worker *w, int64_t now_ms);

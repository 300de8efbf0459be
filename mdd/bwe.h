/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many bits a second one leg carries, from what its receiver says: how the
 * delay of packets grows (transport-wide feedback), how many are lost. After
 * the design of draft-ietf-rmcat-gcc-02: a trend line through the delays, a
 * threshold that adapts, and a rate that grows slowly and falls to 85 % of
 * what arrived. Time is an argument; no memory of its own.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MDD_BWE_MIN    30000u	  /* bits a second: a voice */
#define MDD_BWE_MAX    4000000000u /* no worker sends more to one */
#define MDD_BWE_START  2000000u
#define MDD_BWE_POINTS 20 /* of the trend line */

enum mdd_bwe_signal { MDD_BWE_NORMAL, MDD_BWE_OVER, MDD_BWE_UNDER };

struct mdd_bwe_group { /* packets that left within 5 ms, or came in a burst */
	int64_t first_us, send_us; /* left: first, last */
	int64_t burst_us, at_us;   /* came */
	bool used;
};

struct mdd_bwe {
	uint64_t bps;	/* the estimate */
	uint64_t acked; /* bits a second that arrived of late */
	struct mdd_bwe_group now, before;
	double delay, smooth; /* ms */
	struct {
		double x, y;
	} point[MDD_BWE_POINTS];
	unsigned points, at, deltas;
	int64_t first_us;
	double threshold, trend; /* ms */
	int64_t threshold_us, over_us;
	enum mdd_bwe_signal signal;
	int64_t window_us; /* of the octets that arrived */
	uint64_t window_octets;
	unsigned came, lost; /* since loss_ms */
	int64_t loss_ms, grow_ms, cut_ms;
	bool lossy; /* in the last second: it does not grow */
	bool slow; /* it has been cut once: near the link's end */
	uint64_t link; /* what arrived when it was cut; 0: not known */
};

void mdd_bwe_init(struct mdd_bwe *b);
/* A packet of n octets that left at send_us came at at_us (of any clock that
 * runs as ours does); in the order in which they left. */
void mdd_bwe_came(
    struct mdd_bwe *b, int64_t send_us, int64_t at_us, unsigned n);
void mdd_bwe_lost(struct mdd_bwe *b, unsigned n);
/* After each feedback: the estimate anew. */
uint64_t mdd_bwe_update(struct mdd_bwe *b, int64_t now_ms, int64_t rtt_ms);

/*
 * Without transport-wide feedback: the loss of receiver reports (of 256), the
 * receiver's own estimate (REMB; 0: none) and what we send, once a second. 0:
 * nothing speaks against sending everything.
 */
uint64_t mdd_bwe_report(struct mdd_bwe *b, unsigned loss, uint64_t remb,
    uint64_t sent_bps, int64_t now_ms);

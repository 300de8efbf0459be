/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one receiver sees of one source when it does not get everything: its
 * outer sequence numbers are those of the source less what was taken out, so
 * that no gap tells of packets that nobody wants to repeat (RFC 8723 section
 * 5.2 lets a distributor change SEQ; perc/forward.h keeps the original in the
 * OHB). Three spaces of numbers, then:
 *
 *   hop in    as the sender's hop had it; what its NACKs speak of
 *   source    hop in + mdd_source.shift; the same for all receivers; `in` here
 *   out       source - what was taken out for this one; what it sees, what an
 *	       RTX cache of its leg is kept by and what its NACKs speak of
 *
 * A leg that gets everything has no flows in use and costs nothing. Records
 * are of a pool made at start (legs x SSRCs of a conference), and all zeros is
 * a flow in which everything goes out. No clock here.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

/* SEQs whose fate is remembered: the replay window of a leg is no larger, and
 * what is older could not be sent anyway. */
#define MDD_FLOW_BACK  256
#define MDD_FLOW_WORDS (MDD_FLOW_BACK / 64)

struct mdd_flow {
	uint64_t gone[MDD_FLOW_WORDS]; /* bit i: top - i was taken out */
	uint16_t top;		       /* highest of the source, so far */
	uint16_t shift;		       /* out = in - shift at top */
	uint16_t number;	       /* of the frame that top is of */
	bool started;
	bool ended; /* top was the last packet of its frame */

	/* What is to be sent (mdd/select.h decides) ... */
	bool off;	    /* not wanted */
	uint8_t cut_goal;   /* temporal layers above 7 - this are not */
	uint16_t successor; /* goes on until this source of the room goes out;
			       its index + 1, 0: none */
	/* ... and what became of it. */
	bool dark;     /* nothing goes out */
	uint32_t full; /* which key the receiver could know then */
	uint32_t
	    due_ms; /* since when something should; low bits of the clock */
	uint8_t cut;
	uint32_t asked_ms; /* for a key frame; the same */
	uint32_t lit_ms;   /* since when something goes out; the same */
};

/* Begin when `top` was the highest SEQ of the source: all up to there went out
 * as they came, or never will. */
void mdd_flow_start(struct mdd_flow *f, uint16_t top);
/*
 * The fate of packet `in`: true when it goes out, as *out. A new one goes out
 * unless drop; what is missing before it counts as taken out when hole is set,
 * else its numbers stay open. A late one has the fate that its number was
 * given then, whatever drop says: a number that the receiver has been left
 * with is filled, one that is gone does not come back.
 */
bool mdd_flow_take(
    struct mdd_flow *f, uint16_t in, bool drop, bool hole, uint16_t *out);
/* The fate of the newest SEQ: taken out? */
bool mdd_flow_dropped(const struct mdd_flow *f);
/* The source's SEQ that went out, or would have, as `out`; false: too old. */
bool mdd_flow_back(const struct mdd_flow *f, uint16_t out, uint16_t *in);

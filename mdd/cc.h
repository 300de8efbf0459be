/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Congestion control of one leg whose endpoint knows the transport-wide
 * extension: the numbers that its packets get, when each left, what its
 * feedback says (mdd/bwe.h), and the queue of what waits (mdd/pace.h); and,
 * when it numbers its own packets, our feedback to it. Made when the leg
 * comes up, about 40 KiB; a leg without it pays a comparison.
 *
 * A link to another MDD has it as well, if both ends do, with more room, for it
 * carries many streams.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mdd/pace.h"
#include "perc/forward.h"
#include "perc/hdrext.h"
#include "perc/twcc.h"

struct mdd_worker;
struct mdd_leg;
struct mdd_staged;

#define MDD_CC_SENT    1024 /* packets whose feedback is awaited ... */
#define MDD_CC_LINK    8192 /* ... on a link, which carries many streams */
#define MDD_CC_FB_MS   50   /* between two feedbacks of ours ... */
#define MDD_CC_FB_MANY 256  /* ... or sooner, with so much to tell */

struct mdd_cc_sent {
	int64_t at_us; /* 0: nothing, or told already */
	uint16_t tseq, octets;
};

struct mdd_cc {
	uint8_t id;    /* of the extension on this leg */
	uint16_t next; /* number of the next packet */
	struct mdd_pace pace;
	struct perc_twcc_log log; /* of what comes from it */
	uint32_t media;		  /* one of its SSRCs */
	int64_t told_ms;
	uint16_t mask; /* of sent */
	struct mdd_cc_sent sent[];
};

/* What one of them takes. */
size_t mdd_cc_memory(bool link);
/* leg comes up: NULL afterwards when its endpoint does not know it. */
void mdd_cc_open(struct mdd_leg *leg);
void mdd_cc_close(struct mdd_leg *leg);

/* ---- the packet road; only for a leg that has it --------------------------- */
/* Add the number to the extensions that *w and packet p (header h) have, into
 * ext. False: they are of a kind that takes none. */
bool mdd_cc_stamp(const struct mdd_cc *cc, const uint8_t *p,
    const struct perc_rtp *h, uint16_t tseq, struct perc_rewrite *w,
    uint8_t ext[static PERC_HDREXT_MAX]);
/* It left, n octets long. */
void mdd_cc_sent(struct mdd_cc *cc, uint16_t tseq, size_t n);
/* True: k waits (or is lost) instead of going to `to` now as seq. */
bool mdd_cc_wait(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_staged *k, uint16_t seq);
/* A packet of leg's came, opened: note its number. */
void mdd_cc_seen(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtp *h, const uint8_t *p);

/* ---- beside it ---------------------------------------------------------------
 */
/* Feedback of leg's. */
void mdd_cc_feedback(struct mdd_worker *w, struct mdd_leg *leg,
    const struct perc_rtcp *k, int64_t now_ms);
/* What waits and may leave, and our feedback; false: nothing more to do. */
bool mdd_cc_beat(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);
/* Once a second, every leg: without the extension, loss and REMB count. */
void mdd_cc_tick(struct mdd_worker *w, struct mdd_leg *leg, int64_t now_ms);

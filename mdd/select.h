/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Who gets what: a receiver's subscription, the last N who spoke, one layer of
 * a simulcast picture, and the bandwidth of a leg decide for each flow of each
 * receiver (mdd/flow.h). Decisions are made anew when something changed, never
 * for a packet; in a room in which nobody asked for less than everything the
 * packet road pays one comparison.
 *
 * Layers of a picture are the SSRCs of one member with the same MID that
 * carry a RID (RFC 8853), worst first in the order of token2. A receiver gets
 * one of them: an SSRC cannot be rewritten (RFC 8723 section 4), so it sees
 * the picture move from one SSRC to another. One leg may carry sources of many
 * members (a link to another distributor): whose a source is, the source says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "mdd/flow.h"
#include "mdd/sight.h"
#include "mdd/speaker.h"
#include "perc/err.h"

#define MDD_RULES_MAX  48 /* of one subscription */
#define MDD_LAYER_ALL  255
#define MDD_TURN_MS    100  /* between two looks at who speaks */
#define MDD_SHARE_MS   500  /* between two looks at the bandwidth */
#define MDD_ASK_MS     1000 /* between two requests for one key frame */
#define MDD_FULL_MS    250  /* sound waits so long for a Full EKTField */
#define MDD_OVERLAP_MS 1000 /* both layers, when no key frame can be seen */

enum mdd_wish { /* bits */
	MDD_WISH_AUDIO = 1,
	MDD_WISH_VIDEO = 2,
	MDD_WISH_PIN = 4, /* even when not among the last N */
};
#define MDD_WISH_ALL (MDD_WISH_AUDIO | MDD_WISH_VIDEO)

struct mdd_rule {
	uint64_t member; /* mdd_select_member of its id; 0: ssrc counts */
	uint32_t ssrc;
	uint8_t wish;
	uint8_t layer; /* highest; 0 is the worst; MDD_LAYER_ALL: any */
};

struct mdd_taste { /* what a receiver asked for; zeros: everything */
	bool set;
	uint8_t wish, layer; /* of whom no rule names */
	uint8_t last_n;	     /* 0: as configured */
	uint8_t nrules;
	struct mdd_rule rule[MDD_RULES_MAX];
};

struct mdd_source;
struct mdd_leg;
struct mdd_room;
struct mdd_worker;
struct mdd_staged;

/* The name of a member in rules. Never 0. */
uint64_t mdd_select_member(const char *id);
/* From now on `leg` wants this. */
void mdd_select_taste(struct mdd_leg *leg, const struct mdd_taste *t);
/* The leg carries so many bits a second (congestion control says; 0: any). */
void mdd_select_rate(struct mdd_leg *leg, uint64_t bps);
/* Sources came, went, or became known: decide anew. */
void mdd_select_changed(struct mdd_room *room);
/* Place `at` of the room's sources is for another SSRC now. */
void mdd_select_forget(struct mdd_room *room, unsigned at);

/* ---- the packet road ---------------------------------------------------- */
/* An opened packet came in: look at its clear header. */
void mdd_select_see(struct mdd_room *room, struct mdd_source *s,
    const struct perc_rtp *h, struct mdd_staged *k, int64_t now_ms);
/* Before a room's packets go out: who speaks, what each leg is to get. */
void
mdd_select_turn(struct mdd_worker *w, struct mdd_room *room, int64_t now_ms);
/* Does k go to `to`, and as which SEQ? Only for a leg that is shaped. */
bool mdd_select_pass(struct mdd_worker *w, struct mdd_leg *to,
    const struct mdd_staged *k, int64_t now_ms, uint16_t *out);
/* NULL: the leg gets this source as it comes. */
struct mdd_flow *
mdd_select_flow(const struct mdd_leg *leg, const struct mdd_source *s);

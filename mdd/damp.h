/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one leg's RTCP may cost us in a second. A datagram of it may be two
 * hundred packets and name a thousand SSRCs and SEQs, so that the leg's own
 * limits of datagrams and bits say little: what is dear is counted by itself,
 * before it is done. A link speaks for many and has more.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mdd_worker;
struct mdd_leg;
struct mdd_legs;
struct mdd_source;

#define MDD_DAMP_COMPOUNDS	200 /* that are opened */
#define MDD_DAMP_COMPOUNDS_LINK 2000
#define MDD_DAMP_PARTS		64 /* packets of one that are heard */
/* Units of work: a SEQ is one; to find whose an SSRC is, which walks over the
 * legs of the conference, is some. */
#define MDD_DAMP_WORK	    8000
#define MDD_DAMP_WORK_LINK  40000
#define MDD_DAMP_FIND(legs) (4 + (legs) / 64)
/* SSRCs announced by a link that it may try to take. */
#define MDD_DAMP_TAKES(sources) (1000 + 4 * (sources))

struct mdd_damp { /* of one leg: how much of it is gone ... */
	int64_t since_ms; /* ... since then */
	unsigned compounds, work, takes;
};

/* May one more compound be opened? And the octets of it that are heard. */
bool mdd_damp_compound(struct mdd_leg *leg, int64_t now_ms);
size_t mdd_damp_cut(struct mdd_worker *w, const uint8_t *p, size_t n);
/* May its feedback cost one search and so many SEQs more? Counted if not. */
bool mdd_damp_work(
    struct mdd_worker *w, struct mdd_leg *leg, unsigned seqs, int64_t now_ms);
/* That search: the leg whose ssrc it is, if this one may tell it something,
 * and its record; or NULL. */
struct mdd_leg *mdd_damp_owner(struct mdd_worker *w, struct mdd_leg *leg,
    uint32_t ssrc, struct mdd_source **sp);
/* May a link try to take one more SSRC? */
bool mdd_damp_take(
    const struct mdd_legs *l, struct mdd_leg *leg, int64_t now_ms);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When a leg may have a better layer again, or any. Nothing tells what a road
 * carries beyond what is sent (mdd/bwe.h: no probing), so a step up is the
 * probe. One that had to be taken back at once is not tried again for a while,
 * each time twice as long, or a picture would go up and down all day. All
 * zeros: nothing has failed yet. No clock here.
 *
 * Where not even a part of a picture fits, it does not go at all, and then
 * there is nothing left that could tell that the road is wide again: an
 * estimate grows by what arrives. So one such picture goes now and then in
 * spite of it, for a few seconds, and what it then tells decides.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MDD_CLIMB_FAIL_MS 5000	/* a step taken back within it has failed */
#define MDD_CLIMB_GOOD_MS 30000 /* after so long up nothing is remembered */
#define MDD_CLIMB_WAIT_MS 10000 /* after the first failure, */
#define MDD_CLIMB_MOST_MS 40000 /* and at the most */

#define MDD_CLIMB_TRY_WAIT_MS 2000 /* nothing fits: so long until one goes, */
#define MDD_CLIMB_TRY_MS      3000 /* for so long */
#define MDD_CLIMB_TRY_MOST_MS 30000

struct mdd_climb_try {
	unsigned place;	  /* which goes in spite of it; 0: none */
	int64_t at_ms;	  /* when one may; 0: nobody asked */
	int64_t until_ms; /* while place */
	int64_t wait_ms;
};

struct mdd_climb {
	int64_t at_ms;	  /* of the last step up; 0: none that counts */
	int64_t until_ms; /* no step up to `bps` or more before */
	int64_t wait_ms;
	uint64_t bps; /* that was too much */
	struct mdd_climb_try try;
};

void mdd_climb_up(struct mdd_climb *c, int64_t now_ms);
/* A layer of so many bits a second had to go: the road does not carry it. */
void mdd_climb_down(struct mdd_climb *c, uint64_t bps, int64_t now_ms);
bool mdd_climb_may(const struct mdd_climb *c, uint64_t bps, int64_t now_ms);
/* This picture (its place from 1 on) does not fit at all. True: it goes for
 * now. Asked at least every few seconds for as long as it is so. */
bool mdd_climb_try(struct mdd_climb *c, unsigned place, int64_t now_ms);

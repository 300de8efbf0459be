/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Packets of one leg or link that wait so as not to fall upon its road all at
 * once: a key frame of fifty packets leaves over some tens of milliseconds.
 * Sound does not wait, but what it takes is missing to pictures. What waits is
 * not a copy but a number in the worker's store (mdd/rtx.h). Time is an
 * argument.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define MDD_PACE_QUEUE	256	/* packets that wait for a leg ... */
#define MDD_PACE_LINK	2048	/* ... or a link: frames of many streams */
#define MDD_PACE_AGE_MS 400	/* and for how long; then they are lost */
#define MDD_PACE_FACTOR 2	/* times the estimate: a frame is a burst */
#define MDD_PACE_BURST	6000	/* octets that may leave at once ... */
#define MDD_PACE_MS	10	/* ... or as much as this at that rate */
#define MDD_PACE_LEAST	300000u /* bits a second, whatever was estimated */

struct mdd_pace_item {
	uint32_t number; /* in the store */
	uint16_t seq;	 /* outer */
	uint16_t place;	 /* of its source in the room */
	uint16_t octets;
	int64_t at_ms;
};

struct mdd_pace {
	uint64_t bps; /* 0: nothing ever waits */
	int64_t credit; /* bits */
	int64_t at_us;	/* when it was counted */
	unsigned first, n, room;
	struct mdd_pace_item *item; /* room of them, the caller's */
};

/* Nothing waits yet; at most `room` packets will, in the caller's memory. */
void mdd_pace_init(
    struct mdd_pace *p, struct mdd_pace_item *item, unsigned room);

/* The leg carries so much. */
void mdd_pace_rate(struct mdd_pace *p, uint64_t bps);
/* A packet of so many octets leaves now: true, and it is charged; else put
 * it. Sound may always. */
bool mdd_pace_now(
    struct mdd_pace *p, unsigned octets, bool sound, int64_t now_us);
/* False: the queue is full. */
bool mdd_pace_put(struct mdd_pace *p, const struct mdd_pace_item *item);
/* The next that leaves now, charged; what is too old is counted and skipped. */
bool mdd_pace_take(struct mdd_pace *p, struct mdd_pace_item *item,
    int64_t now_us, uint64_t *stale);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The feedback message of transport-wide congestion control
 * (draft-holmer-rmcat-transport-wide-cc-extensions-01): which of the packets
 * that a hop numbered across all streams came, and when. Both ends: the
 * receiver's log of arrivals, and the reader of what it says.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/rtcp.h"
#include "perc/wire.h"

#define PERC_TWCC_LOG 512 /* arrivals that wait to be told */
#define PERC_TWCC_MAX 400 /* packets of one message */

struct perc_twcc_log { /* zeroed; nothing to free */
	int64_t at_us[PERC_TWCC_LOG]; /* 0: it did not come (yet) */
	uint16_t next;		      /* first that was not told */
	uint16_t end;		      /* behind the newest that came */
	bool started;
	uint8_t count; /* messages so far */
};

/* The packet with this number came. */
void perc_twcc_seen(struct perc_twcc_log *l, uint16_t tseq, int64_t now_us);
/* How many there are to tell of. */
unsigned perc_twcc_pending(const struct perc_twcc_log *l);
/*
 * The next message, whole; false when there is nothing, or w has no room for
 * 20 + 3 * PERC_TWCC_MAX octets. Call again while it is true.
 */
bool perc_twcc_put(struct perc_twcc_log *l, struct perc_wire *w,
    uint32_t sender, uint32_t media);

struct perc_twcc_item {
	uint16_t tseq;
	bool came;
	int64_t at_us; /* by the receiver's clock, modulo 2^24 * 64 ms */
};
/* What a message says, in order, into out (PERC_TWCC_MAX); how many, or -1
 * when it lies about its lengths. Beyond that many are left out. */
int perc_twcc_get(const struct perc_rtcp *k, struct perc_twcc_item *out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a receiver knows about one stream, for its reports (RFC 3550 section
 * 6.4.1 and appendix A): packets expected and lost, jitter, the last SR. Time
 * is an argument. In the caller's memory, zeroed; nothing to free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/rtcp.h"
#include "perc/rtp.h"

struct perc_reception {
	uint32_t base, top; /* extended SEQs */
	uint32_t received, expected_before, received_before;
	uint32_t jitter;       /* 16ths of a timestamp unit */
	uint32_t rate;	       /* clock of the timestamps; 0: not known */
	uint32_t ts;	       /* of the newest packet that was timed ... */
	int64_t ts_ms;	       /* ... and when it came */
	uint64_t sr_ntp;       /* of the last SR; 0: there was none */
	uint32_t sr_rtp;
	int64_t sr_ms;	       /* when it came */
	bool started, fresh;   /* fresh: a packet since the last block */
};

void perc_reception_packet(
    struct perc_reception *r, const struct perc_rtp *h, int64_t now_ms);
/* The SR of this stream; tells the rate of its clock once there were two. */
void perc_reception_sr(
    struct perc_reception *r, const struct perc_rtcp_sr *sr, int64_t now_ms);
/* The block of the next report; false when nothing came since the last. */
bool perc_reception_block(struct perc_reception *r, uint32_t ssrc,
    int64_t now_ms, struct perc_rtcp_block *b);

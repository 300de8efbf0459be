/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Losses on the hop between this endpoint and its distributor, mended without
 * the application: what is missing of what comes is asked for (generic NACK,
 * RFC 4585), what the distributor asks for goes again with the octets of the
 * first time, and receiver reports and transport-wide feedback tell it how the
 * road is. Nothing waits
 * here: a packet that comes late goes late to the application, whose own
 * buffer decides. Numbers are the outer layer's, which applications see too.
 * One per leg; memory is of fixed size.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/rtcp.h"
#include "perc/rtp.h"

#define REPAIR_STREAMS	 256  /* SSRCs that come and are looked after */
#define REPAIR_KEPT	 512  /* packets that can go again */
#define REPAIR_AGE_MS	 1000 /* and how old they may be */
#define REPAIR_TRIES	 3    /* times that one goes again */
#define REPAIR_REPORT_MS 1000
#define REPAIR_TWCC_MS	 50 /* between two transport-wide feedbacks */

struct front_repair;

struct front_repair *front_repair_new(void); /* NULL: no memory */
void front_repair_free(struct front_repair *r);

/* A packet of the distributor's was opened. True: something will be due
 * sooner than the next report. */
bool front_repair_received(
    struct front_repair *r, const struct perc_rtp *h, int64_t now_ms);
/* It had this transport-wide number. */
void
front_repair_number(struct front_repair *r, uint16_t tseq, int64_t now_us);
/* n octets left as datagram p, the outer layer of h around it. */
void front_repair_sent(struct front_repair *r, const struct perc_rtp *h,
    const uint8_t *p, size_t n, int64_t now_ms);
/* The distributor's opened compound: SRs are noted; what it asks for goes to
 * send, one call a datagram. */
void front_repair_rtcp(struct front_repair *r, const uint8_t *p, size_t n,
    int64_t now_ms, void (*send)(const uint8_t *p, size_t n, void *arg),
    void *arg);
/* The application's compound without its NACKs, in place: they count as
 * wishes of ours. Returns the octets that are left. */
size_t
front_repair_app(struct front_repair *r, uint8_t *p, size_t n, int64_t now_ms);
/*
 * A compound of ours that is due now, as from ssrc, into out (cap octets); 0:
 * none. Call again until it is; then front_repair_next tells when it makes
 * sense again.
 */
size_t front_repair_due(struct front_repair *r, uint32_t ssrc, int64_t now_ms,
    uint8_t *out, size_t cap);
int64_t front_repair_next(const struct front_repair *r, int64_t now_ms);

struct front_repair_count {
	uint64_t asked, mended, given_up, resent;
	uint64_t lost; /* of all streams: never came, mended ones did */
};
void front_repair_count(
    const struct front_repair *r, struct front_repair_count *c);

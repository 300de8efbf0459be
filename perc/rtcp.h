/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of RTCP that a hop reads and writes itself: distributor and front
 * alike, each as sender and as receiver (RFC 3550 section 6, RFC 4585). Bytes
 * in, bytes out; what a number means is the caller's business.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/wire.h"

enum perc_rtcp_type {
	PERC_RTCP_SR = 200,
	PERC_RTCP_RR = 201,
	PERC_RTCP_SDES = 202,
	PERC_RTCP_BYE = 203,
	PERC_RTCP_APP = 204,
	PERC_RTCP_RTPFB = 205,
	PERC_RTCP_PSFB = 206,
};
#define PERC_RTCP_NACK	1  /* RTPFB, RFC 4585 section 6.2.1 */
#define PERC_RTCP_TWCC	15 /* RTPFB, transport-wide congestion control */
#define PERC_RTCP_PLI	1  /* PSFB, RFC 4585 section 6.3.1 */
#define PERC_RTCP_FIR	4  /* PSFB, RFC 5104 section 4.3.1 */
#define PERC_RTCP_AFB	15 /* PSFB, RFC 4585 section 6.4: REMB */

struct perc_rtcp { /* one packet of a compound */
	uint8_t count, type; /* count: of blocks, or the FMT of feedback */
	const uint8_t *p;    /* whole, with its 4-octet head */
	size_t n;
	uint32_t ssrc; /* the one behind the head; 0 when there is none */
};

/* The packet at p; false where lengths or version stop making sense. The next
 * one is at p + k->n. */
bool perc_rtcp_next(struct perc_rtcp *k, const uint8_t *p, size_t left);
/* Head of a packet whose length stays 0 until perc_rtcp_close; returns where
 * it begins. */
size_t perc_rtcp_open(struct perc_wire *w, uint8_t count, uint8_t type);
void perc_rtcp_close(struct perc_wire *w, size_t at);

struct perc_rtcp_block { /* a report block (RFC 3550 section 6.4.1) */
	uint32_t ssrc;
	uint8_t fraction; /* of 256, lost since the last report */
	int32_t lost;	  /* 24 bits, signed */
	uint32_t top;	  /* extended highest SEQ */
	uint32_t jitter, lsr, dlsr;
};
#define PERC_RTCP_BLOCK_LEN 24
void perc_rtcp_block_put(struct perc_wire *w, const struct perc_rtcp_block *b);
void perc_rtcp_block_get(struct perc_rtcp_block *b, struct perc_wire *w);
/* Report blocks of an SR or RR: *n of them begin at the result. NULL: it is
 * neither, or shorter than it says. */
const uint8_t *perc_rtcp_blocks(const struct perc_rtcp *k, unsigned *n);

struct perc_rtcp_sr { /* sender info (RFC 3550 section 6.4.1) */
	uint64_t ntp;
	uint32_t rtp, packets, octets;
};
/* False: not an SR, or too short. */
bool perc_rtcp_sr_get(struct perc_rtcp_sr *s, const struct perc_rtcp *k);
void
perc_rtcp_sr_put(struct perc_wire *w, uint32_t ssrc, const struct perc_rtcp_sr *s);

/* One generic NACK for n sequence numbers, ascending (as they wrap); the
 * octets fit when the writer has 12 + 4 * n left. */
void perc_rtcp_nack_put(struct perc_wire *w, uint32_t sender, uint32_t media,
    const uint16_t *seq, unsigned n);

/* 65536ths of a second, for DLSR and RTT; and back to milliseconds. */
uint32_t perc_rtcp_from_ms(int64_t ms);
int64_t perc_rtcp_to_ms(uint32_t units);

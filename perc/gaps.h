/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sequence numbers of one stream that ought to have come: which of them to
 * ask for now (generic NACK, RFC 4585). Time is an argument. One struct per
 * stream, in the caller's memory; nothing to free.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#define PERC_GAPS_MAX	64   /* missing at once; more are given up */
#define PERC_GAPS_TRIES 4    /* times that one is asked for */
#define PERC_GAPS_AGE	1000 /* ms after which nobody waits for it */
#define PERC_GAPS_WAIT	8    /* ms that a packet may be late by itself */

struct perc_gaps {
	uint16_t top; /* newest SEQ */
	bool started;
	uint8_t n;
	struct perc_gap {
		uint16_t seq;
		uint8_t tries;
		int64_t since_ms, due_ms;
	} gap[PERC_GAPS_MAX]; /* ascending */
	uint32_t missed, mended, given_up;
};

/* seq has come. */
void perc_gaps_packet(struct perc_gaps *g, uint16_t seq, int64_t now_ms);
/* Somebody wants seq: true when it is missing, and then it is due as soon as
 * one may ask again. A stream of which nothing came yet misses everything. */
bool perc_gaps_want(struct perc_gaps *g, uint16_t seq, int64_t now_ms);
/*
 * Those to ask for now, ascending, at most max; they will be due again after
 * rtt_ms and a half (at least 20 ms). What is too old or was asked for often
 * enough is given up.
 */
unsigned perc_gaps_due(struct perc_gaps *g, int64_t now_ms, int64_t rtt_ms,
    uint16_t *seq, unsigned max);
/* When perc_gaps_due has something next; INT64_MAX: nothing is missing. */
int64_t perc_gaps_next(const struct perc_gaps *g);

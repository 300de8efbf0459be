/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The distributor's half of Double (RFC 8723 section 5.2): open a packet of
 * one leg, change PT, SEQ, M or the extension block, keep the OHB right, and
 * close it again for another leg. No end-to-end key is anywhere near.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/ohb.h"
#include "perc/rtp.h"
#include "perc/srtp.h"

struct perc_rewrite {
	bool set_pt, set_seq, set_marker, set_ext;
	uint8_t pt;
	uint16_t seq;
	bool marker;
	const uint8_t *ext; /* whole extension block incl. 4-octet head, or
			       NULL to remove it */
	size_t extlen;
	/* NULL, or the tag (PERC_SRTP_TAG_LEN) under which this packet, with
	 * this w, went out before: see perc_srtp_again */
	const uint8_t *again;
	bool repair; /* RTX, FEC: outer layer only, there is no OHB */
};

/* Room a rewritten packet may need beyond the opened one, ext aside. */
#define PERC_REWRITE_ROOM (PERC_SRTP_TAG_LEN + PERC_OHB_MAX)

/*
 * Take the outer-opened packet `in` (header | inner ciphertext | inner tag |
 * OHB; no EKTField), apply w (NULL or all false: unchanged) and protect with
 * tx into out (cap octets, not overlapping in). *outlen as sent. An error of
 * PERC_ERR_SHORT, _FORMAT (OHB) or _INVAL (w) leaves tx as it was.
 */
PERC_MUST int perc_forward(struct perc_srtp *tx, const struct perc_rewrite *w,
    const uint8_t *in, size_t n, uint8_t *out, size_t cap, size_t *outlen);

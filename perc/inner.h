/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Double's inner layer on one packet (RFC 8723 sections 5.1 and 5.3): the
 * synthetic packet, its tag and the OHB. Which key and which index is the
 * business of perc/double.h.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/gcm.h"
#include "perc/ohb.h"
#include "perc/rtp.h"

#define PERC_INNER_HEADER_MAX 72 /* fixed header and 15 CSRCs */
#define PERC_INNER_ROOM	      (PERC_SRTP_TAG_LEN + 1)

/*
 * Seal plain RTP (header parsed in h) at the given inner index: out gets
 * header with extension | ciphertext | tag | OHB 00, n + PERC_INNER_ROOM
 * octets; out may be in.
 */
PERC_MUST int perc_inner_seal(struct perc_gcm *g, const struct perc_rtp *h,
    uint64_t index, const uint8_t *in, size_t n, uint8_t *out);

struct perc_inner { /* an outer-opened packet taken apart */
	struct perc_rtp h; /* as received: outer PT, SEQ, M */
	struct perc_ohb ohb;
	uint16_t seq;			       /* original */
	uint8_t header[PERC_INNER_HEADER_MAX]; /* synthetic */
	size_t header_len;
	const uint8_t *ciphertext; /* with the inner tag, inside the packet */
	size_t ciphertext_len;
};
/* PERC_ERR_SHORT, PERC_ERR_FORMAT. Keeps pointers into p. */
PERC_MUST int perc_inner_parse(struct perc_inner *i, const uint8_t *p,
    size_t n);
/* out (room for all of the packet) gets the synthetic packet, plain; it does
 * not overlap the packet, so that another key can be tried. PERC_ERR_AUTH. */
PERC_MUST int perc_inner_open(struct perc_gcm *g, const struct perc_inner *i,
    uint64_t index, uint8_t *out, size_t *outlen);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The RTP header (RFC 3550 section 5.1) and the demultiplexing of one UDP
 * port (RFC 7983, RFC 5761). Lengths are checked before anything is used.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_RTP_MIN 12		 /* octets of the fixed header */
#define PERC_MTU_MAX 2048	 /* octets of any datagram that we handle */

struct perc_rtp {
	uint32_t ssrc, ts;
	uint16_t seq;
	uint8_t pt; /* 7 bits */
	bool marker, padding, extension;
	uint8_t cc;
	uint16_t ext_profile; /* 0 when there is no extension */
	size_t fixed_len;     /* 12 + 4 * cc: end of the CSRC list */
	size_t header_len;    /* with the extension: start of the payload */
};

/* PERC_ERR_SHORT, PERC_ERR_FORMAT (version). Does not look at padding. */
PERC_MUST int perc_rtp_parse(struct perc_rtp *h, const uint8_t *p, size_t n);

enum perc_pkt_kind { PERC_PKT_STUN, PERC_PKT_DTLS, PERC_PKT_RTP,
	PERC_PKT_RTCP, PERC_PKT_OTHER };
enum perc_pkt_kind perc_pkt_kind(const uint8_t *p, size_t n);

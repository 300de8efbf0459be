/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Where the EKTField at the end of an SRTP packet begins (RFC 8870 section
 * 4.1), without any key: the distributor and the front cut it off and put it
 * back byte for byte. RTP only; SRTCP never carries one.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_TAIL_SHORT 0x00
#define PERC_TAIL_FULL 0x02
#define PERC_TAIL_MAX 1031 /* octets that we accept for any field */

struct perc_tail {
	size_t len;   /* octets of the field, 1 for Short */
	uint8_t type; /* PERC_TAIL_SHORT, _FULL, or an unknown type */
	uint16_t spi, epoch;	     /* Full only */
	const uint8_t *ciphertext;   /* Full only: N octets, inside p */
	size_t ciphertext_len;
};

/* PERC_ERR_FORMAT: cannot be delimited, drop the packet. */
PERC_MUST int perc_tail_find(struct perc_tail *t, const uint8_t *p, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The Original Header Block of Double (RFC 8723 section 4): last octets of
 * the outer plaintext, read backwards, config octet last.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_OHB_MAX 4

struct perc_ohb {
	bool has_pt, has_seq, has_marker;
	uint8_t pt;
	uint16_t seq;
	bool marker;
	size_t len; /* octets it takes on the wire */
};

/* Parse the OHB at the end of p. PERC_ERR_SHORT; PERC_ERR_FORMAT for reserved
 * bits or B without M. */
PERC_MUST int perc_ohb_get(struct perc_ohb *o, const uint8_t *p, size_t n);
/* Write o->len = its size; out has PERC_OHB_MAX room. */
void perc_ohb_put(struct perc_ohb *o, uint8_t *out);

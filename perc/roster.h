/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the KMF and a vault must compute alike so that a roster can be told as
 * the difference to the one before (docs/wire/tokens.md, "Roster").
 *
 *	leaf  = SHA-256(the member's entry, as RFC 8785 writes JSON)
 *	head  = SHA-256("perch-roster" | head before | seq | epoch | count |
 *	    SHA-256(all leaves, by the octets of their member's id))
 *
 * seq, epoch and count are 64 bits, big endian; the head before the first
 * roster is 32 zero octets. Who agrees on a head agrees on every roster up to
 * it.
 */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/crypto.h"

#define PERC_ROSTER_HASH PERC_SHA256_LEN

PERC_MUST int perc_roster_leaf(
    uint8_t leaf[static PERC_ROSTER_HASH], const json_t *entry);

struct perc_roster_step {
	uint8_t before[PERC_ROSTER_HASH];
	uint64_t seq, epoch;
};
/* leaves: n of them, one behind the other, already in order. */
PERC_MUST int perc_roster_head(uint8_t head[static PERC_ROSTER_HASH],
    const struct perc_roster_step *step, const uint8_t *leaves, size_t n);

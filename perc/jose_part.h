/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The parts of a compact JWS or JWE. Private to perc/jose.c and perc/jwe.c.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

struct perc_part { /* within the token's text */
	const char *p;
	size_t n;
};

/* Cut at the dots into exactly `want` parts. PERC_ERR_FORMAT. */
PERC_MUST int perc_part_split(
    struct perc_part *part, size_t want, const char *text, size_t len);
/* A decoded part, NUL-terminated; perc_secmem_free() it. */
PERC_MUST int
perc_part_decode(uint8_t **outp, size_t *np, const struct perc_part *part);
/* A header as JSON object; the caller json_decref()s it. */
PERC_MUST int perc_part_header(json_t **hp, const struct perc_part *part);
/* Is `have` (may be NULL) this media type? RFC 7515 section 4.1.9: without
 * regard to case, "application/" may be left out. */
bool perc_typ_is(const char *have, const char *want);

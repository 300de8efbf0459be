/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Comparing target URIs (RFC 9449 section 4.3, check 9).
 */
#pragma once

#include <stddef.h>

#include "perc/err.h"

#define PERC_HTU_MAX 1024 /* octets of a URI that we compare */

/*
 * The https URI without query and fragment, normalised by RFC 3986 sections
 * 6.2.2 and 6.2.3, into out (PERC_HTU_MAX octets, NUL-terminated).
 * PERC_ERR_FORMAT, PERC_ERR_LIMIT.
 */
PERC_MUST int perc_htu_normal(char out[static PERC_HTU_MAX],
    const char *uri);

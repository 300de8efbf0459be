/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64url without padding (RFC 4648 section 5) and hex, in time that does
 * not depend on the octets. Decoding accepts the one canonical spelling only:
 * no '=', no white space, no impossible length, unused bits zero.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_B64_LEN(n) (((n) * 4 + 2) / 3)	 /* characters, without NUL */
#define PERC_B64_RAW(n) ((n) / 4 * 3 + (n) % 4 * 3 / 4) /* octets of n chars */

/* out has room for PERC_B64_LEN(n) + 1; writes the NUL. */
void perc_b64_put(char *out, const void *in, size_t n);
/* Decodes inlen characters; *outlen: in room, out octets. PERC_ERR_FORMAT,
 * PERC_ERR_SHORT (no room). */
PERC_MUST int perc_b64_get(void *out, size_t *outlen, const char *in,
    size_t inlen);
/* Exactly n octets or PERC_ERR_FORMAT. in is NUL-terminated. */
PERC_MUST int perc_b64_get_exact(void *out, size_t n, const char *in);

void perc_hex_put(char *out, const void *in, size_t n); /* 2n + 1 */
PERC_MUST int perc_hex_get(void *out, size_t *outlen, const char *in,
    size_t inlen);

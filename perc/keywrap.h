/* SPDX-License-Identifier: Apache-2.0 */
/*
 * AES Key Wrap: RFC 3394 (whole 64-bit blocks) for keys at rest, and RFC 5649
 * (with padding) for the EKT ciphertext of RFC 8870 section 4.4.1. Both are
 * deterministic and authenticate what they wrap.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_KW_LEN(n) ((n) + 8)	       /* RFC 3394 */
#define PERC_KWP_LEN(n) (((n) + 7) / 8 * 8 + 8) /* RFC 5649; n >= 1 */

/* keklen 16, 24 or 32. out has PERC_KW_LEN(n) room; n >= 16, multiple of 8. */
PERC_MUST int perc_kw_wrap(uint8_t *out, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n);
/* out gets n - 8 octets. PERC_ERR_AUTH leaves out wiped. */
PERC_MUST int perc_kw_unwrap(uint8_t *out, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n);
PERC_MUST int perc_kwp_wrap(uint8_t *out, const uint8_t *kek, size_t keklen,
    const uint8_t *in, size_t n);
/* out needs n octets of room (OpenSSL writes there); *outlen the true length.
 * PERC_ERR_AUTH leaves out wiped. */
PERC_MUST int perc_kwp_unwrap(uint8_t *out, size_t *outlen,
    const uint8_t *kek, size_t keklen, const uint8_t *in, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ECDH-ES (RFC 7518 section 4.6), the half of who seals: P-256, the agreed
 * key used directly, for A256GCM and no named parties. Not to be called by
 * two threads at once.
 */
#pragma once

#include "perc/crypto.h"
#include "perc/es256.h"

#define PERC_ECDHES_KEY_LEN 32 /* of A256GCM */

/*
 * A new ephemeral key towards the owner of `to`: its public half (x | y) into
 * epk, what both agree on into key. PERC_ERR_FORMAT: to is not a key. After
 * any error key is wiped.
 */
PERC_MUST int perc_ecdhes_make(uint8_t key[static PERC_ECDHES_KEY_LEN],
    uint8_t epk[static PERC_ES256_KEY_LEN],
    const uint8_t to[static PERC_ES256_KEY_LEN]);

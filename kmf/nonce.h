/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * DPoP nonces without memory (RFC 9449 section 8): a minute's number and its
 * HMAC under a key that all fronts have from the keeper. Any front accepts
 * any front's nonce for about five minutes.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_NONCE_LEN	27 /* characters: 4 + 16 octets, base64url */
#define KMF_NONCE_SLOTS 5  /* minutes that a nonce lives */

void kmf_nonce_make(char out[static KMF_NONCE_LEN + 1],
    const uint8_t key[static 32], int64_t now_s);
bool
kmf_nonce_ok(const char *nonce, const uint8_t key[static 32], int64_t now_s);

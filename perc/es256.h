/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ES256 (RFC 7518 section 3.4) checked with a public key that is nothing but
 * its coordinates. Not to be called by two threads at once.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_ES256_KEY_LEN 64 /* x | y */
#define PERC_ES256_SIG_LEN 64 /* r | s */

/* Is it a point of P-256? PERC_ERR_FORMAT: no. */
PERC_MUST int perc_es256_key_check(const uint8_t key[static 64]);
/* PERC_ERR_AUTH: not the signature of this text by this key;
 * PERC_ERR_FORMAT: not a key. */
PERC_MUST int perc_es256_verify(const uint8_t key[static 64], const void *text,
    size_t n, const uint8_t sig[static 64]);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The few primitives everybody needs, on OpenSSL's EVP. Keys come in as
 * fixed-size arrays; outputs belong to the caller; temporaries are wiped.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_SHA256_LEN 32
#define PERC_GCM_NONCE_LEN 12
#define PERC_GCM_TAG_LEN 16
#define PERC_SEAL_OVERHEAD (PERC_GCM_NONCE_LEN + PERC_GCM_TAG_LEN)

/* From the operating system's generator; never fails (fatal otherwise). */
void perc_random(void *out, size_t n);
uint32_t perc_random_u32(void);
/* prefix + 22 base64url characters of 128 random bits: "c_7Jk..."; cap must
 * hold strlen(prefix) + 23. */
void perc_random_id(char *out, size_t cap, const char *prefix);

PERC_MUST int perc_sha256(uint8_t out[static PERC_SHA256_LEN], const void *in,
    size_t n);
PERC_MUST int perc_hmac_sha256(uint8_t out[static PERC_SHA256_LEN],
    const void *key, size_t keylen, const void *in, size_t n);
/* RFC 5869, extract and expand. */
PERC_MUST int perc_hkdf_sha256(uint8_t *out, size_t outlen, const void *ikm,
    size_t ikmlen, const void *salt, size_t saltlen, const char *info);

/*
 * AES-256-GCM with a random nonce: out = nonce(12) | ciphertext | tag(16),
 * n + PERC_SEAL_OVERHEAD octets. Used for keys at rest and delivery seals.
 */
PERC_MUST int perc_seal(uint8_t *out, const uint8_t key[static 32],
    const void *aad, size_t aadlen, const void *in, size_t n);
/* out gets n - PERC_SEAL_OVERHEAD octets; after any error it is wiped. */
PERC_MUST int perc_unseal(uint8_t *out, const uint8_t key[static 32],
    const void *aad, size_t aadlen, const uint8_t *in, size_t n);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One direction of one SRTP master key under AEAD_AES_128_GCM or _256_GCM
 * (RFC 7714): the session keys are derived once (RFC 3711 section 4.3, RFC
 * 6188), the AES key schedule is kept, and a packet costs one cipher operation
 * without allocation. Both layers of Double are made of it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_SRTP_SALT_LEN 12
#define PERC_SRTP_TAG_LEN  16
#define PERC_SRTP_KEY_MAX  32

struct perc_session_keys { /* RFC 3711 labels 0, 2, 3, 5 */
	size_t keylen;
	uint8_t rtp_key[PERC_SRTP_KEY_MAX], rtp_salt[PERC_SRTP_SALT_LEN];
	uint8_t rtcp_key[PERC_SRTP_KEY_MAX], rtcp_salt[PERC_SRTP_SALT_LEN];
};
/* keylen 16 or 32. The caller wipes. */
PERC_MUST int perc_srtp_kdf(struct perc_session_keys *out, const uint8_t *key,
    size_t keylen, const uint8_t salt[static PERC_SRTP_SALT_LEN]);

/* Of contexts made from now on: "openssl", or what perc/gcm_mb.h brought. */
const char *perc_gcm_engine_name(void);

struct perc_gcm; /* heap; OpenSSL's part in the secret arena if there is one */

PERC_MUST int perc_gcm_new(struct perc_gcm **gp, const uint8_t *master_key,
    size_t keylen, const uint8_t master_salt[static PERC_SRTP_SALT_LEN]);
/* The same from session keys, as published vectors give them. */
PERC_MUST int perc_gcm_new_session(struct perc_gcm **gp, const uint8_t *key,
    size_t keylen, const uint8_t salt[static PERC_SRTP_SALT_LEN]);
void perc_gcm_free(struct perc_gcm *g); /* wipes; NULL is fine */
/* Bring what a packet needs of g closer to the processor. */
void perc_gcm_fetch(const struct perc_gcm *g);
/* Count packets against the key's 2^48 (RFC 7714 section 10); seal counts by
 * itself. PERC_ERR_LIMIT: the key is used up. */
PERC_MUST int perc_gcm_spend(struct perc_gcm *g, uint64_t packets);

/* out gets n + 16 octets (in == out allowed). index = ROC << 16 | SEQ; that
 * it never repeats for an SSRC is the caller's duty. PERC_ERR_LIMIT. */
PERC_MUST int perc_gcm_seal(struct perc_gcm *g, uint32_t ssrc, uint64_t index,
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out);
/* n includes the tag; out gets n - 16 octets. PERC_ERR_AUTH, and out holds
 * nothing of use. */
PERC_MUST int perc_gcm_open(struct perc_gcm *g, uint32_t ssrc, uint64_t index,
    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
    uint8_t *out);

/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an AES-GCM must do for perc/gcm.c. A context belongs to one key and
 * serves both directions; nothing is allocated per packet.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/gcm.h"

struct perc_gcm_engine {
	const char *name;
	/* keylen 16 or 32; *ctxp stays NULL on error. */
	int (*make)(void **ctxp, const uint8_t *key, size_t keylen);
	void (*free)(void *ctx); /* wipes; NULL is fine */
	/* n octets of plaintext; out gets 16 more. in == out is allowed. */
	int (*seal)(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
	    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
	    uint8_t *out);
	/* n octets of ciphertext, the tag behind them. PERC_ERR_AUTH: out may
	 * hold what must not be used; the caller wipes it. */
	int (*open)(void *ctx, const uint8_t iv[static PERC_SRTP_SALT_LEN],
	    const uint8_t *aad, size_t aadlen, const uint8_t *in, size_t n,
	    uint8_t *out);
	/* Bring what seal and open read closer; NULL: nothing is known. */
	void (*fetch)(const void *ctx);
};

extern const struct perc_gcm_engine perc_gcm_evp;
/* For contexts made from now on; process-wide. */
void perc_gcm_engine_set(const struct perc_gcm_engine *e);

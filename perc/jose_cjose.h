/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the files that speak cjose share: perc/jwk.c (keys), perc/jose.c (JWS)
 * and perc/jwe.c. Private to them.
 */
#pragma once

#include <cjose/cjose.h>

#include "perc/es256.h"
#include "perc/jose.h"

enum perc_jwk_use { PERC_JWK_ANY, PERC_JWK_SIG, PERC_JWK_ENC };

struct perc_jwk {
	cjose_jwk_t *cj; /* NULL: a public EC key, which is only xy */
	uint8_t xy[PERC_ES256_KEY_LEN];
	json_t *pub; /* public members, then kid, alg, use where given */
	char jkt[PERC_JKT_LEN + 1];
	const char *kid; /* a string of pub, or jkt */
	const char *alg; /* for signatures; NULL: an encryption key */
	enum perc_jwk_use use;
	bool ec, private;
};

/* The public half of an EC key for cjose; cjose_jwk_release() it. */
PERC_MUST int perc_jwk_for_cjose(cjose_jwk_t **cjp, const struct perc_jwk *k);
/* cjose's reason as ours. */
int perc_cjose_err(const cjose_err *e, int otherwise);
/*
 * cjose 0.6.2 does not look at every pointer that its allocator gives, so a
 * full arena would be a crash: refuse before, while there is no room for the
 * copies that it makes of n octets. PERC_ERR_NOMEM.
 */
PERC_MUST int perc_cjose_room(size_t n);
/* Between the two cjose makes nothing that is to stay: what it leaves is given
 * back. Not nested; only where perc_jose_heap_set() was called. */
void perc_cjose_watch(void);
void perc_cjose_watch_end(void);

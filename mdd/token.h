/* SPDX-License-Identifier: Apache-2.0 */
/*
 * token2, checked offline (docs/wire/tokens.md): who may join which
 * conference here, with which certificate and which SSRCs. No name of a
 * person is in it.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"
#include "perc/jose.h"

#define MDD_TOKEN_ID_MAX   64 /* characters of a member or conference id */
#define MDD_TOKEN_SSRCS	   8  /* SSRCs of one endpoint */
#define MDD_TOKEN_MDDS	   8  /* other MDDs of the conference */
#define MDD_TOKEN_URL_MAX  255
#define MDD_TOKEN_LEEWAY_S 30	/* clocks may differ by this */
#define MDD_TOKEN_LIFE_S   3600 /* longest life that we believe */

struct mdd_issuer {
	const char *name, *issuer;
	struct perc_jwks *keys;
};

struct mdd_token {
	unsigned issuer; /* index into the issuers */
	char member[MDD_TOKEN_ID_MAX + 1];
	char conference[MDD_TOKEN_ID_MAX + 1];
	uint8_t pin[32]; /* cnf x5t#S256: SHA-256 of the DTLS certificate */
	uint32_t ssrcs[MDD_TOKEN_SSRCS];
	unsigned nssrcs;
	int64_t exp_s;
	char cascade[MDD_TOKEN_MDDS][MDD_TOKEN_URL_MAX + 1]; /* base URLs */
	unsigned ncascade;
};

/*
 * Every check, in the order of oauth.md: form, issuer, key and algorithm,
 * signature, typ, claims. Any failure is one and the same refusal for the
 * caller; *why is a static phrase for the log.
 */
PERC_MUST int mdd_token_check(struct mdd_token *t,
    const struct mdd_issuer *issuers, unsigned n, const char *audience,
    const char *text, size_t len, int64_t now_s, const char **why);

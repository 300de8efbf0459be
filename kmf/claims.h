/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The decision about a token's header and claims, in one table. No library
 * makes it for us: liboauth2 and cjose verify signatures, and what they check
 * beyond that nobody should rely on. Every kind of JWT has rules of its own,
 * mutually exclusive by typ, aud and keys (RFC 8725 section 3.12). The
 * stranger hears one dull text; the log gets the name of the row.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define KMF_LEEWAY_S 60

enum kmf_cnf {	     /* what the token says about its holder */
	KMF_CNF_ANY, /* may be unbound; bound ones are the caller's to check */
	KMF_CNF_BOUND, /* to a DPoP key or a TLS certificate */
};

struct kmf_rules {
	/* "at+jwt", or "JWT": that or none at all; NULL: no JWT but an issuer's
	 * own word (RFC 7662), which has no header */
	const char *typ;
	const char *const *algs; /* NULL-terminated, as all lists here */
	const json_t *key;	 /* JWK that will verify; NULL: not here yet */
	const char *iss;
	const char *aud[3]; /* one of these, "" and NULL are skipped */
	const char *azp;    /* demanded when aud has several; NULL: no */
	const char *const *clients;  /* client_id, azp: of these; NULL: any */
	const char *const *required; /* claims that must be there */
	enum kmf_cnf cnf;
	const char *const *actors; /* act.sub: one of these; NULL: no act */
	const char *scope;	   /* must be among the granted; NULL: any */
	int64_t leeway_s;	   /* how far clocks may be apart */
	int64_t max_life_s; /* exp at most this far from now; 0: no bound */
};

struct kmf_claims {
	const json_t *header, *payload;
	size_t size; /* octets of the compact text */
	int64_t now_s;
};

/* 0, PERC_ERR_EXPIRED or PERC_ERR_DENIED; *why is the row's name, static. */
PERC_MUST int kmf_claims_check(
    const struct kmf_claims *c, const struct kmf_rules *r, const char **why);

/* What to tell people when clocks are what is wrong ("" otherwise): how far
 * they are apart, in numbers of ours and no octet of the token. */
void kmf_claims_skew(
    char *out, size_t cap, const struct kmf_claims *c, const char *why);
/* The rows, for tests: the i-th name, NULL behind the last. */
const char *kmf_claims_row(size_t i);

/* Is word one of the blank-separated words of list? */
bool kmf_word_in(const char *list, const char *word);

extern const char *const kmf_algs_own[];	   /* ES256 */
extern const char *const kmf_algs_idp[];	   /* RS256, PS256, ES256 */
extern const char *const kmf_required_at[];	   /* RFC 9068 section 2.2 */
extern const char *const kmf_required_id[];	   /* OIDC core section 2 */
extern const char *const kmf_required_assertion[]; /* RFC 7523 section 3 */

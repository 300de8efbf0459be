/* SPDX-License-Identifier: Apache-2.0 */
/*
 * JOSE as Perch uses it, on cjose: ES256 (P-256) signatures of our own
 * tokens, rosters, statements and DPoP proofs (RFC 7515, 9449), verification
 * of those and of RS256/PS256/ES256 tokens of others, nested JWTs (JWS in
 * JWE, RFC 7519 section 5.2, ECDH-ES + A256GCM) and RFC 7638 thumbprints.
 * The algorithm is pinned to the key before anything is verified; header
 * members that bring keys (jwk, jku, x5u, x5c) are never followed, and a
 * header with `crit` is refused.
 */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "perc/err.h"

#define PERC_JOSE_TOKEN_MAX 8192 /* octets of one access token or proof */
#define PERC_JOSE_BIG_MAX (1u << 20) /* of one roster or sealed answer */
#define PERC_JKT_LEN 43		 /* characters of a base64url SHA-256 */

struct perc_jwk; /* one key, public or private; never shared by threads */

PERC_MUST int perc_jwk_generate(struct perc_jwk **kp); /* P-256 */
/* From JSON text of a single JWK. PERC_ERR_FORMAT; PERC_ERR_DENIED when
 * `public_only` and a private member (d, p, q, dp, dq, qi, k, oth) is there;
 * PERC_ERR_UNSUPPORTED for key types or curves that we do not do. */
PERC_MUST int perc_jwk_from_json(struct perc_jwk **kp, const char *text,
    size_t len, bool public_only);
/* The same from an object that a strict parser made; borrowed. */
PERC_MUST int perc_jwk_from_object(struct perc_jwk **kp, const json_t *o,
    bool public_only);
void perc_jwk_free(struct perc_jwk *k); /* NULL is fine */
/* New JSON text: public members only, or with the private ones (free with
 * perc_json_free, which wipes). kid, alg, use are kept if they were set. */
PERC_MUST int perc_jwk_public_json(char **textp, const struct perc_jwk *k);
PERC_MUST int perc_jwk_private_json(char **textp, const struct perc_jwk *k);
bool perc_jwk_is_private(const struct perc_jwk *k);
/* RFC 7638 SHA-256 thumbprint, base64url. */
PERC_MUST int perc_jwk_thumbprint(char out[static PERC_JKT_LEN + 1],
    const struct perc_jwk *k);
/* kid: the "kid" member, else the thumbprint. Points into k. */
const char *perc_jwk_kid(const struct perc_jwk *k);
/* The one algorithm this key may verify or sign: ES256, RS256, ... */
const char *perc_jwk_alg(const struct perc_jwk *k);

/* A set of public keys, looked up by kid. */
struct perc_jwks;
PERC_MUST int perc_jwks_from_json(struct perc_jwks **sp, const char *text,
    size_t len); /* skips keys we do not do; PERC_ERR_FORMAT if none left */
void perc_jwks_free(struct perc_jwks *s);
const struct perc_jwk *perc_jwks_find(const struct perc_jwks *s,
    const char *kid); /* NULL: not there */

/*
 * What a compact JWS says before it is trusted: decoded header and payload.
 * Borrowed text, owned objects; clear frees.
 */
struct perc_jws {
	json_t *header;	 /* object */
	json_t *payload; /* object, or NULL when it is not a JSON object */
	uint8_t *raw;	 /* payload octets */
	size_t rawlen;
	size_t siglen;	 /* octets of the signature */
};
/* Has the signature its algorithm's length (RFC 7518 section 3.4)? cjose
 * halves whatever an ECDSA signature is, and leaves an odd octet out. */
bool perc_jws_sig_fits(const struct perc_jws *j);
/* Split and decode only: NOTHING IS VERIFIED. At most max octets. */
PERC_MUST int perc_jws_peek(struct perc_jws *j, const char *text, size_t len,
    size_t max);
void perc_jws_clear(struct perc_jws *j);

/*
 * Verify text with this key: header alg must equal perc_jwk_alg(k), typ must
 * equal `typ` without regard to case, with or without "application/" (NULL:
 * not checked), no crit. On success *j is filled.
 * PERC_ERR_AUTH, PERC_ERR_FORMAT, PERC_ERR_DENIED (alg, typ or crit).
 */
PERC_MUST int perc_jws_verify(struct perc_jws *j, const char *text,
    size_t len, size_t max, const struct perc_jwk *k, const char *typ);
/* The same of a text that was looked at already: *j is its peek, and is
 * cleared on failure. */
PERC_MUST int perc_jws_verify_peeked(struct perc_jws *j, const char *text,
    size_t len, const struct perc_jwk *k, const char *typ);
/* As above, the key chosen by kid; PERC_ERR_UNKNOWN_KEY. */
PERC_MUST int perc_jws_verify_set(struct perc_jws *j, const char *text,
    size_t len, size_t max, const struct perc_jwks *set, const char *typ);

/*
 * Sign claims (borrowed) with header {alg, typ, kid}; kid is left out and the
 * public jwk embedded when with_jwk (DPoP, RFC 9449 section 4.2). The caller
 * free()s *textp.
 */
PERC_MUST int perc_jws_sign(char **textp, const struct perc_jwk *k,
    const char *typ, const json_t *claims, bool with_jwk);

/* Seal a signed JWT to a public P-256 key: JWE with cty "JWT", typ `typ`. */
PERC_MUST int perc_jwe_seal(char **textp, const struct perc_jwk *to,
    const char *typ, const char *inner, size_t innerlen);
/* Open; alg ECDH-ES and enc A256GCM only. *innerp is wiped and freed with
 * perc_secmem_free by the caller; NUL-terminated. */
PERC_MUST int perc_jwe_open(char **innerp, size_t *innerlen,
    const struct perc_jwk *mine, const char *text, size_t len, size_t max);

/*
 * DPoP (RFC 9449). Making: claims jti, htm, htu, iat, and ath when token is
 * not NULL, nonce when not NULL, seal_jkt when not NULL (ours: the thumbprint
 * of the sealing key). now_s: seconds since 1970.
 */
PERC_MUST int perc_dpop_make(char **proofp, const struct perc_jwk *k,
    const char *htm, const char *htu, const char *token, const char *nonce,
    const char *seal_jkt, int64_t now_s);

struct perc_dpop {		     /* what a good proof says */
	char jkt[PERC_JKT_LEN + 1];  /* thumbprint of its key */
	char jti_hash[PERC_JKT_LEN + 1]; /* SHA-256 of jti, for replay */
	char seal_jkt[PERC_JKT_LEN + 1]; /* "" when absent */
	char nonce[65];		     /* "" when absent */
	int64_t iat_s;
};
/*
 * Checks 2 to 8, 10 and 11 of RFC 9449 section 4.3 (nonce freshness, cnf and
 * replay are the caller's: 9, 12 and 13). ES256 only. htu: our own origin and
 * path; compared after RFC 3986 normalisation, without query and fragment.
 * token NULL: ath must be absent. window_s both sides of now_s.
 * PERC_ERR_FORMAT, PERC_ERR_AUTH, PERC_ERR_EXPIRED (iat), PERC_ERR_DENIED
 * (htm, htu, ath, alg, typ, private key); *why is a static phrase.
 */
PERC_MUST int perc_dpop_check(struct perc_dpop *out, const char *proof,
    size_t len, const char *htm, const char *htu, const char *token,
    int64_t now_s, int64_t window_s, const char **why);

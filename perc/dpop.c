/* SPDX-License-Identifier: Apache-2.0 */
/*
 * RFC 9449, made and checked. The key that verifies a proof comes out of the
 * proof itself: it proves possession of *some* key, and only the caller's
 * comparison of jkt with the token's cnf makes it count. Replay is by the jti
 * claim, not by the proof's text: an ECDSA signature has a second valid form.
 */
#include "perc/jose.h"

#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/htu.h"
#include "perc/json.h"
#include "perc/secret.h"

#include <stdlib.h>
#include <string.h>

#define JTI_MAX 256 /* characters of a jti that we take */

static int
hash_text(char out[static PERC_JKT_LEN + 1], const char *text)
{
	uint8_t hash[PERC_SHA256_LEN];
	int r = perc_sha256(hash, text, strlen(text));

	if (r == 0)
		perc_b64_put(out, hash, sizeof(hash));
	return r;
}

/* --- making ------------------------------------------------------------- */

static int
set_str(json_t *o, const char *name, const char *value)
{
	if (value == NULL)
		return 0;
	return json_object_set_new(o, name, json_string(value)) != 0
	    ? PERC_ERR_NOMEM
	    : 0;
}

int
perc_dpop_make(char **proofp, const struct perc_jwk *k, const char *htm,
    const char *htu, const char *token, const char *nonce, const char *seal_jkt,
    int64_t now_s)
{
	char jti[PERC_B64_LEN(16) + 1], ath[PERC_JKT_LEN + 1];
	json_t *o = NULL;
	int r;

	perc_random_id(jti, sizeof(jti), "");
	if (token != NULL && (r = hash_text(ath, token)) != 0)
		return r;
	if ((o = json_object()) == NULL)
		return PERC_ERR_NOMEM;
	if ((r = set_str(o, "jti", jti)) != 0 ||
	    (r = set_str(o, "htm", htm)) != 0 ||
	    (r = set_str(o, "htu", htu)) != 0 ||
	    (r = json_object_set_new(o, "iat", json_integer(now_s)) != 0
		    ? PERC_ERR_NOMEM
		    : 0) != 0 ||
	    (r = set_str(o, "ath", token != NULL ? ath : NULL)) != 0 ||
	    (r = set_str(o, "nonce", nonce)) != 0 ||
	    (r = set_str(o, "seal_jkt", seal_jkt)) != 0)
		goto out;
	r = perc_jws_sign(proofp, k, "dpop+jwt", o, true);
out:
	json_decref(o);
	return r;
}

/* --- checking ----------------------------------------------------------- */

struct check {
	struct perc_dpop *out;
	const char *htm, *htu, *token;
	int64_t now_s, window_s;
	const char **why;
};

static int
refuse(const struct check *c, int r, const char *why)
{
	*c->why = why;
	return r;
}

/* The proof's own key, which must be public P-256 (checks 5 and 7). */
static int
key_get(struct perc_jwk **kp, const struct check *c, const json_t *header)
{
	const json_t *jwk = json_object_get(header, "jwk");
	const char *alg = perc_json_str(header, "alg");
	int r;

	if (alg == NULL || strcmp(alg, "ES256") != 0)
		return refuse(c, PERC_ERR_DENIED, "alg is not ES256");
	if (!json_is_object(jwk))
		return refuse(c, PERC_ERR_FORMAT, "no jwk in the header");
	r = perc_jwk_from_object(kp, jwk, true);
	if (r == PERC_ERR_DENIED)
		return refuse(c, r, "the jwk holds a private key");
	return r != 0 ? refuse(c, r, "the jwk is not a P-256 key") : 0;
}

/* Characters that neither end a line nor hide in a log: RFC 9449 section
 * 8.1, NQCHAR. */
static bool
plain(const char *s, size_t max)
{
	size_t n = strlen(s);

	for (size_t i = 0; i < n; i++)
		if (s[i] <= 0x20 || s[i] == '"' || s[i] == '\\' || s[i] == 0x7f)
			return false;
	return n > 0 && n <= max;
}

static int
jti_check(const struct check *c, const json_t *claims)
{
	const char *jti = perc_json_str(claims, "jti");

	if (jti == NULL || *jti == '\0')
		return refuse(c, PERC_ERR_FORMAT, "no jti");
	if (strlen(jti) > JTI_MAX)
		return refuse(c, PERC_ERR_FORMAT, "jti too long");
	if (hash_text(c->out->jti_hash, jti) != 0)
		return refuse(c, PERC_ERR_CRYPTO, "hashing failed");
	return 0;
}

static int
request_check(const struct check *c, const json_t *claims)
{
	const char *htm = perc_json_str(claims, "htm");
	const char *htu = perc_json_str(claims, "htu");
	char theirs[PERC_HTU_MAX], ours[PERC_HTU_MAX];

	if (htm == NULL || htu == NULL)
		return refuse(c, PERC_ERR_FORMAT, "no htm or htu");
	if (strcmp(htm, c->htm) != 0)
		return refuse(c, PERC_ERR_DENIED, "htm is not the method");
	if (perc_htu_normal(ours, c->htu) != 0)
		return refuse(c, PERC_ERR_INVAL, "our own URI is malformed");
	if (perc_htu_normal(theirs, htu) != 0 || strcmp(ours, theirs) != 0)
		return refuse(c, PERC_ERR_DENIED, "htu is not the target");
	return 0;
}

static int
iat_check(const struct check *c, const json_t *claims)
{
	const json_t *v = json_object_get(claims, "iat");
	int64_t iat, off;

	/* A NumericDate may have a fraction (RFC 7519 section 2). */
	if (json_is_integer(v))
		iat = json_integer_value(v);
	else if (json_is_real(v) && json_real_value(v) > 0 &&
	    json_real_value(v) < 1e12)
		iat = (int64_t)json_real_value(v);
	else
		return refuse(c, PERC_ERR_FORMAT, "no iat");
	if (iat < 0 || iat > INT64_C(1000000000000))
		return refuse(c, PERC_ERR_EXPIRED, "iat is absurd");
	off = iat > c->now_s ? iat - c->now_s : c->now_s - iat;
	if (off > c->window_s)
		return refuse(c, PERC_ERR_EXPIRED,
		    iat > c->now_s ? "iat is in the future" : "iat is too old");
	c->out->iat_s = iat;
	return 0;
}

static int
ath_check(const struct check *c, const json_t *claims)
{
	const json_t *v = json_object_get(claims, "ath");
	const char *ath = json_string_value(v);
	char want[PERC_JKT_LEN + 1];

	if (c->token == NULL)
		return v == NULL
		    ? 0
		    : refuse(c, PERC_ERR_DENIED, "ath without a token");
	if (hash_text(want, c->token) != 0)
		return refuse(c, PERC_ERR_CRYPTO, "hashing failed");
	if (ath == NULL || strlen(ath) != PERC_JKT_LEN ||
	    !perc_equal(ath, want, PERC_JKT_LEN))
		return refuse(c, PERC_ERR_DENIED, "ath is not the token's");
	return 0;
}

/* nonce and seal_jkt: handed on, so their form is checked. */
static int
extras_check(const struct check *c, const json_t *claims)
{
	const json_t *nonce = json_object_get(claims, "nonce");
	const json_t *seal = json_object_get(claims, "seal_jkt");
	uint8_t raw[PERC_SHA256_LEN];

	if (nonce != NULL) {
		if (!json_is_string(nonce) ||
		    !plain(json_string_value(nonce), sizeof(c->out->nonce) - 1))
			return refuse(c, PERC_ERR_FORMAT, "nonce malformed");
		strcpy(c->out->nonce, json_string_value(nonce));
	}
	if (seal != NULL) {
		if (!json_is_string(seal) ||
		    perc_b64_get_exact(
			raw, sizeof(raw), json_string_value(seal)) != 0)
			return refuse(c, PERC_ERR_FORMAT, "seal_jkt malformed");
		strcpy(c->out->seal_jkt, json_string_value(seal));
	}
	return 0;
}

static int (*const claim_checks[])(const struct check *, const json_t *) = {
	jti_check, request_check, iat_check, ath_check, extras_check
};

static int
check(const struct check *c, const char *proof, size_t len)
{
	struct perc_jws j = { 0 };
	struct perc_jwk *k = NULL;
	int r = perc_jws_peek(&j, proof, len, PERC_JOSE_TOKEN_MAX);

	if (r != 0)
		return refuse(c, PERC_ERR_FORMAT, "not a compact JWT");
	if (j.payload == NULL) {
		r = refuse(c, PERC_ERR_FORMAT, "the payload is no object");
		goto out;
	}
	if ((r = key_get(&k, c, j.header)) != 0)
		goto out;
	r = perc_jws_verify_peeked(&j, proof, len, k, "dpop+jwt");
	if (r != 0) {
		(void)refuse(c, r,
		    r == PERC_ERR_DENIED ? "typ, alg or crit" : "signature");
		goto out;
	}
	for (size_t i = 0;
	     r == 0 && i < sizeof(claim_checks) / sizeof(claim_checks[0]); i++)
		r = claim_checks[i](c, j.payload);
	if (r == 0)
		r = perc_jwk_thumbprint(c->out->jkt, k);
out:
	perc_jwk_free(k);
	perc_jws_clear(&j);
	return r;
}

int
perc_dpop_check(struct perc_dpop *out, const char *proof, size_t len,
    const char *htm, const char *htu, const char *token, int64_t now_s,
    int64_t window_s, const char **why)
{
	struct check c = { out, htm, htu, token, now_s, window_s, why };
	int r;

	*out = (struct perc_dpop){ 0 };
	*why = "";
	if ((r = check(&c, proof, len)) != 0)
		*out = (struct perc_dpop){ 0 };
	return r;
}

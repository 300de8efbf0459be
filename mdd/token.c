/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The design wanted libjwt here. A probe showed that libjwt 1.10.2 refuses
 * every token whose typ is not "JWT" (jwt_decode gives EINVAL for "at+jwt"),
 * so the signature is perc/jose.h's, which pins the algorithm to the key; the
 * decision about each claim is ours in any case, one row of a table each.
 */
#include "mdd/token.h"

#include <ctype.h>
#include <jansson.h>
#include <stdbool.h>
#include <string.h>

#include "perc/b64.h"
#include "perc/json.h"

struct token_ctx {
	struct mdd_token *t;
	const char *audience;
	int64_t now_s, iat_s;
};

/* ids of docs/wire/tokens.md: base64url characters only */
static bool
id_copy(char *out, const char *s)
{
	size_t n = s == NULL ? 0 : strlen(s), i;

	if (n == 0 || n > MDD_TOKEN_ID_MAX)
		return false;
	for (i = 0; i < n; i++)
		if (!isalnum((unsigned char)s[i]) && s[i] != '_' && s[i] != '-')
			return false;
	memcpy(out, s, n + 1);
	return true;
}

/* A string and ours; the KMF never writes a list, so a list is refused. */
static bool
claim_aud(struct token_ctx *x, const json_t *p)
{
	const char *s = perc_json_str(p, "aud");

	return s != NULL && strcmp(s, x->audience) == 0;
}

static bool
claim_exp(struct token_ctx *x, const json_t *p)
{
	return perc_json_int(&x->t->exp_s, p, "exp", 1, INT64_MAX / 4) == 0 &&
	    x->t->exp_s + MDD_TOKEN_LEEWAY_S > x->now_s;
}

static bool
claim_iat(struct token_ctx *x, const json_t *p)
{
	return perc_json_int(&x->iat_s, p, "iat", 1, INT64_MAX / 4) == 0 &&
	    x->iat_s <= x->now_s + MDD_TOKEN_LEEWAY_S &&
	    x->iat_s < x->t->exp_s &&
	    x->t->exp_s - x->iat_s <= MDD_TOKEN_LIFE_S;
}

static bool
claim_nbf(struct token_ctx *x, const json_t *p)
{
	int64_t nbf;

	if (json_object_get(p, "nbf") == NULL)
		return true;
	return perc_json_int(&nbf, p, "nbf", 0, INT64_MAX / 4) == 0 &&
	    nbf <= x->now_s + MDD_TOKEN_LEEWAY_S;
}

static bool
claim_jti(struct token_ctx *x, const json_t *p)
{
	const char *s = perc_json_str(p, "jti");

	return s != NULL && s[0] != '\0' && strlen(s) <= 128;
}

static bool
claim_client(struct token_ctx *x, const json_t *p)
{
	const char *s = perc_json_str(p, "client_id");

	return s != NULL && s[0] != '\0';
}

static bool
claim_scope(struct token_ctx *x, const json_t *p)
{
	const char *s = perc_json_str(p, "scope");

	return s != NULL && strcmp(s, "join") == 0;
}

static bool
claim_sub(struct token_ctx *x, const json_t *p)
{
	return id_copy(x->t->member, perc_json_str(p, "sub"));
}

static bool
claim_conference(struct token_ctx *x, const json_t *p)
{
	return id_copy(x->t->conference, perc_json_str(p, "conference"));
}

static bool
claim_ssrcs(struct token_ctx *x, const json_t *p)
{
	const json_t *a = json_object_get(p, "ssrcs"), *v;
	struct mdd_token *t = x->t;
	size_t n = json_array_size(a), i, k;
	json_int_t u;

	if (n == 0 || n > MDD_TOKEN_SSRCS) /* 0 also when not an array */
		return false;
	for (i = 0; i < n; i++) {
		v = json_array_get(a, i);
		u = json_integer_value(v);   /* 0 when not an integer */
		if (u < 2 || u > UINT32_MAX) /* 1 is ours in RTCP */
			return false;
		for (k = 0; k < i; k++)
			if (t->ssrcs[k] == (uint32_t)u)
				return false;
		t->ssrcs[i] = (uint32_t)u;
	}
	t->nssrcs = (unsigned)n;
	return true;
}

/* Optional: where else the conference is (docs/wire/cascade.md). */
static bool
claim_cascade(struct token_ctx *x, const json_t *p)
{
	const json_t *a = json_object_get(p, "cascade");
	struct mdd_token *t = x->t;
	const char *s;
	size_t i;

	if (a == NULL)
		return true;
	if (!json_is_array(a) || json_array_size(a) > MDD_TOKEN_MDDS)
		return false;
	for (i = 0; i < json_array_size(a); i++) {
		s = json_string_value(json_array_get(a, i));
		if (s == NULL || strlen(s) > MDD_TOKEN_URL_MAX)
			return false;
		memcpy(t->cascade[t->ncascade++], s, strlen(s) + 1);
	}
	return true;
}

/* RFC 8705 section 3.1, and no other binding beside it. */
static bool
claim_cnf(struct token_ctx *x, const json_t *p)
{
	const json_t *cnf = json_object_get(p, "cnf");
	const char *s = perc_json_str(cnf, "x5t#S256");

	return json_object_size(cnf) == 1 && s != NULL &&
	    perc_b64_get_exact(x->t->pin, sizeof(x->t->pin), s) == 0;
}

static const struct {
	bool (*ok)(struct token_ctx *x, const json_t *payload);
	const char *why;
} claims[] = {
	{ claim_aud, "aud is not us" },
	{ claim_exp, "exp" },
	{ claim_iat, "iat" },
	{ claim_nbf, "nbf" },
	{ claim_jti, "jti" },
	{ claim_client, "client_id" },
	{ claim_scope, "scope is not join" },
	{ claim_sub, "sub" },
	{ claim_conference, "conference" },
	{ claim_ssrcs, "ssrcs" },
	{ claim_cascade, "cascade" },
	{ claim_cnf, "cnf" },
};

static int
claims_check(struct token_ctx *x, const json_t *payload, const char **why)
{
	size_t i;

	if (payload == NULL) {
		*why = "payload is not an object";
		return PERC_ERR_FORMAT;
	}
	for (i = 0; i < sizeof(claims) / sizeof(claims[0]); i++)
		if (!claims[i].ok(x, payload)) {
			*why = claims[i].why;
			return PERC_ERR_DENIED;
		}
	return 0;
}

/* iss chooses the keys: exactly a configured issuer, or nothing. What the
 * signature is checked over afterwards is the same text. */
static int
issuer_find(unsigned *at, const struct mdd_issuer *issuers, unsigned n,
    const char *text, size_t len, const char **why)
{
	struct perc_jws j = { 0 };
	const char *iss;
	unsigned i;
	int r;

	*why = "not a JWT";
	if ((r = perc_jws_peek(&j, text, len, PERC_JOSE_TOKEN_MAX)) != 0)
		return r;
	*why = "unknown issuer";
	iss = j.payload == NULL ? NULL : perc_json_str(j.payload, "iss");
	for (i = 0; i < n && iss != NULL; i++)
		if (strcmp(issuers[i].issuer, iss) == 0)
			break;
	r = iss == NULL || i == n ? PERC_ERR_DENIED : 0;
	*at = i;
	perc_jws_clear(&j);
	return r;
}

int
mdd_token_check(struct mdd_token *t, const struct mdd_issuer *issuers,
    unsigned n, const char *audience, const char *text, size_t len,
    int64_t now_s, const char **why)
{
	struct token_ctx x = { .t = t, .audience = audience, .now_s = now_s };
	struct perc_jws j = { 0 };
	const char *alg;
	int r;

	memset(t, 0, sizeof(*t));
	if ((r = issuer_find(&t->issuer, issuers, n, text, len, why)) != 0)
		return r;
	*why = "signature, key, algorithm or typ";
	if ((r = perc_jws_verify_set(&j, text, len, PERC_JOSE_TOKEN_MAX,
		 issuers[t->issuer].keys, "at+jwt")) != 0)
		return r;
	/* The key set could hold an RSA key; our KMFs sign with ES256. */
	alg = perc_json_str(j.header, "alg");
	if (alg == NULL || strcmp(alg, "ES256") != 0) {
		*why = "algorithm";
		r = PERC_ERR_DENIED;
	} else {
		r = claims_check(&x, j.payload, why);
	}
	perc_jws_clear(&j);
	return r;
}

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who is this? RFC 6750 for the intake, RFC 9068 for the token (kmf/claims.c
 * decides), RFC 9449 for the proof. Signatures and claims of a token are
 * looked at once and remembered by its hash; the proof is looked at every
 * time, and the keeper, who sees all fronts' requests, refuses one that was
 * seen before.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "kmf/nonce.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

bool
front_nonce_ok(const struct front *f, const char *nonce)
{
	int64_t now_s = perc_wall_ms() / 1000;

	return kmf_nonce_ok(nonce, f->nonce_key, now_s) ||
	    kmf_nonce_ok(nonce, f->prev_nonce_key, now_s);
}

void
front_nonce_make(const struct front *f, char *out)
{
	kmf_nonce_make(out, f->nonce_key, perc_wall_ms() / 1000);
}

static const char *
verify_why(int r)
{
	switch (r) {
	case PERC_ERR_UNKNOWN_KEY:
		return "kid";
	case PERC_ERR_AUTH:
		return "signature";
	case PERC_ERR_DENIED:
		return "alg, typ or crit";
	case PERC_ERR_LIMIT:
		return "size";
	default:
		return "form";
	}
}

int
front_own_token(
    struct front *f, json_t **claims, const char *token, const char **why)
{
	const struct kmf_rules rules = { .typ = "at+jwt",
		.algs = kmf_algs_own,
		.iss = f->conf->base_url,
		.aud = { f->conf->base_url },
		.required = kmf_required_at,
		.cnf = KMF_CNF_JKT };
	struct kmf_claims c = { .size = strlen(token),
		.now_s = perc_wall_ms() / 1000 };
	struct perc_jws j = { 0 };
	int64_t exp = 0;
	int r;

	if ((*claims = front_cache_get(f->cache, token, c.now_s)) != NULL) {
		f->count[COUNT_CACHE_HITS]++;
		return 0;
	}
	if ((r = perc_jws_verify_set(&j, token, c.size, PERC_JOSE_TOKEN_MAX,
		 f->jwks, "at+jwt")) != 0) {
		*why = verify_why(r);
		goto out;
	}
	c.header = j.header;
	c.payload = j.payload;
	if ((r = kmf_claims_check(&c, &rules, why)) != 0)
		goto out;
	if (perc_json_int(&exp, j.payload, "exp", 1, INT64_MAX) == 0)
		front_cache_put(f->cache, token, j.payload, exp);
	*claims = json_incref(j.payload);
out:
	perc_jws_clear(&j);
	return r;
}

static const char *
text_of(const json_t *claims, const char *name)
{
	const char *s = perc_json_str(claims, name);

	return s == NULL ? "" : s;
}

/* REQ-WS-6.2: the kind follows from what the keeper signed, nothing else. */
void
front_identity_own(struct kmf_identity *id, const json_t *claims)
{
	const char *scope = text_of(claims, "scope");

	id->iss = text_of(claims, "iss");
	id->sub = text_of(claims, "sub");
	id->scope = scope;
	id->token_conf = text_of(claims, "conference");
	id->jkt = text_of(json_object_get(claims, "cnf"), "jkt");
	if (perc_json_int(&id->token_exp_s, claims, "exp", 1, INT64_MAX) != 0)
		id->token_exp_s = 0;
	if (id->token_conf[0] != '\0')
		id->who = strcmp(scope, "member") == 0 ? KMF_WHO_MEMBER
						       : KMF_WHO_NOBODY;
	else if (strcmp(id->sub, text_of(claims, "client_id")) == 0)
		id->who = KMF_WHO_CLIENT;
	else if (strncmp(id->sub, "p_", 2) == 0)
		id->who = KMF_WHO_ROLE;
}

/* What the keeper remembers: this key, this jti, this URI (RFC 9449 11.1). */
static int
replay_hash(struct front_req *q, const char *htu)
{
	uint8_t hash[PERC_SHA256_LEN];
	char text[1024];
	int n, r;

	n = snprintf(text, sizeof(text), "%s|%s|%s", q->proof.jkt,
	    q->proof.jti_hash, htu);
	if (n < 0 || (size_t)n >= sizeof(text))
		return PERC_ERR_LIMIT;
	if ((r = perc_sha256(hash, text, (size_t)n)) != 0)
		return r;
	perc_b64_put(q->replay, hash, sizeof(hash));
	return 0;
}

int
front_proof(struct front_req *q, const char *token, const char **why)
{
	const char *proof;
	char htu[1024];
	unsigned count;
	int n, r;

	*why = "one DPoP field is needed";
	proof = perc_httpd_header(q->r, "DPoP", &count);
	if (count == 0)
		return PERC_ERR_NOTFOUND;
	if (count != 1)
		return PERC_ERR_FORMAT;
	/* Built on BASE, never on the Host header. */
	n = snprintf(htu, sizeof(htu), "%s%s", q->f->conf->base_url,
	    perc_httpd_path(q->r));
	if (n < 0 || (size_t)n >= sizeof(htu))
		return PERC_ERR_LIMIT;
	if ((r = perc_dpop_check(&q->proof, proof, strlen(proof),
		 perc_httpd_method(q->r), htu, token, perc_wall_ms() / 1000,
		 FRONT_DPOP_WINDOW_S, why)) != 0 ||
	    (r = replay_hash(q, htu)) != 0)
		return r;
	q->proved = true;
	return 0;
}

/* Exactly one well-formed Authorization field, token nowhere else. */
static int
auth_intake(struct front_req *q, const char **token)
{
	const char *value, *why = "authorization form";
	enum kmf_scheme scheme;
	unsigned count;
	int r;

	value = perc_httpd_header(q->r, "Authorization", &count);
	if (count > 1 ||
	    kmf_query_has(perc_httpd_query(q->r), "access_token")) {
		front_challenge(q, 400, "invalid_request",
		    "credentials twice or in the query");
		return PERC_ERR_DENIED;
	}
	if (count == 0) {
		front_challenge(q, 401, NULL, "no credentials");
		return PERC_ERR_DENIED;
	}
	if ((r = kmf_auth_parse(&scheme, token, value)) == 0 &&
	    scheme == KMF_SCHEME_DPOP)
		return 0;
	/* All our tokens are bound: RFC 9449 7.2. */
	if (r == 0)
		front_challenge(q, 401, "invalid_token", "bearer");
	else if (r == PERC_ERR_UNSUPPORTED)
		front_challenge(q, 401, NULL, "another scheme");
	else
		front_challenge(q, 400, "invalid_request", why);
	return PERC_ERR_DENIED;
}

static int
auth_proof(struct front_req *q, const char *token)
{
	const char *why = "";

	if (front_proof(q, token, &why) != 0) {
		front_challenge(q, 401, "invalid_dpop_proof", why);
		return PERC_ERR_DENIED;
	}
	if (strcmp(q->proof.jkt, q->who.jkt) != 0) {
		front_challenge(
		    q, 401, "invalid_token", "the proof is of another key");
		return PERC_ERR_DENIED;
	}
	if (q->proof.nonce[0] == '\0' ? (q->route->flags & KMF_NONCE) != 0
				      : !front_nonce_ok(q->f, q->proof.nonce)) {
		front_challenge(q, 401, "use_dpop_nonce", "nonce");
		return PERC_ERR_DENIED;
	}
	return 0;
}

/* The right kind of token for this route; what it may there, the keeper
 * knows. Another conference's token1 hears what a stranger hears. */
static int
auth_kind(struct front_req *q)
{
	unsigned need = q->who.who == KMF_WHO_MEMBER ? KMF_MEMBER
	    : q->who.who == KMF_WHO_CLIENT	     ? KMF_CLIENT
	    : q->who.who == KMF_WHO_ROLE	     ? KMF_CLIENT
						     : 0;

	if ((q->route->flags & need) == 0) {
		front_refused(q, "kind of token");
		front_problem(
		    q, 403, "insufficient_scope", "this token is not for this");
		return PERC_ERR_DENIED;
	}
	if (need == KMF_MEMBER && strcmp(q->who.token_conf, q->par.conf) != 0) {
		front_refused(q, "another conference");
		front_problem(q, 404, "not_found", "there is no such thing");
		return PERC_ERR_DENIED;
	}
	return 0;
}

int
front_auth(struct front_req *q)
{
	const char *token = NULL, *why = "";
	int r;

	if ((r = auth_intake(q, &token)) != 0)
		return r;
	if ((r = front_own_token(q->f, &q->claims, token, &why)) != 0) {
		front_challenge(q, 401, "invalid_token", why);
		return r;
	}
	front_identity_own(&q->who, q->claims);
	if ((r = auth_proof(q, token)) != 0)
		return r;
	return auth_kind(q);
}

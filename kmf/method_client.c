/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * private_key_jwt (RFC 7523): operators and calendar systems. The assertion
 * says who it claims to be; the keeper has the key that must have signed it,
 * and remembers the jti, hashed.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define ASSERTION_S   300
#define CLIENT_ID_MAX 128

static bool
takes(const struct front_req *q)
{
	return q->cred.kind == KMF_CRED_ASSERTION;
}

static int
jti_hash(struct front_req *q, const json_t *payload)
{
	const char *jti = perc_json_str(payload, "jti");
	uint8_t hash[PERC_SHA256_LEN];
	char text[CLIENT_ID_MAX + 520];

	if (jti == NULL || jti[0] == '\0' || strlen(jti) > 512)
		return PERC_ERR_FORMAT;
	snprintf(text, sizeof(text), "%s|%s", q->who.sub, jti);
	if (perc_sha256(hash, text, strlen(text)) != 0)
		return PERC_ERR_CRYPTO;
	perc_b64_put(q->arg2, hash, sizeof(hash));
	return 0;
}

/* RFC 7523 section 3. */
static int
decide(struct front_req *q, const struct perc_jws *j, const char **why)
{
	char endpoint[600];
	const char *base = q->f->conf->base_url;
	const struct kmf_rules rules = { .typ = "JWT",
		.algs = kmf_algs_own,
		.iss = q->who.sub,
		.aud = { base, endpoint },
		.required = kmf_required_assertion,
		.leeway_s = KMF_LEEWAY_S,
		.max_life_s = ASSERTION_S };
	const struct kmf_claims c = { .header = j->header,
		.payload = j->payload,
		.size = strlen(q->cred.text),
		.now_s = perc_wall_ms() / 1000 };
	int r;

	snprintf(endpoint, sizeof(endpoint), "%s/oauth/token", base);
	if ((r = kmf_claims_check(&c, &rules, why)) != 0)
		kmf_claims_skew(q->say, sizeof(q->say), &c, *why);
	return r;
}

static int
verify(struct front_req *q, const struct kmf_reply *a, const char **why)
{
	const char *text = q->cred.text, *jwk_text;
	struct perc_jws j = { 0 };
	struct perc_jwk *k = NULL;
	json_t *o = NULL;
	char *key = NULL;
	int r;

	*why = "client key";
	if ((r = perc_json_parse(
		 &o, a->body, a->body_len, KMF_BODY_MAX, NULL, 0)) != 0)
		goto out;
	key = perc_json_text(json_object_get(o, "jwk"));
	jwk_text = key == NULL ? "" : key;
	if ((r = perc_jwk_from_json(&k, jwk_text, strlen(jwk_text), false)) !=
	    0)
		goto out;
	*why = "assertion signature";
	if ((r = perc_jws_verify(
		 &j, text, strlen(text), PERC_JOSE_TOKEN_MAX, k, NULL)) != 0 ||
	    (r = decide(q, &j, why)) != 0)
		goto out;
	*why = "assertion jti";
	r = jti_hash(q, j.payload);
out:
	perc_jws_clear(&j);
	perc_jwk_free(k);
	perc_json_free(key);
	json_decref(o);
	return r;
}

static void
on_key(struct front_req *q, const struct kmf_reply *a)
{
	const char *why = "unknown client";
	int r = PERC_ERR_DENIED;

	if (a->status >= 500) {
		kmf_method_end(q, PERC_ERR_CLOSED, "the keeper");
		return;
	}
	if (a->status == 200 && (r = verify(q, a, &why)) == 0)
		q->who.who = KMF_WHO_CLIENT;
	kmf_method_end(q, r, why);
}

static bool
client_id_ok(const char *id)
{
	size_t n = strspn(id,
	    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
	    "0123456789-_.");

	return n != 0 && n <= CLIENT_ID_MAX && id[n] == '\0';
}

static void
run(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_CLIENT_KEY };
	const char *sub;

	q->claims = json_incref(q->jws.payload); /* sub lives in it */
	sub = perc_json_str(q->claims, "sub");
	if (sub == NULL || !client_id_ok(sub) ||
	    (q->cred.hint[0] != '\0' && strcmp(q->cred.hint, sub) != 0)) {
		kmf_method_end(q, PERC_ERR_DENIED, "assertion sub");
		return;
	}
	q->who.sub = sub;
	c.obj = sub;
	front_call(q, &c, on_key);
}

const struct kmf_method kmf_method_client = {
	.name = "client",
	.takes = takes,
	.run = run,
};

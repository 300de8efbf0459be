/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A person, by a token of the organisation's identity provider: an access
 * token made for us (RFC 9068) or an ID token made for perch (OpenID Connect
 * Core). The decision comes first, on what the token says; then its key, from
 * that issuer's set only; last the signature. A kid we do not know is asked
 * for once, and the request waits for the fetcher's answer, so that a
 * provider's key rotation costs nobody a failed login.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "kmf/verify.h"
#include "perc/json.h"
#include "perc/log.h"
#include "perc/secret.h"

#define ID_TOKEN   "urn:ietf:params:oauth:token-type:id_token"
#define PARKED_MAX 256

static void
refuse(struct front_req *q, const char *why)
{
	front_refused(q, why);
	front_token_error(
	    q, 400, "invalid_grant", "the request cannot be granted");
}

static const struct kmf_issuer *
issuer_of(const struct front *f, const json_t *payload)
{
	const char *iss = perc_json_str(payload, "iss");
	size_t i;

	for (i = 0; iss != NULL && i < f->conf->nissuers; i++)
		if (strcmp(f->conf->issuers[i].url, iss) == 0)
			return &f->conf->issuers[i];
	return NULL;
}

static int
decide(struct front_req *q, const struct perc_jws *j, size_t size,
    const char **why)
{
	const struct kmf_issuer *i = q->issuer;
	bool id =
	    strcmp(kmf_form_get(&q->form, "subject_token_type"), ID_TOKEN) == 0;
	const struct kmf_rules rules = {
		.typ = id ? "JWT" : "at+jwt",
		.algs = kmf_algs_idp,
		.iss = i->url,
		.aud = { id ? i->client_id : q->f->conf->base_url,
		    id ? NULL : i->audience },
		.azp = id ? i->client_id : NULL,
		.required = id ? kmf_required_id : kmf_required_at,
		.cnf = KMF_CNF_ANY,
	};
	const struct kmf_claims c = { .header = j->header,
		.payload = j->payload,
		.size = size,
		.now_s = perc_wall_ms() / 1000 };
	const char *sub, *client, *jkt;
	int r;

	if ((r = kmf_claims_check(&c, &rules, why)) != 0)
		return r;
	sub = perc_json_str(j->payload, "sub");
	client = perc_json_str(j->payload, "client_id");
	*why = "a service, not a person"; /* RFC 9068 section 5 */
	if (!id && (client == NULL || strcmp(sub, client) == 0))
		return PERC_ERR_DENIED;
	/* RFC 9449 6.1: a bound token is good with its key only. */
	jkt = perc_json_str(json_object_get(j->payload, "cnf"), "jkt");
	*why = "bound to another key";
	return jkt == NULL || strcmp(jkt, q->proof.jkt) == 0 ? 0
							     : PERC_ERR_DENIED;
}

/* The issuer's key of that kid; without a kid only when it has just one. */
static const json_t *
key_find(const json_t *jwks, const json_t *header)
{
	const json_t *keys = json_object_get(jwks, "keys"), *k;
	const char *kid = perc_json_str(header, "kid"), *have;
	size_t i;

	if (kid == NULL && json_object_get(header, "kid") == NULL &&
	    json_array_size(keys) == 1)
		return json_array_get(keys, 0);
	json_array_foreach(keys, i, k)
	{
		have = perc_json_str(k, "kid");
		if (kid != NULL && have != NULL && strcmp(kid, have) == 0)
			return k;
	}
	return NULL;
}

/* The algorithm is the key's, and the token must say the same. PS256 has no
 * key type of its own: an RSA key without "alg" takes it too. */
static bool
alg_fits(const json_t *key, const struct perc_jwk *k, const char *alg)
{
	if (strcmp(alg, perc_jwk_alg(k)) == 0)
		return true;
	return strcmp(alg, "PS256") == 0 &&
	    json_object_get(key, "alg") == NULL &&
	    strcmp(perc_jwk_alg(k), "RS256") == 0;
}

static int
signature(const json_t *key, const struct perc_jws *j, const char *token,
    const char **why)
{
	const char *use = perc_json_str(key, "use");
	char *text = perc_json_text(key), *public = NULL;
	struct perc_jwk *k = NULL;
	int r = PERC_ERR_NOMEM;

	*why = "key";
	if (text == NULL ||
	    (r = perc_jwk_from_json(&k, text, strlen(text), true)) != 0)
		goto out;
	*why = "alg is not the key's";
	r = PERC_ERR_DENIED;
	if ((use != NULL && strcmp(use, "sig") != 0) ||
	    !alg_fits(key, k, perc_json_str(j->header, "alg")))
		goto out;
	*why = "signature";
	if ((r = perc_jwk_public_json(&public, k)) == 0)
		r = kmf_verify_signature(public, token);
out:
	perc_json_free(public);
	perc_json_free(text);
	perc_jwk_free(k);
	return r;
}

static const char *
text_of(const json_t *o, const char *name)
{
	const char *s = perc_json_str(o, name);

	return s == NULL ? "" : s;
}

/* RFC 9068 2.2.3.1, OpenID Connect Core 5.1. */
static void
person_fill(struct front_req *q)
{
	const struct kmf_issuer *i = q->issuer;
	struct kmf_identity *id = &q->who;
	const json_t *list, *one;
	size_t n;

	id->who = KMF_WHO_PERSON;
	id->iss = i->url;
	id->sub = text_of(q->claims, "sub");
	id->email = text_of(q->claims, i->email_claim);
	id->email_verified = perc_json_bool(q->claims, "email_verified", false);
	id->name = text_of(q->claims, "name");
	if (id->name[0] == '\0')
		id->name = text_of(q->claims, "preferred_username");
	list = json_object_get(q->claims, i->groups_claim);
	json_array_foreach(list, n,
	    one) if (json_is_string(one) && id->ngroups < KMF_GROUPS_MAX)
	    id->groups[id->ngroups++] = json_string_value(one);
}

/* --- waiting for keys ----------------------------------------------------- */
static void
park(struct front_req *q)
{
	struct front *f = q->f;
	size_t n = (size_t)(q->issuer - f->conf->issuers);
	const struct front_req *p;
	unsigned waiting = 0;

	for (p = f->parked; p != NULL; p = p->park_next)
		waiting++;
	if (waiting >= PARKED_MAX || f->fetcher == NULL ||
	    perc_chan_send(f->fetcher, KMF_MSG_KEYS_WANTED, (uint32_t)n,
		q->issuer->url, strlen(q->issuer->url)) != 0) {
		front_token_error(
		    q, 503, "temporarily_unavailable", "try again");
		return;
	}
	q->parked = true;
	q->until_ms = perc_now_ms() + FRONT_PARK_MS;
	q->park_next = f->parked;
	f->parked = q;
}

static void
unknown_kid(struct front_req *q)
{
	size_t n = (size_t)(q->issuer - q->f->conf->issuers);

	if (!q->parked)
		park(q);
	else if (q->f->keys[n].jwks == NULL) {
		front_refused(q, "no keys of the issuer");
		front_token_error(q, 503, "temporarily_unavailable",
		    "the identity provider cannot be reached; try again");
	} else
		refuse(q, "kid");
}

void
front_idp(struct front_req *q)
{
	const char *token = kmf_form_get(&q->form, "subject_token");
	size_t size = strlen(token);
	struct perc_jws j = { 0 };
	const json_t *key;
	const char *why = "form";

	if (perc_jws_peek(&j, token, size, PERC_JOSE_TOKEN_MAX) != 0 ||
	    j.payload == NULL)
		goto bad;
	why = "iss";
	if ((q->issuer = issuer_of(q->f, j.payload)) == NULL ||
	    decide(q, &j, size, &why) != 0)
		goto bad;
	key = key_find(
	    q->f->keys[q->issuer - q->f->conf->issuers].jwks, j.header);
	if (key == NULL) {
		perc_jws_clear(&j);
		unknown_kid(q);
		return;
	}
	if (signature(key, &j, token, &why) != 0)
		goto bad;
	json_decref(q->claims);
	q->claims = json_incref(j.payload);
	perc_jws_clear(&j);
	person_fill(q);
	front_exchange(q);
	return;
bad:
	perc_jws_clear(&j);
	refuse(q, why);
}

/* Take from the list those of one issuer, or those that waited too long. */
static struct front_req *
unpark(struct front *f, const struct kmf_issuer *issuer, int64_t now_ms)
{
	struct front_req **pp, *q, *out = NULL;

	for (pp = &f->parked; (q = *pp) != NULL;) {
		if (q->issuer != issuer && now_ms < q->until_ms) {
			pp = &q->park_next;
			continue;
		}
		*pp = q->park_next;
		q->park_next = out;
		out = q;
	}
	return out;
}

static void
again(struct front_req *list)
{
	struct front_req *q;

	while ((q = list) != NULL) {
		list = q->park_next;
		front_idp(q);
	}
}

void
front_idp_keys(struct front *f, size_t issuer)
{
	again(unpark(f, &f->conf->issuers[issuer], 0));
}

void
front_idp_tick(struct front *f, int64_t now_ms)
{
	again(unpark(f, NULL, now_ms));
}

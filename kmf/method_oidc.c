/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * A person, by a token of the organisation's identity provider: an access
 * token made for us (RFC 9068) or an ID token made for perch (OpenID Connect
 * Core). The decision comes first, on what the token says and on the key it
 * names, from that issuer's set only; last the signature. A kid we do not
 * know is asked for once, and the request waits for the fetcher's answer, so
 * that a provider's key rotation costs nobody a failed login.
 */
#include "config.h"

#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "kmf/verify.h"
#include "perc/json.h"
#include "perc/log.h"

#define WANT_MS 1000 /* a front asks the fetcher for keys that often */

static const struct kmf_issuer *
issuer_of(const struct front *f, const json_t *payload)
{
	const char *iss = perc_json_str(payload, "iss");
	size_t i;

	for (i = 0; iss != NULL && i < f->conf->nissuers; i++)
		if (!f->conf->issuers[i].certificate &&
		    strcmp(f->conf->issuers[i].url, iss) == 0)
			return &f->conf->issuers[i];
	return NULL;
}

static bool
takes(const struct front_req *q)
{
	return (q->cred.kind == KMF_CRED_TOKEN ||
		   q->cred.kind == KMF_CRED_ID_TOKEN) &&
	    issuer_of(q->f, q->jws.payload) != NULL;
}

static size_t
number(const struct front_req *q)
{
	return (size_t)(q->issuer - q->f->conf->issuers);
}

bool
front_keys_stale(const struct front *f, size_t issuer)
{
	const struct front_keys *k = &f->keys[issuer];

	return k->jwks != NULL &&
	    perc_wall_ms() / 1000 - k->fetched_s >
	    f->conf->issuers[issuer].keys_max_age_s;
}

/* In an outage known keys work for a bounded time, and what was remembered
 * ends with them. */
void
front_keys_tick(struct front *f)
{
	size_t i;

	for (i = 0; i < f->conf->nissuers; i++) {
		bool stale = front_keys_stale(f, i);

		if (stale && !f->keys[i].stale) {
			log_warnx("front.keys issuer=%s err=\"older than "
				  "keys_max_age_s\" why=\"%s\" logins=refused",
			    f->conf->issuers[i].label, f->keys[i].why);
			front_cache_void(f->cache, &f->conf->issuers[i]);
		}
		f->keys[i].stale = stale;
	}
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

static int
decide(struct front_req *q, const json_t *key, const char **why)
{
	const struct kmf_issuer *i = q->issuer;
	bool id = q->cred.kind == KMF_CRED_ID_TOKEN;
	const struct kmf_rules rules = {
		.typ = id ? "JWT" : "at+jwt",
		.algs = kmf_algs_idp,
		.key = key,
		.iss = i->url,
		.aud = { id ? i->client_id : q->f->conf->base_url,
		    id ? NULL : i->audience },
		.azp = id ? i->client_id : NULL,
		.clients = id ? NULL : (const char *const *)i->allowed_clients,
		.required = id ? kmf_required_id : kmf_required_at,
		.cnf = q->cred.direct && !i->allow_bearer ? KMF_CNF_BOUND
							  : KMF_CNF_ANY,
		.actors = (const char *const *)i->allowed_actors,
		.leeway_s = i->leeway_s,
	};
	const struct kmf_claims c = { .header = q->jws.header,
		.payload = q->jws.payload,
		.size = strlen(q->cred.text),
		.now_s = perc_wall_ms() / 1000 };
	const char *sub, *client;
	int r;

	if ((r = kmf_claims_check(&c, &rules, why)) != 0) {
		kmf_claims_skew(q->say, sizeof(q->say), &c, *why);
		return r;
	}
	sub = perc_json_str(c.payload, "sub");
	client = perc_json_str(c.payload, "client_id");
	*why = "a service, not a person"; /* RFC 9068 section 5 */
	return id || (client != NULL && strcmp(sub, client) != 0)
	    ? 0
	    : PERC_ERR_DENIED;
}

static int
signature(const struct front_req *q, const json_t *key, const char **why)
{
	char *text = perc_json_text(key), *public = NULL;
	struct perc_jwk *k = NULL;
	int r = PERC_ERR_NOMEM;

	*why = "key";
	if (text == NULL ||
	    (r = perc_jwk_from_json(&k, text, strlen(text), true)) != 0)
		goto out;
	*why = "signature";
	r = PERC_ERR_AUTH;
	if (perc_jws_sig_fits(&q->jws) &&
	    (r = perc_jwk_public_json(&public, k)) == 0)
		r = kmf_verify_signature(public, q->cred.text);
out:
	perc_json_free(public);
	perc_json_free(text);
	perc_jwk_free(k);
	return r;
}

/* Ask the fetcher, who asks the provider once per cooldown for all fronts. */
static int
keys_want(struct front_req *q)
{
	struct front_keys *k = &q->f->keys[number(q)];

	if (k->asked)
		return 0; /* the answer is on its way */
	if (q->f->fetcher == NULL ||
	    perc_chan_send(q->f->fetcher, KMF_MSG_KEYS_WANTED,
		(uint32_t)number(q), q->issuer->url,
		strlen(q->issuer->url)) != 0)
		return PERC_ERR_CLOSED;
	k->asked = true;
	k->wanted_ms = perc_now_ms();
	return 0;
}

/* For keys that could change what we would say now: once per request. */
static void
keys_wait(struct front_req *q, int else_err, const char *why)
{
	const struct front_keys *k = &q->f->keys[number(q)];
	bool soon = k->wanted_ms != 0 && !k->asked &&
	    perc_now_ms() - k->wanted_ms < WANT_MS;

	if (q->parked || soon)
		kmf_method_end(
		    q, k->jwks == NULL ? PERC_ERR_CLOSED : else_err, why);
	else if (keys_want(q) != 0 || !front_park(q, 0))
		kmf_method_end(q, PERC_ERR_CLOSED, "cannot wait for keys");
}

static void
known(struct front_req *q)
{
	const json_t *cnf = json_object_get(q->claims, "cnf");

	q->who.jkt = front_text_of(cnf, "jkt");
	q->who.x5t = front_text_of(cnf, "x5t#S256");
	front_person(q);
}

static void
run(struct front_req *q)
{
	const char *why = "";
	const json_t *key;
	int64_t exp = 0;
	int r;

	q->issuer = issuer_of(q->f, q->jws.payload);
	if (front_keys_stale(q->f, number(q))) {
		keys_wait(q, PERC_ERR_CLOSED, "keys too old");
		return;
	}
	key = key_find(q->f->keys[number(q)].jwks, q->jws.header);
	if ((r = decide(q, key, &why)) == 0 && key == NULL) {
		keys_wait(q, PERC_ERR_DENIED, "kid");
		return;
	}
	if (r == 0 && (r = signature(q, key, &why)) == 0) {
		json_decref(q->claims);
		q->claims = json_incref(q->jws.payload);
		known(q);
		if (perc_json_int(&exp, q->claims, "exp", 1, INT64_MAX) == 0)
			kmf_method_remember(q, exp);
	}
	kmf_method_end(q, r, why);
}

const struct kmf_method kmf_method_oidc = {
	.name = "oidc",
	.direct = true,
	.takes = takes,
	.run = run,
	.known = known,
};

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * POST /oauth/token: RFC 8693 for people and endpoints, RFC 7523 for
 * administrators and calendars. Every answer is bound to the key that proved
 * itself in the DPoP field. Who is uninvited, unknown or evicted is the
 * keeper's business, and it answers all three alike.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"

#define EXCHANGE      "urn:ietf:params:oauth:grant-type:token-exchange"
#define TYPE	      "urn:ietf:params:oauth:token-type:"
#define TYPE_CODE     "urn:perch:params:oauth:token-type:invitation-code"
#define ASSERTION     "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
#define ASSERTION_S   300
#define CLIENT_ID_MAX 128
#define CODE_MAX      256

/* The one dull text for credentials that are not good. */
static void
refuse(struct front_req *q, unsigned status, const char *error, const char *why)
{
	front_refused(q, why);
	front_token_error(q, status, error, "the request cannot be granted");
}

static void
malformed(struct front_req *q, const char *what)
{
	front_refused(q, what);
	front_token_error(q, 400, "invalid_request", what);
}

/* --- token exchange ------------------------------------------------------- */
/* BASE/v1/conferences/{id} -> id, else false. */
static bool
conference_of(
    char out[static KMF_ID_MAX], const char *base, const char *resource)
{
	size_t n = strlen(base);

	if (strncmp(resource, base, n) != 0 ||
	    strncmp(resource + n, "/v1/conferences/", 16) != 0 ||
	    !kmf_id_ok(resource + n + 16, "c_"))
		return false;
	snprintf(out, KMF_ID_MAX, "%s", resource + n + 16);
	return true;
}

/* BASE or BASE/v1: the KMF itself, for people with a role. */
static bool
is_kmf(const char *base, const char *resource)
{
	size_t n = strlen(base);

	return strncmp(resource, base, n) == 0 &&
	    (resource[n] == '\0' || strcmp(resource + n, "/v1") == 0);
}

void
front_exchange(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = q->par.conf };

	if (q->par.conf[0] == '\0') {
		c.op = KMF_OP_TOKEN_ROLE;
		c.arg = kmf_form_get(&q->form, "scope");
	}
	q->who.jkt = q->proof.jkt;
	front_call(q, &c, front_token_relay);
}

static void
exchange_code(struct front_req *q, const char *code)
{
	if (strlen(code) > CODE_MAX) {
		refuse(q, 400, "invalid_grant", "code too long");
		return;
	}
	q->who.who = KMF_WHO_CODE;
	q->who.code = code;
	front_exchange(q);
}

/* token1 -> token2: the fingerprint is of the certificate that will do DTLS
 * with the MDD (design.md section 4). */
static void
exchange_token2(struct front_req *q, const char *subject, const char *resource)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN2, .arg = resource };
	const char *x5t = kmf_form_get(&q->form, "x5t_s256");
	const char *conf = kmf_form_get(&q->form, "conference"), *why = "";
	uint8_t raw[PERC_SHA256_LEN];

	if (perc_b64_get_exact(raw, sizeof(raw), x5t) != 0 ||
	    !kmf_id_ok(conf, "c_")) {
		malformed(q, "x5t_s256 and conference are needed");
		return;
	}
	if (front_own_token(q->f, &q->claims, subject, &why) != 0) {
		refuse(q, 400, "invalid_grant", why);
		return;
	}
	front_identity_own(&q->who, q->claims);
	if (q->who.who != KMF_WHO_MEMBER ||
	    strcmp(q->who.jkt, q->proof.jkt) != 0) {
		refuse(q, 400, "invalid_grant", "not a token1 of this key");
		return;
	}
	if (strcmp(q->who.token_conf, conf) != 0) {
		refuse(q, 400, "invalid_target", "another conference");
		return;
	}
	snprintf(q->par.conf, sizeof(q->par.conf), "%s", conf);
	snprintf(q->arg2, sizeof(q->arg2), "%s", x5t);
	c.conf = q->par.conf;
	c.arg2 = q->arg2;
	front_call(q, &c, front_token_relay);
}

static void
grant_exchange(struct front_req *q)
{
	const char *subject = kmf_form_get(&q->form, "subject_token");
	const char *type = kmf_form_get(&q->form, "subject_token_type");
	const char *resource = kmf_form_get(&q->form, "resource");
	const char *want = kmf_form_get(&q->form, "requested_token_type");
	bool conf = conference_of(q->par.conf, q->f->conf->base_url, resource);

	if (subject[0] == '\0' || type[0] == '\0' || resource[0] == '\0') {
		malformed(q, "subject_token, its type and resource are needed");
		return;
	}
	/* RFC 8693 2.1: nobody acts for another here. */
	if (kmf_form_get(&q->form, "actor_token")[0] != '\0' ||
	    kmf_form_get(&q->form, "actor_token_type")[0] != '\0' ||
	    (want[0] != '\0' && strcmp(want, TYPE "access_token") != 0)) {
		malformed(q, "actor or requested_token_type not supported");
		return;
	}
	if (is_kmf(q->f->conf->base_url, resource) &&
	    (strcmp(type, TYPE "access_token") == 0 ||
		strcmp(type, TYPE "id_token") == 0))
		front_idp(q);
	else if (!conf && strcmp(type, TYPE "access_token") == 0)
		exchange_token2(q, subject, resource);
	else if (!conf)
		refuse(q, 400, "invalid_target", "resource");
	else if (strcmp(type, TYPE_CODE) == 0)
		exchange_code(q, subject);
	else if (strcmp(type, TYPE "access_token") == 0 ||
	    strcmp(type, TYPE "id_token") == 0)
		front_idp(q);
	else
		malformed(q, "subject_token_type not supported");
}

/* --- client credentials --------------------------------------------------- */
/* The jti, hashed: the keeper refuses one that it saw. */
static int
assertion_replay(struct front_req *q, const json_t *payload)
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

static int
assertion_check(
    struct front_req *q, const struct kmf_reply *a, const char **why)
{
	const char *text = kmf_form_get(&q->form, "client_assertion");
	const char *base = q->f->conf->base_url, *jwk_text;
	char endpoint[600];
	struct kmf_rules rules = { .typ = "JWT",
		.algs = kmf_algs_own,
		.iss = q->who.sub,
		.aud = { base, endpoint },
		.required = kmf_required_assertion,
		.max_life_s = ASSERTION_S };
	struct kmf_claims c = { .size = strlen(text),
		.now_s = perc_wall_ms() / 1000 };
	struct perc_jws j = { 0 };
	struct perc_jwk *k = NULL;
	json_t *o = NULL;
	char *key = NULL;
	int r;

	*why = "client key";
	snprintf(endpoint, sizeof(endpoint), "%s/oauth/token", base);
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
		 &j, text, c.size, PERC_JOSE_TOKEN_MAX, k, NULL)) != 0)
		goto out;
	c.header = j.header;
	c.payload = j.payload;
	if ((r = kmf_claims_check(&c, &rules, why)) != 0)
		goto out;
	*why = "assertion jti";
	r = assertion_replay(q, j.payload);
out:
	perc_jws_clear(&j);
	perc_jwk_free(k);
	perc_json_free(key);
	json_decref(o);
	return r;
}

static void
on_client_key(struct front_req *q, const struct kmf_reply *a)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN_CLIENT };
	const char *why = "unknown client";

	if (a->status >= 500) {
		front_token_relay(q, a);
		return;
	}
	if (a->status != 200 || assertion_check(q, a, &why) != 0) {
		refuse(q, 401, "invalid_client", why);
		return;
	}
	q->who.who = KMF_WHO_CLIENT;
	q->who.jkt = q->proof.jkt;
	c.arg = kmf_form_get(&q->form, "scope");
	c.arg2 = q->arg2;
	front_call(q, &c, front_token_relay);
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
grant_client(struct front_req *q)
{
	const char *text = kmf_form_get(&q->form, "client_assertion");
	const char *type = kmf_form_get(&q->form, "client_assertion_type");
	const char *named = kmf_form_get(&q->form, "client_id"), *sub = NULL;
	struct kmf_call c = { .op = KMF_OP_CLIENT_KEY };
	struct perc_jws j = { 0 };

	if (strcmp(type, ASSERTION) != 0 || text[0] == '\0') {
		refuse(q, 401, "invalid_client", "no assertion");
		return;
	}
	/* Who it claims to be, to find the key that must have signed it. */
	if (perc_jws_peek(&j, text, strlen(text), PERC_JOSE_TOKEN_MAX) == 0)
		sub = perc_json_str(j.payload, "sub");
	if (sub == NULL || !client_id_ok(sub) ||
	    (named[0] != '\0' && strcmp(named, sub) != 0)) {
		perc_jws_clear(&j);
		refuse(q, 401, "invalid_client", "assertion sub");
		return;
	}
	q->claims = json_incref(j.payload); /* sub lives in it */
	perc_jws_clear(&j);
	q->who.sub = sub;
	c.obj = sub;
	front_call(q, &c, on_client_key);
}

/* --- intake --------------------------------------------------------------- */
static const struct {
	const char *grant;
	void (*fn)(struct front_req *);
} grants[] = {
	{ EXCHANGE, grant_exchange },
	{ "client_credentials", grant_client },
};

static int
form_take(struct front_req *q)
{
	const char *type = perc_httpd_header(q->r, "Content-Type", NULL);
	const uint8_t *body;
	unsigned nauth;
	size_t len;

	body = perc_httpd_body(q->r, &len);
	(void)perc_httpd_header(q->r, "Authorization", &nauth);
	if (nauth != 0 || perc_httpd_query(q->r) != NULL) {
		malformed(q, "credentials belong into the form");
		return PERC_ERR_DENIED;
	}
	if (type == NULL ||
	    strncasecmp(type, "application/x-www-form-urlencoded", 33) != 0 ||
	    (type[33] != '\0' && type[33] != ';' && type[33] != ' ')) {
		malformed(q, "not a form");
		return PERC_ERR_DENIED;
	}
	if (kmf_form_parse(&q->form, body, len) != 0) {
		malformed(q, "the form is malformed or repeats a parameter");
		return PERC_ERR_DENIED;
	}
	return 0;
}

void
front_token(struct front_req *q)
{
	static const struct perc_httpd_header later = { "Retry-After", "60" };
	const char *grant, *why = "";
	size_t i;

	if (front_limit_reached(
		q->f->limit, perc_httpd_peer(q->r), perc_now_ms())) {
		q->f->count[COUNT_LIMITED]++;
		front_problem_with(q, 429, "slow_down",
		    "too many failures; wait a minute", &later, 1);
		return;
	}
	if (form_take(q) != 0)
		return;
	if (front_proof(q, NULL, &why) != 0) {
		refuse(q, 400, "invalid_dpop_proof", why);
		return;
	}
	if (q->proof.nonce[0] != '\0' &&
	    !front_nonce_ok(q->f, q->proof.nonce)) {
		front_token_error(
		    q, 400, "use_dpop_nonce", "use the nonce of DPoP-Nonce");
		return;
	}
	grant = kmf_form_get(&q->form, "grant_type");
	for (i = 0; i < sizeof(grants) / sizeof(grants[0]); i++)
		if (strcmp(grant, grants[i].grant) == 0) {
			grants[i].fn(q);
			return;
		}
	front_token_error(q, 400,
	    grant[0] == '\0' ? "invalid_request" : "unsupported_grant_type",
	    "grant_type");
}

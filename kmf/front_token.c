/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * POST /oauth/token: RFC 8693 for people and endpoints, RFC 7523 for
 * administrators and calendars, RFC 8705 for devices. A method says who that
 * is (kmf/method.h); every answer is bound to the key that proved itself in
 * the DPoP field, or without one to the certificate of the connection. Who is
 * uninvited, unknown or evicted is the keeper's business, and it answers all
 * three alike.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "kmf/front.h"
#include "perc/b64.h"
#include "perc/crypto.h"

#define EXCHANGE  "urn:ietf:params:oauth:grant-type:token-exchange"
#define TYPE	  "urn:ietf:params:oauth:token-type:"
#define TYPE_CODE "urn:perch:params:oauth:token-type:invitation-code"
#define ASSERTION "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

#define DULL "the request cannot be granted"

/* The one dull text for credentials that are not good; but whose clock is
 * wrong is told by how much. */
static void
refuse(struct front_req *q, unsigned status, const char *error, const char *why)
{
	front_refused(q, why);
	front_token_error(q, status, error, q->say[0] != '\0' ? q->say : DULL);
}

static void
malformed(struct front_req *q, const char *what)
{
	front_refused(q, what);
	front_token_error(q, 400, "invalid_request", what);
}

/* Nobody is known; error is what to call it when the credential is at fault. */
static void
unknown(struct front_req *q, int err, const char *error, const char *why)
{
	if (err == PERC_ERR_CLOSED) {
		front_refused(q, why);
		front_busy(q);
	} else
		refuse(q, strcmp(error, "invalid_client") == 0 ? 401 : 400,
		    error, why);
}

/* What the answer will be bound to. What the credential itself is bound to
 * must hold before (RFC 9449 6.1, RFC 8705 3). */
static bool
rebind(struct front_req *q)
{
	const char *jkt = q->who.jkt, *x5t = q->who.x5t;
	bool bound =
	    (jkt != NULL && jkt[0] != '\0') || (x5t != NULL && x5t[0] != '\0');

	if (bound && !front_binding_holds(q))
		return false;
	q->who.jkt = q->proved ? q->proof.jkt : "";
	q->who.x5t = q->proved ? "" : front_x5t(q);
	return true;
}

/* --- token1 --------------------------------------------------------------- */
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

static void
on_person(struct front_req *q, int err, const char *why)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN1, .conf = q->par.conf };

	if (q->par.conf[0] == '\0') {
		c.op = KMF_OP_TOKEN_ROLE;
		c.arg = kmf_form_get(&q->form, "scope");
	}
	if (err != 0)
		unknown(q, err, "invalid_grant", why);
	else if (q->who.who != KMF_WHO_PERSON && q->who.who != KMF_WHO_CODE)
		refuse(q, 400, "invalid_grant", "not a provider's token");
	else if (q->who.who == KMF_WHO_CODE && !q->proved)
		refuse(q, 400, "invalid_dpop_proof", "a code needs a proof");
	else if (!rebind(q))
		refuse(q, 400, "invalid_grant", "bound to another key");
	else
		front_call(q, &c, front_token_relay);
}

/* --- token2 --------------------------------------------------------------- */
/* token1 -> token2: the fingerprint is of the certificate that will do DTLS
 * with the MDD (design.md section 4). */
static void
on_member(struct front_req *q, int err, const char *why)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN2,
		.conf = q->par.conf,
		.arg = kmf_form_get(&q->form, "resource"),
		.arg2 = q->arg2 };

	if (err != 0)
		unknown(q, err, "invalid_grant", why);
	else if (q->who.who != KMF_WHO_MEMBER || !front_binding_holds(q))
		refuse(q, 400, "invalid_grant", "not a token1 of this key");
	else if (strcmp(q->who.token_conf, q->par.conf) != 0)
		refuse(q, 400, "invalid_target", "another conference");
	else
		front_call(q, &c, front_token_relay);
}

static void
exchange_token2(struct front_req *q)
{
	const char *x5t = kmf_form_get(&q->form, "x5t_s256");
	const char *conf = kmf_form_get(&q->form, "conference");
	uint8_t raw[PERC_SHA256_LEN];

	if (perc_b64_get_exact(raw, sizeof(raw), x5t) != 0 ||
	    !kmf_id_ok(conf, "c_")) {
		malformed(q, "x5t_s256 and conference are needed");
		return;
	}
	snprintf(q->par.conf, sizeof(q->par.conf), "%s", conf);
	snprintf(q->arg2, sizeof(q->arg2), "%s", x5t);
	kmf_method_start(q, on_member);
}

static const struct {
	const char *type;
	enum kmf_cred_kind kind;
} types[] = {
	{ TYPE "access_token", KMF_CRED_TOKEN },
	{ TYPE "id_token", KMF_CRED_ID_TOKEN },
	{ TYPE_CODE, KMF_CRED_CODE },
};

static bool
cred_take(struct front_req *q, const char *subject, const char *type)
{
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(types[0]); i++)
		if (strcmp(type, types[i].type) == 0) {
			q->cred = (struct kmf_cred){ .kind = types[i].kind,
				.text = subject,
				.hint = kmf_form_get(&q->form, "issuer") };
			return true;
		}
	return false;
}

static void
grant_exchange(struct front_req *q)
{
	const char *subject = kmf_form_get(&q->form, "subject_token");
	const char *type = kmf_form_get(&q->form, "subject_token_type");
	const char *resource = kmf_form_get(&q->form, "resource");
	const char *want = kmf_form_get(&q->form, "requested_token_type");
	bool conf = conference_of(q->par.conf, q->f->conf->base_url, resource);

	if (subject[0] == '\0' || type[0] == '\0' || resource[0] == '\0')
		malformed(q, "subject_token, its type and resource are needed");
	/* RFC 8693 2.1: nobody acts for another here. */
	else if (kmf_form_get(&q->form, "actor_token")[0] != '\0' ||
	    kmf_form_get(&q->form, "actor_token_type")[0] != '\0' ||
	    (want[0] != '\0' && strcmp(want, TYPE "access_token") != 0))
		malformed(q, "actor or requested_token_type not supported");
	else if (!cred_take(q, subject, type))
		malformed(q, "subject_token_type not supported");
	else if (conf ||
	    (is_kmf(q->f->conf->base_url, resource) &&
		q->cred.kind != KMF_CRED_CODE))
		kmf_method_start(q, on_person);
	else if (q->cred.kind == KMF_CRED_TOKEN)
		exchange_token2(q);
	else
		refuse(q, 400, "invalid_target", "resource");
}

/* --- client credentials --------------------------------------------------- */
static void
on_client(struct front_req *q, int err, const char *why)
{
	struct kmf_call c = { .op = KMF_OP_TOKEN_CLIENT };

	if (err != 0) {
		unknown(q, err, "invalid_client", why);
		return;
	}
	q->who.jkt = q->proof.jkt;
	c.arg = kmf_form_get(&q->form, "scope");
	c.arg2 = q->arg2;
	front_call(q, &c, front_token_relay);
}

/* A device is a client, so it is the client that is not good. */
static void
on_device(struct front_req *q, int err, const char *why)
{
	if (err != 0)
		unknown(q, err, "invalid_client", why);
	else
		on_person(q, 0, "");
}

/* RFC 8705 2: the connection is the credential, client_id its name; and
 * what it asks for is a conference. */
static void
grant_cert(struct front_req *q)
{
	const char *id = kmf_form_get(&q->form, "client_id");
	const char *resource = kmf_form_get(&q->form, "resource");

	if (id[0] == '\0' || resource[0] == '\0') {
		malformed(q, "client_id and resource are needed");
		return;
	}
	if (!conference_of(q->par.conf, q->f->conf->base_url, resource)) {
		refuse(q, 400, "invalid_target", "resource");
		return;
	}
	q->cred =
	    (struct kmf_cred){ .kind = KMF_CRED_CERT, .text = id, .hint = "" };
	kmf_method_start(q, on_device);
}

static void
grant_client(struct front_req *q)
{
	const char *text = kmf_form_get(&q->form, "client_assertion");
	const char *type = kmf_form_get(&q->form, "client_assertion_type");

	if (type[0] == '\0' && text[0] == '\0' && front_x5t(q)[0] != '\0') {
		grant_cert(q);
		return;
	}
	if (strcmp(type, ASSERTION) != 0 || text[0] == '\0') {
		refuse(q, 401, "invalid_client", "no assertion");
		return;
	}
	if (!q->proved) {
		refuse(q, 400, "invalid_dpop_proof", "a client needs a proof");
		return;
	}
	q->cred = (struct kmf_cred){ .kind = KMF_CRED_ASSERTION,
		.text = text,
		.hint = kmf_form_get(&q->form, "client_id") };
	kmf_method_start(q, on_client);
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

/* A proof, or a certificate in its stead. */
static int
proof_take(struct front_req *q)
{
	const char *why = "";
	int r = front_proof(q, NULL, &why);

	if (r == PERC_ERR_NOTFOUND && front_x5t(q)[0] != '\0')
		return 0;
	if (r != 0) {
		refuse(q, 400, "invalid_dpop_proof", why);
		return r;
	}
	if (q->proof.nonce[0] != '\0' &&
	    !front_nonce_ok(q->f, q->proof.nonce)) {
		front_token_error(
		    q, 400, "use_dpop_nonce", "use the nonce of DPoP-Nonce");
		return PERC_ERR_DENIED;
	}
	return 0;
}

void
front_token(struct front_req *q)
{
	const char *grant;
	size_t i;

	if (front_limit_reached(
		q->f->limit, perc_httpd_peer(q->r), perc_now_ms())) {
		q->f->count[COUNT_LIMITED]++;
		front_token_error(
		    q, 429, "slow_down", "too many failures; wait a minute");
		return;
	}
	if (form_take(q) != 0 || proof_take(q) != 0)
		return;
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

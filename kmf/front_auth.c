/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Who is this? RFC 6750 for the intake, a method (kmf/method.h) for the
 * token, then what it is bound to: RFC 9449 for the proof, RFC 8705 for the
 * certificate. A token is looked at once and remembered by its hash; the
 * binding is looked at every time, and the keeper, who sees all fronts'
 * requests, refuses a proof that was seen before.
 */
#include "config.h"

#include <stdio.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/nonce.h"
#include "perc/b64.h"
#include "perc/crypto.h"
#include "perc/json.h"
#include "perc/secret.h"

/* The one that answers carry, made once a minute. */
static const char *
nonce_now(struct front *f)
{
	int64_t now_s = perc_wall_ms() / 1000;

	if (f->nonce_now[0] == '\0' || f->nonce_minute != now_s / 60) {
		kmf_nonce_make(f->nonce_now, f->nonce_key, now_s);
		f->nonce_minute = now_s / 60;
	}
	return f->nonce_now;
}

bool
front_nonce_ok(struct front *f, const char *nonce)
{
	int64_t now_s = perc_wall_ms() / 1000;

	if (strlen(nonce) == KMF_NONCE_LEN &&
	    perc_equal(nonce, nonce_now(f), KMF_NONCE_LEN))
		return true;
	return kmf_nonce_ok(nonce, f->nonce_key, now_s) ||
	    kmf_nonce_ok(nonce, f->prev_nonce_key, now_s);
}

void
front_nonce_make(struct front *f, char *out)
{
	memcpy(out, nonce_now(f), KMF_NONCE_LEN + 1);
}

const char *
front_text_of(const json_t *o, const char *name)
{
	const char *s = perc_json_str(o, name);

	return s == NULL ? "" : s;
}

const char *
front_x5t(struct front_req *q)
{
	if (q->x5t[0] == '\0')
		perc_httpd_client_x5t(q->r, q->x5t);
	return q->x5t;
}

bool
front_binding_holds(struct front_req *q)
{
	if (q->who.jkt != NULL && q->who.jkt[0] != '\0')
		return q->proved && strcmp(q->who.jkt, q->proof.jkt) == 0;
	return q->who.x5t != NULL && q->who.x5t[0] != '\0' &&
	    strcmp(q->who.x5t, front_x5t(q)) == 0;
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
	if ((r = kmf_auth_parse(&q->scheme, token, value)) == 0)
		return 0;
	if (r == PERC_ERR_UNSUPPORTED)
		front_challenge(q, 401, NULL, "another scheme");
	else
		front_challenge(q, 400, "invalid_request", why);
	return PERC_ERR_DENIED;
}

static int
auth_proof(struct front_req *q)
{
	const char *why = "";

	if (front_proof(q, q->cred.text, &why) != 0) {
		front_challenge(q, 401, "invalid_dpop_proof", why);
		return PERC_ERR_DENIED;
	}
	if (!front_binding_holds(q)) {
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

/* RFC 8705 3: over the certificate it names. RFC 9449 7.2: a DPoP-bound one
 * never comes as Bearer. An unbound one only where an issuer's setting takes
 * such a risk. */
static int
auth_bearer(struct front_req *q)
{
	const char *why = NULL;

	if (q->who.jkt[0] != '\0')
		why = "bearer";
	else if (q->who.x5t[0] != '\0')
		why = front_binding_holds(q) ? NULL
		    : front_x5t(q)[0] == '\0'
		    ? "no certificate on this connection"
		    : "the certificate is another";
	else if (q->issuer == NULL || !q->issuer->allow_bearer)
		why = "bound to nothing";
	if (why == NULL)
		return 0;
	front_challenge(q, 401, "invalid_token", why);
	return PERC_ERR_DENIED;
}

static int
auth_bound(struct front_req *q)
{
	if (q->scheme == KMF_SCHEME_BEARER)
		return auth_bearer(q);
	if (q->who.jkt[0] == '\0') {
		front_challenge(
		    q, 401, "invalid_token", "not bound to a DPoP key");
		return PERC_ERR_DENIED;
	}
	return auth_proof(q);
}

/* The right kind of token for this route; what it may there, the keeper
 * knows. Another conference's token1 hears what a stranger hears. */
static int
auth_kind(struct front_req *q)
{
	static const unsigned needs[KMF_WHO_LAST] = {
		[KMF_WHO_NOBODY] = 0,
		[KMF_WHO_CLIENT] = KMF_CLIENT,
		[KMF_WHO_MEMBER] = KMF_MEMBER,
		[KMF_WHO_PERSON] = KMF_MEMBER,
		[KMF_WHO_CODE] = 0,
		[KMF_WHO_ROLE] = KMF_CLIENT,
	};

	if ((q->route->flags & needs[q->who.who]) == 0) {
		front_refused(q, "kind of token");
		front_problem(
		    q, 403, "insufficient_scope", "this token is not for this");
		return PERC_ERR_DENIED;
	}
	if (q->who.who == KMF_WHO_MEMBER &&
	    strcmp(q->who.token_conf, q->par.conf) != 0) {
		front_refused(q, "another conference");
		front_problem(q, 404, "not_found", "there is no such thing");
		return PERC_ERR_DENIED;
	}
	return 0;
}

static void
on_who(struct front_req *q, int err, const char *why)
{
	if (err == PERC_ERR_CLOSED) {
		front_refused(q, why);
		front_busy(q);
		return;
	}
	if (err != 0) {
		front_challenge(q, 401, "invalid_token", why);
		return;
	}
	if (auth_bound(q) == 0 && auth_kind(q) == 0)
		q->next(q);
}

void
front_auth(struct front_req *q, void (*next)(struct front_req *))
{
	const char *token = NULL;

	if (auth_intake(q, &token) != 0)
		return;
	q->next = next;
	q->cred = (struct kmf_cred){ .kind = KMF_CRED_TOKEN,
		.direct = true,
		.text = token,
		.hint = "" };
	kmf_method_start(q, on_who);
}

/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * Our own access tokens: token1 of members, and those of clients and of
 * people with a role. The kind
 * follows from what the keeper signed, nothing else (REQ-WS-6.2).
 */
#include "config.h"

#include <string.h>

#include "kmf/claims.h"
#include "kmf/front.h"
#include "perc/json.h"

static bool
takes(const struct front_req *q)
{
	const char *iss = perc_json_str(q->jws.payload, "iss");

	return q->cred.kind == KMF_CRED_TOKEN && iss != NULL &&
	    strcmp(iss, q->f->conf->base_url) == 0;
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

static void
known(struct front_req *q)
{
	const json_t *claims = q->claims;
	const json_t *cnf = json_object_get(claims, "cnf");
	struct kmf_identity *id = &q->who;

	id->iss = front_text_of(claims, "iss");
	id->sub = front_text_of(claims, "sub");
	id->scope = front_text_of(claims, "scope");
	id->token_conf = front_text_of(claims, "conference");
	id->jkt = front_text_of(cnf, "jkt");
	id->x5t = front_text_of(cnf, "x5t#S256");
	if (perc_json_int(&id->token_exp_s, claims, "exp", 1, INT64_MAX) != 0)
		id->token_exp_s = 0;
	if (id->token_conf[0] != '\0')
		id->who = strcmp(id->scope, "member") == 0 ? KMF_WHO_MEMBER
							   : KMF_WHO_NOBODY;
	else if (strcmp(id->sub, front_text_of(claims, "client_id")) == 0)
		id->who = KMF_WHO_CLIENT;
	else if (strncmp(id->sub, "p_", 2) == 0)
		id->who = KMF_WHO_ROLE;
}

static void
run(struct front_req *q)
{
	const char *base = q->f->conf->base_url, *why = "";
	const struct kmf_rules rules = { .typ = "at+jwt",
		.algs = kmf_algs_own,
		.iss = base,
		.aud = { base },
		.required = kmf_required_at,
		.cnf = KMF_CNF_BOUND,
		.leeway_s = KMF_LEEWAY_S };
	struct kmf_claims c = { .size = strlen(q->cred.text),
		.now_s = perc_wall_ms() / 1000 };
	struct perc_jws j = { 0 };
	int r;

	if ((r = perc_jws_verify_set(&j, q->cred.text, c.size,
		 PERC_JOSE_TOKEN_MAX, q->f->jwks, "at+jwt")) != 0) {
		why = verify_why(r);
		goto out;
	}
	c.header = j.header;
	c.payload = j.payload;
	if ((r = kmf_claims_check(&c, &rules, &why)) != 0) {
		kmf_claims_skew(q->say, sizeof(q->say), &c, why);
		goto out;
	}
	json_decref(q->claims);
	q->claims = json_incref(j.payload);
	known(q);
	kmf_method_remember(q, q->who.token_exp_s);
out:
	perc_jws_clear(&j);
	kmf_method_end(q, r, why);
}

const struct kmf_method kmf_method_own = {
	.name = "own",
	.direct = true,
	.takes = takes,
	.run = run,
	.known = known,
};

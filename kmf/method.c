/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * The table of methods, and what they share: a token is taken apart once,
 * and one that was found good is not verified again until it expires or its
 * issuer's keys change.
 */
#include "config.h"

#include <string.h>

#include "kmf/front.h"
#include "kmf/method.h"
#include "perc/json.h"

/* Whoever takes a credential first has it. */
static const struct kmf_method *const methods[] = {
	&kmf_method_own,
	&kmf_method_oidc,
	&kmf_method_introspect,
	&kmf_method_code,
	&kmf_method_client,
	&kmf_method_cert,
};

void
kmf_method_end(struct front_req *q, int err, const char *why)
{
	perc_jws_clear(&q->jws); /* secret memory is not plenty */
	q->on_who(q, err, why);
}

void
kmf_method_remember(struct front_req *q, int64_t exp_s)
{
	const struct front_known k = {
		.method = q->method, .issuer = q->issuer, .claims = q->claims
	};

	if (q->cred.kind == KMF_CRED_TOKEN)
		front_cache_put(q->f->cache, q->cred.text, &k, exp_s);
}

static bool
known(struct front_req *q)
{
	struct front_known k;

	if (q->cred.kind != KMF_CRED_TOKEN ||
	    !front_cache_get(
		q->f->cache, &k, q->cred.text, perc_wall_ms() / 1000))
		return false;
	if (q->cred.direct && !k.method->direct)
		return false;
	q->f->count[COUNT_CACHE_HITS]++;
	q->method = k.method;
	q->issuer = k.issuer;
	json_decref(q->claims);
	q->claims = json_incref(k.claims);
	return true;
}

void
kmf_method_start(struct front_req *q, kmf_method_fn done)
{
	const struct kmf_method *m;
	size_t i;

	q->on_who = done;
	if (known(q)) {
		q->method->known(q);
		kmf_method_end(q, 0, "");
		return;
	}
	/* An opaque token stays without a payload. */
	if (q->cred.kind != KMF_CRED_CODE && q->cred.kind != KMF_CRED_CERT &&
	    perc_jws_peek(&q->jws, q->cred.text, strlen(q->cred.text),
		PERC_JOSE_TOKEN_MAX) != 0)
		perc_jws_clear(&q->jws);
	for (i = 0; i < sizeof(methods) / sizeof(methods[0]); i++) {
		m = methods[i];
		if ((q->cred.direct && !m->direct) || !m->takes(q))
			continue;
		q->method = m;
		m->run(q);
		return;
	}
	kmf_method_end(
	    q, PERC_ERR_DENIED, q->jws.payload == NULL ? "form" : "iss");
}

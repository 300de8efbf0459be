/* SPDX-License-Identifier: AGPL-3.0-or-later */
/*
 * What anyone may read: metadata (RFC 9728, RFC 8414) and public keys. A
 * conference's descriptor is the same for every well-formed id, so it tells
 * nobody which conferences exist.
 */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kmf/front.h"
#include "kmf/openapi.h"
#include "perc/log.h"
#include "perc/json.h"

static void
resource_put(char *out, size_t cap, const struct front_req *q)
{
	if (q->par.conf[0] == '\0')
		snprintf(out, cap, "%s", q->f->conf->base_url);
	else
		snprintf(out, cap, "%s/v1/conferences/%s", q->f->conf->base_url,
		    q->par.conf);
}

/* series: whose occurrence it is; NULL: none's. */
static void
describe(struct front_req *q, const char *series)
{
	const char *base = q->f->conf->base_url;
	char resource[600], token[600];

	resource_put(resource, sizeof(resource), q);
	snprintf(token, sizeof(token), "%s/oauth/token", base);
	front_json(q, 200,
	    json_pack("{s:s, s:s, s:s, s:s, s:s*}", "conference", q->par.conf,
		"kmf", base, "resource", resource, "token_endpoint", token,
		"series", series));
}

static void
descriptor(struct front_req *q)
{
	describe(q, NULL);
}

static void
on_current(struct front_req *q, const struct kmf_reply *a)
{
	char series[KMF_ID_MAX];

	if (a->status != 200 || a->body_len >= sizeof(q->par.conf)) {
		front_relay(q, a);
		return;
	}
	memcpy(series, q->par.conf, sizeof(series));
	memcpy(q->par.conf, a->body, a->body_len);
	q->par.conf[a->body_len] = '\0';
	describe(q, series);
}

static void
series(struct front_req *q)
{
	struct kmf_call c = { .op = KMF_OP_SERIES_CURRENT,
		.conf = q->par.conf };

	front_call(q, &c, on_current);
}

/* RFC 8705 3.3, 3.4: only where a certificate is asked for at all. */
static void
cert_flag(json_t *o, const struct kmf_conf *c)
{
	if (o != NULL && kmf_conf_asks_cert(c))
		(void)json_object_set_new(o,
		    "tls_client_certificate_bound_access_tokens", json_true());
}

static void
resource(struct front_req *q)
{
	const struct kmf_conf *c = q->f->conf;
	char name[600];
	json_t *o;

	resource_put(name, sizeof(name), q);
	o = json_pack("{s:s, s:[s], s:[s], s:b, s:[s]}", "resource", name,
	    "authorization_servers", c->base_url, "bearer_methods_supported",
	    "header", "dpop_bound_access_tokens_required",
	    !kmf_conf_takes_bearer(c), "dpop_signing_alg_values_supported",
	    "ES256");
	cert_flag(o, c);
	front_json(q, 200, o);
}

static json_t *
providers(const struct kmf_conf *c)
{
	json_t *list = json_array();
	size_t i;

	for (i = 0; list != NULL && i < c->nissuers; i++)
		if (!c->issuers[i].certificate &&
		    json_array_append_new(list,
			json_pack("{s:s, s:s, s:s, s:s, s:b}", "issuer",
			    c->issuers[i].url, "client_id",
			    c->issuers[i].client_id, "scope",
			    c->issuers[i].scope, "name", c->issuers[i].name,
			    "resource_indicator",
			    c->issuers[i].resource_indicator)) != 0)
			break;
	return list;
}

static json_t *
client_methods(const struct kmf_conf *c)
{
	json_t *a = json_pack("[s, s]", "none", "private_key_jwt");
	size_t i;

	for (i = 0; a != NULL && i < c->nissuers; i++)
		if (c->issuers[i].certificate) {
			(void)json_array_append_new(
			    a, json_string("tls_client_auth"));
			break;
		}
	return a;
}

static void
server(struct front_req *q)
{
	const struct kmf_conf *c = q->f->conf;
	char token[600], jwks[600];
	json_t *o;

	snprintf(token, sizeof(token), "%s/oauth/token", c->base_url);
	snprintf(jwks, sizeof(jwks), "%s/.well-known/jwks.json", c->base_url);
	o = json_pack("{s:s, s:s, s:s, s:[s,s], s:o, s:[s], s:[s], s:[], s:o}",
	    "issuer", c->base_url, "token_endpoint", token, "jwks_uri", jwks,
	    "grant_types_supported",
	    "urn:ietf:params:oauth:grant-type:token-exchange",
	    "client_credentials", "token_endpoint_auth_methods_supported",
	    client_methods(c),
	    "token_endpoint_auth_signing_alg_values_supported", "ES256",
	    "dpop_signing_alg_values_supported", "ES256",
	    "response_types_supported", "perch_identity_providers",
	    providers(c));
	cert_flag(o, c);
	front_json(q, 200, o);
}

static void
jwks(struct front_req *q)
{
	static const struct perc_httpd_header type = { "Content-Type",
		"application/jwk-set+json" };
	const char *text = q->f->jwks_text;

	front_reply(q, 200, &type, 1, text, strlen(text), false);
}

/* --- the document of the interface ---------------------------------------- */
/* One and the same for everybody until the program is another. */
static void
openapi(struct front_req *q)
{
	const char *seen = perc_httpd_header(q->r, "If-None-Match", NULL);
	const struct perc_httpd_header h[] = { { "ETag", q->f->openapi_etag },
		{ "Cache-Control", "public, max-age=3600" },
		{ "Content-Type", "application/json" } };

	if (seen != NULL && strstr(seen, q->f->openapi_etag) != NULL)
		front_reply(q, 304, h, 2, NULL, 0, false);
	else
		front_reply(
		    q, 200, h, 3, kmf_openapi_text, kmf_openapi_len, false);
}

void
front_meta(struct front_req *q)
{
	static void (*const by[])(struct front_req *) = {
		[KMF_H_DESCRIPTOR] = descriptor,
		[KMF_H_RESOURCE] = resource,
		[KMF_H_SERVER] = server,
		[KMF_H_JWKS] = jwks,
		[KMF_H_HEALTH] = front_health,
		[KMF_H_READY] = front_ready,
		[KMF_H_METRICS] = front_metrics,
		[KMF_H_OPENAPI] = openapi,
		[KMF_H_SERIES] = series,
	};

	by[q->route->handler](q);
}
